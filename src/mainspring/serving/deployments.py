"""Changing what answers: deployments, promotions and rollbacks, inside the caller's transaction.

A deployment is a run: one model version at one endpoint, from the moment it first sees traffic until it is
replaced. It used the model, its approval, the feature views, and, after a rollout, the evidence; what it makes are
the segments of the prediction log. So the lineage of a prediction is the lineage of its deployment.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from mainspring.kernel.context import caller
from mainspring.kernel.errors import CheckFailed, Conflict, Forbidden, NotFound, nearest
from mainspring.kernel.hashing import digest_value
from mainspring.kernel.ids import new_id
from mainspring.lineage.graph import add_artifact, aliases, finish_run, resolve, start_run, use
from mainspring.lineage.types import Artifact, RunStatus
from mainspring.models.approvals import standing
from mainspring.models.registry import usable
from mainspring.models.stages import move_alias
from mainspring.serving.sequential import Rule
from mainspring.serving.tables import ENDPOINTS, EVIDENCE, ROLLOUTS
from mainspring.serving.traffic import Mode, Target, TrafficPlan
from mainspring.serving.types import Endpoint, Rollout, RolloutEvidence, RolloutStatus
from mainspring.store.transaction import Transaction
from mainspring.trust.types import ROLES

__all__ = [
    "approval_of",
    "begin_rollout",
    "check_approved",
    "check_challenger",
    "end_rollout",
    "find_endpoint",
    "follow",
    "is_unapproved_shadow",
    "new_endpoint",
    "nothing_new",
    "put_on",
    "save_evidence",
    "save_plan",
    "save_rollout",
    "take_off",
    "takes_next_step",
]


def find_endpoint(tx: Transaction, name: str) -> Endpoint:
    """The endpoint of a name; `NotFound` with the nearest names otherwise."""
    found = tx.fetch_one(ENDPOINTS, "WHERE workspace = ? AND name = ?", (tx.workspace, name))
    if found is None:
        names = [row[0] for row in tx.rows("SELECT name FROM endpoint WHERE workspace = ?", (tx.workspace,))]
        raise NotFound(f"there is no endpoint {name!r}", known=nearest(name, names))
    return found


def approval_of(tx: Transaction, model: Artifact) -> str:
    """The id of the newest approval of this content; empty when there is none, or not as many as its rule asks for."""
    given = standing(tx, model.digest, model.name)
    return max((approval.artifact_id for approval in given), default="")


def check_approved(tx: Transaction, model: Artifact, *, allow_unapproved: bool) -> str:
    """The approval's id; raises `CheckFailed` without one, unless an approver says that it may be so."""
    approval = approval_of(tx, model)
    if approval:
        return approval
    if not allow_unapproved:
        raise CheckFailed(
            f"{model.ref} is not approved: nobody said yes to the digest {model.digest[:12]}",
            hint=f"mainspring model approve {model.name} {model.version}",
            details={"model": model.ref, "digest": model.digest},
        )
    if not any("approve" in ROLES.get(role, ()) for role in caller().roles):
        raise Forbidden(f"{caller().principal} may not serve the unapproved {model.ref}", hint="ask an approver")
    return ""


def put_on(
    tx: Transaction, endpoint: str, model: Artifact, *, approval: str, features: Sequence[str], parent_id: str = ""
) -> Target:
    """Start the deployment run of a model version at an endpoint."""
    run = start_run(
        tx, "deployment", endpoint, parent_id=parent_id, metadata={"model": model.ref, "approved": bool(approval)}
    )
    use(tx, run.id, model.id, role="model")
    if approval:
        use(tx, run.id, approval, role="approval")
    for view in features:
        use(tx, run.id, resolve(tx, view, kind="feature-view").id, role="feature-view")
    return Target(model=model.id, name=model.name, version=model.version, deployment=run.id)


def take_off(tx: Transaction, target: Target, *, status: RunStatus = "finished", reason: str) -> None:
    """End the deployment run of a model version."""
    finish_run(tx, target.deployment, status=status, metadata={"ended": reason})


