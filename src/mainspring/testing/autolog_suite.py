"""What every integration of automatic logging must do. Inherit, say how a training goes, and pytest runs the rest.

    class TestMine(AutologSuite):
        framework = "mine"
        module = "mine"

        def train(self) -> Any:
            return mine.train({"depth": 3}, rows)

Each test begins with `autolog` switched off and a store of its own.
"""

from __future__ import annotations

import inspect
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, ClassVar

import pytest

from mainspring.autologging import autolog
from mainspring.client.client import Client
from mainspring.client.default import default_client
from mainspring.tracking.types import TrackedRun

__all__ = ["AutologSuite", "AutologTrainingSuite"]


class AutologSuite:
    """The conformance tests of one integration."""

    framework: ClassVar[str]
    """Its name on the hooks page."""
    entry: ClassVar[str]
    """What it wraps, `module:name` or `module:Class.method`, whose signature and name must stay."""
    params: ClassVar[dict[str, Any]] = {}
    """Parameters that a training has at least, with their values."""
    metrics: ClassVar[tuple[str, ...]] = ()
    """Metrics that a training has at least."""
    series: ClassVar[str] = ""
    """A metric that has several steps."""
    files: ClassVar[tuple[str, ...]] = ()
    """Files that a training keeps at least, by the begin of their paths."""
    begins: ClassVar[bool] = True
    """Whether a training without a run begins one."""

    def train(self) -> Any:
        """Train something small, always the same; gives what can be compared with `==`."""
        raise NotImplementedError

    def fail(self) -> Any:
        """Train so that the framework raises an error of its own."""
        raise NotImplementedError

    script: ClassVar[str] = ""
    """A program that imports the framework, calls `SWITCH`, and trains; the switch is put before the import, too."""

    @pytest.fixture(autouse=True)
    def place(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
        """A store for this test alone, and nothing switched on."""
        monkeypatch.setenv("MAINSPRING_STORE", str(tmp_path / "store"))
        monkeypatch.setenv("MAINSPRING_SPOOL", str(tmp_path / "spool"))
        monkeypatch.setenv("MAINSPRING_CONSOLE_OUTPUT", "off")
        monkeypatch.setenv("MAINSPRING_SYSTEM_SECONDS", "0")
        monkeypatch.chdir(tmp_path)
        autolog(on=False)
        yield
        autolog(on=False)

    @pytest.fixture
    def here(self, place: None) -> Client:
        """The client of the store of this test."""
        return default_client()

    def runs(self, client: Client) -> list[TrackedRun]:
        """Every run of the store, the newest first."""
        found = client.lineage.runs(limit=100)
        return [client.tracking.get(run.id) for run in found]

    def trained(self, client: Client) -> TrackedRun:
        """The one run that a training made, children apart."""
        (found,) = [run for run in self.runs(client) if not run.run.parent_id]
        return found

    def begun(self, client: Client) -> TrackedRun:
        """Train once, in a run of the training's own or, where it begins none, in ours."""
        if self.begins:
            self.train()
        else:
            with client.tracking.run("given", source=False):
                self.train()
        return self.trained(client)

    def test_params_metrics_and_files_are_logged(self, here: Client) -> None:
        autolog(self.framework)
        found = self.begun(here)
        assert found.status == "finished"
        for name, value in self.params.items():
            assert found.params[name] == value, (name, found.params)
        assert set(self.metrics) <= set(found.metrics), sorted(found.metrics)
        if self.series:
            assert found.metrics[self.series].count > 1
            history = here.tracking.history(found.id, self.series)
            assert history["step"].n_unique() == history.height
        paths = [each.path for each in here.tracking.files(found.id)]
        for begin in self.files:
            assert any(path.startswith(begin) for path in paths), (begin, paths)

    def test_what_the_framework_gives_is_what_it_gives_without_us(self, here: Client) -> None:
        before = self.train()
        autolog(self.framework)
        assert self.train() == before

    def test_names_and_signatures_stay(self, here: Client) -> None:
        before = _entry(self.entry)
        described = inspect.signature(before), before.__name__, before.__doc__, before.__module__
        autolog(self.framework)
        after = _entry(self.entry)
        assert (inspect.signature(after), after.__name__, after.__doc__, after.__module__) == described
        autolog(self.framework, on=False)
        assert _entry(self.entry) is before

    def test_off_means_off(self, here: Client) -> None:
        autolog(self.framework)
        autolog(self.framework, on=False)
        if self.begins:
            self.train()
            assert self.runs(here) == []
            return
        with here.tracking.run("given", source=False):
            self.train()
        found = self.trained(here)
        assert (found.params, found.metrics) == ({}, {})

    def test_an_active_run_is_used_and_stays_open(self, here: Client) -> None:
        autolog(self.framework)
        with here.tracking.run("given", source=False) as run:
            run.log(mine=1)
            self.train()
            run.log(mine=2)  # still open, and the step that it counts is the program's own
        found = self.trained(here)
        assert (found.id, found.experiment, found.status) == (run.id, "given", "finished")
        assert set(self.metrics) <= set(found.metrics)
        assert here.tracking.history(run.id, "mine")["step"].to_list() == [0, 1]

    def test_switching_on_twice_logs_once(self, here: Client) -> None:
        autolog(self.framework)
        autolog(self.framework)
        autolog()
        found = self.begun(here)
        if self.series:
            history = here.tracking.history(found.id, self.series)
            assert history["step"].n_unique() == history.height

    def test_an_error_of_the_framework_is_its_own_and_fails_the_run(self, here: Client) -> None:
        with pytest.raises(Exception) as without:  # noqa: PT011 -- whatever the framework raises
            self.fail()
        autolog(self.framework)
        with pytest.raises(type(without.value)) as within:
            self.fail()
        assert str(within.value) == str(without.value)
        if self.begins:
            assert self.trained(here).status == "failed"

    def test_an_error_of_ours_never_reaches_the_training(
        self, here: Client, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        from mainspring.autologging.sessions import Session

        before = self.train()

        def break_down(*_: Any, **__: Any) -> None:
            raise RuntimeError("the logger is broken")

        for name in ("params", "tags", "log", "table", "text", "model"):
            monkeypatch.setattr(Session, name, break_down)
        autolog(self.framework)
        assert self.train() == before

    def test_an_end_that_goes_wrong_never_reaches_the_training(
        self, here: Client, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        from mainspring.tracking.run import ActiveRun

        before = self.train()
        finish = ActiveRun.finish

        def refuse(run: ActiveRun, **options: Any) -> None:
            finish(run, **options)
            raise RuntimeError("the end is refused")

        monkeypatch.setattr(ActiveRun, "finish", refuse)
        autolog(self.framework)
        assert self.train() == before

    def test_a_store_that_is_away_never_reaches_the_training(
        self, here: Client, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        from mainspring.tracking.service import Tracking

        before = self.train()

        def away(*_: Any, **__: Any) -> None:
            raise RuntimeError("there is no store")

        monkeypatch.setattr(Tracking, "run", away)
        autolog(self.framework)
        assert self.train() == before

    @pytest.mark.parametrize("first", ["switch", "framework"])
    def test_the_order_of_imports_does_not_matter(self, here: Client, tmp_path: Path, first: str) -> None:
        switch = f"import mainspring as ms\nms.autolog({self.framework!r})\n"
        body = "" if first == "switch" else switch
        program = f"{switch if first == 'switch' else ''}{self.script.replace('SWITCH', body)}"
        (tmp_path / "program.py").write_text(program)
        done = subprocess.run(
            [sys.executable, "-W", "ignore", "program.py"], cwd=tmp_path, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr
        found = self.trained(here)
        assert set(self.metrics) <= set(found.metrics), done.stderr


def _entry(address: str) -> Callable[..., Any]:
    """The object as its owner has it."""
    import importlib

    module, _, path = address.partition(":")
    found: Any = importlib.import_module(module)
    for name in path.split("."):
        found = getattr(found, name)
    return found  # type: ignore[no-any-return]  # a function, by the address


class AutologTrainingSuite(AutologSuite):
    """What holds besides for a framework of which one call is a whole training."""

    def test_two_trainings_in_one_run_do_not_mix(self, here: Client) -> None:
        autolog(self.framework)
        with here.tracking.run("given", source=False):
            self.train()
            self.train()
        found = self.trained(here)
        for name in self.metrics:
            assert f"fit-2/{name}" in found.metrics
            assert found.metrics[name].count == found.metrics[f"fit-2/{name}"].count

    def test_two_trainings_alone_are_two_runs(self, here: Client) -> None:
        autolog(self.framework)
        self.train()
        self.train()
        mine = [run for run in self.runs(here) if not run.run.parent_id]
        assert [run.status for run in mine] == ["finished", "finished"]
