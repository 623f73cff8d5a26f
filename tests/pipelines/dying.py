"""A worker or a scheduler that is killed (SIGKILL) at a chosen place.

    python dying.py worker|scheduler STORE LEASE WHEN TEXT

`WHEN` is `inside` (after the statement that begins with `TEXT`, in its transaction) or `after` (the transaction of that
statement was committed, and nobody knows it yet).
"""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path
from typing import Any

from mainspring.store.database import Database
from mainspring.store.transaction import Transaction


def die(*_: Any, **__: Any) -> None:
    """As `kill -9`, or the end of the power, would."""
    os.kill(os.getpid(), signal.SIGKILL)


def watch(text: str, found: Any) -> None:
    """Call `found` after each statement that begins with a text."""

    def wrap(name: str) -> None:
        plain = getattr(Transaction, name)

        def run(self: Transaction, sql: str, *args: Any) -> Any:
            answer = plain(self, sql, *args)
            if sql.startswith(text):
                found()
            return answer

        setattr(Transaction, name, run)

    for each in ("execute", "many", "rows"):
        wrap(each)


def arm(when: str, text: str) -> None:
    """Make this process die there."""
    if when == "inside":
        watch(text, die)
        return
    armed: list[bool] = []
    watch(text, lambda: armed.append(True))
    commit = Database._commit

    def commit_and_die(self: Database, group: Any) -> None:
        commit(self, group)
        if armed:
            die()

    Database._commit = commit_and_die  # type: ignore[method-assign]


def main() -> None:
    """The command line."""
    role, store, lease, when, text = sys.argv[1:6]
    if when != "never":
        arm(when, text)
    if role == "worker":
        from mainspring.pipelines.worker import run_worker

        run_worker(store, lease=float(lease))
    else:
        from mainspring.server.scheduler import run_scheduler

        run_scheduler(Path(store))


if __name__ == "__main__":
    main()
