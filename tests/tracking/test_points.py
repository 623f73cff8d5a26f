"""Points: the codec, chunks that grow, and what series make of them."""

from __future__ import annotations

import contextlib
import math
import random
from array import array
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from mainspring.client import Client
from mainspring.kernel.errors import Damaged, InvalidInput
from mainspring.kernel.ids import new_id
from mainspring.tracking.chunks import CHUNK_POINTS, Points, decode_points, encode_points
from mainspring.tracking.columns import decode_floats, decode_integers, encode_floats, encode_integers
from mainspring.tracking.frames import encode_frame
from mainspring.tracking.outlines import decode_outline, encode_outline, outline_of
from mainspring.tracking.types import PointsRecord, RunStart, Series

pytestmark = pytest.mark.databases("sqlite")

INT64 = st.integers(-(2**63), 2**63 - 1)
FLOATS = st.one_of(
    st.floats(), st.floats(width=32), st.integers(-1000, 70_000).map(float), st.sampled_from([0.0, -0.0, math.nan])
)


def started(client: Client, **options: Any) -> str:
    run = RunStart(new_id(), "e", **options)
    client.tracking.start(run)
    return run.run_id


def append(client: Client, run_id: str, points: list[tuple[int, int, dict[str, float]]]) -> None:
    body = b"".join(encode_frame(PointsRecord(*each)) for each in points)
    client.tracking.append(run_id, writer="", sequence=0, body=[body])


def curve(count: int, *, start: int = 0) -> list[tuple[int, int, dict[str, float]]]:
    source = random.Random(count)
    return [(step, step * 1000, {"loss": source.gauss(0, 1)}) for step in range(start, start + count)]


def stored(client: Client) -> tuple[int, int]:
    """How many chunks there are, and their bytes."""
    with client.backend.store.read() as tx:
        return tx.rows("SELECT count(*), sum(length(points) + length(coalesce(outline, ''))) FROM metric_chunk")[0]


def series(client: Client, run_ids: list[str], *, keys: list[str] | None = None, **options: Any) -> list[Series]:
    return client.tracking.series(run_ids, keys=keys or ["loss"], **options)


@given(st.lists(INT64), st.sampled_from([1, 100]))
@example([-(2**63), 2**63 - 1], 1)
@example([5], 100)
def test_columns_of_integers_come_back(values: list[int], times: int) -> None:
    column = array("q", values * times)
    data = b"before" + encode_integers(column) + b"after"
    found = decode_integers(data, 6, len(column))
    assert found.whole() == column
    assert data[found.stop :] == b"after"


@given(st.lists(FLOATS, min_size=1), st.sampled_from([1, 100]))
@example([1.0, -0.0, 1.0], 1)
@example([1e300, 1.0], 1)
def test_columns_of_floats_come_back_to_the_bit(values: list[float], times: int) -> None:
    column = array("d", values * times)
    assert decode_floats(encode_floats(column), 0, len(column)).whole().tobytes() == column.tobytes()


@given(st.lists(st.tuples(INT64, st.integers(0, 2**60), FLOATS), min_size=1, max_size=20), st.integers(13, 30))
def test_packed_chunks_keep_every_bit(rows: list[tuple[int, int, float]], times: int) -> None:
    whole = Points(*zip(*(rows * times * 20), strict=True))
    found = decode_points(encode_points(whole))
    assert (found.steps, found.times, found.values.tobytes()) == (whole.steps, whole.times, whole.values.tobytes())


@given(st.binary(max_size=200), st.data())
def test_bytes_that_are_no_chunk_are_damaged(noise: bytes, data: st.DataObject) -> None:
    whole = encode_points(Points(range(300), range(300), [math.sin(step) for step in range(300)]))
    cut = whole[: data.draw(st.integers(0, len(whole) - 1))]
    with pytest.raises(Damaged):
        decode_points(cut)
    with contextlib.suppress(Damaged):
        assert len(decode_points(bytes([2]) + noise)) >= 0  # never anything but points or `Damaged`


@given(st.lists(st.tuples(st.integers(-100, 100), FLOATS), min_size=1, max_size=400))
def test_outlines_come_back_and_bound_their_blocks(rows: list[tuple[int, float]]) -> None:
    rows.sort(key=lambda row: row[0])
    points = Points([step for step, _ in rows], range(len(rows)), [value for _, value in rows])
    outline = outline_of(points)
    assert outline is not None
    found = decode_outline(encode_outline(outline))
    for name in ("steps", "at", "counts", "finite", "minimum", "maximum", "mean", "last"):
        assert getattr(found, name).tobytes() == getattr(outline, name).tobytes()
    start = 0
    for place, count in enumerate(found.counts):
        block = [value for value in points.values[start : start + count] if math.isfinite(value)]
        assert found.finite[place] == len(block)
        if block:
            assert (found.minimum[place], found.maximum[place]) == (min(block), max(block))
            assert min(block) <= found.mean[place] * (1 + 1e-9) or found.mean[place] >= min(block) * (1 + 1e-9)
        start += count
    assert start == len(points)


