"""The port of table engines: what may be asked of a table, without saying of which engine.

Checks, profiles and drift ask a table for numbers. They say which numbers with a small language,
`predicates` about a row and `metrics` about a table, and an adapter answers all of them in one scan.
The language is written by hand because the portable expression libraries lack quantiles, moments or
regular expressions on half of the engines, and because a metric must be a plain value.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal, Protocol

import msgspec

from mainspring.engines.metrics import (
    Aggregate,
    Comoments,
    Count,
    Distinct,
    Frequent,
    Grouping,
    Histogram,
    Metric,
    Moments,
    MutualInformation,
    Quantile,
    Query,
    TextForms,
)
from mainspring.engines.predicates import (
    All,
    AnyOf,
    AnyPredicate,
    Between,
    Compare,
    DistinctInRow,
    Duplicated,
    FitsJsonSchema,
    In,
    InTable,
    InTuples,
    Length,
    Like,
    Matches,
    Missing,
    Not,
    Ordered,
    Parses,
    Predicate,
    RowSum,
    SameInRow,
    Scalar,
    Sql,
)
from mainspring.kernel.errors import InvalidInput, UnsupportedFormat

__all__ = [
    "Aggregate",
    "All",
    "AnyOf",
    "AnyPredicate",
    "Between",
    "ColumnKind",
    "ColumnType",
    "Comoments",
    "Compare",
    "Count",
    "Distinct",
    "DistinctInRow",
    "Duplicated",
    "FitsJsonSchema",
    "Frequent",
    "Grouping",
    "Histogram",
    "In",
    "InTable",
    "InTuples",
    "Length",
    "Like",
    "Matches",
    "Metric",
    "Missing",
    "Moments",
    "MutualInformation",
    "Not",
    "Ordered",
    "Parses",
    "Predicate",
    "Quantile",
    "Query",
    "RowSum",
    "SameInRow",
    "Scalar",
    "Sql",
    "Table",
    "TextForms",
    "check_regex",
    "open_table",
]

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
