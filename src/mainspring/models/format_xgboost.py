"""XGBoost boosters and estimators as XGBoost's own UBJSON: data, which XGBoost reads across versions.

An estimator is saved as its booster, cut to the best iteration where training stopped early, for that is what the
estimator predicts with. What counts as missing, where that is not NaN, is kept as an attribute of the booster.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from mainspring.engines.models_boosters import MISSING, xgboost_booster
from mainspring.kernel.errors import Damaged, MissingDependency, UnsupportedFormat
from mainspring.models.formats import Saved, SaveOptions, cannot_hold
from mainspring.models.policy import LoadPolicy

__all__ = ["XGBOOST", "load_xgboost"]

_FILE = "model.ubj"


class _XGBoost:
    isolated = False

    def accepts(self, model: Any) -> bool:
        """A booster, or an estimator of XGBoost's on its own."""
        return type(model).__module__.startswith("xgboost.") and hasattr(model, "save_model")

    def save(self, model: Any, folder: Path, options: SaveOptions) -> Saved:
        """Write `model.ubj`; the classes of an estimator go into the manifest."""
        if not self.accepts(model):
            raise cannot_hold("xgboost", model)
        booster, classes, missing = xgboost_booster(model)
        if callable(getattr(model, "objective", None)):
            raise UnsupportedFormat("XGBoost's file does not hold an objective that is a function")
        if missing == missing:  # noqa: PLR0124 -- not NaN, which is XGBoost's own word for missing
            booster = booster.copy()
            booster.set_attr(**{MISSING: repr(missing)})
        booster.save_model(folder / _FILE)
        return Saved((_FILE,), (_distribution(), "numpy"), tuple(classes))

    def check(self, folder: Path, policy: LoadPolicy) -> None:
        """UBJSON is data: always allowed."""

    def load(self, folder: Path, policy: LoadPolicy) -> Any:
        """The booster."""
        return load_xgboost(folder / _FILE)


def load_xgboost(path: Path, *, classifier: bool = False) -> Any:
    """The booster in a file of XGBoost's, or a classifier around it."""
    try:
        import xgboost
    except ImportError:
        raise MissingDependency("xgboost", extra="formats") from None
    made = xgboost.XGBClassifier() if classifier else xgboost.Booster()
    try:
        made.load_model(str(path))
    except (xgboost.core.XGBoostError, UnicodeDecodeError, ValueError, TypeError) as error:
        raise Damaged(f"{path.name} is not an XGBoost model: {_first(error)}") from error
    return made


def _distribution() -> str:
    """XGBoost comes under two names: with and without what a GPU needs."""
    from mainspring.models.formats import library_versions

    return next(iter(library_versions(["xgboost", "xgboost-cpu"])), "xgboost")


def _first(error: Exception) -> str:
    lines = [line for line in str(error).splitlines() if line.strip()]
    return lines[0] if lines else type(error).__name__


XGBOOST = _XGBoost()
