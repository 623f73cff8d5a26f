"""Writing episodes and policies: the moves of the loop, inside the caller's transaction.

Every move compares before it sets: an episode is written only when its story is as long as the mover saw it.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Literal

import msgspec

from mainspring.kernel.context import OWNER, Caller, acting_as
from mainspring.kernel.errors import Conflict, NotFound
from mainspring.lineage import graph
from mainspring.lineage.types import Artifact
from mainspring.loop.tables import EPISODES, POLICIES
from mainspring.loop.types import ACTIVE, Chapter, Episode, EpisodeState, Policy
from mainspring.models.approvals import approve
from mainspring.pipelines.records import end_flow
from mainspring.pipelines.tables_runs import FLOW_RUNS
from mainspring.serving.deployments import approval_of, begin_rollout, end_rollout, find_endpoint, save_plan
from mainspring.serving.tables import ROLLOUTS
from mainspring.serving.traffic import check_steps
from mainspring.store.queue import Queue
from mainspring.store.transaction import Transaction

__all__ = [
    "active_episode",
    "admit",
    "call_off",
    "cools_down",
    "find_policy",
    "flow_key",
    "last_episode",
    "seen_episode",
    "trace",
    "write",
]

_ENDS: dict[EpisodeState, Literal["failed", "cancelled"]] = {"failed": "failed", "stopped": "cancelled"}


def find_policy(tx: Transaction, endpoint: str) -> Policy:
    """The policy of an endpoint."""
    found = tx.fetch_one(POLICIES, "WHERE workspace = ? AND endpoint = ?", (tx.workspace, endpoint))
    if found is None:
        find_endpoint(tx, endpoint)
        raise NotFound(f"endpoint {endpoint!r} has no policy", hint="client.loop.watch(endpoint, run=my_flow)")
    return found


def active_episode(tx: Transaction, endpoint: str) -> Episode | None:
    """The episode that goes on at an endpoint."""
    return tx.fetch_one(
        EPISODES, "WHERE workspace = ? AND endpoint = ? AND finished_at IS NULL", (tx.workspace, endpoint)
    )


def last_episode(tx: Transaction, endpoint: str) -> Episode | None:
    """The newest episode of an endpoint."""
    return tx.fetch_one(
        EPISODES, "WHERE workspace = ? AND endpoint = ? ORDER BY id DESC LIMIT 1", (tx.workspace, endpoint)
    )


def seen_episode(tx: Transaction, episode_id: str, *, chapters: int) -> Episode:
    """The episode, if it is as the mover saw it; `Conflict` when somebody moved it on or ended it meanwhile."""
    held = tx.fetch_one(EPISODES, "WHERE workspace = ? AND id = ?", (tx.workspace, episode_id))
    if held is None:
        raise NotFound(f"there is no episode {episode_id!r}")
    if len(held.story) != chapters or held.finished_at is not None:
        raise Conflict(f"episode {episode_id} went on meanwhile: it is {held.state}", hint="look again")
    return held


def cools_down(policy: Policy, last: Episode | None, event_at: object) -> bool:
    """Whether a new episode would be too soon after the last one, in the time of the traffic.

    Far enough back counts as far enough: traffic of long ago that is replayed has not seen the last episode.
    """
    if last is None:
        return False
    apart = abs(event_at - last.event_at)  # type: ignore[operator]  # datetimes
    return bool(apart < timedelta(seconds=policy.cooldown_seconds))


def write(tx: Transaction, episode: Episode, *, state: EpisodeState, text: str, ref: str = "") -> Episode:
    """Write the next chapter; in a state that is no active one it is the last."""
    told = msgspec.structs.replace(episode, state=state, story=[*episode.story, Chapter(tx.now, text, ref)])
    if state not in ACTIVE:
        graph.finish_run(
            tx, episode.id, status=_ENDS.get(state, "finished"), metadata={"outcome": state, "reason": text}
        )
        told = msgspec.structs.replace(told, reason=text, finished_at=tx.now)
    tx.execute("DELETE FROM loop_episode WHERE id = ?", (episode.id,))
    tx.insert(EPISODES, told)
    tx.note(f"loop/{episode.endpoint}", episode=episode.id, state=state, text=text)
    return told


def admit(tx: Transaction, episode: Episode, challenger: Artifact, *, reason: str) -> Episode:
    """A challenger passed the gate: approve it and begin its rollout, or let it wait for a person's approval.

    All in the transaction that writes it into the episode, so that nothing of it is done twice or by halves.
    """
    policy, held = find_policy(tx, episode.endpoint), find_endpoint(tx, episode.endpoint)
    trace(tx, episode, challenger)
    episode = msgspec.structs.replace(episode, challenger=challenger.ref)
    if held.plan.champion.model == challenger.id:
        return write(tx, episode, state="promoted", text=f"{challenger.ref} is champion already", ref=challenger.ref)
    own = challenger.created_by == policy.author != OWNER.principal
    with acting_as(_by_policy(policy)):
        if not approval_of(tx, challenger):
            if policy.needs_approval or own:
                who = (
                    f"somebody else than {policy.author}, who made it, must approve it" if own else "waits for approval"
                )
                text = f"{challenger.ref} passed the gate and {who}: {reason}"
                return write(tx, episode, state="waiting for approval", text=text, ref=challenger.ref)
            approve(tx, challenger.ref, comment=f"passed the gate of the policy for {policy.endpoint}: {reason}")
        plan = policy.rollout
        rollout = begin_rollout(
            tx,
            episode.endpoint,
            challenger=challenger.ref,
            mode=plan.mode,
            steps=check_steps(plan.steps) if plan.steps else (),
            metric=plan.metric,
            rule=plan.rule,
        )
    episode = msgspec.structs.replace(episode, rollout_id=rollout.id)
    text = f"{challenger.ref} passed the gate and begins as a {plan.mode}"
    return write(tx, episode, state="rollout", text=text, ref=f"run/{rollout.id}")


def call_off(tx: Transaction, queue: Queue, episode: Episode, *, state: EpisodeState, reason: str) -> Episode:
    """End an episode now: its flow is cancelled, and its rollout, where one runs, is rolled back."""
    run = tx.fetch_one(FLOW_RUNS, "WHERE workspace = ? AND key = ?", (tx.workspace, flow_key(episode)))
    if run is not None and run.state in ("queued", "running"):
        if run.task_id:
            queue.cancel(tx, run.task_id)
        end_flow(tx, run, "cancelled")
    rollout = tx.fetch_one(ROLLOUTS, "WHERE id = ? AND status = 'running'", (episode.rollout_id,))
    if rollout is not None:
        held = find_endpoint(tx, episode.endpoint)
        save_plan(tx, held, end_rollout(tx, rollout, held.plan, promoted=False, reason=reason))
    return write(tx, episode, state=state, text=reason)


def flow_key(episode: Episode) -> str:
    """Under which the flow of an episode is started: however often it is tried, there is one run of it."""
    return f"loop/{episode.id}"


def trace(tx: Transaction, episode: Episode, challenger: Artifact) -> None:
    """Lead the lineage from what asked for an episode to the challenger that its flow made.

    The model's own run, and that of the flow, used the report. A model that was there before the episode has nothing to
    do with it, whatever the flow returned.
    """
    if not episode.report:
        return
    report = graph.resolve(tx, episode.report)
    for run_id in {challenger.run_id, episode.flow_run} - {""}:
        if graph.get_run(tx, run_id).started_at >= episode.started_at:
            graph.use(tx, run_id, report.id, role="trigger")


def _by_policy(policy: Policy) -> Caller:
    """Who approves and begins rollouts: the policy's author, by way of the policy."""
    principal = f"{policy.author} (policy {policy.endpoint})"
    return Caller(principal=principal, workspace=policy.workspace, roles=("approver",), method="system")
