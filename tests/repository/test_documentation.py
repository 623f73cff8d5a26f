"""Everything that a user can meet is in the documentation, and what is generated is current."""

from __future__ import annotations

import doctest
import os
import re
import subprocess
import sys
from pathlib import Path

import click
import pytest

from mainspring.kernel import errors
from mainspring.kernel.hooks import ROOMS, load
from mainspring.kernel.operations import operations_of
from mainspring.kernel.settings import Settings

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def reference(root):
    return {page.stem: page.read_text("utf-8") for page in (root / "docs" / "reference").glob("*.md")}


def test_generated_pages_are_current(generator):
    assert generator.stale() == [], "run python docs/generate.py"


def test_every_error_is_documented(reference):
    classes = [getattr(errors, name) for name in errors.__all__ if isinstance(getattr(errors, name), type)]
    missing = [each.__name__ for each in classes if f"| `{each.code}` | `{each.__name__}` |" not in reference["errors"]]
    assert len(classes) > 20
    assert not missing


def test_codes_are_given_once():
    codes = [getattr(errors, name).code for name in errors.__all__ if isinstance(getattr(errors, name), type)]
    assert len(codes) == len(set(codes))
    assert all(re.fullmatch(r"MS-\d{4}", code) for code in codes)


def test_every_error_stands_in_the_tree_of_its_module():
    names = [name for name in errors.__all__ if isinstance(getattr(errors, name), type)]
    assert [
        name for name in names if not re.search(rf"\b{name}\s+{getattr(errors, name).code}\b", errors.__doc__)
    ] == []


def test_every_setting_is_documented_and_explained(reference):
    rows = {name: line for line in reference["settings"].splitlines() for name in re.findall(r"^\| `(\w+)` \|", line)}
    assert set(Settings.__struct_fields__) == set(rows)
    unexplained = [name for name, line in rows.items() if not line.split("|")[-2].strip()]
    assert not unexplained


def test_every_operation_is_documented(reference):
    declared = [each.name for room in ROOMS if room.service for each in operations_of(load(room.service))]
    assert declared
    assert [name for name in declared if f"`{name}(" not in reference["operations"]] == []


def test_every_command_and_flag_is_documented(reference, generator):
    page = reference["cli"]
    missing = []
    for context in generator.walk():
        path, command = context.command_path, context.command
        if f"\n## {path}\n" not in page:
            missing.append(path)
        assert command.get_short_help_str(), f"{path} says what it does"
        for parameter in command.params:
            if isinstance(parameter, click.Option) and not parameter.hidden:
                missing += [f"{path} {flag}" for flag in parameter.opts if flag not in page]
                assert parameter.help, f"{path} {parameter.opts[0]} says what it does"
    assert not missing


def test_every_route_is_documented(reference):
    from mainspring.server.api import all_operations

    routes = [f" /api/v1/{each.room}/{each.verb}`" for _, each in all_operations()]
    assert routes
    assert [route for route in routes if route not in reference["operations"]] == []


PAGES = sorted(page for page in (ROOT / "docs").rglob("*.md") if ">>> " in page.read_text("utf-8"))


@pytest.mark.parametrize("page", PAGES, ids=[page.stem for page in PAGES])
def test_examples_on_a_page_hold(page, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    flags = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE
    assert doctest.testfile(str(page), module_relative=False, optionflags=flags).failed == 0


EXAMPLES = sorted((ROOT / "examples").glob("*.py"))


@pytest.mark.parametrize("example", EXAMPLES, ids=[example.stem for example in EXAMPLES])
def test_examples_run(example, tmp_path):
    environment = {name: value for name, value in os.environ.items() if not name.startswith("MAINSPRING_")}
    command = [sys.executable, "-W", "error", str(example)]
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip()


def test_the_readme_is_short(root):
    assert len((root / "README.md").read_text("utf-8").splitlines()) <= 150
    assert len((root / "docs" / "quickstart.md").read_text("utf-8").splitlines()) <= 60


def test_every_page_is_in_the_contents(root):
    docs = root / "docs"
    named = set()
    for page in docs.rglob("*.md"):
        for block in re.findall(r"```\{toctree\}\n(.*?)```", page.read_text("utf-8"), re.DOTALL):
            for line in block.splitlines():
                if line.strip() and not line.startswith(":"):
                    named.add((page.parent / f"{line.strip()}.md").resolve())
    pages = {page.resolve() for page in docs.rglob("*.md") if "_build" not in page.parts} - {
        (docs / "index.md").resolve()
    }
    assert sorted(page.name for page in pages - named) == []
    assert sorted(str(page) for page in named - pages) == []


def test_links_between_pages_lead_somewhere(root, tracked):
    broken = [
        f"{page.relative_to(root)}: {target}"
        for page in (path for path in tracked if path.suffix == ".md")
        for target in re.findall(r"\]\(([^)#\s]+)(?:#[^)]*)?\)", page.read_text("utf-8"))
        if "://" not in target and not target.startswith("mailto:") and not (page.parent / target).exists()
    ]
    assert not broken
