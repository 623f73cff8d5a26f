"""CatBoost models as CatBoost's own binary file (`.cbm`): data, which CatBoost reads across versions."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from mainspring.kernel.errors import Damaged, MissingDependency
from mainspring.models.formats import Saved, SaveOptions, cannot_hold
from mainspring.models.policy import LoadPolicy

__all__ = ["CATBOOST", "load_catboost"]

_FILE = "model.cbm"


class _CatBoost:
    isolated = False

    def accepts(self, model: Any) -> bool:
        """Any model of CatBoost's."""
        return type(model).__module__.startswith("catboost.") and hasattr(model, "save_model")

    def save(self, model: Any, folder: Path, options: SaveOptions) -> Saved:
        """Write `model.cbm`; CatBoost keeps the classes and the names of the features in it."""
        if not self.accepts(model):
            raise cannot_hold("catboost", model)
        model.save_model(str(folder / _FILE), format="cbm")
        classes = getattr(model, "classes_", None)
        return Saved((_FILE,), ("catboost", "numpy"), () if classes is None else tuple(classes))

    def check(self, folder: Path, policy: LoadPolicy) -> None:
        """The file is data: always allowed."""

    def load(self, folder: Path, policy: LoadPolicy) -> Any:
        """The model, as CatBoost's base class, which knows by itself what it predicts."""
        return load_catboost(folder / _FILE)


def load_catboost(path: Path) -> Any:
    """The model in a file of CatBoost's."""
    try:
        import catboost
    except ImportError:
        raise MissingDependency("catboost", extra="formats") from None
    try:
        return catboost.CatBoost().load_model(str(path), format="cbm")
    except (catboost.CatBoostError, UnicodeDecodeError) as error:
        raise Damaged(f"{path.name} is not a CatBoost model: {error}") from error


CATBOOST = _CatBoost()
