"""Does a model treat groups alike? Metrics by group and their disparities, with fairlearn's definitions and names.

Groups of several sensitive features are their combinations. A group with few rows says little and moves the greatest
difference a lot; such groups are shown and left out of the disparities. All intervals come from the same draws of rows.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal

import msgspec

from mainspring.kernel.errors import InvalidInput, nearest
from mainspring.quality.evaluation.arrays import (
    codes_of,
    labels_of,
    numpy,
    probabilities_of,
    same_length,
    weights_of,
)
from mainspring.quality.evaluation.bootstrap import Measure, Resampling, Units, bootstrap_all
from mainspring.quality.evaluation.types import Estimate

if TYPE_CHECKING:
    from mainspring.quality.evaluation.arrays import Floats

__all__ = ["RATES", "Fairness", "GroupMetrics", "evaluate_fairness", "groups_of"]

RATES: dict[str, Callable[[Any], Any]] = {
    "selection_rate": lambda c: (c[0] + c[1]) / (c[0] + c[1] + c[2] + c[3]),
    "true_positive_rate": lambda c: c[0] / (c[0] + c[2]),
    "false_positive_rate": lambda c: c[1] / (c[1] + c[3]),
    "true_negative_rate": lambda c: c[3] / (c[1] + c[3]),
    "false_negative_rate": lambda c: c[2] / (c[0] + c[2]),
    "accuracy": lambda c: (c[0] + c[3]) / (c[0] + c[1] + c[2] + c[3]),
    "precision": lambda c: c[0] / (c[0] + c[1]),
    "base_rate": lambda c: (c[0] + c[2]) / (c[0] + c[1] + c[2] + c[3]),
}
"""Metrics of a confusion matrix: true positives, false positives, false negatives, true negatives."""

Compare = Literal["between_groups", "to_overall"]


class GroupMetrics(msgspec.Struct, frozen=True, kw_only=True):
    """The metrics of one group; `values` are those of the sensitive features."""

    values: tuple[str, ...]
    count: int
    metrics: dict[str, Estimate]
    small: bool = False
    """Whether it has too few rows to count in the disparities."""


class Fairness(msgspec.Struct, frozen=True, kw_only=True):
    """Metrics by group and how far they lie apart. `difference` and `ratio` are by metric, as in fairlearn."""

    features: tuple[str, ...]
    groups: tuple[GroupMetrics, ...]
    overall: dict[str, Estimate]
    difference: dict[str, Estimate]
    ratio: dict[str, Estimate]
    disparities: dict[str, Estimate]
    """`demographic_parity_difference`, `demographic_parity_ratio`, `equalized_odds_*`, `equal_opportunity_*`."""
    method: Compare = "between_groups"
    threshold: float = 0.5
    confidence: float = 0.95
    least: int = 0

    def __getitem__(self, name: str) -> Estimate:
        if name not in self.disparities:
            raise InvalidInput(f"{name!r} is not a disparity", known=nearest(name, self.disparities))
        return self.disparities[name]

    def group_min(self) -> dict[str, float | None]:
        """The least value of each metric over the groups that count."""
        return {name: min(values, default=None) for name, values in self._values().items()}

    def group_max(self) -> dict[str, float | None]:
        """The greatest value of each metric over the groups that count."""
        return {name: max(values, default=None) for name, values in self._values().items()}

    def _values(self) -> dict[str, list[float]]:
        counted = [each for each in self.groups if not each.small]
        return {
            name: [value for each in counted if (value := each.metrics[name].value) is not None]
            for name in self.overall
        }


def evaluate_fairness(
    labels: Any,
    scores: Any,
    sensitive: Mapping[str, Any] | Any,
    *,
    metrics: Sequence[str] = tuple(RATES),
    threshold: float = 0.5,
    weights: Any = None,
    method: Compare = "between_groups",
    agg: Literal["worst_case", "mean"] = "worst_case",
    least: int = 30,
    confidence: float = 0.95,
    replicates: int = 1000,
    seed: int = 0,
) -> Fairness:
    """Compare what a binary classifier does to groups.

    Args:
        labels: 0 and 1, one per row.
        scores: Probabilities, or decisions as 0 and 1.
        sensitive: The features that make the groups, arrays by name, or a polars frame; one array is called `group`.
        metrics: Of `RATES`; those that the disparities need are added.
        threshold: From which probability on a row is called positive.
        weights: How much each row counts.
        method: Whether groups are compared with each other or with all rows.
        agg: Whether equalized odds are the worse of both rates or their mean.
        least: Rows a group must have to count in the disparities; with 0 all values are fairlearn's.
        confidence: Of every interval.
        replicates: Of the bootstrap.
        seed: Of the bootstrap.

    Example:
        >>> found = evaluate_fairness([0, 1, 0, 1], [0, 1, 1, 1], ["a", "a", "b", "b"], least=0, replicates=100)
        >>> found["demographic_parity_difference"].value, found["equal_opportunity_difference"].value
        (0.5, 0.0)
    """
    np = numpy()
    truth, said = labels_of(labels), probabilities_of(scores)
    rows = same_length(labels=truth, scores=said)
    for name in metrics:
        if name not in RATES:
            raise InvalidInput(f"{name!r} is not a rate", known=nearest(name, RATES))
    if method not in {"between_groups", "to_overall"}:
        raise InvalidInput(f"{method!r} is not a method", known=["between_groups", "to_overall"])
    names = list(dict.fromkeys([*metrics, "selection_rate", "true_positive_rate", "false_positive_rate"]))
    features, codes, values = groups_of(sensitive, rows=rows)
    cell = codes * 4 + 2 * (said < threshold) + (truth == 0)
    size = len(values)
    weight = weights_of(weights, rows=rows)
    total = np.bincount(cell, np.ones(rows) if weight is None else weight, size * 4)
    count = np.bincount(cell, minlength=size * 4)
    sizes = count.reshape(size, 4).sum(axis=1)
    counted = np.flatnonzero(sizes >= max(least, 1))
    units = Units(total, count=count.astype(float))
    measures = _measures(names, size, counted, method, agg)
    with np.errstate(divide="ignore", invalid="ignore"):
        seen = {name: float(measure(units.weight)) for name, measure in measures.items()}
    known = {name: value if np.isfinite(value) else None for name, value in seen.items()}
    how = Resampling(confidence=confidence, replicates=replicates, seed=seed)
    found = bootstrap_all(measures, units, known, how, limits=dict.fromkeys(measures, (0.0, 1.0)))

    def under(prefix: str) -> dict[str, Estimate]:
        return {name.removeprefix(prefix): each for name, each in found.items() if name.startswith(prefix)}

    return Fairness(
        features=tuple(features),
        groups=tuple(
            GroupMetrics(
                values=values[at], count=int(sizes[at]), metrics=under(f"group {at} "), small=at not in set(counted)
            )
            for at in range(size)
        ),
        overall=under("overall "),
        difference=under("difference "),
        ratio=under("ratio "),
        disparities=under("disparity "),
        method=method,
        threshold=threshold,
        confidence=confidence,
        least=least,
    )


def groups_of(sensitive: Any, *, rows: int) -> tuple[list[str], Any, list[tuple[str, ...]]]:
    """The names of the features, the number of each row's group, and the values of each group that occurs."""
    np = numpy()
    if hasattr(sensitive, "get_columns"):
        sensitive = {column.name: column for column in sensitive.get_columns()}
    if not isinstance(sensitive, Mapping):
        sensitive = {getattr(sensitive, "name", "") or "group": sensitive}
    if not sensitive:
        raise InvalidInput("fairness needs a sensitive feature")
    parts = [codes_of(values, what=str(name), rows=rows) for name, values in sensitive.items()]
    whole = np.zeros(rows, dtype=np.int64)
    for codes, known in parts:
        whole = whole * len(known) + codes
    kept, dense = np.unique(whole, return_inverse=True)
    if kept.size > 1000:
        raise InvalidInput(f"the sensitive features make {kept.size} groups", hint="put numbers into classes")
    values = []
    for code in kept.tolist():
        rest, named = code, []
        for _, known in reversed(parts):
            rest, at = divmod(rest, len(known))
            named.append("missing" if known[at] is None else str(known[at]))
        values.append(tuple(reversed(named)))
    return [str(name) for name in sensitive], dense, values


