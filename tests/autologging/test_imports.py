"""Being told of imports, without changing them."""

from __future__ import annotations

import importlib
import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import pytest

from mainspring.autologging.imports import forget, when_imported


@pytest.fixture
def packages(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder that modules are found in."""
    monkeypatch.syspath_prepend(tmp_path)
    for name in ("ms_probe", "ms_probe.inner", "ms_broken"):
        monkeypatch.delitem(sys.modules, name, raising=False)
    (tmp_path / "ms_probe").mkdir()
    (tmp_path / "ms_probe" / "__init__.py").write_text("from ms_probe.inner import value\nready = True\n")
    (tmp_path / "ms_probe" / "inner.py").write_text("value = 3\n")
    (tmp_path / "ms_broken.py").write_text("raise ValueError('broken on purpose')\n")
    return tmp_path


def test_told_once_after_the_import_and_the_module_is_as_ever(packages: Path) -> None:
    told: list[str] = []

    def then(module: ModuleType) -> None:
        told.append(module.__name__)
        assert module.__name__ == "ms_probe.inner" or module.ready

    for name in ("ms_probe", "ms_probe.inner"):
        when_imported(name, then)
    assert told == []
    module = importlib.import_module("ms_probe")
    assert told == ["ms_probe.inner", "ms_probe"]
    assert module.__spec__.loader is module.__loader__
    assert "exec_module" not in vars(module.__loader__)
    assert module.__loader__.get_source("ms_probe").startswith("from ms_probe")
    importlib.reload(module)
    assert told == ["ms_probe.inner", "ms_probe"]
    when_imported("ms_probe", then)
    assert told[2:] == ["ms_probe"]


def test_nothing_stays_when_nobody_waits(packages: Path) -> None:
    before = list(sys.meta_path)

    def then(module: ModuleType) -> None:
        raise AssertionError

    when_imported("ms_probe", then)
    assert len(sys.meta_path) == len(before) + 1
    forget(then)
    assert sys.meta_path == before
    importlib.import_module("ms_probe")


def test_errors_of_the_module_and_of_ours_stay_where_they_are(packages: Path, caplog: pytest.LogCaptureFixture) -> None:
    def then(module: ModuleType) -> None:
        raise RuntimeError("ours")

    when_imported("ms_broken", then)
    with pytest.raises(ValueError, match="broken on purpose"):
        importlib.import_module("ms_broken")
    when_imported("ms_probe", then)
    assert importlib.import_module("ms_probe").ready
    assert "cannot be logged automatically" in caplog.text
    forget(then)


def test_looking_for_a_module_is_not_importing_it(packages: Path) -> None:
    told: list[str] = []
    when_imported("ms_probe", lambda module: told.append(module.__name__))
    assert importlib.util.find_spec("ms_probe") is not None
    assert told == []
    importlib.import_module("ms_probe")
    assert told == ["ms_probe"]
