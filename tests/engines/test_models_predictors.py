"""Predictors: graphs of others, closing, chunks, threads, and models that are not of scikit-learn's making."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper
from sklearn.linear_model import LinearRegression
from sklearn.svm import LinearSVC

from mainspring.engines.models_native import SklearnPredictor
from mainspring.engines.models_onnx import OnnxPredictor
from mainspring.engines.signature import Field, Signature
from mainspring.kernel.errors import Conflict, InvalidInput, UnsupportedFormat

TWO = Signature(inputs=(Field("a", "FP64"), Field("b", "FP64")))


def graph(nodes: list[Any], inputs: list[Any], *, constants: list[Any] = ()) -> bytes:
    """A foreign graph with one output, `y`."""
    made = helper.make_graph(
        nodes, "g", inputs, [helper.make_tensor_value_info("y", TensorProto.FLOAT, None)], constants
    )
    return helper.make_model(made, opset_imports=[helper.make_opsetid("", 21)], ir_version=10).SerializeToString()


def test_a_foreign_graph_with_one_matrix() -> None:
    weights = numpy_helper.from_array(np.array([[2.0], [3.0]], dtype=np.float32), "w")
    matrix = helper.make_tensor_value_info("input_7", TensorProto.FLOAT, [None, 2])
    model = OnnxPredictor(
        graph([helper.make_node("MatMul", ["input_7", "w"], ["y"])], [matrix], constants=[weights]), TWO
    )
    assert model.predict(TWO.convert({"a": [1, 2], "b": [10, 20]}))["y"].tolist() == [[32.0], [64.0]]


def test_a_foreign_graph_with_an_input_for_each_column() -> None:
    inputs = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [None, 1]) for name in ("b", "a")]
    model = OnnxPredictor(graph([helper.make_node("Sub", ["b", "a"], ["y"])], inputs), TWO)
    assert model.predict(TWO.convert({"a": [1], "b": [10]}))["y"].tolist() == [[9.0]]


def test_a_foreign_graph_that_asks_for_something_else() -> None:
    inputs = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [None, 1]) for name in ("b", "other")]
    with pytest.raises(UnsupportedFormat, match="'other' is no column"):
        OnnxPredictor(graph([helper.make_node("Sub", ["b", "other"], ["y"])], inputs), TWO)


def test_bytes_that_are_no_graph() -> None:
    with pytest.raises(UnsupportedFormat, match="does not accept this graph"):
        OnnxPredictor(b"nonsense", TWO)


def test_many_rows_are_answered_in_order_and_from_many_threads() -> None:
    inputs = [helper.make_tensor_value_info("a", TensorProto.FLOAT, [None])]
    signature = Signature(inputs=TWO.inputs[:1])
    model = OnnxPredictor(graph([helper.make_node("Neg", ["a"], ["y"])], inputs), signature)
    rows = np.arange(20_000.0)
    assert model.predict({"a": rows})["y"].tolist() == (-rows).tolist()
    with ThreadPoolExecutor(4) as pool:
        answers = list(pool.map(lambda at: model.predict({"a": rows[at : at + 5]})["y"].tolist(), range(200)))
    assert answers == [(-rows[at : at + 5]).tolist() for at in range(200)]


def test_a_closed_model_says_so() -> None:
    inputs = [helper.make_tensor_value_info("a", TensorProto.FLOAT, [None])]
    closed = OnnxPredictor(graph([helper.make_node("Neg", ["a"], ["y"])], inputs), Signature(inputs=TWO.inputs[:1]))
    native = SklearnPredictor(LinearRegression().fit([[1.0, 2.0]], [3.0]), TWO)
    for model in (closed, native):
        model.close()
        model.close()
        with pytest.raises(Conflict, match="closed"):
            model.predict(TWO.convert({"a": [1], "b": [2]}))


def test_a_classifier_without_probabilities() -> None:
    model = SklearnPredictor(LinearSVC().fit([[0.0, 0.0], [1.0, 1.0]], ["no", "yes"]), TWO)
    assert {name: array.tolist() for name, array in model.predict(TWO.convert({"a": [1], "b": [1]})).items()} == {
        "label": ["yes"]
    }


def test_what_scikit_learn_refuses_is_invalid_input() -> None:
    signature = Signature(inputs=(Field("a", "FP64", nullable=True), Field("b", "FP64")))
    model = SklearnPredictor(LinearRegression().fit([[1.0, 2.0]], [3.0]), signature)
    with pytest.raises(InvalidInput, match="refuses these values: Input X contains NaN"):
        model.predict(signature.convert({"a": [None], "b": [1]}))


def test_onnx_is_the_version_the_graphs_are_written_for() -> None:
    assert onnx.defs.onnx_opset_version() >= 21
