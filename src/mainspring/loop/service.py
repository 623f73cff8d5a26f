"""The operations of the loop: policies, episodes, and the moves of an episode."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any

import msgspec

from mainspring.kernel.context import caller
from mainspring.kernel.errors import Conflict, Forbidden, InvalidInput
from mainspring.kernel.operations import operation
from mainspring.lineage import graph
from mainspring.loop.moves import (
    active_episode,
    admit,
    call_off,
    cools_down,
    find_policy,
    last_episode,
    seen_episode,
    trace,
    write,
)
from mainspring.loop.tables import EPISODES, POLICIES
from mainspring.loop.types import Chapter, Episode, EpisodeState, Policy, RolloutPlan, Trigger
from mainspring.pipelines.types import Location
from mainspring.serving.deployments import find_endpoint
from mainspring.serving.traffic import check_steps
from mainspring.store.service import RoomService
from mainspring.trust.types import ROLES

if TYPE_CHECKING:
    from mainspring.pipelines.decorators import Flow

__all__ = ["Loops"]


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
        triggers: list[Trigger] | None = None,
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
            needs_approval: Whether a person must approve each challenger. Otherwise whoever sets the policy approves
                beforehand what passes the gate, and must be one who may approve.
            enabled: Whether it acts.

        Raises:
            Forbidden: It would approve models, and its author may not.
        """
        plan = rollout or RolloutPlan()
        _check(flow, location, plan, cooldown_seconds)
        if not needs_approval and not any("approve" in ROLES.get(role, ()) for role in caller().roles):
            raise Forbidden(
                f"{caller().principal} may not approve models, so a policy of theirs may not either",
                hint="needs_approval=True, or ask an approver to set it",
            )
        with self.store.write() as tx:
            find_endpoint(tx, endpoint)
            policy = Policy(
                workspace=tx.workspace,
                endpoint=endpoint,
                triggers=tuple(triggers if triggers is not None else ("drift", "performance")),
                flow=flow,
                location=location,
                code=code,
                params=params or {},
                rollout=plan,
                cooldown_seconds=cooldown_seconds,
                needs_approval=needs_approval,
                enabled=enabled,
                author=caller().principal,
                changed_at=tx.now,
                changed_by=caller().principal,
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
            return find_policy(tx, endpoint)

    @operation(permission="loop:write", writes=True, resource="endpoint")
    def stop(self, endpoint: str, *, reason: str = "stopped by hand") -> Policy:
        """Stop a policy at once: it begins nothing, its flow is cancelled and its rollout rolled back."""
        with self.store.write() as tx:
            held = find_policy(tx, endpoint)
            policy = msgspec.structs.replace(held, enabled=False, changed_at=tx.now, changed_by=caller().principal)
            tx.execute("DELETE FROM loop_policy WHERE workspace = ? AND endpoint = ?", (tx.workspace, endpoint))
            tx.insert(POLICIES, policy)
            tx.note(f"loop/{endpoint}", enabled=False, reason=reason)
            episode = active_episode(tx, endpoint)
            if episode is not None:
                call_off(tx, self.store.queue, episode, state="stopped", reason=reason)
            return policy

    @operation(permission="loop:write", writes=True, resource="endpoint")
    def reject(self, endpoint: str, *, reason: str = "rejected by hand") -> Episode:
        """End the episode that goes on, and leave the policy in force: the next may begin after the cool-down."""
        with self.store.write() as tx:
            episode = active_episode(tx, endpoint)
            if episode is None:
                raise Conflict(f"no episode goes on at endpoint {endpoint!r}")
            return call_off(tx, self.store.queue, episode, state="rejected", reason=reason)

    @operation(permission="loop:read")
    def episodes(self, *, endpoint: str = "", active: bool = False, limit: int = 100) -> list[Episode]:
        """Episodes, newest first."""
        where, params = ["workspace = ?"], [caller().workspace]
        if endpoint:
            where.append("endpoint = ?")
            params.append(endpoint)
        if active:
            where.append("finished_at IS NULL")
        query = f"WHERE {' AND '.join(where)} ORDER BY id DESC LIMIT ?"
        with self.store.read() as tx:
            return tx.fetch(EPISODES, query, [*params, max(0, min(limit, 1000))])

    @operation(permission="loop:write", writes=True, resource="endpoint")
    def begin(self, endpoint: str, *, why: str, event_at: datetime, alert_id: str = "", report: str = "") -> Episode:
        """Begin an episode; the scheduler does so for an alert, a person without one.

        Args:
            endpoint: Where.
            why: In one sentence.
            event_at: The moment of the traffic: the flow may look at what was known by then.
            alert_id: The alert that asks for it.
            report: The artifact that asks for it.

        Raises:
            Conflict: An episode or a rollout is under way, or the cool-down is not over.
        """
        with self.store.write() as tx:
            policy, held = find_policy(tx, endpoint), find_endpoint(tx, endpoint)
            if active_episode(tx, endpoint) is not None or held.plan.challenger is not None:
                raise Conflict(f"something is under way at endpoint {endpoint!r} already")
            if cools_down(policy, last_episode(tx, endpoint), event_at):
                raise Conflict(f"the cool-down of endpoint {endpoint!r} is not over")
            run = graph.start_run(tx, "loop", endpoint, metadata={"why": why})
            if report:
                graph.use(tx, run.id, graph.resolve(tx, report).id, role="trigger")
            episode = Episode(
                id=run.id,
                workspace=tx.workspace,
                endpoint=endpoint,
                alert_id=alert_id,
                report=report,
                state="training",
                champion=held.plan.champion.reference,
                flow_run="",
                challenger="",
                rollout_id="",
                reason="",
                event_at=event_at,
                story=[Chapter(tx.now, why, f"alert/{alert_id}" if alert_id else "")],
                started_at=tx.now,
                finished_at=None,
            )
            tx.insert(EPISODES, episode)
            tx.note(f"loop/{endpoint}", episode=run.id, why=why)
            return episode

    @operation(permission="loop:admin", writes=True)
    def advance(
        self, episode_id: str, *, chapters: int, state: EpisodeState, text: str, ref: str = "", flow_run: str = ""
    ) -> Episode:
        """Write the next chapter of an episode that has `chapters`; `Conflict` when somebody else was quicker."""
        with self.store.write() as tx:
            held = seen_episode(tx, episode_id, chapters=chapters)
            held = msgspec.structs.replace(held, flow_run=flow_run or held.flow_run)
            return write(tx, held, state=state, text=text, ref=ref)

    @operation(permission="loop:admin", writes=True)
    def refuse(self, episode_id: str, *, chapters: int, challenger: str, reason: str) -> Episode:
        """The gate refused a challenger; `Conflict` when somebody else was quicker."""
        with self.store.write() as tx:
            held = seen_episode(tx, episode_id, chapters=chapters)
            model = graph.resolve(tx, challenger, kind="model")
            trace(tx, held, model)
            held = msgspec.structs.replace(held, challenger=model.ref)
            text = f"the gate refused {model.ref}: {reason}"
            return write(tx, held, state="rejected", text=text, ref=model.ref)

    @operation(permission="loop:admin", writes=True)
    def let_in(self, episode_id: str, *, chapters: int, challenger: str, reason: str = "") -> Episode:
        """A challenger passed the gate: approve it by way of the policy and begin its rollout, or let it wait.

        Raises:
            Conflict: Somebody else was quicker, or another rollout is under way.
        """
        with self.store.write() as tx:
            held = seen_episode(tx, episode_id, chapters=chapters)
            return admit(tx, held, graph.resolve(tx, challenger, kind="model"), reason=reason)

    # Below: what runs where the caller is, composed of operations.

    def watch(self, endpoint: str, *, run: Flow[..., Any], **options: Any) -> Policy:
        """Let `run` make a challenger whenever an alert fires at `endpoint`, and bring it before users if it is better.

        Args:
            endpoint: Whose alerts.
            run: A flow. A worker calls it with `endpoint`, `until` (an ISO moment: up to there it may look) and the
                `params`; it returns a mapping with `model` (the reference of what it registered), `passed` (whether its
                gate let it through) and `reason`.
            options: As in `set_policy`.

        Example:
            `client.loop.watch("fraud", run=successor, params={"seed": 1})`
        """
        run.bind({**(options.get("params") or {}), "endpoint": endpoint, "until": ""})
        return self.set_policy(endpoint, flow=run.name, location=run.location(), code=run.code().digest, **options)


def _check(flow: str, location: Location, plan: RolloutPlan, cooldown_seconds: float) -> None:
    """Refuse a policy that could not act when its time comes."""
    from mainspring.serving.losses import output_columns

    if not location.address:
        raise InvalidInput(
            f"the flow {flow} is defined where no worker can import it", hint="define it at the top of a module"
        )
    if not 0 <= cooldown_seconds < float("inf"):
        raise InvalidInput(f"cooldown_seconds must be 0 or more, not {cooldown_seconds}")
    if plan.steps or plan.mode == "canary":
        check_steps(plan.steps)
    output_columns(plan.metric)
    plan.rule.check()
