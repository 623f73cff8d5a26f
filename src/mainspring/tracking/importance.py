"""How much parameters matter for a metric, over runs that have it.

A random forest learns the metric from the parameters; a parameter matters as much as the forest's error on runs that it
has not seen grows when that parameter's values are shuffled among them (Breiman, "Random Forests", 2001). Spearman's
rank correlation stands beside it: it says which way, and holds without a model.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Literal

import msgspec

from mainspring.kernel.errors import InvalidInput, MissingDependency

if TYPE_CHECKING:
    import numpy as np

__all__ = ["LEAST_RUNS", "ParamImportance", "rate_params"]

LEAST_RUNS = 12
"""Fewer runs than this say nothing about parameters."""

_FOLDS = 4
_REPEATS = 5
_MOST_RUNS = 5_000
_TREES = 120
_MOST_PARAMS = 500


class ParamImportance(msgspec.Struct, frozen=True):
    """How much one parameter matters."""

    name: str
    importance: float
    """Its part of all importance, from 0 to 1; the parts sum to 1, unless no parameter matters."""
    spread: float
    """The standard deviation of that part over the folds."""
    correlation: float | None
    """Spearman's rank correlation with the metric; null for a parameter of texts."""
    kind: Literal["number", "category"]
    runs: int
    """How many of the runs have it."""
    explained: float
    """The part of the metric's variance that the forest explains on unseen runs; the same in every row. Where it is
    near 0 or below, the parameters explain nothing and the parts mean nothing."""


def rate_params(targets: Sequence[float], params: dict[str, list[Any]]) -> list[ParamImportance]:
    """Rate parameters, the most important first.

    Args:
        targets: The metric of each run, finite.
        params: The values of each parameter by run, None where a run has none; those that never change are left out.

    Raises:
        InvalidInput: there are fewer than `LEAST_RUNS` runs, or the metric is the same in all of them.
        MissingDependency: scikit-learn is not installed.
    """
    if len(targets) < LEAST_RUNS:
        raise InvalidInput(
            f"{len(targets)} runs have this metric; what parameters matter cannot be told from fewer than {LEAST_RUNS}",
            details={"runs": len(targets), "least": LEAST_RUNS},
        )
    if min(targets) == max(targets):
        raise InvalidInput("the metric is the same in all of the runs, so that no parameter can matter")
    changing = {name: values for name, values in params.items() if len({_identity(each) for each in values}) > 1}
    if not changing:
        return []
    if len(changing) > _MOST_PARAMS:
        raise InvalidInput(
            f"{len(changing)} parameters change; at most {_MOST_PARAMS} can be rated", hint="narrow the query"
        )
    try:
        import numpy as np
        import sklearn  # noqa: F401 -- the forest is imported where it grows
    except ImportError as error:
        raise MissingDependency("scikit-learn", extra="serve") from error
    chosen = np.random.default_rng(0).permutation(len(targets))[:_MOST_RUNS]
    target = np.asarray(targets, dtype=float)[chosen]
    columns = {name: _column([values[place] for place in chosen]) for name, values in changing.items()}
    table = np.column_stack([numbers for numbers, _ in columns.values()])
    losses, explained = _permuted(table, target)
    parts = np.clip(losses, 0, None)
    total = parts.mean(axis=0).sum()
    rated = []
    for place, (name, (numbers, kind)) in enumerate(columns.items()):
        present = np.asarray([values is not None for values in (changing[name][run] for run in chosen)])
        part = parts[:, place] / total if total > 0 else parts[:, place] * 0
        correlation = _spearman(numbers[present], target[present]) if kind == "number" else None
        rated.append(
            ParamImportance(
                name, float(part.mean()), float(part.std()), correlation, kind, int(present.sum()), explained
            )
        )
    return sorted(rated, key=lambda each: (-each.importance, each.name))


def _permuted(table: np.ndarray[Any, Any], target: np.ndarray[Any, Any]) -> tuple[np.ndarray[Any, Any], float]:
    """By fold and column, how much the squared error on unseen runs grows; and the part of variance explained."""
    import numpy as np
    from sklearn.ensemble import RandomForestRegressor

    draw = np.random.default_rng(1)
    fold = draw.permutation(len(target)) % _FOLDS
    losses = np.zeros((_FOLDS, table.shape[1]))
    error = 0.0
    scale = (target - target.mean()).std()
    target = (target - target.mean()) / (scale if math.isfinite(scale) and scale > 0 else 1.0)
    for number in range(_FOLDS):
        unseen = fold == number
        forest = RandomForestRegressor(_TREES, min_samples_leaf=2, max_features=0.5, random_state=number, n_jobs=1)
        forest.fit(table[~unseen], target[~unseen])
        rows = table[unseen]
        base = ((forest.predict(rows) - target[unseen]) ** 2).sum()
        error += base
        for column in range(table.shape[1]):
            for _ in range(_REPEATS):
                shuffled = rows.copy()
                shuffled[:, column] = draw.permutation(shuffled[:, column])
                losses[number, column] += ((forest.predict(shuffled) - target[unseen]) ** 2).sum() - base
    return losses / _REPEATS, float(1.0 - error / max(((target - target.mean()) ** 2).sum(), 1e-300))


def _column(values: Sequence[Any]) -> tuple[np.ndarray[Any, Any], Literal["number", "category"]]:
    """A parameter as numbers: itself, or the place of each text by how often it comes. Nothing is below all else."""
    import numpy as np

    numbers = [_number(value) for value in values]
    if all(number is not None or value is None for number, value in zip(numbers, values, strict=True)):
        known = [number for number in numbers if number is not None]
        low = min(known) - (max(known) - min(known) or 1.0)
        low = low if math.isfinite(low) else -1.7e308
        return np.asarray([low if number is None else number for number in numbers]), "number"
    counts: dict[str, int] = {}
    for value in values:
        counts[_identity(value)] = counts.get(_identity(value), 0) + 1
    order = {name: place for place, name in enumerate(sorted(counts, key=lambda name: (-counts[name], name)))}
    return np.asarray([float(order[_identity(value)]) for value in values]), "category"


def _number(value: Any) -> float | None:
    """What reads as a finite number: texts too, since other clients send nothing else."""
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    try:
        number = float(value)
    except (ValueError, OverflowError):
        return None
    return max(-1e150, min(1e150, number)) if math.isfinite(number) else None


def _identity(value: Any) -> str:
    number = _number(value)
    return f"{type(value).__name__}:{value!r}" if number is None else repr(number)


def _spearman(left: np.ndarray[Any, Any], right: np.ndarray[Any, Any]) -> float | None:
    import numpy as np

    if len(left) < 3:
        return None
    ranks = [_ranks(left), _ranks(right)]
    if any(each.std() == 0 for each in ranks):
        return None
    return float(np.corrcoef(ranks[0], ranks[1])[0, 1])


def _ranks(values: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """Ranks from 0; equal values share the mean of theirs."""
    import numpy as np

    _, inverse, counts = np.unique(values, return_inverse=True, return_counts=True)
    last = np.cumsum(counts)
    return (last - (counts + 1) / 2.0)[inverse]
