"""Expectations about a number that sums a column up."""

from __future__ import annotations

from typing import Any, ClassVar, Literal

from mainspring.engines.tables import Aggregate, Count, Distinct, Frequent, Metric, Missing, Quantile, Scalar
from mainspring.kernel.errors import InvalidInput
from mainspring.quality.expectations.base import Answers, Check, Judgement, Schema, Target, in_range, range_text

__all__ = [
    "DistinctInSet",
    "MaxBetween",
    "MeanBetween",
    "MedianBetween",
    "MinBetween",
    "MostCommonInSet",
    "ProportionNonNull",
    "ProportionUnique",
    "QuantilesBetween",
    "StdBetween",
    "SumBetween",
    "UniqueCountBetween",
]

_SET_LIMIT = 10_000  # distinct values that a set is compared with; more is no set that a person wrote


class _RangeCheck(Check, frozen=True, kw_only=True):
    """One number of the column lies in a range."""

    what: ClassVar[str] = ""
    min_value: Scalar | None = None
    max_value: Scalar | None = None
    strict_min: bool = False
    strict_max: bool = False

    def __post_init__(self) -> None:
        if self.min_value is None and self.max_value is None:
            raise InvalidInput("a range needs min_value, max_value or both")

    def value(self, target: Target, answers: Answers) -> Any:
        """The number."""
        return answers[self.metrics(target)[0]]

    def judge(self, target: Target, answers: Answers, schema: Schema) -> Judgement:
        """The number is there and lies in the range."""
        observed = self.value(target, answers)
        if observed is None:
            return Judgement(passed=False, message=f"there is no {self.what}: every value is missing")
        for end in (self.min_value, self.max_value):
            if end is not None and isinstance(end, str) != isinstance(observed, str):
                raise InvalidInput(f"the {self.what} is {observed!r}, which cannot be compared with {end!r}")
        passed = in_range(
            observed, self.min_value, self.max_value, strict_low=self.strict_min, strict_high=self.strict_max
        )
        return Judgement(
            passed=passed, observed=observed, message="" if passed else f"the {self.what} is {_short(observed)}"
        )

    def expected(self) -> str:
        """In words."""
        text = range_text(self.min_value, self.max_value, strict_low=self.strict_min, strict_high=self.strict_max)
        return f"to have a {self.what} {text}"


class _AggregateBetween(_RangeCheck, frozen=True, kw_only=True):
    function: ClassVar[Literal["min", "max", "sum", "mean", "std"]] = "min"

    def metrics(self, target: Target) -> tuple[Metric, ...]:
        """The aggregate."""
        return (Aggregate(where=target.where, column=target.column, function=self.function),)


class MinBetween(_AggregateBetween, frozen=True, kw_only=True):
    """The least value lies in a range."""

    what = "minimum"
    function = "min"


class MaxBetween(_AggregateBetween, frozen=True, kw_only=True):
    """The greatest value lies in a range."""

    what = "maximum"
    function = "max"


class MeanBetween(_AggregateBetween, frozen=True, kw_only=True):
    """The mean lies in a range."""

    what = "mean"
    function = "mean"


class SumBetween(_AggregateBetween, frozen=True, kw_only=True):
    """The sum lies in a range."""

    what = "sum"
    function = "sum"


class StdBetween(_AggregateBetween, frozen=True, kw_only=True):
    """The standard deviation (dividing by n - 1) lies in a range."""

    what = "standard deviation"
    function = "std"


class MedianBetween(_RangeCheck, frozen=True, kw_only=True):
    """The median lies in a range."""

    what = "median"

    def metrics(self, target: Target) -> tuple[Metric, ...]:
        """The median."""
        return (Quantile(where=target.where, column=target.column, q=0.5),)


class UniqueCountBetween(_RangeCheck, frozen=True, kw_only=True):
    """The number of distinct values lies in a range."""

    what = "number of distinct values"

    def metrics(self, target: Target) -> tuple[Metric, ...]:
        """The distinct values."""
        return (Distinct(where=target.where, columns=(target.column,)),)


class ProportionUnique(_RangeCheck, frozen=True, kw_only=True):
    """Distinct values divided by values that are not missing lies in a range."""

    what = "proportion of distinct values"

    def metrics(self, target: Target) -> tuple[Metric, ...]:
        """Distinct values, rows, missing values."""
        return (
            Distinct(where=target.where, columns=(target.column,)),
            Count(where=target.where),
            Count(where=target.where, predicate=Missing(target.column)),
        )

    def value(self, target: Target, answers: Answers) -> Any:
        """The proportion; None without values."""
        distinct, rows, missing = (answers[metric] for metric in self.metrics(target))
        return distinct / (rows - missing) if rows > missing else None


