"""Traces: recorded, found, tagged, assessed, deleted, as the tracing client does it; see `otlp` for spans."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator
from typing import Any

from mainspring.client.client import Client
from mainspring.kernel.clock import from_micros
from mainspring.kernel.errors import InvalidInput, NotFound
from mainspring.models.registry_query import All, Comparison, Condition, parse_query
from mainspring.protocols.mlflow.experiments import find_experiment
from mainspring.protocols.mlflow.failures import MlflowError, invalid, missing
from mainspring.protocols.mlflow.messages import Message, number, text, texts
from mainspring.protocols.mlflow.shelves import SHELVES, Kept, Shelf
from mainspring.protocols.mlflow.trace_wire import (
    describe_trace,
    read_duration,
    read_moment,
    said,
)
from mainspring.protocols.mlflow.wire import (
    Call,
    Endpoint,
    array,
    at_most,
    intlike,
    of_texts,
    required,
    string,
)
from mainspring.tracking.traces import Trace, TraceCondition

__all__ = ["ENDPOINTS", "find_trace", "raw_body"]

_PATH = re.compile(r"(?:.*/)?traces/([^/]+)/artifacts(?:/(.*))?")
_STATES = {"OK": "ok", "ERROR": "error", "IN_PROGRESS": "in_progress"}
_FIELDS = {
    "trace_id": "id",
    "request_id": "id",
    "status": "state",
    "state": "state",
    "timestamp": "started_at",
    "timestamp_ms": "started_at",
    "request_time": "started_at",
    "execution_time": "duration",
    "execution_time_ms": "duration",
    "execution_duration": "duration",
    "client_request_id": "client_request_id",
}
_METADATA = {"run_id": "mlflow.sourceRun", "source_run": "mlflow.sourceRun", "user": "mlflow.trace.user"}
_MOST_LINKED = 100


class TraceShelf:
    """The files of a trace, for the artifact proxy."""

    def __init__(self, client: Client, trace_id: str) -> None:
        self._tracking, self._trace_id = client.tracking, trace_id

    def files(self, prefix: str = "") -> list[Kept]:
        """Those whose path begins so."""
        try:
            held = self._tracking.trace_files(self._trace_id)
        except NotFound:
            raise _no_trace(self._trace_id) from None
        return [Kept(each.path, each.size, each.digest) for each in held if each.path.startswith(prefix)]

    def read(self, path: str, start: int, stop: int | None) -> Iterator[bytes]:
        """Bytes of a file."""
        place = 0
        for piece in self._tracking.read_trace_file(self._trace_id, path=path):
            end = len(piece) if stop is None else max(0, min(len(piece), stop - place))
            yield piece[max(0, start - place) : end]
            place += len(piece)

    def put(self, path: str, body: Iterable[bytes], media_type: str) -> None:
        """Keep a file; one that is there is replaced."""
        try:
            self._tracking.put_trace_file(self._trace_id, path=path, body=body)
        except NotFound:
            raise _no_trace(self._trace_id) from None

    def delete(self, path: str) -> None:
        """Refused: the files of a trace go with the trace."""
        raise invalid("The files of a trace are deleted with the trace.")


def _shelf(client: Client, path: str) -> tuple[Shelf, str] | None:
    found = _PATH.fullmatch(path)
    return (TraceShelf(client, found[1]), found[2] or "") if found else None


SHELVES.append(_shelf)


def _no_trace(trace_id: str) -> MlflowError:
    return missing(f"Trace with ID '{trace_id}' not found.")


def find_trace(call: Call, trace_id: str) -> Trace:
    """The trace with this id."""
    found = call.client.tracking.traces([trace_id])
    if not found:
        raise _no_trace(trace_id)
    return found[0]


def raw_body(call: Call) -> dict[str, Any]:
    """The body as it is: maps and free values, which have no fixed fields."""
    try:
        found = json.loads(call.body or b"{}")
    except ValueError:
        found = {}
    return found if isinstance(found, dict) else {}


def _start(call: Call) -> dict[str, Any]:
    info = raw_body(call).get("trace", {}).get("trace_info", {})
    place = info.get("trace_location", {}).get("mlflow_experiment", {}).get("experiment_id", "")
    experiment = find_experiment(call.client, str(place))
    tags = {str(key): str(value) for key, value in dict(info.get("tags") or {}).items()}
    tags.pop("mlflow.artifactLocation", None)
    made = call.client.tracking.put_trace(
        str(info.get("trace_id", "")),
        experiment_id=experiment.id,
        started_at=read_moment(info.get("request_time")),
        duration=read_duration(info.get("execution_duration")),
        state=_STATES.get(str(info.get("state", "")), "unspecified"),  # type: ignore[arg-type]  # values of the table
        client_request_id=str(info.get("client_request_id") or ""),
        request=str(info.get("request_preview") or ""),
        response=str(info.get("response_preview") or ""),
        tags=tags,
        metadata={str(key): str(value) for key, value in dict(info.get("trace_metadata") or {}).items()},
    )
    for each in info.get("assessments") or []:
        call.client.tracking.assess(made.id, *said(each))
    return {"trace": {"trace_info": describe_trace(call.client, find_trace(call, made.id))}}


def _get(call: Call) -> dict[str, Any]:
    return {"trace": {"trace_info": describe_trace(call.client, find_trace(call, call.path["trace_id"]))}}


def _batch_infos(call: Call) -> dict[str, Any]:
    found = call.client.tracking.traces(call.get("trace_ids"))
    return {"trace_infos": [describe_trace(call.client, each) for each in found]} if found else {}


def _search(call: Call) -> dict[str, Any]:
    numbers = []
    for location in call.get("locations", []):
        identity = location.get("mlflow_experiment", {}).get("experiment_id", "")
        try:
            numbers.append(find_experiment(call.client, identity).id)
        except MlflowError as error:
            if error.code != "RESOURCE_DOES_NOT_EXIST":
                raise
    try:
        conditions = list(_conditions(parse_query(call.get("filter"))))
        order = [_order(each) for each in call.get("order_by", [])]
        page = call.client.tracking.search_traces(
            conditions,
            experiment_ids=numbers,
            order_by=order,
            limit=call.get("max_results", 0) or 100,
            page=call.get("page_token"),
        )
    except InvalidInput as error:
        raise invalid(f"Invalid search of traces: {error.message}") from None
    found: dict[str, Any] = {}
    if page.traces:
        found["traces"] = [describe_trace(call.client, each) for each in page.traces]
    if page.next_page:
        found["next_page_token"] = page.next_page
    return found


def _conditions(condition: Condition | None) -> Iterator[TraceCondition]:
    if condition is None:
        return
    if isinstance(condition, All):
        for part in condition.parts:
            yield from _conditions(part)
    elif isinstance(condition, Comparison):
        yield _condition(condition)
    else:
        raise invalid("A filter of traces joins its comparisons with AND only.")


def _condition(each: Comparison) -> TraceCondition:
    field, key, values = each.field, each.key, list(each.values)
    if field in ("trace", "attribute", "attributes", "attr") and key:
        field, key = key.lower(), ""
    if field in ("tag", "tags") and key:
        return TraceCondition("tag", each.op, values, key)
    if field in ("metadata", "request_metadata") and key:
        return TraceCondition("metadata", each.op, values, key)
    if field in ("feedback", "expectation", "assessment") and key and "NULL" in each.op:
        return TraceCondition("assessment", each.op, [], key)
    if field in ("name", "trace_name"):
        return TraceCondition("tag", each.op, values, "mlflow.traceName")
    if field in _METADATA:
        return TraceCondition("metadata", each.op, values, _METADATA[field])
    if field not in _FIELDS:
        raise invalid(f"Invalid attribute key '{field}' specified. Valid keys are '{sorted([*_FIELDS, *_METADATA])}'")
    ours = _FIELDS[field]
    if ours == "state":
        values = [_STATES.get(str(value).upper(), "unspecified") for value in values]
    if ours in ("started_at", "duration"):
        if any(isinstance(value, str) for value in values):
            raise invalid(f"Expected numeric value type for {field}.")
        factor = 1000 if ours == "started_at" else 1
        values = [int(value) * factor for value in values]
    return TraceCondition(ours, each.op, values)


def _order(text_: str) -> tuple[str, bool]:
    words = text_.replace("`", "").split()
    if not 1 <= len(words) <= 2 or (len(words) == 2 and words[1].upper() not in ("ASC", "DESC")):
        raise invalid(f"Invalid order_by clause '{text_}'. Could not be parsed.")
    field = words[0].partition(".")[2] or words[0]
    if field not in _FIELDS:
        raise invalid(f"Invalid order_by key '{field}' specified. Valid keys are '{sorted(_FIELDS)}'")
    return _FIELDS[field], len(words) == 1 or words[1].upper() == "ASC"


def _delete(call: Call) -> dict[str, Any]:
    ids, moment = call.get("request_ids", []), call.request.get("max_timestamp_millis")
    if moment is None and not ids:
        raise invalid("Either `max_timestamp_millis` or `trace_ids` must be specified.")
    if moment is not None and ids:
        raise invalid("Only one of `max_timestamp_millis` and `trace_ids` can be specified.")
    if ids and "max_traces" in call.request:
        raise invalid("`max_traces` can't be specified if `trace_ids` is specified.")
    most = call.get("max_traces", 0)
    if "max_traces" in call.request and most <= 0:
        raise invalid(f"`max_traces` must be a positive integer, received {most}.")
    deleted = call.client.tracking.delete_traces(
        experiment_id=find_experiment(call.client, call.get("experiment_id")).id,
        trace_ids=ids,
        before=None if moment is None else from_micros(moment * 1000 + 999),
        limit=most,
    )
    return {"traces_deleted": deleted}


def _set_tag(call: Call) -> dict[str, Any]:
    trace_id = call.path["trace_id"]
    call.client.tracking.tag_trace(find_trace(call, trace_id).id, call.get("key"), call.get("value"))
    return {}


def _delete_tag(call: Call) -> dict[str, Any]:
    held, key = find_trace(call, call.path["trace_id"]), call.get("key")
    if key not in held.tags:
        raise missing(f"No trace tag with key '{key}' for trace with ID '{held.id}'")
    call.client.tracking.tag_trace(held.id, key, None)
    return {}


def _link(call: Call) -> dict[str, Any]:
    ids = call.get("trace_ids")
    if len(ids) > _MOST_LINKED:
        raise invalid(f"Cannot link more than {_MOST_LINKED} traces to a run in a single request. Got {len(ids)}.")
    for each in ids:
        find_trace(call, each)
    call.client.tracking.link_traces(call.get("run_id"), ids)
    return {}


_ONE = "mlflow/traces/{trace_id}"
_LOCATION = Message(type=text, mlflow_experiment=Message(experiment_id=text))
_KEYED = {"key": (string, required), "value": (string,)}
_IDS = {"trace_ids": (array, required, of_texts)}
_DELETE = Message(experiment_id=text, max_timestamp_millis=number, max_traces=number, request_ids=texts)

ENDPOINTS = (
    Endpoint("POST", "mlflow/traces", _start, version=3),
    Endpoint("POST", "mlflow/traces/batchGetInfos", _batch_infos, Message(trace_ids=texts), _IDS, version=3),
    Endpoint(
        "POST",
        "mlflow/traces/search",
        _search,
        Message(locations=[_LOCATION], filter=text, max_results=number, order_by=texts, page_token=text),
        {
            "locations": (array, required),
            "filter": (string,),
            "max_results": (intlike, at_most(500)),
            "order_by": (array, of_texts),
            "page_token": (string,),
        },
        version=3,
    ),
    *(
        Endpoint(
            "POST",
            "mlflow/traces/delete-traces",
            _delete,
            _DELETE,
            {
                "experiment_id": (string, required),
                "max_timestamp_millis": (intlike,),
                "max_traces": (intlike,),
                "request_ids": (array, of_texts),
            },
            version=version,
        )
        for version in (2, 3)
    ),
    Endpoint(
        "POST",
        "mlflow/traces/link-to-run",
        _link,
        Message(trace_ids=texts, run_id=text),
        {**_IDS, "run_id": (string, required)},
    ),
    *(
        Endpoint(method, f"{_ONE}/tags", handler, Message(key=text, value=text), _KEYED, version=version)
        for version in (2, 3)
        for method, handler in (("PATCH", _set_tag), ("DELETE", _delete_tag))
    ),
    Endpoint("GET", _ONE, _get, version=3),
)
