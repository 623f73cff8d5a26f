"""Switching automatic logging on and off."""

from __future__ import annotations

import functools
import threading
from importlib.metadata import entry_points
from types import ModuleType
from typing import Any

import msgspec

from mainspring.autologging.imports import forget, when_imported
from mainspring.autologging.patches import Patches
from mainspring.autologging.protocol import AutoLogger, Options
from mainspring.kernel.errors import InvalidInput, NotFound, nearest
from mainspring.kernel.hooks import AUTOLOGGERS, registered

__all__ = ["autolog", "frameworks"]

_lock = threading.RLock()
_on: dict[str, _Installed] = {}


class _Installed:
    """A framework that is logged."""

    def __init__(self, name: str, logger: AutoLogger, options: Options) -> None:
        self.options = options
        self.patches = Patches(name, lambda: self.options)
        self._logger = logger
        self._waits = functools.partial(self._install)
        for module in logger.modules:
            when_imported(module, self._waits)

    def remove(self) -> None:
        forget(self._waits)
        self.patches.undo()

    def _install(self, module: ModuleType) -> None:
        self._logger.install(module, self.patches)


def autolog(*names: str, on: bool = True, **options: Any) -> None:
    """Log what frameworks train, without a line at the training: `ms.autolog()`, `ms.autolog("sklearn")`.

    Frameworks may be imported before or after. A training logs into the run that goes on, or into one that begins and
    ends with it.

    Args:
        *names: The frameworks; all that are known when left out. See `frameworks()`.
        on: False to switch off again.
        **options: What is logged: `models`, `register`, `experiment`, `training_metrics`, `candidates`,
            `largest_model`; see `Options`.

    Example:
        >>> autolog("statsmodels", models=False)
        >>> autolog(on=False)
    """
    known = frameworks()
    for name in names:
        if name not in known:
            raise NotFound(f"no framework {name!r} is logged automatically", known=nearest(name, known) or known)
    for option in options:
        if option not in Options.__struct_fields__:
            raise InvalidInput(f"{option!r} is not an option", known=nearest(option, Options.__struct_fields__))
    try:
        chosen = msgspec.convert(options, Options)
    except msgspec.ValidationError as error:
        raise InvalidInput(f"an option is wrong: {error}") from None
    with _lock:
        for name in names or known:
            if not on:
                if name in _on:
                    _on.pop(name).remove()
            elif name in _on:
                _on[name].options = chosen
            else:
                _on[name] = _Installed(name, registered("autologgers", AUTOLOGGERS, name)(), chosen)


def frameworks() -> list[str]:
    """The frameworks that can be logged: the built-in ones and those of installed packages."""
    return sorted({*AUTOLOGGERS, *(point.name for point in entry_points(group="mainspring.autologgers"))})
