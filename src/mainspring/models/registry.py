"""The registry's rules, inside the caller's transaction: registering, naming, approving, and moving aliases.

A version is an artifact of kind `model`, made by a run. What it is stands in the artifact and never changes; what is
said about it afterwards stands in this room's tables.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from mainspring.engines.signature import Signature
from mainspring.kernel.context import caller
from mainspring.kernel.errors import CheckFailed, Forbidden, InvalidInput, NotFound, nearest
from mainspring.kernel.hashing import digest_tree, digest_value
from mainspring.kernel.names import check_name
from mainspring.lineage import graph
from mainspring.lineage.tables import ALIAS_HISTORY, ARTIFACTS
from mainspring.lineage.types import AliasChange, Artifact, File
from mainspring.models.parity import CompileReport
from mainspring.models.policy import LoadPolicy
from mainspring.models.tables import APPROVALS, ATTACHED, MODELS, NOTES
from mainspring.models.types import (
    Approval,
    Attached,
    Code,
    Environment,
    Manifest,
    Metric,
    Model,
    ModelVersion,
    VersionNotes,
)
from mainspring.store.transaction import Transaction

__all__ = [
    "PROTECTED",
    "add_version",
    "alias_history",
    "annotate",
    "approvals_of",
    "approve",
    "attach",
    "attached_to",
    "describe_version",
    "find_model",
    "find_version",
    "move_alias",
    "policy",
    "set_policy",
    "versions_of",
]

KIND = "model"
DATA_KINDS = ("dataset", "training-set")
"""Kinds of artifacts that models are trained on."""
PROTECTED = ("champion",)
"""Aliases that only an approved content may take over from another."""


class _Facts(msgspec.Struct, frozen=True):
    """What the artifact of a version says: everything that never changes."""

    format: str
    signature: Signature
    metrics: dict[str, Metric] = {}
    parameters: dict[str, Any] = {}
    parity: CompileReport | None = None
    libraries: dict[str, str] = {}
    classes: list[Any] = []
    data: list[str] = []
    code: str = ""
    environment: str = ""


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
) -> Artifact:
    """Record the next version of a model and where it came from; without a run, one of kind `training` is recorded."""
    check_name(name, what="model name")
    _ensure_model(tx, name)
    run = graph.get_run(tx, run_id) if run_id else graph.start_run(tx, "training", name)
    for ref in data:
        kind = "" if ref.partition("/")[0] in DATA_KINDS else "dataset"
        graph.use(tx, run.id, graph.resolve(tx, ref, kind=kind).id, role="training-data")
    facts = _Facts(
        format=manifest.format,
        signature=manifest.signature,
        metrics=dict(metrics),
        parameters=dict(parameters),
        parity=manifest.parity,
        libraries=manifest.libraries,
        classes=list(manifest.classes),
        data=_used_by(tx, run.id, *DATA_KINDS),
        code=_code_of(tx, run.id, code),
        environment=_environment_of(tx, run.id, environment),
    )
    artifact = graph.add_artifact(
        tx,
        KIND,
        name,
        digest=digest_tree((file.path, file.size, file.digest) for file in files),
        size=sum(file.size for file in files),
        metadata=msgspec.to_builtins(facts),
        files=files,
        run_id=run.id,
    )
    tx.insert(NOTES, VersionNotes(artifact.workspace, name, artifact.version, description, dict(tags)))
    if not run_id:
        graph.finish_run(tx, run.id)
    return artifact


def find_model(tx: Transaction, name: str) -> Model:
    """The model of this name; `NotFound` with the nearest names otherwise."""
    workspace = caller().workspace
    found = tx.fetch_one(MODELS, "WHERE workspace = ? AND name = ?", (workspace, name))
    if found is None:
        names = [str(row[0]) for row in tx.rows("SELECT name FROM model WHERE workspace = ? LIMIT 1000", (workspace,))]
        raise NotFound(f"there is no model named {name!r}", known=nearest(name, names))
    return found


def find_version(tx: Transaction, ref: str) -> ModelVersion:
    """The version that `name@3`, `name@alias`, `name` (the newest) or an artifact's id means."""
    return describe_version(tx, graph.resolve(tx, ref, kind=KIND))


def versions_of(tx: Transaction, name: str, *, limit: int) -> list[ModelVersion]:
    """The versions of a model, newest first."""
    find_model(tx, name)
    where = "WHERE workspace = ? AND kind = ? AND name = ? ORDER BY version DESC LIMIT ?"
    return [describe_version(tx, each) for each in tx.fetch(ARTIFACTS, where, (caller().workspace, KIND, name, limit))]


