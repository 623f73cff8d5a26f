"""Models in the library that trained them: for what cannot be compiled, and as the measure of what was.

scikit-learn models that were fitted on a frame are given a polars frame with the same column names; others are given
a matrix in the order of the signature.
"""

from __future__ import annotations

import functools
import importlib
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import TYPE_CHECKING, Any

from mainspring.engines.models import LABEL, PROBABILITY, VALUE
from mainspring.engines.models_categories import category_codes, lightgbm_categories
from mainspring.engines.models_tensors import named
from mainspring.kernel.errors import Conflict, InvalidInput, MainspringError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from mainspring.engines.signature import Signature

__all__ = ["FramePredictor", "LightGBMPredictor", "SklearnPredictor", "frame"]

_MANY = 8192  # rows from which a team of threads pays; below, waking it costs more than the model


class SklearnPredictor:
    """A fitted estimator or pipeline with scikit-learn's interface."""

    runtime = "sklearn"

    def __init__(self, model: Any, signature: Signature) -> None:
        self._model = model
        self.signature = signature
        names = getattr(model, "feature_names_in_", None)
        self._frame = names is not None
        self._names = signature.names if names is None else tuple(map(str, names))
        missing = [name for name in self._names if name not in signature.names]
        if missing:
            raise InvalidInput(
                f"the model was fitted on the column {missing[0]!r}, which the signature lacks", known=signature.names
            )
        # scikit-learn's own test; asking for `predict_proba` would say no for a pipeline not yet resolved.
        self._threads = _one_thread()
        classes = getattr(model, "classes_", None)
        self._classifier = classes is not None and len(classes) > 0  # a CatBoost regressor has an empty list
        self._scores = self._classifier and hasattr(model, "predict_proba")

    def predict(self, columns: Mapping[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
        """See `Predictor.predict`."""
        if self._model is None:
            raise Conflict("this model is closed")
        rows = self._table(columns)
        try:
            with self._threads() if len(rows) < _MANY else nullcontext():
                return self._answer(rows)
        except MainspringError:
            raise
        except (ValueError, TypeError) as error:  # how scikit-learn refuses values
            raise InvalidInput(f"the model refuses these values: {error}") from error

    def close(self) -> None:
        """See `Predictor.close`."""
        self._model = None

    def _answer(self, rows: Any) -> dict[str, NDArray[Any]]:
        answer = self._model.predict(rows)
        if answer.ndim == 2 and answer.shape[1] == 1:  # CatBoost's labels of several classes
            answer = answer[:, 0]
        if not self._classifier:
            return {VALUE: answer}
        return {LABEL: answer, PROBABILITY: self._model.predict_proba(rows)} if self._scores else {LABEL: answer}

    def _table(self, columns: Mapping[str, NDArray[Any]]) -> Any:
        if self._frame:
            return frame(self.signature, columns, self._names)
        import numpy as np

        kind = object if any(field.text for field in self.signature.inputs) else np.float64
        return np.column_stack([columns[name].astype(kind) for name in self._names])


def _one_thread() -> Callable[[], AbstractContextManager[Any]]:
    """A block in which scikit-learn's OpenMP loops stay on the calling thread.

    OpenMP keeps that number per thread, so requests do not disturb each other.
    """
    threadpoolctl = importlib.import_module("threadpoolctl")  # a dependency of scikit-learn's, without type information
    return functools.partial(threadpoolctl.ThreadpoolController().limit, limits=1, user_api="openmp")


class FramePredictor:
    """Any object whose `predict` takes a frame: a model of the user's own, or fitted results of statsmodels.

    It is given a polars frame; results of statsmodels, which know no polars, a matrix or a frame of pandas.
    """

    runtime = "python"

    def __init__(self, model: Any, signature: Signature) -> None:
        self._model: Any = model
        self.signature = signature
        self._statsmodels = type(model).__module__.startswith("statsmodels.")

    def predict(self, columns: Mapping[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
        """See `Predictor.predict`."""
        if self._model is None:
            raise Conflict("this model is closed")
        rows = frame(self.signature, columns, self.signature.names)
        try:
            answer = self._model.predict(_pandas(columns, self.signature.names) if self._statsmodels else rows)
        except MainspringError:
            raise
        except Exception as error:  # the user's own code
            raise InvalidInput(f"the model refuses these values: {type(error).__name__}: {error}") from error
        return named(answer, rows.height)

    def close(self) -> None:
        """See `Predictor.close`."""
        self._model = None


def frame(signature: Signature, columns: Mapping[str, NDArray[Any]], names: Sequence[str]) -> Any:
    """Columns as a polars frame, in this order."""
    import polars as pl

    text = {field.name for field in signature.inputs if field.text}
    return pl.DataFrame(
        [
            pl.Series(name, columns[name].tolist(), dtype=pl.String)
            if name in text and columns[name].ndim == 1
            else pl.Series(name, columns[name])
            for name in names
        ]
    )


def _pandas(columns: Mapping[str, NDArray[Any]], names: Sequence[str]) -> Any:
    import pandas as pd

    return pd.DataFrame({name: columns[name] for name in names})


class LightGBMPredictor:
    """A LightGBM booster; with `classes`, a classifier over them."""

    runtime = "lightgbm"

    def __init__(self, booster: Any, signature: Signature, *, classes: Sequence[Any] = ()) -> None:
        import numpy as np

        self._booster = booster
        self.signature = signature
        self._classes = np.array(list(classes)) if classes else None
        self._categories = lightgbm_categories(booster.model_to_string()) if booster.pandas_categorical else {}
        texts = {place for place, field in enumerate(signature.inputs) if field.text}
        if texts - set(self._categories):
            name = signature.inputs[min(texts - set(self._categories))].name
            raise InvalidInput(f"the model takes numbers, and the column {name!r} is text")

    def predict(self, columns: Mapping[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
        """See `Predictor.predict`."""
        import numpy as np

        if self._booster is None:
            raise Conflict("this model is closed")
        rows = np.column_stack(
            [
                category_codes(columns[name], self._categories[place])
                if place in self._categories
                else columns[name].astype(np.float64)
                for place, name in enumerate(self.signature.names)
            ]
        )
        scores = np.asarray(self._booster.predict(rows, num_threads=1))
        if self._classes is None:
            return {VALUE: scores}
        if scores.ndim == 1:
            scores = np.stack([1.0 - scores, scores], axis=1)
        return {LABEL: self._classes[np.argmax(scores, axis=1)], PROBABILITY: scores}

    def close(self) -> None:
        """See `Predictor.close`."""
        self._booster = None
