"""One call of a step: what identifies it, how it is run, and what is recorded of it."""

from __future__ import annotations

import functools
import re
import threading
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import Future
from datetime import datetime
from typing import TYPE_CHECKING, Any

import msgspec

from mainspring.engines.tasks import Limits, ProcessDied, TaskEngine, open_tasks
from mainspring.kernel.clock import now
from mainspring.kernel.errors import DeadlineExceeded, InvalidInput, LostLease, MainspringError
from mainspring.kernel.hashing import digest_value
from mainspring.kernel.ids import new_id
from mainspring.pipelines.context import StepContext, inside_step
from mainspring.pipelines.environment import current_environment
from mainspring.pipelines.logs import caught
from mainspring.pipelines.options import is_tried_again
from mainspring.pipelines.origins import Origins
from mainspring.pipelines.remote import Answer, Request, failure_of
from mainspring.pipelines.starts import Starts
from mainspring.pipelines.types import FlowRun, StepRecord
from mainspring.pipelines.values import BlobPort, decode, digest, encode
from mainspring.store.queue import backoff

if TYPE_CHECKING:
    from mainspring.pipelines.code import Code
    from mainspring.pipelines.decorators import Step
    from mainspring.pipelines.service import Pipelines

__all__ = ["Call", "Calls"]

_SHOWN = 80
_REFERENCE = re.compile(r"[a-z][a-z\-]*/[^@\s]+@[^@\s]+")


class Call(msgspec.Struct, frozen=True):
    """A call before it is run."""

    id: str
    step: Any
    path: str
    item: int
    args: tuple[Any, ...]
    kwargs: dict[str, Any]
    arguments: dict[str, str]
    inputs: dict[str, str]
    contents: dict[str, str]
    uses: tuple[str, ...]
    code: str
    environment: str
    key: str
    uncached: str

    def describe(self) -> str:
        """As it reads in code, shortened."""
        return f"{self.step.name}({', '.join(f'{name}={text}' for name, text in self.arguments.items())})"

    def record(self, state: str, started: datetime, **fields: Any) -> StepRecord:
        """What is recorded of it now."""
        return StepRecord(
            id=self.id,
            run_id=fields.pop("run_id"),
            path=self.path,
            item=self.item,
            name=self.step.name,
            state=state,  # type: ignore[arg-type]  # one of StepState
            started_at=started,
            arguments=self.arguments,
            inputs=self.inputs,
            contents=self.contents,
            code=self.code,
            environment=self.environment,
            key=self.key if state == "finished" else "",
            uncached=self.uncached,
            uses=self.uses,
            **fields,
        )


