"""Evaluating predictions of several classes, of which a row has one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from mainspring.kernel.errors import InvalidInput
from mainspring.quality.evaluation import intervals
from mainspring.quality.evaluation.arrays import codes_of, matrix_of, numpy, same_length, series_of, weights_of
from mainspring.quality.evaluation.bootstrap import Resampling, Units, bootstrap_all
from mainspring.quality.evaluation.calibration import calibration_bins
from mainspring.quality.evaluation.confusion import averaged_measures, class_measures
from mainspring.quality.evaluation.multiclass_area import area_estimates
from mainspring.quality.evaluation.slices import measures_of, slice_metrics
from mainspring.quality.evaluation.types import Estimate, Evaluation

if TYPE_CHECKING:
    from mainspring.quality.evaluation.arrays import Floats
    from mainspring.quality.evaluation.slices import RowsMeasure

__all__ = ["class_codes", "evaluate_multiclass"]

_TOPS = (2, 3, 5)
_TINY = 1e-15


def evaluate_multiclass(
    labels: Any,
    scores: Any,
    *,
    classes: Sequence[Any] | None = None,
    weights: Any = None,
    groups: Any = None,
    slices: Sequence[str] | Mapping[str, Any] | None = None,
    frame: Any = None,
    slice_metric: str | Sequence[str] = "log_loss",
    confidence: float = 0.95,
    bins: int = 10,
    replicates: int = 1000,
    seed: int = 0,
    model: str = "",
    dataset: str = "",
) -> Evaluation:
    """Evaluate predicted probabilities of several classes.

    Gives `accuracy`, `balanced_accuracy`, `mcc`, `cohen_kappa`, `precision`, `recall` and `f1` averaged `_macro`,
    `_micro` and `_weighted`, `auc_ovr_macro`, `auc_ovr_weighted`, `auc_ovo_macro`, `auc_ovo_weighted` (Hand and Till
    2001), `log_loss`, `brier`, `top_k_accuracy@k`, `ece` of the predicted class; `by_class` has each class against the
    others, `matrix` the confusion. The calibration table is that of the predicted class.

    Args:
        labels: The class of each row, or its place among `classes`.
        scores: Rows by classes, probabilities that sum to 1.
        classes: The classes in the order of the columns; by default the sorted labels.
        weights: How much each row counts.
        groups: Rows of the same group are drawn together; as in `evaluate_binary`.
        slices: As in `evaluate_binary`.
        frame: The rows, as a polars DataFrame.
        slice_metric: `log_loss`, `brier` or `accuracy`; of several the first orders the slices.
        confidence: Of every interval.
        bins: Of the calibration error.
        replicates: Of the bootstrap, for what has no formula.
        seed: Of the bootstrap.
        model: What to call the model in the report.
        dataset: What to call the rows in the report.

    Example:
        >>> found = evaluate_multiclass(["a", "b", "c"], [[0.8, 0.1, 0.1], [0.2, 0.7, 0.1], [0.5, 0.1, 0.4]])
        >>> found["accuracy"].value == 2 / 3, found.matrix[2]
        (True, (1.0, 0.0, 0.0))
    """
    np = numpy()
    codes, names, table = class_codes(labels, scores, classes)
    weight = weights_of(weights, rows=codes.size)
    how = Resampling(confidence=confidence, replicates=replicates, seed=seed)
    called = table.argmax(axis=1)
    clusters = None if groups is None else codes_of(groups, what="groups", rows=codes.size)[0]
    metrics, by_class, matrix = _from_confusion(codes, called, names, weight, clusters, how)
    losses = _losses(codes, called, table)
    metrics |= {
        name: intervals.mean_estimate(each, confidence, least=0.0, weights=weight)
        for name, each in losses.items() if name != "accuracy"
    }  # fmt: skip
    everyone = np.ones(codes.size, dtype=bool)
    place = (table > table[np.arange(codes.size), codes][:, None]).sum(axis=1)
    for k in _TOPS:
        if k < len(names):
            metrics[f"top_k_accuracy@{k}"] = intervals.share_estimate(place < k, everyone, weight, confidence)
    areas, by_area = area_estimates(codes, table, weight, confidence)
    for name, each in zip(names, by_area, strict=True):
        by_class[name]["auc"] = each
    sure = table[np.arange(codes.size), called]
    right = (called == codes).astype(float)
    said = np.clip(sure, 0, 1)
    table_of = calibration_bins(right, said, weights=weight, bins=bins, confidence=confidence)
    metrics |= areas | {"ece": _calibration_error(right, said, weight, clusters, bins, how)}

    def make(metric: str) -> RowsMeasure:
        if metric not in losses:
            raise InvalidInput(f"slices cannot be measured by {metric!r}", known=list(losses))
        return lambda rows: intervals.mean_estimate(
            losses[metric][rows], confidence, weights=None if weight is None else weight[rows]
        )

    by = measures_of(slice_metric, make)
    found = slice_metrics(by, slices, frame, rows=codes.size)
    return Evaluation(
        task="multiclass", count=codes.size, metrics=metrics, confidence=confidence, classes=tuple(names),
        matrix=matrix, by_class=by_class, calibration=table_of, slice_metric=next(iter(by)) if found else "",
        slices=found, weighted=weight is not None, model=model, dataset=dataset,
    )  # fmt: skip


def class_codes(labels: Any, scores: Any, classes: Sequence[Any] | None) -> tuple[Any, list[str], Floats]:
    """The place of each row's class, the names of the classes, and the probabilities."""
    np = numpy()
    table = matrix_of(scores, what="scores")
    rows = table.shape[0]
    if not rows:
        raise InvalidInput("there are no rows to evaluate")
    column = series_of(labels, what="labels", rows=rows)
    if column.null_count():
        raise InvalidInput(f"{column.null_count()} of {rows} labels are missing", hint="leave those rows out")
    codes, known = codes_of(column, what="labels", rows=rows)
    if classes is None and len(known) < table.shape[1] and column.dtype.is_integer():
        classes = list(range(table.shape[1]))
    names = [str(each) for each in (classes if classes is not None else known)]
    if len(names) != table.shape[1] or len(set(names)) != len(names) or len(names) < 2:
        raise InvalidInput(
            f"{len(names)} classes for {table.shape[1]} columns of scores", hint="pass classes= in the columns' order"
        )
    at = {name: place for place, name in enumerate(names)}
    places = [at.get(str(each), -1) for each in known]
    if -1 in places:
        raise InvalidInput(f"label {known[places.index(-1)]!r} is none of the classes", known=names[:9])
    if table.min() < 0 or np.abs(table.sum(axis=1) - 1).max() > 1e-3:
        raise InvalidInput("scores are not probabilities that sum to 1 in each row", hint="apply a softmax first")
    same_length(labels=codes, scores=table)
    return np.asarray(places, dtype=np.int64)[codes], names, table


