"""Signatures read off examples."""

from __future__ import annotations

import datetime as dt
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pytest

from mainspring.kernel.errors import InvalidInput
from mainspring.models.examples import as_columns
from mainspring.models.signature import Field, infer_signature


def test_columns_types_and_gaps_are_read_off_the_frame() -> None:
    frame = pl.DataFrame(
        {
            "hour": [1, 2],
            "wind": [1.0, float("nan")],
            "carrier": ["UA", None],
            "night": [True, False],
            "rank": pl.Series([1, 2], dtype=pl.Int8),
            "origin": pl.Series(["JFK", "LGA"], dtype=pl.Categorical),
        }
    )
    answers = {"label": np.array(["late", "early"]), "probability": np.zeros((2, 2))}
    signature = infer_signature(frame, answers, nullable=["hour"])
    assert signature.inputs == (
        Field("hour", "INT64", nullable=True),
        Field("wind", "FP64", nullable=True),
        Field("carrier", "BYTES", nullable=True),
        Field("night", "BOOL"),
        Field("rank", "INT8"),
        Field("origin", "BYTES"),
    )
    assert signature.outputs == (Field("label", "BYTES"), Field("probability", "FP64", shape=(-1, 2)))
    assert signature.convert(frame)["origin"].tolist() == ["JFK", "LGA"]


def test_what_no_model_takes_is_refused_by_name() -> None:
    with pytest.raises(InvalidInput, match="column 'at' is Date"):
        infer_signature(pl.DataFrame({"at": pl.Series([0], dtype=pl.Date)}))
    with pytest.raises(InvalidInput, match="no column 'winds'") as caught:
        infer_signature(pl.DataFrame({"wind": [1.0]}), nullable=["winds"])
    assert caught.value.known == ("wind",)


FRAME = pd.DataFrame(
    {
        "whole": pd.array([1, None, 3], dtype="Int64"),
        "plain": np.array([1, 2, 3], dtype=np.int32),
        "gap": [0.5, None, 2.0],
        "word": ["a", None, "c"],
        "kind": pd.Categorical(["x", "y", "x"]),
        "yes": [True, False, True],
    }
)


@pytest.mark.parametrize(
    ("example", "fields"),
    [
        (
            FRAME,
            (
                Field("whole", "INT64", nullable=True),
                Field("plain", "INT32"),
                Field("gap", "FP64", nullable=True),
                Field("word", "BYTES", nullable=True),
                Field("kind", "BYTES"),
                Field("yes", "BOOL"),
            ),
        ),
        (FRAME["plain"], (Field("plain", "INT32"),)),
        (np.zeros((4, 2), dtype=np.float32), (Field("x0", "FP32"), Field("x1", "FP32"))),
        (np.zeros(4), (Field("x0", "FP64"),)),
        (np.zeros((4, 8, 8, 3), dtype=np.uint8), (Field("input", "UINT8", shape=(-1, 8, 8, 3)),)),
        (["a text", "another"], (Field("text", "BYTES"),)),
        ("one text", (Field("text", "BYTES"),)),
        ({"a": 1, "b": "x"}, (Field("a", "INT64"), Field("b", "BYTES"))),
        ({"ids": [[1, 2], [3, 4]]}, (Field("ids", "INT64", shape=(-1, 2)),)),
        ([{"a": 1.0}, {"a": None, "b": True}], (Field("a", "FP64", nullable=True), Field("b", "BOOL", nullable=True))),
        ([[1.0, 2.0], [3.0, 4.0]], (Field("x0", "FP64"), Field("x1", "FP64"))),
        (pl.DataFrame({"a": [[1.0, 2.0], [3.0, 4.0]]}), (Field("a", "FP64", shape=(-1, 2)),)),
        (pl.LazyFrame({"a": [1]}), (Field("a", "INT64"),)),
    ],
    ids=lambda value: type(value).__name__,
)
def test_examples_as_people_have_them(example: Any, fields: tuple[Field, ...]) -> None:
    signature = infer_signature(example)
    assert signature.inputs == fields
    columns = as_columns(example)
    assert list(signature.convert(columns)) == [field.name for field in fields]


@pytest.mark.engines
def test_tensors_are_examples() -> None:
    import torch

    assert infer_signature(torch.zeros(3, 4, 5)).inputs == (Field("input", "FP32", shape=(-1, 4, 5)),)
    assert infer_signature({"ids": torch.zeros(3, 7, dtype=torch.int64)}).inputs == (
        Field("ids", "INT64", shape=(-1, 7)),
    )
    signature = infer_signature(torch.zeros(3, 2, requires_grad=True))
    assert signature.convert(torch.ones(2, 2))["x1"].tolist() == [1.0, 1.0]


def test_an_array_is_converted_by_position_or_as_the_one_input() -> None:
    two = infer_signature(np.zeros((3, 2)))
    assert two.convert(np.array([[1.0, 2.0]]))["x1"].tolist() == [2.0]
    with pytest.raises(InvalidInput, match="cannot be 2 columns"):
        two.convert(np.zeros((3, 3)))
    image = infer_signature(np.zeros((3, 4, 4)))
    assert image.convert(np.ones((2, 4, 4)))["input"].shape == (2, 4, 4)
    assert infer_signature(FRAME[["plain", "gap"]]).convert(FRAME)["gap"].tolist()[0] == 0.5


@pytest.mark.parametrize(
    "example", [object(), [], [object()], {"a": [1, 2], "b": [1]}, [[1, 2], [3]], {"a": [dt.date(2026, 1, 1)]}]
)
def test_what_is_no_example_is_refused(example: Any) -> None:
    with pytest.raises(InvalidInput):
        infer_signature(example)
