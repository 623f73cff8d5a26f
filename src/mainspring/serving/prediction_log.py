"""The prediction log of a serving process: append first, answer second, seal into segments in the background.

Every deployment has its own append file (`spool.py`), so that a segment belongs to one model version. A spool is
sealed when it is large or old; a thread turns sealed spools into segments through the injected `store_segment`
and deletes the file when the segment is committed. What fails stays on disk and is tried again, at the
latest by the next process (`recover`).
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from pathlib import Path

from mainspring.kernel.clock import now_micros
from mainspring.kernel.errors import MainspringError
from mainspring.serving.spool import SUFFIX, Entry, Spool, SpoolHead, is_abandoned, read_spool

__all__ = ["PredictionLog", "StoreSegment"]

StoreSegment = Callable[[str, SpoolHead, list[Entry]], None]
"""`(name of the spool, its head, its entries)`: makes a durable segment of them, once per name, or raises."""

_LOG = logging.getLogger("mainspring.serving")


class PredictionLog:
    """Takes entries from request threads; thread-safe.

    Args:
        folder: Where append files live on this machine.
        store_segment: What seals entries into the store.
        max_rows: Rows after which a spool is sealed.
        max_seconds: Age after which a spool is sealed.
        durable: Whether every request waits for the disk (`fdatasync`): survives power loss, costs milliseconds.
    """

    def __init__(
        self,
        folder: Path,
        store_segment: StoreSegment,
        *,
        max_rows: int = 100_000,
        max_seconds: float = 60.0,
        durable: bool = False,
    ) -> None:
        self._folder = folder
        self._store_segment = store_segment
        self._max_rows = max_rows
        self._max_micros = int(max_seconds * 1_000_000)
        self._durable = durable
        self._open: dict[str, Spool] = {}
        self._sealed: list[Spool] = []
        self._lock = threading.Lock()
        self._storing = threading.Lock()
        self._wake = threading.Event()
        self._thread: threading.Thread | None = None
        self._closing = False

    def record(self, head: SpoolHead, entry: Entry) -> None:
        """Append one entry; when this returns, the death of the process does not lose it."""
        with self._lock:
            spool = self._open.get(head.deployment_id)
            if spool is None:
                spool = self._open[head.deployment_id] = Spool(self._folder, head, durable=self._durable)
                self._start()
            spool.append(entry)
            if spool.rows >= self._max_rows:
                self._seal(spool)
                self._wake.set()

    def flush(self) -> None:
        """Seal and store everything that was recorded until now; raises what the store raises."""
        with self._lock:
            for spool in list(self._open.values()):
                self._seal(spool)
        self._store_sealed()

    def recover(self) -> int:
        """Make segments of what dead processes left behind; returns how many spools there were."""
        found = 0
        for path in sorted(self._folder.glob(f"*{SUFFIX}")):
            if not self._mine(path) and is_abandoned(path):
                try:
                    self._store(path)
                    found += 1
                except (MainspringError, FileNotFoundError) as error:
                    _LOG.warning("%s stays: %s", path.name, error)
        return found

    def close(self) -> None:
        """Store what is left and stop; what cannot be stored now is recovered by the next process."""
        self._closing = True
        self._wake.set()
        if self._thread is not None:
            self._thread.join()
        try:
            self.flush()
        except MainspringError:
            _LOG.exception("predictions stay in %s until the next start", self._folder)
        finally:
            for spool in self._sealed:
                spool.close()  # gives up the lock: whoever starts next may take the file over

    def _store(self, path: Path) -> None:
        """Make the segment of an append file, then delete the file."""
        head, entries = read_spool(path)
        if found := list(entries):
            self._store_segment(path.name, head, found)
        path.unlink(missing_ok=True)

    def _mine(self, path: Path) -> bool:
        with self._lock:
            return any(spool.path == path for spool in (*self._open.values(), *self._sealed))

    def _seal(self, spool: Spool) -> None:
        self._open.pop(spool.head.deployment_id, None)
        self._sealed.append(spool)

    def _store_sealed(self) -> None:
        with self._storing:  # one segment is stored once, by the thread or by a caller of flush
            while self._sealed:
                spool = self._sealed[0]
                self._store(spool.path)
                spool.close()
                with self._lock:
                    self._sealed.remove(spool)

    def _start(self) -> None:
        if self._thread is None and not self._closing:
            self._thread = threading.Thread(target=self._run, name="prediction-log", daemon=True)
            self._thread.start()

    def _run(self) -> None:
        while not self._closing:
            self._wake.wait(timeout=self._max_micros / 4_000_000)
            self._wake.clear()
            with self._lock:
                for spool in list(self._open.values()):
                    if now_micros() - spool.opened >= self._max_micros:
                        self._seal(spool)
            try:
                self._store_sealed()
            except Exception:  # noqa: BLE001 -- logged; a background thread must not die of one failure
                _LOG.exception("a segment of the prediction log cannot be stored now; it is tried again")
