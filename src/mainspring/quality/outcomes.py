"""How datasets stand, from the outcomes of their newest validations."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from itertools import groupby
from typing import Literal

import msgspec

from mainspring.quality.tables import Outcome

__all__ = ["Standing", "standings_of"]


class Standing(msgspec.Struct, frozen=True, kw_only=True):
    """The newest validation of a dataset."""

    dataset: str
    """Its name."""
    version: int
    suite: str
    verdict: Literal["passed", "warning", "failed"]
    passed: int
    expectations: int
    report_id: str
    at: datetime


def standings_of(outcomes: Iterable[Outcome]) -> list[Standing]:
    """The outcomes of one validation each, summed up, by dataset."""
    found = []
    for _, group in groupby(outcomes, key=lambda each: each.report_id):
        rows = list(group)
        bad = {each.severity for each in rows if each.verdict != "passed"}
        found.append(
            Standing(
                dataset=rows[0].dataset.partition("/")[2],
                version=rows[0].version,
                suite=rows[0].suite,
                verdict="failed" if "critical" in bad else "warning" if bad else "passed",
                passed=sum(each.verdict == "passed" for each in rows),
                expectations=len(rows),
                report_id=rows[0].report_id,
                at=rows[0].at,
            )
        )
    return sorted(found, key=lambda each: each.dataset)
