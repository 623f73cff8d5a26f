"""Conditions in SQL as Polars expressions, with SQL's three truths inside and two outside.

Polars has a SQL of its own, but there NaN is greater than all numbers and `1/2` depends on the types;
here a condition means what it means on the other engines.
"""

from __future__ import annotations

import functools
import operator
from collections.abc import Callable, Mapping
from typing import Any

import polars as pl
from sqlglot import exp

from mainspring.engines.tables_conditions import literal_of, parse_condition
from mainspring.engines.tables_polars_values import Scope, nullable
from mainspring.engines.tables_regex import portable
from mainspring.engines.tables_texts import like_regex
from mainspring.kernel.errors import InvalidInput

__all__ = ["condition"]


def condition(text: str, scope: Scope) -> pl.Expr:
    """The condition as a boolean expression that is never null."""
    tree = parse_condition(text, scope)
    holds = _expr(tree, scope).cast(pl.Boolean).fill_null(value=False)
    # A constant condition still says something about each row.
    return holds if tree.find(exp.Column) else holds & (pl.first().is_null() | pl.lit(value=True))


_BINARY: Mapping[type[Any], Callable[[Any, Any], pl.Expr]] = {
    exp.And: operator.and_, exp.Or: operator.or_, exp.EQ: operator.eq, exp.NEQ: operator.ne, exp.LT: operator.lt,
    exp.LTE: operator.le, exp.GT: operator.gt, exp.GTE: operator.ge, exp.Add: operator.add, exp.Sub: operator.sub,
    exp.Mul: operator.mul,
    exp.NullSafeEQ: lambda left, right: left.eq_missing(right),
    exp.NullSafeNEQ: lambda left, right: left.ne_missing(right),
    # The remainder has the sign of the dividend, and by zero it is unknown.
    exp.Mod: lambda left, right: pl.when(right != 0).then(left.sign() * (left.abs() % right.abs())),
    exp.Div: lambda left, right: pl.when(right != 0).then(left.cast(pl.Float64) / right.cast(pl.Float64)),
}  # fmt: skip
_UNARY: Mapping[type[Any], Callable[[pl.Expr], pl.Expr]] = {
    exp.Not: operator.invert, exp.Neg: operator.neg, exp.Paren: lambda value: value, exp.Abs: lambda value: value.abs(),
    exp.Sqrt: lambda value: pl.when(value >= 0).then(value.cast(pl.Float64).sqrt()),
    exp.Ceil: lambda value: value.ceil(), exp.Floor: lambda value: value.floor(),
    exp.Lower: lambda value: value.str.to_lowercase(), exp.Upper: lambda value: value.str.to_uppercase(),
    exp.Length: lambda value: value.str.len_chars(), exp.Year: lambda value: value.dt.year(),
    exp.Month: lambda value: value.dt.month(), exp.Day: lambda value: value.dt.day(),
}  # fmt: skip
_MANY: Mapping[type[Any], Callable[[list[pl.Expr]], pl.Expr]] = {
    exp.Coalesce: pl.coalesce,
    exp.Greatest: pl.max_horizontal,
    exp.Least: pl.min_horizontal,
    exp.Concat: lambda values: pl.concat_str(values, ignore_nulls=True),
}
_TYPES: Mapping[str, Any] = {
    "INT": pl.Int32, "BIGINT": pl.Int64, "SMALLINT": pl.Int16, "DOUBLE": pl.Float64, "FLOAT": pl.Float64,
    "TEXT": pl.String, "VARCHAR": pl.String, "BOOLEAN": pl.Boolean, "DATE": pl.Date, "TIMESTAMP": pl.Datetime("us"),
    "DECIMAL": pl.Decimal(38, 9),
}  # fmt: skip


