"""A session: one training that is logged, from the outermost call of a framework to its end.

What a framework calls inside of it (a pipeline its steps, a search its candidates) is part of it and logged once. It
logs into the run that goes on, or into one of its own that ends with it.
"""

from __future__ import annotations

import contextlib
import logging
import sys
import threading
import warnings
from collections.abc import Callable, Generator, Iterator, Mapping
from contextvars import ContextVar
from pathlib import Path
from types import FrameType
from typing import Any

from mainspring.autologging.model_files import keep_model
from mainspring.autologging.protocol import Options
from mainspring.kernel.clock import now_micros
from mainspring.kernel.errors import Conflict
from mainspring.kernel.hooks import load
from mainspring.kernel.ids import new_id
from mainspring.tracking.frames import encode_frame
from mainspring.tracking.params import encode_params
from mainspring.tracking.run import ActiveRun, current_run
from mainspring.tracking.types import FinishRecord, ParamsRecord, PointsRecord, RunStart

__all__ = ["Session", "active_run", "current", "is_part_of_another", "last_run", "opened"]

_log = logging.getLogger("mainspring.autologging")

_CLIENT = "mainspring.client.default:default_client"

_session: ContextVar[Session | None] = ContextVar("mainspring.autologging.session", default=None)
_inside: ContextVar[bool] = ContextVar("mainspring.autologging.inside", default=False)
_open: list[int] = []
_lock = threading.Lock()
_last: list[str] = []
_begun: set[str] = set()
"""The runs that began with a session and end with it."""
_counted: dict[str, int] = {}


class Session:
    """What hooks log through. Nothing here moves the step of the program's own `run.log`."""

    def __init__(self, framework: str, options: Options, run: ActiveRun, *, number: int = 1) -> None:
        self.framework, self.options, self.run = framework, options, run
        self.prefix = "" if number == 1 else f"fit-{number}/"
        """Before everything that is logged, from the second training of a run on."""
        self._warned = False

    def params(self, params: Mapping[str, Any]) -> None:
        """Parameters; of objects that are none, the name of their class."""
        plain = {f"{self.prefix}{key}": _plain(value) for key, value in params.items()}
        if plain:
            self.run.params(plain)

    def tags(self, **tags: Any) -> None:
        """Tags, under `autolog.`; what is empty is left out."""
        known = {key: value for key, value in tags.items() if value not in ("", None)}
        self.run.tags({f"{self.prefix}autolog.{key}": str(value) for key, value in known.items()})

    def log(self, values: Mapping[str, Any], *, step: int = 0) -> None:
        """Metrics at a step; what is no number is left out."""
        known = {f"{self.prefix}{key}": _number(value) for key, value in values.items()}
        numbers = {key: number for key, number in known.items() if number is not None}
        if numbers:
            self.run._write(PointsRecord(step, now_micros(), numbers))  # noqa: SLF001 -- log would count the step on

    def table(self, rows: Any, name: str) -> None:
        """A table."""
        self.run.log_table(rows, self.prefix + name)

    def text(self, text: str, name: str) -> None:
        """A text."""
        self.run.log_text(text, self.prefix + name)

    def model(self, model: Any, *, example: Any = None, native: Callable[[Path], Any] | None = None) -> None:
        """Keep a trained model with the run, registered where that is wanted; see `model_files.keep_model`."""
        with self.safely():
            keep_model(self.run, model, options=self.options, example=example, native=native, prefix=self.prefix)

    def child(self, title: str, *, params: Mapping[str, Any], metrics: Mapping[str, Any]) -> str:
        """A finished run below this one: a candidate of a search. Its id."""
        tracking, above = self.run._tracking, self.run.start  # noqa: SLF001 -- a session is the run's own business
        start = RunStart(new_id(), above.experiment, kind=above.kind, title=title, parent_id=self.run.id)
        numbers = {key: number for key, value in metrics.items() if (number := _number(value)) is not None}
        records = [
            ParamsRecord(encode_params({key: _plain(value) for key, value in params.items()})),
            PointsRecord(0, now_micros(), numbers),
            FinishRecord("finished"),
        ]
        tracking.start(start)
        body = [b"".join(encode_frame(record) for record in records)]
        tracking.append(start.run_id, writer="autolog", sequence=0, body=body)
        return start.run_id

    @contextlib.contextmanager
    def safely(self) -> Iterator[None]:
        """What is raised here is logged and goes no further: a training is worth more than its record."""
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            try:
                yield
            except Exception as error:  # noqa: BLE001 -- the boundary between our code and the user's training
                level = logging.DEBUG if self._warned else logging.WARNING
                self._warned = True
                trace = _log.isEnabledFor(logging.DEBUG)
                _log.log(level, "a part of the %s training is not logged: %s", self.framework, error, exc_info=trace)


