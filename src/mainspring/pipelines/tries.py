"""What came of one try of a call of a step."""

from __future__ import annotations

from typing import Any

import msgspec

from mainspring.pipelines.types import Attempt, StepRecord
from mainspring.pipelines.values import nodes_in

__all__ = ["Tried", "failed_try", "is_light"]


class Tried(msgspec.Struct, frozen=True):
    """What came of one try of a call."""

    record: StepRecord
    log: str = ""
    error: BaseException | None = None
    value: tuple[Any] | None = None
    """The value itself, where it was made in this process."""


def failed_try(record: StepRecord) -> Attempt:
    """A failed try that is followed by another, as it is kept."""
    ended = record.finished_at or record.started_at
    return Attempt(record.id, record.attempt, record.started_at, ended, record.error or {})


def is_light(record: StepRecord) -> bool:
    """Whether the lineage has nothing of a step but that it ran with its code: no artifact that it used or made."""
    return record.state in ("finished", "cached") and not record.uses and not nodes_in(record.output)
