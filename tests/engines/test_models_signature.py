"""Signatures: data in every form becomes typed columns, or an error that names the column."""

from __future__ import annotations

import math
from typing import Any

import msgspec
import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mainspring.engines.signature import DTYPES, Field, Signature
from mainspring.kernel.errors import InvalidInput

FLIGHT = Signature(
    inputs=(
        Field("distance", "FP64"),
        Field("hour", "INT32"),
        Field("delay", "FP32", nullable=True),
        Field("seats", "INT64", nullable=True),
        Field("carrier", "BYTES", nullable=True),
        Field("night", "BOOL"),
    )
)
ROW = {"distance": 200.0, "hour": 7, "delay": None, "seats": None, "carrier": None, "night": True}


@pytest.mark.parametrize("form", ["records", "columns", "frame", "lazy"])
def test_every_form_of_data_becomes_the_same_columns(form: str) -> None:
    full = {"distance": 100.5, "hour": 8, "delay": 1.5, "seats": 180, "carrier": "UA", "night": False}
    columns = {name: [ROW[name], full[name]] for name in ROW}
    frame = pl.DataFrame(columns)
    data: Any = {"records": [ROW, full], "columns": columns, "frame": frame, "lazy": frame.lazy()}[form]
    found = FLIGHT.convert(data)
    assert list(found) == list(FLIGHT.names)
    assert {name: array.dtype.name for name, array in found.items()} == {
        "distance": "float64",
        "hour": "int32",
        "delay": "float32",
        "seats": "float64",
        "carrier": "object",
        "night": "bool",
    }
    assert found["distance"].tolist() == [200.0, 100.5]
    assert math.isnan(found["delay"][0])
    assert math.isnan(found["seats"][0])
    assert found["carrier"].tolist() == [None, "UA"]
    assert found["night"].tolist() == [True, False]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"distance": None}, "column 'distance' has no value in row 0"),
        ({"distance": math.nan}, "column 'distance' has no value in row 0"),
        ({"distance": math.inf}, "column 'distance' has an infinite value in row 0"),
        ({"delay": -math.inf}, "column 'delay' has an infinite value in row 0"),
        ({"distance": "far"}, "column 'distance' takes FP64 and has 'far'"),
        ({"hour": 7.5}, "column 'hour' takes INT32 and has 7.5"),
        ({"hour": 2**40}, "column 'hour' takes INT32"),
        ({"hour": 2**80}, "column 'hour' has a number too large for INT32"),
        ({"hour": None}, "column 'hour' has no value in row 0"),
        ({"seats": 2**60}, "column 'seats' takes INT64"),
        ({"carrier": 5}, "column 'carrier' takes text and has 5"),
        ({"carrier": b"\xff"}, "column 'carrier' has bytes that are not UTF-8"),
        ({"night": 2}, "column 'night' takes BOOL and has 2"),
        ({"night": "yes"}, "column 'night' takes BOOL and has 'yes'"),
        ({"distance": [1.0, 2.0]}, "column 'distance'"),
    ],
)
def test_a_value_that_cannot_be_is_refused_by_name(change: dict[str, Any], words: str) -> None:
    with pytest.raises(InvalidInput, match=words):
        FLIGHT.convert([ROW | change])


def test_a_missing_column_names_the_nearest_there_is() -> None:
    with pytest.raises(InvalidInput, match="'distance' is missing") as caught:
        FLIGHT.convert({("distnace" if name == "distance" else name): [value] for name, value in ROW.items()})
    assert "distnace" in caught.value.known


def test_columns_of_different_lengths_and_single_values() -> None:
    columns = {name: [value] for name, value in ROW.items()}
    with pytest.raises(InvalidInput, match="'hour' has 2 values and column 'distance' has 1"):
        FLIGHT.convert(columns | {"hour": [1, 2]})
    with pytest.raises(InvalidInput, match="'hour' is one value"):
        FLIGHT.convert(columns | {"hour": 1})
    with pytest.raises(InvalidInput, match="row 1 is int"):
        FLIGHT.convert([ROW, 5])
    with pytest.raises(InvalidInput, match="cannot be read"):
        FLIGHT.convert(5)


def test_optional_columns_may_be_left_out_and_others_are_ignored() -> None:
    signature = Signature(inputs=(Field("x", "FP64"), Field("gate", "INT64", nullable=True, optional=True)))
    found = signature.convert({"x": [1.0, 2.0], "other": ["a", "b"]})
    assert list(found) == ["x", "gate"]
    assert np.isnan(found["gate"]).all()


def test_values_with_a_shape() -> None:
    signature = Signature(inputs=(Field("embedding", "FP32", shape=(-1, 3)),))
    assert signature.convert({"embedding": [[1, 2, 3], [4, 5, 6]]})["embedding"].shape == (2, 3)
    with pytest.raises(InvalidInput, match="'embedding' has the shape"):
        signature.convert({"embedding": [[1, 2], [4, 5]]})


def test_what_cannot_be_a_signature() -> None:
    with pytest.raises(InvalidInput, match="unknown datatype 'FLOAT'"):
        Field("x", "FLOAT")
    with pytest.raises(InvalidInput, match="the first size must be -1"):
        Field("x", "FP64", shape=(3,))
    with pytest.raises(InvalidInput, match="name 'x' twice"):
        Signature(inputs=(Field("x", "FP64"), Field("x", "FP32")))


def test_the_json_form_reads_back() -> None:
    assert msgspec.json.decode(msgspec.json.encode(FLIGHT), type=Signature) == FLIGHT


@given(st.sampled_from([name for name in DTYPES if name != "BYTES"]), st.lists(st.integers(0, 1), max_size=20))
def test_small_numbers_fit_every_type_and_come_back_equal(dtype: str, values: list[int]) -> None:
    found = Signature(inputs=(Field("x", dtype),)).convert({"x": values})["x"]
    assert found.dtype.name == DTYPES[dtype]
    assert found.tolist() == values


@given(
    st.lists(
        st.one_of(st.none(), st.integers(-(2**70), 2**70), st.floats(), st.booleans(), st.text(max_size=3)), max_size=6
    )
)
def test_anything_is_converted_or_refused_by_name_never_broken(values: list[Any]) -> None:
    for dtype in ("INT64", "FP64", "UINT8", "BOOL", "BYTES"):
        try:
            found = Signature(inputs=(Field("x", dtype, nullable=True),)).convert({"x": values})["x"]
        except InvalidInput as error:
            assert "'x'" in error.message
        else:
            assert len(found) == len(values)
