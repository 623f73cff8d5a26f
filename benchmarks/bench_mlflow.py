"""The stock MLflow client against `mainspring up` and against `mlflow server` on SQLite: what a training waits for.

The same program, in a process of its own, speaks to each server in turn; half of a small call is the client itself,
which the row of a bare server shows: it answers the same client at once and keeps nothing. What the servers themselves
can do is shown by a bare connection that sends bodies which were written before, the same ones to both.
"""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from bench_up import MLFLOW, _free_port, _running, _wait
from peers import find_peer, run_peer
from row import Row

LIMITS = {"log_metric": "ratio >= 10"}
WIRE_LIMITS = {"points/s, 1 metrics": "ratio >= 50", "points/s, 10 metrics": "ratio >= 50"}
SMALL = ("log_metric", "log_batch")

PROGRAM = """
import json, statistics, sys, time, warnings
warnings.simplefilter("ignore")
from mlflow import MlflowClient
from mlflow.entities import Metric, Param
client = MlflowClient({uri!r})
figures = {{}}
def timed(name, times, work):
    work(0)
    start = time.perf_counter()
    for number in range(times):
        work(number + 1)
    figures[name] = (time.perf_counter() - start) / times
experiment = client.create_experiment("bench")
run = client.create_run(experiment).info.run_id
timed("log_metric", 300, lambda n: client.log_metric(run, "loss", n, timestamp=n, step=n))
def batch(key, start):
    return [Metric(key, float(n), n, n) for n in range(start, start + 1000)]
timed("log_batch", 20, lambda n: client.log_batch(run, batch("batched", n * 1000)))
timed("runs/get", 100, lambda n: client.get_run(run))
timed("create_run", 60, lambda n: client.create_run(experiment, tags={{"a": str(n)}}))
for number in range({runs}):
    made = client.create_run(experiment, run_name=str(number)).info.run_id
    metrics = [Metric(f"m{{key}}", number / (key + 1), 1, 1) for key in range(50)]
    client.log_batch(made, metrics, [Param(f"p{{key}}", str(number % 7)) for key in range(20)])
query = "metrics.m7 > 3 and params.p3 = '2'"
order = ["metrics.m8 DESC"]
timed("search_runs", 5, lambda n: client.search_runs([experiment], query, max_results=100, order_by=order))
for start in range(0, {points}, 1000):
    client.log_batch(run, batch("long", start))
    if start + 1000 in ({points} // 10, {points}):
        timed(f"history of {{start + 1000:,}}", 2, lambda n: client.get_metric_history(run, "long"))
print(json.dumps(figures))
"""

BARE = """
async def app(scope, receive, send):
    if scope["type"] == "lifespan":
        while True:
            message = await receive()
            await send({"type": message["type"] + ".complete"})
            if message["type"] == "lifespan.shutdown":
                return
    while (await receive()).get("more_body"):
        pass
    headers = [(b"content-type", b"application/json")]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    body = b'{"experiment_id": "1", "run": {"info": {"run_id": "1", "experiment_id": "1"}}}'
    await send({"type": "http.response.body", "body": body})
"""
WIRE = """
import http.client, json, time
connection = http.client.HTTPConnection("127.0.0.1", {port})
def call(method, path, fields=None):
    body = fields if isinstance(fields, bytes) else json.dumps(fields or {{}}).encode()
    connection.request(method, "/api/2.0/mlflow/" + path, body, {{"Content-Type": "application/json"}})
    answer = connection.getresponse()
    read = answer.read()
    assert answer.status == 200, read[:500]
    return read
experiment = json.loads(call("POST", "experiments/create", {{"name": "wire"}}))["experiment_id"]
def begin():
    return json.loads(call("POST", "runs/create", {{"experiment_id": experiment}}))["run"]["info"]["run_id"]
def bodies(run, keys):
    for start in range(0, {batches} * 1000, 1000):
        points = [
            {{"key": f"m{{n % keys}}", "value": n / 7, "timestamp": 1_700_000_000_000 + n, "step": n // keys}}
            for n in range(start, start + 1000)
        ]
        yield json.dumps({{"run_id": run, "metrics": points, "params": [], "tags": []}}).encode()
figures = {{}}
for keys in (1, 10, 100):
    run = begin()
    first, *rest = bodies(run, keys)
    call("POST", "runs/log-batch", first)
    start = time.perf_counter()
    for body in rest:
        call("POST", "runs/log-batch", body)
    figures[f"points/s, {{keys}} metrics"] = len(rest) * 1000 / (time.perf_counter() - start)
    if keys == 1:
        start = time.perf_counter()
        call("GET", f"metrics/get-history?run_id={{run}}&metric_key=m0")
        figures["history"] = time.perf_counter() - start
print(json.dumps(figures))
"""
ALONE = PROGRAM.split('timed("runs/get"', maxsplit=1)[0] + "print(json.dumps(figures))\n"


