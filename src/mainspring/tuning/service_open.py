"""Opening a study to ask it for trials and tell it how they ended: `client.tuning.study(...)`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from mainspring.kernel.hooks import load
from mainspring.store.service import RoomService
from mainspring.tuning.types import Direction

if TYPE_CHECKING:
    from mainspring.tuning.asking import OpenStudy
    from mainspring.tuning.spaces import Space

__all__ = ["OpeningStudies", "client_of"]


class OpeningStudies(RoomService):
    """What runs at the client, composed of operations."""

    def study(
        self,
        name: str,
        *,
        space: Space | None = None,
        direction: Direction | Sequence[Direction] = "minimize",
        sampler: Any = "tpe",
        sampler_options: Mapping[str, Any] | None = None,
        pruner: Any = "none",
        pruner_options: Mapping[str, Any] | None = None,
        fixed: Mapping[str, Any] | None = None,
        metrics: Sequence[str] = (),
        seed: int = 0,
        key: str = "",
    ) -> OpenStudy:
        """Make a study, or go on with that of the same `key`, and ask it for trials.

        The arguments are those of `mainspring.tune`. Needs the extra `tune`.

        Example:
            >>> import tempfile
            >>> import mainspring as ms
            >>> from mainspring.tuning import Float
            >>> with ms.connect(tempfile.mkdtemp()) as client:
            ...     study = client.tuning.study("by-hand", space={"x": Float(0, 1)})
            ...     for _ in range(3):
            ...         trial = study.ask()
            ...         ended = study.tell(trial, trial.params["x"] ** 2)
            ...     study.finish().state, len(study.trials())
            ('finished', 3)
        """
        from mainspring.tuning.asking import open_study

        return open_study(
            client_of(self),
            name,
            space=space,
            direction=direction,
            sampler=sampler,
            sampler_options=sampler_options,
            pruner=pruner,
            pruner_options=pruner_options,
            fixed=fixed,
            metrics=metrics,
            seed=seed,
            key=key,
        )


def client_of(service: RoomService) -> Any:
    """A client of all rooms, where this one is."""
    backend = service._backend  # noqa: SLF001 -- a service is bound to it and says so to nobody
    store = getattr(backend, "store", None)
    address = str(store.folder) if store is not None else getattr(backend, "url", "")
    return load("mainspring.client.client:Client")(backend, address=address)
