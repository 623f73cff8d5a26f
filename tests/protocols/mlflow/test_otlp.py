"""Spans over OTLP: from an exporter of OpenTelemetry and from the stock client, one by one, in any order."""

from __future__ import annotations

import gzip
import json
import sys
import time
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

pytest.importorskip("mlflow")

from opentelemetry.exporter.otlp.proto.http import Compression
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.trace import Status, StatusCode, Tracer

pytestmark = [pytest.mark.filterwarnings("ignore"), pytest.mark.databases("sqlite")]


@pytest.fixture(params=[Compression.NoCompression, Compression.Gzip, Compression.Deflate])
def tracer(request: Any, mlflow_server: str, tracking: Any) -> Iterator[Tracer]:
    """A tracer of OpenTelemetry's own kit that sends each span when it has ended."""
    experiment = tracking.set_experiment("exported").experiment_id
    exporter = OTLPSpanExporter(
        f"{mlflow_server}/v1/traces", headers={"x-mlflow-experiment-id": experiment}, compression=request.param
    )
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    yield provider.get_tracer("test")
    provider.shutdown()


def test_an_exporter_of_opentelemetry(tracer: Tracer, tracking: Any) -> None:
    with tracer.start_as_current_span("root", attributes={"mlflow.spanInputs": "why?", "user.id": "ada"}) as root:
        with tracer.start_as_current_span("child", attributes={"tokens": 7, "parts": ["a", "b"], "rate": 0.5}) as child:
            child.add_event("looked", {"at": 1})
            child.set_status(Status(StatusCode.ERROR, "lost"))
        identity = f"tr-{root.get_span_context().trace_id:032x}"
        (seen,) = tracking.search_traces(return_type="list")  # before its root has ended
        assert (seen.info.trace_id, seen.info.state.value) == (identity, "IN_PROGRESS")
        assert [span.name for span in seen.data.spans] == ["child"]
    trace = tracking.get_trace(identity)
    assert (trace.info.state.value, trace.info.request_preview) == ("OK", "why?")
    assert trace.info.tags["mlflow.traceName"] == "root"
    assert trace.info.trace_metadata["mlflow.trace.user"] == "ada"
    assert trace.info.execution_duration is not None
    parent, inner = trace.data.spans
    assert (parent.name, parent.parent_id, inner.parent_id) == ("root", None, parent.span_id)
    assert {key: inner.get_attribute(key) for key in ("tokens", "parts", "rate")} == {
        "tokens": 7, "parts": ["a", "b"], "rate": 0.5
    }  # fmt: skip
    assert (inner.status.status_code.value, inner.status.description) == ("ERROR", "lost")
    assert [(event.name, event.attributes) for event in inner.events] == [("looked", {"at": 1})]
    assert inner.start_time_ns == child.start_time  # type: ignore[attr-defined]  # of the kit's own span


def test_a_span_in_json_sent_twice_counts_once(mlflow_server: str, tracking: Any) -> None:
    experiment = tracking.set_experiment("exported").experiment_id
    run_id = tracking.MlflowClient().create_run(experiment).info.run_id
    span = {
        "traceId": "0af7651916cd43dd8448eb211c80319c",
        "spanId": "b7ad6b7169203331",
        "name": "asked",
        "startTimeUnixNano": "1700000000000000000",
        "endTimeUnixNano": "1700000001500000000",
        "status": {"code": 2},
        "attributes": [{"key": "mlflow.traceTag.team", "value": {"stringValue": "air"}}],
    }
    body = json.dumps({"resourceSpans": [{"scopeSpans": [{"spans": [span]}]}]})
    for _ in range(2):
        answer = httpx.post(
            f"{mlflow_server}/v1/traces",
            content=body,
            headers={
                "content-type": "application/json",
                "x-mlflow-experiment-id": experiment,
                "x-mlflow-run-id": run_id,
            },
        )
        assert (answer.status_code, answer.json()) == (200, {})
    (trace,) = tracking.search_traces(run_id=run_id, return_type="list")
    assert trace.info.trace_id == "tr-0af7651916cd43dd8448eb211c80319c"
    assert (trace.info.state.value, trace.info.execution_duration) == ("ERROR", 1500)
    assert trace.info.tags["team"] == "air"
    assert [each.name for each in trace.data.spans] == ["asked"]
    assert tracking.MlflowClient().delete_traces(experiment, trace_ids=[trace.info.trace_id]) == 1
    assert tracking.search_traces(return_type="list") == []


@pytest.mark.parametrize(
    ("status", "body", "headers"),
    [
        (400, b"x", {"content-type": "text/plain"}),
        (400, b"\xff\xff\xff", {}),
        (400, b"", {}),
        (400, b"{", {"content-type": "application/json"}),
        (400, b"[]", {"content-type": "application/json"}),
        (400, b"not gzip", {"content-encoding": "gzip"}),
        (400, gzip.compress(b"abcdef" * 99, mtime=0)[:-9], {"content-encoding": "gzip"}),
        (400, b"x", {"content-encoding": "br"}),
        (413, gzip.compress(bytes(65 << 20), 1, mtime=0), {"content-encoding": "gzip"}),
        (422, b"", {"x-mlflow-experiment-id": None}),
        (404, b'{"resourceSpans": [{}]}', {"content-type": "application/json", "x-mlflow-experiment-id": "99"}),
        (
            422,
            b'{"resourceSpans": [{"scopeSpans": [{"spans": [{"name": "x"}]}]}]}',
            {"content-type": "application/json"},
        ),
    ],
)
def test_what_is_refused(mlflow_server: str, status: int, body: bytes, headers: dict[str, str | None]) -> None:
    sent = {"content-type": "application/x-protobuf", "x-mlflow-experiment-id": "0", **headers}
    answer = httpx.post(
        f"{mlflow_server}/v1/traces", content=body, headers={key: value for key, value in sent.items() if value}
    )
    assert answer.status_code == status, answer.text


def test_without_the_library_spans_come_with_their_trace(tracking: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_ENABLE_ASYNC_TRACE_LOGGING", "false")
    tracking.tracing.reset()
    tracking.set_experiment("without")
    real = __import__("importlib").import_module

    def absent(name: str, *rest: Any) -> Any:
        if name.startswith("opentelemetry.proto.collector"):
            raise ImportError(name)
        return real(name, *rest)

    monkeypatch.setattr(sys.modules["mainspring.protocols.mlflow.otlp"].importlib, "import_module", absent)
    with tracking.start_span("asked") as span:
        time.sleep(0.001)
    trace = tracking.get_trace(span.trace_id)
    assert [each.name for each in trace.data.spans] == ["asked"]
    assert "mlflow.trace.spansLocation" not in trace.info.tags
    tracking.tracing.reset()