def _expr(node: Any, scope: Scope) -> pl.Expr:  # noqa: C901, PLR0911, PLR0912 -- one case for each node of the closed set
    of = functools.partial(_expr, scope=scope)
    if type(node) in _BINARY:
        return _BINARY[type(node)](of(node.this), of(node.expression))
    if type(node) in _UNARY:
        return _UNARY[type(node)](of(node.this))
    if type(node) in _MANY:
        parts = [node.this, *node.expressions] if node.this is not None else node.expressions
        return _MANY[type(node)]([of(part) for part in parts])
    match node:
        case exp.Column():
            return nullable(node.name, scope)
        case exp.Literal():
            typed = literal_of(node, scope)
            if typed is not None:
                return pl.lit(typed[0])
            return pl.lit(node.this) if node.is_string else _number(node.this)
        case exp.Boolean():
            return pl.lit(node.this)
        case exp.Null():
            return pl.lit(None)
        case exp.Is():
            return _is(node, scope)
        case exp.In():
            return functools.reduce(operator.or_, (of(node.this) == of(each) for each in node.expressions))
        case exp.Between():
            value = of(node.this)
            return (value >= of(node.args["low"])) & (value <= of(node.args["high"]))
        case exp.Like() | exp.Escape():
            return _like(node, scope)
        case exp.RegexpLike():
            pattern = _text(node.expression)
            return of(node.this).str.contains(portable(pattern, "rust") or pattern)
        case exp.Case() | exp.If():
            return _case(node, scope)
        case exp.Cast():
            return _cast(of(node.this), node, scope)
        case exp.DPipe():
            return of(node.this) + of(node.expression)
        case exp.Nullif():
            value = of(node.this)
            return pl.when((value != of(node.expression)).fill_null(value=True)).then(value)
    return _function(node, scope)


def _function(node: Any, scope: Scope) -> pl.Expr:
    value = _expr(node.this, scope) if not isinstance(node, exp.Extract) else _expr(node.expression, scope)
    match node:
        case exp.Extract():
            part: pl.Expr = getattr(value.dt, node.name.lower())()
            return part
        case exp.Trim():
            removed = node.expression
            characters = _text(removed) if removed is not None else " "
            sides = {"LEADING": value.str.strip_chars_start, "TRAILING": value.str.strip_chars_end}
            return sides.get((node.args.get("position") or "").upper(), value.str.strip_chars)(characters)
        case exp.Substring():
            length = node.args.get("length")
            start = int(node.args["start"].sql())
            if start < 1:
                raise InvalidInput(f"{node.sql()!r} starts before the first character, which is 1")
            return value.str.slice(start - 1, None if length is None else int(length.sql()))
        case exp.Replace():
            return value.str.replace_all(_text(node.expression), _text(node.args["replacement"]), literal=True)
        case exp.StartsWith():
            return value.str.starts_with(_expr(node.expression, scope))
        case exp.EndsWith():
            return value.str.ends_with(_expr(node.expression, scope))
        case exp.Round():
            digits = node.args.get("decimals")
            return value.round(int(digits.sql()) if digits is not None else 0, mode="half_away_from_zero")
    raise InvalidInput(f"{node.sql()!r} is not part of the language of conditions")


def _number(text: str) -> pl.Expr:
    return pl.lit(int(text)) if text.isdigit() else pl.lit(float(text))


def _text(node: Any) -> str:
    if not isinstance(node, exp.Literal) or not node.is_string:
        raise InvalidInput(f"{node.sql()!r} must be a text that is written out")
    return str(node.this)


def _is(node: Any, scope: Scope) -> pl.Expr:
    value = _expr(node.this, scope)
    if isinstance(node.expression, exp.Null):
        return value.is_null()
    return value.eq_missing(_expr(node.expression, scope))


def _like(node: Any, scope: Scope) -> pl.Expr:
    escape = ""
    if isinstance(node, exp.Escape):
        node, escape = node.this, _text(node.expression)
    return _expr(node.this, scope).str.contains(like_regex(_text(node.expression), escape))


def _case(node: Any, scope: Scope) -> pl.Expr:
    branches = node.args.get("ifs") or [node]
    default = node.args.get("default") or node.args.get("false")
    subject = node.this if isinstance(node, exp.Case) else None
    chosen = _expr(default, scope) if default is not None else pl.lit(None)
    for branch in reversed(branches):
        asked = _expr(branch.this, scope)
        asked = asked if subject is None else _expr(subject, scope) == asked
        chosen = pl.when(asked.fill_null(value=False)).then(_expr(branch.args["true"], scope)).otherwise(chosen)
    return chosen


def _cast(value: pl.Expr, node: Any, scope: Scope) -> pl.Expr:
    name = node.to.this.name
    if isinstance(node.this, exp.Literal) and node.this.is_string and name in {"DATE", "TIMESTAMP"}:
        return pl.lit(node.this.this).str.to_date() if name == "DATE" else pl.lit(node.this.this).str.to_datetime()
    if name in {"DATE", "TIMESTAMP"} and isinstance(node.this, exp.Column) and scope[node.this.name].kind == "text":
        return value.str.to_date() if name == "DATE" else value.str.to_datetime(time_unit="us")
    return value.cast(_TYPES[name])
