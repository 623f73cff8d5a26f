"""Histories of metrics: whole, in pages, of many runs, and thinned out for a chart."""

from __future__ import annotations

import itertools
import math
import operator
from collections.abc import Callable, Sequence
from typing import Any

import msgspec

from mainspring.kernel.errors import NotFound
from mainspring.protocols.mlflow.failures import invalid
from mainspring.protocols.mlflow.messages import Message, number, text, texts
from mainspring.protocols.mlflow.rules import offset_of_history
from mainspring.protocols.mlflow.runs import run_id_of
from mainspring.protocols.mlflow.wire import (
    Answer,
    Call,
    Check,
    Endpoint,
    array,
    between,
    intlike,
    of_texts,
    required,
    spelled,
    string,
)
from mainspring.tracking.chunks import decode_points

__all__ = ["ENDPOINTS"]

_MOST_RUNS = 100
_MOST_ROWS = 25_000
_MOST_BUCKETS = 2500

_Row = tuple[int, int, float]
"""Milliseconds, step, value: the order of a history."""


class _History(msgspec.Struct, frozen=True):
    """The points of a metric in their order, each once, as columns: a history is long, and rows are slow to make."""

    times: list[int]
    """Milliseconds."""
    steps: list[int]
    values: list[float]

    def __len__(self) -> int:
        return len(self.steps)

    def part(self, start: int, stop: int) -> _History:
        """Some of the points."""
        return _History(self.times[start:stop], self.steps[start:stop], self.values[start:stop])

    def rows(self) -> list[_Row]:
        """The points one by one."""
        return list(zip(self.times, self.steps, self.values, strict=True))

    def json(self, key: str, run_id: str = "") -> str:
        """The points as the items of a JSON list, without a dict for each: their texts, joined as they are."""
        if not self.steps:
            return ""
        if math.isfinite(sum(self.values)):
            values = _texts(self.values)
        else:  # what JSON cannot hold is a text
            values = _texts([spelled(value) for value in self.values])
        head = f'{{"key":{msgspec.json.encode(key).decode()},"value":'
        tail = f',"run_id":{msgspec.json.encode(run_id).decode()}}},' if run_id else "},"
        parts = zip(
            itertools.repeat(head),
            values,
            itertools.repeat(',"timestamp":'),
            _texts(self.times),
            itertools.repeat(',"step":'),
            _texts(self.steps),
            itertools.repeat(tail),
        )
        return "".join(itertools.chain.from_iterable(parts))[:-1]


def _history(call: Call) -> Answer:
    run_id, key = run_id_of(call), call.get("metric_key")
    limit = call.request.get("max_results")
    if limit is not None and limit <= 0:
        raise invalid(f"Invalid value {limit} for parameter 'max_results' supplied. It must be a positive integer.")
    start = offset_of_history(call.get("page_token"))
    whole = _read(call, run_id, key)
    stop = len(whole) if limit is None else start + limit
    page = whole if not start and stop >= len(whole) else whole.part(start, stop)
    fields = []
    if len(page):
        fields.append(f'"metrics":[{page.json(key)}]')
    if stop < len(whole):
        fields.append(f'"next_page_token":"{stop}"')
    return Answer(f"{{{','.join(fields)}}}".encode())


def _bulk(call: Call) -> Answer:
    """Several runs' histories, one after the other, for the charts of MLflow's own pages."""
    run_ids = call.query.get("run_id", [])
    if not run_ids:
        raise invalid("GetMetricHistoryBulk request must specify at least one run_id.")
    if len(run_ids) > _MOST_RUNS:
        raise invalid(
            f"GetMetricHistoryBulk request cannot specify more than {_MOST_RUNS} run_ids. "
            f"Received {len(run_ids)} run_ids."
        )
    if "metric_key" not in call.query:
        raise invalid("GetMetricHistoryBulk request must specify a metric_key.")
    key, given = call.query["metric_key"][0], call.query.get("max_results", [str(_MOST_ROWS)])[0]
    if not given.isdigit():
        raise invalid(f"Invalid value {given!r} for parameter 'max_results' supplied.")
    limit = min(int(given), _MOST_ROWS)
    found: list[str] = []
    for run_id in sorted(set(run_ids)):
        page = _read(call, run_id, key).part(0, limit)
        limit -= len(page)
        if len(page):
            found.append(page.json(key, run_id))
    return Answer(f'{{"metrics":[{",".join(found)}]}}'.encode())


