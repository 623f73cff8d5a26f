"""Graphs of models neither linear nor trees: nearest centres, naive Bayes, constants, votes of other models."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from mainspring.models.onnx_graph import Column, Graph, cannot_compile
from mainspring.models.onnx_scores import Scores

__all__ = ["bernoulli", "centres", "constant_label", "constant_value", "gaussian", "multinomial", "vote", "vote_value"]

Emit = Callable[[Graph, Any, Sequence[Column]], Scores]

_INT32 = 6  # TensorProto.INT32


def centres(graph: Graph, model: Any, columns: Sequence[Column]) -> Scores:
    """KMeans: the number of the nearest centre, by -2xc + c², as scikit-learn computes it."""
    import numpy as np

    where = np.asarray(model.cluster_centers_)
    if where.dtype != np.float64:
        raise cannot_compile(f"{type(model).__name__} that was fitted in single precision")
    products = graph.node("MatMul", graph.matrix(columns), graph.constant(np.ascontiguousarray(-2.0 * where.T)))
    distance = graph.node("Add", products, graph.constant((where**2).sum(axis=1)))
    nearest = graph.node("ArgMin", distance, axis=1, keepdims=1)
    return Scores(graph.node("Cast", nearest, to=_INT32), element="INT32")


def gaussian(graph: Graph, model: Any, columns: Sequence[Column]) -> Scores:
    """GaussianNB: log prior minus half of the log variances and the squared distances."""
    import numpy as np

    rows = graph.node("Unsqueeze", graph.matrix(columns), graph.constant(np.array([1], dtype=np.int64)))
    apart = graph.node("Sub", rows, graph.constant(np.asarray(model.theta_, dtype=np.float64)))
    squared = graph.node(
        "Div", graph.node("Mul", apart, apart), graph.constant(np.asarray(model.var_, dtype=np.float64))
    )
    total = graph.node("ReduceSum", squared, graph.constant(np.array([2], dtype=np.int64)), keepdims=0)
    half = graph.node("Mul", total, graph.constant(np.float64(-0.5)))
    start = np.log(model.class_prior_) - 0.5 * np.sum(np.log(2.0 * np.pi * model.var_), axis=1)
    return _posterior(graph, graph.node("Add", half, graph.constant(start)))


def multinomial(graph: Graph, model: Any, columns: Sequence[Column]) -> Scores:
    """MultinomialNB."""
    import numpy as np

    product = graph.node(
        "MatMul", graph.matrix(columns), graph.constant(np.ascontiguousarray(model.feature_log_prob_.T))
    )
    return _posterior(graph, graph.node("Add", product, graph.constant(model.class_log_prior_)))


def bernoulli(graph: Graph, model: Any, columns: Sequence[Column]) -> Scores:
    """BernoulliNB."""
    import numpy as np

    rows = graph.matrix(columns)
    if model.binarize is not None:
        rows = graph.node("Cast", graph.node("Greater", rows, graph.constant(np.float64(model.binarize))), to=_DOUBLE)
    absent = np.log(1 - np.exp(model.feature_log_prob_))
    weights = np.ascontiguousarray((model.feature_log_prob_ - absent).T)
    product = graph.node("MatMul", rows, graph.constant(weights))
    return _posterior(graph, graph.node("Add", product, graph.constant(model.class_log_prior_ + absent.sum(axis=1))))


_DOUBLE = 11  # TensorProto.DOUBLE


def _posterior(graph: Graph, joint: str) -> Scores:
    return Scores(graph.node("Softmax", joint, axis=1), graph.node("ArgMax", joint, axis=1, keepdims=0))


def constant_label(graph: Graph, model: Any, columns: Sequence[Column]) -> Scores:
    """DummyClassifier that always answers the same."""
    import numpy as np

    if model.strategy not in ("prior", "most_frequent", "constant"):
        raise cannot_compile(f"DummyClassifier(strategy={model.strategy!r})")
    answer = model.predict_proba(np.zeros((1, 1)))[0]
    label = int(np.flatnonzero(model.classes_ == model.predict(np.zeros((1, 1)))[0])[0])
    return Scores(
        _repeated(graph, columns, answer.reshape(1, -1)),
        graph.node("Cast", _repeated(graph, columns, np.float64(label), wide=False), to=7),
    )


def constant_value(graph: Graph, model: Any, columns: Sequence[Column]) -> Scores:
    """DummyRegressor."""
    import numpy as np

    if np.size(model.constant_) != 1:
        raise cannot_compile("a regression with more than one output")
    return Scores(_repeated(graph, columns, np.reshape(model.constant_, (1, 1)).astype(np.float64)))


def _repeated(graph: Graph, columns: Sequence[Column], value: Any, *, wide: bool = True) -> str:
    """The same for every row: chosen against a condition that has the rows' number and never holds."""
    import numpy as np

    number = next((each for each in columns if not each.text), None)
    if number is None:
        raise cannot_compile("a model that is asked no number")
    vector = graph.vector(number)
    if wide:
        vector = graph.node("Unsqueeze", vector, graph.constant(np.array([1], dtype=np.int64)))
    always = graph.node("Or", graph.node("IsNaN", vector), graph.node("Not", graph.node("IsNaN", vector)))
    return graph.node(
        "Where", always, graph.constant(np.asarray(value, dtype=np.float64)), graph.constant(np.float64(0.0))
    )


def vote(graph: Graph, model: Any, columns: Sequence[Column], emit: Callable[[str], Emit]) -> Scores:
    """VotingClassifier(voting="soft"): the weighted mean of the members' probabilities."""
    if model.voting != "soft":
        raise cannot_compile('VotingClassifier(voting="hard")')
    return Scores(_mean(graph, model, columns, emit))


def vote_value(graph: Graph, model: Any, columns: Sequence[Column], emit: Callable[[str], Emit]) -> Scores:
    """VotingRegressor: the weighted mean of the members' values."""
    return Scores(_mean(graph, model, columns, emit))


def _mean(graph: Graph, model: Any, columns: Sequence[Column], emit: Callable[[str], Emit]) -> str:
    import numpy as np

    parts = []
    for member in model.estimators_:
        scores = emit(type(member).__name__)(graph, member, columns)
        if not scores.tensor or scores.element != "DOUBLE":
            raise cannot_compile(f"a vote of {type(member).__name__}")
        parts.append(scores.tensor)
    weights = model._weights_not_none  # noqa: SLF001 -- of the members that were not dropped
    shares = np.ones(len(parts)) if weights is None else np.asarray(weights, dtype=np.float64)
    total = ""
    for part, share in zip(parts, shares, strict=True):
        scaled = part if weights is None else graph.node("Mul", part, graph.constant(np.float64(share)))
        total = scaled if not total else graph.node("Add", total, scaled)
    return graph.node("Div", total, graph.constant(np.float64(shares.sum())))
