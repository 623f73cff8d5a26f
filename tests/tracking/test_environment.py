"""What a run is run from: the commit, all that differs from it, the machine; and nothing that is secret."""

from __future__ import annotations

import re
import subprocess
import sys
import types
from pathlib import Path

import pytest

from mainspring.tracking.code_state import code_state, notebook
from mainspring.tracking.environment import capture, packages


def git(folder: Path, *arguments: str) -> None:
    identity = ("-c", "user.name=t", "-c", "user.email=t@example.com", "-c", "commit.gpgsign=false")
    subprocess.run(["git", *identity, *arguments], cwd=folder, check=True, capture_output=True)


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """A repository with one commit, one changed, one new and one ignored file."""
    folder = tmp_path / "delay"
    folder.mkdir()
    (folder / "train.py").write_text("print(1)\n")
    (folder / ".gitignore").write_text("*.secret\n")
    git(folder, "init", "-q", "-b", "main")
    git(folder, "add", ".")
    git(folder, "commit", "-q", "-m", "first")
    git(folder, "remote", "add", "origin", "https://user:hunter2@example.com/team/delay.git")
    (folder / "train.py").write_text("print(2)\n")
    (folder / "new file é.py").write_text("x = 1\n")
    (folder / "mine.secret").write_text("hunter2\n")
    (folder / "data.bin").write_bytes(b"\x00" * 300_000)
    return folder


def test_the_patch_makes_what_ran_out_of_the_commit(repository: Path, tmp_path: Path) -> None:
    before = subprocess.run(["git", "status", "--porcelain"], cwd=repository, capture_output=True, check=True).stdout
    state = code_state(folder=repository)
    assert (state.branch, state.left_out, len(state.commit)) == ("main", ("data.bin",), 40)
    assert b"hunter2" not in state.patch
    again = tmp_path / "again"
    subprocess.run(["git", "clone", "-q", str(repository), str(again)], check=True, capture_output=True)
    subprocess.run(["git", "apply", "-"], cwd=again, input=state.patch, check=True, capture_output=True)
    for name in ("train.py", "new file é.py"):
        assert (again / name).read_text() == (repository / name).read_text()
    after = subprocess.run(["git", "status", "--porcelain"], cwd=repository, capture_output=True, check=True).stdout
    assert before == after  # looking changed nothing, the user's index least of all


def test_a_larger_file_beside_the_code_changes_the_digest_too(repository: Path) -> None:
    one = code_state(folder=repository).changes
    (repository / "data.bin").write_bytes(b"\x00" * 300_001)
    assert code_state(folder=repository).changes not in ("", one)


def test_before_the_first_commit_everything_is_new(tmp_path: Path) -> None:
    git(tmp_path, "init", "-q")
    (tmp_path / "train.py").write_text("print(1)\n")
    state = code_state(folder=tmp_path)
    assert state.commit == ""
    assert b"+print(1)" in state.patch


def test_no_secret_is_recorded(repository: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MY_SECRET", "swordfish")
    arguments = ["t.py", "--token", "swordfish", "--api-key=swordfish", "--depth", "6", "db://me:swordfish@host/x"]
    monkeypatch.setattr(sys, "argv", [*arguments, "--tokens-per-batch=8"])
    found = capture(repository)
    assert "swordfish" not in str(found)
    assert "hunter2" not in str(found)
    assert found.repository == "https://example.com/team/delay.git"
    assert found.machine["command"][1:6] == ["t.py", "--token", "***", "--api-key=***", "--depth"]
    assert found.machine["left_out"] == ["data.bin"]
    assert found.machine["cores"] >= 1


def test_outside_of_a_repository_the_program_is_the_code(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    (tmp_path / "train.py").write_text("print(1)\n")
    state = code_state(tmp_path / "train.py")
    assert (state.top, state.path, state.content, state.changes) == (None, "train.py", b"print(1)\n", "")


def test_cells_of_a_notebook(monkeypatch: pytest.MonkeyPatch) -> None:
    assert notebook() is None
    shell = types.SimpleNamespace(kernel=1, user_ns={"In": ["", "x = 1", "print(x)"]})
    monkeypatch.setitem(sys.modules, "IPython", types.SimpleNamespace(get_ipython=lambda: shell))
    monkeypatch.setenv("JPY_SESSION_NAME", "/home/me/Delay study.ipynb")
    assert notebook() == ("Delay study.py", b"# %%\nx = 1\n\n# %%\nprint(x)")


def test_packages_have_their_normal_names_and_are_those_of_importlib() -> None:
    from importlib.metadata import distributions

    found = packages()
    told = {re.sub(r"[-_.]+", "-", each.name).lower(): each.version for each in reversed(list(distributions()))}
    assert found == dict(sorted(told.items()))
    assert found["scikit-learn"]
    assert all(name == name.lower() and "_" not in name for name in found)
