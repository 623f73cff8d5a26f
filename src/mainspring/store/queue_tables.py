"""What the queue stores: tasks, and the workers that hold leases on them."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Literal

import msgspec

from mainspring.store.records import Table

__all__ = ["QUEUE_MIGRATION", "TASKS", "WORKERS", "Task", "TaskState", "WorkerRow"]

TaskState = Literal["waiting", "ready", "running", "done", "dead", "cancelled"]
"""`waiting` is for a moment that has not come; `dead` is a task that failed for good and is kept to be looked at."""

QUEUE_MIGRATION = """
CREATE TABLE queue_tasks (
  id TEXT PRIMARY KEY,
  workspace TEXT NOT NULL,
  kind TEXT NOT NULL,
  key TEXT NOT NULL,
  payload TEXT NOT NULL,
  state TEXT NOT NULL,
  priority BIGINT NOT NULL,
  not_before BIGINT NOT NULL,
  attempt BIGINT NOT NULL,
  max_attempts BIGINT NOT NULL,
  worker TEXT NOT NULL,
  created_at BIGINT NOT NULL,
  created_by TEXT NOT NULL,
  changed_at BIGINT NOT NULL,
  result TEXT,
  error TEXT
);
CREATE UNIQUE INDEX queue_tasks_key ON queue_tasks (workspace, kind, key) WHERE key <> '';
CREATE INDEX queue_tasks_ready ON queue_tasks (priority DESC, id) WHERE state = 'ready';
CREATE INDEX queue_tasks_waiting ON queue_tasks (not_before) WHERE state = 'waiting';
CREATE INDEX queue_tasks_running ON queue_tasks (worker) WHERE state = 'running';
CREATE INDEX queue_tasks_state ON queue_tasks (workspace, state, id);
CREATE TABLE queue_workers (
  id TEXT PRIMARY KEY,
  host TEXT NOT NULL,
  pid BIGINT NOT NULL,
  born TEXT NOT NULL,
  lease_ms BIGINT NOT NULL,
  beats BIGINT NOT NULL,
  kinds TEXT NOT NULL,
  joined_at BIGINT NOT NULL,
  seen_at BIGINT NOT NULL
);
"""


class Task(msgspec.Struct, frozen=True):
    """A piece of work that the store remembers until it is done, dead or cancelled."""

    id: str
    workspace: str
    kind: str
    key: str
    """Unique within its kind when not empty: enqueueing the same key again finds this task."""
    payload: dict[str, Any]
    state: TaskState
    priority: int
    """Higher runs first; equal ones run in the order in which they came."""
    not_before: datetime
    attempt: int
    """How often it was claimed: the fencing token of whoever holds it now."""
    max_attempts: int
    worker: str
    created_at: datetime
    created_by: str
    changed_at: datetime
    result: Any = None
    error: dict[str, Any] | None = None


class WorkerRow(msgspec.Struct, frozen=True):
    """A process that holds leases: alive as long as its heartbeat counter moves."""

    id: str
    host: str
    """The boot and the process-id namespace: two workers with the same host can see each other's processes."""
    pid: int
    born: str
    """When the process started, in the kernel's ticks: tells it from a later process with the same id."""
    lease_ms: int
    beats: int
    kinds: list[str]
    joined_at: datetime
    seen_at: datetime
    """By the worker's wall clock, for people to read; leases never look at it."""


TASKS = Table("queue_tasks", Task)
WORKERS = Table("queue_workers", WorkerRow)
