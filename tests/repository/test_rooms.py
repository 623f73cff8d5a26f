"""The rooms keep what `kernel/hooks.py` says of them."""

from __future__ import annotations

import importlib
import inspect
import tomllib

import pytest

from mainspring.kernel.hooks import ROOMS, load
from mainspring.kernel.operations import operations_of

WITH_SERVICE = [room for room in ROOMS if room.service]
ORDER = [room.name for room in ROOMS]


@pytest.mark.parametrize("room", ROOMS, ids=ORDER)
def test_migrations_are_all_counted(room):
    migrations = load(room.tables) if room.migrations else ()
    assert isinstance(migrations, tuple)
    assert len(migrations) == room.migrations
    assert all(isinstance(script, str) and script.strip() for script in migrations)


def test_rooms_and_services_are_named_once():
    services = [load(room.service).room for room in WITH_SERVICE]
    assert len(ORDER) == len(set(ORDER))
    assert len(services) == len(set(services))


@pytest.mark.parametrize("room", WITH_SERVICE, ids=[room.name for room in WITH_SERVICE])
def test_operations_are_complete(room):
    service = load(room.service)
    operations = operations_of(service)
    assert operations, "a service without operations is no service"
    for operation in operations:
        assert operation.summary.endswith("."), f"{operation.name}: the first line of the docstring is one sentence"
        assert operation.permission.partition(":")[0].isalpha()
        assert operation.request is not None
        assert "return" in inspect.get_annotations(operation.function), f"{operation.name} says what it answers"
        positional = [
            each
            for each in list(operation.signature.parameters.values())[2:]
            if each.kind is each.POSITIONAL_OR_KEYWORD
        ]
        optional = [each.name for each in positional if each.default is not each.empty]
        assert not optional, f"{operation.name}: options are keyword-only"
        assert not [each for each in positional if each.annotation == "bool"], (
            f"{operation.name}: what would True mean?"
        )


def test_an_operation_that_writes_needs_more_than_the_right_to_read():
    lax = [
        operation.name
        for room in WITH_SERVICE
        for operation in operations_of(load(room.service))
        if operation.writes and operation.permission.endswith(":read")
    ]
    assert not lax


def test_every_room_has_a_floor(root):
    settings = tomllib.loads((root / "pyproject.toml").read_text("utf-8"))["tool"]["importlinter"]
    layers = settings["contracts"][0]["layers"]
    floors = {name.strip(" ()") for layer in layers for name in layer.split("|")}
    rooms = {path.parent.name for path in (root / "src" / "mainspring").glob("*/__init__.py")}
    assert rooms <= floors, "name the floor of the new room in pyproject.toml"


def test_rooms_stand_in_the_order_of_their_floors(root):
    settings = tomllib.loads((root / "pyproject.toml").read_text("utf-8"))["tool"]["importlinter"]
    layers = reversed(settings["contracts"][0]["layers"])
    floor = {name.strip(" ()"): height for height, layer in enumerate(layers) for name in layer.split("|")}
    heights = [floor[name] for name in ORDER]
    assert heights == sorted(heights), "a room's tables may refer only to those of floors below"


@pytest.mark.parametrize("room", ROOMS, ids=ORDER)
def test_a_room_can_be_imported(room):
    assert importlib.import_module(f"mainspring.{room.name}").__doc__
