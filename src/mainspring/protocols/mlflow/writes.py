"""What runs log: metrics, parameters and tags, one by one and in batches. The paths that training loops wait for."""

from __future__ import annotations

import importlib
import json
import math
import threading
from array import array as column_of
from collections.abc import Iterable
from typing import Any

import msgspec

from mainspring.protocols.mlflow.experiments import TAG
from mainspring.protocols.mlflow.failures import invalid, missing_value
from mainspring.protocols.mlflow.messages import Message, ParseFailed, number, real, text
from mainspring.protocols.mlflow.rules import (
    BATCH_BYTES,
    check_batch_sizes,
    check_metric,
    check_param,
    check_run_id,
    check_tag,
)
from mainspring.protocols.mlflow.runs import RUN_ID, add_records, find_run, inactive, run_id_of, set_tags
from mainspring.protocols.mlflow.translate import HIDDEN, NOTE, RUN_NAME, param_text
from mainspring.protocols.mlflow.wire import Call, Endpoint, array, floatlike, intlike, required, string
from mainspring.tracking.columns import little
from mainspring.tracking.types import ColumnsRecord, ParamsRecord, PointsRecord, TagsRecord

__all__ = ["ENDPOINTS"]

_locks = [threading.Lock() for _ in range(64)]
"""A parameter is never changed: looking and writing happen under the lock of the run."""


_PLAIN_STAMP, _PLAIN_STEP = 1 << 44, 1 << 62
"""Below these nothing is wrong with a time (in milliseconds, until the year 2527) or a step."""


class _Point(msgspec.Struct):
    key: str
    value: float | str
    timestamp: int
    step: int = 0
    model_id: str = ""
    dataset_name: str = ""
    dataset_digest: str = ""


class _Pair(msgspec.Struct):
    key: str
    value: str = ""


class _One(_Point):
    run_id: str = ""


class _Batch(msgspec.Struct):
    run_id: str
    metrics: list[_Point] = []
    params: list[_Pair] = []
    tags: list[_Pair] = []


_one = msgspec.json.Decoder(_One)
_batch = msgspec.json.Decoder(_Batch)


def _fast_metric(body: bytes) -> dict[str, Any] | None:
    """A body as the stock client writes it; None for every other, which is read leniently."""
    try:
        point = _one.decode(body)
        _settle(point)
    except (msgspec.DecodeError, UnicodeDecodeError, ParseFailed):
        return None
    return {"run_id": point.run_id, "point": point} if point.run_id and point.key else None


def _fast_batch(body: bytes) -> dict[str, Any] | None:
    try:
        batch = _batch.decode(body)
        for point in batch.metrics:
            _settle(point)
    except (msgspec.DecodeError, UnicodeDecodeError, ParseFailed):
        return None
    whole = batch.run_id and all(each.key for part in (batch.metrics, batch.params, batch.tags) for each in part)
    if not whole or b"run_uuid" in body or b'"runId"' in body:
        return None
    return {"run_id": batch.run_id, "batch": batch}


def _settle(point: _Point) -> None:
    if isinstance(point.value, str):
        point.value = real(point.value)
    if not (-_PLAIN_STEP < point.timestamp < _PLAIN_STEP and -_PLAIN_STEP < point.step < _PLAIN_STEP):
        raise ParseFailed("out of range")


def _log_metric(call: Call) -> dict[str, Any]:
    point = call.request.get("point")
    if point is None:
        point = _point(call.request)
    check_metric(point.key, float(point.value), point.timestamp, point.step)
    _write_points(call, run_id_of(call), [point])
    return {}


def _log_param(call: Call) -> dict[str, Any]:
    run_id, key = run_id_of(call), call.get("key")
    value = check_param(key, call.get("value"))
    with _locks[hash(run_id) % 64]:
        held = _active_params(call, run_id)
        if key not in held:
            add_records(call, run_id, ParamsRecord({key: json.dumps(value, ensure_ascii=False)}))
        elif held[key] != value:
            raise invalid(
                f"Changing param values is not allowed. Param with key='{key}' was already logged with "
                f"value='{held[key]}' for run ID='{run_id}'. Attempted logging new value '{value}'."
            )
    return {}


