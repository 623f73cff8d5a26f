"""Graphs of CatBoost models, read from CatBoost's own JSON: numbers only, exact in double.

CatBoost rounds inputs to single precision, compares `x > border` with borders in single precision, and adds leaves in
double. A symmetric tree asks the same question at every node of a level, and the answers are the bits of the leaf's
number. What is missing counts as below every border, or above, as the feature says. Categories are hashed together
with statistics of the target (CTR): a model that has any is served by CatBoost.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from mainspring.models.onnx_graph import Column, Graph, cannot_compile
from mainspring.models.onnx_scores import Scores, above_zero, many, one_minus, sigmoid_each
from mainspring.models.onnx_trees import Ensemble

__all__ = ["catboost_scores"]

_FLOAT, _DOUBLE = 1, 11  # TensorProto element types
_PLAIN = {
    "Expectile", "Huber", "LogLinQuantile", "Lq", "MAE", "MAPE", "MSLE", "PairLogit", "Quantile", "QueryRMSE", "RMSE",
    "RMSPE", "YetiRank",
}  # fmt: skip
_EXPONENTIAL = {"Poisson", "Tweedie"}


def catboost_scores(graph: Graph, model: Any, columns: Sequence[Column]) -> Scores:
    """The scores of a model, by its loss."""
    import numpy as np

    if model.get_cat_feature_indices() or model.get_text_feature_indices() or model.get_embedding_feature_indices():
        raise cannot_compile("CatBoost with features that are not numbers")
    told = _json(model)
    scale, biases = _scale_and_bias(told)
    ensemble = Ensemble()
    missing = {
        each["flat_feature_index"]: each.get("nan_value_treatment", "AsIs")
        for each in told["features_info"]["float_features"]
    }
    flat = {each["feature_index"]: each["flat_feature_index"] for each in told["features_info"]["float_features"]}
    targets = 1
    trees = []
    for tree in told.get("oblivious_trees", []):
        trees.append(_symmetric(tree, flat))
        targets = max(targets, len(tree["leaf_values"]) >> len(tree["splits"]))
    for tree in told.get("trees", []):
        trees.append(_free(tree, flat))
        targets = max(targets, trees[-1]["value"].shape[1])
    if not trees:
        raise cannot_compile("CatBoost without trees")
    for tree in trees:
        for target in range(targets):
            _add(graph, ensemble, columns, tree, missing, target=target)
    single = graph.node("Cast", graph.node("Cast", graph.matrix(columns), to=_FLOAT), to=_DOUBLE)
    raw = ensemble.emit(graph, single, targets=targets)
    if scale != 1.0:
        raw = graph.node("Mul", raw, graph.constant(np.float64(scale)))
    if any(biases):
        raw = graph.node("Add", raw, graph.constant(np.asarray(biases, dtype=np.float64)))
    return _finish(graph, model, raw, targets)


def _finish(graph: Graph, model: Any, raw: str, targets: int) -> Scores:
    import numpy as np

    loss = str(model.get_all_params().get("loss_function", "")).partition(":")[0]
    classes = list(getattr(model, "classes_", ()))
    if not classes:
        if targets > 1 or loss not in _PLAIN | _EXPONENTIAL:
            raise cannot_compile(f"CatBoost with the loss {loss or 'unknown'}")
        return Scores(graph.node("Exp", raw) if loss in _EXPONENTIAL else raw)
    if loss in ("Logloss", "CrossEntropy") and len(classes) == 2:
        second = graph.node("Sigmoid", raw)
        return Scores(one_minus(graph, second), above_zero(graph, raw))
    if loss == "MultiClass":
        return many(graph, raw)
    if loss == "MultiClassOneVsAll":
        return sigmoid_each(graph, raw, normalized=False)
    _ = np
    raise cannot_compile(f"CatBoost with the loss {loss}")


def _json(model: Any) -> dict[str, Any]:
    with tempfile.TemporaryDirectory(prefix="mainspring-catboost-") as folder:
        path = Path(folder) / "model.json"
        model.save_model(str(path), format="json")
        found: dict[str, Any] = json.loads(path.read_bytes())
        return found


def _scale_and_bias(told: dict[str, Any]) -> tuple[float, list[float]]:
    scale, bias = told.get("scale_and_bias", [1.0, 0.0])
    return float(scale), [float(each) for each in (bias if isinstance(bias, list) else [bias])]


def _symmetric(tree: dict[str, Any], flat: dict[int, int]) -> dict[str, Any]:
    """A symmetric tree as nodes: the question of the last split at the root, so that leaves come out in their order."""
    import numpy as np

    splits = list(reversed(tree["splits"]))
    depth = len(splits)
    if any(each.get("split_type", "FloatFeature") != "FloatFeature" for each in splits):
        raise cannot_compile("CatBoost with splits on categories")
    inner = (1 << depth) - 1
    count = inner + (1 << depth)
    feature, threshold = np.zeros(count, dtype=np.int64), np.zeros(count)
    for level, split in enumerate(splits):
        here = slice((1 << level) - 1, (1 << (level + 1)) - 1)
        feature[here] = flat[split["float_feature_index"]]
        threshold[here] = np.float32(split["border"])
    number = np.arange(count)
    values = np.zeros((count, len(tree["leaf_values"]) >> depth))
    values[inner:] = np.reshape(tree["leaf_values"], (1 << depth, -1))
    return {
        "feature": feature,
        "threshold": threshold,
        "left": np.where(number < inner, 2 * number + 1, 0),
        "right": np.where(number < inner, 2 * number + 2, 0),
        "leaf": number >= inner,
        "value": values,
    }


def _free(tree: dict[str, Any], flat: dict[int, int]) -> dict[str, Any]:
    """A tree that is not symmetric."""
    import numpy as np

    nodes: list[tuple[int, float, int, int, list[float]]] = []

    def visit(node: dict[str, Any]) -> int:
        here = len(nodes)
        nodes.append((0, 0.0, 0, 0, []))
        if "split" not in node:
            value = node["value"]
            nodes[here] = (0, 0.0, -1, -1, [float(each) for each in (value if isinstance(value, list) else [value])])
            return here
        split = node["split"]
        if split.get("split_type", "FloatFeature") != "FloatFeature":
            raise cannot_compile("CatBoost with splits on categories")
        left, right = visit(node["left"]), visit(node["right"])
        nodes[here] = (flat[split["float_feature_index"]], float(np.float32(split["border"])), left, right, [])
        return here

    visit(tree)
    leaf = np.array([each[2] == -1 for each in nodes])
    width = max(len(each[4]) for each in nodes)
    return {
        "feature": np.array([each[0] for each in nodes]),
        "threshold": np.array([each[1] for each in nodes]),
        "left": np.array([max(each[2], 0) for each in nodes]),
        "right": np.array([max(each[3], 0) for each in nodes]),
        "leaf": leaf,
        "value": np.array([each[4] or [0.0] * width for each in nodes]),
    }


def _add(
    graph: Graph,
    ensemble: Ensemble,
    columns: Sequence[Column],
    tree: dict[str, Any],
    missing: dict[int, str],
    *,
    target: int,
) -> None:
    import numpy as np

    inner = ~tree["leaf"]
    if target == 0:
        for place, column in enumerate(columns):
            graph.decides(column, tree["threshold"][inner & (tree["feature"] == place)].tolist())
    above = np.array([missing.get(int(place), "AsIs") == "AsTrue" for place in tree["feature"]])
    ensemble.add(
        target=target,
        feature=tree["feature"],
        threshold=tree["threshold"],
        left=tree["left"],
        right=tree["right"],
        leaf=tree["leaf"],
        value=tree["value"][:, target],
        missing_left=~above,
    )
