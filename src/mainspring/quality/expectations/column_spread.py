"""Expectations about how far values lie from the others: z-scores and outliers. The spread is asked for first."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

from mainspring.engines.tables import Aggregate, AnyPredicate, Between, Metric, Missing, Not, Quantile
from mainspring.kernel.errors import InvalidInput
from mainspring.quality.expectations.base import Known, RowCheck, Target, range_text, short

__all__ = ["ValuesNotOutliers", "ZScoresBelow"]


class _Within(RowCheck, frozen=True, kw_only=True):
    """Values lie in a range that was worked out from the column itself; without one, every value does."""

    words: str
    low: float | None = None
    high: float | None = None
    strict: bool = False

    def holds(self, target: Target) -> AnyPredicate:
        """The value is in the range."""
        if self.low is None and self.high is None:
            return Not(Missing(target.column))
        return Between(target.column, self.low, self.high, self.strict, self.strict)

    def expected(self) -> str:
        """In words."""
        ends = (None if end is None else float(short(end)) for end in (self.low, self.high))
        return f"{self.words} ({range_text(*ends, strict_low=self.strict, strict_high=self.strict)})"


class _FromSpread(RowCheck, frozen=True, kw_only=True):
    def holds(self, target: Target) -> AnyPredicate:
        raise InvalidInput("the spread of the column is not known yet")

    def _around_mean(self, target: Target) -> tuple[Metric, Metric]:
        mean = Aggregate(where=target.where, column=target.column, function="mean")
        return mean, Aggregate(where=target.where, column=target.column, function="std")


class ZScoresBelow(_FromSpread, frozen=True, kw_only=True):
    """Values lie less than `threshold` standard deviations above the mean, or with `double_sided` from it.

    In a column without spread no value is far from the others.
    """

    threshold: float
    double_sided: bool = False

    def before(self, target: Target) -> Mapping[str, tuple[Metric, ...]]:
        """Mean and standard deviation."""
        return {"": self._around_mean(target)}

    def informed(self, target: Target, known: Known) -> RowCheck:
        """A range around the mean."""
        mean, std = (known.answers[metric] for metric in self._around_mean(target))
        if mean is None or not std:
            return _Within(words=self.expected())
        reach = abs(self.threshold) if self.double_sided else self.threshold
        low = mean - reach * std if self.double_sided else None
        return _Within(words=self.expected(), low=low, high=mean + reach * std, strict=True)

    def expected(self) -> str:
        """In words."""
        side = "from" if self.double_sided else "above"
        return f"to lie less than {self.threshold:g} standard deviations {side} the mean"


class ValuesNotOutliers(_FromSpread, frozen=True, kw_only=True):
    """No value is an outlier.

    With `iqr` values lie within `multiplier` interquartile ranges of the quartiles, ends included; with `std` less than
    `multiplier` standard deviations from the mean.
    """

    method: Literal["iqr", "std"] = "iqr"
    multiplier: float = 1.5

    def __post_init__(self) -> None:
        if self.multiplier < 0:
            raise InvalidInput(f"multiplier is not negative, {self.multiplier} is")

    def _quartiles(self, target: Target) -> tuple[Metric, Metric]:
        low = Quantile(where=target.where, column=target.column, q=0.25)
        return low, Quantile(where=target.where, column=target.column, q=0.75)

    def before(self, target: Target) -> Mapping[str, tuple[Metric, ...]]:
        """The quartiles, or mean and standard deviation."""
        return {"": self._quartiles(target) if self.method == "iqr" else self._around_mean(target)}

    def informed(self, target: Target, known: Known) -> RowCheck:
        """The range of values that are no outliers."""
        words = self.expected()
        if self.method == "iqr":
            first, third = (known.answers[metric] for metric in self._quartiles(target))
            if first is None:
                return _Within(words=words)
            reach = self.multiplier * (third - first)
            return _Within(words=words, low=first - reach, high=third + reach)
        mean, std = (known.answers[metric] for metric in self._around_mean(target))
        if mean is None or std is None:
            return _Within(words=words)
        reach = self.multiplier * std
        # Without spread the only value is the mean, and no range with open ends would hold it.
        return _Within(words=words, low=mean - reach, high=mean + reach, strict=reach > 0)

    def expected(self) -> str:
        """In words."""
        unit = (
            "interquartile ranges outside the quartiles"
            if self.method == "iqr"
            else "standard deviations from the mean"
        )
        return f"to lie no further than {self.multiplier:g} {unit}"
