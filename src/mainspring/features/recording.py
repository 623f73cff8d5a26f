"""What a materialization and a stored join leave behind: a run, what it used, what it made, and the current state."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

import msgspec

from mainspring.features.tables import STATES
from mainspring.features.types import FeatureState, FeatureViewVersion, TrainingSet
from mainspring.kernel.clock import from_micros
from mainspring.kernel.errors import Conflict
from mainspring.kernel.hashing import digest_tree
from mainspring.lineage.graph import add_artifact, find_artifact, finish_run, start_run, use
from mainspring.lineage.lifetime import is_emptied
from mainspring.lineage.listing import with_digest
from mainspring.lineage.types import File
from mainspring.store.transaction import Transaction

__all__ = ["JOIN_RULES", "Part", "root_of", "store_state", "store_training_set"]

JOIN_RULES = 1
"""The version of the rules of the join. A change of any number that it gives is a new version."""


class Part(msgspec.Struct, frozen=True):
    """A stored Parquet file of facts."""

    digest: str
    size: int
    """Bytes."""
    rows: int
    """How many of its rows are new."""


def store_state(
    tx: Transaction,
    view: FeatureViewVersion,
    part: Part,
    *,
    upto: int,
    used: Iterable[str],
    grows: FeatureState | None = None,
) -> FeatureState:
    """Make a file of facts the state of a view, under a run of the kind `materialization`.

    Args:
        tx: Where everything happens together.
        view: The version of the view.
        part: Its facts.
        upto: The moment until which facts are in it, microseconds.
        used: Ids of the artifacts that they were computed from.
        grows: The state that `part` continues; it must still be the current one.
    """
    before = tx.fetch_one(STATES, "WHERE view_id = ?", (view.id,))
    moment = _reach(view, before, grows, from_micros(upto))
    rows = part.rows + (grows.rows if grows else 0)
    about = {"view": view.ref, "upto": moment.isoformat(), "rows": rows, "pushed": part.rows if grows else 0}
    run = start_run(tx, "materialization", view.name, metadata=about)
    use(tx, run.id, view.id, role="feature-view")
    for artifact_id in used:
        use(tx, run.id, find_artifact(tx, artifact_id).id, role="source")
    if grows is not None:
        use(tx, run.id, grows.artifact_id, role="state")
    file = File("facts.parquet", part.size, part.digest)
    root = root_of(file)
    known = with_digest(tx, root, kind="feature-state", name=view.name)
    made = add_artifact(
        tx,
        "feature-state",
        view.name,
        digest=root,
        size=part.size,
        metadata=about,
        files=[file],
        run_id=run.id,
        reuse=known is not None and not is_emptied(tx, known.id),
    )
    finish_run(tx, run.id)
    state = FeatureState(
        view_id=view.id,
        workspace=tx.workspace,
        name=view.name,
        version=view.version,
        generation=before.generation + 1 if before else 1,
        artifact_id=made.id,
        digest=part.digest,
        rows=rows,
        upto=moment,
        materialized_at=tx.now,
    )
    tx.execute("DELETE FROM feature_state WHERE view_id = ?", (view.id,))
    tx.insert(STATES, state)
    tx.note(view.ref, materialized=state.upto.isoformat(), rows=rows)
    return state


def _reach(
    view: FeatureViewVersion, before: FeatureState | None, grows: FeatureState | None, upto: datetime
) -> datetime:
    """How far the new state reaches; raises `Conflict` when it would fall behind the current one."""
    if grows is not None:
        if before is None or before.generation != grows.generation:
            raise Conflict(f'feature view "{view.name}" was materialized in the meantime', hint="push again")
        return max(upto, before.upto)
    if before is not None and before.upto > upto:
        raise Conflict(
            f'feature view "{view.name}" is materialized up to {before.upto}, which is beyond {upto}',
            hint="past moments need no second materialization: lookup(..., as_of=...) answers them",
        )
    return upto


def store_training_set(
    tx: Transaction, name: str, *, digest: str, size: int, about: Mapping[str, Any], used: Mapping[str, str]
) -> TrainingSet:
    """Record a joined file as a training set, under a run of the kind `join`."""
    run = start_run(tx, "join", name, metadata={"timestamp": about["timestamp"], "join_rules": about["join_rules"]})
    for artifact_id, role in used.items():
        use(tx, run.id, find_artifact(tx, artifact_id).id, role=role)
    file = File("rows.parquet", size, digest)
    artifact = add_artifact(
        tx, "training-set", name, digest=root_of(file), size=size, metadata=about, files=[file], run_id=run.id
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


def root_of(file: File) -> str:
    """The digest of an artifact that is one file."""
    return digest_tree([(file.path, file.size, file.digest)])
