"""The layout behind `dag`: layers, order within them, and the points that each edge runs through."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from itertools import pairwise

import msgspec

__all__ = ["Placed", "lay_out"]

_SWEEPS = 6
_MARGIN = 8.0


class Placed(msgspec.Struct, frozen=True):
    """Top left corners and widths of nodes (one width per layer), points of edges, and the size of the whole."""

    at: dict[str, tuple[float, float]]
    paths: dict[tuple[str, str], list[tuple[float, float]]]
    widths: dict[str, float]
    width: float
    height: float


def lay_out(
    names: Sequence[str],
    pairs: Sequence[tuple[str, str]],
    *,
    widths: Mapping[str, float],
    tall: float,
    gap: tuple[float, float],
) -> Placed:
    """Place every node; time grows with edges times layers they cross."""
    forward = _without_cycles(names, pairs)
    depth = _depths(names, forward)
    columns, chains = _with_bends(names, forward, depth)
    _order(columns, chains)
    lefts, wides, x = [], [], _MARGIN
    for column in columns:
        lefts.append(x)
        wides.append(max((widths[name] for name in column if isinstance(name, str)), default=0.0))
        x += wides[-1] + gap[0]
    tops = _tops(columns, chains, tall=tall, gap=gap[1])
    at = {
        name: (lefts[level], tops[name])
        for level, column in enumerate(columns)
        for name in column
        if isinstance(name, str)
    }
    paths = {}
    back = set(pairs) - set(forward)
    for pair in pairs:
        source, target = (pair[1], pair[0]) if pair in back else pair
        chain = chains[source, target]
        points = [(at[source][0] + wides[depth[source]], tops[source] + tall / 2)]
        for level, bend in enumerate(chain[1:-1], start=depth[source] + 1):
            points += [(lefts[level], tops[bend] + 3), (lefts[level] + wides[level], tops[bend] + 3)]
        points.append((at[target][0] - 1, tops[target] + tall / 2))
        paths[pair] = points[::-1] if pair in back else points
    bottom = max(tops.values()) + tall + _MARGIN
    return Placed(
        at=at,
        paths=paths,
        widths={name: wides[depth[name]] for name in names},
        width=x - gap[0] + _MARGIN,
        height=bottom,
    )


Point = str | tuple[str, str, int]
"""A node by its id, or a bend of an edge in a layer between."""


def _without_cycles(names: Sequence[str], pairs: Sequence[tuple[str, str]]) -> list[tuple[str, str]]:
    """The edges with those turned round that close a cycle, found by an iterative depth-first walk."""
    following: dict[str, list[str]] = defaultdict(list)
    for source, target in pairs:
        following[source].append(target)
    state: dict[str, int] = {}
    back = set()
    for root in names:
        stack = [(root, iter(following[root]))] if root not in state else []
        state.setdefault(root, 1)
        while stack:
            here, rest = stack[-1]
            ahead = next(rest, None)
            if ahead is None:
                state[here] = 2
                stack.pop()
            elif state.get(ahead) == 1:
                back.add((here, ahead))
            elif ahead not in state:
                state[ahead] = 1
                stack.append((ahead, iter(following[ahead])))
    return list(
        dict.fromkeys((target, source) if (source, target) in back else (source, target) for source, target in pairs)
    )


def _depths(names: Sequence[str], pairs: Sequence[tuple[str, str]]) -> dict[str, int]:
    waiting = dict.fromkeys(names, 0)
    following: dict[str, list[str]] = defaultdict(list)
    for source, target in pairs:
        waiting[target] += 1
        following[source].append(target)
    depth = dict.fromkeys(names, 0)
    ready = [name for name in names if not waiting[name]]
    order = []
    while ready:
        here = ready.pop()
        order.append(here)
        for target in following[here]:
            depth[target] = max(depth[target], depth[here] + 1)
            waiting[target] -= 1
            if not waiting[target]:
                ready.append(target)
    # A source that feeds only a late step stands next to it, which shortens the longest edges.
    preceded = {target for _, target in pairs}
    for name in reversed(order):
        if name not in preceded and following[name]:
            depth[name] = min(depth[target] for target in following[name]) - 1
    return depth


def _with_bends(
    names: Sequence[str], pairs: Sequence[tuple[str, str]], depth: Mapping[str, int]
) -> tuple[list[list[Point]], dict[tuple[str, str], list[Point]]]:
    columns: list[list[Point]] = [[] for _ in range(max(depth.values()) + 1)]
    for name in names:
        columns[depth[name]].append(name)
    chains: dict[tuple[str, str], list[Point]] = {}
    for source, target in pairs:
        bends: list[Point] = [(source, target, level) for level in range(depth[source] + 1, depth[target])]
        for level, bend in enumerate(bends, start=depth[source] + 1):
            columns[level].append(bend)
        chains[source, target] = [source, *bends, target]
    return columns, chains


def _neighbours(
    chains: Mapping[tuple[str, str], list[Point]],
) -> tuple[dict[Point, list[Point]], dict[Point, list[Point]]]:
    before: dict[Point, list[Point]] = defaultdict(list)
    after: dict[Point, list[Point]] = defaultdict(list)
    for chain in chains.values():
        for left, right in pairwise(chain):
            after[left].append(right)
            before[right].append(left)
    return before, after


def _order(columns: list[list[Point]], chains: Mapping[tuple[str, str], list[Point]]) -> None:
    """Reorder each column in place by the mean position of what it is tied to, forth and back."""
    before, after = _neighbours(chains)
    place = {point: float(index) for column in columns for index, point in enumerate(column)}
    for sweep in range(_SWEEPS):
        tied, walk = (before, columns[1:]) if sweep % 2 == 0 else (after, columns[-2::-1])
        for column in walk:
            weight = {point: _mean([place[each] for each in tied[point]], place[point]) for point in column}
            column.sort(key=weight.__getitem__)
            place.update((point, float(index)) for index, point in enumerate(column))


def _tops(
    columns: list[list[Point]], chains: Mapping[tuple[str, str], list[Point]], *, tall: float, gap: float
) -> dict[Point, float]:
    """The top of every point: near the mean of its neighbours, never over another."""
    before, after = _neighbours(chains)
    tops: dict[Point, float] = {}
    for column in columns:
        y = 0.0
        for point in column:
            tops[point] = y
            y += _height(point, tall) + gap
    for sweep in range(2 * _SWEEPS):
        tied = (before, after, {})[sweep % 3] if sweep < 2 * _SWEEPS - 1 else before
        for column in columns if sweep % 2 == 0 else columns[::-1]:
            wanted = {
                p: _mean([tops[each] for each in (tied.get(p) or [*before[p], *after[p]])], tops[p]) for p in column
            }
            _settle(column, wanted, tops, tall=tall, gap=gap)
    shift = _MARGIN - min(tops.values())
    return {point: top + shift for point, top in tops.items()}


def _settle(
    column: list[Point], wanted: Mapping[Point, float], tops: dict[Point, float], *, tall: float, gap: float
) -> None:
    down, floor = [], -1e18
    for point in column:
        floor = max(wanted[point], floor)
        down.append(floor)
        floor += _height(point, tall) + gap
    up, ceiling = [], 1e18
    for point in reversed(column):
        ceiling = min(wanted[point], ceiling - _height(point, tall) - gap)
        up.append(ceiling)
    # Both passes keep the order and the distance, and so does their mean.
    for point, low, high in zip(column, down, reversed(up), strict=True):
        tops[point] = (low + high) / 2


def _height(point: Point, tall: float) -> float:
    return tall if isinstance(point, str) else 6.0


def _mean(values: list[float], otherwise: float) -> float:
    return sum(values) / len(values) if values else otherwise
