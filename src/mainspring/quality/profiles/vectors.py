"""Mergeable states of several numbers at once: embeddings, and how the numeric columns of a table go together.

Both are first and second moments (Pébay, SAND2008-6212), so merging is exact up to rounding.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import msgspec

from mainspring.quality.profiles.numbers import Sketch, merge_sketches

__all__ = ["Pair", "Vectors", "finite", "merge_pairs", "merge_vectors"]


class Vectors(msgspec.Struct, frozen=True, omit_defaults=True):
    """Vectors of one dimension: how many, their centroid, sums of squared deviations, and their lengths (norms).

    `other` counts lists of another dimension, and those with something in them that is not a finite number.
    """

    n: int = 0
    centroid: tuple[float, ...] = ()
    m2: tuple[float, ...] = ()
    norms: Sketch = Sketch()
    other: int = 0

    @property
    def dimension(self) -> int:
        """Numbers in each vector."""
        return len(self.centroid)

    @property
    def variances(self) -> tuple[float, ...]:
        """Of each component, dividing by n - 1."""
        return tuple(each / (self.n - 1) for each in self.m2) if self.n > 1 else ()


class Pair(msgspec.Struct, frozen=True, array_like=True):
    """Two columns over the rows in which both are there: means, sums of squared and of multiplied deviations.

    Example:
        >>> Pair("x", "y", 3, 1.0, 2.0, 4.0, 4.0, 2.0).correlation
        0.5
    """

    a: str
    b: str
    n: int
    mean_a: float
    mean_b: float
    m2_a: float
    m2_b: float
    product: float

    @property
    def correlation(self) -> float | None:
        """Pearson's; None for a constant."""
        spread = math.sqrt(self.m2_a) * math.sqrt(self.m2_b)
        return max(-1.0, min(1.0, self.product / spread)) if spread > 0 and math.isfinite(spread) else None

    @property
    def covariance(self) -> float | None:
        """Dividing by n - 1; None below two rows."""
        return self.product / (self.n - 1) if self.n > 1 else None


def merge_vectors(a: Vectors, b: Vectors) -> Vectors:
    """The state of both; where the dimensions differ, that of the more frequent one."""
    if a.dimension != b.dimension:
        kept, left = (a, b) if (a.n, a.dimension) >= (b.n, b.dimension) else (b, a)
        return msgspec.structs.replace(kept, other=a.other + b.other + left.n)
    n = a.n + b.n
    if not a.n or not b.n:
        return msgspec.structs.replace(a if a.n else b, other=a.other + b.other)
    share = b.n / n
    apart = [y - x for x, y in zip(a.centroid, b.centroid, strict=True)]
    return Vectors(
        n,
        tuple(x + d * share for x, d in zip(a.centroid, apart, strict=True)),
        tuple(x + y + d * d * a.n * share for x, y, d in zip(a.m2, b.m2, apart, strict=True)),
        merge_sketches(a.norms, b.norms),
        a.other + b.other,
    )


def merge_pairs(a: Sequence[Pair], b: Sequence[Pair]) -> tuple[Pair, ...]:
    """The pairs that both know, over the rows of both."""
    known = {(pair.a, pair.b): pair for pair in b}
    return tuple(_merge_pair(pair, known[pair.a, pair.b]) for pair in a if (pair.a, pair.b) in known)


def _merge_pair(a: Pair, b: Pair) -> Pair:
    if not a.n or not b.n:
        return a if a.n else b
    n = a.n + b.n
    share, da, db = b.n / n, b.mean_a - a.mean_a, b.mean_b - a.mean_b
    weight = a.n * share
    sums = (a.m2_a + b.m2_a + da * da * weight, a.m2_b + b.m2_b + db * db * weight)
    product = a.product + b.product + da * db * weight
    return Pair(a.a, a.b, n, *map(finite, (a.mean_a + da * share, a.mean_b + db * share, *sums, product)))


def finite(value: float) -> float:
    """A number that JSON can say."""
    greatest = 1.7976931348623157e308
    return greatest if math.isnan(value) else max(-greatest, min(greatest, value))
