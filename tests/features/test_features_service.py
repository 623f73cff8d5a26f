from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import polars as pl
import pytest

from mainspring.client import Client, connect
from mainspring.data.types import DatasetVersion
from mainspring.features import Aggregation, Entity, Feature, FeatureView
from mainspring.features.point_in_time import join
from mainspring.kernel.errors import Conflict, InvalidInput, NotFound
from mainspring.kernel.hooks import AFTER_TABLE

pytestmark = pytest.mark.databases("sqlite")  # what speaks SQL of its own runs on both

Commit = Callable[[str, pl.DataFrame], DatasetVersion]
NOON = datetime(2013, 1, 1, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)

WEATHER = FeatureView(
    name="weather",
    entities=(Entity("origin"),),
    source="weather",
    timestamp="time_hour",
    ttl=3 * HOUR,
    features=(Feature("temp"), Feature("windy", "bool", "wind_speed > 15")),
)


def weather(*temperatures: float) -> pl.DataFrame:
    return pl.DataFrame(
        {
            "origin": ["JFK"] * len(temperatures),
            "time_hour": [NOON + each * HOUR for each in range(len(temperatures))],
            "temp": temperatures,
            "wind_speed": [10.0 * each for each in range(len(temperatures))],
        }
    )


def test_a_definition_has_versions_and_the_same_one_twice_is_one(any_client: Client) -> None:
    client = any_client
    first = client.features.apply(WEATHER)
    assert (first.version, first.definition, first.state) == (1, WEATHER, None)
    assert client.features.apply(WEATHER) == first
    changed = client.features.apply(FeatureView(**{**_fields(WEATHER), "ttl": HOUR}))
    assert changed.version == 2
    assert client.features.apply(WEATHER).version == 3  # going back is a change too
    assert client.features.get("weather@v1") == first
    assert [each.ref for each in client.features.views()] == ["feature-view/weather@3"]
    assert client.lineage.artifact("feature-view/weather@1").artifact.digest == WEATHER.digest


def test_a_wrong_definition_changes_nothing(client: Client) -> None:
    with pytest.raises(InvalidInput, match="neither features"):
        client.features.apply(FeatureView(**{**_fields(WEATHER), "features": ()}))
    assert client.features.views() == []
    with pytest.raises(NotFound):
        client.features.get("weather")


@pytest.mark.databases("sqlite", "postgres")
def test_lookup_answers_as_of_then_and_says_why_not(any_client: Client, commit: Commit) -> None:
    client = any_client
    commit("weather", weather(40, 41, 42))
    client.features.apply(WEATHER)
    with pytest.raises(Conflict, match="not materialized"):
        client.features.lookup(["weather"], entities={"origin": ["JFK"]})
    state = client.features.materialize("weather", upto=NOON + HOUR)
    assert (state.rows, state.generation, state.upto) == (2, 1, NOON + HOUR)
    moments = [NOON - HOUR, NOON, NOON + HOUR, NOON + 4 * HOUR, NOON + 5 * HOUR, NOON]
    entities = {"origin": ["JFK"] * 5 + ["LGA"]}
    found = client.features.lookup(["weather"], entities=entities, as_of=moments, details=True)
    assert found.columns["temp"] == [None, 40, 41, 41, None, None]
    assert found.columns["windy"] == [None, False, False, False, None, None]
    assert found.statuses["weather"] == ["NOT_FOUND", "PRESENT", "PRESENT", "PRESENT", "OUTSIDE_MAX_AGE", "NOT_FOUND"]
    assert found.event_times["weather"][:3] == [None, NOON, NOON + HOUR]
    assert found.upto == {"weather": NOON + HOUR}
    now = client.features.lookup(["weather"], entities={"origin": ["JFK"]})
    assert now.columns == {"temp": [None], "windy": [None]}


def test_another_process_sees_a_new_materialization_at_once(client: Client, commit: Commit) -> None:
    commit("weather", weather(40))
    client.features.apply(WEATHER)
    client.features.materialize("weather", upto=NOON)
    with connect(client.address) as other:
        asked: dict[str, Any] = {"entities": {"origin": ["JFK"]}, "as_of": NOON + HOUR}
        assert other.features.lookup(["weather"], **asked).columns["temp"] == [40]
        commit("weather", weather(40, 50))
        client.features.materialize("weather", upto=NOON + HOUR)
        assert other.features.lookup(["weather"], **asked).columns["temp"] == [50]


