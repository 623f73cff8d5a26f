"""Pickles, behind the policy: reading one runs whatever it says, so an administrator must have allowed it."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

from mainspring.kernel.errors import Damaged, UnsupportedFormat
from mainspring.models.formats import Saved
from mainspring.models.policy import LoadPolicy

__all__ = ["PICKLE"]

_FILE = "model.pkl"


class _Pickle:
    def accepts(self, model: Any) -> bool:
        """Never unasked."""
        return False

    def save(self, model: Any, folder: Path) -> Saved:
        """Write the pickle; `save_object` asks the policy."""
        try:
            (folder / _FILE).write_bytes(pickle.dumps(model, protocol=5))
        except (pickle.PicklingError, AttributeError, TypeError) as error:
            raise UnsupportedFormat(f"this {type(model).__name__} cannot be pickled: {error}") from error
        return Saved((_FILE,), (type(model).__module__.partition(".")[0].replace("sklearn", "scikit-learn"),))

    def load(self, folder: Path, policy: LoadPolicy) -> Any:
        """Run the pickle, where the policy allows it."""
        self.check(folder, policy)
        try:
            return pickle.loads((folder / _FILE).read_bytes())  # noqa: S301 -- the policy was asked above
        except (pickle.UnpicklingError, EOFError, AttributeError, ImportError) as error:
            raise Damaged(f"{_FILE} cannot be unpickled here: {error}") from error

    def check(self, folder: Path, policy: LoadPolicy) -> None:
        """Ask the policy."""
        if not policy.pickle:
            raise UnsupportedFormat(
                "a pickle runs any code that is in it, and the policy of this workspace does not allow pickles",
                hint="save as skops or ONNX, or have an administrator run models.set_policy(pickle=True)",
            )


PICKLE = _Pickle()
