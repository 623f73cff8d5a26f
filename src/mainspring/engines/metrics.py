"""Metrics: what may be asked about a table, as plain values that are hashed, compared, stored and sent."""

from __future__ import annotations

from typing import Literal

import msgspec

from mainspring.engines.predicates import AnyPredicate

__all__ = [
    "Aggregate",
    "Comoments",
    "Count",
    "Distinct",
    "Frequent",
    "Grouping",
    "Histogram",
    "Metric",
    "Moments",
    "MutualInformation",
    "Quantile",
    "Query",
    "TextForms",
]


class Metric(msgspec.Struct, frozen=True, kw_only=True, tag_field="metric"):
    """A number, or a few, about the rows of a table of which `where` holds (all of them when it is None).

    The parts of an `All` in `where` narrow the table one after the other, so that a predicate that looks at
    other rows (`Duplicated`, `Ordered`) sees those that the parts before it left.
    """

    where: AnyPredicate | None = None


class Count(Metric, frozen=True, kw_only=True, tag="count"):
    """The number of rows of which `predicate` holds; of all rows when it is None."""

    predicate: AnyPredicate | None = None


class Aggregate(Metric, frozen=True, kw_only=True, tag="aggregate"):
    """One function over the values of a column that are not missing; None when there are none.

    `std` divides by n - 1. `min_length` and `max_length` count characters. `nulls` and `nans` are counts.
    """

    column: str
    function: Literal["min", "max", "sum", "mean", "std", "min_length", "max_length", "nulls", "nans"]


class Moments(Metric, frozen=True, kw_only=True, tag="moments"):
    """`[n, mean, m2, m3, m4]` of the finite values: `mk` is the sum of the k-th powers of the deviations."""

    column: str


class Quantile(Metric, frozen=True, kw_only=True, tag="quantile"):
    """The value below which a share `q` of the values lies; missing ones left out.

    Between two values it is interpolated linearly, or the `lower`, `higher` or `nearest` (halves to even) one is taken.
    """

    column: str
    q: float
    interpolation: Literal["linear", "lower", "higher", "nearest"] = "linear"


class Distinct(Metric, frozen=True, kw_only=True, tag="distinct"):
    """The number of distinct values, exact; rows where any of the columns is missing are left out."""

    columns: tuple[str, ...]


class Frequent(Metric, frozen=True, kw_only=True, tag="frequent"):
    """The most frequent values as `[[value, count], ...]`, missing ones left out; ties by value, ascending."""

    column: str
    limit: int = 20


class Histogram(Metric, frozen=True, kw_only=True, tag="histogram"):
    """Counts of `(-inf, e0), [e0, e1), ..., [ek, inf)` over the values that are not missing."""

    column: str
    edges: tuple[float, ...]


class Grouping(Metric, frozen=True, kw_only=True, tag="grouping"):
    """How rows fall into groups of equal values, rows where all of the columns are missing left out.

    `{"rows": how many, "groups": distinct combinations, "singletons": those of one row, "entropy": in nats}`.
    """

    columns: tuple[str, ...]


class Comoments(Metric, frozen=True, kw_only=True, tag="comoments"):
    """`[n, mean_x, mean_y, m2_x, m2_y, c_xy]` of the rows where both are finite: correlation, and it merges."""

    x: str
    y: str


class MutualInformation(Metric, frozen=True, kw_only=True, tag="mutual-information"):
    """What one column tells of the other, in nats, over the rows where neither is missing."""

    x: str
    y: str


class TextForms(Metric, frozen=True, kw_only=True, tag="text-forms"):
    """What texts read as: counts of `integer`, `number`, `boolean`, `datetime`, `text` and `missing`.

    A text is counted under the first form that it has; a datetime is one of the shape of ISO 8601.
    """

    column: str


class Query(Metric, frozen=True, kw_only=True, tag="query"):
    """A SELECT of one's own, `{batch}` in it standing for the table: `{"count": rows, "rows": the first of them}`."""

    sql: str
    limit: int = 20
