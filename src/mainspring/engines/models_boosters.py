"""Boosted trees in the libraries that trained them: XGBoost and CatBoost; LightGBM's are in `models_native.py`.

All three are asked on one thread: rows are served side by side, and waking a team costs more than a small model.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from mainspring.engines.models import LABEL, PROBABILITY, VALUE
from mainspring.engines.models_categories import category_codes, xgboost_categories
from mainspring.kernel.errors import Conflict, InvalidInput

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from mainspring.engines.signature import Signature

__all__ = ["MISSING", "CatBoostPredictor", "XGBoostPredictor", "xgboost_booster"]

MISSING = "mainspring.missing"
"""The attribute of a booster that says which number means missing, where that is not NaN."""


def xgboost_booster(model: Any) -> tuple[Any, list[Any], float]:
    """The booster that a model predicts with, its classes, and the number that means missing."""
    if type(model).__name__ == "Booster":
        return model, [], float(model.attr(MISSING) or "nan")
    booster = model.get_booster()
    best = booster.attr("best_iteration")
    if best is not None and int(best) + 1 < booster.num_boosted_rounds():
        booster = booster[: int(best) + 1]
    classes = getattr(model, "classes_", None) if hasattr(model, "predict_proba") else None
    missing = getattr(model, "missing", None)
    return booster, [] if classes is None else list(classes), float("nan") if missing is None else float(missing)


class XGBoostPredictor:
    """An XGBoost booster or estimator; with `classes`, a classifier over them."""

    runtime = "xgboost"

    def __init__(self, model: Any, signature: Signature, *, classes: Sequence[Any] = ()) -> None:
        import numpy as np

        booster, known, self._missing = xgboost_booster(model)
        self._booster: Any = booster
        self.signature = signature
        self._classes = np.array(list(classes) or known) if (classes or known) else None
        self._names = _order(booster.feature_names, signature)
        self._categories = xgboost_categories(booster)
        texts = {field.name for field in signature.inputs if field.text}
        wrong = texts - {self._names[place] for place in self._categories}
        if wrong:
            raise InvalidInput(f"the model takes numbers, and the column {min(wrong)!r} is text")
        config = json.loads(booster.save_config())["learner"]
        self._objective = config["objective"]["name"]

    def predict(self, columns: Mapping[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
        """See `Predictor.predict`."""
        import numpy as np
        import xgboost

        if self._booster is None:
            raise Conflict("this model is closed")
        try:
            rows = xgboost.DMatrix(
                self._table(columns),
                missing=self._missing,
                nthread=1,
                feature_names=self._booster.feature_names,
                feature_types=self._booster.feature_types,
                enable_categorical=True,
            )
            scores = np.asarray(self._booster.predict(rows))
        except (xgboost.core.XGBoostError, ValueError, TypeError) as error:
            raise InvalidInput(f"the model refuses these values: {str(error).strip().splitlines()[0]}") from error
        if self._classes is None:
            return {VALUE: scores}
        if scores.ndim == 1 and self._objective == "multi:softmax":
            return {LABEL: self._classes[scores.astype(np.int64)]}
        if scores.ndim == 1:
            labels = self._classes[(scores > 0.5).astype(np.int64)]  # of a raw margin too, as XGBClassifier does
            if self._objective == "binary:logitraw":
                return {LABEL: labels}
            return {LABEL: labels, PROBABILITY: np.stack([1.0 - scores, scores], axis=1).astype(scores.dtype)}
        return {LABEL: self._classes[np.argmax(scores, axis=1)], PROBABILITY: scores}

    def close(self) -> None:
        """See `Predictor.close`."""
        self._booster = None

    def _table(self, columns: Mapping[str, NDArray[Any]]) -> Any:
        import numpy as np

        return np.column_stack(
            [
                category_codes(columns[name], self._categories[place])
                if place in self._categories
                else columns[name].astype(np.float64)
                for place, name in enumerate(self._names)
            ]
        )


class CatBoostPredictor:
    """A CatBoost model, of whichever class; it knows by itself whether it classifies."""

    runtime = "catboost"

    def __init__(self, model: Any, signature: Signature, *, classes: Sequence[Any] = ()) -> None:
        import numpy as np

        self._model: Any = model
        self.signature = signature
        known = list(classes) or list(getattr(model, "classes_", ()))
        self._classes = np.array(known) if known else None
        self._names = _order(model.feature_names_, signature, lenient=True)
        self._categories = {self._names[place] for place in model.get_cat_feature_indices()}
        self._exponent = bool(set(_loss(model).split(":")[:1]) & {"Poisson", "Tweedie"})

    def predict(self, columns: Mapping[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
        """See `Predictor.predict`."""
        import catboost
        import numpy as np

        if self._model is None:
            raise Conflict("this model is closed")
        ask = catboost.CatBoost.predict
        try:
            rows = self._table(columns)
            if self._classes is None:
                kind = "Exponent" if self._exponent else "RawFormulaVal"
                return {VALUE: np.asarray(ask(self._model, rows, prediction_type=kind, thread_count=1))}
            scores = np.asarray(ask(self._model, rows, prediction_type="Probability", thread_count=1))
            chosen = np.asarray(ask(self._model, rows, prediction_type="Class", thread_count=1))
        except (catboost.CatBoostError, ValueError, TypeError) as error:
            raise InvalidInput(f"the model refuses these values: {error}") from error
        labels = chosen.reshape(len(chosen))
        return {LABEL: labels.astype(self._classes.dtype, copy=False), PROBABILITY: scores}

    def close(self) -> None:
        """See `Predictor.close`."""
        self._model = None

    def _table(self, columns: Mapping[str, NDArray[Any]]) -> Any:
        import numpy as np

        if not self._categories:
            return np.column_stack([columns[name].astype(np.float64) for name in self._names])
        rows = np.empty((len(columns[self._names[0]]), len(self._names)), dtype=object)
        for place, name in enumerate(self._names):
            if name in self._categories:
                rows[:, place] = [_category(value) for value in columns[name].tolist()]
            else:
                rows[:, place] = columns[name]
        return rows


def _category(value: Any) -> str | int:
    """CatBoost takes categories as texts or whole numbers, and has no word for a missing one."""
    if value is None or (isinstance(value, float) and value != value):  # noqa: PLR0124 -- NaN
        return "nan"
    return int(value) if isinstance(value, float) and value == int(value) else value


def _loss(model: Any) -> str:
    try:
        return str(model.get_all_params().get("loss_function", ""))
    except (AttributeError, ValueError):
        return ""


def _order(names: Sequence[str] | None, signature: Signature, *, lenient: bool = False) -> Sequence[str]:
    """The columns in the order in which the model was fitted on them; the signature's where it does not know names."""
    if not names or (lenient and list(names) == [str(place) for place in range(len(names))]):
        return signature.names
    missing = [name for name in names if name not in signature.names]
    if missing:
        raise InvalidInput(
            f"the model was fitted on the column {missing[0]!r}, which the signature lacks", known=signature.names
        )
    return list(names)
