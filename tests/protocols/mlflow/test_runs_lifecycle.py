"""The stock MLflow client's tracking, from the first experiment to the last file."""

from __future__ import annotations

import math
import time
from pathlib import Path
from typing import Any

import pytest
from mlflow.entities import Metric, Param, RunTag, ViewType
from mlflow.exceptions import MlflowException

from mainspring.client.client import Client

pytestmark = [pytest.mark.databases("sqlite"), pytest.mark.filterwarnings("ignore")]


def test_experiments_live_and_die(api: Any) -> None:
    assert api.get_experiment("0").name == "Default"
    number = api.create_experiment("/Users/a b/flights", tags={"team": "air"})
    found = api.get_experiment(number)
    assert (found.name, found.tags, found.lifecycle_stage) == ("/Users/a b/flights", {"team": "air"}, "active")
    assert found.artifact_location == f"mlflow-artifacts:/{number}"
    api.rename_experiment(number, "flights")
    api.set_experiment_tag(number, "mlflow.note.content", "what it is for")
    assert api.get_experiment_by_name("flights").tags["mlflow.note.content"] == "what it is for"
    api.delete_experiment_tag(number, "team")
    assert "team" not in api.get_experiment(number).tags
    assert api.get_experiment_by_name("nothing") is None
    api.delete_experiment(number)
    assert [each.name for each in api.search_experiments()] == ["Default"]
    assert [each.name for each in api.search_experiments(view_type=ViewType.DELETED_ONLY)] == ["flights"]
    with pytest.raises(MlflowException, match="must be in the 'active' state") as refused:
        api.create_run(number)
    assert refused.value.error_code == "INVALID_PARAMETER_VALUE"
    api.restore_experiment(number)
    with pytest.raises(MlflowException) as taken:
        api.create_experiment("flights")
    assert taken.value.error_code == "RESOURCE_ALREADY_EXISTS"


def test_experiments_are_searched_in_pages(api: Any) -> None:
    for place in range(7):
        api.create_experiment(f"e{place}", tags={"even": str(place % 2 == 0)})
    seen, token = [], None
    while True:
        page = api.search_experiments(max_results=3, order_by=["name ASC"], page_token=token)
        seen += [each.name for each in page]
        token = page.token
        if not token:
            break
    assert seen == ["Default", *(f"e{place}" for place in range(7))]
    even = api.search_experiments(filter_string="tags.even = 'True' AND name LIKE 'e%'", order_by=["name"])
    assert [each.name for each in even] == ["e0", "e2", "e4", "e6"]


def test_a_run_is_the_same_run_as_ours(tracking: Any, client: Client) -> None:
    tracking.set_experiment("flights")
    with tracking.start_run(run_name="first", tags={"team": "air"}, description="A *note*") as parent:
        tracking.log_params({"depth": 6, "name": "x y", "empty": ""})
        for step in range(3):
            tracking.log_metric("loss", 1 / (step + 1), step=step)
        tracking.log_metric("odd", math.nan)
        tracking.log_metric("big", math.inf)
        with tracking.start_run(run_name="second", nested=True) as child:
            pass
    ours = client.tracking.get(parent.info.run_id)
    assert (ours.title, ours.note, ours.status, ours.experiment) == ("first", "A *note*", "finished", "flights")
    assert ours.params == {"depth": "6", "name": "x y", "empty": ""}
    assert ours.metrics["loss"].value == pytest.approx(1 / 3)
    assert ours.tags["team"] == "air"
    assert [each.id for each in client.tracking.search("params.depth = 6").runs] == [ours.id]
    assert client.tracking.get(child.info.run_id).run.parent_id == ours.id
    theirs = tracking.get_run(parent.info.run_id)
    assert theirs.data.params == {"depth": "6", "name": "x y", "empty": ""}
    assert math.isnan(theirs.data.metrics["odd"])
    assert theirs.data.metrics["big"] == math.inf
    assert theirs.data.tags["mlflow.note.content"] == "A *note*"
    assert theirs.data.tags["mlflow.runName"] == theirs.info.run_name == "first"
    assert theirs.info.status == "FINISHED"
    assert theirs.info.end_time >= theirs.info.start_time > time.time() * 1000 - 60_000
    children = tracking.search_runs(
        filter_string=f"tags.mlflow.parentRunId = '{parent.info.run_id}'", output_format="list"
    )
    assert [each.info.run_id for each in children] == [child.info.run_id]


