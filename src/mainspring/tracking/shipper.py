"""The shipper: sends what is in a spool, in the background, until all of it is acknowledged."""

from __future__ import annotations

import contextvars
import logging
import threading
from collections import deque
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING

import msgspec

from mainspring.kernel.clock import monotonic
from mainspring.kernel.errors import Conflict, InternalError, MainspringError, StoreBusy, Unavailable
from mainspring.store.service import Storage
from mainspring.tracking.spool import Spool
from mainspring.tracking.types import FileRecord
from mainspring.tracking.upload import pieces

if TYPE_CHECKING:
    from mainspring.tracking.service import Tracking

__all__ = ["Shipper", "ship_rest"]

_log = logging.getLogger("mainspring.tracking")

_INTERVAL = 0.25
_MARKS = 4096
_BEAT = 5.0
_LONGEST_PAUSE = 30.0


class Shipper:
    """Sends one spool from a thread of its own. Nothing that goes wrong here reaches the code that logs."""

    def __init__(self, tracking: Tracking, spool: Spool, *, first: Callable[[], None] | None = None) -> None:
        """Start sending; `first` is done once in the thread, before anything else."""
        self._tracking = tracking
        self._spool = spool
        self._first = first
        self._sent = _Sent(spool)
        self._started = False
        self._changed = threading.Condition()
        self._urgent = threading.Event()
        self._stopping = False
        self._failure: MainspringError | None = None
        self._marks: deque[tuple[int, float]] = deque(maxlen=_MARKS)
        context = contextvars.copy_context()
        self._thread = threading.Thread(target=context.run, args=(self._work,), name="mainspring-shipper", daemon=True)
        self._thread.start()

    def flush(self, timeout: float) -> None:
        """Return when everything that was logged before is durable in the store.

        Raises:
            Unavailable: it could not be sent in time; it stays in the spool and is sent later.
            MainspringError: what the store answered, when it refuses.
        """
        target = self._spool.records
        deadline = monotonic() + timeout
        with self._changed:
            while self._sent.sequence < target:
                self._urgent.set()
                if self._failure is not None:
                    raise self._failure
                self._changed.wait(min(1.0, max(0.0, deadline - monotonic())))
                if self._sent.sequence < target and monotonic() >= deadline:
                    waiting = target - self._sent.sequence
                    message = f"{waiting} records could not be sent within {timeout:g} s"
                    raise Unavailable(message, hint="nothing is lost: they are in the spool and will be sent later")

    @property
    def waiting(self) -> int:
        """How many records are not acknowledged yet."""
        return self._spool.records - self._sent.sequence

    @property
    def lag(self) -> float:
        """Seconds for which the oldest record that is not acknowledged has waited, to a quarter of a second."""
        marks = list(self._marks)
        sent = self._sent.sequence
        if self._spool.records <= sent:
            return 0.0
        return monotonic() - next((at for count, at in marks if count > sent), monotonic())

    def stop(self) -> None:
        """End the thread; the spool goes when everything in it is acknowledged, and stays otherwise."""
        self._stopping = True
        self._urgent.set()
        self._thread.join()
        self._spool.close(remove=not self.waiting)

    def _work(self) -> None:
        try:
            if self._first is not None:
                self._first()
            self._ship()
        except MainspringError as error:
            _log.warning("the run's records are refused and stay in %s: %s", self._spool.path, error)
            self._fail(error)
        except Exception as error:  # noqa: BLE001 -- the end of the thread: flush tells it
            _log.exception("the run's records stay in %s", self._spool.path)
            self._fail(InternalError(f"the run's records could not be sent: {error}", hint="see the log"))

    def _ship(self) -> None:
        """Send and beat until told to stop; while the store is away, wait longer and longer."""
        pause, beat = _INTERVAL, monotonic()
        while True:
            self._urgent.wait(pause)
            self._urgent.clear()
            stopping = self._stopping
            self._mark()
            try:
                self._send()
                if monotonic() - beat > _BEAT:
                    self._tracking.beat(self._spool.header.start.run_id)
                    beat = monotonic()
                pause = _INTERVAL
            except (Unavailable, StoreBusy) as error:
                _log.debug("the run's records wait: %s", error)
                pause = min(pause * 2, _LONGEST_PAUSE)
            if stopping:
                return

    def _mark(self) -> None:
        """Remember how many records there are now, for `lag`; forget what is sent."""
        sent, records = self._sent.sequence, self._spool.records
        while self._marks and self._marks[0][0] <= sent:
            self._marks.popleft()
        if records > (self._marks[-1][0] if self._marks else sent) and len(self._marks) < _MARKS:
            self._marks.append((records, monotonic()))

    def _fail(self, error: MainspringError) -> None:
        with self._changed:
            self._failure = error
            self._changed.notify_all()

    def _send(self) -> None:
        """Send everything that is there."""
        if not self._started:
            self._tracking.start(self._spool.header.start)
            self._started = True
        while self.waiting and self._sent.next(self._tracking):
            with self._changed:
                self._changed.notify_all()
        self._sent.clear()


