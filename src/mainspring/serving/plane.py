"""A serving process on a store: the dataplane with its real ports, its prediction log, and their end.

Light until it is needed: nothing here loads numpy, polars or a model runtime before the first endpoint exists.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from mainspring.engines.models import Predictor
from mainspring.kernel.context import Caller, acting_as
from mainspring.serving.dataplane import Dataplane
from mainspring.serving.fleet import Fleet
from mainspring.serving.prediction_log import PredictionLog
from mainspring.serving.spool import Entry, SpoolHead
from mainspring.serving.tables import ENDPOINTS
from mainspring.serving.types import Endpoint
from mainspring.store.local import LocalBackend
from mainspring.store.store import Store

if TYPE_CHECKING:
    import numpy as np

    Array = np.ndarray[Any, Any]

__all__ = ["ServingProcess"]


class ServingProcess:
    """Everything that one process needs to answer for a workspace's endpoints; `close` loses nothing.

    Args:
        store: Where endpoints, models and features are.
        workspace: Whose endpoints.
        max_rows: Rows after which a piece of the prediction log is sealed.
        max_seconds: Age after which it is.
        durable: Whether each answer waits for the disk, not only for the kernel.
    """

    def __init__(
        self,
        store: Store,
        *,
        workspace: str = "default",
        max_rows: int = 100_000,
        max_seconds: float = 60.0,
        durable: bool = False,
    ) -> None:
        self._store = store
        self._who = Caller(principal="serving", workspace=workspace, method="system")
        folder = store.path("spool", "predictions")
        self.log = PredictionLog(folder, self._seal, max_rows=max_rows, max_seconds=max_seconds, durable=durable)
        self.plane = Dataplane(Fleet(self, self.load), self.log, lookup=self.lookup)

    def start(self, *, every: float = 0.25) -> None:
        """Seal what dead processes left, load the endpoints, and watch for changes."""
        self.log.recover()
        self.plane.fleet.start(every=every)

    def close(self) -> None:
        """Finish the shadow's work, seal the log, stop."""
        self.plane.close()
        self.log.close()

    def version(self) -> int:
        """See `Catalog.version`."""
        with self._store.read() as tx:
            return int(
                tx.value("SELECT coalesce(max(changed), 0) FROM endpoint WHERE workspace = ?", (self._who.workspace,))
            )

    def endpoints(self) -> list[Endpoint]:
        """See `Catalog.endpoints`."""
        with self._store.read() as tx:
            return tx.fetch(ENDPOINTS, "WHERE workspace = ? ORDER BY name", (self._who.workspace,))

    def load(self, model_id: str) -> Predictor:
        """See `Loader`."""
        from mainspring.models.service import Models

        with acting_as(self._who):
            return Models(LocalBackend(self._store)).load(model_id)

    def lookup(self, views: Sequence[str], keys: Mapping[str, Array], moments: Array) -> Mapping[str, Array]:
        """See `Lookup`."""
        import polars as pl

        from mainspring.features.online import online
        from mainspring.kernel.errors import InvalidInput, nearest

        with acting_as(self._who):
            states = [state for _, state in online(self._store).views(views)]
        names = list(dict.fromkeys(name for state in states for name in state.view.join_keys))
        absent = [name for name in names if name not in keys]
        if absent:
            raise InvalidInput(
                f"column {absent[0]!r} is missing: it is a key of the features that are looked up",
                known=nearest(absent[0], keys),
            )
        rows = pl.DataFrame({name: pl.Series(keys[name].tolist()) for name in names})
        found = pl.concat([state.read(rows, pl.Series(moments)) for state in states], how="horizontal")
        return {column.name: column.to_numpy() for column in found.get_columns()}

    def _seal(self, spool: str, head: SpoolHead, entries: list[Entry]) -> None:
        from mainspring.serving.segments import seal

        seal(self._store, spool, head, entries)
