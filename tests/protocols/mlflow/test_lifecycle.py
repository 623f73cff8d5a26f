"""The whole life of a model through the stock MLflow client: trained, logged, registered, loaded, evaluated, deleted.

What it leaves is looked at once more from our side: the same runs, the same versions, one lineage.
"""

from __future__ import annotations

import uuid
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("mlflow")
pd = pytest.importorskip("pandas")
pytest.importorskip("sklearn")

from mlflow.exceptions import MlflowException  # noqa: E402
from sklearn.linear_model import LogisticRegression  # noqa: E402
from sklearn.model_selection import GridSearchCV  # noqa: E402

from mainspring.client.client import connect  # noqa: E402

pytestmark = [pytest.mark.filterwarnings("ignore"), pytest.mark.databases("sqlite")]


@pytest.fixture(scope="module")
def rows() -> tuple[Any, Any]:
    """A small table and its labels."""
    rng = np.random.default_rng(7)
    table = pd.DataFrame(rng.normal(size=(120, 3)), columns=["wind", "rain", "delay"])
    return table, (table["wind"] + table["rain"] > 0).astype(int)


def test_from_training_to_serving_and_back(tracking: Any, api: Any, rows: Any, store_folder: Path) -> None:
    table, labels = rows
    tracking.set_experiment("flights")
    tracking.sklearn.autolog(max_tuning_runs=3)
    try:
        with tracking.start_run(run_name="search") as parent:
            GridSearchCV(LogisticRegression(), {"C": [0.1, 1.0, 10.0]}, cv=2).fit(table, labels)
    finally:
        tracking.sklearn.autolog(disable=True)
    children = api.search_runs([parent.info.experiment_id], f"tags.`mlflow.parentRunId` = '{parent.info.run_id}'")
    assert len(children) == 3
    run = api.get_run(parent.info.run_id)
    assert run.info.status == "FINISHED"
    assert "best_C" in run.data.params
    names = {each.name for each in tracking.search_logged_models(output_format="list")}
    assert names == {"model", "best_estimator"}

    logged = _logged(tracking, "best_estimator")
    assert logged.source_run_id == parent.info.run_id
    made = tracking.register_model(f"models:/{logged.model_id}", "flight-delay", tags={"team": "ops"})
    assert (made.version, made.status, made.run_id) == ("1", "READY", parent.info.run_id) or made.version == 1
    api.set_registered_model_alias("flight-delay", "champion", "1")
    loaded = tracking.pyfunc.load_model("models:/flight-delay@champion")
    expected = tracking.pyfunc.load_model(f"models:/{logged.model_id}").predict(table)
    assert (loaded.predict(table) == expected).all()
    assert api.get_model_version_by_alias("flight-delay", "champion").version in (1, "1")

    with connect(store_folder) as ours:
        version = ours.models.get("flight-delay@champion")
        assert version.format == "mlflow"
        assert version.tags["team"] == "ops"
        assert [each.name for each in version.signature.inputs] == ["wind", "rain", "delay"]
        assert version.run_id.replace("-", "") == parent.info.run_id
        why = ours.lineage.why(version.ref)
        kinds = {node.kind for node in why.nodes}
        assert "external-dataset" in kinds
        assert version.run_id in [node.id for node in why.nodes]
        held = {each.path: each.digest for each in ours.models.logged_files(logged.model_id)}
        assert {each.path: each.digest for each in ours.models.files(version.ref)} == held
        assert "MLmodel" in held


