"""The dataplane: an endpoint's columns in, its model's columns out. Knows no wire format and no database.

For each request: complete the columns from the feature store, split the rows by the traffic plan, predict,
append to the prediction log, answer, and only then let a shadow see it. Everything is columns of numpy arrays;
nothing in the path runs row by row. The ports (`Lookup`, `Recorder`, and the fleet's) are injected.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any, Literal, Protocol

import msgspec

from mainspring.engines.models import Predictor
from mainspring.engines.signature import Field
from mainspring.kernel.clock import now_micros, to_micros
from mainspring.kernel.errors import InternalError, InvalidInput, MainspringError, Unavailable, nearest
from mainspring.kernel.ids import new_id
from mainspring.serving.fleet import Fleet, Live
from mainspring.serving.shadow import ShadowQueue
from mainspring.serving.spool import Entry, SpoolHead, pack
from mainspring.serving.statistics import Statistics
from mainspring.serving.traffic import Target, shares_of_keys, shares_of_rows
from mainspring.serving.types import Endpoint

if TYPE_CHECKING:
    import numpy as np

    Array = np.ndarray[Any, Any]

__all__ = ["Answer", "Call", "Dataplane", "Description", "Lookup", "Recorder"]

_LOG = logging.getLogger("mainspring.serving")


class Call(msgspec.Struct, frozen=True):
    """A request: columns of the same length."""

    columns: dict[str, Any]
    rows: int
    id: str = ""
    """The caller's own id of the request; the same id goes to the same arm."""
    pin: str = ""
    """An arm or a model version that the caller wants."""
    caller: str = ""
    at: datetime | None = None
    """When what it asks about happens, unless a column says it row by row; now when left out."""


class Answer(msgspec.Struct, frozen=True):
    """An answer: output columns, and how to speak of it later."""

    id: str
    """Row r of it is the prediction `<id>-<r>`."""
    rows: int
    outputs: dict[str, Any]
    version: int
    """Of the model that answered; the champion's when two did."""
    challenger_rows: int = 0
    """How many rows the challenger of a canary answered."""


class Description(msgspec.Struct, frozen=True):
    """What an endpoint takes and gives."""

    name: str
    versions: tuple[int, ...]
    runtime: str
    inputs: tuple[Field, ...]
    outputs: tuple[Field, ...]
    features: tuple[str, ...]


class Lookup(Protocol):
    """Where features come from."""

    def __call__(self, views: Sequence[str], keys: Mapping[str, Array], moments: Array) -> Mapping[str, Array]:
        """The columns of the views for rows with these keys, each as known at its moment (microseconds)."""
        ...


class Recorder(Protocol):
    """Where predictions are logged."""

    def record(self, head: SpoolHead, entry: Entry) -> None:
        """Take one entry; when it returns, the entry survives the process."""
        ...


class _Part(msgspec.Struct, frozen=True):
    """What one arm answered."""

    target: Target
    arm: Literal["champion", "challenger", "failed"]
    outputs: dict[str, Any]
    rows: Any = None
    """The places of its rows in the request; None for all of them."""

    def count(self, rows: int) -> int:
        return rows if self.rows is None else len(self.rows)


