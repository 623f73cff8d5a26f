"""Graphs of scikit-learn's transformers: columns in, columns out, bit for bit what `transform` computes.

Encoders of categories are compiled by asking them: the fitted encoder itself transforms every category it knows, an
unknown one and a missing one, and the graph holds its answers in a table. So dropped, infrequent and missing categories
come out as scikit-learn does them, without a second implementation of its rules.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from typing import Any

from mainspring.engines.models_onnx import NULL_TEXT
from mainspring.models.onnx_features import FEATURES, function
from mainspring.models.onnx_graph import ML, Column, Graph, Origin, cannot_compile

__all__ = ["TRANSFORMERS", "transform"]

Emit = Callable[[Graph, Any, Sequence[Column]], list[Column]]

_UNKNOWN_TEXT = "\ufffe"  # never text, so never a category


def transform(graph: Graph, transformer: Any, columns: Sequence[Column]) -> list[Column]:
    """Emit a fitted transformer; raises `UnsupportedFormat` for one that has no exact graph."""
    if transformer is None or (isinstance(transformer, str) and transformer == "passthrough"):
        return list(columns)
    emit = TRANSFORMERS.get(type(transformer).__name__)
    if emit is None or not type(transformer).__module__.startswith("sklearn."):
        raise cannot_compile(f"the transformer {type(transformer).__name__}")
    return emit(graph, transformer, columns)


def _pipeline(graph: Graph, pipeline: Any, columns: Sequence[Column]) -> list[Column]:
    found = list(columns)
    for _, step in pipeline.steps:
        found = transform(graph, step, found)
    return found


def _column_transformer(graph: Graph, transformer: Any, columns: Sequence[Column]) -> list[Column]:
    """Fitted parts side by side; `_transformer_to_input_indices` is where scikit-learn keeps resolved columns."""
    found: list[Column] = []
    for name, part, _ in transformer.transformers_:
        if isinstance(part, str) and part == "drop":
            continue
        chosen = [columns[index] for index in transformer._transformer_to_input_indices[name]]  # noqa: SLF001
        if chosen:
            found += transform(graph, part, chosen)
    return found


def _feature_union(graph: Graph, union: Any, columns: Sequence[Column]) -> list[Column]:
    import numpy as np

    weights = union.transformer_weights or {}
    found: list[Column] = []
    for name, part in union.transformer_list:
        if isinstance(part, str) and part == "drop":
            continue
        made = transform(graph, part, columns)
        if name in weights and made:
            scaled = graph.node("Mul", graph.matrix(made), graph.constant(np.float64(weights[name])))
            made = graph.columns(scaled, len(made))
        found += made
    return found


def _affine(
    graph: Graph, columns: Sequence[Column], steps: Sequence[tuple[str, Any]], *, origin: tuple[Any, Any]
) -> list[Column]:
    """Apply operators with one constant per column; `origin` is the (scale, shift) from a result back to its input."""
    import numpy as np

    tensor = graph.matrix(columns)
    for operator, values in steps:
        tensor = graph.node(operator, tensor, graph.constant(np.asarray(values, dtype=np.float64)))
    scale, shift = (np.broadcast_to(np.asarray(each, dtype=np.float64), len(columns)) for each in origin)
    made = []
    for place, (column, before) in enumerate(zip(graph.columns(tensor, len(columns)), columns, strict=True)):
        back = before.origin
        if back is not None:
            back = Origin(back.name, float(scale[place]) * back.scale, float(shift[place]) * back.scale + back.shift)
        made.append(column._replace(origin=back))
    return made


def _standard(graph: Graph, scaler: Any, columns: Sequence[Column]) -> list[Column]:
    steps = [("Sub", scaler.mean_)] if scaler.with_mean else []
    steps += [("Div", scaler.scale_)] if scaler.with_std else []
    if not steps:
        return list(columns)
    back = (scaler.scale_ if scaler.with_std else 1.0, scaler.mean_ if scaler.with_mean else 0.0)
    return _affine(graph, columns, steps, origin=back)


def _robust(graph: Graph, scaler: Any, columns: Sequence[Column]) -> list[Column]:
    steps = [("Sub", scaler.center_)] if scaler.with_centering else []
    steps += [("Div", scaler.scale_)] if scaler.with_scaling else []
    if not steps:
        return list(columns)
    back = (scaler.scale_ if scaler.with_scaling else 1.0, scaler.center_ if scaler.with_centering else 0.0)
    return _affine(graph, columns, steps, origin=back)


def _min_max(graph: Graph, scaler: Any, columns: Sequence[Column]) -> list[Column]:
    import numpy as np

    steps = [("Mul", scaler.scale_), ("Add", scaler.min_)]
    scaled = _affine(graph, columns, steps, origin=(1.0 / scaler.scale_, -scaler.min_ / scaler.scale_))
    if not scaler.clip:
        return scaled
    low, high = (graph.constant(np.float64(each)) for each in scaler.feature_range)
    rows = graph.matrix(scaled)
    bounded = graph.node("Where", graph.node("IsNaN", rows), rows, graph.node("Clip", rows, low, high))
    return [
        each._replace(origin=before.origin)
        for each, before in zip(graph.columns(bounded, len(scaled)), scaled, strict=True)
    ]


def _max_abs(graph: Graph, scaler: Any, columns: Sequence[Column]) -> list[Column]:
    return _affine(graph, columns, [("Div", scaler.scale_)], origin=(scaler.scale_, 0.0))


def _imputer(graph: Graph, imputer: Any, columns: Sequence[Column]) -> list[Column]:
    import numpy as np

    missing = imputer.missing_values
    if not (missing is None or (isinstance(missing, float) and np.isnan(missing))):
        raise cannot_compile(f"SimpleImputer(missing_values={missing!r})")
    text = columns[0].text
    indicated = imputer.indicator_
    fills = imputer.statistics_
    void = [fill is None or (isinstance(fill, float) and np.isnan(fill)) for fill in fills]
    kept = [place for place, gone in enumerate(void) if not gone]
    found: list[Column] = []
    if kept:
        matrix = graph.matrix([columns[place] for place in kept], text=text)
        if text:
            absent = graph.node("Equal", matrix, graph.constant([NULL_TEXT]))
            fill = graph.constant([[str(fills[place]) for place in kept]])
        else:
            absent = graph.node("IsNaN", matrix)
            fill = graph.constant(np.array([[fills[place] for place in kept]], dtype=np.float64))
        filled = graph.node("Where", absent, fill, matrix)
        made = graph.columns(filled, len(kept), text=text)
        found = [each._replace(origin=columns[place].origin) for each, place in zip(made, kept, strict=True)]
    if indicated is not None:
        if text:
            raise cannot_compile("SimpleImputer(add_indicator=True) over text")
        watched = [columns[int(place)] for place in indicated.features_]
        if watched:
            flags = graph.node("Cast", graph.node("IsNaN", graph.matrix(watched)), to=_DOUBLE)
            found += graph.columns(flags, len(watched))
    return found


def _encoder(graph: Graph, encoder: Any, columns: Sequence[Column]) -> list[Column]:
    if getattr(encoder, "target_type_", "") == "multiclass":
        raise cannot_compile("TargetEncoder of more than two classes")
    found: list[Column] = []
    for place, (column, table, unknown, null) in enumerate(_answers(encoder, columns)):
        known = encoder.categories_[place]
        index = (
            _text_index(graph, column, known, unknown, null)
            if column.text
            else _number_index(graph, column, known, unknown, null)
        )
        answer = graph.node("Gather", graph.constant(table), index, axis=0)
        found += graph.columns(answer, table.shape[1])
    return found


def _text_index(graph: Graph, column: Column, known: Any, unknown: int, null: int) -> str:
    texts = [each for each in known if isinstance(each, str)]
    places = [index for index, each in enumerate(known) if isinstance(each, str)]
    return graph.node(
        "LabelEncoder",
        graph.vector(column),
        domain=ML,
        keys_strings=[*texts, NULL_TEXT],
        values_int64s=[*places, null],
        default_int64=unknown,
    )


def _number_index(graph: Graph, column: Column, known: Any, unknown: int, null: int) -> str:
    import numpy as np

    values = np.asarray(known, dtype=np.float64)
    present = ~np.isnan(values)
    vector = graph.vector(column)
    graph.decides(column, values[present].tolist())
    coded = graph.node(
        "LabelEncoder",
        vector,
        domain=ML,
        keys_tensor=values[present],
        values_tensor=np.flatnonzero(present).astype(np.float64),
        default_tensor=np.array([unknown], dtype=np.float64),
    )
    whole = graph.node("Where", graph.node("IsNaN", vector), graph.constant(np.float64(null)), coded)
    return graph.node("Cast", whole, to=_INT64)


def _answers(encoder: Any, columns: Sequence[Column]) -> list[tuple[Column, Any, int, int]]:
    """Per column: the table of answers and the rows in it of an unknown and of a missing category.

    A row past the end of the table makes the runtime refuse the request, as `handle_unknown="error"` does.
    """
    import numpy as np

    probe = copy.copy(encoder)
    vars(probe).pop("feature_names_in_", None)
    if hasattr(probe, "sparse_output"):
        probe.sparse_output = False
    if hasattr(probe, "_sklearn_output_config"):
        probe._sklearn_output_config = {"transform": "default"}  # noqa: SLF001 -- a matrix, whatever the user set
    first = [known[0] for known in encoder.categories_]
    found = []
    for place, column in enumerate(columns):
        known = list(encoder.categories_[place])
        if any(isinstance(each, str) != column.text for each in known if not _absent(each)):
            raise cannot_compile("an encoder whose categories are not of its column's type")
        unknown = (
            _UNKNOWN_TEXT if column.text else max([0.0, *(float(each) for each in known if not _absent(each))]) + 1.5
        )
        rows = []
        for value in [*known, unknown, None if column.text else np.nan]:
            row = np.array(first, dtype=object)
            row[place] = value
            rows.append(_ask(probe, row, text=any(each.text for each in columns)))
        width = [_width(probe, each) for each in range(len(columns))]
        start = sum(width[:place])
        answers = [None if row is None else row[start : start + width[place]] for row in rows]
        kept = [answer for answer in answers if answer is not None]
        where = np.cumsum([answer is not None for answer in answers]) - 1
        index = [int(where[at]) if answer is not None else len(kept) for at, answer in enumerate(answers)]
        if index[: len(known)] != list(range(len(known))):
            raise cannot_compile("an encoder that refuses a category of its own")
        null = next((at for at, each in enumerate(known) if _absent(each)), index[-1])
        found.append((column, np.array(kept, dtype=np.float64), index[-2], null))
    return found


def _ask(encoder: Any, row: Any, *, text: bool) -> Any:
    import warnings

    import numpy as np

    asked = row.reshape(1, -1) if text else row.astype(np.float64).reshape(1, -1)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # "found unknown categories": asked on purpose
        try:
            return np.asarray(encoder.transform(asked), dtype=np.float64)[0]
        except ValueError:
            return None


def _width(encoder: Any, place: int) -> int:
    widths = getattr(encoder, "_n_features_outs", None)
    return int(widths[place]) if widths is not None else 1


def _absent(category: Any) -> bool:
    """Whether a category means that the value is missing: None or NaN."""
    return category is None or bool(category != category)  # noqa: PLR0124 -- only NaN differs from itself


_DOUBLE = 11  # TensorProto.DOUBLE
_INT64 = 7  # TensorProto.INT64

TRANSFORMERS: dict[str, Emit] = {
    **FEATURES,
    "ColumnTransformer": _column_transformer,
    "FeatureUnion": _feature_union,
    "FunctionTransformer": function,
    "MaxAbsScaler": _max_abs,
    "MinMaxScaler": _min_max,
    "OneHotEncoder": _encoder,
    "OrdinalEncoder": _encoder,
    "Pipeline": _pipeline,
    "RobustScaler": _robust,
    "SimpleImputer": _imputer,
    "StandardScaler": _standard,
    "TargetEncoder": _encoder,
}
"""Class name in scikit-learn -> what emits it."""
