"""Any metric by group, with fairlearn's interface: `overall`, `by_group`, `group_min`, `difference` and so on.

For metrics that are functions of labels and predictions, such as those of scikit-learn; the rates of binary decisions
and their disparities come with intervals from `evaluate_fairness`, many times faster.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from functools import cached_property
from typing import Any, Literal

from mainspring.kernel.errors import InvalidInput
from mainspring.quality.evaluation.arrays import numpy, weights_of
from mainspring.quality.evaluation.bootstrap import Resampling, bca_ends
from mainspring.quality.evaluation.fairness import groups_of
from mainspring.quality.evaluation.types import Estimate

__all__ = ["MetricFrame"]

Compare = Literal["between_groups", "to_overall"]


class MetricFrame:
    """Metrics of each group of rows.

    Args:
        metrics: Functions `(labels, predictions)` by name, or one function; they get `sample_weight=` with weights.
        y_true: The labels.
        y_pred: The predictions.
        sensitive_features: What makes the groups, arrays by name, or a polars frame, or one array.
        weights: How much each row counts.
        least: Rows a group must have to count in `group_min`, `group_max`, `difference` and `ratio`.

    Example:
        >>> def wrong(labels, predictions):
        ...     return float((labels != predictions).mean())
        >>> labels, called = [0, 1, 0, 1], [0, 1, 1, 1]
        >>> frame = MetricFrame(metrics=wrong, y_true=labels, y_pred=called, sensitive_features=list("aabb"))
        >>> frame.by_group, frame.difference()
        ({('a',): {'wrong': 0.0}, ('b',): {'wrong': 0.5}}, {'wrong': 0.5})
    """

    def __init__(
        self,
        *,
        metrics: Mapping[str, Callable[..., float]] | Callable[..., float],
        y_true: Any,
        y_pred: Any,
        sensitive_features: Any,
        weights: Any = None,
        least: int = 0,
    ) -> None:
        np = numpy()
        given = metrics if isinstance(metrics, Mapping) else {getattr(metrics, "__name__", "metric"): metrics}
        self.metrics: dict[str, Callable[..., float]] = dict(given)
        self._truth, self._said = np.asarray(y_true), np.asarray(y_pred)
        rows = self._truth.shape[0]
        if self._said.shape[0] != rows or not rows:
            raise InvalidInput(f"there are {rows} labels and {self._said.shape[0]} predictions")
        self._weights = weights_of(weights, rows=rows)
        self.features, self._codes, self._values = groups_of(sensitive_features, rows=rows)
        self.least = least

    @cached_property
    def overall(self) -> dict[str, float]:
        """The metrics on all rows."""
        return self._on(numpy().arange(self._truth.shape[0]))

    @cached_property
    def by_group(self) -> dict[tuple[str, ...], dict[str, float]]:
        """The metrics of each group."""
        np = numpy()
        order = np.argsort(self._codes, kind="stable")
        parts = np.split(order, np.flatnonzero(np.diff(self._codes[order])) + 1)
        return {values: self._on(rows) for values, rows in zip(self._values, parts, strict=True)}

    @cached_property
    def counts(self) -> dict[tuple[str, ...], int]:
        """How many rows each group has."""
        return dict(zip(self._values, numpy().bincount(self._codes).tolist(), strict=True))

    def group_min(self) -> dict[str, float]:
        """The least value of each metric over the groups."""
        return {name: min(values) for name, values in self._counted().items()}

    def group_max(self) -> dict[str, float]:
        """The greatest value of each metric over the groups."""
        return {name: max(values) for name, values in self._counted().items()}

    def difference(self, method: Compare = "between_groups") -> dict[str, float]:
        """The greatest difference between groups, or of a group from all rows."""
        if method == "between_groups":
            return {name: max(values) - min(values) for name, values in self._counted().items()}
        return {
            name: max(abs(value - self.overall[name]) for value in values) for name, values in self._counted().items()
        }

    def ratio(self, method: Compare = "between_groups") -> dict[str, float]:
        """The least ratio between groups, or of a group and all rows; at most 1. NaN where everything is 0."""
        if method == "between_groups":
            return {name: _over(min(values), max(values)) for name, values in self._counted().items()}
        return {
            name: min(min(_over(value, self.overall[name]), _over(self.overall[name], value)) for value in values)
            for name, values in self._counted().items()
        }

    def intervals(
        self,
        of: Literal["difference", "ratio", "by_group"] = "difference",
        *,
        method: Compare = "between_groups",
        confidence: float = 0.95,
        replicates: int = 200,
        seed: int = 0,
    ) -> dict[Any, Estimate]:
        """Percentile intervals of what is asked, by drawing rows; the metrics are computed anew on each draw."""
        np = numpy()
        how = Resampling(confidence=confidence, replicates=replicates, seed=seed, method="percentile")
        random, rows = np.random.default_rng(how.seed), self._truth.shape[0]
        drawn: dict[Any, list[float]] = {}
        for _ in range(how.replicates):
            some = np.sort(random.integers(0, rows, rows))
            names = {feature: [values[at] for values in self._values] for at, feature in enumerate(self.features)}
            part = MetricFrame(
                metrics=self.metrics, y_true=self._truth[some], y_pred=self._said[some], least=self.least,
                weights=None if self._weights is None else self._weights[some],
                sensitive_features={name: np.asarray(each)[self._codes[some]] for name, each in names.items()},
            )  # fmt: skip
            for key, value in part._flat(of, method).items():
                if math.isfinite(value):
                    drawn.setdefault(key, []).append(value)
        found = {}
        for key, value in self._flat(of, method).items():
            values = np.asarray(drawn.get(key, []))
            if values.size < 2 or not math.isfinite(value):
                found[key] = Estimate(value if math.isfinite(value) else None)
                continue
            low, high = bca_ends(values, value, confidence, acceleration=None)
            name = f"percentile bootstrap, {replicates} replicates"
            found[key] = Estimate(value, min(low, value), max(high, value), float(values.std(ddof=1)), name)
        return found

    def _flat(self, of: str, method: Compare) -> dict[Any, float]:
        if of == "by_group":
            return {(group, name): each for group, values in self.by_group.items() for name, each in values.items()}
        return {**(self.difference(method) if of == "difference" else self.ratio(method))}

    def _on(self, rows: Any) -> dict[str, float]:
        heavy = {} if self._weights is None else {"sample_weight": self._weights[rows]}
        return {
            name: float(metric(self._truth[rows], self._said[rows], **heavy)) for name, metric in self.metrics.items()
        }

    def _counted(self) -> dict[str, list[float]]:
        kept = [values for group, values in self.by_group.items() if self.counts[group] >= self.least]
        if not kept:
            raise InvalidInput(f"no group has {self.least} rows", hint="least=0 counts them all")
        return {name: [values[name] for values in kept] for name in self.metrics}


def _over(above: float, below: float) -> float:
    return above / below if below else math.nan
