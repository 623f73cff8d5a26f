"""Expectations about statistics of a column or of several: Deequ's analyzers, as numbers that lie in a range."""

from __future__ import annotations

import math
from typing import Any, Literal

from mainspring.engines.tables import (
    Aggregate,
    Between,
    Comoments,
    Count,
    Grouping,
    Metric,
    Missing,
    Moments,
    MutualInformation,
    Not,
    Quantile,
    TextForms,
)
from mainspring.kernel.errors import InvalidInput
from mainspring.quality.expectations.base import Answers, Target
from mainspring.quality.expectations.column_aggregates import NumberCheck

__all__ = [
    "CorrelationBetween",
    "DistinctnessBetween",
    "EntropyBetween",
    "InterquartileRangeBetween",
    "KurtosisBetween",
    "MutualInformationBetween",
    "NanCountBetween",
    "RangeBetween",
    "RatioOfSumsBetween",
    "SkewnessBetween",
    "TextFormShareBetween",
    "UniqueValueRatioBetween",
    "UniquenessBetween",
    "ValueCountBetween",
    "ZerosCountBetween",
]


class _FromMoments(NumberCheck, frozen=True, kw_only=True):
    def metrics(self, target: Target) -> tuple[Metric, ...]:
        """The moments."""
        return (Moments(where=target.where, column=target.column),)


class SkewnessBetween(_FromMoments, frozen=True, kw_only=True):
    """The skewness of the population, `sqrt(n) m3 / m2 ** 1.5`, lies in a range."""

    what = "skewness"

    def value(self, target: Target, answers: Answers) -> Any:
        """The skewness; None without spread."""
        n, _, m2, m3, _ = answers[self.metrics(target)[0]]
        return math.sqrt(n) * m3 / m2**1.5 if n and m2 else None


class KurtosisBetween(_FromMoments, frozen=True, kw_only=True):
    """The excess kurtosis of the population, `n m4 / m2 ** 2 - 3`, lies in a range."""

    what = "kurtosis"

    def value(self, target: Target, answers: Answers) -> Any:
        """The kurtosis; None without spread."""
        n, _, m2, _, m4 = answers[self.metrics(target)[0]]
        return n * m4 / m2**2 - 3.0 if n and m2 else None


class InterquartileRangeBetween(NumberCheck, frozen=True, kw_only=True):
    """The distance between the quartiles lies in a range."""

    what = "interquartile range"

    def metrics(self, target: Target) -> tuple[Metric, ...]:
        """The quartiles."""
        return tuple(Quantile(where=target.where, column=target.column, q=q) for q in (0.25, 0.75))

    def value(self, target: Target, answers: Answers) -> Any:
        """The distance; None without values."""
        low, high = (answers[metric] for metric in self.metrics(target))
        return None if low is None else high - low


class RangeBetween(NumberCheck, frozen=True, kw_only=True):
    """The distance between the least and the greatest value lies in a range."""

    what = "range"

    def metrics(self, target: Target) -> tuple[Metric, ...]:
        """The ends."""
        return (
            Aggregate(where=target.where, column=target.column, function="min"),
            Aggregate(where=target.where, column=target.column, function="max"),
        )

    def value(self, target: Target, answers: Answers) -> Any:
        """The distance; None without values."""
        low, high = (answers[metric] for metric in self.metrics(target))
        if isinstance(low, str):
            raise InvalidInput(f"the values of {target.column} are no numbers, so that they have no distance")
        return None if low is None else high - low


class ZerosCountBetween(NumberCheck, frozen=True, kw_only=True):
    """The number of zeros lies in a range."""

    what = "number of zeros"

    def metrics(self, target: Target) -> tuple[Metric, ...]:
        """The zeros."""
        return (Count(where=target.where, predicate=Between(target.column, 0, 0)),)


class ValueCountBetween(NumberCheck, frozen=True, kw_only=True):
    """The number of values that are there lies in a range."""

    what = "number of values"

    def metrics(self, target: Target) -> tuple[Metric, ...]:
        """The values."""
        return (Count(where=target.where, predicate=Not(Missing(target.column))),)


class NanCountBetween(NumberCheck, frozen=True, kw_only=True):
    """The number of values that are NaN lies in a range."""

    what = "number of NaN"

    def metrics(self, target: Target) -> tuple[Metric, ...]:
        """Those that are no number."""
        return (Aggregate(where=target.where, column=target.column, function="nans"),)


