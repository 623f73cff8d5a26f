"""The cells in which two columns are compared. There are two sets of them, for two questions.

*How much* did it move? Cells at the quantiles of the reference, so that they mean the same next month, with
cells of their own for missing values, for values below and above everything the reference had, and for
categories that it did not have: those are where data breaks first, and equal-width bins hide them.

*Is it an accident?* Cells at the quantiles of both samples together. Chosen without knowing which row is
whose, they leave the test its law however small or unlike in size the samples are, and however heavy the tail.

Both sketches are brought to one level first, and cells end where buckets end, so every count is exact.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import msgspec

from mainspring.quality.profiles.numbers import Sketch
from mainspring.quality.profiles.types import ColumnProfile

__all__ = ["Cell", "cells_of", "cells_to_test", "greatest_distance", "out_of_range", "rare_categories"]

_CATEGORIES = 50  # of the reference, each with a cell; the others share one
_ATOMS = 32  # a column of numbers with no more distinct values than this is compared value by value


class Cell(msgspec.Struct, frozen=True):
    """One cell and what fell into it."""

    label: str
    reference: int
    current: int
    low: float | None = None
    high: float | None = None


def cells_of(reference: ColumnProfile, current: ColumnProfile, *, bins: int = 10) -> list[Cell]:
    """All cells of a column, together holding every row of both."""
    if reference.family == "text":
        cells = _categories(reference, current)
    elif reference.family == "other":
        cells = [Cell("present", reference.present, current.present)]
    else:
        cells = _bins(reference, current, bins)
        cells.append(Cell("infinite", reference.infinities, current.infinities))
    cells.append(Cell("missing", reference.missing, current.missing))
    return [cell for cell in cells if cell.reference or cell.current]


def greatest_distance(reference: Sketch, current: Sketch) -> float:
    """The Kolmogorov-Smirnov distance at the bucket edges: exact for exact sketches, else at most the true one."""
    level = max(reference.level, current.level)
    left, right = _counted(reference, level), _counted(current, level)
    n, m = reference.n, current.n
    if not n or not m:
        return 0.0
    distance, below_left, below_right = 0.0, 0, 0
    for key in sorted({*left, *right}):
        below_left += left.get(key, 0)
        below_right += right.get(key, 0)
        distance = max(distance, abs(below_left / n - below_right / m))
    return distance


def cells_to_test(
    reference: ColumnProfile, current: ColumnProfile, *, bins: int, least: float
) -> list[tuple[int, int]]:
    """Counts in cells chosen from both samples together, each with at least `least` expected in the smaller one."""
    n, m = reference.count, current.count
    if not n or not m:
        return []
    needed = least * (n + m) / min(n, m)
    if reference.family == "text":
        cells = _common_categories(reference, current, needed)
    elif reference.family == "other":
        cells = [(reference.present, current.present)]
    else:
        cells = _common_bins(reference.sketch, current.sketch, needed, bins)
        cells.append((reference.infinities, current.infinities))
    cells.append((reference.missing, current.missing))
    return [cell for cell in cells if sum(cell)]


def out_of_range(reference: ColumnProfile, current: ColumnProfile) -> tuple[int, int]:
    """How many finite current values lie below and above everything the reference had, at least."""
    if not reference.sketch.counts:
        return 0, 0
    level = max(reference.sketch.level, current.sketch.level)
    keys, right = reference.sketch.at_level(level).keys, _counted(current.sketch, level)
    low, high = keys[0], keys[-1]
    below = sum(count for key, count in right.items() if key < low)
    return below, sum(count for key, count in right.items() if key > high)


def rare_categories(reference: ColumnProfile, current: ColumnProfile, *, least: float) -> list[tuple[int, int]]:
    """Counts of the categories that are too rare for a cell of the test; none unless both tables are complete."""
    n, m = reference.count, current.count
    complete = reference.frequent.is_exact and current.frequent.is_exact
    if reference.family != "text" or not complete or not n or not m:
        return []
    left, right = dict(reference.frequent.values), dict(current.frequent.values)
    pairs = ((left.get(value, 0), right.get(value, 0)) for value in dict.fromkeys([*left, *right]))
    return [pair for pair in pairs if 1 < sum(pair) < least * (n + m) / min(n, m)]


def _counted(sketch: Sketch, level: int) -> dict[int, int]:
    wide = sketch.at_level(level)
    return dict(zip(wide.keys, wide.counts, strict=True))


def _bins(reference: ColumnProfile, current: ColumnProfile, bins: int) -> list[Cell]:
    level = max(reference.sketch.level, current.sketch.level)
    left, right = _counted(reference.sketch, level), _counted(current.sketch, level)
    keys = sorted(left)
    if not keys:
        return [Cell("new", 0, sum(right.values()))]
    ends = keys if len(keys) <= _ATOMS else _quantile_ends(keys, [left[key] for key in keys], bins)
    shape = Sketch(level)
    cells = [Cell("below", 0, sum(count for key, count in right.items() if key < keys[0]))]
    starts = [keys[0], *(end + 1 for end in ends[:-1])]
    for low, high in zip(starts, ends, strict=True):
        before, after = (sum(count for key, count in part.items() if low <= key <= high) for part in (left, right))
        lowest, highest = shape.edges(low)[0], shape.edges(high)[1]
        cells.append(Cell(_span(lowest, highest), before, after, lowest, highest))
    cells.append(Cell("above", 0, sum(count for key, count in right.items() if key > keys[-1])))
    return cells


def _span(low: float, high: float) -> str:
    return f"{low:.6g}" if low == high else f"{low:.6g} to {high:.6g}"


def _quantile_ends(keys: Sequence[int], counts: Sequence[int], bins: int) -> list[int]:
    """The last bucket of each bin, so that bins hold about equal shares of the reference; heavy buckets stay alone."""
    total = sum(counts)
    ends, target = [], total / bins
    for key, below in zip(keys, itertools.accumulate(counts), strict=True):
        if below >= target - 0.5:
            ends.append(key)
            target = total * (int(below * bins / total) + 1) / bins
    if ends[-1] != keys[-1]:
        ends.append(keys[-1])
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


def _common_bins(reference: Sketch, current: Sketch, needed: float, bins: int) -> list[tuple[int, int]]:
    level = max(reference.level, current.level)
    left, right = _counted(reference, level), _counted(current, level)
    full = max(needed, (reference.n + current.n) / bins - 0.5)
    cells: list[tuple[int, int]] = []
    a = b = 0
    for key in sorted({*left, *right}):
        a, b = a + left.get(key, 0), b + right.get(key, 0)
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