def test_pushed_rows_are_online_at_once_and_the_source_has_the_last_word(client: Client, commit: Commit) -> None:
    counted = FeatureView(**{**_fields(WEATHER), "aggregations": (Aggregation("hours", "count", timedelta(days=1)),)})
    commit("weather", weather(40))
    client.features.apply(counted)
    first = client.features.materialize("weather", upto=NOON)
    pushed = client.features.push("weather", rows=weather(40, 50).tail(1), upto=NOON + HOUR)
    assert (pushed.rows, pushed.upto, pushed.generation) == (2, NOON + HOUR, 2)
    found = client.features.lookup(["weather"], entities={"origin": ["JFK"] * 2}, as_of=[NOON, NOON + HOUR])
    assert (found.columns["temp"], found.columns["hours"]) == ([40, 50], [1, 2])
    assert first.artifact_id in {node.id for node in client.lineage.why(pushed.artifact_id).nodes}
    with pytest.raises(InvalidInput, match="has no column 'temp'"):
        client.features.push("weather", rows=weather(1).drop("temp"))
    client.features.materialize("weather", upto=NOON + HOUR)
    found = client.features.lookup(["weather"], entities={"origin": ["JFK"]}, as_of=NOON + HOUR)
    assert (found.columns["temp"], found.columns["hours"]) == ([40], [1])


def test_an_earlier_materialization_never_replaces_a_later_one(client: Client, commit: Commit) -> None:
    commit("weather", weather(40, 41))
    client.features.apply(WEATHER)
    client.features.materialize("weather", upto=NOON + HOUR)
    with pytest.raises(Conflict, match="materialized up to"):
        client.features.materialize("weather", upto=NOON)
    assert client.features.lookup(["weather"], entities={"origin": ["JFK"]}, as_of=NOON + HOUR).columns["temp"] == [41]


def test_a_late_row_is_not_missed(client: Client, commit: Commit) -> None:
    commit("weather", weather(40, 41).head(1))
    client.features.apply(WEATHER)
    client.features.materialize("weather", upto=NOON + 2 * HOUR)
    commit("weather", weather(40, 41))
    client.features.materialize("weather", upto=NOON + 2 * HOUR)
    assert client.features.lookup(["weather"], entities={"origin": ["JFK"]}, as_of=NOON + 2 * HOUR).columns["temp"] == [
        41
    ]


@pytest.mark.databases("sqlite", "postgres")
def test_a_new_version_serves_only_when_it_is_materialized(client: Client, commit: Commit) -> None:
    commit("weather", weather(40))
    client.features.apply(WEATHER)
    client.features.materialize("weather")
    client.features.apply(FeatureView(**{**_fields(WEATHER), "features": (Feature("temp", "float64", "temp * 2"),)}))
    asked: dict[str, Any] = {"entities": {"origin": ["JFK"]}, "as_of": NOON}
    assert client.features.lookup(["weather"], **asked).columns["temp"] == [40]
    with pytest.raises(Conflict, match=r"weather@2.*not materialized"):
        client.features.lookup(["weather@2"], **asked)
    second = client.features.materialize("weather")
    assert client.features.lookup(["weather"], **asked).columns["temp"] == [80]
    assert client.features.lookup([second.view_id], **asked).columns["temp"] == [80]
    assert client.features.lookup(["weather@1"], **asked).columns["temp"] == [40]


def test_a_training_set_knows_what_it_came_from(any_client: Client, commit: Commit) -> None:
    client = any_client
    source = commit("weather", weather(40, 41))
    flights = commit(
        "flights", pl.DataFrame({"origin": ["JFK", "JFK"], "departs": [NOON - HOUR, NOON], "late": [1, 0]})
    )
    view = client.features.apply(WEATHER)
    made = client.features.training_set("delays", rows="flights", views=["weather"], timestamp="departs", label="late")
    assert (made.ref, made.rows, made.label) == ("training-set/delays@1", 2, "late")
    assert client.features.load_training_set("delays")["temp"].to_list() == [None, 40]
    came_from = client.lineage.why(made.ref)
    commits = {source.run_id, flights.run_id}
    assert {node.id for node in came_from.nodes} == {made.id, made.run_id, source.id, flights.id, view.id, *commits}
    assert [node.name for node in came_from.of_kind("join")] == ["delays"]
    again = client.features.training_set("delays", rows="flights", views=["weather"], timestamp="departs", label="late")
    assert again.digest == made.digest
    with pytest.raises(InvalidInput, match="label 'lat'"):
        client.features.training_set("delays", rows="flights", views=["weather"], timestamp="departs", label="lat")


