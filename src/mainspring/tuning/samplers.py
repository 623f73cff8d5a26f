"""Samplers and pruners by name, and a sampler whose chance in a trial depends on the seed and the trial's number alone.

So a study that was interrupted makes the trials that it would have made, in whichever process they are sampled.
"""

from __future__ import annotations

import functools
import json
import threading
from collections.abc import Callable, Mapping
from typing import Any

from mainspring.kernel.errors import InvalidInput, MissingDependency, nearest
from mainspring.kernel.hashing import digest_value
from mainspring.tuning.spaces import grid_of
from mainspring.tuning.types import Dimension

__all__ = ["PRUNERS", "SAMPLERS", "import_optuna", "label_of", "make_pruner", "make_sampler"]

SAMPLERS = {
    "bruteforce": "BruteForceSampler",
    "cmaes": "CmaEsSampler",
    "gp": "GPSampler",
    "grid": "GridSampler",
    "nsgaii": "NSGAIISampler",
    "nsgaiii": "NSGAIIISampler",
    "partialfixed": "PartialFixedSampler",
    "qmc": "QMCSampler",
    "random": "RandomSampler",
    "tpe": "TPESampler",
}
"""Each by its name, and what it is called in Optuna."""

PRUNERS = {
    "asha": "SuccessiveHalvingPruner",
    "halving": "SuccessiveHalvingPruner",
    "hyperband": "HyperbandPruner",
    "median": "MedianPruner",
    "none": "NopPruner",
    "patient": "PatientPruner",
    "percentile": "PercentilePruner",
    "threshold": "ThresholdPruner",
    "wilcoxon": "WilcoxonPruner",
}
"""Each by its name, and what it is called in Optuna; `asha` and `halving` are the same: Optuna's is asynchronous."""

_ONE_SEED = ("QMCSampler", "GridSampler")
"""Whose points are one sequence, drawn from one seed."""
_NEEDS = {"CmaEsSampler": "cmaes", "GPSampler": "torch"}


@functools.cache
def import_optuna() -> Any:
    """Optuna, silent."""
    try:
        import optuna
    except ImportError as error:
        raise MissingDependency("optuna", extra="tune") from error
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    return optuna


def label_of(kind: Any, options: Mapping[str, Any] | None) -> str:
    """What a sampler or pruner is recorded as: its name, with its options behind it.

    Example:
        >>> label_of("tpe", {"multivariate": True})
        'tpe {"multivariate": true}'
    """
    name = kind if isinstance(kind, str) else str(getattr(kind, "label", type(kind).__name__))
    return f"{name} {json.dumps(dict(options), sort_keys=True, default=str)}" if options else name


def make_sampler(
    kind: Any,
    options: Mapping[str, Any] | None = None,
    *,
    seed: int = 0,
    space: Mapping[str, Dimension] | None = None,
    fixed: Mapping[str, Any] | None = None,
) -> Any:
    """A sampler of Optuna's.

    Args:
        kind: Its name, or one that was made already, which is taken as it is.
        options: What Optuna's class takes.
        seed: Of the study.
        space: What is searched, for the samplers that must know it.
        fixed: Values of parameters that are not sampled; the others are, by this sampler.

    Raises:
        InvalidInput: There is no such sampler, or it does not take these options.
        MissingDependency: It needs a package that is not installed.
    """
    optuna = import_optuna()
    options = dict(options or {})
    if isinstance(kind, optuna.samplers.BaseSampler):
        if options:
            raise InvalidInput("a sampler that was made already takes no options")
        made = kind
    else:
        if kind == "partialfixed":
            fixed = {**options.pop("fixed", {}), **(fixed or {})}
            kind = options.pop("base", "tpe")
            if not fixed:
                raise InvalidInput("sampler partialfixed: nothing is fixed", hint='{"fixed": {"depth": 3}}')
        if kind not in SAMPLERS:
            raise InvalidInput(f"there is no sampler {kind!r}", known=nearest(str(kind), SAMPLERS))
        name = SAMPLERS[kind]
        if kind == "grid" and "search_space" not in options:
            if not space:
                raise InvalidInput("a grid has a declared space, without branches")
            options["search_space"] = grid_of(space)
        if kind == "qmc":
            options.setdefault("warn_independent_sampling", False)
        if kind == "cmaes":
            options.setdefault("warn_independent_sampling", False)
        made = _seeded(optuna, name, options, seed)
    if fixed:
        return _made(optuna.samplers.PartialFixedSampler, "fixed", {"fixed_params": dict(fixed), "base_sampler": made})
    return made


