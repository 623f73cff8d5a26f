"""Row conditions of Great Expectations as conditions in SQL, and back.

They come in four forms: the objects `Column("x") > 3` as JSON, texts for `pandas` (the language of `DataFrame.query`)
and `great_expectations` (`col("x") > 3`), which are both expressions of Python, and texts for `spark`, which are SQL.
The first three mean what pandas makes of them: a comparison with a missing value is false, but `!=` and `not in` are
true.
"""

from __future__ import annotations

import ast
import io
import re
import tokenize
from collections.abc import Mapping, Sequence
from typing import Any

from mainspring.kernel.errors import InvalidInput

__all__ = ["condition_to_gx", "condition_to_sql"]

_SQL = {"==": "=", "!=": "<>", "<": "<", "<=": "<=", ">": ">", ">=": ">="}
_COMPARES: dict[type[ast.cmpop], str] = {
    ast.Eq: "==", ast.NotEq: "!=", ast.Lt: "<", ast.LtE: "<=", ast.Gt: ">", ast.GtE: ">=",
}  # fmt: skip
_ARITHMETIC: dict[type[ast.operator], str] = {
    ast.Add: "+", ast.Sub: "-", ast.Mult: "*", ast.Div: "/", ast.Mod: "%",
}  # fmt: skip
_LOGIC = {"&": "and", "|": "or", "~": "not"}
_TICKS = re.compile(r"""'(?:[^']|'')*'|`([^`]+)`""")
"""Texts, which stay as they are, and names as Spark quotes them."""
_TICKED = "mainspring_ticked_"


def condition_to_sql(condition: str | Mapping[str, Any], parser: str = "") -> str:
    """A row condition as SQL.

    Raises:
        InvalidInput: When it is none, or calls what has no counterpart in SQL.

    Example:
        >>> condition_to_sql("n > 3 and kind != 4", "pandas")
        '"n" > 3 AND COALESCE("kind" <> 4, TRUE)'
        >>> condition_to_sql({"type": "nullity", "column": {"name": "s"}, "is_null": True})
        '"s" IS NULL'
    """
    if isinstance(condition, Mapping):
        return _object(condition)
    if parser == "spark":
        return _TICKS.sub(lambda found: found.group() if found.group(1) is None else _name(found.group(1)), condition)
    return _Python(condition).sql


def condition_to_gx(condition: str) -> dict[str, Any]:
    """What Great Expectations is told of a condition in SQL: `row_condition`, and its parser if it has one.

    Comparisons with values, IN, IS NULL, AND and one OR on the outside become the objects that every engine there
    reads; anything else stays SQL, which only Spark and databases read.
    """
    import sqlglot

    try:
        found = _from_sql(sqlglot.parse_one(condition))
    except (sqlglot.errors.SqlglotError, _Other):
        return {"row_condition": condition, "condition_parser": "spark"}
    return {"row_condition": found}


class _Other(Exception):
    """The condition is none that the objects can say."""


def _object(condition: Mapping[str, Any]) -> str:
    match condition:
        case {"type": "nullity", "column": {"name": str(name)}, "is_null": bool(null)}:
            return f"{_name(name)} IS {'' if null else 'NOT '}NULL"
        case {"type": "comparison", "column": {"name": str(name)}, "operator": str(operator), "parameter": value}:
            return _compared(name, operator, value)
        case {"type": "and" | "or" as logic, "conditions": list(parts)} if parts:
            return f" {logic.upper()} ".join(f"({_object(part)})" for part in parts)
        case {"type": "pass_through", "pass_through_filter": str(text)}:
            return _Python(text).sql
    raise InvalidInput(f"{dict(condition)!r} is no row condition of Great Expectations")


def _compared(name: str, operator: str, value: Any) -> str:
    if operator in _SQL:
        plain = f"{_name(name)} {_SQL[operator]} {_literal(value)}"
    elif operator in {"IN", "NOT_IN"}:
        if not value:
            return "FALSE" if operator == "IN" else "TRUE"
        plain = f"{_name(name)} {operator.replace('_', ' ')} ({', '.join(_literal(each) for each in value)})"
    else:
        raise InvalidInput(f"{operator!r} is no operator of a row condition", known=[*_SQL, "IN", "NOT_IN"])
    return f"COALESCE({plain}, TRUE)" if operator in {"!=", "NOT_IN"} else plain


