"""What runs ask people: an inbox of open questions with forms, and what was answered."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from mainspring.console.page import Ask, Crumb, Entry
from mainspring.console.pages.answer_forms import Asked, asked
from mainspring.console.pages.flow_parts import FlowsPart, parts
from mainspring.console.words import compact
from mainspring.kernel.context import caller
from mainspring.pipelines.types_waits import Wait

if TYPE_CHECKING:
    from mainspring.client.client import Client

__all__ = ["ENTRIES"]

_OPEN = 50
_DONE = 30


class Answered(msgspec.Struct, frozen=True):
    """A question that was answered, or came to its deadline."""

    wait: Wait
    href: str
    answer: str


class ApprovalsPage(FlowsPart, frozen=True, kw_only=True):
    """The context of `approvals.html`."""

    template = "approvals.html"

    mine: bool
    all_href: str
    mine_href: str
    asked: list[Asked]
    answered: list[Answered]
    older: str


def approvals(client: Client, ask: Ask) -> ApprovalsPage:
    """Open questions, newest first; `mine` keeps those that whoever looks was asked."""
    mine = bool(ask.get("mine"))
    assignee = caller().principal if mine else ""
    found = client.pipelines.waits(kind="ask", assignee=assignee, limit=_OPEN, before=ask.get("before"))
    done = client.pipelines.waits(kind="ask", state="done", assignee=assignee, limit=_DONE)
    return ApprovalsPage(
        title="Approvals",
        section="flows",
        crumbs=[Crumb("Flows", ask.link("/flows"))],
        live=True,
        parts=parts(ask, "Approvals"),
        mine=mine,
        all_href=ask.here(mine="", before=""),
        mine_href=ask.here(mine="1", before=""),
        asked=[asked(each, ask) for each in found],
        answered=[Answered(each, ask.link(f"/flows/{each.run_id}"), compact(each.answer, 120)) for each in done],
        older=ask.here(before=found[-1].id) if len(found) == _OPEN else "",
    )


ENTRIES = (Entry("/flows/approvals", approvals),)
