"""`mainspring endpoint`."""

from __future__ import annotations

from typing import Literal

import click

from mainspring.cli.output import ago, echo_json, json_option, show_fields, show_table, store_options, use_client
from mainspring.serving.types import Endpoint, Prediction

__all__ = ["endpoint"]


@click.group()
def endpoint() -> None:
    """Endpoints: what answers, how it is doing, and who comes next."""


@endpoint.command("list")
@json_option
@store_options
def list_endpoints(store: str, url: str, *, as_json: bool) -> None:
    """Every endpoint and the model that answers.

    \b
    mainspring endpoint list
    """
    with use_client(store, url) as client:
        found = client.serving.endpoints()
    if as_json:
        echo_json(found)
        return
    rows = [(each.name, each.plan.champion.reference, _challenge(each), ago(each.updated_at)) for each in found]
    show_table(
        ("endpoint", "champion", "challenger", "changed"),
        rows,
        empty="no endpoints: mainspring endpoint deploy NAME MODEL",
    )


@endpoint.command()
@click.argument("name")
@click.option(
    "--windows",
    "count",
    default=10,
    show_default=True,
    type=click.IntRange(0, 1000),
    help="How many windows of traffic to show.",
)
@json_option
@store_options
def show(name: str, count: int, store: str, url: str, *, as_json: bool) -> None:
    """One endpoint: its traffic plan, its rollouts, and what monitoring saw.

    \b
    mainspring endpoint show flight-delay
    """
    with use_client(store, url) as client:
        found = client.serving.endpoint(name)
        windows = client.monitoring.windows(name, limit=count)
        rollouts = client.serving.rollouts(endpoint=name, limit=5)
    if as_json:
        echo_json({"endpoint": found, "windows": windows, "rollouts": rollouts})
        return
    show_fields(
        [
            ("endpoint", found.name),
            ("mode", found.plan.mode),
            ("champion", found.plan.champion.reference),
            ("challenger", _challenge(found)),
            ("features", found.features),
            ("changed", found.updated_at),
        ]
    )
    if rollouts:
        click.echo("")
        rows = [(each.challenger, each.mode, each.status, ago(each.started_at), each.reason) for each in rollouts]
        show_table(("rollout of", "mode", "status", "started", "reason"), rows, empty="")
    click.echo("")
    seen = [
        (each.until, each.rows, each.drifted[:3], each.drift_share, each.labelled,
         [f"{figure} {value.value:.4g}{' fell' if value.fell else ''}" for figure, value in each.figures.items()])
        for each in windows
    ]  # fmt: skip
    show_table(
        ("until", "rows", "drifted", "share", "labelled", "performance"),
        seen,
        empty="no window of traffic was looked at yet",
    )


@endpoint.command()
@click.argument("name")
@click.argument("model")
@click.option("--features", multiple=True, metavar="VIEW", help="Feature view to look columns up in; may be repeated.")
@click.option(
    "--sticky", multiple=True, metavar="COLUMN", help="Column that decides which arm a row goes to; may be repeated."
)
@click.option("--timestamp", default=None, metavar="COLUMN", help="Column that says when each row happens.")
@click.option("--allow-unapproved", is_flag=True, help="Serve content that nobody approved; takes an approver.")
@json_option
@store_options
def deploy(
    name: str,
    model: str,
    features: tuple[str, ...],
    sticky: tuple[str, ...],
    timestamp: str | None,
    store: str,
    url: str,
    *,
    allow_unapproved: bool,
    as_json: bool,
) -> None:
    """Let a model version answer under a name, from now on and alone.

    \b
    mainspring endpoint deploy flight-delay flight-delay@champion --features weather
    """
    with use_client(store, url) as client:
        made = client.serving.deploy(
            name,
            model=model,
            features=list(features) or None,
            sticky=list(sticky) or None,
            timestamp=timestamp,
            allow_unapproved=allow_unapproved,
        )
    _say(made, as_json=as_json)


@endpoint.command()
@click.argument("name")
@click.option("--limit", default=20, show_default=True, type=click.IntRange(1, 10_000), help="How many.")
@json_option
@store_options
def predictions(name: str, limit: int, store: str, url: str, *, as_json: bool) -> None:
    """The newest predictions of an endpoint; ask about one with `mainspring why prediction/ID`.

    \b
    mainspring endpoint predictions flight-delay
    """
    with use_client(store, url) as client:
        found = client.serving.predictions(name, limit=limit)
    if as_json:
        echo_json(found)
        return
    rows = [(each.id, each.at, each.arm, each.model, _answer(each), each.caller) for each in found]
    show_table(("prediction", "at", "arm", "model", "answer", "caller"), rows, empty="nothing was predicted yet")


@endpoint.group()
def rollout() -> None:
    """Bring a challenger before the users, and judge it."""


