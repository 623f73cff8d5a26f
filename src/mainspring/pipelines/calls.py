"""One call of a step: what identifies it, how it is run, and what is recorded of it."""

from __future__ import annotations

import functools
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import nullcontext, suppress
from datetime import datetime
from typing import TYPE_CHECKING, Any

import msgspec

from mainspring.kernel.clock import now
from mainspring.kernel.errors import LostLease, MainspringError
from mainspring.kernel.hashing import digest_value
from mainspring.kernel.hooks import load
from mainspring.pipelines.calls_awaited import try_awaited
from mainspring.pipelines.calls_identity import Call, failed_call, tokens_in
from mainspring.pipelines.context import StepContext, inside_step
from mainspring.pipelines.coroutines import run_coroutine
from mainspring.pipelines.logs import caught
from mainspring.pipelines.options import Options, is_tried_again
from mainspring.pipelines.origins import Origins
from mainspring.pipelines.outside import Outside, address_of
from mainspring.pipelines.plans import Plan
from mainspring.pipelines.remote import failure_of
from mainspring.pipelines.starts import Starts
from mainspring.pipelines.tries import Tried, failed_try, is_light
from mainspring.pipelines.types import Attempt, FlowRun, StepRecord
from mainspring.pipelines.values import BlobPort, decode, digest
from mainspring.pipelines.values_clean import encode_clean
from mainspring.store.queue import backoff
from mainspring.trust.redaction import active, redacted

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

    from mainspring.kernel.operations import Operation
    from mainspring.pipelines.decorators import Step
    from mainspring.pipelines.service import Pipelines
    from mainspring.pipelines.spreading import Spread

__all__ = ["Calls"]


