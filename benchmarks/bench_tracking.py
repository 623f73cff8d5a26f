"""Logging: what a call costs, how many calls are durable in a second, points in batches, bytes a point, long series.

Peers log the same two scalars a call from the same script: Trackio, W&B offline and Aim as they are used, MLflow in
process on SQLite. Each figure stands at two sizes, the second ten times the first.
"""

from __future__ import annotations

import json
import math
import os
import random
import subprocess
import sys
import tempfile
import time
from array import array
from collections.abc import Iterator
from functools import partial
from pathlib import Path

from peers import find_peer, run_peer
from row import Row, median_seconds

from mainspring.client.client import Client, connect
from mainspring.kernel.ids import new_id
from mainspring.tracking.frames import encode_frame
from mainspring.tracking.types import ColumnsRecord, RunStart

CALLS = 100_000
POINTS = 1_000_000
BUCKETS = 1000

OURS = """
import json, sys, time
from mainspring.client import connect
count = int(sys.argv[1])
with connect(sys.argv[2]) as client:
    with client.tracking.run("warm", source=False) as run:
        run.log(step=0, loss=0.5, acc=0.5)
    run = client.tracking.run("bench", source=False)
    run.log(step=0, loss=0.5, acc=0.5)
    begun = time.perf_counter()
    for step in range(count):
        run.log(step=step, loss=step * 0.5, acc=step * 0.25)
    called = time.perf_counter()
    run.finish()
    ended = time.perf_counter()
    assert client.tracking.get(run.id).metrics["loss"].count == count + 1
print(json.dumps({"call": (called - begun) / count * 1e6, "calls": count / (ended - begun)}))
"""

PEER = """
import contextlib, json, os, sys, time
count = {count}
with contextlib.redirect_stdout(sys.stderr):
{begin}
    begun = time.perf_counter()
    for step in range(count):
{log}
    called = time.perf_counter()
{finish}
    ended = time.perf_counter()
print(json.dumps({{"call": (called - begun) / count * 1e6, "calls": count / (ended - begun)}}))
"""

PEERS = {
    "trackio": (
        20_000,
        """
    os.environ["TRACKIO_DIR"] = os.getcwd()
    import trackio
    trackio.init(project="bench", embed=False)""",
        "        trackio.log({'loss': step * 0.5, 'acc': step * 0.25}, step=step)",
        "    trackio.finish()",
    ),
    "wandb": (
        5_000,
        """
    os.environ["WANDB_MODE"], os.environ["WANDB_SILENT"] = "offline", "true"
    import wandb
    run = wandb.init(project="bench", dir=os.getcwd())""",
        "        run.log({'loss': step * 0.5, 'acc': step * 0.25}, step=step)",
        "    run.finish()",
    ),
    "aim": (
        5_000,
        "    import aim\n    run = aim.Run(repo=os.getcwd(), system_tracking_interval=None)",
        "        run.track({'loss': step * 0.5, 'acc': step * 0.25}, step=step)",
        "    run.close()",
    ),
    "mlflow": (
        500,
        """
    import mlflow
    mlflow.set_tracking_uri("sqlite:///mlflow.db")
    mlflow.set_experiment("bench")
    mlflow.start_run()""",
        "        mlflow.log_metrics({'loss': step * 0.5, 'acc': step * 0.25}, step=step)",
        "    mlflow.end_run()",
    ),
}
"""Name: how many calls, how it begins, what a call is, how it ends."""

PRIME = {"trackio": 3.0, "wandb": 12.0, "aim": 12.0, "mlflow": 300.0}
"""How many times more calls a second must be durable here."""

BATCHES = """
import json, os, random, time
from mlflow.entities import Metric
from mlflow.store.tracking.sqlalchemy_store import SqlAlchemyStore
store = SqlAlchemyStore("sqlite:///mlflow.db", "file:./artifacts")
run = store.create_run(store.create_experiment("bench"), "me", 0, [], "bench").info.run_id
empty, count, draw = os.path.getsize("mlflow.db"), 20_000, random.Random(7)
begun = time.perf_counter()
for first in range(0, count, 1000):
    store.log_batch(run, [Metric("loss", draw.random(), step, step) for step in range(first, first + 1000)], [], [])
taken = time.perf_counter() - begun
print(json.dumps({"points": count / taken, "bytes": (os.path.getsize("mlflow.db") - empty) / count}))
"""