def test_a_training_set_is_profiled_and_kept_though_its_profile_fails(
    any_client: Client, commit: Commit, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    client = any_client
    commit("weather", weather(40, 41))
    client.features.apply(WEATHER)
    rows = pl.DataFrame({"origin": ["JFK"] * 3, "departs": [NOON, NOON, NOON], "late": [1, 0, 1]})
    asked: dict[str, Any] = {"views": ["weather"], "timestamp": "departs", "label": "late"}
    made = client.features.training_set("delays", rows=rows, **asked)
    profile = client.quality.profile_of(made.ref)
    assert profile is not None
    assert (profile.rows, profile.names, profile.column("temp").moments.mean) == (3, tuple(made.columns), 40)
    monkeypatch.setitem(AFTER_TABLE, "profile", "mainspring.quality.profiles.committed:nothing")
    other = client.features.training_set("delays", rows=rows.head(2), **asked)
    assert (other.version, client.quality.profile_of(other.ref)) == (2, None)
    assert "its profile was not made" in caplog.text


def test_a_state_that_is_not_the_views_facts_is_refused(client: Client, commit: Commit) -> None:
    commit("weather", weather(40))
    view = client.features.apply(WEATHER)
    for body in (b"no parquet", b""):
        with pytest.raises(InvalidInput, match="not facts"):
            client.features.put_state(view.id, upto=NOON, used=[], body=[body])
    with pytest.raises(Conflict):
        client.features.lookup(["weather"], entities={"origin": ["JFK"]})


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"entities": {}}, "one length"),
        ({"entities": {"origin": ["JFK"], "x": []}}, "one length"),
        ({"entities": {"airport": ["JFK"]}}, "needs the join key 'origin'"),
        ({"entities": {"origin": ["JFK"]}, "as_of": [NOON, NOON]}, "2 moments for 1 rows"),
    ],
)
def test_a_wrong_question_is_refused(client: Client, commit: Commit, arguments: dict[str, Any], message: str) -> None:
    commit("weather", weather(40))
    client.features.apply(WEATHER)
    client.features.materialize("weather")
    with pytest.raises(InvalidInput, match=message):
        client.features.lookup(["weather"], **arguments)


def test_online_equals_offline_on_a_year_of_real_flights(
    client: Client, commit: Commit, nyc: dict[str, pl.DataFrame]
) -> None:
    flights = nyc["flights"].with_columns((pl.col("time_hour") + pl.duration(minutes="minute")).alias("scheduled"))
    commit("flights", flights)
    commit("weather", nyc["weather"])
    landed = "scheduled + INTERVAL '1 minute' * (dep_delay + air_time + 20)"
    views = [WEATHER]
    for name, keys in (("carrier", ("carrier",)), ("route", ("origin", "dest"))):
        views.append(
            FeatureView(
                name=name,
                entities=(Entity(name, keys),),
                source="flights",
                timestamp="scheduled",
                known_at=landed,
                aggregations=(
                    Aggregation(f"{name}_flights", "count", timedelta(days=28)),
                    Aggregation(f"{name}_late", "mean", timedelta(days=28), "arr_delay > 15"),
                    Aggregation(f"{name}_delay", "mean", timedelta(days=7), "arr_delay"),
                    Aggregation(f"{name}_spread", "std", timedelta(days=7), "arr_delay"),
                ),
            )
        )
    for view in views:
        client.features.apply(view)
        client.features.materialize(view.name, upto=datetime(2014, 2, 1, tzinfo=UTC))
    rows = flights.sample(1000, seed=7)
    keys = rows.select("carrier", "origin", "dest", "scheduled")
    offline = join(keys, views, sources=nyc | {"flights": flights}, timestamp="scheduled")
    online = client.features.lookup(
        [view.name for view in views],
        entities=rows.select("carrier", "origin", "dest").to_dict(as_series=False),
        as_of=rows["scheduled"].to_list(),
    )
    for name, values in online.columns.items():
        assert offline[name].to_list() == values, name
    assert offline["carrier_late"].null_count() < 20
    for row in offline.head(20).iter_rows(named=True):  # and both equal the definition
        past = flights.filter(
            pl.col("carrier") == row["carrier"],
            pl.col("scheduled") > row["scheduled"] - timedelta(days=28),
            pl.col("scheduled")
            + pl.duration(minutes=pl.sum_horizontal("dep_delay", "air_time", 20, ignore_nulls=False))
            <= row["scheduled"],
        )
        assert row["carrier_flights"] == past.height
        assert row["carrier_late"] == pytest.approx((past["arr_delay"] > 15).mean())


def _fields(view: FeatureView) -> dict[str, Any]:
    return {name: getattr(view, name) for name in view.__struct_fields__}
