"""`mainspring run compare`, `diff` and `importance`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import click

from mainspring.cli.output import echo_json, json_option, show_table, store_options, use_client
from mainspring.tracking.comparing import DiffRow, RunDiff
from mainspring.tracking.types import TrackedRun

__all__ = ["compare", "diff", "importance"]

_MOST = 100


@click.command()
@click.argument("run_ids", nargs=-1, required=True)
@click.option("--only", multiple=True, metavar="FIELD", help="metrics.loss, 'params.*', ...; may be repeated.")
@json_option
@store_options
def compare(run_ids: tuple[str, ...], only: tuple[str, ...], store: str, url: str, *, as_json: bool) -> None:
    """Runs side by side: every parameter and the latest value of every metric.

    \b
    mainspring run compare 01970b2e-... 01970b2f-...
    mainspring run compare 01970b2e-... 01970b2f-... --only "metrics.val*"
    """
    wanted = ", ".join("'" + each.replace("'", "''") + "'" for each in run_ids)
    with use_client(store, url) as client:
        page = client.tracking.search(f"run_id IN ({wanted})", view="all", fields=list(only) or None, limit=1000)
        places = {each.id: each for each in page.runs}
        found = [places.get(each) or client.tracking.get(each) for each in run_ids]
    if as_json:
        echo_json(found)
        return
    rows: list[Sequence[Any]] = [
        ("title", *(each.title for each in found)),
        ("status", *(each.status for each in found)),
    ]
    rows += _rows("params", found)
    rows += _rows("metrics", found)
    show_table(("", *(each.id for each in found)), rows, empty="no such runs")


@click.command()
@click.argument("run_ids", nargs=-1, required=True)
@click.option(
    "--baseline", default="", metavar="RUN", help="What the others are measured against.  [default: the first]"
)
@click.option("--environment", "whole", is_flag=True, help="Name every package that differs, not only how many do.")
@json_option
@store_options
def diff(run_ids: tuple[str, ...], baseline: str, store: str, url: str, *, whole: bool, as_json: bool) -> None:
    """What differs between runs: parameters, metrics with deltas, tags, data, code, packages.

    \b
    mainspring run diff 01970b2e-... 01970b2f-...
    mainspring run diff 01970b2e-... 01970b2f-... 01970b30-... --baseline 01970b2f-...
    """
    with use_client(store, url) as client:
        found = client.tracking.diff(list(run_ids), baseline=baseline)
    if as_json:
        echo_json(found)
    else:
        _show_diff(found, whole=whole)


@click.command()
@click.argument("metric")
@click.option("--experiment", "experiments", multiple=True, help="Only runs of this experiment; may be repeated.")
@click.option("--query", default="", help="A filter, as for `run list`.")
@json_option
@store_options
def importance(metric: str, experiments: tuple[str, ...], query: str, store: str, url: str, *, as_json: bool) -> None:
    """How much each parameter matters for a metric.

    \b
    mainspring run importance auc --experiment flight-delay
    mainspring run importance "min(metrics.loss)" --query "status = 'finished'"
    """
    with use_client(store, url) as client:
        found = client.tracking.importance(metric, experiments=list(experiments), query=query)
    if as_json:
        echo_json(found)
        return
    rows = [(each.name, each.importance, each.spread, each.correlation, each.kind, each.runs) for each in found]
    show_table(("parameter", "importance", "spread", "correlation", "kind", "runs"), rows, empty="no parameter changes")
    if found:
        click.echo(f"all parameters together explain {found[0].explained:.0%} of the variance of {metric}", err=True)


def _rows(space: str, runs: Sequence[TrackedRun]) -> list[Sequence[Any]]:
    names = sorted({name for each in runs for name in getattr(each, space)})
    return [(f"{space}.{name}", *(_value(getattr(each, space).get(name)) for each in runs)) for name in names]


def _value(value: Any) -> Any:
    return value.value if hasattr(value, "special") else value


def _show_diff(found: RunDiff, *, whole: bool) -> None:
    rows: list[Sequence[Any]] = []
    for space, some in (("", found.about), ("params.", found.params), ("tags.", found.tags), ("data ", found.data)):
        rows += [(f"{space}{each.name}", *each.values) for each in some]
    for metric in found.metrics:
        values = [_with_delta(*each) for each in zip(metric.values, metric.deltas, strict=True)]
        rows.append((f"metrics.{metric.name}", *values))
    if whole:
        rows += [(f"package {each.name}", *each.values) for each in found.environment]
    elif found.environment:
        rows.append(("packages that differ", *_counts(found.environment, len(found.run_ids))))
    show_table(("", *found.run_ids), rows, empty="parameters, metrics, tags, data and packages are the same")
    for code in found.code:
        click.echo(f"\ncode of {code.run_id}: {code.repository} {code.commit}".rstrip())
        if code.changes:
            click.echo(code.changes)


def _counts(rows: Sequence[DiffRow], width: int) -> list[int]:
    return [sum(each.values[place] is not None for each in rows) for place in range(width)]


def _with_delta(value: Any, delta: float | None) -> Any:
    return f"{value:.6g} ({delta:+.3g})" if delta and isinstance(value, float) else value
