"""What the tuning speaks of: search spaces, studies, trials. As wide as Optuna's own model, so that nothing is lost."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Literal

import msgspec

__all__ = [
    "Changed",
    "Changes",
    "Choice",
    "Dimension",
    "Direction",
    "Float",
    "Importances",
    "Int",
    "NewTrial",
    "Real",
    "Study",
    "StudyState",
    "Trial",
    "TrialChange",
    "TrialState",
    "Tuned",
    "marked",
    "number",
    "plain",
    "real",
]

Direction = Literal["minimize", "maximize"]
StudyState = Literal["running", "finished"]
TrialState = Literal["waiting", "running", "finished", "pruned", "failed"]

Real = float | Literal["Infinity", "-Infinity", "NaN"]
"""A float, where one that is not finite is spelled out: JSON has no other way to carry it."""


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
    """One of a few values: texts, numbers, truths or None; other JSON where a program wants it."""

    values: tuple[Any, ...]


Dimension = Float | Int | Choice
"""What one parameter may be."""


class Study(msgspec.Struct, frozen=True):
    """A search for the best parameters. It is a run of the lineage with the same id."""

    id: str
    number: int
    """1, 2, 3, ... over all workspaces, never given twice: what Optuna knows it by."""
    workspace: str
    name: str
    unique_name: str
    """The name under which no other study of the workspace is: `name`, with its number behind it where that was taken.
    It is the study name that Optuna programs see."""
    key: str
    """Unique within the workspace when not empty: who makes a study with the same key goes on with this one."""
    directions: list[Direction]
    """One for each objective."""
    space: dict[str, Dimension]
    """What is searched, where it is known beforehand; empty where the objective defines it as it runs."""
    sampler: str
    pruner: str
    seed: int
    parent_id: str
    """The run that it is a part of."""
    state: StudyState
    user_attrs: dict[str, Any]
    system_attrs: dict[str, Any]
    """What Optuna and `tune` keep for themselves."""
    created_at: datetime
    created_by: str

    @property
    def direction(self) -> Direction:
        """Of the first objective."""
        return self.directions[0]

    @property
    def metric_names(self) -> list[str]:
        """What the objectives are called, where somebody said so."""
        return list(self.system_attrs.get("study:metric_names") or [])


class Trial(msgspec.Struct, frozen=True, gc=False):
    """One set of parameters that was tried. It is a run of the lineage with the same id, under the run of its study."""

    id: str
    study_id: str
    number: int
    """0, 1, 2, ... within its study, without a gap."""
    state: TrialState
    params: dict[str, Any]
    started_at: datetime | None = None
    """None while it waits for somebody to try it."""
    values: list[Real] = []
    """One for each objective; empty without any."""
    finished_at: datetime | None = None
    reports: dict[int, Real] = {}
    """Values on the way, by step; what pruning looks at."""
    error: str = ""
    distributions: dict[str, Dimension] = {}
    """What each of its parameters was drawn from; one that is not here was drawn from the study's space."""
    user_attrs: dict[str, Any] = {}
    system_attrs: dict[str, Any] = {}
    worker: str = ""
    """Who tries it: `host:process`, where that is known."""
    heartbeat_at: datetime | None = None
    """When its worker last said that it lives; None where it never does."""
    revision: int = 0
    """Which change of its study was the last one of it."""

    @property
    def value(self) -> float | None:
        """The first of its values."""
        return number(self.values[0]) if self.values else None

    @property
    def constraints(self) -> dict[str, float]:
        """How far each constraint is broken, by its name or its place: one holds where this is not above 0."""
        if not self.system_attrs:
            return {}
        listed = self.system_attrs.get("constraints")
        found = {str(place): each for place, each in enumerate(listed if isinstance(listed, list | tuple) else ())}
        found |= {
            key.removeprefix("constraints:"): each
            for key, each in self.system_attrs.items()
            if key.startswith("constraints:")
        }
        return {name: _broken(each) for name, each in found.items()}

    @property
    def ended(self) -> bool:
        """Whether it is over, and never changes again."""
        return self.state not in ("waiting", "running")


class NewTrial(msgspec.Struct, frozen=True, gc=False):
    """What a trial is when it begins, where that is more than nothing: waits, was given parameters, is over already."""

    state: TrialState = "running"
    params: dict[str, Any] = {}
    distributions: dict[str, Dimension] = {}
    values: list[Real] = []
    reports: dict[int, Real] = {}
    user_attrs: dict[str, Any] = {}
    system_attrs: dict[str, Any] = {}
    started_at: datetime | None = None
    """Now, unless it waits."""
    finished_at: datetime | None = None
    worker: str = ""
    heartbeat: bool = False
    """Whether its worker will say that it lives."""


