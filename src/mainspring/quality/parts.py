"""What a validation says of how it looked: how much was scanned and how much was known, and the result of each part."""

from __future__ import annotations

from typing import Literal

import msgspec

__all__ = ["PartLine", "PartResult", "Scan"]


class Scan(msgspec.Struct, frozen=True, kw_only=True):
    """How much of the data was read for a validation."""

    metrics: int = 0
    """Numbers that the suite asked for."""
    known: int = 0
    """Of those: remembered from before, for exactly this content."""
    merged: int = 0
    """Of those: put together from what is known of the files or was learnt from new ones."""
    files: int = 0
    """Files of the version; 0 for a frame."""
    files_scanned: int = 0
    rows: int = 0
    rows_scanned: int = 0
    whole: tuple[str, ...] = ()
    """What does not merge, so that the whole was scanned for it, in words."""

    def __str__(self) -> str:
        if not self.rows_scanned:
            return f"nothing was scanned: all {self.metrics} numbers were known"
        read = f"{self.rows_scanned:,} of {self.rows:,} rows"
        files = f" in {self.files_scanned} of {self.files} files" if self.files else ""
        return f"{read}{files} were scanned; {self.known} of {self.metrics} numbers were known, {self.merged} merged"


class PartLine(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What one expectation found in one part."""

    line: int
    """Its place in the suite."""
    verdict: Literal["passed", "failed", "error"]
    observed: float | None = None
    unexpected: int | None = None
    message: str = ""


class PartResult(msgspec.Struct, frozen=True, kw_only=True):
    """What a suite found in one part of a table: a file, a value of a column, a period."""

    name: str
    rows: int
    verdict: Literal["passed", "warning", "failed"]
    lines: tuple[PartLine, ...] = ()
    """The expectations that did not pass, and those of numbers."""
