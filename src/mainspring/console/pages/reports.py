"""Reports: evaluations, validations and drift comparisons as they were kept, for their own page and for others."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from mainspring.console.charts import CalibrationBin
from mainspring.console.page import Ask, Crumb, Entry, Page
from mainspring.console.pages.distributions import DriftRow, drift_rows
from mainspring.console.words import compact
from mainspring.lineage.types import Artifact, Node
from mainspring.quality.drift.compare import DriftReport
from mainspring.quality.evaluation.report import EvaluationReport
from mainspring.quality.evaluation.types import Estimate, Importance, Slice
from mainspring.quality.expectations.kinds import described
from mainspring.quality.parts import PartResult
from mainspring.quality.types import ExpectationResult, ValidationReport

if TYPE_CHECKING:
    from mainspring.client.client import Client

__all__ = ["ENTRIES", "EvaluationView", "ValidationView", "evaluation_view", "newest_report", "validation_view"]

_SLICES = 40
_IMPORTANCES = 20
_RESULTS = 200
_FAILING = 12
_ROWS = 10
_COLUMNS = 16
_PARTS = 100


class EvaluationView(msgspec.Struct, frozen=True, kw_only=True):
    """An evaluation, ready to draw."""

    report: EvaluationReport
    href: str
    metrics: dict[str, Estimate]
    calibration: list[CalibrationBin]
    slices: list[Slice]
    hidden_slices: int
    features: list[str]
    importances: list[float]
    importance_low: list[float | None]
    importance_high: list[float | None]
    passed: bool | None
    """What the gate decided; None without one."""


class FailingRows(msgspec.Struct, frozen=True, kw_only=True):
    """Rows that one expectation did not hold of."""

    sentence: str
    message: str
    severity: str
    marked: str
    """The column that it is about."""
    columns: list[str]
    rows: list[list[str | None]]
    series: list[float] = []
    """For a number with a history: what it was before, and now."""


class PartRow(msgspec.Struct, frozen=True, kw_only=True):
    """A part that did not pass, and why."""

    name: str
    rows: int
    verdict: str
    why: str


class ValidationView(msgspec.Struct, frozen=True, kw_only=True):
    """A validation, ready to draw: what did not pass first."""

    report: ValidationReport
    href: str
    verdict: str
    failures: int
    results: list[ExpectationResult]
    hidden: int
    failing: list[FailingRows]
    """The first rows of failures that have rows."""
    parts: list[tuple[str, str]]
    """Parts and their verdicts, in their order."""
    part_rows: list[PartRow]


class ReportPage(Page, frozen=True, kw_only=True):
    """The context of `report.html`: one of the three, or only its facts."""

    template = "report.html"

    artifact: Artifact
    lineage_href: str
    metadata: dict[str, Any]
    evaluation: EvaluationView | None = None
    validation: ValidationView | None = None
    drift: DriftReport | None = None
    drift_rows: list[DriftRow] = msgspec.field(default_factory=list)


def evaluation_view(report: EvaluationReport, *, href: str = "") -> EvaluationView:
    """What a page draws of an evaluation."""
    found = report.evaluation
    ranked = sorted(report.importances, key=lambda each: -each.importance)[:_IMPORTANCES]
    slices = sorted(found.slices, key=lambda each: -(each.gap or 0.0))
    return EvaluationView(
        report=report,
        href=href,
        metrics=found.metrics,
        calibration=[
            CalibrationBin(
                predicted=each.predicted,
                observed=each.observed,
                count=each.count,
                low=each.observed_low,
                high=each.observed_high,
            )
            for each in found.calibration
        ],
        slices=slices[:_SLICES],
        hidden_slices=max(len(slices) - _SLICES, 0),
        features=[each.feature for each in ranked],
        importances=[each.importance for each in ranked],
        importance_low=[_beside(each, -2) for each in ranked],
        importance_high=[_beside(each, 2) for each in ranked],
        passed=report.decision.passed if report.decision else None,
    )


def _beside(each: Importance, errors: int) -> float | None:
    return None if each.standard_error is None else each.importance + errors * each.standard_error


def validation_view(report: ValidationReport, *, href: str = "") -> ValidationView:
    """What a page draws of a validation."""
    ordered = [*report.failures, *(each for each in report.results if each.verdict == "passed")]
    return ValidationView(
        report=report,
        href=href,
        verdict=report.verdict,
        failures=len(report.failures),
        results=ordered[:_RESULTS],
        hidden=max(len(ordered) - _RESULTS, 0),
        failing=[_failing(each) for each in report.failures[:_FAILING] if each.sample or _series(each)],
        parts=[(part.name, part.verdict) for part in report.parts],
        part_rows=[_part(report, part) for part in report.parts if part.verdict != "passed"][:_PARTS],
    )


def _failing(result: ExpectationResult) -> FailingRows:
    about = [result.expectation.column, *result.expectation.columns]
    names = [name for name in (result.sample[0] if result.sample else ()) if name != "__row__"]
    names = [*(name for name in about if name in names), *(name for name in names if name not in about)][:_COLUMNS]
    return FailingRows(
        sentence=described(result.expectation),
        message=result.message,
        severity=result.expectation.severity,
        marked=result.expectation.column,
        columns=["row", *names],
        rows=[
            [str(row.get("__row__", "")), *(None if row[name] is None else compact(row[name], 60) for name in names)]
            for row in result.sample[:_ROWS]
        ],
        series=_series(result),
    )


def _series(result: ExpectationResult) -> list[float]:
    before = result.expectation.arguments.get("history") or []
    return [*map(float, before), float(result.observed)] if before and isinstance(result.observed, int | float) else []


def _part(report: ValidationReport, part: PartResult) -> PartRow:
    bad = [line for line in part.lines if line.verdict != "passed"]
    asked = [report.results[line.line] for line in bad[:3]]
    named = [
        f"{each.expectation.subject} {each.expected}: {line.message}" for each, line in zip(asked, bad[:3], strict=True)
    ]
    more = f" and {len(bad) - 3} more" if len(bad) > 3 else ""
    return PartRow(name=part.name, rows=part.rows, verdict=part.verdict, why="; ".join(named) + more)


def newest_report(nodes: list[Node], kind: str) -> Node | None:
    """The newest report of a kind among the nodes of a lineage."""
    found = [node for node in nodes if node.kind == "report" and node.metadata.get("report") == kind]
    return max(found, key=lambda node: (node.at, node.id), default=None)


def report(client: Client, ask: Ask) -> ReportPage:
    """One report by its reference below `report/`."""
    artifact = client.lineage.artifact(str(ask.params["ref"]), kind="report").artifact
    kind = str(artifact.metadata.get("report", ""))
    title = f"{artifact.name}@{artifact.version}"
    evaluation = client.quality.evaluation(artifact.id) if kind == "evaluation" else None
    validation = client.quality.validation(artifact.id) if kind == "validation" else None
    drift = client.quality.drift_report(artifact.id) if kind == "drift" else None
    return ReportPage(
        title=title,
        section="quality" if validation or drift else "lineage",
        crumbs=[Crumb("Quality", ask.link("/quality"))]
        if validation or drift
        else [Crumb("Lineage", ask.link("/lineage")), Crumb("report", ask.link("/lineage", kind="report"))],
        artifact=artifact,
        lineage_href=ask.link(f"/lineage/report/{title}"),
        metadata=artifact.metadata,
        evaluation=evaluation_view(evaluation) if evaluation else None,
        validation=validation_view(validation) if validation else None,
        drift=drift,
        drift_rows=drift_rows(drift.columns) if drift else [],
    )


ENTRIES = (Entry("/reports/{ref:path}", report),)