def current() -> Session | None:
    """The session of this context."""
    return _session.get()


def is_part_of_another() -> bool:
    """Whether what is called now belongs to a training that goes on: in this context, or on a worker of joblib."""
    if _inside.get():
        return True
    if not _open or threading.get_ident() in _open:
        return False
    frame: FrameType | None = sys._getframe(1)  # noqa: SLF001 -- workers of joblib's threads have no context of their caller
    while frame is not None:
        if str(frame.f_globals.get("__name__", "")).startswith("joblib."):
            return True
        frame = frame.f_back
    return False


@contextlib.contextmanager
def opened(
    framework: str, options: Options, *, title: Callable[[], str], wanted: Callable[[], bool] | None = None
) -> Generator[Session | None]:
    """A session for one call; None when the call is not wanted or the store cannot be reached.

    When no run goes on, one begins here and ends with the call, however that ends.
    """
    inside = _inside.set(True)
    with _lock:
        _open.append(threading.get_ident())
    session = None
    try:
        session = _begin(framework, options, title, wanted)
        token = _session.set(session)
        try:
            yield session
        except BaseException as error:
            _end(session, error)
            raise
        finally:
            _session.reset(token)
        _end(session, None)
    finally:
        with _lock:
            _open.remove(threading.get_ident())
        _inside.reset(inside)


def _begin(
    framework: str, options: Options, title: Callable[[], str], wanted: Callable[[], bool] | None
) -> Session | None:
    """A session in the run that goes on, or in one that begins; None when that cannot be, or is not wanted."""
    try:
        if wanted is not None and not wanted():
            return None
        run = active_run()
        if run is None or run.id in _begun:  # another thread's, begun here and ended there
            run = load(_CLIENT)().tracking.run(options.experiment or _program(), title=title())
            run.__enter__()
            _begun.add(run.id)
            _last[:] = [run.id]
        _counted[run.id] = _counted.get(run.id, 0) + 1
        session = Session(framework, options, run, number=_counted[run.id])
    except Exception as error:  # noqa: BLE001 -- no store, no rights, no space: the training goes on without
        _log.warning("this training is not logged: %s", error)
        return None
    with session.safely():
        session.tags(framework=framework)
    return session


def _end(session: Session | None, error: BaseException | None) -> None:
    """End the run if it began with the session."""
    if session is None or session.run.id not in _begun:
        return
    with session.safely():
        try:
            session.run.__exit__(type(error) if error is not None else None, error, None)
        finally:
            _begun.discard(session.run.id)
            _counted.pop(session.run.id, None)


def active_run() -> ActiveRun | None:
    """The run that goes on here, if it is clear which."""
    try:
        return current_run()
    except Conflict:
        return None


def last_run() -> str:
    """The id of the run that was last begun here; empty before the first."""
    return _last[-1] if _last else ""


def _program() -> str:
    stem = Path(sys.argv[0]).stem if sys.argv and sys.argv[0].endswith(".py") else ""
    return stem if stem and not stem.startswith("_") else "autolog"


def _plain(value: Any) -> Any:
    if value is None or isinstance(value, bool | int | float | str):
        return value[:2000] if isinstance(value, str) else value
    if isinstance(value, Mapping):
        return {str(key): _plain(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(each) for each in value[:100]]
    if hasattr(value, "item") and getattr(value, "size", 0) == 1:
        return value.item()
    return getattr(value, "__name__", "") or type(value).__name__


def _number(value: Any) -> float | None:
    if isinstance(value, str | bytes) or value is None:
        return None
    try:
        return float(value.item() if hasattr(value, "item") else value)
    except (TypeError, ValueError, OverflowError, RuntimeError):
        return None

