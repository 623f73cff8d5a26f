"""A report from labels and scores: the evaluation of the task, the comparison, the gate, fairness and found slices."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from mainspring.kernel.errors import InvalidInput
from mainspring.quality.evaluation.classification import evaluate_binary
from mainspring.quality.evaluation.comparison import (
    compare_binary,
    compare_forecasts,
    compare_multiclass,
    compare_regression,
)
from mainspring.quality.evaluation.fairness import evaluate_fairness
from mainspring.quality.evaluation.forecasting import evaluate_forecast
from mainspring.quality.evaluation.multiclass import class_codes, evaluate_multiclass
from mainspring.quality.evaluation.multilabel import evaluate_multilabel
from mainspring.quality.evaluation.regression import evaluate_quantiles, evaluate_regression
from mainspring.quality.evaluation.relevance import evaluate_ranking
from mainspring.quality.evaluation.report import EvaluationReport
from mainspring.quality.evaluation.slice_search import find_slices
from mainspring.quality.evaluation.types import Slice

__all__ = ["TASKS", "make_report"]

TASKS: dict[str, tuple[Callable[..., Any], Callable[..., Any] | None]] = {
    "binary": (evaluate_binary, compare_binary),
    "multiclass": (evaluate_multiclass, compare_multiclass),
    "multilabel": (evaluate_multilabel, None),
    "regression": (evaluate_regression, compare_regression),
    "quantile": (evaluate_quantiles, None),
    "ranking": (evaluate_ranking, None),
    "forecast": (evaluate_forecast, compare_forecasts),
}
"""Of each task what evaluates it and what compares two models."""

_PARTS = ("robustness", "explanation", "effects", "threshold", "notes")


def make_report(
    labels: Any,
    scores: Any,
    *,
    task: str,
    model: str = "",
    dataset: str = "",
    champion: Any = None,
    gate: Any = None,
    baseline: Any = None,
    importances: Iterable[Any] = (),
    sensitive: Any = None,
    search: bool = False,
    parts: Mapping[str, Any],
    options: Mapping[str, Any],
) -> EvaluationReport:
    """The report, not yet kept; arguments as in `client.quality.evaluate`."""
    if task not in TASKS:
        raise InvalidInput(f"{task!r} is not a task", known=list(TASKS))
    judge, pair = TASKS[task]
    for name in parts:
        if name not in _PARTS:
            raise InvalidInput(f"a report has no part {name!r}", known=list(_PARTS))
    unknown = [name for name in options if name not in inspect.signature(judge).parameters]
    if unknown:
        raise InvalidInput(f"an evaluation of the task {task} has no option {unknown[0]!r}")
    needed = [
        name
        for name, each in inspect.signature(judge).parameters.items()
        if each.default is inspect.Parameter.empty and name not in {"labels", "scores", "predictions", *options}
    ]
    if needed:
        raise InvalidInput(f"an evaluation of the task {task} needs {needed[0]}=")
    if champion is not None and pair is None:
        raise InvalidInput(f"two models of the task {task} cannot be compared", hint="leave champion= out")
    found = judge(labels, scores, model=model, dataset=dataset, **options)
    comparison = None
    if champion is not None and pair is not None:
        shared = {name: value for name, value in options.items() if name in inspect.signature(pair).parameters}
        comparison = pair(labels, champion=champion, candidate=scores, **shared)
    decision = None if gate is None else gate.decide(found, baseline=baseline, comparison=comparison)
    fairness = None
    if sensitive is not None:
        if task != "binary":
            raise InvalidInput("fairness by sensitive= is of binary decisions", hint="use MetricFrame")
        kept = {name: options[name] for name in ("threshold", "weights", "confidence", "seed") if name in options}
        fairness = evaluate_fairness(labels, scores, sensitive, **kept)
    return EvaluationReport(
        evaluation=found,
        comparison=comparison,
        decision=decision,
        importances=tuple(importances),
        fairness=fairness,
        found_slices=_searched(task, labels, scores, options) if search else (),
        robustness=parts.get("robustness"),
        explanation=parts.get("explanation"),
        effects=tuple(parts.get("effects", ())),
        threshold=parts.get("threshold"),
        notes=parts.get("notes", {}),
    )


def _searched(task: str, labels: Any, scores: Any, options: Mapping[str, Any]) -> tuple[Slice, ...]:
    from mainspring.quality.evaluation.arrays import labels_of, numbers_of, numpy
    from mainspring.quality.evaluation.losses import log_losses

    frame = options.get("frame")
    if frame is None:
        raise InvalidInput("a search for slices needs the rows", hint="pass frame=")
    if task == "binary":
        metric, losses = "log_loss", log_losses(labels_of(labels), numbers_of(scores, what="scores"))
    elif task == "multiclass":
        np = numpy()
        codes, _, table = class_codes(labels, scores, options.get("classes"))
        metric, losses = "log_loss", -np.log(np.clip(table[np.arange(codes.size), codes], 1e-15, 1))
    elif task in {"regression", "forecast"}:
        metric, losses = "mae", abs(numbers_of(scores, what="scores") - numbers_of(labels, what="labels"))
    else:
        raise InvalidInput(f"slices of the task {task} are not searched for", hint="find_slices takes any losses")
    return find_slices(losses, frame, metric=metric)
