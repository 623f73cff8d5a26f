"""`mainspring demo`: starts everything on a fresh store, runs the stages, sums up.

Each stage goes through the public API. Nothing is scripted output: every number is read from the store, and another
seed gives other numbers.
"""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date
from pathlib import Path

import httpx

import mainspring as ms
from mainspring.demo import flowing, keeping, live, stages
from mainspring.demo.replay import Replay
from mainspring.demo.show import Show
from mainspring.demo.training import MODEL
from mainspring.kernel.clock import monotonic
from mainspring.kernel.errors import Conflict, MainspringError, Unavailable
from mainspring.store.store import Store

__all__ = ["run_demo"]

_READY_SECONDS = 30.0
_PAGES = ("", "data/flights", f"models/{MODEL}", f"endpoints/{MODEL}", "flows", "flows/triggers", "studies", "alerts")
"""Of the console, to look at when the demo has ended."""


def run_demo(*, store: str, seed: int, keep: bool, port: int = 0) -> int:
    """Run the whole demo; the exit code is 0 when every stage did its job.

    Args:
        store: Folder of the store, which must not hold one yet; empty for a temporary one.
        seed: Of everything that is drawn by chance.
        keep: Whether to keep the store, and go on serving until Ctrl-C.
        port: Port of the console; 0 for any free one.
    """
    folder = Path(store).expanduser().resolve() if store else Path(tempfile.mkdtemp(prefix="mainspring-demo-"))
    if Store.exists(folder):
        raise Conflict(
            f"there is a store in {folder} already", hint="name another folder with --store, or leave it out"
        )
    show = Show()
    begun = monotonic()
    try:
        with _everything_up(folder, port=port) as (url, endpoints, process):
            show.console.print(f"[bold]Mainspring[/bold] {ms.__version__} · console {url} · store {folder}")
            with ms.connect(url) as client:
                try:
                    _run_stages(client, show, url, endpoints, folder, seed=seed)
                except MainspringError as error:
                    show.failures.append(str(error))
                    show.console.print(f"    [red bold]{error}[/red bold]", markup=True)
            _sum_up(show, url, took=monotonic() - begun)
            if keep:
                show.say(f"serving on; the console is at {url}. Ctrl-C ends it.")
                process.wait()
    except KeyboardInterrupt:
        if not keep:
            raise
    finally:
        if not keep and not store:
            shutil.rmtree(folder, ignore_errors=True)
    return 1 if show.failures else 0


def _run_stages(client: ms.Client, show: Show, url: str, endpoints: str, store: Path, *, seed: int) -> None:
    with show.stage("Data: every month is a version"):
        stages.commit_data(client, show)
    with show.stage("Quality: what January promises"):
        stages.check_quality(client, show)
    with show.stage("Data: a contract, and a year that drifts"):
        keeping.guard_data(client, show)
    with show.stage("Data: a working copy, a second place, a flipped byte"):
        keeping.keep_data(client, show, store=store)
    with show.stage("Features: defined once, the same online and offline"):
        stages.define_features(client, show)
    with show.stage("Pipeline: its worker is killed in the middle"):
        result = stages.run_pipeline(client, show, seed=seed)
    with show.stage("Pipelines: started by data, answered by a person, edited meanwhile"):
        flowing.keep_versions(client, show, url=url, store=store)
    with show.stage("Tuning: trials are runs, and Optuna's programs too"):
        flowing.search_parameters(client, show, training_set=result["training_set"], seed=seed)
    with show.stage("Evaluation: April, and a gate"):
        stages.show_evaluation(client, show, result)
    with show.stage("Registry: compiled, approved, champion"):
        stages.register_model(client, show, result)
    with show.stage("Serving: over HTTP, features looked up"):
        live.deploy(client, show, endpoints)
    replay = Replay(client, endpoints, begin=date(2013, 4, 1))
    try:
        with show.stage("Monitoring and the loop: spring and summer"):
            live.replay_spring_and_summer(client, show, replay)
        with show.stage("The loop: a harmed challenger is caught"):
            live.catch_harmed(client, show, replay)
        with show.stage("Autumn and winter"):
            live.watch_the_rest(show, replay)
    finally:
        replay.close()
    with show.stage("The question: what made this answer?"):
        live.ask_why(client, show, replay.last_prediction)
    with show.stage("The other question: whom did a row reach?"):
        keeping.name_the_reached(client, show)
    with show.stage("Month by month"):
        _print_months(show, live.show_months(client, show))


def _print_months(show: Show, rows: list[tuple[str, ...]]) -> None:
    from rich.table import Table

    table = Table(box=None, header_style="dim", pad_edge=False)
    for name in ("month", "flights", "late", "predicted", "AUC", "log loss", "versions"):
        table.add_column(name, justify="left" if name in ("month", "versions") else "right")
    for row in rows:
        table.add_row(*row)
    show.console.print(table)


def _sum_up(show: Show, url: str, *, took: float) -> None:
    from rich.table import Table

    table = Table(box=None, header_style="dim", pad_edge=False)
    table.add_column("stage")
    table.add_column("seconds", justify="right")
    for stage, seconds in show.seconds.items():
        table.add_row(stage, f"{seconds:.1f}")
    table.add_row("[bold]all[/bold]", f"[bold]{took:.1f}[/bold]")
    show.console.print()
    show.console.print(table)
    show.console.print()
    for page in _PAGES:
        show.console.print(f"  {url}/{page}")
    if show.failures:
        show.console.print("\n[red bold]not everything did its job[/red bold]")
        for failure in show.failures:
            show.console.print(f"  {failure}", markup=False)
    else:
        show.console.print(f"\n[green bold]everything did its job[/green bold], in {took:.0f} s")


@contextmanager
def _everything_up(folder: Path, *, port: int) -> Iterator[tuple[str, str, subprocess.Popen[bytes]]]:
    """`mainspring up` on the folder, as a user would start it; ended when the block ends."""
    folder.mkdir(parents=True, exist_ok=True)
    chosen = port or _free_port()
    log = (folder / "up.log").open("wb")
    environment = {**os.environ, "MAINSPRING_MONITOR_SECONDS": "0.2", "MAINSPRING_LEASE_SECONDS": "2"}
    command = [sys.executable, "-m", "mainspring", "up", "--store", str(folder), "--port", str(chosen)]
    process = subprocess.Popen(command, stdout=log, stderr=log, env=environment)
    url, endpoints = f"http://127.0.0.1:{chosen}", f"http://127.0.0.1:{chosen + 1}"
    try:
        _wait_until_ready(url, process, folder / "up.log")
        yield url, endpoints, process
    finally:
        process.send_signal(signal.SIGINT)
        try:
            process.wait(30)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        log.close()


def _wait_until_ready(url: str, process: subprocess.Popen[bytes], log: Path) -> None:
    deadline = monotonic() + _READY_SECONDS
    while monotonic() < deadline:
        if process.poll() is not None:
            break
        try:
            if httpx.get(f"{url}/health", timeout=2).status_code == httpx.codes.OK:
                return
        except httpx.HTTPError:
            time.sleep(0.05)
    raise Unavailable(f"`mainspring up` did not get ready: {log.read_text(errors='replace')[-500:]}")


def _free_port() -> int:
    """A port that is free, and the one after it too."""
    while True:
        with socket.socket() as first, socket.socket() as second:
            first.bind(("127.0.0.1", 0))
            port = int(first.getsockname()[1])
            try:
                second.bind(("127.0.0.1", port + 1))
            except OSError:
                continue
            return port