def describe_version(tx: Transaction, artifact: Artifact) -> ModelVersion:
    """A version with what has been said about it."""
    if artifact.kind != KIND:
        raise InvalidInput(f"{artifact.ref} is not a model")
    facts = msgspec.convert(artifact.metadata, _Facts)
    key = (artifact.workspace, artifact.name, artifact.version)
    notes = tx.fetch_one(NOTES, "WHERE workspace = ? AND name = ? AND version = ?", key)
    pointing = graph.aliases(tx, KIND, artifact.name)
    return ModelVersion(
        id=artifact.id,
        name=artifact.name,
        version=artifact.version,
        digest=artifact.digest,
        size=artifact.size,
        run_id=artifact.run_id,
        created_at=artifact.created_at,
        created_by=artifact.created_by,
        description=notes.description if notes else "",
        tags=notes.tags if notes else {},
        aliases=[alias for alias, version in pointing.items() if version == artifact.version],
        approved=bool(approvals_of(tx, artifact.digest)),
        **{field: getattr(facts, field) for field in facts.__struct_fields__},
    )


def move_alias(tx: Transaction, name: str, alias: str, version: int) -> None:
    """Point an alias at a version; 0 takes it away.

    Raises:
        CheckFailed: A protected alias would pass to a version that nobody approved and that never had it.
    """
    find_model(tx, name)
    if version == 0:
        graph.remove_alias(tx, KIND, name, alias)
        return
    artifact = graph.resolve(tx, f"{KIND}/{name}@{version}")
    if alias in PROTECTED and not approvals_of(tx, artifact.digest):
        past = {each.version for each in alias_history(tx, name) if each.alias == alias}
        if past and version not in past:
            raise CheckFailed(
                f"{artifact.ref} is not approved, so it cannot take the alias {alias!r} over",
                hint=f"mainspring model approve {name}@{version}",
                details={"digest": artifact.digest},
            )
    graph.set_alias(tx, KIND, name, alias, version)


def alias_history(tx: Transaction, name: str) -> list[AliasChange]:
    """Every move of the aliases of a model, newest first."""
    where = "WHERE workspace = ? AND kind = ? AND name = ? ORDER BY at DESC"
    return tx.fetch(ALIAS_HISTORY, where, (caller().workspace, KIND, name))


def approve(tx: Transaction, ref: str, *, comment: str) -> Approval:
    """Record the caller's approval of a version's content.

    Raises:
        Forbidden: The caller made the version. The owner of an embedded store works alone, and may.
    """
    artifact = graph.resolve(tx, ref, kind=KIND)
    describe_version(tx, artifact)
    who = caller()
    if who.method != "local" and who.principal == artifact.created_by:
        raise Forbidden(
            f"{who.principal} made {artifact.ref} and cannot be the one to approve it",
            hint="ask a colleague to approve",
        )
    run = graph.start_run(tx, "approval", artifact.name, metadata={"comment": comment})
    graph.use(tx, run.id, artifact.id, role="model")
    facts = {"model": artifact.ref, "digest": artifact.digest, "by": who.principal, "comment": comment}
    made = graph.add_artifact(
        tx, "approval", artifact.name, digest=digest_value("approval", [facts, run.id]), metadata=facts, run_id=run.id
    )
    graph.finish_run(tx, run.id)
    approval = Approval(
        artifact.workspace, artifact.digest, artifact.name, artifact.version, made.id, comment, tx.now, who.principal
    )
    tx.insert(APPROVALS, approval)
    return approval


def approvals_of(tx: Transaction, digest: str) -> list[Approval]:
    """The approvals of a content, newest first."""
    return tx.fetch(APPROVALS, "WHERE workspace = ? AND digest = ? ORDER BY at DESC", (caller().workspace, digest))


def attach(tx: Transaction, ref: str, report: str, *, metrics: Mapping[str, Metric]) -> Attached:
    """Say that an evaluation report is about a version; the graph then leads from the version to the report."""
    model = graph.resolve(tx, ref, kind=KIND)
    found = graph.resolve(tx, report, kind="report")
    if found.kind != "report":
        raise InvalidInput(f"{found.ref} is not a report")
    if found.run_id:
        graph.use(tx, found.run_id, model.id, role="model")
    else:
        run = graph.start_run(tx, "evaluation", model.name)
        graph.use(tx, run.id, model.id, role="model")
        graph.use(tx, run.id, found.id, role="report")
        graph.finish_run(tx, run.id)
    attached = Attached(model.workspace, model.name, model.version, found.id, dict(metrics), tx.now, caller().principal)
    tx.execute(
        "DELETE FROM model_report WHERE workspace = ? AND name = ? AND version = ? AND artifact_id = ?",
        (model.workspace, model.name, model.version, found.id),
    )
    tx.insert(ATTACHED, attached)
    tx.note(model.ref, report=found.ref)
    return attached


