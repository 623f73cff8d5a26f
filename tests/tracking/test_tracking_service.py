from __future__ import annotations

import math
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mainspring.client import Client
from mainspring.kernel import clock
from mainspring.kernel.errors import Conflict, InvalidInput, NotFound
from mainspring.kernel.hooks import TICKERS, load
from mainspring.kernel.ids import new_id
from mainspring.tracking.chunks import Points, decode_points, encode_points
from mainspring.tracking.frames import encode_frame
from mainspring.tracking.reaper import Reaper
from mainspring.tracking.types import FinishRecord, PointsRecord, RunStart, TagsRecord

pytestmark = pytest.mark.databases("sqlite")  # what speaks SQL of its own runs on both


def started(client: Client, experiment: str = "e", **options: Any) -> str:
    run = RunStart(new_id(), experiment, **options)
    client.tracking.start(run)
    return run.run_id


def points(*values: float, key: str = "loss", step: int = 0) -> bytes:
    return b"".join(encode_frame(PointsRecord(step + each, each, {key: value})) for each, value in enumerate(values))


def test_beginning_twice_is_beginning_once(client: Client) -> None:
    run = RunStart(new_id(), "e", title="t")
    assert client.tracking.start(run) == client.tracking.start(run)
    with pytest.raises(NotFound):
        client.tracking.start(RunStart(new_id(), "e", parent_id=new_id()))


@pytest.mark.databases("sqlite", "postgres")
def test_a_batch_counts_once_however_often_it_is_sent(client: Client) -> None:
    run_id = started(client)
    for _ in range(3):
        assert client.tracking.append(run_id, writer="w", sequence=0, body=[points(1, 2)]).applied == 2
    assert client.tracking.append(run_id, writer="w", sequence=1, body=[points(2, 3, 4, step=1)]).applied == 4
    assert client.tracking.append(run_id, writer="other", sequence=0, body=[points(9, step=8)]).applied == 1
    assert client.tracking.history(run_id, "loss")["value"].to_list() == [1, 2, 3, 4, 9]
    with pytest.raises(Conflict) as gap:
        client.tracking.append(run_id, writer="w", sequence=9, body=[points(1)])
    assert gap.value.details == {"applied": 4}


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.data())
def test_any_split_and_any_repetition_gives_the_same_history(client: Client, data: st.DataObject) -> None:
    run_id = started(client)
    values = data.draw(st.lists(st.floats(), min_size=1, max_size=60))
    frames = [encode_frame(PointsRecord(place, place, {"loss": value})) for place, value in enumerate(values)]
    sent = 0
    while sent < len(frames):
        begin = data.draw(st.integers(0, sent))
        end = data.draw(st.integers(begin + 1, len(frames)))
        client.tracking.append(run_id, writer="w", sequence=begin, body=[b"".join(frames[begin:end])])
        sent = max(sent, end)
    found = client.tracking.history(run_id, "loss")["value"].to_list()
    assert encode_points(Points(range(len(found)), range(len(found)), found)) == encode_points(
        Points(range(len(values)), range(len(values)), values)
    )
    metric = client.tracking.get(run_id).metrics["loss"]
    finite = [value for value in values if math.isfinite(value)]
    assert (metric.count, metric.minimum, metric.maximum) == (
        len(values),
        min(finite, default=None),
        max(finite, default=None),
    )


@given(st.lists(st.tuples(st.integers(-(2**63), 2**63 - 1), st.integers(0, 2**60), st.floats())))
def test_chunks_keep_every_bit(rows: list[tuple[int, int, float]]) -> None:
    whole = Points(*zip(*rows, strict=True)) if rows else Points()
    data = encode_points(whole)
    assert encode_points(decode_points(data)) == data
    assert len(data) == 1 + 24 * len(rows)


@pytest.mark.parametrize("body", [b"x", points(1)[:-1], points(1) + b"\x00", points(1)[:-1] + b"\xff"])
def test_a_damaged_batch_is_refused_whole(client: Client, body: bytes) -> None:
    run_id = started(client)
    with pytest.raises(InvalidInput):
        client.tracking.append(run_id, writer="w", sequence=0, body=[points(1), body])
    assert client.tracking.get(run_id).metrics == {}
    assert client.tracking.append(run_id, writer="w", sequence=0, body=[b""]).applied == 0


def test_points_write_no_audit_event_and_tags_do(client: Client) -> None:
    run_id = started(client)
    before = len(client.storage.events())
    client.tracking.append(run_id, writer="w", sequence=0, body=[points(1, 2)])
    assert len(client.storage.events()) == before
    client.tracking.append(run_id, writer="w", sequence=2, body=[encode_frame(TagsRecord({"a": "b"}))])
    assert [event.action for event in client.storage.events()][: 1 - before or None][0] == "tracking.append"


@pytest.mark.databases("sqlite", "postgres")
def test_a_silent_run_is_found_by_the_reapers_own_clock(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    moment = 0.0
    monkeypatch.setattr("mainspring.tracking.reaper.monotonic", lambda: moment)
    silent, beating = started(client), started(client)
    reaper = Reaper(client.backend.store, silence=60)
    assert reaper.look() == []
    with clock.turned(clock.from_micros(0) - clock.from_micros(10**15)):  # a clock that is far back kills nobody
        moment = 59.0
        client.tracking.beat(beating)
        assert reaper.look() == []
    moment = 61.0
    assert reaper.look() == [silent]
    assert (client.tracking.get(silent).status, client.tracking.get(beating).status) == ("crashed", "running")
    client.tracking.beat(silent)  # it was only slow
    assert client.tracking.get(silent).status == "running"
    client.tracking.append(silent, writer="w", sequence=0, body=[encode_frame(FinishRecord("finished"))])
    assert client.tracking.get(silent).status == "finished"


def test_the_scheduler_reaps(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    moments = iter([0.0, 1000.0])
    monkeypatch.setattr("mainspring.tracking.reaper.monotonic", lambda: next(moments))
    run_id = started(client)
    for _ in range(2):
        load(TICKERS["runs"])(client)
    assert client.tracking.get(run_id).status == "crashed"
