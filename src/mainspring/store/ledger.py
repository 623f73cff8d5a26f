"""The ledger: who changed what, when, in an append-only chain of hashes.

Every audited write appends one event in its own transaction. Its hash is BLAKE3, under the tag `ledger`, of the JSON
array of its columns as they are stored: number, time, workspace, actor, method, request, action, changes (a text of
canonical JSON), and the hash before it. So an edited, dropped or reordered event breaks the chain at the first place
that was touched, and a verification needs nothing but the rows.

A chain cannot show that its own end was cut off; for that, `anchor` writes the head to a file beside the database, and
the same line can be kept anywhere else.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

import msgspec
from blake3 import blake3

from mainspring.kernel.clock import from_micros
from mainspring.kernel.context import caller
from mainspring.kernel.errors import StorageError
from mainspring.kernel.hashing import canonical_json
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


Content = tuple[int, str, str, str, str, str, str]
"""The columns of an event between its number and the hash before it."""

EVENTS = Table("ledger", Event)
_HEAD = "SELECT seq, hash FROM ledger ORDER BY seq DESC LIMIT 1"
_CHAIN = blake3(derive_key_context="mainspring ledger v1")


class Ledger:
    """Appends to the chain and verifies it."""

    def __init__(self, database: Database, anchors: Path) -> None:
        self._database = database
        self._anchors = anchors

    @staticmethod
    def event(tx: Transaction, action: str) -> Content:
        """What the ledger will say of the changes of `tx`.

        Raises:
            InvalidInput: A note of a change has no canonical JSON (NaN, a foreign object).
        """
        who, changes = caller(), canonical_json(tx.changes).decode()
        return tx.now_micros, who.workspace, who.principal, who.method, who.request_id, action, changes

    @staticmethod
    def chain(tx: Transaction, events: Iterable[Content]) -> None:
        """Append events inside the transaction that they tell of. Writers are serial: the head stays where it is."""
        seq, previous = tx.row(_HEAD) or (0, _GENESIS)
        rows: list[tuple[Any, ...]] = []
        for event in events:
            seq += 1
            content = (seq, *event, previous)
            previous = _hash(content)
            rows.append((*content, previous))
        tx.many(EVENTS.insert_sql, rows)

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
            where.append("replace(changes, ?, '') <> changes")  # contains it, to the letter, on both databases
            params.append(msgspec.json.encode(resource).decode()[:-1])
        with self._database.read() as tx:
            return tx.fetch(EVENTS, f"WHERE {' AND '.join(where)} ORDER BY seq DESC LIMIT ?", [*params, limit])

    def verify(self) -> ChainReport:
        """Walk the whole chain and compare it with the anchors.

        Reads one event after another in the order of the chain; takes a few microseconds an event.
        """
        problems: list[str] = []
        anchors = {anchor.seq: anchor for anchor in self._read_anchors()}
        seq, previous = 0, _GENESIS
        query = f"{EVENTS.select_sql} WHERE seq > ? ORDER BY seq LIMIT {_BATCH}"
        with self._database.read() as tx:
            while batch := tx.rows(query, (seq,)):
                for row in batch:
                    problems += _check(row, seq + 1, previous)
                    seq, previous = row[0], row[-1]
                    anchor = anchors.pop(seq, None)
                    if anchor is not None and anchor.hash != previous:
                        moment = f"{anchor.at:%Y-%m-%d %H:%M:%S}"
                        problems.append(f"event {seq} is not the one that was anchored on {moment}")
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


def _hash(content: Sequence[Any]) -> str:
    chained = _CHAIN.copy()
    chained.update(msgspec.json.encode(content))
    return str(chained.hexdigest())


def _check(row: Sequence[Any], expected: int, previous: str) -> list[str]:
    problems: list[str] = []
    seq, actor, action, before = row[0], row[3], row[6], row[-2]
    if seq != expected:
        missing = f"event {expected}" if seq == expected + 1 else f"events {expected} to {seq - 1}"
        problems.append(f"{missing} missing before event {seq}")
    elif before != previous:
        problems.append(f"event {seq} does not follow event {expected - 1}: one of them was replaced or moved")
    if _hash(row[:-1]) != row[-1]:
        problems.append(f"event {seq} ({action} by {actor}) was edited")
    return problems
