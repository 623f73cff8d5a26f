"""Messages become events: each once, in one transaction with the note that it was seen.

A message is acknowledged at its server only after that transaction. If the process dies in between, the server gives it
again, and its token is known. What was seen is remembered for longer than any server keeps an unacknowledged message in
flight.
"""

from __future__ import annotations

import base64
from collections.abc import Sequence
from typing import Any

import msgspec

from mainspring.events.outbox import emit
from mainspring.kernel.context import Caller, acting_as
from mainspring.pipelines.tables_triggers import SOURCES
from mainspring.pipelines.types_triggers import StreamSource
from mainspring.store.store import Store

__all__ = ["MOST_BYTES", "Message", "accept", "content_of", "note_error"]

MOST_BYTES = 256 << 10
"""Of a longer body only the length is told."""
_KEPT_MICROS = 7 * 86_400 * 1_000_000


class Message(msgspec.Struct, frozen=True):
    """One message, or one file."""

    token: str
    """What it is known by at its source: the same when it is given again."""
    data: dict[str, Any]


def accept(store: Store, source: StreamSource, messages: Sequence[Message], *, kind: str = "message.received") -> int:
    """Record the messages that are new as events, all or none; how many there were."""
    if not messages:
        return 0
    fresh = 0
    caller = Caller(f"source/{source.name}", source.workspace, (), "", "system")
    with acting_as(caller), store.write("pipelines.accept") as tx:
        # A source that was removed or replaced meanwhile brings nothing more.
        if tx.row("SELECT 1 FROM flow_source WHERE workspace = ? AND id = ?", (source.workspace, source.id)) is None:
            return 0
        for message in messages:
            is_new = tx.execute(
                "INSERT INTO flow_source_seen (source_id, token, at) VALUES (?, ?, ?) ON CONFLICT DO NOTHING",
                (source.id, message.token, tx.now_micros),
            )
            if is_new:
                fresh += 1
                emit(tx, kind, subject=f"source/{source.name}", data=message.data)
        if fresh:
            tx.note(f"source/{source.name}", received=fresh)
        if source.kind != "file":
            tx.execute(
                "DELETE FROM flow_source_seen WHERE source_id = ? AND at < ?", (source.id, tx.now_micros - _KEPT_MICROS)
            )
    return fresh


def note_error(store: Store, source: StreamSource, error: str) -> None:
    """Record why a source cannot be listened to, or that it can again."""
    with store.bookkeeping() as tx:
        found = tx.fetch_one(SOURCES, "WHERE workspace = ? AND id = ?", (source.workspace, source.id))
        if found is not None and found.error != error[:1000]:
            tx.execute("UPDATE flow_source SET error = ? WHERE id = ?", (error[:1000], source.id))


def content_of(body: bytes) -> dict[str, Any]:
    """The body of a message: as JSON where it is some, else as text, else in base64.

    Example:
        >>> content_of(b'{"a": 1}'), content_of(b"hello"), content_of(bytes([255]))
        ({'body': {'a': 1}}, {'body': 'hello'}, {'body': '/w==', 'base64': True})
    """
    if len(body) > MOST_BYTES:
        return {"body": None, "bytes": len(body)}
    try:
        return {"body": msgspec.json.decode(body)}
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        pass
    try:
        return {"body": body.decode()}
    except UnicodeDecodeError:
        return {"body": base64.b64encode(body).decode(), "base64": True}