class TrialChange(msgspec.Struct, frozen=True, gc=False):
    """What is new of a trial; everything else of it stays as it is."""

    number: int
    state: TrialState | None = None
    """How it ended, or `running` for a waiting one that is taken up."""
    values: list[Real] | None = None
    params: dict[str, Any] = {}
    distributions: dict[str, Dimension] = {}
    reports: dict[int, Real] = {}
    user_attrs: dict[str, Any] = {}
    system_attrs: dict[str, Any] = {}
    error: str = ""


class Changed(msgspec.Struct, frozen=True, gc=False):
    """That trials were changed."""

    revision: int
    """The number of this change of their study."""
    at: datetime
    """When: what ended by it has ended then."""


class Changes(msgspec.Struct, frozen=True):
    """What is new of a study since a revision of it."""

    revision: int
    """To ask with next time."""
    trials: list[Trial]
    """Those that changed, by number, as they are now."""
    study: Study | None = None
    """The study, where itself changed."""
    more: bool = False
    """Whether there is more than the limit allowed: ask again."""


class Importances(msgspec.Struct, frozen=True):
    """What the parameters of a study are worth."""

    trials: int
    """Of how many finished trials."""
    parameters: dict[str, float]
    """The share of each, the greatest first; they sum to 1. Empty where too few trials differ."""


class Tuned(msgspec.Struct, frozen=True):
    """What came out of a study."""

    study: Study
    best: Trial
    """The finished trial with the best value that breaks no constraint; of several objectives the first one counts."""
    trials: list[Trial]
    front: list[Trial] = []
    """Those finished trials than which no other is better in one objective and as good in all others."""
    stopped: str = ""
    """Why no more trials began: `trials`, `timeout`, `cost`, `target`, `patience` or `exhausted`."""

    @property
    def params(self) -> dict[str, Any]:
        """The best parameters."""
        return self.best.params

    @property
    def value(self) -> float:
        """The best value."""
        return float(self.best.value or 0.0)


_SPELLED = {float("inf"): "Infinity", -float("inf"): "-Infinity"}


def real(value: float) -> Real:
    """A float as it is carried and kept.

    Example:
        >>> real(1.5), real(float("-inf")), real(float("nan"))
        (1.5, '-Infinity', 'NaN')
    """
    if value - value == 0:  # the quickest question whether it is finite
        return float(value)
    return _SPELLED.get(float(value), "NaN")  # type: ignore[return-value]  # the texts of `_SPELLED` are those of `Real`


def number(value: Real) -> float:
    """A float as Python has it.

    Example:
        >>> number("-Infinity"), number(2)
        (-inf, 2.0)
    """
    return float(value)


def _broken(value: Any) -> float:
    """How far a constraint is broken; by what is no number, it is."""
    try:
        return float(plain(value))
    except (TypeError, ValueError, OverflowError):
        return float("inf")


_MARKS = ("$float", "$int", "$plain")
_LARGEST = 2**63 - 1


def marked(value: Any) -> Any:
    """A value of JSON types as it is carried and kept: what JSON cannot say is marked, and nothing is lost.

    Raises:
        TypeError: It is not of JSON types.

    Example:
        >>> marked({"best": float("inf"), "tags": ("a", 1)})
        {'best': {'$float': 'Infinity'}, 'tags': ['a', 1]}
    """
    if value is None or isinstance(value, str | bool):
        return value
    if isinstance(value, float):
        spelled = real(value)
        return spelled if isinstance(spelled, float) else {"$float": spelled}
    if isinstance(value, int):
        return int(value) if -_LARGEST <= value <= _LARGEST else {"$int": str(value)}
    if isinstance(value, list | tuple):
        return [marked(each) for each in value]
    if isinstance(value, dict):
        made = {_key(key): marked(each) for key, each in value.items()}
        return {"$plain": made} if len(made) == 1 and next(iter(made)) in _MARKS else made
    raise TypeError(f"{type(value).__name__} is not JSON serializable")


def plain(value: Any) -> Any:
    """What `marked` was given, tuples as lists.

    Example:
        >>> plain({"best": {"$float": "Infinity"}, "tags": ["a", 1]})
        {'best': inf, 'tags': ['a', 1]}
    """
    if not value:
        return value
    if isinstance(value, list):
        return [plain(each) for each in value]
    if isinstance(value, dict):
        if len(value) == 1:
            mark, inner = next(iter(value.items()))
            if mark == "$float":
                return float(inner)
            if mark == "$int":
                return int(inner)
            if mark == "$plain":
                return {key: plain(each) for key, each in inner.items()}
        return {key: plain(each) for key, each in value.items()}
    return value


def _key(key: Any) -> str:
    """A key as `json.dumps` writes it."""
    if isinstance(key, str):
        return key
    if key is None or isinstance(key, bool):
        return {None: "null", True: "true", False: "false"}[key]
    if isinstance(key, int | float):
        return repr(key)
    raise TypeError(f"keys must be str, int, float, bool or None, not {type(key).__name__}")
