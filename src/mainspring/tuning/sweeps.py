"""W&B sweep files, read as they are: what is searched, how, and the program that is run for each trial.

mainspring tune run sweep.yaml --count 50
"""

from __future__ import annotations

import os
import random
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

import msgspec

from mainspring.kernel.errors import InvalidInput, NotFound, nearest
from mainspring.kernel.hashing import digest_value
from mainspring.tuning.samplers import import_optuna, make_sampler
from mainspring.tuning.sweeps_distributions import Parameter, parameter_of
from mainspring.tuning.types import Dimension, Tuned, marked, plain

__all__ = ["Sweep", "read_sweep", "run_sweep", "sweep_sampler"]

_METHODS = ("bayes", "grid", "random")
_STARTUP = 10
_MOST_STEPS = 1_000_000
_SEARCHED = ("program", "name", "method", "metric", "parameters", "early_terminate", "command", "run_cap")
_PASSED_OVER = ("description", "entity", "project", "controller", "imageuri", "job", "resource")
_KNOWN = frozenset((*_SEARCHED, *_PASSED_OVER))
_COMMAND = ("${env}", "${interpreter}", "${program}", "${args}")


class Sweep(msgspec.Struct, frozen=True):
    """A sweep file."""

    name: str
    method: Literal["bayes", "grid", "random"]
    metric: str
    direction: Literal["minimize", "maximize"]
    parameters: dict[str, Parameter]
    """What is searched; the names of nested ones have dots."""
    constants: dict[str, Any]
    """What has one value."""
    target: float | None = None
    program: str = ""
    command: tuple[str, ...] = _COMMAND
    early_terminate: dict[str, Any] = {}
    run_cap: int = 0

    @property
    def space(self) -> dict[str, Dimension]:
        """What a sampler knows of it."""
        return {name: each.dimension for name, each in self.parameters.items()}

    @property
    def pruner(self) -> tuple[str, dict[str, Any]]:
        """The pruner that stops early as the file says, with its options.

        W&B's hyperband looks at every run at the same steps, and lets the best 1/eta go on: successive halving.
        """
        early = self.early_terminate
        if not early:
            return "none", {}
        if "min_iter" not in early and "max_iter" not in early:
            raise InvalidInput("early_terminate needs min_iter, or max_iter and s")
        whole = {"eta": 3, "s": 1, **early}
        for name, least in (("eta", 2), ("s", 0), ("min_iter", 1), ("max_iter", 1)):
            if name in whole and (type(whole[name]) is not int or not least <= whole[name] <= _MOST_STEPS):
                raise InvalidInput(f"early_terminate: {name}: {whole[name]!r} is no whole number from {least}")
        first = whole.get("min_iter") or max(1, whole["max_iter"] // whole["eta"] ** whole["s"])
        return "asha", {"min_resource": first, "reduction_factor": whole["eta"]}


def read_sweep(source: str | os.PathLike[str] | Mapping[str, Any]) -> Sweep:
    """Read a sweep file, or what such a file says as a mapping.

    Raises:
        NotFound: There is no such file.
        InvalidInput: It is no sweep file, or asks for what there is not.

    Example:
        >>> found = read_sweep({"method": "random", "parameters": {"depth": {"values": [2, 4]}}})
        >>> found.space, found.direction
        ({'depth': Choice(values=(2, 4))}, 'minimize')
    """
    given = source if isinstance(source, Mapping) else _loaded(Path(source))
    if unknown := sorted(set(map(str, given)) - _KNOWN):
        raise InvalidInput(f"a sweep has no {unknown[0]!r}", known=nearest(unknown[0], _KNOWN))
    method = given.get("method")
    if method not in _METHODS:
        raise InvalidInput(f"method: {method!r}", known=list(_METHODS))
    metric = given.get("metric") or {}
    goal = str(metric.get("goal", "minimize")) if isinstance(metric, Mapping) else ""
    if goal not in ("minimize", "maximize") or not isinstance(metric.get("name", ""), str):
        raise InvalidInput("metric: a name, and the goal minimize or maximize")
    parameters: dict[str, Parameter] = {}
    constants: dict[str, Any] = {}
    _gather(given.get("parameters"), "", parameters, constants)
    if not parameters:
        raise InvalidInput("parameters: there is nothing to search")
    _check_names([*parameters, *constants])
    early = given.get("early_terminate") or {}
    if not isinstance(early, Mapping):
        raise InvalidInput(f"early_terminate: {early!r}", hint="early_terminate: {type: hyperband, min_iter: 3}")
    if early and early.get("type", "hyperband") != "hyperband":
        raise InvalidInput(f"early_terminate: type {early.get('type')!r}", known=["hyperband"])
    command = given.get("command") or _COMMAND
    if not isinstance(command, list | tuple):
        raise InvalidInput(f"command: {command!r} is no list", hint='["${interpreter}", "${program}", "${args}"]')
    cap = given.get("run_cap") or 0
    if not isinstance(cap, int) or cap < 0:
        raise InvalidInput(f"run_cap: {cap!r} is no number of runs")
    target = metric.get("target")
    if target is not None and (isinstance(target, bool) or not isinstance(target, int | float)):
        raise InvalidInput(f"metric: target: {target!r} is no number")
    sweep = Sweep(
        name=str(given.get("name") or given.get("program") or "sweep"),
        method=method,
        metric=metric.get("name", "") or "value",
        direction=goal,  # type: ignore[arg-type]  # one of both
        parameters=parameters,
        constants=constants,
        target=None if target is None else float(target),
        program=str(given.get("program") or ""),
        command=tuple(str(each) for each in command),
        early_terminate=dict(early),
        run_cap=cap,
    )
    _ = sweep.pruner
    return sweep


def run_sweep(
    client: Any,
    sweep: Sweep,
    *,
    count: int = 0,
    parallel: int = 1,
    key: str = "",
    name: str = "",
    seed: int = 0,
    folder: str | os.PathLike[str] = "",
    progress: bool | None = None,
) -> Tuned:
    """Run the program of a sweep for each trial, with its parameters.

    The metric is read from the run that the program logs into (`ms.run()` joins the trial's), or else from its output:
    the last line that is a JSON object with the metric in it. Values on the way are reports, for early termination.

    Args:
        client: Where it is recorded.
        sweep: What `read_sweep` gave.
        count: How many trials; the file's `run_cap` counts where it is less.
        parallel: How many at a time.
        key: Calls with the same key go on with the same study.
        name: Of the study; the file's otherwise.
        seed: Of all randomness in the search.
        folder: Where the program runs; here when left out.
        progress: Whether to show how far it is; on a terminal when left out.

    Raises:
        InvalidInput: There is no program, or no end.
        CheckFailed: Every trial failed.
    """
    from mainspring.tuning.search import tune
    from mainspring.tuning.sweeps_programs import program_of

    if not sweep.program and any("${program}" in each for each in sweep.command):
        raise InvalidInput("the sweep names no program", hint="program: train.py")
    caps = [each for each in (count, sweep.run_cap) if each]
    if not caps and sweep.method != "grid":
        raise InvalidInput("a sweep without an end", hint="--count 50, or run_cap in the file")
    pruner, options = sweep.pruner
    return tune(
        program_of(sweep, folder=folder, address=client.address),
        sweep.space,
        trials=min(caps) if caps else _points(sweep),
        direction=sweep.direction,
        metrics=[sweep.metric],
        target=sweep.target,
        sampler="grid" if sweep.method == "grid" else sweep_sampler(sweep, seed=seed),
        pruner=pruner,
        pruner_options=options,
        parallel=parallel,
        where="thread",
        seed=seed,
        name=name or _plain_name(sweep.name),
        key=key,
        progress=progress,
        client=client,
    )


def sweep_sampler(sweep: Sweep, *, seed: int = 0) -> Any:
    """A sampler that draws from the very distributions of a sweep; for `bayes` ten trials, then TPE goes on."""
    optuna = import_optuna()
    base = make_sampler("tpe", {"n_startup_trials": _STARTUP}, seed=seed) if sweep.method == "bayes" else None
    parameters = sweep.parameters

    class OfSweep(optuna.samplers.BaseSampler):  # type: ignore[misc, name-defined]  # Optuna is imported when it is used
        """See `sweep_sampler`."""

        label = f"sweep {sweep.method}"

        def infer_relative_search_space(self, study: Any, trial: Any) -> dict[str, Any]:
            del study, trial
            return {}

        def sample_relative(self, study: Any, trial: Any, search_space: Any) -> dict[str, Any]:
            del study, trial, search_space
            return {}

        def sample_independent(self, study: Any, trial: Any, param_name: str, param_distribution: Any) -> Any:
            if base is not None and trial.number >= _STARTUP:
                return base.sample_independent(study, trial, param_name, param_distribution)
            chance = random.Random(digest_value("sweep", [seed, trial.number, param_name]))  # noqa: S311 -- a search
            return plain(marked(parameters[param_name].draw(chance)))

        def after_trial(self, study: Any, trial: Any, state: Any, values: Any) -> None:
            if base is not None:
                base.after_trial(study, trial, state, values)

    return OfSweep()


def _loaded(path: Path) -> Mapping[str, Any]:
    import yaml

    try:
        found = yaml.safe_load(path.read_text("utf-8"))
    except FileNotFoundError:
        raise NotFound(f"there is no file {path}") from None
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise InvalidInput(f"{path} is no sweep file: {error}") from None
    if not isinstance(found, Mapping):
        raise InvalidInput(f"{path} is no sweep file")
    return found


def _gather(given: Any, prefix: str, parameters: dict[str, Parameter], constants: dict[str, Any]) -> None:
    if not isinstance(given, Mapping):
        raise InvalidInput(f"parameters{f' of {prefix[:-1]}' if prefix else ''}: a mapping of names")
    for key, each in given.items():
        name = f"{prefix}{key}"
        if not isinstance(each, Mapping):
            raise InvalidInput(f"parameter {name}: {each!r}", hint=f"{name}: {{value: {each!r}}}")
        if "parameters" in each:
            _gather(each["parameters"], f"{name}.", parameters, constants)
            continue
        if name in parameters or name in constants:
            raise InvalidInput(f"parameter {name} is there twice")
        found = parameter_of(name, each)
        if isinstance(found, Parameter):
            parameters[name] = found
        else:
            constants[name] = found


def _check_names(names: list[str]) -> None:
    """Refuse a parameter that is a value and has parameters of its own: both cannot be in one mapping."""
    for name in names:
        outer, dot, _ = name.rpartition(".")
        while dot:
            if outer in names:
                raise InvalidInput(f"parameter {outer} has a value, and {name} is inside of it")
            outer, dot, _ = outer.rpartition(".")


def _points(sweep: Sweep) -> int:
    from mainspring.tuning.spaces import grid_of

    size = 1
    for each in grid_of(sweep.space).values():
        size *= len(each)
    return size


def _plain_name(name: str) -> str:
    kept = "".join(each if each.isalnum() or each in "-_." else "-" for each in Path(name).name.removesuffix(".py"))
    return kept.strip("-.") or "sweep"
