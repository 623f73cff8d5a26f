"""Model cards: the facts of the graph, the figures of reports, and what people wrote; in the forms that others read."""

from __future__ import annotations

import json
from typing import Any

import pytest
import yaml
from registry_tools import person, register

from mainspring.client.client import Client
from mainspring.kernel.context import acting_as
from mainspring.kernel.errors import InvalidInput, NotFound
from mainspring.lineage import graph
from mainspring.models.types import Code, Environment, Metric
from mainspring.quality.evaluation.report import EvaluationReport
from mainspring.quality.evaluation.types import Estimate, Evaluation, Slice

GOOGLE = {
    "model_details": {"name", "overview", "documentation", "owners", "version", "licenses", "references", "citations"},
    "model_parameters": {"model_architecture", "data", "input_format", "output_format"},
    "quantitative_analysis": {"performance_metrics", "graphics"},
    "considerations": {"users", "use_cases", "limitations", "tradeoffs", "ethical_considerations"},
}
"""What schema 0.0.2 of the Model Card Toolkit allows."""


@pytest.fixture
def carded(client: Client) -> Client:
    """Two versions of `flight-delay` with data, code, environment, an evaluation with slices, and an approval."""
    with client.backend.store.write("test.fill") as tx:
        for number in (1, 2):
            data = graph.add_artifact(tx, "dataset", "flights", digest=f"d{number}", metadata={"rows": 1000})
        run = graph.start_run(tx, "profiling", "flights")
        graph.use(tx, run.id, data.id, role="data")
        graph.add_artifact(tx, "profile", "flights", digest="p1", run_id=run.id, metadata={"of": "dataset/flights@2"})
    for number, depth in ((1, 3), (2, 4)):
        register(
            client,
            "flight-delay",
            metrics={"auc": Metric(0.8, 0.78, 0.82, 0.95)},
            parameters={"depth": depth, "note": "a|b <script>"},
            data=[f"flights@{number}"],
            code=Code("repo", commit=f"{number}" * 40, remote="https://example.org/repo"),
            environment=Environment("3.11.7", "cpython", "linux", {"numpy": f"2.{number}"}),
            description="late or not",
            tags={"team": "ops"},
        )
    estimate = Estimate(0.77, 0.75, 0.79)
    evaluation = Evaluation(
        task="binary",
        count=500,
        metrics={"auc": estimate, "brier": Estimate(0.2)},
        slice_metric="auc",
        slices=(
            Slice(column="carrier", value="AA", count=90, estimate=Estimate(0.79), gap=-0.02),
            Slice(column="carrier", value="<b>UA", count=40, estimate=Estimate(0.6, 0.5, 0.7), gap=0.17),
        ),
        dataset="dataset/flights@1",
    )
    report = client.quality.record_evaluation(
        "april",
        report=EvaluationReport(evaluation=evaluation),
        model="model/flight-delay@2",
        dataset="dataset/flights@1",
    )
    client.models.attach_report("flight-delay@2", report.ref, metrics={"auc": Metric(0.77, 0.75, 0.79, 0.95)})
    with acting_as(person("bob")):
        client.models.approve("flight-delay@2", comment="looked at the slices")
    client.models.alias("flight-delay", "champion", 2)
    return client


def test_a_card_tells_what_the_graph_knows(carded: Client) -> None:
    card = carded.models.card("flight-delay@champion")
    assert [node.ref for node in card.data] == ["dataset/flights@2"]
    assert [node.ref for node in card.profiles] == ["profile/flights@1"]
    (evaluation,) = card.evaluations
    assert (evaluation.dataset, evaluation.task, evaluation.rows) == ("dataset/flights@1", "binary", 500)
    assert evaluation.metrics["brier"] == Metric(0.2)
    assert evaluation.metrics["auc"] == Metric(0.77, 0.75, 0.79, 0.95)
    assert [(each.slice, each.rows) for each in evaluation.slices] == [("carrier = <b>UA", 40), ("carrier = AA", 90)]
    figure = Metric(0.77, 0.75, 0.79, 0.95)
    assert carded.models.get("flight-delay@2").measured == {"dataset/flights@1": {"auc": figure}}
    assert card.written == {}


