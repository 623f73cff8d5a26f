"""Turning the loop: begins episodes when alerts fire, and moves each one on. Called by the scheduler.

Every move is one transaction that compares before it sets, and the one thing that is started elsewhere, the flow, has
the episode's key: a crash between two moves, or a second scheduler, repeats nothing. Asking whether there is anything
to do costs a few small queries; a running rollout is judged when there is news of it.
"""

from __future__ import annotations

import weakref
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from mainspring.kernel.context import caller
from mainspring.kernel.errors import InvalidInput, MainspringError, NotFound
from mainspring.kernel.operations import Backend
from mainspring.loop.moves import cools_down, flow_key
from mainspring.loop.types import Episode, Policy
from mainspring.monitoring.workspaces import in_each_workspace, let
from mainspring.serving.types import Endpoint

if TYPE_CHECKING:
    from mainspring.client.client import Client
    from mainspring.pipelines.types import FlowRun

__all__ = ["tick"]

_judged: weakref.WeakKeyDictionary[Backend, dict[tuple[str, str], tuple[Any, ...]]] = weakref.WeakKeyDictionary()
"""What there was to see at each rollout when it was judged last."""


def tick(client: Client) -> None:
    """Move on everything that can move, in every workspace: rollouts, episodes, and new alerts."""
    in_each_workspace(client, _turn)


def _turn(client: Client) -> None:
    for endpoint in client.serving.endpoints():
        if endpoint.plan.challenger is not None:
            let(lambda each=endpoint: _judge_rollout(client, each), what=f"the rollout at endpoint {endpoint.name}")  # type: ignore[misc]  # mypy: lambda defaults
    for policy in client.loop.policies():
        let(lambda each=policy: _move(client, each), what=f"the loop at endpoint {policy.endpoint}")  # type: ignore[misc]  # mypy: lambda defaults


def _judge_rollout(client: Client, endpoint: Endpoint) -> None:
    """Look at a running rollout when there are new rows or labels of it, a new step, or an approval."""
    challenger = endpoint.plan.challenger
    if challenger is None:
        return
    seen = _judged.setdefault(client.backend, {})
    news = client.serving.activity(
        endpoint.name, after=challenger.deployment
    )  # ids of runs and requests grow with time
    state = (endpoint.changed, news, client.models.get(challenger.reference).approved)
    key = caller().workspace, endpoint.name
    if seen.get(key) == state:
        return
    try:
        client.serving.evaluate_rollout(endpoint.name)
    except InvalidInput:
        seen[key] = state  # labels or outputs that do not fit: the same until there are others
        raise
    seen[key] = state


def _move(client: Client, policy: Policy) -> None:
    active = client.loop.episodes(endpoint=policy.endpoint, active=True, limit=1)
    if not active:
        if policy.enabled:
            _perhaps_begin(client, policy)
        return
    episode = active[0]
    if episode.state == "waiting for approval":
        if client.models.get(episode.challenger).approved:
            client.loop.let_in(episode.id, chapters=len(episode.story), challenger=episode.challenger)
    elif episode.state == "rollout":
        _follow_rollout(client, episode)
    elif episode.flow_run:
        _take_result(client, policy, episode)
    else:
        _start_flow(client, policy, episode)


def _perhaps_begin(client: Client, policy: Policy) -> None:
    firing = client.monitoring.alerts(endpoint=policy.endpoint, state="firing")
    if not firing:
        return
    plan = client.serving.endpoint(policy.endpoint).plan
    asking = [each for each in firing if each.kind in policy.triggers and each.model == plan.champion.reference]
    if not asking or plan.challenger is not None:
        return
    alert = min(asking, key=lambda each: (each.severity != "critical", each.fired_at))
    latest = client.monitoring.windows(policy.endpoint, limit=1)
    event_at = max(alert.event_at, latest[0].until) if latest else alert.event_at
    before = client.loop.episodes(endpoint=policy.endpoint, limit=1)
    if not cools_down(policy, before[0] if before else None, event_at):
        client.loop.begin(policy.endpoint, alert_id=alert.id, report=alert.report, event_at=event_at, why=alert.title)


