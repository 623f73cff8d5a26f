"""Approvals: by n of m people, bound to the content, never by who made it; rules, rejections, withdrawals, expiry."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from datetime import timedelta

import pytest
from registry_tools import person, register

from mainspring.client.client import Client
from mainspring.kernel.clock import turned
from mainspring.kernel.context import acting_as
from mainspring.kernel.errors import CheckFailed, Forbidden, InvalidInput, NotFound
from mainspring.lineage import graph
from mainspring.models.service import Models
from mainspring.models.types import Gate, Metric, Rule
from mainspring.store.local import LocalBackend
from mainspring.trust.guard import RoleGuard

ANN, BOB, CARL, DORA = (person(name) for name in ("ann", "bob", "carl", "dora"))
ROOT = person("root", "admin")


@pytest.fixture
def later() -> Iterator[Callable[[float], None]]:
    """Turn the clock on by so many days, until the test ends."""
    with contextlib.ExitStack() as stack:
        yield lambda days: stack.enter_context(turned(timedelta(days=days)))


@pytest.fixture
def models(client: Client) -> Client:
    """A store with two versions of `m`, made by ann."""
    with acting_as(ANN):
        register(client, metrics={"auc": Metric(0.8, 0.75, 0.85), "loss": 0.4})
        register(client, metrics={"auc": 0.6})
    return client


def test_two_of_three_people_and_never_the_author(models: Client) -> None:
    registry = models.models
    rule = Rule("champion", approvals=2, approvers=["ann", "bob", "carl", "dora"])
    assert registry.set_rules("m", [rule]) == [rule]
    with acting_as(ANN), pytest.raises(Forbidden, match="made model/m@1"):
        registry.approve("m@1")
    with pytest.raises(CheckFailed, match="0 of 2"):
        registry.alias("m", "champion", 1)
    with acting_as(BOB):
        registry.approve("m@1", comment="looked")
        registry.approve("m@1", comment="looked again")
    lacking = "it is approved by 1 of 2 people, and the rule counts ann, bob, carl, dora"
    assert registry.may_take("m@1").reasons == [lacking]
    with acting_as(person("eve")):
        registry.approve("m@1")
    assert not registry.get("m@1").approved, "eve is not among those who count"
    with acting_as(CARL):
        registry.approve("m@1")
    assert registry.get("m@1").approved
    assert registry.alias("m", "champion", 1).aliases == ["champion"]
    decision = registry.may_take("m@2")
    assert (decision.allowed, len(decision.approvals)) == (False, 0)
    with acting_as(ANN), pytest.raises(CheckFailed, match="0 of 2"):
        registry.alias("m", "champion", 2)
    assert registry.get("m@champion").version == 1


def test_who_started_the_run_or_registered_the_same_bytes_is_an_author_too(client: Client) -> None:
    with acting_as(BOB), client.backend.store.write("test.fill") as tx:
        run = graph.start_run(tx, "training", "fit")
    with acting_as(ANN):
        register(client, content=b"bytes", run_id=run.id)
    for author in (ANN, BOB):
        with acting_as(author), pytest.raises(Forbidden):
            client.models.approve("m@1")
    with acting_as(CARL):
        client.models.approve("m@1")
    assert client.models.get("m@1").approved
    with acting_as(CARL):
        again = register(client, "copy", content=b"bytes")
    assert again.digest == client.models.get("m@1").digest
    assert not again.approved, "who registers what he approved has approved his own"
    assert not client.models.get("m@1").approved
    with acting_as(DORA):
        client.models.approve("m@1")
    assert client.models.get("copy@1").approved, "it holds for the bytes, under whatever name"


def test_a_no_blocks_until_it_is_taken_back(models: Client) -> None:
    registry = models.models
    with acting_as(BOB):
        registry.approve("m@1")
    with acting_as(CARL):
        said = registry.reject("m@1", comment="unfair to night flights")
    assert said.verdict == "rejected"
    version = registry.get("m@1")
    assert (version.approved, version.approval) == (False, "rejected")
    registry.set_rules("m", [Rule("champion"), Rule("Production")])
    for take in (lambda: registry.alias("m", "champion", 1), lambda: registry.set_stage("m@1", "Production")):
        with pytest.raises(CheckFailed, match="unfair to night flights"):
            take()
    with acting_as(BOB), pytest.raises(Forbidden, match="administrator"):
        registry.withdraw("m@1", by="carl")
    with acting_as(DORA), pytest.raises(NotFound):
        registry.withdraw("m@1")
    with acting_as(CARL):
        assert registry.withdraw("m@1")[0].withdrawn_by == "carl"
    assert registry.get("m@1").approval == "approved"
    assert registry.set_stage("m@1", "Production").stage == "Production"
    with acting_as(CARL):
        registry.reject("m@1")
        registry.approve("m@1")
    assert registry.get("m@1").approved, "the later word counts"
    with acting_as(ROOT):
        registry.withdraw("m@1", by="carl")
    assert len([each for each in registry.approvals("m@1") if each.withdrawn_at is None]) == 1


def test_approvals_expire_and_withdrawn_ones_do_not_count(models: Client, later: Callable[[float], None]) -> None:
    registry = models.models
    registry.set_rules("m", [Rule("champion", approvals=1, days=30)])
    with acting_as(BOB):
        registry.approve("m@1")
    assert registry.get("m@1").approved
    assert [each.version for each in registry.search_versions("approved").versions] == [1]
    later(31)
    version = registry.get("m@1")
    assert (version.approved, version.approval) == (False, "pending")
    assert registry.search_versions("approved").versions == []
    with pytest.raises(CheckFailed, match="not approved"):
        registry.alias("m", "champion", 1)
    with acting_as(BOB):
        registry.approve("m@1", comment="looked anew")
    assert registry.alias("m", "champion", 1).approved
    with acting_as(BOB):
        registry.withdraw("m@1")
    assert not registry.get("m@champion").approved, "it keeps its place, and says so"


def test_gates_ask_for_figures(models: Client) -> None:
    registry = models.models
    gates = [Gate("auc", at_least=0.7), Gate("loss", at_most=0.5)]
    registry.set_rules("m", [Rule("Staging", approvals=0, gates=gates)])
    assert registry.set_stage("m@1", "Staging").stage == "Staging"
    with pytest.raises(CheckFailed, match=r"auc is 0.6, and at least 0.7.*loss was not measured") as refused:
        registry.set_stage("m@2", "Staging")
    assert refused.value.hint == "mainspring model rules m", "approving would not help"
    registry.set_rules("m", [Rule("blue", approvals=0, gates=[Gate("auc", at_least=0.78, surely=True)])])
    with pytest.raises(CheckFailed, match=r"0\.75"):
        registry.alias("m", "blue", 1)
    with pytest.raises(CheckFailed, match="no interval"):
        registry.alias("m", "blue", 2)
    registry.set_rules("m", [Rule("blue", approvals=0, gates=[Gate("auc", at_least=0.9, dataset="april")])])
    registry.measure("m@2", {"auc": Metric(0.95)}, dataset="april")
    assert registry.alias("m", "blue", 2).aliases == ["blue"]


def test_rules_of_the_workspace_hold_where_a_model_has_none(models: Client) -> None:
    registry = models.models
    assert [rule.target for rule in registry.rules("m")] == ["champion"]
    assert registry.rules("m")[0].takeover
    registry.set_rules("", [Rule("Production", approvals=2), Rule("champion", approvals=2)])
    assert [(rule.target, rule.approvals) for rule in registry.rules("m")] == [("Production", 2), ("champion", 2)]
    with pytest.raises(CheckFailed):
        registry.set_stage("m@1", "Production")
    registry.set_rules("m", [Rule("Production", approvals=0)])
    assert registry.set_stage("m@1", "Production").stage == "Production"
    guarded = Models(LocalBackend(models.backend.store, RoleGuard()))
    with acting_as(ANN), pytest.raises(Forbidden):
        guarded.set_rules("m", [])
    for wrong in (
        [Rule("a"), Rule("a")],
        [Rule("a", approvers=["role:nobody"])],
    ):
        with pytest.raises(InvalidInput):
            registry.set_rules("m", wrong)
    for bad in (
        lambda: Rule("a", approvals=2, approvers=["ann"]),
        lambda: Rule("a", approvals=-1),
        lambda: Gate("auc"),
    ):
        with pytest.raises(InvalidInput):
            bad()
    assert [(rule.target, rule.approvals) for rule in registry.rules("m")] == [("Production", 0), ("champion", 2)]


def test_a_role_counts_as_it_was_when_they_spoke(models: Client) -> None:
    registry = models.models
    registry.set_rules("m", [Rule("champion", approvals=1, approvers=["role:admin"])])
    with acting_as(BOB):
        registry.approve("m@1")
    assert not registry.get("m@1").approved
    with acting_as(ROOT):
        registry.approve("m@1")
    assert registry.alias("m", "champion", 1).approved


def test_the_words_of_sagemaker(models: Client) -> None:
    registry = models.models
    with acting_as(BOB):
        assert registry.set_approval("m@1", "Approved", comment="yes").approval == "approved"
        assert registry.set_approval("m@1", "Rejected").approval == "rejected"
        assert registry.set_approval("m@1", "PendingManualApproval").approval == "pending"
        with pytest.raises(InvalidInput) as caught:
            registry.set_approval("m@1", "Aproved")
    assert "Approved" in caught.value.known
    assert [each.version for each in registry.search_versions("approval = 'PendingManualApproval'").versions] == [2, 1]


def test_changing_the_rule_changes_what_is_approved(models: Client) -> None:
    registry = models.models
    with acting_as(BOB):
        registry.approve("m@1")
    assert registry.get("m@1").approved
    registry.set_rules("m", [Rule("champion", approvals=2)])
    assert not registry.get("m@1").approved
    registry.set_rules("m", [])
    assert registry.get("m@1").approved
