"""Serving on a real store with real models: deploy, answer, log, label, roll out, decide, explain."""

from __future__ import annotations

import signal
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import numpy as np
import polars as pl
import pytest
from sklearn.linear_model import LogisticRegression

from mainspring.client.client import Client, connect
from mainspring.kernel.context import Caller, acting_as
from mainspring.kernel.errors import CheckFailed, Conflict, Forbidden, InvalidInput, NotFound
from mainspring.serving.dataplane import Answer, Call
from mainspring.serving.plane import ServingProcess
from mainspring.serving.sequential import Rule

pytestmark = pytest.mark.databases("sqlite")
DAY = timedelta(days=1)
START = datetime(2013, 4, 1, tzinfo=UTC)


def rows(n: int, *, seed: int = 0) -> tuple[pl.DataFrame, np.ndarray]:
    """Two features, of which the first decides."""
    random = np.random.default_rng(seed)
    frame = pl.DataFrame({"x": random.normal(size=n), "z": random.normal(size=n)})
    return frame, (random.random(n) < 1 / (1 + np.exp(-2 * frame["x"].to_numpy()))).astype(int)


def register(client: Client, *, harmed: bool = False, worse: bool = False, approve: bool = True) -> str:
    frame, label = rows(500)
    if harmed:
        label = 1 - label
    if worse:
        frame = frame.with_columns(pl.col("x") * 0)
    model = LogisticRegression().fit(frame.to_numpy(), label)
    version = client.models.log_model("late", model, example=frame)
    if approve:
        client.models.approve(version.ref)
    return version.ref


@pytest.fixture
def process(store) -> Iterator[ServingProcess]:
    running = ServingProcess(store)
    yield running
    running.close()


def ask(process: ServingProcess, n: int, *, seed: int, at: datetime = START, **options) -> tuple[Answer, np.ndarray]:
    frame, label = rows(n, seed=seed)
    process.plane.fleet.refresh()
    columns = {name: frame[name].to_numpy() for name in frame.columns}
    answer = process.plane.infer("late", Call(columns=columns, rows=n, at=at, **options))
    process.plane.shadow.drain()
    return answer, label


def tell(client: Client, answer: Answer, label: np.ndarray, **options) -> None:
    client.serving.label(
        "late", ids=[f"{answer.id}-{row}" for row in range(answer.rows)], values=label.tolist(), **options
    )


@pytest.mark.databases("sqlite", "postgres")
def test_from_model_to_answer_to_explanation(client, process):
    ref = register(client)
    made = client.serving.deploy("late", model=ref)
    assert made.plan.champion.reference == ref
    answer, label = ask(process, 50, seed=1, caller="tests")
    assert answer.outputs["probability"].shape == (50, 2)
    for _ in range(2):  # once from the append file, once from the sealed segment
        found = client.serving.prediction(f"prediction/{answer.id}-7")
        assert (found.model, found.arm, found.at, found.caller) == (ref, "champion", START, "tests")
        assert found.inputs["x"] == rows(50, seed=1)[0]["x"][7]
        assert found.outputs["probability"] == pytest.approx(answer.outputs["probability"][7].tolist())
        assert found.label is None
        process.log.flush()
    assert found.segment_id
    tell(client, answer, label)
    assert client.serving.prediction(f"{answer.id}-7").label == label[7]
    story = client.serving.why_prediction(f"{answer.id}-7")
    kinds = {node.kind for node in story.nodes}
    assert {"predictions", "deployment", "model", "approval", "training", "code", "environment"} <= kinds
    assert story.nodes[0].kind == "predictions"
    (segment,) = client.serving.segments("late")
    assert (segment.rows, segment.requests, segment.model) == (50, 1, ref)


def test_only_approved_content_is_served(client):
    ref = register(client, approve=False)
    with pytest.raises(CheckFailed, match="is not approved"):
        client.serving.deploy("late", model=ref)
    contributor = Caller(principal="ann", roles=("contributor",))
    with acting_as(contributor), pytest.raises(Forbidden, match="may not serve"):
        client.serving.deploy("late", model=ref, allow_unapproved=True)
    assert client.serving.endpoints() == []
    assert client.serving.deploy("late", model=ref, allow_unapproved=True).plan.champion.reference == ref


def test_a_new_deployment_replaces_the_old_under_the_same_name(client, process):
    first, second = register(client), register(client, harmed=True)
    before = client.serving.deploy("late", model=first, sticky=["x"], timestamp="at")
    ask(process, 3, seed=1)
    after = client.serving.deploy("late", model=second)
    assert (after.id, after.sticky, after.timestamp) == (before.id, ("x",), "at")
    assert ask(process, 3, seed=1)[0].version == 2
    assert client.lineage.run(before.plan.champion.deployment).status == "finished"


