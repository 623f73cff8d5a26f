"""A table that an engine of SQL scans: the compiler above, three adapters below.

All metrics with the same `where` share one query. Questions about groups of the same columns share one
`GROUP BY`; counts of distinct values join the aggregates where the engine is good at that. Nothing leaves
the engine but answers: what it cannot say of a text is asked here of the distinct texts, in batches.
"""

# ruff: noqa: S608 -- SQL is what this module writes: identifiers and literals are quoted by the dialect
from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

from mainspring.engines import metrics as ir
from mainspring.engines.metrics import Metric
from mainspring.engines.predicates import InTable, Predicate
from mainspring.engines.tables_groups import move_distinct, plan, predicates_of
from mainspring.engines.tables_sql_dialects import Dialect
from mainspring.engines.tables_sql_groups import group_query, read_group
from mainspring.engines.tables_sql_metrics import Questions, read_value
from mainspring.engines.tables_sql_rows import ROW, Asked, Compiler
from mainspring.engines.tables_texts import texts_that_hold
from mainspring.engines.tables_types import ColumnType
from mainspring.engines.tables_values import comparable, known
from mainspring.kernel.errors import InvalidInput, NotFound, nearest

if TYPE_CHECKING:
    import polars as pl

    from mainspring.engines.tables import Table

__all__ = ["Session", "SqlScan"]

_BATCH = 50_000
_MOST_KEYS = 100_000


class Session:
    """One snapshot of an engine, in which the queries of one question run. An adapter subclasses it."""

    def run(self, sql: str) -> list[tuple[Any, ...]]:
        """The rows of a query."""
        raise NotImplementedError

    def stream(self, sql: str, size: int) -> Iterator[list[tuple[Any, ...]]]:
        """The rows of a query in batches."""
        rows = self.run(sql)
        for start in range(0, len(rows), size):
            yield rows[start : start + size]

    def names(self, sql: str) -> list[str]:
        """The columns of a query."""
        raise NotImplementedError

    def close(self) -> None:
        """Let go of the engine."""


