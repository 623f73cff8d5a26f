"""Validation reports as HTML: one file that needs nothing else, and a small piece for a notebook."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from html import escape
from typing import TYPE_CHECKING, Any

import msgspec
from markupsafe import Markup

from mainspring.quality.anomalies import judge, strategy_of
from mainspring.quality.expectations.kinds import described
from mainspring.quality.parts import PartResult
from mainspring.quality.reports.drawings import part_strip, series_line, share_bar
from mainspring.quality.types import ExpectationResult, ValidationReport

if TYPE_CHECKING:
    from jinja2 import Template

__all__ = ["observed_text", "report_html", "summary_html"]

_LARGEST = 500_000  # bytes: what can be sent by mail and opened on a telephone

_SHOWN = 120


class _Sizes(msgspec.Struct, frozen=True):
    """How much of everything a page shows."""

    failures: int
    rows: int
    columns: int
    results: int
    parts: int


_SIZES = (
    _Sizes(40, 10, 40, 500, 200),
    _Sizes(20, 5, 20, 500, 100),
    _Sizes(10, 3, 10, 300, 50),
    _Sizes(10, 0, 0, 100, 20),
)


def report_html(report: ValidationReport) -> str:
    """The whole report as one HTML page without scripts and without requests to anywhere, below 500 kB.

    What does not fit is left out from the end, rows of failures first, and the page says how much that is.
    """
    page = ""
    for sizes in _SIZES:
        page = _template().render(
            report=report,
            failures=[_narrow(each, sizes.columns) for each in report.failures],
            bar=_bar,
            cell=_cell,
            history=_history,
            strip=_strip,
            sizes=sizes,
            passed=sum(result.verdict == "passed" for result in report.results),
            describe=described,
            observed=observed_text,
        )
        if len(page.encode()) < _LARGEST:
            break
    return page


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
        if result.evaluated == 0:
            return "no row is asked"
        share = f"{seen * 100:.6g}"
        return f"{'all but a few' if share == '100' and result.unexpected else f'{share} %'} hold"
    text = f"{seen:.6g}" if isinstance(seen, float) else "" if seen is None else str(seen)
    return text if len(text) <= _SHOWN else f"{text[: _SHOWN - 3]}..."


def _narrow(result: ExpectationResult, columns: int) -> ExpectationResult:
    """A result whose rows show what it is about first, and not more columns than can be read."""
    if not result.sample or len(result.sample[0]) <= columns:
        return result
    about = {"__row__", result.expectation.column, *result.expectation.columns}
    names = [name for name in result.sample[0] if name in about]
    names += [name for name in result.sample[0] if name not in about][: max(columns - len(names), 0)]
    return msgspec.structs.replace(result, sample=tuple({name: row[name] for name in names} for row in result.sample))


def _cell(value: Any) -> str:
    text = "" if value is None else f"{value:.10g}" if isinstance(value, float) else str(value)
    return text if len(text) <= _SHOWN else f"{text[: _SHOWN - 3]}..."


def _bar(result: ExpectationResult) -> Markup | str:
    if result.unexpected is None or not isinstance(result.observed, int | float):
        return ""
    return Markup(share_bar(float(result.observed), result.expectation.mostly))  # noqa: S704 -- drawn by us, escaped there


def _history(result: ExpectationResult) -> Markup | str:
    """The values before, and the one that was found, of an expectation that is judged by them."""
    before = result.expectation.arguments.get("history")
    if not isinstance(before, list | tuple) or not isinstance(result.observed, int | float):
        return ""
    found = judge(float(result.observed), before, strategy_of(result.expectation.arguments.get("strategy")))
    drawn = series_line([*map(float, before), float(result.observed)], low=found.low, high=found.high)
    return Markup(drawn)  # noqa: S704 -- numbers only


def _strip(parts: Sequence[PartResult]) -> Markup:
    return Markup(part_strip([(part.name, part.verdict) for part in parts]))  # noqa: S704 -- escaped there


@functools.cache
def _template() -> Template:
    from importlib.resources import files

    from jinja2 import Environment, StrictUndefined

    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    return environment.from_string(files(__package__).joinpath("validation.html").read_text(encoding="utf-8"))
