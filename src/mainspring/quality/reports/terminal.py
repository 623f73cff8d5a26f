"""Validation and drift reports for a terminal: a table with rich where somebody looks, plain lines elsewhere."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, TextIO

from mainspring.quality.drift.compare import ColumnDrift, DriftReport
from mainspring.quality.reports.html import observed_text
from mainspring.quality.types import Expectation, ValidationReport

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

__all__ = ["drift_text", "show", "validation_text"]

_PARTS = 20

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
    from rich.text import Text

    header, rows = _validation_rows(report) if isinstance(report, ValidationReport) else _drift_rows(report)
    table = Table(*header, title=_title(report), box=None, pad_edge=False, title_justify="left")
    for first, *rest in rows:
        table.add_row(Text(first, style=_STYLES.get(first, "")), *(Text(cell) for cell in rest))
    console = Console(file=out)
    console.print(table)
    for line in _notes(report):
        console.print(Text(line, style="dim"))


def validation_text(report: ValidationReport) -> str:
    """The report as tab-separated lines under a title."""
    notes = "".join(f"{line}\n" for line in _notes(report))
    return _plain(_title(report), *_validation_rows(report)) + notes


def drift_text(report: DriftReport) -> str:
    """The report as tab-separated lines under a title."""
    return _plain(_title(report), *_drift_rows(report))


def _notes(report: ValidationReport | DriftReport) -> list[str]:
    """What is said below the table: the parts that did not pass, and how much was scanned."""
    if not isinstance(report, ValidationReport):
        return []
    lines = []
    if report.parts:
        bad = [each for each in report.parts if each.verdict != "passed"]
        named = ", ".join(f"{each.name} ({each.verdict})" for each in bad[:_PARTS])
        more = f" and {len(bad) - _PARTS} more" if len(bad) > _PARTS else ""
        lines.append(f"by {report.parted_by}: {len(bad)} of {len(report.parts)} parts did not pass: {named}{more}")
    return [*lines, str(report.scan)] if report.scan else lines


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
            _asked(each.expectation, each.expected),
            observed_text(each),
            "" if each.unexpected is None else f"{each.unexpected:,}",
        )
        for each in report.results
    ]
    return ("result", "subject", "expected", "observed", "unexpected"), rows


def _asked(expectation: Expectation, expected: str) -> str:
    """What is expected, of how many and of which rows."""
    share = f", for at least {expectation.mostly * 100:.6g} %" if expectation.mostly < 1 else ""
    return f"{expected}{share}{f', where {expectation.where}' if expectation.where else ''}"


def _drift_rows(report: DriftReport) -> tuple[Sequence[str], Iterable[Sequence[str]]]:
    rows = [
        (
            each.verdict,
            each.column,
            "" if each.verdict == "insufficient data" else f"{each.effect:.3f}",
            "" if each.verdict == "insufficient data" else f"{each.q_value:.2g}",
            "" if each.importance is None else f"{each.importance:.3g}",
            _test(each),
            each.reason,
        )
        for each in report.columns
    ]
    return ("result", "column", "effect", "q", "importance", "test", "what moved"), rows


def _test(column: ColumnDrift) -> str:
    """The named test whose verdict it is, with its score and where it draws the line."""
    if not column.method or column.score is None or column.threshold is None:
        return column.method
    return f"{column.method} {column.score:.4g} (threshold {column.threshold:g})"


def _plain(title: str, header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = ["\t".join(cell.replace("\t", " ").replace("\n", " ") for cell in row) for row in (header, *rows)]
    return "\n".join([title, *lines]) + "\n"
