"""What a resumed flow knows already: which calls are finished, whether the body makes the same ones, and which moved.

A call is known by its place. When the flow's code is the same, another call at a known place is an error, `Diverged`.
When the flow was edited, it is what was wanted: from there on calls are known by what they are, their step, its code
and their inputs, wherever they are now, so that only what changed is run. A finished step whose own code was edited is
run again.
"""

from __future__ import annotations

import threading
from collections import deque
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import msgspec

from mainspring.kernel.clock import now
from mainspring.kernel.errors import Conflict, MainspringError
from mainspring.kernel.ids import new_id
from mainspring.pipelines.edits import is_edited
from mainspring.pipelines.types import Known, Opened, StepRecord

if TYPE_CHECKING:
    from mainspring.pipelines.calls import Calls
    from mainspring.pipelines.calls_identity import Call
    from mainspring.pipelines.waits import Asked

__all__ = ["Diverged", "Replay"]

_encode = msgspec.json.Encoder().encode
_Identity = tuple[str, str]


class Diverged(Conflict):
    """A resumed flow made another call than before at the same place, although its code is the same.

    Its body depends on something besides its parameters and its steps' results: the time, randomness, a file. Put that
    into a step. `details["arguments"]` has, for each argument that differs, what it was and what it is.
    """

    code = "MS-3004"


class Replay:
    """The finished calls of the attempts before. Used by many threads."""

    def __init__(self, opened: Opened, calls: Calls) -> None:
        self._flow = opened.run.flow
        self.changed = opened.changed
        self._calls = calls
        self._lock = threading.Lock()
        self._known = {(each.path, each.item): each for each in opened.steps}
        self._places = {each.path: each for each in opened.steps}
        self._edited: dict[tuple[str, str], bool] = {}
        self._moved: dict[_Identity, deque[Known]] = {}

    def recall(self, call: Call | Asked) -> Known | None:
        """What is recorded of a call; None when it is to be run.

        Raises:
            Diverged: The record has another call at its place, and the flow's code is the same.
        """
        if not self._places and not self._moved:
            return None
        found = self._known.get((call.path, call.item))
        there = found or self._places.get(call.path)
        if there is None:
            return self._moved_here(call)
        if there.name != call.step.name or (found is not None and not _same(found, call.inputs)):
            if not self.changed:
                raise self._diverged(call, there)
            self._forget_from(call.path)
            return self._moved_here(call)
        if found is not None and self._is_edited(found, call):
            return None  # it is run again, and what comes of it decides about those after it
        return found

    def _is_edited(self, known: Known, call: Call | Asked) -> bool:
        """Whether the code of a finished step is another now: its functions, classes and constants, not its state."""
        plan = getattr(call, "plan", None)
        if plan is None or not known.code or known.code == plan.fingerprint:
            return False
        pair = (known.code, plan.fingerprint)
        if pair not in self._edited:
            before = self._calls.service.code_parts(known.code)
            self._edited[pair] = is_edited(before, plan.code.parts, plan.code.state)
        return self._edited[pair]

    def _forget_from(self, path: str) -> None:
        """From this place on calls are known by what they are and not by where."""
        with self._lock:
            place = _order(path)
            gone = [known for known in self._known.values() if _order(known.path) >= place]
            self._known = {key: known for key, known in self._known.items() if _order(known.path) < place}
            self._places = {each: known for each, known in self._places.items() if _order(each) < place}
            for known in sorted(gone, key=lambda each: (_order(each.path), each.item)):
                if "" not in known.inputs.values():  # an input without a digest could be anything
                    self._moved.setdefault((known.name, known.written), deque()).append(known)

    def _moved_here(self, call: Call | Asked) -> Known | None:
        if not self._moved:
            return None
        with self._lock:
            waiting = self._moved.get((call.step.name, _encode(call.inputs).decode()))
            found = next((each for each in waiting or () if not self._is_edited(each, call)), None)
            if waiting is None or found is None:
                return None
            waiting.remove(found)
        moment = now()
        moved = StepRecord(
            id=new_id(),
            run_id=self._calls.run_record.id,
            path=call.path,
            item=call.item,
            name=call.step.name,
            state="cached",
            attempt=0,
            started_at=moment,
            finished_at=moment,
            arguments=call.arguments,
            inputs=call.inputs,
            code=found.code,
            cached_from=found.id,
            output=found.output,
        )
        self._calls.save([moved], {})
        return found

    def _diverged(self, call: Call | Asked, known: Known) -> Diverged:
        before: dict[str, str] = {}
        with suppress(MainspringError):  # the message is only less precise
            before = self._calls.service.why_step(known.id).step.arguments
        recorded = f"{known.name}({', '.join(f'{name}={text}' for name, text in before.items())})"
        details: dict[str, Any] = {"recorded": recorded, "called": call.describe(), "path": call.path}
        said = f"the record has {recorded}, the body now calls {call.describe()}"
        if known.name == call.step.name and (others := _differences(known, before, call)):
            details["arguments"] = others
            said += f": {'; '.join(f'{name} was {old} and is {new}' for name, (old, new) in others.items())}"
        return Diverged(
            f"flow {self._flow}, call {call.path}: {said}",
            hint="put what differs between two runs of the body (time, randomness, files) into a step",
            details=details,
        )


def _same(known: Known, inputs: dict[str, str]) -> bool:
    """Whether two calls have the same inputs, as far as their digests can tell."""
    if known.written == _encode(inputs).decode():
        return True
    recorded = known.inputs
    if set(recorded) != set(inputs):
        return False
    return all(not before or not inputs[name] or before == inputs[name] for name, before in recorded.items())


def _differences(known: Known, before: dict[str, str], call: Call | Asked) -> dict[str, list[str]]:
    """The arguments that are not what they were: how they read then and now; digests where they read the same."""
    found: dict[str, list[str]] = {}
    recorded, inputs = known.inputs, call.inputs
    for name in dict.fromkeys([*recorded, *inputs]):
        old, new = recorded.get(name), inputs.get(name)
        if old == new or (old == "" or new == ""):
            continue
        texts = [
            "not there" if digest is None else shown.get(name, digest[:12])
            for digest, shown in ((old, before), (new, call.arguments))
        ]
        if texts[0] == texts[1]:
            texts = [f"{text} ({(digest or '')[:12]})" for text, digest in zip(texts, (old, new), strict=True)]
        found[name] = texts
    return found


def _order(path: str) -> list[int]:
    return [int(part) for part in path.split(".")]
