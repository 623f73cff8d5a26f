"""Conditions of users (`Sql`) for SQL engines: written anew from the tree, so that each engine reads the same."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from sqlglot import exp

from mainspring.engines.tables_conditions import literal_of, parse_condition
from mainspring.engines.tables_sql_dialects import Dialect
from mainspring.engines.tables_texts import like_regex
from mainspring.engines.tables_types import ColumnType
from mainspring.kernel.errors import InvalidInput

__all__ = ["condition_sql"]

_BINARY: Mapping[type[Any], str] = {
    exp.And: "AND", exp.Or: "OR", exp.EQ: "=", exp.NEQ: "<>", exp.LT: "<", exp.LTE: "<=", exp.GT: ">", exp.GTE: ">=",
    exp.Add: "+", exp.Sub: "-", exp.Mul: "*", exp.DPipe: "||", exp.NullSafeEQ: "IS NOT DISTINCT FROM",
    exp.NullSafeNEQ: "IS DISTINCT FROM",
}  # fmt: skip
_CALLS: Mapping[type[Any], str] = {
    exp.Abs: "ABS", exp.Ceil: "CEIL", exp.Floor: "FLOOR", exp.Coalesce: "COALESCE", exp.Nullif: "NULLIF",
    exp.Greatest: "GREATEST", exp.Least: "LEAST",
}  # fmt: skip


def condition_sql(text: str, schema: Mapping[str, ColumnType], dialect: Dialect, column: Callable[[str], str]) -> str:
    """The condition in the engine's SQL; `column` says how a column is referred to."""
    return _Writer(schema, dialect, column).write(parse_condition(text, schema))


