"""What the stock client does by itself: asynchronous logging, system metrics, autologging of a search, tokens."""

from __future__ import annotations

import math
import time
from pathlib import Path
from typing import Any

import httpx
import pytest

from mainspring.client.client import Client
from mainspring.server.app import make_app
from mainspring.store.store import Store

pytestmark = [pytest.mark.databases("sqlite"), pytest.mark.filterwarnings("ignore")]


def test_logging_in_the_background_loses_nothing(tracking: Any, api: Any) -> None:
    with tracking.start_run() as run:
        for step in range(500):
            tracking.log_metric("loss", step / 2, step=step, synchronous=False)
        tracking.log_params({"a": 1}, synchronous=False)
        tracking.flush_async_logging()
    assert [each.step for each in api.get_metric_history(run.info.run_id, "loss")] == list(range(500))
    assert api.get_run(run.info.run_id).data.params == {"a": "1"}


def test_system_metrics_arrive(tracking: Any, api: Any) -> None:
    pytest.importorskip("psutil")
    tracking.set_system_metrics_sampling_interval(0.05)
    try:
        with tracking.start_run(log_system_metrics=True) as run:
            time.sleep(0.4)
    finally:
        tracking.set_system_metrics_sampling_interval(None)
    keys = set(api.get_run(run.info.run_id).data.metrics)
    assert {"system/cpu_utilization_percentage", "system/system_memory_usage_percentage"} <= keys


def test_a_search_is_logged_by_itself_with_its_children(tracking: Any, api: Any, client: Client) -> None:
    pytest.importorskip("sklearn")
    from sklearn.datasets import load_iris
    from sklearn.linear_model import LogisticRegression
    from sklearn.model_selection import GridSearchCV

    tracking.sklearn.autolog(log_models=False, log_datasets=False, max_tuning_runs=3, silent=True)
    try:
        with tracking.start_run() as run:
            search = GridSearchCV(LogisticRegression(max_iter=50), {"C": [0.1, 1.0, 10.0]}, cv=2)
            search.fit(*load_iris(return_X_y=True))
    finally:
        tracking.sklearn.autolog(disable=True)
    found = api.get_run(run.info.run_id)
    assert found.data.params["best_C"] in {"0.1", "1.0", "10.0"}
    assert found.data.metrics["best_cv_score"] > 0.8
    children = client.tracking.search(f"parent = '{client.tracking.get(run.info.run_id).id}'").runs
    assert sorted(each.params["C"] for each in children) == ["0.1", "1.0", "10.0"]
    assert any(each.path.endswith(".csv") for each in api.list_artifacts(run.info.run_id))


def test_a_history_is_read_in_pages_and_thinned_for_a_chart(api: Any, mlflow_server: str) -> None:
    run_id = api.create_run("0").info.run_id
    from mlflow.entities import Metric

    for start in range(0, 5000, 1000):
        steps = range(start, start + 1000)
        api.log_batch(run_id, [Metric("loss", 1.0 / (step + 1), 1000 + step, step) for step in steps])
    api.log_metric(run_id, "odd", math.nan, timestamp=1, step=0)
    assert len(api.get_metric_history(run_id, "loss")) == 5000
    root, seen, token = f"{mlflow_server}/api/2.0/mlflow/metrics", [], ""
    while True:
        query = {"run_id": run_id, "metric_key": "loss", "max_results": 1700} | ({"page_token": token} if token else {})
        page = httpx.get(f"{root}/get-history", params=query).json()
        seen += [each["step"] for each in page["metrics"]]
        token = page.get("next_page_token", "")
        if not token:
            break
    assert seen == list(range(5000))
    query = {"run_ids": [run_id], "metric_key": "loss", "max_results": 100}
    thin = httpx.get(f"{root}/get-history-bulk-interval", params=query).json()["metrics"]
    assert (len(thin), thin[0]["step"], thin[-1]["step"]) == (100, 0, 4999)
    odd = httpx.get(f"{root}/get-history", params={"run_id": run_id, "metric_key": "odd"}).json()
    assert odd["metrics"][0]["value"] == "NaN"


