"""Predicates as Polars expressions. Every expression is boolean, never null, and as long as the table."""

from __future__ import annotations

import functools
import operator
from collections.abc import Callable, Mapping
from datetime import timedelta
from typing import Any

import polars as pl

from mainspring.engines import predicates as ir
from mainspring.engines.predicates import Predicate
from mainspring.engines.tables_polars_values import (
    Scope,
    column_types,
    members,
    missing_values,
    nullable,
    present,
    text_of,
)
from mainspring.engines.tables_regex import portable
from mainspring.engines.tables_sources import to_lazy
from mainspring.engines.tables_texts import PATTERNS, like_regex, texts_that_hold
from mainspring.engines.tables_types import ColumnType
from mainspring.engines.tables_values import (
    check_number,
    check_ordered,
    check_text,
    comparable,
    is_null,
    json_value,
    known,
    range_of,
)
from mainspring.kernel.errors import InvalidInput

__all__ = [
    "column_types",
    "count_of",
    "expression",
    "has_window",
    "holds",
    "json_value",
    "known",
    "missing_values",
    "narrowed",
    "nullable",
    "present",
    "text_of",
    "to_lazy",
    "within",
]

_RELATIONS: dict[str, Callable[[Any, Any], Any]] = {
    "==": operator.eq, "!=": operator.ne, "<": operator.lt, "<=": operator.le, ">": operator.gt, ">=": operator.ge,
}  # fmt: skip


def holds(predicate: Predicate, scope: Scope) -> pl.Expr:
    """The predicate, true where it holds, false or null where it does not: what a sum or a filter needs."""
    match predicate:
        case ir.Not(inner):
            return ~expression(inner, scope)
        case ir.All(parts) if parts:
            return functools.reduce(operator.and_, (holds(part, scope) for part in parts))
        case ir.AnyOf(parts) if parts:
            return functools.reduce(operator.or_, (holds(part, scope) for part in parts))
    translate = _OF.get(type(predicate))
    if translate is None:
        raise InvalidInput(f"{predicate!r} is not a predicate that a table can answer")
    return translate(predicate, scope)


def expression(predicate: Predicate, scope: Scope) -> pl.Expr:
    """The predicate as a boolean expression that is never null and as long as the table."""
    return holds(predicate, scope).fill_null(value=False)


def count_of(predicate: Predicate, scope: Scope) -> pl.Expr:
    """The number of rows of which a predicate holds.

    Rows that are there but do not hold, which is what checks ask for, are those that are there without those that
    hold: two sums, and no mask of rows is ever combined with another.
    """
    match predicate:
        case ir.Missing(column):
            return nullable(column, scope).null_count()
        case ir.Not(ir.Missing(column)):
            return nullable(column, scope).count()
        case ir.Not(ir.Not(inner)):
            return count_of(inner, scope)
        case ir.All((ir.Not(ir.Missing(column)), ir.Not(inner))) if _is_of_value(inner, column):
            return nullable(column, scope).count() - holds(inner, scope).sum()
    return holds(predicate, scope).sum()


def _is_of_value(predicate: Predicate, column: str) -> bool:
    """Whether the predicate asks of the value of a column alone, and never holds where that is missing."""
    plain = (ir.Between, ir.In, ir.Matches, ir.Like, ir.Length, ir.Parses, ir.FitsJsonSchema)
    return isinstance(predicate, plain) and predicate.column == column


def within(predicate: Predicate, where: Predicate | None, scope: Scope) -> pl.Expr:
    """The predicate, true only within `where`, and seeing only rows within it."""
    found = expression(predicate, scope)
    if where is None:
        return found
    inside = expression(where, scope)
    if has_window(predicate):
        # A window looks at other rows, so it must see only those inside the condition.
        return (inside & found.over(inside)).fill_null(value=False)
    return inside & found


def narrowed(frame: pl.LazyFrame, where: Predicate | None, scope: Scope) -> pl.LazyFrame:
    """The rows of which `where` holds, its parts one after the other."""
    parts: tuple[Predicate, ...] = where.parts if isinstance(where, ir.All) else () if where is None else (where,)
    for part in parts:
        frame = frame.filter(holds(part, scope))
    return frame


def has_window(predicate: Predicate | None) -> bool:
    """Whether the predicate looks at other rows of its table."""
    match predicate:
        case ir.Duplicated() | ir.Ordered():
            return True
        case ir.Not(inner):
            return has_window(inner)
        case ir.All(parts) | ir.AnyOf(parts):
            return any(has_window(part) for part in parts)
    return False


