"""Tables scanned by Polars: frames in memory, lazy frames, files.

All metrics with the same `where` become one select over one lazy frame, metrics about groups of the same
columns one `group_by`, and all those frames are collected together, so that a suite of a hundred checks
reads each needed column once.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from math import isnan
from typing import TYPE_CHECKING, Any

import polars as pl
from msgspec.structs import replace

from mainspring.engines.metrics import Count, Metric, Quantile, Query
from mainspring.engines.predicates import Missing, Not, Predicate
from mainspring.engines.tables_groups import move_distinct, plan, predicates_of
from mainspring.engines.tables_polars_groups import group_answer, group_plan
from mainspring.engines.tables_polars_metrics import Quantiles, answer_of, metric_expression
from mainspring.engines.tables_polars_rows import expression, narrowed, within
from mainspring.engines.tables_polars_values import Scope, nullable
from mainspring.engines.tables_types import ColumnType
from mainspring.engines.tables_values import interpolate, json_value, known
from mainspring.kernel.errors import InvalidInput, MainspringError, NotFound, nearest

if TYPE_CHECKING:
    from mainspring.engines.tables import Table

__all__ = ["PolarsTable"]


class PolarsTable:
    """A table behind a lazy frame. Nothing is read until a metric or rows are asked for."""

    def __init__(self, frame: pl.LazyFrame, others: Mapping[str, Table] | None = None) -> None:
        self.frame = frame
        self.others = dict(others or {})
        self._dtypes: pl.Schema | None = None

    def schema(self) -> Mapping[str, ColumnType]:
        """The columns, in order."""
        return self._scope()

    def compute(self, metrics: Sequence[Metric]) -> dict[Metric, Any]:
        """Answer all metrics, each once, with one select for each distinct `where`."""
        scalars, groups, queries = plan(metrics)
        move_distinct(scalars, groups, lambda metric: len(metric.columns) == 1)
        scope = self._scope()
        frames = [self._select(where, members, scope) for where, members in scalars.items()]
        frames += [
            group_plan(self._flagged(members, scope), where, columns, members, scope)
            for (where, columns), members in groups.items()
        ]
        collected = _collect(frames)
        answers: dict[Metric, Any] = {}
        for members, result in zip(scalars.values(), collected, strict=False):
            quantiles, row = Quantiles(members, scope), result.row(0, named=True) if result.width else {}
            for index, metric in enumerate(members):
                if isinstance(metric, Quantile):
                    answers[metric] = quantiles.answer(metric, row)
                else:
                    answers[metric] = answer_of(metric, row[str(index)])
        for members, result in zip(groups.values(), collected[len(scalars) :], strict=True):
            for index, metric in enumerate(members):
                answers[metric] = group_answer(metric, result.get_column(str(index)).to_list()[0])
        for query in queries:
            answers[query] = self._query(query)
        self._between_infinities(answers)
        return {metric: answers[metric] for metric in dict.fromkeys(metrics)}

    def rows(
        self, predicate: Predicate, *, where: Predicate | None = None, limit: int, columns: Sequence[str] = ()
    ) -> list[dict[str, Any]]:
        """The first `limit` rows of which `predicate` holds, each with its number in the table."""
        (found,) = self.samples([(predicate, where, limit)], columns=columns)
        return found

    def samples(
        self, asked: Sequence[tuple[Predicate, Predicate | None, int]], *, columns: Sequence[str] = ()
    ) -> list[list[dict[str, Any]]]:
        """`rows` of several predicates, each with its `where` and limit, collected together."""
        scope = self._scope()
        names = dict.fromkeys(known(name, scope) for name in columns) or list(scope)
        plans = []
        for predicate, where, limit in asked:
            numbered = scope.with_flags(self.frame.with_row_index("__row__"), [predicate, where])
            kept = narrowed(numbered, where, scope).filter(expression(predicate, scope)).head(limit)
            plans.append(kept.select("__row__", *names))
        return [
            [{name: json_value(value) for name, value in row.items()} for row in found.iter_rows(named=True)]
            for found in _collect(plans)
        ]

    def split(self, reasons: Mapping[str, tuple[Predicate, Predicate | None]]) -> tuple[pl.DataFrame, pl.DataFrame]:
        """Rows without a reason, and rows with the list of theirs in `__reasons__`, both in the table's order."""
        if not reasons:
            (whole,) = _collect([self.frame])
            return whole, whole.clear().with_columns(pl.lit(None, pl.List(pl.String)).alias("__reasons__"))
        scope = self._scope()
        flagged = scope.with_flags(self.frame, [each for pair in reasons.values() for each in pair])
        flags = []
        for name, (predicate, where) in reasons.items():
            holds = within(predicate, where, scope)
            flags.append(pl.when(holds).then(pl.lit(name)))
        marked = flagged.with_columns(pl.concat_list(flags).list.drop_nulls().alias("__reasons__"))
        (found,) = _collect([marked.select(*scope, "__reasons__")])
        clean = found.get_column("__reasons__").list.len() == 0
        return found.filter(clean).drop("__reasons__"), found.filter(~clean)

    def _between_infinities(self, answers: dict[Metric, Any]) -> None:
        """Quantiles for which Polars subtracted infinities, from the two values between which they lie."""
        lost = [
            m for m, found in answers.items() if isinstance(m, Quantile) and isinstance(found, float) and isnan(found)
        ]
        ends = {m: [replace(m, interpolation="lower"), replace(m, interpolation="higher")] for m in lost}
        counts = {m: Count(where=m.where, predicate=Not(Missing(m.column))) for m in lost}
        found = self.compute([*(end for pair in ends.values() for end in pair), *counts.values()]) if lost else {}
        for metric in lost:
            low, high = (found[end] for end in ends[metric])
            answers[metric] = interpolate(low, high, metric.q * (found[counts[metric]] - 1) % 1)

    def keys(self, columns: Sequence[str]) -> pl.LazyFrame:
        """Columns whose values other tables refer to."""
        scope = self._scope()
        return self.frame.select(nullable(name, scope).alias(f"key {place}") for place, name in enumerate(columns))

    def _scope(self) -> Scope:
        if self._dtypes is None:
            try:
                self._dtypes = self.frame.collect_schema()
            except (pl.exceptions.PolarsError, OSError) as error:
                raise InvalidInput(f"the table cannot be read: {_first_line(error)}") from None
        return Scope(self._dtypes, self._keys)

    def _keys(self, table: str, columns: tuple[str, ...]) -> pl.LazyFrame:
        if table not in self.others:
            raise NotFound(
                f"no other table is called {table!r}",
                known=nearest(table, self.others),
                hint="name it: open_table(source, others={...})",
            )
        found: pl.LazyFrame = self.others[table].keys(columns)  # type: ignore[attr-defined]  # every adapter has it
        return found

    def _flagged(self, metrics: Iterable[Metric], scope: Scope) -> pl.LazyFrame:
        return scope.with_flags(self.frame, [each for metric in metrics for each in predicates_of(metric)])

    def _select(self, where: Predicate | None, metrics: Sequence[Metric], scope: Scope) -> pl.LazyFrame:
        frame = narrowed(self._flagged(metrics, scope), where, scope)
        asked = [
            metric_expression(metric, scope).alias(str(place))
            for place, metric in enumerate(metrics)
            if not isinstance(metric, Quantile)
        ]
        return frame.select(*asked, *Quantiles(metrics, scope).expressions())

    def _query(self, query: Query) -> dict[str, Any]:
        from mainspring.engines.tables_duckdb import query_frames

        scope = self._scope()
        batch = narrowed(scope.with_flags(self.frame, [query.where]), query.where, scope).select(*scope)
        return query_frames(query, batch, self.others)


def _collect(plans: Sequence[pl.LazyFrame]) -> list[pl.DataFrame]:
    try:
        return pl.collect_all(plans, engine="streaming")
    except pl.exceptions.ColumnNotFoundError as error:
        raise NotFound(f"a column that was asked for is not in the table: {error}") from None
    except pl.exceptions.ComputeError as error:
        if isinstance(error.__cause__, MainspringError):
            raise error.__cause__ from None
        raise InvalidInput(f"the table cannot answer this: {_first_line(error)}") from None
    except (pl.exceptions.PolarsError, OSError) as error:
        raise InvalidInput(f"the table cannot answer this: {_first_line(error)}") from None


def _first_line(error: Exception) -> str:
    return str(error).partition("\n")[0]