@rollout.command("list")
@click.option("--endpoint", "name", default="", help="Only of this endpoint.")
@json_option
@store_options
def list_rollouts(name: str, store: str, url: str, *, as_json: bool) -> None:
    """Rollouts, newest first.

    \b
    mainspring endpoint rollout list
    """
    with use_client(store, url) as client:
        found = client.serving.rollouts(endpoint=name)
    if as_json:
        echo_json(found)
        return
    rows = [
        (each.id, each.endpoint, each.challenger, each.mode, each.status, ago(each.started_at), each.reason)
        for each in found
    ]
    show_table(("rollout", "endpoint", "challenger", "mode", "status", "started", "reason"), rows, empty="no rollouts")


@rollout.command()
@click.argument("name", metavar="ENDPOINT")
@click.argument("challenger", metavar="MODEL")
@click.option(
    "--mode",
    default="shadow",
    show_default=True,
    type=click.Choice(["shadow", "canary"]),
    help="Unseen, or for a share of the rows.",
)
@click.option("--step", "steps", multiple=True, type=float, help="Share of a canary, growing; may be repeated.")
@click.option("--metric", default="log_loss", show_default=True, help="What is compared; lower is better.")
@click.option("--allow-unapproved", is_flag=True, help="A canary of content that nobody approved; takes an approver.")
@json_option
@store_options
def start(
    name: str,
    challenger: str,
    mode: Literal["shadow", "canary"],
    steps: tuple[float, ...],
    metric: str,
    store: str,
    url: str,
    *,
    allow_unapproved: bool,
    as_json: bool,
) -> None:
    """Let a challenger show what it can.

    \b
    mainspring endpoint rollout start flight-delay flight-delay@4
    mainspring endpoint rollout start flight-delay flight-delay@4 --mode canary --step 0.1 --step 0.5
    """
    with use_client(store, url) as client:
        made = client.serving.start_rollout(
            name,
            challenger=challenger,
            mode=mode,
            steps=list(steps) or None,
            metric=metric,
            allow_unapproved=allow_unapproved,
        )
    if as_json:
        echo_json(made)
    else:
        click.echo(f"{made.challenger} is a {made.mode} beside {made.champion} at {made.endpoint}")


@rollout.command()
@click.argument("name", metavar="ENDPOINT")
@click.option("--dry-run", is_flag=True, help="Only say what would be decided.")
@json_option
@store_options
def evaluate(name: str, store: str, url: str, *, dry_run: bool, as_json: bool) -> None:
    """Look at the labels of both arms and do what they say: go on, promote, roll back.

    \b
    mainspring endpoint rollout evaluate flight-delay --dry-run
    """
    with use_client(store, url) as client:
        seen = client.serving.evaluate_rollout(name, apply=not dry_run)
    if as_json:
        echo_json(seen)
        return
    show_fields(
        [
            ("verdict", seen.decision.verdict),
            ("reason", seen.decision.reason),
            ("metric", seen.metric),
            ("champion", f"{seen.champion_mean} over {seen.champion_n:,}"),
            ("challenger", f"{seen.challenger_mean} over {seen.challenger_n:,}"),
            ("difference", f"{seen.decision.estimate} in [{seen.decision.lower}, {seen.decision.upper}]"),
        ]
    )


@rollout.command()
@click.argument("name", metavar="ENDPOINT")
@click.option("--reason", default="promoted by hand", show_default=True, help="Why, for the audit.")
@click.option("--allow-unapproved", is_flag=True, help="Even where nobody approved it; takes an approver.")
@json_option
@store_options
def promote(name: str, reason: str, store: str, url: str, *, allow_unapproved: bool, as_json: bool) -> None:
    """Let the challenger answer everything, and end the rollout.

    \b
    mainspring endpoint rollout promote flight-delay
    """
    with use_client(store, url) as client:
        _say(client.serving.promote(name, reason=reason, allow_unapproved=allow_unapproved), as_json=as_json)


@rollout.command()
@click.argument("name", metavar="ENDPOINT")
@click.option("--reason", default="rolled back by hand", show_default=True, help="Why, for the audit.")
@json_option
@store_options
def rollback(name: str, reason: str, store: str, url: str, *, as_json: bool) -> None:
    """Take the challenger away, and end the rollout.

    \b
    mainspring endpoint rollout rollback flight-delay --reason "support tickets"
    """
    with use_client(store, url) as client:
        _say(client.serving.rollback(name, reason=reason), as_json=as_json)


def _say(held: Endpoint, *, as_json: bool) -> None:
    if as_json:
        echo_json(held)
    else:
        click.echo(f"{held.plan.champion.reference} answers at {held.name}")


def _challenge(held: Endpoint) -> str:
    plan = held.plan
    if plan.challenger is None:
        return ""
    return f"{plan.challenger.reference} ({plan.mode}{f' {plan.weight:.0%}' if plan.mode == 'canary' else ''})"


def _answer(each: Prediction) -> str:
    return ", ".join(
        f"{name}={value:.4g}" if isinstance(value, float) else f"{name}={value}" for name, value in each.outputs.items()
    )
