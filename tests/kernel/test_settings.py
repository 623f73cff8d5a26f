"""Settings: default, then file, then environment, then flag; a wrong one is named with where it stands."""

from __future__ import annotations

import msgspec
import pytest

from mainspring.kernel.errors import InvalidInput
from mainspring.kernel.settings import Settings, describe_settings, find_store, read_settings


def _origin(folder, name, **options):
    return next(each for each in describe_settings(folder, **options) if each.name == name)


def test_the_last_that_says_something_wins(tmp_path):
    environment: dict[str, str] = {}
    flags: dict[str, object] = {"workers": None}

    def found():
        each = _origin(tmp_path, "workers", environ=environment, flags=flags)
        assert read_settings(tmp_path, environ=environment, flags=flags).workers == each.value
        return each.value, each.origin

    assert found() == (1, "default")
    (tmp_path / "config.toml").write_text("workers = 2\n")
    assert found() == (2, str(tmp_path / "config.toml"))
    environment["MAINSPRING_WORKERS"] = "3"
    assert found() == (3, "MAINSPRING_WORKERS")
    flags["workers"] = 4
    assert found() == (4, "flag")


def test_every_setting_can_come_from_everywhere(tmp_path):
    texts = {str: "x", int: "7", float: "0.5", tuple[str, ...]: "a, b,"}
    values = {str: "x", int: 7, float: 0.5, tuple[str, ...]: ("a", "b")}
    hints = {field.name: field.type for field in msgspec.structs.fields(Settings)}
    environment = {f"MAINSPRING_{name.upper()}": texts[hint] for name, hint in hints.items()}
    found = read_settings(tmp_path, environ=environment)
    assert {name: getattr(found, name) for name in hints} == {name: values[hint] for name, hint in hints.items()}
    assert all(each.description for each in describe_settings(tmp_path, environ={}))


@pytest.mark.parametrize(
    ("variable", "text"),
    [("PORT", "http"), ("PORT", "1e400"), ("WORKERS", ""), ("MONITOR_SECONDS", "soon")],
)
def test_a_wrong_value_is_named_with_its_origin(tmp_path, variable, text):
    with pytest.raises(InvalidInput) as refused:
        read_settings(tmp_path, environ={f"MAINSPRING_{variable}": text})
    assert f"MAINSPRING_{variable}" in refused.value.message
    assert variable.lower() in refused.value.message


@pytest.mark.parametrize(
    "text", ["workers = ", "workers = 'many'", "wrokers = 2", b"\xff\xfe".decode("latin-1"), "[workers]\na=1"]
)
def test_a_wrong_file_is_named(tmp_path, text):
    (tmp_path / "config.toml").write_text(text)
    with pytest.raises(InvalidInput) as refused:
        read_settings(tmp_path, environ={})
    assert "config.toml" in refused.value.message
    if "wrokers" in text:
        assert refused.value.known[0] == "workers"


def test_bytes_that_are_no_text(tmp_path):
    (tmp_path / "config.toml").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(InvalidInput, match="not TOML"):
        read_settings(tmp_path, environ={})


def test_the_store_is_found_upward_or_named(tmp_path):
    deep = tmp_path / "a" / "b"
    deep.mkdir(parents=True)
    assert find_store(deep, environ={}) == deep / ".mainspring"
    (tmp_path / ".mainspring").mkdir()
    assert find_store(deep, environ={}) == tmp_path / ".mainspring"
    assert find_store(deep, environ={"MAINSPRING_STORE": str(tmp_path / "there")}) == tmp_path / "there"
