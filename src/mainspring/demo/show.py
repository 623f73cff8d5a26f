"""What the demo prints: a heading for each stage, a progress bar, facts as they come out of the store."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import msgspec

from mainspring.kernel.clock import monotonic

__all__ = ["Fact", "Show"]


class Fact(msgspec.Struct, frozen=True):
    """One line of the summary."""

    stage: str
    what: str
    value: str


class Show:
    """Prints, with bars on a terminal and plain lines in a pipe; collects the facts and the times."""

    def __init__(self) -> None:
        from rich.console import Console

        self.console = Console(stderr=False, highlight=False, soft_wrap=True)
        self.facts: list[Fact] = []
        self.seconds: dict[str, float] = {}
        self.failures: list[str] = []
        self._stage = ""
        self._number = 0

    @contextmanager
    def stage(self, title: str) -> Iterator[None]:
        """A stage of the demo, timed. What fails inside is said by name and ends the demo."""
        self._number += 1
        self._stage = title
        begun = monotonic()
        self.console.print(f"\n[bold]{self._number:>2}. {title}[/bold]")
        try:
            yield
        finally:
            self.seconds[title] = monotonic() - begun
            self.console.print(f"    [dim]{self.seconds[title]:.1f} s[/dim]")

    @contextmanager
    def bar(self, what: str, total: float) -> Iterator[Any]:
        """A progress bar; call the value with how much is done, and optionally a text."""
        from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

        columns = (
            TextColumn("    {task.description:<44}"),
            BarColumn(28),
            TextColumn("{task.percentage:>3.0f}%"),
            TimeElapsedColumn(),
        )
        with Progress(*columns, console=self.console, transient=True, disable=not sys.stdout.isatty()) as progress:
            task = progress.add_task(what, total=total)

            def update(done: float, text: str = "") -> None:
                progress.update(task, completed=done, description=text or what)

            yield update

    def fact(self, what: str, value: Any) -> None:
        """Print a fact and keep it for the summary."""
        text = f"{value:,}" if isinstance(value, int) else f"{value:.4g}" if isinstance(value, float) else str(value)
        self.facts.append(Fact(self._stage, what, text))
        self.console.print(f"    {what}: [cyan]{text}[/cyan]", markup=True)

    def say(self, text: str) -> None:
        """Print a line."""
        self.console.print(f"    {text}", markup=False)

    def must(self, holds: bool, what: str) -> None:  # noqa: FBT001 -- an assertion of the demo
        """Note what a stage had to do; the demo's exit code says whether all of it was done."""
        if not holds:
            self.failures.append(f"{self._stage}: {what}")
            self.console.print(f"    [red bold]not done: {what}[/red bold]")
