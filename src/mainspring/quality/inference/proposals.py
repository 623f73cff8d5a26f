"""One change of a suite, as it is shown to whoever decides."""

from __future__ import annotations

from typing import Literal

import msgspec

from mainspring.quality.expectations.kinds import described
from mainspring.quality.types import Expectation

__all__ = ["Proposal"]


class Proposal(msgspec.Struct, frozen=True, kw_only=True):
    """One change of a suite. `before` is None for a new line, `after` for one to drop."""

    action: Literal["loosen", "tighten", "add", "remove"]
    before: Expectation | None = None
    after: Expectation | None = None
    reason: str = ""

    def __str__(self) -> str:
        old = described(self.before) if self.before else ""
        new = described(self.after) if self.after else ""
        lines = {"loosen": f"{old} -> {new}", "tighten": f"{old} -> {new}", "add": new, "remove": old}
        return f"{self.action}: {lines[self.action]} ({self.reason})"
