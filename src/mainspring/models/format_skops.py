"""scikit-learn models as skops files: a zip of JSON and arrays that is read without running anything in it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from mainspring.kernel.errors import Damaged, MissingDependency, UnsupportedFormat
from mainspring.models.formats import Saved
from mainspring.models.policy import VETTED, LoadPolicy

__all__ = ["SKOPS"]

_FILE = "model.skops"


class _Skops:
    def accepts(self, model: Any) -> bool:
        """Any estimator with scikit-learn's interface."""
        return hasattr(model, "get_params") and hasattr(model, "predict")

    def save(self, model: Any, folder: Path) -> Saved:
        """Write `model.skops`."""
        try:
            _skops().dump(model, folder / _FILE)
        except (TypeError, ValueError, NotImplementedError) as error:
            raise UnsupportedFormat(f"skops cannot save this {type(model).__name__}: {error}") from error
        return Saved((_FILE,), ("scikit-learn", "skops", "numpy", *_extra(model)))

    def load(self, folder: Path, policy: LoadPolicy) -> Any:
        """Read it when every type in it is trusted."""
        self.check(folder, policy)
        return _skops().load(folder / _FILE, trusted=[*VETTED, *policy.trusted])

    def check(self, folder: Path, policy: LoadPolicy) -> None:
        """Compare the types that the file names with those that are trusted; nothing is made for it."""
        trusted = {*VETTED, *policy.trusted}
        skops = _skops()
        try:
            unknown = [name for name in skops.get_untrusted_types(file=folder / _FILE) if name not in trusted]
        except Exception as error:  # a crafted or broken archive fails in many ways, none of which may pass
            raise Damaged(f"{_FILE} is not a skops file that can be read: {error}") from error
        if unknown:
            raise UnsupportedFormat(
                f"{_FILE} holds types that are not trusted here: {', '.join(sorted(unknown))}",
                hint="look at what they do; then an administrator may add them with models.set_policy(trusted=[...])",
                details={"types": sorted(unknown)},
            )


def _skops() -> Any:
    try:
        import skops.io
    except ImportError:
        raise MissingDependency("skops", extra="serve") from None
    return skops.io


def _extra(model: Any) -> tuple[str, ...]:
    steps = [step for _, step in getattr(model, "steps", [])] or [model]
    return ("lightgbm",) if any(type(step).__module__.startswith("lightgbm.") for step in steps) else ()


SKOPS = _Skops()
