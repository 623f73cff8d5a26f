"""The inference server as a process: light before it is needed, complete at its end, with features from the store."""

from __future__ import annotations

import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
import numpy as np
import polars as pl
import pytest
from sklearn.linear_model import LogisticRegression

from mainspring.client.client import Client
from mainspring.features.types import Aggregation, Entity, FeatureView
from mainspring.kernel.errors import Unauthenticated
from mainspring.protocols.oip_server import run

pytestmark = pytest.mark.databases("sqlite")
APRIL = datetime(2013, 4, 1, tzinfo=UTC)


@contextmanager
def server(folder: Path) -> Iterator[tuple[subprocess.Popen[bytes], httpx.Client]]:
    """The server in a process of its own, listening on a socket that it inherits."""
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        port = listening.getsockname()[1]
    program = f"from mainspring.protocols.oip_server import run; run({str(folder)!r}, port={port})"
    process = subprocess.Popen([sys.executable, "-c", program])
    retries = httpx.HTTPTransport(retries=12)  # it backs off: half a second, one, two, ...
    try:
        with httpx.Client(base_url=f"http://127.0.0.1:{port}", transport=retries, timeout=30) as http:
            yield process, http
    finally:
        process.kill()
        process.wait()


def frame(n: int) -> tuple[pl.DataFrame, np.ndarray]:
    random = np.random.default_rng(0)
    x = random.normal(size=n)
    return pl.DataFrame({"x": x, "z": random.normal(size=n)}), (x > 0).astype(int)


def deploy(client: Client, **options) -> None:
    columns, label = frame(200)
    model = LogisticRegression().fit(columns.to_numpy(), label)
    version = client.models.log_model("late", model, example=columns)
    client.models.approve(version.ref)
    client.serving.deploy("late", model=version.ref, **options)


def body(**columns: list) -> dict:
    kinds = {str: "BYTES", float: "FP64", int: "INT64"}
    return {
        "inputs": [
            {"name": name, "shape": [len(values)], "datatype": kinds[type(values[0])], "data": values}
            for name, values in columns.items()
        ]
    }


def test_an_endpoint_appears_answers_and_is_sealed_at_the_end(client, store_folder):
    with server(store_folder) as (process, http):
        assert http.get("/v2/health/ready").status_code == 200
        maps = Path(f"/proc/{process.pid}/maps").read_text()
        assert "numpy" not in maps  # nothing heavy before the first endpoint
        assert "onnxruntime" not in maps
        assert http.get("/v2/models/late").status_code == 404
        deploy(client)
        while http.get("/v2/models/late/ready").status_code != 200:
            pass  # each turn is a request to the server, which watches the store
        answer = http.post("/v2/models/late/infer", json=body(x=[2.0, -2.0], z=[0.0, 0.0]))
        assert answer.json()["outputs"][0]["data"] == [1, 0]
        prediction = answer.headers["x-mainspring-prediction"]
        assert client.serving.prediction(f"{prediction}-1").outputs["label"] == 0
        assert client.serving.segments("late") == []
        process.send_signal(signal.SIGTERM)
        assert process.wait(30) == 0
    assert client.serving.segments("late")[0].rows == 2
    assert list((store_folder / "spool" / "predictions").iterdir()) == []


def test_what_is_answered_while_it_stops_is_in_the_log(client, store_folder):
    deploy(client)
    answered: list[str] = []
    broken: list[httpx.Response] = []
    running = threading.Event()

    def ask(address: str) -> None:
        with httpx.Client(base_url=address, timeout=30) as http:
            while True:
                try:
                    answer = http.post("/v2/models/late/infer", json=body(x=[1.0], z=[0.0]))
                except httpx.TransportError:  # it stopped: refused, or closed before an answer
                    return
                if answer.status_code != 200:
                    broken.append(answer)
                    return
                answered.append(answer.headers["x-mainspring-prediction"])
                running.set()

    with server(store_folder) as (process, http):
        assert http.get("/v2/models/late/ready").status_code == 200
        threads = [threading.Thread(target=ask, args=(str(http.base_url),)) for _ in range(3)]
        for thread in threads:
            thread.start()
        assert running.wait(30)
        process.send_signal(signal.SIGTERM)
        assert process.wait(30) == 0
        for thread in threads:
            thread.join()
    assert broken == []
    logged = set(client.serving.outcomes("late", columns=["output.label"])["request"].to_list())
    assert set(answered) <= logged
    assert sum(each.rows for each in client.serving.segments("late")) == len(logged)


def test_it_does_not_leave_loopback_without_a_gatekeeper(tmp_path):
    with pytest.raises(Unauthenticated, match="reachable from other machines"):
        run(tmp_path, host="0.0.0.0")


def test_features_come_from_the_store_as_of_each_row(client, store_folder):
    history = pl.DataFrame(
        {
            "carrier": ["UA", "UA", "AA"],
            "when": [APRIL, APRIL + timedelta(days=10), APRIL],
            "delay": [1.0, 5.0, -3.0],
        }
    )
    client.data.commit("flights", history)
    client.features.apply(
        FeatureView(
            name="carrier",
            entities=(Entity("carrier"),),
            source="flights",
            timestamp="when",
            aggregations=(Aggregation("x", "sum", timedelta(days=100), "delay"),),
        )
    )
    client.features.materialize("carrier")
    deploy(client, features=["carrier"], timestamp="at")
    with server(store_folder) as (_, http):
        moments = ["2013-04-02T00:00:00Z", "2013-04-12T00:00:00Z", "2013-04-02T00:00:00Z"]
        asked = body(carrier=["UA", "UA", "AA"], at=moments, z=[0.0, 0.0, 0.0])
        answer = http.post("/v2/models/late/infer", json=asked)
        assert answer.status_code == 200, answer.text
        prediction = answer.headers["x-mainspring-prediction"]
        found = [client.serving.prediction(f"{prediction}-{row}") for row in range(3)]
        assert [each.features for each in found] == [{"x": 1.0}, {"x": 6.0}, {"x": -3.0}]
        assert [each.at.day for each in found] == [2, 12, 2]
        assert "feature-view" in {node.kind for node in client.serving.why_prediction(found[0].id).nodes}
        refused = http.post("/v2/models/late/infer", json=body(z=[0.0]))
        assert refused.status_code == 400
        assert "'carrier' is missing" in refused.json()["error"]
