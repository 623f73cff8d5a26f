"""Deployments: a run keeps the code with which it was started, whatever happens to the working tree."""

from __future__ import annotations

import importlib
import os
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest
from click.testing import CliRunner

from mainspring.cli.flow_deploy import deploy as deploy_command
from mainspring.client.client import Client
from mainspring.kernel.errors import InvalidInput, NotFound
from mainspring.pipelines.deployments import location_of, unpacked
from mainspring.pipelines.deployments_options import set_up, when_of
from mainspring.pipelines.deployments_snapshot import snapshot
from mainspring.pipelines.types_deployments import CodeFile
from mainspring.pipelines.worker import Worker

pytestmark = pytest.mark.databases("sqlite")

_FLOWS = """
import os
from mainspring.pipelines import flow, step
from project_of_tests.inner import names
from . import words

@step
def first() -> str:
    return words.word() + " " + names.NAME

@step
def fragile(text: str, marker: str) -> str:
    if not os.path.exists(marker):
        open(marker, "w").close()
        os._exit(9)
    from .late import end
    return text + end()

@flow(schedule=("15 2 * * *", "every 15m"), tz="Europe/Paris")
def told(marker: str = "") -> str:
    text = first()
    return fragile(text, marker) if marker else text
"""


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A package of the user's own, that imports in every way."""
    folder = tmp_path / "tree" / "project_of_tests"
    (folder / "inner").mkdir(parents=True)
    (folder / "__init__.py").write_text("")
    (folder / "inner" / "__init__.py").write_text("")
    (folder / "inner" / "names.py").write_text("NAME = 'one'\n")
    (folder / "words.py").write_text("import json\ndef word():\n    return 'hello'\n")
    (folder / "late.py").write_text("def end():\n    return '!'\n")
    (folder / "unused.py").write_text("")
    (folder / "flows.py").write_text(_FLOWS)
    (folder / "query.sql").write_text("SELECT 1")
    monkeypatch.syspath_prepend(str(tmp_path / "tree"))
    yield folder
    for name in [each for each in sys.modules if each.startswith("project_of_tests")]:
        del sys.modules[name]


def imported() -> ModuleType:
    return importlib.import_module("project_of_tests.flows")


def edited(folder: Path) -> None:
    """The working tree goes on."""
    (folder / "words.py").write_text("def word():\n    return 'good bye'\n")
    (folder / "inner" / "names.py").write_text("NAME = 'two'\n")
    (folder / "late.py").write_text("def end():\n    return '?'\n")


def reimported() -> ModuleType:
    for name in [each for each in sys.modules if each.startswith("project_of_tests")]:
        del sys.modules[name]
    importlib.invalidate_caches()
    return imported()


def worked(client: Client) -> None:
    Worker(client, concurrency=1, lease=5.0).run(until_idle=True)


def test_a_snapshot_has_what_the_flow_imports_and_nothing_else(project: Path) -> None:
    taken = snapshot(imported().told, include=["project_of_tests/*.sql"])
    names = ("__init__.py", "flows.py", "inner/__init__.py", "inner/names.py", "late.py", "query.sql", "words.py")
    assert list(taken.files) == [f"project_of_tests/{name}" for name in names]
    assert str(project.parent) not in taken.sys_path
    for pattern in ("../*", "/etc/*", "*.nothing"):
        with pytest.raises(InvalidInput):
            snapshot(imported().told, include=[pattern])


def test_a_run_keeps_its_version_though_the_tree_was_edited_before_it_began(client: Client, project: Path) -> None:
    made = client.pipelines.deploy(imported().told)
    assert (made.version, made.active) == (1, True)
    assert client.pipelines.deploy(imported().told).version == 1  # the same code is the same version
    old = client.pipelines.start_deployed("told")
    edited(project)
    assert client.pipelines.deploy(reimported().told).version == 2
    new = client.pipelines.start_deployed("told")
    pinned = client.pipelines.start_deployed("told", version="1")
    worked(client)
    results = {each.id: each.result for each in client.pipelines.runs()}
    assert (results[old.id], results[new.id], results[pinned.id]) == ("hello one", "good bye two", "hello one")
    difference = client.pipelines.diff_deployments("told", 1, 2)
    assert difference.changed == [f"project_of_tests/{name}" for name in ("inner/names.py", "late.py", "words.py")]
    assert "+NAME = 'two'" in difference.text
    back = client.pipelines.activate("told", 1)
    assert back.active
    assert [each.active for each in client.pipelines.deployments(flow="told")] == [False, True]


