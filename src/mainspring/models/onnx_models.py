"""Graphs of whole models: a pipeline's transformers, its estimator, and the rule that turns scores into labels.

Each estimator's rule is its library's own: scikit-learn's logistic regression says the second class when its score is
above 0, gradient boosting when it is 0 or more, a forest takes the first class of greatest probability.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from mainspring.engines.models import LABEL, PROBABILITY, VALUE
from mainspring.models.onnx_graph import Column, Graph, cannot_compile
from mainspring.models.onnx_hist import histogram_boosted
from mainspring.models.onnx_lightgbm import lightgbm_raw, read_text
from mainspring.models.onnx_transforms import transform
from mainspring.models.onnx_trees import boosted, forest, single_tree

__all__ = ["ESTIMATORS", "emit_booster", "emit_model"]

_INT64 = 7  # TensorProto.INT64
_ELEMENTS = {"float32": "FLOAT", "float64": "DOUBLE"} | {
    name: name.upper() for name in ("bool", "int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64")
}
"""numpy's name of a label's type -> ONNX's."""


class _Scores(NamedTuple):
    """What an estimator computes: (N, C) probabilities or (N, 1) values."""

    tensor: str
    choice: str = ""
    """The number of each row's class, (N), where that is not the argmax of the probabilities."""


def emit_model(graph: Graph, model: Any, columns: Sequence[Column]) -> dict[str, tuple[str, Sequence[int | None]]]:
    """Emit a fitted estimator or pipeline; the graph's outputs as `Graph.build` takes them."""
    while type(model).__name__ == "Pipeline" and type(model).__module__.startswith("sklearn."):
        for _, step in model.steps[:-1]:
            columns = transform(graph, step, columns)
        model = model.steps[-1][1]
    emit = ESTIMATORS.get(type(model).__name__)
    if emit is None or type(model).__module__.partition(".")[0] not in ("sklearn", "lightgbm"):
        raise cannot_compile(f"the estimator {type(model).__name__}")
    expected = getattr(model, "n_features_in_", len(columns))
    if expected != len(columns):
        raise cannot_compile(f"{type(model).__name__} of {expected} columns, given {len(columns)}")
    scores = emit(graph, model, columns)
    classes = getattr(model, "classes_", None)
    return _value(graph, scores) if classes is None else _labelled(graph, scores, classes)


def emit_booster(
    graph: Graph, text: str, columns: Sequence[Column], *, classes: Sequence[Any]
) -> dict[str, tuple[str, Sequence[int | None]]]:
    """Emit a LightGBM booster from its text; with `classes`, a classifier over them."""
    import numpy as np

    scores = _booster(graph, text, columns)
    return _labelled(graph, scores, np.array(list(classes))) if classes else _value(graph, scores)


def _value(graph: Graph, scores: _Scores) -> dict[str, tuple[str, Sequence[int | None]]]:
    import numpy as np

    graph.node("Squeeze", scores.tensor, graph.constant(np.array([1], dtype=np.int64)), name=VALUE)
    return {VALUE: ("DOUBLE", [None])}


def _labelled(graph: Graph, scores: _Scores, classes: Any) -> dict[str, tuple[str, Sequence[int | None]]]:
    import numpy as np

    labels = np.asarray(classes)
    text = labels.dtype.kind in "UO"
    element = "STRING" if text else _ELEMENTS[labels.dtype.name]
    if text and not all(isinstance(each, str) for each in labels.tolist()):
        raise cannot_compile("a classifier whose classes are neither text nor numbers")
    index = scores.choice or graph.node("ArgMax", scores.tensor, axis=1, keepdims=0)
    graph.node("Gather", graph.constant(labels), index, name=LABEL)
    graph.node("Identity", scores.tensor, name=PROBABILITY)
    return {LABEL: (element, [None]), PROBABILITY: ("DOUBLE", [None, len(labels)])}


def _two(graph: Graph, raw: str, *, inclusive: bool = False) -> _Scores:
    """Binary scores: the sigmoid of raw (N, 1) and its complement; the label by the sign of raw."""
    import numpy as np

    second = graph.node("Sigmoid", raw)
    first = graph.node("Sub", graph.constant(np.float64(1.0)), second)
    above = graph.node("GreaterOrEqual" if inclusive else "Greater", raw, graph.constant(np.float64(0.0)))
    index = graph.node("Squeeze", graph.node("Cast", above, to=_INT64), graph.constant(np.array([1], dtype=np.int64)))
    return _Scores(graph.node("Concat", first, second, axis=1), index)


def _many(graph: Graph, raw: str) -> _Scores:
    return _Scores(graph.node("Softmax", raw, axis=1), graph.node("ArgMax", raw, axis=1, keepdims=0))


