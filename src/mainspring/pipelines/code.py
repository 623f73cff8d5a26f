"""What a function does, as digests: its own code and that of every first-party function, class and constant it reaches.

The syntax tree is digested, without comments, layout, docstrings and annotations, so that only a change of behaviour is
a change. What is installed (the standard library, site-packages) is not looked into: the digest of the environment
stands for it. What cannot be digested is named, and who asks for a cache gets none: it fails closed.

Written by hand: the tools that do this digest only the function itself (a changed helper gives stale results), or the
whole file (a changed comment runs everything again).
"""

from __future__ import annotations

import ast
import enum
import functools
import importlib
import importlib.util
import inspect
import logging
import re
import sys
import sysconfig
import types
from datetime import date, time, timedelta
from decimal import Decimal
from pathlib import Path, PurePath
from typing import Any
from uuid import UUID

import msgspec

from mainspring.kernel.hashing import digest_value
from mainspring.pipelines.code_text import Text, text_of_class, text_of_function, written_as
from mainspring.pipelines.values import digest

__all__ = ["Code", "code_of"]

_OURS = "mainspring"
_FIXED = (str, bytes, bool, int, float, complex, Decimal, date, time, timedelta, enum.Enum, PurePath, UUID)


class Code(msgspec.Struct, frozen=True):
    """The code that a function reaches."""

    parts: dict[str, str]
    """`module:name` of each function, class and constant, and its digest."""
    unknown: tuple[str, ...]
    """What could not be digested."""
    state: tuple[str, ...] = ()
    """Those of the parts that are values which the program may change as it runs: lists, dicts, objects. What their
    modules assign is a part of its own, `module:name as written`."""
    values: bool = False
    """Whether it reaches values at all: such code may be another at the next call."""

    @property
    def digest(self) -> str:
        """One digest for all parts; empty when something is unknown."""
        return "" if self.unknown else self.fingerprint

    @property
    def fingerprint(self) -> str:
        """One digest for what is known and the names of what is not: never empty, and so no proof of equality."""
        return digest_value("code", [self.parts, self.unknown])


def code_of(function: Any) -> Code:
    """The code that `function` reaches.

    Example:
        >>> code_of(str.upper).parts  # installed code is part of the environment
        {}
    """
    reader = _Reader()
    reader.visit(function, "")
    return Code(
        parts=dict(sorted(reader.parts.items())),
        unknown=tuple(sorted(reader.unknown)),
        state=tuple(sorted(reader.state)),
        values=reader.values,
    )


class _Reader:
    def __init__(self) -> None:
        self.parts: dict[str, str] = {}
        self.unknown: set[str] = set()
        self.state: set[str] = set()
        self.values = False
        self._seen: set[int] = set()
        self._alive: list[Any] = []  # an id is unique only as long as its object lives

    def visit(self, found: Any, name: str) -> None:
        found = getattr(found, "function", found) if type(found).__module__.startswith(_OURS + ".pipelines") else found
        if id(found) in self._seen:
            return
        self._seen.add(id(found))
        self._alive.append(found)
        if isinstance(found, functools.partial):
            for part in (found.func, *found.args, *found.keywords.values()):
                self.visit(part, name)
            return
        if isinstance(found, types.MethodType):
            self.visit(found.__self__, name)
            found = found.__func__
        if isinstance(found, types.FunctionType):
            found = inspect.unwrap(found)
            if not name or _first_party(found.__module__):
                self._function(found)
        elif isinstance(found, type):
            if _first_party(found.__module__):
                self._class(found)
        elif not isinstance(found, types.ModuleType | types.BuiltinFunctionType | types.MethodDescriptorType):
            self._constant(found, name)

    def _function(self, function: types.FunctionType) -> None:
        address = f"{function.__module__}:{function.__qualname__}"
        text = text_of_function(function)
        if text is None:
            self.unknown.add(f"{address} (no source)")
            return
        self.parts[address] = text.digest
        for number, default in enumerate([*(function.__defaults__ or ()), *(function.__kwdefaults__ or {}).values()]):
            self.visit(default, f"{address} default {number}")
        closure = inspect.getclosurevars(function).nonlocals if function.__closure__ else {}
        self._names(text, {**function.__globals__, **closure}, function.__module__)

    def _class(self, found: type) -> None:
        text = text_of_class(found)
        address = f"{found.__module__}:{found.__qualname__}"
        if text is None:
            self.unknown.add(address)
            return
        self.parts[address] = text.digest
        for parent in found.__mro__[1:]:
            self.visit(parent, parent.__qualname__)
        module = sys.modules.get(found.__module__)
        self._names(text, vars(module) if module else {}, found.__module__)

    def _constant(self, value: Any, name: str) -> None:
        if isinstance(value, logging.Logger) or type(value).__module__ in ("typing", "types", "_thread"):
            return
        self.values = True
        if isinstance(value, re.Pattern):
            self.parts[name] = digest_value("code-part", [value.pattern, value.flags])
            return
        if sys.modules.get("polars") is not None and isinstance(value, sys.modules["polars"].Expr):
            self.parts[name] = digest_value("code-part", value.meta.serialize(format="json"))
            return
        if isinstance(value, property | staticmethod | classmethod):
            self.visit(value.fget if isinstance(value, property) else value.__func__, name)
            return
        if callable(value) and not _first_party(type(value).__module__) and getattr(value, "__module__", None):
            return  # an installed library's own kind of function
        try:
            found = digest(value)
        except Exception:  # noqa: BLE001 -- a value of the user may raise anything when it is looked at
            found = ""
        if found:
            self.parts[name] = found
            if not _is_fixed(value):
                self.state.add(name)
                if written := written_as(name):
                    self.parts[f"{name} as written"] = written
            self.visit(type(value), type(value).__qualname__)
        else:
            self.unknown.add(f"{name} (a {type(value).__qualname__})")

    def _names(self, text: Text, scope: dict[str, Any], module: str) -> None:
        scope = {**scope, **_imported(text.imports, module)} if text.imports else scope
        for chain in text.chains:
            if chain[0] not in scope:
                continue
            found, name = scope[chain[0]], chain[0]
            for part in chain[1:]:
                if not isinstance(found, types.ModuleType):
                    break
                name = f"{found.__name__}.{part}"
                found = getattr(found, part, None)
            if not isinstance(found, types.ModuleType) and _reached_first_party(scope[chain[0]]):
                self.visit(found, name if "." in name else f"{module}:{name}")


