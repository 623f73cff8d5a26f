"""Models behind MLflow's own wrapper (`mlflow.pyfunc`): given a frame of pandas or a tensor, as the signature says."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import TYPE_CHECKING, Any

import msgspec

from mainspring.engines.models_tensors import named
from mainspring.engines.signature import DTYPES
from mainspring.kernel.errors import Conflict, InvalidInput

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from mainspring.engines.signature import Signature

__all__ = ["PyfuncPredictor"]


class PyfuncPredictor:
    """An `mlflow.pyfunc.PyFuncModel`.

    Args:
        model: The wrapper.
        signature: What it takes.
        json_columns: Columns that hold JSON here and its value to the model.
        nameless: Whether the model knows its columns by number.
    """

    runtime = "mlflow"

    def __init__(
        self, model: Any, signature: Signature, *, json_columns: Collection[str] = (), nameless: bool = False
    ) -> None:
        self._model: Any = model
        self.signature = signature
        self._json = frozenset(json_columns)
        self._nameless = nameless

    def predict(self, columns: Mapping[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
        """See `Predictor.predict`."""
        if self._model is None:
            raise Conflict("this model is closed")
        rows = len(next(iter(columns.values()))) if columns else 0
        try:
            answer = self._model.predict(self._given(columns))
        except Exception as error:  # the model's own code
            raise InvalidInput(f"the model refuses these values: {type(error).__name__}: {error}") from error
        if hasattr(answer, "columns") and hasattr(answer, "to_dict"):  # a frame of pandas
            answer = {str(name): answer[name] for name in answer.columns}
        elif isinstance(answer, list):
            answer = {"value": _texts(answer)} if any(isinstance(each, str | dict) for each in answer) else answer
        return named(answer, rows)

    def close(self) -> None:
        """See `Predictor.close`."""
        self._model = None

    def _given(self, columns: Mapping[str, NDArray[Any]]) -> Any:
        import pandas as pd

        fields = self.signature.inputs
        if len(fields) == 1 and len(fields[0].shape) > 1:
            return columns[fields[0].name]
        given: dict[str, Any] = {}
        for field in fields:
            values = columns[field.name]
            if field.name in self._json:
                given[field.name] = [None if each is None else msgspec.json.decode(each) for each in values.tolist()]
            elif len(field.shape) > 1:
                given[field.name] = list(values)
            elif field.optional and _void(values):
                continue
            elif not field.text and values.dtype != DTYPES[field.dtype] and not _gaps(values):
                given[field.name] = values.astype(DTYPES[field.dtype])
            else:
                given[field.name] = values
        if self._nameless and len(fields) == 1 and fields[0].text:
            return list(given[fields[0].name])  # the one list of texts that wrappers of language models take
        return pd.DataFrame(dict(enumerate(given.values())) if self._nameless else given)


def _texts(answer: list[Any]) -> NDArray[Any]:
    import numpy as np

    found = np.empty(len(answer), dtype=object)
    found[:] = [each if isinstance(each, str) else msgspec.json.encode(each).decode() for each in answer]
    return found


def _gaps(values: NDArray[Any]) -> bool:
    import numpy as np

    return values.dtype.kind == "f" and bool(np.isnan(values).any())


def _void(values: NDArray[Any]) -> bool:
    import numpy as np

    if values.dtype.kind == "f":
        return bool(np.isnan(values).all())
    return all(each is None for each in values.tolist()) if values.dtype == object else False
