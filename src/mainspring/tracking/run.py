"""The run of this process: what a training script holds while it logs.

`log` puts the values into the run's spool and returns; a thread sends them (see `spool` and `shipper`).
"""

from __future__ import annotations

import logging
import operator
import os
import threading
import weakref
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

import msgspec

from mainspring.kernel.clock import now_micros
from mainspring.kernel.context import caller
from mainspring.kernel.errors import Conflict, InvalidInput, MainspringError, StorageError, Unavailable
from mainspring.tracking.endings import end_with_the_process
from mainspring.tracking.environment import capture
from mainspring.tracking.frames import checked_frame, encode_frame
from mainspring.tracking.media import as_media
from mainspring.tracking.params import check_key, encode_params
from mainspring.tracking.run_media import MediaLogging
from mainspring.tracking.shipper import Shipper
from mainspring.tracking.spool import Spool
from mainspring.tracking.summary import encode_rule, rule_tag
from mainspring.tracking.types import (
    FileRecord,
    FinishRecord,
    NoteRecord,
    ParamsRecord,
    Record,
    RunStart,
    TagsRecord,
)

if TYPE_CHECKING:
    from mainspring.tracking.service import Tracking

__all__ = ["ActiveRun", "current_run", "log", "offering"]

_log = logging.getLogger("mainspring.tracking")

_PATIENCE = 30.0
_STEPS = 1 << 62
_ENDS = ("finished", "failed", "cancelled")
_current: ContextVar[ActiveRun | None] = ContextVar("mainspring.run", default=None)
_offered: ContextVar[Callable[[], ActiveRun] | None] = ContextVar("mainspring.run.offered", default=None)
_active: list[ActiveRun] = []
_living: weakref.WeakSet[ActiveRun] = weakref.WeakSet()


def _in_a_child() -> None:
    for run in list(_living):
        run._halted = True  # noqa: SLF001 -- ours


