"""Retention: which versions are kept, which go, and that each can come back for a while."""

from __future__ import annotations

from datetime import timedelta

import pytest
from registry_tools import person, register

from mainspring.client.client import Client
from mainspring.kernel.clock import turned
from mainspring.kernel.context import acting_as
from mainspring.kernel.errors import InvalidInput, NotFound
from mainspring.lineage import graph
from mainspring.models.types import RetentionRule


@pytest.fixture
def aged(client: Client) -> Client:
    """Eight versions of `m`: aliased, staged, approved, deployed, or nothing of it."""
    for _ in range(8):
        register(client)
    models = client.models
    models.alias("m", "champion", 1)
    models.set_stage("m@2", "Production")
    with acting_as(person("bob")):
        models.approve("m@3")
    with client.backend.store.write("test.fill") as tx:
        for version, ended in ((4, False), (5, True)):
            run = graph.start_run(tx, "deployment", "endpoint")
            graph.use(tx, run.id, models_id(tx, version), role="model")
            if ended:
                graph.finish_run(tx, run.id)
    return client


def models_id(tx: object, version: int) -> str:
    return graph.resolve(tx, f"model/m@{version}").id


def numbers(versions: list[object]) -> list[int]:
    return [each.version for each in versions]


def test_a_rule_keeps_the_newest_and_what_is_needed(aged: Client) -> None:
    models = aged.models
    rule = RetentionRule(last=2)
    assert numbers(models.retain("m", rule=rule, dry_run=True)) == [5, 6]
    assert len(models.versions("m")) == 8
    assert numbers(models.retain("m", rule=RetentionRule(last=2, approved=False), dry_run=True)) == [3, 5, 6]
    assert numbers(models.retain("m", rule=RetentionRule(last=2, deployed=False), dry_run=True)) == [4, 5, 6]
    assert numbers(models.retain("m", rule=RetentionRule(last=7, aliased=False), dry_run=True)) == [1]
    gone = models.retain("m", rule=rule)
    assert numbers(gone) == [5, 6]
    assert all(each.deleted_at is not None for each in gone)
    assert numbers(models.versions("m")) == [8, 7, 4, 3, 2, 1]
    assert models.restore_version("m@6").version == 6
    event = next(each for each in aged.storage.events(limit=10) if each.action == "models.retain")
    assert {change.resource for change in event.changes} >= {"model/m@5", "model/m@6"}


def test_a_rule_of_days_and_rules_that_were_set(aged: Client) -> None:
    models = aged.models
    assert models.retention("m") is None
    with pytest.raises(InvalidInput, match="no retention rule"):
        models.retain("m")
    assert models.retain() == [], "nothing goes without a rule"
    models.set_retention(rule=RetentionRule(days=10))
    models.set_retention("m", rule=RetentionRule(days=20))
    assert models.retention("m") == RetentionRule(days=20)
    assert models.retention() == RetentionRule(days=10)
    with turned(timedelta(days=15)):
        register(aged, "other")
        assert models.retain() == []
    with turned(timedelta(days=21)):
        assert numbers(models.retain(dry_run=True)) == [5, 6, 7, 8]
    assert models.set_retention("m") == RetentionRule(days=10)
    with turned(timedelta(days=15)):
        assert numbers(models.retain("m", dry_run=True)) == [5, 6, 7, 8]
    for wrong in ({}, {"last": -1}, {"days": -1, "last": 3}):
        with pytest.raises(InvalidInput):
            RetentionRule(**wrong)
    with pytest.raises(NotFound):
        models.set_retention("nothing", rule=RetentionRule(last=1))


def test_what_is_deleted_and_still_serves_keeps_its_bytes(aged: Client) -> None:
    models = aged.models
    for version in (4, 5):
        models.delete_version(f"m@{version}")
    with turned(timedelta(days=40)):
        report = aged.storage.collect_garbage(grace_days=0, hold_hours=0)
        assert (report.expired, report.removed) == (1, 1)
        assert models.restore_version("m@4").version == 4
        assert b"".join(models.file("m@4", "model.bin")) == b"m 3"
        with pytest.raises(NotFound, match="too long ago"):
            models.restore_version("m@5")
