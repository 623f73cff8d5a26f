"""What `mlflow.pyfunc` calls for a folder that `mlflow_export` had to wrap: it opens our package.

The model runs in the process that MLflow loads it in, as every model of MLflow's does: who calls
`mlflow.pyfunc.load_model` has decided to run what is in the folder.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mainspring.engines.models import Predictor

__all__ = ["Wrapped"]


class Wrapped:
    """A predictor behind the interface that MLflow expects: `predict(frame, params=None)`."""

    def __init__(self, predictor: Predictor) -> None:
        self._predictor = predictor

    def predict(self, data: Any, params: Any = None) -> Any:
        """Labels or values, one per row; a frame of pandas where the model gives several things and none of these."""
        answer = self._predictor.predict(self._predictor.signature.convert(data))
        for name in ("label", "value"):
            if name in answer:
                return answer[name]
        import pandas as pd

        return pd.DataFrame({name: list(values) for name, values in answer.items()})


def _load_pyfunc(path: str, model_config: Any = None) -> Wrapped:  # noqa: ARG001 -- MLflow gives it
    """The name that MLflow looks for."""
    from mainspring.models.package import open_trusting

    return Wrapped(open_trusting(Path(path)))