def _missing(predicate: ir.Missing, scope: Scope) -> pl.Expr:
    return missing_values(predicate.column, scope)


def _between(predicate: ir.Between, scope: Scope) -> pl.Expr:
    column, kind = predicate.column, check_ordered(predicate.column, scope)
    if is_null(kind):
        return pl.col(column).is_not_null()
    ends = range_of(
        column, kind, predicate.low, predicate.high,
        strict_low=predicate.strict_low, strict_high=predicate.strict_high,
    )  # fmt: skip
    value = nullable(column, scope)
    if ends.never:
        return pl.col(column).is_null() & False
    if kind.kind == "bool":
        value = value.cast(pl.Int128)
    low, high = (_lit(end, kind) for end in (ends.low, ends.high))
    return _range(value, low, high, strict_low=ends.strict_low, strict_high=ends.strict_high)


def _lit(value: Any, kind: ColumnType) -> Any:
    if isinstance(value, int) and not isinstance(value, bool) and kind.kind in {"integer", "bool"}:
        return pl.lit(value, dtype=pl.Int64 if -(2**63) <= value < 2**63 else pl.Int128)
    return pl.lit(value, dtype=pl.Duration("us")) if isinstance(value, timedelta) else value


def _range(value: pl.Expr, low: Any, high: Any, *, strict_low: bool = False, strict_high: bool = False) -> pl.Expr:
    bounds = []
    if low is not None:
        bounds.append(value > low if strict_low else value >= low)
    if high is not None:
        bounds.append(value < high if strict_high else value <= high)
    # A comparison with null is null, so that the ends alone already tell the missing values.
    return functools.reduce(operator.and_, bounds) if bounds else value.is_not_null()


def _in(predicate: ir.In, scope: Scope) -> pl.Expr:
    allowed = members(predicate.column, predicate.values, scope)
    if allowed.dtype == pl.Int128:
        # Within 64 bits, as sets nearly always are, a set of the column's own size is looked up faster.
        dtype = scope.dtypes[predicate.column]
        fitting = allowed.cast(dtype, strict=False).drop_nulls()
        return pl.col(predicate.column).is_in(pl.lit(fitting).implode())
    return nullable(predicate.column, scope).is_in(pl.lit(allowed).implode())


def _matches(predicate: ir.Matches, scope: Scope) -> pl.Expr:
    pattern = portable(predicate.pattern, "rust") or predicate.pattern
    return text_of(predicate.column, scope).str.contains(pattern)


def _like(predicate: ir.Like, scope: Scope) -> pl.Expr:
    pattern = like_regex(predicate.pattern, predicate.escape)
    return text_of(predicate.column, scope).str.contains(pattern)


def _length(predicate: ir.Length, scope: Scope) -> pl.Expr:
    return _range(text_of(predicate.column, scope).str.len_chars(), predicate.low, predicate.high)


def _parses(predicate: ir.Parses, scope: Scope) -> pl.Expr:
    if predicate.form in PATTERNS and predicate.form != "datetime":
        return text_of(predicate.column, scope).str.contains(PATTERNS[predicate.form])
    return _of_texts(predicate, scope)


def _of_texts(predicate: ir.Parses | ir.FitsJsonSchema, scope: Scope) -> pl.Expr:
    """A question that Polars cannot answer, asked of the distinct texts of each batch."""
    texts_that_hold(predicate, [""])  # what is not a schema is refused before anything is read

    def ask(texts: pl.Series) -> pl.Series:
        distinct = texts.drop_nulls().unique()
        held = distinct.filter(pl.Series(texts_that_hold(predicate, distinct), dtype=pl.Boolean))
        return texts.is_in(held.implode())

    return text_of(predicate.column, scope).map_batches(ask, return_dtype=pl.Boolean, is_elementwise=True)


def _compare(predicate: ir.Compare, scope: Scope) -> pl.Expr:
    comparable((predicate.left, predicate.right), scope)
    if predicate.relation not in {"==", "!="}:
        check_ordered(predicate.left, scope)
        check_ordered(predicate.right, scope)
    found: pl.Expr = _RELATIONS[predicate.relation](nullable(predicate.left, scope), nullable(predicate.right, scope))
    return found


