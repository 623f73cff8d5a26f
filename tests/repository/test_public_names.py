"""What a package hands on is what its `__all__` says: no more and no less. (Their order is ruff's matter.)"""

from __future__ import annotations

import ast
import importlib
import types

import pytest


def _declared(tree: ast.Module) -> list[str] | None:
    for node in tree.body:
        targets = (
            node.targets if isinstance(node, ast.Assign) else [node.target] if isinstance(node, ast.AnnAssign) else []
        )
        if any(isinstance(target, ast.Name) and target.id == "__all__" for target in targets):
            return list(ast.literal_eval(node.value))
    return None


def _packages(sources) -> dict[str, ast.Module]:
    return {".".join(path.parent.parts): tree for path, tree in sources.items() if path.name == "__init__.py"}


def test_a_package_file_only_hands_names_on(sources):
    allowed = (ast.Import, ast.ImportFrom, ast.Assign, ast.AnnAssign, ast.Expr, ast.If)
    lazily = {"__getattr__", "__dir__"}
    wrong = [
        f"{package}:{node.lineno}"
        for package, tree in _packages(sources).items()
        for node in tree.body
        if not isinstance(node, allowed) and getattr(node, "name", "") not in lazily
    ]
    assert not wrong, "logic belongs into a module with a name"


def test_names_of_a_package_are_its_public_namespace(sources):
    wrong = {}
    for package, tree in _packages(sources).items():
        module = importlib.import_module(package)
        declared = set(_declared(tree) or ())
        unknown = sorted(name for name in declared if not hasattr(module, name))
        found = {
            name
            for name, value in vars(module).items()
            if not name.startswith("_")
            and not isinstance(value, types.ModuleType)
            and name not in ("annotations", "TYPE_CHECKING")
            and getattr(value, "__module__", "") != "typing"
        }
        undeclared = sorted(found - declared)
        if unknown or undeclared:
            wrong[package] = {"not there": unknown, "not declared": undeclared}
    assert not wrong


def test_an_unknown_name_is_an_attribute_error():
    module = importlib.import_module("mainspring")
    with pytest.raises(AttributeError):
        module.no_such_name  # noqa: B018
