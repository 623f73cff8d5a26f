"""A series in part: only the columns that somebody draws, with as many digits as a screen shows."""

from __future__ import annotations

import math

import msgspec
import pytest

from mainspring.kernel.errors import InvalidInput


@pytest.fixture
def logged(any_client):
    with any_client.tracking.run("curves", source=False) as run:
        for step in range(40):
            run.log(step=step, loss=math.nan if step == 7 else 1 / (step + 3))
    return any_client, run.id


def test_only_the_columns_that_are_asked_for_are_there(logged):
    client, run_id = logged
    (whole,) = client.tracking.series([run_id], keys=["loss"], buckets=10)
    (part,) = client.tracking.series([run_id], keys=["loss"], buckets=10, columns=["steps", "maximum"])
    assert (part.steps, part.maximum) == (whole.steps, whole.maximum)
    assert (part.at, part.counts, part.minimum, part.mean, part.last) == ([], [], [], [], [])
    assert (part.run_id, part.key, part.count, part.cursor) == (run_id, "loss", 40, whole.cursor)


def test_numbers_are_shortened_where_that_is_asked_for(logged):
    client, run_id = logged
    (whole,) = client.tracking.series([run_id], keys=["loss"], buckets=100)
    (short,) = client.tracking.series([run_id], keys=["loss"], buckets=100, digits=4)
    assert short.last[7] is None
    assert short.last != whole.last
    for ours, exact in zip(short.last, whole.last, strict=True):
        assert ours == exact or ours == pytest.approx(exact, rel=5e-4)
        assert ours is None or len(f"{ours:.15g}".lstrip("0.")) <= 4
    assert len(msgspec.json.encode(short)) < 0.8 * len(msgspec.json.encode(whole))
    assert short.steps == whole.steps


def test_what_a_series_has_not_is_said(logged):
    client, run_id = logged
    for wrong in ({"columns": ["value"]}, {"digits": 18}, {"digits": -1}):
        with pytest.raises(InvalidInput):
            client.tracking.series([run_id], keys=["loss"], **wrong)
