"""Data to train on and rows to ask: numbers on and off thresholds, missing values, categories known and unknown."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import polars as pl
import pytest
from threadpoolctl import threadpool_limits

from mainspring.engines.signature import Field, Signature

_spec = importlib.util.spec_from_file_location("registry_tools", Path(__file__).with_name("registry_tools.py"))
sys.modules["registry_tools"] = importlib.util.module_from_spec(_spec)  # the tests of the registry import it by name
_spec.loader.exec_module(sys.modules["registry_tools"])

CARRIERS = ["AA", "DL", "EV", "UA", "WN"]


def make_frame(rows: int, seed: int, *, unseen: bool = False) -> pl.DataFrame:
    """Flights-like rows: two numbers (one with gaps, one rounded so that values repeat), a small integer, two texts."""
    random = np.random.default_rng(seed)
    carriers = [*CARRIERS, "ZZ"] if unseen else CARRIERS
    gaps = random.random((2, rows)) < 0.1
    return pl.DataFrame(
        {
            "wind": random.normal(size=rows).round(2),
            "delay": [
                None if gap else value for gap, value in zip(gaps[0], random.normal(size=rows) * 100, strict=True)
            ],
            "hour": random.integers(0, 15 if unseen else 12, rows),
            "carrier": [
                None if gap else value for gap, value in zip(gaps[1], random.choice(carriers, rows), strict=True)
            ],
            "origin": random.choice(["EWR", "JFK", "LGA", "XXX"] if unseen else ["EWR", "JFK", "LGA"], rows),
        },
        schema_overrides={"delay": pl.Float64},
    )


def targets(frame: pl.DataFrame, seed: int) -> dict[str, Any]:
    """A binary, a three-class and a numeric target that depend on every kind of column."""
    random = np.random.default_rng(seed)
    late = (frame["carrier"] == "UA").fill_null(value=False).to_numpy() * 1.0
    signal = (
        frame["wind"].to_numpy() + late + (frame["hour"].to_numpy() % 3) * 0.4 + random.normal(size=len(frame)) * 0.4
    )
    return {
        "binary": (signal > 0.6).astype(int),
        "three": np.array(["early", "late", "on time"])[np.digitize(signal, [0.0, 1.0])],
        "number": signal * 3,
        "count": np.floor(np.abs(signal) * 3),
    }


SIGNATURE = Signature(
    inputs=(
        Field("wind", "FP64"),
        Field("delay", "FP64", nullable=True),
        Field("hour", "INT64"),
        Field("carrier", "BYTES", nullable=True),
        Field("origin", "BYTES"),
    )
)


@pytest.fixture(scope="session", autouse=True)
def one_thread() -> Iterator[None]:
    """Small fits on one thread: teams of threads wait for each other on a busy machine."""
    with threadpool_limits(1):
        yield


@pytest.fixture(scope="session")
def data() -> SimpleNamespace:
    """What tests make their own data with."""
    return SimpleNamespace(make_frame=make_frame, targets=targets, SIGNATURE=SIGNATURE)


@pytest.fixture(scope="session")
def flights() -> pl.DataFrame:
    """Rows to train on."""
    return make_frame(1200, seed=7)


@pytest.fixture(scope="session")
def pipeline(flights: pl.DataFrame) -> Any:
    """A fitted pipeline, as the registry is given one."""
    from sklearn.compose import ColumnTransformer
    from sklearn.impute import SimpleImputer
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import OneHotEncoder, StandardScaler

    prepare = ColumnTransformer(
        [
            ("numbers", make_pipeline(SimpleImputer(), StandardScaler()), ["wind", "delay", "hour"]),
            ("texts", OneHotEncoder(handle_unknown="ignore"), ["carrier", "origin"]),
        ]
    )
    return make_pipeline(prepare, LogisticRegression()).fit(flights, targets(flights, 7)["binary"])
