"""What is imported is declared, and a plain installation stays small."""

from __future__ import annotations

import ast
import re
import sys
import tomllib

import pytest

ROOTS = {
    "PIL": "pillow",
    "dateutil": "python-dateutil",
    "grpc": "grpcio",
    "google": "protobuf",
    "nats": "nats-py",
    "opentelemetry": "opentelemetry-api",
    "sklearn": "scikit-learn",
    "xgboost": "xgboost-cpu",
    "yaml": "pyyaml",
}
"""Distributions whose import name is another."""


def _imported(tree: ast.Module) -> set[str]:
    names = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and not node.level and node.module:
            names.add(node.module.partition(".")[0])
    return names - set(sys.stdlib_module_names) - {"mainspring"}


def _names(requirements) -> set[str]:
    return {re.match(r"[\w.-]+", each).group().lower().replace("_", "-") for each in requirements}


@pytest.fixture(scope="module")
def project(root):
    return tomllib.loads((root / "pyproject.toml").read_text("utf-8"))["project"]


def test_every_import_is_declared(sources, project):
    extras = {
        extra: _names(some) for extra, some in project["optional-dependencies"].items() if extra not in ("dev", "docs")
    }
    declared = _names(project["dependencies"]).union(*extras.values())
    undeclared = {
        str(path): sorted(missing)
        for path, tree in sources.items()
        if "testing" not in path.parts
        and (
            missing := {
                name for name in _imported(tree) if ROOTS.get(name, name).lower().replace("_", "-") not in declared
            }
        )
    }
    assert not undeclared, "add it to the dependencies, or to the extra that brings it"


def test_every_core_dependency_is_used(sources, project):
    used = set().union(*(_imported(tree) for tree in sources.values()))
    assert (
        sorted(_names(project["dependencies"]) - {ROOTS.get(name, name).lower().replace("_", "-") for name in used})
        == []
    )


def test_pins_cover_every_requirement(root, project):
    lines = (root / "constraints.txt").read_text("utf-8").splitlines()
    pinned = {line.partition("==")[0] for line in lines}
    wanted = _names(project["dependencies"]).union(
        *(_names(some) for some in project["optional-dependencies"].values())
    )
    assert sorted(wanted - pinned - {"mainspring"}) == [], "see CONTRIBUTING.md, Dependencies"