os.register_at_fork(after_in_child=_in_a_child)


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
        main: bool = True,
        offline: bool = False,
        step: int = -1,
    ) -> None:
        self.id = start.run_id
        self.start = start
        self._tracking = tracking
        self._folder = folder
        self._step = step
        self._main = main
        self._offline = offline
        self._ended = False
        self._halted = False
        """Whether a call must look twice: the run has ended here, or this is a forked child."""
        self._lock = threading.Lock()
        self._token: Any = None
        self._pid = os.getpid()
        self._spool = Spool.create(folder, start, workspace=caller().workspace, main=main)
        self._shipper: Shipper | None = None
        if not offline:
            self._shipper = Shipper(tracking, self._spool, first=self._look_around if source else None)
        elif source:
            self._look_around()
        _active.append(self)
        _living.add(self)
        end_with_the_process(_active)
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
            values = {**metrics, **values} if values else metrics  # type: ignore[assignment]  # it is only read
        if self._halted:
            self._look_twice()
        spool = self._spool
        form = spool.forms.get(tuple(values))
        if form is None:
            self._log_checked(values, step)
            return
        number = step
        if number is None:
            with self._lock:
                number = self._step = self._step + 1
        try:  # names that were checked before, and numbers: a copy into memory
            if -_STEPS < number < _STEPS:
                spool.append_row(form, number, now_micros(), values.values())
                if number > self._step:
                    self._step = operator.index(number)
                return
        except StorageError:
            raise
        except Exception:  # noqa: BLE001, S110 -- something is no number; what it is is said below, in words
            pass
        self._log_checked(values, number)

    def _log_checked(self, values: Mapping[str, Any], step: Any) -> None:
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
            with self._lock:
                step = self._step = self._step + 1
        else:
            step = _index(step)
            self._step = max(self._step, step)
        if numbers:
            form = self._spool.forms.get(tuple(numbers)) or self._spool.form(tuple(numbers))
            self._spool.append_row(form, step, now_micros(), numbers.values())
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

    def define(self, pattern: str, *, summary: str = "last", goal: str = "", step_metric: str = "") -> None:
        """Say what the last word on some metrics is, and what they are drawn over.

        It does not change what is kept: the last, least, greatest and mean value of every metric are, and are found as
        `metrics.<name>`, `min(metrics.<name>)`, `max(...)`. `client.tracking.summary(run_id)` applies the rules.

        Args:
            pattern: A name or a pattern of names: `val/*`.
            summary: `last`, `min`, `max`, `mean`, or `best`, which needs a goal.
            goal: `minimize` or `maximize`.
            step_metric: The metric that is the x axis of these.
        """
        check_key(pattern)
        self._write(TagsRecord({rule_tag(pattern): encode_rule(summary, goal, step_metric)}))

    @property
    def waiting(self) -> int:
        """How many records are not yet in the store."""
        return self._shipper.waiting if self._shipper is not None and not self._stale else self._spool.records

    @property
    def lag(self) -> float:
        """For how many seconds the oldest of them has waited; 0 where nothing waits, and offline."""
        return self._shipper.lag if self._shipper is not None and not self._stale else 0.0

    def flush(self, *, timeout: float = _PATIENCE) -> None:
        """Return when all that was logged before is durable in the store; `Unavailable` after `timeout` seconds.

        Offline it is durable on this machine's disk when this returns.
        """
        if self._offline and not self._stale:
            self._spool.sync()
            return
        if self._shipper is None or self._stale:
            raise Conflict("a forked child cannot flush", hint="its parent sends what it logged, when both have ended")
        self._shipper.flush(timeout)

    def finish(self, *, status: str = "finished", error: str = "", timeout: float = _PATIENCE) -> None:
        """End the run. When the store cannot be reached the rest waits in the spool, and the next run here sends it.

        A process that only joined the run sends what it has and leaves the run as it is.

        Args:
            status: `finished`, `failed` or `cancelled`.
            error: What went wrong, in words.
            timeout: How many seconds to wait for the store.
        """
        if self._stale or self._pid != os.getpid():
            return  # a forked child does not end its parent's run
        with self._lock:
            if self._ended:
                return
            if status not in _ENDS:
                raise InvalidInput(f"status = {status!r} is no end of a run", known=_ENDS)
            end = FinishRecord(status, error, now_micros())  # type: ignore[arg-type]  # looked at in the next line
            checked_frame(end)
            self._end_companions()
            if self._main:
                self._write(end)
            self._ended = self._halted = True
        if self in _active:
            _active.remove(self)
        if self._shipper is None:
            self._spool.sync()
            self._spool.close(remove=False)
            return
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

    @property
    def _stale(self) -> bool:
        """Whether this is a forked child: what it wrote is its parent's to send."""
        return self._pid != os.getpid() or (self._shipper is None and not self._offline)

    def _write(self, record: Record) -> None:
        if self._halted:
            self._look_twice()
        self._spool.append(checked_frame(record))

    def _write_large(self, record: FileRecord, content: bytes | Path) -> None:
        """Keep a file whose bytes are too many for a record; they are copied now and sent like any record."""
        if self._halted:
            self._look_twice()
        checked_frame(record)
        name = self._spool.keep_beside(content)
        self._spool.append(encode_frame(msgspec.structs.replace(record, beside=name)))

    def _look_twice(self) -> None:
        if self._pid != os.getpid():
            self._fork()
        if self._ended:
            raise Conflict(f"run {self.id} has ended; nothing can be logged into it", hint="start another run")

    def _fork(self) -> None:
        """In a forked child: the parent's file, thread and connections are not ours. The parent sends our spool."""
        self._pid = os.getpid()
        self._lock = threading.Lock()
        self._spool.leave()
        self._spool = Spool.create(self._folder, self.start, workspace=caller().workspace, main=False)
        self._shipper = None
        self._main = False
        self._halted = self._ended

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
    offered = _offered.get()
    if offered is not None:
        return offered()
    if len(_active) == 1:
        return _active[0]
    many = f"{len(_active)} runs go on in this process" if _active else "no run goes on"
    raise Conflict(f"{many}, so that it is not clear where to log", hint='with ms.run("name") as run: run.log(...)')


@contextmanager
def offering(opener: Callable[[], ActiveRun] | None) -> Iterator[None]:
    """Inside the block `opener` gives the run that goes on, when somebody first logs into it; None for no run."""
    tokens = _offered.set(opener), _current.set(None)
    try:
        yield
    finally:
        _offered.reset(tokens[0])
        _current.reset(tokens[1])


def current_id(backend: object) -> str:
    """The run of this context where it goes on at the same place, or an empty text."""
    offered = _offered.get()
    found = _current.get() or (offered() if offered else None)
    if found is None or found._ended or found._tracking._backend is not backend:  # noqa: SLF001 -- ours
        return ""
    return found.id


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
