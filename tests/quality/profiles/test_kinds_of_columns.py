"""Columns of every type: text and its shapes, vectors, lists, structs, decimals, moments; and correlations."""

from __future__ import annotations

import datetime as dt
import decimal
import random

import msgspec
import polars as pl
import pytest

from mainspring.kernel.errors import InvalidInput, NotFound
from mainspring.quality.profiles import build
from mainspring.quality.profiles.build import profile_files, profile_frame
from mainspring.quality.profiles.types import Profile, merge, merge_all

np = pytest.importorskip("numpy")


def test_texts_have_lengths_and_shapes():
    column = profile_frame(pl.DataFrame({"s": ["AB-1204", "CD-9", "ab", None, "Ünï 7", "日本"]})).columns[0]
    assert dict(column.shapes.values) == {"A-9": 2, "a": 2, "Aa 9": 1}
    assert (column.minimum, column.maximum, column.lengths.quantile(0.5)) == (2.0, 7.0, 4.0)
    assert column.moments.mean == pytest.approx(4.0)


def test_long_and_astral_texts_are_hashed_as_written():
    draw = random.Random(1)
    texts = [f"{'x' * draw.randrange(900)}{chr(draw.randrange(32, 0x2FF))}{'🙂' * (k % 5)}{k}" for k in range(1500)]
    column = profile_frame(pl.DataFrame({"s": texts})).columns[0]
    from mainspring.quality.profiles.columns import _shown
    from mainspring.quality.profiles.values import Registers, hash_text

    assert column.registers == Registers.of(hash_text(_shown(text)) for text in texts)


def test_vectors_keep_centroid_spread_and_norms_and_merge():
    draw = np.random.default_rng(5)
    matrix = draw.normal(3, 2, (5000, 6))
    frame = pl.DataFrame({"e": pl.Series(matrix.tolist(), dtype=pl.List(pl.Float64))})
    odd = pl.DataFrame({"e": [[1.0, 2.0], None, [float("nan")] * 6]}, schema=frame.schema)
    whole = profile_frame(pl.concat([frame, odd])).columns[0]
    assert whole.family == "vector"
    assert (whole.vectors.n, whole.vectors.dimension, whole.vectors.other, whole.nulls) == (5000, 6, 2, 1)
    assert whole.vectors.centroid == pytest.approx(matrix.mean(axis=0))
    assert whole.vectors.variances == pytest.approx(matrix.var(axis=0, ddof=1))
    norms = np.linalg.norm(matrix, axis=1)
    assert whole.vectors.norms.quantile(0.5) == pytest.approx(np.median(norms), rel=0.01)
    parts = merge_all(profile_frame(part) for part in (frame[:1234], odd, frame[1234:])).columns[0]
    assert parts.vectors.centroid == pytest.approx(whole.vectors.centroid)
    assert parts.vectors.m2 == pytest.approx(whole.vectors.m2)
    assert parts.vectors.norms == whole.vectors.norms
    assert (parts.vectors.n, parts.vectors.other) == (5000, 2)
    arrays = frame.with_columns(pl.col("e").cast(pl.Array(pl.Float32, 6)))
    assert profile_frame(arrays).columns[0].vectors.centroid == pytest.approx(whole.vectors.centroid, rel=1e-5)
    assert Profile.from_bytes(profile_frame(arrays).to_bytes()) == profile_frame(arrays)


