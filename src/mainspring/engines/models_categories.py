"""Categories of frames that boosters were trained on: which code each value has.

LightGBM and XGBoost number the categories of a pandas or polars column and keep the list with the model. Asked with
plain columns they would take the values themselves for codes, so the values are numbered here. A value that is in no
list is missing, as LightGBM has it for frames.
"""

from __future__ import annotations

import itertools
import json
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from mainspring.kernel.errors import UnsupportedFormat

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["category_codes", "lightgbm_categories", "xgboost_categories"]


def category_codes(column: NDArray[Any], categories: Sequence[Any]) -> NDArray[Any]:
    """The place of each value in the list, in double; NaN for what is not in it.

    Example:
        >>> import numpy as np
        >>> category_codes(np.array(["b", None, "z"], dtype=object), ["a", "b"])
        array([ 1., nan, nan])
    """
    import numpy as np

    places = {value: float(place) for place, value in enumerate(categories)}
    return np.array([places.get(value, np.nan) for value in column.tolist()], dtype=np.float64)


def lightgbm_categories(text: str) -> dict[int, list[Any]]:
    """Per feature of a LightGBM text, the categories of its column in the frame that it was trained on."""
    told = text.rpartition("\npandas_categorical:")[2].partition("\n")[0]
    lists: list[list[Any]] = (json.loads(told) if told.startswith(("[", "null")) else None) or []
    if not lists:
        return {}
    header = text.partition("\nTree=")[0]
    infos = next((line.partition("=")[2] for line in header.splitlines() if line.startswith("feature_infos=")), "")
    features = [place for place, info in enumerate(infos.split(" ")) if info and info[0] not in "[n"]
    if len(features) != len(lists):
        raise UnsupportedFormat("LightGBM does not say which of its columns have the categories that it keeps")
    return dict(zip(features, lists, strict=True))


def xgboost_categories(booster: Any) -> dict[int, list[Any]]:
    """Per feature of an XGBoost booster, the categories of its column in the frame that it was trained on."""
    if "c" not in (booster.feature_types or ()):
        return {}
    told = json.loads(booster.save_raw("json"))["learner"]["gradient_booster"]
    encoded = told.get("gbtree", told)["model"].get("cats", {}).get("enc", [])
    found = {}
    for place, each in enumerate(encoded):
        values = each.get("values", [])
        if "offsets" in each:
            raw, ends = bytes(value % 256 for value in values), each["offsets"]
            if not raw.isascii():  # XGBoost 3.2 counts characters and keeps as many bytes
                raise UnsupportedFormat(
                    "XGBoost keeps categories outside of ASCII only in part, so they cannot be told apart again",
                    hint="rename the categories, or train on their codes",
                )
            values = [raw[start:end].decode() for start, end in itertools.pairwise(ends)]
        if values:
            found[place] = list(values)
    return found
