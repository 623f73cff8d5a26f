"""Graphs of XGBoost boosters, read from XGBoost's own JSON, in the single precision in which XGBoost computes.

XGBoost rounds inputs to single precision, goes left where `x < threshold`, starts from the base score and adds leaf
after leaf in single precision. The graph does the same in the same order, so that raw scores are equal bit for bit.
Exponentials are taken in double and rounded, which is what a correctly rounded `expf` gives.

Rules of a split on categories: the set of a node holds the codes that go *right*; what is not in it, or is no code,
goes left; what is missing goes where the node says.
"""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from typing import Any

from mainspring.engines.models_boosters import xgboost_booster
from mainspring.engines.models_categories import xgboost_categories
from mainspring.models.onnx_graph import Column, Graph, cannot_compile
from mainspring.models.onnx_members import HALF, Memberships, coded
from mainspring.models.onnx_scores import INT64, Scores, one_minus, squeezed
from mainspring.models.onnx_trees import LESS, Ensemble

__all__ = ["xgboost_scores"]

_FLOAT, _DOUBLE = 1, 11  # TensorProto element types
_IDENTITY = {
    "binary:logitraw", "rank:map", "rank:ndcg", "rank:pairwise", "reg:absoluteerror", "reg:expectileerror",
    "reg:linear", "reg:pseudohubererror", "reg:quantileerror", "reg:squarederror", "reg:squaredlogerror",
}  # fmt: skip
_SIGMOID = {"binary:logistic", "reg:logistic"}
_EXPONENTIAL = {"count:poisson", "reg:gamma", "reg:tweedie", "survival:aft", "survival:cox"}
_CATEGORICAL = 1
_BELOW_ZERO = -5e-324  # a code of 0 or above is above this


def xgboost_scores(graph: Graph, model: Any, columns: Sequence[Column], *, classes: Sequence[Any] = ()) -> Scores:
    """The scores of a booster or an estimator, by its objective."""
    booster, known, missing = xgboost_booster(model)
    if missing == missing:  # noqa: PLR0124 -- not NaN
        raise cannot_compile(f"XGBoost with missing={missing}")
    told = json.loads(booster.save_raw("json"))["learner"]
    categories = xgboost_categories(booster)
    columns = [
        coded(graph, column, categories[place]) if place in categories else column
        for place, column in enumerate(columns)
    ]
    objective = told["objective"]["name"]
    raw, targets = _raw(graph, told, objective, columns)
    labelled = bool(classes) or bool(known)
    if targets > 1 and not labelled and not objective.startswith("multi:"):
        raise cannot_compile("XGBoost with more than one output")
    return _finish(graph, raw, objective, targets=targets, labelled=labelled)


def _raw(graph: Graph, told: dict[str, Any], objective: str, columns: Sequence[Column]) -> tuple[str, int]:
    """The margins, (N, targets), in single precision."""
    booster = told["gradient_booster"]
    weights: list[float] = []
    if booster["name"] == "dart":
        weights, booster = booster["weight_drop"], booster["gbtree"]
    elif booster["name"] != "gbtree":
        raise cannot_compile(f"XGBoost with the booster {booster['name']}")
    if any(each.text for each in columns):
        raise cannot_compile("XGBoost with text that is no category")
    parameters = told["learner_model_param"]
    targets = max(int(parameters["num_class"]), int(parameters.get("num_target", "1")), 1)
    ensemble, members = Ensemble(), Memberships(columns, above=_BELOW_ZERO, single=True)
    for target, base in enumerate(_bases(parameters["base_score"], objective, targets)):
        ensemble.constant(target=target, value=base)
    info = booster["model"]["tree_info"]
    for number, tree in enumerate(booster["model"]["trees"]):
        _add(graph, ensemble, members, columns, tree, target=info[number], scale=weights[number] if weights else None)
    asked, places = members.emit(graph)
    single = graph.node("Cast", graph.matrix(asked), to=_FLOAT)
    return ensemble.emit(graph, single, targets=targets, places=places, single=True, mode=LESS), targets


def _bases(text: str, objective: str, targets: int) -> list[float]:
    """Where each target's sum starts: the base score through the objective's link, in single precision."""
    import numpy as np

    values = [np.float32(each) for each in text.strip("[]").split(",")]
    found = []
    for value in values * (targets if len(values) == 1 else 1):
        if objective in _SIGMOID:
            odds = np.float32(1.0) / value - np.float32(1.0)
            found.append(float(np.float32(-math.log(float(odds)))))
        elif objective in _EXPONENTIAL:
            found.append(float(np.float32(math.log(float(value)))))
        else:
            found.append(float(value))
    return found


