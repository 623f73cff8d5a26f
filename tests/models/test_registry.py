"""The registry: versions with all that they came from, approvals, aliases, cards; embedded and over HTTP."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import polars as pl
import pytest
from sklearn.linear_model import LogisticRegression

from mainspring.client.client import Client
from mainspring.kernel.context import Caller, acting_as
from mainspring.kernel.errors import (
    CheckFailed,
    Damaged,
    Forbidden,
    InvalidInput,
    InvalidName,
    NotFound,
    UnsupportedFormat,
)
from mainspring.lineage import graph
from mainspring.lineage.types import File
from mainspring.models.types import Manifest, Metric


@pytest.fixture
def logged(client: Client, pipeline: Any, flights: pl.DataFrame) -> Client:
    """A store with one version of `flight-delay`, trained by a run on a dataset."""
    with client.backend.store.write("test.fill") as tx:
        months = graph.add_artifact(tx, "dataset", "flights", digest="d1")
        run = graph.start_run(tx, "training", "fit")
        graph.use(tx, run.id, months.id, role="training-data")
    client.models.log_model(
        "flight-delay",
        pipeline,
        example=flights,
        run_id=run.id,
        metrics={"auc": Metric(0.81, low=0.79, high=0.83, level=0.95), "loss": 0.4},
        description="first",
        tags={"team": "ops"},
    )
    return client


def again(client: Client, flights: pl.DataFrame, data: Any, *, strength: float) -> int:
    """Log another version, with other content."""
    frame = flights.select("wind", "hour")
    model = LogisticRegression(C=strength).fit(frame, data.targets(flights, 3)["binary"])
    return client.models.log_model("flight-delay", model, example=frame).version


def test_log_load_and_predict_over_both_transports(any_client: Client, pipeline: Any, flights: pl.DataFrame) -> None:
    version = any_client.models.log_model("flight-delay", pipeline, example=flights, nullable=["origin"])
    assert (version.ref, version.format) == ("model/flight-delay@1", "skops")
    assert version.parity is not None
    assert version.parity.exact
    assert version.parameters["C"] == 1.0
    assert version.signature.inputs[4].nullable
    assert [field.name for field in version.signature.outputs] == ["label", "probability"]
    any_client.models.alias("flight-delay", "champion", 1)
    found = any_client.models.load("flight-delay@champion")
    assert found.runtime == "onnx"
    assert found.predict(found.signature.convert(flights))["label"].tolist() == pipeline.predict(flights).tolist()
    assert any_client.models.load("flight-delay@1", native=True).runtime == "sklearn"
    assert (
        any_client.models.load_object("flight-delay@1").predict(flights).tolist() == pipeline.predict(flights).tolist()
    )


def test_a_version_knows_its_run_data_code_and_environment(logged: Client) -> None:
    version = logged.models.get("flight-delay@1")
    assert version.data == ["dataset/flights@1"]
    assert version.metrics["auc"] == Metric(0.81, low=0.79, high=0.83, level=0.95)
    assert version.metrics["loss"] == Metric(0.4)
    assert version.tags == {"team": "ops"}
    nodes = logged.lineage.why(version.ref).of_kind("dataset", "training", "code", "environment")
    assert {node.kind for node in nodes} == {"dataset", "training", "code", "environment"}
    environment = logged.lineage.artifact(version.environment).artifact
    assert "scikit-learn" in environment.metadata["packages"]
    assert version.run_id == next(node.id for node in nodes if node.kind == "training")


def test_a_model_without_a_run_gets_one_and_named_data_is_used_by_it(
    client: Client, flights: pl.DataFrame, data: Any
) -> None:
    with client.backend.store.write("test.fill") as tx:
        graph.add_artifact(tx, "dataset", "flights", digest="d1")
    frame = flights.select("wind", "hour")
    model = LogisticRegression().fit(frame, data.targets(flights, 3)["binary"])
    version = client.models.log_model("m", model, example=frame, data=["flights@1"])
    assert version.data == ["dataset/flights@1"]
    run = client.lineage.run(version.run_id)
    assert (run.kind, run.status) == ("training", "finished")
    with client.backend.store.write("test.fill") as tx:
        graph.add_artifact(tx, "training-set", "flights", digest="t1")
    more = client.models.log_model("more", model, example=frame, data=["training-set/flights@1", "flights"])
    assert more.data == ["dataset/flights@1", "training-set/flights@1"]
    assert [node.kind for node in client.models.card("more").data] == ["dataset", "training-set"]
    with pytest.raises(NotFound, match="dataset"):
        client.models.log_model("m", model, example=frame, data=["nothing@1"])
    assert [each.version for each in client.models.versions("m")] == [1]


@pytest.mark.databases("sqlite")
def test_what_the_run_recorded_itself_is_not_recorded_again(
    client: Client, pipeline: Any, flights: pl.DataFrame
) -> None:
    with client.backend.store.write("test.fill") as tx:
        run = graph.start_run(tx, "step", "learn")
        for kind in ("code", "environment"):
            graph.use(tx, run.id, graph.add_artifact(tx, kind, "own", digest=kind).id, role=kind)
    version = client.models.log_model("m", pipeline, example=flights, run_id=run.id)
    assert (version.code, version.environment) == ("code/own@1", "environment/own@1")
    card = client.models.card("m")
    assert [node.name for node in (*card.code, *card.environment)] == ["own", "own"]


def test_only_an_approved_content_takes_the_champion_over(logged: Client, flights: pl.DataFrame, data: Any) -> None:
    second, third = (again(logged, flights, data, strength=strength) for strength in (0.1, 0.2))
    assert logged.models.alias("flight-delay", "champion", 1).aliases == ["champion"]
    with pytest.raises(CheckFailed, match="not approved") as caught:
        logged.models.alias("flight-delay", "champion", second)
    assert caught.value.details["digest"] == logged.models.get("flight-delay@2").digest
    assert logged.models.get("flight-delay@champion").version == 1
    logged.models.alias("flight-delay", "candidate", second)

    approval = logged.models.approve("flight-delay@2", comment="looked at the slices")
    assert logged.models.get("flight-delay@2").approved
    assert logged.models.alias("flight-delay", "champion", second).approved
    made = logged.lineage.artifact(approval.artifact_id).artifact
    assert (made.kind, made.metadata["digest"]) == ("approval", logged.models.get("flight-delay@2").digest)
    assert {node.kind for node in logged.lineage.why(made.id).nodes} >= {"approval", "model", "training"}

    with pytest.raises(CheckFailed):
        logged.models.alias("flight-delay", "champion", third)
    assert logged.models.alias("flight-delay", "champion", 1).aliases == ["champion"]  # back to what it was
    logged.models.remove_alias("flight-delay", "champion")
    with pytest.raises(CheckFailed):
        logged.models.alias("flight-delay", "champion", third)
    moves = [(each.alias, each.version) for each in logged.models.alias_history("flight-delay")]
    assert moves == [("champion", 0), ("champion", 1), ("champion", 2), ("candidate", 2), ("champion", 1)]


@pytest.mark.databases("sqlite")
def test_an_approval_holds_for_the_bytes_and_no_others(logged: Client) -> None:
    logged.models.approve("flight-delay@1")
    files = logged.models.files("flight-delay@1")
    same = logged.models.register("flight-delay", files=files)
    assert same.digest == logged.models.get("flight-delay@1").digest
    assert same.approved
    more = logged.models.register("flight-delay", files=[*files, File("notes.txt", files[0].size, files[0].digest)])
    assert not more.approved


@pytest.mark.databases("sqlite")
def test_its_author_cannot_approve_it_unless_the_store_is_his_own(logged: Client) -> None:
    author = Caller(principal="owner", method="token")
    with acting_as(author), pytest.raises(Forbidden, match="cannot be the one to approve"):
        logged.models.approve("flight-delay@1")
    assert not logged.models.get("flight-delay@1").approved
    with acting_as(Caller(principal="colleague", method="token")):
        assert logged.models.approve("flight-delay@1").by == "colleague"


def test_reports_and_the_card(logged: Client) -> None:
    with logged.backend.store.write("test.fill") as tx:
        evaluation = graph.start_run(tx, "evaluation", "april")
        graph.add_artifact(tx, "report", "april", digest="r1", run_id=evaluation.id)
        graph.add_artifact(tx, "report", "loose", digest="r2")
        graph.add_artifact(tx, "dataset", "not-a-report", digest="x")
    logged.models.attach_report("flight-delay@1", "april@1", metrics={"auc": Metric(0.8, low=0.78, high=0.82)})
    logged.models.attach_report("flight-delay@1", "april@1", metrics={"auc": Metric(0.7)})
    logged.models.attach_report("flight-delay@1", "loose")
    with pytest.raises(NotFound):
        logged.models.attach_report("flight-delay@1", "not-a-report")
    impact = {node.kind for node in logged.lineage.impact("model/flight-delay@1").nodes}
    assert "report" in impact
    logged.models.approve("flight-delay@1", comment="fine")
    logged.models.alias("flight-delay", "champion", 1)
    card = logged.models.card("flight-delay@champion")
    assert card.version.ref == "model/flight-delay@1"
    assert [node.ref for node in card.data] == ["dataset/flights@1"]
    assert len(card.code) == len(card.environment) == 1
    assert [each.comment for each in card.approvals] == ["fine"]
    assert sorted(each.metrics.get("auc", Metric(0)).value for each in card.reports) == [0.0, 0.7]
    assert {file.path for file in card.files} == {"manifest.json", "model.skops", "model.onnx", "example.json"}
    assert [each.alias for each in card.alias_history] == ["champion"]


def test_descriptions_and_tags(logged: Client) -> None:
    assert (
        logged.models.describe("flight-delay", description="late or not", tags={"owner": "ops"}).description
        == "late or not"
    )
    assert logged.models.describe("flight-delay", tags={}).description == "late or not"
    assert logged.models.describe_version("flight-delay@1", tags={"a": "b"}).description == "first"
    assert logged.models.get("flight-delay@1").tags == {"a": "b"}
    assert [model.name for model in logged.models.models()] == ["flight-delay"]
    assert logged.models.models(after="flight-delay") == []


@pytest.mark.databases("sqlite")
def test_unknown_names_say_what_there_is(logged: Client) -> None:
    with pytest.raises(NotFound) as caught:
        logged.models.get("flight-delya")
    assert caught.value.known == ("flight-delay",)
    with pytest.raises(NotFound) as caught:
        logged.models.versions("flight-delya")
    assert caught.value.known == ("flight-delay",)
    with pytest.raises(NotFound) as caught:
        logged.models.load("flight-delay@prod")
    assert caught.value.known == ("1",)
    with pytest.raises(NotFound) as caught:
        b"".join(logged.models.file("flight-delay@1", "model.onx"))
    assert "model.onnx" in caught.value.known
    with pytest.raises(NotFound):
        logged.models.alias("flight-delay", "champion", 9)
    with pytest.raises(InvalidInput):
        logged.models.alias("flight-delay", "champion", 0)
    with pytest.raises(NotFound):
        logged.models.remove_alias("flight-delay", "champion")


@pytest.mark.databases("sqlite")
def test_what_cannot_be_registered_changes_nothing(logged: Client, tmp_path: Path) -> None:
    files = logged.models.files("flight-delay@1")
    absent = File("model.bin", 3, "0" * 64)
    for wrong, error in (
        ([], InvalidInput),
        ([*files, absent], NotFound),
        ([*files, files[0]], InvalidInput),
        ([file for file in files if file.path != "manifest.json"], InvalidInput),
        ([file for file in files if file.path != "model.onnx"], InvalidInput),
    ):
        with pytest.raises(error):
            logged.models.register("flight-delay", files=wrong)
    with pytest.raises(InvalidName):
        logged.models.register("../up", files=files)
    with pytest.raises(NotFound):
        logged.models.register("flight-delay", files=files, run_id="01a1fc7c-544f-7585-ba40-46d0abf6e3d6")
    with pytest.raises(InvalidInput, match="finite"):
        Metric(float("nan"))
    with pytest.raises(InvalidInput, match="two ends"):
        Metric(1.0, low=0.5)
    assert [each.version for each in logged.models.versions("flight-delay")] == [1]
    manifest = Manifest(format="onnx", signature=logged.models.get("flight-delay").signature, files=())
    bare = [file for file in files if file.path == "model.onnx"]
    assert logged.models.register("bare", files=bare, manifest=manifest).format == "onnx"


@pytest.mark.databases("sqlite")
def test_pickles_are_refused_until_an_administrator_allows_them(
    client: Client, flights: pl.DataFrame, data: Any
) -> None:
    frame = flights.select("wind", "hour")
    model = LogisticRegression().fit(frame, data.targets(flights, 3)["binary"])
    with pytest.raises(UnsupportedFormat, match="does not allow pickles"):
        client.models.log_model("m", model, example=frame, format="pickle")
    assert client.models.models() == []
    client.models.set_policy(pickle=True, trusted=["b", "a", "b"])
    assert client.models.policy().trusted == ("a", "b")
    assert client.models.log_model("m", model, example=frame, format="pickle", compiled=False).format == "pickle"
    assert client.models.load("m").runtime == "sklearn"
    client.models.set_policy()
    with pytest.raises(UnsupportedFormat, match="does not allow pickles"):
        client.models.load("m")


@pytest.mark.databases("sqlite")
def test_bytes_that_went_bad_in_the_store_are_not_loaded(logged: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = type(logged.models).file

    def torn(self: Any, ref: str, path: str) -> Any:
        pieces = b"".join(whole(self, ref, path))
        return iter([pieces[:-1] + bytes([pieces[-1] ^ 1]) if path == "model.onnx" else pieces])

    monkeypatch.setattr(type(logged.models), "file", torn)
    with pytest.raises(Damaged, match=r"model\.onnx"):
        logged.models.load("flight-delay@1")


@pytest.mark.databases("sqlite")
def test_an_example_must_have_the_columns_of_the_model(client: Client, pipeline: Any, flights: pl.DataFrame) -> None:
    with pytest.raises(InvalidInput, match="'carrier', which the example lacks"):
        client.models.log_model("m", pipeline, example=flights.drop("carrier"))
    with pytest.raises(InvalidInput, match="no rows"):
        client.models.log_model("m", pipeline, example=flights.clear())
    extra = flights.with_columns(month=pl.lit(1))
    assert client.models.log_model("m", pipeline, example=extra).signature.names == tuple(flights.columns)
