"""`mainspring flow waits` and `mainspring flow answer`: what runs wait for, and the answers of people."""

from __future__ import annotations

import contextlib
from typing import Any

import click
import msgspec

from mainspring.cli.output import ago, echo_json, json_option, show_table, store_options, use_client
from mainspring.pipelines.types_waits import Wait
from mainspring.pipelines.waits_schema import mismatch

__all__ = ["answer", "waits"]

_BOOLEANS = {"yes": True, "y": True, "true": True, "no": False, "n": False, "false": False}


@click.command()
@click.option("--run", "run_id", default="", metavar="RUN", help="Of this run only.")
@click.option("--flow", default="", metavar="NAME", help="Of runs of this flow only.")
@click.option("--kind", type=click.Choice(["ask", "sleep", "event"]), help="`ask` is what people have to answer.")
@click.option("--assignee", default="", metavar="NAME", help="What this principal was asked, or everybody.")
@click.option("--all", "everything", is_flag=True, help="Those that are over too.")
@click.option("--limit", default=50, show_default=True, type=click.IntRange(1, 1000), help="How many.")
@json_option
@store_options
def waits(
    run_id: str,
    flow: str,
    kind: Any,
    assignee: str,
    limit: int,
    store: str,
    url: str,
    *,
    everything: bool,
    as_json: bool,
) -> None:
    """What runs wait for: answers, moments, events.

    \b
    mainspring flow waits --kind ask --assignee ana
    """
    state: Any = None if everything else "open"
    with use_client(store, url) as client:
        found = client.pipelines.waits(
            run_id=run_id, flow=flow, kind=kind or "", state=state, assignee=assignee, limit=limit
        )
    if as_json:
        echo_json(found)
        return
    show_table(
        ("wait", "flow", "for", "of", "since", "until", "state"),
        [(each.id, each.flow, _what(each), _of(each), ago(each.opened_at), each.due_at, each.state) for each in found],
        empty="nothing waits",
    )


@click.command()
@click.argument("wait_id", metavar="WAIT")
@click.argument("value")
@json_option
@store_options
def answer(wait_id: str, value: str, store: str, url: str, *, as_json: bool) -> None:
    """Answer what a run asked: yes, no, a number, a text, or JSON.

    \b
    mainspring flow answer 01970b2f-... yes
    mainspring flow answer 01970b2f-... '{"rows": 100}'
    """
    with use_client(store, url) as client:
        wait = client.pipelines.get_wait(wait_id)
        given = client.pipelines.answer(wait_id, _read(wait, value))
    if as_json:
        echo_json(given)
    else:
        click.echo(f"{given.wanted.question} {msgspec.json.encode(given.answer).decode()}")


def _read(wait: Wait, text: str) -> Any:
    """The answer that a text means: the first meaning that fits what was asked for."""
    meanings: list[Any] = [text]
    with contextlib.suppress(msgspec.DecodeError):
        meanings.insert(0, msgspec.json.decode(text))
    if text.lower() in _BOOLEANS:
        meanings.insert(0, _BOOLEANS[text.lower()])
    return next((each for each in meanings if not mismatch(wait.wanted.schema, each)), meanings[0])


def _what(wait: Wait) -> str:
    wanted = wait.wanted
    if wanted.kind == "event":
        return f"{wanted.event} of {wanted.subject}"
    return wanted.question if wanted.kind == "ask" else "a moment"


def _of(wait: Wait) -> str:
    return ", ".join(wait.wanted.assignees) if wait.wanted.kind == "ask" else ""