class _Sent:
    """How far a spool is acknowledged."""

    def __init__(self, spool: Spool) -> None:
        self.spool = spool
        self.sequence = spool.header.base
        self.position = spool.start

    def next(self, tracking: Tracking) -> bool:
        """Send the next batch; whether there was one."""
        batch = self.spool.batch(self.sequence, self.position, send=partial(_send_file, tracking, self.spool))
        if batch is None:
            return False
        header = self.spool.header
        run_id, writer = header.start.run_id, header.writer
        try:
            answer = tracking.append(run_id, writer=writer, sequence=batch.sequence, body=[batch.data])
        except Conflict as error:
            applied = error.details.get("applied", -1)
            if not self.sequence < applied <= batch.sequence + batch.count:
                raise
            # Sent before, in other batches, and the answer did not come: go on where the store is.
            self.position = self.spool.skip(self.position, applied - self.sequence)
            self.sequence = applied
            return True
        if answer.applied < batch.sequence + batch.count:
            raise Conflict(
                f"run {header.start.run_id}: the store acknowledged {answer.applied} records of {batch.count}"
            )
        self.sequence += batch.count
        self.position = batch.stop
        for name in batch.beside:
            self.spool.beside(name).unlink(missing_ok=True)
        return True

    def go_on_from(self, tracking: Tracking) -> None:
        """Pass over what the process sent before it died; files beside the spool may be gone since."""
        header = self.spool.header
        applied = tracking.append(header.start.run_id, writer=header.writer, sequence=0, body=[b""]).applied
        if applied > self.sequence:
            self.position = self.spool.skip(self.position, applied - self.sequence)
            self.sequence = applied

    def clear(self) -> None:
        """Give the room of what is acknowledged back, where it is much."""
        start = self.spool.clear(self.sequence)
        if start is not None:
            self.position = start


def _send_file(tracking: Tracking, spool: Spool, record: FileRecord) -> FileRecord:
    """Send the bytes of a file that lies beside the spool, which counts once like all bytes in the store."""
    place = spool.beside(record.beside)
    held = Storage(tracking._backend).put_blob(pieces(place))  # noqa: SLF001 -- another service at the same place
    return msgspec.structs.replace(record, beside="", digest=held.digest, size=held.size)


def ship_rest(tracking: Tracking, spool: Spool) -> int:
    """Send what is left in the spool of a dead process and remove it; how many records it had.

    A run that did not say how it ended is marked as crashed.
    """
    try:
        tracking.start(spool.header.start)
        sent = _Sent(spool)
        sent.go_on_from(tracking)
        while sent.next(tracking):
            pass
        if spool.header.main:
            tracking.mark_crashed(spool.header.start.run_id)
    except BaseException:
        spool.close(remove=False)
        raise
    spool.close(remove=True)
    return sent.sequence - spool.header.base
