"""Expectations made of others: all of them, any of them, none of them.

By default each part is judged over the whole table and the verdicts are combined. With `per_row` the parts, which must
then be about rows, are combined in each row: a row is unexpected when the combination does not hold of it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal

import msgspec

from mainspring.engines.tables import All, AnyOf, AnyPredicate, Metric, Not
from mainspring.kernel.errors import InvalidInput
from mainspring.quality.expectations.base import Answers, Check, Judgement, Known, RowCheck, Schema, Target
from mainspring.quality.types import Expectation

__all__ = ["AllOf", "AnyOfThem", "NoneOf", "check_depth", "part", "within"]

_Mode = Literal["all", "any", "none"]
_DEEPEST = 16
_WORDS = {"all": " and ", "any": " or ", "none": " nor "}


class _Combination(Check, frozen=True, kw_only=True):
    subject = "table"
    mode = "all"
    expectations: tuple[Expectation, ...]
    per_row: bool = False

    def __post_init__(self) -> None:
        if not self.expectations:
            raise InvalidInput("a combination of no expectation expects nothing")
        check_depth(self.expectations)
        for check, _ in self._parts(Target()):
            if self.per_row and not check.is_of_rows:
                raise InvalidInput("with per_row every part must be about rows", hint="leave per_row away")

    @property
    def is_of_rows(self) -> bool:
        """With `per_row`."""
        return self.per_row

    def _parts(self, target: Target) -> list[tuple[Check, Target]]:
        return [within(part(each), target) for each in self.expectations]

    def check_target(self, target: Target, schema: Schema) -> None:
        """Each part's columns must be there."""
        for check, about in self._parts(target):
            check.check_target(about, schema)

    def before(self, target: Target) -> Mapping[str, tuple[Metric, ...]]:
        """What any of the parts must know."""
        asked: dict[str, tuple[Metric, ...]] = {}
        for check, about in self._parts(target):
            for table, metrics in check.before(about).items():
                asked[table] = (*asked.get(table, ()), *metrics)
        # Row checks are combined once all of them are informed, so that there is always something to become.
        return asked or ({"": ()} if self.per_row else {})

    def informed(self, target: Target, known: Known) -> Check:
        """The same of informed parts."""
        ready = tuple(
            (check.informed(about, known) if check.before(about) else check, about)
            for check, about in self._parts(target)
        )
        combined = _RowsCombined if self.per_row else _Combined
        return combined(parts=ready, mode=self.mode, words=self.expected())  # type: ignore[arg-type]  # see the mode of each

    def metrics(self, target: Target) -> tuple[Metric, ...]:
        """Everything that the parts ask for."""
        return tuple(metric for check, about in self._parts(target) for metric in check.metrics(about))

    def judge(self, target: Target, answers: Answers, schema: Schema) -> Judgement:
        """Combine the verdicts of the parts."""
        return _combine(self._parts(target), self.mode, answers, schema)  # type: ignore[arg-type]  # see the mode of each

    def expected(self) -> str:
        """In words."""
        texts = [f"{check.expected()} ({', '.join(about.names) or 'table'})" for check, about in self._parts(Target())]
        return ("neither " if self.mode == "none" else "") + _WORDS[self.mode].join(texts)


class AllOf(_Combination, frozen=True, kw_only=True):
    """Every part holds."""


class AnyOfThem(_Combination, frozen=True, kw_only=True):
    """At least one part holds."""

    mode = "any"


class NoneOf(_Combination, frozen=True, kw_only=True):
    """No part holds."""

    mode = "none"


class _Combined(Check, frozen=True, kw_only=True):
    subject = "table"
    parts: tuple[tuple[Check, Target], ...]
    mode: _Mode
    words: str

    def metrics(self, target: Target) -> tuple[Metric, ...]:
        return tuple(metric for check, about in self.parts for metric in check.metrics(about))

    def judge(self, target: Target, answers: Answers, schema: Schema) -> Judgement:
        return _combine(self.parts, self.mode, answers, schema)

    def expected(self) -> str:
        return self.words


class _RowsCombined(RowCheck, frozen=True, kw_only=True):
    subject = "table"
    parts: tuple[tuple[RowCheck, Target], ...]
    mode: _Mode
    words: str

    def ignored(self, target: Target) -> AnyPredicate | None:
        return None

    def holds(self, target: Target) -> AnyPredicate:
        # A part holds of a row that it does not ask, as it does when it stands alone.
        each = tuple(Not(_outside(check.unexpected(about), about.where)) for check, about in self.parts)
        return All(each) if self.mode == "all" else AnyOf(each) if self.mode == "any" else Not(AnyOf(each))

    def expected(self) -> str:
        return self.words


def check_depth(expectations: Sequence[Expectation]) -> None:
    """Raise `InvalidInput` when expectations stand inside each other beyond what anybody would read."""
    level: list[Any] = [each.arguments for each in expectations]
    for _ in range(_DEEPEST):
        inner: list[Any] = []
        for arguments in level:
            if isinstance(arguments, Mapping):
                held = arguments.get("expectations") or ()
                inner += [*(held if isinstance(held, Sequence) else ()), arguments.get("expectation")]
        level = [each.get("arguments") for each in inner if isinstance(each, Mapping)]
        if not level:
            return
    raise InvalidInput(f"expectations stand inside each other more than {_DEEPEST} deep")


def part(expectation: Expectation) -> tuple[Check, Target]:
    """The check and target of one part."""
    from mainspring.quality.expectations.kinds import compile_expectation  # the kinds name this module

    return compile_expectation(expectation)


def within(found: tuple[Check, Target], target: Target) -> tuple[Check, Target]:
    """A part that is asked only of the rows of which the whole is asked."""
    check, about = found
    if target.where is None:
        return check, about
    where = target.where if about.where is None else All((target.where, about.where))
    return check, msgspec.structs.replace(about, where=where)


def _outside(unexpected: AnyPredicate, where: AnyPredicate | None) -> AnyPredicate:
    return unexpected if where is None else All((where, unexpected))


def _combine(parts: Any, mode: _Mode, answers: Answers, schema: Schema) -> Judgement:
    judged = [check.judge(about, answers, schema) for check, about in parts]
    held = [each.passed for each in judged]
    passed = {"all": all(held), "any": any(held), "none": not any(held)}[mode]
    seen = [{"passed": each.passed, "observed": each.observed, "message": each.message} for each in judged]
    said = [each.message or check.expected() for (check, _), each in zip(parts, judged, strict=True)]
    wrong = [text for text, holds in zip(said, held, strict=True) if holds == (mode == "none")]
    return Judgement(passed=passed, observed=[each.observed for each in judged],
                     message="" if passed else "; ".join(wrong), details={"parts": seen})  # fmt: skip