def test_hugging_face_reads_it(carded: Client) -> None:
    models = carded.models
    models.write_card("flight-delay", "license", "Apache-2.0")
    models.write_card("flight-delay", "language", "en, de")
    models.write_card("flight-delay@2", "direct-use", "Warns passengers.\n\nNot for crews.")
    text = models.render_card("flight-delay@2")
    assert text.startswith("---\n")
    _, head, body = text.split("---\n", 2)
    metadata = yaml.safe_load(head)
    assert (metadata["license"], metadata["language"]) == ("apache-2.0", ["en", "de"])
    assert metadata["pipeline_tag"] == "tabular-classification"
    assert metadata["datasets"] == ["dataset/flights@2"]
    assert metadata["metrics"] == ["auc", "brier"]
    assert metadata["tags"] == ["mainspring", "team:ops"]
    (index,) = metadata["model-index"]
    by_data = {each["dataset"]["name"]: each for each in index["results"]}
    assert by_data["dataset/flights@1"]["dataset"]["type"] == "flights"
    figures = {each["type"]: each["value"] for each in by_data["dataset/flights@1"]["metrics"]}
    assert figures == {"auc": 0.77, "brier": 0.2}
    assert by_data["dataset/flights@2"]["metrics"][0]["interval"] == "0.8 (95% interval 0.78 to 0.82)"
    for said in (
        "# Model Card for flight-delay",
        "## Uses",
        "### Direct Use\n\nWarns passengers.\n\nNot for crews.",
        'ms.models.load("flight-delay@2")',
        "| depth | 4 |",
        "looked at the slices",
        "| Digest |",
    ):
        assert said in body
    assert "a\\|b &lt;script&gt;" in body, "a cell stays a cell, and is no HTML"
    hub = pytest.importorskip("huggingface_hub")
    card = hub.ModelCard(text)
    assert card.data.license == "apache-2.0"
    assert {each.metric_type for each in card.data.eval_results} == {"auc", "brier"}
    assert card.data.model_name == "flight-delay"


def test_a_license_in_words_is_named_other(carded: Client) -> None:
    carded.models.write_card("flight-delay", "license", "Ask the legal department")
    head = yaml.safe_load(carded.models.render_card("flight-delay@1").split("---\n", 2)[1])
    assert (head["license"], head["license_name"]) == ("other", "Ask the legal department")
    google = json.loads(carded.models.render_card("flight-delay@1", format="json"))
    assert google["model_details"]["licenses"] == [{"custom_text": "Ask the legal department"}]


def test_googles_schema(carded: Client) -> None:
    models = carded.models
    models.write_card("flight-delay", "summary", "Says whether a flight is late.\nMore.")
    models.write_card("flight-delay", "ethics", "- night flights\n- small airports")
    models.write_card("flight-delay", "recommendations", "look at the slices")
    models.write_card("flight-delay", "license", "mit")
    models.write_card("flight-delay", "owners", "ops team")
    models.write_card("flight-delay", "users", "passengers\nairlines")
    card = json.loads(models.render_card("flight-delay@2", format="json"))
    assert card["schema_version"] == "0.0.2"
    assert set(card) == {"schema_version", *GOOGLE}
    for part, allowed in GOOGLE.items():
        assert set(card[part]) <= allowed
    details = card["model_details"]
    assert details["overview"] == "Says whether a flight is late."
    assert details["licenses"] == [{"identifier": "mit"}]
    assert details["owners"][0]["name"] == "ops team"
    assert details["references"] == [{"reference": "https://example.org/repo"}]
    diff = details["version"]["diff"]
    assert "parameters: depth" in diff
    assert "data: -dataset/flights@1, +dataset/flights@2" in diff
    assert "packages: numpy" in diff
    assert card["considerations"]["users"] == [{"description": "passengers"}, {"description": "airlines"}]
    assert card["considerations"]["ethical_considerations"][1] == {
        "name": "small airports",
        "mitigation_strategy": "look at the slices",
    }
    figures = card["quantitative_analysis"]["performance_metrics"]
    assert {"type": "auc", "value": 0.8, "confidence_interval": {"lower_bound": 0.78, "upper_bound": 0.82}} in figures
    assert any(each.get("slice") == "carrier = <b>UA" for each in figures)
    assert all(isinstance(each["value"], float) for each in figures)