def test_a_run_that_lost_its_process_goes_on_with_its_version(client: Client, project: Path, tmp_path: Path) -> None:
    marker = tmp_path / "marker"
    client.pipelines.deploy(imported().told)
    run = client.pipelines.start_deployed("told", params={"marker": str(marker)})
    done = threading.Event()
    edits: list[float] = []

    def edit_when_it_died() -> None:
        while not done.wait(0.005):
            if marker.exists() and not edits:
                edited(project)
                edits.append(time.monotonic())

    editing = threading.Thread(target=edit_when_it_died)
    editing.start()
    deadline = time.monotonic() + 60
    try:
        while client.pipelines.get(run.id).finished_at is None:  # it is tried again after a moment
            worked(client)
            assert time.monotonic() < deadline
    finally:
        done.set()
        editing.join()
    ended = client.pipelines.get(run.id)
    assert edits
    assert (ended.state, ended.result) == ("finished", "hello one!")
    assert ended.attempt >= 2


def test_collecting_garbage_keeps_what_a_version_needs(client: Client, project: Path) -> None:
    made = client.pipelines.deploy(imported().told)
    client.backend.store.blobs.put(b"nobody's")  # type: ignore[attr-defined]
    client.storage.collect_garbage(grace_days=0.0, hold_hours=0.0)
    assert client.storage.missing([each.digest for each in made.files]) == []
    folder = unpacked(client, made)
    (folder / "project_of_tests" / "words.py").write_text("altered")
    assert unpacked(client, made) == folder  # what was altered is made anew
    assert "hello" in (folder / "project_of_tests" / "words.py").read_text()


def test_collecting_garbage_removes_the_folders_that_no_open_run_uses(client: Client, project: Path) -> None:
    old = unpacked(client, client.pipelines.deploy(imported().told))
    run = client.pipelines.start_deployed("told")
    edited(project)
    new = unpacked(client, client.pipelines.deploy(reimported().told))

    def collected(*aged: Path) -> tuple[bool, bool]:
        for each in aged:
            os.utime(each, (0, 0))
        client.storage.collect_garbage()
        return old.exists(), new.exists()

    assert collected() == (True, True)  # somebody asked for both just now
    assert collected(old, new) == (True, False)
    client.pipelines.cancel(run.id)
    assert unpacked(client, client.pipelines.deployment("told", version="1")) == old  # which counts as a use
    assert collected() == (True, False)
    assert collected(old) == (False, False)
    assert list(old.parent.iterdir()) == []


def test_a_trigger_of_a_decorator_drops_no_event_unless_the_flow_says_so(client: Client, project: Path) -> None:
    text = (project / "flows.py").read_text()
    for said, expected in (("", "allow_all"), (', overlap="skip"', "skip")):
        decorated = text.replace("@flow(", f'@flow(trigger=on("dataset.version.created"){said}, ', 1)
        (project / "flows.py").write_text(f"from mainspring import on\n{decorated}")
        client.pipelines.deploy(reimported().told)
        assert "trigger/told" in set_up(client, imported().told)
        assert client.pipelines.triggers()[0].overlap == expected
        assert {each.overlap for each in client.pipelines.schedules()} == {"skip"}


def test_a_decorator_becomes_schedules_and_what_it_no_longer_says_goes(client: Client, project: Path) -> None:
    client.pipelines.deploy(imported().told)
    assert set_up(client, imported().told) == ["schedule/told-1", "schedule/told-2"]
    cron, every = client.pipelines.schedules()
    assert (cron.cron, cron.tz, cron.deployment, every.every) == ("15 2 * * *", "Europe/Paris", "active", 900.0)
    text = (project / "flows.py").read_text()
    (project / "flows.py").write_text(text.replace('("15 2 * * *", "every 15m")', '"@daily"'))
    assert set_up(client, reimported().told) == ["schedule/told"]
    assert [each.name for each in client.pipelines.schedules()] == ["told"]
    assert when_of("every 1.5h") == {"every": 5400.0}
    with pytest.raises(InvalidInput):
        when_of("every now and then")


def test_the_command_deploys_a_module(client: Client, project: Path, store_folder: Path) -> None:
    result = CliRunner().invoke(deploy_command, ["project_of_tests.flows", "--store", str(store_folder)])
    assert result.exit_code == 0, result.output
    assert result.output.startswith("told@1: 6 files")
    assert client.pipelines.start_schedule("told-1").run_id
    worked(client)
    (run,) = client.pipelines.runs()
    assert (run.result, run.deployment) == ("hello one", "told@1")


@pytest.mark.parametrize("path", ["../x.py", "/x.py", "a//b.py", "a/./b.py", "", "a\\b.py"])
def test_a_file_outside_of_its_folder_is_refused(any_client: Client, path: str) -> None:
    digest = any_client.storage.put_blob(iter([b"x"])).digest
    with pytest.raises(InvalidInput):
        any_client.pipelines.create_deployment("f", code="", address="a:b", files=[CodeFile(path, digest, 1)])
    with pytest.raises(NotFound):
        any_client.pipelines.deployment("f")


def test_a_version_is_unpacked_from_a_server_too(
    any_client: Client, project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    any_client.pipelines.deploy(imported().told)
    run = any_client.pipelines.start_deployed("told")
    location = location_of(any_client, run)
    assert (Path(location.sys_path[0]) / "project_of_tests" / "flows.py").read_text() == _FLOWS
    assert location.address == "project_of_tests.flows:told"
