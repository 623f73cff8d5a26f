from __future__ import annotations

import math
import statistics
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from typing import Any

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mainspring.features import steps
from mainspring.features.facts import facts_of
from mainspring.features.point_in_time import join
from mainspring.features.state import ViewState
from mainspring.features.types import Aggregation, Entity, Feature, FeatureView
from mainspring.kernel.errors import InvalidInput

START = datetime(2013, 1, 1, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
NAIVE = datetime(2013, 1, 1, 12)  # noqa: DTZ001 -- what a reader of CSV gives


def at(minute: int | None) -> datetime | None:
    return None if minute is None else START + minute * MINUTE


@pytest.fixture(params=[0, 64], ids=["engine", "python"], autouse=True, scope="module")
def few(request: pytest.FixtureRequest) -> Iterator[None]:
    """Few rows are searched for in plain Python and many in the engine; everything here holds for both."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(steps, "_FEW", request.param)
        yield


LATEST = FeatureView(
    name="latest",
    entities=(Entity("pair", ("left", "right")),),
    source="s",
    timestamp="at",
    known_at="known",
    ttl=timedelta(minutes=7),
    features=(Feature("value", "int64"), Feature("double", "float64", "value * 2")),
)
WINDOW = timedelta(minutes=9)
FUNCTIONS = ("count", "sum", "mean", "std", "min", "max")
WINDOWED = FeatureView(
    name="windowed",
    entities=(Entity("pair", ("left", "right")),),
    source="s",
    timestamp="at",
    known_at="known",
    aggregations=(
        *(Aggregation(each, each, WINDOW, "value") for each in FUNCTIONS),
        Aggregation("rows", "count", WINDOW),
        Aggregation("share", "mean", timedelta(minutes=4), "value > 2"),
    ),
)

minutes = st.integers(0, 25)
keys = st.tuples(st.sampled_from(["a", "b", None]), st.integers(0, 1))
facts = st.lists(st.tuples(keys, minutes, st.integers(-3, 15) | st.none(), st.integers(-5, 5) | st.none()), max_size=30)
asked = st.lists(st.tuples(keys, minutes | st.none()), max_size=20)


def source_frame(rows: list[Any]) -> pl.DataFrame:
    return pl.DataFrame(
        {
            "left": [row[0][0] for row in rows],
            "right": [row[0][1] for row in rows],
            "at": [at(row[1]) for row in rows],
            "known": [None if row[2] is None else at(row[1] + row[2]) for row in rows],
            "value": [row[3] for row in rows],
        },
        schema={
            "left": pl.String,
            "right": pl.Int64,
            "at": pl.Datetime("us", "UTC"),
            "known": pl.Datetime("us", "UTC"),
            "value": pl.Int64,
        },
    )


def asked_frame(rows: list[Any]) -> pl.DataFrame:
    return pl.DataFrame(
        {
            "right": [row[0][1] for row in rows],
            "left": [row[0][0] for row in rows],
            "when": [at(row[1]) for row in rows],
            "id": list(range(len(rows))),
        },
        schema={"right": pl.Int32, "left": pl.String, "when": pl.Datetime("ms", "UTC"), "id": pl.Int64},
    )


def usable(rows: list[Any], key: Any, moment: int) -> list[tuple[int, int, int, int | None]]:
    """(event, known, order, value) of the facts about `key` that could be used at `moment`."""
    return [
        (event, event + lag, order, value)
        for order, (owner, event, lag, value) in enumerate(rows)
        if owner == key and lag is not None and max(event, event + lag) <= moment
    ]


@settings(max_examples=80, deadline=None)
@given(facts, asked)
def test_the_latest_known_value_joins_as_in_the_definition(rows: list[Any], questions: list[Any]) -> None:
    frame = asked_frame(questions)
    found = join(frame, [LATEST], sources={"s": source_frame(rows)}, timestamp="when")
    assert found["id"].to_list() == frame["id"].to_list()
    assert found.columns == [*frame.columns, "value", "double"]
    for (key, moment), value, double in zip(questions, found["value"], found["double"], strict=True):
        expected = None
        if None not in (*key, moment):
            event, _, _, latest = max(usable(rows, key, moment), default=(-100, 0, 0, None))
            expected = latest if event >= moment - 7 else None
        assert value == expected
        assert double == (None if expected is None else expected * 2)


@settings(max_examples=80, deadline=None)
@given(facts, asked)
def test_windows_hold_what_happened_in_them_and_was_known(rows: list[Any], questions: list[Any]) -> None:
    found = join(asked_frame(questions), [WINDOWED], sources={"s": source_frame(rows)}, timestamp="when")
    for (key, moment), got in zip(questions, found.iter_rows(named=True), strict=True):
        if None in (*key, moment):
            assert all(got[name] is None for name in WINDOWED.columns)
            continue
        inside = [value for event, _, _, value in usable(rows, key, moment) if event > moment - 9]
        values = [value for value in inside if value is not None]
        assert got["rows"] == len(inside)
        assert got["count"] == len(values)
        assert got["sum"] == sum(values)
        assert got["min"] == min(values, default=None)
        assert got["max"] == max(values, default=None)
        assert close(got["mean"], statistics.mean(values) if values else None)
        assert close(got["std"], statistics.stdev(values) if len(values) > 1 else None)
        recent = [value for event, _, _, value in usable(rows, key, moment) if event > moment - 4]
        short = [value > 2 for value in recent if value is not None]
        assert close(got["share"], sum(short) / len(short) if short else None)


@settings(max_examples=40, deadline=None)
@given(facts, asked, minutes)
def test_what_is_learned_later_changes_nothing_before(rows: list[Any], questions: list[Any], cut: int) -> None:
    """State materialized at any moment answers every earlier moment bit for bit like the state of all facts."""
    past = asked_frame([(key, moment) for key, moment in questions if moment is not None and moment <= cut])
    moments = past["when"].dt.cast_time_unit("us").cast(pl.Int64)
    upto = int((START + cut * MINUTE).timestamp() * 1_000_000)
    for view in (LATEST, WINDOWED):
        whole = ViewState(view, facts_of(view, source_frame(rows)))
        early = ViewState(view, facts_of(view, source_frame(rows), upto=upto))
        assert early.read(past, moments).equals(whole.read(past, moments))


@settings(max_examples=40, deadline=None)
@given(facts, asked, st.integers(1, 4))
def test_a_hop_makes_values_late_and_never_early(rows: list[Any], questions: list[Any], hop: int) -> None:
    exact = FeatureView(
        name="exact",
        entities=WINDOWED.entities,
        source="s",
        timestamp="at",
        known_at="known",
        aggregations=(Aggregation("total", "count", WINDOW),),
    )
    coarse = FeatureView(
        name="coarse",
        entities=WINDOWED.entities,
        source="s",
        timestamp="at",
        known_at="known",
        hop=hop * MINUTE,
        aggregations=(Aggregation("hopped", "count", WINDOW),),
    )
    # At a multiple of the hop since 1970 nothing is late, so both agree; START is a multiple of every hop used here.
    questions = [(key, None if moment is None else moment - moment % 12) for key, moment in questions]
    found = join(asked_frame(questions), [exact, coarse], sources={"s": source_frame(rows)}, timestamp="when")
    assert found["total"].to_list() == found["hopped"].to_list()


def test_fractions_leave_no_more_than_rounding_behind() -> None:
    frame = pl.DataFrame(
        {
            "user": [1] * 500,
            "at": [at(each) for each in range(500)],
            "value": [math.sin(each) + 1e3 for each in range(500)],
        }
    )
    view = FeatureView(
        name="w",
        entities=(Entity("user"),),
        source="s",
        timestamp="at",
        aggregations=(
            Aggregation("mean", "mean", 10 * MINUTE, "value"),
            Aggregation("std", "std", 10 * MINUTE, "value"),
        ),
    )
    rows = frame.select("user", "at")
    found = join(rows, [view], sources={"s": frame}, timestamp="at")
    values = frame["value"].to_list()
    for end in range(2, 500):
        inside = values[max(0, end - 9) : end + 1]
        assert found["mean"][end] == pytest.approx(statistics.mean(inside), rel=1e-12)
        assert found["std"][end] == pytest.approx(statistics.stdev(inside), rel=1e-6)


def test_values_that_are_not_finite_are_left_out() -> None:
    frame = pl.DataFrame({"user": [1, 1, 1], "at": [at(0), at(1), at(2)], "value": [math.nan, math.inf, 4.0]})
    view = FeatureView(
        name="w",
        entities=(Entity("user"),),
        source="s",
        timestamp="at",
        aggregations=(Aggregation("m", "mean", 9 * MINUTE, "value"),),
    )
    rows = pl.DataFrame({"user": [1, 1, 2], "when": [at(1), at(9), at(9)]})
    assert join(rows, [view], sources={"s": frame}, timestamp="when")["m"].to_list() == [None, 4.0, None]


def test_zones_and_dates_are_brought_to_utc() -> None:
    frame = pl.DataFrame({"user": [1], "at": [NAIVE], "value": [5]})
    view = FeatureView(
        name="w", entities=(Entity("user"),), source="s", timestamp="at", features=(Feature("value", "int64"),)
    )
    zoned = pl.Series("when", [NAIVE - MINUTE, NAIVE]).dt.replace_time_zone("UTC")
    rows = pl.DataFrame({"user": [1, 1], "when": zoned.dt.convert_time_zone("America/New_York")})
    assert join(rows, [view], sources={"s": frame}, timestamp="when")["value"].to_list() == [None, 5]
    days = pl.DataFrame({"user": [1, 1], "when": [date(2013, 1, 1), date(2013, 1, 2)]})
    assert join(days, [view], sources={"s": frame}, timestamp="when")["value"].to_list() == [None, 5]


def test_few_rows_against_many_entities_answer_like_many_rows() -> None:
    names = [f"user-{each}" for each in range(1000)]
    frame = pl.DataFrame({"user": names, "at": [at(0)] * 1000, "value": list(range(1000))})
    view = FeatureView(
        name="w", entities=(Entity("user"),), source="s", timestamp="at", features=(Feature("value", "int64"),)
    )
    state = ViewState(view, facts_of(view, frame))
    many = state.read(frame, pl.Series([at(1)] * 1000).dt.cast_time_unit("us").cast(pl.Int64))
    few = pl.DataFrame({"user": ["user-7", "nobody", None, "user-999"]})
    found = state.read(few, pl.Series([at(1)] * 4).dt.cast_time_unit("us").cast(pl.Int64))
    assert many["value"].to_list() == list(range(1000))
    assert found["value"].to_list() == [7, None, None, 999]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"timestamp": "att"}, "no column 'att'"),
        ({"where": "value >"}, "is not an expression"),
        ({"features": (Feature("value", "int64", "(SELECT 1)"),)}, "cannot be computed|is not an expression"),
        ({"features": (Feature("value", "int64", "left"),)}, "cannot be computed"),
        ({"features": ()}, "neither features nor aggregations"),
        ({"features": (Feature("left"),)}, "two columns named 'left'"),
        ({"ttl": timedelta(0)}, "ttl must be positive"),
        ({"aggregations": (Aggregation("x", "mean", timedelta(1)),)}, "needs an expression"),
        ({"aggregations": (Aggregation("x", "count", timedelta(0)),)}, "window must be positive"),
    ],
)
def test_a_wrong_definition_is_refused_with_its_reason(change: dict[str, Any], message: str) -> None:
    plain = {name: getattr(LATEST, name) for name in LATEST.__struct_fields__}
    view, source = FeatureView(**{**plain, **change}), source_frame([(("a", 1), 1, 0, 1)])
    with pytest.raises(InvalidInput, match=message):
        join(asked_frame([(("a", 0), 3)]), [view], sources={"s": source}, timestamp="when")


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        (asked_frame([]).drop("left"), "needs the join key 'left'"),
        (asked_frame([]).drop("when"), "no column 'when'"),
        (asked_frame([(("a", 1), 1)]).with_columns(pl.col("when").cast(pl.String)), "not a time"),
        (asked_frame([(("a", 1), 1)]).with_columns(pl.lit("x").alias("right")), "do not fit"),
        (asked_frame([]).with_columns(pl.lit(1).alias("value")), "both have a column 'value'"),
    ],
)
def test_wrong_rows_are_refused_with_their_reason(rows: pl.DataFrame, message: str) -> None:
    with pytest.raises(InvalidInput, match=message):
        join(rows, [LATEST], sources={"s": source_frame([])}, timestamp="when")


def test_a_definition_has_one_digest_and_any_change_another() -> None:
    plain = {name: getattr(LATEST, name) for name in LATEST.__struct_fields__}
    assert FeatureView(**plain).digest == LATEST.digest
    assert FeatureView(**{**plain, "ttl": timedelta(minutes=8)}).digest != LATEST.digest


def close(got: float | None, expected: float | None) -> bool:
    if got is None or expected is None:
        return got is expected
    return math.isclose(got, expected, rel_tol=1e-9, abs_tol=1e-9)
