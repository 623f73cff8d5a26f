"""Evaluating predictions of labels of which a row may have any number."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from mainspring.kernel.errors import InvalidInput
from mainspring.quality.evaluation import intervals
from mainspring.quality.evaluation.arrays import matrix_of, numpy, weights_of
from mainspring.quality.evaluation.binary_measures import area, average_precision, rows_of
from mainspring.quality.evaluation.classification import evaluate_binary
from mainspring.quality.evaluation.types import Estimate, Evaluation

if TYPE_CHECKING:
    from mainspring.quality.evaluation.arrays import Floats

__all__ = ["evaluate_multilabel"]

_KEPT = ("auc", "average_precision", "precision", "recall", "f1", "prevalence")


def evaluate_multilabel(
    labels: Any,
    scores: Any,
    *,
    classes: Sequence[str] | None = None,
    threshold: float = 0.5,
    weights: Any = None,
    confidence: float = 0.95,
    replicates: int = 200,
    seed: int = 0,
    model: str = "",
    dataset: str = "",
) -> Evaluation:
    """Evaluate the probability of each label for each row.

    Gives `subset_accuracy`, `hamming_loss`, `jaccard_samples`, `f1_samples`, `f1_micro`, `precision_micro`,
    `recall_micro`, and the plain means over labels `f1_macro`, `auc_macro`, `average_precision_macro`; `by_class` has
    each label as `evaluate_binary` sees it.

    Args:
        labels: Rows by labels, 0 and 1.
        scores: Rows by labels, probabilities.
        classes: The names of the labels.
        threshold: From which probability on a label is given.
        weights: How much each row counts.
        confidence: Of every interval.
        replicates: Of the bootstrap of each label.
        seed: Of the bootstrap.
        model: What to call the model in the report.
        dataset: What to call the rows in the report.

    Example:
        >>> found = evaluate_multilabel([[1, 0], [1, 1]], [[0.9, 0.2], [0.8, 0.3]], classes=["a", "b"])
        >>> found["subset_accuracy"].value, found["hamming_loss"].value
        (0.5, 0.25)
    """
    np = numpy()
    truth, said = matrix_of(labels, what="labels"), matrix_of(scores, what="scores")
    if truth.shape != said.shape or not truth.size:
        raise InvalidInput(f"labels are {truth.shape} and scores {said.shape}; they must be alike and not empty")
    if ((truth != 0) & (truth != 1)).any() or said.min() < 0 or said.max() > 1:
        raise InvalidInput("labels are 0 and 1, scores are between 0 and 1")
    names = [str(each) for each in classes] if classes is not None else [str(at) for at in range(truth.shape[1])]
    if len(names) != truth.shape[1] or len(set(names)) != len(names):
        raise InvalidInput(f"{len(names)} names for {truth.shape[1]} labels")
    weight = weights_of(weights, rows=truth.shape[0])
    called = said >= threshold
    by_class = {}
    for at, name in enumerate(names):
        found = evaluate_binary(
            truth[:, at], said[:, at], threshold=threshold, weights=weights, confidence=confidence,
            replicates=replicates, seed=seed,
        )  # fmt: skip
        by_class[name] = {metric: found[metric] for metric in _KEPT}
    metrics = _of_rows(truth == 1, called, weight, confidence)
    metrics["f1_macro"] = Estimate(_mean([by_class[name]["f1"].value or 0.0 for name in names]))
    for metric, measure in (("auc", area), ("average_precision", average_precision)):
        values = [by_class[name][metric].value for name in names]
        metrics[f"{metric}_macro"] = Estimate(_mean([each for each in values if each is not None]))
        mass = None if weight is None else np.repeat(weight, truth.shape[1])
        rows = rows_of(truth.ravel(), said.ravel(), mass)
        with np.errstate(divide="ignore", invalid="ignore"):
            value = float(measure(rows)(rows.units.weight))
        metrics[f"{metric}_micro"] = Estimate(value if np.isfinite(value) else None)
    return Evaluation(
        task="multilabel", count=truth.shape[0], metrics=metrics, threshold=threshold, confidence=confidence,
        classes=tuple(names), by_class=by_class, weighted=weight is not None, model=model, dataset=dataset,
    )  # fmt: skip


def _mean(values: Sequence[float]) -> float | None:
    return sum(values) / len(values) if values else None


def _of_rows(truth: Any, called: Any, weight: Floats | None, confidence: float) -> dict[str, Estimate]:
    np = numpy()
    both, either = (truth & called).sum(axis=1), (truth | called).sum(axis=1)
    given, asked = truth.sum(axis=1), called.sum(axis=1)
    everyone = np.ones(truth.shape[0], dtype=bool)

    def mean(values: Floats) -> Estimate:
        return intervals.mean_estimate(values.astype(float), confidence, least=0.0, weights=weight)

    def ratio(above: Floats, below: Floats) -> Estimate:
        return intervals.ratio_estimate(
            above.astype(float), below.astype(float), confidence, least=0.0, most=1.0, weights=weight
        )

    return {
        "subset_accuracy": intervals.share_estimate((truth == called).all(axis=1), everyone, weight, confidence),
        "hamming_loss": mean((truth != called).mean(axis=1)),
        "jaccard_samples": mean(np.where(either > 0, both / np.maximum(either, 1), 0.0)),
        "f1_samples": mean(np.where(given + asked > 0, 2 * both / np.maximum(given + asked, 1), 0.0)),
        "f1_micro": ratio(2 * both, given + asked),
        "precision_micro": ratio(both, asked),
        "recall_micro": ratio(both, given),
    }
