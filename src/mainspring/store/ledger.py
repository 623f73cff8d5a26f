"""The ledger: who changed what, when, in an append-only chain of hashes.

Every audited write appends one event in its own transaction. An event's hash covers its content and the hash before it,
so an edited, dropped or reordered event breaks the chain at the first place that was touched. A chain cannot show
that its own end was cut off; for that, `anchor` writes the head to a file beside the database, and the same line can be kept
anywhere else.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from datetime import datetime
from pathlib import Path
from typing import Any

import msgspec

from mainspring.kernel.clock import from_micros
from mainspring.kernel.context import caller
from mainspring.kernel.errors import StorageError
from mainspring.kernel.hashing import digest_value
from mainspring.store.database import Database
from mainspring.store.records import Table
from mainspring.store.transaction import Change, Transaction

__all__ = ["EVENTS", "Anchor", "ChainReport", "Event", "Ledger"]

_GENESIS = "0" * 64
_BATCH = 10_000


class Event(msgspec.Struct, frozen=True):
    """One change, as it is chained."""

    seq: int
    at: datetime
    workspace: str
    actor: str
    method: str
    """How the actor was known: `local`, `token`, `system`."""
    request_id: str
    action: str
    """The operation, `room.verb`."""
    changes: list[Change]
    previous: str
    hash: str


class Anchor(msgspec.Struct, frozen=True):
    """The head of the chain at some moment, kept outside the database."""

    seq: int
    hash: str
    at: datetime


class ChainReport(msgspec.Struct, frozen=True):
    """What a verification of the chain found."""

    events: int
    head: str
    problems: list[str]

    @property
    def intact(self) -> bool:
        """Whether nothing was edited, dropped or reordered."""
        return not self.problems


EVENTS = Table("ledger", Event)


class Ledger:
    """Appends to the chain and verifies it."""

    def __init__(self, database: Database, anchors: Path) -> None:
        self._database = database
        self._anchors = anchors

    @staticmethod
    def append(tx: Transaction, action: str) -> None:
        """Chain one event for the changes of `tx`, inside it. Writers are serial, so the head cannot move under us."""
        head = tx.row("SELECT seq, hash FROM ledger ORDER BY seq DESC LIMIT 1") or (0, _GENESIS)
        who = caller()
        seq, previous = head[0] + 1, head[1]
        event = Event(
            seq, tx.now, who.workspace, who.principal, who.method, who.request_id, action, tx.changes, previous, ""
        )
        tx.insert(EVENTS, msgspec.structs.replace(event, hash=_hash(event)))

    def events(
        self, *, limit: int = 100, before: int = 0, action: str = "", actor: str = "", resource: str = ""
    ) -> list[Event]:
        """The newest events of the caller's workspace first, older than sequence number `before` when it is given."""
        where, params = ["workspace = ?"], [caller().workspace]
        for clause, value in (("seq < ?", before), ("action = ?", action), ("actor = ?", actor)):
            if value:
                where.append(clause)
                params.append(value)  # type: ignore[arg-type]  # one list holds the numbers and texts of a statement
        if resource:
            where.append("changes LIKE ?")
            params.append(f"%{msgspec.json.encode(resource).decode()[:-1]}%")
        with self._database.read() as tx:
            return tx.fetch(EVENTS, f"WHERE {' AND '.join(where)} ORDER BY seq DESC LIMIT ?", [*params, limit])

    def verify(self) -> ChainReport:
        """Walk the whole chain and compare it with the anchors.

        Reads one event after another in the order of the chain; takes about 10 µs an event.
        """
        problems: list[str] = []
        anchors = {anchor.seq: anchor for anchor in self._read_anchors()}
        seq, previous = 0, _GENESIS
        with self._database.read() as tx:
            while batch := tx.fetch(EVENTS, "WHERE seq > ? ORDER BY seq LIMIT ?", (seq, _BATCH)):
                for event in batch:
                    problems += _check(event, seq + 1, previous)
                    anchor = anchors.pop(event.seq, None)
                    if anchor is not None and anchor.hash != event.hash:
                        problems.append(
                            f"event {event.seq} is not the one that was anchored on {anchor.at:%Y-%m-%d %H:%M:%S}"
                        )
                    seq, previous = event.seq, event.hash
        problems += [f"event {each} was anchored and is missing" for each in sorted(anchors)]
        return ChainReport(events=seq, head=previous, problems=problems)

    def anchor(self) -> Anchor | None:
        """Append the head of the chain to the anchors file, synced; None while there are no events."""
        with self._database.read() as tx:
            head = tx.row("SELECT seq, hash, at FROM ledger ORDER BY seq DESC LIMIT 1")
        if head is None:
            return None
        anchor = Anchor(seq=head[0], hash=head[1], at=from_micros(head[2]))
        known = self._read_anchors()
        if known and known[-1].seq >= anchor.seq:
            return known[-1]
        try:
            with self._anchors.open("ab") as file:
                file.write(msgspec.json.encode(anchor) + b"\n")
                file.flush()
                os.fsync(file.fileno())
        except OSError as error:
            raise StorageError(f"the anchor cannot be written to {self._anchors}: {error.strerror}") from error
        return anchor

    def _read_anchors(self) -> list[Anchor]:
        try:
            lines: Iterable[bytes] = self._anchors.read_bytes().splitlines()
        except FileNotFoundError:
            return []
        decoder = msgspec.json.Decoder(Anchor)
        found: list[Anchor] = []
        for line in lines:
            try:
                found.append(decoder.decode(line))
            except msgspec.DecodeError:
                continue  # a line that was being written when the power went
        return found


def _hash(event: Event) -> str:
    content: dict[str, Any] = {field: getattr(event, field) for field in event.__struct_fields__ if field != "hash"}
    return digest_value("ledger", content)


def _check(event: Event, expected: int, previous: str) -> list[str]:
    problems: list[str] = []
    if event.seq != expected:
        missing = f"event {expected}" if event.seq == expected + 1 else f"events {expected} to {event.seq - 1}"
        problems.append(f"{missing} missing before event {event.seq}")
    if event.previous != previous and event.seq == expected:
        problems.append(f"event {event.seq} does not follow event {expected - 1}: one of them was replaced or moved")
    if _hash(event) != event.hash:
        problems.append(f"event {event.seq} ({event.action} by {event.actor}) was edited")
    return problems
