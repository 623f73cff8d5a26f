"""`mainspring model approve`, `reject`, `withdraw`, `rules` and `stage`."""

from __future__ import annotations

import re

import click

from mainspring.cli.output import echo_json, json_option, show_table, store_options, use_client
from mainspring.kernel.errors import InvalidInput
from mainspring.models.types import Approval, Gate, Rule

__all__ = ["approve", "reject", "rules", "stage", "withdraw"]

_GATE = re.compile(r"([^<>=@]+)(?:@([^<>=]+))?(>=|<=)(.+)")


@click.command()
@click.argument("ref")
@click.option("-m", "--comment", default="", help="Why, for the audit.")
@json_option
@store_options
def approve(ref: str, comment: str, store: str, url: str, *, as_json: bool) -> None:
    """Approve the content of a version, so that it may come before users.

    \b
    mainspring model approve flight-delay@3 -m "read the card"
    """
    with use_client(store, url) as client:
        made = client.models.approve(ref, comment=comment)
        decision = client.models.may_take(ref)
    _tell(made, as_json=as_json)
    if not as_json and not decision.allowed:
        click.echo(f"  still lacking for champion: {'; '.join(decision.reasons)}", err=True)


@click.command()
@click.argument("ref")
@click.option("-m", "--comment", default="", help="Why, for the audit.")
@json_option
@store_options
def reject(ref: str, comment: str, store: str, url: str, *, as_json: bool) -> None:
    """Say no to the content of a version: it takes nothing that has a rule until the no is taken back.

    \b
    mainspring model reject flight-delay@3 -m "unfair to night flights"
    """
    with use_client(store, url) as client:
        made = client.models.reject(ref, comment=comment)
    _tell(made, as_json=as_json)


@click.command()
@click.argument("ref")
@click.option("--by", default="", help="Whose word, where it is not your own: for administrators.")
@click.option("-m", "--comment", default="", help="Why, for the audit.")
@json_option
@store_options
def withdraw(ref: str, by: str, comment: str, store: str, url: str, *, as_json: bool) -> None:
    """Take back what was said of the content of a version.

    \b
    mainspring model withdraw flight-delay@3
    """
    with use_client(store, url) as client:
        taken = client.models.withdraw(ref, by=by, comment=comment)
    if as_json:
        echo_json(taken)
        return
    for each in taken:
        click.echo(f"what {each.by} said of model/{each.name}@{each.version} ({each.verdict}) is taken back")


@click.command()
@click.argument("name", default="")
@click.option("--target", default="", help="The alias or stage that the rule is about; sets the rule.")
@click.option("--approvals", default=1, show_default=True, type=click.IntRange(0, 20), help="By how many people.")
@click.option("--approver", multiple=True, help="Whose approval counts: a name, or role:NAME; may be repeated.")
@click.option("--gate", multiple=True, help="A figure to reach: auc>=0.8, auc@dataset/april@1>=0.8; may be repeated.")
@click.option("--days", default=0, help="For how many days an approval holds; 0 for ever.")
@click.option("--remove", default="", help="Take the rule of this alias or stage away.")
@json_option
@store_options
def rules(
    name: str,
    store: str,
    url: str,
    target: str,
    approvals: int,
    approver: tuple[str, ...],
    gate: tuple[str, ...],
    days: int,
    remove: str,
    *,
    as_json: bool,
) -> None:
    """The rules of a model, or, without a name, of the workspace; with --target, set one of them.

    \b
    mainspring model rules flight-delay
    mainspring model rules flight-delay --target Production --approvals 2 --gate "auc>=0.8"
    """
    with use_client(store, url) as client:
        found = client.models.rules(name)
        if target or remove:
            kept = [rule for rule in found if rule.target not in (target, remove) and not rule.takeover]
            made = [Rule(target, approvals, list(approver), [_gate(each) for each in gate], days)] if target else []
            found = client.models.set_rules(name, [*kept, *made])
    if as_json:
        echo_json(found)
        return
    rows = [
        (one.target, one.approvals, one.approvers, [_gate_text(gate) for gate in one.gates], one.days or "for ever")
        for one in found
    ]
    show_table(("target", "approvals", "by", "figures", "hold, in days"), rows, empty="no rules")


@click.command()
@click.argument("ref")
@click.argument("stage")
@click.option("--archive-existing", is_flag=True, help="What is in that stage goes to the archive.")
@store_options
def stage(ref: str, stage: str, store: str, url: str, *, archive_existing: bool) -> None:
    """Move a version to None, Staging, Production or Archived.

    \b
    mainspring model stage flight-delay@3 Production --archive-existing
    """
    with use_client(store, url) as client:
        found = client.models.set_stage(ref, stage, archive_existing=archive_existing)
    click.echo(f"{found.ref}  {found.stage}")


def _tell(made: Approval, *, as_json: bool) -> None:
    if as_json:
        echo_json(made)
    else:
        click.echo(f"model/{made.name}@{made.version} is {made.verdict} by {made.by}")


def _gate(text: str) -> Gate:
    match = _GATE.fullmatch(text.replace(" ", ""))
    try:
        metric, dataset, sign, value = match.groups() if match else ("", "", "", "")
        bound = float(value)
    except ValueError:
        raise InvalidInput(f"{text!r} is not a figure to reach", hint="auc>=0.8, or loss<=0.3") from None
    if sign == ">=":
        return Gate(metric, at_least=bound, dataset=dataset or "")
    return Gate(metric, at_most=bound, dataset=dataset or "")


def _gate_text(gate: Gate) -> str:
    on = f" on {gate.dataset}" if gate.dataset else ""
    low = f" >= {gate.at_least:g}" if gate.at_least is not None else ""
    high = f" <= {gate.at_most:g}" if gate.at_most is not None else ""
    return f"{gate.metric}{on}{low}{high}"
