"""Digests of code: what changes them, and what does not."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest

from mainspring.pipelines.code import Code, code_of

_HELPERS = """
FACTOR = 2

def scale(x):
    return x * FACTOR
"""

_MAIN = '''
import functools, json, logging, re
from dataclasses import dataclass

import code_helpers
from code_helpers import scale

log = logging.getLogger("x")
PATTERN = re.compile("a+")
LIMITS = {"low": 1, "high": (2, 3)}


@dataclass
class Config:
    depth: int = 3

    def double(self):
        return self.depth * 2


CONFIG = Config()


def inner(x: int) -> int:
    """What it does."""
    return scale(x) + LIMITS["low"]


def train(x: int, *, rate: float = 0.1):
    # a comment
    log.info("hello")
    return inner(x) + CONFIG.double() + len(PATTERN.findall(json.dumps(x)))


def through_module(x):
    return code_helpers.scale(x)


def through_local_import(x):
    from code_helpers import scale as other
    return other(x)


def recursive(x):
    return recursive(x - 1) if x else unrelated_partial(x)


unrelated_partial = functools.partial(inner)
'''

Load = Callable[..., ModuleType]


@pytest.fixture
def load(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Load:
    """Writes both modules, with some text replaced, and imports them anew."""
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setattr(sys, "dont_write_bytecode", True)

    def write(old: str = "", new: str = "") -> ModuleType:
        import linecache

        for name, text in (("code_helpers", _HELPERS), ("code_main", _MAIN)):
            (tmp_path / f"{name}.py").write_text(text.replace(old, new) if old else text)
            sys.modules.pop(name, None)
        linecache.clearcache()
        importlib.invalidate_caches()
        return importlib.import_module("code_main")

    return write


def digests(module: ModuleType) -> dict[str, Code]:
    names = ("train", "through_module", "through_local_import", "recursive")
    return {name: code_of(getattr(module, name)) for name in names}


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("# a comment", "# another"),
        ('"""What it does."""', '"""Else."""'),
        ("x: int) -> int", "x)"),
        ("    return scale(x) +", "\n    return scale( x ) +"),
    ],
)
def test_what_does_not_change_behaviour_does_not_change_the_digest(load: Load, old: str, new: str) -> None:
    assert digests(load()) == digests(load(old, new))


@pytest.mark.parametrize(
    ("old", "new", "part"),
    [
        ("FACTOR = 2", "FACTOR = 3", "FACTOR"),
        ("return x * FACTOR", "return x + FACTOR", "scale"),
        ('"low": 1', '"low": 2', "LIMITS"),
        ("(2, 3)", "(2, 4)", "LIMITS"),
        ('compile("a+")', 'compile("b+")', "PATTERN"),
        ("self.depth * 2", "self.depth * 3", "Config"),
        ("depth: int = 3", "depth: int = 4", "Config"),
        ("rate: float = 0.1", "rate: float = 0.2", "train default 0"),
        ('log.info("hello")', 'log.info("bye")', "train"),
    ],
)
def test_what_changes_behaviour_changes_the_digest_and_is_named(load: Load, old: str, new: str, part: str) -> None:
    before, after = code_of(load().train), code_of(load(old, new).train)
    assert before.digest != after.digest != ""
    changed = {
        name.rpartition(":")[2].rpartition(".")[2]
        for name in after.parts
        if before.parts.get(name) != after.parts[name]
    }
    assert part.rpartition(".")[2] in changed


@pytest.mark.parametrize("name", ["through_module", "through_local_import"])
def test_helpers_are_found_however_they_are_imported(load: Load, name: str) -> None:
    assert code_of(getattr(load(), name)).digest != code_of(getattr(load("x * FACTOR", "x / FACTOR"), name)).digest


def test_what_is_installed_is_not_looked_into(load: Load) -> None:
    assert not any(name.startswith(("json", "re", "logging")) for name in code_of(load().train).parts)


def test_recursion_and_partials_end(load: Load) -> None:
    assert {"code_main:inner", "code_main:recursive"} <= set(code_of(load().recursive).parts)


def test_what_cannot_be_digested_has_no_digest() -> None:
    secret = object()

    def reads() -> object:
        return secret

    found = code_of(reads)
    assert found.digest == ""
    assert "secret" in found.unknown[0]
    assert code_of(eval("lambda: 1")).unknown  # no source
