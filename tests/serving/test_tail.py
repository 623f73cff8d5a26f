"""Reading the log onward, and telling cheaply whether there is more: the same before and after it is sealed."""

from __future__ import annotations

from datetime import UTC, datetime

import numpy as np
import polars as pl
import pytest
from sklearn.linear_model import LogisticRegression

from mainspring.kernel.errors import InvalidInput, NotFound
from mainspring.serving.dataplane import Call
from mainspring.serving.plane import ServingProcess
from mainspring.serving.types import Activity

pytestmark = pytest.mark.databases("sqlite")
START = datetime(2013, 4, 1, tzinfo=UTC)


@pytest.fixture
def process(client, store):
    frame = pl.DataFrame({"x": [0.0, 1.0, 2.0, 3.0]})
    for _ in range(2):
        version = client.models.log_model(
            "late", LogisticRegression().fit(frame.to_numpy(), [0, 1, 0, 1]), example=frame, compiled=False
        )
        client.models.approve(version.ref)
    client.serving.deploy("late", model="late@1")
    client.serving.deploy("other", model="late@1")
    running = ServingProcess(store)
    yield running
    running.close()


def ask(process: ServingProcess, rows: int, *, endpoint: str = "late", label: bool = False) -> str:
    process.plane.fleet.refresh()
    answer = process.plane.infer(endpoint, Call(columns={"x": np.arange(rows, dtype=float)}, rows=rows, at=START))
    process.plane.shadow.drain()
    return answer.id


def test_activity_counts_what_is_open_and_bounds_what_is_sealed(client, process):
    assert client.serving.activity("late") == Activity(rows=0, labels=0)
    first, second = ask(process, 10), ask(process, 20)
    ask(process, 40, endpoint="other")
    assert client.serving.activity("late") == Activity(rows=30, labels=0)
    assert client.serving.activity("late", after=first).rows == 20
    assert client.serving.activity("late", through=first).rows == 10
    assert client.serving.activity("late", after=second).rows == 0
    process.log.flush()
    assert client.serving.activity("late").rows == 30
    assert client.serving.activity("late", after=second).rows == 0
    third = ask(process, 5)
    assert client.serving.activity("late").rows == 35
    client.serving.label("late", ids=[f"{second}-{row}" for row in range(3)], values=[0, 1, 0])
    assert client.serving.activity("late").labels == 3
    assert client.serving.activity("late", after=second).labels == 0
    assert client.serving.activity("late", after=first, through=third).labels == 3
    with pytest.raises(NotFound):
        client.serving.activity("nobody")


def test_a_shadow_is_not_counted_and_a_challenger_is(client, process):
    client.serving.start_rollout("late", challenger="late@2", mode="shadow")
    ask(process, 10)
    assert client.serving.activity("late").rows == 10
    process.log.flush()
    assert client.serving.activity("late").rows == 10
    client.serving.rollback("late")
    client.serving.start_rollout("late", challenger="late@2", mode="canary", steps=[0.5])
    ask(process, 40)
    assert client.serving.tail("late").height == 50
    assert set(client.serving.tail("late")["arm"]) == {"champion", "challenger"}


def test_the_tail_is_whole_requests_in_order_sealed_or_not(client, process):
    asked = []
    for number in range(6):
        asked.append(ask(process, 10))
        if number in {1, 3}:
            process.log.flush()
    whole = client.serving.tail("late")
    assert whole["request"].unique(maintain_order=True).to_list() == asked
    assert whole.height == 60
    assert whole["row"].to_list() == list(range(10)) * 6
    assert {"input.x", "output.probability", "model", "deployment", "at"} <= set(whole.columns)
    for rows, requests in ((1, 1), (10, 1), (11, 2), (25, 3), (60, 6), (1000, 6)):
        piece = client.serving.tail("late", rows=rows, columns=[])
        assert piece["request"].unique(maintain_order=True).to_list() == asked[:requests]
        assert "input.x" not in piece.columns
    rest = client.serving.tail("late", after=asked[2], rows=20, columns=["input.x"])
    assert rest["request"].unique(maintain_order=True).to_list() == asked[3:5]
    assert rest["input.x"].to_list() == [float(x) for x in range(10)] * 2
    assert client.serving.tail("late", after=asked[-1]).height == 0
    stretch = client.serving.outcomes("late", after=asked[0], through=asked[3])
    assert stretch["request"].unique(maintain_order=True).to_list() == asked[1:4]
    with pytest.raises(InvalidInput, match="rows must be"):
        client.serving.tail("late", rows=0)
    with pytest.raises(NotFound):
        client.serving.tail("nobody")
