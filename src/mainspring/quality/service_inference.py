"""Inferring suites, and bringing them up to date, where the data is."""

from __future__ import annotations

from typing import Any

from mainspring.kernel.errors import InvalidInput
from mainspring.quality.service_validation import ValidationOperations
from mainspring.quality.types import Suite

__all__ = ["InferenceWork"]


class InferenceWork(ValidationOperations):
    """Suites from data."""

    def infer(self, data: Any, *, name: str = "", margin: float = 0.1, confidence: float = 0.5) -> Suite:
        """A first suite from a dataset version or a frame; save it with `save_suite` when it is right."""
        from mainspring.quality.inference.infer import infer_suite

        frame, ref = self._table(data)
        called = name or ref.partition("/")[2].rpartition("@")[0]
        if not called:
            raise InvalidInput("a suite inferred from a frame needs a name", hint="pass name=")
        return infer_suite(frame, name=called, margin=margin, confidence=confidence)
