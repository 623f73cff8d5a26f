"""Graphs of transformers that choose, combine, bend or project columns; `onnx_transforms.py` has the everyday ones."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from mainspring.models.onnx_graph import Column, Graph, cannot_compile

__all__ = ["FEATURES", "function"]

_DOUBLE = 11  # TensorProto.DOUBLE


def _chosen(_graph: Graph, selector: Any, columns: Sequence[Column]) -> list[Column]:
    """Whatever keeps some columns as they are."""
    return [column for column, kept in zip(columns, selector.get_support(), strict=True) if kept]


def _binarizer(graph: Graph, binarizer: Any, columns: Sequence[Column]) -> list[Column]:
    import numpy as np

    for column in columns:
        graph.decides(column, [float(binarizer.threshold)])
    above = graph.node("Greater", graph.matrix(columns), graph.constant(np.float64(binarizer.threshold)))
    return graph.columns(graph.node("Cast", above, to=_DOUBLE), len(columns))


def _normalizer(graph: Graph, normalizer: Any, columns: Sequence[Column]) -> list[Column]:
    import numpy as np

    rows = graph.matrix(columns)
    axis = graph.constant(np.array([1], dtype=np.int64))
    if normalizer.norm == "max":
        norms = graph.node("ReduceMax", graph.node("Abs", rows), axis, keepdims=1)
    elif normalizer.norm == "l1":
        norms = graph.node("ReduceSum", graph.node("Abs", rows), axis, keepdims=1)
    else:
        norms = graph.node("Sqrt", graph.node("ReduceSum", graph.node("Mul", rows, rows), axis, keepdims=1))
    none = graph.node("Equal", norms, graph.constant(np.float64(0.0)))
    norms = graph.node("Where", none, graph.constant(np.float64(1.0)), norms)
    return graph.columns(graph.node("Div", rows, norms), len(columns))


def _polynomial(graph: Graph, polynomial: Any, columns: Sequence[Column]) -> list[Column]:
    """Products of columns, from the last factor to the first, which is the order in which scikit-learn multiplies."""
    import numpy as np

    factors = [np.repeat(np.arange(len(columns)), row) for row in polynomial.powers_]
    depth = max((len(each) for each in factors), default=0)
    if depth == 0:
        raise cannot_compile("PolynomialFeatures of degree 0")
    rows = graph.matrix(columns)
    nothing = graph.node("Sub", rows, rows)  # NaN and infinity are refused before this
    one = graph.node("Add", graph.node("Slice", nothing, *_first(graph)), graph.constant(np.float64(1.0)))
    table = graph.node("Concat", rows, one, axis=1)
    product = ""
    for step in range(depth):  # step 0 takes each product's last factor
        places = np.array([each[-1 - step] if step < len(each) else len(columns) for each in factors], dtype=np.int64)
        part = graph.node("Gather", table, graph.constant(places), axis=1)
        product = part if not product else graph.node("Mul", part, product)
    return graph.columns(product, len(factors))


def _first(graph: Graph) -> list[str]:
    import numpy as np

    return [graph.constant(np.array([each], dtype=np.int64)) for each in (0, 1, 1)]


def _bins(graph: Graph, binner: Any, columns: Sequence[Column]) -> list[Column]:
    """KBinsDiscretizer: how many inner edges are not above the value."""
    import numpy as np

    if binner.encode not in ("ordinal", "onehot", "onehot-dense"):
        raise cannot_compile(f"KBinsDiscretizer(encode={binner.encode!r})")
    found: list[Column] = []
    for column, edges, count in zip(columns, binner.bin_edges_, binner.n_bins_, strict=True):
        inner = np.asarray(edges[1:-1], dtype=np.float64)
        graph.decides(column, inner.tolist())
        if len(inner):
            reached = graph.node("GreaterOrEqual", graph.matrix([column]), graph.constant(inner.reshape(1, -1)))
            axis = graph.constant(np.array([1], dtype=np.int64))
            bin_number = graph.node("ReduceSum", graph.node("Cast", reached, to=_DOUBLE), axis, keepdims=1)
        else:
            bin_number = graph.node("Mul", graph.matrix([column]), graph.constant(np.float64(0.0)))
        if binner.encode == "ordinal":
            found += graph.columns(bin_number, 1)
        else:
            same = graph.node("Equal", bin_number, graph.constant(np.arange(float(count)).reshape(1, -1)))
            found += graph.columns(graph.node("Cast", same, to=_DOUBLE), int(count))
    return found


def _power(graph: Graph, transformer: Any, columns: Sequence[Column]) -> list[Column]:
    """PowerTransformer: each column bent by its own exponent, then perhaps scaled."""
    import numpy as np

    if transformer.method != "yeo-johnson":
        raise cannot_compile("PowerTransformer(method='box-cox'), which refuses what is not positive")
    parts = [
        _yeo_johnson(graph, graph.matrix([column]), float(power))
        for column, power in zip(columns, transformer.lambdas_, strict=True)
    ]
    bent = parts[0] if len(parts) == 1 else graph.node("Concat", *parts, axis=1)
    if transformer.standardize:
        scaler = transformer._scaler  # noqa: SLF001 -- there is no public door
        bent = graph.node("Sub", bent, graph.constant(np.asarray(scaler.mean_)))
        bent = graph.node("Div", bent, graph.constant(np.asarray(scaler.scale_)))
    return graph.columns(bent, len(columns))


def _yeo_johnson(graph: Graph, column: str, power: float) -> str:
    import numpy as np

    def constant(value: float) -> str:
        return graph.constant(np.float64(value))

    none, one = constant(0.0), constant(1.0)
    upper = graph.node("Add", graph.node("Max", column, none), one)
    lower = graph.node("Sub", one, graph.node("Min", column, none))
    if abs(power) < np.spacing(1.0):
        above = graph.node("Log", upper)
    else:
        above = graph.node("Div", graph.node("Sub", graph.node("Pow", upper, constant(power)), one), constant(power))
    if abs(power - 2.0) <= np.spacing(1.0):
        below = graph.node("Neg", graph.node("Log", lower))
    else:
        raised = graph.node("Sub", graph.node("Pow", lower, constant(2.0 - power)), one)
        below = graph.node("Neg", graph.node("Div", raised, constant(2.0 - power)))
    bent = graph.node("Where", graph.node("GreaterOrEqual", column, none), above, below)
    return graph.node("Where", graph.node("IsNaN", column), column, bent)


def _projection(graph: Graph, decomposition: Any, columns: Sequence[Column]) -> list[Column]:
    """PCA and TruncatedSVD: products with components, from the mean where there is one."""
    import numpy as np

    if getattr(decomposition, "whiten", False):
        raise cannot_compile("PCA(whiten=True)")
    components = np.asarray(decomposition.components_, dtype=np.float64)
    product = graph.node("MatMul", graph.matrix(columns), graph.constant(np.ascontiguousarray(components.T)))
    mean = getattr(decomposition, "mean_", None)
    if mean is not None:
        product = graph.node("Sub", product, graph.constant(np.asarray(mean @ components.T, dtype=np.float64)))
    return graph.columns(product, len(components))


def _indicator(graph: Graph, indicator: Any, columns: Sequence[Column]) -> list[Column]:
    import numpy as np

    missing = indicator.missing_values
    if not (isinstance(missing, float) and np.isnan(missing)):
        raise cannot_compile(f"MissingIndicator(missing_values={missing!r})")
    watched = [columns[int(place)] for place in indicator.features_]
    if not watched:
        return []
    return graph.columns(graph.node("Cast", graph.node("IsNaN", graph.matrix(watched)), to=_DOUBLE), len(watched))


_FUNCTIONS: dict[str, Callable[[Graph, str], str]] = {
    "absolute": lambda graph, rows: graph.node("Abs", rows),
    "exp": lambda graph, rows: graph.node("Exp", rows),
    "log": lambda graph, rows: graph.node("Log", rows),
    "log1p": lambda graph, rows: graph.node("Log", graph.node("Add", rows, _one(graph))),
    "sqrt": lambda graph, rows: graph.node("Sqrt", rows),
    "square": lambda graph, rows: graph.node("Mul", rows, rows),
}


def _one(graph: Graph) -> str:
    import numpy as np

    return graph.constant(np.float64(1.0))


def function(graph: Graph, transformer: Any, columns: Sequence[Column]) -> list[Column]:
    """FunctionTransformer: nothing, or a function of numpy's that ONNX has as well."""
    import numpy as np

    called = transformer.func
    if called is None:
        return list(columns)
    name = getattr(called, "__name__", "")
    if called is not getattr(np, name, None) or name not in _FUNCTIONS or transformer.kw_args:
        raise cannot_compile("FunctionTransformer with a function of one's own")
    return graph.columns(_FUNCTIONS[name](graph, graph.matrix(columns)), len(columns))


_SELECTORS = (
    "GenericUnivariateSelect", "RFE", "RFECV", "SelectFdr", "SelectFpr", "SelectFromModel", "SelectFwe", "SelectKBest",
    "SelectPercentile", "SequentialFeatureSelector", "VarianceThreshold",
)  # fmt: skip

FEATURES: dict[str, Callable[[Graph, Any, Sequence[Column]], list[Column]]] = {
    **dict.fromkeys(_SELECTORS, _chosen),
    "Binarizer": _binarizer,
    "KBinsDiscretizer": _bins,
    "MissingIndicator": _indicator,
    "Normalizer": _normalizer,
    "PCA": _projection,
    "PolynomialFeatures": _polynomial,
    "PowerTransformer": _power,
    "TruncatedSVD": _projection,
}
"""Class name in scikit-learn -> what emits it."""
