"""Expectations about a number that sums a column up."""

from __future__ import annotations

from typing import Any, ClassVar, Literal

import msgspec

from mainspring.engines.tables import Aggregate, Count, Distinct, Metric, Missing, Moments, Quantile, Scalar
from mainspring.kernel.errors import InvalidInput
from mainspring.quality.expectations.base import (
    Answers,
    Check,
    Judgement,
    Schema,
    Target,
    in_range,
    moment,
    range_text,
    short,
)

__all__ = [
    "MaxBetween",
    "MaxLengthBetween",
    "MeanBetween",
    "MedianBetween",
    "MinBetween",
    "MinLengthBetween",
    "NumberCheck",
    "ProportionNonNull",
    "ProportionUnique",
    "QuantilesBetween",
    "StdBetween",
    "SumBetween",
    "UniqueCountBetween",
    "VarianceBetween",
]


class NumberCheck(Check, frozen=True, kw_only=True):
    """One number lies in a range. Without a range any number will do, so that it is only written down."""

    what: ClassVar[str] = ""
    min_value: Scalar | None = None
    max_value: Scalar | None = None
    strict_min: bool = False
    strict_max: bool = False

    def value(self, target: Target, answers: Answers) -> Any:
        """The number; None when there is none, for example without rows."""
        return answers[self.metrics(target)[0]]

    def judge(self, target: Target, answers: Answers, schema: Schema) -> Judgement:
        """The number is there and lies in the range."""
        observed = self.value(target, answers)
        if observed is None:
            return Judgement(passed=False, message=f"there is no {self.what}: every value is missing")
        column = schema.get(target.column)
        compared: Any = observed
        low: Any = self.min_value
        high: Any = self.max_value
        if isinstance(observed, str) and column is not None and column.is_moment:
            compared, low, high = (None if each is None else moment(each) for each in (observed, low, high))
        for end in (low, high):
            if end is not None and isinstance(end, str) != isinstance(compared, str):
                raise InvalidInput(f"the {self.what} is {observed!r}, which cannot be compared with {end!r}")
        passed = in_range(compared, low, high, strict_low=self.strict_min, strict_high=self.strict_max)
        return Judgement(
            passed=passed, observed=observed, message="" if passed else f"the {self.what} is {short(observed)}"
        )

    def expected(self) -> str:
        """In words."""
        text = range_text(self.min_value, self.max_value, strict_low=self.strict_min, strict_high=self.strict_max)
        article = "an" if self.what[0] in "aeiou" and not self.what.startswith("uni") else "a"
        return f"to have {article} {self.what} {text}"


class _AggregateBetween(NumberCheck, frozen=True, kw_only=True):
    function: ClassVar[Literal["min", "max", "sum", "mean", "std", "min_length", "max_length"]] = "min"

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


class MinLengthBetween(_AggregateBetween, frozen=True, kw_only=True):
    """The least number of characters lies in a range."""

    what = "least length"
    function = "min_length"


class MaxLengthBetween(_AggregateBetween, frozen=True, kw_only=True):
    """The greatest number of characters lies in a range."""

    what = "greatest length"
    function = "max_length"


class VarianceBetween(NumberCheck, frozen=True, kw_only=True):
    """The variance lies in a range; it divides by n - 1, or by n for the `population`."""

    what = "variance"
    population: bool = False

    def metrics(self, target: Target) -> tuple[Metric, ...]:
        """The moments, or the deviation."""
        if self.population:
            return (Moments(where=target.where, column=target.column),)
        return (Aggregate(where=target.where, column=target.column, function="std"),)

    def value(self, target: Target, answers: Answers) -> Any:
        """The variance; None without values."""
        answer = answers[self.metrics(target)[0]]
        if not self.population:
            return None if answer is None else answer**2
        return answer[2] / answer[0] if answer[0] else None


class StdBetween(VarianceBetween, frozen=True, kw_only=True):
    """The standard deviation lies in a range; it divides by n - 1, or by n for the `population`."""

    what = "standard deviation"

    def value(self, target: Target, answers: Answers) -> Any:
        """The deviation; None without values."""
        if not self.population:
            return answers[self.metrics(target)[0]]
        variance = super().value(target, answers)
        return None if variance is None else variance**0.5


