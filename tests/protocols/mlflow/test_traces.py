"""Traces through the stock client: recorded by the decorator, found, tagged, assessed, linked, deleted."""

from __future__ import annotations

import contextlib
import time
from typing import Any

import pytest

pytest.importorskip("mlflow")

from mlflow.entities import AssessmentSource
from mlflow.exceptions import MlflowException

pytestmark = [pytest.mark.filterwarnings("ignore"), pytest.mark.databases("sqlite")]


@pytest.fixture
def traced(tracking: Any, monkeypatch: pytest.MonkeyPatch) -> Any:
    """The `mlflow` module with traces sent at once, in an experiment."""
    monkeypatch.setenv("MLFLOW_ENABLE_ASYNC_TRACE_LOGGING", "false")
    tracking.tracing.reset()
    tracking.set_experiment("answers")
    yield tracking
    tracking.tracing.reset()


def ask(traced: Any, question: str, **tags: str) -> str:
    @traced.trace(name="answer")
    def answer(text: str) -> str:
        with traced.start_span("inner", span_type="RETRIEVER") as span:
            span.set_inputs({"q": text})
            span.set_outputs(["a", "b"])
        if tags:
            traced.update_current_trace(tags=tags)
        if text == "bad":
            raise ValueError(text)
        return text.upper()

    with contextlib.suppress(ValueError):
        answer(question)
    return str(traced.get_last_active_trace_id())


def test_a_trace_with_its_spans(traced: Any) -> None:
    identity = ask(traced, "why", team="ops")
    trace = traced.get_trace(identity)
    assert trace.info.state.value == "OK"
    assert trace.info.tags["team"] == "ops"
    assert trace.info.tags["mlflow.trace.spansLocation"] == "TRACKING_STORE"  # they came over OTLP
    assert [span.name for span in trace.data.spans] == ["answer", "inner"]
    inner = trace.data.spans[1]
    assert (inner.inputs, inner.outputs, inner.span_type) == ({"q": "why"}, ["a", "b"], "RETRIEVER")
    assert inner.parent_id == trace.data.spans[0].span_id


def test_spans_sent_in_the_background(tracking: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_ENABLE_ASYNC_TRACE_LOGGING", "true")
    tracking.tracing.reset()
    tracking.set_experiment("background")
    try:
        identities = [ask(tracking, f"question {number}") for number in range(8)]
        tracking.flush_trace_async_logging()
        for identity in identities:
            trace = tracking.get_trace(identity)
            assert trace.info.state.value == "OK"
            assert [span.name for span in trace.data.spans] == ["answer", "inner"]
    finally:
        tracking.tracing.reset()


def test_searching(traced: Any) -> None:
    first, second = ask(traced, "one", team="ops"), ask(traced, "bad")
    found = traced.search_traces(return_type="list")
    assert [each.info.trace_id for each in found] == [second, first]
    assert [span.name for span in found[1].data.spans] == ["answer", "inner"]

    def ids(query: str) -> list[str]:
        return [each.info.trace_id for each in traced.search_traces(filter_string=query, return_type="list")]

    assert ids("trace.status = 'ERROR'") == [second]
    assert ids("tags.team = 'ops'") == [first]
    assert ids("trace.name = 'answer'") == [second, first]
    assert ids(f"trace.timestamp_ms > {int(time.time() * 1000) + 60_000}") == []
    assert ids(f"trace.timestamp_ms < {int(time.time() * 1000) + 60_000} AND status = 'OK'") == [first]
    ordered = traced.search_traces(order_by=["timestamp_ms ASC"], return_type="list", max_results=1)
    assert [each.info.trace_id for each in ordered] == [first]
    with pytest.raises(MlflowException) as refused:
        ids("bogus = 'x'")
    assert refused.value.error_code == "INVALID_PARAMETER_VALUE"


def test_tags_change(traced: Any) -> None:
    identity = ask(traced, "why")
    traced.set_trace_tag(identity, "reviewed", "yes")
    assert traced.get_trace(identity).info.tags["reviewed"] == "yes"
    traced.delete_trace_tag(identity, "reviewed")
    assert "reviewed" not in traced.get_trace(identity).info.tags
    with pytest.raises(MlflowException):
        traced.delete_trace_tag(identity, "reviewed")


def test_assessments(traced: Any) -> None:
    identity = ask(traced, "why")
    human = AssessmentSource(source_type="HUMAN", source_id="ada")
    said = traced.log_feedback(trace_id=identity, name="good", value=0.5, rationale="so so", source=human)
    traced.log_expectation(trace_id=identity, name="expected", value={"answer": "WHY"}, source=human)
    held = {each.name: each for each in traced.get_trace(identity).info.assessments}
    assert (held["good"].value, held["good"].rationale, held["good"].source.source_id) == (0.5, "so so", "ada")
    assert held["expected"].value == {"answer": "WHY"}
    from mlflow.entities import Feedback

    traced.update_assessment(
        trace_id=identity, assessment_id=said.assessment_id, assessment=Feedback(name="good", value=1.0)
    )
    changed = traced.get_assessment(trace_id=identity, assessment_id=said.assessment_id)
    assert changed.value == 1.0
    assert changed.rationale == "so so"
    traced.delete_assessment(trace_id=identity, assessment_id=said.assessment_id)
    assert [each.name for each in traced.get_trace(identity).info.assessments] == ["expected"]
    with pytest.raises(MlflowException):
        traced.get_assessment(trace_id=identity, assessment_id=said.assessment_id)


def test_traces_of_a_run(traced: Any, api: Any) -> None:
    with traced.start_run() as run:
        inside = ask(traced, "inside")
    outside = ask(traced, "outside")
    found = traced.search_traces(run_id=run.info.run_id, return_type="list")
    assert [each.info.trace_id for each in found] == [inside]
    api.link_traces_to_run([outside], run.info.run_id)
    found = traced.search_traces(run_id=run.info.run_id, return_type="list")
    assert {each.info.trace_id for each in found} == {inside, outside}


def test_deleting(traced: Any, api: Any) -> None:
    identities = [ask(traced, str(number)) for number in range(3)]
    experiment = traced.get_experiment_by_name("answers").experiment_id
    assert api.delete_traces(experiment, trace_ids=[identities[0]]) == 1
    assert traced.get_trace(identities[0]) is None
    moment = int(time.time() * 1000) + 1000
    assert api.delete_traces(experiment, max_timestamp_millis=moment, max_traces=1) == 1
    assert [each.info.trace_id for each in traced.search_traces(return_type="list")] == [identities[2]]
    with pytest.raises(MlflowException):
        api.delete_traces(experiment)
