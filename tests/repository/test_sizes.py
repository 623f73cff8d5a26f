"""A file that passes 400 lines is usually two ideas; a function that passes 60 is."""

from __future__ import annotations

import ast

import pytest

LONG = 400
TOO_LONG = 600
LONGEST_FUNCTION = 60

EXPLAINED: dict[str, str] = {}
"""Files between 400 and 600 lines that are one idea all the same, each with the reason."""


def test_files_are_short(sources, root):
    lengths = {str(path): len((root / "src" / path).read_text("utf-8").splitlines()) for path in sources}
    too_long = {path: lines for path, lines in lengths.items() if lines > TOO_LONG}
    assert not too_long, f"over {TOO_LONG} lines, no reason is good enough"
    unexplained = {path: lines for path, lines in lengths.items() if lines > LONG and path not in EXPLAINED}
    assert not unexplained, f"over {LONG} lines: split them, or say in EXPLAINED why not"
    stale = [path for path in EXPLAINED if lengths.get(path, 0) <= LONG]
    assert not stale, "no longer in need of an explanation"


def test_functions_are_short(sources):
    long = {
        f"{path}:{node.lineno} {node.name}": _length(node)
        for path, tree in sources.items()
        for node in ast.walk(tree)
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and _length(node) > LONGEST_FUNCTION
    }
    assert not long


@pytest.mark.parametrize("lines", [LONGEST_FUNCTION, LONGEST_FUNCTION + 1])
def test_a_function_is_measured_without_its_docstring(lines):
    body = "\n".join(f"    x{n} = {n}" for n in range(lines - 1))
    (function,) = ast.parse(f'def f():\n    """First.\n\n    Second.\n    """\n{body}\n').body
    assert _length(function) == lines


def _length(function: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    """Lines from `def` to the end, without the docstring: words that explain are not what makes a function long."""
    first = function.body[0]
    documented = (
        isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant) and isinstance(first.value.value, str)
    )
    docstring = first.end_lineno - first.lineno + 1 if documented else 0
    return function.end_lineno - function.lineno + 1 - docstring
