"""Executing a flow: what is known is not done again, what is done is recorded before the flow goes on.

A `Session` is one attempt at one flow run in one process. Calls of steps get their place from the order in which the
body makes them; a place that is finished answers from the record. `begin` fenced off every earlier attempt, so what two
processes that both believe in the same run record can never mix.
"""

from __future__ import annotations

import contextvars
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager, nullcontext
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any, cast

from mainspring.kernel.errors import Conflict, InvalidInput, LostLease
from mainspring.pipelines.calls import Call, Calls
from mainspring.pipelines.context import is_inside_step
from mainspring.pipelines.environment import current_environment
from mainspring.pipelines.logs import caught
from mainspring.pipelines.mapping import run_map
from mainspring.pipelines.origins import Origins
from mainspring.pipelines.presence import present
from mainspring.pipelines.remote import failure_of
from mainspring.pipelines.types import Location, Opened, StepRecord
from mainspring.pipelines.values import BlobPort, decode, encode

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mainspring.pipelines.decorators import Flow, Step
    from mainspring.pipelines.service import Pipelines
    from mainspring.store.service import RoomService

__all__ = ["Diverged", "Session", "begin", "blob_port", "current_session", "execute_flow", "run_here"]

_THREADS = 8


class Diverged(Conflict):
    """A resumed flow made another call than before at the same place, although its code is the same.

    Its body depends on something besides its parameters and its steps' results: the time, randomness, a file. Put that
    into a step.
    """

    code = "MS-3004"


class _Scope:
    """Where in the nest of flows the body is, and how many calls it has made there."""

    def __init__(self, prefix: str) -> None:
        self.prefix = prefix
        self.count = 0

    def next(self) -> str:
        path = f"{self.prefix}{self.count}"
        self.count += 1
        return path


_current: ContextVar[tuple[Session, _Scope] | None] = ContextVar("mainspring.pipelines.session", default=None)


def current_session() -> Session | None:
    """The session that this call belongs to: none inside a step, where other steps are ordinary functions."""
    found = _current.get()
    return found[0] if found is not None and not is_inside_step() else None


