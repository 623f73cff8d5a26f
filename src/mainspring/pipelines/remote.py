"""One call of a step in a process of its own: inputs come by value or by digest, the result goes back the same way."""

from __future__ import annotations

import functools
import inspect
import pickle
import sys
import time
import traceback
from typing import Any

import msgspec

from mainspring.kernel.context import OWNER, Caller, acting_as
from mainspring.kernel.errors import InternalError, MainspringError, from_payload
from mainspring.kernel.hooks import load
from mainspring.pipelines.context import StepContext, inside_step
from mainspring.pipelines.coroutines import run_coroutine
from mainspring.pipelines.logs import caught_descriptors
from mainspring.pipelines.types import StepRecord
from mainspring.pipelines.values import BlobPort, decode
from mainspring.pipelines.values_clean import encode_clean
from mainspring.trust.redaction import active, holds_secret, redacted, redacted_tree

__all__ = ["Answer", "Failure", "Request", "execute", "failure_of", "resolve_step"]

_FRAMES_KEPT = 4
_BLOBS_KEPT, _BLOB_BYTES = 4, 64 << 20


class Request(msgspec.Struct, frozen=True):
    """What a process needs to run one call of a step."""

    step: str
    """`module:name`."""
    store: str
    """Folder or URL of the store that large values lie in."""
    args: list[Any]
    """By position; None where `shared` has the value."""
    kwargs: dict[str, Any]
    context: StepContext
    record: msgspec.Raw = msgspec.Raw(b"\xc0")
    """The call as it is recorded while it runs: a step that looks at itself records it."""
    run_attempt: int = 0
    """Of the flow run."""
    allow_pickle: bool = False
    caller: Caller = OWNER
    """For whom the step runs, and in which workspace."""
    shared: msgspec.Raw = msgspec.Raw(b"\xc0")
    """Arguments that all calls of a map are given: by position, as text, and by name."""


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
    request = _requests.decode(payload)
    with acting_as(request.caller):
        return msgspec.msgpack.encode(_execute(request))


def _execute(request: Request) -> Answer:
    output, failure = None, None
    began = time.perf_counter()
    with caught_descriptors(functools.partial(_print_live, request)) as tail:
        try:
            blobs = _blobs(request.store)
            function = resolve_step(request.step).function
            args, kwargs = _arguments(request, blobs)
            show = functools.partial(_show, request)
            with inside_step(request.context, on_look=show, service=lambda: _pipelines(request.store)):
                result = function(*args, **kwargs)
                if inspect.iscoroutine(result):
                    result = run_coroutine(result)
            output = encode_clean(result, blobs, allow_pickle=request.allow_pickle)
        except Exception as error:  # noqa: BLE001 -- the boundary of the step: whatever it raised is its answer
            failure = failure_of(error)
    return Answer(output, failure, redacted(tail.text()), time.perf_counter() - began)


def _arguments(request: Request, blobs: BlobPort) -> tuple[list[Any], dict[str, Any]]:
    args, kwargs = request.args, request.kwargs
    if bytes(request.shared) != b"\xc0":
        positions, names = msgspec.msgpack.decode(request.shared)
        args = [positions.get(str(place), tree) for place, tree in enumerate(args)]
        kwargs = {**kwargs, **names}
    return _read(args, blobs), _read(kwargs, blobs)


def _print_live(request: Request, text: str) -> None:
    """Keep what the step prints while it runs."""
    where = request.context
    _pipelines(request.store).append_step_log(
        where.run_id, attempt=where.run_attempt, step_id=where.step_id, text=redacted(text)
    )


def _show(request: Request) -> None:
    """Record that the step runs, because it looks at itself: what it makes now can name it."""
    if request.context.step_id in _shown or bytes(request.record) == b"\xc0":
        return
    _shown[:] = [request.context.step_id]
    record = msgspec.msgpack.decode(request.record, type=StepRecord)
    _pipelines(request.store).record(request.context.run_id, attempt=request.run_attempt, steps=[record])


def failure_of(error: BaseException) -> Failure:
    """An exception as data: the payload of ours, the type, message and traceback of any other."""
    if isinstance(error, MainspringError):
        payload = error.payload()
    else:
        payload = {"code": "", "message": f"{type(error).__name__}: {error}", "hint": "", "known": [], "details": {}}
    text = "".join(traceback.format_exception(error, limit=-20))
    payload["details"] = {**payload["details"], "type": type(error).__name__, "traceback": text[-20_000:]}
    if active():
        payload = redacted_tree(payload)
    try:
        pickled = pickle.dumps(error)
        pickle.loads(pickled)  # noqa: S301 -- our own bytes of a moment ago: some exceptions can be written and not read
    except Exception:  # noqa: BLE001 -- then the payload has to do
        pickled = b""
    if holds_secret(pickled):
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


_requests = msgspec.msgpack.Decoder(Request)
_shown: list[str] = []
"""The step that runs here, once it is recorded."""


@functools.cache
def _pipelines(store: str) -> Any:
    return load("mainspring.client.client:connect")(store).pipelines


@functools.cache
def _blobs(store: str) -> BlobPort:
    from mainspring.pipelines.runtime import blob_port

    return _Recent(blob_port(_pipelines(store)))


class _Recent:
    """Blobs, the last few of them kept: the calls of a map that come here share theirs."""

    def __init__(self, blobs: BlobPort) -> None:
        self.put = blobs.put
        self._get = blobs.get
        self._kept: dict[str, bytes] = {}

    def get(self, digest: str, /) -> bytes:
        found = self._kept.get(digest)
        if found is None:
            found = self._get(digest)
            if len(found) <= _BLOB_BYTES:
                while len(self._kept) >= _BLOBS_KEPT:
                    del self._kept[next(iter(self._kept))]
                self._kept[digest] = found
        return found


_frames: dict[str, Any] = {}
"""The last frames that were read here: the items of a map share theirs."""


def _read(tree: Any, blobs: BlobPort) -> Any:
    while len(_frames) > _FRAMES_KEPT:
        del _frames[next(iter(_frames))]
    return decode(tree, blobs, allow_pickle=True, frames=_frames)
