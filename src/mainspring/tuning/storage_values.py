"""Optuna's trials, distributions and times as ours, and back, without loss."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)
from optuna.study._study_direction import StudyDirection
from optuna.trial import FrozenTrial, TrialState

from mainspring.kernel.errors import InvalidInput
from mainspring.tuning.types import (
    Choice,
    Dimension,
    Direction,
    Float,
    Int,
    NewTrial,
    Trial,
    marked,
    number,
    plain,
    real,
)

__all__ = [
    "STATES",
    "STATE_NAMES",
    "aware",
    "dimension_of",
    "directions_of",
    "distribution_of",
    "frozen",
    "kept_params",
    "naive",
    "new_trial",
    "study_directions",
]

STATES: dict[str, TrialState] = {
    "waiting": TrialState.WAITING,
    "running": TrialState.RUNNING,
    "finished": TrialState.COMPLETE,
    "pruned": TrialState.PRUNED,
    "failed": TrialState.FAIL,
}
STATE_NAMES: dict[TrialState, Any] = {state: name for name, state in STATES.items()}


def directions_of(directions: Any) -> list[Direction]:
    """Optuna's directions as ours."""
    return ["maximize" if each == StudyDirection.MAXIMIZE else "minimize" for each in directions]


def study_directions(directions: list[Direction]) -> list[StudyDirection]:
    """Our directions as Optuna's."""
    return [StudyDirection.MAXIMIZE if each == "maximize" else StudyDirection.MINIMIZE for each in directions]


def dimension_of(distribution: BaseDistribution) -> Dimension:
    """A distribution as it is kept."""
    if isinstance(distribution, FloatDistribution):
        return Float(distribution.low, distribution.high, log=distribution.log, step=distribution.step)
    if isinstance(distribution, IntDistribution):
        return Int(distribution.low, distribution.high, log=distribution.log, step=distribution.step)
    if isinstance(distribution, CategoricalDistribution):
        return Choice(tuple(marked(each) for each in distribution.choices))
    raise InvalidInput(f"a distribution {type(distribution).__name__} cannot be kept")


def distribution_of(dimension: Dimension) -> FloatDistribution | IntDistribution | CategoricalDistribution:
    """A distribution that was kept."""
    if isinstance(dimension, Choice):
        return CategoricalDistribution([plain(each) for each in dimension.values])
    if isinstance(dimension, Int):
        return IntDistribution(dimension.low, dimension.high, log=dimension.log, step=dimension.step)
    return FloatDistribution(dimension.low, dimension.high, log=dimension.log, step=dimension.step)


def kept_params(params: dict[str, Any]) -> dict[str, Any]:
    """Parameters as they are kept."""
    return {name: marked(value) for name, value in params.items()}


def naive(moment: datetime | None) -> datetime | None:
    """A moment as Optuna has it: local time without a zone."""
    return None if moment is None else moment.astimezone().replace(tzinfo=None)


def aware(moment: datetime | None) -> datetime | None:
    """A moment of Optuna's with its zone."""
    return None if moment is None else moment.astimezone(UTC)


def new_trial(template: FrozenTrial, *, worker: str) -> NewTrial:
    """A template of Optuna's as a trial that begins."""
    return NewTrial(
        state=STATE_NAMES[template.state],
        params=kept_params(template.params),
        distributions={name: dimension_of(each) for name, each in template.distributions.items()},
        values=[real(each) for each in template.values or ()],
        reports={step: real(value) for step, value in template.intermediate_values.items()},
        user_attrs=marked(template.user_attrs),
        system_attrs=marked(template.system_attrs),
        started_at=aware(template.datetime_start),
        finished_at=aware(template.datetime_complete),
        worker=worker if template.state == TrialState.RUNNING else "",
    )


def frozen(trial: Trial, trial_id: int, distributions: dict[str, BaseDistribution]) -> FrozenTrial:
    """A trial as Optuna has it; `distributions` are those of its parameters."""
    params = {name: plain(value) if isinstance(value, dict | list) else value for name, value in trial.params.items()}
    return FrozenTrial(
        number=trial.number,
        state=STATES[trial.state],
        value=None,
        values=[number(each) for each in trial.values] or None,
        datetime_start=naive(trial.started_at),
        datetime_complete=naive(trial.finished_at),
        params=params,
        distributions={name: each for name, each in distributions.items() if name in params},
        user_attrs=plain(trial.user_attrs),
        system_attrs=plain(trial.system_attrs),
        intermediate_values={step: number(value) for step, value in trial.reports.items()},
        trial_id=trial_id,
    )