def test_lists_structs_decimals_binaries_and_moments():
    frame = pl.DataFrame(
        {
            "tags": [["a", "b"], [], None],
            "who": [{"age": 3, "name": "x"}, {"age": None, "name": "y"}, None],
            "price": [decimal.Decimal("1.50"), decimal.Decimal("2.25"), None],
            "raw": [b"1", None, b"2"],
            "day": [dt.date(2020, 1, 1), dt.date(2020, 1, 3), None],
            "at": pl.Series([dt.datetime(2020, 1, 1, tzinfo=dt.UTC)] * 3, dtype=pl.Datetime("ms", "UTC")),
            "took": [dt.timedelta(seconds=1), dt.timedelta(seconds=3), None],
            "clock": [dt.time(1), dt.time(2), None],
            "on": [True, False, True],
            "level": pl.Series(["lo", "hi", "lo"], dtype=pl.Enum(["lo", "hi"])),
        },
        strict=False,
    )
    profile = profile_frame(frame)
    families = {column.name: column.family for column in profile.columns}
    assert families == {
        "tags": "list", "who": "struct", "price": "number", "raw": "other", "day": "moment", "at": "moment",
        "took": "number", "clock": "number", "on": "number", "level": "text",
    }  # fmt: skip
    assert profile.column("tags").lengths.points() == [(0.0, 1), (2.0, 1)]
    assert [(f.name, f.nulls, f.family) for f in profile.column("who").fields] == [
        ("who.age", 2, "number"), ("who.name", 1, "text"),
    ]  # fmt: skip
    assert profile.column("price").moments.mean == 1.875
    assert profile.column("day").moments.mean == dt.datetime(2020, 1, 2, tzinfo=dt.UTC).timestamp() * 1e6
    assert profile.column("took").maximum == 3e6
    assert profile.column("on").zeros == 1
    merged = merge(profile_frame(frame[:1]), profile_frame(frame[1:]))
    assert [c.family for c in merged.columns] == [c.family for c in profile.columns]
    assert merged.column("who").fields[0].nulls == 2
    assert Profile.from_bytes(profile.to_bytes()) == profile


def test_correlations_are_those_of_numpy_over_the_rows_that_have_both():
    draw = np.random.default_rng(6)
    x = draw.normal(1e6, 3, 20_000)
    y, z = x * 0.5 + draw.normal(0, 2, 20_000), draw.normal(0, 1, 20_000)
    frame = pl.DataFrame({"x": x, "y": y, "z": z}).with_columns(
        y=pl.when(pl.Series(draw.random(20_000) < 0.9)).then(pl.col("y"))
    )
    profile = profile_frame(frame)
    both = frame.drop_nulls()
    assert profile.correlation("y", "x") == pytest.approx(np.corrcoef(both["x"], both["y"])[0, 1], rel=1e-9)
    assert profile.correlation("x", "z") == pytest.approx(np.corrcoef(x, z)[0, 1], rel=1e-9)
    covariance = next(pair for pair in profile.pairs if {pair.a, pair.b} == {"x", "y"}).covariance
    assert covariance == pytest.approx(np.cov(both["x"], both["y"])[0, 1], rel=1e-9)
    merged = merge_all(profile_frame(part) for part in (frame[:700], frame[700:9000], frame[9000:]))
    assert merged.correlation("x", "y") == pytest.approx(profile.correlation("x", "y"), rel=1e-9)
    assert profile.correlation("x", "x") is None
    assert profile_frame(frame, correlations=False).pairs == ()


def test_a_long_source_is_read_in_stretches(tmp_path, monkeypatch):
    draw = random.Random(8)
    frame = pl.DataFrame({"x": [draw.gauss(0, 1) for _ in range(5000)], "y": [draw.random() for _ in range(5000)]})
    frame = frame.with_columns(s=pl.Series(["a", "b"] * 2500))
    frame.write_parquet(tmp_path / "long.parquet", row_group_size=700)
    whole = profile_frame(frame)
    monkeypatch.setattr(build, "_ROWS", 600)
    seen = profile_frame(tmp_path / "long.parquet")
    assert seen.rows == 5000
    assert [c.sketch for c in seen.columns] == [c.sketch for c in whole.columns]
    assert seen.columns[2] == whole.columns[2]
    assert seen.correlation("x", "y") == pytest.approx(whole.correlation("x", "y"))
    known = {"a": whole}
    found = profile_files({"a": tmp_path / "not there", "b": frame[:10]}, known=known)
    assert found["a"] is whole
    assert found["b"].rows == 10


def test_what_cannot_be_profiled_is_refused():
    with pytest.raises(NotFound, match="nope"):
        profile_frame(pl.DataFrame({"x": [1]}), columns=["nope"])
    old = msgspec.json.encode({"rows": 1, "columns": [], "form": 1})
    with pytest.raises(InvalidInput, match="form 1"):
        Profile.from_bytes(old)
