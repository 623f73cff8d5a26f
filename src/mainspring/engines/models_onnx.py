"""Models in ONNX Runtime, on one thread each: rows are served side by side, not one row on many cores.

The graph's inputs are at most two matrices: `numbers` (double, N x numeric columns) and `texts` (string, N x text
columns), both in the order of the signature. Against one graph input per column this saves a tensor and a binding per
column, which at one row costs more than the model itself. A missing number is NaN; a missing text is `NULL_TEXT`.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from mainspring.kernel.errors import Conflict, InvalidInput, MissingDependency, UnsupportedFormat

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from mainspring.engines.signature import Signature

__all__ = ["NULL_TEXT", "NUMBERS", "TEXTS", "OnnxPredictor"]

NUMBERS = "numbers"
TEXTS = "texts"
NULL_TEXT = "\uffff"
"""How a graph is told that a text is missing: a code point that Unicode reserves from ever being text."""

_CHUNK = 8192  # rows a run: bounds the memory of intermediate tensors, costs nothing measurable


class OnnxPredictor:
    """A compiled model in ONNX Runtime.

    Raises:
        UnsupportedFormat: The bytes are not a graph that this runtime accepts.
    """

    runtime = "onnx"

    def __init__(self, graph: bytes, signature: Signature) -> None:
        try:
            import onnxruntime
        except ImportError:
            raise MissingDependency("onnxruntime", extra="serve") from None
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        options.inter_op_num_threads = 1
        options.log_severity_level = 4  # failures are raised; printing them as well would put rows into logs
        try:
            self._session: Any = onnxruntime.InferenceSession(graph, options, providers=["CPUExecutionProvider"])
        except Exception as error:  # the runtime's exceptions have no common base but Exception
            raise UnsupportedFormat(f"ONNX Runtime does not accept this graph: {error}") from error
        self.signature = signature
        self._numbers = tuple(field.name for field in signature.inputs if not field.text)
        self._texts = tuple(field.name for field in signature.inputs if field.text)
        self._given = {each.name for each in self._session.get_inputs()}
        self._outputs = [each.name for each in self._session.get_outputs()]
        self._closing = threading.Lock()

    def predict(self, columns: Mapping[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
        """See `Predictor.predict`."""
        import numpy as np

        rows = len(next(iter(columns.values()))) if columns else 0
        feeds: dict[str, NDArray[Any]] = {}
        if NUMBERS in self._given:
            feeds[NUMBERS] = numbers = np.empty((rows, len(self._numbers)), dtype=np.float64)
            for place, name in enumerate(self._numbers):
                numbers[:, place] = columns[name]
        if TEXTS in self._given:
            feeds[TEXTS] = texts = np.empty((rows, len(self._texts)), dtype=object)
            for place, name in enumerate(self._texts):
                column = columns[name]
                texts[:, place] = [NULL_TEXT if text is None else text for text in column.tolist()]
        if rows <= _CHUNK:
            return dict(zip(self._outputs, self._run(feeds), strict=True))
        parts = [
            self._run({name: matrix[start : start + _CHUNK] for name, matrix in feeds.items()})
            for start in range(0, rows, _CHUNK)
        ]
        return {name: np.concatenate([part[place] for part in parts]) for place, name in enumerate(self._outputs)}

    def close(self) -> None:
        """See `Predictor.close`."""
        with self._closing:
            self._session = None

    def _run(self, feeds: dict[str, NDArray[Any]]) -> list[NDArray[Any]]:
        session = self._session
        if session is None:
            raise Conflict("this model is closed")
        try:
            answer: list[NDArray[Any]] = session.run(self._outputs, feeds)
        except Exception as error:  # the runtime's exceptions have no common base but Exception
            raise InvalidInput(f"the model refuses these values: {_first_line(error)}") from error
        return answer


def _first_line(error: Exception) -> str:
    return str(error).strip().partition("\n")[0]
