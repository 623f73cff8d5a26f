"""`mainspring run`: finding and reading runs."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from datetime import datetime
from typing import Any

import click
import msgspec

from mainspring.cli.output import (
    ago,
    bytes_text,
    echo_json,
    json_option,
    seconds_text,
    show_fields,
    show_table,
    store_options,
    use_client,
)
from mainspring.cli.run_archive import export, import_runs
from mainspring.cli.run_changes import delete, note, rename, restore, sync, tag
from mainspring.cli.run_compare import compare, diff, importance
from mainspring.client.client import Client
from mainspring.kernel.clock import now
from mainspring.kernel.errors import InvalidInput, NotFound
from mainspring.lineage.types import Run
from mainspring.tracking.types import RunPage, TrackedRun

__all__ = ["run"]

_PAGE = 1000
_FIRST_METRICS = 4
_LOOKED_AT = 50
_PLAIN = ("run", "title", "experiment", "status", "started", "took", "user", "group", "note")
_STATUS = click.Choice(["", "running", "finished", "failed", "cancelled", "crashed"])


@click.group()
def run() -> None:
    """Runs: found, read, compared, renamed, tagged, deleted, taken along."""


@run.command("list")
@click.argument("query", default="")
@click.option("--experiment", "experiments", multiple=True, help="Only runs of this experiment; may be repeated.")
@click.option("--status", default="", type=_STATUS, help="Only these.")
@click.option(
    "--order", multiple=True, metavar="KEY", help="metrics.loss, -started_at, 'params.depth DESC'; repeatable."
)
@click.option("--columns", default="", help="For example run,title,metrics.auc,params.depth,tags.team.")
@click.option("--limit", default=50, show_default=True, type=click.IntRange(1, 1_000_000), help="How many.")
@click.option("--deleted", is_flag=True, help="Those that were deleted.")
@click.option("--count", "only_count", is_flag=True, help="Print only how many there are.")
@click.option("--kind", default="", help="Any run of the lineage of this kind: flow, step, evaluation, deployment, ...")
@click.option("--jsonl", is_flag=True, help="Print one JSON object a line, as they come.")
@json_option
@store_options
def list_runs(
    query: str,
    experiments: tuple[str, ...],
    status: str,
    order: tuple[str, ...],
    columns: str,
    limit: int,
    kind: str,
    store: str,
    url: str,
    *,
    deleted: bool,
    only_count: bool,
    jsonl: bool,
    as_json: bool,
) -> None:
    """Runs, newest first, or those that a filter finds.

    \b
    mainspring run list "metrics.auc > 0.9 AND params.depth BETWEEN 4 AND 8" --order=-metrics.auc
    mainspring run list "status = 'failed' AND started_at > now - 2d" --columns run,title,note
    mainspring run list --experiment flight-delay --count
    """
    with use_client(store, url) as client:
        if kind:
            _list_lineage(client, kind, query, experiments, status, limit, as_json=as_json)
            return
        asked: dict[str, Any] = {"experiments": list(experiments), "view": "deleted" if deleted else "active"}
        query = _with_status(query, status)
        if only_count:
            echo_json(client.tracking.count(query, **asked))
            return
        asked["order_by"] = list(order)
        plain = as_json or jsonl
        chosen = [] if plain else _chosen(columns) or _telling(client, query, limit, asked, alone=len(experiments) == 1)
        fields = None if plain else [each for each in chosen if each not in _PLAIN]
        pages = _pages(client, query, limit, {**asked, "fields": fields})
        if jsonl:
            for page in pages:
                for each in page.runs:
                    click.echo(msgspec.json.encode(each).decode())
            return
        found, unknown = [], set()
        for page in pages:
            found += page.runs
            unknown |= set(page.unknown)
    for name in sorted(unknown):
        click.echo(f"no run has {name}", err=True)
    if as_json:
        echo_json(found)
        return
    show_table(chosen, [[_cell(each, column) for column in chosen] for each in found], empty="no such runs")


@run.command()
@click.argument("run_id")
@json_option
@store_options
def show(run_id: str, store: str, url: str, *, as_json: bool) -> None:
    """One run: its parameters, metrics, files, and what it used and made.

    \b
    mainspring run show 01970b2e-...
    """
    with use_client(store, url) as client:
        found = client.lineage.run(run_id)
        try:
            tracked = client.tracking.get(found.id)
            files = client.tracking.files(found.id)
        except NotFound:  # a run that no script logged into: a step, a deployment
            tracked, files = None, []
    if as_json:
        echo_json({"run": found, "tracked": tracked, "files": files})
        return
    show_fields(
        [
            ("run", found.id),
            ("kind", found.kind),
            ("experiment" if tracked is not None else "name", found.name),
            ("status", found.status),
            ("started", found.started_at),
            ("took", _lasted(found)),
            ("by", found.created_by),
            *_about(found, tracked),
        ]
    )
    if tracked is not None:
        _show_tracked(tracked)
    if files:
        click.echo("")
        show_table(("file", "size"), [(each.path, bytes_text(each.file.size)) for each in files], empty="")


@run.command()
@click.argument("run_id")
@store_options
def logs(run_id: str, store: str, url: str) -> None:
    """What a run, a step, or the body of a flow printed.

    \b
    mainspring run logs 01970b2e-...
    """
    with use_client(store, url) as client:
        found = client.lineage.run(run_id)
        try:
            output = client.tracking.output(found.id)
        except NotFound:  # a run that no script logged into
            output = ""
        click.echo(output or client.pipelines.logs(found.id), nl=False)


@run.command()
@click.argument("query")
@click.option("--limit", default=1000, show_default=True, type=click.IntRange(1, 10_000), help="How many rows.")
@json_option
@store_options
def sql(query: str, limit: int, store: str, url: str, *, as_json: bool) -> None:
    """A SELECT over the views runs, metrics, params, tags, files, chunks and experiments.

    \b
    mainspring run sql "SELECT experiment, count(*), avg(seconds) FROM runs GROUP BY experiment"
    mainspring run sql "SELECT key, max(last) FROM metrics GROUP BY key" --json
    """
    with use_client(store, url) as client:
        found = client.tracking.sql(query, limit=limit)
    if as_json:
        echo_json(found)
        return
    show_table(found.columns, found.rows, empty="no rows")
    if found.truncated:
        click.echo(f"there are more than {limit} rows: --limit", err=True)


for command in (compare, delete, diff, export, import_runs, importance, note, rename, restore, sync, tag):
    run.add_command(command)


def _with_status(query: str, status: str) -> str:
    if not status:
        return query
    return f"({query}) AND status = '{status}'" if query.strip() else f"status = '{status}'"


def _chosen(text: str) -> list[str]:
    """The columns that were asked for."""
    chosen = [each.strip() for each in text.split(",") if each.strip()]
    for each in chosen:
        if each not in _PLAIN and not each.startswith(("metrics.", "params.", "tags.")):
            raise InvalidInput(
                f"{each!r} is not a column", known=[*_PLAIN, "metrics.<name>", "params.<name>", "tags.<name>"]
            )
    return chosen


def _telling(client: Client, query: str, limit: int, asked: dict[str, Any], *, alone: bool) -> list[str]:
    """The columns where none were asked for: the metrics that most of the runs have that come first."""
    page = client.tracking.search(query, **asked, fields=["metrics.*"], limit=min(limit, _LOOKED_AT))
    names = Counter(name for each in page.runs for name in each.metrics if not name.startswith("system/"))
    first = sorted(names, key=lambda name: (-names[name], name))[:_FIRST_METRICS]
    place = [] if alone else ["experiment"]
    return ["run", *place, "title", "status", *(f"metrics.{name}" for name in sorted(first)), "started", "took"]


def _pages(client: Client, query: str, limit: int, asked: dict[str, Any]) -> Iterator[RunPage]:
    page = ""
    while limit > 0:
        found = client.tracking.search(query, **asked, limit=min(limit, _PAGE), page=page)
        yield found
        limit -= len(found.runs)
        page = found.next_page
        if not page:
            return


def _cell(each: TrackedRun, column: str) -> Any:
    space, _, name = column.partition(".")
    if name:
        held: dict[str, Any] = getattr(each, space)
        value = held.get(name)
        return value.value if space == "metrics" and value is not None else value
    return {
        "run": each.id,
        "title": each.title,
        "experiment": each.experiment,
        "status": each.status,
        "started": ago(each.run.started_at),
        "took": _lasted(each.run),
        "user": each.user,
        "group": each.group,
        "note": each.note.partition("\n")[0],
    }[column]


def _list_lineage(
    client: Client, kind: str, query: str, experiments: tuple[str, ...], status: str, limit: int, *, as_json: bool
) -> None:
    if query or len(experiments) > 1:
        raise InvalidInput("runs of the lineage are listed without a filter", hint="leave --kind out to filter")
    name = experiments[0] if experiments else ""
    found = client.lineage.runs(kind=kind, name=name, status=status, limit=min(limit, 10_000))
    if as_json:
        echo_json(found)
        return
    rows = [(each.id, each.kind, each.name, each.status, ago(each.started_at), _lasted(each)) for each in found]
    show_table(("run", "kind", "name", "status", "started", "took"), rows, empty="no such runs")


def _about(found: Run, tracked: TrackedRun | None) -> list[tuple[str, Any]]:
    """What else there is to say of a run in a line each; nothing of what there is not."""
    about = dict(found.metadata)
    if tracked is not None:
        commit = tracked.source.get("commit", "")
        about |= {
            "title": tracked.title,
            "group": tracked.group,
            "parent": found.parent_id,
            "forked from": f"{tracked.forked_from} at step {tracked.fork_step}" if tracked.forked_from else "",
            "code": f"{commit}, changed since" if commit and tracked.source.get("changed") else commit,
            "note": tracked.note,
            "tags": [f"{name}={value}" for name, value in tracked.tags.items()],
        }
    return [(name, value) for name, value in about.items() if value not in ("", None, [], {})]


def _show_tracked(tracked: TrackedRun) -> None:
    if tracked.params:
        click.echo("")
        show_table(("parameter", "value"), tracked.params.items(), empty="")
    if tracked.metrics:
        click.echo("")
        rows = [
            (name, each.value, each.step, each.minimum, each.maximum, each.count)
            for name, each in tracked.metrics.items()
        ]
        show_table(("metric", "last", "step", "min", "max", "points"), rows, empty="")


def _lasted(found: Run) -> str:
    end: datetime = found.finished_at or now()
    return seconds_text((end - found.started_at).total_seconds())