def rows() -> Iterator[Row]:
    """Calls beside the peers, batches and bytes beside MLflow, stretches of a long series."""
    few, many = _ours(CALLS), _ours(10 * CALLS)
    yield Row("log two scalars", few["call"], limit="ours <= 8", unit="us a call")
    yield Row("log two scalars, 10 times as many", many["call"], limit="ours <= 8", unit="us a call")
    yield Row("calls a second to the end of finish", few["calls"], limit="ours >= 100000", unit="calls/s")
    yield Row("the same, 10 times as many", many["calls"], limit="ours >= 100000", unit="calls/s")
    for name, (count, begin, log, finish) in PEERS.items():
        program = PEER.format(count=count, begin=begin, log=log, finish=finish)
        theirs, version = _peer(name, program)
        workload = f"calls a second beside {name}"
        limit = f"ratio >= {PRIME[name]:g}"
        if theirs is None:
            yield Row(workload, few["calls"], limit=limit, unit="calls/s")
            continue
        ratio = few["calls"] / theirs["calls"]
        note = f"a call costs {theirs['call']:.0f} us there"
        yield Row(workload, few["calls"], theirs["calls"], version, ratio, limit, "calls/s", note)
    yield from _batches()


def _ours(count: int) -> dict[str, float]:
    """A process of its own, as a script is."""
    with tempfile.TemporaryDirectory(prefix="mainspring-bench-") as folder:
        command = [sys.executable, "-c", OURS, str(count), folder]
        environ = {**os.environ, "MAINSPRING_SPOOL": f"{folder}/spool"}
        answer = subprocess.run(command, capture_output=True, text=True, check=True, env=environ)
    return json.loads(answer.stdout)


def _peer(name: str, program: str) -> tuple[dict[str, float] | None, str]:
    peer = find_peer(name)
    if peer is None:
        return None, ""
    with tempfile.TemporaryDirectory(prefix="mainspring-bench-") as folder:
        return run_peer(peer[0], program, cwd=Path(folder)), peer[1]


def _batches() -> Iterator[Row]:
    """Points that arrive in batches of 20,000, of one metric; then what they take and how they are read."""
    theirs, version = _peer("mlflow", BATCHES)
    for count in (POINTS // 10, POINTS):
        with tempfile.TemporaryDirectory(prefix="mainspring-bench-") as folder, connect(folder) as client:
            run_id, speed = _fill(client, count)
            ratio = speed / theirs["points"] if theirs else None
            limit = "ours >= 500000" if count == POINTS else "ratio >= 50"
            yield Row(
                f"durable points a second in batches, {count:,}",
                speed,
                theirs["points"] if theirs else None,
                version,
                ratio,
                limit,
                "points/s",
            )
            with client.backend.store.read() as tx:
                size = tx.value("SELECT sum(length(points) + length(coalesce(outline, ''))) FROM metric_chunk")
            yield Row(
                f"bytes a point, {count:,}",
                size / count,
                theirs["bytes"] if theirs else None,
                version,
                theirs["bytes"] / (size / count) if theirs else None,
                "ours <= 6",
                "bytes",
                "ours: chunks with outlines; values that came out of 32-bit arithmetic",
            )
            for x in ("step", "time"):
                ask = partial(client.tracking.series, [run_id], keys=["loss"], buckets=BUCKETS, x=x)
                taken = median_seconds(ask)
                limit = "ours <= 20" if x == "step" else ""
                yield Row(f"{count:,} points in {BUCKETS:,} stretches by {x}", taken * 1000, limit=limit, unit="ms")


def _fill(client: Client, count: int) -> tuple[str, float]:
    """A curve with noise, 50 steps a second; its run and the points a second that were durable."""
    draw, moment = random.Random(7), 1_700_000_000_000_000
    times = array("q")
    for _ in range(count):
        moment += int(draw.gauss(20_000, 300))
        times.append(moment)
    values = array("d", array("f", [math.exp(-step / count) + draw.gauss(0, 0.01) for step in range(count)]))
    steps = array("q", range(count))
    bodies = [
        encode_frame(
            ColumnsRecord(
                ["loss"], *(part[first : first + 20_000].tobytes() for part in (steps, times)),
                [values[first : first + 20_000].tobytes()],
            )
        )
        for first in range(0, count, 20_000)
    ]  # fmt: skip
    run_id = new_id()
    client.tracking.start(RunStart(run_id, "bench"))
    begun = time.perf_counter()
    for number, body in enumerate(bodies):
        client.tracking.append(run_id, writer="bench", sequence=number * 20_000, body=[body])
    return run_id, count / (time.perf_counter() - begun)
