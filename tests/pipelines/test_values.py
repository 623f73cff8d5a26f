"""Values written down and read again."""

from __future__ import annotations

import dataclasses
import enum
import math
import subprocess
import sys
from collections import namedtuple
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from polars.testing import assert_frame_equal, assert_series_equal
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from mainspring.kernel.errors import UnsupportedFormat
from mainspring.kernel.hashing import digest_bytes
from mainspring.lineage.types import File
from mainspring.pipelines.values import blobs_in, decode, digest, encode


class Colour(enum.Enum):
    RED = "red"


class Shape(msgspec.Struct, frozen=True):
    sides: int
    colour: str = "red"


@dataclasses.dataclass
class Score:
    value: float
    parts: tuple[int, ...]


Pair = namedtuple("Pair", "left right")  # noqa: PYI024 -- the older kind must work too


class Opaque:
    """A type that nothing knows."""


class Memory:
    """Blobs in a dict."""

    def __init__(self) -> None:
        self.kept: dict[str, bytes] = {}

    def put(self, data: bytes) -> str:
        self.kept[digest_bytes(data)] = bytes(data)
        return digest_bytes(data)

    def get(self, digest: str) -> bytes:
        return self.kept[digest]


def round_trip(value: Any) -> Any:
    blobs = Memory()
    text = msgspec.json.encode(encode(value, blobs))
    return decode(msgspec.json.decode(text), blobs)


_LEAVES = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False)
    | st.text(st.characters(codec="utf-8"))
    | st.binary(max_size=100)
    | st.dates()
    | st.datetimes(timezones=st.just(UTC))
    | st.timedeltas()
    | st.decimals(allow_nan=False)
    | st.uuids()
)
_KEYS = st.text(st.characters(codec="utf-8")) | st.integers() | st.just("$")
_VALUES = st.recursive(
    _LEAVES,
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.lists(inner, max_size=4).map(tuple)
        | st.dictionaries(_KEYS, inner, max_size=4)
        | st.sets(st.integers() | st.text(st.characters(codec="utf-8")), max_size=4)
    ),
    max_leaves=12,
)


@given(_VALUES)
@settings(max_examples=150, deadline=None)
def test_what_is_written_is_read(value: Any) -> None:
    again = round_trip(value)
    assert again == value
    assert type(again) is type(value)
    assert digest(again) == digest(value) != ""


@given(_VALUES, _VALUES)
@settings(max_examples=100, deadline=None)
def test_different_values_have_different_digests(one: Any, other: Any) -> None:
    if repr(one) != repr(other) and one != other:
        assert digest(one) != digest(other)


@pytest.mark.parametrize(
    "value",
    [
        Colour.RED,
        Shape(3),
        Score(0.5, (1, 2)),
        Pair(1, [2]),
        Path("a/b"),
        File("a", 1, "b"),
        1 << 80,
        math.inf,
        np.float32(0.1),
        np.datetime64("2026-01-01"),
        {(1, 2): {"x": date(2026, 1, 1)}},
        bytearray(b"x" * 20_000),
        Decimal("0.10"),
        timedelta(days=9999, microseconds=1),
        datetime(2026, 1, 1, tzinfo=UTC),
        ["x" * 100_000],
    ],
    ids=lambda value: type(value).__name__,
)
def test_records_and_other_types_come_back_as_they_were(value: Any) -> None:
    again = round_trip(value)
    assert again == value
    assert type(again) is type(value)


def test_nan_is_still_nan() -> None:
    assert math.isnan(round_trip({"a": [math.nan]})["a"][0])


FRAME = pl.DataFrame(
    {
        "i": [1, None, 3],
        "f": [0.5, math.nan, None],
        "s": ["a", None, "ü" * 100],
        "b": [True, None, False],
        "d": [date(2026, 1, 1), None, date(2027, 1, 1)],
        "t": [datetime(2026, 1, 1, tzinfo=UTC), None, datetime(2027, 1, 1, tzinfo=UTC)],
        "c": pl.Series(["x", None, "y"], dtype=pl.Categorical),
        "e": pl.Series(["x", None, "y"], dtype=pl.Enum(["x", "y"])),
    }
)


def test_frames_come_back_and_keep_their_digest() -> None:
    again = round_trip({"data": FRAME})["data"]
    assert_frame_equal(again, FRAME)
    assert digest(again) == digest(FRAME) != ""
    assert_frame_equal(round_trip(FRAME.lazy()).collect(), FRAME)
    assert_series_equal(round_trip(FRAME["i"]), FRAME["i"])


