"""Graphs of decision trees, forests and boosted trees, in double precision.

`TreeEnsemble` of ai.onnx.ml 5 computes in double when its tensors are double, and adds trees in their order: so sums
are those of scikit-learn and LightGBM to the last bit. A leaf of it holds one number, so a classifier's trees appear
once per class. scikit-learn's own trees compare `float32(x) <= threshold` with a double threshold: the graph rounds the
input to float32 and compares in double, which is the same comparison.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from mainspring.models.onnx_graph import ML, Column, Graph, cannot_compile

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["AT_MOST", "LESS", "Ensemble", "boosted", "forest", "single_tree"]

_FLOAT, _DOUBLE = 1, 11  # TensorProto element types
_SUM = 1
AT_MOST, LESS = 0, 1
"""How an ensemble's nodes ask: left when x <= threshold, or when x < threshold."""


class Ensemble:
    """Trees, collected as flat arrays, that add to one or more targets."""

    def __init__(self) -> None:
        self._parts: dict[str, list[NDArray[Any]]] = {key: [] for key in _KEYS}
        self._roots: list[int] = []
        self._nodes = 0
        self._leaves = 0

    def add(
        self,
        *,
        target: int,
        feature: NDArray[Any],
        threshold: NDArray[Any],
        left: NDArray[Any],
        right: NDArray[Any],
        leaf: NDArray[Any],
        value: NDArray[Any],
        missing_left: NDArray[Any],
    ) -> None:
        """Add a tree, per node from the root: left where the comparison holds, or x is NaN and `missing_left`."""
        import numpy as np

        if leaf[0]:
            self.constant(target=target, value=float(value[0]))
            return
        inner = np.flatnonzero(~leaf)
        place = np.zeros(len(leaf), dtype=np.int64)
        place[inner] = self._nodes + np.arange(len(inner))
        place[leaf] = self._leaves + np.arange(int(leaf.sum()))
        self._extend(
            feature=feature[inner],
            threshold=threshold[inner],
            true_at=place[left[inner]],
            true_leaf=leaf[left[inner]],
            false_at=place[right[inner]],
            false_leaf=leaf[right[inner]],
            missing=missing_left[inner],
            weight=value[leaf],
            target=np.full(int(leaf.sum()), target),
        )

    def constant(self, *, target: int, value: float) -> None:
        """Add a tree that is one leaf. As the first of its target it is where the sum starts."""
        import numpy as np

        here = np.array([self._leaves])
        one = np.ones(1, dtype=bool)
        self._extend(
            feature=np.zeros(1), threshold=np.zeros(1), true_at=here, true_leaf=one, false_at=here, false_leaf=one,
            missing=~one, weight=np.array([value]), target=np.array([target]),
        )  # fmt: skip

    def emit(
        self,
        graph: Graph,
        tensor: str,
        *,
        targets: int,
        places: NDArray[Any] | None = None,
        single: bool = False,
        mode: int = AT_MOST,
    ) -> str:
        """The sums of all trees per target, (N, targets); feature `f` is column `places[f]`, or column `f`.

        Args:
            graph: Where to.
            tensor: The rows, in double, or in single precision.
            targets: How many sums there are.
            places: Where the columns are.
            single: Whether to compare and add in single precision.
            mode: `AT_MOST` or `LESS`.
        """
        import numpy as np

        kind = np.float32 if single else np.float64
        parts = {key: np.concatenate(arrays) for key, arrays in self._parts.items()}
        if places is not None:
            parts["feature"] = places[parts["feature"].astype(np.int64)]

        def integers(key: str) -> list[int]:
            found: list[int] = parts[key].astype(np.int64).tolist()
            return found

        return graph.node(
            "TreeEnsemble",
            tensor,
            domain=ML,
            aggregate_function=_SUM,
            n_targets=targets,
            tree_roots=self._roots,
            nodes_featureids=integers("feature"),
            nodes_modes=np.full(self._nodes, mode, dtype=np.uint8),
            nodes_splits=parts["threshold"].astype(kind),
            nodes_truenodeids=integers("true_at"),
            nodes_trueleafs=integers("true_leaf"),
            nodes_falsenodeids=integers("false_at"),
            nodes_falseleafs=integers("false_leaf"),
            nodes_missing_value_tracks_true=integers("missing"),
            leaf_targetids=integers("target"),
            leaf_weights=parts["weight"].astype(kind),
        )

    def _extend(self, **arrays: NDArray[Any]) -> None:
        self._roots.append(self._nodes)
        for key, array in arrays.items():
            self._parts[key].append(array)
        self._nodes += len(arrays["feature"])
        self._leaves += len(arrays["weight"])


