"""When flows start: from a moment or an event to a queued run at 10,000 schedules, an idle scheduler, a big backfill.

The scheduler is a process of its own, as in `mainspring up`; events are committed by this process, so that each has to
cross from one process to another. What is measured is the time from the commit, or from the moment that was due, to the
commit of the queued run. Its targets are p99 of at most 50 ms, under 5 % of a core when nothing is due, and 1,000 runs
submitted in at most 2 s.
"""

from __future__ import annotations

import os
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import msgspec
from row import Row

from mainspring.client.client import Client, connect
from mainspring.events.outbox import emit
from mainspring.kernel.clock import now
from mainspring.pipelines.schedules import moments_of, reckoned
from mainspring.pipelines.tables_schedules import SCHEDULES
from mainspring.pipelines.types import Location
from mainspring.pipelines.types_triggers import on

SCHEDULES_THERE, EVENTS, SECONDS = 10_000, 200, 10.0
HERE = Location(address="nowhere:flow")
_SCHEDULER = """
import sys
from pathlib import Path
from mainspring.server.scheduler import run_scheduler
run_scheduler(Path(sys.argv[1]))
"""


def rows() -> Iterator[Row]:
    """The figures."""
    with tempfile.TemporaryDirectory() as folder, connect(folder) as client:
        fill(client, SCHEDULES_THERE)
        with scheduler(folder) as process:
            time.sleep(2.0)
            resting = idle(process.pid, SECONDS)
            watching = busy(client, process.pid, SECONDS)
            of_events = quantiles(events(client, EVENTS))
            of_moments = quantiles(moments(client, EVENTS))
        planned = backfill(client)
    yield Row("scheduler, nothing due: of a core", resting, limit="ours < 5", unit="%")
    yield Row("scheduler, 20 commits a second that are for nobody: of a core", watching, limit="ours < 5", unit="%")
    for name, found in {"event": of_events, "moment": of_moments}.items():
        yield Row(f"{name} to queued run, half of them", found["p50"], unit="ms")
        yield Row(f"{name} to queued run, 99 of 100", found["p99"], limit="ours < 50", unit="ms")
    yield Row("backfill of 1,000 runs, submitted", 1e3 * planned, limit="ours < 2000", unit="ms")


def fill(client: Client, count: int) -> None:
    """So many schedules, none due for months; written at once, since declaring them is not what is measured."""
    first = client.pipelines.schedule("s0", flow="f", location=HERE, cron="17 4 1 1 *")
    store = client.backend.store  # type: ignore[attr-defined]
    with store.write("bench") as tx:
        made = [
            msgspec.structs.replace(first, id=f"{first.id}-{number}", name=f"s{number}") for number in range(1, count)
        ]
        tx.insert_many(SCHEDULES, [reckoned(each, moments_of(tx, first), first.next_at) for each in made])


@contextmanager
def scheduler(folder: str) -> Iterator[subprocess.Popen[bytes]]:
    """The scheduler part, alone."""
    process = subprocess.Popen([sys.executable, "-c", _SCHEDULER, folder])
    try:
        yield process
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(20)


def cpu_of(pid: int) -> float:
    """Seconds that a process has computed."""
    fields = Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def idle(pid: int, seconds: float) -> float:
    """Per cent of a core that it takes while nothing happens."""
    before = cpu_of(pid)
    time.sleep(seconds)
    return (cpu_of(pid) - before) / seconds * 100


def busy(client: Client, pid: int, seconds: float) -> float:
    """Per cent of a core that it takes while others commit what no trigger waits for, twenty times a second."""
    before, began = cpu_of(pid), time.monotonic()
    while time.monotonic() - began < seconds:
        happened(client, "nothing.of.interest")
        time.sleep(0.05)
    return (cpu_of(pid) - before) / seconds * 100


def happened(client: Client, kind: str) -> None:
    """An event, committed here."""
    with client.backend.store.write("bench") as tx:  # type: ignore[attr-defined]
        emit(tx, kind, subject="bench/x", data={})


def events(client: Client, count: int) -> list[float]:
    """From the commit of an event to that of the run, in milliseconds."""
    client.pipelines.create_trigger("t", flow="g", location=HERE, condition=on("bench.happened"))
    for _ in range(count):
        happened(client, "bench.happened")
        time.sleep(0.03)
    return late(client, "g", count)


def moments(client: Client, count: int) -> list[float]:
    """From a moment that is due to the commit of its run, in milliseconds: one-off schedules among all the others."""
    begin = now() + timedelta(seconds=2 + count * 0.02)
    for number in range(count):
        due = [begin + timedelta(milliseconds=37 * number)]
        client.pipelines.schedule(f"once-{number}", flow="h", location=HERE, at=due)
    return late(client, "h", count)


def late(client: Client, flow: str, count: int) -> list[float]:
    deadline = time.monotonic() + 120
    while True:
        found = client.pipelines.runs(flow=flow, limit=1000)
        if len(found) >= count:
            break
        if time.monotonic() > deadline:
            raise SystemExit(f"only {len(found)} of {count} runs of {flow} were started")
        time.sleep(0.2)
    return [(each.created_at - (each.cause.fire_at or each.created_at)).total_seconds() * 1000 for each in found]


def quantiles(values: list[float]) -> dict[str, float]:
    """Some of them."""
    cuts = statistics.quantiles(values, n=100)
    return {"p50": round(cuts[49], 2), "p99": round(cuts[98], 2), "most": round(max(values), 2)}


def backfill(client: Client) -> float:
    """Seconds in which 1,000 runs are planned, recorded and queued."""
    first = datetime(2026, 1, 1, tzinfo=UTC)
    began = time.perf_counter()
    client.pipelines.backfill(
        "b", first, first + timedelta(hours=999), flow="b", location=HERE, cron="0 * * * *", max_parallel=0
    )
    client.pipelines.tick()
    took = time.perf_counter() - began
    if client.pipelines.backfill_progress("b").open != 1000:
        raise SystemExit("not every run was queued")
    return took
