"""Evaluation reports that belong to versions."""

from __future__ import annotations

from collections.abc import Mapping

from mainspring.kernel.context import caller
from mainspring.kernel.errors import InvalidInput
from mainspring.lineage import graph, listing
from mainspring.lineage.types import Artifact
from mainspring.models.labels import measure
from mainspring.models.registry import DATA_KINDS, locate
from mainspring.models.tables import ATTACHED
from mainspring.models.types import Attached, Metric, ModelVersion
from mainspring.store.transaction import Transaction

__all__ = ["attach", "attached_to"]


def attach(tx: Transaction, ref: str, report: str, *, metrics: Mapping[str, Metric], dataset: str = "") -> Attached:
    """Say that an evaluation report is about a version; the graph then leads from the version to the report."""
    model = locate(tx, ref)
    found = graph.resolve(tx, report, kind="report")
    if found.kind != "report":
        raise InvalidInput(f"{found.ref} is not a report")
    if found.run_id:
        graph.use(tx, found.run_id, model.artifact_id, role="model")
    else:
        run = graph.start_run(tx, "evaluation", model.name)
        graph.use(tx, run.id, model.artifact_id, role="model")
        graph.use(tx, run.id, found.id, role="report")
        graph.finish_run(tx, run.id)
    dataset = dataset or next((each.ref for each in _data_of(tx, found)), "")
    attached = Attached(
        model.workspace, model.name, model.version, found.id, dict(metrics), tx.now, caller().principal, dataset
    )
    tx.execute(
        "DELETE FROM model_report WHERE workspace = ? AND name = ? AND version = ? AND artifact_id = ?",
        (model.workspace, model.name, model.version, found.id),
    )
    tx.insert(ATTACHED, attached)
    measure(tx, model.name, model.version, metrics, dataset=dataset or found.ref)
    tx.note(f"model/{model.name}@{model.version}", report=found.ref)
    return attached


def _data_of(tx: Transaction, report: Artifact) -> list[Artifact]:
    return listing.used_by(tx, report.run_id, *DATA_KINDS) if report.run_id else []


def attached_to(tx: Transaction, version: ModelVersion) -> list[Attached]:
    """The reports of a version, newest first."""
    where = "WHERE workspace = ? AND name = ? AND version = ? ORDER BY at DESC"
    return tx.fetch(ATTACHED, where, (caller().workspace, version.name, version.version))
