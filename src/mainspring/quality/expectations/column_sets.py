"""Expectations about the set of a column's values.

Only the members that matter are asked for, so that a set of any size is judged exactly.
"""

from __future__ import annotations

from typing import Any, ClassVar, Literal

from mainspring.engines.tables import (
    All,
    AnyPredicate,
    Count,
    Distinct,
    Frequent,
    In,
    Metric,
    Missing,
    Not,
    Scalar,
)
from mainspring.kernel.errors import InvalidInput
from mainspring.quality.expectations.base import Answers, Check, Judgement, Schema, Target, listed, moment

__all__ = ["DistinctContainSet", "DistinctEqualSet", "DistinctInSet", "MostCommonInSet", "ValueShareBetween"]

_SHOWN = 20


class _SetCheck(Check, frozen=True, kw_only=True):
    value_set: tuple[Scalar, ...]

    def __post_init__(self) -> None:
        if not self.value_set:
            raise InvalidInput("value_set is empty")

    def _members(self, target: Target) -> Frequent:
        """The members of the set that occur, with their counts."""
        where = _within(target, In(target.column, self.value_set))
        return Frequent(where=where, column=target.column, limit=len(set(self.value_set)))


class DistinctInSet(_SetCheck, frozen=True, kw_only=True):
    """How the set of distinct values stands to a given set: `in` it, `contain` it, or `equal` it."""

    relation: ClassVar[Literal["in", "contain", "equal"]] = "in"

    def _others(self, target: Target) -> tuple[Distinct, Frequent]:
        """How many values are not members, and the most frequent of them."""
        where = _within(target, All((Not(Missing(target.column)), Not(In(target.column, self.value_set)))))
        return Distinct(where=where, columns=(target.column,)), Frequent(
            where=where, column=target.column, limit=_SHOWN
        )

    def metrics(self, target: Target) -> tuple[Metric, ...]:
        """Values that are not members, members that occur, and the most frequent values to show."""
        asked: list[Metric] = [Frequent(where=target.where, column=target.column, limit=_SHOWN)]
        asked += self._others(target) if self.relation != "contain" else ()
        asked += (self._members(target),) if self.relation != "in" else ()
        return tuple(asked)

    def judge(self, target: Target, answers: Answers, schema: Schema) -> Judgement:
        """The two sets stand as they should."""
        plain = _plain(target, schema)
        details: dict[str, Any] = {}
        parts = []
        if self.relation != "contain":
            count, most = (answers[metric] for metric in self._others(target))
            details |= {
                "unexpected_count": count,
                "partial_unexpected_list": sorted((each for each, _ in most), key=str),
            }
            parts += [f"also {details['partial_unexpected_list'][:10]}"] if count else []
        if self.relation != "in":
            found = {plain(value) for value, _ in answers[self._members(target)]}
            absent = [value for value in dict.fromkeys(self.value_set) if plain(value) not in found]
            details |= {"missing_count": len(absent), "partial_missing_list": sorted(absent, key=str)[:_SHOWN]}
            parts += [f"without {details['partial_missing_list'][:10]}"] if absent else []
        shown = sorted((value for value, _ in answers[self.metrics(target)[0]]), key=str)
        return Judgement(passed=not parts, observed=shown, message="; ".join(parts), details=details)

    def expected(self) -> str:
        """In words."""
        verb = {"in": "to lie in", "contain": "to contain", "equal": "to equal"}[self.relation]
        return f"to have a set of distinct values {verb} {listed(self.value_set)}"


class DistinctContainSet(DistinctInSet, frozen=True, kw_only=True):
    """Every member of the set occurs."""

    relation = "contain"


class DistinctEqualSet(DistinctInSet, frozen=True, kw_only=True):
    """The members of the set occur, and nothing else."""

    relation = "equal"


class MostCommonInSet(_SetCheck, frozen=True, kw_only=True):
    """The most frequent value is a member of a set; several most frequent ones are allowed only with `ties_okay`."""

    ties_okay: bool | None = False

    def metrics(self, target: Target) -> tuple[Metric, ...]:
        """The frequent values, and those of the set."""
        return Frequent(where=target.where, column=target.column, limit=100), self._members(target)

    def judge(self, target: Target, answers: Answers, schema: Schema) -> Judgement:
        """The mode is as expected."""
        counted, members = (answers[metric] for metric in self.metrics(target))
        top = [value for value, count in counted if count == counted[0][1]]
        # Of a mode of more than a hundred values the member may not be among the first, but its count is.
        inside = bool(members) and members[0][1] == counted[0][1]
        passed = inside and (bool(self.ties_okay) or len(top) == 1)
        return Judgement(passed=passed, observed=top, message="" if passed else f"the most common is {top[:5]}")

    def expected(self) -> str:
        """In words."""
        return f"to have a most common value in {listed(self.value_set)}"


class ValueShareBetween(Check, frozen=True, kw_only=True):
    """One value takes a share of all rows that lies in a range."""

    value: Scalar
    min_value: float = 0.0
    max_value: float = 1.0

    def metrics(self, target: Target) -> tuple[Metric, ...]:
        """The rows, and those with the value."""
        return Count(where=target.where), Count(where=target.where, predicate=In(target.column, (self.value,)))

    def judge(self, target: Target, answers: Answers, schema: Schema) -> Judgement:
        """The share lies in the range; it is none without rows."""
        rows, found = (answers[metric] for metric in self.metrics(target))
        share = found / rows if rows else None
        passed = share is not None and self.min_value <= share <= self.max_value
        return Judgement(passed=passed, observed=share, message="" if passed else f"its share is {share}")

    def expected(self) -> str:
        """In words."""
        return f"to be {self.value!r} in a share of {self.min_value:g} to {self.max_value:g} of the rows"


def _within(target: Target, predicate: AnyPredicate) -> AnyPredicate:
    return predicate if target.where is None else All((target.where, predicate))


def _plain(target: Target, schema: Schema) -> Any:
    """How values of the column are compared: moments as moments, however they are written."""
    return moment if schema[target.column].is_moment else lambda value: value
