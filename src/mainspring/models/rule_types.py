"""What rules and verdicts are made of: who must say yes, what must be reached, what is kept."""

from __future__ import annotations

from datetime import datetime
from typing import Literal

import msgspec

from mainspring.kernel.errors import InvalidInput

__all__ = ["Approval", "ApprovalStatus", "Decision", "Gate", "RetentionRule", "Rule", "Verdict"]

ApprovalStatus = Literal["pending", "approved", "rejected"]
"""What people said of a content: SageMaker's `PendingManualApproval`, `Approved` and `Rejected`."""

Verdict = Literal["approved", "rejected"]
"""What one person says of a content."""


class Gate(msgspec.Struct, frozen=True):
    """A figure that a version must reach before it may pass."""

    metric: str
    at_least: float | None = None
    at_most: float | None = None
    dataset: str = ""
    """On which data it was measured; empty for the figures given at registration."""
    surely: bool = False
    """Whether the whole interval must be inside the bounds, and not only the figure itself."""

    def __post_init__(self) -> None:
        if self.at_least is None and self.at_most is None:
            raise InvalidInput(f"the gate on {self.metric!r} has no bound", hint="give at_least, at_most or both")


class Rule(msgspec.Struct, frozen=True):
    """What must be true of a version before it takes an alias or a stage."""

    target: str
    """An alias such as `champion`, or a stage such as `Production`."""
    approvals: int = 1
    """How many people must have approved the very content; 0 asks nobody."""
    approvers: list[str] = []
    """Whose approval counts: names of people, or `role:approver`; empty for everybody who may approve."""
    gates: list[Gate] = []
    days: int = 0
    """For how many days an approval holds; 0 for ever."""
    takeover: bool = False
    """Ask only of a version that takes over from another: not of the first, and not of one that held it before."""

    def __post_init__(self) -> None:
        if not 0 <= self.approvals <= 20 or not 0 <= self.days <= 3650:
            raise InvalidInput("a rule asks for 0 to 20 approvals, which hold for 0 (for ever) to 3650 days")
        named = [each for each in self.approvers if not each.startswith("role:")]
        if len(named) == len(self.approvers) and 0 < len(set(named)) < self.approvals:
            raise InvalidInput(f"{len(set(named))} people cannot give {self.approvals} approvals")


class RetentionRule(msgspec.Struct, frozen=True):
    """Which versions of a model are kept; those that no line of it keeps may be deleted."""

    last: int = 0
    """The newest so many; 0 keeps none for that."""
    days: int = 0
    """Those younger than so many days; 0 keeps none for that."""
    aliased: bool = True
    """Those that an alias points at, or that are in the stage Staging or Production."""
    approved: bool = True
    """Those that somebody approved."""
    deployed: bool = True
    """Those that answer at an endpoint."""

    def __post_init__(self) -> None:
        if self.last < 0 or self.days < 0:
            raise InvalidInput("a retention rule keeps a number of versions or days from 0 on")
        if not self.last and not self.days:
            raise InvalidInput("a retention rule must keep something", hint="give `last`, `days` or both")


class Approval(msgspec.Struct, frozen=True):
    """What one person said of one content: it holds for the digest, so for these very bytes and no others."""

    workspace: str
    digest: str
    """Of the model version."""
    name: str
    version: int
    artifact_id: str
    """The artifact of kind `approval`."""
    comment: str
    at: datetime
    by: str
    verdict: Verdict = "approved"
    roles: list[str] = []
    """Of the person, at that moment."""
    method: str = ""
    """How they showed who they are."""
    withdrawn_at: datetime | None = None
    withdrawn_by: str = ""


class Decision(msgspec.Struct, frozen=True):
    """Whether a version may take an alias or a stage, and what is lacking."""

    target: str
    allowed: bool
    reasons: list[str]
    """What stands in the way; empty when it may."""
    rule: Rule
    approvals: list[Approval]
    """Those that count."""
