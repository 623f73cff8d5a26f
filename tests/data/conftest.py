"""Git repositories of a test's own."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

Git = Callable[..., str]


@pytest.fixture
def git(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Git:
    """Runs git in a folder, without this machine's configuration."""
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", str(tmp_path / "gitconfig"))
    monkeypatch.setenv("GIT_CONFIG_NOSYSTEM", "1")
    (tmp_path / "gitconfig").write_text(
        "[user]\nname = Ada\nemail = ada@example.org\n[init]\ndefaultBranch = main\n[advice]\ndetachedHead = false\n"
    )

    def run(folder: Path, *command: str, fails: bool = False) -> str:
        done = subprocess.run(["git", *command], cwd=folder, capture_output=True, text=True, check=False)
        assert (done.returncode != 0) == fails, done.stdout + done.stderr
        return (done.stdout + done.stderr).strip()

    return run


@pytest.fixture
def work(tmp_path: Path, git: Git) -> Path:
    """A working tree with one commit."""
    folder = tmp_path / "cats"
    git(tmp_path, "init", "--quiet", str(folder))
    (folder / "code.py").write_text("print('cats')\n")
    (folder / ".gitignore").write_text("*.pyc")
    git(folder, "add", ".")
    git(folder, "commit", "--quiet", "-m", "Code")
    return folder
