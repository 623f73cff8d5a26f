"""Media as bytes: other libraries read what is written, and what cannot be written is refused."""

from __future__ import annotations

import io
import json
import wave
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from mainspring.kernel.errors import InvalidInput
from mainspring.tracking.media import Audio, Figure, Histogram, Html, Image, Json, Table, Text, Video, as_media
from mainspring.tracking.upload import folder_files

Pillow = pytest.importorskip("PIL.Image")


def opened(data: bytes) -> Any:
    return Pillow.open(io.BytesIO(data))


@settings(max_examples=60, deadline=None)
@given(
    hnp.arrays(
        np.uint8,
        st.one_of(
            st.tuples(st.integers(1, 9), st.integers(1, 9)),
            st.tuples(st.integers(1, 9), st.integers(5, 9), st.sampled_from([3, 4])),
        ),
    )
)
def test_pillow_reads_every_png_as_it_was(array: Any) -> None:
    encoded = Image(array).encode()
    read = opened(encoded.data)
    read.load()
    assert np.array_equal(np.asarray(read), array)
    assert (encoded.about["height"], encoded.about["width"]) == array.shape[:2]


@pytest.mark.parametrize(
    ("data", "shape"),
    [
        (np.zeros((4, 6), bool), (4, 6)),
        (np.linspace(0, 1, 24).reshape(4, 6), (4, 6)),
        (np.zeros((4, 6, 1), np.float32), (4, 6)),
        (np.zeros((3, 4, 6), np.uint8), (4, 6, 3)),
        (np.full((4, 6), 255, np.int64), (4, 6)),
        ([[0, 255], [128, 7]], (2, 2)),
        (np.full((2, 2), np.nan), (2, 2)),
    ],
)
def test_what_people_call_an_image(data: Any, shape: tuple[int, ...]) -> None:
    assert np.asarray(opened(Image(data).encode().data)).shape == shape


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (np.full((2, 2), 3.5), "from 0 to 1"),
        (np.full((2, 2), 300), "from 0 to 255"),
        (np.zeros(5), "has the form"),
        (np.zeros((2, 2, 7)), "has the form"),
        (np.zeros((0, 4)), "has the form"),
        (np.array([["a"]]), "made of numbers"),
        (b"no image", "no image of a known kind"),
        ("/does/not/exist.png", "cannot be read"),
    ],
)
def test_what_is_no_image_is_refused(data: Any, message: str) -> None:
    with pytest.raises(InvalidInput, match=message):
        Image(data).encode()


def test_files_and_other_libraries_images_stay_what_they_are(tmp_path: Path) -> None:
    picture = Pillow.new("RGB", (5, 3), "red")
    picture.save(tmp_path / "a.jpg")
    picture.save(tmp_path / "a.png")
    assert Image(tmp_path / "a.jpg").encode().suffix == ".jpg"
    assert Image(str(tmp_path / "a.png")).encode().about["width"] == 5
    encoded = Image(picture, caption="red").encode()
    assert (opened(encoded.data).size, encoded.about["caption"]) == ((5, 3), "red")
    figures = pytest.importorskip("matplotlib.figure")
    assert Image(figures.Figure()).encode().media_type == "image/png"


def test_sounds_are_waves() -> None:
    encoded = Audio(np.sin(np.arange(800) / 10), rate=8000).encode()
    with wave.open(io.BytesIO(encoded.data)) as file:
        assert (file.getframerate(), file.getnchannels(), file.getnframes()) == (8000, 1, 800)
        samples = np.frombuffer(file.readframes(800), "<i2")
    assert np.allclose(samples / 32767, np.sin(np.arange(800) / 10), atol=1e-4)
    assert encoded.about["seconds"] == 0.1
    assert Audio(np.zeros((10, 2), np.int16), rate=1).encode().about["channels"] == 2
    for wrong, message in ((np.zeros((2, 800)), "go down"), (np.zeros(0), "form"), (["a"], "form")):
        with pytest.raises(InvalidInput, match=message):
            Audio(wrong).encode()


def test_distributions() -> None:
    about = Histogram([1, 2, 2, 3, np.nan, np.inf], bins=2, caption="c").encode().about
    assert (about["counts"], about["edges"], about["nan"], about["infinite"]) == ([1, 3], [1.0, 2.0, 3.0], 1, 1)
    assert (about["count"], about["mean"], about["caption"]) == (6, 2.0, "c")
    assert sum(Histogram(np.ones((3, 4))).encode().about["counts"]) == 12
    assert sum(Histogram([np.nan]).encode().about["counts"]) == 0
    json.dumps(about, allow_nan=False)
    for options, message in (
        ({}, "values, or of counts"),
        ({"values": [1], "bins": 513}, "1 to 512"),
        ({"values": ["a"]}, "made of numbers"),
        ({"counts": [1, 2], "edges": [0, 1]}, "2 counts have 3 edges"),
        ({"counts": [1, 2], "edges": [0, 2, 1]}, "rise"),
    ):
        with pytest.raises(InvalidInput, match=message):
            Histogram(**options)


