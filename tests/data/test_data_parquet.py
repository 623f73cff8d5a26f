"""Parquet files of frames: equal content, equal bytes; an edit moves few of them; every type comes back."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal
from pathlib import Path

import polars as pl
import pytest

from mainspring.data.parquet import write_parquet
from mainspring.store.chunks import cut

MOMENT = dt.datetime(2020, 2, 29, 12, 0, 0, 123456)  # noqa: DTZ001 -- a moment without a zone is a type of its own
EVERY_TYPE = {
    "i8": pl.Series([1, None], dtype=pl.Int8),
    "u64": pl.Series([2**63, 1], dtype=pl.UInt64),
    "i128": pl.Series([2**100, None], dtype=pl.Int128),
    "f64": pl.Series([1.5, float("nan")]),
    "f32": pl.Series([float("-inf"), None], dtype=pl.Float32),
    "text": pl.Series(["ä\u0301", None]),
    "binary": pl.Series([b"\x00", None]),
    "bool": pl.Series([True, None]),
    "date": pl.Series([dt.date(1960, 1, 1), None]),
    "time": pl.Series([dt.time(1, 2, 3), None]),
    "ms": pl.Series([MOMENT, None], dtype=pl.Datetime("ms")),
    "ns": pl.Series([MOMENT, None], dtype=pl.Datetime("ns")),
    "zone": pl.Series([MOMENT, None]).dt.replace_time_zone("Europe/Paris"),
    "span": pl.Series([dt.timedelta(seconds=1), None]),
    "decimal": pl.Series([Decimal("1.50"), None]),
    "category": pl.Series(["a", "b"], dtype=pl.Categorical),
    "enum": pl.Series(["a", "b"], dtype=pl.Enum(["b", "a"])),
    "null": pl.Series([None, None]),
    "array": pl.Series([[1, 2], [3, 4]], dtype=pl.Array(pl.Int64, 2)),
    "list": pl.Series([[1, None], None]),
    "struct": pl.Series([{"a": 1, "b": [{"c": "x"}]}, None]),
}


def written(frame: pl.DataFrame, path: Path) -> bytes:
    return write_parquet(frame.lazy(), path).read_bytes()


@pytest.mark.parametrize("name", EVERY_TYPE)
def test_every_type_comes_back(name, tmp_path):
    frame = pl.DataFrame({name: EVERY_TYPE[name]})
    write_parquet(frame.lazy(), tmp_path / "x.parquet")
    read = pl.read_parquet(tmp_path / "x.parquet")
    assert read.schema == frame.schema
    assert read.equals(frame)


def test_equal_content_gives_equal_bytes_however_it_was_cut(tmp_path):
    frame = pl.DataFrame({"n": range(200_000), "s": ["a", "b"] * 100_000})
    pieces = pl.concat([frame[:7], frame[7:120_001], frame[120_001:]], rechunk=False)
    assert written(frame, tmp_path / "a") == written(pieces, tmp_path / "b")


def test_rows_put_in_and_taken_out_leave_most_bytes_shared(tmp_path):
    rows = 300_000
    frame = pl.DataFrame({f"c{number}": [hash((number, row)) for row in range(rows)] for number in range(3)})
    version = pl.concat([frame[:100_000], frame[:600].reverse(), frame[100_000:200_000], frame[200_500:]])
    first, second = ({bytes(each) for each in cut([written(one, tmp_path / "x")])} for one in (frame, version))
    assert sum(map(len, second - first)) < 0.2 * sum(map(len, second))


def test_an_empty_frame_keeps_its_columns(tmp_path):
    frame = pl.DataFrame(schema={"n": pl.Int64, "s": pl.String})
    written(frame, tmp_path / "x")
    assert pl.read_parquet(tmp_path / "x").equals(frame)