def test_our_run_is_read_by_the_stock_client(api: Any, client: Client) -> None:
    with client.tracking.run("ours", params={"depth": 6, "flag": True, "rate": 0.1}, title="mine") as run:
        run.log(step=3, loss=0.5)
        run.tags({"team": "air"})
    run_id = run.id.removeprefix("run/").replace("-", "")
    found = api.get_run(run_id)
    assert found.data.params == {"depth": "6", "flag": "True", "rate": "0.1"}
    assert (found.data.metrics, found.info.run_name, found.info.status) == ({"loss": 0.5}, "mine", "FINISHED")
    assert [(each.step, each.value) for each in api.get_metric_history(run_id, "loss")] == [(3, 0.5)]


def test_names_notes_and_ends_are_changed(api: Any) -> None:
    run_id = api.create_run("0", run_name="one").info.run_id
    api.set_tag(run_id, "mlflow.runName", "two")
    assert api.get_run(run_id).info.run_name == "two"
    api.update_run(run_id, name="three", status="FAILED")
    found = api.get_run(run_id)
    assert (found.info.run_name, found.info.status, found.data.tags["mlflow.runName"]) == ("three", "FAILED", "three")
    api.update_run(run_id, status="RUNNING")
    assert (api.get_run(run_id).info.status, api.get_run(run_id).info.end_time) == ("RUNNING", None)
    api.set_terminated(run_id, "KILLED", end_time=1_900_000_000_000)
    assert (api.get_run(run_id).info.status, api.get_run(run_id).info.end_time) == ("KILLED", 1_900_000_000_000)
    api.set_tag(run_id, "a", "1")
    api.delete_tag(run_id, "a")
    with pytest.raises(MlflowException, match="No tag with name: a"):
        api.delete_tag(run_id, "a")


def test_a_deleted_run_refuses_and_comes_back(api: Any) -> None:
    run_id = api.create_run("0").info.run_id
    api.delete_run(run_id)
    assert api.get_run(run_id).info.lifecycle_stage == "deleted"
    for write in (
        lambda: api.log_metric(run_id, "a", 1),
        lambda: api.log_param(run_id, "a", 1),
        lambda: api.set_tag(run_id, "a", "1"),
        lambda: api.log_batch(run_id, metrics=[Metric("a", 1, 1, 1)]),
        lambda: api.update_run(run_id, name="x"),
    ):
        with pytest.raises(MlflowException, match=rf"The run {run_id} must be in the 'active' state"):
            write()
    assert api.search_runs(["0"]) == []
    assert [each.info.run_id for each in api.search_runs(["0"], run_view_type=ViewType.DELETED_ONLY)] == [run_id]
    api.restore_run(run_id)
    api.log_metric(run_id, "a", 1)


def test_a_parameter_is_never_changed(api: Any) -> None:
    run_id = api.create_run("0").info.run_id
    api.log_param(run_id, "depth", 6)
    api.log_param(run_id, "depth", 6)
    with pytest.raises(MlflowException, match="Changing param values is not allowed"):
        api.log_param(run_id, "depth", 7)
    with pytest.raises(MlflowException, match="Changing param values is not allowed"):
        api.log_batch(run_id, params=[Param("depth", "8"), Param("other", "1")])
    assert api.get_run(run_id).data.params == {"depth": "6"}


def test_a_batch_has_limits_and_counts_once(api: Any, client: Client) -> None:
    run_id = api.create_run("0").info.run_id
    metrics = [Metric(f"m{place % 10}", place, 1000 + place, place) for place in range(900)]
    for _ in range(2):  # as a client that tries again
        api.log_batch(run_id, metrics, [Param("p", "1")], [RunTag("t", "x"), RunTag("t", "y")])
    history = api.get_metric_history(run_id, "m3")
    assert [each.step for each in history] == list(range(3, 900, 10))
    assert api.get_run(run_id).data.metrics["m9"] == 899
    assert api.get_run(run_id).data.tags["t"] == "y"
    paged = client.tracking.get(run_id)
    assert set(paged.metrics) == {f"m{place}" for place in range(10)}


