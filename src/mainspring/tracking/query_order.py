"""An order of runs as SQL: what is compared, key by key, and where a page goes on.

Every key becomes a rank (a value, NaN, nothing) and a value, so that what is missing comes last in either direction and
no NULL is ever compared. The start (latest first) and the id follow as the last keys, so that no two runs are equal.
"""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from typing import Any

import msgspec

from mainspring.kernel.errors import InvalidInput
from mainspring.store.transaction import Transaction
from mainspring.tracking.query_compare import Part
from mainspring.tracking.query_sql import AtStep, Keys
from mainspring.tracking.query_tree import Field, Order
from mainspring.tracking.query_words import RUN_WORDS, Words, kind_of

__all__ = ["MOST_KEYS", "Ordering", "Term", "after", "build_ordering"]

MOST_KEYS = 10
"""Keys of the longest order."""

_INFINITY = {"sqlite": "9e999", "postgres": "'Infinity'::float8"}
_COLUMNS = {"last": "last", "min": "minimum", "max": "maximum", "count": "count", "step": "step"}
_LARGEST = 1.7976931348623157e308


class Term(msgspec.Struct, frozen=True):
    """One thing that is compared."""

    sql: str
    descending: bool
    kind: type


class Ordering(msgspec.Struct, frozen=True):
    """What an order needs: joins before the condition, then the terms in turn."""

    terms: list[Term]
    joins: list[Part]
    walk: str = ""
    """The id of the one metric key whose index has the leading order, or an empty text."""

    @property
    def order_by(self) -> str:
        """The list after ORDER BY."""
        return ", ".join(f"{term.sql} {'DESC' if term.descending else 'ASC'}" for term in self.terms)

    @property
    def kinds(self) -> list[type]:
        """What a page token must hold."""
        return [term.kind for term in self.terms]


def build_ordering(
    orders: Sequence[Order], keys: Keys, tx: Transaction, *, at_step: AtStep, words: Words = RUN_WORDS
) -> Ordering:
    """The SQL of an order; raises `InvalidInput` for one that is too long or names a key twice."""
    if len(orders) > MOST_KEYS:
        raise InvalidInput(f"an order has at most {MOST_KEYS} keys")
    if len({order.field for order in orders}) < len(orders):
        raise InvalidInput("an order names the same key twice")
    terms: list[Term] = []
    joins: list[Part] = []
    walk = ""
    for number, order in enumerate(orders):
        alias = f"o{number}"
        if order.field.space == "attribute":
            terms += _of_attribute(order, words, tx)
        elif words is not RUN_WORDS:
            joins.append(
                (
                    f"LEFT JOIN experiment_tag {alias} ON {alias}.experiment_id = r.id AND {alias}.key = ?",
                    (order.field.name,),
                )
            )
            terms += _of_text(f"{alias}.value", f"{alias}.value IS NULL", tx, descending=order.descending)
        elif order.field.at is not None:
            joins.append(_listed(at_step(order.field), alias, tx))
            terms += _pair(
                f"coalesce({alias}.place, 2)", f"coalesce({alias}.number, 0.0)", float, descending=order.descending
            )
        elif ids := keys.find(order.field.space, order.field.name):
            joins.append(_join(order.field, alias, keys))
            terms += _of_logged(order, alias, tx)
            if number == 0 and len(ids) == 1 and order.field.space == "metric" and order.field.part == "last":
                walk = str(ids[0])
    tail = _tail(words, tx)
    named = {term.sql for term in terms}
    return Ordering([*terms, *(term for term in tail if term.sql not in named)], joins, walk)


def after(terms: Sequence[Term], values: Sequence[Any]) -> Part:
    """The condition that a row comes after the one with these values."""
    sql = "1 = 0"
    params: tuple[Any, ...] = ()
    for term, value in zip(reversed(terms), reversed(values), strict=True):
        sign = "<" if term.descending else ">"
        sql = f"({term.sql} {sign} ? OR ({term.sql} = ? AND {sql}))"
        params = (value, value, *params)
    return sql, params


