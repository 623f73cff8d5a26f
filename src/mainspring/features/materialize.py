"""What a materialization and a stored join leave behind: a run, what it used, what it made, and the current state."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from mainspring.features.tables import STATES
from mainspring.features.types import FeatureState, FeatureViewVersion, TrainingSet
from mainspring.kernel.clock import from_micros
from mainspring.kernel.errors import Conflict
from mainspring.kernel.hashing import digest_tree
from mainspring.lineage.graph import add_artifact, find_artifact, finish_run, start_run, use
from mainspring.lineage.types import File
from mainspring.store.transaction import Transaction

__all__ = ["JOIN_RULES", "store_state", "store_training_set"]

JOIN_RULES = 1
"""The version of the rules of the join. A change of any number that it gives is a new version."""


def store_state(
    tx: Transaction, view: FeatureViewVersion, *, digest: str, size: int, rows: int, upto: int, used: Iterable[str]
) -> FeatureState:
    """Make a blob of facts the state of a view, under a run of the kind `materialization`."""
    moment = from_micros(upto)
    before = tx.fetch_one(STATES, "WHERE view_id = ?", (view.id,))
    if before is not None and before.upto > moment:
        raise Conflict(
            f'feature view "{view.name}" is materialized up to {before.upto}, which is beyond {moment}',
            hint="past moments need no second materialization: lookup(..., as_of=...) answers them",
        )
    about = {"view": view.ref, "upto": moment.isoformat(), "rows": rows}
    run = start_run(tx, "materialization", view.name, metadata=about)
    use(tx, run.id, view.id, role="feature-view")
    for artifact_id in used:
        use(tx, run.id, find_artifact(tx, artifact_id).id, role="source")
    file = File("facts.parquet", size, digest)
    root = _root(file)
    artifact = add_artifact(
        tx, "feature-state", view.name, digest=root, size=size, metadata=about, files=[file], run_id=run.id, reuse=True
    )
    finish_run(tx, run.id)
    state = FeatureState(
        view_id=view.id,
        workspace=tx.workspace,
        name=view.name,
        version=view.version,
        generation=before.generation + 1 if before else 1,
        artifact_id=artifact.id,
        parts=[digest],
        rows=rows,
        upto=moment,
        materialized_at=tx.now,
    )
    tx.execute("DELETE FROM feature_state WHERE view_id = ?", (view.id,))
    tx.insert(STATES, state)
    tx.note(view.ref, materialized=state.upto.isoformat(), rows=rows)
    return state


def store_training_set(
    tx: Transaction, name: str, *, digest: str, size: int, about: Mapping[str, Any], used: Mapping[str, str]
) -> TrainingSet:
    """Record a joined file as a training set, under a run of the kind `join`."""
    run = start_run(tx, "join", name, metadata={"timestamp": about["timestamp"], "join_rules": about["join_rules"]})
    for artifact_id, role in used.items():
        use(tx, run.id, find_artifact(tx, artifact_id).id, role=role)
    file = File("rows.parquet", size, digest)
    artifact = add_artifact(
        tx, "training-set", name, digest=_root(file), size=size, metadata=about, files=[file], run_id=run.id
    )
    finish_run(tx, run.id)
    return TrainingSet(
        id=artifact.id,
        name=name,
        version=artifact.version,
        digest=artifact.digest,
        run_id=run.id,
        rows=about["rows"],
        columns=about["columns"],
        label=about["label"],
    )


def _root(file: File) -> str:
    return digest_tree([(file.path, file.size, file.digest)])
