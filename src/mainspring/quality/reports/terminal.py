"""Validation and drift reports for a terminal: a table with rich where somebody looks, plain lines elsewhere."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, TextIO

from mainspring.quality.drift.compare import DriftReport
from mainspring.quality.reports.html import observed_text
from mainspring.quality.types import ValidationReport

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

__all__ = ["drift_text", "show", "validation_text"]

_STYLES = {
    "passed": "green", "failed": "bold red", "error": "bold red", "ok": "green", "warn": "yellow", "drift": "bold red",
    "insufficient data": "dim",
}  # fmt: skip


def show(report: ValidationReport | DriftReport, *, file: TextIO | None = None) -> None:
    """Write a report: a coloured table to a terminal, tab-separated lines to anything else."""
    out = sys.stdout if file is None else file
    if not out.isatty():
        out.write(validation_text(report) if isinstance(report, ValidationReport) else drift_text(report))
        return
    from rich.console import Console
    from rich.table import Table

    header, rows = _validation_rows(report) if isinstance(report, ValidationReport) else _drift_rows(report)
    table = Table(*header, title=_title(report), box=None, pad_edge=False, title_justify="left")
    for first, *rest in rows:
        table.add_row(f"[{_STYLES.get(first, '')}]{first}[/]" if first in _STYLES else first, *rest)
    Console(file=out).print(table)


def validation_text(report: ValidationReport) -> str:
    """The report as tab-separated lines under a title."""
    return _plain(_title(report), *_validation_rows(report))


def drift_text(report: DriftReport) -> str:
    """The report as tab-separated lines under a title."""
    return _plain(_title(report), *_drift_rows(report))


def _title(report: ValidationReport | DriftReport) -> str:
    if isinstance(report, ValidationReport):
        passed = sum(result.verdict == "passed" for result in report.results)
        return f"{report.suite}: {report.verdict} ({passed} of {len(report.results)} passed, {report.rows:,} rows)"
    rows = f"{report.reference_rows:,} rows before, {report.current_rows:,} now"
    return f"drift: {report.verdict} ({len(report.drifted)} of {len(report.columns)} columns drifted; {rows})"


def _validation_rows(report: ValidationReport) -> tuple[Sequence[str], Iterable[Sequence[str]]]:
    rows = [
        (
            each.verdict,
            each.expectation.subject,
            each.expected,
            observed_text(each),
            "" if each.unexpected is None else f"{each.unexpected:,}",
        )
        for each in report.results
    ]
    return ("result", "subject", "expected", "observed", "unexpected"), rows


def _drift_rows(report: DriftReport) -> tuple[Sequence[str], Iterable[Sequence[str]]]:
    rows = [
        (
            each.verdict,
            each.column,
            f"{each.effect:.3f}",
            f"{each.q_value:.2g}",
            "" if each.importance is None else f"{each.importance:.3g}",
            each.reason,
        )
        for each in report.columns
    ]
    return ("result", "column", "effect", "q", "importance", "what moved"), rows


def _plain(title: str, header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = ["\t".join(cell.replace("\t", " ").replace("\n", " ") for cell in row) for row in (header, *rows)]
    return "\n".join([title, *lines]) + "\n"