class Calls:
    """The calls of one session. Used by many threads."""

    def __init__(self, service: Pipelines, run: FlowRun, blobs: BlobPort, origins: Origins) -> None:
        self._service = service
        self.run_record = run
        self.blobs = blobs
        self.origins = origins
        self._starts = Starts(self.announce)
        self._codes: dict[Any, Code] = {}
        self._engines: dict[str, TaskEngine] = {}
        self._lock = threading.Lock()
        self._fresh: dict[str, dict[str, str]] = {}

    def of(
        self, step: Step[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any], path: str, item: int = -1
    ) -> Call:
        """The call with its identity."""
        bound = step.signature.bind(*args, **kwargs)
        bound.apply_defaults()
        given = dict(bound.arguments)
        inputs = {name: digest(value, known=self.origins.digest) for name, value in given.items()}
        return self._identify(step, args, kwargs, path, item, given, inputs)

    def of_map(
        self, step: Step[..., Any], items: Sequence[tuple[Any, ...]], broadcast: dict[str, Any], path: str
    ) -> list[Call]:
        """The calls of a map; what is given to all of them is digested once."""
        shared = {name: digest(value, known=self.origins.digest) for name, value in broadcast.items()}
        calls = []
        for number, item in enumerate(items):
            bound = step.signature.bind(*item, **broadcast)
            bound.apply_defaults()
            given = dict(bound.arguments)
            inputs = {
                name: shared[name] if name in shared else digest(value, known=self.origins.digest)
                for name, value in given.items()
            }
            calls.append(self._identify(step, item, broadcast, path, number, given, inputs))
        return calls

    def run(self, step: Step[..., Any], call: Call, *, spread: bool) -> Any:
        """Run a call with its retries, record it, and give its value or raise its error."""
        if (value := self.from_cache(call)) is not None:
            return value[0]
        outside = self.goes_outside(step, spread=spread)
        started = now()
        if outside:
            self.announce([call], started)
        else:
            self._starts.expect(call, started)
        for attempt in range(1, step.options.retries + 2):
            if outside:
                record, log, error, value = self._run_outside(step, call, started, attempt)
            else:
                record, log, error, value = self._run_inside(step, call, started, attempt)
            last = error is None or not is_tried_again(step.options, attempt, error)
            if last:
                self._starts.forget(call)
                self.save([record], {record.id: log} if log else {})
                break
            time.sleep(backoff(attempt, base=step.options.delay))
        if error is not None:
            raise error
        if value is None:
            return self.value_of(record, step)
        self.origins.learn(value[0], record.output)
        return value[0]

    def announce(self, calls: Sequence[Call], started: datetime) -> None:
        """Record that calls run now: people see them, and what they make can name the step that made it."""
        self.save([call.record("running", started, run_id=self.run_record.id, attempt=1) for call in calls], {})

    def from_cache(self, call: Call) -> tuple[Any] | None:
        """The value of a call whose key is known, in a tuple; recorded as such."""
        if not call.key:
            return None
        found = self._service.cached(call.key)
        if found is None:
            return None
        try:
            value = self.value_of(found, call.step)
        except MainspringError:
            return None  # its bytes are gone or damaged: it is made anew
        moment = now()
        fields = {"cached_from": found.cached_from or found.id, "output": found.output, "finished_at": moment}
        self.save([call.record("cached", moment, run_id=self.run_record.id, attempt=0, **fields)], {})
        return (value,)

    def goes_outside(self, step: Step[..., Any], *, spread: bool) -> bool:
        """Whether a call runs in a process of its own."""
        options = step.options
        wanted = (
            options.where in ("process", "ray")
            or bool(options.timeout or options.memory)
            or (spread and options.where == "auto")
        )
        if not wanted or step.address:
            return wanted
        if spread and options.where == "auto" and not (options.timeout or options.memory):
            return False  # a function of a notebook runs in a thread
        raise InvalidInput(
            f"step {step.name} must run in a process of its own, which cannot import it",
            hint="define it at the top of a module",
        )

    def save(self, records: list[StepRecord], logs: dict[str, str]) -> None:
        """Record; durable when it returns."""
        run = self.run_record
        with self._lock:
            codes, self._fresh = self._fresh, {}
        self._service.record(run.id, attempt=run.attempt, steps=records, logs=logs, codes=codes)

    def value_of(self, record: StepRecord, step: Step[..., Any]) -> Any:
        """The value that a record holds."""
        value = decode(record.output, self.blobs, allow_pickle=step.options.allow_pickle)
        self.origins.learn(value, record.output)
        return value

    def send(
        self, step: Step[..., Any], call: Call, attempt: int, shared: dict[str, Any] | None = None
    ) -> Future[bytes]:
        """Give a call to a process. `shared` has keywords that are encoded already."""
        written = shared or {}
        own = {name: value for name, value in call.kwargs.items() if name not in written}
        request = Request(
            step=step.address,
            store=_address(self._service),
            args=[self.encode_input(value) for value in call.args],
            kwargs={**written, **{name: self.encode_input(value) for name, value in own.items()}},
            context=msgspec.to_builtins(self._context(call, attempt)),
            allow_pickle=step.options.allow_pickle,
        )
        limits = Limits(timeout=step.options.timeout, memory=step.options.memory)
        payload = msgspec.msgpack.encode(request)
        return self.engine(step).submit("mainspring.pipelines.remote:execute", payload, limits=limits)

    def encode_input(self, value: Any) -> Any:
        """An argument on its way to a process; nothing of it is kept but its large parts."""
        return encode(value, self.blobs, allow_pickle=True, known=self.origins.written)

    def received(
        self, step: Step[..., Any], call: Call, future: Future[bytes], started: datetime, attempt: int
    ) -> tuple[StepRecord, str, BaseException | None]:
        """What a process answered, as a record, what it printed, and the error if there was one."""
        run_id = self.run_record.id
        try:
            answer = msgspec.msgpack.decode(future.result(), type=Answer)
        except (ProcessDied, DeadlineExceeded, MainspringError) as error:
            failed = call.record(
                "failed", started, run_id=run_id, attempt=attempt, finished_at=now(), error=failure_of(error).payload
            )
            return failed, "", error
        if answer.failure is not None:
            failed = call.record(
                "failed", started, run_id=run_id, attempt=attempt, finished_at=now(), error=answer.failure.payload
            )
            return failed, answer.log, answer.failure.as_exception()
        done = call.record("finished", started, run_id=run_id, attempt=attempt, finished_at=now(), output=answer.output)
        return done, answer.log, None

    def engine(self, step: Step[..., Any]) -> TaskEngine:
        """Where the step runs when it runs outside: processes of this session, started when they are first needed."""
        from mainspring.pipelines.decorators import main_script

        kind = "ray" if step.options.where == "ray" else "process"
        with self._lock:
            if kind not in self._engines:
                module = self.run_record.location.address.partition(":")[0]
                preload = ["mainspring.pipelines.remote", "mainspring.client.client", "mainspring.store.local"]
                preload += [module] if module and module != "__main__" else []
                self._engines[kind] = open_tasks(kind, preload=preload, main=main_script())
            return self._engines[kind]

    def close(self) -> None:
        """End the processes."""
        self._starts.close()
        for engine in self._engines.values():
            engine.close()

    def _run_outside(
        self, step: Step[..., Any], call: Call, started: datetime, attempt: int
    ) -> tuple[StepRecord, str, BaseException | None, tuple[Any] | None]:
        return *self.received(step, call, self.send(step, call, attempt), started, attempt), None

    def _run_inside(
        self, step: Step[..., Any], call: Call, started: datetime, attempt: int
    ) -> tuple[StepRecord, str, BaseException | None, tuple[Any] | None]:
        run_id = self.run_record.id
        show = functools.partial(self._starts.show, call)
        with caught() as tail, inside_step(self._context(call, attempt), on_look=show):
            try:
                value = step.function(*call.args, **call.kwargs)
                output = encode(value, self.blobs, allow_pickle=step.options.allow_pickle, known=self.origins.written)
            except LostLease:
                raise
            except Exception as error:  # noqa: BLE001 -- the boundary of the step: whatever it raised is recorded
                failed = call.record(
                    "failed",
                    started,
                    run_id=run_id,
                    attempt=attempt,
                    finished_at=now(),
                    error=failure_of(error).payload,
                )
                return failed, tail.text(), error, None
        done = call.record("finished", started, run_id=run_id, attempt=attempt, finished_at=now(), output=output)
        return done, tail.text(), None, (value,)

    def _identify(
        self,
        step: Step[..., Any],
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
        path: str,
        item: int,
        given: dict[str, Any],
        inputs: dict[str, str],
    ) -> Call:
        code = self._codes.get(step.function)
        if code is None:
            code = self._codes[step.function] = step.code()
            self._fresh[code.fingerprint] = code.parts
        contents = {name: digest(value) for name, value in given.items()} if step.options.cache else {}
        key, uncached = self._key(step, code, contents) if step.options.cache else ("", "")
        return Call(
            id=new_id(),
            step=step,
            path=path,
            item=item,
            args=args,
            kwargs=kwargs,
            arguments={name: _short(value) for name, value in given.items()},
            inputs=inputs,
            contents=contents,
            uses=tuple(dict.fromkeys(token for value in given.values() for token in self._tokens(value))),
            code=code.fingerprint,
            environment=current_environment().digest,
            key=key,
            uncached=uncached,
        )

    def _key(self, step: Step[..., Any], code: Code, contents: dict[str, str]) -> tuple[str, str]:
        """The key under which other runs find the result, or why there is none. Nothing that is unknown is left out."""
        if code.unknown:
            return "", f"code that cannot be digested: {', '.join(code.unknown)}"
        if opaque := [name for name, found in contents.items() if not found]:
            return "", f"arguments that cannot be digested: {', '.join(opaque)}"
        parts = [step.name, step.options.version, code.digest, contents, current_environment().digest]
        return digest_value("step", parts), ""

    def _tokens(self, value: Any, depth: int = 0) -> Iterator[str]:
        """Digests, ids and references of artifacts in an argument, for the lineage."""
        if isinstance(value, str):
            if _REFERENCE.fullmatch(value):
                yield value
        elif isinstance(value, list | tuple) and depth < 3:
            for item in value[:1000]:
                yield from self._tokens(item, depth + 1)
        elif isinstance(value, dict) and depth < 3:
            for item in value.values():
                yield from self._tokens(item, depth + 1)
        elif isinstance(value, msgspec.Struct):
            yield from (
                found for name in ("id", "artifact_id", "ref") if isinstance(found := getattr(value, name, None), str)
            )
        elif blob := self.origins.blob(value):
            yield blob

    def _context(self, call: Call, attempt: int) -> StepContext:
        return StepContext(
            step_id=call.id,
            run_id=self.run_record.id,
            flow=self.run_record.flow,
            name=call.step.name,
            path=call.path,
            item=call.item,
            attempt=attempt,
            store=_address(self._service),
        )


def _short(value: Any) -> str:
    """A few words about a value, for people."""
    if value is None or isinstance(value, bool | int | float | str):
        text = repr(value)
    elif isinstance(value, list | tuple | dict | set):
        text = f"{type(value).__name__} of {len(value)}" if len(value) > 5 else repr(value)
    elif (shape := getattr(value, "shape", None)) is not None and isinstance(shape, tuple):
        text = f"{type(value).__name__} {' x '.join(map(str, shape))}"
    else:
        text = repr(value) if isinstance(value, msgspec.Struct) else type(value).__name__
    return text if len(text) <= _SHOWN else text[: _SHOWN - 3] + "..."


def _address(service: Pipelines) -> str:
    backend: Any = service._backend  # noqa: SLF001 -- services of one room share their backend
    store = getattr(backend, "store", None)
    return str(store.folder) if store is not None else str(backend.url)