def test_steps_out_of_order_have_no_outline() -> None:
    assert outline_of(Points([2, 1], [0, 1], [1.0, 2.0])) is None


def test_an_ordinary_curve_takes_at_most_six_bytes_a_point(client: Client) -> None:
    run_id, source = started(client), random.Random(1)
    moment, count, records = 1_700_000_000_000_000, 50_000, []
    for step in range(count):
        moment += int(source.gauss(20_000, 400))  # 50 steps a second, not quite even
        loss, acc = 2 * math.exp(-step / 9000) + source.gauss(0, 0.05), min(1.0, step / count + source.gauss(0, 0.02))
        records.append((step, moment, dict(zip(("loss", "acc"), array("f", [loss, acc]), strict=True))))
    for start in range(0, count, 7000):
        append(client, run_id, records[start : start + 7000])
    _, size = stored(client)
    assert size / (2 * count) <= 6
    assert client.tracking.history(run_id, "loss")["value"].to_list() == [each[2]["loss"] for each in records]


@pytest.mark.parametrize("batch", [1, 37, 300, 5000])
def test_however_points_arrive_chunks_are_few_and_in_order(client: Client, batch: int) -> None:
    run_id, count = started(client), 1100 if batch == 1 else 20_000
    points = curve(count)
    for start in range(0, count, batch):
        append(client, run_id, points[start : start + batch])
    chunks, _ = stored(client)
    metric = client.tracking.get(run_id).metrics["loss"]
    assert chunks == metric.chunks <= count // CHUNK_POINTS + 6
    assert client.tracking.history(run_id, "loss")["value"].to_list() == [each[2]["loss"] for each in points]
    last = points[-1]
    assert (metric.count, metric.step, metric.last) == (count, last[0], last[2]["loss"])


def expected(points: list[tuple[int, int, float]], found: Series, axis: int) -> None:
    """Every stretch says the truth about the points that are in it."""
    points = sorted(points, key=lambda each: (each[axis], each[0], each[1]))
    start = 0
    for place, count in enumerate(found.counts):
        inside = points[start : start + count]
        finite = [value for _, _, value in inside if math.isfinite(value)]
        assert found.steps[place] == inside[0][0]
        assert found.at[place] == inside[-1][1]
        assert found.minimum[place] == min(finite, default=None)
        assert found.maximum[place] == max(finite, default=None)
        last = inside[-1][2]
        assert found.last[place] == (last if math.isfinite(last) else None)
        if finite:
            assert found.mean[place] == pytest.approx(math.fsum(finite) / len(finite), rel=1e-6, abs=1e-6)
        start += count
    assert start == len(points) == found.count


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.data())
def test_stretches_say_the_truth(client: Client, data: st.DataObject) -> None:
    run_id = started(client)
    value = st.one_of(st.floats(-1e6, 1e6), st.sampled_from([math.nan, math.inf, -math.inf]))
    steps = data.draw(st.lists(st.integers(-50, 500), min_size=1, max_size=150, unique=True))
    points = [(step, place, data.draw(value)) for place, step in enumerate(steps)]
    for start in range(0, len(points), 40):
        append(client, run_id, [(step, at, {"loss": number}) for step, at, number in points[start : start + 40]])
    buckets = data.draw(st.integers(1, 200))
    for axis, x in enumerate(("step", "time")):
        (found,) = series(client, [run_id], buckets=buckets, x=x)
        assert len(found.steps) <= max(buckets, 1)
        expected(points, found, axis)


@pytest.mark.parametrize("x", ["step", "time"])
def test_long_histories_are_read_from_outlines_and_lose_no_spike(client: Client, x: str) -> None:
    run_id, count = started(client), 60_000
    points = curve(count)
    for place, value in ((123, 99.0), (40_960, -99.0), (59_999, math.nan), (7777, math.inf)):
        points[place][2]["loss"] = value
    for start in range(0, count, 10_000):
        append(client, run_id, points[start : start + 10_000])
    with client.backend.store.bookkeeping() as tx:  # no points are read where outlines will do
        tx.execute("UPDATE metric_chunk SET points = ? WHERE outline IS NOT NULL", (b"\xff",))
    (found,) = series(client, [run_id], buckets=100, x=x)
    assert len(found.steps) == 100
    assert (max(filter(None, found.maximum)), min(filter(None, found.minimum))) == (99.0, -99.0)
    expected([(step, at, values["loss"]) for step, at, values in points], found, 0)


def test_points_that_arrive_late_are_in_their_place(client: Client) -> None:
    run_id = started(client)
    append(client, run_id, curve(30_000, start=30_000))
    append(client, run_id, curve(30_000))
    (found,) = series(client, [run_id], buckets=60)
    assert found.steps == list(range(0, 60_000, 1000))
    assert found.counts == [1000] * 60


