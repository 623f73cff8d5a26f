"""`mainspring tune`: searches for parameters."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from mainspring.cli.lazy import LazyGroup
from mainspring.cli.output import ago, echo_json, json_option, show_fields, show_table, store_options, use_client

__all__ = ["best", "list_studies", "run", "show", "trials", "tune"]


@click.group(
    cls=LazyGroup,
    addresses={
        "best": "mainspring.cli.tune:best",
        "list": "mainspring.cli.tune:list_studies",
        "run": "mainspring.cli.tune:run",
        "serve": "mainspring.cli.tune_serve:serve",
        "show": "mainspring.cli.tune:show",
        "trials": "mainspring.cli.tune:trials",
    },
)
def tune() -> None:
    """Searches for the best parameters: studies and their trials."""


@click.command("list")
@click.option("--name", default="", help="Only studies of this name.")
@click.option("--limit", default=50, show_default=True, type=click.IntRange(1, 1000), help="How many.")
@json_option
@store_options
def list_studies(name: str, limit: int, store: str, url: str, *, as_json: bool) -> None:
    """Studies, newest first.

    \b
    mainspring tune list
    """
    with use_client(store, url) as client:
        found = client.tuning.studies(name=name, limit=limit)
        states = client.tuning.states([each.id for each in found])
    if as_json:
        echo_json([{"study": each, "trials": states[each.id]} for each in found])
        return
    rows = [
        (
            each.unique_name,
            each.state,
            sum(states[each.id].values()),
            states[each.id].get("failed", 0),
            each.sampler.partition(" ")[0],
            ", ".join(each.directions),
            ago(each.created_at),
        )
        for each in found
    ]
    columns = ("study", "state", "trials", "failed", "sampler", "direction", "made")
    show_table(columns, rows, empty="no study yet: mainspring tune run sweep.yaml, or ms.tune(...)")


@click.command()
@click.argument("study")
@json_option
@store_options
def show(study: str, store: str, url: str, *, as_json: bool) -> None:
    """One study: what is searched, how far it is, and the best of it.

    \b
    mainspring tune show flight-delay
    """
    with use_client(store, url) as client:
        found = client.tuning.get(study)
        states = client.tuning.states([found.id])[found.id]
        top = client.tuning.best(found.id)
    if as_json:
        echo_json({"study": found, "trials": states, "best": top})
        return
    fields: list[tuple[str, Any]] = [
        ("study", found.unique_name),
        ("id", found.id),
        ("state", found.state),
        ("sampler", found.sampler or "of the program"),
        ("pruner", found.pruner or "of the program"),
        ("direction", found.directions),
        ("metrics", found.metric_names),
        ("made", f"{ago(found.created_at)} by {found.created_by}"),
        *((f"trials {state}", count) for state, count in states.items() if count),
        *((f"space {name}", _dimension(each)) for name, each in found.space.items()),
    ]
    if top is not None:
        fields += [("best value", top.value), ("best trial", top.number), *_params(top.params)]
    show_fields(fields)


@click.command()
@click.argument("study")
@json_option
@store_options
def best(study: str, store: str, url: str, *, as_json: bool) -> int:
    """The best parameters of a study; 1 when there are none yet. With several objectives the first one counts.

    \b
    mainspring tune best flight-delay --json
    """
    with use_client(store, url) as client:
        found = client.tuning.best(study)
    if as_json:
        echo_json(found)
    elif found is None:
        click.echo("no trial has a value yet", err=True)
    else:
        show_fields([("value", found.value), ("trial", found.number), ("run", found.id), *_params(found.params)])
    return 1 if found is None else 0


@click.command()
@click.argument("study")
@click.option("--limit", default=100, show_default=True, type=click.IntRange(1, 10_000), help="How many.")
@click.option("--after", default=-1, show_default=True, help="Only those with a greater number.")
@json_option
@store_options
def trials(study: str, limit: int, after: int, store: str, url: str, *, as_json: bool) -> None:
    """The trials of a study, by number.

    \b
    mainspring tune trials flight-delay --limit 20
    """
    with use_client(store, url) as client:
        found = client.tuning.trials(study, limit=limit, after=after)
    if as_json:
        echo_json(found)
        return
    rows = [
        (
            each.number,
            each.state,
            each.values,
            ", ".join(
                f"{name}={value:.6g}" if isinstance(value, float) else f"{name}={value}"
                for name, value in each.params.items()
            ),
            each.error.partition("\n")[0][:80],
        )
        for each in found
    ]
    show_table(("trial", "state", "value", "parameters", "error"), rows, empty="no trials")


@click.command()
@click.argument("sweep", type=click.Path(path_type=Path))
@click.option("--count", default=0, type=click.IntRange(0), help="How many trials; run_cap of the file counts too.")
@click.option("--parallel", default=1, show_default=True, type=click.IntRange(1, 1000), help="How many at a time.")
@click.option("--key", default="", help="Go on with the study of this key, if there is one.")
@click.option("--name", default="", help="Name of the study; the file's otherwise.")
@click.option("--seed", default=0, show_default=True, help="Of all randomness in the search.")
@json_option
@store_options
def run(
    sweep: Path,
    count: int,
    parallel: int,
    key: str,
    name: str,
    seed: int,
    store: str,
    url: str,
    *,
    as_json: bool,
) -> None:
    """Run a W&B sweep file: its program once for each trial, with the parameters as arguments.

    \b
    mainspring tune run sweep.yaml --count 50 --parallel 2

    The metric is what the program logs into ms.run(), or a line {"loss": 0.5} that it prints.
    """
    from mainspring.tuning.sweeps import read_sweep, run_sweep

    read = read_sweep(sweep)
    with use_client(store, url, create=True) as client:
        found = run_sweep(client, read, count=count, parallel=parallel, key=key, name=name, seed=seed)
    if as_json:
        echo_json({"study": found.study, "best": found.best, "trials": len(found.trials), "stopped": found.stopped})
        return
    show_fields(
        [
            ("study", found.study.unique_name),
            ("trials", len(found.trials)),
            ("stopped by", found.stopped),
            ("best value", found.value),
            ("best trial", found.best.number),
            *_params(found.params),
        ]
    )


def _params(params: dict[str, Any]) -> list[tuple[str, Any]]:
    return [(f"best {name}", value) for name, value in params.items()]


def _dimension(each: Any) -> str:
    if hasattr(each, "values"):
        return f"one of {', '.join(map(str, each.values))}"
    form = " on a logarithmic scale" if each.log else f" in steps of {each.step}" if each.step not in (None, 1) else ""
    return f"{each.low} to {each.high}{form}"
