"""What an integration is: the modules it waits for, and one method that wraps what trains in them."""

from __future__ import annotations

from types import ModuleType
from typing import TYPE_CHECKING, Protocol

import msgspec

if TYPE_CHECKING:
    from mainspring.autologging.patches import Patches

__all__ = ["AutoLogger", "Options"]


class Options(msgspec.Struct, frozen=True):
    """What is logged, for all frameworks or for those that were named."""

    models: bool = True
    """Whether trained models are kept with their run."""
    register: str = ""
    """The name under which each trained model is registered as the next version; empty for not at all."""
    experiment: str = ""
    """Of runs that are begun here; the program's name when left out."""
    training_metrics: bool = True
    """Whether a trained estimator is scored on its training data (on 20,000 rows of it at most)."""
    candidates: int = 50
    """How many candidates of a search become runs of their own, the best first."""
    largest_model: int = 1 << 30
    """Bytes of a model; larger ones are not kept."""


class AutoLogger(Protocol):
    """An integration of a framework: on the hooks page, or under the entry-point group `mainspring.autologgers`.

    Its hooks are generators: `def fit(self, session, call)` logs what is known before, `yield`s while the framework
    works, gets its result from the `yield`, and logs what came out. Whatever a hook raises is logged and goes no
    further. `mainspring.testing.autolog_suite` tests an integration.
    """

    modules: tuple[str, ...]
    """Those that it waits for."""

    def install(self, module: ModuleType, patches: Patches) -> None:
        """Wrap what trains in one of `modules`, right after it was imported."""
        ...