def _name(name: str) -> str:
    escaped = name.replace('"', '""')
    return f'"{escaped}"'


def _literal(value: Any) -> str:
    if isinstance(value, bool):
        return "TRUE" if value else "FALSE"
    if isinstance(value, int | float):
        return repr(value)
    if isinstance(value, str):
        return "'" + value.replace("'", "''") + "'"
    raise InvalidInput(f"{value!r} cannot be compared with in a row condition")


class _Python:
    """An expression of Python, as pandas reads it: `&`, `|` and `~` bind as `and`, `or` and `not` do."""

    def __init__(self, text: str) -> None:
        self.text = text
        ticked: list[str] = []

        def hide(found: re.Match[str]) -> str:
            ticked.append(found.group(1))
            return f"{_TICKED}{len(ticked) - 1}"

        self._ticked = ticked
        plain = re.sub(r"`([^`]+)`", hide, text)
        try:
            tokens = tokenize.generate_tokens(io.StringIO(plain).readline)
            words = [
                (tokenize.NAME, _LOGIC[each.string]) if each.string in _LOGIC else (each.type, each.string)
                for each in tokens
            ]
            tree = ast.parse(tokenize.untokenize(words).strip(), mode="eval").body
        except (SyntaxError, tokenize.TokenError, RecursionError, ValueError):
            raise self._refused() from None
        self.sql = self._write(tree)

    def _refused(self, part: ast.AST | None = None) -> InvalidInput:
        what = "" if part is None else f": {ast.unparse(part)!r} has no counterpart in SQL"
        return InvalidInput(f"{self.text!r} is no row condition{what}")

    def _write(self, node: ast.AST) -> str:
        match node:
            case ast.BoolOp(op, values):
                word = " AND " if isinstance(op, ast.And) else " OR "
                return word.join(f"({self._write(v)})" if isinstance(v, ast.BoolOp) else self._write(v) for v in values)
            case ast.UnaryOp(ast.Not(), inner):
                return f"NOT COALESCE({self._write(inner)}, FALSE)"
            case ast.UnaryOp(ast.USub(), inner):
                return f"-{self._write(inner)}"
            case ast.Compare(left, operators, others):
                sides = [left, *others]
                pairs = zip(sides[:-1], operators, sides[1:], strict=True)
                return " AND ".join(self._compare(a, operator, b) for a, operator, b in pairs)
            case ast.BinOp(left, operator, right) if type(operator) in _ARITHMETIC:
                return f"({self._write(left)} {_ARITHMETIC[type(operator)]} {self._write(right)})"
            case ast.Constant(value):
                return _literal(value)
            case ast.Name(name):
                return _name(self._ticked[int(name.removeprefix(_TICKED))] if name.startswith(_TICKED) else name)
            case ast.Call():
                return self._call(node)
        raise self._refused(node)

    def _compare(self, left: ast.expr, operator: ast.cmpop, right: ast.expr) -> str:
        if isinstance(operator, ast.In | ast.NotIn):
            if not isinstance(right, ast.List | ast.Tuple | ast.Set):
                raise self._refused(right)
            negated = isinstance(operator, ast.NotIn)
            if not right.elts:
                return "TRUE" if negated else "FALSE"
            members = ", ".join(self._write(each) for each in right.elts)
            plain = f"{self._write(left)} {'NOT ' if negated else ''}IN ({members})"
            return f"COALESCE({plain}, TRUE)" if negated else plain
        if type(operator) not in _COMPARES:
            raise self._refused(left)
        written = _COMPARES[type(operator)]
        plain = f"{self._write(left)} {_SQL[written]} {self._write(right)}"
        return f"COALESCE({plain}, TRUE)" if written == "!=" else plain

    def _call(self, node: ast.Call) -> str:
        match node:
            case ast.Call(ast.Name("col"), [ast.Constant(str(name))]):
                return _name(name)
            case ast.Call(ast.Name("date" | "datetime"), [ast.Constant(str(moment))]):
                return f"CAST({_literal(moment)} AS TIMESTAMP)"
            case ast.Call(ast.Attribute(value, "notNull" | "notnull" | "notna"), []):
                return f"{self._write(value)} IS NOT NULL"
            case ast.Call(ast.Attribute(value, "isNull" | "isnull" | "isna"), []):
                return f"{self._write(value)} IS NULL"
            case ast.Call(ast.Attribute(value, "isin"), [ast.List() | ast.Tuple() | ast.Set() as members]):
                return self._compare(value, ast.In(), members)
            case ast.Call(ast.Attribute(value, "between"), [low, high]):
                return f"{self._write(value)} BETWEEN {self._write(low)} AND {self._write(high)}"
            case ast.Call(ast.Attribute(ast.Attribute(value, "str"), method), [ast.Constant(str(text))]):
                if method in {"startswith", "endswith"}:
                    function = "STARTS_WITH" if method == "startswith" else "ENDS_WITH"
                    return f"{function}({self._write(value)}, {_literal(text)})"
                if method == "contains":
                    return f"REGEXP_LIKE({self._write(value)}, {_literal(text)})"
        raise self._refused(node)


