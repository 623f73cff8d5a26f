"""The one clock: whole microseconds, UTC, and it can be turned."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

from hypothesis import given
from hypothesis import strategies as st

from mainspring.kernel.clock import from_micros, monotonic, now, now_micros, to_micros, turned

ANY = st.datetimes(datetime(1, 1, 2), datetime(9999, 12, 30), timezones=st.just(UTC))  # noqa: DTZ001 -- bounds are naive


@given(ANY)
def test_a_moment_survives_as_microseconds(moment):
    assert from_micros(to_micros(moment)) == moment


@given(ANY, st.integers(-12 * 60, 14 * 60))
def test_a_zone_changes_nothing_of_the_moment(moment, minutes):
    elsewhere = moment.astimezone(timezone(timedelta(minutes=minutes)))
    assert to_micros(elsewhere) == to_micros(moment)


def test_a_naive_moment_is_taken_as_utc():
    assert to_micros(datetime(1970, 1, 1, 0, 0, 1)) == 1_000_000  # noqa: DTZ001 -- naive on purpose


@given(st.timedeltas(timedelta(days=-1000), timedelta(days=1000)))
def test_the_clock_turns_inside_the_block_only(by):
    before = now()
    with turned(by):
        inside = now()
        with turned(-by):
            assert abs(now() - before) < timedelta(minutes=1)
    assert abs(inside - before - by) < timedelta(minutes=1)
    assert abs(now() - before) < timedelta(minutes=1)


def test_it_is_set_right_again_after_an_error():
    try:
        with turned(timedelta(days=9)):
            raise RuntimeError
    except RuntimeError:
        pass
    assert abs(now() - datetime.now(UTC)) < timedelta(minutes=1)


def test_durations_do_not_notice():
    start = monotonic()
    with turned(timedelta(days=-9)):
        assert monotonic() >= start
    assert now().tzinfo is UTC
    assert isinstance(now_micros(), int)
