"""What `mainspring flow run` shows of a run while it runs: a table on a terminal, a line for each step elsewhere."""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

import click
import msgspec

from mainspring.cli.output import seconds_text
from mainspring.client.client import Client
from mainspring.kernel.clock import now
from mainspring.kernel.errors import MainspringError
from mainspring.pipelines.types import FlowRun, StepRecord

__all__ = ["Counts", "Follower", "shown"]

_LOOK_SECONDS = 0.25
_ENDS = ("finished", "cached", "failed")


class Follower:
    """The steps of a run as they change; each look reads only what was not over at the last one."""

    def __init__(self, client: Client, run_id: str) -> None:
        self._client = client
        self._run_id = run_id
        self._after = ""
        self._told: dict[str, str] = {}

    def changes(self) -> list[StepRecord]:
        """The steps whose state is another than at the last look."""
        found = self._client.pipelines.steps(self._run_id, after=self._after)
        changed = [each for each in found if self._told.get(each.id) != each.state]
        for each in changed:
            self._told[each.id] = each.state
        for each in found:
            if each.state not in _ENDS:
                break
            self._after = each.id
            self._told.pop(each.id, None)
        return changed


class Counts:
    """How many calls of each step are in which state."""

    def __init__(self) -> None:
        self._states: dict[str, tuple[str, str]] = {}
        self.steps: dict[str, dict[str, int]] = {}
        self.seconds: dict[str, float] = {}

    def take(self, changes: list[StepRecord]) -> None:
        """Count what changed."""
        for each in changes:
            before = self._states.get(each.id)
            counts = self.steps.setdefault(each.name, {})
            if before is not None:
                counts[before[1]] -= 1
            counts[each.state] = counts.get(each.state, 0) + 1
            self._states[each.id] = (each.name, each.state)
            if each.state in _ENDS:
                self.seconds[each.name] = self.seconds.get(each.name, 0.0) + _lasted(each)


@contextmanager
def shown(client: Client, *, quiet: bool = False) -> Iterator[Callable[[FlowRun], None]]:
    """Show a run from when it has begun, of which the function that is given is told, to the end of the block."""
    ending = threading.Event()
    threads: list[threading.Thread] = []

    def began(run: FlowRun) -> None:
        if quiet:
            return
        view = _on_terminal if sys.stderr.isatty() else _in_lines
        thread = threading.Thread(target=view, args=(client, run, ending), name="mainspring-progress", daemon=True)
        threads.append(thread)
        thread.start()

    try:
        yield began
    finally:
        ending.set()
        for thread in threads:
            thread.join(5)


def _in_lines(client: Client, run: FlowRun, ending: threading.Event) -> None:
    click.echo(f"{now():%H:%M:%S} {run.flow} {run.id}", err=True)
    follower, waiting = Follower(client, run.id), set[str]()
    over = False
    while not over:
        over = ending.wait(_LOOK_SECONDS)
        with suppress(MainspringError):  # the run goes on, whether it can be looked at or not
            for each in follower.changes():
                if each.state in _ENDS:
                    item = f"[{each.item}]" if each.item >= 0 else ""
                    error = f": {each.error['message']}" if each.error else ""
                    click.echo(
                        f"{each.finished_at or now():%H:%M:%S} {each.name}{item} {each.state}"
                        f" {seconds_text(_lasted(each))}{error}",
                        err=True,
                    )
                elif each.state == "waiting" and each.id not in waiting:
                    waiting.add(each.id)
                    click.echo(f"{now():%H:%M:%S} {_waits(each)}", err=True)
    _say_end(client, run)


def _on_terminal(client: Client, run: FlowRun, ending: threading.Event) -> None:
    from rich.console import Console
    from rich.live import Live

    follower, counts, waits = Follower(client, run.id), Counts(), dict[str, str]()
    expected = _expected(client, run)
    with Live(console=Console(stderr=True), refresh_per_second=8, redirect_stderr=False) as live:
        over = False
        while not over:
            over = ending.is_set()  # after the end it is looked at once more
            with suppress(MainspringError):
                changes = follower.changes()
                counts.take(changes)
                for each in changes:
                    waits.pop(each.id, None)
                    if each.state == "waiting":
                        waits[each.id] = _waits(each)
            live.update(_table(run, counts, list(waits.values()), expected, last=over), refresh=True)
            ending.wait(_LOOK_SECONDS)
    _say_end(client, run)


def _table(run: FlowRun, counts: Counts, waits: list[str], expected: float, *, last: bool) -> Any:
    from rich.console import Group
    from rich.table import Table
    from rich.text import Text

    passed = (now() - (run.started_at or run.created_at)).total_seconds()
    left = f", about {seconds_text(expected - passed)} left" if expected > passed and not last else ""
    table = Table(box=None, header_style="dim", pad_edge=False, title_justify="left")
    table.title = f"{run.flow}  {seconds_text(passed)}{left}"
    for column in ("step", "done", "running", "failed", "time"):
        table.add_column(column, justify="left" if column == "step" else "right")
    for name, states in counts.steps.items():
        done = states.get("finished", 0) + states.get("cached", 0)
        table.add_row(
            name,
            str(done),
            str(states.get("running", 0) or ""),
            str(states.get("failed", 0) or ""),
            seconds_text(counts.seconds.get(name, 0.0)),
        )
    return Group(table, *(Text(each, style="yellow", overflow="fold") for each in waits))


def _expected(client: Client, run: FlowRun) -> float:
    """How long the last run of this flow took that finished; 0 when none has."""
    with suppress(MainspringError):
        for each in client.pipelines.runs(flow=run.flow, state="finished", limit=1):
            if each.started_at and each.finished_at:
                return (each.finished_at - each.started_at).total_seconds()
    return 0.0


def _say_end(client: Client, run: FlowRun) -> None:
    with suppress(MainspringError, msgspec.MsgspecError):
        found = client.pipelines.get(run.id)
        passed = ((found.finished_at or now()) - (found.started_at or found.created_at)).total_seconds()
        click.echo(f"{now():%H:%M:%S} {found.flow} {found.state} {seconds_text(passed)}", err=True)


def _waits(step: StepRecord) -> str:
    shown = ", ".join(step.arguments.values())
    how = f"  (mainspring flow answer {step.id} VALUE)" if step.name == "ask" else ""
    return f"{step.name}: {shown}{how}"


def _lasted(step: StepRecord) -> float:
    return ((step.finished_at or now()) - step.started_at).total_seconds()
