"""Checkpoints: which suites are asked of which datasets, and what is done with the outcome."""

from __future__ import annotations

from datetime import datetime
from typing import Literal

import msgspec

from mainspring.kernel.errors import InvalidInput
from mainspring.kernel.names import check_name
from mainspring.quality.types import Severity, ValidationReport

__all__ = [
    "Action",
    "ActionResult",
    "Checkpoint",
    "CheckpointRun",
    "Emit",
    "Quarantine",
    "Refuse",
    "SetAlias",
    "Target",
    "TargetResult",
    "Webhook",
    "check_checkpoint",
    "is_due",
    "verdict_of",
]

When = Literal["passed", "failed", "always"]

_GRAVITY = {"critical": 0, "warning": 1, "info": 2}
_MOST = 200  # targets and actions: a checkpoint is read by people


class Target(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A dataset and the suite that is asked of it."""

    dataset: str
    """A name for its newest version, or a reference."""
    suite: str
    """A reference: `flights`, `flights@2`."""
    by: str = ""
    """Validate each part too: `file`, a column, or `column:month` (day, week, month, quarter, year)."""
    columns: tuple[str, ...] = ()
    """Only the expectations about these columns; all when empty."""


class _Done(msgspec.Struct, frozen=True, kw_only=True, tag_field="action", forbid_unknown_fields=True):
    when: When = "always"


class Emit(_Done, frozen=True, kw_only=True, tag="emit"):
    """An event `quality.checkpoint.passed` or `.failed`, for consumers and for every webhook that listens to it."""


class Webhook(_Done, frozen=True, kw_only=True, tag="webhook"):
    """The same event to one webhook by its name, whatever it listens to."""

    name: str


class SetAlias(_Done, frozen=True, kw_only=True, tag="set-alias"):
    """An alias of each validated dataset is moved to the version that was validated."""

    alias: str
    when: When = "passed"


class Quarantine(_Done, frozen=True, kw_only=True, tag="quarantine"):
    """The failing rows of each validated version become a version of another dataset, with their reasons."""

    name: str = ""
    """Of that dataset; by default that of the source with `-quarantine` behind."""
    when: When = "failed"


class Refuse(_Done, frozen=True, kw_only=True, tag="refuse"):
    """Whoever ran the checkpoint gets an error, after everything else was done."""

    when: When = "failed"


Action = Emit | Webhook | SetAlias | Quarantine | Refuse
"""What may be done; as JSON an object with `action` and its parameters."""


class Checkpoint(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A named set of validations with what follows from them."""

    name: str
    targets: tuple[Target, ...]
    actions: tuple[Action, ...] = ()
    fails_at: Severity = "critical"
    """The least severity of a failed expectation that makes the checkpoint fail."""
    note: str = ""


class TargetResult(msgspec.Struct, frozen=True, kw_only=True):
    """What was found of one target."""

    dataset: str
    """The version that was validated."""
    suite: str
    verdict: Literal["passed", "failed"]
    report: str
    """Reference of the validation report."""
    failures: int
    rows: int
    rows_scanned: int


class ActionResult(msgspec.Struct, frozen=True, kw_only=True):
    """What became of one action."""

    action: str
    done: bool
    message: str = ""


class CheckpointRun(msgspec.Struct, frozen=True):
    """One run of a checkpoint."""

    id: str
    workspace: str
    checkpoint: str
    verdict: Literal["passed", "failed"]
    targets: list[TargetResult]
    actions: list[ActionResult]
    run_id: str
    """Its run in the lineage."""
    at: datetime
    created_by: str


def check_checkpoint(checkpoint: Checkpoint) -> Checkpoint:
    """Return it when it makes sense; raise `InvalidInput` otherwise."""
    check_name(checkpoint.name, what="checkpoint")
    if not checkpoint.targets:
        raise InvalidInput(f"checkpoint {checkpoint.name!r} validates nothing", hint="give it targets")
    if len(checkpoint.targets) > _MOST or len(checkpoint.actions) > _MOST:
        raise InvalidInput(f"a checkpoint has at most {_MOST} targets and {_MOST} actions")
    for target in checkpoint.targets:
        for ref, what in ((target.dataset, "dataset"), (target.suite, "suite")):
            check_name(ref.removeprefix(f"{what}/").partition("@")[0], what=what)
    for action in checkpoint.actions:
        if isinstance(action, SetAlias):
            check_name(action.alias, what="alias")
        elif isinstance(action, Quarantine) and action.name:
            check_name(action.name)
    return checkpoint


def verdict_of(report: ValidationReport, fails_at: Severity) -> Literal["passed", "failed"]:
    """Whether something failed that is at least as grave."""
    bad = any(_GRAVITY[each.expectation.severity] <= _GRAVITY[fails_at] for each in report.failures)
    return "failed" if bad else "passed"


def is_due(action: Action, verdict: str) -> bool:
    """Whether an action follows from a verdict."""
    return action.when in ("always", verdict)