def _measures(names: Sequence[str], size: int, counted: Any, method: Compare, agg: str) -> dict[str, Measure]:
    difference, ratio = _disparities(size, counted, method)
    found: dict[str, Measure] = {}
    for name in names:
        found[f"overall {name}"] = _overall(name, size)
        found[f"difference {name}"], found[f"ratio {name}"] = difference(name), ratio(name)
        for at in range(size):
            found[f"group {at} {name}"] = _group(name, size, at)
    np = numpy()
    return found | {
        "disparity demographic_parity_difference": difference("selection_rate"),
        "disparity demographic_parity_ratio": ratio("selection_rate"),
        "disparity equalized_odds_difference": _odds(difference, agg, np.maximum),
        "disparity equalized_odds_ratio": _odds(ratio, agg, np.minimum),
        "disparity equal_opportunity_difference": difference("true_positive_rate"),
        "disparity equal_opportunity_ratio": ratio("true_positive_rate"),
    }


def _cells(weights: Any, size: int) -> Any:
    """The four cells of every group: an array (4, ..., groups)."""
    return numpy().moveaxis(weights.reshape(*weights.shape[:-1], size, 4), -1, 0)


def _overall(name: str, size: int) -> Measure:
    return lambda weights: RATES[name](_cells(weights, size).sum(axis=-1))


def _group(name: str, size: int, at: int) -> Measure:
    return lambda weights: RATES[name](_cells(weights, size)[..., at])


def _odds(make: Callable[[str], Measure], agg: str, worst: Callable[[Any, Any], Any]) -> Measure:
    first, second = make("true_positive_rate"), make("false_positive_rate")
    if agg == "mean":
        return lambda weights: (first(weights) + second(weights)) / 2
    return lambda weights: worst(first(weights), second(weights))


def _disparities(size: int, counted: Any, method: Compare) -> tuple[Callable[[str], Measure], Callable[[str], Measure]]:
    """The greatest difference and the least ratio of a rate over the groups that count."""
    np = numpy()

    def difference(name: str) -> Measure:
        def measure(weights: Any) -> Any:
            values = RATES[name](_cells(weights, size))[..., counted]
            if method == "to_overall":
                return _most(np.abs(values - _overall(name, size)(weights)[..., None]))
            return _most(values) + _most(-values)

        return measure

    def ratio(name: str) -> Measure:
        def measure(weights: Any) -> Any:
            values = RATES[name](_cells(weights, size))[..., counted]
            if method == "to_overall":
                quotient = values / _overall(name, size)(weights)[..., None]
                return -_most(-np.minimum(quotient, 1 / quotient))
            return -_most(-values) / _most(values)

        return measure

    return difference, ratio


def _most(values: Floats) -> Any:
    """The greatest along the last axis, without groups that have no value; NaN when none has."""
    np = numpy()
    if not values.shape[-1]:
        return np.full(values.shape[:-1], np.nan)
    most = np.where(np.isnan(values), -np.inf, values).max(axis=-1)
    return np.where(np.isfinite(most), most, np.nan)