class _Writer:
    def __init__(self, schema: Mapping[str, ColumnType], dialect: Dialect, column: Callable[[str], str]) -> None:
        self.schema = schema
        self.dialect = dialect
        self.column = column

    def write(self, node: Any) -> str:  # noqa: C901, PLR0911, PLR0912 -- one case for each node of the closed set
        of = self.write
        if type(node) in _BINARY:
            return f"({of(node.this)} {_BINARY[type(node)]} {of(node.expression)})"
        if type(node) in _CALLS:
            parts = [node.this, *([node.expression] if isinstance(node, exp.Nullif) else node.expressions)]
            return f"{_CALLS[type(node)]}({', '.join(map(of, parts))})"
        match node:
            case exp.Column():
                return self.column(node.name)
            case exp.Literal():
                typed = literal_of(node, self.schema)
                if typed is not None:
                    return self.dialect.literal(*typed)
                if node.is_string:
                    return self.dialect.string(node.this)
                return str(node.this) if node.this.isdigit() else self.dialect.real(float(node.this))
            case exp.Boolean():
                return "TRUE" if node.this else "FALSE"
            case exp.Null():
                return "NULL"
            case exp.Paren():
                return f"({of(node.this)})"
            case exp.Not():
                return f"(NOT {of(node.this)})"
            case exp.Neg():
                return f"(- {of(node.this)})"
            case exp.Is():
                if isinstance(node.expression, exp.Null):
                    return f"({of(node.this)} IS NULL)"
                return f"({of(node.this)} IS NOT DISTINCT FROM {of(node.expression)})"
            case exp.In():
                return f"({of(node.this)} IN ({', '.join(map(of, node.expressions))}))"
            case exp.Between():
                return f"({of(node.this)} BETWEEN {of(node.args['low'])} AND {of(node.args['high'])})"
            case exp.Mod():
                return f"MOD({of(node.this)}, NULLIF({of(node.expression)}, 0))"
            case exp.Div():
                number = self.dialect.number
                return f"({number(of(node.this))} / NULLIF({number(of(node.expression))}, 0))"
            case exp.Case() | exp.If():
                return self._case(node)
            case exp.Cast():
                return self._cast(node)
        return self._function(node)

    def _function(self, node: Any) -> str:  # noqa: C901, PLR0911 -- one case for each function of the closed set
        of, dialect = self.write, self.dialect
        match node:
            case exp.Like() | exp.Escape():
                return self._like(node)
            case exp.RegexpLike():
                said = dialect.matches(of(node.this), _text(node.expression))
                if said is None:
                    raise InvalidInput(
                        f"{_text(node.expression)!r} is a regular expression that {dialect.name} would read otherwise",
                        hint="ask for it outside the condition, with Matches",
                    )
                return said
            case exp.Sqrt():
                value = dialect.number(of(node.this))
                return f"CASE WHEN {value} >= 0 THEN SQRT({value}) END"
            case exp.Lower() | exp.Upper():
                return dialect.upper(of(node.this), type(node).__name__.upper())
            case exp.Length():
                return dialect.length(of(node.this))
            case exp.Year() | exp.Month() | exp.Day():
                return f"EXTRACT({type(node).__name__.upper()} FROM {of(node.this)})"
            case exp.Extract():
                return f"EXTRACT({node.name.upper()} FROM {of(node.expression)})"
            case exp.Trim():
                side = (node.args.get("position") or "BOTH").upper()
                removed = dialect.string(_text(node.expression) if node.expression is not None else " ")
                return f"TRIM({side} {removed} FROM {of(node.this)})"
            case exp.Substring():
                length = node.args.get("length")
                parts = [of(node.this), str(_start(node)), *([] if length is None else [str(int(length.sql()))])]
                return f"SUBSTRING({', '.join(parts)})"
            case exp.Replace():
                old, new = _text(node.expression), _text(node.args["replacement"])
                return f"REPLACE({of(node.this)}, {dialect.string(old)}, {dialect.string(new)})"
            case exp.StartsWith() | exp.EndsWith():
                side = "LEFT" if isinstance(node, exp.StartsWith) else "RIGHT"
                value, part = of(node.this), of(node.expression)
                return f"({side}({value}, {dialect.length(part)}) = {part})"
            case exp.Round():
                digits = node.args.get("decimals")
                return dialect.rounded(of(node.this), int(digits.sql()) if digits is not None else 0)
            case exp.Concat():
                joined = " || ".join(f"COALESCE({of(part)}, '')" for part in node.expressions)
                return f"({joined})"
        raise InvalidInput(f"{node.sql()!r} is not part of the language of conditions")

    def _case(self, node: Any) -> str:
        subject = node.this if isinstance(node, exp.Case) else None
        parts = ["CASE", *([self.write(subject)] if subject is not None else [])]
        branches = node.args.get("ifs") or [node]
        parts += [f"WHEN {self.write(each.this)} THEN {self.write(each.args['true'])}" for each in branches]
        default = node.args.get("default") or node.args.get("false")
        if default is not None:
            parts.append(f"ELSE {self.write(default)}")
        return " ".join([*parts, "END"])

    def _cast(self, node: Any) -> str:
        name = node.to.this.name
        types = {
            "DOUBLE": self.dialect.double, "FLOAT": self.dialect.double, "TEXT": self.dialect.text,
            "VARCHAR": self.dialect.text, "TIMESTAMP": self.dialect.naive_timestamp, "DECIMAL": "DECIMAL(38, 9)",
        }  # fmt: skip
        value = self.write(node.this)
        fraction = isinstance(node.this, exp.Column) and self.schema[node.this.name].kind in {"float", "decimal"}
        if name in {"INT", "BIGINT", "SMALLINT"} and fraction:
            value = f"CASE WHEN {value} < 0 THEN CEIL({value}) ELSE FLOOR({value}) END"  # towards zero, everywhere
        return f"CAST({value} AS {types.get(name, name)})"

    def _like(self, node: Any) -> str:
        escape = ""
        if isinstance(node, exp.Escape):
            node, escape = node.this, _text(node.expression)
        pattern = _text(node.expression)
        like_regex(pattern, escape)
        return f"({self.dialect.like(self.write(node.this), pattern, escape)})"


def _text(node: Any) -> str:
    if not isinstance(node, exp.Literal) or not node.is_string:
        raise InvalidInput(f"{node.sql()!r} must be a text that is written out")
    return str(node.this)


def _start(node: Any) -> int:
    start = int(node.args["start"].sql())
    if start < 1:
        raise InvalidInput(f"{node.sql()!r} starts before the first character, which is 1")
    return start
