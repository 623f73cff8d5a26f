"""The queue between real processes: workers are killed with SIGKILL, and an oracle outside of the store counts."""

from __future__ import annotations

import random
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from mainspring.kernel.hooks import ROOMS
from mainspring.store.database import Database
from mainspring.store.engine import SqliteEngine
from mainspring.store.migrations import migrate
from mainspring.store.queue import Queue

_WORKER = """
import os, sys
from pathlib import Path
from mainspring.kernel.errors import LostLease
from mainspring.store.database import Database
from mainspring.store.engine import SqliteEngine
from mainspring.store.queue import Queue

folder, oracle = Path(sys.argv[1]), sys.argv[2]
queue = Queue(Database(SqliteEngine(folder)))
worker = queue.join(["job"], lease=1.0)
log = os.open(oracle, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
print("ready", flush=True)
while queue.wait(["job"], timeout=60):
    for task in queue.claim(worker, ["job"], 4):
        os.write(log, f"began {task.payload['n']} {task.attempt}\\n".encode())
        try:
            queue.complete(task, {"by": os.getpid(), "attempt": task.attempt})
        except LostLease:
            os.write(log, f"lost {task.payload['n']}\\n".encode())
        else:
            os.write(log, f"done {task.payload['n']}\\n".encode())
"""


def _start(folder: Path, oracle: Path) -> subprocess.Popen[bytes]:
    process = subprocess.Popen([sys.executable, "-c", _WORKER, str(folder), str(oracle)], stdout=subprocess.PIPE)
    assert process.stdout is not None
    assert process.stdout.readline() == b"ready\n"
    return process


def _end(process: subprocess.Popen[bytes]) -> None:
    process.kill()
    process.communicate()


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    """A database with the store's own tables."""
    opened = Database(SqliteEngine(tmp_path))
    migrate(opened, ROOMS[:1])
    yield opened
    opened.close()


def test_killed_workers_lose_nothing_and_commit_nothing_twice(database: Database, tmp_path: Path) -> None:
    queue, oracle, waves, size, dice = Queue(database), tmp_path / "oracle.txt", 4, 100, random.Random(7)
    oracle.touch()
    workers = [_start(tmp_path, oracle) for _ in range(2)]
    try:
        for wave in range(waves):
            with database.write() as tx:
                for number in range(wave * size, (wave + 1) * size):
                    queue.enqueue(tx, "job", {"n": number}, max_attempts=1000)
            goal = oracle.read_text().count("began") + dice.randrange(1, size // 2)
            while oracle.read_text().count("began") < goal:
                assert all(worker.poll() is None for worker in workers)
            _end(workers.pop(dice.randrange(len(workers))))
            workers.append(_start(tmp_path, oracle))
            while queue.tasks(state="ready", limit=1) or queue.tasks(state="running", limit=1):
                queue.reap()
    finally:
        for worker in workers:
            _end(worker)
    total = waves * size
    lines = [line.split() for line in oracle.read_text().splitlines()]
    done = [int(words[1]) for words in lines if words[0] == "done"]
    tasks = queue.tasks(state="done", limit=2 * total)
    assert sorted(task.payload["n"] for task in tasks) == list(range(total))  # nothing is lost
    assert len(done) == len(set(done))  # nobody was told "committed" twice
    began = {(int(words[1]), int(words[2])) for words in lines if words[0] == "began"}
    assert len(began) == sum(words[0] == "began" for words in lines)  # no attempt was given to two workers
    assert all((task.payload["n"], task.result["attempt"]) in began for task in tasks)


def test_a_stopped_worker_is_given_up_and_its_late_result_refused(database: Database, tmp_path: Path) -> None:
    pause = "        print('holding', flush=True)\n        sys.stdin.readline()\n        try:"
    script = _WORKER.replace("        try:", pause)
    oracle = tmp_path / "oracle.txt"
    process = subprocess.Popen(
        [sys.executable, "-c", script, str(tmp_path), str(oracle)], stdout=subprocess.PIPE, stdin=subprocess.PIPE
    )
    assert process.stdout is not None
    assert process.stdin is not None
    try:
        assert process.stdout.readline() == b"ready\n"
        queue = Queue(database)
        with database.write() as tx:
            task_id = queue.enqueue(tx, "job", {"n": 0})
        assert process.stdout.readline() == b"holding\n"  # it has claimed, and sends no heartbeat
        while not queue.reap():
            pass
        (task,) = queue.claim(queue.join(), ["job"])
        queue.complete(task, "ours")
        process.stdin.write(b"go on\n")
        process.stdin.flush()
        while "lost 0" not in (oracle.read_text() if oracle.exists() else ""):
            assert process.poll() is None
    finally:
        _end(process)
    assert queue.get(task_id).result == "ours"