class Calls:
    """The calls of one session. Used by many threads."""

    def __init__(self, service: Pipelines, run: FlowRun, blobs: BlobPort, origins: Origins) -> None:
        self._service = service
        self.run_record = run
        self.blobs = blobs
        self.origins = origins
        self.outside = Outside(service, run, blobs, origins)
        self._address = address_of(service)
        self._backend = service._backend  # noqa: SLF001 -- services of one room share their backend
        self._operation: Operation = type(service).record.operation  # type: ignore[attr-defined]  # see `operation`
        self._embedded = getattr(self._backend, "store", None) is not None
        self._behind: list[StepRecord] = []
        """Steps that are recorded and whose lineage is not: it can be made of them, and is at the latest when the run
        ends or is taken over."""
        self._starts = Starts(self.announce, self.catch_up)
        self._plans: dict[Any, Plan] = {}
        self._lock = threading.Lock()
        self._fresh: dict[str, dict[str, str]] = {}
        self._gates: Any = None
        self.paused = False
        """Whether nothing more may begin: the run was paused, as far as the last record told, or the body was left."""
        self.left = False
        self.at_boundary: Callable[[], None] = lambda: None
        """Called before a call of a run that is paused."""

    @property
    def service(self) -> Pipelines:
        """Where they are recorded."""
        return self._service

    def plan(self, step: Step[..., Any]) -> Plan:
        """What is the same for every call of a step: of one with a cache, as long as the values it reaches are."""
        known = self._plans.get(step.function)
        found = Plan(step) if known is None else known.still_true(step) if step.options.cache else known
        if found is not known:
            with self._lock:
                self._plans[step.function] = found
                self._fresh[found.fingerprint] = found.code.parts
        return found

    def of(self, step: Step[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any], path: str) -> Call:
        """The call with its inputs."""
        plan = self.plan(step)
        given = plan.bind(args, kwargs)
        known = self.origins.digest
        inputs = {name: digest(value, known=known) for name, value in given.items()}
        return Call(self, step, plan, args, kwargs, given, inputs, path, -1)

    def of_map(self, step: Step[..., Any], spread: Spread, path: str) -> list[Call]:
        """The calls of a map; what is given to all of them is digested once."""
        plan, known = self.plan(step), self.origins.digest
        shared = {name: value for place, value in spread.shared.items() if (name := plan.name_at(place))}
        digests = {name: digest(value, known=known) for name, value in shared.items()}
        calls = []
        for number, (args, kwargs) in enumerate(spread):
            given = plan.bind(args, kwargs)
            inputs = {
                name: digests[name] if name in digests else digest(value, known=known) for name, value in given.items()
            }
            calls.append(Call(self, step, plan, args, kwargs, given, inputs, path, number))
        return calls

    def run(self, step: Step[..., Any], call: Call, *, spread: bool) -> Any:
        """Run a call with its retries, record it, and give its value or raise its error."""
        if self.paused:
            self.at_boundary()
        if step.options.cache and (value := self.from_cache(call)) is not None:
            return value[0]
        outside = self.outside.takes(step, spread=spread)
        started = now()
        self._starts.expect(call, started)
        attempt = 1
        while True:
            with self.gate(step.options, call):
                if outside:
                    tried = self._run_outside(step, call, started, attempt)
                elif step.is_async:
                    tried = run_coroutine(try_awaited(self, call, started, attempt))
                else:
                    tried = self._run_inside(step, call, started, attempt)
            ended = self.ended(step, call, tried)
            if isinstance(ended, Tried):
                return self.value_or_error(step, ended)
            time.sleep(ended)
            attempt += 1

    def ended(self, step: Step[..., Any], call: Call, tried: Tried) -> Tried | float:
        """Record what came of a try: what is final, or the seconds until the next."""
        options, error = step.options, tried.error
        if error is not None:
            attempt = tried.record.attempt
            if is_tried_again(options, attempt, error):
                self._starts.show(call)
                self.save([], {}, attempts=[failed_try(tried.record)])
                return backoff(attempt, base=options.delay)
            tried = self.or_fallback(step, call, tried)
        self._starts.forget(call)
        self.save([tried.record], {call.id: tried.log} if tried.log else {})
        return tried

    def or_fallback(self, step: Step[..., Any], call: Call, tried: Tried) -> Tried:
        """What a step gives when every try failed, where it says so; the error stays with the record."""
        fallback, error = step.options.fallback, tried.error
        if fallback is msgspec.UNSET or error is None:
            return tried
        try:
            value = fallback(error) if callable(fallback) else fallback
            output = self.encode(step, value)
        except Exception as second:  # noqa: BLE001 -- the boundary of the step: whatever it raised is recorded
            failed = msgspec.structs.replace(tried.record, error=failure_of(second).payload)
            return Tried(failed, tried.log, second)
        said = {"key": "", "uncached": "it is what the step gives when every try failed", "finished_at": now()}
        done = msgspec.structs.replace(tried.record, state="finished", output=output, **said)
        return Tried(done, tried.log, None, (value,))

    def gate(self, options: Options, call: Call) -> AbstractContextManager[Any]:
        """What holds a call up until the limits that its step names let it in."""
        return self.gates().held(call) if options.limits else nullcontext()

    def gates(self) -> Any:
        """The limits of this session."""
        with self._lock:
            if self._gates is None:
                self._gates = load("mainspring.pipelines.limits:Gates")(self._service, self.run_record)
        return self._gates

    def begun(self, call: Call, started: datetime) -> None:
        """A call has begun: it is recorded as running when it takes more than a moment."""
        self._starts.expect(call, started)

    def shown(self, call: Call) -> None:
        """Record a call as running now, unless that was done."""
        self._starts.show(call)

    def over(self, call: Call) -> None:
        """A call has ended, and its end is about to be recorded."""
        self._starts.forget(call)

    def announce(self, calls: Sequence[tuple[Call, datetime]]) -> None:
        """Record that calls run now: people see them, and what they make can name the step that made it."""
        self.save([call.record("running", started, attempt=1) for call, started in calls], {})

    def from_cache(self, call: Call) -> tuple[Any] | None:
        """The value of a call whose key is known, in a tuple; recorded as such."""
        if not call.key:
            return None
        found = self._service.cached(call.key, ttl=call.step.options.cache_ttl)
        if found is None:
            return None
        try:
            value = self.value_of(found, call.step)
        except MainspringError:
            return None  # its bytes are gone or damaged: it is made anew
        moment = now()
        fields = {"cached_from": found.cached_from or found.id, "output": found.output, "finished_at": moment}
        self.save([call.record("cached", moment, attempt=0, **fields)], {})
        return (value,)

    def save(self, records: list[StepRecord], logs: dict[str, str], *, attempts: Sequence[Attempt] = ()) -> None:
        """Record; durable when it returns. The lineage of a quick step follows within a moment, see `Starts`."""
        codes: dict[str, dict[str, str]] = {}
        if active():
            logs = {step_id: redacted(text) for step_id, text in logs.items()}
        if self._fresh:
            with self._lock:
                codes, self._fresh = self._fresh, {}
        lags = self._embedded and len(records) == 1 and not codes and not attempts and is_light(records[0])
        self._record(records, logs, codes, list(attempts), behind=[], lags=lags)
        if lags:
            with self._lock:
                self._behind += records

    def catch_up(self) -> None:
        """Write the lineage of the steps that are recorded without it."""
        with self._lock:
            behind, self._behind = self._behind, []
        if behind:
            self._record([], {}, {}, [], behind=behind, lags=False)

    def value_of(self, record: StepRecord, step: Step[..., Any]) -> Any:
        """The value that a record holds."""
        value = decode(record.output, self.blobs, allow_pickle=step.options.allow_pickle)
        self.origins.learn(value, record.output)
        return value

    def context(self, call: Call, attempt: int) -> StepContext:
        """What the call may know of itself."""
        return StepContext(
            step_id=call.id,
            run_id=self.run_record.id,
            flow=self.run_record.flow,
            name=call.step.name,
            path=call.path,
            item=call.item,
            attempt=attempt,
            store=self._address,
            run_attempt=self.run_record.attempt,
            secrets=call.step.options.secrets,
        )

    def print_live(self, call: Call, text: str) -> None:
        """Keep what a call prints while it runs."""
        self._service.append_step_log(
            self.run_record.id, attempt=self.run_record.attempt, step_id=call.id, text=redacted(text)
        )

    def _served(self) -> Pipelines:
        return self._service

    def close(self) -> None:
        """End the processes."""
        self._starts.close()
        with suppress(MainspringError):  # the run was taken over or ended, which made the lineage of its rows
            self.catch_up()
        self.outside.close()
        if self._gates is not None:
            self._gates.close()

    def identify(self, call: Call) -> dict[str, Any]:
        """What is recorded of a call whatever becomes of it."""
        step, plan = call.step, call.plan
        contents: dict[str, str] = {}
        key = uncached = ""
        if step.options.cache:
            contents = {name: digest(value) for name, value in call.given.items()}
            key, uncached = self._key(step, plan, contents)
        return {
            "id": call.id,
            "run_id": self.run_record.id,
            "path": call.path,
            "item": call.item,
            "name": step.name,
            "arguments": call.arguments,
            "inputs": call.inputs,
            "contents": contents,
            "code": plan.fingerprint,
            "environment": self.outside.environment(step),
            "key": key,
            "uncached": uncached,
            "uses": tuple(
                dict.fromkeys(token for value in call.given.values() for token in tokens_in(value, self.origins.blob))
            ),
        }

    def _record(
        self,
        records: list[StepRecord],
        logs: dict[str, str],
        codes: dict[str, dict[str, str]],
        attempts: list[Attempt],
        *,
        behind: list[StepRecord],
        lags: bool,
    ) -> None:
        """The operation `record`, without the check of arguments whose types are ours."""
        arguments: dict[str, Any] = {
            "run_id": self.run_record.id,
            "attempt": self.run_record.attempt,
            "steps": records,
            "logs": logs,
            "codes": codes,
            "attempts": attempts,
            "behind": behind,
            "lags": lags,
        }
        state = self._backend.invoke(self._service, self._operation, arguments)
        self.paused = self.left or state == "paused"

    def _run_outside(self, step: Step[..., Any], call: Call, started: datetime, attempt: int) -> Tried:
        future = self.outside.send(step, call, self.context(call, attempt))
        return self.outside.received(call, future, started, attempt)

    def _run_inside(self, step: Step[..., Any], call: Call, started: datetime, attempt: int) -> Tried:
        show = functools.partial(self._starts.show, call)
        here = inside_step(self.context(call, attempt), on_look=show, service=self._served)
        with caught(functools.partial(self.print_live, call)) as tail, here:
            try:
                value = step.function(*call.args, **call.kwargs)
                output = self.encode(step, value)
            except LostLease:
                raise
            except Exception as error:  # noqa: BLE001 -- the boundary of the step: whatever it raised is recorded
                return failed_call(call, started, attempt, error, tail.text())
        done = call.record("finished", started, attempt=attempt, finished_at=now(), output=output)
        return Tried(done, tail.text(), None, (value,))

    def encode(self, step: Step[..., Any], value: Any) -> Any:
        """A result as it is recorded."""
        return encode_clean(value, self.blobs, allow_pickle=step.options.allow_pickle, known=self.origins.written)

    def value_or_error(self, step: Step[..., Any], tried: Tried) -> Any:
        """What the body of the flow gets of the last try."""
        if tried.error is not None:
            raise tried.error
        if tried.value is None:
            return self.value_of(tried.record, step)
        self.origins.learn(tried.value[0], tried.record.output)
        return tried.value[0]

    def _key(self, step: Step[..., Any], plan: Plan, contents: dict[str, str]) -> tuple[str, str]:
        """The key under which other runs find the result, or why there is none. Nothing that is unknown is left out."""
        if plan.code.unknown:
            return "", f"code that cannot be digested: {', '.join(plan.code.unknown)}"
        if opaque := [name for name, found in contents.items() if not found]:
            return "", f"arguments that cannot be digested: {', '.join(opaque)}"
        parts = [step.name, step.options.version, plan.code.digest, contents, self.outside.environment(step)]
        return digest_value("step", parts), ""

    def _tokens(self, call: Call) -> Iterator[str]:
        for value in call.given.values():
            yield from tokens_in(value, self.origins.blob)