def _in_tuples(predicate: ir.InTuples, scope: Scope) -> pl.Expr:
    kinds = [scope[known(name, scope)] for name in predicate.columns]
    options = []
    for row in predicate.values:
        if len(row) != len(kinds):
            raise InvalidInput(f"{row!r} has not one value for each of {', '.join(predicate.columns)}")
        parts = []
        for name, kind, value in zip(predicate.columns, kinds, row, strict=True):
            wanted = members(name, () if value is None else (value,), scope)
            if value is None:
                parts.append(missing_values(name, scope))
            elif wanted.is_empty():
                parts.append(pl.lit(value=False))
            else:
                parts.append((nullable(name, scope) == _lit(wanted[0], kind)).fill_null(value=False))
        options.append(functools.reduce(operator.and_, parts))
    nothing = pl.col(predicate.columns[0]).is_null() & False
    return functools.reduce(operator.or_, options, nothing)


def _row_sum(predicate: ir.RowSum, scope: Scope) -> pl.Expr:
    kinds = {check_number(name, scope).kind for name in predicate.columns}
    if "float" in kinds:
        total = functools.reduce(operator.add, (nullable(name, scope).cast(pl.Float64) for name in predicate.columns))
        return _range(total, predicate.low, predicate.high)
    whole = "decimal" not in kinds
    columns = [pl.col(name).cast(pl.Int128) if whole else pl.col(name) for name in predicate.columns]
    kind = ColumnType("integer" if whole else "decimal", "sum")
    ends = range_of("sum", kind, predicate.low, predicate.high, strict_low=False, strict_high=False)
    if ends.never:
        return pl.col(predicate.columns[0]).is_null() & False
    return _range(functools.reduce(operator.add, columns), _lit(ends.low, kind), _lit(ends.high, kind))


def _same_in_row(predicate: ir.SameInRow, scope: Scope) -> pl.Expr:
    comparable(predicate.columns, scope)
    first, *others = (nullable(name, scope) for name in predicate.columns)
    same = first.is_null() | first.is_not_null()
    return functools.reduce(operator.and_, (first.eq_missing(other) for other in others), same)


def _distinct_in_row(predicate: ir.DistinctInRow, scope: Scope) -> pl.Expr:
    comparable(predicate.columns, scope)
    values = [nullable(name, scope) for name in predicate.columns]
    pairs = [~left.eq_missing(right) for place, left in enumerate(values) for right in values[:place]]
    return functools.reduce(operator.and_, pairs, values[0].is_null() | values[0].is_not_null())


def _in_table(predicate: ir.InTable, scope: Scope) -> pl.Expr:
    return pl.col(scope.flag(predicate))


def _duplicated(predicate: ir.Duplicated, scope: Scope) -> pl.Expr:
    if not predicate.columns:
        raise InvalidInput("no columns were named of which rows could be duplicates")
    values = [nullable(known(name, scope), scope).alias(name) for name in predicate.columns]
    return (values[0] if len(values) == 1 else pl.struct(*values)).is_duplicated()


def _ordered(predicate: ir.Ordered, scope: Scope) -> pl.Expr:
    check_ordered(predicate.column, scope)
    value = nullable(predicate.column, scope)
    before = value.forward_fill().shift(1)
    relation = {(False, False): ">=", (False, True): ">", (True, False): "<=", (True, True): "<"}
    found: pl.Expr = _RELATIONS[relation[predicate.descending, predicate.strict]](value, before)
    return found.fill_null(value=True) & value.is_not_null()


def _sql(predicate: ir.Sql, scope: Scope) -> pl.Expr:
    from mainspring.engines.tables_polars_sql import condition

    return condition(predicate.text, scope)


def _texts(predicate: ir.FitsJsonSchema, scope: Scope) -> pl.Expr:
    check_text(predicate.column, scope)
    return _of_texts(predicate, scope)


_OF: Mapping[type[Predicate], Callable[[Any, Scope], pl.Expr]] = {
    ir.Missing: _missing, ir.Between: _between, ir.In: _in, ir.Matches: _matches, ir.Like: _like, ir.Length: _length,
    ir.Parses: _parses, ir.FitsJsonSchema: _texts, ir.Compare: _compare, ir.InTuples: _in_tuples, ir.RowSum: _row_sum,
    ir.SameInRow: _same_in_row, ir.DistinctInRow: _distinct_in_row, ir.InTable: _in_table,
    ir.Duplicated: _duplicated, ir.Ordered: _ordered, ir.Sql: _sql,
}  # fmt: skip
