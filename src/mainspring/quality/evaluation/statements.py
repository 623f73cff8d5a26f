"""A difference between two models as a record, and as a sentence that a person understands."""

from __future__ import annotations

from typing import Literal

import msgspec

from mainspring.quality.evaluation import intervals
from mainspring.quality.evaluation.types import Difference, better_end

__all__ = ["difference_of", "said", "undefined"]


def difference_of(
    metric: str,
    values: tuple[float, float],
    error: float,
    confidence: float,
    method: str,
    *,
    p_value: float | None = None,
) -> Difference:
    """Candidate minus champion with a normal interval, and the p-value of the normal law unless one is given."""
    champion, candidate = values
    gap = candidate - champion
    half = intervals.critical(confidence) * error
    if p_value is None:
        p_value = intervals.tail(gap / error) if error else 1.0 if gap == 0 else 0.0
    return Difference(
        metric=metric, champion=champion, candidate=candidate, difference=gap, low=gap - half, high=gap + half,
        p_value=p_value, method=method,
    )  # fmt: skip


def undefined(metric: str, why: str = "all labels are equal") -> Difference:
    """A metric that has no value on these rows."""
    return Difference(metric=metric, champion=None, candidate=None, difference=None, statement=why)


def said(
    found: Difference, q_value: float | None, margin: float | None, confidence: float, *, adjusted: bool
) -> Difference:
    """The difference with who is better, whether a margin is kept, and the sentence.

    Who is better is judged by the adjusted p-value, when `adjusted`.
    """
    if found.difference is None or found.champion is None or found.low is None or found.high is None:
        return found
    up = bool(better_end(found.metric))
    p_value = q_value if adjusted else found.p_value
    better: Literal["candidate", "champion"] | None = None
    if p_value is not None and p_value <= 1 - confidence + 1e-12 and found.difference:
        better = "candidate" if (found.difference > 0) == up else "champion"
    kept = None if margin is None else (found.low > -margin if up else found.high < margin)
    parts = [f"the {better} is better" if better else "the difference could be chance"]
    if kept is not None:
        parts.append(f"the candidate is {'shown to be' if kept else 'not shown to be'} no more than {margin:g} worse")
    chance = f"p {found.p_value:.3g}" + (
        f", {q_value:.3g} after correction" if adjusted and q_value is not None else ""
    )
    statement = (
        f"{found.metric} {found.champion:.5g} to {found.candidate:.5g} ({found.difference:+.5g}, {confidence:.0%} "
        f"interval {found.low:+.5g} to {found.high:+.5g}, {chance}): {'; '.join(parts)}"
    )
    return msgspec.structs.replace(
        found, better=better, q_value=q_value, margin=margin, not_inferior=kept, statement=statement
    )
