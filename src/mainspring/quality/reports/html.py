"""Validation reports as HTML: one file that needs nothing else, and a small piece for a notebook."""

from __future__ import annotations

import functools
from html import escape
from typing import TYPE_CHECKING

from mainspring.quality.expectations.kinds import described
from mainspring.quality.types import ExpectationResult, ValidationReport

if TYPE_CHECKING:
    from jinja2 import Template

__all__ = ["observed_text", "report_html", "summary_html"]

_SAMPLE = 10  # rows shown of each failure: enough to see what is wrong, and the page stays small
_SHOWN = 120


def report_html(report: ValidationReport) -> str:
    """The whole report as one HTML page without scripts and without requests to anywhere."""
    return _template().render(
        report=report,
        failures=report.failures,
        passed=sum(result.verdict == "passed" for result in report.results),
        describe=described,
        observed=observed_text,
        sample_rows=_SAMPLE,
    )


def summary_html(report: ValidationReport) -> str:
    """The verdict and what did not pass, for a notebook."""
    lines = "".join(
        f"<tr><td>{escape(each.expectation.severity)}</td><td style='text-align:left'>"
        f"{escape(described(each.expectation))}</td><td style='text-align:left'>{escape(each.message)}</td></tr>"
        for each in report.failures[:20]
    )
    passed = sum(result.verdict == "passed" for result in report.results)
    facts = f"{report.rows:,} rows; {passed} of {len(report.results)} expectations passed"
    table = f"<table><tbody>{lines}</tbody></table>" if lines else ""
    return f"<div><strong>{escape(report.suite)}: {report.verdict}</strong> <span>{facts}</span>{table}</div>"


def observed_text(result: ExpectationResult) -> str:
    """What was observed, in a cell's worth of text."""
    seen = result.observed
    if result.verdict == "error":
        return result.message
    if result.unexpected is not None and isinstance(seen, float):
        return f"{seen * 100:.6g} % hold"
    text = f"{seen:.6g}" if isinstance(seen, float) else "" if seen is None else str(seen)
    return text if len(text) <= _SHOWN else f"{text[: _SHOWN - 3]}..."


@functools.cache
def _template() -> Template:
    from importlib.resources import files

    from jinja2 import Environment, StrictUndefined

    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    return environment.from_string(files(__package__).joinpath("validation.html").read_text(encoding="utf-8"))