def test_a_model_logged_by_hand(tracking: Any, api: Any, rows: Any) -> None:
    table, labels = rows
    tracking.set_experiment("by hand")
    with tracking.start_run() as run:
        fitted = LogisticRegression().fit(table, labels)
        tracking.log_params({"C": 1.0})
        dataset = tracking.data.from_pandas(table, name="train")
        info = tracking.sklearn.log_model(fitted, name="clf", input_example=table[:2], registered_model_name="by-hand")
        tracking.log_metric("auc", 0.9, model_id=info.model_id, dataset=dataset)
    found = tracking.get_logged_model(info.model_id)
    assert found.status.value == "READY"
    (metric,) = [each for each in found.metrics if each.key == "auc"]
    assert (metric.value, metric.dataset_name, metric.run_id) == (0.9, "train", run.info.run_id)
    assert [each.model_id for each in api.get_run(run.info.run_id).outputs.model_outputs] == [info.model_id]
    best = tracking.search_logged_models(
        filter_string="metrics.auc > 0.5",
        datasets=[{"dataset_name": "train"}],
        order_by=[{"field_name": "metrics.auc", "ascending": False, "dataset_name": "train"}],
        output_format="list",
    )
    assert [each.model_id for each in best] == [info.model_id]
    assert tracking.pyfunc.load_model(f"runs:/{run.info.run_id}/clf").predict(table).shape == (120,)
    again = tracking.register_model(f"runs:/{run.info.run_id}/clf", "by-hand")
    assert int(again.version) == 2
    api.set_logged_model_tags(info.model_id, {"a": "b"})
    assert tracking.get_logged_model(info.model_id).tags["a"] == "b"
    api.delete_logged_model_tag(info.model_id, "a")
    assert "a" not in tracking.get_logged_model(info.model_id).tags
    with pytest.raises(MlflowException, match="No tag with key 'a'"):
        api.delete_logged_model_tag(info.model_id, "a")
    api.delete_logged_model(info.model_id)
    with pytest.raises(MlflowException, match="not found"):
        tracking.get_logged_model(info.model_id)
    assert tracking.pyfunc.load_model("models:/by-hand/1").predict(table).shape == (120,)


def test_evaluating(tracking: Any, api: Any, rows: Any) -> None:
    table, labels = rows
    tracking.set_experiment("eval")
    with tracking.start_run():
        info = tracking.sklearn.log_model(LogisticRegression().fit(table, labels), name="clf", input_example=table[:2])
    with tracking.start_run() as run:
        result = tracking.models.evaluate(
            f"models:/{info.model_id}",
            table.assign(label=labels),
            targets="label",
            model_type="classifier",
            evaluator_config={"log_model_explainability": False},
        )
    assert result.metrics["accuracy_score"] > 0.8
    held = api.get_run(run.info.run_id)
    assert held.data.metrics["accuracy_score"] == result.metrics["accuracy_score"]
    assert held.inputs.dataset_inputs


def test_the_registry(tracking: Any, api: Any) -> None:
    api.create_registered_model("a", tags={"team": "ops"}, description="first")
    with pytest.raises(MlflowException, match="already exists") as refused:
        api.create_registered_model("a")
    assert refused.value.error_code == "RESOURCE_ALREADY_EXISTS"
    with tracking.start_run() as run:
        tracking.log_text("weights", "model/w.bin")
    source = f"{run.info.artifact_uri}/model"
    first = api.create_model_version("a", source, run.info.run_id, tags={"k": "v"}, description="one")
    second = api.create_model_version("a", f"runs:/{run.info.run_id}/model", run.info.run_id)
    assert [int(first.version), int(second.version)] == [1, 2]
    assert api.get_model_version("a", "1").tags == {"k": "v"}
    assert api.get_model_version_download_uri("a", "1") == source
    api.transition_model_version_stage("a", "1", "Staging")
    api.transition_model_version_stage("a", "1", "Production")
    moved = api.transition_model_version_stage("a", "2", "production", archive_existing_versions=True)
    assert moved.current_stage == "Production"
    assert api.get_model_version("a", "1").current_stage == "Archived"
    latest = {each.current_stage: int(each.version) for each in api.get_latest_versions("a")}
    assert latest == {"Archived": 1, "Production": 2}
    assert [int(each.version) for each in api.get_latest_versions("a", ["Production"])] == [2]
    assert [int(each.version) for each in api.search_model_versions("name = 'a'")] == [2, 1]
    assert [int(each.version) for each in api.search_model_versions("tags.k = 'v'")] == [1]
    assert len(api.search_model_versions(f"run_id = '{run.info.run_id}'")) == 2
    api.update_model_version("a", "1", "changed")
    assert api.get_model_version("a", "1").description == "changed"
    api.set_model_version_tag("a", "1", "x", "y")
    api.delete_model_version_tag("a", "1", "k")
    assert api.get_model_version("a", "1").tags == {"x": "y"}
    api.set_registered_model_tag("a", "t", "1")
    api.delete_registered_model_tag("a", "team")
    assert api.get_registered_model("a").tags == {"t": "1"}
    api.set_registered_model_alias("a", "champion", "2")
    assert api.get_registered_model("a").aliases == {"champion": "2"} or api.get_registered_model("a").aliases == {
        "champion": 2
    }
    with pytest.raises(MlflowException, match="not found"):
        api.get_model_version_by_alias("a", "nobody")
    copied = api.copy_model_version("models:/a@champion", "b")
    assert copied.name == "b"
    assert copied.source == "models:/a/2"
    api.rename_registered_model("a", "c")
    with pytest.raises(MlflowException, match="Registered Model with name=a not found"):
        api.get_registered_model("a")
    assert {each.name for each in api.search_registered_models()} == {"b", "c"}
    page = api.search_registered_models(max_results=1, order_by=["name DESC"])
    assert [each.name for each in page] == ["c"]
    rest = api.search_registered_models(max_results=1, order_by=["name DESC"], page_token=page.token)
    assert [each.name for each in rest] == ["b"]
    api.delete_model_version("c", "2")
    with pytest.raises(MlflowException, match=r"Model Version \(name=c, version=2\) not found"):
        api.get_model_version("c", "2")
    assert api.get_registered_model("c").aliases == {}
    api.delete_registered_model("c")
    with pytest.raises(MlflowException, match="not found"):
        api.get_registered_model("c")


