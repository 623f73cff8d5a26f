"""scikit-learn models as skops files: a zip of JSON and arrays that is read without running anything in it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from mainspring.kernel.errors import Damaged, MissingDependency, UnsupportedFormat
from mainspring.models.formats import Saved, SaveOptions
from mainspring.models.policy import VETTED, LoadPolicy

__all__ = ["SKOPS", "check_types", "load_skops", "untrusted_types"]

_FILE = "model.skops"


class _Skops:
    isolated = False

    def accepts(self, model: Any) -> bool:
        """Any estimator with scikit-learn's interface."""
        return hasattr(model, "get_params") and hasattr(model, "predict")

    def save(self, model: Any, folder: Path, options: SaveOptions) -> Saved:
        """Write `model.skops`."""
        try:
            _skops().dump(model, folder / _FILE)
        except (TypeError, ValueError, NotImplementedError) as error:
            raise UnsupportedFormat(f"skops cannot save this {type(model).__name__}: {error}") from error
        return Saved((_FILE,), ("scikit-learn", "skops", "numpy", *_extra(model)))

    def load(self, folder: Path, policy: LoadPolicy) -> Any:
        """Read it when every type in it is trusted."""
        return load_skops(folder / _FILE, policy)

    def check(self, folder: Path, policy: LoadPolicy) -> None:
        """Compare the types that the file names with those that are trusted; nothing is made for it."""
        check_types(folder / _FILE, policy)


def check_types(path: Path, policy: LoadPolicy) -> None:
    """Refuse a skops file that names a type which neither skops, nor we, nor the policy trusts."""
    trusted = {*VETTED, *policy.trusted}
    unknown = [name for name in untrusted_types(path) if name not in trusted]
    if unknown:
        raise UnsupportedFormat(
            f"{path.name} holds types that are not trusted here: {', '.join(sorted(unknown))}",
            hint="look at what they do; then an administrator may add them with models.set_policy(trusted=[...])",
            details={"types": sorted(unknown)},
        )


def untrusted_types(path: Path) -> list[str]:
    """The types in a skops file that skops does not vouch for."""
    skops = _skops()
    try:
        return sorted(skops.get_untrusted_types(file=path))
    except Exception as error:  # a crafted or broken archive fails in many ways, none of which may pass
        raise Damaged(f"{path.name} is not a skops file that can be read: {error}") from error


def load_skops(path: Path, policy: LoadPolicy) -> Any:
    """Read a skops file when every type in it is trusted."""
    check_types(path, policy)
    return _skops().load(path, trusted=[*VETTED, *policy.trusted])


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