def test_a_page_of_html_escapes_everything(carded: Client) -> None:
    carded.models.write_card("flight-delay@2", "limitations", "<img src=x onerror=alert(1)> & more")
    page = carded.models.render_card("flight-delay@2", format="html")
    assert page.startswith("<!doctype html>")
    assert "<img" not in page
    assert "<script" not in page
    assert "&lt;img src=x onerror=alert(1)&gt; &amp; more" in page
    assert "carrier = &lt;b&gt;UA" in page
    assert page.count("<table>") == page.count("</table>") > 5
    with pytest.raises(InvalidInput):
        carded.models.render_card("flight-delay@2", format="pdf")


def test_what_people_wrote_survives_and_says_who(carded: Client) -> None:
    models = carded.models
    with acting_as(person("ann")):
        models.write_card("flight-delay", "direct-use", "of all versions")
    with acting_as(person("bob")):
        models.write_card("flight-delay@2", "direct-use", "of the second")
        models.write_card("flight-delay@2", "direct-use", "of the second, better")
    assert models.card("flight-delay@1").written["direct-use"].text == "of all versions"
    now = models.card("flight-delay@2").written["direct-use"]
    assert (now.text, now.by, now.version) == ("of the second, better", "bob", 2)
    register(carded, "flight-delay")
    carded.models.describe_version("flight-delay@2", description="changed since")
    assert models.card("flight-delay@2").written["direct-use"] == now
    assert models.card("flight-delay").written["direct-use"].by == "ann"
    history = models.card_texts("flight-delay@2", section="direct-use")
    assert [each.text for each in history] == ["of the second, better", "of the second", "of all versions"]
    assert [each.text for each in models.card_texts("flight-delay")] == ["of all versions"]
    models.write_card("flight-delay@2", "direct-use", "")
    assert models.card("flight-delay@2").written["direct-use"].text == "of all versions"
    models.write_card("flight-delay", "direct-use", " ")
    assert "direct-use" not in models.card("flight-delay@1").written
    assert "Direct Use" not in models.render_card("flight-delay@1")
    event = carded.storage.events(limit=1)[0]
    assert (event.action, event.changes[0].resource) == ("models.write_card", "model/flight-delay")
    with pytest.raises(InvalidInput) as caught:
        models.write_card("flight-delay", "limitation", "x")
    assert "limitations" in caught.value.known
    with pytest.raises(NotFound):
        models.write_card("nothing", "summary", "x")
    with pytest.raises(InvalidInput, match="characters"):
        models.write_card("flight-delay", "summary", "x" * 200_000)


def test_a_card_of_almost_nothing_is_whole(client: Client) -> None:
    client.models.register("bare", files=[], source="s3://bucket/model")
    for format_ in ("md", "json", "html"):
        assert "bare" in client.models.render_card("bare", format=format_)
    assert yaml.safe_load(client.models.render_card("bare").split("---\n", 2)[1]) == {"tags": ["mainspring"]}


def test_a_report_that_is_damaged_or_of_another_kind_does_not_break_the_card(client: Client) -> None:
    register(client)
    blobs: Any = client.backend.store.blobs
    from mainspring.lineage.types import File

    odd = b'{"evaluation": 3}'
    with client.backend.store.write("test.fill") as tx:
        pass
    digest = blobs.put(odd)
    with client.backend.store.write("test.fill") as tx:
        graph.add_artifact(tx, "report", "odd", digest="r1", files=[File("evaluation.json", len(odd), digest)])
        graph.add_artifact(tx, "report", "bare", digest="r2")
    client.models.attach_report("m@1", "odd", metrics={"auc": Metric(0.5)})
    client.models.attach_report("m@1", "bare")
    card = client.models.card("m@1")
    assert sorted(len(each.metrics) for each in card.evaluations) == [0, 1]
    assert "0.5" in client.models.render_card("m@1")
