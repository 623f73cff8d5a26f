"""Who may say yes to what: rules of models, verdicts of people on a content, and whether they suffice.

A verdict is bound to the digest of a version, so it holds for these bytes under whatever name and number, and for no
others. Nobody's verdict counts for what they made themselves: who registered the content anywhere, and who started the
run that made it. The owner of an embedded store works alone, and may.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from mainspring.kernel.clock import to_micros
from mainspring.kernel.context import caller
from mainspring.kernel.errors import CheckFailed, Forbidden, InvalidInput, NotFound, nearest
from mainspring.kernel.hashing import digest_value
from mainspring.lineage import graph
from mainspring.models.announce import announce
from mainspring.models.labels import change_notes
from mainspring.models.registry import find_model, locate
from mainspring.models.tables import APPROVALS, MEASURED, NOTES
from mainspring.models.types import Approval, ApprovalStatus, Decision, Gate, Rule, Verdict, VersionNotes
from mainspring.store.transaction import Transaction
from mainspring.trust.types import ROLES

__all__ = [
    "CHAMPION",
    "SAGEMAKER",
    "approvals_of",
    "approve",
    "check_allowed",
    "decide",
    "effective_rule",
    "refresh",
    "reject",
    "rules_of",
    "set_rules",
    "standing",
    "status_named",
    "withdraw",
]

CHAMPION = Rule("champion", approvals=1, takeover=True)
"""What holds where nobody set a rule: only an approved content takes `champion` over from another."""

SAGEMAKER: dict[str, ApprovalStatus] = {
    "PendingManualApproval": "pending",
    "Approved": "approved",
    "Rejected": "rejected",
}
"""SageMaker's `ModelApprovalStatus` in our words."""

_EVER = 2**62
_DAY = 86_400_000_000


def status_named(text: str) -> ApprovalStatus:
    """An approval status by our word or by SageMaker's.

    Example:
        >>> status_named("PendingManualApproval"), status_named("approved")
        ('pending', 'approved')
    """
    known = {name.lower(): status for name, status in SAGEMAKER.items()} | {each: each for each in SAGEMAKER.values()}
    if text.lower() not in known:
        raise InvalidInput(f"{text!r} is not an approval status", known=nearest(text, [*SAGEMAKER, *known]))
    return known[text.lower()]


def rules_of(tx: Transaction, name: str) -> list[Rule]:
    """The rules in force for a model, by target: its own, then the workspace's, then the built-in one."""
    workspace = caller().workspace
    rows = tx.rows(
        "SELECT name, target, rule FROM model_rule WHERE workspace = ? AND name IN (?, '')", (workspace, name)
    )
    found = {CHAMPION.target: CHAMPION}
    for _, target, rule in sorted(rows, key=lambda row: row[0]):  # the workspace's come first, so that the own ones win
        found[target] = msgspec.json.decode(rule, type=Rule)
    return [found[target] for target in sorted(found)]


def set_rules(tx: Transaction, name: str, rules: Sequence[Rule]) -> list[Rule]:
    """Replace the rules of a model, or, without a name, of the workspace; those then in force.

    Raises:
        InvalidInput: Two rules have the same target, or a role that there is not.
    """
    if name:
        name = find_model(tx, name).name
    targets = [rule.target for rule in rules]
    if len(set(targets)) != len(targets):
        raise InvalidInput("two rules have the same target", hint="give one rule for each alias or stage")
    for rule in rules:
        for each in rule.approvers:
            if each.startswith("role:") and each.removeprefix("role:") not in ROLES:
                raise InvalidInput(f"{each!r} names no role", known=nearest(each.removeprefix("role:"), ROLES))
    who = caller()
    tx.execute("DELETE FROM model_rule WHERE workspace = ? AND name = ?", (who.workspace, name))
    for rule in rules:
        tx.execute(
            "INSERT INTO model_rule (workspace, name, target, rule, at, by) VALUES (?, ?, ?, ?, ?, ?)",
            (who.workspace, name, rule.target, msgspec.json.encode(rule).decode(), tx.now_micros, who.principal),
        )
    tx.note(f"policy/model/{name or '*'}", rules=msgspec.to_builtins(list(rules)))
    for (digest,) in tx.rows("SELECT DISTINCT digest FROM model_approval WHERE workspace = ?", (who.workspace,)):
        refresh(tx, digest)
    return rules_of(tx, name)


def effective_rule(tx: Transaction, name: str, target: str) -> Rule:
    """The rule for one alias or stage of a model; one that asks nothing where none was set."""
    return next((rule for rule in rules_of(tx, name) if rule.target == target), Rule(target, approvals=0))


