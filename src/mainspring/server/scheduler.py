"""The scheduler part: looks, again and again, at everything that is due: schedules, expired leases, monitors, loops."""

from __future__ import annotations

import logging
import signal
import threading
from pathlib import Path
from types import FrameType

from mainspring.client.client import Client
from mainspring.kernel.context import Caller, acting_as
from mainspring.kernel.errors import MainspringError
from mainspring.kernel.hooks import TICKERS, load
from mainspring.store.local import LocalBackend
from mainspring.store.store import Store

__all__ = ["SYSTEM", "run_scheduler", "tick_all"]

SYSTEM = Caller("mainspring", "default", ("admin",), "", "system")
"""Who acts when nobody asked: named so in the audit log."""

_log = logging.getLogger("mainspring.scheduler")


def run_scheduler(folder: Path) -> None:
    """Tick until SIGTERM."""
    ending = threading.Event()

    def end(signum: int, frame: FrameType | None) -> None:
        del signum, frame
        ending.set()

    signal.signal(signal.SIGTERM, end)
    with Store.open(folder) as store:
        client = Client(LocalBackend(store), address=str(folder))
        while not ending.is_set():
            tick_all(client)
            ending.wait(store.settings.monitor_seconds)


def tick_all(client: Client) -> None:
    """Call everything that is registered to be looked at; one that fails is logged and does not keep the others."""
    for name, address in TICKERS.items():
        try:
            with acting_as(SYSTEM):
                load(address)(client)
        except MainspringError as error:
            _log.error("%s: %s", name, error)
        except Exception:  # noqa: BLE001 -- the boundary of a ticker: a defect in one must not stop the rest
            _log.exception("%s failed", name)
