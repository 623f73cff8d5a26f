"""Checkpoints: suites asked of datasets, and what follows."""

from __future__ import annotations

import polars as pl
import pytest

from mainspring.kernel.errors import CheckFailed, InvalidInput, NotFound
from mainspring.quality import expect
from mainspring.quality.checkpoints import Checkpoint, Emit, Quarantine, Refuse, SetAlias, Target, Webhook

FRAME = pl.DataFrame({"id": [1, 2, 3, 4], "delay": [5, -3, 12, 40], "month": ["jan", "jan", "feb", "feb"]})
LATE = FRAME.with_columns(delay=pl.col("delay") * 100)
SUITE = expect("flights").column("delay").between(-120, 1440).column("id").unique().column("id").in_set(
    [1, 2, 3], severity="warning"
)  # fmt: skip
ACTIONS = (Emit(), SetAlias(alias="good"), Quarantine(), Refuse())


@pytest.fixture
def flights(client):
    client.data.commit("flights", FRAME)
    client.quality.save_suite(SUITE.suite)
    client.quality.save_checkpoint(
        Checkpoint(name="nightly", targets=(Target(dataset="flights", suite="flights", by="month"),), actions=ACTIONS)
    )
    return client


def test_what_passes_moves_the_alias_and_is_told(flights):
    seen = []
    position = flights.events.position()
    run = flights.quality.run_checkpoint("nightly", call=lambda run, reports: seen.append((run.verdict, len(reports))))
    assert (run.verdict, seen) == ("passed", [("passed", 1)])
    assert flights.data.aliases("flights") == {"good": 1}
    assert [each.kind for each in flights.events.since(position)] == ["quality.checkpoint.passed"]
    assert [(each.action, each.done) for each in run.actions] == [("set-alias", True), ("emit", True)]
    report = flights.quality.validation(run.targets[0].report)
    parts = [(part.name, part.rows, part.verdict) for part in report.parts]
    assert parts == [("feb", 2, "warning"), ("jan", 2, "passed")]
    assert flights.quality.checkpoint_runs("nightly") == [run]
    assert "report/validation/flights@1" in {node.ref for node in flights.lineage.why(f"run/{run.run_id}").nodes}


def test_what_fails_is_quarantined_and_refused_after_everything_else_was_done(flights):
    flights.data.commit("flights", LATE)
    with pytest.raises(CheckFailed, match="dataset/flights@2 fails flights in 2 expectations") as refused:
        flights.quality.run_checkpoint("nightly")
    assert refused.value.details["verdict"] == "failed"
    assert flights.data.aliases("flights") == {}
    bad = flights.data.load("flights-quarantine")
    assert bad.select("id", "delay").rows() == [(2, -300), (4, 4000)]
    assert [len(reasons) for reasons in bad.get_column("__reasons__")] == [1, 2]
    sources = {node.ref for node in flights.lineage.why("dataset/flights-quarantine@1").nodes}
    assert {"dataset/flights@2", "suite/flights@1"} <= sources
    assert flights.events.since(kinds=["quality.checkpoint.failed"])[0].data["targets"][0]["failures"] == 2
    assert flights.quality.run_checkpoint("nightly", ref="flights@1").verdict == "passed"


@pytest.mark.databases("sqlite")
def test_the_severity_decides_and_columns_narrow(flights):
    quality = flights.quality
    strict = Checkpoint(name="strict", fails_at="warning", targets=(Target(dataset="flights@1", suite="flights"),))
    assert quality.save_checkpoint(strict) == quality.checkpoint("strict")
    assert quality.run_checkpoint("strict").verdict == "failed"
    only = Target(dataset="flights", suite="flights", columns=("delay",))
    quality.save_checkpoint(Checkpoint(name="strict", fails_at="warning", targets=(only,)))
    assert quality.run_checkpoint("strict").verdict == "passed"
    assert [each.name for each in quality.checkpoints()] == ["nightly", "strict"]
    quality.remove_checkpoint("strict")
    with pytest.raises(NotFound, match="no checkpoint"):
        quality.run_checkpoint("strict")


@pytest.mark.databases("sqlite")
def test_a_webhook_is_told_by_name_whatever_it_listens_to(flights):
    flights.events.set_policy(private=True)
    made = flights.events.create_webhook("ops", url="http://127.0.0.1:9/", kinds=["model.*"]).webhook
    flights.quality.save_checkpoint(
        Checkpoint(name="told", targets=(Target(dataset="flights", suite="flights"),), actions=(Webhook(name="ops"),))
    )
    run = flights.quality.run_checkpoint("told")
    assert run.actions[0].message.endswith("to ops")
    (delivery,) = flights.events.deliveries(webhook_id=made.id)
    assert delivery.kind == "quality.checkpoint.passed"


@pytest.mark.databases("sqlite")
@pytest.mark.parametrize(
    ("checkpoint", "why"),
    [
        (Checkpoint(name="a b/../c", targets=(Target(dataset="d", suite="s"),)), "name"),
        (Checkpoint(name="none", targets=()), "validates nothing"),
        (Checkpoint(name="x", targets=(Target(dataset="../d", suite="s"),)), "name"),
        (Checkpoint(name="x", targets=(Target(dataset="d", suite="s"),), actions=(SetAlias(alias=""),)), "alias"),
    ],
)
def test_a_checkpoint_that_makes_no_sense_is_refused(client, checkpoint, why):
    with pytest.raises(InvalidInput, match=why):
        client.quality.save_checkpoint(checkpoint)
    assert client.quality.checkpoints() == []


@pytest.mark.databases("sqlite")
def test_a_webhook_that_there_is_not_is_refused_at_once(flights):
    target = Target(dataset="flights", suite="flights")
    with pytest.raises(NotFound, match="no active webhook"):
        flights.quality.save_checkpoint(Checkpoint(name="t", targets=(target,), actions=(Webhook(name="nobody"),)))
