"""Which native predictor a loaded object is given to, by the library that its class comes from."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from mainspring.engines.models_boosters import CatBoostPredictor, XGBoostPredictor
from mainspring.engines.models_native import FramePredictor, LightGBMPredictor, SklearnPredictor
from mainspring.engines.models_tensors import KerasPredictor, TorchPredictor
from mainspring.kernel.errors import InvalidInput, UnsupportedFormat

if TYPE_CHECKING:
    from mainspring.engines.models import Predictor
    from mainspring.engines.signature import Signature

__all__ = ["fitted_names", "library_of", "native_predictor"]


def library_of(model: Any) -> str:
    """The library of a model: `sklearn`, `lightgbm`, `xgboost`, `catboost`, `torch`, `keras`, or nothing."""
    tops = [each.__module__.partition(".")[0] for each in type(model).__mro__]
    direct = tops[0]
    if direct in ("lightgbm", "xgboost", "catboost"):
        return direct
    if any(each.__module__.startswith("keras.src") for each in type(model).__mro__):
        return "keras"
    if "torch" in tops:
        return "torch"
    return "sklearn" if "sklearn" in tops or hasattr(model, "get_params") else ""


def native_predictor(model: Any, signature: Signature, *, classes: Sequence[Any] = ()) -> Predictor:
    """The model in its own library.

    Args:
        model: A fitted estimator, pipeline, booster or network, or an object with `predict`. What is a predictor
        already
            (third-party formats may load one) is taken as it is.
        signature: Its inputs.
        classes: The classes of a booster that classifies.
    """
    if hasattr(model, "signature") and hasattr(model, "runtime") and hasattr(model, "close"):
        found: Predictor = model
        return found
    library = library_of(model)
    if library == "lightgbm" and (type(model).__name__ == "Booster" or model.booster_.pandas_categorical):
        known = getattr(model, "classes_", ())
        return LightGBMPredictor(
            getattr(model, "booster_", model), signature, classes=list(classes) or [each.item() for each in known]
        )
    if library == "xgboost":
        return XGBoostPredictor(model, signature, classes=classes)
    if library == "catboost":
        return CatBoostPredictor(model, signature, classes=classes)
    if library == "torch":
        return TorchPredictor(model, signature)
    if library == "keras":
        return KerasPredictor(model, signature)
    if isinstance(model, dict):
        raise UnsupportedFormat(
            "these are weights without a model, which answer nothing",
            hint="models.load_object(ref) gives them; or log them with the factory that makes their model",
        )
    if not hasattr(model, "predict"):
        raise InvalidInput(f"{type(model).__name__} has no predict method, so it is not a model")
    if library in ("sklearn", "lightgbm"):
        return SklearnPredictor(model, signature)
    return FramePredictor(model, signature)


def fitted_names(model: Any, signature: Signature) -> list[str]:
    """The columns that the model was fitted on, in its order; all of the signature's where it does not say."""
    library = library_of(model)
    names = None
    if library == "xgboost":
        names = (model if type(model).__name__ == "Booster" else model.get_booster()).feature_names
    elif library == "catboost":
        names = model.feature_names_
        names = None if list(names) == [str(place) for place in range(len(names))] else names
    elif library != "lightgbm":
        names = getattr(model, "feature_names_in_", None)
    return list(signature.names) if names is None else [str(name) for name in names]
