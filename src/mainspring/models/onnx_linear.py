"""Graphs of linear models, and of networks of a few dense layers: products, sums, and each one's rule at the end."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from mainspring.models.onnx_graph import Column, Graph, cannot_compile
from mainspring.models.onnx_scores import Scores, above_zero, many, one_minus, sigmoid_each, squeezed, two

__all__ = [
    "decision",
    "discriminant",
    "generalized",
    "linear",
    "logistic",
    "network",
    "regression",
    "robust_regression",
    "stochastic",
]


def linear(graph: Graph, model: Any, columns: Sequence[Column]) -> str:
    """Weights times columns plus shift: (N, 1), or (N, C)."""
    import numpy as np

    if hasattr(model.coef_, "toarray"):
        raise cannot_compile(f"{type(model).__name__} with sparse weights")
    weights = np.atleast_2d(np.asarray(model.coef_, dtype=np.float64))
    shift = np.broadcast_to(np.asarray(model.intercept_, dtype=np.float64).ravel(), len(weights))
    return _dense(graph, graph.matrix(columns), np.ascontiguousarray(weights.T), np.array(shift))


def logistic(graph: Graph, model: Any, columns: Sequence[Column]) -> Scores:
    """LogisticRegression."""
    raw = linear(graph, model, columns)
    return many(graph, raw) if len(model.classes_) > 2 else two(graph, raw)


def regression(graph: Graph, model: Any, columns: Sequence[Column]) -> Scores:
    """Whatever predicts its linear score."""
    if getattr(model.coef_, "ndim", 1) > 1 and len(model.coef_) > 1:
        raise cannot_compile("a regression with more than one output")
    return Scores(linear(graph, model, columns))


def robust_regression(graph: Graph, model: Any, columns: Sequence[Column]) -> Scores:
    """RANSAC: the regression that it settled on."""
    return regression(graph, model.estimator_, columns)


def generalized(graph: Graph, model: Any, columns: Sequence[Column]) -> Scores:
    """Poisson, gamma and Tweedie regressions: the exponential of the linear score, or the score itself."""
    link = type(model._base_loss.link).__name__  # noqa: SLF001 -- there is no public door
    if link not in ("IdentityLink", "LogLink"):
        raise cannot_compile(f"{type(model).__name__} with the link {link}")
    raw = linear(graph, model, columns)
    return Scores(graph.node("Exp", raw) if link == "LogLink" else raw)


def decision(graph: Graph, model: Any, columns: Sequence[Column]) -> Scores:
    """Linear classifiers without probabilities: the sign of the score, or the greatest."""
    raw = linear(graph, model, columns)
    if len(model.classes_) > 2:
        return Scores(choice=graph.node("ArgMax", raw, axis=1, keepdims=0))
    return Scores(choice=above_zero(graph, raw))


def stochastic(graph: Graph, model: Any, columns: Sequence[Column]) -> Scores:
    """SGDClassifier: probabilities where its loss has them."""
    if not hasattr(model, "predict_proba"):
        return decision(graph, model, columns)
    raw = linear(graph, model, columns)
    if model.loss == "log_loss":
        return two(graph, raw) if len(model.classes_) == 2 else sigmoid_each(graph, raw, normalized=True)
    return _modified_huber(graph, model, raw)


def _modified_huber(graph: Graph, model: Any, raw: str) -> Scores:
    import numpy as np

    bounded = graph.node("Clip", raw, graph.constant(np.float64(-1.0)), graph.constant(np.float64(1.0)))
    half = graph.node(
        "Div", graph.node("Add", bounded, graph.constant(np.float64(1.0))), graph.constant(np.float64(2.0))
    )
    if len(model.classes_) == 2:
        return Scores(one_minus(graph, half), above_zero(graph, raw))
    axis = graph.constant(np.array([1], dtype=np.int64))
    total = graph.node("ReduceSum", half, axis, keepdims=1)
    none = graph.node("Equal", total, graph.constant(np.float64(0.0)))
    ones = graph.constant(np.ones((1, len(model.classes_))))
    each = graph.node("Where", none, ones, half)
    total = graph.node("Where", none, graph.constant(np.float64(len(model.classes_))), total)
    return Scores(graph.node("Div", each, total), graph.node("ArgMax", raw, axis=1, keepdims=0))


def discriminant(graph: Graph, model: Any, columns: Sequence[Column]) -> Scores:
    """LinearDiscriminantAnalysis: the label by the linear scores."""
    return logistic(graph, model, columns)


_ACTIVATIONS = {"relu": "Relu", "tanh": "Tanh", "logistic": "Sigmoid"}


def network(graph: Graph, model: Any, columns: Sequence[Column]) -> Scores:
    """MLPClassifier and MLPRegressor."""
    import numpy as np

    if any(each.dtype != np.float64 for each in model.coefs_):
        raise cannot_compile(f"{type(model).__name__} that was fitted in single precision")
    layer = graph.matrix(columns)
    last = len(model.coefs_) - 1
    for place, (weights, shift) in enumerate(zip(model.coefs_, model.intercepts_, strict=True)):
        layer = _dense(graph, layer, weights, shift)
        if place < last and model.activation != "identity":
            layer = graph.node(_ACTIVATIONS[model.activation], layer)
    if not hasattr(model, "classes_"):
        if model.n_outputs_ != 1 or model.out_activation_ != "identity":
            raise cannot_compile("a network with more than one output")
        return Scores(layer)
    if model.out_activation_ == "softmax":
        return Scores(graph.node("Softmax", layer, axis=1))
    if model.n_outputs_ != 1:
        raise cannot_compile("a network with more than one output")
    second = graph.node("Sigmoid", layer)
    choice = graph.node("Cast", graph.node("Greater", second, graph.constant(np.float64(0.5))), to=_INT64)
    return Scores(one_minus(graph, second), squeezed(graph, choice))


_INT64 = 7  # TensorProto.INT64


def _dense(graph: Graph, tensor: str, weights: Any, shift: Any) -> str:
    import numpy as np

    product = graph.node("MatMul", tensor, graph.constant(np.ascontiguousarray(weights, dtype=np.float64)))
    return graph.node("Add", product, graph.constant(np.asarray(shift, dtype=np.float64)))
