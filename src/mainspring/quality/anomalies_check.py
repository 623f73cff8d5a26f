"""Expectations about a number and its history: that a mean, a share or a count is what it usually is.

The history is a parameter. Whoever validates a dataset of the store leaves it out: the room fills in what is known of
the versions before, so that a report says by what it judged.
"""

from __future__ import annotations

from typing import Any, ClassVar, Literal, get_args

import msgspec

from mainspring.engines.tables import Aggregate, Count, Distinct, Metric, Missing, Quantile
from mainspring.kernel.errors import InvalidInput
from mainspring.quality.anomalies import AnyStrategy, Robust, judge
from mainspring.quality.expectations.base import Answers, Check, Judgement, Schema, Target

__all__ = ["NORMAL_KINDS", "ColumnMetricNormal", "MetricName", "RowCountNormal", "asked_of", "figure_of"]

MetricName = Literal[
    "row_count", "missing", "mean", "std", "min", "max", "sum", "median", "distinct", "min_length", "max_length"
]
"""A number with a history. `missing` is a share."""


def asked_of(metric: str, column: str, where: Any = None) -> tuple[Metric, ...]:
    """What an engine is asked for a number."""
    match metric:
        case "row_count":
            return (Count(where=where),)
        case "missing":
            return Count(where=where), Count(where=where, predicate=Missing(column))
        case "distinct":
            return (Distinct(where=where, columns=(column,)),)
        case "median":
            return (Quantile(where=where, column=column, q=0.5),)
        case "mean" | "std" | "min" | "max" | "sum" | "min_length" | "max_length":
            return (Aggregate(where=where, column=column, function=metric),)
    raise InvalidInput(f"{metric!r} is not a number with a history", known=get_args(MetricName))


def figure_of(metric: str, answers: list[Any]) -> float | None:
    """The number behind the answers; None without one."""
    if metric == "missing":
        return answers[1] / answers[0] if answers[0] else None
    found = answers[0]
    return float(found) if isinstance(found, int | float) and not isinstance(found, bool) else None


class _Normal(Check, frozen=True, kw_only=True):
    strategy: AnyStrategy = Robust()
    history: tuple[float, ...] | None = None

    @property
    def number(self) -> MetricName:
        """Which number it is about."""
        raise NotImplementedError

    def metrics(self, target: Target) -> tuple[Metric, ...]:
        """What the number follows from."""
        return asked_of(self.number, target.column, target.where)

    def judge(self, target: Target, answers: Answers, schema: Schema) -> Judgement:
        """The number is what its history would have; with too little history it passes, and says so."""
        value = figure_of(self.number, [answers[each] for each in self.metrics(target)])
        if value is None:
            return Judgement(
                passed=False, message=f"there is no {self.number}: it is not a number, or nothing is there"
            )
        found = judge(value, self.history or (), self.strategy)
        return Judgement(passed=found.normal, observed=value, message=found.reason)

    def expected(self) -> str:
        """In words."""
        name = self.number.replace("_", " ")
        limits = msgspec.to_builtins(self.strategy)
        kind = limits.pop("strategy")
        usual = msgspec.to_builtins(type(self.strategy)()) if kind not in _WITHOUT_DEFAULTS else {}
        said = ", ".join(f"{key} {value}" for key, value in limits.items() if value != usual.get(key))
        return f"to have a normal {name} ({kind}{': ' + said if said else ''})"


class ColumnMetricNormal(_Normal, frozen=True, kw_only=True):
    """A number of the column is what it usually is."""

    metric: MetricName

    def __post_init__(self) -> None:
        if self.metric == "row_count":
            raise InvalidInput("the row count is of the table", hint="use table_row_count_to_be_normal")

    @property
    def number(self) -> MetricName:
        """As `metric` says."""
        return self.metric


class RowCountNormal(_Normal, frozen=True, kw_only=True):
    """The table has as many rows as it usually has."""

    subject: ClassVar[Literal["column", "columns", "table"]] = "table"

    @property
    def number(self) -> MetricName:
        """The number of rows."""
        return "row_count"


NORMAL_KINDS: dict[str, type[Check]] = {
    "column_metric_to_be_normal": ColumnMetricNormal,
    "table_row_count_to_be_normal": RowCountNormal,
}
"""The kinds that are judged by a history."""

_WITHOUT_DEFAULTS = {"change", "relative-change"}
