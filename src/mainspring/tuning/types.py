"""What the tuning speaks of: search spaces, studies, trials."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Literal

import msgspec

__all__ = ["Choice", "Dimension", "Direction", "Float", "Int", "Study", "StudyState", "Trial", "TrialState", "Tuned"]

Direction = Literal["minimize", "maximize"]
StudyState = Literal["running", "finished"]
TrialState = Literal["running", "finished", "pruned", "failed"]


class Float(msgspec.Struct, frozen=True, tag="float"):
    """A real number from `low` to `high`, both included; evenly on a logarithmic scale when `log`."""

    low: float
    high: float
    log: bool = False
    step: float | None = None


class Int(msgspec.Struct, frozen=True, tag="int"):
    """A whole number from `low` to `high`, both included."""

    low: int
    high: int
    log: bool = False
    step: int = 1


class Choice(msgspec.Struct, frozen=True, tag="choice"):
    """One of a few values."""

    values: tuple[str | int | float | bool | None, ...]


Dimension = Float | Int | Choice
"""What one parameter may be."""


class Study(msgspec.Struct, frozen=True):
    """A search for the best parameters. It is a run of the lineage with the same id."""

    id: str
    workspace: str
    name: str
    key: str
    """Unique within the workspace when not empty: who makes a study with the same key goes on with this one."""
    direction: Direction
    space: dict[str, Dimension]
    sampler: str
    pruner: str
    seed: int
    parent_id: str
    """The run that it is a part of."""
    state: StudyState
    created_at: datetime
    created_by: str


class Trial(msgspec.Struct, frozen=True):
    """One set of parameters that was tried. It is a run of the lineage with the same id, under the run of its study."""

    id: str
    study_id: str
    number: int
    state: TrialState
    params: dict[str, Any]
    started_at: datetime
    value: float | None = None
    finished_at: datetime | None = None
    reports: dict[str, float] = {}
    """Values on the way, by step; what pruning looks at."""
    error: str = ""


class Tuned(msgspec.Struct, frozen=True):
    """What came out of a study."""

    study: Study
    best: Trial
    trials: list[Trial]

    @property
    def params(self) -> dict[str, Any]:
        """The best parameters."""
        return self.best.params

    @property
    def value(self) -> float:
        """The best value."""
        return float(self.best.value or 0.0)
