"""Spans that come in any order, and what they tell of their trace."""

from __future__ import annotations

from datetime import datetime, timedelta
from itertools import permutations

import pytest

from mainspring.client.client import Client
from mainspring.kernel.errors import InvalidInput, NotFound
from mainspring.tracking.traces_spans import TraceSpan

SECOND = 1_000_000_000
START = 1_700_000_000 * SECOND


def span(
    name: str, start: float, stop: float, *, parent: str = "", trace: str = "tr-1", state: str = "ok"
) -> TraceSpan:
    return TraceSpan(
        trace,
        name,
        name,
        START + int(start * SECOND),
        START + int(stop * SECOND) if stop else 0,
        parent,
        state,  # type: ignore[arg-type]  # one of the three
        request="why" if not parent else "",
        tags={"team": "air"} if not parent else {"ignored": "yes"},
        metadata={"user": "ada"},
        body={"name": name},
    )


SPANS = (span("root", 0.25, 2), span("child", 0.5, 1, parent="root"), span("early", 0, 0.5, parent="root"))


@pytest.mark.parametrize("order", list(permutations(range(3))))
def test_any_order_gives_the_same_spans(client: Client, order: tuple[int, ...]) -> None:
    number = client.tracking.create_experiment("asked").id
    for place in order:
        client.tracking.put_spans(experiment_id=number, spans=[SPANS[place]], tags={"where": "here"})
        seen = {SPANS[each].name for each in order[: order.index(place) + 1]}
        (trace,) = client.tracking.traces(["tr-1"])
        assert trace.trace.state == ("ok" if "root" in seen else "in_progress")
        assert (trace.trace.duration is None) == ("root" not in seen)
    assert [each["name"] for each in client.tracking.spans(["tr-1"])["tr-1"]] == ["early", "root", "child"]
    assert trace.tags == {"team": "air", "where": "here"}
    assert trace.metadata == {"user": "ada"}
    assert trace.trace.request == "why"


def test_one_batch_tells_all(client: Client) -> None:
    number = client.tracking.create_experiment("asked").id
    told = client.tracking.put_spans(
        experiment_id=number, spans=[*SPANS, span("other", 0, 1, trace="tr-2", state="error")], run_id="abc"
    )
    assert sorted(told) == ["tr-1", "tr-2"]
    first, second = client.tracking.traces(["tr-1", "tr-2"])
    assert (first.trace.duration, second.trace.duration, second.trace.state) == (2000, 1000, "error")
    assert first.trace.started_at.timestamp() == START / SECOND
    assert first.metadata["mlflow.sourceRun"] == "abc"
    again = [span("root", 0.25, 9), TraceSpan("tr-1", "root", "root", START, body={"name": "renamed"})]
    client.tracking.put_spans(experiment_id=number, spans=again)
    assert [each["name"] for each in client.tracking.spans(["tr-1"])["tr-1"]] == ["early", "renamed", "child"]
    assert client.tracking.traces(["tr-1"])[0].trace.duration == 2000  # it had ended
    assert client.tracking.delete_traces(experiment_id=number, trace_ids=["tr-1"]) == 1
    assert client.tracking.spans(["tr-1", "tr-2"]) == {"tr-2": [{"name": "other"}]}


def test_what_a_client_said_of_the_whole_is_not_changed(client: Client) -> None:
    number = client.tracking.create_experiment("asked").id
    began = datetime.fromisoformat("2026-01-02T03:04:05+00:00")
    client.tracking.put_trace("tr-1", experiment_id=number, started_at=began, duration=7, state="error")
    client.tracking.put_spans(experiment_id=number, spans=list(SPANS))
    (trace,) = client.tracking.traces(["tr-1"])
    assert (trace.trace.state, trace.trace.duration, trace.trace.started_at - began) == ("error", 7, timedelta())
    assert len(client.tracking.spans(["tr-1"])["tr-1"]) == 3


@pytest.mark.parametrize(
    "wrong",
    [
        TraceSpan("", "a", "a", START),
        TraceSpan("tr-1", "", "a", START),
        TraceSpan("a/b", "a", "a", START),
        TraceSpan("tr-1", "a" * 251, "a", START),
        TraceSpan("tr-1", "a", "a", -1),
        TraceSpan("tr-1", "a", "a", START, (1 << 64) - 1),
    ],
)
def test_a_wrong_span_is_refused_with_its_batch(client: Client, wrong: TraceSpan) -> None:
    number = client.tracking.create_experiment("asked").id
    with pytest.raises(InvalidInput):
        client.tracking.put_spans(experiment_id=number, spans=[SPANS[0], wrong])
    assert client.tracking.traces(["tr-1"]) == []
    with pytest.raises(NotFound):
        client.tracking.put_spans(experiment_id=number + 1, spans=[SPANS[0]])
