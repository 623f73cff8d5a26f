"""The run of this process: what a training script holds while it logs.

`log` puts the values into the run's spool and returns; a thread sends them (see `spool` and `shipper`).
"""

from __future__ import annotations

import logging
import operator
import os
import threading
from collections.abc import Mapping
from contextvars import ContextVar
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from mainspring.kernel.clock import now_micros
from mainspring.kernel.context import caller
from mainspring.kernel.errors import Conflict, InvalidInput, MainspringError, Unavailable
from mainspring.tracking.environment import capture
from mainspring.tracking.frames import encode_frame
from mainspring.tracking.media import as_media
from mainspring.tracking.params import check_key, encode_params
from mainspring.tracking.run_media import MediaLogging
from mainspring.tracking.shipper import Shipper
from mainspring.tracking.spool import Spool
from mainspring.tracking.types import (
    FinishRecord,
    NoteRecord,
    ParamsRecord,
    PointsRecord,
    Record,
    RunStart,
    TagsRecord,
)

if TYPE_CHECKING:
    from mainspring.tracking.service import Tracking

__all__ = ["ActiveRun", "current_run", "log"]

_log = logging.getLogger("mainspring.tracking")

_PATIENCE = 30.0
_STEPS = 1 << 62
_current: ContextVar[ActiveRun | None] = ContextVar("mainspring.run", default=None)
_active: list[ActiveRun] = []


class ActiveRun(MediaLogging):
    """A run that goes on; made by `client.tracking.run(...)` or `ms.run(...)`, used as a context manager.

    Safe to use from many threads. A forked child may go on logging into it: it gets a spool of its own.

    Example:
        >>> import tempfile
        >>> from mainspring.client import connect
        >>> with connect(tempfile.mkdtemp()) as client:
        ...     with client.tracking.run("demo", params={"depth": 3}, source=False) as run:
        ...         run.log(loss=0.5)
        ...     client.tracking.get(run.id).metrics["loss"].value
        0.5
    """

    def __init__(
        self,
        tracking: Tracking,
        start: RunStart,
        folder: Path,
        *,
        source: bool,
        console: bool | str = False,
        system: bool | float = False,
    ) -> None:
        self.id = start.run_id
        self.start = start
        self._tracking = tracking
        self._folder = folder
        self._step = -1
        self._ended = False
        self._lock = threading.Lock()
        self._token: Any = None
        self._pid = os.getpid()
        self._spool = Spool.create(folder, start, workspace=caller().workspace)
        self._shipper: Shipper | None = Shipper(tracking, self._spool, first=self._look_around if source else None)
        _active.append(self)
        self._begin_companions(console=console, system=system)

    def log(self, metrics: Mapping[str, Any] | None = None, /, *, step: int | None = None, **values: Any) -> None:
        """Log values of metrics at a step; returns before they are sent, and `kill -9` right after loses none.

        Args:
            metrics: Values by name, for names that are no Python words: `{"val/loss": 0.4}`.
            step: An integer, in any order; one more than the greatest before when left out.
            **values: Values by name. Anything that `float` takes, NaN and infinities too; and media: `ms.Image(...)`,
                `ms.Table(...)`, figures, frames, which become series under their names.
        """
        if metrics:
            values = {**metrics, **values}
        if not values:
            raise InvalidInput("log was called without a value", hint="run.log(step=1, loss=0.4)")
        media: dict[str, Any] = {}
        try:
            numbers = _numbers(values)
        except InvalidInput:
            media = {check_key(key): value for key, value in values.items() if as_media(value) is not None}
            if not media:
                raise
            numbers = _numbers({key: value for key, value in values.items() if key not in media})
        if step is None:
            self._step += 1
            step = self._step
        else:
            step = _index(step)
            self._step = max(self._step, step)
        if numbers:
            self._write(PointsRecord(step, now_micros(), numbers))
        for key, value in media.items():
            self.log_media(value, key, step=step)

    def params(self, params: Any = None, /, **values: Any) -> None:
        """Record parameters: a mapping, a dataclass or a struct, nested as you like; see `flatten`."""
        texts = encode_params(params) if params is not None else {}
        texts.update(encode_params(values))
        if texts:
            self._write(ParamsRecord(texts))

    def tags(self, tags: Mapping[str, str] | None = None, /, **values: str) -> None:
        """Set tags; an empty text takes one away."""
        merged = {check_key(key): str(value) for key, value in {**(tags or {}), **values}.items()}
        if merged:
            self._write(TagsRecord(merged))

    def note(self, text: str) -> None:
        """Replace the run's note, in Markdown."""
        self._write(NoteRecord(text))

    def use(self, ref: str, *, role: str = "") -> None:
        """Record that the run used an artifact: `run.use("dataset/flights@3", role="training-data")`."""
        self._tracking.use(self.id, ref=ref, role=role)

    @property
    def waiting(self) -> int:
        """How many records are not yet in the store."""
        return self._shipper.waiting if self._shipper is not None and self._pid == os.getpid() else self._spool.records

    def flush(self, *, timeout: float = _PATIENCE) -> None:
        """Return when all that was logged before is durable in the store; `Unavailable` after `timeout` seconds."""
        if self._shipper is None or self._pid != os.getpid():
            raise Conflict("a forked child cannot flush", hint="its parent sends what it logged, when both have ended")
        self._shipper.flush(timeout)

    def finish(self, *, status: str = "finished", error: str = "", timeout: float = _PATIENCE) -> None:
        """End the run. When the store cannot be reached the rest waits in the spool, and the next run here sends it."""
        if self._shipper is None or self._pid != os.getpid():
            return  # a forked child does not end its parent's run
        with self._lock:
            if self._ended:
                return
            self._end_companions()
            self._write(FinishRecord(status, error))  # type: ignore[arg-type]  # the callers pass what it may be
            self._ended = True
        if self in _active:
            _active.remove(self)
        try:
            self._shipper.flush(timeout)
        except Unavailable:
            pass
        finally:
            self._shipper.stop()
        self._tracking.recover(run_id=self.id)

    def __enter__(self) -> Self:
        self._token = _current.set(self)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        _current.reset(self._token)
        self._end_companions(error)
        if error is None:
            self.finish()
        elif isinstance(error, KeyboardInterrupt | GeneratorExit):
            self.finish(status="cancelled", error=type(error).__name__)
        else:
            self.finish(status="failed", error=f"{type(error).__name__}: {error}"[:4000])

    def __repr__(self) -> str:
        return f"<run {self.start.experiment} {self.id}>"

    def _write(self, record: Record) -> None:
        if self._pid != os.getpid():
            self._fork()
        if self._ended:
            raise Conflict(f"run {self.id} has ended; nothing can be logged into it", hint="start another run")
        self._spool.append(encode_frame(record))

    def _fork(self) -> None:
        """In a forked child: the parent's file, thread and connections are not ours. The parent sends our spool."""
        self._pid = os.getpid()
        self._lock = threading.Lock()
        self._spool.close(remove=False)
        self._spool = Spool.create(self._folder, self.start, workspace=caller().workspace, main=False)
        self._shipper = None

    def _look_around(self) -> None:
        """In the shipper's thread, once: what takes too long to wait for. A run is worth more than its surroundings."""
        try:
            self._spool.append(encode_frame(capture()))
        except (MainspringError, OSError) as error:
            _log.warning("the surroundings of run %s could not be recorded: %s", self.id, error)


