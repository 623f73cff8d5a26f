"""Confidence-based performance estimation: what a classifier's metrics come to, from its probabilities alone.

Probabilities are calibrated on a reference whose labels are known (isotonic, where that makes them better); the
expectation of every metric over a chunk of new rows follows. It holds under covariate shift as long as the calibration
does, and is blind to a change of the relation itself (Białek et al., Estimating Model Performance Under Covariate Shift
Without Labels, 2024). The conventions are those of NannyML, so that its figures are met.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import msgspec

from mainspring.kernel.errors import InvalidInput, MissingDependency, nearest
from mainspring.quality.performance import classification
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

__all__ = ["estimate_classifier"]

_SPLITS, _BINS = 10, 10
_CLASSWISE = ("roc_auc", "average_precision", "f1", "precision", "recall", "specificity", "accuracy")


class _Class(msgspec.Struct, frozen=True):
    """One class of a table: truth, scores, calibrated scores and whether it was predicted, row by row."""

    truth: Any
    scores: Any
    calibrated: Any
    predicted: Any


def estimate_classifier(
    reference: pl.DataFrame,
    current: pl.DataFrame,
    *,
    truth: str,
    score: str | Mapping[Any, str],
    prediction: str = "",
    positive: Any = 1,
    metrics: Sequence[str] = ("roc_auc",),
    chunking: Chunking | None = None,
    threshold: Threshold | None = None,
    calibrate: bool | None = None,
) -> PerformanceReport:
    """Estimate a classifier's metrics over chunks of rows without labels.

    Args:
        reference: Rows with labels that the model was not trained on.
        current: Rows to judge; labels are used for `realized` where there are any.
        truth: The column of labels.
        score: The column of the probability of the positive class; for several classes, the column of each class.
        prediction: The column of the predicted class; needed for metrics that are not of the ranking.
        positive: What is the positive label, with one score.
        metrics: Names of `classification.METRICS`; of several classes the mean over the classes is meant.
        chunking: How rows are divided; ten chunks by default.
        threshold: What is usual; three standard deviations around the reference's chunks by default.
        calibrate: Whether to calibrate; by default where held-out rows of the reference say that it helps.

    Example:
        >>> import polars as pl
        >>> rows = pl.DataFrame({"y": [0, 1, 0, 1, 1] * 200, "p": [0.3, 0.7, 0.1, 0.6, 0.9] * 200})
        >>> now = pl.DataFrame({"p": [0.45, 0.55] * 300})
        >>> options = {"truth": "y", "score": "p", "calibrate": False}
        >>> report = estimate_classifier(rows, now, chunking=Chunking(count=2), **options)
        >>> [round(each.value, 2) for each in report.of("roc_auc")]
        [0.55, 0.55]
    """
    _need_sklearn()
    columns = {positive: score} if isinstance(score, str) else dict(score)
    known = [*columns.values(), *([prediction] if prediction else [])]
    for name in (*known, truth):
        if name not in reference.columns or (name != truth and name not in current.columns):
            raise InvalidInput(f"there is no column {name!r} in both tables", known=nearest(name, reference.columns))
    _check_metrics(metrics, several=len(columns) > 1, prediction=prediction)
    chunking, threshold = chunking or Chunking(), threshold or Threshold()
    models = {label: _calibrator(reference, truth, name, label, calibrate=calibrate) for label, name in columns.items()}
    sides = [_classes(frame, columns, models, truth, prediction) for frame in (reference, current)]
    estimates: list[Estimate] = []
    parts = [
        (side, chunk, place == 0)
        for place, (frame, side) in enumerate(zip((reference, current), sides, strict=True))
        for chunk in chunks_of(frame, chunking)
    ]
    for metric in metrics:
        found = []
        for side, chunk, is_reference in parts:
            pieces = [_piece(each, chunk) for each in side.values()]
            labelled = pieces[0].truth is not None
            real = _mean(metric, pieces, realized=True) if labelled else None
            found.append((chunk, _mean(metric, pieces, realized=False), real, is_reference))
        spreads = [_spread(metric, each) for each in sides[0].values()]
        estimates += judged(
            metric, found, errors=_errors(metric, spreads, sides[0]), threshold=threshold, limits=(0.0, 1.0)
        )
    order = sorted(estimates, key=lambda each: not each.is_reference)
    return PerformanceReport(method="cbpe", estimates=tuple(order))


def _need_sklearn() -> None:
    try:
        import sklearn  # noqa: F401 -- asked for, so that its absence is said once and rightly
    except ImportError:
        raise MissingDependency("scikit-learn", extra="serve") from None


def _check_metrics(metrics: Sequence[str], *, several: bool, prediction: str) -> None:
    able = _CLASSWISE if several else classification.METRICS
    for metric in metrics:
        if metric not in able:
            raise InvalidInput(f"{metric!r} cannot be estimated here", known=nearest(metric, able) or list(able))
        if metric not in {"roc_auc", "average_precision"} and not prediction:
            raise InvalidInput(f"{metric} needs the predicted class", hint="name its column with prediction=")


def _calibrator(frame: pl.DataFrame, truth: str, score: str, label: Any, *, calibrate: bool | None) -> Any:
    """A calibration of one class; None where probabilities are taken as they are."""
    from sklearn.isotonic import IsotonicRegression

    rows = frame.select(truth, score).drop_nulls()
    marks = (rows.get_column(truth) == label).to_numpy().astype(float)
    scores = rows.get_column(score).to_numpy().astype(float)
    if not len(rows) or marks.min() == marks.max():
        raise InvalidInput(f"the reference has only one kind of rows where {truth} is {label!r} or is not")
    if calibrate is False or (calibrate is None and not _calibration_helps(marks, scores)):
        return None
    return IsotonicRegression(out_of_bounds="clip", increasing=True).fit(scores, marks)


def _calibration_helps(marks: Any, scores: Any) -> bool:
    """Whether calibrating on nine tenths makes the expected calibration error of the rest smaller, over ten splits."""
    import numpy as np
    from sklearn.isotonic import IsotonicRegression
    from sklearn.metrics import roc_auc_score
    from sklearn.model_selection import StratifiedShuffleSplit

    if min(marks.sum(), len(marks) - marks.sum()) < 2 or len(marks) < 20 or roc_auc_score(marks, scores) > 0.999:
        return False
    splits = StratifiedShuffleSplit(n_splits=_SPLITS, test_size=0.1, random_state=42).split(scores[:, None], marks)
    held: list[tuple[Any, Any, Any]] = []
    for learn, test in splits:
        model = IsotonicRegression(out_of_bounds="clip", increasing=True).fit(scores[learn], marks[learn])
        held.append((marks[test], scores[test], model.predict(scores[test])))
    truth, before, after = (np.concatenate(each) for each in zip(*held, strict=True))
    return _calibration_error(truth, before) > _calibration_error(truth, after)


def _calibration_error(truth: Any, scores: Any) -> float:
    """The mean distance of shares from probabilities over bins of equal numbers of rows."""
    import numpy as np

    order = np.argsort(scores)
    bins = min(_BINS, len(order) // 2)
    width = len(order) // bins
    edges = [*range(0, width * bins, width), len(order)]
    parts = [order[start:end] for start, end in itertools.pairwise(edges)]
    return sum(len(part) / len(order) * abs(float(scores[part].mean() - truth[part].mean())) for part in parts)


def _classes(
    frame: pl.DataFrame, columns: Mapping[Any, str], models: Mapping[Any, Any], truth: str, prediction: str
) -> dict[Any, _Class]:
    import numpy as np

    scores = {label: frame.get_column(name).to_numpy().astype(float) for label, name in columns.items()}
    calibrated = {
        label: each if models[label] is None else models[label].predict(np.nan_to_num(each))
        for label, each in scores.items()
    }
    if len(columns) > 1:
        total = sum(calibrated.values())
        calibrated = {label: each / np.where(total == 0, 1.0, total) for label, each in calibrated.items()}
    labels = frame.get_column(truth) if truth in frame.columns and not frame.get_column(truth).null_count() else None
    said = frame.get_column(prediction) if prediction else None
    return {
        label: _Class(
            None if labels is None else (labels == label).to_numpy(),
            scores[label],
            calibrated[label],
            None if said is None else (said == label).to_numpy(),
        )
        for label in columns
    }


def _piece(side: _Class, chunk: Any) -> _Class:
    parts = (side.truth, side.scores, side.calibrated, side.predicted)
    return _Class(*(None if each is None else taken(each, chunk) for each in parts))


def _mean(metric: str, pieces: Sequence[_Class], *, realized: bool) -> float:
    """Over the classes; the accuracy of several classes is that of the predicted one."""
    if metric == "accuracy" and len(pieces) > 1:
        rows = len(pieces[0].scores)
        return sum(float((each.truth if realized else each.calibrated)[each.predicted].sum()) for each in pieces) / rows
    values = [
        classification.realized(metric, each.truth, each.scores, each.predicted)
        if realized
        else classification.estimated(metric, each.calibrated, each.scores, each.predicted)
        for each in pieces
    ]
    return sum(values) / len(values)


def _spread(metric: str, side: _Class) -> float:
    return classification.sampling(metric, side.truth, side.scores, side.predicted)


def _errors(metric: str, spreads: Sequence[float], reference: Mapping[Any, _Class]) -> Any:
    """The standard error by the number of rows, of the mean over classes.

    As if those were independent, but a fifth more for the area under the curve, and as if they were one for the average
    precision: NannyML's allowances for what classes have in common.
    """
    count = len(spreads)
    scale = float(sum(each**2 for each in spreads) ** 0.5) / count
    if count > 1:
        scale *= {"roc_auc": 1.2, "average_precision": count**0.5}.get(metric, 1.0)
    if count > 1 and metric == "accuracy":
        right = sum(float((each.truth & each.predicted).mean()) for each in reference.values())
        scale = (right * (1 - right)) ** 0.5
    return lambda rows: scale / max(rows, 1) ** 0.5
