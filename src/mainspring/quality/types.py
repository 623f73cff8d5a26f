"""What the quality room speaks of: expectations, suites, and what a validation found.

One record of each, frozen and made of JSON types, so that the same value is stored, sent and shown.
Profiles, drift and evaluation have their records beside their rules.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Any, Literal

import msgspec

from mainspring.quality.parts import PartResult, Scan

__all__ = [
    "Expectation",
    "ExpectationResult",
    "Overall",
    "Severity",
    "Suite",
    "ValidationReport",
    "Verdict",
    "overall",
]

Severity = Literal["critical", "warning", "info"]
"""What a failure means: the data must not be used; somebody should look; it is worth knowing."""

Verdict = Literal["passed", "failed", "error"]
"""Of one expectation. `error`: it could not be asked of this table, for example because the column is not there."""

Overall = Literal["passed", "warning", "failed"]
"""Of a whole validation."""


class Expectation(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Something that should be true of a table, as a value.

    `kind` is the field's name of the check (`column_values_to_be_between`) and `arguments` its parameters.
    `mostly` is the least share of the rows asked that must hold. `where` is a condition in SQL over the
    columns; only rows within it are asked. An inferred expectation says how sure it is, and why.
    """

    kind: str
    column: str = ""
    columns: tuple[str, ...] = ()
    arguments: dict[str, Any] = {}
    mostly: float = 1.0
    severity: Severity = "critical"
    where: str = ""
    confidence: float | None = None
    reason: str = ""
    meta: dict[str, Any] = {}

    @property
    def subject(self) -> str:
        """What it is about: a column, several, or the table."""
        return self.column or ", ".join(self.columns) or "table"

    @property
    def key(self) -> tuple[str, str, str]:
        """What makes two expectations two versions of one: what is expected, of what, where."""
        return self.kind, self.subject, self.where

    def to_dict(self) -> dict[str, Any]:
        """The expectation as JSON types, without what is left out; how it stands inside another."""
        plain: dict[str, Any] = msgspec.json.decode(msgspec.json.encode(self))
        return plain


class Suite(msgspec.Struct, frozen=True, kw_only=True):
    """A named list of expectations."""

    name: str
    expectations: tuple[Expectation, ...] = ()
    meta: dict[str, Any] = {}


class ExpectationResult(msgspec.Struct, frozen=True, kw_only=True):
    """What was found for one expectation.

    For a check of rows, `evaluated` counts the rows asked (not missing, within `where`), `unexpected` those
    that do not hold, `values` the most frequent unexpected values with their counts, and `sample` the first
    such rows, each with its number `__row__`. For a check of an aggregate only `observed` is filled.
    """

    expectation: Expectation
    verdict: Verdict
    expected: str
    observed: Any = None
    message: str = ""
    rows: int = 0
    evaluated: int | None = None
    missing: int | None = None
    unexpected: int | None = None
    values: tuple[tuple[Any, int], ...] = ()
    sample: tuple[dict[str, Any], ...] = ()
    details: dict[str, Any] = {}
    """More of what was seen, by name: how each part of a combination was judged, which columns are not as listed."""

    def to_gx(self, result_format: str | dict[str, Any] = "SUMMARY") -> dict[str, Any]:
        """The result as Great Expectations writes it; see `quality.formats.gx_results`."""
        from mainspring.quality.formats.gx_results import result_to_gx

        return result_to_gx(self, result_format)

    @property
    def unexpected_percent(self) -> float | None:
        """Of the rows asked; None for a check that is not of rows."""
        if self.unexpected is None or self.evaluated is None:
            return None
        return 100.0 * self.unexpected / self.evaluated if self.evaluated else 0.0


def overall(failed: Iterable[str]) -> Overall:
    """What the severities of the expectations that did not pass come to.

    Example:
        >>> overall(["info"]), overall(["info", "warning"]), overall(["critical"])
        ('passed', 'warning', 'failed')
    """
    bad = set(failed)
    return "failed" if "critical" in bad else "warning" if "warning" in bad else "passed"


class ValidationReport(msgspec.Struct, frozen=True, kw_only=True):
    """What a suite found in a table."""

    suite: str
    results: tuple[ExpectationResult, ...]
    dataset: str = ""
    ref: str = ""
    """Of the artifact, once it is recorded."""
    rows: int = 0
    columns: int = 0
    started_at: datetime
    seconds: float = 0.0
    scan: Scan | None = None
    """How much of a dataset version was read; None for a frame, which is read as a whole."""
    parted_by: str = ""
    """What the parts are: `file`, a column, a column and a period; empty without parts."""
    parts: tuple[PartResult, ...] = ()

    @property
    def verdict(self) -> Overall:
        """`failed` when a critical expectation did not pass, `warning` when only a lesser one did not."""
        return overall(result.expectation.severity for result in self.results if result.verdict != "passed")

    @property
    def failures(self) -> tuple[ExpectationResult, ...]:
        """The results that did not pass, the gravest first."""
        order = {"critical": 0, "warning": 1, "info": 2}
        bad = [result for result in self.results if result.verdict != "passed"]
        return tuple(sorted(bad, key=lambda result: order[result.expectation.severity]))

    def to_dict(self) -> dict[str, Any]:
        """The report as JSON types, with the verdicts spelled out."""
        plain: dict[str, Any] = msgspec.to_builtins(self)
        plain["verdict"] = self.verdict
        for result, record in zip(self.results, plain["results"], strict=True):
            record["unexpected_percent"] = result.unexpected_percent
        return plain

    def to_gx(self, result_format: str | dict[str, Any] = "SUMMARY") -> dict[str, Any]:
        """The report as Great Expectations writes it; see `quality.formats.gx_results`."""
        from mainspring.quality.formats.gx_results import report_to_gx

        return report_to_gx(self, result_format)

    def to_html(self) -> str:
        """The report as one HTML page that needs nothing else."""
        from mainspring.quality.reports.html import report_html

        return report_html(self)

    def _repr_html_(self) -> str:
        from mainspring.quality.reports.html import summary_html

        return summary_html(self)