def _from_sql(node: Any, *, inside: str = "") -> dict[str, Any]:
    from sqlglot import exp

    operators = {exp.EQ: "==", exp.NEQ: "!=", exp.LT: "<", exp.LTE: "<=", exp.GT: ">", exp.GTE: ">="}
    if isinstance(node, exp.Paren):
        return _from_sql(node.this, inside=inside)
    if isinstance(node, exp.And | exp.Or):
        logic = "and" if isinstance(node, exp.And) else "or"
        if logic == "or" and inside in {"and", "or-in-and"}:
            raise _Other
        parts = [_from_sql(each, inside=logic) for each in _flat(node, type(node))]
        return {"type": logic, "conditions": parts}
    if isinstance(node, exp.Coalesce) and isinstance(node.this, exp.NEQ):
        return _from_sql(node.this)
    if isinstance(node, exp.Coalesce) and isinstance(node.this, exp.Not):
        return _from_sql(node.this)
    if isinstance(node, exp.Is) and isinstance(node.expression, exp.Null):
        return {"type": "nullity", "column": _column(node.this), "is_null": True}
    if isinstance(node, exp.Not) and isinstance(node.this, exp.Is) and isinstance(node.this.expression, exp.Null):
        return {"type": "nullity", "column": _column(node.this.this), "is_null": False}
    negated = isinstance(node, exp.Not)
    inner = node.this if negated else node
    if isinstance(inner, exp.In):
        values = [_value(each) for each in inner.expressions]
        return _comparison(inner.this, "NOT_IN" if negated else "IN", values)
    if type(node) in operators:
        return _comparison(node.this, operators[type(node)], _value(node.expression))
    raise _Other


def _flat(node: Any, kind: type) -> Sequence[Any]:
    left, right = ([_unnested(each)] for each in (node.this, node.expression))
    return [part for side in (*left, *right) for part in (_flat(side, kind) if isinstance(side, kind) else [side])]


def _unnested(node: Any) -> Any:
    from sqlglot import exp

    while isinstance(node, exp.Paren):
        node = node.this
    return node


def _column(node: Any) -> dict[str, str]:
    from sqlglot import exp

    if not isinstance(node, exp.Column):
        raise _Other
    return {"name": node.name}


def _comparison(column: Any, operator: str, value: Any) -> dict[str, Any]:
    return {"type": "comparison", "column": _column(column), "operator": operator, "parameter": value}


def _value(node: Any) -> Any:
    from sqlglot import exp

    if isinstance(node, exp.Boolean):
        return node.this
    if isinstance(node, exp.Neg):
        return -_value(node.this)
    if not isinstance(node, exp.Literal):
        raise _Other
    if node.is_string:
        return node.this
    return float(node.this) if any(mark in node.this.lower() for mark in ".e") else int(node.this)
