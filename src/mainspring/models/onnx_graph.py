"""Building an ONNX graph column by column.

Graphs are written with `onnx.helper` and no converter package: the converters lag behind scikit-learn, compute in
single precision, and do not know our two input matrices. Everything numeric here is double, as it is in scikit-learn,
which is what makes exact agreement possible at all.

A `Column` is one column of a matrix that exists in the graph. Transformers map columns to columns; a matrix is only
gathered together where an operator needs one.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from mainspring.engines.models_onnx import NUMBERS, TEXTS
from mainspring.kernel.errors import MissingDependency, UnsupportedFormat

if TYPE_CHECKING:
    from mainspring.engines.signature import Signature

__all__ = ["ML", "Column", "Graph", "Origin", "cannot_compile"]

ML = "ai.onnx.ml"
_OPSETS = {"": 21, ML: 5}
_IR_VERSION = 10


class Origin(NamedTuple):
    """Where the values of a column come from: `input = value * scale + shift`."""

    name: str
    scale: float = 1.0
    shift: float = 0.0


class Column(NamedTuple):
    """One column of a matrix in the graph."""

    tensor: str
    place: int
    width: int
    """How many columns the matrix has."""
    text: bool = False
    origin: Origin | None = None


def cannot_compile(what: str) -> UnsupportedFormat:
    """The refusal of a model, or a part of one, that has no exact graph."""
    return UnsupportedFormat(f"no exact graph for {what}")


class Graph:
    """A graph in the making, over the inputs of a signature."""

    def __init__(self, signature: Signature) -> None:
        try:
            import onnx
        except ImportError:
            raise MissingDependency("onnx", extra="serve") from None
        wide = next((field.name for field in signature.inputs if len(field.shape) > 1), None)
        if wide is not None:
            raise cannot_compile(f"the input {wide!r}, which holds more than one value a row")
        self._onnx = onnx
        self._signature = signature
        self._nodes: list[Any] = []
        self._constants: dict[tuple[str, tuple[int, ...], bytes], str] = {}
        self._initializers: list[Any] = []
        self._matrices: dict[tuple[tuple[str, int], ...], str] = {}
        self._count = 0
        self.thresholds: dict[str, set[float]] = {}
        """Per input column, the values at which some decision turns; parity is measured there."""
        numbers = [field.name for field in signature.inputs if not field.text]
        texts = [field.name for field in signature.inputs if field.text]
        self.inputs: dict[str, Column] = {
            name: Column(NUMBERS, place, len(numbers), origin=Origin(name)) for place, name in enumerate(numbers)
        } | {name: Column(TEXTS, place, len(texts), text=True, origin=Origin(name)) for place, name in enumerate(texts)}

    @property
    def table(self) -> list[Column]:
        """The input columns in the order of the signature."""
        return [self.inputs[name] for name in self._signature.names]

    def constant(self, values: Any) -> str:
        """A tensor of fixed values: an array, or a list of texts; equal tensors are stored once."""
        import numpy as np

        array = np.asarray(values)
        if array.dtype.kind in "UO":
            array = array.astype(object)
            key = ("text", array.shape, repr(array.tolist()).encode())
        else:
            key = (array.dtype.str, array.shape, array.tobytes())
        name = self._constants.get(key)
        if name is None:
            name = self._constants[key] = self._fresh("c")
            self._initializers.append(self._onnx.numpy_helper.from_array(array, name))
        return name

    def node(self, operator: str, *inputs: str, domain: str = "", name: str = "", **attributes: Any) -> str:
        """Add an operator with one output and return the output's name; arrays become tensor attributes."""
        output = name or self._fresh(operator.lower())
        made = {
            key: self._onnx.numpy_helper.from_array(value, key) if hasattr(value, "dtype") else value
            for key, value in attributes.items()
        }
        self._nodes.append(self._onnx.helper.make_node(operator, list(inputs), [output], domain=domain, **made))
        return output

    def columns(self, tensor: str, width: int, *, text: bool = False) -> list[Column]:
        """The columns of a new matrix."""
        return [Column(tensor, index, width, text=text) for index in range(width)]

    def vector(self, column: Column) -> str:
        """One column as a tensor of shape (N)."""
        import numpy as np

        return self.node("Gather", column.tensor, self.constant(np.int64(column.place)), axis=1)

    def matrix(self, columns: Sequence[Column], *, text: bool = False) -> str:
        """Columns side by side as a tensor of shape (N, columns)."""
        import numpy as np

        wrong = next((each for each in columns if each.text != text), None)
        if wrong is not None or not columns:
            given = "nothing" if wrong is None else "other columns"
            raise cannot_compile(f"a step that takes {'text' if text else 'numbers'} and is given {given}")
        key = tuple((each.tensor, each.place) for each in columns)
        if key not in self._matrices:
            parts = []
            for run in _runs(columns):
                if [each.place for each in run] == list(range(run[0].width)):
                    parts.append(run[0].tensor)
                else:
                    places = self.constant(np.array([each.place for each in run], dtype=np.int64))
                    parts.append(self.node("Gather", run[0].tensor, places, axis=1))
            self._matrices[key] = parts[0] if len(parts) == 1 else self.node("Concat", *parts, axis=1)
        return self._matrices[key]

    def decides(self, column: Column, values: Sequence[float]) -> None:
        """Note that a decision turns at these values of a column, for the measurement of parity."""
        if column.origin is not None and not column.text:
            name, scale, shift = column.origin
            self.thresholds.setdefault(name, set()).update(float(value) * scale + shift for value in values)

    def build(self, outputs: dict[str, tuple[str, Sequence[int | None]]]) -> bytes:
        """The finished model.

        Args:
            outputs: Output name -> its ONNX element type (`DOUBLE`, `INT64`, `STRING`, `BOOL`) and its shape.

        Raises:
            UnsupportedFormat: The graph is larger than a protobuf may be (2 GB).
        """
        helper, types = self._onnx.helper, self._onnx.TensorProto
        used = {name for node in self._nodes for name in node.input}
        inputs = []
        for name, element, text in ((NUMBERS, types.DOUBLE, False), (TEXTS, types.STRING, True)):
            width = sum(column.text == text for column in self.inputs.values())
            if name in used:
                inputs.append(helper.make_tensor_value_info(name, element, ["N", width]))
        infos = [
            helper.make_tensor_value_info(name, getattr(types, element), ["N" if n is None else n for n in shape])
            for name, (element, shape) in outputs.items()
        ]
        graph = helper.make_graph(self._nodes, "model", inputs, infos, self._initializers)
        model = helper.make_model(
            graph,
            opset_imports=[helper.make_opsetid(domain, version) for domain, version in _OPSETS.items()],
            ir_version=_IR_VERSION,
            producer_name="mainspring",
        )
        helper.set_model_props(
            model,
            {
                NUMBERS: "\n".join(name for name, column in self.inputs.items() if not column.text),
                TEXTS: "\n".join(name for name, column in self.inputs.items() if column.text),
            },
        )
        try:
            self._onnx.checker.check_model(model)
            return bytes(model.SerializeToString())
        except (ValueError, self._onnx.checker.ValidationError) as error:
            raise cannot_compile(f"this model: {error}") from error

    def _fresh(self, stem: str) -> str:
        self._count += 1
        return f"{stem}_{self._count}"


def _runs(columns: Sequence[Column]) -> list[list[Column]]:
    runs: list[list[Column]] = []
    for column in columns:
        if runs and runs[-1][0].tensor == column.tensor:
            runs[-1].append(column)
        else:
            runs.append([column])
    return runs
