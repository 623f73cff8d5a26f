"""Spans over OTLP: what exporters of OpenTelemetry and the tracing client send, span by span, and whole traces back.

A span is kept as the JSON form of its message, so that it is read without the library that parses what comes in.
"""

from __future__ import annotations

import base64
import importlib
import json
import re
import zlib
from collections.abc import Iterator
from typing import Any

from mainspring.kernel.errors import InvalidInput
from mainspring.protocols.mlflow.experiments import find_experiment
from mainspring.protocols.mlflow.failures import MlflowError, not_implemented
from mainspring.protocols.mlflow.messages import Message, flag, text, texts
from mainspring.protocols.mlflow.trace_wire import describe_trace
from mainspring.protocols.mlflow.traces import find_trace
from mainspring.protocols.mlflow.wire import Answer, Call, Endpoint, array, boolean, of_texts, required, string
from mainspring.tracking.traces_spans import TraceSpan

__all__ = ["ENDPOINTS"]

_PROTOBUF, _JSON = "application/x-protobuf", "application/json"
_MOST = 64 << 20
"""Bytes of a body once it is unpacked."""
_PREVIEW = 1000
_STATES = {"STATUS_CODE_OK": "ok", "STATUS_CODE_ERROR": "error"}
_LOCATION = {"mlflow.trace.spansLocation": "TRACKING_STORE"}
"""The tag by which the client knows that spans need not be sent as a file, and where to read them."""
_TAG = "mlflow.traceTag."
_NAME = "mlflow.traceName"
_SAID = {"session.id": "mlflow.trace.session", "user.id": "mlflow.trace.user"}
_IDS = re.compile(r'("(?:traceId|spanId|parentSpanId)"\s*:\s*)"([0-9a-fA-F]*)"')


class _RefusedError(Exception):
    """Why a request is not taken, and with which status."""

    def __init__(self, status: int, detail: str) -> None:
        super().__init__(detail)
        self.status, self.detail = status, detail


def _ingest(call: Call) -> Answer:
    try:
        return _take(call)
    except _RefusedError as refused:
        return Answer(json.dumps({"detail": refused.detail}).encode(), refused.status)


def _take(call: Call) -> Answer:
    media_type = call.headers.get("content-type", "").partition(";")[0].strip()
    if media_type not in (_PROTOBUF, _JSON):
        raise _RefusedError(400, f"Invalid Content-Type: {media_type}. Expected: {_PROTOBUF} or {_JSON}")
    identity = call.headers.get("x-mlflow-experiment-id")
    if identity is None:
        raise _RefusedError(422, "The header x-mlflow-experiment-id says to which experiment the spans belong.")
    body = _unpacked(call.body, call.headers.get("content-encoding", "").lower())
    spans = list(_spans(body, media_type))
    try:
        call.client.tracking.put_spans(
            experiment_id=find_experiment(call.client, identity).id,
            spans=spans,
            tags=_LOCATION,
            run_id=call.headers.get("x-mlflow-run-id", "").replace("-", ""),
        )
    except InvalidInput as error:
        raise _RefusedError(422, f"Cannot convert OpenTelemetry span to MLflow span: {error.message}") from None
    return Answer(b"{}", media_type=_JSON) if media_type == _JSON else Answer(media_type=_PROTOBUF)


def _unpacked(body: bytes, encoding: str) -> bytes:
    """The body without its compression, which may not hide more than a body may have."""
    if not encoding or encoding == "identity":
        return body
    if encoding not in ("gzip", "deflate"):
        raise _RefusedError(400, f"Unsupported Content-Encoding: {encoding}")
    for form in (zlib.MAX_WBITS | 32, -zlib.MAX_WBITS):  # with its head, or bare, as some send it
        reader = zlib.decompressobj(form)
        try:
            found = reader.decompress(body, _MOST)
        except zlib.error:
            continue
        if reader.unconsumed_tail:
            raise _RefusedError(413, f"The payload is over {_MOST} bytes.")
        if reader.eof:
            return found
    raise _RefusedError(400, f"Failed to decompress {encoding} payload")


