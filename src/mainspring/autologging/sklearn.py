"""scikit-learn: estimators, pipelines, searches, cross-validation."""

from __future__ import annotations

import json
from collections.abc import Generator, Mapping
from types import ModuleType
from typing import Any

from mainspring.autologging.patches import Call, Patches
from mainspring.autologging.sessions import Session

__all__ = ["SklearnLogger"]

_OTHERS = ("xgboost", "lightgbm", "catboost")
"""Packages whose estimators have a logger of their own."""

_SCORED_ROWS = 20_000
_MOST_CLASSES = 50
_NOT_PARAMS = {"steps", "transformers", "transformer_list", "estimators", "memory", "verbose", "n_jobs"}
_LEARNED = ("n_iter_", "inertia_", "n_clusters_", "best_iteration_", "lower_bound_")


class SklearnLogger:
    """Everything that predicts or clusters and is a scikit-learn estimator, those of other packages included.

    Transformers alone are not logged, nor what is fitted inside of another estimator.
    """

    modules = ("sklearn.base", "sklearn.model_selection._validation")

    def install(self, module: ModuleType, patches: Patches) -> None:
        """Wrap `fit` and `fit_predict` of every estimator, and `cross_validate`."""
        if module.__name__ == "sklearn.base":
            for name in ("fit", "fit_predict"):
                patches.family(module.BaseEstimator, name, self.fit, of=_meant, when=_predicts)
        else:
            patches.function(module, "cross_validate", self.cross_validate)

    def fit(self, session: Session, call: Call) -> Generator[None, Any, None]:
        """One training."""
        estimator, inputs, target = call.owner, call.argument("X"), call.argument("y")
        session.tags(estimator=type(estimator).__name__, **_shape(inputs))
        session.params(_params(estimator))
        yield
        session.log({name.rstrip("_"): getattr(estimator, name, None) for name in _LEARNED})
        if hasattr(estimator, "cv_results_"):
            with session.safely():
                _log_search(session, estimator)
        trained = getattr(estimator, "best_estimator_", estimator)
        if session.options.training_metrics and target is not None and hasattr(trained, "predict"):
            with session.safely():
                _score(session, trained, inputs, target)
        session.model(trained, example=inputs)

    def cross_validate(self, session: Session, call: Call) -> Generator[None, Any, None]:
        """A cross-validation: the figures of each fold, their mean and deviation."""
        estimator = call.argument("estimator")
        session.tags(estimator=type(estimator).__name__, **_shape(call.argument("X")))
        session.params(_params(estimator))
        result = yield
        for name in [name for name in result if name.startswith(("test_", "train_"))]:
            values = [float(each) for each in result[name]]
            for fold, value in enumerate(values):
                session.log({f"cv/{name}": value}, step=fold)
            mean = sum(values) / len(values)
            deviation = (sum((value - mean) ** 2 for value in values) / len(values)) ** 0.5
            session.log({f"cv/{name}_mean": mean, f"cv/{name}_deviation": deviation})


def _meant(kind: type) -> bool:
    return kind.__module__.partition(".")[0] not in _OTHERS


def _predicts(call: Call) -> bool:
    """Whether the object answers questions about rows; a pipeline that ends in a transformer does not."""
    estimator = call.owner
    return hasattr(estimator, "predict") or hasattr(estimator, "fit_predict") or hasattr(estimator, "param_grid")


def _shape(inputs: Any) -> dict[str, Any]:
    shape: Any = getattr(inputs, "shape", None) or ((len(inputs),) if hasattr(inputs, "__len__") else ("",))
    return {"rows": shape[0], "columns": shape[1] if len(shape) > 1 else ""}


def _params(estimator: Any) -> dict[str, Any]:
    """The parameters, those of the parts of a pipeline too, without what only holds the parts."""
    found: Mapping[str, Any] = estimator.get_params(deep=True)
    return {name: value for name, value in found.items() if name.rpartition("__")[2] not in _NOT_PARAMS}


def _log_search(session: Session, search: Any) -> None:
    """The candidates: all as a table, the best as runs of their own."""
    results = search.cv_results_
    figures = [name for name in results if name.startswith(("mean_", "std_", "rank_"))]
    candidates: list[dict[str, Any]] = [
        {"params": dict(params)} | {name: float(results[name][number]) for name in figures}
        for number, params in enumerate(results["params"])
    ]
    session.log({"best_score": getattr(search, "best_score_", None)})
    session.params({f"best.{name}": value for name, value in getattr(search, "best_params_", {}).items()})
    session.table([{**each, "params": json.dumps(each["params"], default=str)} for each in candidates], "candidates")
    rank = next((name for name in figures if name.startswith("rank_")), "")
    order = sorted(range(len(candidates)), key=lambda number: candidates[number][rank] if rank else number)
    for number in order[: session.options.candidates]:
        each = candidates[number]
        metrics = {name: value for name, value in each.items() if name != "params"}
        session.child(f"candidate {number}", params=each["params"], metrics=metrics)


def _score(session: Session, estimator: Any, inputs: Any, target: Any) -> None:
    """How well the trained estimator answers what it was trained on; of a long table its first rows."""
    from sklearn import metrics
    from sklearn.base import is_classifier, is_regressor
    from sklearn.utils import _safe_indexing

    rows = len(target)
    if rows > _SCORED_ROWS:
        place = range(0, rows, -(-rows // _SCORED_ROWS))
        inputs, target = _safe_indexing(inputs, list(place)), _safe_indexing(target, list(place))
    answers = estimator.predict(inputs)
    if is_classifier(estimator):
        found = {"accuracy": metrics.accuracy_score(target, answers)}
        for name in ("precision", "recall", "f1"):
            found[name] = getattr(metrics, f"{name}_score")(target, answers, average="weighted", zero_division=0)
        if hasattr(estimator, "predict_proba"):
            shares, classes = estimator.predict_proba(inputs), list(estimator.classes_)
            found["log_loss"] = metrics.log_loss(target, shares, labels=classes)
            if len(classes) == 2:
                found["roc_auc"] = metrics.roc_auc_score(target, shares[:, 1])
        session.log({f"training/{name}": value for name, value in found.items()})
        _log_confusion(session, estimator, target, answers)
    elif is_regressor(estimator):
        squared = metrics.mean_squared_error(target, answers)
        session.log(
            {
                "training/mse": squared,
                "training/rmse": squared**0.5,
                "training/mae": metrics.mean_absolute_error(target, answers),
                "training/r2": metrics.r2_score(target, answers),
            }
        )


def _log_confusion(session: Session, estimator: Any, target: Any, answers: Any) -> None:
    from sklearn import metrics

    classes = list(getattr(estimator, "classes_", ()))
    if not 1 < len(classes) <= _MOST_CLASSES or getattr(target, "ndim", 1) > 1:
        return
    counts = metrics.confusion_matrix(target, answers, labels=classes)
    rows = [
        {"actual": str(actual), **{str(predicted): int(counts[i][j]) for j, predicted in enumerate(classes)}}
        for i, actual in enumerate(classes)
    ]
    session.table(rows, "training/confusion")
