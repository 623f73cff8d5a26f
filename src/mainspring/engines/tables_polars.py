"""Tables scanned by Polars: frames in memory, lazy frames, files.

All metrics with the same `where` become one select over one lazy frame, metrics about groups of the same
columns one `group_by`, and all those frames are collected together, so that a suite of a hundred checks
reads each needed column once. A column of texts that repeat is grouped as well, and asked by its distinct texts.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import polars as pl

from mainspring.engines.metrics import Metric, Quantile, Query
from mainspring.engines.predicates import Predicate
from mainspring.engines.tables_groups import move_distinct, move_texts, plan, predicates_of
from mainspring.engines.tables_polars_groups import group_answer, group_plan
from mainspring.engines.tables_polars_metrics import answer_of, metric_expression
from mainspring.engines.tables_polars_quantiles import Quantiles
from mainspring.engines.tables_polars_rows import expression, narrowed, within
from mainspring.engines.tables_polars_values import Scope, nullable
from mainspring.engines.tables_types import ColumnType
from mainspring.engines.tables_values import json_value, known
from mainspring.kernel.errors import InvalidInput, MainspringError, NotFound, nearest

if TYPE_CHECKING:
    from mainspring.engines.tables import Table

__all__ = ["PolarsTable"]

_PROBED = 10_000
"""Rows at the head of a table by which a column is taken for one of texts that repeat."""
_REPEATED = 10
"""How often each of them occurs there at least, on average."""


class PolarsTable:
    """A table behind a lazy frame. Nothing is read until a metric or rows are asked for.

    `stored` says that the frame computes nothing, so that its first rows cost little beside all of them.
    """

    def __init__(self, frame: pl.LazyFrame, others: Mapping[str, Table] | None = None, *, stored: bool = False) -> None:
        self.frame = frame
        self.others = dict(others or {})
        self.stored = stored
        self._dtypes: pl.Schema | None = None

    def schema(self) -> Mapping[str, ColumnType]:
        """The columns, in order."""
        return self._scope()

    def compute(self, metrics: Sequence[Metric]) -> dict[Metric, Any]:
        """Answer all metrics, each once, with one select for each distinct `where`."""
        scope = self._scope()
        scalars, groups, queries = plan(metrics)
        move_texts(scalars, groups, lambda columns: self._repeated(columns, scope))
        move_distinct(scalars, groups, lambda metric: len(metric.columns) == 1)
        frames = [self._select(where, members, scope) for where, members in scalars.items()]
        frames += [
            group_plan(self._flagged(members, scope), where, columns, members, scope)
            for (where, columns), members in groups.items()
        ]
        collected = _collect(frames)
        answers: dict[Metric, Any] = {}
        for members, result in zip(scalars.values(), collected, strict=False):
            row = result.row(0, named=True) if result.width else {}
            answers |= Quantiles(members, scope).answers(row)
            for index, metric in enumerate(members):
                if not isinstance(metric, Quantile):
                    answers[metric] = answer_of(metric, row[str(index)])
        for members, result in zip(groups.values(), collected[len(scalars) :], strict=True):
            for index, metric in enumerate(members):
                answers[metric] = group_answer(metric, result.get_column(str(index)).to_list()[0])
        for query in queries:
            answers[query] = self._query(query)
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

    def _repeated(self, columns: Iterable[str], scope: Scope) -> list[str]:
        """Which of the columns are of texts that repeat, as far as the first rows tell."""
        texts = [name for name in columns if name in scope and scope[name].kind == "text"]
        if not texts or not self.stored:
            return []
        (head,) = _collect([self.frame.select(texts).head(_PROBED)])
        if head.height < _PROBED:
            return []
        return [name for name in texts if head.get_column(name).n_unique() * _REPEATED <= _PROBED]

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
