"""Turning the loop: begins episodes when alerts fire, and moves each one on. Called by the scheduler.

Every move is a compare-and-set on the episode's state, and what a move starts elsewhere carries the episode's id as its
key, so that a crash between two moves, or a second scheduler, repeats nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import msgspec

from mainspring.kernel.context import Caller, acting_as, caller
from mainspring.kernel.errors import Conflict, MainspringError, NotFound
from mainspring.loop.types import Episode, EpisodeState, Policy

if TYPE_CHECKING:
    from mainspring.client.client import Client

__all__ = ["tick"]


def tick(client: Client) -> None:
    """Move on everything that can move: rollouts, episodes, and new alerts."""
    _judge_rollouts(client)
    for policy in client.loop.policies():
        active = client.loop.episodes(endpoint=policy.endpoint, active=True)
        try:
            if active:
                _move_on(client, policy, active[0])
            elif policy.enabled:
                _perhaps_begin(client, policy)
        except Conflict:
            continue  # another scheduler was quicker


def _judge_rollouts(client: Client) -> None:
    """Look at every running rollout; where the champion was replaced, its alias follows."""
    for endpoint in client.serving.endpoints():
        if endpoint.plan.challenger is None:
            continue
        challenger = endpoint.plan.challenger
        try:
            client.serving.evaluate_rollout(endpoint.name)
        except Conflict:
            continue
        after = client.serving.endpoint(endpoint.name).plan
        if after.champion.model == challenger.model:
            with acting_as(_author(client, endpoint.name)):
                client.models.alias(challenger.name, "champion", challenger.version)


def _perhaps_begin(client: Client, policy: Policy) -> None:
    firing = [each for each in client.monitoring.alerts(endpoint=policy.endpoint, state="firing") if each.kind in policy.triggers]
    if not firing:
        return
    alert = min(firing, key=lambda each: (each.severity != "critical", each.fired_at))
    latest = client.monitoring.windows(policy.endpoint, limit=1)
    event_at = max(alert.event_at, latest[0].until) if latest else alert.event_at
    client.loop.begin(policy.endpoint, alert_id=alert.id, report=alert.report, event_at=event_at, why=alert.title)


def _move_on(client: Client, policy: Policy, episode: Episode) -> None:
    if episode.state == "training" and not episode.flow_run:
        _start_flow(client, policy, episode)
    elif episode.state == "training":
        _take_result(client, policy, episode)
    elif episode.state == "waiting for approval":
        if client.models.get(episode.challenger).approved:
            _start_rollout(client, policy, episode)
    elif episode.state == "rollout":
        _follow_rollout(client, episode)


def _start_flow(client: Client, policy: Policy, episode: Episode) -> None:
    params = {**policy.params, "endpoint": policy.endpoint, "until": episode.event_at.isoformat()}
    run = client.pipelines.enqueue(
        policy.flow, location=policy.location, params=params, code=policy.code, key=f"loop/{episode.id}"
    )
    client.loop.advance(
        episode.id,
        expected="training",
        state="training",
        text=f"the flow {policy.flow} makes a challenger",
        ref=f"run/{run.id}",
        flow_run=run.id,
        report=client.monitoring.alert(episode.alert_id).report if episode.alert_id else "",
    )


def _take_result(client: Client, policy: Policy, episode: Episode) -> None:
    run = client.pipelines.get(episode.flow_run)
    ref = f"run/{run.id}"
    if run.state in ("queued", "running"):
        return
    if run.state != "finished":
        error = (run.error or {}).get("message", "")
        client.loop.advance(episode.id, expected="training", state="failed", text=f"the flow {run.state}: {error}", ref=ref)
        return
    result = run.result
    if not isinstance(result, Mapping) or not isinstance(result.get("model"), str):
        text = f"{policy.flow} returned no mapping with `model`, `passed` and `reason`"
        client.loop.advance(episode.id, expected="training", state="failed", text=text, ref=ref)
        return
    model, reason = str(result["model"]), str(result.get("reason", ""))
    if not result.get("passed"):
        text = f"the gate refused {model}: {reason}"
        client.loop.advance(episode.id, expected="training", state="rejected", text=text, ref=model, challenger=model)
        return
    if policy.needs_approval and not client.models.get(model).approved:
        text = f"{model} passed the gate and waits for a person's approval: {reason}"
        client.loop.advance(episode.id, expected="training", state="waiting for approval", text=text, ref=model, challenger=model)
        return
    if not client.models.get(model).approved:
        with acting_as(_author(client, policy.endpoint)):
            client.models.approve(model, comment=f"passed the gate of the policy for {policy.endpoint}: {reason}")
    _start_rollout(client, policy, _challenging(episode, model))


def _start_rollout(client: Client, policy: Policy, episode: Episode) -> None:
    plan = policy.rollout
    try:
        running = client.serving.rollouts(endpoint=policy.endpoint, limit=1)
        if running and running[0].status == "running" and running[0].challenger == episode.challenger:
            rollout = running[0]  # started just before a crash
        else:
            rollout = client.serving.start_rollout(
                policy.endpoint, challenger=episode.challenger, mode=plan.mode, steps=list(plan.steps), metric=plan.metric, rule=plan.rule
            )
    except MainspringError as error:
        client.loop.advance(
            episode.id, expected=_stored(client, episode), state="failed", text=f"the rollout could not begin: {error.message}"
        )
        return
    client.loop.advance(
        episode.id,
        expected=_stored(client, episode),
        state="rollout",
        text=f"{episode.challenger} passed the gate and begins as a {plan.mode}",
        ref=f"run/{rollout.id}",
        challenger=episode.challenger,
        rollout_id=rollout.id,
    )


def _follow_rollout(client: Client, episode: Episode) -> None:
    rollout = next((each for each in client.serving.rollouts(endpoint=episode.endpoint) if each.id == episode.rollout_id), None)
    if rollout is None:
        raise NotFound(f"the rollout {episode.rollout_id} of episode {episode.id} is gone")
    if rollout.status == "running":
        if rollout.mode == "canary" and not any("canary" in chapter.text for chapter in episode.story[2:]):
            text = f"{rollout.challenger} was convincing as a shadow and answers {rollout.weight:.0%} as a canary"
            client.loop.advance(episode.id, expected="rollout", state="rollout", text=text, ref=f"run/{rollout.id}")
        return
    if rollout.status == "promoted":
        client.loop.advance(
            episode.id, expected="rollout", state="promoted", text=f"{rollout.challenger} is champion: {rollout.reason}", ref=rollout.challenger
        )
        return
    client.loop.advance(
        episode.id, expected="rollout", state="rolled back", text=f"{rollout.challenger} was rolled back: {rollout.reason}", ref=rollout.challenger
    )


def _author(client: Client, endpoint: str) -> Caller:
    """Who answers for what a policy does: the person who set it, by way of the policy."""
    try:
        author = client.loop.policy(endpoint).changed_by
    except NotFound:
        author = "nobody"
    return Caller(f"{author} (policy {endpoint})", caller().workspace, ("approver",), "", "system")


def _challenging(episode: Episode, model: str) -> Episode:
    return msgspec.structs.replace(episode, challenger=model)


def _stored(client: Client, episode: Episode) -> EpisodeState:
    return next(each.state for each in client.loop.episodes(endpoint=episode.endpoint) if each.id == episode.id)
