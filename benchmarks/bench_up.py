"""`mainspring up`: from the start of the interpreter to an answer of /health, and what it weighs when idle."""

from __future__ import annotations

import os
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
from peers import find_peer
from row import Row

PATIENCE = 120
SETTLE = 3
ROUNDS = 3
MLFLOW = "mlflow==3.17.2"


def rows() -> Iterator[Row]:
    """Start and memory at the default settings, beside MLflow and a bare uvicorn that answers and does no more."""
    with tempfile.TemporaryDirectory(prefix="mainspring-bench-") as folder:
        Path(folder, "bare.py").write_text(BARE, "utf-8")
        bare = [sys.executable, "-m", "uvicorn", "--app-dir", folder, "bare:app", "--log-level", "error"]
        ours = [str(Path(sys.executable).with_name("mainspring")), "up", "--store", f"{folder}/store"]
        first, *_ = _measure(ours)
        rounds = [(_measure(bare)[0], *_measure(ours)) for _ in range(ROUNDS)]
        floor, again, memory, processes = (statistics.median(column) for column in zip(*rounds, strict=True))
        found = find_peer("mlflow", MLFLOW)
        peer = found[1] if found else "mlflow server, not installed"
        start = weight = None
        if found:
            backend = ["--backend-store-uri", f"sqlite:///{folder}/mlflow.db"]
            start, weight, _ = _measure([str(Path(found[0]).with_name("mlflow")), "server", *backend])
    note = f"{processes:.0f} processes"
    yield Row("up, new store, to /health", first, start, peer, start and start / first, "ours < 1", "s")
    yield Row("up, again, to /health", again, floor, "bare uvicorn", floor / again, "ours < 1", "s")
    yield Row("up, idle memory (PSS)", memory, weight, peer, weight and weight / memory, "ours < 150", "MiB", note)


BARE = """
async def app(scope, receive, send):
    if scope["type"] == "lifespan":
        while True:
            message = await receive()
            await send({"type": message["type"] + ".complete"})
            if message["type"] == "lifespan.shutdown":
                return
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b"{}"})
"""


def _measure(command: list[str]) -> tuple[float, float, int]:
    """Seconds to the first answer, then MiB and number of processes once it has settled."""
    start = time.perf_counter()
    with _running([*command, "--port", str(_free_port())]) as (process, port):
        _wait(process, f"http://127.0.0.1:{port}/health")
        taken = time.perf_counter() - start
        time.sleep(SETTLE)
        family = [psutil.Process(process.pid), *psutil.Process(process.pid).children(recursive=True)]
        memory = sum(each.memory_full_info().pss for each in family) / 2**20
    return taken, memory, len(family)


@contextmanager
def _running(command: list[str]) -> Iterator[tuple[subprocess.Popen[bytes], int]]:
    port = int(command[-1])
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, start_new_session=True)
    try:
        yield process, port
    finally:
        process.send_signal(signal.SIGINT)
        try:
            process.communicate(timeout=15)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.communicate()


def _wait(process: subprocess.Popen[bytes], url: str) -> None:
    until = time.monotonic() + PATIENCE
    while time.monotonic() < until:
        if process.poll() is not None:
            said = process.stderr.read().decode()[-2000:] if process.stderr else ""
            raise RuntimeError(f"it ended with {process.returncode}: {said}")
        try:
            with urllib.request.urlopen(url, timeout=1) as answer:
                answer.read()
                return
        except (urllib.error.URLError, ConnectionError, TimeoutError):
            time.sleep(0.005)
    raise RuntimeError(f"no answer from {url} after {PATIENCE} s")


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
