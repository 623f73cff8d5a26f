"""The expectation that values fall into bins, or are of values, as in a partition: Kullback-Leibler divergence.

The form of the partition and of the holdouts is that of Great Expectations; the divergence is the sum of
p log(p / q) with natural logarithms, where p is observed and q expected, both made to add up to 1.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import msgspec

from mainspring.engines.tables import Between, Count, Frequent, Histogram, Metric, Missing, Not, Scalar
from mainspring.kernel.errors import InvalidInput
from mainspring.quality.expectations.base import Answers, Check, Judgement, Schema, Target

__all__ = ["DivergenceBelow", "Partition"]

_VALUES = 100_000
"""Distinct values of a discrete partition that are told apart; more would be no partition that a person reads."""


class Partition(msgspec.Struct, frozen=True, omit_defaults=True):
    """How the values were spread: over `bins` with edges (one more than weights), or over `values`."""

    weights: tuple[float, ...]
    values: tuple[Scalar, ...] = ()
    bins: tuple[float | str, ...] = ()
    """Edges; infinite ones as numbers or as the text `-inf` and `inf`."""
    tail_weights: tuple[float, float] | None = None

    @property
    def edges(self) -> list[float]:
        """The edges as numbers."""
        return [float(edge) for edge in self.bins]


class DivergenceBelow(Check, frozen=True, kw_only=True):
    """The divergence of the values from a partition is at most `threshold`; without one it is only written down.

    `tail_weight_holdout` is the weight expected outside the bins, or of values that the partition does not know;
    `internal_weight_holdout` is shared between the bins whose weight is 0.
    """

    partition_object: Partition
    threshold: float | None = None
    tail_weight_holdout: float = 0.0
    internal_weight_holdout: float = 0.0
    bucketize_data: bool = True
    min_value: float | None = None
    max_value: float | None = None

    def __post_init__(self) -> None:
        partition, tails = self.partition_object, self.tail_weight_holdout
        for name in ("tail_weight_holdout", "internal_weight_holdout"):
            if not 0 <= getattr(self, name) <= 1:
                raise InvalidInput(f"{name} lies between 0 and 1")
        if self.threshold is not None and self.threshold < 0:
            raise InvalidInput("threshold is not negative")
        total = sum(partition.weights) + sum(partition.tail_weights or ())
        if not math.isclose(total, 1.0, rel_tol=1e-3) or min(partition.weights) < 0:
            raise InvalidInput(f"the weights of a partition are not negative and add up to 1, not to {total:g}")
        if partition.values and (len(partition.values) != len(partition.weights) or self.internal_weight_holdout):
            raise InvalidInput("a discrete partition has a weight for each value, and no internal_weight_holdout")
        if not partition.values:
            self._check_bins(partition.edges)
        if partition.tail_weights is not None and tails:
            raise InvalidInput("a partition with tail_weights takes no tail_weight_holdout")

    def _check_bins(self, edges: list[float]) -> None:
        partition = self.partition_object
        if len(edges) != len(partition.weights) + 1 or edges != sorted(set(edges)) or len(edges) < 2:
            raise InvalidInput("a partition has one more edge than weights, each greater than the one before")
        if not self.bucketize_data:
            raise InvalidInput("a partition of bins needs bucketize_data")
        open_ends = [math.isinf(edges[0]), math.isinf(edges[-1])]
        if (all(open_ends) and self.tail_weight_holdout) or (any(open_ends) and partition.tail_weights is not None):
            raise InvalidInput("a partition whose ends are infinite has no tails to hold weight for")

    @property
    def _finite(self) -> list[float]:
        return [edge for edge in self.partition_object.edges if math.isfinite(edge)]

    def metrics(self, target: Target) -> tuple[Metric, ...]:
        """The values there are, and how they fall."""
        there = Count(where=target.where, predicate=Not(Missing(target.column)))
        if self.partition_object.values:
            return there, Frequent(where=target.where, column=target.column, limit=_VALUES)
        last = self._finite[-1]
        return (
            there,
            Histogram(where=target.where, column=target.column, edges=tuple(self._finite)),
            Count(where=target.where, predicate=Between(target.column, last, last)),
        )

    def judge(self, target: Target, answers: Answers, schema: Schema) -> Judgement:
        """The divergence is small enough; it is infinite where something is seen that was not expected at all."""
        there, *_ = found = [answers[metric] for metric in self.metrics(target)]
        if not there:
            return Judgement(passed=False, message="there is no divergence: every value is missing")
        discrete = bool(self.partition_object.values)
        seen, expected, details = self._of_values(found[1], there) if discrete else self._of_bins(found, there)
        divergence = _divergence(seen, expected)
        observed = divergence if math.isfinite(divergence) else None
        passed = self.threshold is None or divergence <= self.threshold
        message = "" if passed else f"the divergence is {divergence:.6g}"
        return Judgement(passed=passed, observed=observed, message=message, details=details)

    def _of_values(
        self, counted: Sequence[Sequence[Any]], there: int
    ) -> tuple[list[float], list[float], dict[str, Any]]:
        shares = {value: count / there for value, count in counted}
        partition = self.partition_object
        expected = dict(zip(partition.values, partition.weights, strict=True))
        unknown = [value for value in shares if value not in expected]
        names = [*expected, *sorted(unknown, key=str)]
        kept = 1 - self.tail_weight_holdout if unknown else 1.0
        weights = [
            expected[name] * kept if name in expected else self.tail_weight_holdout / len(unknown) for name in names
        ]
        seen = [shares.get(name, 0.0) for name in names]
        details = {
            "observed_partition": {"values": names, "weights": seen},
            "expected_partition": {"values": names, "weights": weights},
        }
        return seen, weights, details

    def _of_bins(self, found: Sequence[Any], there: int) -> tuple[list[float], list[float], dict[str, Any]]:
        partition = self.partition_object
        counts = [count / there for count in found[1]]
        # The last bin has its upper edge; the histogram counts it above.
        counts[-2] += found[2] / there
        counts[-1] -= found[2] / there
        kept = 1 - self.tail_weight_holdout - self.internal_weight_holdout
        weights = [weight * kept for weight in partition.weights]
        empty = sum(weight == 0 for weight in weights)
        if self.internal_weight_holdout and empty:
            weights = [weight or self.internal_weight_holdout / empty for weight in weights]
        low, high = math.isinf(partition.edges[0]), math.isinf(partition.edges[-1])
        if not low and not high:
            half = self.tail_weight_holdout / 2
            tails = partition.tail_weights or (half, half)
            weights = [tails[0], *weights, tails[1]]
        elif low != high:
            # One end is open: what is held out is the other tail.
            weights = [*weights, self.tail_weight_holdout] if low else [self.tail_weight_holdout, *weights]
        details = {
            f"{name}_partition": {"bins": self._finite, "weights": row[1:-1], "tail_weights": [row[0], row[-1]]}
            for name, row in (("observed", counts), ("expected", weights))
        }
        return counts, weights, details

    def expected(self) -> str:
        """In words."""
        size = "any" if self.threshold is None else f"at most {self.threshold:g}"
        return f"to diverge from a partition by {size}"


def _divergence(seen: Sequence[float], expected: Sequence[float]) -> float:
    total, wanted = sum(seen), sum(expected)
    parts = []
    for p, q in zip(seen, expected, strict=True):
        share, weight = p / total, q / wanted
        if share > 0:
            parts.append(share * math.log(share / weight) if weight > 0 else math.inf)
    return math.fsum(parts)
