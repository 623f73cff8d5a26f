"""`mainspring flow trigger`: flows that start because something happened, or did not."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click
import msgspec

from mainspring.cli.flow_address import find_flow, read_params
from mainspring.cli.output import ago, echo_json, json_option, show_table, store_options, use_client
from mainspring.kernel.errors import InvalidInput
from mainspring.pipelines.types_triggers import Condition, On, on

__all__ = ["trigger"]


@click.group()
def trigger() -> None:
    """Flows that start because something happened, or did not."""


@trigger.command("list")
@json_option
@store_options
def list_triggers(store: str, url: str, *, as_json: bool) -> None:
    """Every trigger and what it waits for.

    \b
    mainspring flow trigger list
    """
    with use_client(store, url) as client:
        found = client.pipelines.triggers()
    if as_json:
        echo_json(found)
        return
    rows = [
        (each.name, each.flow, _words(each.condition), "paused" if each.paused else each.error or "waiting")
        for each in found
    ]
    show_table(
        ("trigger", "flow", "when", "state"),
        rows,
        empty="no triggers: mainspring flow trigger add NAME MODULE:FLOW --on dataset.version.created",
    )


@trigger.command()
@click.argument("name")
@click.argument("address", metavar="MODULE:FLOW")
@click.option("--on", "kind", default="", help="The kind of an event: model.alias.set, dataset.version.*")
@click.option("--subject", default="*", show_default=True, help="To what it happens: model/delay@*")
@click.option("--where", multiple=True, metavar="FIELD=VALUE", help="What a field of the event must be.")
@click.option("--condition", default="", metavar="JSON", help="Instead: a whole condition, as `list --json` shows it.")
@click.option("-p", "--param", "params", multiple=True, metavar="NAME=VALUE", help="A value, or `$event.data.version`.")
@click.option("--key", default="", help="A text like that; one that was there before starts nothing.")
@click.option("--deployment", default="", help="`active` or a number: start that version.")
@json_option
@store_options
def add(
    name: str, address: str, kind: str, subject: str, where: tuple[str, ...], condition: str,
    params: tuple[str, ...], key: str, deployment: str, store: str, url: str, *, as_json: bool,
) -> None:  # fmt: skip
    """Start a flow whenever something happens; a trigger of the same name is replaced.

    \b
    mainspring flow trigger add retrain pipelines:train --on dataset.version.created \\
        --subject "dataset/flights@*" -p version='$event.data.version'
    """
    wanted = _condition(kind, subject, where, condition)
    found = find_flow(address)
    with use_client(store, url, create=True) as client:
        made = client.pipelines.trigger(name, found, wanted, params=read_params(params), key=key, deployment=deployment)
    if as_json:
        echo_json(made)
    else:
        click.echo(f"{made.name} starts {made.flow} when {_words(made.condition)}")


@trigger.command()
@click.argument("name")
@click.option("--resume", is_flag=True, help="Let it look again, from now on.")
@store_options
def pause(name: str, store: str, url: str, *, resume: bool) -> None:
    """Have a trigger look away for a while.

    \b
    mainspring flow trigger pause retrain
    """
    with use_client(store, url) as client:
        click.echo("paused" if client.pipelines.pause_trigger(name, paused=not resume).paused else "waiting")


@trigger.command()
@click.argument("name")
@store_options
def remove(name: str, store: str, url: str) -> None:
    """Take a trigger away; what it started stays.

    \b
    mainspring flow trigger remove retrain
    """
    with use_client(store, url) as client:
        client.pipelines.remove_trigger(name)


@trigger.command()
@click.argument("run_id")
@json_option
@store_options
def why(run_id: str, store: str, url: str, *, as_json: bool) -> None:
    """Why a trigger started a run: the events that made its condition true.

    \b
    mainspring flow trigger why 01970b2e-...
    """
    with use_client(store, url) as client:
        found = client.pipelines.why_started(run_id)
    if as_json:
        echo_json(found)
        return
    click.echo(f"{found.trigger}: {'it is gone' if found.condition is None else _words(found.condition)}")
    rows = [(each["number"], each.get("at"), each.get("kind"), each.get("subject")) for each in found.events]
    show_table(("event", "at", "kind", "subject"), rows, empty="no event: it did not happen in time")


@trigger.command()
@click.argument("name", required=False, default="")
@click.option("--remove", is_flag=True, help="Close it.")
@click.option("--secret-file", default=None, type=click.Path(exists=True, dir_okay=False), help="The secret.")
@json_option
@store_options
def hook(name: str, secret_file: str | None, store: str, url: str, *, remove: bool, as_json: bool) -> None:
    """Open an address that others call, signed; without a name, list them.

    \b
    mainspring flow trigger hook github
    """
    with use_client(store, url, create=bool(name) and not remove) as client:
        if not name:
            found = client.pipelines.hooks()
            if as_json:
                echo_json(found)
            else:
                rows = [(each.name, f"/hooks/{each.workspace}/{each.name}", ago(each.created_at)) for each in found]
                show_table(("hook", "path", "made"), rows, empty="no hooks: mainspring flow trigger hook NAME")
            return
        if remove:
            client.pipelines.remove_hook(name)
            return
        secret = Path(secret_file).read_text(encoding="utf-8").strip() if secret_file else ""
        made = client.pipelines.create_hook(name, secret=secret)
    if as_json:
        echo_json(made)
    else:
        click.echo(f"POST /hooks/{made.hook.workspace}/{name}\nsecret, shown once: {made.secret}")


@trigger.command()
@click.argument("name", required=False, default="")
@click.argument("address", required=False, default="")
@click.option("--topic", default="", help="The subject, the key of the stream, the topic.")
@click.option("-o", "--option", "options", multiple=True, metavar="NAME=VALUE", help="every, existing, group, ...")
@click.option("--remove", is_flag=True, help="Listen to it no more.")
@json_option
@store_options
def source(
    name: str, address: str, topic: str, options: tuple[str, ...], store: str, url: str, *, remove: bool, as_json: bool
) -> None:
    """Listen to files, NATS, a Redis stream or Kafka; without a name, list what is listened to.

    \b
    mainspring flow trigger source inbox "/data/in/*.csv"
    mainspring flow trigger source orders kafka://broker:9092 --topic orders
    """
    with use_client(store, url, create=bool(name) and not remove) as client:
        if not name:
            found = client.pipelines.sources()
            if as_json:
                echo_json(found)
            else:
                rows = [(each.name, each.kind, each.address, each.topic, each.error or "listening") for each in found]
                show_table(("source", "kind", "address", "topic", "state"), rows, empty="nothing is listened to")
            return
        if remove:
            client.pipelines.remove_source(name)
            return
        kind: Any = address.partition("://")[0] if "://" in address else "file"
        kind = {"s3": "file", "rediss": "redis", "tls": "nats"}.get(kind, kind)
        if kind not in ("file", "nats", "redis", "kafka"):
            raise InvalidInput(
                f"{address!r} is nothing to listen to", hint="a path, s3://, nats://, redis://, kafka://"
            )
        if kind == "file" and "://" not in address:
            address = str(Path.cwd() / address)
        made = client.pipelines.create_source(
            name, kind=kind, address=address, topic=topic, options=read_params(options)
        )
    if as_json:
        echo_json(made)
    else:
        click.echo(f"{made.name}: {made.kind} {made.address} {made.topic}".rstrip())


def _condition(kind: str, subject: str, where: tuple[str, ...], text: str) -> Condition:
    if bool(kind) == bool(text):
        raise InvalidInput("a trigger has either --on or --condition")
    if text:
        try:
            read: Condition = msgspec.json.decode(text, type=Condition)
        except (msgspec.DecodeError, RecursionError) as error:
            raise InvalidInput(f"this is no condition: {error}", hint='{"is": "on", "kind": "..."}') from None
        return read
    return on(kind, subject, read_params(where))


def _words(node: Any) -> str:
    """A condition in a few words."""
    if isinstance(node, On):
        checks = "".join(f", {each.field} {each.op} {each.value!r}" for each in node.where)
        return f"{node.kind} of {node.subject}{checks}"
    kind = type(node).__struct_config__.tag
    if kind in ("any_of", "all_of"):
        return f"{'any' if kind == 'any_of' else 'all'} of ({'; '.join(_words(each) for each in node.of)})"
    if kind == "debounce":
        return f"{_words(node.of)}, and then {node.seconds:g} s nothing"
    return f"no {_words(node.of)} for {node.within:g} s" + (f" after {_words(node.after)}" if node.after else "")