def _start_flow(client: Client, policy: Policy, episode: Episode) -> None:
    params = {**policy.params, "endpoint": policy.endpoint, "until": episode.event_at.isoformat()}
    run = client.pipelines.enqueue(
        policy.flow, location=policy.location, params=params, code=policy.code, key=flow_key(episode)
    )
    client.loop.advance(
        episode.id,
        chapters=len(episode.story),
        state="training",
        text=f"the flow {policy.flow} makes a challenger",
        ref=f"run/{run.id}",
        flow_run=run.id,
    )


def _take_result(client: Client, policy: Policy, episode: Episode) -> None:
    """What the flow came to: only a mapping that says so in so many words brings a challenger before the users."""
    chapters = len(episode.story)

    def fail(text: str) -> None:
        ref = f"run/{episode.flow_run}"
        client.loop.advance(episode.id, chapters=chapters, state="failed", text=text, ref=ref)

    try:
        run = client.pipelines.get(episode.flow_run)
    except NotFound as error:
        fail(f"the run of the flow is gone: {error.message}")
        return
    if run.state in ("queued", "running"):
        return
    if run.state != "finished":
        fail(f"the flow {policy.flow} {run.state}: {(run.error or {}).get('message', '')}".rstrip(": "))
        return
    result = _decoded(client, run)
    passed = result.get("passed") if isinstance(result, Mapping) else None
    if not isinstance(result, Mapping) or not isinstance(result.get("model"), str) or not _is_boolean(passed):
        fail(f"{policy.flow} returned no mapping with `model`, `passed` (true or false) and `reason`")
        return
    try:
        model = client.models.get(result["model"])
    except MainspringError as error:
        fail(f"{policy.flow} returned the model {result['model']!r}: {error.message}")
        return
    reason = str(result.get("reason", ""))
    if passed:
        client.loop.let_in(episode.id, chapters=chapters, challenger=model.ref, reason=reason)
    else:
        client.loop.refuse(episode.id, chapters=chapters, challenger=model.ref, reason=reason)


def _decoded(client: Client, run: FlowRun) -> Any:
    """What the flow returned; None where it cannot be read here."""
    from mainspring.pipelines.runtime import blob_port
    from mainspring.pipelines.values import decode

    try:
        return decode(run.result, blob_port(client.pipelines))
    except MainspringError:
        return None


def _is_boolean(value: object) -> bool:
    """Python's or numpy's; a text or a number is neither yes nor no."""
    return type(value).__name__ in ("bool", "bool_")


def _follow_rollout(client: Client, episode: Episode) -> None:
    rollouts = client.serving.rollouts(endpoint=episode.endpoint)
    rollout = next((each for each in rollouts if each.id == episode.rollout_id), None)
    chapters = len(episode.story)
    if rollout is None:
        text = f"the rollout {episode.rollout_id} is gone"
        client.loop.advance(episode.id, chapters=chapters, state="failed", text=text)
        return
    ref, name = f"run/{rollout.id}", rollout.challenger
    if rollout.status == "promoted":
        text = f"{name} is champion: {rollout.reason}"
        client.loop.advance(episode.id, chapters=chapters, state="promoted", text=text, ref=name)
    elif rollout.status == "rolled back":
        text = f"{name} was rolled back: {rollout.reason}"
        client.loop.advance(episode.id, chapters=chapters, state="rolled back", text=text, ref=name)
    elif rollout.stepped and rollout.stepped[0] > rollout.started_at:
        told = sum(chapter.ref == ref for chapter in episode.story)
        if told == 1:  # that it began
            text = f"{name} was convincing as a shadow and answers {rollout.weight:.0%} as a canary"
            client.loop.advance(episode.id, chapters=chapters, state="rollout", text=text, ref=ref)