def test_runs_are_found_with_the_grammar_and_in_pages(tracking: Any, api: Any) -> None:
    number = api.create_experiment("grammar")
    for place in range(12):
        tags = {"odd": str(place % 2)}
        run = api.create_run(number, run_name=f"run-{place}", start_time=1_000_000 + place, tags=tags)
        api.log_metric(run.info.run_id, "val loss", place / 10)
        api.log_param(run.info.run_id, "depth", place)
        if place == 11:
            api.set_terminated(run.info.run_id, "FAILED")

    def found(text: str, *order: str, **options: Any) -> list[str]:
        return [each.info.run_name for each in api.search_runs([number], text, order_by=list(order), **options)]

    assert found("metrics.`val loss` >= 1.0", "metrics.`val loss` ASC") == ["run-10", "run-11"]
    assert found("params.depth = '3'") == ["run-3"]
    assert found("params.depth LIKE '1%' and tags.odd = '1'", "start_time ASC") == ["run-1", "run-11"]
    assert found("attributes.status = 'FAILED'") == ["run-11"]
    assert found('run_name = "run-7"') == ["run-7"]
    assert found("start_time < 1000002", "start_time DESC") == ["run-1", "run-0"]
    assert found("tags.absent IS NULL AND metrics.`val loss` = 0") == ["run-0"]
    assert found("tags.mlflow.runName ILIKE 'RUN-8'") == ["run-8"]
    assert found("", max_results=2) == ["run-11", "run-10"]
    seen, token = [], None
    while True:
        page = api.search_runs([number], order_by=["metrics.`val loss` DESC"], max_results=5, page_token=token)
        seen += [each.info.run_name for each in page]
        token = page.token
        if not token:
            break
    assert seen == [f"run-{place}" for place in reversed(range(12))]
    for wrong in ("metrics.a = 'x'", "metrics.a = 1 OR metrics.b = 2", "params.depth > '1'", "nonsense.a = 'x'", "a ="):
        with pytest.raises(MlflowException) as refused:
            found(wrong)
        assert refused.value.error_code == "INVALID_PARAMETER_VALUE"


def test_files_and_folders_travel(tracking: Any, api: Any, tmp_path: Path) -> None:
    matplotlib = pytest.importorskip("matplotlib")
    matplotlib.use("agg")
    import numpy as np
    import pandas as pd
    from matplotlib import pyplot as plt

    nested = tmp_path / "folder" / "deep er"
    nested.mkdir(parents=True)
    (nested / "ünïcode.txt").write_text("hello")
    (tmp_path / "folder" / "empty.bin").write_bytes(b"")
    with tracking.start_run() as run:
        tracking.log_artifacts(str(tmp_path / "folder"), "in")
        tracking.log_text("some text", "notes/a.txt")
        tracking.log_dict({"a": [1, 2]}, "a.json")
        tracking.log_image(np.zeros((4, 4, 3), dtype=np.uint8), "black.png")
        figure, _ = plt.subplots()
        tracking.log_figure(figure, "figure.png")
        plt.close(figure)
        tracking.log_table(pd.DataFrame({"x": [1, 2]}), "table.json")
        tracking.log_table(pd.DataFrame({"x": [3]}), "table.json")
    run_id = run.info.run_id
    top = {each.path: each.is_dir for each in api.list_artifacts(run_id)}
    assert top == {
        "a.json": False, "black.png": False, "figure.png": False, "in": True, "notes": True, "table.json": False
    }  # fmt: skip
    assert [(each.path, each.file_size) for each in api.list_artifacts(run_id, "in/deep er")] == [
        ("in/deep er/ünïcode.txt", 5)
    ]
    assert tracking.artifacts.load_text(f"runs:/{run_id}/notes/a.txt") == "some text"
    assert tracking.artifacts.load_dict(f"runs:/{run_id}/a.json") == {"a": [1, 2]}
    assert list(tracking.load_table("table.json", run_ids=[run_id])["x"]) == [1, 2, 3]
    local = Path(api.download_artifacts(run_id, "in", str(tmp_path)))
    assert (local / "deep er" / "ünïcode.txt").read_text() == "hello"
    assert (local / "empty.bin").read_bytes() == b""
    assert api.list_artifacts(run_id, "nowhere") == []
    with pytest.raises(Exception, match=r"404|No such artifact|nothing"):
        api.download_artifacts(run_id, "nothing.txt", str(tmp_path))


def test_datasets_are_inputs_and_lineage(tracking: Any, api: Any, client: Client) -> None:
    import pandas as pd

    frame = pd.DataFrame({"x": [1.0, 2.0], "y": [0, 1]})
    data = tracking.data.from_pandas(frame, source="https://example.org/a.csv", name="flights", targets="y")
    with tracking.start_run() as run:
        tracking.log_input(data, context="training", tags={"by": "me"})
        tracking.log_input(data, context="training")
    found = api.get_run(run.info.run_id).inputs.dataset_inputs
    assert [(each.dataset.name, each.dataset.digest) for each in found] == [("flights", data.digest)]
    assert {tag.key: tag.value for tag in found[0].tags} == {"mlflow.data.context": "training", "by": "me"}
    assert "mlflow.datasets" not in api.get_run(run.info.run_id).data.tags
    hit = api.search_runs(["0"], "dataset.name = 'flights' AND dataset.context LIKE 'train%'")
    assert [each.info.run_id for each in hit] == [run.info.run_id]
    assert api.search_runs(["0"], "dataset.name = 'other'") == []
    held = client.lineage.artifacts(kind="external-dataset")
    assert [each.name for each in held] == ["flights"]
    graph = client.lineage.why(f"run/{client.tracking.get(run.info.run_id).id}")
    assert any(edge.role == "training" for edge in graph.edges)
