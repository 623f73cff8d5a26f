"""`tune`: search for the best parameters with Optuna, every trial a run of the lineage, and nothing lost when killed.

Optuna samples and prunes in memory; the truth is in the store. A study that is taken up again is rebuilt from its
recorded trials. The randomness of a trial depends on the study's seed and the trial's number alone, so a study that was
interrupted makes the trials that it would have made.
"""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable, Mapping
from typing import Any

import msgspec

from mainspring.kernel.clock import now
from mainspring.kernel.errors import CheckFailed, InvalidInput, MissingDependency, nearest
from mainspring.kernel.hashing import digest_value
from mainspring.kernel.hooks import load
from mainspring.kernel.ids import new_id
from mainspring.pipelines.context import current_client, current_step
from mainspring.tuning.types import Choice, Dimension, Direction, Int, Real, Study, Trial, Tuned

__all__ = ["Pruned", "TrialHandle", "tune"]

SAMPLERS = ("random", "tpe")
PRUNERS = ("hyperband", "median", "none")

Objective = Callable[..., float]


class Pruned(Exception):
    """Raised out of an objective whose trial is not worth finishing."""


class TrialHandle:
    """What an objective that takes a second argument gets: its trial, for reports on the way."""

    def __init__(self, trial: Trial, asked: Any) -> None:
        self.id = trial.id
        """Its run in the lineage: give it to what records artifacts."""
        self.number = trial.number
        self.params = trial.params
        self.reports: dict[int, Real] = {}
        self._asked = asked

    def report(self, value: float, *, step: int) -> None:
        """Say how good it is after `step` steps; raises `Pruned` when others were so much better that it may stop."""
        if not math.isfinite(value):
            raise InvalidInput(f"trial {self.number}, step {step}: {value} cannot be compared")
        self._asked.report(value, step)
        self.reports[step] = float(value)
        if self._asked.should_prune():
            raise Pruned


def tune(
    objective: Objective,
    space: Mapping[str, Dimension],
    *,
    trials: int,
    direction: Direction = "minimize",
    sampler: str = "tpe",
    pruner: str = "none",
    seed: int = 0,
    name: str = "",
    key: str = "",
    client: Any = None,
) -> Tuned:
    """Search `space` for the parameters with the best value of `objective`.

    Args:
        objective: `objective(params) -> float`, or `objective(params, trial) -> float` to report on the way. An error
            of its own fails the trial, not the study.
        space: The parameters: `{"depth": Int(2, 8), "rate": Float(1e-3, 0.3, log=True), "kind": Choice(("a", "b"))}`.
        trials: How many trials the study has in the end, those of an earlier, interrupted call included.
        direction: `minimize` or `maximize`.
        sampler: `tpe` (Bergstra et al., "Algorithms for Hyper-Parameter Optimization", 2011) or `random`.
        pruner: `none`, `median` (stop what is worse than the median at the same step) or `hyperband`.
        seed: Of all randomness in the search.
        name: The study's name; that of the objective by default.
        key: Calls with the same key go on with the same study. Inside a step of a flow it is made from the place of the
            step, so that a step that lost its process goes on with its study.
        client: Where it is recorded; by default the store of the step that runs, or the one found upward from here.

    Raises:
        InvalidInput: A space, sampler or pruner that cannot be.
        CheckFailed: Every trial failed.
        MissingDependency: Optuna is not installed.

    Example:
        >>> import tempfile
        >>> from mainspring.client.client import connect
        >>> from mainspring.tuning import Float, tune
        >>> with connect(tempfile.mkdtemp()) as client:
        ...     found = tune(lambda p: (p["x"] - 2) ** 2, {"x": Float(-10, 10)}, trials=40, client=client)
        >>> abs(found.params["x"] - 2) < 2
        True
    """
    if trials < 1:
        raise InvalidInput(f"trials={trials}: a study has at least one trial")
    if not space:
        raise InvalidInput("a search space has at least one parameter")
    for what, value, known in (("sampler", sampler, SAMPLERS), ("pruner", pruner, PRUNERS)):
        if value not in known:
            raise InvalidInput(f"there is no {what} {value!r}", known=nearest(value, known))
    step = current_step()
    client = client or (current_client() if step else load("mainspring.client.default:default_client")())
    name = name or (f"{step.flow}/{step.name}" if step else getattr(objective, "__name__", "").strip("<>") or "study")
    if step and not key:
        key = digest_value("study", [step.idempotency_key, name])
    study = client.tuning.create(
        name,
        space=dict(space),
        directions=[direction],
        sampler=sampler,
        pruner=pruner,
        seed=seed,
        key=key,
        parent_id=step.step_id if step else "",
    )
    _Search(client, study, objective).run(trials)
    return _outcome(client, study)


