"""Pickles of three kinds, behind the policy: reading one runs whatever it says, so an administrator allows it first.

`pickle` names what it needs by import, `cloudpickle` carries functions and classes of the user's own program along,
`joblib` keeps large arrays beside the program. All three are programs, and answer from a child process.
"""

from __future__ import annotations

import importlib
import io
from pathlib import Path
from typing import Any

from mainspring.kernel.errors import Damaged, MissingDependency, UnsupportedFormat
from mainspring.models.formats import Saved, SaveOptions
from mainspring.models.policy import LoadPolicy

__all__ = ["CLOUDPICKLE", "JOBLIB", "PICKLE", "check_policy", "dump_pickle", "load_pickle"]

_DISTRIBUTIONS = {"sklearn": "scikit-learn", "xgboost": "xgboost-cpu"}


class _Pickle:
    isolated = True

    def __init__(self, library: str, file: str) -> None:
        self._library = library
        self._file = file

    def accepts(self, model: Any) -> bool:
        """Never unasked."""
        return False

    def save(self, model: Any, folder: Path, options: SaveOptions) -> Saved:
        """Write the pickle; `save_object` asks the policy."""
        (folder / self._file).write_bytes(dump_pickle(self._library, model))
        top = type(model).__module__.partition(".")[0]
        needed = [_DISTRIBUTIONS.get(top, top), *([] if self._library == "pickle" else [self._library])]
        return Saved((self._file,), tuple(needed))

    def check(self, folder: Path, policy: LoadPolicy) -> None:
        """Ask the policy."""
        check_policy(policy, "a pickle")

    def load(self, folder: Path, policy: LoadPolicy) -> Any:
        """Run the pickle, where the policy allows it."""
        self.check(folder, policy)
        return load_pickle(self._library, folder / self._file)


def check_policy(policy: LoadPolicy, what: str) -> None:
    """Refuse a program where the workspace does not allow programs."""
    if not policy.pickle:
        raise UnsupportedFormat(
            f"{what} runs any code that is in it, and the policy of this workspace does not allow pickles",
            hint="save as skops or ONNX, or have an administrator run models.set_policy(pickle=True)",
        )


def dump_pickle(library: str, model: Any) -> bytes:
    """The bytes of a pickle; raises `UnsupportedFormat` for what cannot be pickled."""
    module = _module(library)
    try:
        if library == "joblib":
            buffer = io.BytesIO()
            module.dump(model, buffer, compress=0)
            return buffer.getvalue()
        found: bytes = module.dumps(model, protocol=5)
        return found
    except Exception as error:  # what is pickled brings its own code, and that may fail in any way
        raise UnsupportedFormat(f"this {type(model).__name__} cannot be pickled: {error}") from error


def load_pickle(library: str, path: Path) -> Any:
    """Run a pickle; the caller has asked the policy."""
    module = _module(library)
    try:
        if library == "joblib":
            return module.load(path)
        return module.loads(path.read_bytes())
    except (MissingDependency, MemoryError):
        raise
    except Exception as error:  # a program fails in any way
        raise Damaged(f"{path.name} cannot be unpickled here: {type(error).__name__}: {error}") from error


def _module(library: str) -> Any:
    try:
        return importlib.import_module(library)
    except ImportError:
        raise MissingDependency(library, extra="formats") from None


PICKLE = _Pickle("pickle", "model.pkl")
CLOUDPICKLE = _Pickle("cloudpickle", "model.cloudpickle")
JOBLIB = _Pickle("joblib", "model.joblib")