def _spans(body: bytes, media_type: str) -> Iterator[TraceSpan]:
    try:
        service = importlib.import_module("opentelemetry.proto.collector.trace.v1.trace_service_pb2")
        forms = importlib.import_module("google.protobuf.json_format")
    except ImportError:  # the client sends spans as a file of their trace when it reads this
        detail = "REST OTLP span logging is not supported: pip install 'mainspring[otel]'"
        raise _RefusedError(501, detail) from None
    request = service.ExportTraceServiceRequest()
    try:
        if media_type == _JSON:
            forms.Parse(_IDS.sub(_base64, body.decode()), request, ignore_unknown_fields=True)
        else:
            request.ParseFromString(body)
        if not request.resource_spans:
            raise ValueError("no spans")
        for resource in request.resource_spans:
            for scope in resource.scope_spans:
                for span in scope.spans:
                    yield _span(span, forms.MessageToDict(span, preserving_proto_field_name=True))
    except _RefusedError:
        raise
    except Exception as error:  # what its parsers raise is of their own kinds
        raise _RefusedError(400, "Invalid OpenTelemetry format") from error


def _base64(found: re.Match[str]) -> str:
    """An id of the JSON form, which is hexadecimal, as messages have bytes."""
    return f'{found[1]}"{base64.b64encode(bytes.fromhex(found[2])).decode()}"'


def _span(message: Any, body: dict[str, Any]) -> TraceSpan:
    if not message.trace_id or not message.span_id:
        raise _RefusedError(422, "Cannot convert OpenTelemetry span to MLflow span: it has no id")
    said = {each["key"]: each.get("value", {}) for each in body.get("attributes", [])}
    root = not message.parent_span_id
    tags, previews = {}, ["", ""]
    if root:
        tags = {_NAME: message.name}
        tags |= {key.removeprefix(_TAG): _text(value) for key, value in said.items() if key.startswith(_TAG)}
        previews = [_text(said.get(key, {}))[:_PREVIEW] for key in ("mlflow.spanInputs", "mlflow.spanOutputs")]
    return TraceSpan(
        trace_id=f"tr-{message.trace_id.hex()}",
        id=message.span_id.hex(),
        name=message.name,
        started_at=message.start_time_unix_nano,
        finished_at=message.end_time_unix_nano,
        parent_id=message.parent_span_id.hex(),
        state=_STATES.get(body.get("status", {}).get("code", ""), "unspecified"),  # type: ignore[arg-type]  # of the table
        request=previews[0],
        response=previews[1],
        tags={key: value for key, value in tags.items() if key},
        metadata={_SAID[key]: _text(value) for key, value in said.items() if key in _SAID},
        body=body,
    )


def _text(value: dict[str, Any]) -> str:
    """A value of an attribute for a person: texts as they are, all else as JSON."""
    found = _plain(value)
    return found if isinstance(found, str) else "" if found is None else json.dumps(found, ensure_ascii=False)


def _plain(value: dict[str, Any]) -> Any:
    for kind, held in value.items():
        if kind == "array_value":
            return [_plain(each) for each in held.get("values", [])]
        if kind == "kvlist_value":
            return {each["key"]: _plain(each.get("value", {})) for each in held.get("values", [])}
        return int(held) if kind == "int_value" else held
    return None


def _whole(call: Call) -> dict[str, Any]:
    trace = find_trace(call, call.get("trace_id"))
    spans = call.client.tracking.spans([trace.id]).get(trace.id, [])
    if not spans:
        raise not_implemented("The spans of this trace are read from its artifacts.")
    return {"trace": {"trace_info": describe_trace(call.client, trace), "spans": spans}}


def _batch(call: Call) -> dict[str, Any]:
    traces = call.client.tracking.traces(call.get("trace_ids"))
    if "experiment_ids" in call.request:
        allowed = set()
        for identity in call.get("experiment_ids"):
            try:
                allowed.add(find_experiment(call.client, identity).id)
            except MlflowError as error:
                if error.code != "RESOURCE_DOES_NOT_EXIST":
                    raise
        traces = [each for each in traces if each.trace.experiment_id in allowed]
    spans = call.client.tracking.spans([each.id for each in traces])
    found = [{"trace_info": describe_trace(call.client, each), "spans": spans.get(each.id, [])} for each in traces]
    return {"traces": found} if found else {}


ENDPOINTS = (
    Endpoint("POST", "v1/traces", _ingest, version=0, raw=True),
    Endpoint(
        "GET",
        "mlflow/traces/get",
        _whole,
        Message(trace_id=text, allow_partial=flag),
        {"trace_id": (string, required), "allow_partial": (boolean,)},
        version=3,
    ),
    Endpoint(
        "GET",
        "mlflow/traces/batchGet",
        _batch,
        Message(trace_ids=texts, experiment_ids=texts),
        {"trace_ids": (array, required, of_texts), "experiment_ids": (array, of_texts)},
        version=3,
    ),
)
