"""The scheduler: it starts what is due at once, sleeps in between, and survives what goes wrong."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

import pytest

from mainspring.client.client import Client, connect
from mainspring.events.outbox import emit
from mainspring.kernel.clock import now
from mainspring.kernel.errors import StoreBusy
from mainspring.pipelines.types import Location
from mainspring.pipelines.types_triggers import on
from mainspring.server import scheduler as scheduler_part
from mainspring.server.scheduler import Scheduler

HERE = Location(address="somewhere:flow")


@contextmanager
def scheduling(client: Client) -> Iterator[Scheduler]:
    made = Scheduler(client, others=False)
    thread = threading.Thread(target=made.run)
    thread.start()
    try:
        yield made
    finally:
        made.stop()
        thread.join(10)
    assert not thread.is_alive()


def soon(client: Client, count: int) -> None:
    deadline = time.monotonic() + 20
    while len(client.pipelines.runs(limit=1000)) < count:
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_it_starts_what_another_process_made_due(client: Client, store_folder: object) -> None:
    """The scheduler has a connection of its own, as in another process."""
    with connect(str(store_folder)) as own, scheduling(own):
        client.pipelines.schedule("s", flow="f", location=HERE, at=[now() + timedelta(seconds=0.3)])
        client.pipelines.create_trigger("t", flow="g", location=HERE, condition=on("a"))
        with client.backend.store.write("test") as tx:  # type: ignore[attr-defined]
            emit(tx, "a", subject="x", data={})
        soon(client, 2)
    late = [run.created_at - run.cause.fire_at for run in client.pipelines.runs() if run.cause.fire_at]
    assert len(late) == 2
    assert max(late) < timedelta(seconds=1)  # by events: a look every second would not always do it


def test_an_error_of_the_store_ends_nothing(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scheduler_part, "_RETRY_SECONDS", 0.05)
    failures: list[int] = []

    def fire_due(store: Any) -> int:
        if len(failures) < 3:
            failures.append(1)
            raise StoreBusy("the database is away")
        return real(store)

    real = scheduler_part.fire_due
    monkeypatch.setattr(scheduler_part, "fire_due", fire_due)
    with scheduling(client):
        client.pipelines.schedule("s", flow="f", location=HERE, at=[now() + timedelta(seconds=0.2)])
        soon(client, 1)
    assert len(failures) == 3


@pytest.mark.databases("sqlite")
def test_it_sleeps_while_nothing_is_due(client: Client) -> None:
    for number in range(50):
        client.pipelines.schedule(f"s{number}", flow="f", location=HERE, cron="0 0 1 1 *")
    with scheduling(client):
        time.sleep(0.3)
        before = time.process_time()
        time.sleep(1.5)
        assert time.process_time() - before < 0.3  # a fifth of a core, on a machine that is busy with other tests
