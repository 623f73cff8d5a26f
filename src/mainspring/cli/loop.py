"""`mainspring loop`."""

from __future__ import annotations

import click

from mainspring.cli.output import ago, echo_json, json_option, show_fields, show_table, store_options, use_client

__all__ = ["loop"]


@click.group()
def loop() -> None:
    """Policies that turn an alert into a better model, and what became of it."""


@loop.command("list")
@json_option
@store_options
def list_policies(store: str, url: str, *, as_json: bool) -> None:
    """Every policy and what it is doing.

    \b
    mainspring loop list
    """
    with use_client(store, url) as client:
        policies = client.loop.policies()
        active = {each.endpoint: each for each in client.loop.episodes(active=True, limit=1000)}
    if as_json:
        echo_json(policies)
        return
    rows = [
        (each.endpoint, each.triggers, each.flow, "on" if each.enabled else "stopped",
         active[each.endpoint].state if each.endpoint in active else "quiet", ago(each.changed_at))
        for each in policies
    ]  # fmt: skip
    show_table(
        ("endpoint", "triggers", "flow", "policy", "now", "changed"),
        rows,
        empty="no policies: ms.loop.watch(ENDPOINT, run=FLOW)",
    )


@loop.command()
@click.argument("endpoint")
@click.option("--limit", default=5, show_default=True, type=click.IntRange(1, 1000), help="How many episodes.")
@json_option
@store_options
def show(endpoint: str, limit: int, store: str, url: str, *, as_json: bool) -> None:
    """The policy of an endpoint and the story of its episodes, newest first.

    \b
    mainspring loop show flight-delay
    """
    with use_client(store, url) as client:
        policy, episodes = client.loop.policy(endpoint), client.loop.episodes(endpoint=endpoint, limit=limit)
    if as_json:
        echo_json({"policy": policy, "episodes": episodes})
        return
    shares = ", ".join(f"{share:.0%}" for share in policy.rollout.steps)
    show_fields(
        [
            ("endpoint", policy.endpoint),
            ("policy", "on" if policy.enabled else "stopped"),
            ("triggers", policy.triggers),
            ("flow", policy.flow),
            ("rollout", f"{policy.rollout.mode}, in steps of {shares}" if shares else policy.rollout.mode),
            ("approval", "a person approves each challenger" if policy.needs_approval else "the gate is enough"),
        ]
    )
    for episode in episodes:
        click.echo(f"\n{click.style(f'episode {episode.id}', bold=True)}  {episode.state}")
        for chapter in episode.story:
            click.echo(
                f"  {chapter.at:%Y-%m-%d %H:%M:%S}Z  {chapter.text}{f'  ({chapter.ref})' if chapter.ref else ''}"
            )


@loop.command()
@click.argument("endpoint")
@click.option("--reason", default="stopped by hand", show_default=True, help="Why, for the audit.")
@store_options
def stop(endpoint: str, reason: str, store: str, url: str) -> None:
    """Stop a policy at once; a rollout under way is rolled back.

    \b
    mainspring loop stop flight-delay --reason "release freeze"
    """
    with use_client(store, url) as client:
        client.loop.stop(endpoint, reason=reason)
    click.echo(f"the loop at {endpoint} is stopped")
