"""Experiments: the names that runs are grouped by, with tags, a note, and an end that can be undone."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from mainspring.kernel.clock import from_micros
from mainspring.kernel.context import caller
from mainspring.kernel.errors import AlreadyExists, Conflict, InvalidInput, NotFound, nearest
from mainspring.store.transaction import Transaction
from mainspring.tracking.types import Experiment

__all__ = [
    "add_experiment",
    "change_experiment",
    "check_experiment_name",
    "find_experiment",
    "load_experiments",
    "set_experiment_status",
]

_LONGEST = 500
_COLUMNS = "e.id, e.name, e.status, e.note, e.location, e.created_at, e.updated_at, e.created_by"
_COUNTS = (
    "SELECT experiment_id, count(*), sum(CASE WHEN status = 'running' THEN 1 ELSE 0 END), max(started_at)"
    " FROM tracked_run WHERE experiment_id IN ({}) AND deleted_at IS NULL GROUP BY experiment_id"
)


def check_experiment_name(name: str) -> str:
    """Return `name` when it may name an experiment: 1 to 500 printable characters."""
    if not name or len(name) > _LONGEST or not name.isprintable() or name != name.strip():
        raise InvalidInput(
            f"experiment {name!r:.60} is not a valid name", hint=f"1 to {_LONGEST} printable characters, trimmed"
        )
    return name


def find_experiment(tx: Transaction, name: str = "", *, number: int = 0, counted: bool = True) -> Experiment:
    """The experiment with this name or number; `NotFound` with the nearest names otherwise.

    Its runs are counted, which takes as long as there are many, unless `counted` is false.
    """
    column, value = ("e.id", number) if number else ("e.name", name)
    row = tx.row(
        f"SELECT {_COLUMNS} FROM experiment e WHERE e.workspace = ? AND {column} = ?",  # noqa: S608 -- names of our own
        (caller().workspace, value),
    )
    if row is None:
        rows = tx.rows("SELECT name FROM experiment WHERE workspace = ? LIMIT 1000", (caller().workspace,))
        known = nearest(name, [each for (each,) in rows])
        raise NotFound(f"there is no experiment {name or number!r}", known=known, hint="mainspring experiment list")
    return load_experiments(tx, [row], counted=counted)[0]


def add_experiment(
    tx: Transaction, name: str, *, tags: Mapping[str, str], note: str = "", location: str = ""
) -> Experiment:
    """Make an experiment."""
    check_experiment_name(name)
    taken = tx.value("SELECT status FROM experiment WHERE workspace = ? AND name = ?", (caller().workspace, name))
    if taken:
        what = "there is an experiment" if taken == "active" else "there is a deleted experiment"
        raise AlreadyExists(
            f"{what} {name!r} already", hint="mainspring experiment restore" if taken != "active" else ""
        )
    number = (tx.value("SELECT max(id) FROM experiment") or 0) + 1
    tx.execute(
        "INSERT INTO experiment (id, workspace, name, status, note, location, created_at, updated_at, created_by)"
        " VALUES (?, ?, ?, 'active', ?, ?, ?, ?, ?)",
        (number, caller().workspace, name, note, location, tx.now_micros, tx.now_micros, caller().principal),
    )
    _set_tags(tx, number, tags)
    tx.note(f"experiment/{name}", id=number)
    return find_experiment(tx, number=number)


def change_experiment(
    tx: Transaction, experiment: Experiment, *, rename: str, note: str | None, tags: Mapping[str, str]
) -> Experiment:
    """Change what is said about an experiment; an empty value takes a tag away."""
    if experiment.status == "deleted":
        raise Conflict(f"experiment {experiment.name!r} is deleted", hint="mainspring experiment restore")
    if rename and rename != experiment.name:
        check_experiment_name(rename)
        if tx.value("SELECT 1 FROM experiment WHERE workspace = ? AND name = ?", (caller().workspace, rename)):
            raise AlreadyExists(f"there is an experiment {rename!r} already")
    tx.execute(
        "UPDATE experiment SET name = ?, note = ?, updated_at = ? WHERE id = ?",
        (rename or experiment.name, experiment.note if note is None else note, tx.now_micros, experiment.id),
    )
    _set_tags(tx, experiment.id, tags)
    tx.note(f"experiment/{experiment.name}", rename=rename, tags=dict(tags))
    return find_experiment(tx, number=experiment.id)


def set_experiment_status(tx: Transaction, experiment: Experiment, status: str) -> None:
    """Delete or restore an experiment; its runs go and come along."""
    if experiment.status == status:
        return
    tx.execute("UPDATE experiment SET status = ?, updated_at = ? WHERE id = ?", (status, tx.now_micros, experiment.id))
    if status == "deleted":
        tx.execute(
            "UPDATE tracked_run SET deleted_at = ?, updated_at = ? WHERE experiment_id = ? AND deleted_at IS NULL",
            (tx.now_micros, tx.now_micros, experiment.id),
        )
    else:  # those that were deleted before the experiment was stay so
        when = tx.value("SELECT max(deleted_at) FROM tracked_run WHERE experiment_id = ?", (experiment.id,))
        tx.execute(
            "UPDATE tracked_run SET deleted_at = NULL, updated_at = ? WHERE experiment_id = ? AND deleted_at = ?",
            (tx.now_micros, experiment.id, when),
        )
    tx.note(f"experiment/{experiment.name}", status=status)


def load_experiments(tx: Transaction, rows: Sequence[Sequence[Any]], *, counted: bool = True) -> list[Experiment]:
    """Experiments from rows of `id, name, status, note, location, created_at, updated_at, created_by`."""
    ids = [row[0] for row in rows]
    marks = ", ".join("?" * len(ids)) or "NULL"
    tags: dict[int, dict[str, str]] = {each: {} for each in ids}
    for number, key, value in tx.rows(
        f"SELECT experiment_id, key, value FROM experiment_tag WHERE experiment_id IN ({marks}) ORDER BY key",  # noqa: S608 -- only marks
        ids,
    ):
        tags[number][key] = value
    counts = {row[0]: row[1:] for row in tx.rows(_COUNTS.format(marks), ids)} if counted else {}
    return [
        Experiment(
            id=row[0],
            name=row[1],
            status=row[2],
            note=row[3],
            location=row[4],
            tags=tags[row[0]],
            created_at=from_micros(row[5]),
            updated_at=from_micros(row[6]),
            created_by=row[7],
            runs=counts.get(row[0], (0, 0, None))[0],
            running=int(counts.get(row[0], (0, 0, None))[1] or 0),
            last_started_at=from_micros(counts[row[0]][2]) if row[0] in counts else None,
        )
        for row in rows
    ]


def _set_tags(tx: Transaction, number: int, tags: Mapping[str, str]) -> None:
    for key, value in tags.items():
        if not key:
            raise InvalidInput("a tag has a name")
        tx.execute("DELETE FROM experiment_tag WHERE experiment_id = ? AND key = ?", (number, key))
        if value:
            tx.execute("INSERT INTO experiment_tag (experiment_id, key, value) VALUES (?, ?, ?)", (number, key, value))
