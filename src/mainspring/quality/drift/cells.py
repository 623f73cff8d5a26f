"""The cells in which two columns are compared. There are two sets of them, for two questions.

*How much* did it move? Cells at the quantiles of the reference, so that they mean the same next month, with
cells of their own for missing values, for values below and above everything the reference had, and for
categories that it did not have: those are where data breaks first, and equal-width bins hide them.

*Is it an accident?* Cells at the quantiles of both samples together. Chosen without knowing which row is
whose, they leave the test its law however small or unlike in size the samples are, and however heavy the tail.

Both sketches are brought to the narrowest buckets they share first, and cells end where buckets end, so every
count is exact.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence

import msgspec

from mainspring.quality.profiles.numbers import Sketch, aligned, leaf_edges
from mainspring.quality.profiles.types import ColumnProfile

__all__ = ["Cell", "Common", "cells_of", "cells_to_test", "common_of", "rare_categories"]

_CATEGORIES = 50  # of the reference, each with a cell; the others share one
_ATOMS = 32  # a column of numbers with no more distinct values than this is compared value by value


class Cell(msgspec.Struct, frozen=True):
    """One cell and what fell into it."""

    label: str
    reference: int
    current: int
    low: float | None = None
    high: float | None = None


class Common(msgspec.Struct, frozen=True):
    """Two sketches over common buckets: their levels and numbers, and the counts of both, in order."""

    buckets: tuple[tuple[int, int], ...]
    reference: tuple[int, ...]
    current: tuple[int, ...]
    atoms: bool
    """Whether the reference holds a few distinct values, each of which is compared by itself."""

    @property
    def ends(self) -> tuple[int, int]:
        """How many values both together have in the first and in the last bucket."""
        return self.reference[0] + self.current[0], self.reference[-1] + self.current[-1]

    @property
    def totals(self) -> tuple[int, int]:
        """Values in each."""
        return sum(self.reference), sum(self.current)

    @property
    def range(self) -> tuple[int, int]:
        """The first and the last bucket in which the reference has something; (0, -1) when it has nothing."""
        held = [place for place, count in enumerate(self.reference) if count]
        return (held[0], held[-1]) if held else (0, -1)

    @property
    def out_of_range(self) -> tuple[int, int]:
        """How many current values lie below and above everything the reference had, at least."""
        first, last = self.range
        return (sum(self.current[:first]), sum(self.current[last + 1 :])) if last >= 0 else (0, 0)

    @property
    def distance(self) -> float:
        """Kolmogorov-Smirnov's at the bucket edges: exact for exact sketches, else at most the true one."""
        n, m = self.totals
        if not n or not m:
            return 0.0
        above = itertools.accumulate(a * m - b * n for a, b in zip(self.reference, self.current, strict=True))
        return max(map(abs, above)) / (n * m)


def common_of(reference: Sketch, current: Sketch) -> Common:
    """Bring two sketches together."""
    found = aligned(reference, current)
    return Common(
        buckets=tuple((level, key) for level, key, _, _ in found),
        reference=tuple(a for _, _, a, _ in found),
        current=tuple(b for *_, b in found),
        atoms=reference.is_exact and len(reference.counts) <= _ATOMS,
    )


def cells_of(
    reference: ColumnProfile, current: ColumnProfile, common: Common | None = None, *, bins: int = 10
) -> list[Cell]:
    """All cells of a column, together holding every row of both; `common` where it is known already."""
    if reference.family == "text":
        cells = _categories(reference, current)
    elif reference.family in {"number", "moment"}:
        cells = _bins(common or common_of(reference.sketch, current.sketch), bins)
        cells.append(Cell("infinite", reference.infinities, current.infinities))
    elif reference.family == "list":
        cells = _bins(common or common_of(reference.lengths, current.lengths), bins)
    else:
        cells = [Cell("present", reference.present, current.present)]
    cells.append(Cell("missing", reference.missing, current.missing))
    return [cell for cell in cells if cell.reference or cell.current]


def cells_to_test(
    reference: ColumnProfile, current: ColumnProfile, common: Common | None = None, *, bins: int, least: float
) -> list[tuple[int, int]]:
    """Counts in cells chosen from both samples together, each with at least `least` expected in the smaller one."""
    n, m = reference.count, current.count
    if not n or not m:
        return []
    needed = least * (n + m) / min(n, m)
    if reference.family == "text":
        cells = _common_categories(reference, current, needed)
    elif common is not None:
        cells = _common_bins(common, needed, bins)
        cells.append((reference.infinities, current.infinities))
    else:
        cells = [(reference.present, current.present)]
    cells.append((reference.missing, current.missing))
    return [cell for cell in cells if sum(cell)]


