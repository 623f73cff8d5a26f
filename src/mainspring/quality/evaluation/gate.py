"""Gates: what a model must show before it may go on, decided from evidence.

A condition is about the candidate alone (`at_least`, `at_most`), about the candidate against a stated baseline
(`better_by`, `not_worse_by`), or about every slice of a column. By default a bound must be met by the near end of
the interval, so that a lucky evaluation on few rows does not pass: when the interval holds the bound the verdict is
`undecided`, when all of it lies beyond `failed`. A metric without a value never passes.
"""

from __future__ import annotations

from typing import NamedTuple

import msgspec

from mainspring.kernel.errors import CheckFailed, InvalidInput, nearest
from mainspring.quality.evaluation.types import (
    HIGHER_IS_BETTER,
    Comparison,
    Condition,
    Decision,
    Difference,
    Estimate,
    Evaluation,
    Evidence,
    Slice,
    Verdict,
    better_end,
)

__all__ = ["Gate", "require_passed"]


class Gate(msgspec.Struct, frozen=True, kw_only=True):
    """A named list of conditions.

    Example:
        >>> from mainspring.quality.evaluation.classification import evaluate_binary
        >>> found = evaluate_binary([0, 0, 1, 1] * 50, [0.1, 0.4, 0.35, 0.8] * 50)
        >>> gate = Gate(name="ready", conditions=(Condition(metric="auc", at_least=0.6),))
        >>> gate.decide(found).passed
        True
    """

    name: str
    conditions: tuple[Condition, ...]

    def __post_init__(self) -> None:
        if not self.conditions:
            raise InvalidInput(f"gate {self.name!r} has no conditions and would pass everything")
        for condition in self.conditions:
            _check(condition)

    def decide(
        self, candidate: Evaluation, *, baseline: Evaluation | None = None, comparison: Comparison | None = None
    ) -> Decision:
        """Judge an evaluation.

        Args:
            candidate: What the candidate showed.
            baseline: What it is measured against: the champion, or a simple rule, on the same rows.
            comparison: Champion and candidate paired on the same rows; where it is given its intervals are used,
                which are much narrower than those of two separate evaluations.

        Raises:
            InvalidInput: A condition needs a baseline and none was given.
        """
        evidence: list[Evidence] = []
        for condition in self.conditions:
            if condition.slice_column:
                evidence.append(_slices(condition, candidate, baseline, comparison))
            elif condition.at_least is not None or condition.at_most is not None:
                evidence.append(_bounded(condition, candidate[condition.metric]))
            else:
                evidence.append(_against(condition, candidate, baseline, comparison))
        named = baseline.model if baseline is not None else comparison.champion if comparison is not None else ""
        return Decision(gate=self.name, evidence=tuple(evidence), candidate=candidate.model, baseline=named)


def require_passed(decision: Decision) -> Decision:
    """Return a decision that passed; raise `CheckFailed` with the reasons otherwise."""
    if decision.passed:
        return decision
    raise CheckFailed(
        f"gate {decision.gate!r} says no to {decision.candidate or 'the candidate'}: {'; '.join(decision.reasons)}",
        details={"gate": decision.gate, "reasons": list(decision.reasons)},
    )


def _check(condition: Condition) -> None:
    bounds = (condition.at_least, condition.at_most, condition.better_by, condition.not_worse_by)
    if sum(bound is not None for bound in bounds) != 1:
        raise InvalidInput(
            f"a condition on {condition.metric!r} needs exactly one bound",
            hint="at_least=, at_most=, better_by= or not_worse_by=",
        )
    if better_end(condition.metric) is None and (condition.better_by, condition.not_worse_by) != (None, None):
        raise InvalidInput(f"{condition.metric!r} has no better end", known=nearest(condition.metric, HIGHER_IS_BETTER))


def _bounded(condition: Condition, estimate: Estimate, *, subject: str = "") -> Evidence:
    """Whether a value keeps a bound; from the interval, when the condition is `confident`."""
    name = f"{condition.metric}{subject}"
    up = condition.at_least is not None
    bound = (condition.at_least if up else condition.at_most) or 0.0
    sign = "at least" if up else "at most"
    near, far = (estimate.low, estimate.high) if up else (estimate.high, estimate.low)
    if not condition.confident:
        near = far = estimate.value
    if estimate.value is None or near is None:
        statement = f"{name} has no value here; {sign} {bound:g} is needed"
        return Evidence(condition=condition, passed=False, observed=None, bound=bound, statement=statement)
    passed = near >= bound if up else near <= bound
    missed = far is not None and (far < bound if up else far > bound)
    which = f" ({'lower' if up else 'upper'} end {near:.5g})" if condition.confident else ""
    verdict: Verdict = "passed" if passed else "failed" if missed else "undecided"
    unsure = "; these rows cannot tell" if verdict == "undecided" else ""
    statement = f"{name} is {estimate.value:.5g}{which}; {sign} {bound:g} is needed{unsure}"
    return Evidence(
        condition=condition, passed=passed, observed=estimate.value, bound=bound, statement=statement, verdict=verdict
    )


