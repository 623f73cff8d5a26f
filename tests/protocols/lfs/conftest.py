"""Git repositories of a test's own, the stock `git lfs` client in them, and tokens of a real server."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from tests.conftest import serve

from mainspring.client.client import Client


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    """An environment in which no configuration of this machine is read."""
    if shutil.which("git-lfs") is None:
        pytest.skip("git-lfs is not installed (Debian: apt-get install git-lfs)")
    home = tmp_path / "home"
    home.mkdir()
    found = {key: value for key, value in os.environ.items() if not key.startswith("GIT_")}
    found |= {"HOME": str(home), "GIT_CONFIG_NOSYSTEM": "1", "GIT_TERMINAL_PROMPT": "0", "NO_PROXY": "*", "LC_ALL": "C"}
    settings = {
        "user.name": "Ada", "user.email": "ada@example.org", "init.defaultBranch": "main", "lfs.locksverify": "true",
        "credential.helper": "", "lfs.concurrenttransfers": "3", "lfs.activitytimeout": "20",
    }  # fmt: skip
    for key, value in settings.items():
        subprocess.run(["git", "config", "--global", key, value], env=found, check=True)
    subprocess.run(["git", "lfs", "install", "--skip-repo"], env=found, check=True, capture_output=True)
    return found


@pytest.fixture
def git(environment: dict[str, str]) -> Callable[..., str]:
    """Runs git in a folder; what it said on both streams. `fails=True` where it must not succeed."""

    def run(folder: Path, *command: str, fails: bool = False) -> str:
        done = subprocess.run(
            ["git", *command], cwd=folder, env=environment, capture_output=True, text=True, check=False, timeout=60
        )
        said = done.stdout + done.stderr
        assert (done.returncode != 0) == fails, said
        return said

    return run


@pytest.fixture
def lfs_server(client: Client, store_folder: Path) -> Iterator[str]:
    """A real server that lets nobody in without a token; `client` works on its store."""
    with serve(store_folder, host="0.0.0.0") as url:
        yield url


@pytest.fixture
def token(client: Client) -> Callable[..., str]:
    """Makes a token of the server: `token("ada", role="approver")`."""

    def make(principal: str, *, role: str = "contributor", workspace: str = "default") -> str:
        return client.trust.create_token(principal, role=role, workspace=workspace).secret

    return make


@pytest.fixture
def repository(tmp_path: Path, git: Callable[..., str], lfs_server: str) -> Callable[..., Path]:
    """Makes a working copy of one bare repository, with the large files at the server: `repository("ada", secret)`."""
    bare = tmp_path / "origin.git"
    git(tmp_path, "init", "--quiet", "--bare", str(bare))

    def make(name: str, secret: str, *, path: str = "lfs/default/photos", fails: bool = False) -> Path:
        folder = tmp_path / name
        address = f"{lfs_server.replace('http://', f'http://{name}:{secret}@')}/{path}"
        settings = [f"lfs.url={address}", f"lfs.{lfs_server}/{path}.locksverify=true"]
        git(
            tmp_path,
            *(part for each in settings for part in ("-c", each)),
            "clone",
            "--quiet",
            str(bare),
            str(folder),
            fails=fails,
        )
        for key, value in (each.rsplit("=", 1) for each in settings):
            git(folder, "config", key, value)
        return folder

    return make
