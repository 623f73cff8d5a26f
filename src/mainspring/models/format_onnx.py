"""ONNX graphs that were made elsewhere: data, if they hold all of their tensors and only operators of the standard.

A graph may name files outside of itself for its tensors, or operators from a shared library; neither is read here.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from mainspring.kernel.errors import MissingDependency, UnsupportedFormat
from mainspring.models.formats import Saved, SaveOptions, cannot_hold
from mainspring.models.policy import LoadPolicy

__all__ = ["ONNX", "check_graph"]

_FILE = "model.onnx"
_DOMAINS = {"", "ai.onnx", "ai.onnx.ml", "com.microsoft"}


class _Onnx:
    isolated = False

    def accepts(self, model: Any) -> bool:
        """The bytes of a graph, or an `onnx.ModelProto`."""
        return isinstance(model, bytes) or type(model).__name__ == "ModelProto"

    def save(self, model: Any, folder: Path, options: SaveOptions) -> Saved:
        """Write the graph."""
        if not self.accepts(model):
            raise cannot_hold("onnx", model)
        graph = model if isinstance(model, bytes) else model.SerializeToString()
        (folder / _FILE).write_bytes(graph)
        return Saved((_FILE,), ("onnxruntime",))

    def check(self, folder: Path, policy: LoadPolicy) -> None:
        """See `check_graph`."""
        check_graph((folder / _FILE).read_bytes())

    def load(self, folder: Path, policy: LoadPolicy) -> Any:
        """The bytes of the graph, checked."""
        self.check(folder, policy)
        return (folder / _FILE).read_bytes()


def check_graph(graph: bytes) -> None:
    """Refuse what is not a graph, tensors kept outside of it, and operators that the standard does not know."""
    try:
        import onnx
    except ImportError:
        raise MissingDependency("onnx", extra="serve") from None
    try:
        model = onnx.load_model_from_string(graph)
        onnx.checker.check_model(model)
    except Exception as error:  # protobuf's and the checker's errors share no other base
        raise UnsupportedFormat(f"this is not a valid ONNX graph: {str(error).partition(chr(10))[0]}") from error
    foreign = sorted({each.domain for each in model.opset_import} - _DOMAINS)
    if foreign:
        raise UnsupportedFormat(f"the graph uses operators of {foreign[0]!r}, which are not part of ONNX")
    if any(tensor.data_location == onnx.TensorProto.EXTERNAL for tensor in _tensors(model.graph)):
        raise UnsupportedFormat(
            "the graph keeps tensors in files outside of itself",
            hint="onnx.save(model, path, save_as_external_data=False)",
        )


def _tensors(graph: Any) -> list[Any]:
    """Every tensor of a graph and of the graphs in its attributes."""
    found = list(graph.initializer)
    for node in graph.node:
        for attribute in node.attribute:
            found += [attribute.t, *attribute.tensors]
            for inner in [attribute.g, *attribute.graphs]:
                found += _tensors(inner)
    return found


ONNX = _Onnx()
