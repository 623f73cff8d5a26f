"""Signatures read off examples."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest

from mainspring.kernel.errors import InvalidInput
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