def new_endpoint(tx: Transaction, name: str, plan: TrafficPlan) -> Endpoint:
    """An endpoint that is there when `save_plan` was called."""
    return Endpoint(
        id=new_id(),
        workspace=tx.workspace,
        name=name,
        plan=plan,
        features=(),
        sticky=(),
        timestamp="",
        changed=0,
        created_at=tx.now,
        updated_at=tx.now,
        created_by=caller().principal,
    )


def save_plan(tx: Transaction, endpoint: Endpoint, plan: TrafficPlan) -> Endpoint:
    """Give an endpoint a new traffic plan; servers see it within a fraction of a second."""
    plan.check()
    change = tx.value("SELECT coalesce(max(changed), 0) + 1 FROM endpoint")
    changed = msgspec.structs.replace(endpoint, plan=plan, changed=change, updated_at=tx.now)
    tx.execute("DELETE FROM endpoint WHERE id = ?", (endpoint.id,))
    tx.insert(ENDPOINTS, changed)
    tx.note(f"endpoint/{endpoint.name}", champion=plan.champion.reference, mode=plan.mode, weight=plan.weight)
    return changed


def begin_rollout(
    tx: Transaction,
    endpoint: str,
    *,
    challenger: str,
    mode: Mode,
    steps: tuple[float, ...],
    metric: str,
    rule: Rule,
    allow_unapproved: bool = False,
) -> Rollout:
    """Put a challenger beside the champion; see `Serving.start_rollout`, which checks its arguments first."""
    held = find_endpoint(tx, endpoint)
    if held.plan.mode != "single":
        raise Conflict(f"a rollout runs at endpoint {endpoint!r} already", hint="promote or roll it back first")
    artifact = usable(tx, challenger)
    if artifact.id == held.plan.champion.model:
        raise Conflict(f"{artifact.ref} answers at endpoint {endpoint!r} already")
    if mode == "canary":
        approval = check_approved(tx, artifact, allow_unapproved=allow_unapproved)
    else:
        approval = approval_of(tx, artifact)
    run = start_run(tx, "rollout", endpoint, metadata={"challenger": artifact.ref, "mode": mode})
    use(tx, run.id, held.plan.champion.model, role="champion")
    use(tx, run.id, artifact.id, role="challenger")
    target = put_on(tx, endpoint, artifact, approval=approval, features=held.features, parent_id=run.id)
    rollout = Rollout(
        id=run.id,
        workspace=tx.workspace,
        endpoint=endpoint,
        champion=held.plan.champion.reference,
        challenger=artifact.ref,
        mode=mode,
        steps=steps,
        stepped=(tx.now,) if mode == "canary" else (),
        metric=metric,
        rule=rule,
        status="running",
        reason="",
        started_at=tx.now,
        finished_at=None,
        created_by=caller().principal,
    )
    tx.insert(ROLLOUTS, rollout)
    save_plan(tx, held, TrafficPlan(held.plan.champion, target, mode, rollout.weight, salt=run.id))
    return rollout


def follow(tx: Transaction, endpoint: Endpoint, rollout: Rollout, evidence: RolloutEvidence, seen: int) -> None:
    """Do what the evidence says; `seen` are the challenger's labels in the present step."""
    verdict, reason, plan = evidence.decision.verdict, evidence.decision.reason, endpoint.plan
    if verdict == "rollback":
        save_plan(tx, endpoint, end_rollout(tx, rollout, plan, promoted=False, reason=reason))
        return
    if verdict == "promote" and not (plan.mode == "shadow" and rollout.steps):
        check_challenger(tx, endpoint, allow_unapproved=False)
        save_plan(tx, endpoint, end_rollout(tx, rollout, plan, promoted=True, reason=reason))
    elif verdict == "promote" or takes_next_step(rollout, evidence, seen):
        check_challenger(tx, endpoint, allow_unapproved=False)
        stepped = msgspec.structs.replace(rollout, mode="canary", stepped=(*rollout.stepped, tx.now))
        save_rollout(tx, stepped)
        save_plan(tx, endpoint, msgspec.structs.replace(plan, mode="canary", weight=stepped.weight))


