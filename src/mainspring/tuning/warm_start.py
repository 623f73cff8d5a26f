"""Beginning with what other studies found: their best parameters first, or all their trials as if they were ours."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, Literal

from mainspring.kernel.errors import InvalidInput
from mainspring.tuning.asking import OpenStudy, with_distributions
from mainspring.tuning.fronts import best_of
from mainspring.tuning.types import Choice, Dimension, Int, NewTrial, Trial, marked, plain

__all__ = ["enqueue_points", "fits", "warm_up"]

_BEST = 5
_FROM = "warm:trial"


def enqueue_points(study: OpenStudy, points: Sequence[Mapping[str, Any]]) -> None:
    """Have these parameters tried first, each once in the life of the study."""
    known = {each.system_attrs.get("enqueued") for each in study.trials()}
    for place, point in enumerate(points):
        if place not in known:
            study.enqueue(point, attrs={"enqueued": place})


def warm_up(study: OpenStudy, sources: Sequence[str], *, how: Literal["best", "all"]) -> int:
    """Take over from other studies what lies in the space of this one, once; how many trials were added that ended.

    Raises:
        InvalidInput: A study has other objectives, or nothing of its parameters is searched here.
        NotFound: There is no such study.
    """
    if how not in ("best", "all"):
        raise InvalidInput(f"warm={how!r}", known=["all", "best"])
    if not sources:
        return sum(1 for each in study.trials() if each.ended and _FROM in each.system_attrs)
    space = study.record.space
    if not space:
        raise InvalidInput("only a study with a declared space, without branches, begins with what others found")
    known = {each.system_attrs.get(_FROM) for each in study.trials()}
    for source in sources:
        other = study.client.tuning.get(source)
        if other.directions != study.record.directions:
            raise InvalidInput(f"study {other.unique_name} has the directions {', '.join(other.directions)}")
        finished = [each for each in _all(study, other.id) if each.state == "finished" and each.id != study.id]
        taken = _take(study, [with_distributions(each, other) for each in finished], known, how=how)
        if finished and not taken:
            raise InvalidInput(f"no trial of study {other.unique_name} lies in this space")
    return sum(1 for each in study.trials() if each.ended and _FROM in each.system_attrs)


def _take(study: OpenStudy, finished: list[Trial], known: set[Any], *, how: str) -> int:
    space, taken = study.record.space, 0
    if how == "all":
        for each in finished:
            if set(each.params) == set(space) and all(fits(space[name], plain(v)) for name, v in each.params.items()):
                taken += 1
                if each.id not in known:
                    study.client.tuning.begin(study.id, trial=_copy(each, space))
        return taken
    while finished and taken < _BEST:
        best = best_of(finished, study.record.directions) or finished[0]
        finished.remove(best)
        shared = {n: plain(v) for n, v in best.params.items() if n in space and fits(space[n], plain(v))}
        if shared:
            taken += 1
            if best.id not in known:
                study.enqueue(shared, attrs={_FROM: best.id})
    return taken


def _copy(trial: Trial, space: dict[str, Dimension]) -> NewTrial:
    return NewTrial(
        state="finished",
        params=trial.params,
        distributions=space,
        values=trial.values,
        reports=trial.reports,
        user_attrs=trial.user_attrs,
        system_attrs={_FROM: trial.id, **marked({k: v for k, v in trial.system_attrs.items() if "constraint" in k})},
        started_at=trial.started_at,
        finished_at=trial.finished_at,
    )


def fits(dimension: Dimension, value: Any) -> bool:
    """Whether a value could have been drawn from a dimension.

    Example:
        >>> fits(Int(1, 9, step=2), 4), fits(Choice(("a",)), "b")
        (False, False)
    """
    if isinstance(dimension, Choice):
        return any(type(each) is type(value) and each == value for each in map(plain, dimension.values))
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        return False
    if not dimension.low <= value <= dimension.high or (isinstance(dimension, Int) and value != int(value)):
        return False
    if dimension.step is None or dimension.log:
        return True
    steps = (value - dimension.low) / dimension.step
    return abs(steps - round(steps)) < 1e-8


def _all(study: OpenStudy, study_id: str) -> list[Trial]:
    found: list[Trial] = []
    page: list[Trial] | None = None
    while page is None or page:
        page = study.client.tuning.trials(study_id, after=len(found) - 1, limit=10_000)
        found += page
    return found
