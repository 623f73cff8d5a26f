"""The port of table engines: what may be asked of a table, without saying of which engine.

Checks, profiles and drift ask a table for numbers. They say which numbers with the small language of
this file, *predicates* about a row and *metrics* about a table, and an adapter answers all of them in
one scan. The language is written by hand because the portable expression libraries lack quantiles,
moments or regular expressions on half of the engines, and because a metric must be a plain value: it
is hashed, compared, stored and sent.

Truth is two-valued: a predicate holds of a row or it does not. *Missing* means null or NaN, and a
missing value is in no range, in no set, matches nothing and equals nothing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal, Protocol

import msgspec

from mainspring.kernel.errors import InvalidInput, UnsupportedFormat

__all__ = [
    "Aggregate",
    "All",
    "AnyOf",
    "AnyPredicate",
    "Between",
    "ColumnKind",
    "ColumnType",
    "Compare",
    "Count",
    "Distinct",
    "Duplicated",
    "Frequent",
    "Histogram",
    "In",
    "Length",
    "Matches",
    "Metric",
    "Missing",
    "Moments",
    "Not",
    "Ordered",
    "Predicate",
    "Quantile",
    "Scalar",
    "Sql",
    "Table",
    "check_regex",
    "open_table",
]

Scalar = bool | int | float | str
"""A value as JSON has it. Moments in time are ISO 8601 text, compared as moments with temporal columns."""

ColumnKind = Literal[
    "bool", "integer", "float", "decimal", "text", "date", "datetime", "time", "duration", "binary", "list", "struct",
    "other",
]  # fmt: skip


class ColumnType(msgspec.Struct, frozen=True):
    """What a column holds: its kind, the same on every engine, and the engine's own name of the type."""

    kind: ColumnKind
    dtype: str

    @property
    def is_number(self) -> bool:
        """Whether arithmetic on it makes sense."""
        return self.kind in {"integer", "float", "decimal"}

    @property
    def is_moment(self) -> bool:
        """Whether it is a point in time."""
        return self.kind in {"date", "datetime"}

    @property
    def is_ordered(self) -> bool:
        """Whether its values have a least and a greatest."""
        return self.kind not in {"list", "struct", "other", "binary"}


class Predicate(msgspec.Struct, frozen=True, tag_field="is"):
    """Something that holds of a row, or does not."""


class Missing(Predicate, frozen=True, tag="missing"):
    """The value is null or NaN."""

    column: str


class Between(Predicate, frozen=True, tag="between"):
    """The value is in a range; an open end is None."""

    column: str
    low: Scalar | None = None
    high: Scalar | None = None
    strict_low: bool = False
    strict_high: bool = False


class In(Predicate, frozen=True, tag="in"):
    """The value is one of `values`."""

    column: str
    values: tuple[Scalar, ...]


class Matches(Predicate, frozen=True, tag="matches"):
    """The text contains a match of a regular expression (RE2 syntax: no look-around, linear time)."""

    column: str
    pattern: str


class Length(Predicate, frozen=True, tag="length"):
    """The number of characters of the text is in a range, ends included."""

    column: str
    low: int | None = None
    high: int | None = None


class Compare(Predicate, frozen=True, tag="compare"):
    """Two columns of the row stand in a relation; never when either is missing."""

    left: str
    relation: Literal["==", "!=", "<", "<=", ">", ">="]
    right: str


class Duplicated(Predicate, frozen=True, tag="duplicated"):
    """Another row of the table has the same values in `columns`."""

    columns: tuple[str, ...]


class Ordered(Predicate, frozen=True, tag="ordered"):
    """The value does not step back from the last value that is not missing, in the order of the rows."""

    column: str
    descending: bool = False
    strict: bool = False


class Sql(Predicate, frozen=True, tag="sql"):
    """A boolean SQL expression over the columns of the row; unknown counts as false."""

    text: str