def _log_batch(call: Call) -> dict[str, Any]:
    batch: _Batch = call.request.get("batch") or _lenient_batch(call.request)
    run_id = batch.run_id
    check_run_id(run_id)
    _check_points(batch.metrics)
    params = [(each.key, check_param(each.key, each.value, f"params[{at}]")) for at, each in enumerate(batch.params)]
    tags = [(each.key, check_tag(each.key, each.value, f"tags[{at}]")) for at, each in enumerate(batch.tags)]
    check_batch_sizes(len(batch.metrics), len(params), len(tags))
    keys = [key for key, _ in params]
    if twice := [key for at, key in enumerate(keys) if key in keys[:at]]:
        raise invalid(
            f"Duplicate parameter keys have been submitted: {twice}. Please ensure the request contains only one param "
            "value per param key."
        )
    if params:
        with _locks[hash(run_id) % 64]:
            _write_batch(call, run_id, batch.metrics, dict(params), dict(tags))
    else:
        _write_batch(call, run_id, batch.metrics, {}, dict(tags))
    return {}


def _check_points(points: list[_Point]) -> None:
    """Each key once, since a batch holds few; times and steps of all."""
    known: set[str] = set()
    for position, point in enumerate(points):
        plain = 0 <= point.timestamp < _PLAIN_STAMP and -_PLAIN_STEP < point.step < _PLAIN_STEP
        if not plain or point.key not in known:
            check_metric(point.key, float(point.value), point.timestamp, point.step, f"metrics[{position}]")
            known.add(point.key)


def _write_batch(
    call: Call, run_id: str, points: list[_Point], params: dict[str, str], tags: dict[str, str]
) -> None:
    """All of it in one transaction: parameters, metrics, tags."""
    records: list[Any] = []
    if params:
        held = _active_params(call, run_id)
        changed = [
            {"key": key, "old_value": held[key], "new_value": value}
            for key, value in params.items()
            if key in held and held[key] != value
        ]
        if changed:
            raise invalid(
                f"Changing param values is not allowed. Params were already logged='{changed}' for run ID='{run_id}'."
            )
        if new := {key: json.dumps(value, ensure_ascii=False) for key, value in params.items() if key not in held}:
            records.append(ParamsRecord(new))
    records += _records(points)
    if tags and not tags.keys() & {RUN_NAME, NOTE, *HIDDEN}:
        records.append(TagsRecord(tags))
        tags = {}
    add_records(call, run_id, *records)
    if tags:
        set_tags(call, run_id, tags)
    _tell_models(call, run_id, points)


def _write_points(call: Call, run_id: str, points: list[_Point]) -> None:
    add_records(call, run_id, *_records(points))
    _tell_models(call, run_id, points)


def _tell_models(call: Call, run_id: str, points: list[_Point]) -> None:
    """Metrics that name a model are the model's too."""
    if any(point.model_id for point in points):
        models = importlib.import_module("mainspring.protocols.mlflow.logged_models")
        models.log_metrics(call, run_id, points)


def _records(points: list[_Point]) -> list[PointsRecord | ColumnsRecord]:
    """Points as they are kept: one as it is; of many, the metrics that were logged together as columns."""
    if len(points) == 1:
        (point,) = points
        return [PointsRecord(point.step, point.timestamp * 1000, {point.key: float(point.value)})]
    columns: dict[str, tuple[list[int], list[int], list[float]]] = {}
    for point in points:
        held = columns.get(point.key)
        if held is None:
            held = columns[point.key] = ([], [], [])
        held[0].append(point.step)
        held[1].append(point.timestamp * 1000)
        held[2].append(float(point.value))
    together: dict[tuple[bytes, bytes], dict[str, bytes]] = {}
    for key, held in columns.items():
        steps, times, values = held if len(set(held[0])) == len(held[0]) else _each_once(*held)
        place = _words("q", steps), _words("q", times)
        together.setdefault(place, {})[key] = _words("d", values)
    return [ColumnsRecord(list(each), *place, list(each.values())) for place, each in together.items()]