class TextFormShareBetween(NumberCheck, frozen=True, kw_only=True):
    """The share of the values that are there which read as a form lies in a range; whole numbers are numbers, too."""

    form: Literal["integer", "number", "boolean", "datetime", "text"]

    @property
    def what(self) -> str:  # type: ignore[override]  # the name of the number depends on the form
        """The number in words."""
        return f"share of values that read as {self.form}"

    def metrics(self, target: Target) -> tuple[Metric, ...]:
        """What the values read as."""
        return (TextForms(where=target.where, column=target.column),)

    def value(self, target: Target, answers: Answers) -> Any:
        """The share; None without values."""
        forms = answers[self.metrics(target)[0]]
        there = sum(count for form, count in forms.items() if form != "missing")
        found = forms.get(self.form, 0) + (forms.get("integer", 0) if self.form == "number" else 0)
        return found / there if there else None


class _FromGroups(NumberCheck, frozen=True, kw_only=True):
    subjects = ("column", "columns")

    def metrics(self, target: Target) -> tuple[Metric, ...]:
        """How the rows fall into groups."""
        return (Grouping(where=target.where, columns=target.names),)


class UniquenessBetween(_FromGroups, frozen=True, kw_only=True):
    """Values that occur once, divided by the rows where they are there, lies in a range."""

    what = "uniqueness"

    def value(self, target: Target, answers: Answers) -> Any:
        """The proportion; None without rows."""
        groups = answers[self.metrics(target)[0]]
        return groups["singletons"] / groups["rows"] if groups["rows"] else None


class DistinctnessBetween(_FromGroups, frozen=True, kw_only=True):
    """Distinct values divided by the rows where they are there lies in a range."""

    what = "distinctness"

    def value(self, target: Target, answers: Answers) -> Any:
        """The proportion; None without rows."""
        groups = answers[self.metrics(target)[0]]
        return groups["groups"] / groups["rows"] if groups["rows"] else None


class UniqueValueRatioBetween(_FromGroups, frozen=True, kw_only=True):
    """Values that occur once divided by distinct values lies in a range."""

    what = "unique value ratio"

    def value(self, target: Target, answers: Answers) -> Any:
        """The proportion; None without rows."""
        groups = answers[self.metrics(target)[0]]
        return groups["singletons"] / groups["groups"] if groups["groups"] else None


class EntropyBetween(_FromGroups, frozen=True, kw_only=True):
    """The entropy of the values, in nats, lies in a range."""

    what = "entropy"

    def value(self, target: Target, answers: Answers) -> Any:
        """The entropy; None without rows."""
        groups = answers[self.metrics(target)[0]]
        return groups["entropy"] if groups["rows"] else None


class _OfPair(NumberCheck, frozen=True, kw_only=True):
    subject = "columns"

    def check_subject(self, target: Target) -> None:
        """Two of them."""
        if len(target.columns) != 2:
            raise InvalidInput(f"a pair is two columns, not {list(target.columns)}")


class CorrelationBetween(_OfPair, frozen=True, kw_only=True):
    """Pearson's correlation of two columns lies in a range."""

    what = "correlation"

    def metrics(self, target: Target) -> tuple[Metric, ...]:
        """The moments of both."""
        return (Comoments(where=target.where, x=target.columns[0], y=target.columns[1]),)

    def value(self, target: Target, answers: Answers) -> Any:
        """The correlation; None when one of them has no spread."""
        _, _, _, m2_x, m2_y, c_xy = answers[self.metrics(target)[0]]
        return c_xy / math.sqrt(m2_x * m2_y) if m2_x and m2_y else None


class MutualInformationBetween(_OfPair, frozen=True, kw_only=True):
    """What one column tells of the other, in nats, lies in a range."""

    what = "mutual information"

    def metrics(self, target: Target) -> tuple[Metric, ...]:
        """The information."""
        return (MutualInformation(where=target.where, x=target.columns[0], y=target.columns[1]),)


class RatioOfSumsBetween(_OfPair, frozen=True, kw_only=True):
    """The sum of one column divided by the sum of another lies in a range."""

    what = "ratio of sums"

    def metrics(self, target: Target) -> tuple[Metric, ...]:
        """Both sums."""
        return tuple(Aggregate(where=target.where, column=name, function="sum") for name in target.columns)

    def value(self, target: Target, answers: Answers) -> Any:
        """The ratio; None over nothing."""
        above, below = (answers[metric] for metric in self.metrics(target))
        return above / below if below else None