def _losses(codes: Any, called: Any, table: Floats) -> dict[str, Floats]:
    np = numpy()
    at = np.arange(codes.size)
    shares = table / table.sum(axis=1, keepdims=True)
    hit = shares[at, codes]
    return {
        "log_loss": -np.log(np.clip(hit, _TINY, 1)),
        "brier": (table**2).sum(axis=1) - 2 * table[at, codes] + 1,
        "accuracy": (called == codes).astype(float),
    }


def _from_confusion(
    codes: Any, called: Any, names: list[str], weight: Floats | None, clusters: Any, how: Resampling
) -> tuple[dict[str, Estimate], dict[str, dict[str, Estimate]], tuple[tuple[float, ...], ...]]:
    np = numpy()
    size = len(names)
    cell = codes * size + called
    mass = np.ones(codes.size) if weight is None else weight
    total, count = np.bincount(cell, mass, size * size), np.bincount(cell, minlength=size * size)
    kept = np.flatnonzero(count)
    place = np.zeros(size * size, dtype=np.int64)
    place[kept] = np.arange(kept.size)
    parts = None
    if clusters is not None:
        from scipy.sparse import csr_array

        parts = csr_array((mass, (clusters, place[cell])), shape=(int(clusters.max()) + 1, kept.size))
    units = Units(total[kept], count=count[kept].astype(float), clusters=parts)
    measures = averaged_measures(kept // size, kept % size, size)
    each_class = class_measures(kept // size, kept % size, names)
    both = measures | {f"{name}/{metric}": fn for name, of in each_class.items() for metric, fn in of.items()}
    with np.errstate(divide="ignore", invalid="ignore"):
        seen = {name: float(measure(units.weight)) for name, measure in both.items()}
    values = {name: value if np.isfinite(value) else None for name, value in seen.items()}
    limits = {name: (-1.0 if name in {"mcc", "cohen_kappa"} else 0.0, 1.0) for name in both}
    if size > 50:  # intervals of several hundred numbers that nobody reads would take minutes
        found = bootstrap_all(measures, units, values, how, limits=limits)
        found |= {name: Estimate(value) for name, value in values.items() if name not in found}
    else:
        found = bootstrap_all(both, units, values, how, limits=limits)
    by_class = {name: {metric: found[f"{name}/{metric}"] for metric in of} for name, of in each_class.items()}
    matrix = tuple(tuple(float(each) for each in row) for row in total.reshape(size, size))
    metrics = {name: found[name] for name in measures}
    if clusters is None:
        metrics["accuracy"] = intervals.share_estimate(
            called == codes, np.ones(codes.size, dtype=bool), weight, how.confidence
        )
    return metrics, by_class, matrix


def _calibration_error(
    right: Floats, said: Floats, weight: Floats | None, clusters: Any, bins: int, how: Resampling
) -> Estimate:
    from mainspring.quality.evaluation.binary_measures import binary_measures, press, rows_of
    from mainspring.quality.evaluation.calibration import width_edges

    np = numpy()
    edges, order = width_edges(bins), np.argsort(said, kind="stable")
    rows = rows_of(right, said, weight, order=order)
    cells = press(
        rows, borders=np.nextafter(edges, 2.0).tolist(), clusters=None if clusters is None else clusters[order]
    )
    value = float(binary_measures(rows, threshold=0.5, edges=edges)["ece"](rows.units.weight))
    measure = {"ece": binary_measures(cells, threshold=0.5, edges=edges)["ece"]}
    return bootstrap_all(measure, cells.units, {"ece": value}, how, limits={"ece": (0.0, 1.0)})["ece"]