def _each_once(
    steps: list[int], times: list[int], values: list[float]
) -> tuple[list[int], list[int], list[float]]:
    """A point that is there twice once; one NaN is another."""
    rows = zip(steps, times, [None if math.isnan(value) else value for value in values], strict=True)
    places = {row: place for place, row in reversed(list(enumerate(rows)))}
    first = sorted(places.values())
    return [steps[place] for place in first], [times[place] for place in first], [values[place] for place in first]


def _words(code: str, column: Iterable[float]) -> bytes:
    """A column of eight-byte numbers, little-endian."""
    return little(column_of(code, column)).tobytes()


def _active_params(call: Call, run_id: str) -> dict[str, str]:
    run = find_run(call, run_id)
    if run.deleted_at is not None:
        raise inactive(run_id)
    return {key: param_text(value) for key, value in run.params.items()}


def _point(fields: dict[str, Any]) -> _Point:
    return _Point(
        fields.get("key", ""),
        fields.get("value", 0.0),
        fields.get("timestamp", 0),
        fields.get("step", 0),
        fields.get("model_id", ""),
        fields.get("dataset_name", ""),
        fields.get("dataset_digest", ""),
    )


def _lenient_batch(request: dict[str, Any]) -> _Batch:
    def pairs(name: str) -> list[_Pair]:
        return [_Pair(each.get("key", ""), each.get("value", "")) for each in request.get(name, [])]

    return _Batch(
        request.get("run_id", ""), [_point(each) for each in request.get("metrics", [])], pairs("params"), pairs("tags")
    )


def _present(name: str, *fields: str) -> Any:
    def check(value: Any) -> None:
        for position, each in enumerate(value):
            for field in fields:
                found = each.get(field) if isinstance(each, dict) else None
                if found is None or found == "":
                    raise AssertionError(missing_value(f"{name}[{position}].{field}"))

    return check


def _check_size(call: Call) -> dict[str, Any]:
    """Log a batch that is not too large: its keys are counted where MLflow means bytes, of a text the characters."""
    if len(call.body) > BATCH_BYTES:
        found = msgspec.json.decode(call.body, type=str | dict[str, msgspec.Raw])
        if len(found) > BATCH_BYTES:
            raise invalid(
                f"Batched logging API requests must be at most {BATCH_BYTES} bytes, got a request of size {len(found)}."
            )
    return _log_batch(call)


_METRIC = Message(
    key=text,
    value=real,
    timestamp=number,
    step=number,
    dataset_name=text,
    dataset_digest=text,
    model_id=text,
    run_id=text,
)

ENDPOINTS = (
    Endpoint(
        "POST",
        "mlflow/runs/log-metric",
        _log_metric,
        Message(
            run_id=text,
            run_uuid=text,
            key=text,
            value=real,
            timestamp=number,
            step=number,
            model_id=text,
            dataset_name=text,
            dataset_digest=text,
        ),
        {
            **RUN_ID,
            "key": (required, string),
            "value": (required, floatlike),
            "timestamp": (intlike, required),
            "step": (intlike,),
            "model_id": (string,),
            "dataset_name": (string,),
            "dataset_digest": (string,),
        },
        fast=_fast_metric,
    ),
    Endpoint(
        "POST",
        "mlflow/runs/log-parameter",
        _log_param,
        Message(run_id=text, run_uuid=text, key=text, value=text),
        {**RUN_ID, "key": (required, string), "value": (string,)},
    ),
    Endpoint(
        "POST",
        "mlflow/runs/log-batch",
        _check_size,
        Message(run_id=text, metrics=[_METRIC], params=[TAG], tags=[TAG]),
        {
            "run_id": (string, required),
            "metrics": (array, _present("metrics", "key", "value", "timestamp")),
            "params": (array, _present("params", "key")),
            "tags": (array, _present("tags", "key")),
        },
        fast=_fast_batch,
    ),
)
