"""The command line as a user meets it: what it prints, and its exit code; on a store with one of everything."""

from __future__ import annotations

import importlib.util
import json
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from mainspring.cli.app import main
from mainspring.client.client import connect


@dataclass(frozen=True)
class Said:
    """What a command answered."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        assert self.code in (0, 1), self.err
        return json.loads(self.out)

    @property
    def rows(self) -> list[list[str]]:
        return [line.split("\t") for line in self.out.splitlines()]


Say = Callable[..., Said]


@pytest.fixture
def folder(tmp_path, monkeypatch) -> Path:
    """Where the store of this test is; the working folder is beside it."""
    work = tmp_path / "work"
    work.mkdir()
    monkeypatch.chdir(work)
    monkeypatch.setenv("MAINSPRING_STORE", str(tmp_path / "store"))
    for name in ("MAINSPRING_URL", "MAINSPRING_DEBUG"):
        monkeypatch.delenv(name, raising=False)
    return tmp_path / "store"


@pytest.fixture
def say(folder, capsys) -> Say:
    """Runs a command in this process: `say("data", "list")`."""

    def run(*arguments: object) -> Said:
        capsys.readouterr()
        with pytest.raises(SystemExit) as left:
            main([str(each) for each in arguments])
        said = capsys.readouterr()
        return Said(int(left.value.code or 0), said.out, said.err)

    return run


def _filling() -> Any:
    """What fills the stores of the console's tests fills ours too."""
    place = Path(__file__).resolve().parents[1] / "console" / "filling.py"
    spec = importlib.util.spec_from_file_location("filling_for_commands", place)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="session")
def filled_once(tmp_path_factory) -> Iterator[tuple[Path, dict[str, str]]]:
    filling = _filling()
    folder = tmp_path_factory.mktemp("filled") / "store"
    with connect(folder) as client:
        names = filling.fill(client)
        filling.close(client, names)
    return folder, names


@pytest.fixture
def names(folder, filled_once) -> dict[str, str]:
    """A copy of a full store is in this test's folder; the ids of what is in it."""
    shutil.copytree(filled_once[0], folder)
    return filled_once[1]