def test_a_frames_digest_is_of_its_content_and_not_of_its_layout() -> None:
    chunks = pl.concat([FRAME[:1], FRAME[1:]], rechunk=False)
    assert digest(chunks) == digest(FRAME)
    assert digest(FRAME.filter(pl.lit(True))) == digest(FRAME)
    for other in (
        FRAME.with_columns(i=pl.Series([1, 0, 3])),
        FRAME.rename({"i": "j"}),
        FRAME[::-1],
        FRAME[:2],
        FRAME.with_columns(pl.col("i").cast(pl.Int32)),
        FRAME.select(reversed(FRAME.columns)),
        FRAME.with_columns(s=pl.Series(["a", "", "ü" * 100])),
    ):
        assert digest(other) not in ("", digest(FRAME))


def test_nested_frames_come_back_without_a_digest() -> None:
    nested = pl.DataFrame({"a": [[1, 2], None], "b": [{"x": 1}, {"x": None}]})
    assert_frame_equal(round_trip(nested), nested)
    assert digest(nested) == ""


@pytest.mark.parametrize(
    "array", [np.arange(12.0).reshape(3, 4), np.arange(12).reshape(3, 4).T, np.array(["a", "bc"]), np.zeros((0, 3))]
)
def test_arrays_come_back(array: Any) -> None:
    again = round_trip(array)
    assert np.array_equal(again, array)
    assert again.dtype == array.dtype
    assert digest(again) == digest(array) != digest(array.reshape(1, -1))


def test_models_come_back_without_pickle() -> None:
    rows = np.random.default_rng(0).random((50, 3))
    model = make_pipeline(StandardScaler(), LogisticRegression()).fit(rows, rows[:, 0] > 0.5)
    blobs = Memory()
    tree = encode({"model": model}, blobs)
    (leaf,) = blobs_in(tree)
    assert leaf["codec"] == "model"
    assert b"\x80\x05" not in blobs.kept[leaf["digest"]][:2]
    assert np.array_equal(decode(tree, blobs)["model"].predict_proba(rows), model.predict_proba(rows))
    assert digest(model) != ""


def test_a_model_may_construct_only_what_was_written_down() -> None:
    from lightgbm import LGBMClassifier

    blobs = Memory()
    tree = encode(LGBMClassifier(n_estimators=1, verbose=-1), blobs)
    tree["extra"]["types"] = []
    with pytest.raises(Exception, match="trust"):
        decode(tree, blobs)


def test_unknown_types_are_refused_unless_pickle_is_allowed() -> None:
    blobs = Memory()
    with pytest.raises(UnsupportedFormat, match="Opaque"):
        encode({"a": [Opaque()]}, blobs)
    assert blobs.kept == {}
    tree = encode(Opaque(), blobs, allow_pickle=True)
    with pytest.raises(UnsupportedFormat, match="pickled"):
        decode(tree, blobs)
    assert isinstance(decode(tree, blobs, allow_pickle=True), Opaque)
    assert digest(Opaque()) == ""
    with pytest.raises(UnsupportedFormat):
        encode(lambda: 1, blobs, allow_pickle=True)


def test_a_type_that_nobody_could_find_again_is_refused() -> None:
    class Local(msgspec.Struct):
        a: int

    with pytest.raises(UnsupportedFormat, match="inside a function"):
        encode(Local(1), Memory())


@pytest.mark.parametrize(
    "tree",
    [
        {"$": "struct", "type": "os:system", "fields": {"command": "true"}},
        {"$": "struct", "type": "subprocess:Popen", "fields": {"args": "true"}},
        {"$": "struct", "type": "no.such:Thing", "fields": {}},
        {"$": "struct", "type": "mainspring.lineage.types:File", "fields": {"other": 1}},
        {"$": "enum", "type": "os:environ", "name": "PATH"},
        {"$": "new-in-the-future"},
        {"$": "bytes", "codec": "nobody", "data": ""},
    ],
)
def test_what_is_read_constructs_records_and_nothing_else(tree: Any) -> None:
    with pytest.raises(UnsupportedFormat):
        decode(tree, Memory())


_SCRIPT = """
from dataclasses import dataclass
import mainspring as ms


@dataclass
class Fit:
    degree: int


class Opaque:
    def __init__(self, degree):
        self.degree = degree


@ms.step(memory=1 << 30)
def fit(degree: int) -> Fit:
    return Fit(degree)


@ms.step(memory=1 << 30, allow_pickle=True)
def opaque(found: Fit) -> object:
    return Opaque(found.degree)


@ms.step
def light(found: Fit) -> Fit:
    return found


@ms.flow
def fits() -> list[object]:
    found = fit.map([1, 2])
    return [*found, light(found[0]), opaque(found[1]).degree]


if __name__ == "__main__":
    print(fits.run(ms.connect("store")))
"""


def test_types_of_a_script_come_back_from_the_processes_of_its_steps(tmp_path: Path) -> None:
    script = tmp_path / "script.py"
    script.write_text(_SCRIPT)
    ran = subprocess.run([sys.executable, script], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert ran.stdout == "[Fit(degree=1), Fit(degree=2), Fit(degree=1), 2]\n", ran.stderr
