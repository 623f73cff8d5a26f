"""What a filter says, as a tree, and the tree as text again.

The tree is what the compiler (`query_sql`) takes: our language (`query_language`) makes it, and so may another grammar
that says less, such as MLflow's.
"""

from __future__ import annotations

import re
from typing import Literal

import msgspec

__all__ = [
    "Among",
    "And",
    "Between",
    "Compare",
    "Field",
    "Missing",
    "Node",
    "Not",
    "Now",
    "Operator",
    "Or",
    "Order",
    "Span",
    "Special",
    "Value",
    "names_in",
    "text_of",
]

Operator = Literal["=", "!=", "<", "<=", ">", ">=", "LIKE", "ILIKE", "CONTAINS", "=~"]
Part = Literal["last", "min", "max", "count", "step"]

_PLAIN = re.compile(r"[\w/.:\-]*[\w/:]")
_PREFIX = {"metric": "metrics", "param": "params", "tag": "tags"}


class Field(msgspec.Struct, frozen=True):
    """What is compared: a metric, a parameter, a tag, or something that every run has."""

    space: Literal["metric", "param", "tag", "attribute"]
    name: str
    part: Part = "last"
    """Of a metric: its latest value, the least or greatest, how many points, or the step of the latest."""
    at: int | None = None
    """Of a metric: its value at this step, in place of `part`."""


class Now(msgspec.Struct, frozen=True, tag=True):
    """The moment of the question, and so many seconds later or (negative) earlier."""

    seconds: float = 0.0


class Span(msgspec.Struct, frozen=True, tag=True):
    """A length of time."""

    seconds: float


class Special(msgspec.Struct, frozen=True, tag=True):
    """A number that is not finite."""

    name: Literal["nan", "inf", "-inf"]


Value = str | int | float | bool | Now | Span | Special


class Compare(msgspec.Struct, frozen=True):
    """A comparison. It is false where the run has no such thing; so is its negation, `NOT LIKE` and the like."""

    field: Field
    operator: Operator
    value: Value
    negated: bool = False


class Among(msgspec.Struct, frozen=True):
    """`field IN (...)`."""

    field: Field
    values: tuple[Value, ...]
    negated: bool = False


class Between(msgspec.Struct, frozen=True):
    """`field BETWEEN low AND high`, both included."""

    field: Field
    low: Value
    high: Value
    negated: bool = False


class Missing(msgspec.Struct, frozen=True):
    """`field IS NULL`; `negated`: `IS NOT NULL`."""

    field: Field
    negated: bool = False


class Not(msgspec.Struct, frozen=True):
    """The runs for which `node` is not true."""

    node: Node


class And(msgspec.Struct, frozen=True):
    """All of these."""

    nodes: tuple[Node, ...]


class Or(msgspec.Struct, frozen=True):
    """Any of these."""

    nodes: tuple[Node, ...]


Node = Compare | Among | Between | Missing | Not | And | Or


class Order(msgspec.Struct, frozen=True):
    """One key of an order. Runs without the value come last, NaN just before them, whichever the direction."""

    field: Field
    descending: bool = False
    textual: bool = False
    """Parameters and tags: by their text even where they read as numbers."""


def text_of(node: Node) -> str:
    """The tree in our language; reading it gives the same tree.

    Example:
        >>> text_of(Not(Compare(Field("metric", "val loss"), "<", 0.5)))
        'NOT metrics.`val loss` < 0.5'
    """
    if isinstance(node, And | Or):
        word = " AND " if isinstance(node, And) else " OR "
        return word.join(f"({text_of(each)})" if isinstance(each, And | Or) else text_of(each) for each in node.nodes)
    if isinstance(node, Not):
        inner = text_of(node.node)
        return f"NOT ({inner})" if isinstance(node.node, And | Or | Not) else f"NOT {inner}"
    name, no = field_text(node.field), "NOT " if node.negated else ""
    if isinstance(node, Missing):
        return f"{name} IS {no}NULL"
    if isinstance(node, Among):
        return f"{name} {no}IN ({', '.join(value_text(each) for each in node.values)})"
    if isinstance(node, Between):
        return f"{name} {no}BETWEEN {value_text(node.low)} AND {value_text(node.high)}"
    return f"{name} {no}{node.operator} {value_text(node.value)}"


def field_text(field: Field) -> str:
    """A field in our language."""
    if field.space == "attribute":
        return field.name
    name = field.name
    if not _PLAIN.fullmatch(name):
        name = "`" + name.replace("`", "``") + "`"
    whole = f"{_PREFIX[field.space]}.{name}"
    if field.at is not None:
        return f"{whole}@{field.at}"
    return whole if field.part == "last" else f"{field.part}({whole})"


def value_text(value: Value) -> str:
    """A value in our language."""
    if isinstance(value, str):
        return "'" + value.replace("'", "''") + "'"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, Special):
        return {"nan": "NaN", "inf": "inf", "-inf": "-inf"}[value.name]
    if isinstance(value, Span):
        return f"{value.seconds!r}s"
    if isinstance(value, Now):
        sign = "-" if value.seconds < 0 else "+"
        return f"now {sign} {abs(value.seconds)!r}s" if value.seconds else "now"
    return repr(value)


def names_in(node: Node | None) -> list[Field]:
    """Every field that the tree names, in the order in which it does."""
    if node is None:
        return []
    if isinstance(node, And | Or):
        return [field for each in node.nodes for field in names_in(each)]
    return names_in(node.node) if isinstance(node, Not) else [node.field]
