"""One run at a glance, however many steps it has: groups of steps, what they handed on, and what its end waited for.

Nothing here reads more of a step than it needs, and the database counts: a run of ten thousand steps is looked at in a
fraction of a second.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Collection, Sequence
from typing import Any

import msgspec

from mainspring.kernel.clock import from_micros
from mainspring.pipelines.overview import rank
from mainspring.pipelines.types_overview import CriticalStep, RunShape, StepGroup
from mainspring.pipelines.values import blobs_in, digest
from mainspring.store.transaction import Transaction

__all__ = ["Link", "critical_path", "run_shape", "step_edges"]

_GROUPS = 160
"""More groups than this are shown by name."""
_OPENED = 24
"""Items of a map that are shown one by one."""
_FAN = 8
"""Maps of no more items than this are shown item by item at first."""
_LINKED = 1600
_LAST = 400
"""Steps, the first and the last of a run, whose results are looked for among the arguments of others."""
_LOOPED = 300
"""The same of a run with so many calls that they are shown by name: what one of a loop is given, all are."""
_CHAIN = 2000
"""Steps of a critical path."""
_ITEMS = 8
"""Of a map, so many items are looked at: what its others are given comes from the same places."""
_GATHERED = 10_000
"""Results of one map, or of one name, that are looked for together in an argument."""


class Link(msgspec.Struct, frozen=True):
    """What is needed of a step to know where its arguments came from."""

    id: str
    path: str
    item: int
    name: str
    tokens: tuple[str, ...]
    """Digests of its arguments, and of the artifacts in them."""
    output: Any = None


def run_shape(tx: Transaction, run_id: str, opened: Collection[str], closed: Collection[str]) -> RunShape:
    """The run as groups of steps; maps at the places in `opened` are shown item by item, those in `closed` are not."""
    counts = {
        str(state): int(count)
        for state, count in tx.rows("SELECT state, COUNT(*) FROM flow_step WHERE run_id = ? GROUP BY state", (run_id,))
    }
    rows = tx.rows(
        "SELECT path, name, state, COUNT(*), MIN(started_at), MAX(finished_at), MIN(id), MAX(item), COUNT(finished_at),"
        " SUM(coalesce(finished_at, started_at) - started_at)"
        " FROM flow_step WHERE run_id = ? GROUP BY path, name, state",
        (run_id,),
    )
    places = {(row[0], row[1]) for row in rows}
    by_name = len(places) > _GROUPS
    parts: dict[str, list[Any]] = {}
    for row in rows:
        parts.setdefault(str(row[1] if by_name else row[0]), []).append(row)
    groups: dict[str, StepGroup] = {}
    group_of: dict[str, str] = {}
    for key, inside in parts.items():
        width = sum(int(row[3]) for row in inside)
        mapped = not by_name and max(int(row[7]) for row in inside) >= 0
        if mapped and key not in closed and (key in opened or width <= _FAN):
            groups.update(_items(tx, run_id, key, width))
        else:
            groups[key] = _group(key, inside, mapped=mapped)
            group_of[key] = key
    ordered = sorted(groups.values(), key=lambda group: (group.started_at, group.path, group.item))
    links = _links(tx, run_id, groups, by_name=by_name)
    lists = {
        key: _list_digest(tx, run_id, group, by_name=by_name)
        for key, group in groups.items()
        if group.mapped or (by_name and sum(group.counts.values()) > _SAME_NAME)
    }
    edges = _group_edges(links, groups, lists, by_name=by_name)
    return RunShape(ordered, edges, counts, by_name)


def _group(key: str, rows: list[Any], *, mapped: bool) -> StepGroup:
    worst = min(rows, key=lambda row: rank(row[2]))
    first = min(rows, key=lambda row: row[6])
    counts: dict[str, int] = {}
    for row in rows:
        counts[str(row[2])] = counts.get(str(row[2]), 0) + int(row[3])
    whole = all(row[3] == row[8] for row in rows)
    return StepGroup(
        key=key,
        name=str(first[1]),
        path=str(first[0]),
        item=-1,
        counts=counts,
        step_id=str(worst[6]),
        started_at=from_micros(min(int(row[4]) for row in rows)),
        finished_at=from_micros(max(int(row[5]) for row in rows)) if whole else None,
        spent=sum(int(row[9]) for row in rows) / 1e6,
        mapped=mapped,
    )


def _items(tx: Transaction, run_id: str, path: str, width: int) -> dict[str, StepGroup]:
    """The first items of a map, and the rest as one."""
    columns = "path, name, state, {}, {}(started_at), {}(finished_at), {}(id), {}(item), {}, "
    one = columns.format("1", "", "", "", "", "CASE WHEN finished_at IS NULL THEN 0 ELSE 1 END")
    rows = tx.rows(
        f"SELECT {one} coalesce(finished_at, started_at) - started_at FROM flow_step"  # noqa: S608 -- names of our own
        " WHERE run_id = ? AND path = ? ORDER BY item LIMIT ?",
        (run_id, path, _OPENED),
    )
    found = {}
    for row in rows:
        key = f"{path}[{row[7]}]"
        found[key] = msgspec.structs.replace(_group(key, [row], mapped=False), item=int(row[7]))
    if width > len(rows):
        many = columns.format("COUNT(*)", "MIN", "MAX", "MIN", "MAX", "COUNT(finished_at)")
        rest = tx.rows(
            f"SELECT {many} SUM(coalesce(finished_at, started_at) - started_at) FROM flow_step"  # noqa: S608 -- names of our own
            " WHERE run_id = ? AND path = ? AND item > ? GROUP BY path, name, state",
            (run_id, path, rows[-1][7]),
        )
        key = f"{path}[...]"
        found[key] = msgspec.structs.replace(_group(key, rest, mapped=False), rest=True)
    return found


def _links(tx: Transaction, run_id: str, groups: dict[str, StepGroup], *, by_name: bool) -> list[Link]:
    first, last = (_LOOPED, _LOOPED) if by_name else (_LINKED, _LAST)
    items = max(_ITEMS, 1 + max((group.item for group in groups.values()), default=-1))
    columns = "SELECT id, path, item, name, inputs, uses, output FROM flow_step WHERE run_id = ? AND item < ?"
    rows = list(tx.rows(f"{columns} ORDER BY id LIMIT ?", (run_id, items, first)))
    if len(rows) == first:
        behind = tx.rows(f"{columns} AND id > ? ORDER BY id DESC LIMIT ?", (run_id, items, rows[-1][0], last))
        rows += reversed(list(behind))
    found = []
    for step, path, item, name, inputs, uses, output in rows:
        tokens = (*msgspec.json.decode(uses), *msgspec.json.decode(inputs).values())
        value = msgspec.json.decode(output) if output else None
        found.append(Link(step, path, int(item), name, tuple(filter(None, tokens)), value))
    return found


def _list_digest(tx: Transaction, run_id: str, group: StepGroup, *, by_name: bool) -> str:
    """The digest of the list of what a map, or the calls of one name, gave: a step that got the list is told by it."""
    count = sum(group.counts.values())
    if count > _GATHERED or set(group.counts) - {"finished", "cached"}:
        return ""
    which, value = ("name = ? ORDER BY id", group.name) if by_name else ("path = ? ORDER BY item", group.path)
    rows = tx.rows(f"SELECT output FROM flow_step WHERE run_id = ? AND {which}", (run_id, value))  # noqa: S608 -- names of our own
    if sum(len(row[0] or "null") for row in rows) > 1 << 20:
        return ""
    return digest(msgspec.json.decode("[" + ",".join(row[0] or "null" for row in rows) + "]"))


def _group_edges(
    links: Sequence[Link], groups: dict[str, StepGroup], lists: dict[str, str], *, by_name: bool
) -> list[tuple[str, str]]:
    def key_of(link: Link) -> str:
        if by_name:
            return link.name
        for key in (link.path, f"{link.path}[{link.item}]"):
            if key in groups:
                return key
        return f"{link.path}[...]"

    keys = {link.id: key_of(link) for link in links}
    pairs = [(keys[source], keys[target]) for source, target in step_edges(links)]
    makers = {token: key for key, token in lists.items() if token}
    pairs += [(makers[token], keys[link.id]) for link in links for token in link.tokens if token in makers]
    return [pair for pair in dict.fromkeys(pairs) if pair[0] != pair[1] and pair[0] in groups and pair[1] in groups]


def step_edges(links: Sequence[Link]) -> list[tuple[str, str]]:
    """Which step's result was an argument of which, from oldest to newest.

    Told by digests: of blobs, of the value where it is plain JSON, and of the list of what calls of one name gave.
    True, False and None are too common to tell where they came from and make no edge.
    """
    makers: dict[str, tuple[str, ...]] = {}
    lists: dict[str, list[Link]] = {}
    told: dict[str, int] = {}
    found = []
    for step in links:
        for name, group in lists.items():
            # The lists are told anew only when somebody asks for a token that is not known: most steps ask for none.
            if name == step.name or told.get(name) == len(group) or all(token in makers for token in step.tokens):
                continue
            told[name] = len(group)
            makers.setdefault(digest([each.output for each in group]), tuple(each.id for each in group))
        tokens = [token for token in step.tokens if token in makers]
        found += [(maker, step.id) for maker in dict.fromkeys(maker for token in tokens for maker in makers[token])]
        for blob in blobs_in(step.output):
            makers.setdefault(str(blob["digest"]), (step.id,))
        if step.output is None or isinstance(step.output, bool) or not _plain(step.output):
            continue
        if len(group := lists.setdefault(step.name, [])) < _SAME_NAME:
            group.append(step)
        if token := digest(step.output):
            makers.setdefault(token, (step.id,))
    return found


_SAME_NAME = 200
"""Results of one name that are looked for together in an argument, in whatever places its calls were."""


def _plain(tree: Any) -> bool:
    """Whether an encoded value is JSON through and through, and so its own content."""
    if isinstance(tree, dict):
        return "$" not in tree and all(_plain(each) for each in tree.values())
    return all(_plain(each) for each in tree) if isinstance(tree, list) else True


def critical_path(tx: Transaction, run_id: str) -> list[CriticalStep]:
    """The chain of steps that the end of a run waited for, in the order of time.

    From the last step to end, back to the one that ended last before it began, and so on: a body calls its next step
    when it has what it waited for.
    """
    rows = tx.rows(
        "SELECT id, name, path, item, started_at, finished_at FROM flow_step"
        " WHERE run_id = ? AND finished_at IS NOT NULL ORDER BY finished_at, id",
        (run_id,),
    )
    ends = [int(row[5]) for row in rows]
    found: list[CriticalStep] = []
    at = len(rows) - 1
    while at >= 0 and len(found) < _CHAIN:
        step, name, path, item, started, finished = rows[at]
        before = min(bisect_right(ends, int(started)), at) - 1
        begun = max(int(started), ends[before]) if before >= 0 else int(started)
        found.append(CriticalStep(step, name, path, int(item), (int(finished) - begun) / 1e6, int(finished) / 1e6))
        at = before
    return found[::-1]
