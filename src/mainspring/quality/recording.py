"""Writing down what was found: reports with the runs that made them, outcomes over time; in one transaction."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

from mainspring.kernel.hashing import digest_tree
from mainspring.kernel.ids import new_id
from mainspring.lineage import graph
from mainspring.lineage.types import Artifact, File
from mainspring.quality.tables import OUTCOMES, Outcome
from mainspring.quality.types import Expectation, ExpectationResult, ValidationReport
from mainspring.store.transaction import Transaction

__all__ = ["about", "add", "add_report", "add_validation", "dataset_name", "outcomes", "resolve", "resolve_used"]

_KINDS = {"dataset", "feature-view", "model", "predictions", "training-set"}
"""What may be validated, profiled or evaluated; a reference that begins with none of these is of the default kind."""


def resolve(tx: Transaction, ref: str, kind: str) -> Artifact:
    """An artifact by a reference whose kind may be left out, for a kind of the name's own or `kind`."""
    first = ref.partition("/")[0]
    return graph.resolve(tx, ref, kind="" if first in _KINDS else kind)


def resolve_used(tx: Transaction, **refs: str) -> list[tuple[Artifact, str]]:
    """The artifacts behind references given by their kind, each with the kind as its role; empty ones left out."""
    return [(resolve(tx, ref, kind), kind) for kind, ref in refs.items() if ref]


def dataset_name(dataset: str) -> str:
    """`dataset/name` of a reference with or without kind and version."""
    name = dataset.partition("@")[0]
    return name if name.startswith("dataset/") else f"dataset/{name}"


def add(
    tx: Transaction, kind: str, name: str, file: File, facts: dict[str, Any], *, run_id: str = "", reuse: bool = False
) -> Artifact:
    """An artifact of one file."""
    digest = digest_tree([(file.path, file.size, file.digest)])
    return graph.add_artifact(
        tx, kind, name, digest=digest, size=file.size, metadata=facts, files=[file], run_id=run_id, reuse=reuse
    )


def add_report(
    tx: Transaction,
    kind: str,
    name: str,
    *,
    file: File,
    facts: dict[str, Any],
    used: Sequence[tuple[Artifact, str]],
    run_id: str = "",
) -> Artifact:
    """A report and the run that made it, from what it used."""
    maker = run_id or graph.start_run(tx, kind, name.partition("/")[2]).id
    for artifact, role in used:
        graph.use(tx, maker, artifact.id, role=role)
    made = add(tx, "report", name, file, facts, run_id=maker)
    if not run_id:
        graph.finish_run(tx, maker, metadata={key: facts[key] for key in ("verdict", "passed") if key in facts})
    return made


def add_validation(
    tx: Transaction, report: ValidationReport, *, file: File, used: Sequence[tuple[Artifact, str]]
) -> ValidationReport:
    """A validation: its report, the run that made it, and one outcome for each expectation."""
    facts = {
        "report": "validation", "suite": report.suite, "verdict": report.verdict, "rows": report.rows,
        "expectations": len(report.results), "failed": len(report.failures),
    }  # fmt: skip
    if report.scan is not None:
        facts["rows_scanned"] = report.scan.rows_scanned
    target = next((artifact for artifact, role in used if role == "dataset"), None)
    made = add_report(tx, "validation", f"validation/{report.suite}", file=file, facts=facts, used=used)
    tx.insert_many(OUTCOMES, outcomes(tx, report, made, target))
    return msgspec.structs.replace(report, ref=made.ref, dataset=target.ref if target else report.dataset)


def outcomes(tx: Transaction, report: ValidationReport, made: Artifact, target: Artifact | None) -> list[Outcome]:
    """One row for each result of a validation."""
    dataset = f"{target.kind}/{target.name}" if target else ""
    return [
        Outcome(
            id=new_id(),
            workspace=made.workspace,
            report_id=made.id,
            dataset=dataset,
            version=target.version if target else 0,
            suite=report.suite,
            kind=result.expectation.kind,
            subject=result.expectation.subject,
            where_text=result.expectation.where,
            severity=result.expectation.severity,
            verdict=result.verdict,
            observed=_number(result),
            unexpected=result.unexpected,
            at=tx.now,
            about=about(result.expectation),
        )
        for result in report.results
    ]


def about(expectation: Expectation) -> str:
    """What tells two expectations of one kind and subject apart."""
    said = expectation.arguments
    if "quantiles" in said:
        return ", ".join(f"{each:g}" for each in said["quantiles"])
    return str(said.get("metric") or said.get("regex") or said.get("condition") or "")[:200]


def _number(result: ExpectationResult) -> float | None:
    seen = result.observed
    return float(seen) if isinstance(seen, int | float) and not isinstance(seen, bool) else None
