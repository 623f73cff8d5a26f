"""How far a search is, in one line of a terminal that is written over."""

from __future__ import annotations

import sys

from mainspring.kernel.clock import monotonic
from mainspring.tuning.budgets import Spent

__all__ = ["Progress"]

_OFTEN = 0.1
_WIDTH = 24


class Progress:
    """Shows itself on a terminal, or where it is told to.

    Args:
        wanted: Whether to; on a terminal when None.
        total: How many trials there will be, or 0.
    """

    def __init__(self, wanted: bool | None, total: int) -> None:  # noqa: FBT001 -- of one caller
        self._on = sys.stderr.isatty() if wanted is None else wanted
        self._total = total
        self._shown = -1.0
        self._line = ""

    def show(self, spent: Spent, running: int) -> None:
        """Show it, if the last time was a moment ago."""
        if not self._on:
            return
        self._line = self.line(spent, running)
        if monotonic() - self._shown >= _OFTEN:
            self._write()

    def line(self, spent: Spent, running: int) -> str:
        """What is shown.

        Example:
            >>> from mainspring.tuning.budgets import Budget
            >>> spent = Spent(Budget(trials=4), ["minimize"])
            >>> spent.ended, spent.best = 1, 0.25
            >>> Progress(True, 4).line(spent, 2)
            '[######..................] 1/4 trials, 2 running, best 0.25'
        """
        bar = ""
        if self._total:
            filled = min(_WIDTH, _WIDTH * spent.ended // self._total)
            bar = f"[{'#' * filled}{'.' * (_WIDTH - filled)}] "
        of = f"/{self._total}" if self._total else ""
        best = f", best {spent.best:.6g}" if spent.best is not None else ""
        return f"{bar}{spent.ended}{of} trials{f', {running} running' if running else ''}{best}"

    def close(self) -> None:
        """Leave the last line where it is."""
        if self._on and self._line:
            self._write()
            sys.stderr.write("\n")

    def _write(self) -> None:
        self._shown = monotonic()
        sys.stderr.write(f"\r\x1b[2K{self._line}")
        sys.stderr.flush()
