"""Forgetting what was learnt of rows that are to be forgotten; see `ERASERS` on the hooks page.

Least and greatest values, frequent values and the first failing rows are remembered by content, and a content that was
written again has another digest: nothing says any more whose they were. So all of the workspace's are given up.
"""

from __future__ import annotations

from mainspring.data.forgetting_types import Forgotten
from mainspring.data.service import Data
from mainspring.quality.service import Quality

__all__ = ["erase_answers"]


def erase_answers(data: Data, told: Forgotten) -> list[str]:
    """Give up the answers; what was found, in words."""
    if not told.versions:
        return []
    count = Quality(data._backend).forget_answers(apply=told.apply)  # noqa: SLF001 -- another room of the same client
    return [f"quality: {count:,} remembered answers about contents"] if count else []
