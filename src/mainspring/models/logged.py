"""The rules of logged models, inside the caller's transaction.

A logged model begins as pending and collects files, parameters and figures. When it is said to be ready, its files of
that moment become an artifact of kind `logged-model`, made by the run that logged it; registering it takes the files by
their digests, so that no byte is moved.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from mainspring.kernel.context import caller
from mainspring.kernel.errors import Conflict, InvalidInput, InvalidName, NotFound
from mainspring.kernel.hashing import digest_tree, digest_value
from mainspring.kernel.ids import new_id
from mainspring.kernel.names import check_name
from mainspring.lineage import graph
from mainspring.models.announce import announce
from mainspring.models.logged_tables import LOGGED, LOGGED_FILES, LOGGED_METRICS
from mainspring.models.logged_types import LoggedFile, LoggedMetric, LoggedModel, LoggedRow, LoggedStatus
from mainspring.store.transaction import Transaction
from mainspring.tracking.experiments import find_experiment
from mainspring.tracking.runs import find_run

__all__ = [
    "LOGGED_KIND",
    "active_logged",
    "add_logged",
    "add_params",
    "describe_logged",
    "files_of_logged",
    "find_logged",
    "finish_logged",
    "measure_logged",
    "set_tags",
    "used_logged",
]

LOGGED_KIND = "logged-model"
"""The kind of the artifact that a logged model becomes."""
_IN = 400
_FORBIDDEN = "/:.%\"'"


def add_logged(
    tx: Transaction,
    name: str,
    *,
    experiment: str,
    experiment_id: int,
    run_id: str,
    type: str,  # noqa: A002 -- the word of the field
    params: Mapping[str, str],
    tags: Mapping[str, str],
) -> LoggedModel:
    """Begin a logged model."""
    identity = f"m-{new_id().replace('-', '')}"
    name = name or f"model-{identity[-6:]}"
    if any(each in name for each in _FORBIDDEN) or len(name) > 500:
        raise InvalidInput(f"the name {name!r:.80} of a logged model contains one of {_FORBIDDEN}")
    held = find_experiment(tx, experiment, number=experiment_id)
    if held.status != "active":
        raise Conflict(f"the experiment {held.name!r} is deleted", hint="tracking.restore_experiment brings it back")
    run = ""
    if run_id:
        run = find_run(tx, run_id).run_id
    row = LoggedRow(
        identity,
        tx.workspace,
        held.id,
        name,
        type,
        "pending",
        run,
        "",
        tx.now,
        tx.now,
        caller().principal,
        None,
    )
    tx.insert(LOGGED, row)
    _put(tx, identity, "param", params)
    _put(tx, identity, "tag", tags)
    tx.note(f"logged-model/{identity}", name=name, run=run)
    return describe_logged(tx, [row])[0]


def find_logged(tx: Transaction, model_id: str, *, deleted: bool = False) -> LoggedRow:
    """The logged model with this id."""
    bare = model_id.removeprefix(f"{LOGGED_KIND}/")
    found = tx.fetch_one(LOGGED, "WHERE id = ? AND workspace = ?", (bare, tx.workspace))
    if found is None or (found.deleted_at is not None and not deleted):
        raise NotFound(f"there is no logged model {bare!r}")
    return found


def active_logged(tx: Transaction, model_id: str) -> LoggedRow:
    """The logged model with this id, to be written to."""
    return find_logged(tx, model_id)


def finish_logged(tx: Transaction, model_id: str, status: LoggedStatus) -> LoggedModel:
    """Say that a model is ready, or that it failed; what is ready becomes an artifact, once for equal files."""
    row = find_logged(tx, model_id)
    artifact = row.artifact_id
    if status == "ready":
        artifact = _artifact(tx, row)
    changed = msgspec.structs.replace(row, status=status, artifact_id=artifact, updated_at=tx.now)
    tx.execute(
        "UPDATE logged_model SET status = ?, artifact_id = ?, updated_at = ? WHERE id = ?",
        (status, artifact, tx.now_micros, row.id),
    )
    tx.note(f"logged-model/{row.id}", status=status)
    if status != row.status:
        announce(
            tx, f"model.logged.{status}", subject=f"logged-model/{row.id}", name=row.name, id=row.id, run_id=row.run_id
        )
    return describe_logged(tx, [changed])[0]


def add_params(tx: Transaction, model_id: str, params: Mapping[str, str]) -> None:
    """Add parameters, which are never changed.

    Raises:
        Conflict: One of them has another value already.
    """
    row = find_logged(tx, model_id)
    held = _values(tx, [row.id], "param").get(row.id, {})
    changed = next((key for key, value in params.items() if held.get(key, value) != value), None)
    if changed is not None:
        raise Conflict(f"the parameter {changed!r} of {row.id} is {held[changed]!r} and cannot be changed")
    _put(tx, row.id, "param", {key: value for key, value in params.items() if key not in held})


def set_tags(tx: Transaction, model_id: str, tags: Mapping[str, str | None]) -> None:
    """Set tags; None takes one away."""
    row = find_logged(tx, model_id)
    _put(tx, row.id, "tag", {key: value for key, value in tags.items() if value is not None})
    gone = [key for key, value in tags.items() if value is None]
    if gone:
        tx.many(
            "DELETE FROM logged_model_value WHERE model_id = ? AND space = 'tag' AND key = ?",
            [(row.id, key) for key in gone],
        )
    tx.note(f"logged-model/{row.id}", tags=dict(tags))


def measure_logged(tx: Transaction, metrics: Sequence[LoggedMetric]) -> None:
    """Add figures; the same one again changes nothing."""
    for model_id in dict.fromkeys(each.model_id for each in metrics):
        find_logged(tx, model_id)
    tx.many(f"{LOGGED_METRICS.insert_sql} ON CONFLICT DO NOTHING", [LOGGED_METRICS.to_row(each) for each in metrics])


def used_logged(tx: Transaction, run_id: str, model_ids: Sequence[str]) -> None:
    """Say that a run used models; of one that is not ready nothing is known to the graph yet, so it is left out."""
    run = find_run(tx, run_id).run_id
    for model_id in model_ids:
        row = find_logged(tx, model_id, deleted=True)
        if row.artifact_id and row.run_id != run:
            graph.use(tx, run, row.artifact_id, role="model")


def files_of_logged(tx: Transaction, model_id: str, prefix: str = "") -> list[LoggedFile]:
    """The files of a model by path, of those that begin with `prefix`."""
    where = "WHERE model_id = ? AND substr(path, 1, ?) = ? ORDER BY path"
    return tx.fetch(LOGGED_FILES, where, (model_id, len(prefix), prefix))


def describe_logged(tx: Transaction, rows: Sequence[LoggedRow]) -> list[LoggedModel]:
    """Models with what was said about them, in the order given; four queries for a page."""
    ids = [row.id for row in rows]
    params, tags = _values(tx, ids, "param"), _values(tx, ids, "tag")
    metrics: dict[str, list[LoggedMetric]] = {}
    registered: dict[str, list[tuple[str, int]]] = {}
    for start in range(0, len(ids), _IN):
        batch = ids[start : start + _IN]
        marks = ", ".join("?" * len(batch))
        where = f"WHERE model_id IN ({marks}) ORDER BY model_id, key, at, step"
        for each in tx.fetch(LOGGED_METRICS, where, batch):
            metrics.setdefault(each.model_id, []).append(each)
        found = tx.rows(
            "SELECT source, name, version FROM model_version WHERE workspace = ? AND deleted_at IS NULL"  # noqa: S608 -- marks only
            f" AND source IN ({marks}) ORDER BY name, version",
            (tx.workspace, *(f"models:/{each}" for each in batch)),
        )
        for source, name, version in found:
            registered.setdefault(str(source).removeprefix("models:/"), []).append((name, version))
    return [
        LoggedModel(
            row,
            params.get(row.id, {}),
            tags.get(row.id, {}),
            metrics.get(row.id, []),
            registered.get(row.id, []),
        )
        for row in rows
    ]


def _artifact(tx: Transaction, row: LoggedRow) -> str:
    files = [each.file for each in files_of_logged(tx, row.id)]
    about: dict[str, Any] = {"id": row.id, "type": row.type, "experiment_id": row.experiment_id}
    try:
        name = check_name(row.name)
    except InvalidName:
        name = row.id
    made = graph.add_artifact(
        tx,
        LOGGED_KIND,
        name,
        digest=digest_tree((file.path, file.size, file.digest) for file in files)
        if files
        else digest_value(LOGGED_KIND, row.id),
        size=sum(file.size for file in files),
        metadata=about,
        files=files,
        run_id=row.run_id,
        reuse=bool(row.artifact_id),
    )
    return made.id


def _put(tx: Transaction, model_id: str, space: str, values: Mapping[str, str]) -> None:
    if values:
        tx.many(
            "INSERT INTO logged_model_value (model_id, space, key, value) VALUES (?, ?, ?, ?)"
            " ON CONFLICT (model_id, space, key) DO UPDATE SET value = excluded.value",
            [(model_id, space, key, value) for key, value in values.items()],
        )


def _values(tx: Transaction, ids: Sequence[str], space: str) -> dict[str, dict[str, str]]:
    found: dict[str, dict[str, str]] = {}
    for start in range(0, len(ids), _IN):
        batch = ids[start : start + _IN]
        rows = tx.rows(
            "SELECT model_id, key, value FROM logged_model_value WHERE space = ?"  # noqa: S608 -- marks only
            f" AND model_id IN ({', '.join('?' * len(batch))}) ORDER BY model_id, key",
            (space, *batch),
        )
        for model_id, key, value in rows:
            found.setdefault(model_id, {})[key] = value
    return found