def test_prompts_are_kept_and_hidden_from_models(tracking: Any, api: Any) -> None:
    tracking.genai.register_prompt("greet", "Hello {{name}}", commit_message="first", tags={"lang": "en"})
    tracking.genai.register_prompt("greet", "Hi {{name}}")
    tracking.genai.set_prompt_alias("greet", "prod", 2)
    assert tracking.genai.load_prompt("prompts:/greet@prod").format(name="Ada") == "Hi Ada"
    assert tracking.genai.load_prompt("prompts:/greet/1").template == "Hello {{name}}"
    assert api.search_registered_models() == []
    assert [each.name for each in tracking.genai.search_prompts()] == ["greet"]


@pytest.mark.parametrize(
    "source",
    [
        "/etc/passwd",
        "file:///etc",
        "mlflow-artifacts:/0/{run}/artifacts/../../x",
        "mlflow-artifacts:/0/{run}/artifacts/%2e%2e/%2e%2e/x",
        "mlflow-artifacts:/0/{other}/artifacts/model",
        "runs:/{other}/model",
        "runs://host/{run}/model",
        "models:/m-0123456789abcdef0123456789abcdef",
        "http://host/api/2.0/mlflow-artifacts/artifacts/0/{other}/artifacts/model",
        "s3://bucket/../x",
    ],
)
def test_sources_that_are_refused(tracking: Any, api: Any, source: str) -> None:
    with tracking.start_run() as run:
        tracking.log_text("w", "model/w.bin")
    with tracking.start_run() as other:
        tracking.log_text("w", "model/w.bin")
    api.create_registered_model("a")
    named = source.format(run=run.info.run_id, other=other.info.run_id)
    with pytest.raises(MlflowException) as refused:
        api.create_model_version("a", named, run.info.run_id)
    assert refused.value.error_code == "INVALID_PARAMETER_VALUE"
    assert "Invalid model version source" in str(refused.value)
    assert api.search_model_versions("name = 'a'") == []


def _logged(tracking: Any, name: str) -> Any:
    return next(each for each in tracking.search_logged_models(output_format="list") if each.name == name)


def test_a_run_that_used_a_model_is_downstream_of_it(tracking: Any, api: Any, rows: Any, store_folder: Path) -> None:
    table, labels = rows
    with tracking.start_run() as maker:
        info = tracking.sklearn.log_model(LogisticRegression().fit(table, labels), name="clf")
    with tracking.start_run() as user:
        api.log_inputs(user.info.run_id, models=[tracking.entities.LoggedModelInput(model_id=info.model_id)])
    with connect(store_folder) as ours:
        reached = {node.id.replace("-", "") for node in ours.lineage.impact(f"run/{_dashed(maker)}").nodes}
    assert user.info.run_id in reached


def _dashed(run: Any) -> str:
    return str(uuid.UUID(run.info.run_id))
