"""Graphs of whole models: a pipeline's transformers, its estimator, and the rule that turns scores into labels.

Each estimator's rule is its library's own: scikit-learn's logistic regression says the second class when its score is
above 0, gradient boosting when it is 0 or more, a forest takes the first class of greatest probability.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any

from mainspring.engines.models_categories import lightgbm_categories
from mainspring.models.onnx_catboost import catboost_scores
from mainspring.models.onnx_graph import Column, Graph, cannot_compile
from mainspring.models.onnx_hist import histogram_boosted
from mainspring.models.onnx_lightgbm import lightgbm_raw, read_text
from mainspring.models.onnx_linear import (
    decision,
    discriminant,
    generalized,
    logistic,
    network,
    regression,
    robust_regression,
    stochastic,
)
from mainspring.models.onnx_members import coded
from mainspring.models.onnx_others import (
    bernoulli,
    centres,
    constant_label,
    constant_value,
    gaussian,
    multinomial,
    vote,
    vote_value,
)
from mainspring.models.onnx_scores import Outputs, Scores, labelled, many, two, valued
from mainspring.models.onnx_transforms import transform
from mainspring.models.onnx_trees import boosted, forest, single_tree
from mainspring.models.onnx_xgboost import xgboost_scores

__all__ = ["ESTIMATORS", "emit_model"]

_LIBRARIES = ("sklearn", "lightgbm", "xgboost", "catboost")


def emit_model(graph: Graph, model: Any, columns: Sequence[Column], *, classes: Sequence[Any] = ()) -> Outputs:
    """Emit a fitted estimator, pipeline or booster; the graph's outputs as `Graph.build` takes them.

    Args:
        graph: Where to.
        model: The model.
        columns: Its columns, in the order in which it was fitted on them.
        classes: The classes of a booster that classifies.
    """
    import numpy as np

    while type(model).__name__ == "Pipeline" and type(model).__module__.startswith("sklearn."):
        for _, step in model.steps[:-1]:
            columns = transform(graph, step, columns)
        model = model.steps[-1][1]
    library = type(model).__module__.partition(".")[0]
    if library not in _LIBRARIES:
        raise cannot_compile(f"the estimator {type(model).__name__}")
    if library == "lightgbm" and type(model).__name__ == "Booster":
        scores = _booster(graph, model.model_to_string(), columns)
    elif library == "xgboost":
        scores = xgboost_scores(graph, model, columns, classes=classes)
    elif library == "catboost":
        scores = catboost_scores(graph, model, columns)
    else:
        expected = getattr(model, "n_features_in_", len(columns))
        if expected != len(columns):
            raise cannot_compile(f"{type(model).__name__} of {expected} columns, given {len(columns)}")
        scores = _emitter(type(model).__name__)(graph, model, columns)
    known = np.array(list(classes)) if len(classes) else _classes(model)
    return valued(graph, scores) if known is None else labelled(graph, scores, known)


def _emitter(name: str) -> Callable[[Graph, Any, Sequence[Column]], Scores]:
    emit = ESTIMATORS.get(name)
    if emit is None:
        raise cannot_compile(f"the estimator {name}")
    return emit


def _classes(model: Any) -> Any:
    import numpy as np

    if type(model).__module__.startswith("xgboost.") and not hasattr(model, "predict_proba"):
        return None
    found = getattr(model, "classes_", None)
    return None if found is None or len(found) == 0 else np.asarray(found)


def _forest(graph: Graph, model: Any, columns: Sequence[Column]) -> Scores:
    return Scores(forest(graph, model, columns))


def _tree(graph: Graph, model: Any, columns: Sequence[Column]) -> Scores:
    return Scores(single_tree(graph, model, columns))


def _gradient_boosting(graph: Graph, model: Any, columns: Sequence[Column]) -> Scores:
    import numpy as np

    raw = boosted(graph, model, columns)
    if not hasattr(model, "classes_"):
        return Scores(raw)
    if model.loss == "exponential":  # its link is half a logit
        doubled = graph.node("Mul", raw, graph.constant(np.float64(2.0)))
        return two(graph, doubled, inclusive=True)
    return many(graph, raw) if len(model.classes_) > 2 else two(graph, raw, inclusive=True)


def _histogram(graph: Graph, model: Any, columns: Sequence[Column]) -> Scores:
    raw = histogram_boosted(graph, model, columns)
    if hasattr(model, "classes_"):
        return many(graph, raw) if len(model.classes_) > 2 else two(graph, raw)
    link = type(model._loss.link).__name__  # noqa: SLF001
    if link not in ("IdentityLink", "LogLink"):
        raise cannot_compile(f"HistGradientBoostingRegressor with the link {link}")
    return Scores(graph.node("Exp", raw) if link == "LogLink" else raw)


def _lightgbm(graph: Graph, model: Any, columns: Sequence[Column]) -> Scores:
    if callable(getattr(model, "objective_", None)):
        raise cannot_compile("LightGBM with an objective of its own")
    return _booster(graph, model.booster_.model_to_string(), columns)


_PLAIN = {"regression", "regression_l1", "huber", "fair", "quantile", "mape"}
_LOGARITHMIC = {"poisson", "gamma", "tweedie"}


def _booster(graph: Graph, text: str, columns: Sequence[Column]) -> Scores:
    """Scores by LightGBM's objective: its label is always the argmax of what it answers."""
    import numpy as np

    model = read_text(text)
    categories = lightgbm_categories(text)
    columns = [
        coded(graph, column, categories[place]) if place in categories else column
        for place, column in enumerate(columns)
    ]
    raw = lightgbm_raw(graph, model, columns)
    if model.objective in ("binary", "multiclassova", "cross_entropy"):
        slope = float(model.options.get("sigmoid", "1"))
        scaled = raw if slope == 1.0 else graph.node("Mul", raw, graph.constant(np.float64(slope)))
        if model.objective == "cross_entropy":
            return Scores(graph.node("Sigmoid", scaled))
        return Scores(graph.node("Sigmoid", scaled) if model.targets > 1 else two(graph, scaled).tensor)
    if model.objective == "multiclass":
        return Scores(graph.node("Softmax", raw, axis=1))
    if model.objective in _LOGARITHMIC:
        return Scores(graph.node("Exp", raw))
    if model.objective in _PLAIN and "sqrt" not in model.flags:
        return Scores(raw)
    raise cannot_compile(f"LightGBM with the objective {model.objective!r}")


