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
import textwrap
import types
from collections.abc import Iterator
from datetime import date, time, timedelta
from decimal import Decimal
from pathlib import Path, PurePath
from typing import Any
from uuid import UUID

import msgspec

from mainspring.kernel.hashing import digest_value
from mainspring.pipelines.values import digest

__all__ = ["Code", "code_of"]

_OURS = "mainspring"
_FIXED = (str, bytes, bool, int, float, complex, Decimal, date, time, timedelta, enum.Enum, PurePath, UUID)
_DECORATORS = frozenset({"flow", "step"})


class Code(msgspec.Struct, frozen=True):
    """The code that a function reaches."""

    parts: dict[str, str]
    """`module:name` of each function, class and constant, and its digest."""
    unknown: tuple[str, ...]
    """What could not be digested."""
    state: tuple[str, ...] = ()
    """Those of the parts that are values which the program may change as it runs: lists, dicts, objects. What their
    modules assign is a part of its own, `module:name as written`."""

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
    )


class _Reader:
    def __init__(self) -> None:
        self.parts: dict[str, str] = {}
        self.unknown: set[str] = set()
        self.state: set[str] = set()
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
        tree = _tree(function)
        if tree is None:
            self.unknown.add(f"{address} (no source)")
            return
        self.parts[address] = digest_value("code-part", ast.dump(tree))
        for number, default in enumerate([*(function.__defaults__ or ()), *(function.__kwdefaults__ or {}).values()]):
            self.visit(default, f"{address} default {number}")
        closure = inspect.getclosurevars(function).nonlocals if function.__closure__ else {}
        self._names(tree, {**function.__globals__, **closure}, function.__module__)

    def _class(self, found: type) -> None:
        tree = _tree(found)
        address = f"{found.__module__}:{found.__qualname__}"
        if tree is None:
            self.unknown.add(address)
            return
        self.parts[address] = digest_value("code-part", ast.dump(tree))
        for parent in found.__mro__[1:]:
            self.visit(parent, parent.__qualname__)
        module = sys.modules.get(found.__module__)
        self._names(tree, vars(module) if module else {}, found.__module__)

    def _constant(self, value: Any, name: str) -> None:
        if isinstance(value, logging.Logger) or type(value).__module__ in ("typing", "types", "_thread"):
            return
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
                if written := _as_written(name):
                    self.parts[f"{name} as written"] = written
            self.visit(type(value), type(value).__qualname__)
        else:
            self.unknown.add(f"{name} (a {type(value).__qualname__})")

    def _names(self, tree: ast.AST, scope: dict[str, Any], module: str) -> None:
        scope = {**scope, **_imported(tree, module)}
        for chain in _chains(tree):
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


def _as_written(name: str) -> str:
    """A digest of how a module assigns a value that may change: an edit of it is not what the program does to it."""
    module, _, variable = name.replace(":", ".").rpartition(".")
    try:
        body = _parsed(inspect.getsource(sys.modules[module]))
    except (OSError, TypeError, KeyError, SyntaxError):
        return ""  # a notebook, or a value that has no name of its own
    found = [ast.dump(node) for node in body if variable in _assigned(node)]
    return digest_value("code-part", found) if found else ""


@functools.lru_cache(maxsize=64)
def _parsed(source: str) -> list[ast.stmt]:
    return ast.parse(source).body


def _assigned(node: ast.stmt) -> list[str]:
    targets = node.targets if isinstance(node, ast.Assign) else [getattr(node, "target", None)]
    return [each.id for each in targets if isinstance(each, ast.Name)]


def _reached_first_party(root: Any) -> bool:
    """Whether what is behind a name is ours to look into: not an attribute of an installed module."""
    return not isinstance(root, types.ModuleType) or _first_party(root.__name__)


def _tree(found: Any) -> ast.AST | None:
    """The normalised syntax tree of a function or class, or None when there is no source."""
    try:
        source = textwrap.dedent(inspect.getsource(found))
        tree = ast.parse(source)
    except (OSError, TypeError, SyntaxError):
        return None
    definition: ast.AST | None = next(
        (
            node
            for node in ast.walk(tree)
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef) and node.name == found.__name__
        ),
        None,
    )
    if definition is None:
        definition = next((node for node in ast.walk(tree) if isinstance(node, ast.Lambda)), None)
    return None if definition is None else _Normal().visit(definition)


class _Normal(ast.NodeTransformer):
    """Drops what does not change what a function does."""

    def visit_FunctionDef(self, node: ast.FunctionDef) -> ast.AST:
        node.returns = None
        return self._plain(node)

    def visit_AsyncFunctionDef(self, node: ast.AsyncFunctionDef) -> ast.AST:
        node.returns = None
        return self._plain(node)

    def visit_ClassDef(self, node: ast.ClassDef) -> ast.AST:
        return self._plain(node)

    def visit_arg(self, node: ast.arg) -> ast.AST:
        node.annotation = None
        return node

    def _plain(self, node: ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef) -> ast.AST:
        node.decorator_list = [each for each in node.decorator_list if _last_name(each) not in _DECORATORS]
        if node.body and isinstance(node.body[0], ast.Expr) and isinstance(node.body[0].value, ast.Constant):
            node.body = node.body[1:] or [ast.Pass()]
        return self.generic_visit(node)


def _last_name(node: ast.AST) -> str:
    node = node.func if isinstance(node, ast.Call) else node
    return node.attr if isinstance(node, ast.Attribute) else node.id if isinstance(node, ast.Name) else ""


def _chains(tree: ast.AST) -> Iterator[list[str]]:
    """Every name that is read, with the attributes read from it: `a.b.c` gives a, b, c."""
    for node in ast.walk(tree):
        chain: list[str] = []
        inner: ast.AST = node
        while isinstance(inner, ast.Attribute):
            chain.insert(0, inner.attr)
            inner = inner.value
        if isinstance(inner, ast.Name):
            yield [inner.id, *chain]


def _imported(tree: ast.AST, module: str) -> dict[str, Any]:
    """What first-party imports inside the body bring in."""
    found: dict[str, Any] = {}
    package = module.rpartition(".")[0]
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                if (loaded := _import(alias.name)) is not None:
                    root = alias.name.partition(".")[0]
                    found[alias.asname or root] = loaded if alias.asname else sys.modules.get(root, loaded)
        elif isinstance(node, ast.ImportFrom):
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
