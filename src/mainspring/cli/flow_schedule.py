"""`mainspring flow schedule`: when flows start by themselves."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click

from mainspring.cli.flow_address import find_flow, read_params
from mainspring.cli.output import ago, echo_json, json_option, show_table, store_options, use_client
from mainspring.kernel.errors import InvalidInput
from mainspring.pipelines.types_schedules import Schedule

__all__ = ["moment_of", "schedule", "scheduler", "timing_options", "timing_values"]

_POLICIES = ["skip", "buffer_one", "buffer_all", "cancel_other", "allow_all"]


def moment_of(text: str) -> datetime:
    """A moment that somebody typed: `2026-11-21`, `2026-11-21T14:30`; without a zone it is UTC."""
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        raise InvalidInput(f"{text!r} is not a moment", hint="2026-11-21 or 2026-11-21T14:30+01:00") from None
    return found if found.tzinfo else found.replace(tzinfo=UTC)


def timing_options(command: Any) -> Any:
    """The options that say which moments are meant."""
    for option in (
        click.option("--only", multiple=True, metavar="WHAT", help="Only there; in the words of --exclude."),
        click.option(
            "--exclude", multiple=True, metavar="WHAT", help="Not there: a calendar, a day, FIRST..LAST, cron fields."
        ),
        click.option("--tz", default="UTC", show_default=True, help="The zone of the fields and of days."),
        click.option("--every", default=0.0, type=float, metavar="SECONDS", help="So many seconds apart."),
        click.option("--cron", default="", help="Five fields as in Debian's cron, or @daily and the like."),
    ):
        command = option(command)
    return command


def timing_values(options: dict[str, Any]) -> dict[str, Any]:
    """The arguments of an operation from these options."""
    values = {name: options.pop(name) for name in ("cron", "every", "tz")}
    return {**values, "exclude": list(options.pop("exclude")), "only": list(options.pop("only"))}


@click.group()
def schedule() -> None:
    """When flows start by themselves."""


@schedule.command("list")
@json_option
@store_options
def list_schedules(store: str, url: str, *, as_json: bool) -> None:
    """Every schedule and when it is due.

    \b
    mainspring flow schedule list
    """
    with use_client(store, url) as client:
        found = client.pipelines.schedules()
    if as_json:
        echo_json(found)
        return
    rows = [(each.name, each.flow, _when(each), each.tz, _next(each), ago(each.last_at)) for each in found]
    show_table(
        ("schedule", "flow", "when", "zone", "next", "last"),
        rows,
        empty="no schedules: mainspring flow schedule add NAME MODULE:FLOW --cron ...",
    )


@schedule.command()
@click.argument("name")
@click.argument("address", metavar="MODULE:FLOW")
@timing_options
@click.option("--at", "at", multiple=True, metavar="MOMENT", help="A moment; may be repeated.")
@click.option("--start", default="", metavar="MOMENT", help="No moment before it.")
@click.option("--end", default="", metavar="MOMENT", help="No moment after it.")
@click.option("--jitter", default=0.0, type=float, metavar="SECONDS", help="Put each start off by up to so much.")
@click.option("--overlap", default="skip", show_default=True, type=click.Choice(_POLICIES), help="While one runs.")
@click.option("--catch-up", default=86_400.0, show_default=True, type=float, metavar="SECONDS", help="How far back.")
@click.option(
    "--make-up", default="one", show_default=True, type=click.Choice(["one", "all", "none"]), help="What was missed."
)
@click.option("--pause-after", default=0, type=int, metavar="N", help="Pause it after N failed runs in a row.")
@click.option("--deployment", default="", help="`active` or a number: start that version.")
@click.option("--pool", default="", help="Which workers may execute it.")
@click.option("-p", "--param", "params", multiple=True, metavar="NAME=VALUE", help="A parameter, as JSON or as text.")
@json_option
@store_options
def add(
    name: str, address: str, params: tuple[str, ...], store: str, url: str, *, as_json: bool, **options: Any
) -> None:
    """Start a flow at certain moments; a schedule of the same name is replaced.

    \b
    mainspring flow schedule add nightly pipelines:nightly --cron "0 3 * * *" --tz Europe/Berlin --exclude holidays
    """
    found = find_flow(address)
    at = [moment_of(each) for each in options.pop("at")]
    start, end = (moment_of(text) if text else None for text in (options.pop("start"), options.pop("end")))
    timing = timing_values(options)
    with use_client(store, url, create=True) as client:
        made = client.pipelines.schedule_flow(
            found, name=name, params=read_params(params), at=at, start=start, end=end, **timing, **options
        )
    if as_json:
        echo_json(made)
    else:
        click.echo(f"{made.name} starts {made.flow} next at {_next(made)}")


@schedule.command()
@timing_options
@click.option("-n", "count", default=5, show_default=True, type=click.IntRange(1, 1000), help="How many moments.")
@click.option("--after", default="", metavar="MOMENT", help="The first moments after then; after now by default.")
@json_option
@store_options
def explain(count: int, after: str, store: str, url: str, *, as_json: bool, **options: Any) -> None:
    """What a schedule would mean, in words and in moments.

    \b
    mainspring flow schedule explain --cron "15 2 * * 1-5" --tz Europe/Paris
    """
    timing = timing_values(options)
    with use_client(store, url, create=True) as client:
        found = client.pipelines.explain_schedule(**timing, n=count, after=moment_of(after) if after else None)
    if as_json:
        echo_json(found)
        return
    click.echo(found.words)
    for each in found.local:
        click.echo(f"  {each}")


@schedule.command("next")
@click.argument("name")
@click.option("-n", "count", default=10, show_default=True, type=click.IntRange(1, 1000), help="How many moments.")
@json_option
@store_options
def next_moments(name: str, count: int, store: str, url: str, *, as_json: bool) -> None:
    """The next moments of a schedule.

    \b
    mainspring flow schedule next nightly -n 5
    """
    with use_client(store, url) as client:
        found = client.pipelines.next_moments(name, count)
    if as_json:
        echo_json(found)
        return
    for each in found:
        click.echo(f"{each:%a %Y-%m-%d %H:%M:%S}Z")


@schedule.command()
@click.argument("name")
@json_option
@store_options
def now(name: str, store: str, url: str, *, as_json: bool) -> None:
    """Start the flow of a schedule now, in between.

    \b
    mainspring flow schedule now nightly
    """
    with use_client(store, url) as client:
        made = client.pipelines.start_schedule(name)
    if as_json:
        echo_json(made)
    else:
        click.echo(made.run_id or f"{made.outcome}: {made.reason}")


@schedule.command()
@click.argument("name")
@click.option("--resume", is_flag=True, help="Let it go on from now.")
@store_options
def pause(name: str, store: str, url: str, *, resume: bool) -> None:
    """Stop a schedule for a while.

    \b
    mainspring flow schedule pause nightly
    mainspring flow schedule pause nightly --resume
    """
    with use_client(store, url) as client:
        changed = client.pipelines.pause_schedule(name, paused=not resume)
    click.echo("paused" if changed.paused else f"next at {_next(changed)}")


@schedule.command()
@click.argument("name")
@store_options
def remove(name: str, store: str, url: str) -> None:
    """Take a schedule away; what it started stays.

    \b
    mainspring flow schedule remove nightly
    """
    with use_client(store, url) as client:
        client.pipelines.unschedule(name)


@schedule.command()
@click.option("--name", default="", help="Only of this schedule or trigger.")
@click.option("--limit", default=50, show_default=True, type=click.IntRange(1, 1000), help="How many.")
@json_option
@store_options
def history(name: str, limit: int, store: str, url: str, *, as_json: bool) -> None:
    """What came of each moment: started, put off, skipped, missed, and why.

    \b
    mainspring flow schedule history --name nightly
    """
    with use_client(store, url) as client:
        found = client.pipelines.fires(name=name, limit=limit)
    if as_json:
        echo_json(found)
        return
    rows = [(each.fire_at, f"{each.kind}/{each.name}", each.outcome, each.run_id, each.reason) for each in found]
    show_table(("moment", "of", "outcome", "run", "why"), rows, empty="nothing was due yet")


@schedule.command()
@click.argument("name")
@click.argument("days", nargs=-1)
@click.option("--ics", default=None, type=click.Path(exists=True, dir_okay=False), help="An iCalendar file.")
@click.option("--remove", is_flag=True, help="Take it away.")
@json_option
@store_options
def calendar(
    name: str, days: tuple[str, ...], ics: str | None, store: str, url: str, *, remove: bool, as_json: bool
) -> None:
    """Make a named set of days, which schedules leave out or keep to.

    \b
    mainspring flow schedule calendar holidays 2026-12-25 2026-12-26
    mainspring flow schedule calendar holidays --ics holidays.ics
    """
    with use_client(store, url, create=not remove) as client:
        if remove:
            client.pipelines.remove_calendar(name)
            return
        text = Path(ics).read_text(encoding="utf-8") if ics else ""
        made = client.pipelines.calendar(name, [moment_of(each).date() for each in days], ics=text)
    if as_json:
        echo_json(made)
    else:
        click.echo(f"{made.name}: {len(made.days)} days, {made.days[0]} to {made.days[-1]}")


@click.command()
@store_options
def scheduler(store: str, url: str) -> None:
    """Start what is due, and listen to sources, until Ctrl-C; `mainspring up` does it already.

    \b
    mainspring flow scheduler
    """
    if url:
        raise InvalidInput("a scheduler needs the store itself, not a server", hint="--store FOLDER")
    from mainspring.kernel.settings import find_store
    from mainspring.server.scheduler import run_scheduler

    run_scheduler(Path(store) if store else find_store())


def _when(each: Schedule) -> str:
    if each.cron:
        return each.cron
    return f"every {each.every:g} s" if each.every else f"{len(each.timing.at)} moments"


def _next(each: Schedule) -> Any:
    if each.paused:
        return f"paused: {each.paused_because}" if each.paused_because else "paused"
    return "never again" if each.next_at is None else f"{each.next_at:%Y-%m-%d %H:%M:%S}Z"
