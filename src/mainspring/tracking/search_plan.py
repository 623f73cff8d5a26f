"""Which way a conjunction is answered: from its rarest condition, or by sets, whichever reads less.

SQLite knows nothing of how many runs a condition has and would build the set of each. So a condition is counted first,
up to a bound: a range of a covering index, which is quick. When one is rare, its runs are walked and the other
conditions are looked up run by run, by primary key. When none is, a count walks one range and subtracts: the set that
is built is that of the runs which fail another condition where these are fewer than those which pass it.
PostgreSQL keeps statistics and chooses by itself.
"""

from __future__ import annotations

from typing import Any

import msgspec

from mainspring.store.transaction import Transaction
from mainspring.tracking.query_compare import Part
from mainspring.tracking.query_sql import AtStep, Keys, compile_query
from mainspring.tracking.query_tree import Among, And, Between, Compare, Missing, Node

__all__ = ["RARE", "Rare", "count_by_ranges", "find_rare"]

RARE = 1000
"""Runs of a condition up to which looking the others up is cheaper than building their sets."""

_IN = "r.number IN ("


class Rare(msgspec.Struct, frozen=True):
    """The rarest condition as a SELECT of its runs, and all the others, to be looked up for one run."""

    select: Part
    others: Part


def find_rare(node: Node | None, keys: Keys, tx: Transaction, *, at_step: AtStep) -> Rare | None:
    """The rarest condition of a conjunction, when it has at most `RARE` runs; None when there is no such."""
    nodes = _conjuncts(node)
    if tx.dialect != "sqlite" or not nodes:
        return None
    best: tuple[int, int, Part] | None = None
    for place, each in enumerate(nodes):
        select = _select(each, keys, tx, at_step)
        if select is not None:
            sql = f"SELECT count(*) FROM ({select[0]} LIMIT ?)"  # noqa: S608 -- of constants
            found = int(tx.value(sql, (*select[1], RARE + 1)))
            if found <= RARE and (best is None or found < best[0]):
                best = found, place, select
    if best is None:
        return None
    others = And(tuple(each for place, each in enumerate(nodes) if place != best[1]))
    rest = compile_query(others, keys, tx, at_step=at_step, probe=True) if others.nodes else ("1 = 1", ())
    return Rare(best[2], rest)


def count_by_ranges(node: Node | None, keys: Keys, tx: Transaction, *, at_step: AtStep, everything: Part) -> int | None:
    """How many runs, deleted ones too, pass a conjunction of conditions on what was logged; None for anything else.

    Keys belong to experiments, so that a range of an index needs no look at the runs.

    Args:
        node: The filter.
        keys: Of the scope.
        tx: Where to look.
        at_step: As for `compile_query`.
        everything: The condition on `r` that says which runs the scope has.
    """
    nodes = _conjuncts(node)
    selects = [_select(each, keys, tx, at_step) for each in nodes]
    found = [(each, select) for each, select in zip(nodes, selects, strict=True) if select is not None]
    if tx.dialect != "sqlite" or len(found) < 2 or len(found) < len(nodes):
        return None
    sizes = [int(tx.value(f"SELECT count(*) FROM ({sql})", params)) for _, (sql, params) in found]  # noqa: S608 -- of constants
    total = int(tx.value(f"SELECT count(*) FROM tracked_run r WHERE {everything[0]}", everything[1]))  # noqa: S608 -- of constants
    order = sorted(range(len(found)), key=lambda place: min(sizes[place], total - sizes[place]), reverse=True)
    # The condition whose set, or the rest of it, would be the largest is walked; the others are built.
    first, params = found[order[0]][1]
    terms: list[Part] = []
    for place in order[1:]:
        leaf, select = found[place]
        other = None
        if sizes[place] * 2 > total and isinstance(leaf, Compare | Among | Between):
            other = _select(_turned(leaf), keys, tx, at_step) if _everywhere(leaf, keys, tx, total) else None
        terms.append((f"d.run NOT IN ({other[0]})", other[1]) if other else (f"d.run IN ({select[0]})", select[1]))
    if isinstance(found[order[0]][0], Among):  # of whose values a run may have two: 6 and '6'
        first = f"SELECT DISTINCT run FROM ({first})"  # noqa: S608 -- of constants
    turned = len(terms) == 1 and " NOT IN " in terms[0][0]
    if turned:  # whose set SQLite passes by with a filter when it is asked who is in it, not who is not
        terms = [(terms[0][0].replace(" NOT IN ", " IN ", 1), terms[0][1])]
    where = " AND ".join(sql for sql, _ in terms)
    values = tuple(value for _, each in terms for value in each)
    passed = int(tx.value(f"SELECT count(*) FROM ({first}) d WHERE {where}", (*params, *values)))  # noqa: S608 -- of constants
    if not turned:
        return passed
    walked = int(tx.value(f"SELECT count(*) FROM ({first})", params)) if "DISTINCT" in first else sizes[order[0]]  # noqa: S608 -- of constants
    return walked - passed


def _conjuncts(node: Node | None) -> tuple[Node, ...]:
    if isinstance(node, And):
        return tuple(inner for each in node.nodes for inner in _conjuncts(each))
    return () if node is None else (node,)


def _select(node: Node, keys: Keys, tx: Transaction, at_step: AtStep) -> Part | None:
    """A condition as a SELECT of the runs that pass it, where it is a range of an index."""
    if not isinstance(node, Compare | Among | Between | Missing) or (isinstance(node, Missing) and not node.negated):
        return None
    if node.field.space == "attribute" or node.field.at is not None:
        return None
    sql, params = compile_query(node, keys, tx, at_step=at_step)
    return (sql.removeprefix(_IN)[:-1], params) if sql.startswith(_IN) else None


def _turned(leaf: Any) -> Node:
    """The same condition, negated."""
    turned: Node = msgspec.structs.replace(leaf, negated=not leaf.negated)
    return turned


def _everywhere(leaf: Compare | Among | Between, keys: Keys, tx: Transaction, total: int) -> bool:
    """Whether every run of the scope has what is compared: then who does not fail a condition passes it."""
    if leaf.field.part != "last":
        return False
    key, params = keys.part(leaf.field.space, leaf.field.name)
    table = "metric" if leaf.field.space == "metric" else "run_value"
    return int(tx.value(f"SELECT count(*) FROM {table} v WHERE {key}", params)) == total  # noqa: S608 -- of constants