def current_run() -> ActiveRun:
    """The run of this context, or else the only one of this process; raises `Conflict` when there is none."""
    found = _current.get()
    if found is not None:
        return found
    if len(_active) == 1:
        return _active[0]
    many = f"{len(_active)} runs go on in this process" if _active else "no run goes on"
    raise Conflict(f"{many}, so that it is not clear where to log", hint='with ms.run("name") as run: run.log(...)')


def log(metrics: Mapping[str, Any] | None = None, /, *, step: int | None = None, **values: Any) -> None:
    """Log values of metrics into the run that goes on; see `ActiveRun.log`."""
    current_run().log(metrics, step=step, **values)


def _index(step: Any) -> int:
    try:
        number = operator.index(step)
    except TypeError:
        number = _STEPS
    if not -_STEPS < number < _STEPS:
        raise InvalidInput(f"step = {step!r} is not an integer below 2**62")
    return number


def _numbers(values: Mapping[str, Any]) -> dict[str, float]:
    return {check_key(key): value if type(value) is float else _number(key, value) for key, value in values.items()}


def _number(key: str, value: Any) -> float:
    try:
        return float(value.item() if hasattr(value, "item") else value)
    except (TypeError, ValueError, OverflowError, RuntimeError):
        raise InvalidInput(
            f"the value of metric {key!r} is not a number: {value!r:.60}", hint="texts go into params or tags"
        ) from None
