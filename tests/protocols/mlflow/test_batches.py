"""Batches of points and what is read back of many runs at once, beside stock MLflow; and the size of a batch."""

from __future__ import annotations

import json
import math
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

pytest.importorskip("mlflow")

from mainspring.server.app import make_app
from mainspring.store.store import Store

sys.path.insert(0, str(Path(__file__).parent))
from replay import Replay, differences
from stock import Ours, Stock

pytestmark = [pytest.mark.databases("sqlite"), pytest.mark.filterwarnings("ignore")]

_V2 = "/api/2.0/mlflow/"
_BULK = "/ajax-api/2.0/mlflow/metrics/get-history-bulk"


@pytest.fixture(scope="module")
def replay(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Replay]:
    """Both servers, with two runs."""
    with Store.open(tmp_path_factory.mktemp("ours")) as store:
        replay = Replay(Stock(tmp_path_factory.mktemp("stock")), Ours(make_app(store)))
        replay.send("POST", f"{_V2}experiments/create", body={"name": "batches"}, save={"exp": "experiment_id"})
        for name in ("first", "second"):
            begin(replay, name)
        yield replay


def begin(replay: Replay, name: str) -> None:
    body = {"experiment_id": "{exp}", "start_time": 1000, "run_name": name, "user_id": "me"}
    replay.send("POST", f"{_V2}runs/create", body=body, save={name: "run.info.run_id"})


def point(key: str, value: float | str, at: int, step: int) -> dict[str, Any]:
    return {"key": key, "value": value, "timestamp": at, "step": step}


_POINTS = st.builds(
    point,
    st.sampled_from(["a", "b", "key with a space", 'ü"/x'[:1]]),
    st.one_of(st.floats(-1e300, 1e300), st.sampled_from([0.0, 1.0, "NaN"])),
    st.integers(1, 4),
    st.integers(-2, 3),
)


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(batches=st.lists(st.lists(_POINTS, max_size=12), min_size=1, max_size=3))
def test_any_batches_leave_the_same_histories(replay: Replay, batches: list[list[dict[str, Any]]]) -> None:
    """Points in any order, again and again, with NaN: each is there once, and the latest is the latest."""
    begin(replay, "any")
    for points in [*batches, batches[0]]:
        stock, ours = replay.send("POST", f"{_V2}runs/log-batch", body={"run_id": "{any}", "metrics": points})
        assert not differences(stock, ours)
    for key in ("a", "b", "key with a space"):
        query = {"run_id": "{any}", "metric_key": key}
        stock, ours = replay.send("GET", f"{_V2}metrics/get-history", query=query)
        # those of one moment and step in any order
        held, mine = (list(map(json.dumps, one.body.get("metrics", []))) for one in (stock, ours))
        assert sorted(held) == sorted(mine)


def test_histories_of_many_runs(replay: Replay) -> None:
    for name, shift in (("first", 0), ("second", 100)):
        points = [point("loss", 1 / (step + 1) + shift, 1000 + step, step) for step in range(600)]
        replay.send("POST", f"{_V2}runs/log-batch", body={"run_id": f"{{{name}}}", "metrics": points})
    both = ["{first}", "{second}"]
    cases: tuple[dict[str, Any], ...] = (
        {"run_id": both, "metric_key": "loss"},
        {"run_id": both, "metric_key": "loss", "max_results": "5"},
        {"run_id": both, "metric_key": "loss", "max_results": "700"},
        {"run_id": "{first}", "metric_key": "loss", "max_results": "99999"},
        {"run_id": both, "metric_key": "nothing"},
        {"run_id": ["{first}", "0" * 32], "metric_key": "loss"},
        {"metric_key": "loss"},
        {"run_id": both},
        {"run_id": [f"{number:032x}" for number in range(101)], "metric_key": "loss"},
    )
    for query in cases:
        stock, ours = replay.send("GET", _BULK, query=query)
        for reply in (stock, ours):  # ids are random, and runs are in their order
            reply.body.get("metrics", []).sort(key=lambda each: (each["run_id"], each["step"]))
        if query.get("max_results") in ("5", "700") or "run_id" not in query:
            assert len(stock.body.get("metrics", [])) == len(ours.body.get("metrics", []))
            assert (stock.status, stock.body.get("message")) == (ours.status, ours.body.get("message"))
        else:
            assert not differences(stock, ours), query


def test_a_batch_of_more_than_a_million_bytes(replay: Replay) -> None:
    """The limit counts keys, not bytes: a few points with much beside them are over it in bytes and are taken."""
    points = [point("long", place, 1 << 40, place) | {"padding": "x" * 20_000} for place in range(60)]
    body = {"run_id": "{first}", "metrics": points, "params": [], "tags": []}
    assert len(json.dumps(body)) > 1_000_000
    stock, ours = replay.send("POST", f"{_V2}runs/log-batch", body=body)
    assert (stock.status, ours.status) == (200, 200)
    text = json.dumps({**body, "run_id": replay.names[1]["first"]})
    stock, ours = replay.send("POST", f"{_V2}runs/log-batch", raw=json.dumps(text).encode())
    assert stock.status == 400
    assert not differences(stock, ours)
    many = {"run_id": replay.names[1]["first"], **{str(number): 0 for number in range(1_000_000)}}
    refused = replay.servers[1].send("POST", f"{_V2}runs/log-batch", body=many)  # of which stock has to be waited for
    assert (refused.status, refused.body["message"].rpartition(" ")[2]) == (400, "1000001.")


def test_a_single_nan_and_infinity_come_back(replay: Replay) -> None:
    for value in ("NaN", "Infinity", "-Infinity"):
        body = {"run_id": "{second}", "metrics": [point(f"odd{value[0]}", value, 1, 1), point("even", 2, 1, 1)]}
        _, ours = replay.send("POST", f"{_V2}runs/log-batch", body=body)
        query = {"run_id": "{second}", "metric_key": f"odd{value[0]}"}
        _, ours = replay.send("GET", f"{_V2}metrics/get-history", query=query)
        (held,) = ours.body["metrics"]
        assert held["value"] == value
        assert not math.isfinite(float(held["value"]))
