"""A year of flights and weather: the known faults of the data are found without being told what they are."""

from __future__ import annotations

import polars as pl

from mainspring.quality import drift, expect, merge_all, quarantine, validate_table
from mainspring.quality.inference import infer_suite, update_suite
from mainspring.quality.profiles.build import profile_frame


def month(frame, number):
    return frame.filter(pl.col("month") == number)


def test_what_held_in_january_finds_the_impossible_wind_of_february(weather):
    suite = infer_suite(month(weather, 1), name="weather")
    assert validate_table(month(weather, 1), suite).verdict == "passed"
    report = validate_table(month(weather, 2), suite)
    (failure,) = report.failures
    assert failure.expectation.column == "wind_speed"
    assert failure.values == ((1048.36058, 1),)
    assert (failure.sample[0]["day"], failure.sample[0]["origin"]) == (12, "EWR")
    good, bad = quarantine(month(weather, 2), suite)
    assert (good.height, bad.height) == (month(weather, 2).height - bad.height, bad.height)
    assert bad.filter(pl.col("wind_speed") > 1000).height == 1
    keys = [each.columns for each in suite.expectations if each.kind == "compound_columns_to_be_unique"]
    assert keys == [("origin", "time_hour")]


def test_flights_without_a_tail_number_are_found_and_set_aside(flights):
    january = month(flights, 1)
    suite = expect("flights").column("tailnum").not_null().matches("^N[0-9A-Z]+$").suite
    report = validate_table(flights, suite)
    assert [each.unexpected for each in report.results] == [2512, 4]
    assert report.results[1].values == (("D942DN", 4),)
    _, bad = quarantine(january, suite)
    assert bad.height == january.get_column("tailnum").null_count() == 155  # the four stray numbers fly later
    inferred = infer_suite(january, name="flights")
    line = next(
        each
        for each in inferred.expectations
        if (each.kind, each.column) == ("column_values_to_not_be_null", "tailnum")
    )
    assert 0.98 < line.mostly < 0.99
    # February's storms cancel more flights than January allows for: a warning, and a proposal that says by how much.
    february = validate_table(month(flights, 2), inferred)
    assert february.verdict == "warning"
    assert "tailnum" in {each.expectation.column for each in february.failures}
    update = update_suite(inferred, month(flights, 2))
    # No line has to go or come; what February would allow to be said more narrowly is offered, and not taken unasked.
    actions = {(each.action, each.before.column) for each in update.proposals}
    assert {column for action, column in actions if action == "tighten"} == {"dep_delay", "arr_delay"}
    assert {action for action, _ in actions} == {"loosen", "tighten"}
    assert validate_table(month(flights, 2), update.apply()).verdict == "passed"


def test_profiles_of_the_months_merge_to_that_of_the_quarter(flights):
    names = ["dep_delay", "distance", "carrier", "tailnum"]
    quarter = flights.filter(pl.col("month") <= 3).select(names)
    merged = merge_all(profile_frame(month(flights, number).select(names)) for number in (1, 2, 3))
    whole = profile_frame(quarter)
    assert merged.rows == whole.rows == 80_789
    for name in names[:3]:
        mine, theirs = merged.column(name), whole.column(name)
        assert (mine.sketch, mine.frequent, mine.nulls) == (theirs.sketch, theirs.frequent, theirs.nulls)
    assert merged.column("tailnum").registers == whole.column("tailnum").registers
    assert len(merged.to_bytes()) < 60_000


def test_weather_drifts_with_the_season_and_the_carriers_do_not(weather, flights):
    report = drift(
        profile_frame(month(weather, 1)), profile_frame(month(weather, 7)), columns=["temp", "visib", "origin"]
    )
    assert report.column("temp").verdict == "drift"
    assert report.column("origin").verdict == "ok"
    names = ["carrier", "origin", "distance"]
    same = drift(*(profile_frame(month(flights, number).select(names)) for number in (1, 2)))
    assert same.verdict == "ok"