def test_many_runs_and_metrics_in_one_answer(client: Client) -> None:
    ids = [started(client) for _ in range(3)]
    for number, run_id in enumerate(ids):
        metrics = {"loss": float(number), "acc": -float(number)} if number != 1 else {"loss": 1.0}
        append(client, run_id, [(step, step, metrics) for step in range(10 * (number + 1))])
    found = series(client, ids, keys=["loss", "acc", "none"], buckets=4)
    assert [(ids.index(each.run_id), each.key, each.count) for each in found] == [
        (0, "loss", 10),
        (0, "acc", 10),
        (1, "loss", 20),
        (2, "loss", 30),
        (2, "acc", 30),
    ]
    assert all(len(each.steps) == 4 and sum(each.counts) == each.count for each in found)
    assert {value for each in found for value in each.last} == {0.0, 1.0, 2.0, -2.0}
    assert series(client, ids, keys=["none"]) == []


def test_a_cursor_gives_only_what_is_new(client: Client) -> None:
    run_id, other = started(client), started(client)
    append(client, run_id, curve(5000))
    append(client, other, curve(10))
    before = series(client, [run_id, other])
    since = " ".join(each.cursor for each in before)
    assert series(client, [run_id, other], since=since) == []
    append(client, run_id, [(step, step, {"loss": float(step)}) for step in (5000, 5001)])
    (new,) = series(client, [run_id, other], since=since)
    assert (new.run_id, new.count, new.steps, new.last) == (run_id, 5002, [5000, 5001], [5000.0, 5001.0])
    append(client, run_id, curve(4000, start=6000))
    (newer,) = series(client, [run_id], since=new.cursor, buckets=10)
    assert (sum(newer.counts), newer.steps[0], newer.count) == (4000, 6000, 9002)
    with pytest.raises(InvalidInput, match="not a cursor"):
        series(client, [run_id], since="yesterday")


def test_another_metric_may_be_the_axis(client: Client) -> None:
    run_id = started(client)
    append(client, run_id, [(step, step, {"loss": float(step), "epoch": (9 - step) / 2}) for step in range(10)])
    append(client, run_id, [(10, 10, {"loss": 7.0}), (11, 11, {"loss": 8.0, "epoch": math.nan})])
    (found,) = series(client, [run_id], x="epoch")
    assert found.x == [step / 2 for step in range(10)]
    assert found.last == [float(9 - step) for step in range(10)]
    (coarse,) = series(client, [run_id], x="epoch", buckets=2)
    assert coarse.counts == [5, 5]
    assert coarse.maximum == [9.0, 4.0]


def test_the_most_telling_points_keep_the_shape(client: Client) -> None:
    run_id, count = started(client), 20_000
    points = [(step, step, {"loss": math.sin(step / 1000)}) for step in range(count)]
    points[5555][2]["loss"], points[6000][2]["loss"] = 50.0, math.nan
    append(client, run_id, points)
    (found,) = series(client, [run_id], buckets=200, method="lttb")
    assert (len(found.steps), found.steps[0], found.steps[-1]) == (200, 0, count - 1)
    assert 5555 in found.steps
    assert all(points[step][2]["loss"] == value for step, value in zip(found.steps, found.last, strict=True))
    assert found.count == count
    (few,) = series(client, [run_id], buckets=2, method="lttb")
    assert few.steps == [0, count - 1]


def test_a_fork_is_its_parent_up_to_a_step_and_its_own_after(client: Client) -> None:
    parent = started(client)
    append(client, parent, [(step, step, {"loss": float(step), "old": 1.0}) for step in range(10_000)])
    fork = started(client, forked_from=parent, fork_step=4999)
    append(client, fork, [(step, step, {"loss": -float(step)}) for step in range(5000, 5010)])
    again = started(client, forked_from=fork, fork_step=5004)
    append(client, again, [(5005, 5005, {"loss": 0.5})])
    append(client, parent, [(100, 100, {"late": 1.0})])
    chunks, _ = stored(client)
    assert chunks == 3 + 3 + 1 + 1 + 1  # nothing was copied
    values = client.tracking.history(again, "loss")["value"].to_list()
    assert values == [*map(float, range(5000)), *(-float(step) for step in range(5000, 5005)), 0.5]
    first, second = series(client, [fork, again], buckets=20_000)
    assert (first.count, first.steps, first.last[-1]) == (5010, list(range(5010)), -5009.0)
    assert (second.count, second.last) == (5006, values)
    (old,) = series(client, [again], keys=["old"], buckets=10)
    assert (old.count, sum(old.counts)) == (5000, 5000)
    assert series(client, [again], since=second.cursor) == []
    append(client, again, [(5006, 5006, {"loss": 0.25})])
    (new,) = series(client, [again], since=second.cursor)
    assert (new.count, new.steps) == (5007, [5006])


def test_buckets_are_bounded(client: Client) -> None:
    run_id = started(client)
    append(client, run_id, curve(3))
    for buckets in (0, 100_001):
        with pytest.raises(InvalidInput, match="buckets"):
            series(client, [run_id], buckets=buckets)
