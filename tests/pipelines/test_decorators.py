"""Steps and flows keep the types of the functions that they decorate."""

from __future__ import annotations

from pathlib import Path

import pytest

from mainspring.pipelines import step

_SNIPPET = """
from typing import assert_type
from mainspring.pipelines import Handle, flow, step

@step
def size(text: str, times: int = 1) -> int:
    return len(text) * times

@step(retries=2, cache=True)
def name(number: int) -> str:
    return str(number)

@flow
def whole(n: int) -> list[str]:
    first = size("a", times=n)
    assert_type(first, int)
    assert_type(name(first), str)
    assert_type(size.submit("a"), Handle[int])
    assert_type(size.using(timeout=3)("a"), int)
    return name.map([1, 2])

assert_type(whole(1), list[str])
assert_type(name.map([1]), list[str])
size(1)  # WRONG
name("a")  # WRONG
size("a", tims=1)  # WRONG
whole("a")  # WRONG
name.submit("a")  # WRONG
"""

_SETTINGS = """
[mypy]
strict = True
follow_imports = skip
[mypy-mainspring.pipelines.*]
follow_imports = silent
"""
"""Only what the types of steps and flows are made of is read: all that stands below them would take half a minute."""


def test_type_checkers_see_the_functions_themselves(tmp_path: Path) -> None:
    api = pytest.importorskip("mypy.api")
    path, settings = tmp_path / "snippet.py", tmp_path / "mypy.ini"
    path.write_text(_SNIPPET)
    settings.write_text(_SETTINGS)
    options = ["--hide-error-context", "--no-error-summary", f"--cache-dir={tmp_path / 'cache'}"]
    output, _, _ = api.run([f"--config-file={settings}", *options, str(path)])
    wrong = {number for number, line in enumerate(_SNIPPET.splitlines(), 1) if "# WRONG" in line}
    found = {int(line.split(":")[1]) for line in output.splitlines() if "error:" in line}
    assert found == wrong, output


def test_decorated_functions_keep_their_names_and_docs() -> None:
    @step(name="other/name")
    def plain(x: int) -> int:
        """Say something."""
        return x

    assert plain.__doc__ == "Say something."
    assert plain.__wrapped__(3) == 3  # type: ignore[attr-defined]
    assert plain.name == "other/name"
    assert "other/name" in repr(plain)
