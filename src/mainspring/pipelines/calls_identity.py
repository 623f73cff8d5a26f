"""One call of a step before it is run: what it is given, what identifies it, and how it reads."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from datetime import datetime
from typing import TYPE_CHECKING, Any

import msgspec

from mainspring.kernel.clock import now
from mainspring.kernel.ids import new_id
from mainspring.pipelines.plans import Plan
from mainspring.pipelines.remote import failure_of
from mainspring.pipelines.tries import Tried
from mainspring.pipelines.types import StepRecord
from mainspring.trust.redaction import redacted

if TYPE_CHECKING:
    from mainspring.pipelines.calls import Calls
    from mainspring.pipelines.decorators import Step

__all__ = ["Call", "failed_call", "tokens_in"]

_SHOWN = 80
_REFERENCE = re.compile(r"[a-z][a-z\-]*/[^@\s]+@[^@\s]+")


class Call:
    """A call before it is run. What only a call that is really run needs is worked out when it is asked for."""

    __slots__ = ("_calls", "_id", "args", "given", "inputs", "item", "kwargs", "path", "plan", "step", "told")

    def __init__(
        self,
        calls: Calls,
        step: Step[..., Any],
        plan: Plan,
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
        given: dict[str, Any],
        inputs: dict[str, str],
        path: str,
        item: int,
    ) -> None:
        self._calls = calls
        self._id = ""
        self.step = step
        self.plan = plan
        self.args = args
        self.kwargs = kwargs
        self.given = given
        self.inputs = inputs
        self.path = path
        self.item = item
        self.told: dict[str, Any] | None = None

    @property
    def id(self) -> str:
        """Of the step's run in the lineage."""
        if not self._id:
            self._id = new_id()
        return self._id

    @property
    def code(self) -> str:
        """The fingerprint of the code that its step reaches."""
        return self.plan.fingerprint

    @property
    def identity(self) -> dict[str, Any]:
        """What is recorded of it whatever becomes of it: the same fields as in `StepRecord`."""
        if self.told is None:
            self.told = self._calls.identify(self)
        return self.told

    @property
    def key(self) -> str:
        """Under which other runs find the result; empty when they may not."""
        return str(self.identity["key"]) if self.step.options.cache else ""

    @property
    def arguments(self) -> dict[str, str]:
        """A short text of each argument, for people."""
        return {name: redacted(_short(value)) for name, value in self.given.items()}

    def describe(self) -> str:
        """As it reads in code, shortened."""
        return f"{self.step.name}({', '.join(f'{name}={text}' for name, text in self.arguments.items())})"

    def record(self, state: str, started: datetime, **fields: Any) -> StepRecord:
        """What is recorded of it now."""
        identity = self.identity
        if state != "finished" and identity["key"]:
            identity = {**identity, "key": ""}
        return StepRecord(state=state, started_at=started, **{**identity, **fields})  # type: ignore[arg-type]  # one of StepState


def failed_call(call: Call, started: datetime, attempt: int, error: Exception, log: str) -> Tried:
    """A try that raised."""
    payload = failure_of(error).payload
    return Tried(call.record("failed", started, attempt=attempt, finished_at=now(), error=payload), log, error)


def tokens_in(value: Any, blob_of: Callable[[Any], str], depth: int = 0) -> Iterator[str]:
    """Digests, ids and references of artifacts in an argument, for the lineage."""
    if isinstance(value, str):
        if "@" in value and _REFERENCE.fullmatch(value):
            yield value
    elif value is None or isinstance(value, int | float):
        return
    elif isinstance(value, list | tuple) and depth < 3:
        for item in value[:1000]:
            yield from tokens_in(item, blob_of, depth + 1)
    elif isinstance(value, dict) and depth < 3:
        for item in value.values():
            yield from tokens_in(item, blob_of, depth + 1)
    elif isinstance(value, msgspec.Struct):
        yield from (
            found for name in ("id", "artifact_id", "ref") if isinstance(found := getattr(value, name, None), str)
        )
    elif blob := blob_of(value):
        yield blob


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
