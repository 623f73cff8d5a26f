"""The scheduler part: starts flows when they are due, listens to what happens outside, and looks at monitors and loops.

It wakes at the next moment that is due, or when something was committed that may matter, in this process or another:
between the two it sleeps. What is looked at every so often (monitors, loops, retention) has a thread of its own, and so
has each source: however long these take, no schedule waits for them. Any number of schedulers may run on one store.
"""

from __future__ import annotations

import logging
import signal
import threading
from collections.abc import Callable
from pathlib import Path
from types import FrameType

from mainspring.client.client import Client
from mainspring.kernel.clock import monotonic
from mainspring.kernel.context import Caller, acting_as
from mainspring.kernel.errors import MainspringError
from mainspring.kernel.hooks import TICKERS, load
from mainspring.pipelines.sources.listening import Listeners
from mainspring.pipelines.tick import fire_due, next_due, tick
from mainspring.store.local import LocalBackend
from mainspring.store.store import Store

__all__ = ["SYSTEM", "Scheduler", "run_scheduler", "tick_all"]

SYSTEM = Caller("mainspring", "default", ("admin",), "", "system")
"""Who acts when nobody asked: named so in the audit log."""

_REAP_SECONDS = 1.0
"""How often it is looked for workers that were lost: that nothing came from them is seen only by looking."""
_BREATH_SECONDS = 0.005
"""After a look that found nothing: so that a thousand commits a second are not a thousand looks."""
_RETRY_SECONDS = 0.5
_log = logging.getLogger("mainspring.scheduler")


class Scheduler:
    """One scheduler of one store.

    Args:
        client: An embedded client: a scheduler needs the database itself.
        others: Whether it looks at what is not of the pipelines as well: monitors, loops, retention.
    """

    def __init__(self, client: Client, *, others: bool = True) -> None:
        self._client = client
        self._store: Store = client.backend.store  # type: ignore[attr-defined]  # of the embedded client
        self._listeners = Listeners(self._store)
        self._others = others
        self._ending = threading.Event()

    def stop(self) -> None:
        """`run` returns soon."""
        self._ending.set()

    def run(self) -> None:
        """Start what is due until `stop`."""
        others = threading.Thread(target=self._look_at_others, name="mainspring-tickers", daemon=True)
        if self._others:
            others.start()
        reaped = 0.0
        try:
            while not self._ending.is_set():
                seen = self._store.database.commits.number
                try:
                    with acting_as(SYSTEM):
                        if monotonic() - reaped >= _REAP_SECONDS:
                            reaped = monotonic()
                            done = tick(self._store)
                            self._listeners.look()
                        else:
                            done = fire_due(self._store)
                        left = next_due(self._store)
                except Exception:  # noqa: BLE001 -- whatever a store says: the next look begins anew
                    _log.exception("the store could not be looked at, it is tried again")
                    self._ending.wait(_RETRY_SECONDS)
                    continue
                self._sleep(seen, reaped + _REAP_SECONDS - monotonic(), left, idle=done == 0)
        finally:
            self._ending.set()
            self._listeners.close()
            if self._others:
                others.join(_RETRY_SECONDS)

    def _sleep(self, seen: int, most: float, left: float | None, *, idle: bool) -> None:
        pause = max(0.0, most if left is None else min(most, left))
        if idle and pause:
            self._ending.wait(min(_BREATH_SECONDS, pause))
            pause -= _BREATH_SECONDS
        if pause > 0 and not self._ending.is_set():
            self._store.database.commits.wait(seen, pause)

    def _look_at_others(self) -> None:
        others: dict[str, str] = {name: address for name, address in TICKERS.items() if name != "pipelines"}
        while not self._ending.wait(self._store.settings.monitor_seconds):
            _tick(self._client, others)


def run_scheduler(folder: Path) -> None:
    """Start what is due on the store in a folder, until SIGTERM. Runs in the main thread."""
    with Store.open(folder) as store:
        scheduler = Scheduler(Client(LocalBackend(store), address=str(folder)))

        def end(signum: int, frame: FrameType | None) -> None:
            del signum, frame
            scheduler.stop()

        signal.signal(signal.SIGTERM, end)
        scheduler.run()


def tick_all(client: Client) -> None:
    """Call everything that is registered to be looked at; one that fails is logged and does not keep the others."""
    _tick(client, TICKERS)


def _tick(client: Client, tickers: dict[str, str]) -> None:
    for name, address in tickers.items():
        look: Callable[[Client], None]
        try:
            with acting_as(SYSTEM):
                look = load(address)
                look(client)
        except MainspringError as error:
            _log.error("%s: %s", name, error)
        except Exception:  # noqa: BLE001 -- the boundary of a ticker: a defect in one must not stop the rest
            _log.exception("%s failed", name)