def check_challenger(tx: Transaction, endpoint: Endpoint, *, allow_unapproved: bool) -> None:
    """The challenger may come before users: it is approved, or was allowed to be a canary without."""
    if endpoint.plan.challenger is None:
        raise Conflict(f"endpoint {endpoint.name!r} has no challenger")
    if endpoint.plan.mode == "shadow":
        approval = check_approved(tx, resolve(tx, endpoint.plan.challenger.model), allow_unapproved=allow_unapproved)
        if approval:
            use(tx, endpoint.plan.challenger.deployment, approval, role="approval")


def save_evidence(tx: Transaction, evidence: RolloutEvidence) -> None:
    """Keep one look at a rollout."""
    tx.insert(EVIDENCE, evidence)


def end_rollout(tx: Transaction, rollout: Rollout, plan: TrafficPlan, *, promoted: bool, reason: str) -> TrafficPlan:
    """Keep the challenger or let it go: the plan that results. The evidence becomes an artifact of the rollout."""
    looks = tx.fetch(EVIDENCE, "WHERE rollout_id = ? ORDER BY id", (rollout.id,))
    last = msgspec.to_builtins(looks[-1].decision) if looks else {}
    report = add_artifact(
        tx,
        "report",
        f"rollout/{rollout.endpoint}",
        digest=digest_value("rollout", [rollout.id, msgspec.to_builtins(looks)]),
        metadata={"rollout": rollout.id, "looks": len(looks), "metric": rollout.metric, "reason": reason, "last": last},
        run_id=rollout.id,
    )
    status: RolloutStatus = "promoted" if promoted else "rolled back"
    finish_run(tx, rollout.id, metadata={"verdict": status, "reason": reason})
    tx.execute(
        "UPDATE rollout SET status = ?, reason = ?, finished_at = ? WHERE id = ?",
        (status, reason, tx.now_micros, rollout.id),
    )
    tx.note(f"rollout/{rollout.id}", status=status, reason=reason)
    if plan.challenger is None or not promoted:
        if plan.challenger is not None:
            take_off(tx, plan.challenger, status="cancelled", reason=f"rolled back: {reason}")
        return TrafficPlan(champion=plan.champion)
    use(tx, plan.challenger.deployment, report.id, role="evidence")
    take_off(tx, plan.champion, reason=f"replaced by {plan.challenger.reference}")
    _pass_alias(tx, plan.champion, plan.challenger)
    return TrafficPlan(champion=plan.challenger)


def save_rollout(tx: Transaction, rollout: Rollout) -> None:
    """Keep the mode and the steps of a running rollout."""
    row = dict(zip(ROLLOUTS.columns, ROLLOUTS.to_row(rollout), strict=True))
    tx.execute("UPDATE rollout SET mode = ?, stepped = ? WHERE id = ?", (row["mode"], row["stepped"], rollout.id))


def is_unapproved_shadow(tx: Transaction, endpoint: Endpoint) -> bool:
    """Whether the challenger is a shadow that may not come before users yet."""
    challenger = endpoint.plan.challenger
    return (
        endpoint.plan.mode == "shadow" and challenger is not None and not approval_of(tx, resolve(tx, challenger.model))
    )


def takes_next_step(rollout: Rollout, evidence: RolloutEvidence, seen: int) -> bool:
    """Whether an undecided canary takes its next step: the present one has shown enough to see harm."""
    undecided = evidence.mode == "canary" and evidence.decision.verdict == "continue"
    return undecided and len(rollout.stepped) < len(rollout.steps) and seen >= rollout.rule.min_n


def nothing_new(tx: Transaction, rollout: Rollout, evidence: RolloutEvidence) -> RolloutEvidence | None:
    """The look before, when this one shows the same and decides nothing."""
    before = tx.fetch_one(EVIDENCE, "WHERE rollout_id = ? ORDER BY id DESC LIMIT 1", (rollout.id,))
    same = before is not None and msgspec.structs.replace(evidence, id=before.id, at=before.at) == before
    return before if same and evidence.decision.verdict == "continue" else None


def _pass_alias(tx: Transaction, old: Target, new: Target) -> None:
    """Let the alias `champion` follow a promotion, where it named the version that was replaced."""
    names_old = old.name == new.name and aliases(tx, "model", old.name).get("champion") == old.version
    if names_old and approval_of(tx, resolve(tx, new.model)):
        move_alias(tx, new.name, "champion", new.version)
