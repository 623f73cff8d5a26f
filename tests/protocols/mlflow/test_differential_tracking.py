"""A thousand requests, right, wrong and hostile, answered by stock MLflow and by us: every difference is explained."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("mlflow")

from mainspring.server.app import make_app
from mainspring.store.store import Store

sys.path.insert(0, str(Path(__file__).parent))
from replay import Replay, differences
from stock import Ours

pytestmark = [pytest.mark.databases("sqlite"), pytest.mark.filterwarnings("ignore")]

_V2 = "/api/2.0/mlflow/"
_LONG = "x" * 251
_TEXTS = ("", "x", " ", "a\tb", "../a", "/a", "ü", _LONG)
_WRONG: tuple[Any, ...] = (None, 0, 1, -1, 1.5, True, [], {}, ["a"], {"a": 1}, *_TEXTS)

_VALID: dict[str, dict[str, Any]] = {
    "experiments/create": {"name": "made", "artifact_location": "s3://bucket/a", "tags": [{"key": "k", "value": "v"}]},
    "experiments/update": {"experiment_id": "{exp}", "new_name": "renamed"},
    "experiments/delete": {"experiment_id": "{gone}"},
    "experiments/restore": {"experiment_id": "{gone}"},
    "experiments/set-experiment-tag": {"experiment_id": "{exp}", "key": "a", "value": "b"},
    "experiments/delete-experiment-tag": {"experiment_id": "{exp}", "key": "a"},
    "experiments/search": {"max_results": 5, "filter": "name = 'renamed'", "order_by": ["name"], "view_type": 3},
    "/ajax-api/2.0/mlflow/experiments/search-datasets": {"experiment_ids": ["{exp}"]},
    "runs/update": {"run_id": "{run}", "status": "FINISHED", "end_time": 2000, "run_name": "again"},
    "runs/delete": {"run_id": "{dead}"},
    "runs/restore": {"run_id": "{dead}"},
    "runs/set-tag": {"run_id": "{run}", "key": "a", "value": "b"},
    "runs/delete-tag": {"run_id": "{run}", "key": "a"},
    "runs/log-parameter": {"run_id": "{run}", "key": "p", "value": "1"},
    "runs/log-metric": {"run_id": "{run}", "key": "m", "value": 1.5, "timestamp": 1000, "step": 1},
    "runs/log-batch": {
        "run_id": "{run}",
        "metrics": [{"key": "b", "value": 1, "timestamp": 5, "step": 0}],
        "params": [{"key": "q", "value": "1"}],
        "tags": [{"key": "t", "value": "1"}],
    },
    "runs/log-inputs": {
        "run_id": "{run}",
        "datasets": [
            {
                "dataset": {"name": "d", "digest": "e", "source_type": "http", "source": "{}", "schema": "s"},
                "tags": [{"key": "mlflow.data.context", "value": "train"}],
            }
        ],
    },
    "runs/log-model": {
        "run_id": "{run}",
        "model_json": '{"artifact_path": "m", "flavors": {}, "utc_time_created": "2026-01-01", "run_id": "r"}',
    },
    "runs/search": {
        "experiment_ids": ["{exp}"],
        "filter": "metrics.m > 1",
        "max_results": 5,
        "order_by": ["metrics.m"],
    },
    "runs/create": {
        "experiment_id": "{exp}",
        "user_id": "me",
        "run_name": "new",
        "start_time": 3000,
        "tags": [{"key": "a", "value": "b"}],
    },
}
_NAMES = {("experiments/create", "name"), ("experiments/update", "new_name")}
"""Where a blank or a tab is a name in stock and is refused by us: left out, or every search after it would differ."""

_READS: dict[str, dict[str, Any]] = {
    "experiments/get": {"experiment_id": "{exp}"},
    "experiments/get-by-name": {"experiment_name": "renamed"},
    "runs/get": {"run_id": "{run}"},
    "metrics/get-history": {"run_id": "{run}", "metric_key": "m", "max_results": 2},
    "artifacts/list": {"run_id": "{run}", "path": "a"},
}

EXPLAINED: tuple[tuple[str, str, str], ...] = (
    (r"", r"status 500 -> 400: null", "stock fails inside on a value of a wrong type; ours says what is wrong"),
    (r"experiments/create", r"already exists\. Error: \(sqlite3", "stock quotes its SQL"),
    (r"experiments/update", r"message: \(sqlite3", "stock quotes its SQL"),
    (r"/search ", r"message: Invalid (clause|attribute)", "what is wrong is said, in other words"),
    (r"runs/update", r"end_time", "a run that ended has an end, not before 1970, and one that runs has none"),
    (r"runs/log-inputs .*'datasets': \['a'\]", r"A dataset has a name", "stock keeps a dataset without a name"),
    (r"runs/(search|get)", r"inputs.dataset_inputs: .*\"name\": \"\"", "and shows it"),
    (r"runs/create", r"start_time: (null|0|-1) ->|status 200 -> 400: .*milliseconds", "a run has a beginning"),
    (r"runs/create", r"run_name:|\.tags\[|\.tags:", "names that a server makes up are random"),
    (r"runs/create .*'tags': \['a'\]", r"tags\[0\].key", "stock keeps a tag without a name"),
    (r"runs/create", r"FOREIGN KEY constraint", "without an experiment it is the default one; stock fails at that"),
    (r"runs/create", r"user_id: (null|) -> owner", "a run has a user: who called"),
)
"""Pattern of the request, pattern of the difference, and why."""


def _cases() -> Iterator[tuple[str, str, dict[str, Any]]]:
    for path, body in _VALID.items():
        for name in body:
            yield "POST", path, {"body": {key: value for key, value in body.items() if key != name}}
            for wrong in _WRONG:
                if (path, name) not in _NAMES or wrong not in (" ", "a\tb"):
                    yield "POST", path, {"body": {**body, name: wrong}}
        yield "POST", path, {"body": {**body, "unknown": 1}}
        yield "POST", path, {"body": body}
    for path, query in _READS.items():
        for name in query:
            yield "GET", path, {"query": {key: value for key, value in query.items() if key != name}}
            for wrong in ("", "x", "0", "-1", "1.5", "999999", "a/../b", "%2e%2e/a", _LONG, "ü"):
                yield "GET", path, {"query": {**query, name: wrong}}
        yield "GET", path, {"query": query}


def _begin(replay: Replay) -> None:
    replay.send("POST", f"{_V2}experiments/create", body={"name": "one"}, save={"exp": "experiment_id"})
    replay.send("POST", f"{_V2}experiments/create", body={"name": "two"}, save={"gone": "experiment_id"})
    for name in ("run", "dead"):
        body = {"experiment_id": "{exp}", "start_time": 1000, "run_name": name, "user_id": "me"}
        replay.send("POST", f"{_V2}runs/create", body=body, save={name: "run.info.run_id"})


def test_a_name_that_nobody_can_see_is_refused(store_folder: Path) -> None:
    with Store.open(store_folder) as store:
        ours = Ours(make_app(store))
        for name in (" ", "a\tb", "a\u202eb"):
            reply = ours.send("POST", f"{_V2}experiments/create", body={"name": name})
            assert (reply.status, reply.body["error_code"]) == (400, "INVALID_PARAMETER_VALUE")


def test_every_difference_is_explained(replay: Replay) -> None:
    _begin(replay)
    unexplained, used, count = [], set(), 0
    for method, path, request in _cases():
        count += 1
        what = f"{method} {path} {request}"
        for found in differences(*replay.send(method, path if path.startswith("/") else _V2 + path, **request)):
            matches = (re.search(where, what) and re.search(how, found) for where, how, _ in EXPLAINED)
            why = [at for at, match in enumerate(matches) if match]
            used.update(why)
            if not why:
                unexplained.append(f"{what[:400]}\n    {found}")
    assert count > 1000
    assert not unexplained, f"{len(unexplained)} in {count} requests:\n" + "\n".join(unexplained)
    stale = [EXPLAINED[at] for at in range(len(EXPLAINED)) if at not in used]
    assert not stale, f"no longer different: {stale}"
