"""An evaluation as it is kept: what was found, what it was compared with, what the gate said."""

from __future__ import annotations

from typing import Any

import msgspec

from mainspring.quality.evaluation.effects import Effect
from mainspring.quality.evaluation.explanation import Explanation
from mainspring.quality.evaluation.fairness import Fairness
from mainspring.quality.evaluation.robustness import Robustness
from mainspring.quality.evaluation.thresholds import ThresholdChoice
from mainspring.quality.evaluation.types import Comparison, Decision, Evaluation, Importance, Slice

__all__ = ["EvaluationReport"]


class EvaluationReport(msgspec.Struct, frozen=True, kw_only=True):
    """Everything one evaluation produced. `ref` is that of the artifact, once it is recorded."""

    evaluation: Evaluation
    comparison: Comparison | None = None
    decision: Decision | None = None
    importances: tuple[Importance, ...] = ()
    notes: dict[str, Any] = {}
    ref: str = ""
    found_slices: tuple[Slice, ...] = ()
    """Slices that a search found; see `find_slices`."""
    fairness: Fairness | None = None
    robustness: Robustness | None = None
    explanation: Explanation | None = None
    effects: tuple[Effect, ...] = ()
    threshold: ThresholdChoice | None = None

    def to_dict(self) -> dict[str, Any]:
        """As JSON types, with the decision spelled out."""
        plain: dict[str, Any] = msgspec.to_builtins(self)
        if self.decision is not None:
            plain["decision"] = self.decision.to_dict()
        return plain

    def to_html(self) -> str:
        """A page that needs nothing else: no scripts, no requests."""
        from mainspring.quality.evaluation.html import evaluation_html

        return evaluation_html(self)

    def to_text(self) -> str:
        """A few lines for a terminal or a log."""
        from mainspring.quality.evaluation.terminal import evaluation_text

        return evaluation_text(self)

    def _repr_html_(self) -> str:
        """What a notebook shows."""
        from mainspring.quality.evaluation.html import summary_html

        return summary_html(self)
