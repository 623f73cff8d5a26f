"""From raw scores to what a model answers: probabilities and the rule for labels, each as its library does it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from mainspring.engines.models import LABEL, PROBABILITY, VALUE
from mainspring.models.onnx_graph import Graph, cannot_compile

__all__ = [
    "INT64",
    "Outputs",
    "Scores",
    "above_zero",
    "labelled",
    "many",
    "one_minus",
    "sigmoid_each",
    "squeezed",
    "two",
    "valued",
]

Outputs = dict[str, tuple[str, Sequence[int | None]]]
"""Output name -> element type and shape, as `Graph.build` takes them."""

INT64 = 7  # TensorProto.INT64
_ELEMENTS = {"float32": "FLOAT", "float64": "DOUBLE"} | {
    name: name.upper() for name in ("bool", "int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64")
}
"""numpy's name of a label's type -> ONNX's."""


class Scores(NamedTuple):
    """What an estimator computes."""

    tensor: str = ""
    """(N, C) probabilities or (N, 1) values; empty where the model gives labels and nothing else."""
    choice: str = ""
    """The number of each row's class, (N), where that is not the argmax of the probabilities."""
    element: str = "DOUBLE"


def valued(graph: Graph, scores: Scores) -> Outputs:
    """The outputs of a model without classes."""
    graph.node("Squeeze", scores.tensor, _axis(graph), name=VALUE)
    return {VALUE: (scores.element, [None])}


def labelled(graph: Graph, scores: Scores, classes: Any) -> Outputs:
    """The outputs of a classifier."""
    import numpy as np

    labels = np.asarray(classes)
    text = labels.dtype.kind in "UO"
    if labels.ndim != 1:
        raise cannot_compile("a classifier with more than one output")
    element = "STRING" if text else _ELEMENTS[labels.dtype.name]
    if text and not all(isinstance(each, str) for each in labels.tolist()):
        raise cannot_compile("a classifier whose classes are neither text nor numbers")
    index = scores.choice or graph.node("ArgMax", scores.tensor, axis=1, keepdims=0)
    graph.node("Gather", graph.constant(labels), index, name=LABEL)
    outputs: Outputs = {LABEL: (element, [None])}
    if scores.tensor:
        graph.node("Identity", scores.tensor, name=PROBABILITY)
        outputs[PROBABILITY] = (scores.element, [None, len(labels)])
    return outputs


def two(graph: Graph, raw: str, *, inclusive: bool = False) -> Scores:
    """Binary scores: the sigmoid of raw (N, 1) and its complement; the label by the sign of raw."""
    return Scores(one_minus(graph, graph.node("Sigmoid", raw)), above_zero(graph, raw, inclusive=inclusive))


def many(graph: Graph, raw: str) -> Scores:
    """The softmax of raw (N, C); the label by the greatest raw score."""
    return Scores(graph.node("Softmax", raw, axis=1), graph.node("ArgMax", raw, axis=1, keepdims=0))


def one_minus(graph: Graph, second: str, *, kind: str = "float64") -> str:
    """The two columns 1 - p and p."""
    import numpy as np

    first = graph.node("Sub", graph.constant(np.ones((), dtype=kind)), second)
    return graph.node("Concat", first, second, axis=1)


def above_zero(graph: Graph, raw: str, *, inclusive: bool = False) -> str:
    """1 where raw (N, 1) is above 0, or 0 and above; as (N)."""
    import numpy as np

    above = graph.node("GreaterOrEqual" if inclusive else "Greater", raw, graph.constant(np.float64(0.0)))
    return squeezed(graph, graph.node("Cast", above, to=INT64))


def sigmoid_each(graph: Graph, raw: str, *, normalized: bool) -> Scores:
    """One class against the rest: sigmoids, perhaps divided by their sum; the label by the greatest raw score."""
    import numpy as np

    each = graph.node("Sigmoid", raw)
    if normalized:
        total = graph.node("ReduceSum", each, graph.constant(np.array([1], dtype=np.int64)), keepdims=1)
        each = graph.node("Div", each, total)
    return Scores(each, graph.node("ArgMax", raw, axis=1, keepdims=0))


def squeezed(graph: Graph, tensor: str) -> str:
    """(N, 1) as (N)."""
    return graph.node("Squeeze", tensor, _axis(graph))


def _axis(graph: Graph) -> str:
    import numpy as np

    return graph.constant(np.array([1], dtype=np.int64))
