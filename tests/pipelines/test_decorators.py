"""Steps and flows keep the types of the functions that they decorate."""

from __future__ import annotations

from pathlib import Path

import pytest

from mainspring.pipelines import step

_SNIPPET = """
from datetime import date
from typing import assert_type
from mainspring.pipelines import Handle, each, fire_date, flow, step, whole

@step
def size(text: str, times: int = 1) -> int:
    return len(text) * times

@step(retries=2, cache=True)
def name(number: int) -> str:
    return str(number)

@flow
def every(n: int) -> list[str]:
    first = size("a", times=n)
    assert_type(first, int)
    assert_type(name(first), str)
    assert_type(size.submit("a"), Handle[int])
    assert_type(size.using(timeout=3)("a"), int)
    return name.map([1, 2])

@step(retry_on=ValueError, fallback=0, cache_ttl=60, cpu=2, limits="api", secrets=("KEY",), env="uv.lock")
async def fetch(url: str) -> bytes:
    return url.encode()

@flow(schedule="15 2 * * *", tz="Europe/Paris", pool="gpu", priority=3, overlap="skip", timeout=60, retries=1,
      on_failure=lambda run: print(run.id, run.error), on_success=lambda run: print(run.result))
def nightly(day: date = fire_date(), *, depth: int = 3) -> str:
    sizes = size.map("text", times=[2, 4, 8])
    assert_type(sizes, list[int])
    handle = size.submit("a")
    assert_type(handle.later, int)
    assert_type(handle.result(), int)
    name(handle.later)
    size.map(whole([1]), times=each({2: "two"}))
    return day.isoformat()

@flow
async def crawl(urls: list[str]) -> int:
    page = await fetch(urls[0])
    assert_type(page, bytes)
    assert_type(fetch.map(urls), list[bytes])
    assert_type(fetch.submit("a"), Handle[bytes])
    assert_type(await fetch.submit("a"), bytes)
    return len(page)

assert_type(every(1), list[str])
assert_type(nightly(), str)
assert_type(name.map([1]), list[str])
nightly("2026-11-21")  # WRONG
nightly(deep=3)  # WRONG
name(size.submit("a"))  # WRONG
step(retris=3)  # WRONG
flow(overlap="never")  # WRONG
size(1)  # WRONG
name("a")  # WRONG
size("a", tims=1)  # WRONG
every("a")  # WRONG
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
