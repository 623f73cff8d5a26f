"""What is said about models and versions afterwards: descriptions, tags, figures, and the rows they are found by."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from mainspring.kernel.context import caller
from mainspring.kernel.errors import InvalidInput
from mainspring.models.tables import MEASURED, MODELS, NOTES
from mainspring.models.types import Measured, Metric, Model, VersionNotes
from mainspring.store.transaction import Transaction

__all__ = ["HEAD", "change_model", "change_notes", "changed_tags", "check_tags", "measure", "set_labels"]

HEAD = 100
"""Characters of a tag's value that are indexed."""
_TAG_KEY = 250
_TAG_VALUE = 100_000


def check_tags(tags: Mapping[str, str]) -> dict[str, str]:
    """Tags as they may be kept; an empty value says nothing, so it is left out."""
    for key, value in tags.items():
        if not key or len(key) > _TAG_KEY or not key.isprintable():
            raise InvalidInput(f"the tag {key[:60]!r} has no valid name", hint=f"1 to {_TAG_KEY} printable characters")
        if len(value) > _TAG_VALUE:
            raise InvalidInput(f"the tag {key!r} has {len(value)} characters; at most {_TAG_VALUE} are kept")
    return {key: value for key, value in tags.items() if value}


def changed_tags(tags: Mapping[str, str], key: str, value: str) -> dict[str, str]:
    """Tags with one of them set; an empty value takes it away."""
    return check_tags({**tags, key: value})


def change_model(tx: Transaction, model: Model, **changes: Any) -> Model:
    """Write what changed of a model's row, with its labels."""
    changed = msgspec.structs.replace(model, updated_at=tx.now, **changes)
    row = dict(zip(MODELS.columns, MODELS.to_row(changed), strict=True))
    columns = [*changes, "updated_at"]
    tx.execute(
        f"UPDATE model SET {', '.join(f'{each} = ?' for each in columns)} WHERE workspace = ? AND name = ?",  # noqa: S608 -- our columns
        [*(row[each] for each in columns), model.workspace, model.name],
    )
    if "tags" in changes:
        set_labels(tx, model.workspace, model.name, 0, "tag", changed.tags)
    return changed


def change_notes(tx: Transaction, notes: VersionNotes, **changes: Any) -> VersionNotes:
    """Write what changed of a version's row, with its labels."""
    changed = msgspec.structs.replace(notes, updated_at=tx.now, **changes)
    row = dict(zip(NOTES.columns, NOTES.to_row(changed), strict=True))
    columns = [*changes, "updated_at"]
    tx.execute(
        f"UPDATE model_version SET {', '.join(f'{each} = ?' for each in columns)}"  # noqa: S608 -- our columns
        " WHERE workspace = ? AND name = ? AND version = ?",
        [*(row[each] for each in columns), notes.workspace, notes.name, notes.version],
    )
    if "tags" in changes:
        set_labels(tx, notes.workspace, notes.name, notes.version, "tag", changed.tags)
    if "aliases" in changes:
        set_labels(tx, notes.workspace, notes.name, notes.version, "alias", dict.fromkeys(changed.aliases, ""))
    return changed


def set_labels(
    tx: Transaction, workspace: str, name: str, version: int, space: str, labels: Mapping[str, str]
) -> None:
    """Replace the labels of one space of a version; version 0 is the model itself."""
    tx.execute(
        "DELETE FROM model_label WHERE workspace = ? AND name = ? AND version = ? AND space = ?",
        (workspace, name, version, space),
    )
    if labels:
        tx.many(
            "INSERT INTO model_label (workspace, name, version, space, key, value, head) VALUES (?, ?, ?, ?, ?, ?, ?)",
            [(workspace, name, version, space, key, value, value[:HEAD]) for key, value in labels.items()],
        )


def measure(tx: Transaction, name: str, version: int, metrics: Mapping[str, Metric], *, dataset: str = "") -> None:
    """Keep figures of a version on one data; of one measured again, the later counts."""
    workspace, who = caller().workspace, caller().principal
    if not metrics:
        return
    tx.many(
        "DELETE FROM model_metric WHERE workspace = ? AND name = ? AND version = ? AND dataset = ? AND key = ?",
        [(workspace, name, version, dataset, key) for key in metrics],
    )
    tx.insert_many(
        MEASURED,
        [
            Measured(workspace, name, version, dataset, key, each.value, each.low, each.high, each.level, tx.now, who)
            for key, each in metrics.items()
        ],
    )


