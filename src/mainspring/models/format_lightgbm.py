"""LightGBM boosters and estimators as LightGBM's own text: data, readable by every version since 3."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from mainspring.kernel.errors import Damaged, MissingDependency
from mainspring.models.formats import Saved, SaveOptions, cannot_hold
from mainspring.models.policy import LoadPolicy

__all__ = ["LIGHTGBM", "load_lightgbm"]

_FILE = "model.lightgbm.txt"


class _LightGBM:
    isolated = False

    def accepts(self, model: Any) -> bool:
        """A booster, or an estimator of LightGBM's on its own."""
        return type(model).__module__.startswith("lightgbm.")

    def save(self, model: Any, folder: Path, options: SaveOptions) -> Saved:
        """Write the booster's text; the classes of an estimator go into the manifest."""
        if not self.accepts(model):
            raise cannot_hold("lightgbm", model)
        booster = getattr(model, "booster_", model)
        classes = getattr(model, "classes_", None)
        (folder / _FILE).write_text(booster.model_to_string(), encoding="utf-8")
        return Saved((_FILE,), ("lightgbm", "numpy"), () if classes is None else tuple(classes.tolist()))

    def check(self, folder: Path, policy: LoadPolicy) -> None:
        """Text is data: always allowed."""

    def load(self, folder: Path, policy: LoadPolicy) -> Any:
        """The booster."""
        return load_lightgbm(folder / _FILE)


def load_lightgbm(path: Path) -> Any:
    """The booster in a file of LightGBM's text."""
    try:
        import lightgbm
    except ImportError:
        raise MissingDependency("lightgbm", extra="demo") from None
    try:
        return lightgbm.Booster(model_str=path.read_text(encoding="utf-8"))
    except (lightgbm.basic.LightGBMError, UnicodeDecodeError) as error:
        raise Damaged(f"{path.name} is not a LightGBM model: {error}") from error


LIGHTGBM = _LightGBM()