class ProportionNonNull(_RangeCheck, frozen=True, kw_only=True):
    """The share of rows whose value is not missing lies in a range."""

    what = "proportion of values that are there"

    def metrics(self, target: Target) -> tuple[Metric, ...]:
        """Rows and missing values."""
        return Count(where=target.where), Count(where=target.where, predicate=Missing(target.column))

    def value(self, target: Target, answers: Answers) -> Any:
        """The proportion; 1 without rows."""
        rows, missing = (answers[metric] for metric in self.metrics(target))
        return (rows - missing) / rows if rows else 1.0


class QuantilesBetween(Check, frozen=True, kw_only=True):
    """Each quantile lies in its range: `quantiles` and `value_ranges` have the same length."""

    quantiles: tuple[float, ...]
    value_ranges: tuple[tuple[float | None, float | None], ...]

    def __post_init__(self) -> None:
        if not self.quantiles or len(self.quantiles) != len(self.value_ranges):
            raise InvalidInput("quantiles and value_ranges must have the same length, at least one")
        if not all(0 <= q <= 1 for q in self.quantiles):
            raise InvalidInput(f"quantiles lie between 0 and 1, not {self.quantiles}")

    def metrics(self, target: Target) -> tuple[Metric, ...]:
        """The quantiles."""
        return tuple(Quantile(where=target.where, column=target.column, q=q) for q in self.quantiles)

    def judge(self, target: Target, answers: Answers, schema: Schema) -> Judgement:
        """Every one is there and in its range."""
        observed = [answers[metric] for metric in self.metrics(target)]
        outside = [
            f"the {q:g} quantile is {_short(value)}"
            for q, value, ends in zip(self.quantiles, observed, self.value_ranges, strict=True)
            if value is None or not in_range(value, *ends)
        ]
        return Judgement(passed=not outside, observed=observed, message="; ".join(outside))

    def expected(self) -> str:
        """In words."""
        ranges = zip(self.quantiles, self.value_ranges, strict=True)
        return "to have " + "; ".join(f"a {q:g} quantile {range_text(*ends)}" for q, ends in ranges)


class DistinctInSet(Check, frozen=True, kw_only=True):
    """How the set of distinct values stands to a given set: `in` it, `contain` it, or `equal` it."""

    value_set: tuple[Scalar, ...]
    relation: ClassVar[Literal["in", "contain", "equal"]] = "in"

    def metrics(self, target: Target) -> tuple[Metric, ...]:
        """The distinct values."""
        return (Frequent(where=target.where, column=target.column, limit=_SET_LIMIT),)

    def judge(self, target: Target, answers: Answers, schema: Schema) -> Judgement:
        """The two sets stand as they should."""
        found = {value for value, _ in answers[self.metrics(target)[0]]}
        wanted = set(self.value_set)
        extra = found - wanted if self.relation != "contain" else set()
        absent = wanted - found if self.relation != "in" else set()
        named = (("also", extra), ("without", absent))
        parts = [f"{word} {sorted(map(str, each))[:10]}" for word, each in named if each]
        shown = sorted(found, key=str)[:20]
        return Judgement(passed=not (extra or absent), observed=shown, message="; ".join(parts))

    def expected(self) -> str:
        """In words."""
        verb = {"in": "to lie in", "contain": "to contain", "equal": "to equal"}[self.relation]
        return f"to have a set of distinct values {verb} {list(self.value_set)[:10]}"


class DistinctContainSet(DistinctInSet, frozen=True, kw_only=True):
    """Every member of the set occurs."""

    relation = "contain"


class DistinctEqualSet(DistinctInSet, frozen=True, kw_only=True):
    """The members of the set occur, and nothing else."""

    relation = "equal"


class MostCommonInSet(Check, frozen=True, kw_only=True):
    """The most frequent value is a member of a set; with ties, one of them (`ties_okay`) or all must be."""

    value_set: tuple[Scalar, ...]
    ties_okay: bool = False

    def metrics(self, target: Target) -> tuple[Metric, ...]:
        """The frequent values."""
        return (Frequent(where=target.where, column=target.column, limit=100),)

    def judge(self, target: Target, answers: Answers, schema: Schema) -> Judgement:
        """The mode is as expected."""
        counted = answers[self.metrics(target)[0]]
        top = [value for value, count in counted if count == counted[0][1]]
        inside = [value in self.value_set for value in top]
        passed = bool(top) and (any(inside) if self.ties_okay else all(inside))
        return Judgement(passed=passed, observed=top, message="" if passed else f"the most common is {top[:5]}")

    def expected(self) -> str:
        """In words."""
        return f"to have a most common value in {list(self.value_set)[:10]}"


def _short(value: Any) -> str:
    return f"{value:.6g}" if isinstance(value, float) else str(value)
