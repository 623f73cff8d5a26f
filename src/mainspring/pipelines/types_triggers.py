"""What the pipelines speak of when flows are started by what happens."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, Literal, TypeAlias

import msgspec

from mainspring.kernel.errors import InvalidInput
from mainspring.pipelines.types import Location
from mainspring.pipelines.types_schedules import Overlap

__all__ = [
    "Absent",
    "AllOf",
    "AnyOf",
    "Condition",
    "Debounce",
    "Firing",
    "Hook",
    "NewHook",
    "On",
    "Op",
    "StreamSource",
    "Trigger",
    "Where",
    "absent",
    "all_of",
    "any_of",
    "debounce",
    "drift",
    "file",
    "message",
    "metric",
    "on",
    "webhook",
]

Op = Literal["==", "!=", ">", ">=", "<", "<=", "in", "contains", "like"]
"""`like` is a pattern with `*` and `?`; `in` has a list; `contains` is the other way round."""


class Where(msgspec.Struct, frozen=True):
    """What a field of an event must be."""

    field: str
    """`data.version`, `subject`, `kind`, `by`; a name without a dot is one of `data`."""
    op: Op
    value: Any


class On(msgspec.Struct, frozen=True, tag="on", tag_field="is"):
    """An event happened."""

    kind: str
    """`dataset.version.created`, `model.alias.*`."""
    subject: str = "*"
    """`model/flight-delay@*`."""
    where: tuple[Where, ...] = ()
    """All of these."""


class AnyOf(msgspec.Struct, frozen=True, tag="any_of", tag_field="is"):
    """One of several."""

    of: tuple[Condition, ...]


class AllOf(msgspec.Struct, frozen=True, tag="all_of", tag_field="is"):
    """All of several, in any order."""

    of: tuple[Condition, ...]
    within: float = 0.0
    """Seconds between the first and the last; 0 for any time."""


class Debounce(msgspec.Struct, frozen=True, tag="debounce", tag_field="is"):
    """It happened, and then not again for a while: many events make one start."""

    of: Condition
    seconds: float
    longest: float = 0.0
    """Seconds after which it starts although it goes on happening; 0 for never."""


class Absent(msgspec.Struct, frozen=True, tag="absent", tag_field="is"):
    """It did not happen for so long: since it last did, or since `after` happened."""

    of: On
    within: float
    """Seconds."""
    after: On | None = None
    """What begins the waiting; without it, the waiting is begun by the event itself, and by making the trigger."""
    by: str = ""
    """A field that both events have: each of its values is waited for by itself."""


Condition: TypeAlias = On | AnyOf | AllOf | Debounce | Absent


class Trigger(msgspec.Struct, frozen=True):
    """What starts a flow when something happened, or did not."""

    id: str
    workspace: str
    name: str
    flow: str
    location: Location
    condition: Condition
    params: dict[str, Any]
    """Arguments of the run; a text `$event.data.version` is a field of the event that completed the condition."""
    key: str
    """Unique for the flow: a text like `params`; an event that gives a key that was there starts nothing. Empty gives
    each firing a run of its own."""
    paused: bool
    since: int
    """Events up to this number are not for it."""
    created_at: datetime
    created_by: str
    overlap: Overlap = "allow_all"
    error: str = ""
    """Why its last firing could not start the flow."""
    deployment: str = ""
    pool: str = ""
    priority: int = 0
    labels: dict[str, str] = {}
    max_attempts: int = 5


class Firing(msgspec.Struct, frozen=True):
    """Why a run was started by a trigger: its condition, and the events that made it true."""

    run_id: str
    trigger: str
    condition: Condition | None
    """As it is now; None when the trigger is gone."""
    fire_at: datetime
    events: list[dict[str, Any]]
    """The events, in order; one that is forgotten by now has only its number."""


class Hook(msgspec.Struct, frozen=True):
    """An address of this server that others call: `POST /hooks/{workspace}/{name}`, signed."""

    workspace: str
    name: str
    created_at: datetime
    created_by: str
    tolerance: float = 300.0
    """Seconds that a signed moment may be off."""


class NewHook(msgspec.Struct, frozen=True):
    """A hook just made, with its secret, which is not shown again."""

    hook: Hook
    secret: str


class StreamSource(msgspec.Struct, frozen=True):
    """Something outside that is listened to: each message, each file becomes one event."""

    workspace: str
    name: str
    kind: Literal["file", "nats", "redis", "kafka"]
    address: str
    """A glob of files (`/data/in/*.csv`, `s3://bucket/in/*.csv`), or the URL of the server."""
    topic: str
    """The subject of NATS, the key of a Redis stream, the topic of Kafka; empty for files."""
    options: dict[str, Any]
    id: str
    created_at: datetime
    created_by: str
    active: bool = True
    error: str = ""
    """Why it could not be listened to last; empty when it could."""


def on(kind: str, subject: str = "*", where: Mapping[str, Any] | None = None) -> On:
    """An event happened.

    Args:
        kind: Which: `dataset.version.created`, `model.alias.*`.
        subject: To what: `dataset/flights@*`.
        where: What its fields must be: `{"rows": (">", 1000), "name": "flights"}`.

    Example:
        >>> on("model.alias.set", "model/delay", {"alias": "champion"}).where[0]
        Where(field='alias', op='==', value='champion')
    """
    checks = tuple(
        Where(name, wanted[0], wanted[1]) if _is_check(wanted) else Where(name, "==", wanted)
        for name, wanted in (where or {}).items()
    )
    return On(kind, subject, checks)


def any_of(*conditions: Condition) -> AnyOf:
    """One of several."""
    return AnyOf(conditions)


def all_of(*conditions: Condition, within: float | timedelta = 0.0) -> AllOf:
    """All of several, in any order, at most `within` seconds from the first to the last."""
    return AllOf(conditions, _seconds(within))


def debounce(condition: Condition, seconds: float | timedelta, *, longest: float | timedelta = 0.0) -> Debounce:
    """It happened, and then not again for so many seconds."""
    return Debounce(condition, _seconds(seconds), _seconds(longest))


def absent(condition: On, *, within: float | timedelta, after: On | None = None, by: str = "") -> Absent:
    """It did not happen for so many seconds: since it last did, or since `after`.

    Example:
        >>> absent(on("dataset.version.created", "dataset/flights@*"), within=timedelta(days=1)).within
        86400.0
    """
    return Absent(condition, _seconds(within), after, by)


def metric(name: str, op: Op, value: float, *, of: str = "run", experiment: str = "*") -> On:
    """A metric is beyond a threshold: of a run of tracking when it has ended, or of a model version when it is made.

    Args:
        name: The metric.
        op: How it is compared: `">"`, `"<="`, ...
        value: With what.
        of: `run` or `model`.
        experiment: Which experiment (`run`), or the name of the model (`model`); `*` for any.
    """
    if of == "model":
        return On("model.version.created", f"model/{experiment}@*", (Where(f"metrics.{name}", op, value),))
    where = (Where(f"metrics.{name}", op, value), Where("experiment", "like", experiment))
    return On("run.finished", "*", where)


def drift(endpoint: str = "*") -> On:
    """The inputs of an endpoint are not any more what its model was trained on."""
    return on("monitoring.alert.fired", f"endpoint/{endpoint}", {"kind": "drift"})


def webhook(name: str, where: Mapping[str, Any] | None = None) -> On:
    """Somebody called a hook, with a signature that is right: `{"body.ref": "refs/heads/main"}`."""
    return on("webhook.received", f"hook/{name}", where)


def file(source: str, path: str = "*") -> On:
    """A file appeared, or was written again, among those that a source watches."""
    return On("file.appeared", f"source/{source}", (Where("path", "like", path),))


def message(source: str, where: Mapping[str, Any] | None = None) -> On:
    """A message arrived from NATS, a Redis stream or Kafka."""
    return on("message.received", f"source/{source}", where)


def _is_check(wanted: Any) -> bool:
    return (
        isinstance(wanted, Sequence) and not isinstance(wanted, str) and len(wanted) == 2 and wanted[0] in Op.__args__  # type: ignore[attr-defined]
    )


def _seconds(span: float | timedelta) -> float:
    seconds = span.total_seconds() if isinstance(span, timedelta) else float(span)
    if not 0 <= seconds <= 3660 * 86_400:
        raise InvalidInput(f"{span!r} is not a length of time between nothing and ten years")
    return seconds