_KEYS = ("feature", "threshold", "true_at", "true_leaf", "false_at", "false_leaf", "missing", "weight", "target")


def single_tree(graph: Graph, model: Any, columns: Sequence[Column]) -> str:
    """The leaf values of a decision tree: (N, C) of a classifier, (N, 1) of a regressor."""
    ensemble = Ensemble()
    targets = _add_averaged(graph, ensemble, [model], model, columns)
    return ensemble.emit(graph, _single(graph, columns), targets=targets)


def forest(graph: Graph, model: Any, columns: Sequence[Column]) -> str:
    """The mean over the trees of a forest: (N, C) of a classifier, (N, 1) of a regressor."""
    import numpy as np

    ensemble = Ensemble()
    targets = _add_averaged(graph, ensemble, model.estimators_, model, columns)
    total = ensemble.emit(graph, _single(graph, columns), targets=targets)
    return graph.node("Div", total, graph.constant(np.float64(len(model.estimators_))))


def boosted(graph: Graph, model: Any, columns: Sequence[Column]) -> str:
    """The raw predictions of GradientBoosting: (N, 1), or (N, C) of more than two classes."""
    import numpy as np

    if getattr(model, "init_", None) is not None and type(model.init_).__name__ not in (
        "DummyClassifier",
        "DummyRegressor",
        "str",
    ):
        raise cannot_compile(f"GradientBoosting with init={type(model.init_).__name__}")
    anything = np.zeros((1, len(columns)), dtype=np.float32)  # the start is the same for every row
    start = np.asarray(model._raw_predict_init(anything))[0]  # noqa: SLF001 -- there is no public door
    ensemble = Ensemble()
    for target, value in enumerate(start):
        ensemble.constant(target=target, value=float(value))
    for stage in model.estimators_:
        for target, tree in enumerate(stage):
            _add_sklearn(
                graph, ensemble, tree.tree_, columns, target=target, value=_leaves(tree)[:, 0] * model.learning_rate
            )
    return ensemble.emit(graph, _single(graph, columns), targets=len(start))


def _add_averaged(graph: Graph, ensemble: Ensemble, trees: Sequence[Any], model: Any, columns: Sequence[Column]) -> int:
    if getattr(model, "n_outputs_", 1) != 1:
        raise cannot_compile("a model with more than one output")
    targets = len(model.classes_) if hasattr(model, "classes_") else 1
    for tree in trees:
        values = _leaves(tree)
        for target in range(targets):
            _add_sklearn(graph, ensemble, tree.tree_, columns, target=target, value=values[:, target])
    return targets


def _leaves(tree: Any) -> NDArray[Any]:
    values: NDArray[Any] = tree.tree_.value[:, 0, :]
    return values


def _add_sklearn(
    graph: Graph, ensemble: Ensemble, tree: Any, columns: Sequence[Column], *, target: int, value: NDArray[Any]
) -> None:
    leaf = tree.children_left == -1
    if target == 0:
        for place in range(len(columns)):
            graph.decides(columns[place], tree.threshold[~leaf & (tree.feature == place)].tolist())
    ensemble.add(
        target=target,
        feature=tree.feature,
        threshold=tree.threshold,
        left=tree.children_left,
        right=tree.children_right,
        leaf=leaf,
        value=value,
        missing_left=tree.missing_go_to_left.astype(bool),
    )


def _single(graph: Graph, columns: Sequence[Column]) -> str:
    """The columns rounded to float32, as scikit-learn's trees see them, and back in double."""
    return graph.node("Cast", graph.node("Cast", graph.matrix(columns), to=_FLOAT), to=_DOUBLE)