def _is_fixed(value: Any) -> bool:
    """Whether a value cannot change: what differs in it was edited."""
    if isinstance(value, tuple | frozenset):
        return all(_is_fixed(part) for part in value)
    return value is None or isinstance(value, _FIXED)


def _reached_first_party(root: Any) -> bool:
    """Whether what is behind a name is ours to look into: not an attribute of an installed module."""
    return not isinstance(root, types.ModuleType) or _first_party(root.__name__)


def _imported(nodes: tuple[ast.Import | ast.ImportFrom, ...], module: str) -> dict[str, Any]:
    """What first-party imports inside the body bring in."""
    found: dict[str, Any] = {}
    package = module.rpartition(".")[0]
    for node in nodes:
        if isinstance(node, ast.Import):
            for alias in node.names:
                if (loaded := _import(alias.name)) is not None:
                    root = alias.name.partition(".")[0]
                    found[alias.asname or root] = loaded if alias.asname else sys.modules.get(root, loaded)
        else:
            name = "." * node.level + (node.module or "")
            absolute = importlib.util.resolve_name(name, package) if node.level and package else name
            loaded = _import(absolute)
            for alias in node.names:
                if loaded is not None and hasattr(loaded, alias.name):
                    found[alias.asname or alias.name] = getattr(loaded, alias.name)
    return found


def _import(name: str) -> types.ModuleType | None:
    try:
        return importlib.import_module(name) if _first_party(name) else None
    except Exception:  # noqa: BLE001 -- a module that does not import is reported by the step that needs it
        return None


@functools.cache
def _installed() -> tuple[Path, ...]:
    paths = sysconfig.get_paths()
    return tuple({Path(paths[key]).resolve() for key in ("stdlib", "platstdlib", "purelib", "platlib")})


@functools.lru_cache(maxsize=4096)
def _first_party(module: str | None) -> bool:
    """Whether a module is the user's own: not the standard library, not installed, not this package."""
    if not module or module.partition(".")[0] == _OURS or module.partition(".")[0] in sys.stdlib_module_names:
        return module == "__main__"
    loaded = sys.modules.get(module)
    origin = getattr(loaded, "__file__", None)
    if loaded is None:
        try:
            spec = importlib.util.find_spec(module)
        except (ImportError, ValueError):
            return False
        origin = spec.origin if spec else None
        if spec is None:
            return False
    if not origin:
        return loaded is not None and module in ("__main__", "__mainspring_main__")
    path = Path(origin).resolve()
    return not any(path.is_relative_to(folder) for folder in _installed()) and "site-packages" not in path.parts
