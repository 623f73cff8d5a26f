"""Predicates as SQL, and the relation in which they are asked.

A predicate in SQL holds where it is true; where it is false *or unknown* it does not, so that nothing has to be
made two-valued but what stands below a `Not`. What a predicate needs beyond its row (a window, another table,
texts that were looked at in Python) is a column of the relation.
"""

# ruff: noqa: S608 -- SQL is what this module writes: identifiers and literals are quoted by the dialect
from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import combinations
from typing import Any

from mainspring.engines import predicates as ir
from mainspring.engines.predicates import Predicate
from mainspring.engines.tables_sql_dialects import Dialect
from mainspring.engines.tables_texts import PATTERNS, like_regex
from mainspring.engines.tables_types import ColumnType
from mainspring.engines.tables_values import (
    check_number,
    check_ordered,
    check_text,
    comparable,
    is_null,
    known,
    member,
    range_of,
    within_bits,
)
from mainspring.kernel.errors import InvalidInput

__all__ = ["ROW", "Asked", "Compiler", "leaves"]

Asked = ir.Parses | ir.FitsJsonSchema | ir.Matches
"""Predicates that an engine may not be able to answer of a text."""

_RELATIONS = {"==": "=", "!=": "<>", "<": "<", "<=": "<=", ">": ">", ">=": ">="}
ROW = "__row__"


def leaves(predicate: Predicate | None) -> list[Predicate]:
    """The predicates that a predicate is made of."""
    match predicate:
        case None:
            return []
        case ir.Not(inner):
            return leaves(inner)
        case ir.All(parts) | ir.AnyOf(parts):
            return [leaf for part in parts for leaf in leaves(part)]
    return [predicate]


