"""`mainspring limit`: how many steps may run at a time, or begin per second, over all runs."""

from __future__ import annotations

import click

from mainspring.cli.output import ago, echo_json, json_option, show_table, store_options, use_client

__all__ = ["limit"]


@click.group()
def limit() -> None:
    """How many steps may run at a time, or begin per second, over all runs."""


@limit.command("set")
@click.argument("name")
@click.option("--slots", default=0, type=click.IntRange(0), help="How many may run at a time.")
@click.option("--per-second", default=0.0, type=click.FloatRange(0), help="How many may begin per second.")
@click.option("--burst", default=0.0, type=click.FloatRange(0), help="How many may begin at once after a quiet time.")
@store_options
def set_limit(name: str, slots: int, per_second: float, burst: float, store: str, url: str) -> None:
    """Make a limit, or change it; steps name it: @step(limits=("gpu",)).

    \b
    mainspring limit set gpu --slots 2
    mainspring limit set api --per-second 5 --burst 10
    """
    with use_client(store, url, create=True) as client:
        client.pipelines.set_limit(name, slots=slots, per_second=per_second, burst=burst)


@limit.command("list")
@json_option
@store_options
def list_limits(store: str, url: str, *, as_json: bool) -> None:
    """Every limit as it is used now.

    \b
    mainspring limit list
    """
    with use_client(store, url) as client:
        found = client.pipelines.limits()
    if as_json:
        echo_json(found)
        return
    rows = [
        (
            each.limit.name,
            each.limit.slots or "",
            each.held,
            each.waiting,
            f"{each.limit.per_second:g}" if each.limit.per_second else "",
            f"{each.tokens:.1f} of {each.limit.burst:g}" if each.limit.per_second else "",
        )
        for each in found
    ]
    show_table(
        ("limit", "slots", "running", "waiting", "per second", "at once"),
        rows,
        empty="no limits: mainspring limit set NAME --slots 2",
    )


@limit.command()
@click.argument("name")
@json_option
@store_options
def show(name: str, store: str, url: str, *, as_json: bool) -> None:
    """Who runs under a limit, and who waits for it.

    \b
    mainspring limit show gpu
    """
    with use_client(store, url) as client:
        found = client.pipelines.claims(name)
    if as_json:
        echo_json(found)
        return
    rows = [(each.step, each.run_id, each.state, each.priority, ago(each.held_at or each.asked_at)) for each in found]
    show_table(("step", "run", "state", "priority", "since"), rows, empty="nobody runs under it or waits for it")


@limit.command()
@click.argument("name")
@store_options
def delete(name: str, store: str, url: str) -> None:
    """Take a limit away: who waits for it enters; steps that name it are refused from now on.

    \b
    mainspring limit delete gpu
    """
    with use_client(store, url) as client:
        client.pipelines.delete_limit(name)
