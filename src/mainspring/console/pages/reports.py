"""Reports: evaluations, validations and drift comparisons as they were kept, for their own page and for others."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from mainspring.console.charts import CalibrationBin
from mainspring.console.page import Ask, Crumb, Entry, Page
from mainspring.console.pages.distributions import DriftRow, drift_rows
from mainspring.lineage.types import Artifact, Node
from mainspring.quality.drift.compare import DriftReport
from mainspring.quality.evaluation.report import EvaluationReport
from mainspring.quality.evaluation.types import Estimate, Importance, Slice
from mainspring.quality.types import ExpectationResult, ValidationReport

if TYPE_CHECKING:
    from mainspring.client.client import Client

__all__ = ["ENTRIES", "EvaluationView", "ValidationView", "evaluation_view", "newest_report", "validation_view"]

_SLICES = 40
_IMPORTANCES = 20
_RESULTS = 200


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


class ValidationView(msgspec.Struct, frozen=True, kw_only=True):
    """A validation, ready to draw: what did not pass first."""

    report: ValidationReport
    href: str
    verdict: str
    failures: int
    results: list[ExpectationResult]
    hidden: int


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
    )


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
        section="lineage",
        crumbs=[Crumb("Lineage", ask.link("/lineage")), Crumb("report", ask.link("/lineage", kind="report"))],
        artifact=artifact,
        lineage_href=ask.link(f"/lineage/report/{title}"),
        metadata=artifact.metadata,
        evaluation=evaluation_view(evaluation) if evaluation else None,
        validation=validation_view(validation) if validation else None,
        drift=drift,
        drift_rows=drift_rows(drift.columns) if drift else [],
    )


ENTRIES = (Entry("/reports/{ref:path}", report),)
