"""How functions, classes and module variables are written, as digests: without comments, layout and annotations.

What was read is kept: a function whose code object is the same was written the same.
"""

from __future__ import annotations

import ast
import functools
import inspect
import sys
import textwrap
import threading
import types
from collections.abc import Iterator
from typing import Any
from weakref import WeakKeyDictionary

import msgspec

from mainspring.kernel.hashing import digest_value

__all__ = ["Text", "text_of_class", "text_of_function", "written_as"]

_DECORATORS = frozenset({"flow", "step"})
_reading = threading.RLock()
"""CPython 3.11 counts the depth of all threads that make syntax trees together, and raises when they are several."""
_classes: WeakKeyDictionary[type, Text] = WeakKeyDictionary()


class Text(msgspec.Struct, frozen=True):
    """A function or class as it is written."""

    digest: str
    chains: tuple[tuple[str, ...], ...]
    """The names that are read, with the attributes read from them."""
    imports: tuple[Any, ...]
    """Its own import statements, as nodes of the syntax tree."""


def text_of_function(function: types.FunctionType) -> Text | None:
    """How a function is written; None when there is no source."""
    code = function.__code__
    return _text_of_code(code.co_filename, code, function.__name__)


def text_of_class(found: type) -> Text | None:
    """How a class is written; None when there is no source."""
    known = _classes.get(found)
    if known is None and (known := _text(found, found.__name__)) is not None:
        _classes[found] = known
    return known


def written_as(name: str) -> str:
    """A digest of how a module assigns a value that may change: an edit of it is not what the program does to it."""
    module, _, variable = name.replace(":", ".").rpartition(".")
    try:
        return _Module.of(inspect.getsource(sys.modules[module])).written(variable)
    except (OSError, TypeError, KeyError, SyntaxError):
        return ""  # a notebook, or a value that has no name of its own


class _Module:
    """The source of a module."""

    def __init__(self, source: str) -> None:
        with _reading:
            self._body = ast.parse(source).body
        self._written: dict[str, str] = {}

    @staticmethod
    @functools.lru_cache(maxsize=64)
    def of(source: str) -> _Module:
        return _Module(source)

    def written(self, variable: str) -> str:
        if variable not in self._written:
            found = [ast.dump(node) for node in self._body if variable in _assigned(node)]
            self._written[variable] = digest_value("code-part", found) if found else ""
        return self._written[variable]


def _assigned(node: ast.stmt) -> list[str]:
    targets = node.targets if isinstance(node, ast.Assign) else [getattr(node, "target", None)]
    return [each.id for each in targets if isinstance(each, ast.Name)]


@functools.lru_cache(maxsize=2048)
def _text_of_code(_file: str, code: types.CodeType, name: str) -> Text | None:
    return _text(code, name)  # equal code of two files is equal, so the file is a part of the key


def _text(found: Any, name: str) -> Text | None:
    with _reading:
        tree = _tree(found, name)
    if tree is None:
        return None
    imports = tuple(node for node in ast.walk(tree) if isinstance(node, ast.Import | ast.ImportFrom))
    chains = tuple(dict.fromkeys(tuple(chain) for chain in _chains(tree)))
    return Text(digest_value("code-part", ast.dump(tree)), chains, imports)


def _tree(found: Any, name: str) -> ast.AST | None:
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
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef) and node.name == name
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