_LINEAR_REGRESSORS = (
    "ARDRegression", "BayesianRidge", "ElasticNet", "ElasticNetCV", "HuberRegressor", "Lars", "LarsCV", "Lasso",
    "LassoCV", "LassoLars", "LassoLarsCV", "LassoLarsIC", "LinearRegression", "LinearSVR", "OrthogonalMatchingPursuit",
    "OrthogonalMatchingPursuitCV", "PassiveAggressiveRegressor", "QuantileRegressor", "Ridge", "RidgeCV",
    "SGDRegressor", "TheilSenRegressor",
)  # fmt: skip
_LINEAR_CLASSIFIERS = ("LinearSVC", "PassiveAggressiveClassifier", "Perceptron", "RidgeClassifier", "RidgeClassifierCV")

ESTIMATORS: dict[str, Callable[[Graph, Any, Sequence[Column]], Scores]] = {
    **dict.fromkeys(_LINEAR_REGRESSORS, regression),
    **dict.fromkeys(_LINEAR_CLASSIFIERS, decision),
    "BernoulliNB": bernoulli,
    "DecisionTreeClassifier": _tree,
    "DecisionTreeRegressor": _tree,
    "DummyClassifier": constant_label,
    "DummyRegressor": constant_value,
    "ExtraTreeClassifier": _tree,
    "ExtraTreeRegressor": _tree,
    "ExtraTreesClassifier": _forest,
    "ExtraTreesRegressor": _forest,
    "GammaRegressor": generalized,
    "GaussianNB": gaussian,
    "GradientBoostingClassifier": _gradient_boosting,
    "GradientBoostingRegressor": _gradient_boosting,
    "HistGradientBoostingClassifier": _histogram,
    "HistGradientBoostingRegressor": _histogram,
    "KMeans": centres,
    "LGBMClassifier": _lightgbm,
    "LGBMRanker": _lightgbm,
    "LGBMRegressor": _lightgbm,
    "LinearDiscriminantAnalysis": discriminant,
    "LogisticRegression": logistic,
    "LogisticRegressionCV": logistic,
    "MLPClassifier": network,
    "MLPRegressor": network,
    "MiniBatchKMeans": centres,
    "MultinomialNB": multinomial,
    "PoissonRegressor": generalized,
    "RANSACRegressor": robust_regression,
    "RandomForestClassifier": _forest,
    "RandomForestRegressor": _forest,
    "SGDClassifier": stochastic,
    "TweedieRegressor": generalized,
    "VotingClassifier": functools.partial(vote, emit=_emitter),
    "VotingRegressor": functools.partial(vote_value, emit=_emitter),
}
"""Class name in scikit-learn or LightGBM -> what emits its scores; boosters have their own modules."""