class Dataplane:
    """Answers for the endpoints of one workspace; thread-safe.

    Args:
        fleet: The models in memory.
        recorder: Takes what was answered.
        lookup: Gives features; None when no endpoint uses any.
        shadow_limit: Requests that may wait for a shadow; further ones are not shown to it.
    """

    def __init__(
        self, fleet: Fleet, recorder: Recorder, *, lookup: Lookup | None = None, shadow_limit: int = 256
    ) -> None:
        self.fleet = fleet
        self.statistics = Statistics()
        self.shadow = ShadowQueue(limit=shadow_limit)
        self._recorder = recorder
        self._lookup = lookup

    def close(self) -> None:
        """Stop watching for changes and let the shadow finish what it has."""
        self.fleet.close()
        self.shadow.close()

    def describe(self, name: str) -> Description:
        """What an endpoint takes and gives."""
        live = self.fleet.find(name)
        plan, signature = live.endpoint.plan, live.champion.signature
        answering = [plan.champion, *([plan.challenger] if plan.challenger and plan.mode == "canary" else [])]
        return Description(
            name=name,
            versions=tuple(target.version for target in answering),
            runtime=live.champion.runtime,
            inputs=signature.inputs,
            outputs=signature.outputs,
            features=live.endpoint.features,
        )

    def infer(self, name: str, call: Call) -> Answer:
        """Answer a request, logged before this returns.

        Raises:
            NotFound: No such endpoint.
            Unavailable: It cannot answer now.
            InvalidInput: The columns are not what the model takes.
        """
        begun = time.perf_counter_ns()
        live = self.fleet.find(name)
        try:
            return self._answer(live, call, begun)
        except MainspringError:
            self.statistics.failed(name, time.perf_counter_ns() - begun)
            raise
        except Exception as error:
            self.statistics.failed(name, time.perf_counter_ns() - begun)
            _LOG.exception("endpoint %s failed", name)
            raise InternalError(f"endpoint {name!r} failed to answer; the server's log has the details") from error

    def _answer(self, live: Live, call: Call, begun: int) -> Answer:
        request = new_id()
        moments = _moments(call, live.endpoint.timestamp)
        features = self._features(live, call, moments)
        columns = {**features, **call.columns}
        taken = _taken(live, call, request)
        prepared = time.perf_counter_ns()
        parts = self._predict(live, columns, taken)
        outputs = _merged(parts, call.rows)
        predicted = time.perf_counter_ns()
        for part in parts:
            entry = _entry(part, call, features, moments, request=request, latency=(predicted - begun) // 1000)
            self._recorder.record(_head(live.endpoint, part.target), entry)
        if live.endpoint.plan.mode == "shadow" and live.challenger is not None:
            self.shadow.put(lambda: self._show(live, columns, call, moments, request))
        self.statistics.answered(
            live.endpoint.name,
            rows=call.rows,
            prepare=prepared - begun,
            predict=predicted - prepared,
            record=time.perf_counter_ns() - predicted,
        )
        challenged = sum(part.count(call.rows) for part in parts if part.arm == "challenger")
        return Answer(request, call.rows, outputs, parts[0].target.version, challenged)

    def _features(self, live: Live, call: Call, moments: Array) -> dict[str, Array]:
        missing = [field for field in live.needed if field.name not in call.columns]
        if not live.endpoint.features or all(field.optional for field in missing):
            return {}
        if self._lookup is None:
            raise Unavailable(f"endpoint {live.endpoint.name!r} needs features and this server has no feature store")
        found = self._lookup(live.endpoint.features, call.columns, moments)
        return {field.name: found[field.name] for field in missing if field.name in found}

    def _predict(self, live: Live, columns: Mapping[str, Array], taken: Array | None) -> list[_Part]:
        import numpy as np

        plan = live.endpoint.plan
        if taken is None or not taken.any() or live.challenger is None or plan.challenger is None:
            return [_Part(plan.champion, "champion", _run(live.champion, columns))]
        theirs = np.flatnonzero(taken)
        try:
            if taken.all():
                return [_Part(plan.challenger, "challenger", _run(live.challenger, columns))]
            answered = _run(live.challenger, _at(columns, theirs))
        except Exception:  # noqa: BLE001 -- logged with its traceback; a bad canary must not cost its users an answer
            _LOG.exception("the challenger of endpoint %s failed; the champion answers", live.endpoint.name)
            self.statistics.challenger_failed(live.endpoint.name)
            return [*self._predict(live, columns, None), _Part(plan.challenger, "failed", {}, theirs)]
        ours = np.flatnonzero(~taken)
        return [
            _Part(plan.champion, "champion", _run(live.champion, _at(columns, ours)), ours),
            _Part(plan.challenger, "challenger", answered, theirs),
        ]

    def _show(self, live: Live, columns: Mapping[str, Array], call: Call, moments: Array, request: str) -> None:
        """Let the shadow answer; its answer is logged and nothing else."""
        challenger, target, begun = live.challenger, live.endpoint.plan.challenger, time.perf_counter_ns()
        if challenger is None or target is None:
            return
        arm, found = "shadow", {}
        try:
            found = _run(challenger, columns)
        except Exception:  # noqa: BLE001 -- logged, and recorded: it counts against the challenger
            _LOG.exception("the shadow of endpoint %s failed", live.endpoint.name)
            self.statistics.challenger_failed(live.endpoint.name)
            arm = "failed"
        took = (time.perf_counter_ns() - begun) // 1000
        columns = {"at": moments} | {f"output.{name}": column for name, column in found.items()}
        entry = Entry(request, arm, call.caller, took, call.rows, b"", pack(columns))
        self._recorder.record(_head(live.endpoint, target), entry)


def _run(predictor: Predictor, columns: Mapping[str, Array]) -> dict[str, Array]:
    return predictor.predict(predictor.signature.convert(columns))


def _at(columns: Mapping[str, Array], rows: Array) -> dict[str, Array]:
    return {name: column[rows] for name, column in columns.items()}


def _taken(live: Live, call: Call, request: str) -> Array | None:
    """Which rows the challenger of a canary answers; None when there is none."""
    import numpy as np

    plan, sticky = live.endpoint.plan, live.endpoint.sticky
    if call.pin:
        return np.full(call.rows, plan.pinned(call.pin) == "challenger")
    if plan.mode != "canary":
        return None
    if not sticky:
        return plan.takes(shares_of_rows(call.id or request, call.rows, salt=plan.salt))
    absent = [name for name in sticky if name not in call.columns]
    if absent:
        raise InvalidInput(
            f"column {absent[0]!r} is missing: it decides which model answers", known=nearest(absent[0], call.columns)
        )
    return plan.takes(shares_of_keys([call.columns[name] for name in sticky], salt=plan.salt))


def _entry(
    part: _Part, call: Call, features: Mapping[str, Array], moments: Array, *, request: str, latency: int
) -> Entry:
    columns = {"at": moments}
    columns |= {f"input.{name}": column for name, column in call.columns.items()}
    columns |= {f"feature.{name}": column for name, column in features.items()}
    index = b""
    if part.rows is not None:
        columns, index = _at(columns, part.rows), part.rows.astype("<u4").tobytes()
    columns |= {f"output.{name}": column for name, column in part.outputs.items()}
    return Entry(request, part.arm, call.caller, latency, part.count(call.rows), index, pack(columns))


def _moments(call: Call, column: str) -> Array:
    """When each row happens, in microseconds."""
    import numpy as np

    if not column or column not in call.columns:
        return np.full(call.rows, to_micros(call.at) if call.at else now_micros(), np.int64)
    given = call.columns[column]
    if given.dtype.kind in "iu" and given.ndim == 1:
        return np.asarray(given, np.int64)
    try:
        return np.array([to_micros(datetime.fromisoformat(each)) for each in given.tolist()], np.int64)
    except (TypeError, ValueError):
        raise InvalidInput(
            f"column {column!r} says when each row happens: integer microseconds, or texts like 2026-01-31T12:00:00Z"
        ) from None


def _head(endpoint: Endpoint, target: Target) -> SpoolHead:
    return SpoolHead(endpoint.workspace, endpoint.name, target.deployment, target.model, target.reference, now_micros())


def _merged(parts: Sequence[_Part], rows: int) -> dict[str, Array]:
    """The outputs of the arms, each row in its place; outputs that only one arm has are left out."""
    import numpy as np

    parts = [part for part in parts if part.arm != "failed"]
    if len(parts) == 1:
        return parts[0].outputs
    merged: dict[str, Array] = {}
    for name, sample in parts[0].outputs.items():
        pieces = [part.outputs[name] for part in parts if name in part.outputs]
        if len(pieces) != len(parts) or any(piece.shape[1:] != sample.shape[1:] for piece in pieces):
            continue
        whole = np.empty((rows, *sample.shape[1:]), np.result_type(*pieces))
        for part, piece in zip(parts, pieces, strict=True):
            whole[part.rows] = piece
        merged[name] = whole
    return merged
