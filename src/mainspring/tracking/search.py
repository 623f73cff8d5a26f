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
from mainspring.tracking.query_tree import Among, And, Between, Compare, Node, Order, text_of
from mainspring.tracking.query_tree import field_text as _field_text
from mainspring.tracking.search_plan import RARE, Rare, count_by_ranges, find_rare

__all__ = ["Found", "View", "count_runs", "scope_condition", "search_runs"]

View = Literal["active", "deleted", "all"]

_LARGEST_PAGE = 50_000
_FARTHEST = 1_000_000
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
    offset: int = 0,
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
        offset: How many runs to pass over after that: for a jump; at most 1,000,000.

    Raises:
        InvalidInput: the tree, the order or the token is not a right one.
    """
    if not 1 <= limit <= _LARGEST_PAGE:
        raise InvalidInput(f"limit = {limit} is not from 1 to {_LARGEST_PAGE}")
    if not 0 <= offset <= _FARTHEST:
        raise InvalidInput(f"offset = {offset} is not from 0 to {_FARTHEST:,}", hint="go on with `next_page` there")
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
    rare = find_rare(node, keys, tx, at_step=at_step)
    probe = compile_query(node, keys, tx, at_step=at_step, probe=True) if node and tx.dialect == "sqlite" else None
    base = scope_condition(scope, view)
    statements: Iterable[Part] = (
        [_among(ordering, base, rare, last)] if rare else _selects(tx, ordering, scope, view, (condition, probe), last)
    )
    for sql, params in statements:
        if offset:
            passed = int(tx.value(f"SELECT count(*) FROM ({sql} LIMIT ?) o", (*params, offset)))  # noqa: S608 -- of constants
            offset -= passed
            if offset:
                continue
            rows += tx.rows(f"{sql} LIMIT ? OFFSET ?", (*params, limit + 1 - len(rows), passed))
        else:
            rows += tx.rows(f"{sql} LIMIT ?", (*params, limit + 1 - len(rows)))
        if len(rows) > limit:
            break
    more = encode_page(question, rows[limit - 1][1:]) if len(rows) > limit else ""
    return Found([row[0] for row in rows[:limit]], more, keys.unknown)


def count_runs(tx: Transaction, node: Node | None, *, experiments: Sequence[int] | None, view: View = "active") -> int:
    """How many runs there are for which a tree is true."""
    scope = Scope(tx, experiments)
    keys = Keys(scope)
    at_step = reader_at_step(tx, keys)
    sql, params = compile_query(node, keys, tx, at_step=at_step)
    base, base_params = scope_condition(scope, view)
    if rare := find_rare(node, keys, tx, at_step=at_step):
        few, few_params = rare.select
        sql = (
            f"SELECT count(*) FROM (SELECT DISTINCT run FROM ({few})) d CROSS JOIN tracked_run r"  # noqa: S608 -- of constants
            f" WHERE r.number = d.run AND {base} AND {rare.others[0]}"
        )
        return int(tx.value(sql, (*few_params, *base_params, *rare.others[1])))
    gone, gone_params = scope_condition(scope, "deleted")
    if view != "deleted" and isinstance(node, And):
        probe = compile_query(node, keys, tx, at_step=at_step, probe=True)
        deleted = 0 if view == "all" else _few_deleted(tx, (gone, gone_params), probe)
        counted = None
        if deleted is not None:
            counted = count_by_ranges(node, keys, tx, at_step=at_step, everything=scope_condition(scope, "all"))
        if deleted is not None and counted is not None:
            return counted - deleted
    inner = sql.removeprefix("r.number IN ")
    if view != "deleted" and isinstance(node, Compare | Among | Between) and inner != sql and "json" not in inner:
        # Keys belong to experiments, so that a range of one index is the answer, but for what is deleted: few or none.
        what = "DISTINCT run" if isinstance(node, Among) else "*"
        found = int(tx.value(f"SELECT count({what}) FROM {inner} AS runs", params))  # noqa: S608 -- of constants
        if view == "active":
            removed = f"SELECT count(*) FROM tracked_run r WHERE {gone} AND {sql}"  # noqa: S608 -- of constants
            found -= int(tx.value(removed, (*gone_params, *params)))
        return found
    return int(tx.value(f"SELECT count(*) FROM tracked_run r WHERE {base} AND {sql}", (*base_params, *params)))  # noqa: S608 -- of constants


def _few_deleted(tx: Transaction, gone: Part, condition: Part) -> int | None:
    """How many deleted runs pass a condition, looked up one by one; None when they are too many for that."""
    some = f"SELECT 1 FROM tracked_run r WHERE {gone[0]} LIMIT ?"  # noqa: S608 -- of constants
    deleted = int(tx.value(f"SELECT count(*) FROM ({some}) d", (*gone[1], RARE + 1)))  # noqa: S608 -- of constants
    if deleted > RARE:
        return None
    sql = f"SELECT count(*) FROM tracked_run r WHERE {gone[0]} AND {condition[0]}"  # noqa: S608 -- of constants
    return int(tx.value(sql, (*gone[1], *condition[1]))) if deleted else 0


def scope_condition(scope: Scope, view: View) -> Part:
    """The condition on `r` that says which runs a question is about."""
    sql, params = scope.part("r.experiment_id")
    return f"{sql}{_VIEWS[view]}", params


def _among(ordering: Ordering, base: Part, rare: Rare, last: Sequence[Any]) -> Part:
    """The runs of a rare condition, with all else looked up for each, then sorted."""
    within = (f"r.number = d.run AND {base[0]}", base[1])
    sql, params = _select(ordering, within, rare.others, last)
    few = f"FROM (SELECT DISTINCT run FROM ({rare.select[0]})) d CROSS JOIN tracked_run r "  # noqa: S608 -- of constants
    return sql.replace("FROM tracked_run r ", few, 1), (*rare.select[1], *params)


def _selects(
    tx: Transaction,
    ordering: Ordering,
    scope: Scope,
    view: View,
    conditions: tuple[Part, Part | None],
    last: Sequence[Any],
) -> Iterable[Part]:
    """The statements that together give the rows in order; the next is only run when the one before gave too few."""
    (condition, probe), base, everything = conditions, scope_condition(scope, view), scope_condition(scope, "all")
    if not ordering.walk:
        latest_first = ordering.terms[0].sql == "r.started_at" and ordering.terms[0].descending
        since = _start_edge(tx, base, last) if probe and latest_first else None
        if probe and since is not None:
            yield _select(ordering, (f"{base[0]} AND r.started_at >= ?", (*base[1], since)), probe, last)
            base = f"{base[0]} AND r.started_at < ?", (*base[1], since)
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
        ends = f"o0.key = {key} AND o0.last IS NULL AND o0.special = '{near}'"
        yield _walk(ordering, ends, base, probe or condition, last)
    if first <= 1:
        sign = "<=" if descending else ">="
        onwards = (f" AND o0.last {sign} ?", (last[1],)) if last and first == 1 else ("", ())
        within: Part = (f"o0.key = {key} AND o0.last IS NOT NULL{onwards[0]}", onwards[1])
        here = last if first == 1 else ()
        edge = _edge(tx, within, descending=descending) if probe else None
        if probe and edge is not None:
            # Most pages are full before the sets of the conditions would be built.
            near_part = (f"{within[0]} AND o0.last {'>=' if descending else '<='} ?", (*within[1], edge))
            yield _walk(ordering, near_part[0], base, probe, here, near_part[1], leading="o0.last")
            within = (f"{within[0]} AND o0.last {'<' if descending else '>'} ?", (*within[1], edge))
        yield _walk(ordering, within[0], base, condition, here, within[1], leading="o0.last")
    held = f"SELECT count(*) FROM metric v WHERE v.key = {key} AND v.last IS NOT NULL"  # noqa: S608 -- integers
    if tx.value(held) == tx.value(f"SELECT count(*) FROM tracked_run r WHERE {everything[0]}", everything[1]):  # noqa: S608 -- of constants
        return
    rest = (
        f"{base[0]} AND r.number NOT IN (SELECT v.run FROM metric v WHERE v.key = {key} AND v.last IS NOT NULL)"  # noqa: S608 -- integers
        f" AND (o0.run IS NULL OR o0.special IN ('{far}', 'nan'))"
    )
    yield _select(ordering, (rest, base[1]), condition, last if first == 2 else ())


def _edge(tx: Transaction, within: Part, *, descending: bool) -> float | None:
    """The value up to which a walk looks conditions up; None when there is no such, for the walk is short."""
    sql = f"SELECT o0.last FROM metric o0 WHERE {within[0]} ORDER BY o0.last {'DESC' if descending else 'ASC'}"  # noqa: S608 -- of constants
    found: float | None = tx.value(f"{sql} LIMIT 1 OFFSET ?", (*within[1], 2 * RARE))
    return found


def _start_edge(tx: Transaction, base: Part, last: Sequence[Any]) -> int | None:
    """The same for the latest start, which is the order where none is asked for."""
    onwards = (" AND r.started_at <= ?", (last[0],)) if last else ("", ())
    sql = f"SELECT r.started_at FROM tracked_run r WHERE {base[0]}{onwards[0]}"  # noqa: S608 -- of constants
    start: int | None = tx.value(
        f"{sql} ORDER BY r.started_at DESC LIMIT 1 OFFSET ?", (*base[1], *onwards[1], 2 * RARE)
    )
    return start


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
