"""Detectors on streams say what river's say, and go on from a kept state as if nothing had happened."""

from __future__ import annotations

import random

import msgspec
import pytest

from mainspring.kernel.errors import InvalidInput
from mainspring.quality.streams import DETECTORS, StreamState, open_stream, resume_stream

river = pytest.importorskip("river")


LENGTHS = {detector: 450 if detector == "kswin" else 2000 for detector in DETECTORS}  # KSWIN tests at every value


def stream_of(detector, seed):
    """Numbers, or errors for the detectors that watch those, whose law moves twice."""
    draw, length = random.Random(seed), LENGTHS[detector]
    levels = [0.1, 0.45, 0.2] if detector in {"ddm", "eddm"} else [0.0, 2.0, -1.0]
    for place in range(length):
        level = levels[place * 3 // length]
        yield float(draw.random() < level) if detector in {"ddm", "eddm"} else draw.gauss(level, 1)


def theirs(detector, parameters):
    import importlib

    module, name = DETECTORS[detector]
    return getattr(importlib.import_module(module), name)(**parameters)


PARAMETERS = {
    "adwin": [{}, {"delta": 0.2, "clock": 4, "max_buckets": 3, "min_window_length": 2, "grace_period": 30}],
    "ddm": [{}, {"warm_start": 10, "drift_threshold": 2.5}],
    "eddm": [{}, {"warm_start": 50, "alpha": 0.9, "beta": 0.8}],
    "kswin": [{"seed": 3}, {"seed": 4, "alpha": 0.001, "window_size": 80, "stat_size": 20}],
    "page_hinkley": [{}, {"threshold": 20.0, "mode": "up"}],
}


@pytest.mark.parametrize("detector", DETECTORS)
@pytest.mark.parametrize("variant", [0, 1])
def test_every_value_means_what_it_means_to_river(detector, variant):
    parameters = PARAMETERS[detector][variant]
    for seed in range(1 if detector == "kswin" else 4):
        ours, other = open_stream(detector, **parameters), theirs(detector, parameters)
        expected = []
        for place, value in enumerate(stream_of(detector, seed)):
            other.update(bool(value) if detector in {"ddm", "eddm"} else value)
            if other.drift_detected:
                expected.append((place, "drift"))
            elif getattr(other, "warning_detected", False):
                expected.append((place, "warning"))
        found = ours.feed_all(stream_of(detector, seed))
        assert [(watch.at, watch.verdict) for watch in found] == expected
        assert ours.seen == LENGTHS[detector]
    assert any(watch.verdict == "drift" for watch in found)


@pytest.mark.parametrize("detector", DETECTORS)
def test_a_resumed_stream_goes_on_as_the_one_that_never_stopped(detector):
    parameters = PARAMETERS[detector][0]
    values = list(stream_of(detector, 11))
    whole = open_stream(detector, **parameters)
    whole.feed_all(values)
    cut = open_stream(detector, **parameters)
    for start in range(0, len(values), 113):
        cut.feed_all(values[start : start + 113])
        kept = msgspec.json.encode(cut.state())
        assert len(kept) < 60_000
        cut = resume_stream(kept)
    assert cut.watches == whole.watches
    assert cut.watches
    assert cut.state() == whole.state()


def test_a_new_stream_may_be_kept_and_resumed():
    stream = resume_stream(open_stream("ddm").state())
    assert (stream.seen, stream.watches) == (0, ())


def test_what_is_no_stream_is_refused():
    with pytest.raises(InvalidInput, match="adwin"):
        open_stream("adwinn")
    with pytest.raises(InvalidInput, match="parameters"):
        open_stream("ddm", colour="red")
    with pytest.raises(InvalidInput, match="finite"):
        open_stream("adwin").feed(float("nan"))
    with pytest.raises(InvalidInput, match="0 or 1"):
        open_stream("ddm").feed(0.5)
    with pytest.raises(InvalidInput, match="not the state"):
        resume_stream(b"[]")
    with pytest.raises(InvalidInput, match="not the state"):
        resume_stream(StreamState(detector="ddm", parameters={}, seen=1, watches=(), inner={"held": {"nothing": 1}}))
