"""Adding versions: an artifact of the graph with where it came from, and the row of what is said about it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from mainspring.kernel.context import caller
from mainspring.kernel.errors import Conflict, NotFound
from mainspring.kernel.hashing import digest_tree, digest_value
from mainspring.kernel.names import check_name
from mainspring.lineage import graph, listing
from mainspring.lineage.types import Artifact, File
from mainspring.models.announce import announce
from mainspring.models.labels import check_tags, measure, set_labels
from mainspring.models.registry import DATA_KINDS, KIND, Facts, create_model, find_model
from mainspring.models.tables import NOTES
from mainspring.models.types import Code, Environment, Manifest, Metric, Model, VersionNotes, VersionStatus
from mainspring.store.transaction import Transaction

__all__ = ["add_version"]

_TOLD_METRICS = 200
_EXAMPLES = ("example.json", "input_example.json", "serving_input_example.json")


def add_version(
    tx: Transaction,
    name: str,
    *,
    manifest: Manifest,
    files: Sequence[File],
    run_id: str,
    metrics: Mapping[str, Metric],
    parameters: Mapping[str, Any],
    data: Sequence[str],
    code: Code | None,
    environment: Environment | None,
    description: str,
    tags: Mapping[str, str],
    source: str = "",
    status: VersionStatus = "ready",
) -> VersionNotes:
    """Record the next version of a model and where it came from; without a run, one of kind `training` is recorded."""
    model = _ensure_model(tx, name)
    run = graph.get_run(tx, run_id) if run_id else graph.start_run(tx, "training", model.name)
    for ref in data:
        kind = "" if ref.partition("/")[0] in DATA_KINDS else "dataset"
        graph.use(tx, run.id, graph.resolve(tx, ref, kind=kind).id, role="training-data")
    paths = {file.path for file in files}
    facts = Facts(
        format=manifest.format,
        signature=manifest.signature,
        metrics=dict(metrics),
        parameters=dict(parameters),
        parity=manifest.parity,
        libraries=manifest.libraries,
        classes=list(manifest.classes),
        data=[each.ref for each in listing.used_by(tx, run.id, *DATA_KINDS)],
        code=_code_of(tx, run.id, code),
        environment=_environment_of(tx, run.id, environment),
        example=next((each for each in _EXAMPLES if each in paths), ""),
    )
    digest = digest_tree((file.path, file.size, file.digest) for file in files)
    artifact = graph.add_artifact(
        tx,
        KIND,
        model.name,
        digest=digest if files else digest_value("model-source", source),
        size=sum(file.size for file in files),
        metadata=msgspec.to_builtins(facts),
        files=files,
        run_id=run.id,
    )
    if not run_id:
        graph.finish_run(tx, run.id)
    notes = _notes(
        tx, artifact, format=facts.format, description=description, tags=tags, source=source, status=status
    )
    tx.insert(NOTES, notes)
    set_labels(tx, notes.workspace, notes.name, notes.version, "tag", notes.tags)
    measure(tx, notes.name, notes.version, metrics)
    _announce_new(tx, notes, {name: metric.value for name, metric in metrics.items()})
    return notes


def _notes(
    tx: Transaction,
    artifact: Artifact,
    *,
    format: str,  # noqa: A002 -- the column's name
    description: str,
    tags: Mapping[str, str],
    source: str,
    status: VersionStatus,
) -> VersionNotes:
    """The row of a version about which nothing was said yet."""
    return VersionNotes(
        workspace=artifact.workspace,
        name=artifact.name,
        version=artifact.version,
        artifact_id=artifact.id,
        digest=artifact.digest,
        run_id=artifact.run_id,
        format=format,
        description=description,
        tags=check_tags(tags),
        aliases=[],
        stage="None",
        status=status,
        source=source,
        approval="pending",
        approved_until=0,
        created_at=tx.now,
        created_by=caller().principal,
        updated_at=tx.now,
    )


def _announce_new(tx: Transaction, notes: VersionNotes, metrics: Mapping[str, Any]) -> None:
    tx.execute(
        "UPDATE model SET updated_at = ? WHERE workspace = ? AND name = ?",
        (tx.now_micros, notes.workspace, notes.name),
    )
    announce(
        tx,
        "model.version.created",
        subject=f"{KIND}/{notes.name}@{notes.version}",
        name=notes.name,
        version=notes.version,
        source=notes.source,
        run_id=notes.run_id,
        description=notes.description,
        tags=notes.tags,
        metrics=dict(sorted(metrics.items())[:_TOLD_METRICS]),
    )


def _ensure_model(tx: Transaction, name: str) -> Model:
    """The model of a name, which is made where it is not there."""
    check_name(name, what="model name")
    try:
        return find_model(tx, name)
    except NotFound:
        try:
            find_model(tx, name, deleted=True)
        except NotFound:
            return create_model(tx, name)
    raise Conflict(
        f"the model {name!r} was deleted, so it cannot be given a version",
        hint=f"mainspring model restore {name}, or create({name!r}) for a new one",
    )


def _code_of(tx: Transaction, run_id: str, code: Code | None) -> str:
    """The code that the run recorded itself, or else what the caller says, kept as an artifact once per content."""
    known = listing.used_by(tx, run_id, "code")
    if known or code is None:
        return known[0].ref if known else ""
    plain = msgspec.to_builtins(code)
    made = graph.add_artifact(tx, "code", code.name, digest=digest_value("code", plain), metadata=plain, reuse=True)
    graph.use(tx, run_id, made.id, role="code")
    return made.ref


def _environment_of(tx: Transaction, run_id: str, environment: Environment | None) -> str:
    """The environment that the run recorded itself, or else the caller's; equal packages are one artifact."""
    known = listing.used_by(tx, run_id, "environment")
    if known or environment is None:
        return known[0].ref if known else ""
    digest = digest_value("environment", {"python": environment.python, "packages": environment.packages})
    plain = msgspec.to_builtins(environment)
    made = graph.add_artifact(tx, "environment", "python", digest=digest, metadata=plain, reuse=True)
    graph.use(tx, run_id, made.id, role="environment")
    return made.ref
