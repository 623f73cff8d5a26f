"""Models in ONNX Runtime, on one thread each: rows are served side by side, not one row on many cores.

The graph's inputs are at most two matrices: `numbers` (double, N x numeric columns) and `texts` (string, N x text
columns), both in the order of the signature. Against one graph input per column this saves a tensor and a binding per
column, which at one row costs more than the model itself. A missing number is NaN; a missing text is `NULL_TEXT`.

Graphs that were made elsewhere are fed too: an input named like a column is given that column, in its own type and
rank; a single numeric matrix under any name is given all numeric columns.
"""

from __future__ import annotations

import functools
import threading
from collections.abc import Callable, Mapping, Sequence
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
        self._own = self._given <= {NUMBERS, TEXTS}
        self._foreign = [] if self._own else self._bindings()
        self._outputs = [each.name for each in self._session.get_outputs()]
        self._closing = threading.Lock()

    def predict(self, columns: Mapping[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
        """See `Predictor.predict`."""
        import numpy as np

        rows = len(next(iter(columns.values()))) if columns else 0
        feeds: dict[str, NDArray[Any]] = {name: bind(columns) for name, bind in self._foreign}
        if self._own and NUMBERS in self._given:
            feeds[NUMBERS] = numbers = np.empty((rows, len(self._numbers)), dtype=np.float64)
            for place, name in enumerate(self._numbers):
                numbers[:, place] = columns[name]
        if self._own and TEXTS in self._given:
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

    def _bindings(self) -> list[tuple[str, Callable[[Mapping[str, NDArray[Any]]], NDArray[Any]]]]:
        """How each input of a foreign graph is filled from columns."""
        inputs = self._session.get_inputs()
        found: list[tuple[str, Callable[[Mapping[str, NDArray[Any]]], NDArray[Any]]]] = []
        for each in inputs:
            kind = _NUMPY.get(each.type)
            if kind is None:
                raise UnsupportedFormat(f"the graph's input {each.name!r} is {each.type}, which no column can be")
            if each.name in self.signature.names:
                found.append((each.name, functools.partial(_one, name=each.name, kind=kind, rank=len(each.shape))))
            elif len(inputs) == 1 and kind != "object" and not self._texts:
                found.append((each.name, functools.partial(_stacked, names=self._numbers, kind=kind)))
            else:
                known = ", ".join(self.signature.names)
                raise UnsupportedFormat(f"the graph's input {each.name!r} is no column of the signature: {known}")
        return found

    def _run(self, feeds: dict[str, NDArray[Any]]) -> list[NDArray[Any]]:
        session = self._session
        if session is None:
            raise Conflict("this model is closed")
        try:
            answer: list[NDArray[Any]] = session.run(self._outputs, feeds)
        except Exception as error:  # the runtime's exceptions have no common base but Exception
            raise InvalidInput(f"the model refuses these values: {_first_line(error)}") from error
        return answer


def _one(columns: Mapping[str, NDArray[Any]], *, name: str, kind: str, rank: int) -> NDArray[Any]:
    column = columns[name]
    if kind == "object":
        import numpy as np

        column = np.array([NULL_TEXT if text is None else text for text in column.tolist()], dtype=object)
    column = column.astype(kind, copy=False)
    return column.reshape(-1, 1) if rank == 2 and column.ndim == 1 else column


def _stacked(columns: Mapping[str, NDArray[Any]], *, names: Sequence[str], kind: str) -> NDArray[Any]:
    import numpy as np

    return np.column_stack([columns[name].astype(kind, copy=False) for name in names])


_NUMPY = {
    "tensor(bool)": "bool",
    "tensor(double)": "float64",
    "tensor(float)": "float32",
    "tensor(float16)": "float16",
    "tensor(int16)": "int16",
    "tensor(int32)": "int32",
    "tensor(int64)": "int64",
    "tensor(int8)": "int8",
    "tensor(string)": "object",
    "tensor(uint16)": "uint16",
    "tensor(uint32)": "uint32",
    "tensor(uint64)": "uint64",
    "tensor(uint8)": "uint8",
}


def _first_line(error: Exception) -> str:
    return str(error).strip().partition("\n")[0]
