"""`mainspring up`, from the outside: it starts, brings back what is killed, and leaves nothing behind."""

from __future__ import annotations

import os
import queue
import re
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import psutil
import pytest

from mainspring.client.client import connect

pytestmark = pytest.mark.databases("sqlite")
PATIENCE = 40


class Up:
    """A running `mainspring up` and what it says."""

    def __init__(self, folder: Path, *options: str, env: dict[str, str] | None = None) -> None:
        command = [sys.executable, "-m", "mainspring", "up", "--store", str(folder), "--port", "0", *options]
        environment = {name: value for name, value in os.environ.items() if not name.startswith("MAINSPRING_")}
        self.process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env={**environment, **(env or {})})
        self.said: list[str] = []
        self._lines: queue.Queue[str] = queue.Queue()
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        for line in self.process.stderr:
            self._lines.put(line)
        self._lines.put("")

    def until(self, pattern: str) -> re.Match[str]:
        """Wait for a line; fails with all that was said when it does not come."""
        while True:
            try:
                line = self._lines.get(timeout=PATIENCE)
            except queue.Empty:
                line = ""
            self.said.append(line)
            if found := re.search(pattern, line):
                return found
            assert line, f"{pattern!r} was not said:\n{''.join(self.said)}"

    def addresses(self) -> tuple[str, str]:
        found = self.until(r"is up at (http://\S+) · endpoints at (http://\S+)")
        return found[1], found[2]

    def parts(self) -> list[psutil.Process]:
        return psutil.Process(self.process.pid).children()

    def family(self) -> list[psutil.Process]:
        return psutil.Process(self.process.pid).children(recursive=True)

    def end(self, how: signal.Signals) -> int:
        family = self.family()
        self.process.send_signal(how)
        code = self.process.wait(PATIENCE)
        _, alive = psutil.wait_procs(family, PATIENCE)
        assert not alive, f"left behind: {alive}"
        return code


@pytest.fixture
def start(store_folder) -> Iterator[Callable[..., Up]]:
    started: list[Up] = []

    def run(*options: str, **how) -> Up:
        started.append(Up(store_folder, *options, **how))
        return started[-1]

    yield run
    for each in started:
        if each.process.poll() is None:
            family = each.family()
            each.process.kill()
            for process in family:
                if process.is_running():
                    process.kill()
        each.process.wait(PATIENCE)
        each.process.stderr.close()


def _get(url: str, **options) -> httpx.Response:
    return httpx.get(url, timeout=PATIENCE, **options)


def test_it_starts_brings_back_what_is_killed_and_ends_clean(start, store_folder):
    up = start("--workers", "1")
    api, endpoints = up.addresses()
    assert _get(f"{api}/health").json()["status"] == "ok"
    assert _get(f"{endpoints}/v2/health/live").status_code == 200
    killed = {}
    for part in up.parts():
        part.kill()
        found = up.until(rf"(\S+) \(pid {part.pid}\) was killed by SIGKILL; it is brought back")
        killed[found[1]] = part.pid
    assert set(killed) == {"api", "endpoints", "scheduler", "worker-1"}
    # Nobody is turned away while a part comes back: the sockets are the supervisor's.
    assert _get(f"{api}/health").json()["status"] == "ok"
    assert _get(f"{endpoints}/v2/health/live").status_code == 200
    with connect(api) as client:
        assert client.lineage.counts().runs == {}
        work = {each.pid for each in up.parts()}
        assert len(work) == 4
        assert not work & set(killed.values())
    assert up.end(signal.SIGINT) == 0
    with connect(store_folder) as client:
        assert client.storage.verify_audit().intact


def test_it_ends_at_sigterm_too(start):
    up = start("--workers", "0")
    up.addresses()
    assert up.end(signal.SIGTERM) == 0


def test_its_parts_do_not_outlive_it(start):
    up = start("--workers", "1")
    up.addresses()
    family = up.family()
    assert len(family) >= 4
    up.process.kill()
    _, alive = psutil.wait_procs(family, PATIENCE)
    assert not alive


def test_beyond_loopback_it_asks_for_tokens(start, store_folder):
    refused = start("--host", "0.0.0.0")
    assert refused.until(r"error\[MS-4002\]")
    assert refused.until(r"try: .*mainspring token create")
    assert refused.process.wait(PATIENCE) != 0
    with connect(store_folder) as client:
        secret = client.trust.create_token("ann", role="viewer").secret
    up = start("--host", "0.0.0.0", "--workers", "0")
    api, endpoints = (each.replace("0.0.0.0", "127.0.0.1") for each in up.addresses())
    assert _get(f"{api}/health").status_code == 200
    assert _get(f"{api}/api/v1/lineage/counts").status_code == 401
    assert _get(f"{endpoints}/v2/models/x").status_code == 401
    with connect(api, token=secret) as client:
        assert client.lineage.counts().artifacts == {}
    assert up.end(signal.SIGINT) == 0


def test_a_port_that_is_taken_is_named(start):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        up = start("--port", str(port))
        assert str(port) in up.until(r"error\[MS-6001\].*")[0]
        assert up.process.wait(PATIENCE) == 5


def test_a_port_that_is_none_is_refused(start):
    up = start("--port", "70000")
    assert up.until(r"error\[MS-1001\]")
    assert up.process.wait(PATIENCE) == 2
