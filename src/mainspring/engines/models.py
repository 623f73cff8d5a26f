"""The port for models: columns in, columns out; and which runtime answers is nobody else's business.

Adapters: `models_onnx.OnnxPredictor` (ONNX Runtime), `models_native.SklearnPredictor` and
`models_native.LightGBMPredictor` (the library that trained the model). All are safe to call from many threads,
and none of them loads anything: they are given a model that `models/` has read and checked.

Outputs have the same names everywhere: a classifier gives `label` (N) and, where it can, `probability` (N, C) in the
order of its classes; a regressor gives `value` (N).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from mainspring.engines.signature import Signature

__all__ = ["LABEL", "PROBABILITY", "VALUE", "Predictor"]

LABEL = "label"
PROBABILITY = "probability"
VALUE = "value"


class Predictor(Protocol):
    """A model that answers. Thread safe; `predict` after `close` is an error."""

    @property
    def signature(self) -> Signature:
        """What it takes and gives."""
        ...

    @property
    def runtime(self) -> str:
        """What runs it: `onnx`, `sklearn` or `lightgbm`."""
        ...

    def predict(self, columns: Mapping[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
        """Predict from columns as `Signature.convert` gives them; a row of the answer per row asked.

        Raises:
            InvalidInput: The model refuses the values, for example an unknown category.
        """
        ...

    def close(self) -> None:
        """Release what the model holds; may be called twice."""
        ...
