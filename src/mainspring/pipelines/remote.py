"""One call of a step in a process of its own: inputs come by value or by digest, the result goes back the same way."""

from __future__ import annotations

import pickle
import sys
import time
import traceback
from functools import cache
from typing import Any

import msgspec

from mainspring.kernel.errors import InternalError, MainspringError, from_payload
from mainspring.kernel.hooks import load
from mainspring.pipelines.logs import caught_descriptors
from mainspring.pipelines.values import BlobPort, decode, encode

__all__ = ["Answer", "Failure", "Request", "execute", "failure_of", "resolve_step"]

_FRAMES_KEPT = 4


class Request(msgspec.Struct, frozen=True):
    """What a process needs to run one call of a step."""

    step: str
    """`module:name`."""
    store: str
    """Folder or URL of the store that large values lie in."""
    args: Any
    kwargs: Any
    context: dict[str, Any] = {}
    """Of `context.StepContext`."""
    allow_pickle: bool = False


class Failure(msgspec.Struct, frozen=True):
    """An error as it is recorded, and as it is raised again."""

    payload: dict[str, Any]
    pickled: bytes = b""
    """The exception itself, where it could be written; read only by the process that sent the request."""

    def as_exception(self) -> BaseException:
        """What the caller of the step gets to see."""
        if self.pickled:
            found: BaseException = pickle.loads(self.pickled)  # noqa: S301 -- from a process that this one started
            return found
        return from_payload({**self.payload, "code": self.payload.get("code") or InternalError.code})


class Answer(msgspec.Struct, frozen=True):
    """What came out."""

    output: Any = None
    failure: Failure | None = None
    log: str = ""
    seconds: float = 0.0


def execute(payload: bytes) -> bytes:
    """Run a `Request`; the bytes of an `Answer`."""
    request = msgspec.msgpack.decode(payload, type=Request)
    answer = _execute(request)
    return msgspec.msgpack.encode(answer)


def _execute(request: Request) -> Answer:
    from mainspring.pipelines.context import StepContext, inside_step

    output, failure = None, None
    began = time.perf_counter()
    with caught_descriptors() as tail:
        try:
            blobs = _blobs(request.store)
            function = resolve_step(request.step).function
            args, kwargs = _read(request.args, blobs), _read(request.kwargs, blobs)
            with inside_step(msgspec.convert(request.context, StepContext)):
                result = function(*args, **kwargs)
            output = encode(result, blobs, allow_pickle=request.allow_pickle)
        except Exception as error:  # noqa: BLE001 -- the boundary of the step: whatever it raised is its answer
            failure = failure_of(error)
    return Answer(output, failure, tail.text(), time.perf_counter() - began)


def failure_of(error: BaseException) -> Failure:
    """An exception as data: the payload of ours, the type, message and traceback of any other."""
    if isinstance(error, MainspringError):
        payload = error.payload()
    else:
        payload = {"code": "", "message": f"{type(error).__name__}: {error}", "hint": "", "known": [], "details": {}}
    text = "".join(traceback.format_exception(error, limit=-20))
    payload["details"] = {**payload["details"], "type": type(error).__name__, "traceback": text[-20_000:]}
    try:
        pickled = pickle.dumps(error)
        pickle.loads(pickled)  # noqa: S301 -- our own bytes of a moment ago: some exceptions can be written and not read
    except Exception:  # noqa: BLE001 -- then the payload has to do
        pickled = b""
    return Failure(payload, pickled)


def resolve_step(address: str) -> Any:
    """The step or flow at `module:name`."""
    module, _, name = address.partition(":")
    if module not in sys.modules:
        __import__(module)
    found: Any = sys.modules[module]
    for part in name.split("."):
        found = getattr(found, part)
    return found


@cache
def _blobs(store: str) -> BlobPort:
    from mainspring.pipelines.runtime import blob_port

    return blob_port(load("mainspring.client.client:connect")(store).pipelines)


_frames: dict[str, Any] = {}
"""The last frames that were read here: the items of a map share theirs."""


def _read(tree: Any, blobs: BlobPort) -> Any:
    while len(_frames) > _FRAMES_KEPT:
        del _frames[next(iter(_frames))]
    return decode(tree, blobs, allow_pickle=True, frames=_frames)
