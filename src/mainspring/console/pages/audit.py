"""The audit log: who changed what, and whether the chain of events is intact."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any

import msgspec

from mainspring.console.links import resource_path
from mainspring.console.page import Ask, Entry, Page
from mainspring.console.words import is_id, short_id
from mainspring.kernel.errors import InvalidInput
from mainspring.store.ledger import ChainReport, Event

if TYPE_CHECKING:
    from mainspring.client.client import Client

__all__ = ["ENTRIES", "ChangeRow", "EventRow", "event_rows", "together"]

_PAGE = 100


class ChangeRow(msgspec.Struct, frozen=True):
    """One thing that an event touched, with the page that shows it."""

    resource: str
    label: str
    """The resource with a long id cut to its end."""
    href: str
    detail: dict[str, Any]


class EventRow(msgspec.Struct, frozen=True):
    """One audit event as the table shows it."""

    seq: int
    at: datetime
    actor: str
    method: str
    action: str
    changes: list[ChangeRow]
    more: int
    """How many changes are not listed."""
    request_id: str
    hash: str
    times: int = 1
    """How many events in a row did the same to the same, where they are drawn together."""


class AuditPage(Page, frozen=True, kw_only=True):
    """The context of `audit.html`."""

    template = "audit.html"

    events: list[EventRow]
    action: str
    actor: str
    resource: str
    report: ChainReport | None
    """What a verification found; None where none was asked for."""
    verify_href: str
    older: str
    newer: str


def event_rows(events: list[Event], ask: Ask, *, changes: int = 4) -> list[EventRow]:
    """Events with links; at most `changes` changes of each are listed."""
    return [
        EventRow(
            seq=event.seq,
            at=event.at,
            actor=event.actor,
            method=event.method,
            action=event.action,
            changes=[_change(each.resource, each.detail, ask) for each in event.changes[:changes]],
            more=max(len(event.changes) - changes, 0),
            request_id=event.request_id,
            hash=event.hash,
        )
        for event in events
    ]


def together(rows: list[EventRow]) -> list[EventRow]:
    """Events in a row by one actor that did the same to the same, as one with their number; the newest stays."""
    found: list[EventRow] = []
    for row in rows:
        last = found[-1] if found else None
        if last and (last.actor, last.action, _about(last)) == (row.actor, row.action, _about(row)):
            found[-1] = msgspec.structs.replace(last, times=last.times + 1)
        else:
            found.append(row)
    return found


def _about(row: EventRow) -> str:
    return row.changes[0].resource.partition("@")[0] if row.changes else ""


def _change(resource: str, detail: dict[str, Any], ask: Ask) -> ChangeRow:
    path = resource_path(resource)
    kind, slash, rest = resource.partition("/")
    label = f"{kind}/{short_id(rest)}" if slash and is_id(rest) else resource
    return ChangeRow(resource=resource, label=label, href=ask.link(path) if path else "", detail=detail)


def audit(client: Client, ask: Ask) -> AuditPage:
    """The audit log, newest first, filtered by action, actor or resource; `verify=1` walks the whole chain."""
    before = ask.get("before", "0")
    if not before.isdigit():
        raise InvalidInput(f"before={before!r} is not a sequence number", hint="follow the links of the page")
    action, actor, resource = (ask.get(name) for name in ("action", "actor", "resource"))
    events = client.storage.events(limit=_PAGE, before=int(before), action=action, actor=actor, resource=resource)
    return AuditPage(
        title="Audit log",
        section="audit",
        live=before == "0" and not ask.get("verify"),
        events=event_rows(events, ask),
        report=client.storage.verify_audit() if ask.get("verify") else None,
        verify_href=ask.here(verify="1"),
        older=ask.here(before=events[-1].seq) if len(events) == _PAGE else "",
        newer=ask.here(before="") if before != "0" else "",
        action=action,
        actor=actor,
        resource=resource,
    )


ENTRIES = (Entry("/audit", audit),)
