"""An evaluation report as lines of text: the verdict first, then what it rests on."""

from __future__ import annotations

from collections.abc import Iterable

from mainspring.quality.evaluation.report import EvaluationReport
from mainspring.quality.evaluation.types import Estimate

__all__ = ["estimate_text", "evaluation_text", "metric_rows"]

_SLICES = 5


def estimate_text(found: Estimate) -> str:
    """A value and its interval: `0.761 (0.760 to 0.762)`."""
    if found.value is None:
        return "no value"
    if found.low is None or found.high is None:
        return f"{found.value:.4g}"
    return f"{found.value:.4g} ({found.low:.4g} to {found.high:.4g})"


def metric_rows(report: EvaluationReport) -> list[tuple[str, str, str, str]]:
    """Metric, value, interval and how it was found, for a table."""
    return [
        (
            name,
            "" if each.value is None else f"{each.value:.5g}",
            "" if each.low is None or each.high is None else f"{each.low:.5g} to {each.high:.5g}",
            each.method,
        )
        for name, each in report.evaluation.metrics.items()
    ]


def evaluation_text(report: EvaluationReport) -> str:
    """The report as plain text."""
    found = report.evaluation
    of = " ".join(each for each in (found.model, f"on {found.dataset}" if found.dataset else "") if each)
    lines = [f"{found.task} evaluation{' of ' + of if of else ''}: {found.count:,} rows"]
    if report.decision is not None:
        lines.append(f"gate {report.decision.gate}: {report.decision.verdict}")
        lines += [f"  {each.verdict}: {each.statement}" for each in report.decision.evidence]
    width = max((len(name) for name in found.metrics), default=0)
    lines += [f"  {name:<{width}}  {estimate_text(each)}" for name, each in found.metrics.items()]
    if report.comparison is not None:
        lines += _titled("candidate against champion", (each.statement for each in report.comparison.differences))
    worst = [each for each in found.slices if (each.gap or 0) > 0 and (each.q_value or 1) <= 0.05][:_SLICES]
    lines += _titled(
        f"worst slices by {found.slice_metric}",
        (f"{each.column} = {each.value}: {estimate_text(each.estimate)}, {each.count:,} rows" for each in worst),
    )
    lines += _titled("slices that were found", (each.statement for each in report.found_slices))
    if report.fairness is not None:
        lines += _titled(
            f"fairness by {', '.join(report.fairness.features)}",
            (f"{name} {estimate_text(each)}" for name, each in report.fairness.disparities.items()),
        )
    if report.robustness is not None:
        lines += _titled("robustness", (each.statement for each in report.robustness.falls[:12]))
    if report.threshold is not None:
        lines += _titled("threshold", [report.threshold.statement])
    return "\n".join(lines) + "\n"


def _titled(title: str, lines: Iterable[str]) -> list[str]:
    told = [f"  {line}" for line in lines]
    return [title, *told] if told else []
