"""`tune`: search for the best parameters with Optuna, every trial a run of the lineage, and nothing lost when killed.

Optuna samples and prunes on the store's own record. A study that is taken up again goes on from there: trials that
ended are never repeated, those whose process died are tried again under their numbers. The chance in a trial depends
on the study's seed and the trial's number alone, so a search that was interrupted makes the trials that it would have.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal, NamedTuple

from mainspring.kernel.errors import CheckFailed, InvalidInput, nearest
from mainspring.kernel.hashing import digest_value
from mainspring.kernel.hooks import load
from mainspring.pipelines.context import current_client, current_step
from mainspring.tuning.asking import OpenStudy, open_study
from mainspring.tuning.budgets import Budget
from mainspring.tuning.driving import Driver, FlowCalls, Plan, calls_of_flow
from mainspring.tuning.fronts import best_of, front_of
from mainspring.tuning.spaces import Space, flat
from mainspring.tuning.trying import Pruned, TrialHandle, form_of
from mainspring.tuning.types import Direction, Tuned
from mainspring.tuning.warm_start import enqueue_points, warm_up

__all__ = ["Pruned", "TrialHandle", "tune"]

_DEFAULT_CLIENT = "mainspring.client.default:default_client"
ENGINES = ("inline", "process", "ray", "thread")

Objective = Callable[..., Any]


def tune(
    objective: Objective,
    space: Space | None = None,
    *,
    trials: int = 0,
    direction: Direction | Sequence[Direction] = "minimize",
    sampler: Any = "tpe",
    sampler_options: Mapping[str, Any] | None = None,
    pruner: Any = "none",
    pruner_options: Mapping[str, Any] | None = None,
    method: Literal["", "population"] = "",
    method_options: Mapping[str, Any] | None = None,
    fixed: Mapping[str, Any] | None = None,
    enqueue: Sequence[Mapping[str, Any]] = (),
    warm_start: str | Sequence[str] = (),
    warm: Literal["best", "all"] = "best",
    metrics: Sequence[str] = (),
    timeout: float = 0.0,
    max_cost: float = 0.0,
    patience: int = 0,
    target: float | None = None,
    parallel: int = 1,
    where: str = "",
    retries: int = 0,
    catch: type[Exception] | tuple[type[Exception], ...] = Exception,
    seed: int = 0,
    name: str = "",
    key: str = "",
    progress: bool | None = None,
    client: Any = None,
) -> Tuned:
    """Search for the parameters with the best value of `objective`.

    Args:
        objective: One of `objective(params)`, `objective(params, trial)`, `objective(depth, rate)` with the names of
            the space, `objective(depth, rate, trial)`, or `objective(trial)` without a space, which asks
            `trial.suggest_float(...)` as in Optuna. It returns its value, one for each direction, or a mapping with
            those of `metrics`. An error of its own fails the trial, not the study.
        space: The parameters: `{"depth": Int(2, 8), "rate": Float(1e-3, 0.3, log=True), "kind": Choice(("a", "b"))}`,
            `Branches` for those that depend on a choice.
        trials: How many trials the study has in the end, those of an earlier, interrupted call included. Several
            searches with one key share them; each may begin one too many.
        direction: `minimize` or `maximize`, one for each objective.
        sampler: `tpe`, `random`, `grid`, `gp`, `cmaes`, `nsgaii`, `nsgaiii`, `qmc`, `bruteforce`, `partialfixed`, or a
            sampler of Optuna's.
        sampler_options: What Optuna's class takes: `{"multivariate": True}`.
        pruner: `none`, `median`, `percentile`, `hyperband`, `asha`, `patient`, `threshold`, `wilcoxon`, or a pruner of
            Optuna's.
        pruner_options: What Optuna's class takes.
        method: `population` for population-based training; see `mainspring.tuning.population`.
        method_options: Of the method.
        fixed: Parameters that are not searched, with their values.
        enqueue: Parameters that a new study tries first; what they leave out is sampled.
        warm_start: Studies that were made before, by name or id.
        warm: What is taken from them: `best` enqueues their best parameters, `all` adds their finished trials, as far
            as they lie in this space. These are not counted by `trials`.
        metrics: What the objectives are called.
        timeout: Seconds after which no trial begins.
        max_cost: No trial begins when what trials `trial.spend(...)` sums up to it.
        patience: It stops after so many trials without a better value.
        target: It stops when a value is this good.
        parallel: How many trials at a time.
        where: `inline`, `thread`, `process` or `ray`; threads for more than one at a time when left out. In the body of
            a flow a step as objective is called as one, wherever steps run.
        retries: How often a trial that failed is tried anew, with the same parameters.
        catch: Errors that fail their trial; any other ends the search and is raised.
        seed: Of all randomness in the search.
        name: The study's name; that of the objective by default.
        key: Calls with the same key go on with the same study. Inside a step of a flow it is made from the place of the
            step, so that a step that lost its process goes on with its study.
        progress: Whether to show how far it is; on a terminal when left out.
        client: Where it is recorded; by default the store of the step that runs, or the one found upward from here.

    Raises:
        InvalidInput: A space, sampler, pruner or budget that cannot be.
        CheckFailed: Every trial failed.
        MissingDependency: Optuna, or what the sampler needs, is not installed.

    Example:
        >>> import tempfile
        >>> from mainspring.client.client import connect
        >>> from mainspring.tuning import Float, tune
        >>> with connect(tempfile.mkdtemp()) as client:
        ...     found = tune(lambda x: (x - 2) ** 2, {"x": Float(-10, 10)}, trials=40, name="bowl", client=client)
        >>> abs(found.params["x"] - 2) < 2
        True
    """
    budget = Budget(trials or (sys.maxsize if method else 0), timeout, max_cost, patience, target)
    directions: list[Direction] = [direction] if isinstance(direction, str) else list(direction)
    budget.check(len(directions))
    _check_method(method, begun=bool(enqueue or warm_start))
    _check(objective, space, where=where, parallel=parallel, retries=retries)
    home = _home(objective, client, name, key)
    sampling = (sampler, dict(sampler_options or {}), dict(fixed or {}))
    pruning = (pruner, dict(pruner_options or {}))
    study = _open(home, space, directions, sampling, pruning, metrics=metrics, seed=seed)
    if enqueue:
        enqueue_points(study, enqueue)
    added = warm_up(study, [warm_start] if isinstance(warm_start, str) else warm_start, how=warm)
    plan = Plan(
        objective=objective,
        form=form_of(objective, space),
        budget=Budget(trials + added if trials else 0, timeout, max_cost, patience, target),
        parallel=parallel,
        where=where or ("thread" if parallel > 1 else "inline"),
        retries=retries,
        catch=catch,
        keyed=bool(home.key),
        progress=progress,
        sampler=sampling,
        pruner=pruning,
        added=added,
    )
    options = dict(method_options or {})
    return outcome_of(study, _evolve(study, plan, options) if method else Driver(study, plan, home.flow).run())


def _evolve(study: OpenStudy, plan: Plan, options: dict[str, Any]) -> str:
    from mainspring.tuning.population import evolve

    return evolve(study, plan, options)


class _Home(NamedTuple):
    """Where a search is recorded, and as what."""

    client: Any
    name: str
    key: str
    parent_id: str
    flow: FlowCalls | None
    """The run of a flow whose step the objective is."""


def _home(objective: Objective, client: Any, name: str, key: str) -> _Home:
    step = current_step()
    flow = None if step else calls_of_flow(objective)
    if client is None:
        client = flow.client if flow else current_client() if step else load(_DEFAULT_CLIENT)()
    if step:
        name = name or f"{step.flow}/{step.name}"
        return _Home(client, name, key or digest_value("study", [step.idempotency_key, name]), step.step_id, None)
    name = name or _name_of(objective)
    if flow:
        return _Home(client, name, key or digest_value("study", [flow.run_id, name]), flow.run_id, flow)
    return _Home(client, name, key, "", None)


def _open(
    home: _Home,
    space: Space | None,
    directions: Sequence[Direction],
    sampling: tuple[Any, dict[str, Any], dict[str, Any]],
    pruning: tuple[Any, dict[str, Any]],
    *,
    metrics: Sequence[str],
    seed: int,
) -> OpenStudy:
    return open_study(
        home.client,
        home.name,
        space=space,
        direction=directions,
        sampler=sampling[0],
        sampler_options=sampling[1],
        pruner=pruning[0],
        pruner_options=pruning[1],
        fixed=sampling[2],
        metrics=metrics,
        seed=seed,
        key=home.key,
        parent_id=home.parent_id,
        sync=False,
    )


def outcome_of(study: OpenStudy, stopped: str) -> Tuned:
    """What came out; `CheckFailed` when nothing did."""
    recorded = study.trials()
    best = best_of(recorded, study.record.directions)
    if best is None:
        errors = [trial.error for trial in recorded if trial.error]
        broken = any(trial.state == "finished" for trial in recorded)
        raise CheckFailed(
            f"study {study.record.name}: none of {len(recorded)} trials has a value"
            + (" that breaks no constraint" if broken else ""),
            hint=f"the last error was: {errors[-1]}" if errors else "",
            details={"study": study.id},
        )
    record = study.client.tuning.get(study.id)
    return Tuned(record, best, recorded, front_of(recorded, record.directions), stopped)


def _check_method(method: str, *, begun: bool) -> None:
    if method not in ("", "population"):
        raise InvalidInput(f"there is no method {method!r}", known=["population"])
    if method and begun:
        raise InvalidInput(f"method={method!r} begins with its own parameters: no enqueue, no warm_start")


def _check(objective: Any, space: Space | None, *, where: str, parallel: int, retries: int) -> None:
    if not callable(objective):
        raise InvalidInput(f"an objective is a function, not {type(objective).__name__}")
    if space is not None and not space:
        raise InvalidInput("a search space has at least one parameter")
    if space:
        flat(space)
    if parallel < 1 or retries < 0:
        raise InvalidInput(f"parallel={parallel}, retries={retries}: too few")
    if where and where not in ENGINES:
        raise InvalidInput(f"trials cannot run in {where!r}", known=nearest(where, ENGINES))


def _name_of(objective: Any) -> str:
    name = str(getattr(objective, "name", "") or getattr(objective, "__name__", ""))
    return name.strip("<>") or "study"
