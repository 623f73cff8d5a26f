"""PyTorch: the optimizer's settings and its learning rate, into the run that goes on.

PyTorch has no call that is a training, so that no run begins here. Losses are the program's own to log.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import ModuleType
from typing import Any
from weakref import WeakKeyDictionary

from mainspring.autologging import sessions
from mainspring.autologging.patches import Patches
from mainspring.autologging.sessions import Session

__all__ = ["TorchLogger"]


class TorchLogger:
    """Follows every optimizer by PyTorch's own hook after a step."""

    modules = ("torch.optim.optimizer",)

    def install(self, module: ModuleType, patches: Patches) -> None:
        """Register the hook."""
        follower = _Follower(patches)
        handle = module.register_optimizer_step_post_hook(follower)
        patches.on_undo(handle.remove)


class _Follower:
    """What is known of each optimizer: how often it has stepped, and with which rates."""

    def __init__(self, patches: Patches) -> None:
        self._patches = patches
        self._known: WeakKeyDictionary[Any, _Known] = WeakKeyDictionary()
        self._counted: dict[str, int] = {}

    def __call__(self, optimizer: Any, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> None:
        """After each step. Nearly always two comparisons: a rate is logged when it changes."""
        if sessions.is_part_of_another():
            return
        run = sessions.active_run()
        if run is None:
            return
        known = self._known.get(optimizer)
        if known is None or known.run_id != run.id:
            number = self._counted.pop(run.id, 0)
            self._counted = {run.id: number + 1}  # of the run that goes on; those before have ended
            known = self._known[optimizer] = _Known(run.id, number)
        rates = [group["lr"] for group in optimizer.param_groups]
        if rates != known.rates:
            session = Session(self._patches.framework, self._patches.options(), run)
            with session.safely():
                known.log(session, optimizer, [float(rate) for rate in rates])
            known.rates = rates
        known.steps += 1


class _Known:
    """One optimizer in one run."""

    def __init__(self, run_id: str, number: int) -> None:
        self.run_id = run_id
        self.place = "optimizer" if not number else f"optimizer-{number + 1}"
        self.rates: list[Any] = []
        self.steps = 0

    def log(self, session: Session, optimizer: Any, rates: list[float]) -> None:
        if not self.steps:
            settings = {name: value for name, value in optimizer.defaults.items() if value is not None}
            session.params({f"{self.place}.name": type(optimizer).__name__})
            session.params({f"{self.place}.{name}": value for name, value in settings.items()})
        names = ["lr"] if len(rates) == 1 else [f"lr/{number}" for number in range(len(rates))]
        found = {f"{self.place}/{name}": rate for name, rate in zip(names, rates, strict=True)}
        session.log(found, step=self.steps)
