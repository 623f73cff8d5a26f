"""How runs end that nobody ended: with the process, finished, or failed where an exception ended it."""

from __future__ import annotations

import atexit
import logging
import os
import sys
from types import TracebackType
from typing import TYPE_CHECKING

from mainspring.kernel.errors import MainspringError

if TYPE_CHECKING:
    from mainspring.tracking.run import ActiveRun

__all__ = ["end_with_the_process"]

_log = logging.getLogger("mainspring.tracking")
_uncaught: list[BaseException] = []
_registered: list[int] = []


def end_with_the_process(active: list[ActiveRun]) -> None:
    """End the runs of this list when the process ends; asked once, it holds."""
    if _registered:
        return
    _registered.append(os.getpid())
    before = sys.excepthook

    def hook(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
        _uncaught.append(error)
        before(kind, error, trace)

    sys.excepthook = hook
    atexit.register(_end, active)


def _end(active: list[ActiveRun]) -> None:
    for run in list(active)[::-1]:
        try:
            if not _uncaught:
                run.finish()
            elif isinstance(_uncaught[-1], KeyboardInterrupt):
                run.finish(status="cancelled", error="KeyboardInterrupt")
            else:
                error = _uncaught[-1]
                run.finish(status="failed", error=f"{type(error).__name__}: {error}"[:4000])
        except MainspringError as error:
            _log.warning("run %s could not be ended: %s", run.id, error)