def _of_attribute(order: Order, words: Words, tx: Transaction) -> list[Term]:
    attribute = words.attributes[order.field.name]
    column = attribute.sql.replace("{now}", str(tx.now_micros))
    kind = kind_of(order.field, words)
    if kind == "file":
        raise InvalidInput("nothing can be ordered by files")
    if kind in ("time", "number", "span"):
        if order.field.name != "finished_at":
            return [Term(column, order.descending, float if kind == "span" else int)]
        return _pair(
            f"CASE WHEN {column} IS NULL THEN 2 ELSE 0 END", f"coalesce({column}, 0)", int, descending=order.descending
        )
    if kind == "id":
        return [Term(_collated(column, tx), order.descending, str)]
    return _of_text(column, f"{column} = ''", tx, descending=order.descending)


def _of_logged(order: Order, alias: str, tx: Transaction) -> list[Term]:
    field = order.field
    if field.space != "metric":
        if order.textual:
            return _of_text(f"{alias}.text", f"{alias}.text IS NULL", tx, descending=order.descending)
        rank = f"CASE WHEN {alias}.run IS NULL THEN 2 WHEN {alias}.number IS NULL THEN 1 ELSE 0 END"
        number = _pair(rank, f"coalesce({alias}.number, 0.0)", float, descending=order.descending)
        return [*number, Term(_collated(f"coalesce({alias}.text, '')", tx), order.descending, str)]
    column = f"{alias}.{_COLUMNS[field.part]}"
    if field.part != "last":
        return _pair(
            f"CASE WHEN {column} IS NULL THEN 2 ELSE 0 END",
            f"coalesce({column}, 0)",
            float,
            descending=order.descending,
        )
    infinity = _INFINITY[tx.dialect]
    rank = f"CASE WHEN {alias}.run IS NULL THEN 2 WHEN {alias}.special = 'nan' THEN 1 ELSE 0 END"
    value = (
        f"CASE {alias}.special WHEN 'inf' THEN {infinity} WHEN '-inf' THEN -{infinity} ELSE coalesce({column}, 0.0) END"
    )
    return _pair(rank, value, float, descending=order.descending)


def _of_text(column: str, missing: str, tx: Transaction, *, descending: bool) -> list[Term]:
    rank = f"CASE WHEN {missing} THEN 2 ELSE 0 END"
    return _pair(rank, _collated(f"coalesce({column}, '')", tx), str, descending=descending)


def _pair(rank: str, value: str, kind: type, *, descending: bool) -> list[Term]:
    return [Term(rank, descending=False, kind=int), Term(value, descending, kind)]


def _join(field: Field, alias: str, keys: Keys) -> Part:
    table = "metric" if field.space == "metric" else "run_value"
    key, params = keys.part(field.space, field.name)
    return f"LEFT JOIN {table} {alias} ON {alias}.run = r.number AND {key.replace('v.key', f'{alias}.key', 1)}", params


def _listed(values: dict[int, float], alias: str, tx: Transaction) -> Part:
    """Values that were read here, joined as a list."""
    rows = [
        [run, int(math.isnan(value)), 0.0 if math.isnan(value) else max(-_LARGEST, min(_LARGEST, value))]
        for run, value in values.items()
    ]
    if tx.dialect == "postgres":
        inner = (
            "SELECT (value->>0)::bigint AS run, (value->>1)::bigint AS place, (value->>2)::float8 AS number"
            " FROM json_array_elements(CAST(? AS json))"
        )
    else:
        inner = (
            "SELECT json_extract(value, '$[0]') AS run, json_extract(value, '$[1]') AS place,"
            " json_extract(value, '$[2]') AS number FROM json_each(?)"
        )
    return f"LEFT JOIN ({inner}) {alias} ON {alias}.run = r.number", (json.dumps(rows),)


def _collated(expression: str, tx: Transaction) -> str:
    """Texts in the order of their code points, whatever the database's locale is."""
    return f'({expression}) COLLATE "C"' if tx.dialect == "postgres" else expression


def _tail(words: Words, tx: Transaction) -> list[Term]:
    if words is RUN_WORDS:
        return [
            Term("r.started_at", descending=True, kind=int),
            Term(_collated("r.run_id", tx), descending=False, kind=str),
        ]
    return [Term("r.created_at", descending=True, kind=int), Term("r.id", descending=False, kind=int)]
