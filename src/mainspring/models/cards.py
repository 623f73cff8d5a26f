"""Model cards: what the graph says of a version, and what people wrote beside it.

The facts are read anew whenever a card is asked for, so they are never out of date. What people write is kept apart,
section by section, with who and when, and every text that ever stood there; so it survives whatever the facts become.
A text of the model holds for all its versions, until a version has one of its own.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import msgspec

from mainspring.kernel.context import caller
from mainspring.kernel.errors import InvalidInput, nearest
from mainspring.kernel.ids import new_id
from mainspring.lineage import graph, listing, queries
from mainspring.lineage.types import Artifact, Node
from mainspring.models.approvals import approvals_of
from mainspring.models.registry import DATA_KINDS, alias_history, find_model, find_version, locate
from mainspring.models.reports import attached_to
from mainspring.models.tables import CARD_TEXTS
from mainspring.models.types import (
    Attached,
    CardEvaluation,
    CardText,
    Metric,
    ModelCard,
    ModelVersion,
    SliceFigure,
)
from mainspring.store.blobs import Blobs
from mainspring.store.transaction import Transaction

__all__ = ["SECTIONS", "card_texts", "evaluations_of", "read_card", "read_evaluations", "write_text"]

SECTIONS: dict[str, str] = {
    "summary": "Summary",
    "owners": "Owners",
    "license": "License",
    "language": "Language",
    "direct-use": "Direct use",
    "downstream-use": "Downstream use",
    "out-of-scope": "Out-of-scope use",
    "users": "Intended users",
    "limitations": "Bias, risks and limitations",
    "ethics": "Ethical considerations",
    "tradeoffs": "Trade-offs",
    "recommendations": "Recommendations",
    "training-data": "Training data",
    "training-procedure": "Training procedure",
    "evaluation": "Evaluation",
    "impact": "Environmental impact",
    "citation": "Citation",
    "contact": "Contact",
    "more": "More information",
}
"""What people may write about, and its heading."""

_LIMIT = 100_000
_SLICES = 10
_REPORTS = 20


class _Slice(msgspec.Struct):
    """Of an evaluation report: a slice; see `quality.evaluation.types`."""

    column: str
    value: str
    count: int
    estimate: dict[str, Any]
    gap: float | None = None


class _Evaluation(msgspec.Struct):
    """Of an evaluation report: what a card shows."""

    task: str
    count: int
    metrics: dict[str, dict[str, Any]]
    confidence: float = 0.95
    slice_metric: str = ""
    slices: list[_Slice] = []
    dataset: str = ""


class _Report(msgspec.Struct):
    evaluation: _Evaluation


def write_text(tx: Transaction, ref: str, section: str, text: str) -> CardText:
    """Write a section of the card of a version, or, where `ref` has no `@`, of all versions of a model.

    Raises:
        InvalidInput: There is no such section, or the text is too long.
    """
    if section not in SECTIONS:
        raise InvalidInput(
            f"a card has no section {section!r}", known=nearest(section, SECTIONS), hint=", ".join(SECTIONS)
        )
    if len(text) > _LIMIT:
        raise InvalidInput(f"a section of a card has at most {_LIMIT} characters")
    name, version = _about(tx, ref)
    written = CardText(
        new_id(), caller().workspace, name, version, section, text.strip(), tx.now, caller().principal
    )
    tx.insert(CARD_TEXTS, written)
    tx.note(f"model/{name}@{version}" if version else f"model/{name}", card=section)
    return written


def card_texts(tx: Transaction, ref: str, *, section: str = "") -> list[CardText]:
    """Everything that was ever written into the card of a version or of a model, newest first."""
    name, version = _about(tx, ref)
    where, params = "WHERE workspace = ? AND name = ? AND version IN (0, ?)", [caller().workspace, name, version]
    if section:
        where, params = f"{where} AND section = ?", [*params, section]
    return tx.fetch(CARD_TEXTS, f"{where} ORDER BY id DESC", params)


def read_card(tx: Transaction, ref: str) -> ModelCard:
    """Everything that is known about a version, without what stands in its reports; see `evaluations_of`."""
    version = find_version(tx, ref)
    came_from = queries.why(tx, version.id)
    data = came_from.of_kind(*DATA_KINDS)
    return ModelCard(
        model=find_model(tx, version.name),
        version=version,
        files=graph.files_of(tx, version.id),
        data=data,
        features=came_from.of_kind("feature-view", "feature-state"),
        code=came_from.of_kind("code"),
        environment=came_from.of_kind("environment"),
        runs=[node for node in came_from.nodes if node.type == "run"],
        approvals=approvals_of(tx, version.digest),
        reports=attached_to(tx, version),
        alias_history=alias_history(tx, version.name),
        profiles=list(_profiles(tx, data)),
        written=_in_force(tx, version),
    )


def evaluations_of(tx: Transaction, card: ModelCard) -> list[tuple[Attached, Artifact, str]]:
    """The attached reports of a card with the digest of what they say; empty where a report has no file."""
    found: list[tuple[Attached, Artifact, str]] = []
    for each in card.reports[:_REPORTS]:
        report = graph.find_artifact(tx, each.artifact_id)
        files = graph.files_of(tx, report.id)
        found.append((each, report, next((file.digest for file in files if file.path == "evaluation.json"), "")))
    return found


def read_evaluations(blobs: Blobs, reports: Iterable[tuple[Attached, Artifact, str]]) -> list[CardEvaluation]:
    """What attached reports say: figures with intervals, and the slices on which the model is worst."""
    return [_evaluation(blobs, *each) for each in reports]


def _evaluation(blobs: Blobs, attached: Attached, report: Artifact, digest: str) -> CardEvaluation:
    said = _decode(blobs.get(digest)) if digest else None
    metrics = dict(attached.metrics)
    if said is None:
        return CardEvaluation(report.ref, attached.dataset, "", 0, metrics, [], attached.at, attached.by)
    level = said.confidence
    for name, estimate in said.metrics.items():
        figure = _figure(estimate, level)
        if figure is not None and name not in metrics:
            metrics[name] = figure
    worst = sorted((each for each in said.slices if each.gap is not None), key=lambda each: -(each.gap or 0.0))
    slices = [
        SliceFigure(f"{each.column} = {each.value}", said.slice_metric, each.count, figure)
        for each in worst[:_SLICES]
        if (figure := _figure(each.estimate, level)) is not None
    ]
    dataset = attached.dataset or said.dataset
    return CardEvaluation(report.ref, dataset, said.task, said.count, metrics, slices, attached.at, attached.by)


def _figure(estimate: dict[str, Any], level: float) -> Metric | None:
    value, low, high = (estimate.get(key) for key in ("value", "low", "high"))
    if value is None:
        return None
    sure = low is not None and high is not None
    return Metric(float(value), low if sure else None, high if sure else None, level if sure else None)


def _decode(data: bytes) -> _Evaluation | None:
    try:
        return msgspec.json.decode(data, type=_Report).evaluation
    except msgspec.DecodeError:
        return None  # a report of another kind; its attached figures are shown all the same


def _about(tx: Transaction, ref: str) -> tuple[str, int]:
    """The model and the version that a card is about; 0 for all versions."""
    if "@" in ref:
        notes = locate(tx, ref)
        return notes.name, notes.version
    return find_model(tx, ref).name, 0


def _in_force(tx: Transaction, version: ModelVersion) -> dict[str, CardText]:
    where = "WHERE workspace = ? AND name = ? AND version IN (0, ?) ORDER BY version, id"
    shared: dict[str, CardText] = {}
    own: dict[str, CardText] = {}
    for each in tx.fetch(CARD_TEXTS, where, (caller().workspace, version.name, version.version)):
        (own if each.version else shared)[each.section] = each
    found = shared | {section: each for section, each in own.items() if each.text}  # taken out: the shared one again
    return {section: found[section] for section in SECTIONS if section in found and found[section].text}


def _profiles(tx: Transaction, data: Iterable[Node]) -> Iterable[Node]:
    """The newest profile of each data."""
    for each in data:
        runs = listing.users_of(tx, each.id, "profiling")
        made = [profile for run in runs for profile in listing.made_by(tx, run.id, "profile")]
        if made:
            newest = max(made, key=lambda artifact: artifact.id)
            yield Node(
                newest.id,
                "artifact",
                newest.kind,
                newest.name,
                newest.version,
                "",
                newest.digest,
                newest.created_at,
                newest.created_by,
                each.distance + 1,
                newest.metadata,
            )

