"""Graphs of LightGBM boosters, read from LightGBM's own text format.

The text is LightGBM's documented interchange, complete and stable since version 3, so the package itself is not needed.
Rules of a split (`Tree::NumericalDecision` and `Tree::CategoricalDecision` of LightGBM): bit 0 of `decision_type`
says categorical, bit 1 that what is missing goes left, bits 2 and 3 what counts as missing: nothing (then NaN is 0),
zero, or NaN. A set of categories holds their codes; NaN and what is not in the set go right. Numbers within 1e-35 of
zero are zero: LightGBM's predictor drops them from the row before any tree sees them.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from mainspring.models.onnx_graph import Column, Graph, cannot_compile
from mainspring.models.onnx_members import HALF, Memberships
from mainspring.models.onnx_trees import Ensemble

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["LightGBMText", "lightgbm_raw", "read_text"]

_ZERO = 1.0000000180025095e-35  # kZeroThreshold, 1e-35 in single precision
_NO_MISSING, _ZERO_MISSING, _NAN_MISSING = 0, 1, 2


class LightGBMText:
    """A booster's text: its header and its trees, each a mapping of lists of words."""

    def __init__(self, header: dict[str, str], trees: list[dict[str, str]]) -> None:
        self.header = header
        self.trees = trees
        self.targets = int(header["num_tree_per_iteration"])
        words = header.get("objective", "custom").split()
        self.objective = words[0] if words else "custom"
        self.options = dict(word.split(":", 1) for word in words[1:] if ":" in word)
        self.flags = {word for word in words[1:] if ":" not in word}
        self.features = header["feature_names"].split()
        self.averaged = "average_output" in header


def read_text(text: str) -> LightGBMText:
    """Read a booster's text; raises `UnsupportedFormat` when it is not one."""
    head, *rest = text.split("\nTree=")
    header = dict(_pairs(head))
    if not text.startswith("tree") or "num_tree_per_iteration" not in header:
        raise cannot_compile("text that is not a LightGBM model")
    return LightGBMText(header, [dict(_pairs(part.split("\nend of trees")[0])) for part in rest])


def _pairs(text: str) -> Iterator[tuple[str, str]]:
    for line in text.splitlines():
        key, _, value = line.partition("=")
        if key:
            yield key, value


def lightgbm_raw(graph: Graph, text: LightGBMText, columns: Sequence[Column]) -> str:
    """The raw scores, (N, 1), or (N, C) of more than two classes."""
    import numpy as np

    trees = [_Tree(words) for words in text.trees]
    zeros = {feature for tree in trees for feature in tree.zero_missing}
    table = _without_tiny(graph, columns, {feature for tree in trees for feature in tree.tiny}, to=0.0)
    table = _without_tiny(graph, table, zeros, to=np.nan)
    members = Memberships(table, above=-1.0)
    ensemble = Ensemble()
    for place, tree in enumerate(trees):
        feature, threshold, missing_left = tree.feature.copy(), tree.threshold.copy(), tree.missing_left
        for node in np.flatnonzero(tree.categorical):
            left = tree.members(int(tree.threshold[node]))
            feature[node] = members.column(int(feature[node]), left, otherwise_left=False)
            threshold[node] = HALF
        for number, column in enumerate(columns):
            graph.decides(column, threshold[: tree.inner][feature[: tree.inner] == number].tolist())
        ensemble.add(
            target=place % text.targets,
            feature=feature,
            threshold=threshold,
            left=tree.left,
            right=tree.right,
            leaf=tree.leaf,
            value=tree.value,
            missing_left=missing_left,
        )
    asked, places = members.emit(graph)
    raw = ensemble.emit(graph, graph.matrix(asked), targets=text.targets, places=places)
    if text.averaged:
        raw = graph.node("Div", raw, graph.constant(np.float64(len(trees) // text.targets)))
    return raw


def _without_tiny(graph: Graph, columns: Sequence[Column], features: set[int], *, to: float) -> list[Column]:
    """Columns with what LightGBM takes for zero replaced, in those features for which it makes a difference."""
    import numpy as np

    table = list(columns)
    for feature in sorted(features):
        graph.decides(columns[feature], [-_ZERO, 0.0, _ZERO])
        matrix = graph.matrix([columns[feature]])
        near = graph.node("LessOrEqual", graph.node("Abs", matrix), graph.constant(np.float64(_ZERO)))
        made = graph.node("Where", near, graph.constant(np.float64(to)), matrix)
        table[feature] = Column(made, 0, 1)
    return table


class _Tree:
    """One tree as arrays per node: inner nodes first, then leaves."""

    def __init__(self, words: dict[str, str]) -> None:
        import numpy as np

        if words.get("is_linear", "0") != "0":
            raise cannot_compile("LightGBM with linear trees")

        def numbers(key: str, kind: Any) -> NDArray[Any]:
            return np.array(words.get(key, "").split(), dtype=kind)

        values = numbers("leaf_value", np.float64)
        inner = self.inner = len(values) - 1
        decision = numbers("decision_type", np.int64)[:inner]
        kinds = (decision >> 2) & 3
        self.categorical = np.append(decision & 1, np.zeros(len(values), dtype=np.int64)).astype(bool)
        zero = np.zeros(len(values))
        self.feature = np.append(numbers("split_feature", np.int64)[:inner], zero.astype(np.int64))
        self.threshold = np.append(numbers("threshold", np.float64)[:inner], zero)
        default_left = (decision & 2).astype(bool)
        as_zero = self.threshold[:inner] >= 0.0
        missing = np.where(kinds == _NO_MISSING, as_zero, default_left) & ~self.categorical[:inner]
        self.missing_left = np.append(missing, zero.astype(bool))
        self.zero_missing = set(self.feature[:inner][(kinds == _ZERO_MISSING) & ~self.categorical[:inner]].tolist())
        self.tiny = set(
            self.feature[:inner][(abs(self.threshold[:inner]) <= _ZERO) & ~self.categorical[:inner]].tolist()
        )
        self.left, self.right = (
            _children(numbers(key, np.int64)[:inner], inner) for key in ("left_child", "right_child")
        )
        self.leaf = np.arange(inner + len(values)) >= inner
        self.value = np.append(np.zeros(inner), values)
        self._bounds = numbers("cat_boundaries", np.int64)
        self._words = numbers("cat_threshold", np.uint32)

    def members(self, which: int) -> NDArray[Any]:
        """Per code, whether it is in the set number `which`."""
        import numpy as np

        words = self._words[self._bounds[which] : self._bounds[which + 1]].astype("<u4")
        return np.unpackbits(np.ascontiguousarray(words).view(np.uint8), bitorder="little").astype(bool)


def _children(numbers: NDArray[Any], inner: int) -> NDArray[Any]:
    """LightGBM writes leaf k as -(k+1); here leaves follow the inner nodes."""
    import numpy as np

    found = np.where(numbers < 0, inner - numbers - 1, numbers)
    return np.append(found, np.zeros(inner + 1, dtype=np.int64))
