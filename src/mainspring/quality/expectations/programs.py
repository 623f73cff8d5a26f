"""Kinds that are written in Python: a rule over a Polars expression, or over batches of rows.

A subclass is registered under the entry-point group `mainspring.expectations`, or given to `register`; it is then a
kind like any other, with its fields as parameters. Where the words of `engines.predicates` will do, a `RowCheck` is
better: it runs on every engine.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

from mainspring.engines.tables import Metric, Table
from mainspring.kernel.errors import InvalidInput, UnsupportedFormat
from mainspring.quality.expectations.base import Answers, Check, Judgement, Schema, Subject, Target

if TYPE_CHECKING:
    import polars as pl

__all__ = ["BatchCheck", "ExpressionCheck", "ProgramCheck", "run_programs"]


class ProgramCheck(Check, frozen=True, kw_only=True):
    """A rule about rows that no predicate says. Missing values of the column are not asked."""

    subjects: ClassVar[tuple[Subject, ...]] = ("column", "columns", "table")

    def metrics(self, target: Target) -> tuple[Metric, ...]:
        """None: the rows themselves are looked at."""
        return ()

    def judge(self, target: Target, answers: Answers, schema: Schema) -> Judgement:
        """Judged by `run_programs`."""
        raise InvalidInput(f"{type(self).__name__} looks at rows, and this engine gives none")

    def verdicts(self, frame: pl.DataFrame, target: Target) -> pl.DataFrame:
        """For each row of a batch `asked` and `holds`."""
        raise NotImplementedError


class ExpressionCheck(ProgramCheck, frozen=True, kw_only=True):
    """A rule that is a boolean Polars expression over the columns of the row."""

    def holds(self, target: Target) -> pl.Expr:
        """True where the row is as expected; null counts as false."""
        raise NotImplementedError

    def verdicts(self, frame: pl.DataFrame, target: Target) -> pl.DataFrame:
        """Evaluate the expression."""
        import polars as pl

        return frame.select(
            asked=_asked(frame, target), holds=self.holds(target).cast(pl.Boolean).fill_null(value=False)
        )


class BatchCheck(ProgramCheck, frozen=True, kw_only=True):
    """A rule that is a function of a batch of rows. It must not look across batches."""

    def holds(self, batch: pl.DataFrame, target: Target) -> Any:
        """A boolean for each row of the batch."""
        raise NotImplementedError

    def verdicts(self, frame: pl.DataFrame, target: Target) -> pl.DataFrame:
        """Call the function."""
        import polars as pl

        held = pl.Series("holds", self.holds(frame, target), dtype=pl.Boolean).fill_null(value=False)
        if len(held) != frame.height:
            raise InvalidInput(f"{type(self).__name__} gave {len(held)} answers for {frame.height} rows")
        return frame.select(asked=_asked(frame, target)).with_columns(held)


def _asked(frame: pl.DataFrame, target: Target) -> pl.Expr:
    import functools
    import operator

    import polars as pl

    parts = [pl.col(name).is_not_null() for name in target.names]
    floats = [pl.col(name).is_not_nan().fill_null(value=True) for name in target.names if frame.schema[name].is_float()]
    whole = pl.repeat(value=True, n=frame.height, dtype=pl.Boolean)
    return functools.reduce(operator.and_, [*parts, *floats], whole)


def run_programs(table: Table, programs: list[tuple[ProgramCheck, Target]], sample: int | None) -> list[Judgement]:
    """Judge all of them in one pass over the rows; `sample` rows that do not hold are kept for each."""
    counts = [[0, 0, 0] for _ in programs]
    shown: list[list[dict[str, Any]]] = [[] for _ in programs]
    for frame in _batches(table):
        for place, (check, target) in enumerate(programs):
            inside = frame if target.where is None else _narrow(frame, target)
            found = check.verdicts(inside.drop("__row__"), target)
            bad = found.get_column("asked") & ~found.get_column("holds")
            seen = counts[place]
            seen[0] += inside.height
            seen[1] += inside.height - int(found.get_column("asked").sum())
            seen[2] += int(bad.sum())
            room = None if sample is None else sample - len(shown[place])
            if room is None or room > 0:
                rows = inside.filter(bad)
                shown[place] += _rows(rows if room is None else rows.head(room))
    return [_judged(target, seen, rows) for (_, target), seen, rows in zip(programs, counts, shown, strict=True)]


def _judged(target: Target, counts: Sequence[int], sample: list[dict[str, Any]]) -> Judgement:
    rows, missing, bad = counts
    asked = rows - missing
    share = (asked - bad) / asked if asked else 1.0
    return Judgement(
        passed=share >= target.mostly,
        observed=share,
        message="" if share >= target.mostly else f"{bad} of {asked} rows ({1 - share:.3%}) do not hold",
        evaluated=asked,
        missing=missing,
        unexpected=bad,
        sample=tuple(sample),
    )


def _batches(table: Table) -> Iterator[pl.DataFrame]:
    import polars as pl

    frame = getattr(table, "frame", None)
    if isinstance(frame, pl.LazyFrame):
        yield from frame.with_row_index("__row__").collect_batches()
        return
    start = 0
    for each in _arrow_batches(table):
        found = pl.DataFrame(each)
        yield found.with_row_index("__row__", offset=start)
        start += found.height


def _arrow_batches(table: Table) -> Iterator[Any]:
    """The rows of a table of another engine: its batches, or those of what it gives as a whole."""
    batches = getattr(table, "batches", None)
    if batches is not None:
        yield from batches()
        return
    whole, _ = table.split({})
    whole = whole.toArrow() if hasattr(whole, "toArrow") else whole  # what Spark calls it
    if not hasattr(whole, "__arrow_c_stream__"):
        raise UnsupportedFormat(
            f"a {type(table).__name__} gives no rows to a program",
            hint="run it on a frame or on files, or say the same as a RowCheck or in SQL",
        )
    import pyarrow as pa

    yield from pa.RecordBatchReader.from_stream(whole)


def _narrow(frame: pl.DataFrame, target: Target) -> pl.DataFrame:
    import polars as pl

    from mainspring.engines.tables_polars import PolarsTable

    if target.where is None:
        return frame
    inner = PolarsTable(frame.drop("__row__").lazy())
    kept = [row["__row__"] for row in inner.rows(target.where, limit=frame.height, columns=frame.columns[1:2])]
    return frame.filter(pl.int_range(pl.len()).is_in(kept))


def _rows(frame: pl.DataFrame) -> list[dict[str, Any]]:
    from mainspring.engines.tables_polars_rows import json_value

    return [{name: json_value(value) for name, value in row.items()} for row in frame.iter_rows(named=True)]
