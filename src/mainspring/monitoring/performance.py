"""Did the model get worse? The figures of a window's labelled answers, beside those it was accepted with.

What is measured follows from what the model gives: probabilities of two classes, of more, labels alone, or numbers.
A figure fell when it is worse than when the model was accepted beyond what chance explains: their 95 % intervals do
not meet, or, where only a number was kept of then, the 99.7 % interval of now does not reach it.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import polars as pl

from mainspring.engines.models import LABEL, PROBABILITY, VALUE
from mainspring.monitoring.types import Figure, Limits
from mainspring.quality.evaluation.intervals import mean_estimate, wilson_estimate
from mainspring.quality.evaluation.ranking import auc_estimate
from mainspring.quality.evaluation.types import Estimate

if TYPE_CHECKING:
    from collections.abc import Callable

    from mainspring.models.types import Metric, ModelVersion

__all__ = ["LEAST", "figures_of", "output_columns"]

LEAST = 50
"""Labelled answers below which figures would say nothing."""

_CHANCE = 3.0
"""Standard errors beyond which a difference from what must hold is no accident: once in 370 windows."""
_CLEAR, _ALONE = 0.95, 0.9973
_SURE = 1.2e-7  # a probability of exactly 0 would make one row outweigh all others


def output_columns() -> list[str]:
    """The logged columns that figures are made of, where a model has them."""
    return [f"output.{name}" for name in (LABEL, PROBABILITY, VALUE)]


def figures_of(frame: pl.DataFrame, version: ModelVersion, limits: Limits) -> dict[str, Figure]:
    """How good labelled answers were.

    Args:
        frame: `label` and the logged outputs; no label is missing. Labels that are none of a classifier's classes are
            left out.
        version: The model, with its classes and the metrics it was accepted with.
        limits: How much worse is too much.

    Returns:
        See `Window.figures`; empty where the outputs are of no kind that is known here.
    """
    accepted = version.metrics
    if f"output.{PROBABILITY}" in frame.columns:
        scores, places = _scored(frame, version.classes)
        if scores.shape[1] == 2:
            return _binary(places == 1, scores[:, 1], accepted, limits)
        return _several(places, scores, accepted, limits)
    if f"output.{LABEL}" in frame.columns:
        right = (_text(frame[f"output.{LABEL}"]) == _text(frame["label"])).sum()
        return _accuracy(int(right), frame.height, accepted, limits)
    if f"output.{VALUE}" in frame.columns and frame["label"].dtype.is_numeric():
        found = frame.select(pl.col(f"output.{VALUE}").cast(pl.Float64).alias("value"), "label").drop_nulls()
        return _numbers(found["value"].to_numpy() - found["label"].to_numpy(), accepted, limits)
    return {}


def _scored(frame: pl.DataFrame, classes: Sequence[Any]) -> tuple[Any, Any]:
    """Probabilities, rows by classes, and the place of each label among the classes."""
    import numpy as np

    column = frame[f"output.{PROBABILITY}"]
    if column.dtype.is_numeric():
        second = column.cast(pl.Float64).to_numpy()
        scores = np.column_stack([1 - second, second])
    else:
        scores = np.asarray(column.cast(pl.List(pl.Float64)).to_list(), dtype=np.float64).reshape(frame.height, -1)
    known = list(classes) or list(range(scores.shape[1]))
    names = {str(int(each) if isinstance(each, bool | float) else each): place for place, each in enumerate(known)}
    places = _text(frame["label"]).replace_strict(names, default=None, return_dtype=pl.Int64)
    kept = places.is_not_null().to_numpy() & np.isfinite(scores).all(axis=1)
    return scores[kept], places.to_numpy()[kept].astype(np.int64)


def _text(column: pl.Series) -> pl.Series:
    """Labels as texts, the same for 1, 1.0 and true."""
    if column.dtype == pl.Boolean:
        column = column.cast(pl.Int8)
    return column.cast(pl.String).str.strip_suffix(".0")


def _binary(positive: Any, score: Any, accepted: Mapping[str, Metric], limits: Limits) -> dict[str, Figure]:
    import numpy as np

    if not len(score):
        return {}
    truth = positive.astype(np.float64)
    chosen = np.where(positive, score, 1 - score).clip(_SURE, 1.0)
    found = {
        "auc": _beside("auc", accepted, lambda level: auc_estimate(truth, score, level), higher=True),
        "log_loss": _beside("log_loss", accepted, lambda level: mean_estimate(-np.log(chosen), level, least=0.0)),
        "brier": _beside("brier", accepted, lambda level: mean_estimate((score - truth) ** 2, level, least=0.0)),
        "calibration": _calibration(score, truth, limits),
    }
    return {name: figure for name, figure in found.items() if figure is not None}


def _several(places: Any, scores: Any, accepted: Mapping[str, Metric], limits: Limits) -> dict[str, Figure]:
    """More than two classes; calibrated is a model whose most probable class is right as often as it says."""
    import numpy as np

    if not len(places):
        return {}
    every = np.arange(len(places))
    chosen = scores[every, places]
    brier = ((scores**2).sum(axis=1) - 2 * chosen + 1) / 2
    best = scores.argmax(axis=1)
    right = best == places
    found = {
        **_accuracy(int(right.sum()), len(places), accepted, limits),
        "log_loss": _beside(
            "log_loss", accepted, lambda level: mean_estimate(-np.log(chosen.clip(_SURE, 1.0)), level, least=0.0)
        ),
        "brier": _beside("brier", accepted, lambda level: mean_estimate(brier, level, least=0.0)),
        "calibration": _calibration(scores[every, best], right.astype(np.float64), limits),
    }
    return {name: figure for name, figure in found.items() if figure is not None}


def _accuracy(right: int, rows: int, accepted: Mapping[str, Metric], limits: Limits) -> dict[str, Figure]:
    figure = _beside("accuracy", accepted, lambda level: wilson_estimate(right, rows, level), higher=True)
    if figure is None:
        return {}
    if figure.fell and figure.reference is not None:
        more = 1 - figure.value > (1 + limits.loss) * (1 - figure.reference)
        figure = Figure(**{**_fields(figure), "fell": more})
    return {"accuracy": figure}


def _numbers(errors: Any, accepted: Mapping[str, Metric], limits: Limits) -> dict[str, Figure]:
    """Of predicted minus true numbers."""
    if not len(errors):
        return {}
    mae = _beside("mae", accepted, lambda level: mean_estimate(abs(errors), level, least=0.0))
    mse = mean_estimate(errors**2, _CLEAR, least=0.0)
    value, low, high = (None if end is None else math.sqrt(end) for end in (mse.value, mse.low, mse.high))
    rmse = _beside("rmse", accepted, lambda _: Estimate(value, low, high))
    found = {"mae": mae, "rmse": rmse, "bias": _bias(errors, accepted, limits)}
    if mae is not None and mae.fell and mae.reference is not None:
        found["mae"] = Figure(**{**_fields(mae), "fell": mae.value > (1 + limits.loss) * mae.reference})
    return {name: figure for name, figure in found.items() if figure is not None}


def _bias(errors: Any, accepted: Mapping[str, Metric], limits: Limits) -> Figure | None:
    """The mean of predicted minus true: off when it has moved by more than a share of the error that is usual."""
    found = mean_estimate(errors, _CLEAR)
    if found.value is None or found.standard_error is None:
        return None
    before = accepted["bias"].value if "bias" in accepted else 0.0
    usual = accepted["mae"].value if "mae" in accepted else float(abs(errors).mean())
    moved = abs(found.value - before)
    fell = moved > _CHANCE * found.standard_error and moved > limits.calibration * usual
    return Figure(found.value, found.low, found.high, before, fell=fell)


def _beside(
    name: str, accepted: Mapping[str, Metric], estimate: Callable[[float], Estimate], *, higher: bool = False
) -> Figure | None:
    """An estimate beside the accepted metric of the same name; None where there is no value."""
    found = estimate(_CLEAR)
    if found.value is None or not math.isfinite(found.value):
        return None
    before = accepted.get(name)
    if before is None:
        return Figure(found.value, found.low, found.high)
    alone = before.low is None or before.high is None
    low, high = (before.value, before.value) if alone else (before.low, before.high)
    now = estimate(_ALONE) if alone else found
    fell = False
    if now.low is not None and now.high is not None and low is not None and high is not None:
        fell = now.high < low if higher else now.low > high
    return Figure(found.value, found.low, found.high, before.value, before.low, before.high, bool(fell))


def _calibration(promised: Any, came: Any, limits: Limits) -> Figure:
    """Predicted over observed: 1 is right, 1.4 says that 40 % more was predicted than came."""
    expected, observed = float(promised.sum()), float(came.sum())
    spread = math.sqrt(float((promised * (1 - promised)).sum()))
    base = max(observed, 0.5)  # nothing came: half an event keeps the ratio finite
    ratio = expected / base
    off = abs(expected - observed) > _CHANCE * spread and abs(ratio - 1) > limits.calibration
    low, high = max(0.0, expected - 2 * spread) / base, (expected + 2 * spread) / base
    return Figure(ratio, low, high, reference=1.0, fell=off)


def _fields(figure: Figure) -> dict[str, Any]:
    return {name: getattr(figure, name) for name in figure.__struct_fields__}
