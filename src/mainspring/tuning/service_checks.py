"""What studies and trials must be like to be recorded."""

from __future__ import annotations

import math
import sys
from collections.abc import Sequence

from mainspring.kernel.errors import InvalidInput
from mainspring.kernel.names import check_name
from mainspring.tuning.types import Choice, Dimension, Direction, Float, Int, NewTrial, Real, Trial, TrialChange

__all__ = [
    "check_change",
    "check_directions",
    "check_new",
    "check_recorded",
    "check_space",
    "check_texts",
    "check_values",
]

_OBJECTIVES = 100
_LONGEST_TEXT = 500
_LARGEST_INT = 2**63 - 1


def check_directions(directions: Sequence[Direction]) -> None:
    """At least one objective, and not absurdly many."""
    if not 1 <= len(directions) <= _OBJECTIVES:
        raise InvalidInput(f"{len(directions)} directions: a study has one for each objective, 1 to {_OBJECTIVES}")


def check_space(space: dict[str, Dimension]) -> None:
    """Every dimension can be sampled."""
    for name, each in space.items():
        check_name(name, what="parameter")
        if isinstance(each, Choice):
            if not each.values:
                raise InvalidInput(f"parameter {name}: there is nothing to choose from")
        elif not -_largest(each) <= each.low <= each.high <= _largest(each):
            raise InvalidInput(f"parameter {name}: from {each.low} to {each.high} is no range")
        elif each.log and each.low <= 0:
            raise InvalidInput(f"parameter {name}: a logarithmic range begins above 0, not at {each.low}")
        elif each.step is not None and (not 0 < each.step <= _largest(each) or (each.log and each.step != 1)):
            raise InvalidInput(f"parameter {name}: step {each.step} does not go with this range")


def _largest(dimension: Int | Float) -> float:
    return _LARGEST_INT if isinstance(dimension, Int) else sys.float_info.max


def check_texts(**texts: str) -> None:
    """Texts that rows and indexes hold are of a length that these can have."""
    for name, text in texts.items():
        if len(text) > _LONGEST_TEXT:
            raise InvalidInput(f"{name} has {len(text)} characters; at most {_LONGEST_TEXT}")


def check_values(directions: Sequence[Direction], values: Sequence[Real], *, what: str) -> None:
    """As many values as there are objectives, and each of them comparable."""
    if len(values) != len(directions):
        raise InvalidInput(f"{what} is finished with {len(values)} values, and the study has {len(directions)}")
    if any(each == "NaN" or (isinstance(each, float) and each != each) for each in values):  # noqa: PLR0124 -- NaN
        raise InvalidInput(f"{what} is finished with a value that is not a number", hint="tell it as failed")


def check_new(directions: Sequence[Direction], trial: NewTrial) -> None:
    """A trial that begins is given values exactly where it is finished."""
    check_texts(worker=trial.worker)
    if trial.state == "finished":
        check_values(directions, trial.values, what="a trial")
    _check_spelled("a trial", trial)


def check_change(directions: Sequence[Direction], change: TrialChange) -> None:
    """A trial is finished with its values, and never made to wait again."""
    what = f"trial {change.number}"
    if change.state == "waiting":
        raise InvalidInput(f"{what} cannot be made to wait", hint="begin another trial that waits")
    if change.state == "finished":
        check_values(directions, change.values or (), what=what)
    _check_spelled(what, change)


def check_recorded(study_id: str, directions: Sequence[Direction], space: dict[str, Dimension], trial: Trial) -> None:
    """A trial that was made elsewhere is one of this study."""
    what = f"trial {trial.number}"
    check_texts(id=trial.id, worker=trial.worker)
    if trial.study_id != study_id:
        raise InvalidInput(f"{what} belongs to another study than {study_id}")
    if space and (unknown := sorted(set(trial.params) - set(space))):
        raise InvalidInput(f"{what} has parameters that the space does not: {', '.join(unknown)}")
    if trial.state == "finished":
        check_values(directions, trial.values, what=what)
    _check_spelled(what, trial)


def _check_spelled(what: str, trial: Trial | NewTrial | TrialChange) -> None:
    numbers = [*(trial.values or ()), *trial.reports.values()]
    if any(isinstance(each, float) and not math.isfinite(each) for each in numbers):
        raise InvalidInput(
            f"{what} has a value that is not finite", hint='spell it "Infinity", "-Infinity" or "NaN": `real(value)`'
        )
