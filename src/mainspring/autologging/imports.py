"""Being told when a module is imported: at once when it is loaded already, right after its first import otherwise.

A finder at the head of `sys.meta_path` looks only for the names that somebody waits for, and goes when nobody does.
"""

from __future__ import annotations

import importlib.machinery
import logging
import sys
import threading
from collections.abc import Callable, Sequence
from types import ModuleType
from typing import Any

__all__ = ["forget", "when_imported"]

_log = logging.getLogger("mainspring.autologging")

Waiting = Callable[[ModuleType], None]

_waiting: dict[str, list[Waiting]] = {}
_lock = threading.RLock()


class _Finder:
    """Finds a module as everybody else does, and has its loader tell when it is there."""

    def find_spec(
        self, name: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        if name not in _waiting:
            return None
        for finder in sys.meta_path:
            find: Any = getattr(finder, "find_spec", None)
            spec: importlib.machinery.ModuleSpec | None = None
            if finder is not self and find is not None:
                spec = find(name, path, target)
            if spec is not None:
                self._announce(name, spec.loader)
                return spec
        return None

    @staticmethod
    def _announce(name: str, loader: Any) -> None:
        """Only this loader of this module is changed, and only until it has loaded it."""
        execute = getattr(loader, "exec_module", None)
        if execute is None:
            return

        def exec_module(module: ModuleType) -> None:
            loader.__dict__.pop("exec_module", None)
            execute(module)
            _tell(name, module)

        try:
            loader.exec_module = exec_module
        except AttributeError:
            _log.warning("%s has a loader that cannot be watched: call autolog after its import", name)


_finder = _Finder()


def when_imported(name: str, then: Waiting) -> None:
    """Call `then(module)` as soon as the module is there; what it raises is logged and stops no import."""
    module = sys.modules.get(name)
    if module is not None and not getattr(getattr(module, "__spec__", None), "_initializing", False):
        _call(then, module)
        return
    with _lock:
        _waiting.setdefault(name, []).append(then)
        if _finder not in sys.meta_path:
            sys.meta_path.insert(0, _finder)


def forget(then: Waiting) -> None:
    """Call it no more."""
    with _lock:
        for name in list(_waiting):
            _waiting[name] = [each for each in _waiting[name] if each != then]
            if not _waiting[name]:
                del _waiting[name]
        _leave_when_done()


def _tell(name: str, module: ModuleType) -> None:
    with _lock:
        waiting = _waiting.pop(name, [])
        _leave_when_done()
    for each in waiting:
        _call(each, module)


def _call(then: Waiting, module: ModuleType) -> None:
    try:
        then(module)
    except Exception:  # noqa: BLE001 -- an import that fails because of us would be worse than a run that is not logged
        _log.exception("%s cannot be logged automatically", module.__name__)


def _leave_when_done() -> None:
    if not _waiting and _finder in sys.meta_path:
        sys.meta_path.remove(_finder)