def approve(tx: Transaction, ref: str, *, comment: str) -> Approval:
    """Record the caller's yes to a version's content.

    Raises:
        Forbidden: The caller made the content. The owner of an embedded store works alone, and may.
    """
    notes = locate(tx, ref)
    who = caller()
    if who.method != "local" and who.principal in _authors(tx, notes.digest):
        raise Forbidden(
            f"{who.principal} made model/{notes.name}@{notes.version} and cannot be the one to approve it",
            hint="ask a colleague to approve",
        )
    return _record(tx, notes, "approved", comment)


def reject(tx: Transaction, ref: str, *, comment: str) -> Approval:
    """Record the caller's no to a version's content: it takes no alias and no stage that has a rule while it stands."""
    return _record(tx, locate(tx, ref), "rejected", comment)


def withdraw(tx: Transaction, ref: str, *, by: str = "", comment: str = "") -> list[Approval]:
    """Take a person's verdict on a version's content back; without a name, the caller's own.

    Raises:
        NotFound: That person said nothing that still stands.
        Forbidden: It is another's, and the caller is no administrator.
    """
    notes, who = locate(tx, ref), caller()
    person = by or who.principal
    if person != who.principal and not any("admin" in ROLES.get(role, ()) for role in who.roles):
        raise Forbidden(f"only {person} or an administrator can take back what {person} said")
    given = [each for each in _verdicts(tx, notes.digest) if each.by == person]
    if not given:
        raise NotFound(f"{person} said nothing of model/{notes.name}@{notes.version} that could be taken back")
    _withdraw(tx, given, who.principal)
    tx.note(f"model/{notes.name}@{notes.version}", withdrawn=[each.artifact_id for each in given], comment=comment)
    refresh(tx, notes.digest)
    announce(tx, "model.version.approval.withdrawn", subject=f"model/{notes.name}@{notes.version}", by=person)
    return [msgspec.structs.replace(each, withdrawn_at=tx.now, withdrawn_by=who.principal) for each in given]


def approvals_of(tx: Transaction, digest: str) -> list[Approval]:
    """Everything that was said of a content, withdrawn or not, newest first."""
    return tx.fetch(
        APPROVALS, "WHERE workspace = ? AND digest = ? ORDER BY at DESC, artifact_id DESC", (caller().workspace, digest)
    )


def standing(tx: Transaction, digest: str, name: str) -> list[Approval]:
    """The approvals that let a content come before users as `name`, newest first; none where they do not suffice."""
    rule = effective_rule(tx, name, CHAMPION.target)
    if any(each.verdict == "rejected" for each in _verdicts(tx, digest)):
        return []
    found = _counting(tx, digest, rule)
    return found if len(found) >= max(1, rule.approvals) else []


def decide(
    tx: Transaction, notes: VersionNotes, target: str, *, holders: Sequence[int] = (), held: int = 0
) -> Decision:
    """Whether a version may take an alias or a stage, and what is lacking.

    Args:
        tx: The caller's transaction.
        notes: Of the version.
        target: The alias or stage.
        holders: Versions that held it before.
        held: The version that holds it now; 0 for none.
    """
    rule = effective_rule(tx, notes.name, target)
    counting = _counting(tx, notes.digest, rule)
    free = rule.takeover and (not (holders or held) or notes.version in (*holders, held))
    reasons: list[str] = []
    asks = rule.approvals > 0 or bool(rule.gates)
    if asks and not free:
        reasons += [
            f"{each.by} rejected it{f': {each.comment}' if each.comment else ''}"
            for each in _verdicts(tx, notes.digest)
            if each.verdict == "rejected"
        ]
        if len(counting) < rule.approvals:
            reasons.append(_lacking(rule, counting))
        reasons += [reason for gate in rule.gates if (reason := _missed(tx, notes, gate))]
    return Decision(target, not reasons, reasons, rule, counting)


def check_allowed(
    tx: Transaction, notes: VersionNotes, target: str, *, holders: Sequence[int] = (), held: int = 0
) -> Decision:
    """`decide`, raising `CheckFailed` with what is lacking."""
    decision = decide(tx, notes, target, holders=holders, held=held)
    if not decision.allowed:
        lacking = len(decision.approvals) < decision.rule.approvals
        raise CheckFailed(
            f"model/{notes.name}@{notes.version} cannot take {target!r}: {'; '.join(decision.reasons)}",
            hint=f"mainspring model {f'approve {notes.name}@{notes.version}' if lacking else f'rules {notes.name}'}",
            details={"digest": notes.digest, "reasons": decision.reasons},
        )
    return decision


def refresh(tx: Transaction, digest: str) -> None:
    """Write beside every version of a content whether it is approved, so that searches need not ask."""
    workspace = caller().workspace
    rejected = any(each.verdict == "rejected" for each in _verdicts(tx, digest))
    for notes in tx.fetch(NOTES, "WHERE workspace = ? AND digest = ?", (workspace, digest)):
        rule = effective_rule(tx, notes.name, CHAMPION.target)
        counting, until = _counting(tx, digest, rule), 0
        wanted = max(1, rule.approvals)
        if not rejected and len(counting) >= wanted:
            # It holds until so many have run out that too few are left: the one that is `wanted` from the newest.
            oldest = sorted(to_micros(each.at) for each in counting)[-wanted]
            until = oldest + rule.days * _DAY if rule.days else _EVER
        approval: ApprovalStatus = "rejected" if rejected else "approved" if until else "pending"
        if (approval, until) != (notes.approval, notes.approved_until):
            change_notes(tx, notes, approval=approval, approved_until=until)


