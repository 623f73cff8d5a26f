"""`ms.sleep`, `ms.ask`, `ms.wait_for`: what the body of a flow waits for, for seconds or for weeks.

Each takes a place in the body, like the call of a step, and is a row: no process is held meanwhile, and none has to
survive. In a worker the body is left (`Suspended`), and begun again when what it waits for has come; its finished
steps give their results at once. In `flow.run(client)` it blocks.

    if ms.ask("Publish the model?", assignees=["ana"], deadline=86_400, default=False):
        publish(model)

`submit` waits beside the body, as that of a step does: two people are asked at once, and each answer is waited for
where it is needed.

    first, second = ms.ask.submit("Is it fair?"), ms.ask.submit("Is it cheap?")
    if first.result() and second.result(): ...
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Generic, Literal, TypeVar, overload

import msgspec

from mainspring.events.types import Emitted
from mainspring.kernel.clock import now
from mainspring.kernel.errors import DeadlineExceeded, InvalidInput
from mainspring.kernel.hashing import digest_value
from mainspring.pipelines.context import current_step, is_inside_step
from mainspring.pipelines.types_waits import Wait, Wanted
from mainspring.pipelines.waits_schema import mismatch, schema_of

if TYPE_CHECKING:
    from mainspring.pipelines.runtime import Session
    from mainspring.pipelines.service import Pipelines
    from mainspring.pipelines.types import FlowRun, Known

__all__ = ["Asked", "Interrupted", "Pending", "Suspended", "ask", "sleep", "wait_for", "waits_on"]

T = TypeVar("T")
_LOOK_SECONDS = 20.0
Moment = float | timedelta | datetime | None


class Suspended(BaseException):
    """The body of a flow was left: what it waits for has not come, or its run was paused. No error of anybody's.

    Not an `Exception`, so that `except Exception` in a body does not catch it.
    """

    def __init__(self, wait_id: str = "") -> None:
        super().__init__(wait_id)
        self.wait_id = wait_id


class Interrupted(KeyboardInterrupt):
    """Ctrl-C while the body waited: its run waits on without this process."""

    def __init__(self, run_id: str) -> None:
        super().__init__(f"flow run {run_id} waits on; go on here with my_flow.resume(client, {run_id!r})")
        self.run_id = run_id


@contextmanager
def waits_on(service: Pipelines, run: FlowRun, wait_id: str = "") -> Iterator[None]:
    """Let Ctrl-C inside the block leave a run that waits, or is paused, instead of ending it."""
    try:
        yield
    except KeyboardInterrupt:
        service.suspend(run.id, attempt=run.attempt, wait_id=wait_id)
        raise Interrupted(run.id) from None


class _Named(msgspec.Struct, frozen=True):
    name: str


class Asked(msgspec.Struct, frozen=True):
    """A place of a body that waits: what its session needs to know of it, in the words of a call of a step."""

    step: _Named
    wanted: Wanted
    kind: Any
    """The Python type of the answer."""
    arguments: dict[str, str]
    inputs: dict[str, str]
    path: str = ""
    item: int = -1

    def describe(self) -> str:
        """As it reads in code."""
        return f"{self.step.name}({', '.join(f'{name}={text}' for name, text in self.arguments.items())})"

    def value(self, answer: Any) -> Any:
        """An answer as its Python type."""
        return None if self.kind is None else msgspec.json.decode(msgspec.json.encode(answer), type=self.kind)


class Pending(Generic[T]):
    """What is waited for beside the body; `.result()` waits for it there."""

    def __init__(self, session: Session | None, asked: Asked, record: Known | None = None) -> None:
        self._session = session
        self._asked = asked
        self._record = record
        self._until = None if session else _until(asked.wanted)
        self._wait = self._open(session) if session is not None and record is None else None

    def done(self) -> bool:
        """Whether it came, as far as this process knows."""
        return self._record is not None or (self._wait is not None and self._wait.state != "open")

    def result(self) -> T:
        """The answer, the event, or None after a sleep.

        Raises:
            DeadlineExceeded: Its deadline came, and there is no default.
        """
        value: Any
        if self._record is not None:
            value = self._asked.value(self._record.output)
        elif self._session is None:
            time.sleep(max(0.0, ((self._until or now()) - now()).total_seconds()))
            value = None
        else:
            value = self._asked.value(self._await(self._session).answer)
        return value  # type: ignore[no-any-return]  # of the type that was asked for

    def _open(self, session: Session) -> Wait:
        asked = self._asked
        return session.calls.service.open_wait(
            session.run.id,
            attempt=session.run.attempt,
            path=asked.path,
            wanted=asked.wanted,
            arguments=asked.arguments,
            inputs=asked.inputs,
        )

    def _await(self, session: Session) -> Wait:
        wait = self._wait if self._wait is not None else self._open(session)
        while wait.state == "open":
            if session.leaves:
                raise session.leave(wait.id)
            with waits_on(session.calls.service, session.run, wait.id):
                session.calls.service.get_wait(wait.id, patience=_patience(wait))
                wait = self._open(session)  # as it is now: what is due is ended by asking again
            session.stop_at_boundary()
        if not session.leaves and self._wait is not wait:  # it may have been paused while nothing was recorded
            now_is = session.calls.service.get(session.run.id)
            session.calls.paused = now_is.state == "paused"
        self._wait = wait
        if wait.state == "expired":
            raise DeadlineExceeded(
                f"{self._asked.describe()} was not answered in time", hint="give a default, or catch DeadlineExceeded"
            )
        return wait


class _Sleep:
    """`sleep`."""

    def __call__(self, seconds: float | timedelta | None = None, *, until: datetime | None = None) -> None:
        """Go on later: after so many seconds, or at a moment. Outside of a run, an ordinary sleep.

        Args:
            seconds: From when the body came here first, however often it is begun again.
            until: Aware; taken as UTC otherwise.
        """
        self.submit(seconds, until=until).result()

    def submit(self, seconds: float | timedelta | None = None, *, until: datetime | None = None) -> Pending[None]:
        """Begin to count beside the body; `.result()` waits for what is left."""
        moment = seconds if until is None else until
        if moment is None or (seconds is not None and until is not None):
            raise InvalidInput("either seconds or until", hint="ms.sleep(60) or ms.sleep(until=moment)")
        after, until = _moment(moment)
        wanted = Wanted("sleep", after=after, until=until)
        shown = {"seconds": f"{after:g}"} if until is None else {"until": until.isoformat()}
        return _begin(Asked(_Named("sleep"), wanted, None, shown, {}))


class _Ask:
    """`ask`."""

    @overload
    def __call__(
        self,
        question: str,
        type: type[T],
        *,
        assignees: Sequence[str] = (),
        deadline: Moment = None,
        default: Any = ...,
    ) -> T: ...
    @overload
    def __call__(
        self, question: str, *, assignees: Sequence[str] = (), deadline: Moment = None, default: Any = ...
    ) -> bool: ...
    @overload
    def __call__(
        self,
        question: str,
        type: Any,
        *,
        assignees: Sequence[str] = (),
        deadline: Moment = None,
        default: Any = ...,
    ) -> Any: ...
    def __call__(
        self,
        question: str,
        type: Any = bool,  # noqa: A002
        *,
        assignees: Sequence[str] = (),
        deadline: Moment = None,
        default: Any = msgspec.UNSET,
    ) -> Any:
        """Ask people, and wait for the answer: `mainspring flow answer`, the console, `client.pipelines.answer`.

        Args:
            question: What they read.
            type: Of the answer, which is refused at once when it does not fit: bool, int, float, str, date,
                `Literal["small", "large"]`, a dataclass, a msgspec struct.
            assignees: Who may answer, by the names of their principals; everybody who may approve when empty.
            deadline: Seconds from now, a timedelta, or a moment.
            default: The answer when the deadline comes.

        Raises:
            DeadlineExceeded: The deadline came, and there is no default.
            InvalidInput: Not in the body of a flow run, or nobody can answer with that type.
        """
        return self.submit(question, type, assignees=assignees, deadline=deadline, default=default).result()

    def submit(
        self,
        question: str,
        type: Any = bool,  # noqa: A002
        *,
        assignees: Sequence[str] = (),
        deadline: Moment = None,
        default: Any = msgspec.UNSET,
    ) -> Pending[Any]:
        """Ask beside the body; `.result()` waits for the answer."""
        schema = schema_of(type)
        fallback = {} if default is msgspec.UNSET else {"value": _json(default)}
        if fallback and deadline is None:
            raise InvalidInput("a default is taken at a deadline, and there is none", hint="deadline=86_400")
        if fallback and (wrong := mismatch(schema, fallback["value"])):
            raise InvalidInput(f"the default does not fit: {wrong}")
        names = (assignees,) if isinstance(assignees, str) else tuple(assignees)
        after, until = _moment(deadline)
        wanted = Wanted(
            "ask", question=question, schema=schema, assignees=names, after=after, until=until, default=fallback
        )
        inputs = {"question": digest_value("text", question), "type": digest_value("schema", schema)}
        return _begin(Asked(_Named("ask"), wanted, type, {"question": question}, inputs))


class _WaitFor:
    """`wait_for`."""

    def __call__(
        self, kind: str, *, subject: str = "*", where: Mapping[str, Any] | None = None, timeout: Moment = None
    ) -> Emitted:
        """Wait for an event, and give it. One that happened since the run began counts, even before the body came here.

        Each event is given to one wait of a run: who waits three times gets three.

        Args:
            kind: Pattern of its kind: `model.alias.set`, `dataset.version.*`.
            subject: Pattern of what it is about: `model/flight-delay@*`.
            where: What its data must say: `{"name": "flights", "report.rows": 100}`.
            timeout: Seconds from now, a timedelta, or a moment.

        Raises:
            DeadlineExceeded: It did not happen in time.
        """
        return self.submit(kind, subject=subject, where=where, timeout=timeout).result()

    def submit(
        self, kind: str, *, subject: str = "*", where: Mapping[str, Any] | None = None, timeout: Moment = None
    ) -> Pending[Emitted]:
        """Begin to listen beside the body; `.result()` waits for the event."""
        conditions = {name: _json(value) for name, value in (where or {}).items()}
        after, until = _moment(timeout)
        wanted = Wanted("event", event=kind, subject=subject, where=conditions, after=after, until=until)
        shown = {"kind": kind, "subject": subject} | ({"where": str(conditions)} if conditions else {})
        inputs = {"event": digest_value("event", [kind, subject, conditions])}
        return _begin(Asked(_Named("wait"), wanted, Emitted, shown, inputs))


ask = _Ask()
sleep = _Sleep()
wait_for = _WaitFor()


def _begin(asked: Asked) -> Pending[Any]:
    from mainspring.pipelines.runtime import current_session

    session = current_session()
    if session is not None:
        return session.wait(asked)
    if is_inside_step():
        step = current_step()
        raise InvalidInput(
            f"the step {step.name if step else ''} cannot wait: {asked.describe()}",
            hint="call it in the body of the flow; a step that waited would hold its process",
        )
    if asked.wanted.kind == "sleep":
        return Pending(None, asked)
    raise InvalidInput(
        f"{asked.describe()} was called outside of a flow run, where nothing waits", hint="my_flow.run(client)"
    )


def _moment(given: Moment | Literal[0]) -> tuple[float | None, datetime | None]:
    if isinstance(given, datetime):
        return None, given
    seconds = given.total_seconds() if isinstance(given, timedelta) else given
    if seconds is not None and not seconds >= 0:
        raise InvalidInput(f"{seconds} seconds from now is over already")
    return (None if seconds is None else float(seconds)), None


def _until(wanted: Wanted) -> datetime | None:
    return wanted.until if wanted.after is None else now() + timedelta(seconds=wanted.after)


def _patience(wait: Wait) -> float:
    left = _LOOK_SECONDS if wait.due_at is None else (wait.due_at - now()).total_seconds()
    return max(0.0, min(_LOOK_SECONDS, left))


def _json(value: Any) -> Any:
    try:
        return msgspec.json.decode(msgspec.json.encode(value))
    except (TypeError, ValueError) as error:
        raise InvalidInput(f"{value!r} has no form in JSON: {error}") from None
