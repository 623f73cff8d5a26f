"""How far a model falls when its data goes wrong: the loss of a metric as a curve over the size of the trouble.

Every point is a paired comparison with the clean rows, so its interval is that of the fall, not of the metric.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import msgspec

from mainspring.kernel.errors import InvalidInput, nearest
from mainspring.quality.evaluation.arrays import numbers_of, numpy
from mainspring.quality.evaluation.losses import ROW_LOSSES, row_loss
from mainspring.quality.evaluation.paired import Pair, area_difference
from mainspring.quality.evaluation.perturbations import PERTURBATIONS, applies
from mainspring.quality.evaluation.types import Difference

if TYPE_CHECKING:
    import polars as pl

__all__ = ["Fall", "Robustness", "evaluate_robustness"]

_TOLERANCE = 1e-9


class Fall(msgspec.Struct, frozen=True, kw_only=True):
    """What a perturbation of a size does. `columns` are those it was applied to, all at once."""

    perturbation: str
    level: float
    columns: tuple[str, ...]
    change: Difference | None
    """The metric on clean rows (`champion`) and on spoilt ones (`candidate`), with the interval of the difference."""
    error: str = ""
    """What the model said when it could not answer at all."""
    statement: str = ""


class Robustness(msgspec.Struct, frozen=True, kw_only=True):
    """Falls by perturbation and level, and whether the order of the columns matters to the model."""

    metric: str
    clean: float
    rows: int
    falls: tuple[Fall, ...]
    order_matters: bool
    confidence: float = 0.95

    def curve(self, perturbation: str, column: str = "") -> list[Fall]:
        """The falls of one perturbation by level, on all columns together or on one."""
        found = [
            each
            for each in self.falls
            if each.perturbation == perturbation and (each.columns == (column,) if column else len(each.columns) != 1)
        ]
        return sorted(found or [e for e in self.falls if e.perturbation == perturbation], key=lambda e: e.level)


def evaluate_robustness(
    predict: Callable[[Any], Any],
    frame: pl.DataFrame,
    labels: Any,
    *,
    metric: str = "auc",
    perturbations: Sequence[str] | Mapping[str, Sequence[float]] | None = None,
    columns: Sequence[str] | None = None,
    by_column: bool = False,
    threshold: float = 0.5,
    rows: int = 5000,
    confidence: float = 0.95,
    seed: int = 0,
) -> Robustness:
    """Spoil the rows in the ways that data goes wrong and measure the fall.

    Args:
        predict: Takes a frame like `frame` and returns one score per row.
        frame: The features, as a polars DataFrame.
        labels: One per row.
        metric: `auc`, `accuracy`, `log_loss`, `brier`, `mae` or `mse`.
        perturbations: Names of `noise`, `shift`, `units`, `missing`, `swaps`, `typos`, or levels by name; by default
            all.
        columns: Which columns are spoilt; all by default. Units are always spoilt one column at a time.
        by_column: Spoil one column at a time.
        threshold: From which score on a row is called positive, for the accuracy.
        rows: At most so many rows, drawn at random, are used.
        confidence: Of the intervals.
        seed: Of everything that is drawn.

    Example:
        >>> import polars as pl
        >>> frame = pl.DataFrame({"x": [i / 500 for i in range(500)]})
        >>> labels = [int(i >= 250) for i in range(500)]
        >>> found = evaluate_robustness(lambda f: f["x"], frame, labels, perturbations={"noise": [0.1, 2.0]})
        >>> [fall.change.candidate > 0.9 for fall in found.curve("noise")], found.order_matters
        ([True, False], False)
    """
    np = numpy()
    truth = numbers_of(labels, what="labels")
    if frame.height != truth.size or not truth.size:
        raise InvalidInput(f"the frame has {frame.height} rows and there are {truth.size} labels")
    asked = _asked(perturbations)
    for name in columns or ():
        if name not in frame.columns:
            raise InvalidInput(f"the frame has no column {name!r}", known=nearest(name, frame.columns))
    if metric not in {"auc", "accuracy", *ROW_LOSSES}:
        raise InvalidInput(f"{metric!r} cannot be measured here", known=["auc", "accuracy", *ROW_LOSSES])
    random = np.random.default_rng(seed)
    if truth.size > rows:
        kept = np.sort(random.choice(truth.size, rows, replace=False))
        frame, truth = frame[kept], truth[kept]
    clean = numbers_of(predict(frame), what="scores")
    if clean.size != truth.size:
        raise InvalidInput(f"predict returned {clean.size} scores for {truth.size} rows")

    judge = _judge(metric, truth, clean, threshold, confidence)
    falls = []
    for name, levels in asked.items():
        able = [each for each in (columns or frame.columns) if applies(name, frame.get_column(each))]
        alone = by_column or name == "units"
        for group in [[each] for each in able] if alone else [able]:
            if group:
                falls += [_fall(predict, frame, judge, (name, level), group, random) for level in levels]
    return Robustness(
        metric=metric,
        clean=judge(clean).champion or 0.0,
        rows=truth.size,
        falls=tuple(falls),
        order_matters=_order_matters(predict, frame, clean),
        confidence=confidence,
    )


def _judge(metric: str, truth: Any, clean: Any, threshold: float, confidence: float) -> Callable[[Any], Difference]:
    np = numpy()

    def judge(scores: Any) -> Difference:
        pair = Pair(truth=truth, old=clean, new=scores, rows=np.arange(truth.size), confidence=confidence)
        if metric == "auc":
            return area_difference(pair)
        if metric == "accuracy":
            right = [((each >= threshold) == (truth == 1)).astype(float) for each in (clean, scores)]
            return pair.mean(metric, right[0], right[1])
        return pair.mean(metric, row_loss(metric, truth, clean), row_loss(metric, truth, scores))

    return judge


def _asked(perturbations: Sequence[str] | Mapping[str, Sequence[float]] | None) -> dict[str, tuple[float, ...]]:
    names = list(PERTURBATIONS) if perturbations is None else list(perturbations)
    for name in names:
        if name not in PERTURBATIONS:
            raise InvalidInput(f"{name!r} is not a perturbation", known=nearest(name, PERTURBATIONS))
    if isinstance(perturbations, Mapping):
        return {name: tuple(float(level) for level in levels) for name, levels in perturbations.items()}
    return {name: PERTURBATIONS[name][1] for name in names}


def _fall(
    predict: Callable[[Any], Any],
    frame: pl.DataFrame,
    judge: Callable[[Any], Difference],
    trouble: tuple[str, float],
    columns: Sequence[str],
    random: Any,
) -> Fall:
    name, level = trouble
    spoil = PERTURBATIONS[name][0]
    spoilt = frame.with_columns([spoil(frame.get_column(each), level, random).alias(each) for each in columns])
    where = columns[0] if len(columns) == 1 else f"{len(columns)} columns"
    try:
        scores = numbers_of(predict(spoilt), what="scores")
    except Exception as problem:  # noqa: BLE001 -- whatever a model raises is what a user would see; it is the finding
        text = f"{type(problem).__name__}: {problem}"[:200]
        statement = f"{name} {level:g} in {where}: the model does not answer ({text})"
        return Fall(
            perturbation=name, level=level, columns=tuple(columns), change=None, error=text, statement=statement
        )
    change = judge(scores)
    statement = f"{name} {level:g} in {where}: {change.metric} has no value"
    if change.difference is not None:
        statement = (
            f"{name} {level:g} in {where}: {change.metric} {change.champion:.4g} to {change.candidate:.4g} "
            f"({change.difference:+.4g}, interval {change.low:+.4g} to {change.high:+.4g})"
        )
    return Fall(perturbation=name, level=level, columns=tuple(columns), change=change, statement=statement)


def _order_matters(predict: Callable[[Any], Any], frame: pl.DataFrame, clean: Any) -> bool:
    """Whether the answers change when the same columns come in another order: a model that goes by position."""
    np = numpy()
    try:
        other = numbers_of(predict(frame.select(frame.columns[::-1])), what="scores")
    except Exception:  # noqa: BLE001 -- a model that refuses another order says so, which is as good as an answer
        return True
    return bool(other.size != clean.size or np.abs(other - clean).max() > _TOLERANCE)
