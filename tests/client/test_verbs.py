"""The verbs of `import mainspring as ms`: the rooms' operations on the default client."""

from __future__ import annotations

import importlib
import inspect
import json
import pickle
import subprocess
import sys
import threading
from pathlib import Path

import polars as pl
import pytest

import mainspring as ms
from mainspring.client.default import default_client
from mainspring.kernel.errors import InvalidInput
from mainspring.kernel.hooks import ROOMS, load

ROOMS_WITH_VERBS = ["data", "features", "loop", "models"]


@pytest.fixture
def folder(tmp_path, monkeypatch) -> Path:
    monkeypatch.setenv("MAINSPRING_STORE", str(tmp_path / "store"))
    monkeypatch.chdir(tmp_path)
    return tmp_path / "store"


def _verbs(room):
    package = importlib.import_module(f"mainspring.{room}")
    return [name for name in package.__all__ if name not in vars(package)]


@pytest.mark.parametrize("room", ROOMS_WITH_VERBS)
def test_every_verb_is_a_method_and_no_module_hides_it(room):
    root = Path(ms.__file__).parent
    service = load(next(each.service for each in ROOMS if each.name == room))
    names = _verbs(room)
    assert names
    for name in names:
        found = getattr(importlib.import_module(f"mainspring.{room}"), name)
        method = getattr(service, name)
        assert inspect.getdoc(found) == inspect.getdoc(method)
        assert list(inspect.signature(found).parameters) == list(inspect.signature(method).parameters)[1:]
        assert not (root / room / f"{name}.py").exists(), "a module of that name would take the verb's place"


def test_naming_a_verb_opens_nothing(folder):
    assert callable(ms.data.commit)
    assert callable(ms.run)
    assert callable(ms.serve)
    assert callable(ms.monitor)
    assert not folder.exists()


def test_data_and_runs_land_in_the_default_store(folder):
    version = ms.data.commit("numbers", pl.DataFrame({"n": [1, 2]}))
    assert version.ref == "dataset/numbers@1"
    assert ms.data.load("numbers")["n"].to_list() == [1, 2]
    with ms.run("demo", params={"depth": 3}, source=False) as run:
        ms.log(loss=0.5)
        run.use(version.ref, role="training-data")
    with ms.connect(folder) as client:
        assert client.tracking.get(run.id).metrics["loss"].value == 0.5
        assert [node.name for node in client.lineage.why(run.id).of_kind("dataset")] == ["numbers"]
    assert ms.models.models() == []
    assert ms.features.views() == []
    assert ms.loop.policies() == []


def test_a_room_is_still_a_package(folder):
    service = importlib.import_module("mainspring.data.service")
    assert ms.data.service is service
    with pytest.raises(AttributeError, match="comit"):
        ms.data.comit  # noqa: B018
    with pytest.raises(ImportError):
        from mainspring.data import nothing_of_this_name  # noqa: F401


def test_one_client_for_all_threads_and_another_for_another_store(folder, tmp_path, monkeypatch):
    found = []
    threads = [threading.Thread(target=lambda: found.append(default_client())) for _ in range(8)]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    assert len({id(each) for each in found}) == 1
    monkeypatch.chdir("/")
    assert default_client() is found[0], "the store does not change under a running program"
    monkeypatch.setenv("MAINSPRING_STORE", str(tmp_path / "other"))
    assert default_client().address == str(tmp_path / "other")


FORKING = """
import os, pathlib, mainspring as ms
pathlib.Path("a.bin").write_bytes(bytes(3))
ms.data.commit("before", "a.bin")
child = os.fork()
if child == 0:
    ms.data.commit("child", "a.bin")
    os._exit(0)
status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
print(status, [each.name for each in ms.data.datasets()])
"""


def test_a_forked_child_opens_its_own(folder):
    done = subprocess.run(
        [sys.executable, "-c", FORKING], capture_output=True, text=True, check=False, cwd=folder.parent, timeout=30
    )
    assert done.stdout.strip() == "0 ['before', 'child']", done.stderr


GOING = """
import os, pathlib, tempfile, mainspring as ms
pathlib.Path("a.bin").write_bytes(bytes(3))
with tempfile.TemporaryDirectory() as folder:
    os.environ["MAINSPRING_STORE"] = folder + "/store"
    ms.data.commit("short", "a.bin")
print("gone")
"""


def test_a_store_whose_folder_is_gone_is_closed_without_a_word(folder):
    done = subprocess.run(
        [sys.executable, "-c", GOING], capture_output=True, text=True, check=False, cwd=folder.parent, timeout=30
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "gone\n", "")


@ms.step
def look() -> str:
    ms.data.commit("inside", pl.DataFrame({"n": [1]}))
    return default_client().address


@ms.flow
def looking() -> str:
    return look()


def test_inside_a_step_the_store_is_the_one_that_runs_it(folder, tmp_path):
    with ms.connect(tmp_path / "elsewhere") as client:
        assert looking.run(client) == str(tmp_path / "elsewhere")
        assert [each.name for each in client.data.datasets()] == ["inside"]
    assert default_client().address == str(folder)
    assert ms.data.datasets() == []


def test_a_wrong_argument_is_a_typed_error(folder):
    with pytest.raises(InvalidInput) as refused:
        ms.data.describe(3)  # type: ignore[arg-type]
    assert refused.value.code == "MS-1001"
    assert pickle.loads(pickle.dumps(refused.value)).message == refused.value.message


def test_the_front_door_is_quick_to_open():
    heavy = "('numpy', 'apsw', 'polars', 'starlette')"
    program = f"import sys, mainspring, json; print(json.dumps([m for m in {heavy} if m in sys.modules]))"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, check=True, text=True)
    assert json.loads(done.stdout) == []