class Not(Predicate, frozen=True, tag="not"):
    """The inner predicate does not hold."""

    inner: AnyPredicate


class All(Predicate, frozen=True, tag="all"):
    """Every part holds."""

    parts: tuple[AnyPredicate, ...]


class AnyOf(Predicate, frozen=True, tag="any"):
    """At least one part holds."""

    parts: tuple[AnyPredicate, ...]


AnyPredicate = Missing | Between | In | Matches | Length | Compare | Duplicated | Ordered | Sql | Not | All | AnyOf
"""The closed set of predicates: what an adapter must know."""


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
    """The value below which a share `q` of the values lies, interpolated linearly; missing ones left out."""

    column: str
    q: float


class Distinct(Metric, frozen=True, kw_only=True, tag="distinct"):
    """The number of distinct values, exact; rows where any of the columns is missing are left out."""

    columns: tuple[str, ...]


class Frequent(Metric, frozen=True, kw_only=True, tag="frequent"):
    """The most frequent values as `[[value, count], ...]`, missing ones left out; ties by the value's text."""

    column: str
    limit: int = 20


class Histogram(Metric, frozen=True, kw_only=True, tag="histogram"):
    """Counts of `(-inf, e0), [e0, e1), ..., [ek, inf)` over the values that are not missing."""

    column: str
    edges: tuple[float, ...]


class Table(Protocol):
    """A table that some engine can scan. Reading never changes it; safe to use from many threads.

    Raises of every method: `NotFound` for a column that the table has not, `InvalidInput` for a metric
    or predicate that cannot be asked of a column of its type.
    """

    def schema(self) -> Mapping[str, ColumnType]:
        """The columns, in order."""
        ...

    def compute(self, metrics: Sequence[Metric]) -> dict[Metric, Any]:
        """Answer all metrics, each once however often it is asked, in as few scans as the engine can."""
        ...

    def rows(
        self, predicate: Predicate, *, where: Predicate | None = None, limit: int, columns: Sequence[str] = ()
    ) -> list[dict[str, Any]]:
        """The first `limit` rows of which `predicate` holds, each with its `__row__`, counted from 0 in the table."""
        ...

    def split(self, reasons: Mapping[str, tuple[Predicate, Predicate | None]]) -> tuple[Any, Any]:
        """Divide the rows into those to which no reason applies, and the others with a list column `__reasons__`.

        A reason applies to a row within its second predicate (everywhere when None) of which the first holds.
        """
        ...


def open_table(source: Any) -> Table:
    """The table behind a frame, a Parquet path or a list of Parquet paths; a `Table` is handed back as it is.

    Raises:
        UnsupportedFormat: When `source` is nothing of these.

    Example:
        >>> import polars as pl
        >>> table = open_table(pl.DataFrame({"x": [1, None, 3]}))
        >>> list(table.compute([Count(), Count(predicate=Missing("x"))]).values())
        [3, 1]
    """
    if all(callable(getattr(source, name, None)) for name in ("compute", "rows", "split")):
        return source  # type: ignore[no-any-return]  # has the methods of the protocol
    from mainspring.engines.tables_polars import PolarsTable
    from mainspring.engines.tables_polars_rows import to_lazy

    frame = to_lazy(source)
    if frame is None:
        raise UnsupportedFormat(
            f"a {type(source).__name__} is not a table",
            hint="pass a polars DataFrame or LazyFrame, an Arrow or pandas table, or Parquet paths",
        )
    return PolarsTable(frame)


def check_regex(pattern: str) -> str:
    """Return `pattern` when it is a regular expression; raise `InvalidInput` otherwise."""
    import polars as pl

    try:
        pl.Series([""]).str.contains(pattern)
    except pl.exceptions.PolarsError as error:
        reason = " ".join(str(error).split())
        hint = "look-around and back-references are not there, so that matching takes linear time"
        raise InvalidInput(f"{pattern!r} is not a regular expression: {reason}", hint=hint) from None
    return pattern
