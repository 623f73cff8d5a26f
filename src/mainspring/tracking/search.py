"""Finding runs: a filter, an order and a page, in a number of queries that does not grow with what is found."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import Any, Literal

import msgspec

from mainspring.kernel.errors import InvalidInput
from mainspring.store.transaction import Transaction
from mainspring.tracking.pages import decode_page, encode_page
from mainspring.tracking.query_compare import Part
from mainspring.tracking.query_order import Ordering, after, build_ordering
from mainspring.tracking.query_sql import Keys, Scope, compile_query
from mainspring.tracking.query_steps import reader_at_step
from mainspring.tracking.query_tree import Among, Between, Compare, Node, Order, text_of
from mainspring.tracking.query_tree import field_text as _field_text

__all__ = ["Found", "View", "count_runs", "search_runs"]

View = Literal["active", "deleted", "all"]

_LARGEST_PAGE = 50_000
_VIEWS = {"active": " AND r.deleted_at IS NULL", "deleted": " AND r.deleted_at IS NOT NULL", "all": ""}


class Found(msgspec.Struct, frozen=True):
    """A page of runs, by their numbers."""

    numbers: list[int]
    next_page: str
    """The token of the next page; empty at the end."""
    unknown: list[str]
    """Names of the question that no run in its scope has."""


def search_runs(
    tx: Transaction,
    node: Node | None,
    *,
    experiments: Sequence[int] | None,
    view: View = "active",
    orders: Sequence[Order] = (),
    limit: int = 100,
    page: str = "",
) -> Found:
    """A page of the runs for which a tree is true, in an order.

    Args:
        tx: Where to look; its workspace bounds the question.
        node: The filter; None for all. Ours comes from `query_language`; other grammars make the same tree.
        experiments: Ids of experiments, or None for the whole workspace.
        view: `active`, `deleted` or `all` runs.
        orders: The keys of the order; then the latest start, then the id.
        limit: At most 50,000.
        page: The token of the page before, or an empty text.

    Raises:
        InvalidInput: the tree, the order or the token is not a right one.
    """
    if not 1 <= limit <= _LARGEST_PAGE:
        raise InvalidInput(f"limit = {limit} is not from 1 to {_LARGEST_PAGE}")
    scope = Scope(tx, experiments)
    keys = Keys(scope)
    at_step = reader_at_step(tx, keys)
    condition = compile_query(node, keys, tx, at_step=at_step)
    ordering = build_ordering(orders, keys, tx, at_step=at_step)
    question = [
        text_of(node) if node else "",
        scope.experiments,
        view,
        [[_field_text(each.field), each.descending, each.textual] for each in orders],
    ]
    last = decode_page(page, question, ordering.kinds) if page else []
    rows: list[tuple[Any, ...]] = []
    for sql, params in _selects(ordering, _base(scope, view), condition, last):
        rows += tx.rows(f"{sql} LIMIT ?", (*params, limit + 1 - len(rows)))
        if len(rows) > limit:
            break
    more = encode_page(question, rows[limit - 1][1:]) if len(rows) > limit else ""
    return Found([row[0] for row in rows[:limit]], more, keys.unknown)


def count_runs(tx: Transaction, node: Node | None, *, experiments: Sequence[int] | None, view: View = "active") -> int:
    """How many runs there are for which a tree is true."""
    scope = Scope(tx, experiments)
    keys = Keys(scope)
    sql, params = compile_query(node, keys, tx, at_step=reader_at_step(tx, keys))
    base, base_params = _base(scope, view)
    inner = sql.removeprefix("r.number IN ")
    if view != "deleted" and isinstance(node, Compare | Among | Between) and inner != sql and "json" not in inner:
        # Keys belong to experiments, so that a range of one index is the answer, but for what is deleted: few or none.
        what = "DISTINCT run" if isinstance(node, Among) else "*"
        found = int(tx.value(f"SELECT count({what}) FROM {inner} AS runs", params))  # noqa: S608 -- of constants
        if view == "active":
            gone, gone_params = _base(scope, "deleted")
            deleted = f"SELECT count(*) FROM tracked_run r WHERE {gone} AND {sql}"  # noqa: S608 -- of constants
            found -= int(tx.value(deleted, (*gone_params, *params)))
        return found
    return int(tx.value(f"SELECT count(*) FROM tracked_run r WHERE {base} AND {sql}", (*base_params, *params)))  # noqa: S608 -- of constants


def _base(scope: Scope, view: View) -> Part:
    sql, params = scope.part("r.experiment_id")
    return f"{sql}{_VIEWS[view]}", params


def _selects(ordering: Ordering, base: Part, condition: Part, last: Sequence[Any]) -> Iterable[Part]:
    """The statements that together give the rows in order; the next is only run when the one before gave too few."""
    if not ordering.walk:
        yield _select(ordering, base, condition, last)
        return
    # The leading key is a metric with an index of its values: walk it. First come infinities of the near end, then
    # what is finite, then all the rest, which is few and sorted as it is.
    descending = ordering.terms[1].descending
    near, far = ("inf", "-inf") if descending else ("-inf", "inf")
    first = 0
    if last:
        rank, value = last[0], float(last[1])
        first = 2 if rank or (math.isinf(value) and (value > 0) != descending) else 0 if math.isinf(value) else 1
    key = int(ordering.walk)
    if first <= 0:
        yield _walk(ordering, f"o0.key = {key} AND o0.last IS NULL AND o0.special = '{near}'", base, condition, last)
    if first <= 1:
        sign = "<=" if descending else ">="
        onwards = (f" AND o0.last {sign} ?", (last[1],)) if last and first == 1 else ("", ())
        within: Part = (f"o0.key = {key} AND o0.last IS NOT NULL{onwards[0]}", onwards[1])
        yield _walk(ordering, within[0], base, condition, last if first == 1 else (), within[1], leading="o0.last")
    rest = (
        f"{base[0]} AND r.number NOT IN (SELECT v.run FROM metric v WHERE v.key = {key} AND v.last IS NOT NULL)"  # noqa: S608 -- integers
        f" AND (o0.run IS NULL OR o0.special IN ('{far}', 'nan'))"
    )
    yield _select(ordering, (rest, base[1]), condition, last if first == 2 else ())


def _select(ordering: Ordering, base: Part, condition: Part, last: Sequence[Any]) -> Part:
    onwards = after(ordering.terms, last) if last else ("1 = 1", ())
    columns = ", ".join(term.sql for term in ordering.terms)
    joins = " ".join(sql for sql, _ in ordering.joins)
    sql = (
        f"SELECT r.number, {columns} FROM tracked_run r {joins} WHERE {base[0]} AND {condition[0]} AND {onwards[0]}"  # noqa: S608 -- of constants
        f" ORDER BY {ordering.order_by}"
    )
    joined = tuple(value for _, values in ordering.joins for value in values)
    return sql, (*joined, *base[1], *condition[1], *onwards[1])


def _walk(
    ordering: Ordering,
    within: str,
    base: Part,
    condition: Part,
    last: Sequence[Any],
    within_params: tuple[Any, ...] = (),
    *,
    leading: str = "",
) -> Part:
    """Runs by way of the leading metric's index: `CROSS JOIN` is how SQLite is told to begin there."""
    onwards = after(ordering.terms, last) if last else ("1 = 1", ())
    columns = ", ".join(term.sql for term in ordering.terms)
    joins = " ".join(sql for sql, _ in ordering.joins[1:])
    order = ordering.order_by
    if leading:
        rest = [f"{term.sql} {'DESC' if term.descending else 'ASC'}" for term in ordering.terms[2:]]
        order = ", ".join([f"{leading} {'DESC' if ordering.terms[1].descending else 'ASC'}", *rest])
    sql = (
        f"SELECT r.number, {columns} FROM metric o0 CROSS JOIN tracked_run r {joins} WHERE {within}"  # noqa: S608 -- of constants
        f" AND r.number = o0.run AND {condition[0].replace('r.number', 'o0.run')} AND {base[0]} AND {onwards[0]}"
        f" ORDER BY {order}"
    )
    joined = tuple(value for _, values in ordering.joins[1:] for value in values)
    return sql, (*joined, *within_params, *condition[1], *base[1], *onwards[1])
