"""A version as its user holds it: asked with rows as they are there, whatever runtime answers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from mainspring.engines.models import Predictor
    from mainspring.engines.signature import Signature

__all__ = ["LoadedModel"]


class LoadedModel:
    """What `load` gives: a predictor that reads frames, records and arrays, checked against the signature.

    The server's endpoints convert before they ask; a person at a prompt has a frame.
    """

    def __init__(self, predictor: Predictor) -> None:
        self._predictor = predictor

    @property
    def signature(self) -> Signature:
        """What it takes and gives."""
        return self._predictor.signature

    @property
    def runtime(self) -> str:
        """What runs it: `onnx`, `sklearn`, `lightgbm`, ..."""
        return self._predictor.runtime

    @property
    def protections(self) -> tuple[str, ...]:
        """The measures in force around a model that runs in a child process; none where it runs here."""
        return getattr(self._predictor, "protections", ())

    def predict(self, data: Any) -> dict[str, NDArray[Any]]:
        """`label` and, where there is one, `probability` of a classifier, `value` of a regressor: a row per row asked.

        Args:
            data: A frame of polars or pandas, columns by name, a list of records, or an array in the order of the
                signature; columns that the signature does not name are left out.

        Raises:
            InvalidInput: A column is missing or has a value that its type cannot hold, or the model refuses it.
        """
        return self._predictor.predict(self.signature.convert(data) if self.signature.inputs else data)

    def close(self) -> None:
        """Release what the model holds; may be called twice."""
        self._predictor.close()

    def __repr__(self) -> str:
        return f"<model on {self.runtime}: {', '.join(self.signature.names)}>"
