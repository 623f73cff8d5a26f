"""An evaluation as it is kept: what was found, what it was compared with, what the gate said."""

from __future__ import annotations

from typing import Any

import msgspec

from mainspring.quality.evaluation.types import Comparison, Decision, Evaluation, Importance

__all__ = ["EvaluationReport"]


class EvaluationReport(msgspec.Struct, frozen=True, kw_only=True):
    """Everything one evaluation produced. `ref` is that of the artifact, once it is recorded."""

    evaluation: Evaluation
    comparison: Comparison | None = None
    decision: Decision | None = None
    importances: tuple[Importance, ...] = ()
    notes: dict[str, Any] = {}
    ref: str = ""

    def to_dict(self) -> dict[str, Any]:
        """As JSON types, with the decision spelled out."""
        plain: dict[str, Any] = msgspec.to_builtins(self)
        if self.decision is not None:
            plain["decision"] = self.decision.to_dict()
        return plain
