"""Executing a flow: what is known is not done again, what is done is recorded before the flow goes on.

A `Session` is one attempt at one flow run in one process. Calls of steps get their place from the order in which the
body makes them; a place that is finished answers from the record. `begin` fenced off every earlier attempt, so what two
processes that both believe in the same run record can never mix.
"""

from __future__ import annotations

import contextvars
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, nullcontext
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any, TypeVar, cast

import msgspec

from mainspring.kernel.errors import InvalidInput, LostLease
from mainspring.pipelines.calls import Calls
from mainspring.pipelines.calls_awaited import run_awaited
from mainspring.pipelines.context import is_inside_step
from mainspring.pipelines.coroutines import run_coroutine
from mainspring.pipelines.environment import current_environment
from mainspring.pipelines.finishing import ended_here, expected, heeding, record_failure, why_lost
from mainspring.pipelines.handles import Handle, resolved
from mainspring.pipelines.logs import Tail, caught
from mainspring.pipelines.mapping import run_map
from mainspring.pipelines.origins import Origins
from mainspring.pipelines.presence import present
from mainspring.pipelines.replay import Diverged, Replay
from mainspring.pipelines.types import FlowRun, Known, Location, Opened
from mainspring.pipelines.values import BlobPort, decode, encode
from mainspring.pipelines.waits import Asked, Interrupted, Pending, Suspended, waits_on
from mainspring.trust.redaction import redacted

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mainspring.pipelines.decorators import Flow, Step
    from mainspring.pipelines.service import Pipelines
    from mainspring.pipelines.spreading import Spread
    from mainspring.store.service import RoomService

__all__ = ["Diverged", "Session", "begin", "blob_port", "current_session", "execute_flow", "run_here"]

T = TypeVar("T")

_THREADS = 8


class _Scope:
    """Where in the nest of flows the body is, and how many calls it has made there."""

    def __init__(self, prefix: str) -> None:
        self.prefix = prefix
        self.widths: list[int] = []
        """Of each place, how many calls a map made there; -1 for a call that is not mapped."""

    def next(self, width: int) -> str:
        path = f"{self.prefix}{len(self.widths)}"
        self.widths.append(width)
        return path


_current: ContextVar[tuple[Session, _Scope] | None] = ContextVar("mainspring.pipelines.session", default=None)


def current_session() -> Session | None:
    """The session that this call belongs to: none inside a step, where other steps are ordinary functions."""
    found = _current.get()
    return found[0] if found is not None and not is_inside_step() else None