class _Search:
    """One call of `tune`: Optuna's study in memory, beside the record."""

    def __init__(self, client: Any, study: Study, objective: Objective) -> None:
        self._optuna = _import_optuna()
        self._client = client
        self._study = study
        self._objective = objective
        self._two = _takes_trial(objective)
        self._space = {name: self._distribution(each) for name, each in study.space.items()}
        self._memory = self._optuna.create_study(direction=study.direction, pruner=self._pruner())
        self._pending: list[Trial] = []

    def run(self, total: int) -> None:
        done = self._restore()
        for number in range(done, total):
            asked = self._ask(number)
            trial = Trial(
                id=new_id(),
                study_id=self._study.id,
                number=number,
                state="running",
                params=dict(asked.params),
                started_at=now(),
            )
            # The end of the last trial and the beginning of this one commit together.
            self._flush(trial)
            self._pending.append(self._try(trial, asked))
        self._flush()
        self._client.tuning.finish(self._study.id)

    def _restore(self) -> int:
        """Tell Optuna what is recorded; how many trials there are. A lost one is tried again under its number."""
        states = self._optuna.trial.TrialState
        recorded: list[Trial] = self._client.tuning.trials(self._study.id, limit=100_000)
        while recorded and recorded[-1].state == "running":
            lost = recorded.pop()
            self._client.tuning.discard(self._study.id, trial_id=lost.id)
        for trial in recorded:
            kind = {"finished": states.COMPLETE, "pruned": states.PRUNED}.get(trial.state, states.FAIL)
            self._memory.add_trial(
                self._optuna.trial.create_trial(
                    state=kind,
                    params=trial.params,
                    distributions=self._space,
                    value=trial.value if kind == states.COMPLETE else None,
                    intermediate_values={step: float(value) for step, value in trial.reports.items()},
                )
            )
        return len(recorded)

    def _ask(self, number: int) -> Any:
        seed = int(digest_value("trial-seed", [self._study.seed, number])[:8], 16)
        samplers = self._optuna.samplers
        kind = samplers.TPESampler if self._study.sampler == "tpe" else samplers.RandomSampler
        self._memory.sampler = kind(seed=seed)
        return self._memory.ask(self._space)

    def _try(self, trial: Trial, asked: Any) -> Trial:
        handle = TrialHandle(trial, asked)
        states = self._optuna.trial.TrialState
        value, error, state, told = None, "", "finished", states.COMPLETE
        try:
            value = float(
                self._objective(dict(trial.params), handle) if self._two else self._objective(dict(trial.params))
            )
            if not math.isfinite(value):
                value, error, state, told = None, f"the value is {value}", "failed", states.FAIL
        except (Pruned, self._optuna.TrialPruned):
            state, told = "pruned", states.PRUNED
        except Exception as raised:  # noqa: BLE001 -- the boundary of the trial: it failed, the study goes on
            error, state, told = f"{type(raised).__name__}: {raised}", "failed", states.FAIL
        self._memory.tell(asked, value if told == states.COMPLETE else None, state=told)
        return msgspec.structs.replace(
            trial,
            state=state,
            values=[] if value is None else [value],
            finished_at=now(),
            reports=handle.reports,
            error=error[:2000],
        )

    def _flush(self, *more: Trial) -> None:
        trials, self._pending = [*self._pending, *more], []
        if trials:
            self._client.tuning.record(self._study.id, trials=trials)

    def _distribution(self, dimension: Dimension) -> Any:
        kinds = self._optuna.distributions
        if isinstance(dimension, Choice):
            return kinds.CategoricalDistribution(dimension.values)
        kind = kinds.IntDistribution if isinstance(dimension, Int) else kinds.FloatDistribution
        return kind(dimension.low, dimension.high, log=dimension.log, step=dimension.step)

    def _pruner(self) -> Any:
        pruners = self._optuna.pruners
        kinds = {"none": pruners.NopPruner, "median": pruners.MedianPruner, "hyperband": pruners.HyperbandPruner}
        return kinds[self._study.pruner]()


def _outcome(client: Any, study: Study) -> Tuned:
    best = client.tuning.best(study.id)
    recorded = client.tuning.trials(study.id, limit=100_000)
    if best is None:
        errors = [trial.error for trial in recorded if trial.error]
        raise CheckFailed(
            f"study {study.name}: none of {len(recorded)} trials has a value",
            hint=f"the last error was: {errors[-1]}" if errors else "",
            details={"study": study.id},
        )
    return Tuned(study=client.tuning.get(study.id), best=best, trials=recorded)


def _takes_trial(objective: Objective) -> bool:
    try:
        parameters = inspect.signature(objective).parameters.values()
    except (TypeError, ValueError):
        return False
    places = [each for each in parameters if each.kind in (each.POSITIONAL_ONLY, each.POSITIONAL_OR_KEYWORD)]
    return len([each for each in places if each.default is each.empty]) >= 2


def _import_optuna() -> Any:
    try:
        import optuna
    except ImportError as error:
        raise MissingDependency("optuna", extra="tune") from error
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    return optuna
