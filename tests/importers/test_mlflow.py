from __future__ import annotations

import math

import pytest

from mainspring.importers import import_mlflow
from mainspring.kernel.errors import InvalidInput, NotFound, Unavailable

pytestmark = pytest.mark.databases("sqlite")


def test_runs_of_the_stock_server_are_the_same_here(client, mlflow_uri):
    report = import_mlflow(client, mlflow_uri)
    assert report.problems == []
    assert (report.runs, report.points, report.models, report.versions) == (4, 31, 1, 1)
    found = {run.title: run for run in client.tracking.search(view="all").runs}
    run = found["parent"]
    assert (run.experiment, run.status, run.note) == ("churn", "finished", "a *note*")
    assert (run.params, run.tags["team"]) == ({"lr": "0.1", "depth": "6"}, "a")
    values = client.tracking.history(run.id, "loss")["value"].to_list()
    assert math.isnan(values[3])
    assert (values[4] > 1e300, values[29]) == (True, 1 / 30)  # MLflow clips infinity to the greatest float
    assert found["child"].run.parent_id == run.id
    assert (found["gone"].status, found["gone"].deleted_at is None) == ("failed", False)
    assert b"".join(client.tracking.read_file(run.id, path="notes/deep/a.txt")) == b"hello"
    assert client.tracking.experiment("churn").tags["owner"] == "ann"
    assert client.tracking.search("params.depth > 5").runs[0].id == run.id


def test_the_registry_comes_along_and_its_models_answer(client, mlflow_uri):
    import_mlflow(client, mlflow_uri)
    version = client.models.get("churn@candidate")
    assert (version.description, version.tags["checked"], version.stage) == ("the first", "yes", "Staging")
    (run,) = client.tracking.search("title = 'parent'").runs
    assert version.run_id == run.id
    assert "MLmodel" in {file.path for file in client.models.files("churn@1")}


def test_again_reads_nothing_twice_and_one_experiment_can_be_named(client, mlflow_uri):
    assert import_mlflow(client, mlflow_uri, experiments=["other"], models=False).runs == 1
    import_mlflow(client, mlflow_uri)
    again = import_mlflow(client, mlflow_uri)
    assert (again.runs, again.unchanged, again.versions, again.problems) == (0, 4, 0, [])
    with pytest.raises(NotFound, match="nowhere"):
        import_mlflow(client, mlflow_uri, experiments=["nowhere"])


def test_what_is_no_server_is_told(client):
    with pytest.raises(InvalidInput, match="not the address"):
        import_mlflow(client, "sqlite:///mlflow.db")
    with pytest.raises(Unavailable, match="cannot be reached"):
        import_mlflow(client, "http://127.0.0.1:9")
