"""Gates: what a model must show before it may go on, decided from evidence.

A condition is about the candidate alone (`at_least`, `at_most`), about the candidate against a stated baseline
(`better_by`, `not_worse_by`), or about every slice of a column. By default a bound must be met by the near end of
the interval, so that a lucky evaluation on few rows does not pass. A metric without a value never passes.
"""

from __future__ import annotations

import msgspec

from mainspring.kernel.errors import CheckFailed, InvalidInput, nearest
from mainspring.quality.evaluation.types import (
    HIGHER_IS_BETTER,
    Comparison,
    Condition,
    Decision,
    Estimate,
    Evaluation,
    Evidence,
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
                evidence.append(_slices(condition, candidate))
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
    if condition.metric not in HIGHER_IS_BETTER and (condition.better_by, condition.not_worse_by) != (None, None):
        raise InvalidInput(f"{condition.metric!r} has no better end", known=nearest(condition.metric, HIGHER_IS_BETTER))
    if condition.slice_column and condition.at_least is None and condition.at_most is None:
        raise InvalidInput("a condition on slices needs at_least= or at_most=")


def _bounded(condition: Condition, estimate: Estimate, *, subject: str = "") -> Evidence:
    name = f"{condition.metric}{subject}"
    if condition.at_least is not None:
        bound, sign, near = condition.at_least, "at least", estimate.low
    else:
        bound, sign, near = condition.at_most or 0.0, "at most", estimate.high
    observed = near if condition.confident else estimate.value
    if estimate.value is None or observed is None:
        statement = f"{name} has no value here; {sign} {bound:g} is needed"
        return Evidence(condition=condition, passed=False, observed=None, bound=bound, statement=statement)
    passed = observed >= bound if condition.at_least is not None else observed <= bound
    end = "lower" if condition.at_least is not None else "upper"
    which = f" ({end} end {observed:.5g})" if condition.confident else ""
    statement = f"{name} is {estimate.value:.5g}{which}; {sign} {bound:g} is needed"
    return Evidence(condition=condition, passed=passed, observed=estimate.value, bound=bound, statement=statement)


def _slices(condition: Condition, candidate: Evaluation) -> Evidence:
    column = condition.slice_column
    parts = [each for each in candidate.slices if each.column == column and each.count >= condition.slice_rows]
    if candidate.slice_metric != condition.metric or not parts:
        return Evidence(
            condition=condition,
            passed=False,
            observed=None,
            bound=condition.at_least if condition.at_least is not None else condition.at_most,
            statement=f"there are no slices of {column!r} by {condition.metric} with {condition.slice_rows} rows",
        )
    judged = [_bounded(condition, each.estimate, subject=f" where {column} = {each.value}") for each in parts]
    failed = [each for each in judged if not each.passed]
    if failed:
        more = f" and {len(failed) - 1} other slices" if len(failed) > 1 else ""
        return msgspec.structs.replace(failed[0], statement=failed[0].statement + more)
    worst = min(judged, key=lambda each: (each.observed or 0.0) * (1 if condition.at_least is not None else -1))
    return msgspec.structs.replace(worst, statement=f"all {len(judged)} slices; the worst: {worst.statement}")


def _against(
    condition: Condition, candidate: Evaluation, baseline: Evaluation | None, comparison: Comparison | None
) -> Evidence:
    metric, direction = condition.metric, 1.0 if HIGHER_IS_BETTER[condition.metric] else -1.0
    gain, near, base = _gain(condition, candidate, baseline, comparison)
    margin = condition.better_by if condition.better_by is not None else -(condition.not_worse_by or 0.0)
    strict = condition.better_by is not None
    needed = f"better by more than {margin:g}" if strict else f"not worse by more than {-margin:g}"
    observed = near if condition.confident else gain
    if gain is None or observed is None or base is None:
        statement = f"{metric} cannot be compared with the baseline here; {needed} is needed"
        return Evidence(condition=condition, passed=False, observed=None, bound=margin, statement=statement)
    passed = observed > margin if condition.better_by is not None else observed >= margin
    value = base + direction * gain
    which = f" (surely {observed:+.5g})" if condition.confident else ""
    statement = f"{metric} is {value:.5g} against {base:.5g}, a gain of {gain:+.5g}{which}; {needed} is needed"
    return Evidence(
        condition=condition, passed=passed, observed=value, bound=margin, baseline=base, statement=statement
    )


def _gain(
    condition: Condition, candidate: Evaluation, baseline: Evaluation | None, comparison: Comparison | None
) -> tuple[float | None, float | None, float | None]:
    """The gain in the better direction, the near end of its interval, and the baseline's value."""
    metric, up = condition.metric, HIGHER_IS_BETTER[condition.metric]
    if comparison is not None and any(each.metric == metric for each in comparison.differences):
        found = comparison[metric]
        if found.difference is None:
            return None, None, found.champion
        ends = (found.low, found.high)
        near = ends[0] if up else (None if ends[1] is None else -ends[1])
        return found.difference if up else -found.difference, near, found.champion
    if baseline is None:
        raise InvalidInput(
            f"the condition on {metric!r} compares with a baseline and none was given",
            hint="pass baseline= or comparison=",
        )
    mine, base = candidate[metric], baseline[metric]
    if mine.value is None or base.value is None:
        return None, None, base.value
    gain = mine.value - base.value if up else base.value - mine.value
    near = None
    if mine.low is not None and mine.high is not None:
        near = (mine.low - base.value) if up else (base.value - mine.high)
    return gain, near, base.value
