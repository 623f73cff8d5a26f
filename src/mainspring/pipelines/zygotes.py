"""The processes that fork the processes of flows: one that has imported Mainspring, and a few that have a flow as well.

The first run of a flow imports its module in a process of its own. Where more follow, they are forked from one that has
imported it, as long as its files stay what they are (`preloading`).
"""

from __future__ import annotations

import sys
import threading
from collections import OrderedDict
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from mainspring.engines.tasks_process import ProcessEngine
from mainspring.kernel.clock import monotonic
from mainspring.pipelines.types import Location

__all__ = ["MOST_SECONDS", "Forge", "engine_kept", "forge"]

MOST_SECONDS = 300.0
"""How old what was imported may be: a module may have asked for the date."""

_WIDTH = 64
_MOST = 4
_OURS = [
    "mainspring.pipelines.executing",
    "mainspring.pipelines.service",
    "mainspring.pipelines.warming",
    "mainspring.client.client",
    "mainspring.store.local",
    "mainspring.store.sqlite",
    "polars",
]
_POSTGRES = "mainspring.store.postgres"
_Key = tuple[tuple[str, ...], str, str]


class _Zygote:
    """An engine whose processes have a flow's module, and how many runs use it."""

    def __init__(self, engine: ProcessEngine) -> None:
        self.engine = engine
        self.users = 0
        self.used = monotonic()
        self.dropped = False


class Forge:
    """Where the processes of a worker's flows come from. Used by many threads."""

    def __init__(self) -> None:
        self._plain = ProcessEngine(_WIDTH, recycle=1, preload=_ours())
        self._plain.warm()
        self._kept: OrderedDict[_Key, _Zygote] = OrderedDict()
        self.refused: dict[_Key, str] = {}
        """Why processes with these flows are not forked: each run imports them itself."""
        self._lock = threading.Lock()

    @contextmanager
    def place(self, location: Location) -> Iterator[tuple[ProcessEngine, bool]]:
        """An engine for a run at this location, and whether its processes have the flow's module."""
        key = _key(location)
        with self._lock:
            found = self._kept.get(key)
            if found is not None:
                self._kept.move_to_end(key)
                found.users += 1
        if found is None:
            yield self._plain, False
            return
        try:
            yield found.engine, True
        finally:
            with self._lock:
                found.users -= 1
                found.used = monotonic()
                idle = found.users == 0 and found.dropped
            if idle:
                found.engine.close()

    def keep(self, location: Location) -> None:
        """Have a process import the flow for the next run of it; drop those that nobody needs any more."""
        key = _key(location)
        with self._lock:
            late = monotonic() - MOST_SECONDS
            closing = [self._drop(each) for each, held in list(self._kept.items()) if held.used < late]
            if location.address and key not in self._kept and key not in self.refused:
                closing += [self._drop(next(iter(self._kept)))] if len(self._kept) >= _MOST else []
                self._kept[key] = made = _Zygote(_engine_at(location))
                made.engine.warm()
        for each in closing:
            if each.users == 0:
                each.engine.close()

    def refuse(self, location: Location, reason: str) -> None:
        """Drop the processes that have this flow: something was edited, or they must not be forked at all."""
        key = _key(location)
        with self._lock:
            if reason != "stale":
                self.refused[key] = reason
            dropped = self._drop(key) if key in self._kept else None
        if dropped is not None and dropped.users == 0:
            dropped.engine.close()

    def close(self) -> None:
        """Give all processes back."""
        with self._lock:
            kept, self._kept = self._kept, OrderedDict()
        for each in kept.values():
            each.engine.close()
        self._plain.close()

    def _drop(self, key: _Key) -> _Zygote:
        found = self._kept.pop(key)
        found.dropped = True
        return found


_lock = threading.Lock()
_users = 0
_forge: Forge | None = None


def forge() -> Forge:
    """The processes of this worker: each executes one flow and ends."""
    global _forge  # noqa: PLW0603 -- one for all handlers of a process
    with _lock:
        if _forge is None:
            _forge = Forge()
        return _forge


@contextmanager
def engine_kept() -> Iterator[None]:
    """Give the processes back when the last worker of this process has left the block."""
    global _forge, _users  # noqa: PLW0603
    with _lock:
        _users += 1
    forge()
    try:
        yield
    finally:
        with _lock:
            _users -= 1
            last, _forge = (_forge, None) if _users == 0 else (None, _forge)
        if last is not None:
            last.close()


def _engine_at(location: Location) -> ProcessEngine:
    paths = [path for path in location.sys_path if path not in sys.path] + sys.path
    module = location.address.partition(":")[0]
    own = [] if location.main or module == "__main__" else [module]
    return ProcessEngine(
        _WIDTH,
        recycle=1,
        preload=[*_ours(), "mainspring.pipelines.preloading", *own, "mainspring.pipelines.warming_flows"],
        main=location.main,
        cwd=location.cwd if location.cwd and Path(location.cwd).is_dir() else "",
        sys_path=paths,
    )


def _ours() -> list[str]:
    """What every flow's process needs; the driver of PostgreSQL where this worker's store uses it."""
    return [*_OURS, *([_POSTGRES, "psycopg"] if _POSTGRES in sys.modules else [])]


def _key(location: Location) -> _Key:
    return location.sys_path, location.cwd, location.main or location.address.partition(":")[0]
