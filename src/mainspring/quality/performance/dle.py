"""Direct loss estimation: how far a regression's predictions are off, from a model of its loss.

A second model learns, on a reference with labels, the loss of each row from the features and the prediction; its mean
over a chunk of new rows is the estimate. It sees that rows come from where the first model is worse, and is blind to a
change of the relation itself. The conventions are those of NannyML, so that its figures are met.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from mainspring.kernel.errors import InvalidInput, MissingDependency, nearest
from mainspring.quality.performance.chunks import (
    Chunking,
    Estimate,
    PerformanceReport,
    Threshold,
    chunks_of,
    judged,
    taken,
)

if TYPE_CHECKING:
    import polars as pl

__all__ = ["METRICS", "estimate_regressor"]

METRICS = ("mae", "mape", "mse", "rmse", "msle", "rmsle")
"""By name: mean absolute, absolute percentage, squared, and squared logarithmic error, and roots of the latter two."""

_TINY = 2.220446049250313e-16
_ROOTS = {"rmse": "mse", "rmsle": "msle"}


def estimate_regressor(
    reference: pl.DataFrame,
    current: pl.DataFrame,
    *,
    truth: str,
    prediction: str,
    features: Sequence[str],
    metrics: Sequence[str] = ("rmse",),
    chunking: Chunking | None = None,
    threshold: Threshold | None = None,
    model: Callable[[], Any] | None = None,
) -> PerformanceReport:
    """Estimate a regression's errors over chunks of rows without labels.

    Args:
        reference: Rows with labels that the model was not trained on.
        current: Rows to judge; labels are used for `realized` where there are any.
        truth: The column of the truth.
        prediction: The column of the prediction.
        features: The columns that tell how hard a row is; numbers, moments, or categories.
        metrics: Names of `METRICS`.
        chunking: How rows are divided; ten chunks by default.
        threshold: What is usual; three standard deviations around the reference's chunks by default.
        model: Makes the model of the loss, with `fit` and `predict`; boosted trees by default.
    """
    for name in (*features, prediction, truth):
        if name not in reference.columns or (name != truth and name not in current.columns):
            raise InvalidInput(f"there is no column {name!r} in both tables", known=nearest(name, reference.columns))
    for metric in metrics:
        if metric not in METRICS:
            raise InvalidInput(f"{metric!r} cannot be estimated here", known=list(METRICS))
    chunking, threshold = chunking or Chunking(), threshold or Threshold()
    labelled = reference.drop_nulls([truth, prediction])
    if not labelled.height:
        raise InvalidInput("the reference has no row with both truth and prediction")
    inputs = [*features, prediction]
    tables = _matrix(labelled, labelled, inputs), _matrix(labelled, current, inputs)
    estimates: list[Estimate] = []
    learned: dict[str, Any] = {}
    for metric in metrics:
        kind = _ROOTS.get(metric, metric)
        losses = _losses(kind, labelled, truth, prediction)
        if kind not in learned:
            learned[kind] = _learned(model or _boosted, tables[0], losses)
        found = []
        for place, (frame, table) in enumerate(((labelled, tables[0]), (current, tables[1]))):
            expected = learned[kind].predict(table).clip(min=0.0)
            real = _losses(kind, frame, truth, prediction) if _has_labels(frame, truth) else None
            for chunk in chunks_of(frame, chunking):
                value = _folded(metric, taken(expected, chunk))
                seen = None if real is None else _folded(metric, taken(real, chunk))
                found.append((chunk, value, seen, place == 0))
        estimates += judged(
            metric, found, errors=_errors(metric, losses), threshold=threshold, limits=(0.0, float("inf"))
        )
    order = sorted(estimates, key=lambda each: not each.is_reference)
    return PerformanceReport(method="dle", estimates=tuple(order))


def _boosted() -> Any:
    try:
        from sklearn.ensemble import HistGradientBoostingRegressor
    except ImportError:
        raise MissingDependency("scikit-learn", extra="serve") from None
    return HistGradientBoostingRegressor(random_state=0)


def _learned(model: Callable[[], Any], table: Any, losses: Any) -> Any:
    """A fitted model, in one thread: those that wait for each other by spinning are slow on a busy machine."""
    try:
        from threadpoolctl import threadpool_limits
    except ImportError:
        return model().fit(table, losses)
    with threadpool_limits(limits=1):
        return model().fit(table, losses)


def _has_labels(frame: pl.DataFrame, truth: str) -> bool:
    return truth in frame.columns and not frame.get_column(truth).null_count()


def _losses(kind: str, frame: pl.DataFrame, truth: str, prediction: str) -> Any:
    import numpy as np

    real, said = (frame.get_column(name).to_numpy().astype(float) for name in (truth, prediction))
    if kind == "mae":
        return np.abs(real - said)
    if kind == "mape":
        return np.abs(real - said) / np.maximum(np.abs(real), _TINY)
    if kind == "mse":
        return (real - said) ** 2
    if min(real.min(), said.min()) <= -1:
        raise InvalidInput("logarithmic errors need truth and predictions above -1")
    return (np.log1p(real) - np.log1p(said)) ** 2


def _folded(metric: str, losses: Any) -> float:
    mean = float(losses.mean())
    return mean**0.5 if metric in _ROOTS else mean


def _errors(metric: str, losses: Any) -> Callable[[int], float]:
    """The standard error by the number of rows; of a root by the delta method."""
    spread, mean = float(losses.std()), float(losses.mean())
    scale = spread / (2 * mean**0.5) if metric in _ROOTS and mean > 0 else spread
    return lambda rows: scale / max(rows, 1) ** 0.5


def _matrix(reference: pl.DataFrame, frame: pl.DataFrame, columns: Sequence[str]) -> Any:
    """Numbers as they are, moments in microseconds, categories by their place among the reference's; others missing."""
    import numpy as np
    import polars as pl

    found = []
    for name in columns:
        column = frame.get_column(name)
        if column.dtype.is_numeric() or column.dtype == pl.Boolean:
            numbers = column.cast(pl.Float64)
        elif column.dtype.is_temporal():
            numbers = column.to_physical().cast(pl.Float64)
        else:
            known = reference.get_column(name).cast(pl.String).drop_nulls().unique().sort().to_list()
            places = {value: float(place) for place, value in enumerate(known)}
            numbers = column.cast(pl.String).replace_strict(places, default=None, return_dtype=pl.Float64)
        found.append(numbers.fill_null(float("nan")).to_numpy())
    return np.column_stack(found)