def _interval(call: Call) -> dict[str, Any]:
    """Of each run the first point of every of so many equal parts, and the last point of all."""
    key, limit = call.get("metric_key"), int(call.get("max_results", _MOST_BUCKETS))
    first, last = call.request.get("start_step"), call.request.get("end_step")
    if first is not None and last is not None:
        if first > last:
            raise invalid(
                f"end_step must be greater than start_step. Found start_step={first} and end_step={last}."
            )
    elif first is not None or last is not None:
        raise invalid("If either start step or end step are specified, both must be specified.")
    found: list[dict[str, Any]] = []
    for run_id in call.get("run_ids"):
        rows = sorted(_read(call, run_id, key).rows(), key=lambda row: (row[1], row[0], row[2]))
        if first is not None and last is not None:
            rows = [row for row in rows if first <= row[1] <= last]
        for at, step, value in _sampled(rows, limit):
            found.append({"key": key, "value": spelled(value), "timestamp": at, "step": step, "run_id": run_id})
    return {"metrics": found} if found else {}


def _sampled(rows: list[_Row], limit: int) -> list[_Row]:
    """The first of each of `limit` parts, the larger parts in front, as NTILE makes them; the last row is kept."""
    if len(rows) <= limit:
        return rows
    size, larger = divmod(len(rows), limit)
    starts = [part * size + min(part, larger) for part in range(limit)]
    chosen = [rows[start] for start in starts]
    if starts[-1] != len(rows) - 1:
        chosen[-1] = rows[-1]
    return chosen


def _read(call: Call, run_id: str, key: str) -> _History:
    """The history of a metric; empty where the run has no such metric."""
    try:
        data = b"".join(call.client.tracking.points(run_id, key=key))
    except NotFound:  # neither is a run that there is not an error here
        return _History([], [], [])
    points = decode_points(data)
    times, steps, values = points.times.tolist(), points.steps.tolist(), points.values.tolist()
    millis = list(map(operator.floordiv, times, itertools.repeat(1000)))
    if _follows(operator.lt, steps) and _follows(operator.le, times):  # in order and each once: nearly always
        return _History(millis, steps, values)
    distinct = dict.fromkeys(zip(millis, steps, [None if math.isnan(each) else each for each in values], strict=True))
    rows = [(at, step, math.nan if value is None else value) for at, step, value in distinct]
    rows.sort(key=lambda row: (row[0], row[1], 0.0 if math.isnan(row[2]) else row[2]))
    return _History([row[0] for row in rows], [row[1] for row in rows], [row[2] for row in rows])


def _follows(before: Callable[[int, int], bool], column: list[int]) -> bool:
    """Whether each number stands so to the one after it."""
    return all(map(before, column, itertools.islice(column, 1, None)))


def _texts(column: Sequence[float | str]) -> list[str]:
    """Each number of a column as JSON has it."""
    return msgspec.json.encode(column).decode()[1:-1].split(",")


_RUN_IDS: tuple[Check, ...] = (required, array, of_texts)


def _few_runs(value: Any) -> None:
    if len(value) > _MOST_RUNS:
        raise AssertionError(
            f"GetMetricHistoryBulkInterval request must specify at most {_MOST_RUNS} run_ids. "
            f"Received {len(value)} run_ids."
        )


_INTERVAL = (
    "mlflow/metrics/get-history-bulk-interval",
    _interval,
    Message(run_ids=texts, metric_key=text, start_step=number, end_step=number, max_results=number),
    {
        "run_ids": (*_RUN_IDS, _few_runs),
        "metric_key": (required, string),
        "start_step": (intlike,),
        "end_step": (intlike,),
        "max_results": (intlike, between(1, _MOST_BUCKETS, f"max_results must be between 1 and {_MOST_BUCKETS}.")),
    },
)

ENDPOINTS = (
    Endpoint(
        "GET",
        "mlflow/metrics/get-history",
        _history,
        Message(run_id=text, run_uuid=text, metric_key=text, page_token=text, max_results=number),
        {"run_id": (string, required), "metric_key": (string, required), "page_token": (string,)},
    ),
    Endpoint("GET", "mlflow/metrics/get-history-bulk", _bulk),
    Endpoint("GET", *_INTERVAL),
)
