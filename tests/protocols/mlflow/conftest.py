"""A server of ours for the stock MLflow client, and stock MLflow itself to compare with."""

from __future__ import annotations

import logging
import os
import socket
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from mainspring.server.app import make_app
from mainspring.store.store import Store

mlflow = pytest.importorskip("mlflow")

sys.path.insert(0, str(Path(__file__).parent))  # what these tests share stands beside them
from replay import Replay  # noqa: E402
from stock import Ours, Stock  # noqa: E402


@pytest.fixture(scope="module")
def stock(tmp_path_factory: pytest.TempPathFactory) -> Stock:
    """Stock MLflow's own application in this process."""
    logging.getLogger("mlflow").setLevel(logging.CRITICAL)
    return Stock(tmp_path_factory.mktemp("stock"))


@pytest.fixture
def replay(stock: Stock, store_folder: Path) -> Iterator[Replay]:
    """Both servers, asked the same."""
    with Store.open(store_folder) as store:
        yield Replay(stock, Ours(make_app(store)))


@pytest.fixture
def mlflow_server(store_folder: Path) -> Iterator[str]:
    """The address of a server over the test's store, on a free port of loopback."""
    import uvicorn

    listening = socket.socket()
    listening.bind(("127.0.0.1", 0))
    config = uvicorn.Config(make_app(Store.open(store_folder)), log_config=None, access_log=False, lifespan="on")
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]}, daemon=True)
    thread.start()
    while not server.started and thread.is_alive():
        thread.join(0.01)
    yield f"http://127.0.0.1:{listening.getsockname()[1]}"
    server.should_exit = True
    thread.join(10)


@pytest.fixture
def tracking(mlflow_server: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """The `mlflow` module, speaking to our server; nothing of it is left behind."""
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "1")
    before = mlflow.get_tracking_uri()
    mlflow.set_tracking_uri(mlflow_server)
    mlflow.set_registry_uri(mlflow_server)
    yield mlflow
    while mlflow.active_run():
        mlflow.end_run()
    mlflow.set_tracking_uri(before)
    mlflow.set_registry_uri(None)
    mlflow.tracking.fluent._active_experiment_id = None
    for name in (
        "MLFLOW_RUN_ID",
        "MLFLOW_EXPERIMENT_ID",
        "MLFLOW_EXPERIMENT_NAME",
        "MLFLOW_TRACKING_URI",
        "MLFLOW_REGISTRY_URI",
    ):
        os.environ.pop(name, None)


@pytest.fixture
def api(tracking: Any) -> Any:
    """The stock client's lower interface."""
    return tracking.MlflowClient()