class Compiler:
    """SQL over one table.

    Args:
        dialect: The engine's.
        schema: The columns.
        source: What stands after FROM.
        foreign: The SELECT of the distinct keys of another table, as columns `k0`, `k1`, ...
        texts: The SQL that says of a text whether a predicate holds which the engine cannot answer itself.
    """

    def __init__(
        self,
        dialect: Dialect,
        schema: Mapping[str, ColumnType],
        source: str,
        foreign: Callable[[ir.InTable], str],
        texts: Callable[[Asked, str], str],
    ) -> None:
        self.dialect = dialect
        self.schema = schema
        self.source = source
        self.foreign = foreign
        self.texts = texts
        self.derived: dict[Predicate, str] = {}
        self.windows = 0
        self._writers: Mapping[type[Predicate], Callable[[Any], str]] = {
            ir.Missing: self._missing, ir.Between: self._between, ir.In: self._in, ir.Matches: self._matches,
            ir.Like: self._like, ir.Length: self._length, ir.Parses: self._parses, ir.FitsJsonSchema: self._fits,
            ir.Compare: self._compare, ir.InTuples: self._in_tuples, ir.RowSum: self._row_sum,
            ir.SameInRow: self._same_in_row, ir.DistinctInRow: self._distinct_in_row, ir.InTable: self._in_table,
            ir.Duplicated: self._duplicated, ir.Ordered: self._ordered, ir.Sql: self._sql,
        }  # fmt: skip
        self.names = {name: f"__v{place}__" for place, name in enumerate(schema)}
        self.plain = {
            name for name, kind in schema.items() if dialect.value(dialect.quote(name), kind) is None
        }  # fmt: skip

    # -- the relation

    def relation(
        self, where: Predicate | None, predicates: Iterable[Predicate | None] = (), *, row: bool = False
    ) -> str:
        """A SELECT of the rows of which `where` holds, with every column that `predicates` need."""
        parts: tuple[Predicate, ...] = where.parts if isinstance(where, ir.All) else () if where is None else (where,)
        wanted = [each for each in predicates if each is not None]
        everything = [leaf for each in (*parts, *wanted) for leaf in leaves(each)]
        sql = self._base(everything, row=row or any(isinstance(leaf, ir.Ordered) for leaf in everything))
        for part in parts:
            sql = f"SELECT * FROM ({self._windowed(sql, leaves(part))}) AS t WHERE {self.holds(part)}"
        return self._windowed(sql, [leaf for each in wanted for leaf in leaves(each)])

    def _base(self, everything: Sequence[Predicate], *, row: bool) -> str:
        quote = self.dialect.quote
        columns = ["s.*"]
        for name, kind in self.schema.items():
            value = self.dialect.value(f"s.{quote(name)}", kind)
            if value is not None:
                columns.append(f"{value} AS {quote(self.names[name])}")
        if row:
            columns.append(f"{self.dialect.row_number} AS {quote(ROW)}")
        sql = f"SELECT {', '.join(columns)} FROM {self.source} AS s"
        for place, leaf in enumerate(dict.fromkeys(each for each in everything if isinstance(each, ir.InTable))):
            sql = self._joined(sql, leaf, f"__in{place}__")
        return sql

    def _joined(self, sql: str, leaf: ir.InTable, flag: str) -> str:
        quote = self.dialect.quote
        if not leaf.columns or len(leaf.columns) != len(leaf.keys):
            raise InvalidInput(f"{leaf!r} needs as many keys as columns")
        self.derived[leaf] = quote(flag)
        keys = self.foreign(leaf)
        pairs = " AND ".join(f"{self.at('t', name)} = k.k{place}" for place, name in enumerate(leaf.columns))
        return (
            f"SELECT t.*, (k.found IS NOT NULL) AS {quote(flag)} FROM ({sql}) AS t "
            f"LEFT JOIN (SELECT DISTINCT *, 1 AS found FROM ({keys}) AS d) AS k ON {pairs}"
        )

    def marked(self, reasons: Iterable[tuple[Predicate, Predicate | None]]) -> tuple[str, list[str]]:
        """A SELECT of all rows, and for each reason the condition on it: the first holds, within the second."""
        reasons = list(reasons)
        everything = [leaf for pair in reasons for each in pair for leaf in leaves(each)]
        sql = self._base(everything, row=any(isinstance(leaf, ir.Ordered) for leaf in everything))
        conditions = []
        for predicate, where in reasons:
            inside = None
            if where is not None:
                sql = self._windowed(sql, leaves(where))
                inside = self.holds(where)
            sql = self._windowed(sql, leaves(predicate), inside)
            holds = self.holds(predicate)
            conditions.append(holds if inside is None else f"({inside} AND {holds})")
        return sql, conditions

    def _windowed(self, sql: str, asked: Sequence[Predicate], inside: str | None = None) -> str:
        """The relation with the windows that predicates look through, over its rows or those `inside` a condition."""
        columns = []
        for leaf in dict.fromkeys(asked):
            if isinstance(leaf, ir.Duplicated):
                if not leaf.columns:
                    raise InvalidInput("no columns were named of which rows could be duplicates")
                over = f"PARTITION BY {', '.join(self.column(name) for name in leaf.columns)}"
                only = "" if inside is None else f" FILTER (WHERE {inside})"
                window = f"COUNT(*){only} OVER ({over})"
            elif isinstance(leaf, ir.Ordered):
                window = self._before(leaf, inside)
            else:
                continue
            self.windows += 1
            name = self.dialect.quote(f"__w{self.windows}__")
            self.derived[leaf] = name
            columns.append(f"{window} AS {name}")
        return f"SELECT *, {', '.join(columns)} FROM ({sql}) AS t" if columns else sql

    def _before(self, leaf: ir.Ordered, inside: str | None) -> str:
        check_ordered(leaf.column, self.schema)
        if not self.dialect.ordered:
            raise InvalidInput(
                f"rows of {self.dialect.name} have no order, so that {leaf.column!r} cannot be said to rise or fall",
                hint="compare it with a column that numbers the rows, or read the table from a file",
            )
        rows = f"ORDER BY {self.dialect.quote(ROW)} ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING"
        value = self.column(leaf.column)
        seen = value if inside is None else f"CASE WHEN {inside} THEN {value} END"
        return f"LAST_VALUE({seen} IGNORE NULLS) OVER ({rows})"

    # -- columns

    def column(self, name: str) -> str:
        """How the relation calls the column in the type in which it is compared, missing values null."""
        known(name, self.schema)
        return self.dialect.quote(name if name in self.plain else self.names[name])

    def at(self, alias: str, name: str) -> str:
        """The column of one of several relations."""
        return f"{alias}.{self.column(name)}"

    def raw(self, name: str) -> str:
        """The column as it is."""
        return self.dialect.quote(known(name, self.schema))

    # -- predicates

    def holds(self, predicate: Predicate) -> str:
        """The predicate, true where it holds, false or unknown where it does not."""
        match predicate:
            case ir.Not(ir.Missing(column)):
                return f"({self.column(column)} IS NOT NULL)"
            case ir.Not(inner):
                return f"({self.holds(inner)} IS NOT TRUE)"
            case ir.All(parts) if parts:
                return f"({' AND '.join(self.holds(part) for part in parts)})"
            case ir.AnyOf(parts) if parts:
                return f"({' OR '.join(self.holds(part) for part in parts)})"
        write: Callable[[Any], str] | None = self._writers.get(type(predicate))
        if write is None:
            raise InvalidInput(f"{predicate!r} is not a predicate that a table can answer")
        return f"({write(predicate)})"

    def _missing(self, predicate: ir.Missing) -> str:
        return f"{self.column(predicate.column)} IS NULL"

    def _between(self, predicate: ir.Between) -> str:
        column, kind = predicate.column, check_ordered(predicate.column, self.schema)
        if is_null(kind):
            return "1 = 0"
        ends = range_of(
            column, kind, predicate.low, predicate.high,
            strict_low=predicate.strict_low, strict_high=predicate.strict_high,
        )  # fmt: skip
        if kind.kind == "integer":
            ends = within_bits(ends, self.dialect.bits)
        if ends.never:
            return "1 = 0"
        value = f"CAST({self.column(column)} AS INT)" if kind.kind == "bool" else self.column(column)
        low, high = (None if end is None else self.dialect.literal(end, kind) for end in (ends.low, ends.high))
        return _range(value, low, high, strict_low=ends.strict_low, strict_high=ends.strict_high)

    def _in(self, predicate: ir.In) -> str:
        column, kind = predicate.column, self.schema[known(predicate.column, self.schema)]
        values = [found for each in predicate.values if (found := member(each, column, kind)) is not None]
        if not values or is_null(kind):
            return "1 = 0"
        return f"{self.column(column)} IN ({', '.join(self.dialect.literal(value, kind) for value in values)})"

    def _text(self, column: str) -> str:
        kind = check_text(column, self.schema)
        return f"CAST({self.raw(column)} AS {self.dialect.text})" if is_null(kind) else self.column(column)

    def _matches(self, predicate: ir.Matches) -> str:
        text = self._text(predicate.column)
        return self.dialect.matches(text, predicate.pattern) or self.texts(predicate, text)

    def _like(self, predicate: ir.Like) -> str:
        like_regex(predicate.pattern, predicate.escape)  # what is no pattern is refused everywhere alike
        return self.dialect.like(self._text(predicate.column), predicate.pattern, predicate.escape)

    def _length(self, predicate: ir.Length) -> str:
        low, high = (None if end is None else str(int(end)) for end in (predicate.low, predicate.high))
        return _range(self.dialect.length(self._text(predicate.column)), low, high)

    def _parses(self, predicate: ir.Parses) -> str:
        text = self._text(predicate.column)
        if predicate.form in PATTERNS and predicate.form != "datetime":
            said = self.dialect.matches(text, PATTERNS[predicate.form])
            if said is not None:
                return said
        return self.texts(predicate, text)

    def _fits(self, predicate: ir.FitsJsonSchema) -> str:
        return self.texts(predicate, self._text(predicate.column))

    def _compare(self, predicate: ir.Compare) -> str:
        comparable((predicate.left, predicate.right), self.schema)
        if predicate.relation not in {"==", "!="}:
            check_ordered(predicate.left, self.schema)
            check_ordered(predicate.right, self.schema)
        return f"{self.column(predicate.left)} {_RELATIONS[predicate.relation]} {self.column(predicate.right)}"

    def _in_tuples(self, predicate: ir.InTuples) -> str:
        options = []
        for row in predicate.values:
            if len(row) != len(predicate.columns):
                raise InvalidInput(f"{row!r} has not one value for each of {', '.join(predicate.columns)}")
            parts = []
            for name, value in zip(predicate.columns, row, strict=True):
                parts.append(self._missing(ir.Missing(name)) if value is None else self._in(ir.In(name, (value,))))
            options.append(f"({' AND '.join(parts)})")
        return " OR ".join(options) or "1 = 0"

    def _row_sum(self, predicate: ir.RowSum) -> str:
        kinds = {check_number(name, self.schema).kind for name in predicate.columns}
        columns = [self.column(name) for name in predicate.columns]
        if "float" in kinds:
            kind = ColumnType("float", "sum")
            columns = [self.dialect.number(column) for column in columns]
        elif "decimal" in kinds:
            kind = ColumnType("decimal", "sum")
        else:
            kind = ColumnType("integer", "sum")
            columns = [f"CAST({column} AS {self.dialect.whole})" for column in columns]
        ends = range_of("sum", kind, predicate.low, predicate.high, strict_low=False, strict_high=False)
        if ends.never:
            return "1 = 0"
        low, high = (None if end is None else self.dialect.literal(end, kind) for end in (ends.low, ends.high))
        return _range(f"({' + '.join(columns)})", low, high)

    def _same_in_row(self, predicate: ir.SameInRow) -> str:
        comparable(predicate.columns, self.schema)
        first, *others = (self.column(name) for name in predicate.columns)
        return " AND ".join(f"{first} IS NOT DISTINCT FROM {other}" for other in others) or "1 = 1"

    def _distinct_in_row(self, predicate: ir.DistinctInRow) -> str:
        comparable(predicate.columns, self.schema)
        pairs = combinations([self.column(name) for name in predicate.columns], 2)
        return " AND ".join(f"{left} IS DISTINCT FROM {right}" for left, right in pairs) or "1 = 1"

    def _in_table(self, predicate: ir.InTable) -> str:
        return self.derived[predicate]

    def _duplicated(self, predicate: ir.Duplicated) -> str:
        return f"{self.derived[predicate]} > 1"

    def _ordered(self, predicate: ir.Ordered) -> str:
        value, before = self.column(predicate.column), self.derived[predicate]
        relation = {(False, False): ">=", (False, True): ">", (True, False): "<=", (True, True): "<"}
        sign = relation[predicate.descending, predicate.strict]
        return f"{value} IS NOT NULL AND (({value} {sign} {before}) IS NOT FALSE)"

    def _sql(self, predicate: ir.Sql) -> str:
        from mainspring.engines.tables_sql_conditions import condition_sql

        return condition_sql(predicate.text, self.schema, self.dialect, self.column)


def _range(
    value: str, low: str | None, high: str | None, *, strict_low: bool = False, strict_high: bool = False
) -> str:
    bounds = []
    if low is not None:
        bounds.append(f"{value} {'>' if strict_low else '>='} {low}")
    if high is not None:
        bounds.append(f"{value} {'<' if strict_high else '<='} {high}")
    return " AND ".join(bounds) or f"{value} IS NOT NULL"