def _add(
    graph: Graph,
    ensemble: Ensemble,
    members: Memberships,
    columns: Sequence[Column],
    tree: dict[str, Any],
    *,
    target: int,
    scale: float | None,
) -> None:
    import numpy as np

    if int(tree["tree_param"]["size_leaf_vector"]) > 1:
        raise cannot_compile("XGBoost with trees of several outputs")
    left = np.asarray(tree["left_children"], dtype=np.int64)
    leaf = left == -1
    feature = np.where(leaf, 0, np.asarray(tree["split_indices"], dtype=np.int64))
    value = np.asarray(tree["split_conditions"], dtype=np.float32)
    threshold = value.copy()
    missing_left = np.asarray(tree["default_left"], dtype=np.int64).astype(bool)
    kinds = np.asarray(tree["split_type"], dtype=np.int64)
    for node, segment, size in zip(
        tree["categories_nodes"], tree["categories_segments"], tree["categories_sizes"], strict=True
    ):
        right = np.asarray(tree["categories"][segment : segment + size], dtype=np.int64)
        goes_left = np.ones(int(right.max(initial=0)) + 1, dtype=bool)
        goes_left[right] = False
        feature[node] = members.column(
            int(feature[node]), goes_left, otherwise_left=True, missing_left=bool(missing_left[node])
        )
        threshold[node] = HALF
    plain = ~leaf & (kinds != _CATEGORICAL)
    for place, column in enumerate(columns):
        graph.decides(column, threshold[plain & (feature == place)].tolist())
    ensemble.add(
        target=target,
        feature=feature,
        threshold=threshold,
        left=left,
        right=np.asarray(tree["right_children"], dtype=np.int64),
        leaf=leaf,
        value=value if scale is None else (value * np.float32(scale)).astype(np.float32),
        missing_left=missing_left,
    )


def _finish(graph: Graph, raw: str, objective: str, *, targets: int, labelled: bool) -> Scores:
    import numpy as np

    if objective.startswith("multi:"):
        if objective == "multi:softmax":
            best = graph.node("ArgMax", raw, axis=1, keepdims=1)
            if labelled:
                return Scores(choice=squeezed(graph, best))
            return Scores(graph.node("Cast", best, to=_FLOAT), element="FLOAT")
        if not labelled:
            raise cannot_compile("an XGBoost booster of several classes whose classes are not given")
        return Scores(_softmax(graph, raw), element="FLOAT")
    if objective == "binary:hinge":
        above = graph.node("Greater", raw, graph.constant(np.float32(0.0)))
        answer = graph.node("Cast", above, to=_FLOAT)
    elif objective in _SIGMOID:
        answer = _sigmoid(graph, raw)
    elif objective in _EXPONENTIAL:
        answer = _exp(graph, raw)
    elif objective in _IDENTITY:
        answer = raw
    else:
        raise cannot_compile(f"XGBoost with the objective {objective!r}")
    if not labelled:
        return Scores(answer, element="FLOAT")
    if targets > 1:
        return Scores(answer, element="FLOAT")
    half = graph.node("Greater", answer, graph.constant(np.float32(0.5)))
    choice = squeezed(graph, graph.node("Cast", half, to=INT64))
    if objective == "binary:logitraw":
        return Scores(choice=choice)
    return Scores(one_minus(graph, answer, kind="float32"), choice, element="FLOAT")


def _sigmoid(graph: Graph, raw: str) -> str:
    """1 / (1 + exp(-x)), with -x at most 88.7, step by step in single precision."""
    import numpy as np

    bounded = graph.node("Min", graph.node("Neg", raw), graph.constant(np.float32(88.7)))
    below = graph.node("Add", _exp(graph, bounded), graph.constant(np.float32(1.0)))
    return graph.node("Div", graph.constant(np.float32(1.0)), below)


def _softmax(graph: Graph, raw: str) -> str:
    """exp(x - max) over its sum, which XGBoost takes in double."""
    import numpy as np

    axis = graph.constant(np.array([1], dtype=np.int64))
    each = _exp(graph, graph.node("Sub", raw, graph.node("ReduceMax", raw, axis, keepdims=1)))
    total = graph.node("ReduceSum", graph.node("Cast", each, to=_DOUBLE), axis, keepdims=1)
    return graph.node("Div", each, graph.node("Cast", total, to=_FLOAT))


def _exp(graph: Graph, single: str) -> str:
    return graph.node("Cast", graph.node("Exp", graph.node("Cast", single, to=_DOUBLE)), to=_FLOAT)
