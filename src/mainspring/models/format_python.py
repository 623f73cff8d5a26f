"""Models that are Python: an object of the user's own with a `predict`, and the code it needs, behind the policy.

    model.cloudpickle    the object
    code/...             files and folders of the user's, put on the path before the object is read

`predict` is given a polars frame with the columns of the signature, and answers with an array, a series, a list with
a value per row, or a mapping of named ones.
"""

from __future__ import annotations

import shutil
import sys
from pathlib import Path
from typing import Any

from mainspring.kernel.errors import InvalidInput, UnsupportedFormat
from mainspring.models.format_pickle import check_policy, dump_pickle, load_pickle
from mainspring.models.formats import Saved, SaveOptions
from mainspring.models.policy import LoadPolicy

__all__ = ["CODE", "PYTHON", "copy_code"]

CODE = "code"
_FILE = "model.cloudpickle"


class _Python:
    isolated = True

    def accepts(self, model: Any) -> bool:
        """Never unasked."""
        return False

    def save(self, model: Any, folder: Path, options: SaveOptions) -> Saved:
        """Write the object and copy the code."""
        if not callable(getattr(model, "predict", None)):
            raise UnsupportedFormat(f"a Python model has a method predict(frame), and {type(model).__name__} has none")
        (folder / _FILE).write_bytes(dump_pickle("cloudpickle", model))
        return Saved((_FILE, *copy_code(options.code, folder)), ("cloudpickle",))

    def check(self, folder: Path, policy: LoadPolicy) -> None:
        """Ask the policy."""
        check_policy(policy, "a Python model")

    def load(self, folder: Path, policy: LoadPolicy) -> Any:
        """Run it, where the policy allows that."""
        self.check(folder, policy)
        code = str((folder / CODE).resolve())
        if (folder / CODE).is_dir() and code not in sys.path:
            sys.path.insert(0, code)
        return load_pickle("cloudpickle", folder / _FILE)


def copy_code(code: tuple[Path, ...], folder: Path) -> list[str]:
    """Copy files and packages under `code/`; their paths in the folder."""
    found = []
    for source in code:
        if not source.exists():
            raise InvalidInput(f"there is no code at {source}")
        target = folder / CODE / source.name
        target.parent.mkdir(exist_ok=True)
        if source.is_dir():
            shutil.copytree(source, target, ignore=shutil.ignore_patterns("__pycache__", "*.pyc", ".*"))
        else:
            shutil.copyfile(source, target)
        inside = sorted(each for each in target.rglob("*") if each.is_file()) if source.is_dir() else [target]
        found += [each.relative_to(folder).as_posix() for each in inside]
    return found


PYTHON = _Python()
