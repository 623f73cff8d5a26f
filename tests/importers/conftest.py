from __future__ import annotations

import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest


@pytest.fixture
def run_script(tmp_path):
    """Run a program that uses a tool's real client, as its user would; its folder."""

    def run(text: str, **environment: str) -> Path:
        script = tmp_path / "train.py"
        script.write_text(text, "utf-8")
        done = subprocess.run(
            [sys.executable, str(script)],
            cwd=tmp_path,
            env={**os.environ, **environment, "HOME": str(tmp_path)},
            capture_output=True,
            text=True,
            timeout=120,
        )
        assert done.returncode == 0, done.stderr[-3000:]
        return tmp_path

    return run


@pytest.fixture(scope="session")
def mlflow_uri(tmp_path_factory):
    """The address of a stock MLflow server that the stock client has filled."""
    pytest.importorskip("mlflow")
    folder = tmp_path_factory.mktemp("mlflow")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    program = Path(__file__).with_name("mlflow_server.py")
    command = [sys.executable, str(program), str(folder), str(port)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as server:
        assert server.stdout.readline().strip() == "ready"
        filling = subprocess.run(
            [sys.executable, "-W", "ignore", "-c", FILLING, f"http://127.0.0.1:{port}"],
            capture_output=True,
            text=True,
            timeout=180,
        )
        assert filling.returncode == 0, filling.stderr[-3000:]
        yield f"http://127.0.0.1:{port}"
        server.kill()


FILLING = """
import sys
import mlflow
import numpy as np
from mlflow import MlflowClient
from sklearn.linear_model import LogisticRegression

mlflow.set_tracking_uri(sys.argv[1])
mlflow.set_experiment("churn")
mlflow.set_experiment_tag("owner", "ann")
with mlflow.start_run(run_name="parent", description="a *note*", tags={"team": "a"}):
    mlflow.log_params({"lr": 0.1, "depth": 6})
    for step in range(30):
        value = {3: float("nan"), 4: float("inf")}.get(step, 1 / (step + 1))
        mlflow.log_metric("loss", value, step=step)
    mlflow.log_text("hello", "notes/deep/a.txt")
    mlflow.log_dict({"a": 1}, "b.json")
    with mlflow.start_run(nested=True, run_name="child"):
        mlflow.log_metric("acc", 0.9)
    model = LogisticRegression().fit(np.random.rand(50, 3), np.arange(50) % 2)
    mlflow.sklearn.log_model(model, name="model", input_example=np.random.rand(2, 3), registered_model_name="churn")
client = MlflowClient()
client.set_registered_model_tag("churn", "domain", "sales")
client.set_model_version_tag("churn", "1", "checked", "yes")
client.update_model_version("churn", "1", "the first")
client.set_registered_model_alias("churn", "candidate", "1")
client.transition_model_version_stage("churn", "1", "Staging")
gone = mlflow.start_run(run_name="gone")
mlflow.end_run("FAILED")
client.delete_run(gone.info.run_id)
mlflow.set_experiment("other")
with mlflow.start_run(run_name="alone"):
    pass
"""