def test_wrong_names_change_nothing(client):
    ref = register(client)
    client.serving.deploy("late", model=ref)
    with pytest.raises(NotFound, match=r"no endpoint 'lat'.*known: late"):
        client.serving.endpoint("lat")
    with pytest.raises(NotFound):
        client.serving.deploy("late", model="nobody")
    with pytest.raises(InvalidInput, match="no metric 'accuracy'"):
        client.serving.start_rollout("late", challenger=ref, metric="accuracy")
    with pytest.raises(Conflict, match="answers at endpoint"):
        client.serving.start_rollout("late", challenger=ref)
    with pytest.raises(NotFound, match="no rollout runs"):
        client.serving.promote("late")
    with pytest.raises(InvalidInput, match="not the id of a prediction"):
        client.serving.label("late", ids=["7"], values=[1])
    with pytest.raises(NotFound, match="no prediction"):
        client.serving.prediction("0199f0aa-0000-7000-8000-000000000001-7")


def test_labels_come_late_are_corrected_and_join_by_id(client, process):
    client.serving.deploy("late", model=register(client))
    first, label = ask(process, 20, seed=1)
    second, _ = ask(process, 5, seed=2, at=START + 3 * DAY)
    tell(client, first, label, at=START + DAY)
    client.serving.label("late", ids=[f"{first.id}-3"], values=[1 - int(label[3])], at=START + 2 * DAY)
    client.serving.label(
        "late", ids=[f"{first.id}-4"], values=[1 - int(label[4])], at=START
    )  # older than what is known
    expected = [*label]
    expected[3] = 1 - label[3]
    for _ in range(2):
        found = client.serving.outcomes("late")
        assert found["id"].to_list() == [f"{first.id}-{row}" for row in range(20)] + [
            f"{second.id}-{row}" for row in range(5)
        ]
        assert found["label"].to_list() == [*expected, *[None] * 5]
        assert client.serving.outcomes("late", labelled=True).height == 20
        assert client.serving.outcomes("late", since=START + DAY).height == 5
        assert client.serving.outcomes("late", until=START + DAY).height == 20
        slim = client.serving.outcomes("late", columns=["input.x"])
        assert [name for name in slim.columns if "." in name] == ["input.x"]
        process.log.flush()
    assert client.serving.outcomes("late", model="late@1").height == 25
    newest = client.serving.predictions("late", limit=3)
    assert [each.id for each in newest] == [f"{second.id}-{row}" for row in range(3)]


def run_days(client, process, *, days: int, rows_a_day: int = 600) -> list:
    looks = []
    for day in range(days):
        answer, label = ask(process, rows_a_day, seed=100 + day, at=START + day * DAY)
        tell(client, answer, label)
        looks.append(client.serving.evaluate_rollout("late"))
        if client.serving.rollouts(endpoint="late")[0].status != "running":
            break
    return looks


def test_a_better_challenger_goes_from_shadow_to_canary_to_champion(client, process):
    old, new = register(client, worse=True), register(client)
    client.serving.deploy("late", model=old)
    rollout = client.serving.start_rollout("late", challenger=new, steps=[0.2, 0.5], rule=Rule(planned_n=500))
    looks = run_days(client, process, days=20)
    assert looks[0].mode == "shadow"
    assert looks[-1].mode == "canary"
    assert looks[-1].decision.verdict == "promote"
    assert looks[-1].decision.upper < 0  # log loss went down
    ended = client.serving.rollouts(endpoint="late")[0]
    assert (ended.id, ended.status) == (rollout.id, "promoted")
    held = client.serving.endpoint("late")
    assert (held.plan.mode, held.plan.champion.reference) == ("single", new)
    assert client.serving.evidence(rollout.id) == looks
    answer, _ = ask(process, 5, seed=1)
    assert answer.version == 2
    story = client.serving.why_prediction(f"{answer.id}-0")
    assert {"rollout", "report", "approval"} <= {node.kind for node in story.nodes}


def test_a_harmed_challenger_is_rolled_back_by_the_canary(client, process):
    old, bad = register(client), register(client, harmed=True)
    client.serving.deploy("late", model=old)
    client.serving.start_rollout("late", challenger=bad, mode="canary", steps=[0.1, 0.5], rule=Rule(planned_n=500))
    looks = run_days(client, process, days=10)
    assert looks[-1].decision.verdict == "rollback"
    assert looks[-1].decision.lower > 0
    assert len(looks) <= 4
    held = client.serving.endpoint("late")
    assert (held.plan.mode, held.plan.champion.reference) == ("single", old)
    answers = client.serving.outcomes("late")
    assert set(answers["arm"].to_list()) == {"champion", "challenger"}
    assert client.serving.outcomes("late", model=bad)["arm"].unique().to_list() == ["challenger"]


