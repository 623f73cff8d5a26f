"""The port of table engines: what may be asked of a table, without saying of which engine.

Checks, profiles and drift ask a table for numbers. They say which numbers with a small language,
`predicates` about a row and `metrics` about a table, and an adapter answers all of them in one scan.
The language is written by hand because the portable expression libraries lack quantiles, moments or
regular expressions on half of the engines, and because a metric must be a plain value.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

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
from mainspring.engines.tables_sources import SqlTable, open_source
from mainspring.engines.tables_types import ColumnKind, ColumnType
from mainspring.kernel.errors import InvalidInput

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
    "SqlTable",
    "Table",
    "TextForms",
    "check_regex",
    "open_table",
]


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


def open_table(source: Any, *, others: Mapping[str, Any] | None = None) -> Table:
    """The table behind a source; a `Table` is handed back as it is.

    Args:
        source: A polars, pandas or Spark frame, Arrow (whatever has `__arrow_c_stream__`), columns by name, a path
            or paths of Parquet, CSV, TSV, JSON lines or Arrow IPC, a DuckDB relation, or a `SqlTable`.
        others: Other tables by name, for `InTable` and `Query`: each a source as well.

    Raises:
        UnsupportedFormat: When `source` is nothing of these.
        NotFound: When a file is not there.

    Example:
        >>> import polars as pl
        >>> table = open_table(pl.DataFrame({"x": [1, None, 3]}), others={"known": {"id": [1, 2]}})
        >>> foreign = InTable(("x",), "known", ("id",))
        >>> list(table.compute([Count(), Count(predicate=Missing("x")), Count(predicate=foreign)]).values())
        [3, 1, 1]
    """
    if all(callable(getattr(source, name, None)) for name in ("compute", "rows", "split")):
        return source  # type: ignore[no-any-return]  # has the methods of the protocol
    return open_source(source, {name: open_table(other) for name, other in (others or {}).items()})


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
