"""Putting a task into the queue, for whoever has a transaction and not the queue itself."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from mainspring.kernel.clock import from_micros, to_micros
from mainspring.kernel.context import caller
from mainspring.kernel.errors import InvalidInput
from mainspring.kernel.ids import new_id
from mainspring.kernel.names import check_name
from mainspring.store.queue_tables import TASKS, Task
from mainspring.store.transaction import Transaction

__all__ = ["enqueue", "find_task"]

_NEVER = from_micros(0)


def enqueue(
    tx: Transaction,
    kind: str,
    payload: dict[str, Any],
    *,
    key: str = "",
    priority: int = 0,
    not_before: datetime | None = None,
    max_attempts: int = 3,
) -> str:
    """Add a task inside the caller's transaction; its id. A `key` that is taken gives the id of that task."""
    check_name(kind, what="kind of task")
    if max_attempts < 1:
        raise InvalidInput(f"max_attempts={max_attempts}: a task needs at least one attempt")
    if key and (known := find_task(tx, kind, key)):
        return known.id
    due = _NEVER if not_before is None else not_before
    task = Task(
        id=new_id(),
        workspace=caller().workspace,
        kind=kind,
        key=key,
        payload=payload,
        state="waiting" if to_micros(due) > tx.now_micros else "ready",
        priority=priority,
        not_before=due,
        attempt=0,
        max_attempts=max_attempts,
        worker="",
        created_at=tx.now,
        created_by=caller().principal,
        changed_at=tx.now,
    )
    tx.insert(TASKS, task)
    tx.announce()
    return task.id


def find_task(tx: Transaction, kind: str, key: str) -> Task | None:
    """The task of this kind with this key, in the caller's workspace."""
    return tx.fetch_one(TASKS, "WHERE workspace = ? AND kind = ? AND key = ?", (caller().workspace, kind, key))
