"""Redis Streams: a consumer group gives each entry to one scheduler, and takes it back from one that is lost."""

from __future__ import annotations

import os
import threading
from typing import Any

from mainspring.kernel.errors import MissingDependency
from mainspring.pipelines.sources.accepting import Message, accept, content_of, note_error
from mainspring.pipelines.sources.checks import address_of
from mainspring.pipelines.types_triggers import StreamSource
from mainspring.store.queue_presence import host
from mainspring.store.store import Store

__all__ = ["listen"]

_AT_ONCE = 100
_BLOCK_MS = 1000
_IDLE_MS = 15_000
"""An entry that a scheduler took and did not acknowledge for so long is given to another."""


def listen(store: Store, source: StreamSource, ending: threading.Event) -> None:
    """Read entries until told to end; each is acknowledged when its event is recorded."""
    try:
        import redis
    except ImportError:
        raise MissingDependency("redis", extra="streams") from None

    group = str(source.options["group"] or f"mainspring-{source.name}")
    consumer = f"{host()}-{os.getpid()}"
    server: Any = redis.Redis.from_url(address_of(source.address), socket_timeout=10, socket_connect_timeout=5)
    with server:
        try:
            server.xgroup_create(source.topic, group, "0" if source.options["beginning"] else "$", mkstream=True)
        except redis.ResponseError as error:
            if "BUSYGROUP" not in str(error):
                raise
        note_error(store, source, "")
        while not ending.is_set():
            _, taken, _ = _claimed(server, source.topic, group, consumer)
            given = server.xreadgroup(group, consumer, {source.topic: ">"}, count=_AT_ONCE, block=_BLOCK_MS)
            entries = [*taken, *(entry for _, entries in _streams(given) for entry in entries)]
            # An entry that was deleted from the stream while somebody held it comes without fields.
            accept(store, source, [_message(source, entry, fields) for entry, fields in entries if fields])
            if entries:
                server.xack(source.topic, group, *(entry for entry, _ in entries))


def _claimed(server: Any, key: str, group: str, consumer: str) -> tuple[Any, list[Any], list[Any]]:
    found = server.xautoclaim(key, group, consumer, min_idle_time=_IDLE_MS, count=_AT_ONCE)
    return found[0], list(found[1]), list(found[2]) if len(found) > 2 else []


def _streams(given: Any) -> list[tuple[Any, list[Any]]]:
    """What was read, by stream: a list in the older protocol, a dict in the newer."""
    if not given:
        return []
    if isinstance(given, dict):
        return [(key, _flat(parts)) for key, parts in given.items()]
    return list(given)


def _flat(parts: list[Any]) -> list[Any]:
    return [entry for part in parts for entry in (part if isinstance(part, list) else [part])]


def _message(source: StreamSource, entry: bytes, fields: dict[bytes, bytes]) -> Message:
    named = {name.decode(errors="replace"): content_of(value)["body"] for name, value in fields.items()}
    return Message(entry.decode(), {"topic": source.topic, "id": entry.decode(), "body": named})