def _linear(graph: Graph, model: Any, columns: Sequence[Column]) -> str:
    import numpy as np

    weights = np.atleast_2d(np.asarray(model.coef_, dtype=np.float64))
    shift = np.broadcast_to(np.asarray(model.intercept_, dtype=np.float64).ravel(), len(weights))
    product = graph.node("MatMul", graph.matrix(columns), graph.constant(np.ascontiguousarray(weights.T)))
    return graph.node("Add", product, graph.constant(np.array(shift)))


def _logistic(graph: Graph, model: Any, columns: Sequence[Column]) -> _Scores:
    raw = _linear(graph, model, columns)
    return _many(graph, raw) if len(model.classes_) > 2 else _two(graph, raw)


def _regression(graph: Graph, model: Any, columns: Sequence[Column]) -> _Scores:
    if getattr(model.coef_, "ndim", 1) > 1 and len(model.coef_) > 1:
        raise cannot_compile("a regression with more than one output")
    return _Scores(_linear(graph, model, columns))


def _forest(graph: Graph, model: Any, columns: Sequence[Column]) -> _Scores:
    return _Scores(forest(graph, model, columns))


def _tree(graph: Graph, model: Any, columns: Sequence[Column]) -> _Scores:
    return _Scores(single_tree(graph, model, columns))


def _gradient_boosting(graph: Graph, model: Any, columns: Sequence[Column]) -> _Scores:
    import numpy as np

    raw = boosted(graph, model, columns)
    if not hasattr(model, "classes_"):
        return _Scores(raw)
    if model.loss == "exponential":  # its link is half a logit
        doubled = graph.node("Mul", raw, graph.constant(np.float64(2.0)))
        return _two(graph, doubled, inclusive=True)
    return _many(graph, raw) if len(model.classes_) > 2 else _two(graph, raw, inclusive=True)


def _histogram(graph: Graph, model: Any, columns: Sequence[Column]) -> _Scores:
    raw = histogram_boosted(graph, model, columns)
    if hasattr(model, "classes_"):
        return _many(graph, raw) if len(model.classes_) > 2 else _two(graph, raw)
    link = type(model._loss.link).__name__  # noqa: SLF001
    if link not in ("IdentityLink", "LogLink"):
        raise cannot_compile(f"HistGradientBoostingRegressor with the link {link}")
    return _Scores(graph.node("Exp", raw) if link == "LogLink" else raw)


def _lightgbm(graph: Graph, model: Any, columns: Sequence[Column]) -> _Scores:
    if callable(getattr(model, "objective_", None)):
        raise cannot_compile("LightGBM with an objective of its own")
    return _booster(graph, model.booster_.model_to_string(), columns)


_PLAIN = {"regression", "regression_l1", "huber", "fair", "quantile", "mape"}
_LOGARITHMIC = {"poisson", "gamma", "tweedie"}


def _booster(graph: Graph, text: str, columns: Sequence[Column]) -> _Scores:
    """Scores by LightGBM's objective: its label is always the argmax of what it answers."""
    import numpy as np

    model = read_text(text)
    raw = lightgbm_raw(graph, model, columns)
    if model.objective in ("binary", "multiclassova", "cross_entropy"):
        slope = float(model.options.get("sigmoid", "1"))
        scaled = raw if slope == 1.0 else graph.node("Mul", raw, graph.constant(np.float64(slope)))
        if model.objective == "cross_entropy":
            return _Scores(graph.node("Sigmoid", scaled))
        return _Scores(graph.node("Sigmoid", scaled) if model.targets > 1 else _two(graph, scaled).tensor)
    if model.objective == "multiclass":
        return _Scores(graph.node("Softmax", raw, axis=1))
    if model.objective in _LOGARITHMIC:
        return _Scores(graph.node("Exp", raw))
    if model.objective in _PLAIN and "sqrt" not in model.flags:
        return _Scores(raw)
    raise cannot_compile(f"LightGBM with the objective {model.objective!r}")


ESTIMATORS: dict[str, Callable[[Graph, Any, Sequence[Column]], _Scores]] = {
    "DecisionTreeClassifier": _tree,
    "DecisionTreeRegressor": _tree,
    "ElasticNet": _regression,
    "ExtraTreeClassifier": _tree,
    "ExtraTreeRegressor": _tree,
    "ExtraTreesClassifier": _forest,
    "ExtraTreesRegressor": _forest,
    "GradientBoostingClassifier": _gradient_boosting,
    "GradientBoostingRegressor": _gradient_boosting,
    "HistGradientBoostingClassifier": _histogram,
    "HistGradientBoostingRegressor": _histogram,
    "LGBMClassifier": _lightgbm,
    "LGBMRegressor": _lightgbm,
    "Lasso": _regression,
    "LinearRegression": _regression,
    "LogisticRegression": _logistic,
    "LogisticRegressionCV": _logistic,
    "RandomForestClassifier": _forest,
    "RandomForestRegressor": _forest,
    "Ridge": _regression,
}
"""Class name in scikit-learn or LightGBM -> what emits its scores."""
