"""Neural networks in the library that trained them: PyTorch modules and Keras models.

Columns that each hold one number are put side by side, in the order of the signature, as one matrix; columns of
shapes of their own are given to the network one by one. What comes back is `value`, or, from a network that answers
with a mapping or with several tensors, as many named arrays.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from mainspring.engines.models import VALUE
from mainspring.kernel.errors import Conflict, InvalidInput

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from mainspring.engines.signature import Signature

__all__ = ["KerasPredictor", "TorchPredictor", "arguments", "named"]


class TorchPredictor:
    """A PyTorch module, a TorchScript module or the module of an exported program, on the CPU."""

    runtime = "torch"

    def __init__(self, model: Any, signature: Signature) -> None:
        import torch

        self._model: Any = model
        self.signature = signature
        floats = (each.dtype for each in model.parameters() if each.is_floating_point())
        self._kind = next(floats, torch.float32)  # a frame's numbers are double, a network's hardly ever

    def predict(self, columns: Mapping[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
        """See `Predictor.predict`."""
        import numpy as np
        import torch

        if self._model is None:
            raise Conflict("this model is closed")
        given = [torch.from_numpy(np.ascontiguousarray(each)) for each in arguments(self.signature, columns)]
        given = [each.to(self._kind) if each.is_floating_point() else each for each in given]
        try:
            with torch.inference_mode():
                answer = self._model(*given)
        except (RuntimeError, TypeError, ValueError, IndexError, AssertionError) as error:
            first = next((line for line in str(error).splitlines() if line.strip()), type(error).__name__)
            raise InvalidInput(f"the model refuses these values: {first}") from error
        return named(answer, len(given[0]))

    def close(self) -> None:
        """See `Predictor.close`."""
        self._model = None


class KerasPredictor:
    """A Keras model, on whichever backend Keras was told to use."""

    runtime = "keras"

    def __init__(self, model: Any, signature: Signature) -> None:
        self._model: Any = model
        self.signature = signature

    def predict(self, columns: Mapping[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
        """See `Predictor.predict`."""
        if self._model is None:
            raise Conflict("this model is closed")
        given = arguments(self.signature, columns)
        try:
            answer = self._model.predict_on_batch(given[0] if len(given) == 1 else given)
        except (RuntimeError, TypeError, ValueError) as error:
            first = next((line for line in str(error).splitlines() if line.strip()), type(error).__name__)
            raise InvalidInput(f"the model refuses these values: {first}") from error
        return named(answer, len(given[0]))

    def close(self) -> None:
        """See `Predictor.close`."""
        self._model = None


def arguments(signature: Signature, columns: Mapping[str, NDArray[Any]]) -> list[NDArray[Any]]:
    """What a network is called with: one matrix of plain columns, or one array per shaped column."""
    import numpy as np

    text = next((field.name for field in signature.inputs if field.text), None)
    if text is not None:
        raise InvalidInput(f"a network takes numbers, and the column {text!r} is text")
    arrays = [columns[field.name] for field in signature.inputs]
    if any(len(field.shape) > 1 for field in signature.inputs):
        return arrays
    whole = all(array.dtype.kind in "biu" for array in arrays)
    kind = np.int64 if whole else (np.float64 if all(array.dtype == np.float64 for array in arrays) else np.float32)
    return [np.column_stack([array.astype(kind) for array in arrays])]


def named(answer: Any, rows: int) -> dict[str, NDArray[Any]]:
    """An answer as arrays by name, with a row per row asked."""
    if isinstance(answer, Mapping):
        parts = {str(name): _array(each) for name, each in answer.items()}
    elif isinstance(answer, tuple) or (isinstance(answer, list) and answer and hasattr(answer[0], "shape")):
        parts = {VALUE if len(answer) == 1 else f"{VALUE}_{place}": _array(each) for place, each in enumerate(answer)}
    else:
        parts = {VALUE: _array(answer)}
    for name, array in parts.items():
        if array.ndim == 0 or len(array) != rows:
            raise InvalidInput(f"the model answered {name!r} of the shape {list(array.shape)} to {rows} rows")
    return parts


def _array(value: Any) -> NDArray[Any]:
    import numpy as np

    if hasattr(value, "detach"):
        value = value.detach().cpu().numpy()
    elif hasattr(value, "to_numpy"):
        value = value.to_numpy()
    found = np.asarray(value)
    return found.astype(object) if found.dtype.kind == "U" else found
