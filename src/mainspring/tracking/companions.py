"""What goes along with a run in its process: what is printed is heard, the machine is watched, cells are kept."""

from __future__ import annotations

import logging
import os
import re
import socket
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from mainspring.kernel.errors import InvalidInput, MainspringError
from mainspring.kernel.settings import read_settings
from mainspring.tracking.code_state import notebook
from mainspring.tracking.console_output import ConsoleOutput, Mode
from mainspring.tracking.system_metrics import SystemMetrics

__all__ = ["Companions", "check_console"]

_log = logging.getLogger("mainspring.tracking")

_MODES = ("off", "python", "process")


class Companions:
    """Begun with a run and ended before it. What goes wrong here is logged, and never reaches the program.

    Args:
        keep: Keeps bytes as a file of the run: `keep(path, data, media_type=, key=, step=, about=)`.
        log: Logs values at a step.
        console: `python`, `process` or `off`; True for what the settings say, False for `off`.
        system: Seconds between two looks at the machine, 0 or False for none; True for what the settings say.
        elapsed: Seconds since the run began, where it is continued.
        main: Whether the run is this process's own; another's output and figures get names of their own.
        folder: Of the store whose settings count; found from the working folder when left out.
    """

    def __init__(
        self,
        keep: Callable[..., Any],
        log: Callable[[int, Mapping[str, float]], Any],
        *,
        console: bool | str = True,
        system: bool | float = True,
        elapsed: float = 0.0,
        main: bool = True,
        folder: Path | None = None,
    ) -> None:
        settings = read_settings(folder)
        mode = check_console(settings.console_output if console is True else console)
        seconds = settings.system_seconds if system is True else float(system)
        place = "" if main else re.sub(r"[^\w.-]+", "-", f"{socket.gethostname()}-{os.getpid()}")
        self._keep = keep
        self._name = f"logs/output{'-' + place if place else ''}"
        self._cells = bool(notebook()) and mode != "off"
        self._console = ConsoleOutput(self._keep_output, mode=mode) if mode != "off" else None
        prefix = f"system/{place}/" if place else "system/"
        self._system: SystemMetrics | None = None
        if seconds:
            self._system = SystemMetrics(log, seconds=max(1.0, seconds), elapsed=elapsed, prefix=prefix)

    def stop(self, error: BaseException | None = None) -> None:
        """End all of them; what was printed and how an error came about are then with the run."""
        if self._system is not None:
            self._system.stop()
        if self._console is not None:
            self._console.stop(error)
        if self._cells and (cells := notebook()):
            try:
                self._keep(f"code/{cells[0]}", cells[1], media_type="text/x-python", about={"kind": "code"})
            except MainspringError as failure:
                _log.warning("the cells of the notebook are not kept: %s", failure)

    def _keep_output(self, number: int, data: bytes) -> None:
        path = f"{self._name}.{number}.log" if number else f"{self._name}.log"
        about = {"kind": "output", "lines": data.count(b"\n")}
        self._keep(path, data, media_type="text/plain", key=f"{self._name}.log", step=number, about=about)


def check_console(given: bool | str) -> Mode:  # noqa: FBT001 -- it is what the caller gave, not a switch
    """How to listen; False is `off`, and True what the settings say, which is `python` here."""
    mode = {True: "python", False: "off"}.get(given, given) if isinstance(given, bool) else given
    if mode not in _MODES:
        raise InvalidInput(f"console = {given!r} is not one of {', '.join(_MODES)}")
    return mode  # type: ignore[return-value]  # one of the three, as was just asked
