"""Filters, orders and pages over the same runs, asked of stock MLflow and of us: the same runs in the same order."""

from __future__ import annotations

import logging
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("mlflow")

from mainspring.server.app import make_app
from mainspring.store.store import Store

sys.path.insert(0, str(Path(__file__).parent))
from replay import Replay
from stock import Ours, Stock

pytestmark = [pytest.mark.databases("sqlite"), pytest.mark.filterwarnings("ignore")]

_V2 = "/api/2.0/mlflow/"

FILTERS = (
    "metrics.a > 3", "metrics.a >= 3", "metrics.a < 3", "metrics.a <= 3", "metrics.a = 3", "metrics.a != 3",
    "metrics.a > -1.5e0", "metrics.a > 1 and metrics.a < 4", "metrics.a > 1 AND params.p = '1'", "metric.a = 2",
    "metrics.`b c` > 0", 'metrics."b c" > 0', "metrics.gone > 0", "metrics.odd > 0", "metrics.odd = 0",
    "params.p = '1'", "params.p != '1'", "params.p LIKE '1%'", "params.p ILIKE 'X%'", "params.p LIKE 'x%'",
    "params.p IS NULL", "params.p IS NOT NULL", 'param.p = "1"', "parameters.p = '1'", "parameter.`p` = '1'",
    "params.p = ''", "params.p LIKE '%_'", "params.p LIKE '_'", "params.q = 'it''s'", "params.p LIKE '%'",
    "tags.t = 'x'", "tags.t != 'x'", "tag.t LIKE 'X'", "tags.t ILIKE 'X'", "tags.t IS NULL", "tags.t IS NOT NULL",
    "tags.`mlflow.runName` = 'run-3'", "tags.mlflow.runName LIKE 'run-%'", "tags.`d.e f` = '1'",
    "tags.mlflow.note.content = 'a note'", "tags.mlflow.parentRunId IS NULL", "tags.mlflow.parentRunId IS NOT NULL",
    "attributes.status = 'FINISHED'", "status != 'FINISHED'", "status LIKE 'F%'", "status ILIKE 'run%'",
    "status = 'finished'", "status = 'SCHEDULED'", "attr.run_name = 'run-2'", "run_name LIKE '%-2'",
    "`run name` = 'run-2'",
    "run_name != 'run-2'", "start_time > 1002", "start_time = 1002", "attributes.start_time <= 1002", "created >= 1003",
    "end_time > 0", "end_time < 3000", "user_id = 'me'", "user_id != 'me'", "run_id = '{r2}'", "run_id != '{r2}'",
    "run_id IN ('{r1}', '{r2}')", "run_id NOT IN ('{r1}')", "attributes.run_id LIKE '%'", "run_id IN ('{r1}')",
    "dataset.name = 'd1'", "datasets.digest = 'e1'", "dataset.context = 'train'", "dataset.name LIKE 'd%'",
    "dataset.name IN ('d1', 'd2')", "dataset.name = 'd1' AND metrics.a > 0", "dataset.name = 'none'",
    # refused
    "metrics.a = 'x'", "metrics.a = '3'", "params.p > '1'", "params.p = 1", "tags.t < 'x'", "tags.t = x", "a", "a = 1",
    "metrics.a > 1 OR metrics.a < 0", "(metrics.a > 1)", "NOT metrics.a > 1", "metrics.a >", "> 1", "metrics.a 1",
    "metrics.a IS NULL", "status IS NULL", "start_time = 'x'", "start_time LIKE '1'", "run_name IN ('a')",
    "dataset.nothing = 'x'", "model.a = 'x'", "run_id IN ('a'", "run_id IN ()", "run_id IN (1)", "metrics.a > 1 AND",
    "metrics.a > 1; metrics.a > 2", "params.p = 'x", "params.p RLIKE 'x'", "status > 'A'", "artifact_uri > 'a'",
    "metrics.a IN (1)", "metrics.a BETWEEN 1 AND 2", "metrics.a > 1 metrics.b > 2", "metrics.a == 1", "1 = 1",
)  # fmt: skip

ORDERS = (
    [], ["metrics.a"], ["metrics.a DESC"], ["metrics.a ASC", "start_time DESC"], ["metrics.`b c` desc"], ["params.q"],
    ["tags.t DESC"], ["start_time"], ["attributes.start_time DESC"], ["run_name"], ["status", "start_time"],
    ["end_time"],
    ["metrics.odd"], ["metrics.odd DESC"], ["metrics.gone"], ["tags.`mlflow.runName` DESC"], ["user_id"],
    ["created DESC"],
    ["metrics.a", "metrics.a DESC"], ["nonsense"], ["metrics.a UP"], ["metrics.a DESC DESC"], [""], ["dataset.name"],
)  # fmt: skip

