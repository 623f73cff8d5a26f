"""What the rules of the repository are checked on: its files, its packages, its rooms."""

from __future__ import annotations

import ast
import importlib.util
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="session")
def root() -> Path:
    """The top of the repository."""
    return ROOT


@pytest.fixture(scope="session")
def sources(root: Path) -> dict[Path, ast.Module]:
    """Every Python file of the product, parsed, by its path below `src/`."""
    files = sorted((root / "src" / "mainspring").rglob("*.py"))
    return {file.relative_to(root / "src"): ast.parse(file.read_text("utf-8"), str(file)) for file in files}


@pytest.fixture(scope="session")
def tracked(root: Path) -> list[Path]:
    """Every file of the repository that is not ignored; from git where there is one, else from the disk."""
    listing = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"],
        cwd=root,
        capture_output=True,
        check=False,
    )
    if listing.returncode == 0:
        return [root / name for name in listing.stdout.decode().split("\0") if name and (root / name).is_file()]
    left_out = {".git", ".venv", "build", "dist", "__pycache__", "_build"}
    return [path for path in root.rglob("*") if path.is_file() and not left_out & set(path.relative_to(root).parts)]


@pytest.fixture(scope="session")
def generator(root: Path):
    """`docs/generate.py` as a module."""
    spec = importlib.util.spec_from_file_location("generate", root / "docs" / "generate.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