def test_beyond_loopback_the_password_is_a_token(client: Client, store_folder: Path) -> None:
    from starlette.testclient import TestClient

    secret = client.trust.create_token("ann", role="contributor").secret
    with Store.open(store_folder) as store:
        http = TestClient(make_app(store, host="10.0.0.1"), base_url="http://10.0.0.1")
        refused = http.get("/api/2.0/mlflow/experiments/get", params={"experiment_id": "0"})
        assert (refused.status_code, refused.json()["error_code"]) == (401, "UNAUTHENTICATED")
        assert http.get("/version").text.count(".") == 2
        for answer in (
            http.get("/api/2.0/mlflow/experiments/get", params={"experiment_id": "0"}, auth=("ann", secret)),
            http.get(
                "/mlflow/api/2.0/mlflow/experiments/get",
                params={"experiment_id": "0"},
                headers={"authorization": f"Bearer {secret}"},
            ),
        ):
            assert answer.json()["experiment"]["name"] == "Default"
        wrong = http.get("/api/2.0/mlflow/experiments/get", params={"experiment_id": "0"}, auth=("ann", "ms_wrong"))
        assert wrong.status_code == 401


def test_a_contributor_uploads_in_parts(client: Client, store_folder: Path) -> None:
    from starlette.testclient import TestClient

    secrets = {role: client.trust.create_token(role, role=role).secret for role in ("contributor", "viewer")}
    with Store.open(store_folder) as store:
        http = TestClient(make_app(store, host="10.0.0.1"), base_url="http://10.0.0.1")
        mine, theirs = ({"authorization": f"Bearer {secrets[role]}"} for role in ("contributor", "viewer"))
        made = http.post("/api/2.0/mlflow/runs/create", json={"experiment_id": "0"}, headers=mine).json()
        run_id = made["run"]["info"]["run_id"]
        root, place = "/api/2.0/mlflow-artifacts/mpu", f"0/{run_id}/artifacts/deep"
        begun = {"path": "big.bin", "num_parts": 2}
        upload = http.post(f"{root}/create/{place}", json=begun, headers=mine).json()
        parts = []
        for credential, content in zip(upload["credentials"], (b"a" * 5000, b"b" * 70), strict=True):
            address = httpx.URL(credential["url"]).path
            assert http.put(address, content=content).status_code == 401
            assert http.put(address, content=content, headers=theirs).status_code == 403
            answer = http.put(address, content=content, headers=credential["headers"])  # as it is told
            parts.append({"part_number": credential["part_number"], "etag": answer.headers["etag"]})
        whole = {"path": "big.bin", "upload_id": upload["upload_id"], "parts": parts[::-1]}
        refused = http.post(f"{root}/complete/{place}", json=whole, headers=theirs)
        assert (refused.status_code, refused.json()["error_code"]) == (403, "PERMISSION_DENIED")
        assert http.post(f"{root}/complete/{place}", json=whole, headers=mine).status_code == 200
        read = http.get(f"/api/2.0/mlflow-artifacts/artifacts/{place}/big.bin", headers=theirs)
        assert read.content == b"a" * 5000 + b"b" * 70


def test_what_the_server_says_of_itself(mlflow_server: str) -> None:
    assert httpx.get(f"{mlflow_server}/version").text.split(".")[0] == "3"
    assert httpx.get(f"{mlflow_server}/health").status_code == 200
    assert httpx.get(f"{mlflow_server}/api/3.0/mlflow/server-info").json()["store_type"] == "SqlStore"
    nowhere = httpx.get(f"{mlflow_server}/api/2.0/mlflow/nothing/here")
    assert (nowhere.status_code, nowhere.json()["error_code"]) == (404, "ENDPOINT_NOT_FOUND")
