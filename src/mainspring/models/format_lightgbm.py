"""LightGBM boosters and estimators as LightGBM's own text: data, readable by every version since 3."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from mainspring.kernel.errors import Damaged, MissingDependency
from mainspring.models.formats import Saved
from mainspring.models.policy import LoadPolicy

__all__ = ["LIGHTGBM"]

_FILE = "model.lightgbm.txt"


class _LightGBM:
    def accepts(self, model: Any) -> bool:
        """A booster, or an estimator of LightGBM's on its own."""
        return type(model).__module__.startswith("lightgbm.")

    def save(self, model: Any, folder: Path) -> Saved:
        """Write the booster's text; the classes of an estimator go into the manifest."""
        booster = getattr(model, "booster_", model)
        classes = getattr(model, "classes_", None)
        (folder / _FILE).write_text(booster.model_to_string(), encoding="utf-8")
        return Saved((_FILE,), ("lightgbm", "numpy"), () if classes is None else tuple(classes.tolist()))

    def check(self, folder: Path, policy: LoadPolicy) -> None:
        """Text is data: always allowed."""

    def load(self, folder: Path, policy: LoadPolicy) -> Any:
        """The booster."""
        try:
            import lightgbm
        except ImportError:
            raise MissingDependency("lightgbm", extra="demo") from None
        try:
            return lightgbm.Booster(model_str=(folder / _FILE).read_text(encoding="utf-8"))
        except (lightgbm.basic.LightGBMError, UnicodeDecodeError) as error:
            raise Damaged(f"{_FILE} is not a LightGBM model: {error}") from error


LIGHTGBM = _LightGBM()
