"""When a search has had enough: so many trials, so long, so costly, good enough, or no better for a while."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import msgspec

from mainspring.kernel.clock import monotonic
from mainspring.kernel.errors import InvalidInput
from mainspring.tuning.types import Direction, Trial

__all__ = ["COST", "Budget", "Spent"]

COST = "cost"
"""The attribute of a trial that says what it cost."""


class Budget(msgspec.Struct, frozen=True):
    """What a search may use; 0 and None mean that it is not looked at."""

    trials: int = 0
    """How many trials the study has in the end."""
    seconds: float = 0.0
    """How long this call may begin trials."""
    cost: float = 0.0
    """The sum of what trials said that they cost."""
    patience: int = 0
    """After so many trials that ended without a better value, it stops; what breaks a constraint is no better."""
    target: float | None = None
    """A value that is good enough, of a trial that breaks no constraint."""

    def check(self, objectives: int) -> None:
        """Refuse what cannot be."""
        if self.trials < 0 or self.patience < 0:
            raise InvalidInput("a study has at least one trial, and its patience is not below 0")
        for what, value in (("timeout", self.seconds), ("max_cost", self.cost)):
            if not 0 <= value < math.inf:
                raise InvalidInput(f"{what}={value}: a number above 0, or 0 for no limit")
        if not (self.trials or self.seconds or self.cost or self.patience or self.target is not None):
            raise InvalidInput("a search without an end", hint="trials=100, timeout=3600 or another limit")
        if objectives > 1 and (self.patience or self.target is not None):
            raise InvalidInput("patience and target are for one objective")


class Spent:
    """What a search has used. Trials are counted as they begin, and again when they end."""

    def __init__(self, budget: Budget, directions: Sequence[Direction]) -> None:
        self._budget = budget
        self._sign = -1.0 if directions[0] == "maximize" else 1.0
        self._began = monotonic()
        self.begun = 0
        self.ended = 0
        self.cost = 0.0
        self.best: float | None = None
        self._since_better = 0

    def begin(self) -> None:
        """A trial began."""
        self.begun += 1

    def end(self, trial: Trial) -> None:
        """A trial ended."""
        self.ended += 1
        self.cost += _number(trial.user_attrs.get(COST))
        sound = trial.state == "finished" and not any(broken > 0 for broken in trial.constraints.values())
        value = trial.value if sound else None
        if value is not None and (self.best is None or self._sign * value < self._sign * self.best):
            self.best, self._since_better = value, 0
        else:
            self._since_better += 1

    def over(self) -> str:
        """Why no more trials begin; empty while they do."""
        limit = self._budget
        if limit.target is not None and self.best is not None and self._sign * self.best <= self._sign * limit.target:
            return "target"
        if limit.trials and self.begun >= limit.trials:
            return "trials"
        if limit.seconds and monotonic() - self._began >= limit.seconds:
            return "timeout"
        if limit.cost and self.cost >= limit.cost:
            return "cost"
        if limit.patience and self.best is not None and self._since_better >= limit.patience:
            return "patience"
        return ""


def _number(value: Any) -> float:
    return float(value) if isinstance(value, int | float) and math.isfinite(value) else 0.0