class Session:
    """One attempt at a flow run, in this process."""

    def __init__(self, service: Pipelines, opened: Opened, *, leaves: bool = False) -> None:
        self.run = opened.run
        self.leaves = leaves
        self.left: Suspended | None = None
        """Set when the body was left: nothing more of it is done, whatever it catches."""
        self.fire_at = opened.run.cause.fire_at or opened.run.created_at
        self.blobs = blob_port(service)
        self.origins = Origins()
        self.calls = Calls(service, self.run, self.blobs, self.origins)
        self.replay = Replay(opened, self.calls)
        self._lock = threading.Lock()
        self._scopes: dict[str, _Scope] = {}
        self._threads: ThreadPoolExecutor | None = None
        self.calls.at_boundary = self.stop_at_boundary

    def call(self, step: Step[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """One call of a step in the body; of one that is a coroutine, what the body awaits, with its place taken."""
        path = self._next()
        if step.is_async:
            return self._call_coroutine(step, args, kwargs, path)
        return self._call(step, args, kwargs, path, spread=False)

    def submit(self, step: Step[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Handle[Any]:
        """One call of a step beside the body. Its place is taken now, so the order of completion does not matter."""
        path = self._next()
        return self._beside(lambda: self._call(step, args, kwargs, path, spread=True))

    def submit_map(self, step: Step[..., Any], spread: Spread) -> Handle[list[Any]]:
        """`map` beside the body."""
        path = self._next(spread.width)
        return self._beside(lambda: self._map(step, spread, path))

    def _beside(self, make: Callable[[], T]) -> Handle[T]:
        with self._lock:
            self._threads = self._threads or ThreadPoolExecutor(_THREADS, thread_name_prefix="mainspring-step")
        context = contextvars.copy_context()
        handle: Handle[T] = Handle()

        def work() -> None:
            if not handle.set_running_or_notify_cancel():
                return
            try:
                handle.set_result(context.run(make))
            except BaseException as error:  # noqa: BLE001 -- the handle carries it to who asks for the result
                handle.set_exception(error)

        self._threads.submit(work).add_done_callback(lambda done: handle.cancel() if done.cancelled() else None)
        return handle

    def map(self, step: Step[..., Any], spread: Spread) -> list[Any]:
        """One call for each of what is spread, in parallel; the results in order."""
        return self._map(step, spread, self._next(spread.width))

    def _map(self, step: Step[..., Any], spread: Spread, path: str) -> list[Any]:
        calls = self.calls.of_map(step, spread, path)
        known = {call.item: found for call in calls if (found := self.replay.recall(call)) is not None}
        results = {item: self._value(found, step) for item, found in known.items()}
        results |= run_map(self.calls, step, spread, [call for call in calls if call.item not in known])
        return [results[number] for number in range(spread.width)]

    def wait(self, asked: Asked) -> Pending[Any]:
        """A place of the body that waits."""
        self.stop_at_boundary()
        placed = msgspec.structs.replace(asked, path=self._next())
        return Pending(self, placed, self.replay.recall(placed))

    def leave(self, wait_id: str = "") -> Suspended:
        """What leaves the body, to be raised there."""
        if self.left is None:
            self.left = Suspended(wait_id)
            self.calls.left = self.calls.paused = True
        return self.left

    def stop_at_boundary(self) -> None:
        """When the run was paused, leave the body, or wait here until the run is resumed."""
        while self.calls.paused:
            if self.leaves or self.left is not None:
                raise self.leave()
            with waits_on(self.calls.service, self.run):
                now = self.calls.service.watch(self.run.id, state="paused", attempt=self.run.attempt, patience=20.0)
            self.calls.paused = now.state == "paused" and now.attempt == self.run.attempt

    def nested(self, flow: Flow[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """A flow called in a flow: its steps are steps of this run, under the place of the call."""
        prefix = f"{self._next(0)}."
        if flow.parameters.fires:
            kwargs = flow.parameters.fill(args, kwargs, self.fire_at, flow.options.tz)
        if flow.is_async:
            return self._nested_coroutine(flow, args, kwargs, prefix)
        with self.scope(prefix):
            return flow.function(*args, **kwargs)

    async def _nested_coroutine(
        self, flow: Flow[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any], prefix: str
    ) -> Any:
        with self.scope(prefix):
            return await flow.function(*args, **kwargs)

    @contextmanager
    def scope(self, prefix: str = "") -> Iterator[None]:
        """Count calls from the beginning, under `prefix`, inside the block."""
        scope = self._scopes[prefix.removesuffix(".")] = _Scope(prefix)
        token = _current.set((self, scope))
        try:
            yield
        finally:
            _current.reset(token)

    def calls_made(self) -> dict[str, list[int]]:
        """What is at each place of the body, and of the flows in it; of a flow edited since its last attempt."""
        return {place: scope.widths for place, scope in self._scopes.items()} if self.replay.changed else {}

    def close(self) -> None:
        """Stop what still runs."""
        if self._threads is not None:
            self._threads.shutdown(cancel_futures=True)
        self.calls.close()

    def _call(
        self, step: Step[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any], path: str, *, spread: bool
    ) -> Any:
        if Handle.any_made:
            args, kwargs = resolved(args), resolved(kwargs)
        call = self.calls.of(step, args, kwargs, path)
        found = self.replay.recall(call)
        return self._value(found, step) if found is not None else self.calls.run(step, call, spread=spread)

    async def _call_coroutine(
        self, step: Step[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any], path: str
    ) -> Any:
        if Handle.any_made:
            import asyncio  # a flow that is no coroutine has no loop

            args, kwargs = await asyncio.to_thread(lambda: (resolved(args), resolved(kwargs)))
        call = self.calls.of(step, args, kwargs, path)
        found = self.replay.recall(call)
        return self._value(found, step) if found is not None else await run_awaited(self.calls, call)

    def _next(self, width: int = -1) -> str:
        found = _current.get()
        if found is None:
            raise InvalidInput("a step of a flow run was called where the run is not known")
        with self._lock:
            return found[1].next(width)

    def _value(self, known: Known, step: Step[..., Any]) -> Any:
        tree = known.output
        value = decode(tree, self.blobs, allow_pickle=step.options.allow_pickle)
        self.origins.learn(value, tree)
        return value


def run_here(
    service: Pipelines,
    flow: Flow[..., Any],
    arguments: dict[str, Any] | None,
    *,
    run_id: str = "",
    began: Callable[[FlowRun], None] | None = None,
) -> Any:
    """Run a flow in this process: a new run with `arguments`, or the next attempt of `run_id`.

    `began` is told of the run before its body is called.
    """
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
        if began is not None:
            began(opened.run)
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
        state=code.state,
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
    leaves: bool = False,
    tries_left: bool = False,
) -> Any:
    """Execute a flow run that was begun; records how it ended, and returns or raises what its body does.

    Args:
        service: Where it is recorded.
        flow: The flow.
        opened: What `begin` gave.
        arguments: The values of its parameters, where they are at hand; read from the run otherwise.
        quiet: Whether what it prints is caught by somebody else already.
        leaves: Whether this process is left when the body waits, by raising `Suspended`; otherwise it blocks.
        tries_left: Whether an error is followed by another attempt, of a worker.
    """
    run, blobs = opened.run, blob_port(service)
    if run.state == "finished":
        return decode(run.result, blobs)
    session = Session(service, opened, leaves=leaves)
    heeded = nullcontext() if leaves else heeding(service, run, session.calls.outside)
    printed = nullcontext() if quiet else caught(lambda text: service.append_log(run.id, text=redacted(text)))
    with printed as tail, expected(service, flow, run), heeded:
        try:
            if arguments is None:
                arguments = flow.bind_run(run, {name: decode(value, blobs) for name, value in run.params.items()})
            limited = session.calls.gates().held_by_flow(flow) if flow.options.limits else nullcontext()
            with limited, session.scope():
                result = flow.function(**arguments)
                if flow.is_async:
                    result = run_coroutine(result)
            if session.left is not None:
                raise session.left  # the body caught it, and went on without what it waits for
            output = encode(result, blobs, known=session.origins.written)
        except LostLease as lost:  # somebody else executes it, or it was ended: nothing may be recorded
            raise why_lost(service, run, lost) from lost
        except Interrupted:
            raise  # it waits on, without this process
        except Suspended as left:
            session.close()  # what runs beside the body is recorded before the run is left
            log = _said(tail)
            service.suspend(run.id, attempt=run.attempt, wait_id=left.wait_id, log=log)
            raise
        except BaseException as error:
            log = _said(tail)
            ended = record_failure(service, run, error, tries_left=tries_left, log=log)
            if not leaves:
                ended_here(service, flow, ended)
            raise
        finally:
            session.close()
    log, calls = _said(tail), session.calls_made()
    ended = service.finish(run.id, attempt=run.attempt, result=output, log=log, calls=calls)
    if not leaves:
        ended_here(service, flow, ended)
    return result


def _said(tail: Tail | None) -> str:
    """All that the body printed, to be recorded in place of what was sent of it meanwhile."""
    if tail is None:
        return ""
    tail.end()
    return redacted(tail.text())


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