def rows(*, runs: int = 300, points: int = 100_000, batches: int = 20) -> Iterator[Row]:
    """Each call through the client; the peer is MLflow's own server."""
    found = find_peer("mlflow", MLFLOW)
    if not found:
        yield Row("mlflow client", None, note="mlflow is not installed")
        return
    python, version = found
    with tempfile.TemporaryDirectory(prefix="mainspring-bench-") as folder:
        Path(folder, "bare.py").write_text(BARE, "utf-8")
        bare = [sys.executable, "-m", "uvicorn", "--app-dir", folder, "bare:app", "--log-level", "error"]
        ours = [str(Path(sys.executable).with_name("mainspring")), "up", "--store", f"{folder}/store"]
        theirs = [str(Path(python).with_name("mlflow")), "server", "--backend-store-uri", f"sqlite:///{folder}/mlflow.db"]
        theirs += ["--artifacts-destination", f"{folder}/artifacts"]
        small, large = {"runs": runs, "points": points}, {"batches": batches}
        floor = _through(python, bare, ALONE, Path(folder), **small)
        wire, peer_wire = (_through(python, each, WIRE, Path(folder), **large) for each in (ours, theirs))
        mine, peer = (_through(python, each, PROGRAM, Path(folder), **small) for each in (ours, theirs))
    for name, seconds in mine.items():
        ratio = peer[name] / seconds
        limit = LIMITS.get(name, "")
        yield Row(f"mlflow client: {name}", seconds * 1000, peer[name] * 1000, version, ratio, limit, "ms")
    for name in SMALL:
        net, peer_net = mine[name] - floor[name], peer[name] - floor[name]
        note = f"the client alone takes {floor[name] * 1000:.2f} ms"
        yield Row(f"{name}, less the client", net * 1000, peer_net * 1000, version, peer_net / net, "", "ms", note)
    few, many = mine[f"history of {points // 10:,}"], mine[f"history of {points:,}"]
    yield Row("history of 10 times the points", many / few, unit="times", note="growth of ours")
    for name, rate in wire.items():
        if name == "history":
            what = f"wire: history of {batches * 1000:,}"
            yield Row(what, rate * 1000, peer_wire[name] * 1000, version, peer_wire[name] / rate, "", "ms")
        else:
            note = "durable, in batches of 1000"
            ratio, limit = rate / peer_wire[name], WIRE_LIMITS.get(name, "")
            yield Row(f"wire: {name}", rate, peer_wire[name], version, ratio, limit, "points/s", note)


def _through(python: str, command: list[str], program: str, folder: Path, **sizes: int) -> dict[str, float]:
    with _running([*command, "--port", str(_free_port())]) as (process, port):
        uri = f"http://127.0.0.1:{port}"
        _wait(process, f"{uri}/health")
        return run_peer(python, program.format(uri=uri, port=port, **sizes), cwd=folder)