def attached_to(tx: Transaction, version: ModelVersion) -> list[Attached]:
    """The reports of a version, newest first."""
    where = "WHERE workspace = ? AND name = ? AND version = ? ORDER BY at DESC"
    return tx.fetch(ATTACHED, where, (caller().workspace, version.name, version.version))


def annotate(tx: Transaction, version: ModelVersion, *, description: str, tags: Mapping[str, str]) -> None:
    """Replace what is said about a version."""
    notes = VersionNotes(caller().workspace, version.name, version.version, description, dict(tags))
    tx.execute(
        "DELETE FROM model_version WHERE workspace = ? AND name = ? AND version = ?",
        (notes.workspace, notes.name, notes.version),
    )
    tx.insert(NOTES, notes)
    tx.note(version.ref, description=description, tags=notes.tags)


def policy(tx: Transaction) -> LoadPolicy:
    """The workspace's load policy; the strict one where none was set."""
    row = tx.row("SELECT pickle, trusted FROM model_policy WHERE workspace = ?", (caller().workspace,))
    return LoadPolicy() if row is None else LoadPolicy(bool(row[0]), tuple(msgspec.json.decode(row[1], type=list[str])))


def set_policy(tx: Transaction, wanted: LoadPolicy) -> LoadPolicy:
    """Replace the workspace's load policy."""
    tx.execute(
        "INSERT INTO model_policy (workspace, pickle, trusted) VALUES (?, ?, ?) ON CONFLICT (workspace)"
        " DO UPDATE SET pickle = excluded.pickle, trusted = excluded.trusted",
        (caller().workspace, int(wanted.pickle), msgspec.json.encode(wanted.trusted).decode()),
    )
    tx.note("policy/models", pickle=wanted.pickle, trusted=list(wanted.trusted))
    return wanted


def _ensure_model(tx: Transaction, name: str) -> None:
    model = Model(caller().workspace, name, "", {}, tx.now, caller().principal)
    columns = ", ".join(MODELS.columns)
    marks = ", ".join("?" * len(MODELS.columns))
    tx.execute(f"INSERT INTO model ({columns}) VALUES ({marks}) ON CONFLICT DO NOTHING", MODELS.to_row(model))  # noqa: S608


def _code_of(tx: Transaction, run_id: str, code: Code | None) -> str:
    """The code that the run recorded itself, or else what the caller says, kept as an artifact once per content."""
    known = _used_by(tx, run_id, "code")
    if known or code is None:
        return known[0] if known else ""
    plain = msgspec.to_builtins(code)
    made = graph.add_artifact(tx, "code", code.name, digest=digest_value("code", plain), metadata=plain, reuse=True)
    graph.use(tx, run_id, made.id, role="code")
    return made.ref


def _environment_of(tx: Transaction, run_id: str, environment: Environment | None) -> str:
    """The environment that the run recorded itself, or else the caller's; equal packages are one artifact."""
    known = _used_by(tx, run_id, "environment")
    if known or environment is None:
        return known[0] if known else ""
    digest = digest_value("environment", {"python": environment.python, "packages": environment.packages})
    plain = msgspec.to_builtins(environment)
    made = graph.add_artifact(tx, "environment", "python", digest=digest, metadata=plain, reuse=True)
    graph.use(tx, run_id, made.id, role="environment")
    return made.ref


def _used_by(tx: Transaction, run_id: str, *kinds: str) -> list[str]:
    """References of the artifacts of these kinds that a run used."""
    marks = ", ".join("?" * len(kinds))
    return [
        f"{kind}/{name}@{version}"
        for kind, name, version in tx.rows(
            "SELECT DISTINCT artifact.kind, artifact.name, artifact.version FROM edge"  # noqa: S608 -- only marks are put in
            f" JOIN artifact ON artifact.id = edge.source WHERE edge.target = ? AND artifact.kind IN ({marks})"
            " ORDER BY 1, 2, 3",
            (run_id, *kinds),
        )
    ]