def rare_categories(reference: ColumnProfile, current: ColumnProfile, *, least: float) -> list[tuple[int, int]]:
    """Counts of the categories that are too rare for a cell of the test; none unless both tables are complete."""
    n, m = reference.count, current.count
    complete = reference.frequent.is_exact and current.frequent.is_exact
    if reference.family != "text" or not complete or not n or not m:
        return []
    left, right = dict(reference.frequent.values), dict(current.frequent.values)
    pairs = ((left.get(value, 0), right.get(value, 0)) for value in dict.fromkeys([*left, *right]))
    return [pair for pair in pairs if 1 < sum(pair) < least * (n + m) / min(n, m)]


def _bins(common: Common, bins: int) -> list[Cell]:
    first, last = common.range
    if last < 0:
        return [Cell("new", 0, sum(common.current))]
    below, above = common.out_of_range
    inside = _atoms(common) if common.atoms else _quantile_cells(common, first, _quantile_ends(common, bins))
    return [Cell("below", 0, below), *inside, Cell("above", 0, above)]


def _atoms(common: Common) -> list[Cell]:
    first, last = common.range
    cells, new = [], 0
    for place in range(first, last + 1):
        if common.reference[place]:
            low, high = leaf_edges(*common.buckets[place])
            cells.append(Cell(_span(low, high), common.reference[place], common.current[place], low, high))
        else:
            new += common.current[place]
    return [*cells, Cell("new", 0, new)]


def _quantile_cells(common: Common, first: int, ends: Sequence[int]) -> list[Cell]:
    cells: list[Cell] = []
    start, low = first, leaf_edges(*common.buckets[first])[0]
    for end in ends:
        high = leaf_edges(*common.buckets[end])[1]
        inside = slice(start, end + 1)
        cells.append(Cell(_span(low, high), sum(common.reference[inside]), sum(common.current[inside]), low, high))
        # A cell begins where the one before ended, so that it means the same whatever the next sample holds.
        start, low = end + 1, math.nextafter(high, math.inf)
    return cells


def _span(low: float, high: float) -> str:
    return f"{low:.6g}" if low == high else f"{low:.6g} to {high:.6g}"


def _quantile_ends(common: Common, bins: int) -> list[int]:
    """The last bucket of each bin, so that bins hold about equal shares of the reference; heavy buckets stay alone."""
    total = common.totals[0]
    ends, target = [], total / bins
    last = common.range[1]
    for place, below in enumerate(itertools.accumulate(common.reference[: last + 1])):
        if common.reference[place] and below >= target - 0.5:
            ends.append(place)
            target = total * (int(below * bins / total) + 1) / bins
    if ends[-1] != last:
        ends.append(last)
    return ends


def _categories(reference: ColumnProfile, current: ColumnProfile) -> list[Cell]:
    """Frequent categories of the reference, `new` for what it hardly had, `others` for the rest.

    A category that the reference had once stands with the new ones: left out, it would be new itself, which is
    what tells how much is new when nothing changes (Good and Turing). So a long tail alone is not drift.
    """
    left, right = dict(reference.frequent.values), dict(current.frequent.values)
    often = {value: count for value, count in left.items() if count > 1 and count > reference.frequent.error}
    cells = [Cell(value, count, right.get(value, 0)) for value, count in list(often.items())[:_CATEGORIES]]
    others = [
        reference.present - sum(cell.reference for cell in cells),
        current.present - sum(cell.current for cell in cells),
    ]
    if reference.frequent.is_exact and current.frequent.is_exact:
        known = sum(right.get(value, 0) for value in often)
        new = Cell("new", sum(count for count in left.values() if count == 1), current.present - known)
        others = [others[0] - new.reference, others[1] - new.current]
        cells.append(new)
    elif reference.frequent.is_exact:
        new = Cell("new", 0, sum(count for value, count in right.items() if value not in left))
        others = [others[0], others[1] - new.current]
        cells.append(new)
    cells.append(Cell("others", max(others[0], 0), max(others[1], 0)))
    return cells


def _common_bins(common: Common, needed: float, bins: int) -> list[tuple[int, int]]:
    full = max(needed, sum(common.totals) / bins - 0.5)
    cells: list[tuple[int, int]] = []
    a = b = 0
    for one, two in zip(common.reference, common.current, strict=True):
        a, b = a + one, b + two
        if a + b >= full:
            cells.append((a, b))
            a = b = 0
    if a + b:
        if a + b < needed and cells:
            last = cells.pop()
            a, b = a + last[0], b + last[1]
        cells.append((a, b))
    return cells


def _common_categories(reference: ColumnProfile, current: ColumnProfile, needed: float) -> list[tuple[int, int]]:
    left, right = dict(reference.frequent.values), dict(current.frequent.values)
    # Far above what a cut-down list may hide, a category is in both lists unless something did change.
    needed = max(needed, 4.0 * (reference.frequent.error + current.frequent.error))
    pairs = ((left.get(value, 0), right.get(value, 0)) for value in dict.fromkeys([*left, *right]))
    cells = [pair for pair in pairs if sum(pair) >= needed]
    rest = (reference.present - sum(a for a, _ in cells), current.present - sum(b for _, b in cells))
    return [*cells, rest]