EXPLAINED = {"['status', 'start_time']": "statuses are ordered by our words for them: cancelled, failed, finished"}
"""What is answered otherwise, and why."""


@pytest.fixture
def replay(store_folder: Path, tmp_path: Path) -> Iterator[Replay]:
    logging.getLogger("mlflow").setLevel(logging.CRITICAL)
    with Store.open(store_folder) as store:
        found = Replay(Stock(tmp_path), Ours(make_app(store)))
        _fill(found)
        yield found


def _fill(replay: Replay) -> None:
    replay.send("POST", f"{_V2}experiments/create", body={"name": "one"}, save={"exp": "experiment_id"})
    for place in range(8):
        tags = [{"key": "t", "value": "xyX"[place % 3]}, {"key": "d.e f", "value": str(place % 2)}]
        if place == 4:
            tags = [{"key": "mlflow.note.content", "value": "a note"}, {"key": "mlflow.parentRunId", "value": "{r0}"}]
        body = {
            "experiment_id": "{exp}",
            "start_time": 1000 + place,
            "run_name": f"run-{place}",
            "user_id": "me" if place < 6 else "you",
            "tags": tags,
        }
        replay.send("POST", f"{_V2}runs/create", body=body, save={f"r{place}": "run.info.run_id"})
        run = f"{{r{place}}}"
        metrics = [{"key": "a", "value": place // 2, "timestamp": 1, "step": 0}] if place else []
        metrics += [{"key": "b c", "value": -place, "timestamp": 1, "step": 0}]
        special = {2: "NaN", 3: "Infinity", 5: "-Infinity", 6: 1.5}.get(place)
        metrics += [{"key": "odd", "value": special, "timestamp": 1, "step": 0}] if special else []
        params = [{"key": "q", "value": "cabdhgfe"[place]}]
        params += [{"key": "p", "value": ("1", "12", "x", "Xy", "")[place % 5]}] if place < 7 else []
        batch = {"run_id": run, "metrics": metrics, "params": params}
        assert all(each.status == 200 for each in replay.send("POST", f"{_V2}runs/log-batch", body=batch))
        if place % 2:
            status = ("FINISHED", "FAILED", "KILLED", "FINISHED")[place // 2]
            ended = {"run_id": run, "status": status, "end_time": 2000}
            replay.send("POST", f"{_V2}runs/update", body=ended)
        if place in (1, 2):
            dataset = {"name": f"d{place}", "digest": f"e{place}", "source_type": "x", "source": "y"}
            context = [{"key": "mlflow.data.context", "value": "train"}]
            given = {"run_id": run, "datasets": [{"dataset": dataset, "tags": context}]}
            replay.send("POST", f"{_V2}runs/log-inputs", body=given)


def _asked(replay: Replay, **body: Any) -> list[Any]:
    answers = []
    for reply in replay.send("POST", f"{_V2}runs/search", body={"experiment_ids": ["{exp}"], **body}):
        if reply.status != 200:
            answers.append((reply.status, (reply.body or {}).get("error_code")))
        else:
            answers.append([run["info"]["run_name"] for run in reply.body.get("runs", [])])
    return answers


def test_filters_find_the_same_runs(replay: Replay) -> None:
    different = {}
    for text in FILTERS:
        stock, ours = _asked(replay, filter=text, order_by=["params.q"])
        if stock != ours:
            different[text] = f"{stock} -> {ours}"
    assert not different, "\n".join(f"{text}: {found}" for text, found in different.items())


def test_orders_give_the_same_order(replay: Replay) -> None:
    different = {}
    for order in ORDERS:
        stock, ours = _asked(replay, order_by=order)
        if stock != ours:
            different[str(order)] = f"{stock} -> {ours}"
    assert set(different) == set(EXPLAINED), "\n".join(f"{order}: {found}" for order, found in different.items())


def test_pages_are_the_same(replay: Replay) -> None:
    for size in (1, 3, 8, 9):
        names = []
        for server, known in zip(replay.servers, replay.names, strict=True):
            seen, token = [], ""
            while True:
                body = {"experiment_ids": [known["exp"]], "max_results": size, "order_by": ["metrics.a DESC"]}
                body |= {"page_token": token} if token else {}
                reply = server.send("POST", f"{_V2}runs/search", body=body).body
                seen.append([run["info"]["run_name"] for run in reply.get("runs", [])])
                token = reply.get("next_page_token", "")
                if not token:
                    break
            names.append(seen)
        assert names[0] == names[1]
