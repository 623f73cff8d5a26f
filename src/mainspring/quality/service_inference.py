"""Inferring suites, and bringing them up to date, where the data is."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from mainspring.kernel.errors import InvalidInput
from mainspring.quality.service_validation import ValidationOperations
from mainspring.quality.suite import as_suite
from mainspring.quality.types import Suite
from mainspring.quality.validation import Suitable

if TYPE_CHECKING:
    from mainspring.quality.inference.update import SuiteUpdate

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

    def propose(self, suite: Suitable | str, data: Any, *, margin: float = 0.1, tighten: bool = True) -> SuiteUpdate:
        """What a suite would have to give up, could gain, and could say more narrowly, after newer data.

        Nothing is changed: look at `update.diff()`, and save `update.apply([0, 2])`, the lines that are accepted.
        """
        from mainspring.quality.inference.update import update_suite

        checked = self.suite(suite) if isinstance(suite, str) else as_suite(suite)
        return update_suite(checked, self._table(data)[0], margin=margin, tighten=tighten)
