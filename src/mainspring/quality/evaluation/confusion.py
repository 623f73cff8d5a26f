"""Metrics of a confusion matrix with several classes, as functions of the weights of its cells."""

from __future__ import annotations

from typing import Any

from mainspring.quality.evaluation.arrays import numpy
from mainspring.quality.evaluation.bootstrap import Measure

__all__ = ["averaged_measures", "class_measures"]


def _sums(truth: Any, called: Any, size: int) -> Any:
    """From weights of cells to (true positives, called, true) of each class."""
    np = numpy()
    eye = np.eye(size)
    hit, asked, is_class = eye[truth] * (truth == called)[:, None], eye[called], eye[truth]

    def sums(weights: Any) -> tuple[Any, Any, Any]:
        return weights @ hit, weights @ asked, weights @ is_class

    return sums


def _over(above: Any, below: Any) -> Any:
    np = numpy()
    return np.where(below > 0, above / np.where(below > 0, below, 1), 0.0)


def averaged_measures(truth: Any, called: Any, size: int) -> dict[str, Measure]:
    """Metrics over all classes. A class that is never predicted has the precision 0, as scikit-learn has it.

    Averages run over the classes that occur, true or predicted.
    """
    sums = _sums(truth, called, size)

    def shares(weights: Any) -> dict[str, Any]:
        hit, asked, true = sums(weights)
        return {"precision": _over(hit, asked), "recall": _over(hit, true), "f1": _over(2 * hit, asked + true)}

    def macro(name: str) -> Measure:
        def measure(weights: Any) -> Any:
            _, asked, true = sums(weights)
            seen = (asked + true) > 0
            return (shares(weights)[name] * seen).sum(-1) / seen.sum(-1)

        return measure

    def weighted(name: str) -> Measure:
        def measure(weights: Any) -> Any:
            true = sums(weights)[2]
            return (shares(weights)[name] * true).sum(-1) / true.sum(-1)

        return measure

    def micro(weights: Any) -> Any:
        hit, asked, _ = sums(weights)
        return hit.sum(-1) / asked.sum(-1)

    def balanced(weights: Any) -> Any:
        hit, _, true = sums(weights)
        return _over(hit, true).sum(-1) / (true > 0).sum(-1)

    def matthews(weights: Any) -> Any:
        np = numpy()
        hit, asked, true = sums(weights)
        total = asked.sum(-1)
        above = hit.sum(-1) * total - (asked * true).sum(-1)
        below = np.sqrt((total**2 - (asked**2).sum(-1)) * (total**2 - (true**2).sum(-1)))
        return _over(above, below)

    def kappa(weights: Any) -> Any:
        hit, asked, true = sums(weights)
        total = asked.sum(-1)
        chance = (asked * true).sum(-1) / total
        return (hit.sum(-1) - chance) / (total - chance)

    found: dict[str, Measure] = {
        "accuracy": micro, "balanced_accuracy": balanced, "mcc": matthews, "cohen_kappa": kappa
    }  # fmt: skip
    for name in ("precision", "recall", "f1"):
        found |= {f"{name}_macro": macro(name), f"{name}_micro": micro, f"{name}_weighted": weighted(name)}
    return found


def class_measures(truth: Any, called: Any, names: list[str]) -> dict[str, dict[str, Measure]]:
    """Precision, recall, F1 and the share of each class against all others; NaN where it has none."""
    np = numpy()
    found: dict[str, dict[str, Measure]] = {}
    for at, name in enumerate(names):
        hit = ((truth == at) & (called == at)).astype(float)
        asked, true = (called == at).astype(float), (truth == at).astype(float)

        def ratio(above: Any, below: Any) -> Measure:
            return lambda weights: np.divide(weights @ above, weights @ below)

        found[name] = {
            "precision": ratio(hit, asked),
            "recall": ratio(hit, true),
            "f1": ratio(2 * hit, asked + true),
            "prevalence": ratio(true, np.ones(true.size)),
        }
    return found
