"""The statistics of drift over cells: effect sizes, their laws when nothing changed, and many tests at once.

Written in plain Python: cells are few, and monitoring must not need scipy. Tested against scipy.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

__all__ = [
    "TURNOVER_LEAST",
    "adjusted",
    "beyond",
    "chi2_tail",
    "homogeneity",
    "jensen_shannon",
    "kolmogorov_tail",
    "psi",
    "psi_bias",
    "psi_standard_error",
    "smoothed",
    "turnover",
]

TURNOVER_LEAST = 30
"""Rare categories, of which so many make their test normal."""


def smoothed(counts: Sequence[int]) -> list[float]:
    """Shares of cells with half a count added to each (Jeffreys' prior), so that no share is zero.

    Example:
        >>> smoothed([3, 0])
        [0.875, 0.125]
    """
    total = sum(counts) + 0.5 * len(counts)
    return [(count + 0.5) / total for count in counts]


def psi(reference: Sequence[int], current: Sequence[int]) -> float:
    """Population stability index: the sum of (p - q) ln(p / q) over cells, with smoothed shares.

    Example:
        >>> psi([50, 50], [50, 50])
        0.0
    """
    pairs = zip(smoothed(reference), smoothed(current), strict=True)
    return sum((p - q) * math.log(p / q) for p, q in pairs)


def psi_bias(cells: int, n: int, m: int) -> float:
    """What the index comes to on average when nothing changed: its law is chi-square(cells - 1) times (1/n + 1/m)."""
    return (cells - 1) * (1 / n + 1 / m) if n and m else 0.0


def psi_standard_error(reference: Sequence[int], current: Sequence[int]) -> float:
    """The standard error of the index by the delta method, both samples random."""
    p, q = smoothed(reference), smoothed(current)
    variance = 0.0
    for own, other, total in ((p, q, sum(reference)), (q, p, sum(current))):
        if not total:
            return math.inf
        slope = [math.log(a / b) + 1 - b / a for a, b in zip(own, other, strict=True)]
        mean = sum(a * g for a, g in zip(own, slope, strict=True))
        variance += (sum(a * g * g for a, g in zip(own, slope, strict=True)) - mean * mean) / total
    return math.sqrt(max(variance, 0.0))


def jensen_shannon(reference: Sequence[int], current: Sequence[int]) -> float:
    """Jensen-Shannon distance (square root of the divergence, logarithm to base 2): 0 equal, 1 disjoint.

    Example:
        >>> jensen_shannon([10, 0], [0, 10])
        1.0
    """
    n, m = sum(reference), sum(current)
    if not n or not m:
        return 0.0
    total = 0.0
    for a, b in zip(reference, current, strict=True):
        p, q = a / n, b / m
        middle = (p + q) / 2
        total += sum(each * math.log2(each / middle) for each in (p, q) if each)
    return math.sqrt(max(total / 2, 0.0))


def homogeneity(reference: Sequence[int], current: Sequence[int], *, least: float = 5.0) -> tuple[float, int, float]:
    """Pearson's chi-square test that both rows of counts come from one distribution.

    Cells whose expected count is below `least` in either sample are pooled, the rarest first, which is what
    keeps the law of the statistic valid at small n (Cochran 1954).

    Returns:
        The statistic, its degrees of freedom and the p-value; (0, 0, 1) when fewer than two cells are left.

    Example:
        >>> homogeneity([50, 50], [50, 50])
        (0.0, 1, 1.0)
    """
    n, m = sum(reference), sum(current)
    if not n or not m:
        return 0.0, 0, 1.0
    cells = _pooled(list(zip(reference, current, strict=True)), n, m, least)
    if len(cells) < 2:
        return 0.0, 0, 1.0
    statistic = 0.0
    for a, b in cells:
        share = (a + b) / (n + m)
        statistic += (a - n * share) ** 2 / (n * share) + (b - m * share) ** 2 / (m * share)
    return statistic, len(cells) - 1, chi2_tail(statistic, len(cells) - 1)


def _pooled(cells: list[tuple[int, int]], n: int, m: int, least: float) -> list[tuple[int, int]]:
    # The expected count of a cell in the smaller sample is (a + b) * min(n, m) / (n + m).
    needed = least * (n + m) / min(n, m)
    ordered = sorted((cell for cell in cells if sum(cell)), key=sum)
    kept = [cell for cell in ordered if sum(cell) >= needed]
    rare = [cell for cell in ordered if sum(cell) < needed]
    rest = (sum(a for a, _ in rare), sum(b for _, b in rare))
    if sum(rest) >= needed:
        return [*kept, rest]
    if sum(rest) and kept:
        return [*kept[1:], (kept[0][0] + rest[0], kept[0][1] + rest[1])]
    return kept


def turnover(cells: Sequence[tuple[int, int]], n: int, m: int) -> float:
    """The p-value that rare categories are shared between two samples as chance would share them.

    Each is too rare for a test of its own, but given how often it occurs in both samples together, how many of
    those fall to the first is binomial when nothing changed; the squared deviations of all of them add up to a
    normal variable. One-sided: categories that come and go (identifiers, dates) deviate too much. At least thirty
    categories are needed for the normal law, otherwise the answer is 1.
    """
    if len(cells) < TURNOVER_LEAST:
        return 1.0
    p = n / (n + m)
    spread = p * (1 - p)
    excess = variance = 0.0
    for a, b in cells:
        count = a + b
        second = count * spread
        excess += (a - count * p) ** 2 - second
        variance += second * (1 + (3 * count - 6) * spread) - second * second
    return 0.5 * math.erfc(excess / math.sqrt(2 * variance)) if variance > 0 else 1.0


def beyond(count: int, n: int, m: int) -> float:
    """The probability that the `count` greatest values of `n + m` all come from the sample of `m`, were they alike.

    Exact, and at most that when values are tied. So it tells how odd it is to see `count` values beyond everything
    that a reference of `n` had.

    Example:
        >>> beyond(2, 1, 2) == 2 / 3 * 1 / 2
        True
    """
    return math.prod((m - i) / (n + m - i) for i in range(min(count, m)))


def chi2_tail(value: float, degrees: int) -> float:
    """The probability that a chi-square variable exceeds `value`: the upper incomplete gamma function.

    By its series below `a + 1` and its continued fraction above (Abramowitz and Stegun 6.5.29 and 6.5.31).

    Example:
        >>> round(chi2_tail(3.841458820694124, 1), 6)
        0.05
    """
    if value <= 0 or degrees <= 0:
        return 1.0
    a, x = degrees / 2, value / 2
    front = math.exp(a * math.log(x) - x - math.lgamma(a))
    if x < a + 1:
        term = total = 1 / a
        k = a
        while abs(term) > abs(total) * 1e-16:
            k += 1
            term *= x / k
            total += term
        return max(0.0, 1.0 - front * total)
    tiny = 1e-300
    b = x + 1 - a
    c, d = 1 / tiny, 1 / b
    fraction = d
    for i in range(1, 100_000):
        step = -i * (i - a)
        b += 2
        d = step * d + b
        d = 1 / (d if abs(d) > tiny else tiny)
        c = b + step / c
        c = c if abs(c) > tiny else tiny
        fraction *= d * c
        if abs(d * c - 1) < 1e-15:
            break
    return min(1.0, front * fraction)


def kolmogorov_tail(distance: float, n: int, m: int) -> float:
    """The probability of a greatest distance of two empirical distributions above `distance` (asymptotic law).

    With Stephens' correction for finite samples; conservative when values are tied or binned.
    """
    if not n or not m or distance <= 0:
        return 1.0
    root = math.sqrt(n * m / (n + m))
    x = (root + 0.12 + 0.11 / root) * distance
    if x < 0.2:
        return 1.0
    total: float = 2 * sum((1 if k % 2 else -1) * math.exp(-2 * k * k * x * x) for k in range(1, 101))
    return min(1.0, max(0.0, total))


def adjusted(p_values: Sequence[float]) -> list[float]:
    """Benjamini-Hochberg adjusted p-values: reject those at most q, and at most a share q of the rejections is false.

    Example:
        >>> adjusted([0.01, 0.04, 0.03])
        [0.03, 0.04, 0.04]
    """
    count = len(p_values)
    order = sorted(range(count), key=lambda index: p_values[index], reverse=True)
    result, least = [1.0] * count, 1.0
    for place, index in enumerate(order):
        least = min(least, p_values[index] * count / (count - place))
        result[index] = least
    return result