def make_pruner(kind: Any, options: Mapping[str, Any] | None = None) -> Any:
    """A pruner of Optuna's, by its name or as it is given; `patient` has the name of another one as `wrapped`."""
    optuna = import_optuna()
    if isinstance(kind, optuna.pruners.BasePruner):
        if options:
            raise InvalidInput("a pruner that was made already takes no options")
        return kind
    if kind not in PRUNERS:
        raise InvalidInput(f"there is no pruner {kind!r}", known=nearest(str(kind), PRUNERS))
    options = dict(options or {})
    if kind == "patient":
        wrapped = options.pop("wrapped", "median")
        options.setdefault("patience", 3)
        options["wrapped_pruner"] = make_pruner(wrapped) if wrapped else None
    if kind == "percentile":
        options.setdefault("percentile", 25.0)
    return _made(getattr(optuna.pruners, PRUNERS[kind]), kind, options)


def _seeded(optuna: Any, name: str, options: dict[str, Any], seed: int) -> Any:
    kind = getattr(optuna.samplers, name)
    if name in _NEEDS:
        import importlib.util

        if importlib.util.find_spec(_NEEDS[name]) is None:
            raise MissingDependency(_NEEDS[name], extra="tune-samplers")
    if name in _ONE_SEED:
        return _made(kind, name, {"seed": seed, **options})
    import warnings

    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        _made_loud(kind, name, {"seed": seed, **options})  # wrong options are refused now, not in the first trial
    # Filters of warnings are the whole process's: trials in threads leave them alone where nothing is said.
    return _by_number(optuna, kind, name, options, seed, make=_made if said else _made_loud)


def _by_number(
    optuna: Any, kind: Any, name: str, options: dict[str, Any], seed: int, *, make: Callable[..., Any]
) -> Any:
    class ByNumber(optuna.samplers.BaseSampler):  # type: ignore[misc]  # Optuna is imported when it is used
        """One sampler for each trial, seeded with the trial's number."""

        def __init__(self) -> None:
            self._made: dict[int, Any] = {}
            self._lock = threading.Lock()

        def __str__(self) -> str:
            return name

        def _of(self, trial: Any) -> Any:
            with self._lock:
                found = self._made.get(trial.number)
                if found is None:
                    of_trial = int(digest_value("trial-seed", [seed, trial.number])[:8], 16)
                    found = self._made[trial.number] = make(kind, name, {"seed": of_trial, **options})
            return found

        def infer_relative_search_space(self, study: Any, trial: Any) -> Any:
            return self._of(trial).infer_relative_search_space(study, trial)

        def sample_relative(self, study: Any, trial: Any, search_space: Any) -> Any:
            return self._of(trial).sample_relative(study, trial, search_space)

        def sample_independent(self, study: Any, trial: Any, param_name: str, param_distribution: Any) -> Any:
            return self._of(trial).sample_independent(study, trial, param_name, param_distribution)

        def before_trial(self, study: Any, trial: Any) -> None:
            self._of(trial).before_trial(study, trial)

        def after_trial(self, study: Any, trial: Any, state: Any, values: Any) -> None:
            self._of(trial).after_trial(study, trial, state, values)
            with self._lock:
                self._made.pop(trial.number, None)

    return ByNumber()


def _made(kind: Any, name: str, options: Mapping[str, Any]) -> Any:
    import warnings

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Optuna calls half of its samplers experimental, each time
        return _made_loud(kind, name, options)


def _made_loud(kind: Any, name: str, options: Mapping[str, Any]) -> Any:
    try:
        return kind(**options)
    except (TypeError, ValueError) as error:
        raise InvalidInput(f"{name} does not take {', '.join(sorted(options)) or 'nothing'}: {error}") from None