def _slices(
    condition: Condition, candidate: Evaluation, baseline: Evaluation | None, comparison: Comparison | None
) -> Evidence:
    """The worst of a condition's evidence over the slices of its column; all of them must pass."""
    column = condition.slice_column
    if condition.at_least is not None or condition.at_most is not None:
        judged = [
            _bounded(condition, estimate, subject=f" where {each.column} = {each.value}")
            for each in candidate.slices
            if column in {"*", each.column} and each.count >= condition.slice_rows
            and (estimate := _metric_of(candidate, each, condition.metric)) is not None
        ]  # fmt: skip
    else:
        judged = _slice_changes(condition, candidate, baseline, comparison)
    if not judged:
        bounds = (condition.at_least, condition.at_most, condition.better_by, condition.not_worse_by)
        return Evidence(
            condition=condition,
            passed=False,
            observed=None,
            bound=next(bound for bound in bounds if bound is not None),
            statement=f"there are no slices of {column!r} by {condition.metric} with {condition.slice_rows} rows",
        )
    failed = sorted((each for each in judged if not each.passed), key=lambda each: each.verdict != "failed")
    if failed:
        more = f" and {len(failed) - 1} other slices" if len(failed) > 1 else ""
        return msgspec.structs.replace(failed[0], statement=failed[0].statement + more)
    up = condition.at_least is not None or bool(better_end(condition.metric) and condition.at_most is None)
    worst = min(judged, key=lambda each: (each.observed or 0.0) * (1 if up else -1))
    return msgspec.structs.replace(worst, statement=f"all {len(judged)} slices; the worst: {worst.statement}")


def _metric_of(candidate: Evaluation, part: Slice, metric: str) -> Estimate | None:
    return part.estimate if candidate.slice_metric == metric else part.metrics.get(metric)


def _slice_changes(
    condition: Condition, candidate: Evaluation, baseline: Evaluation | None, comparison: Comparison | None
) -> list[Evidence]:
    """Change thresholds slice by slice: paired where the comparison has slices, else against the baseline's slices."""
    column, metric = condition.slice_column, condition.metric
    up = bool(better_end(metric))
    if comparison is not None and comparison.slices:
        return [
            _changed(condition, _gain_of(each.difference, up=up), subject=f" where {each.column} = {each.value}")
            for each in comparison.slices
            if column in {"*", each.column} and each.count >= condition.slice_rows and each.difference.metric == metric
        ]
    if baseline is None:
        raise InvalidInput(
            f"the condition on {metric!r} compares slices and nothing to compare with was given",
            hint="compare with slices=, or pass baseline= with slices",
        )
    known = {(each.column, each.value): _metric_of(baseline, each, metric) for each in baseline.slices}
    found = []
    for each in candidate.slices:
        mine, base = _metric_of(candidate, each, metric), known.get((each.column, each.value))
        if column in {"*", each.column} and each.count >= condition.slice_rows and mine and base:
            gain = _gain_over(mine, base, up=up)
            found.append(_changed(condition, gain, subject=f" where {each.column} = {each.value}"))
    return found


def _against(
    condition: Condition, candidate: Evaluation, baseline: Evaluation | None, comparison: Comparison | None
) -> Evidence:
    return _changed(condition, _gain(condition, candidate, baseline, comparison))


def _changed(condition: Condition, gain: _Gain, *, subject: str = "") -> Evidence:
    """Whether a gain over the baseline keeps the margin."""
    metric, direction = condition.metric, 1.0 if better_end(condition.metric) else -1.0
    strict = condition.better_by is not None
    margin = condition.better_by if condition.better_by is not None else -(condition.not_worse_by or 0.0)
    needed = f"better by more than {margin:g}" if strict else f"not worse by more than {-margin:g}"
    near = gain.near if condition.confident else gain.value
    far = gain.far if condition.confident else gain.value
    if gain.value is None or near is None or gain.base is None:
        statement = f"{metric}{subject} cannot be compared with the baseline here; {needed} is needed"
        return Evidence(condition=condition, passed=False, observed=None, bound=margin, statement=statement)
    passed = near > margin if strict else near >= margin
    missed = far is not None and (far <= margin if strict else far < margin)
    verdict: Verdict = "passed" if passed else "failed" if missed else "undecided"
    value = gain.base + direction * gain.value
    which = f" (surely {near:+.5g})" if condition.confident else ""
    unsure = "; these rows cannot tell" if verdict == "undecided" else ""
    statement = (
        f"{metric}{subject} is {value:.5g} against {gain.base:.5g}, a gain of {gain.value:+.5g}{which}; "
        f"{needed} is needed{unsure}"
    )
    return Evidence(
        condition=condition, passed=passed, observed=value, bound=margin, baseline=gain.base, statement=statement,
        verdict=verdict,
    )  # fmt: skip


class _Gain(NamedTuple):
    """A gain in the better direction, the ends of its interval, and the baseline's value."""

    value: float | None
    near: float | None
    far: float | None
    base: float | None


def _gain_of(found: Difference, *, up: bool) -> _Gain:
    if found.difference is None or found.low is None or found.high is None:
        return _Gain(None, None, None, found.champion)
    if up:
        return _Gain(found.difference, found.low, found.high, found.champion)
    return _Gain(-found.difference, -found.high, -found.low, found.champion)


def _gain_over(mine: Estimate, base: Estimate, *, up: bool) -> _Gain:
    """Over a baseline that was measured on its own; its value is taken as it is, without its own interval."""
    if mine.value is None or base.value is None:
        return _Gain(None, None, None, base.value)
    sign = 1.0 if up else -1.0
    ends = (mine.low, mine.high) if up else (mine.high, mine.low)
    near, far = (None if end is None else sign * (end - base.value) for end in ends)
    return _Gain(sign * (mine.value - base.value), near, far, base.value)


def _gain(
    condition: Condition, candidate: Evaluation, baseline: Evaluation | None, comparison: Comparison | None
) -> _Gain:
    metric, up = condition.metric, bool(better_end(condition.metric))
    if comparison is not None and any(each.metric == metric for each in comparison.differences):
        return _gain_of(comparison[metric], up=up)
    if baseline is None:
        raise InvalidInput(
            f"the condition on {metric!r} compares with a baseline and none was given",
            hint="pass baseline= or comparison=",
        )
    return _gain_over(candidate[metric], baseline[metric], up=up)
