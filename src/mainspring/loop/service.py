"""The operations of the loop: policies, episodes, and the changes of an episode's state."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Literal

import msgspec

from mainspring.kernel.context import caller
from mainspring.kernel.errors import Conflict, InvalidInput, NotFound
from mainspring.kernel.operations import operation
from mainspring.lineage import graph
from mainspring.loop.tables import EPISODES, POLICIES
from mainspring.loop.types import ACTIVE, Chapter, Episode, EpisodeState, Policy, RolloutPlan
from mainspring.pipelines.types import Location
from mainspring.serving.deployments import find_endpoint
from mainspring.store.service import RoomService
from mainspring.store.transaction import Transaction

if TYPE_CHECKING:
    from mainspring.pipelines.decorators import Flow

__all__ = ["Loops"]

_ENDS: dict[str, Literal["finished", "failed", "cancelled"]] = {"failed": "failed", "stopped": "cancelled"}


class Loops(RoomService, room="loop"):
    """Policies that turn an alert into a better model."""

    @operation(permission="loop:write", writes=True, resource="endpoint")
    def set_policy(
        self,
        endpoint: str,
        *,
        flow: str,
        location: Location,
        code: str = "",
        params: dict[str, Any] | None = None,
        triggers: list[Literal["drift", "performance"]] | None = None,
        rollout: RolloutPlan | None = None,
        cooldown_seconds: float = 86_400.0,
        needs_approval: bool = False,
        enabled: bool = True,
    ) -> Policy:
        """Say what happens by itself when an alert fires at an endpoint; see `watch`, which calls this.

        Args:
            endpoint: Whose alerts.
            flow: Name of the flow that trains and gates a challenger.
            location: Where a worker finds it.
            code: Digest of its code.
            params: Further parameters of the flow.
            triggers: Which kinds of alert; all of them when left out.
            rollout: How the challenger comes before the users.
            cooldown_seconds: How long after an episode the next may begin, in the time of the traffic.
            needs_approval: Whether a person must approve each challenger.
            enabled: Whether it acts.
        """
        if not location.address:
            raise InvalidInput(f"the flow {flow} is defined where no worker can import it", hint="define it at the top of a module")
        if not 0 <= cooldown_seconds < float("inf"):
            raise InvalidInput(f"cooldown_seconds must be 0 or more, not {cooldown_seconds}")
        plan = rollout or RolloutPlan()
        plan.rule.check()
        with self.store.write() as tx:
            find_endpoint(tx, endpoint)
            policy = Policy(
                tx.workspace,
                endpoint,
                tuple(triggers if triggers is not None else ("drift", "performance")),
                flow,
                location,
                code,
                params or {},
                plan,
                cooldown_seconds,
                needs_approval,
                enabled,
                tx.now,
                caller().principal,
            )
            tx.execute("DELETE FROM loop_policy WHERE workspace = ? AND endpoint = ?", (tx.workspace, endpoint))
            tx.insert(POLICIES, policy)
            tx.note(f"loop/{endpoint}", flow=flow, enabled=enabled)
            return policy

    @operation(permission="loop:read")
    def policies(self) -> list[Policy]:
        """Every policy, by endpoint."""
        with self.store.read() as tx:
            return tx.fetch(POLICIES, "WHERE workspace = ? ORDER BY endpoint", (tx.workspace,))

    @operation(permission="loop:read", resource="endpoint")
    def policy(self, endpoint: str) -> Policy:
        """The policy of an endpoint."""
        with self.store.read() as tx:
            return _policy(tx, endpoint)

    @operation(permission="loop:write", writes=True, resource="endpoint")
    def stop(self, endpoint: str, *, reason: str = "stopped by hand") -> Policy:
        """Stop a policy at once: it begins nothing, and what it began ends where it is. A rollout under way is rolled back."""
        with self.store.write() as tx:
            policy = msgspec.structs.replace(_policy(tx, endpoint), enabled=False, changed_at=tx.now, changed_by=caller().principal)
            tx.execute("UPDATE loop_policy SET enabled = 0, changed_at = ?, changed_by = ? WHERE workspace = ? AND endpoint = ?",
                       (tx.now_micros, caller().principal, tx.workspace, endpoint))  # fmt: skip
            tx.note(f"loop/{endpoint}", enabled=False, reason=reason)
            episode = _active(tx, endpoint)
            if episode is not None:
                _save(tx, _ended(tx, episode, "stopped", reason))
        if episode is not None and episode.rollout_id:
            from mainspring.serving.service import Serving

            Serving(self._backend).rollback(endpoint, reason=reason)
        return policy

    @operation(permission="loop:read")
    def episodes(self, *, endpoint: str = "", active: bool = False, limit: int = 100) -> list[Episode]:
        """Episodes, newest first."""
        where, params = ["workspace = ?"], [caller().workspace]
        if endpoint:
            where.append("endpoint = ?")
            params.append(endpoint)
        if active:
            where.append("finished_at IS NULL")
        with self.store.read() as tx:
            return tx.fetch(EPISODES, f"WHERE {' AND '.join(where)} ORDER BY id DESC LIMIT ?", [*params, min(limit, 1000)])

    @operation(permission="loop:write", writes=True, resource="endpoint")
    def begin(self, endpoint: str, *, alert_id: str = "", report: str = "", event_at: datetime, why: str) -> Episode:
        """Begin an episode, if none is under way and the cool-down is over; `Conflict` otherwise."""
        with self.store.write() as tx:
            policy, held = _policy(tx, endpoint), find_endpoint(tx, endpoint)
            if _active(tx, endpoint) is not None or held.plan.challenger is not None:
                raise Conflict(f"something is under way at endpoint {endpoint!r} already")
            last = tx.fetch_one(EPISODES, "WHERE workspace = ? AND endpoint = ? ORDER BY id DESC LIMIT 1", (tx.workspace, endpoint))
            if last is not None and event_at < last.event_at + timedelta(seconds=policy.cooldown_seconds):
                raise Conflict(f"the cool-down of endpoint {endpoint!r} is not over")
            run = graph.start_run(tx, "loop", endpoint, metadata={"why": why})
            if report:
                graph.use(tx, run.id, graph.resolve(tx, report).id, role="trigger")
            story = [Chapter(tx.now, why, f"alert/{alert_id}" if alert_id else "")]
            episode = Episode(
                run.id, tx.workspace, endpoint, alert_id, "training", held.plan.champion.reference, "", "", "", "", event_at,
                story, tx.now, None,
            )  # fmt: skip
            tx.insert(EPISODES, episode)
            tx.note(f"loop/{endpoint}", episode=run.id, why=why)
            return episode

    @operation(permission="loop:write", writes=True)
    def advance(
        self,
        episode_id: str,
        *,
        expected: EpisodeState,
        state: EpisodeState,
        text: str,
        ref: str = "",
        flow_run: str = "",
        challenger: str = "",
        rollout_id: str = "",
        report: str = "",
    ) -> Episode:
        """Write the next chapter; `Conflict` when the episode is not in the state `expected` (somebody else was quicker).

        With `flow_run`, `report` is what asked for it: the lineage leads from there to what the flow makes.
        """
        with self.store.write() as tx:
            held = tx.fetch_one(EPISODES, "WHERE workspace = ? AND id = ?", (tx.workspace, episode_id))
            if held is None:
                raise NotFound(f"there is no episode {episode_id!r}")
            if held.state != expected:
                raise Conflict(f"episode {episode_id} is {held.state} by now, not {expected}")
            told = msgspec.structs.replace(
                held,
                state=state,
                flow_run=flow_run or held.flow_run,
                challenger=challenger or held.challenger,
                rollout_id=rollout_id or held.rollout_id,
                story=[*held.story, Chapter(tx.now, text, ref)],
            )
            if flow_run and report:
                graph.use(tx, flow_run, graph.resolve(tx, report).id, role="trigger")
            if state not in ACTIVE:
                told = _ended(tx, told, state, text)
            _save(tx, told)
            tx.note(f"loop/{held.endpoint}", episode=episode_id, state=state, text=text)
            return told

    # Below: what runs where the caller is, composed of operations.

    def watch(self, endpoint: str, *, run: Flow[..., Any], **options: Any) -> Policy:
        """Let `run` make a challenger whenever an alert fires at `endpoint`, and bring it before the users if it is better.

        Args:
            endpoint: Whose alerts.
            run: A flow. A worker calls it with `endpoint`, `until` (an ISO moment: up to there it may look) and the `params`; it
                returns a mapping with `model` (the reference of what it registered), `passed` (whether its gate let it through) and
                `reason`.
            options: As in `set_policy`.
        """
        return self.set_policy(endpoint, flow=run.name, location=run.location(), code=run.code().digest, **options)


def _policy(tx: Transaction, endpoint: str) -> Policy:
    found = tx.fetch_one(POLICIES, "WHERE workspace = ? AND endpoint = ?", (tx.workspace, endpoint))
    if found is None:
        raise NotFound(f"endpoint {endpoint!r} has no policy", hint="client.loop.set_policy(...)")
    return found


def _active(tx: Transaction, endpoint: str) -> Episode | None:
    return tx.fetch_one(EPISODES, "WHERE workspace = ? AND endpoint = ? AND finished_at IS NULL", (tx.workspace, endpoint))


def _ended(tx: Transaction, episode: Episode, state: EpisodeState, reason: str) -> Episode:
    graph.finish_run(tx, episode.id, status=_ENDS.get(state, "finished"), metadata={"outcome": state, "reason": reason})
    story = episode.story if episode.story[-1].text == reason else [*episode.story, Chapter(tx.now, reason)]
    return msgspec.structs.replace(episode, state=state, reason=reason, story=story, finished_at=tx.now)


def _save(tx: Transaction, episode: Episode) -> None:
    tx.execute("DELETE FROM loop_episode WHERE id = ?", (episode.id,))
    tx.insert(EPISODES, episode)