def test_a_challenger_that_breaks_is_rolled_back_without_any_label(client, process):
    client.serving.deploy("late", model=register(client))
    odd = LogisticRegression().fit(np.zeros((4, 1)), [0, 1, 0, 1])
    version = client.models.log_model("late", odd, example=pl.DataFrame({"unknown": [0.0] * 4}))
    client.serving.start_rollout("late", challenger=version.ref)
    answer, _ = ask(process, 20, seed=1)
    assert answer.version == 1
    look = client.serving.evaluate_rollout("late")
    assert look.decision.verdict == "rollback"
    assert "failed at 1 of 1 requests" in look.decision.reason
    assert client.serving.outcomes("late", shadow=True)["arm"].unique().to_list() == ["champion"]


def test_a_shadow_is_compared_on_the_same_rows(client, process):
    client.serving.deploy("late", model=register(client))
    client.serving.start_rollout("late", challenger=register(client, harmed=True))
    answer, label = ask(process, 300, seed=5)
    tell(client, answer, label)
    look = client.serving.evaluate_rollout("late", apply=False)
    assert (look.champion_n, look.challenger_n, look.mode) == (300, 300, "shadow")
    assert look.challenger_mean > look.champion_mean
    assert client.serving.rollouts()[0].status == "running"
    assert client.serving.outcomes("late").height == 300
    assert client.serving.outcomes("late", shadow=True).height == 600
    client.serving.rollback("late")
    assert client.serving.endpoint("late").plan.mode == "single"


def test_a_good_shadow_waits_for_its_approval(client, process):
    client.serving.deploy("late", model=register(client, worse=True))
    better = register(client, approve=False)
    rollout = client.serving.start_rollout("late", challenger=better)
    answer, label = ask(process, 1500, seed=3)
    nothing = client.serving.evaluate_rollout("late")
    assert client.serving.evaluate_rollout("late") == nothing  # nothing new: nothing kept
    tell(client, answer, label)
    look = client.serving.evaluate_rollout("late")
    assert look.decision.verdict == "promote"
    assert "waits for its approval" in look.decision.reason
    assert client.serving.endpoint("late").plan.mode == "shadow"
    assert client.serving.evidence(rollout.id) == [nothing, look]
    client.models.approve(better)
    client.serving.evaluate_rollout("late")
    assert client.serving.endpoint("late").plan.champion.reference == better


def test_an_unapproved_shadow_is_not_promoted(client, process):
    client.serving.deploy("late", model=register(client, worse=True))
    better = register(client, approve=False)
    with pytest.raises(CheckFailed):
        client.serving.start_rollout("late", challenger=better, mode="canary")
    client.serving.start_rollout("late", challenger=better)
    with pytest.raises(CheckFailed, match="not approved"):
        client.serving.promote("late")
    with pytest.raises(Conflict, match="rollout runs"):
        client.serving.deploy("late", model=better, allow_unapproved=True)
    client.models.approve(better)
    assert client.serving.promote("late").plan.champion.reference == better


def test_an_answered_prediction_survives_kill_9(client, store_folder, store):
    client.serving.deploy("late", model=register(client))
    program = """
        import os, signal, sys
        import numpy as np
        from mainspring.store.store import Store
        from mainspring.serving.dataplane import Call
        from mainspring.serving.plane import ServingProcess
        process = ServingProcess(Store.open(sys.argv[1]))
        process.start()
        for request in range(3):
            columns = {"x": np.arange(4.0), "z": np.zeros(4)}
            print(process.plane.infer("late", Call(columns=columns, rows=4)).id, flush=True)
        os.kill(os.getpid(), signal.SIGKILL)
    """
    dead = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(program), str(store_folder)], capture_output=True, text=True, check=False
    )
    assert dead.returncode == -signal.SIGKILL, dead.stderr
    answered = dead.stdout.split()
    assert len(answered) == 3
    assert client.serving.segments("late") == []
    assert client.serving.prediction(f"{answered[0]}-3").inputs["x"] == 3.0
    next_process = ServingProcess(store)
    assert next_process.log.recover() == 1
    assert next_process.log.recover() == 0
    (segment,) = client.serving.segments("late")
    assert (segment.rows, segment.requests) == (12, 3)
    assert list(store.path("spool", "predictions").iterdir()) == []
    assert client.serving.outcomes("late")["request"].unique(maintain_order=True).to_list() == answered
    next_process.close()


def test_the_operations_work_remotely(server_url):
    with connect(server_url) as remote:
        client = remote
        client.serving.deploy("late", model=register(client))
        assert [each.name for each in client.serving.endpoints()] == ["late"]
        assert client.serving.outcomes("late").height == 0
