"""Expectations that a column is spread as in another table, and of the lengths of lists: what TFDV's schema asks."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal

from mainspring.engines.tables import Aggregate, Frequent, Histogram, Metric, Quantile
from mainspring.kernel.errors import InvalidInput
from mainspring.quality.expectations.base import Check, Judgement, Known, Target, check_range, range_text
from mainspring.quality.expectations.other_tables import OfOther
from mainspring.quality.expectations.programs import ExpressionCheck

if TYPE_CHECKING:
    import polars as pl

__all__ = ["DistributionNearOther", "ListLengthsBetween"]

_VALUES = 100_000
_QUANTILES = 100


class DistributionNearOther(OfOther, frozen=True, kw_only=True):
    """The distance between the distributions of the column here and in another table is at most `threshold`.

    `infinity_norm` is the greatest difference between the shares of a value. `jensen_shannon` is the divergence with
    logarithms to base 2, between 0 and 1: of the values of a text, of numbers over `bins` that are equally wide over
    both tables (`standard`) or that hold equally many values of the other (`quantiles`).
    """

    subject = "column"
    threshold: float
    distance: Literal["infinity_norm", "jensen_shannon"] = "infinity_norm"
    bins: int = 10
    binning: Literal["standard", "quantiles"] = "standard"
    table: str = "previous"

    def __post_init__(self) -> None:
        if not 1 <= self.bins <= 10_000:
            raise InvalidInput("bins lie between 1 and 10,000")

    def before(self, target: Target) -> Mapping[str, tuple[Metric, ...]]:
        """The types of both; that decides what is asked of them."""
        return {"": (), self.table: ()}

    def informed(self, target: Target, known: Known) -> Check:
        """Ask for values, or for where bins are."""
        other = known.other(self.table)
        if other is None:
            return self._first(self.table)
        if target.column not in other.schema:
            return self._decided(Judgement(passed=False, message=f"{self.table} has no such column"))
        mine, theirs = known.schema[target.column], other.schema[target.column]
        given = {name: getattr(self, name) for name in self.__struct_fields__}
        if self.distance == "jensen_shannon" and mine.is_number and theirs.is_number:
            return _Ends(**given)
        return _Values(**given)

    def compared(self, left: Sequence[float], right: Sequence[float], names: Sequence[Any]) -> Check:
        """The judgement over two lists of weights."""
        if not sum(left) or not sum(right):
            empty = "here" if not sum(left) else f"in {self.table}"
            return self._decided(Judgement(passed=False, message=f"there are no values {empty}"))
        p, q = ([weight / sum(side) for weight in side] for side in (left, right))
        apart = [abs(a - b) for a, b in zip(p, q, strict=True)]
        worst = names[apart.index(max(apart))]
        found = max(apart) if self.distance == "infinity_norm" else _jensen_shannon(p, q)
        message = "" if found <= self.threshold else f"the distance is {found:.6g}, the most of it at {worst}"
        details = {"at": worst, "distance": self.distance}
        return self._decided(
            Judgement(passed=found <= self.threshold, observed=found, message=message, details=details)
        )

    def expected(self) -> str:
        """In words."""
        return (
            f"to be spread as in {self.table}, with a {self.distance.replace('_', ' ')} of at most {self.threshold:g}"
        )


class _Values(DistributionNearOther, frozen=True, kw_only=True):
    def _frequent(self, target: Target) -> Frequent:
        return Frequent(where=target.where, column=target.column, limit=_VALUES)

    def before(self, target: Target) -> Mapping[str, tuple[Metric, ...]]:
        return {"": (self._frequent(target),), self.table: (self._frequent(target),)}

    def informed(self, target: Target, known: Known) -> Check:
        other = known.other(self.table)
        metric = self._frequent(target)
        left = dict(known.answers[metric])
        right = dict(other.answers[metric]) if other is not None else {}
        names = list(dict.fromkeys([*left, *right]))
        return self.compared([left.get(n, 0) for n in names], [right.get(n, 0) for n in names], names)


class _Ends(DistributionNearOther, frozen=True, kw_only=True):
    def _ends(self, target: Target) -> tuple[Metric, ...]:
        if self.binning == "quantiles":
            shares = [k / _QUANTILES for k in range(1, _QUANTILES)]
            return tuple(Quantile(where=target.where, column=target.column, q=q) for q in shares)
        return (
            Aggregate(where=target.where, column=target.column, function="min"),
            Aggregate(where=target.where, column=target.column, function="max"),
        )

    def before(self, target: Target) -> Mapping[str, tuple[Metric, ...]]:
        return {"": self._ends(target), self.table: self._ends(target)}

    def informed(self, target: Target, known: Known) -> Check:
        other = known.other(self.table)
        asked = self._ends(target)
        theirs = [other.answers[metric] for metric in asked] if other is not None else []
        mine = [known.answers[metric] for metric in asked]
        if self.binning == "quantiles":
            edges = sorted({float(value) for value in theirs if value is not None and math.isfinite(value)})
        else:
            ends = [float(value) for value in (*mine, *theirs) if value is not None and math.isfinite(value)]
            low, high = min(ends, default=0.0), max(ends, default=0.0)
            edges = [low + (high - low) * k / self.bins for k in range(1, self.bins)] if high > low else [low]
        given = {name: getattr(self, name) for name in self.__struct_fields__}
        return _Bins(**given, edges=tuple(edges) or (0.0,))


class _Bins(DistributionNearOther, frozen=True, kw_only=True):
    edges: tuple[float, ...]

    def _histogram(self, target: Target) -> Histogram:
        return Histogram(where=target.where, column=target.column, edges=self.edges)

    def before(self, target: Target) -> Mapping[str, tuple[Metric, ...]]:
        return {"": (self._histogram(target),), self.table: (self._histogram(target),)}

    def informed(self, target: Target, known: Known) -> Check:
        other = known.other(self.table)
        metric = self._histogram(target)
        theirs = other.answers[metric] if other is not None else []
        names = [f"below {self.edges[0]:g}", *(f"from {edge:g}" for edge in self.edges)]
        return self.compared(known.answers[metric], theirs, names)


def _jensen_shannon(p: Sequence[float], q: Sequence[float]) -> float:
    parts = []
    for a, b in zip(p, q, strict=True):
        middle = (a + b) / 2
        parts += [each * math.log2(each / middle) / 2 for each in (a, b) if each > 0]
    return max(0.0, math.fsum(parts))


class ListLengthsBetween(ExpressionCheck, frozen=True, kw_only=True):
    """Lists have a number of members in a range; a value that is no list counts as a list of one."""

    subjects = ("column",)
    min_value: int | None = None
    max_value: int | None = None

    def __post_init__(self) -> None:
        check_range(self.min_value, self.max_value)

    def holds(self, target: Target) -> pl.Expr:
        """The list is as long as it should be."""
        import polars as pl

        def within(values: pl.Series) -> pl.Series:
            sizes = values.list.len() if values.dtype == pl.List else pl.Series([_one(values.dtype)] * len(values))
            low = 0 if self.min_value is None else self.min_value
            return sizes.is_between(low, 2**31 if self.max_value is None else self.max_value)

        return pl.col(target.column).map_batches(within, return_dtype=pl.Boolean)

    def expected(self) -> str:
        """In words."""
        return f"to be lists of a length {range_text(self.min_value, self.max_value)}"


def _one(dtype: Any) -> int:
    size = getattr(dtype, "size", None)
    return size if isinstance(size, int) else 1
