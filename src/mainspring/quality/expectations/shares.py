"""The expectation that a share of the rows, of which another expectation holds, lies in a range."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from mainspring.engines.tables import Metric
from mainspring.kernel.errors import InvalidInput
from mainspring.quality.expectations.base import Answers, Check, Judgement, Known, Schema, Target, in_range
from mainspring.quality.expectations.base import range_text as words
from mainspring.quality.expectations.composite import check_depth, part, within
from mainspring.quality.types import Expectation

__all__ = ["ShareBetween"]


class ShareBetween(Check, frozen=True, kw_only=True):
    """The share of the rows of which `expectation` holds lies in a range; `mostly` says only its lower end."""

    subject = "table"
    expectation: Expectation
    min_value: float | None = None
    max_value: float | None = None
    strict_min: bool = False
    strict_max: bool = False

    def __post_init__(self) -> None:
        check_depth([self.expectation])
        if not part(self.expectation)[0].is_of_rows:
            raise InvalidInput(f"{self.expectation.kind} is not about rows, so that no share of them holds")

    def _part(self, target: Target) -> tuple[Check, Target]:
        return within(part(self.expectation), target)

    def check_target(self, target: Target, schema: Schema) -> None:
        """The columns of the inner one must be there."""
        check, about = self._part(target)
        check.check_target(about, schema)

    def before(self, target: Target) -> Mapping[str, tuple[Metric, ...]]:
        """What the inner one must know."""
        check, about = self._part(target)
        return check.before(about)

    def informed(self, target: Target, known: Known) -> Check:
        """The same of the informed one."""
        check, about = self._part(target)
        return _Share(inner=check.informed(about, known), about=about, asked=self)

    def metrics(self, target: Target) -> tuple[Metric, ...]:
        """Those of the inner one."""
        check, about = self._part(target)
        return check.metrics(about)

    def judge(self, target: Target, answers: Answers, schema: Schema) -> Judgement:
        """The share that the inner one observed."""
        check, about = self._part(target)
        return self.judged(check.judge(about, answers, schema))

    def judged(self, inner: Judgement) -> Judgement:
        """The judgement over a share."""
        share: Any = inner.observed
        ends = {"strict_low": self.strict_min, "strict_high": self.strict_max}
        passed = in_range(share, self.min_value, self.max_value, **ends)
        return msgspec.structs.replace(inner, passed=passed, message="" if passed else f"the share is {share:.6g}")

    def expected(self) -> str:
        """In words."""
        check, about = self._part(Target())
        text = words(self.min_value, self.max_value, strict_low=self.strict_min, strict_high=self.strict_max)
        return (
            f"to have a share of rows {text} where {', '.join(about.names) or 'they'} are expected {check.expected()}"
        )


class _Share(Check, frozen=True, kw_only=True):
    subject = "table"
    inner: Check
    about: Target
    asked: ShareBetween

    def metrics(self, target: Target) -> tuple[Metric, ...]:
        return self.inner.metrics(self.about)

    def judge(self, target: Target, answers: Answers, schema: Schema) -> Judgement:
        return self.asked.judged(self.inner.judge(self.about, answers, schema))

    def expected(self) -> str:
        return self.asked.expected()