def _record(tx: Transaction, notes: VersionNotes, verdict: Verdict, comment: str) -> Approval:
    """Keep a verdict as an artifact of the graph and as a row; what its author said before is replaced by it."""
    who = caller()
    _withdraw(tx, [each for each in _verdicts(tx, notes.digest) if each.by == who.principal], who.principal)
    kind = "approval" if verdict == "approved" else "rejection"
    run = graph.start_run(tx, kind, notes.name, metadata={"comment": comment})
    graph.use(tx, run.id, notes.artifact_id, role="model")
    subject = f"model/{notes.name}@{notes.version}"
    facts = {"model": subject, "digest": notes.digest, "by": who.principal, "comment": comment, "verdict": verdict}
    made = graph.add_artifact(
        tx, kind, notes.name, digest=digest_value(kind, [facts, run.id]), metadata=facts, run_id=run.id
    )
    graph.finish_run(tx, run.id)
    said = Approval(
        workspace=notes.workspace,
        digest=notes.digest,
        name=notes.name,
        version=notes.version,
        artifact_id=made.id,
        comment=comment,
        at=tx.now,
        by=who.principal,
        verdict=verdict,
        roles=list(who.roles),
        method=who.method,
    )
    tx.insert(APPROVALS, said)
    refresh(tx, notes.digest)
    announce(tx, f"model.version.{verdict}", subject=subject, digest=notes.digest, by=who.principal, comment=comment)
    return said


def _withdraw(tx: Transaction, given: Sequence[Approval], who: str) -> None:
    for each in given:
        tx.execute(
            "UPDATE model_approval SET withdrawn_at = ?, withdrawn_by = ? WHERE artifact_id = ?",
            (tx.now_micros, who, each.artifact_id),
        )


def _verdicts(tx: Transaction, digest: str) -> list[Approval]:
    return [each for each in approvals_of(tx, digest) if each.withdrawn_at is None]


def _counting(tx: Transaction, digest: str, rule: Rule) -> list[Approval]:
    """The approvals that a rule counts, newest first: of whom it names, not too old, and not of an author."""
    given = [each for each in _verdicts(tx, digest) if each.verdict == "approved"]
    if rule.days:
        given = [each for each in given if to_micros(each.at) + rule.days * _DAY > tx.now_micros]
    if not given:
        return []
    authors = _authors(tx, digest)
    given = [each for each in given if each.method == "local" or each.by not in authors]
    if not rule.approvers:
        return given
    wanted = set(rule.approvers)
    return [each for each in given if each.by in wanted or wanted.intersection(f"role:{role}" for role in each.roles)]


def _authors(tx: Transaction, digest: str) -> set[str]:
    """Who made a content: everybody who registered it, and everybody who started a run that made it."""
    workspace = caller().workspace
    rows = tx.fetch(NOTES, "WHERE workspace = ? AND digest = ?", (workspace, digest))
    authors = {row.created_by for row in rows}
    for run_id in {row.run_id for row in rows if row.run_id}:
        authors.add(graph.get_run(tx, run_id).created_by)
    return authors


def _lacking(rule: Rule, counting: Sequence[Approval]) -> str:
    if rule.approvals == 1:
        text = "it is not approved"
    else:
        text = f"it is approved by {len(counting)} of {rule.approvals} people"
    return f"{text}, and the rule counts {', '.join(rule.approvers)}" if rule.approvers else text


def _missed(tx: Transaction, notes: VersionNotes, gate: Gate) -> str:
    """Why a version does not pass a gate; empty when it does."""
    where = "WHERE workspace = ? AND name = ? AND version = ? AND dataset = ? AND key = ?"
    found = tx.fetch_one(MEASURED, where, (notes.workspace, notes.name, notes.version, gate.dataset, gate.metric))
    on = f" on {gate.dataset}" if gate.dataset else ""
    if found is None:
        return f"its {gate.metric}{on} was not measured"
    sure = gate.surely and found.low is not None and found.high is not None
    low, high = (found.low, found.high) if sure else (found.value, found.value)
    if gate.surely and not sure:
        return f"its {gate.metric}{on} has no interval"
    if gate.at_least is not None and low is not None and low < gate.at_least:
        return f"its {gate.metric}{on} is {low:g}, and at least {gate.at_least:g} is asked for"
    if gate.at_most is not None and high is not None and high > gate.at_most:
        return f"its {gate.metric}{on} is {high:g}, and at most {gate.at_most:g} is allowed"
    return ""


