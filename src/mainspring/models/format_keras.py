"""Keras 3 models as `.keras` archives, read in Keras's safe mode: layers by name, and no lambda out of the file.

An archive names classes to make, and Keras's reader has had holes in this before; so a Keras model answers from a child
process, whatever the policy says.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from mainspring.kernel.errors import Damaged, MissingDependency, UnsupportedFormat
from mainspring.models.formats import Saved, SaveOptions, cannot_hold
from mainspring.models.policy import LoadPolicy

__all__ = ["KERAS", "load_keras"]

_FILE = "model.keras"
_BACKENDS = {"jax": "jax", "tensorflow": "tensorflow", "torch": "torch"}


class _Keras:
    isolated = True

    def accepts(self, model: Any) -> bool:
        """A model of Keras 3, or of a class derived from one."""
        return any(each.__module__.startswith("keras.src.models") for each in type(model).__mro__)

    def save(self, model: Any, folder: Path, options: SaveOptions) -> Saved:
        """Write the archive."""
        if not self.accepts(model):
            raise cannot_hold("keras", model)
        keras = _keras()
        try:
            model.save(folder / _FILE)
        except (TypeError, ValueError) as error:
            raise UnsupportedFormat(f"Keras cannot save this {type(model).__name__}: {error}") from error
        backend = _BACKENDS.get(keras.backend.backend())
        return Saved((_FILE,), ("keras", "numpy", *([backend] if backend else [])))

    def check(self, folder: Path, policy: LoadPolicy) -> None:
        """Safe mode and the child process are the check."""

    def load(self, folder: Path, policy: LoadPolicy) -> Any:
        """The model, not compiled for training."""
        return load_keras(folder / _FILE)


def load_keras(path: Path) -> Any:
    """The model in a Keras archive, in safe mode."""
    keras = _keras()
    try:
        return keras.saving.load_model(path, compile=False, safe_mode=True)
    except MemoryError:
        raise
    except Exception as error:  # Keras's reader fails with errors of Python, HDF5, zip and its own
        raise Damaged(f"{path.name} is not a model that Keras reads in safe mode: {error}") from error


def _keras() -> Any:
    try:
        import keras
    except ImportError:
        raise MissingDependency("keras", extra="frameworks") from None
    return keras


KERAS = _Keras()