class Session:
    """One attempt at a flow run, in this process."""

    def __init__(self, service: Pipelines, opened: Opened) -> None:
        self.run = opened.run
        self.blobs = blob_port(service)
        self.origins = Origins()
        self.calls = Calls(service, self.run, self.blobs, self.origins)
        self._changed = opened.changed
        self._known: dict[str, dict[int, StepRecord]] = {}
        self._lock = threading.Lock()
        self._threads: ThreadPoolExecutor | None = None
        for record in opened.steps:
            self._known.setdefault(record.path, {})[record.item] = record

    def call(self, step: Step[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """One call of a step in the body."""
        return self._call(step, args, kwargs, self._next(), spread=False)

    def submit(self, step: Step[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Future[Any]:
        """One call of a step beside the body. Its place is taken now, so the order of completion does not matter."""
        path = self._next()
        with self._lock:
            self._threads = self._threads or ThreadPoolExecutor(_THREADS, thread_name_prefix="mainspring-step")
        context = contextvars.copy_context()
        return self._threads.submit(context.run, lambda: self._call(step, args, kwargs, path, spread=True))

    def map(self, step: Step[..., Any], items: Sequence[tuple[Any, ...]], broadcast: dict[str, Any]) -> list[Any]:
        """One call for each item, in parallel; the results in order."""
        path = self._next()
        calls = self.calls.of_map(step, items, broadcast, path)
        known = {call.item: found for call in calls if (found := self._recall(call)) is not None}
        results = {item: self._value(found, step) for item, found in known.items()}
        results |= run_map(self.calls, step, [call for call in calls if call.item not in known])
        return [results[number] for number in range(len(items))]

    def nested(self, flow: Flow[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """A flow called in a flow: its steps are steps of this run, under the place of the call."""
        with self.scope(f"{self._next()}."):
            return flow.function(*args, **kwargs)

    @contextmanager
    def scope(self, prefix: str = "") -> Iterator[None]:
        """Count calls from the beginning, under `prefix`, inside the block."""
        token = _current.set((self, _Scope(prefix)))
        try:
            yield
        finally:
            _current.reset(token)

    def close(self) -> None:
        """Stop what still runs."""
        if self._threads is not None:
            self._threads.shutdown(cancel_futures=True)
        self.calls.close()

    def _call(
        self, step: Step[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any], path: str, *, spread: bool
    ) -> Any:
        call = self.calls.of(step, args, kwargs, path)
        found = self._recall(call)
        return self._value(found, step) if found is not None else self.calls.run(step, call, spread=spread)

    def _next(self) -> str:
        found = _current.get()
        if found is None:
            raise InvalidInput("a step of a flow run was called where the run is not known")
        with self._lock:
            return found[1].next()

    def _recall(self, call: Call) -> StepRecord | None:
        """What is recorded at the place of a call, when it is the same call."""
        there = self._known.get(call.path)
        if not there:
            return None
        record = there.get(call.item)
        other = record or next(iter(there.values()))
        if other.name != call.step.name or (record is not None and not _same(record.inputs, call.inputs)):
            self._diverge(call, other)
            return None
        return record

    def _diverge(self, call: Call, record: StepRecord) -> None:
        if self._changed:
            with self._lock:  # the flow was edited: from here on it is done anew
                self._known = {path: known for path, known in self._known.items() if _before(path, call.path)}
            return
        recorded = f"{record.name}({', '.join(f'{key}={text}' for key, text in record.arguments.items())})"
        raise Diverged(
            f"flow {self.run.flow}, call {call.path}: the record has {recorded}, the body now calls {call.describe()}",
            hint="put what differs between two runs of the body (time, randomness, files) into a step",
            details={"recorded": recorded, "called": call.describe(), "path": call.path},
        )

    def _value(self, record: StepRecord, step: Step[..., Any]) -> Any:
        value = decode(record.output, self.blobs, allow_pickle=step.options.allow_pickle)
        self.origins.learn(value, record.output)
        return value


def run_here(service: Pipelines, flow: Flow[..., Any], arguments: dict[str, Any] | None, *, run_id: str = "") -> Any:
    """Run a flow in this process: a new run with `arguments`, or the next attempt of `run_id`."""
    from mainspring.engines.tasks_child import inside_task_process

    if inside_task_process():
        raise InvalidInput(
            f"the flow {flow.name} was started while its script was being imported by a task process",
            hint='put the start of the flow under: if __name__ == "__main__":',
        )
    with present(service) as worker:
        blobs = blob_port(service)
        params = {} if arguments is None else {name: encode(value, blobs) for name, value in arguments.items()}
        opened = begin(service, flow, run_id=run_id, params=params, worker=worker)
        return execute_flow(service, flow, opened, arguments)


def begin(
    service: Pipelines,
    flow: Flow[..., Any],
    *,
    run_id: str = "",
    params: dict[str, Any] | None = None,
    worker: str = "",
) -> Opened:
    """Become the one that executes a run of `flow`, with its code and environment recorded."""
    environment, code = current_environment(), flow.code()
    service.note_environment(environment)
    return service.begin(
        flow.name,
        run_id=run_id,
        location=flow.location() if not run_id else Location(),
        params=params or {},
        code=code.fingerprint,
        parts=code.parts,
        environment=environment.digest,
        worker=worker,
    )


def execute_flow(
    service: Pipelines,
    flow: Flow[..., Any],
    opened: Opened,
    arguments: dict[str, Any] | None = None,
    *,
    quiet: bool = False,
) -> Any:
    """Execute a flow run that was begun; records how it ended, and returns or raises what its body does.

    Args:
        service: Where it is recorded.
        flow: The flow.
        opened: What `begin` gave.
        arguments: The values of its parameters, where they are at hand; read from the run otherwise.
        quiet: Whether what it prints is caught by somebody else already.
    """
    run, blobs = opened.run, blob_port(service)
    if run.state == "finished":
        return decode(run.result, blobs)
    if arguments is None:
        arguments = {name: decode(value, blobs) for name, value in run.params.items()}
    session = Session(service, opened)
    with nullcontext() if quiet else caught() as tail:
        try:
            with session.scope():
                result = flow.function(**arguments)
            output = encode(result, blobs, known=session.origins.written)
        except LostLease:
            raise  # somebody else executes it, or it was cancelled: nothing may be recorded
        except BaseException as error:
            service.finish(
                run.id,
                attempt=run.attempt,
                state="failed" if isinstance(error, Exception) else "cancelled",
                error=failure_of(error).payload,
                log=tail.text() if tail else "",
            )
            raise
        finally:
            session.close()
    service.finish(run.id, attempt=run.attempt, result=output, log=tail.text() if tail else "")
    return result


class _ServerBlobs:
    """Blobs at a server."""

    def __init__(self, put: Callable[[list[bytes]], Any], get: Callable[[str], Any]) -> None:
        self._put, self._get = put, get

    def put(self, data: bytes, /) -> str:
        return str(self._put([data]).digest)

    def get(self, digest: str, /) -> bytes:
        return b"".join(self._get(digest))


def blob_port(service: RoomService) -> BlobPort:
    """Where the values of a service's flows lie."""
    from mainspring.store.service import Storage

    backend = service._backend  # noqa: SLF001 -- services of one room share their backend
    store = getattr(backend, "store", None)
    if store is not None:
        return cast("BlobPort", store.blobs)
    storage = Storage(backend)
    return _ServerBlobs(storage.put_blob, storage.get_blob)


def _same(recorded: dict[str, str], called: dict[str, str]) -> bool:
    """Whether two calls have the same inputs, as far as their digests can tell."""
    if set(recorded) != set(called):
        return False
    return all(not before or not called[name] or before == called[name] for name, before in recorded.items())


def _before(path: str, place: str) -> bool:
    return [int(part) for part in path.split(".")] < [int(part) for part in place.split(".")]
