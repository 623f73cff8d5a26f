"""Graphs of scikit-learn's HistGradientBoosting, with missing values and categorical features.

Its trees compare in double, so nothing is rounded. Numbers live in `TreePredictor.nodes`, category sets in its bitsets;
both are private to scikit-learn, and the measurement of parity is what catches a change of theirs.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from mainspring.models.onnx_graph import Column, Graph
from mainspring.models.onnx_members import HALF, Memberships
from mainspring.models.onnx_transforms import transform
from mainspring.models.onnx_trees import Ensemble

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["histogram_boosted"]

_CODES = 256


def histogram_boosted(graph: Graph, model: Any, columns: Sequence[Column]) -> str:
    """The raw predictions, (N, 1), or (N, C) of more than two classes."""
    import numpy as np

    table = _preprocessed(graph, model._preprocessor, columns)  # noqa: SLF001 -- where fitted categories live
    known, row_of = model._bin_mapper.make_known_categories_bitsets()  # noqa: SLF001
    members = Memberships(table, above=-0.5)
    ensemble = Ensemble()
    for target, value in enumerate(np.ravel(model._baseline_prediction)):  # noqa: SLF001
        ensemble.constant(target=target, value=float(value))
    for stage in model._predictors:  # noqa: SLF001
        for target, tree in enumerate(stage):
            nodes = tree.nodes
            feature, threshold = nodes["feature_idx"].astype(np.int64), nodes["num_threshold"].copy()
            leaf, missing_left = nodes["is_leaf"].astype(bool), nodes["missing_go_to_left"].astype(bool)
            for place in np.flatnonzero(nodes["is_categorical"].astype(bool) & ~leaf):
                left = _bits(tree.raw_left_cat_bitsets[nodes["bitset_idx"][place]])
                everything_else = ~left & ~_bits(known[row_of[feature[place]]])
                side = bool(missing_left[place])
                feature[place] = members.column(
                    int(feature[place]), left | (everything_else & side), otherwise_left=side
                )
                threshold[place] = HALF
            _note(graph, table, feature[~leaf], threshold[~leaf])
            ensemble.add(
                target=target,
                feature=feature,
                threshold=threshold,
                left=nodes["left"].astype(np.int64),
                right=nodes["right"].astype(np.int64),
                leaf=leaf,
                value=nodes["value"],
                missing_left=missing_left,
            )
    asked, places = members.emit(graph)
    return ensemble.emit(graph, graph.matrix(asked), targets=model.n_trees_per_iteration_, places=places)


def _preprocessed(graph: Graph, preprocessor: Any, columns: Sequence[Column]) -> list[Column]:
    """The columns as the trees number them: encoded categories first, then numbers, untouched."""
    if preprocessor is None:
        return list(columns)
    found: list[Column] = []
    for name, part, _ in preprocessor.transformers_:
        chosen = [columns[index] for index in preprocessor._transformer_to_input_indices[name]]  # noqa: SLF001
        if chosen:
            # the part for numbers only checks them
            found += transform(graph, part, chosen) if name == "encoder" else chosen
    return found


def _bits(words: NDArray[Any]) -> NDArray[Any]:
    import numpy as np

    return np.unpackbits(np.ascontiguousarray(words, dtype="<u4").view(np.uint8), bitorder="little")[:_CODES].astype(
        bool
    )


def _note(graph: Graph, table: Sequence[Column], feature: NDArray[Any], threshold: NDArray[Any]) -> None:
    for place, column in enumerate(table):
        graph.decides(column, threshold[feature == place].tolist())