class MedianBetween(NumberCheck, frozen=True, kw_only=True):
    """The median lies in a range."""

    what = "median"

    def metrics(self, target: Target) -> tuple[Metric, ...]:
        """The median."""
        return (Quantile(where=target.where, column=target.column, q=0.5),)


class UniqueCountBetween(NumberCheck, frozen=True, kw_only=True):
    """The number of distinct values lies in a range."""

    what = "number of distinct values"

    def metrics(self, target: Target) -> tuple[Metric, ...]:
        """The distinct values."""
        return (Distinct(where=target.where, columns=(target.column,)),)


class ProportionUnique(NumberCheck, frozen=True, kw_only=True):
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


class ProportionNonNull(NumberCheck, frozen=True, kw_only=True):
    """The share of rows whose value is not missing lies in a range."""

    what = "proportion of values that are there"

    def metrics(self, target: Target) -> tuple[Metric, ...]:
        """Rows and missing values."""
        return Count(where=target.where), Count(where=target.where, predicate=Missing(target.column))

    def value(self, target: Target, answers: Answers) -> Any:
        """The proportion; 1 without rows."""
        rows, missing = (answers[metric] for metric in self.metrics(target))
        return (rows - missing) / rows if rows else 1.0


class _QuantileRanges(msgspec.Struct, frozen=True):
    quantiles: tuple[float, ...]
    value_ranges: tuple[tuple[float | None, float | None], ...]


class QuantilesBetween(Check, frozen=True, kw_only=True):
    """Each quantile lies in its range.

    `quantiles` and `value_ranges` have the same length; Great Expectations puts both into `quantile_ranges`.

    A quantile between two values is interpolated linearly. `allow_relative_error` says otherwise by the name of an
    interpolation; False is the lower value, which Great Expectations takes when nothing is said.
    """

    quantiles: tuple[float, ...] = ()
    value_ranges: tuple[tuple[float | None, float | None], ...] = ()
    quantile_ranges: _QuantileRanges | None = None
    allow_relative_error: bool | float | Literal["linear", "lower", "higher", "midpoint", "nearest"] | None = None

    def __post_init__(self) -> None:
        if self.quantile_ranges is not None and (self.quantiles or self.value_ranges):
            raise InvalidInput("give quantile_ranges, or quantiles and value_ranges")
        quantiles, ranges = self._wanted
        if not quantiles or len(quantiles) != len(ranges):
            raise InvalidInput("quantiles and value_ranges must have the same length, at least one")
        if not all(0 <= q <= 1 for q in quantiles):
            raise InvalidInput(f"quantiles lie between 0 and 1, not {quantiles}")

    @property
    def _wanted(self) -> tuple[tuple[float, ...], tuple[tuple[float | None, float | None], ...]]:
        given = self.quantile_ranges
        return (self.quantiles, self.value_ranges) if given is None else (given.quantiles, given.value_ranges)

    @property
    def _interpolations(self) -> tuple[Literal["linear", "lower", "higher", "nearest"], ...]:
        asked = self.allow_relative_error
        if asked == "midpoint":
            return "lower", "higher"
        if isinstance(asked, str):
            return (asked,)
        gx = self.quantile_ranges is not None
        return ("lower",) if asked is False or (gx and asked is None) else ("linear",)

    def metrics(self, target: Target) -> tuple[Metric, ...]:
        """The quantiles."""
        return tuple(
            Quantile(where=target.where, column=target.column, q=q, interpolation=how)
            for q in self._wanted[0]
            for how in self._interpolations
        )

    def judge(self, target: Target, answers: Answers, schema: Schema) -> Judgement:
        """Every one is there and in its range."""
        found = [answers[metric] for metric in self.metrics(target)]
        step = len(self._interpolations)
        observed = [None if found[k] is None else sum(found[k : k + step]) / step for k in range(0, len(found), step)]
        quantiles, ranges = self._wanted
        held = [value is not None and in_range(value, *ends) for value, ends in zip(observed, ranges, strict=True)]
        outside = [
            f"the {q:g} quantile is {short(value)}"
            for q, value, holds in zip(quantiles, observed, held, strict=True)
            if not holds
        ]
        details = {"quantiles": list(quantiles), "success_details": held}
        return Judgement(passed=not outside, observed=observed, message="; ".join(outside), details=details)

    def expected(self) -> str:
        """In words."""
        return "to have " + "; ".join(
            f"a {q:g} quantile {range_text(*ends)}" for q, ends in zip(*self._wanted, strict=True)
        )