@pytest.mark.parametrize(
    "data",
    [
        pl.DataFrame({"a": [1, 2], "b": ["x", None]}),
        pl.LazyFrame({"a": [1, 2], "b": ["x", None]}),
        pd.DataFrame({"a": [1, 2], "b": ["x", None]}),
        pa.table({"a": [1, 2], "b": ["x", None]}),
        [{"a": 1, "b": "x"}, {"a": 2, "b": None}],
        {"a": [1, 2], "b": ["x", None]},
    ],
)
def test_a_table_of_any_kind_is_the_same_table(data: Any) -> None:
    encoded = Table(data).encode()
    assert pl.read_parquet(io.BytesIO(encoded.data)).rows() == [(1, "x"), (2, None)]
    assert [column["name"] for column in encoded.about["columns"]] == ["a", "b"]
    assert (encoded.about["rows"], encoded.about["preview"]) == (2, [[1, "x"], [2, None]])
    assert Table(data).encode(".csv").data == b"a,b\n1,x\n2,\n"


def test_tables_grow_and_hold_what_no_column_type_fits() -> None:
    table = Table(columns=["n", "what"])
    table.add(1, "a")
    table.add(2, object())
    with pytest.raises(InvalidInput, match="2 columns"):
        table.add(1)
    assert pl.read_parquet(io.BytesIO(table.encode().data)).height == 2
    many = Table({"v": [float("nan"), float("inf"), 1.0] * 10}).encode().about
    assert many["preview"][:2] == [["nan"], ["inf"]]
    assert len(many["preview"]) == 10
    json.dumps(many, allow_nan=False)
    for wrong in (3, [1, 2]):
        with pytest.raises(InvalidInput, match="not a table"):
            Table(wrong).encode()
    with pytest.raises(InvalidInput, match="needs its columns"):
        Table()


def test_figures() -> None:
    figures = pytest.importorskip("matplotlib.figure")
    figure = figures.Figure()
    figure.subplots().plot([1, 2])
    assert Figure(figure).encode().data.startswith(b"\x89PNG")
    assert Figure(figure).encode(".pdf").data.startswith(b"%PDF")
    assert b"<svg" in Figure(figure).encode(".svg").data
    graphs = pytest.importorskip("plotly.graph_objects")
    plot = graphs.Figure(graphs.Scatter(y=[1, 2]))
    assert json.loads(Figure(plot).encode().data)["data"][0]["y"]
    assert b"<html" in Figure(plot).encode(".html").data
    assert Figure("<svg/>").encode().media_type == "image/svg+xml"
    with pytest.raises(InvalidInput, match="not a figure"):
        Figure(3)


def test_texts_pages_and_anything_that_json_holds(tmp_path: Path) -> None:
    assert Text("é").encode().data == "é".encode()
    value = {"at": pd.Timestamp("2026-01-02"), "array": np.arange(2), "set": {2, 1}, "path": tmp_path}
    assert json.loads(Json(value).encode().data)["array"] == [0, 1]
    page = tmp_path / "page.html"
    page.write_text("<p>hello")
    assert Html(page).encode().data == Html("<p>hello").encode().data == Html(str(page)).encode().data


def test_videos_of_frames_and_of_files(tmp_path: Path) -> None:
    encoded = Video(np.random.default_rng(0).integers(0, 255, (4, 8, 8, 3), np.uint8), rate=4).encode()
    assert (opened(encoded.data).n_frames, encoded.about["frames"]) == (4, 4)
    (tmp_path / "a.mp4").write_bytes(b"mp4")
    assert Video(tmp_path / "a.mp4").encode().media_type == "video/mp4"
    with pytest.raises(InvalidInput, match="a video ends in"):
        Video(b"mp4").encode()


def test_what_needs_no_wrapping() -> None:
    assert as_media(0.5) is None
    assert as_media("text") is None
    assert as_media([1, 2]) is None
    assert as_media(np.float32(1)) is None
    for value, kind in (
        (Pillow.new("L", (1, 1)), Image),
        (pl.DataFrame({"a": [1]}), Table),
        (pd.DataFrame({"a": [1]}), Table),
        ([Image([[0]]), Image([[1]])], Image),
    ):
        assert isinstance((as_media(value) or [None])[0], kind)


def test_folders_are_listed_without_what_lies_outside(tmp_path: Path) -> None:
    inside = tmp_path / "inside"
    (inside / "sub").mkdir(parents=True)
    (tmp_path / "secret").write_text("x")
    (inside / "b").write_text("b")
    (inside / "sub" / "a").write_text("a")
    (inside / "link").symlink_to(tmp_path / "secret")
    assert folder_files(inside) == ["b", "sub/a"]
    for wrong, message in ((inside / "b", "not a folder"), (tmp_path / "none", "not a folder")):
        with pytest.raises(InvalidInput, match=message):
            folder_files(wrong)
