"""How datasets stand, from the outcomes of their newest validations."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from itertools import groupby

import msgspec

from mainspring.quality.tables import Outcome
from mainspring.quality.types import Overall, overall

__all__ = ["Standing", "standings_of"]


class Standing(msgspec.Struct, frozen=True, kw_only=True):
    """What validations found of the newest version of a dataset that was validated; of several suites, the worst."""

    dataset: str
    """Its name."""
    version: int
    suite: str
    verdict: Overall
    passed: int
    expectations: int
    report_id: str
    at: datetime


def standings_of(outcomes: Iterable[Outcome]) -> list[Standing]:
    """Outcomes summed up by validation, and of each dataset the gravest, of equally grave ones the newest."""
    found: dict[str, Standing] = {}
    for _, group in groupby(outcomes, key=lambda each: each.report_id):
        rows = list(group)
        standing = Standing(
            dataset=rows[0].dataset.partition("/")[2],
            version=rows[0].version,
            suite=rows[0].suite,
            verdict=overall(each.severity for each in rows if each.verdict != "passed"),
            passed=sum(each.verdict == "passed" for each in rows),
            expectations=len(rows),
            report_id=rows[0].report_id,
            at=rows[0].at,
        )
        found[standing.dataset] = max(found.get(standing.dataset, standing), standing, key=_graver)
    return [found[name] for name in sorted(found)]


def _graver(standing: Standing) -> tuple[int, str]:
    return {"passed": 0, "warning": 1, "failed": 2}[standing.verdict], standing.report_id
