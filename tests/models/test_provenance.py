"""Which code ran, and where: commits, changes, sources, environments."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from mainspring.models import provenance


def git(folder: Path, *arguments: str) -> None:
    identity = ("-c", "user.name=t", "-c", "user.email=t@example.com", "-c", "commit.gpgsign=false")
    subprocess.run(["git", *identity, *arguments], cwd=folder, check=True, capture_output=True)


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """A repository with one commit."""
    folder = tmp_path / "training"
    folder.mkdir()
    (folder / "train.py").write_text("print(1)\n")
    git(folder, "init", "-q", "-b", "main")
    git(folder, "add", ".")
    git(folder, "commit", "-q", "-m", "first")
    git(folder, "remote", "add", "origin", "https://user:secret@example.com/team/training.git")
    return folder


def test_a_commit_and_what_differs_from_it(repository: Path) -> None:
    clean = provenance.code(repository / "train.py")
    assert (clean.name, clean.branch, clean.path, clean.changes) == ("training", "main", "train.py", "")
    assert len(clean.commit) == 40
    assert clean.remote == "https://example.com/team/training.git"
    (repository / "train.py").write_text("print(2)\n")
    edited = provenance.code(repository / "train.py")
    assert edited.commit == clean.commit
    assert edited.changes
    (repository / "new.py").write_text("x = 1\n")
    added = provenance.code(repository)
    assert added.changes not in ("", edited.changes)
    (repository / "new.py").write_text("x = 2\n")
    assert provenance.code(repository).changes != added.changes


def test_outside_of_git_the_source_itself(tmp_path: Path) -> None:
    script = tmp_path / "train me.py"
    script.write_text("print(1)\n")
    one = provenance.code(script)
    assert (one.name, one.commit) == ("train-me", "")
    script.write_text("print(2)\n")
    assert provenance.code(script).source not in ("", one.source)


def test_a_function_leads_to_its_file() -> None:
    found = provenance.code(test_a_function_leads_to_its_file)
    assert found.path.endswith("test_provenance.py")
    assert provenance.code(len).name


def test_environments_are_equal_when_nothing_changed() -> None:
    one = provenance.environment()
    assert one == provenance.environment()
    assert one.packages["numpy"]
    assert one.python.startswith("3.")