class SqlScan:
    """What the adapters of SQL engines have in common."""

    dialect: ClassVar[Dialect]
    source: str
    others: Mapping[str, Table]

    def schema(self) -> Mapping[str, ColumnType]:
        """The columns, in order."""
        raise NotImplementedError

    def session(self) -> Session:
        """A new session."""
        raise NotImplementedError

    def shares_engine(self, other: Any) -> bool:
        """Whether a query of this table can name another one."""
        return False

    def compute(self, metrics: Sequence[Metric]) -> dict[Metric, Any]:
        """Answer all metrics, each once, with one query for each `where` and one for each grouping."""
        session = self.session()
        try:
            answers = self._answers(session, metrics)
        finally:
            session.close()
        return {metric: answers[metric] for metric in dict.fromkeys(metrics)}

    def rows(
        self, predicate: Predicate, *, where: Predicate | None = None, limit: int, columns: Sequence[str] = ()
    ) -> list[dict[str, Any]]:
        """The first `limit` rows of which `predicate` holds; rows of an engine without order are numbered as read."""
        schema = self.schema()
        names = list(dict.fromkeys(known(name, schema) for name in columns)) or list(schema)
        session = self.session()  # last, so that nothing that is refused leaves it open
        try:
            compiler = self._compiler(session)
            relation = compiler.relation(where, [predicate], row=True)
            quote = self.dialect.quote
            outputs = [self.dialect.output(quote(name), schema[name]) for name in names]
            chosen = ", ".join([quote(ROW), *outputs])
            holds = compiler.holds(predicate)
            found = session.run(
                f"SELECT {chosen} FROM ({relation}) AS t WHERE {holds} ORDER BY {quote(ROW)} LIMIT {int(limit)}"
            )
        finally:
            session.close()
        read = [None, *(schema[name] for name in names)]
        return [
            {
                name: _plain(read_value(value, kind))
                for name, value, kind in zip([ROW, *names], row, read, strict=True)
            }
            for row in found
        ]  # fmt: skip

    def split_queries(
        self, session: Session, reasons: Mapping[str, tuple[Predicate, Predicate | None]]
    ) -> tuple[str, str]:
        """Two queries: the rows to which no reason applies, and the others with the list `__reasons__`."""
        quote = self.dialect.quote
        chosen = ", ".join(quote(name) for name in self.schema())
        relation, conditions = self._compiler(session).marked(reasons.values())
        flags = [(holds, self.dialect.string(name)) for holds, name in zip(conditions, reasons, strict=True)]
        some = " OR ".join(conditions) or "1 = 0"
        clean = f"SELECT {chosen} FROM ({relation}) AS t WHERE ({some}) IS NOT TRUE"
        marks = f"{self.dialect.marks(flags)} AS {quote('__reasons__')}"
        return clean, f"SELECT {chosen}, {marks} FROM ({relation}) AS t WHERE {some}"

    def key_query(self, columns: Sequence[str], names: Sequence[str]) -> str:
        """A SELECT of the distinct complete values of some columns, as `names`."""
        compiler = Compiler(self.dialect, self.schema(), self.source, _no_foreign, _no_texts)
        chosen = ", ".join(
            f"{compiler.column(column)} AS {name}" for column, name in zip(columns, names, strict=True)
        )  # fmt: skip
        there = " AND ".join(f"{compiler.column(column)} IS NOT NULL" for column in columns)
        return f"SELECT DISTINCT {chosen} FROM ({compiler.relation(None)}) AS t WHERE {there}"

    def keys(self, columns: Sequence[str]) -> pl.LazyFrame:
        """Columns whose values tables of other engines refer to."""
        import polars as pl

        session = self.session()
        names = [f"key {place}" for place in range(len(columns))]
        try:
            found = session.run(self.key_query(columns, [self.dialect.quote(name) for name in names]))
        finally:
            session.close()
        return pl.LazyFrame(found, schema=names, orient="row", infer_schema_length=None)

    # -- inside

    def _answers(self, session: Session, metrics: Sequence[Metric]) -> dict[Metric, Any]:
        scalars, groups, queries = plan(metrics)
        if self.dialect.distinct_inline:
            move_distinct(scalars, groups)
        answers: dict[Metric, Any] = {}
        for where, members in scalars.items():
            answers.update(self._scalars(session, where, members))
        for (where, columns), members in groups.items():
            compiler = self._compiler(session)
            relation = compiler.relation(where)
            (row,) = session.run(group_query(compiler, relation, columns, members))
            answers.update(read_group(members, row, self.schema()))
        for query in queries:
            answers[query] = self._query(session, query)
        return answers

    def _scalars(self, session: Session, where: Predicate | None, metrics: Sequence[Metric]) -> dict[Metric, Any]:
        compiler = self._compiler(session)
        asked = [each for metric in metrics for each in predicates_of(metric)[1:]]
        relation = compiler.relation(where, asked)
        questions = Questions(compiler)
        for metric in metrics:
            questions.ask(metric)
        answers: dict[Metric, Any] = {}
        while questions.asked:
            answers.update(questions.answers(self._aggregate(session, relation, questions)))
            before, questions = questions.asked, Questions(compiler)
            for metric in before:
                questions.ask_again(metric, answers[metric])
        return answers

    def _aggregate(self, session: Session, relation: str, questions: Questions) -> tuple[Any, ...]:
        if not questions.aggregates:
            return ()
        chosen = ", ".join(f"{sql} AS a{place}" for place, sql in enumerate(questions.columns()))
        (row,) = session.run(f"SELECT {chosen} FROM ({relation}) AS t")
        return row

    def _query(self, session: Session, query: ir.Query) -> dict[str, Any]:
        from mainspring.engines.tables_conditions import BATCH, parse_query

        tree = parse_query(query.sql, self.others)
        columns = ", ".join(self.dialect.quote(name) for name in self.schema())
        batch = f"SELECT {columns} FROM ({self._compiler(session).relation(query.where)}) AS t"
        tables = [f"{self.dialect.quote(BATCH)} AS ({batch})"]
        tables += [f"{self.dialect.quote(name)} AS ({self._other(name)})" for name in self.others if name in query.sql]
        head, tail = f"WITH {', '.join(tables)} SELECT", f"FROM ({tree.sql(dialect=self.dialect.sqlglot)}) AS q"
        ((count,),) = session.run(f"{head} COUNT(*) {tail}")
        sql = f"{head} * {tail} LIMIT {int(query.limit)}"
        names = session.names(sql)
        rows = [
            {name: _plain(read_value(value)) for name, value in zip(names, row, strict=True)}
            for row in session.run(sql)
        ]
        return {"count": int(count), "rows": rows}

    def _other(self, name: str) -> str:
        other = self.others[name]
        if isinstance(other, SqlScan) and self.shares_engine(other):
            return f"SELECT * FROM {other.source} AS o"
        raise InvalidInput(f"a query of {self.dialect.name} cannot read {name!r}, which another engine holds")

    def _compiler(self, session: Session) -> Compiler:
        def texts(predicate: Asked, text: str) -> str:
            return self.ask_texts(session, predicate, text)

        return Compiler(self.dialect, self.schema(), self.source, self._foreign, texts)

    def _foreign(self, predicate: InTable) -> str:
        if predicate.table not in self.others:
            raise NotFound(
                f"no other table is called {predicate.table!r}",
                known=nearest(predicate.table, self.others),
                hint="name it: open_table(source, others={...})",
            )
        other = self.others[predicate.table]
        theirs = other.schema()
        for column, key in zip(predicate.columns, predicate.keys, strict=True):
            both = {"column": self.schema()[known(column, self.schema())], "key": theirs[known(key, theirs)]}
            comparable(("column", "key"), both)
        names = [f"k{place}" for place in range(len(predicate.keys))]
        if isinstance(other, SqlScan) and self.shares_engine(other):
            return other.key_query(predicate.keys, names)
        return self._values(other, predicate, names)

    def _values(self, other: Any, predicate: InTable, names: Sequence[str]) -> str:
        """The keys of a table of another engine, written out."""
        keys = other.keys(predicate.keys).drop_nulls().unique().collect()
        if keys.height > _MOST_KEYS:
            raise InvalidInput(
                f"{predicate.table!r} has {keys.height} keys, and {self.dialect.name} is told at most {_MOST_KEYS}",
                hint="open both tables on one engine",
            )
        theirs = other.schema()
        kinds = [theirs[key] for key in predicate.keys]
        rows = [
            ", ".join(self.dialect.literal(value, kind) for value, kind in zip(row, kinds, strict=True))
            for row in keys.rows()
        ]
        if not rows:
            return f"SELECT * FROM ({self.key_query(predicate.columns, names)}) AS e WHERE 1 = 0"
        return f"SELECT * FROM (VALUES {', '.join(f'({row})' for row in rows)}) AS v({', '.join(names)})"

    def ask_texts(self, session: Session, predicate: Asked, text: str) -> str:
        """A condition on `text` that says what the engine cannot, from the distinct texts of the column."""
        texts_that_hold(predicate, [""])  # what is not a schema is refused before anything is read
        compiler = Compiler(self.dialect, self.schema(), self.source, _no_foreign, _no_texts)
        sql = f"SELECT DISTINCT {text} AS v FROM ({compiler.relation(None)}) AS t WHERE {text} IS NOT NULL"
        held: list[str] = []
        others: list[str] = []
        for batch in session.stream(sql, _BATCH):
            values = [value for (value,) in batch]
            for value, holds in zip(values, texts_that_hold(predicate, values), strict=True):
                (held if holds else others).append(value)
        if len(held) <= len(others):
            return self.one_of(text, held) if held else "1 = 0"
        return f"{text} IS NOT NULL AND ({self.one_of(text, others)}) IS NOT TRUE" if others else f"{text} IS NOT NULL"

    def one_of(self, text: str, values: Sequence[str]) -> str:
        """Whether a text is one of `values`."""
        return f"{text} IN ({', '.join(self.dialect.string(value) for value in values)})"


def _plain(value: Any) -> Any:
    return str(value) if isinstance(value, float) and not math.isfinite(value) else value


def _no_foreign(predicate: InTable) -> str:
    raise InvalidInput(f"{predicate!r} is not asked here")


def _no_texts(predicate: Asked, text: str) -> str:
    raise InvalidInput(f"{predicate!r} is not asked of {text} here")
