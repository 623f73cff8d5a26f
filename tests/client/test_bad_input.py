"""What cannot be is refused, everywhere alike, by a typed error with a stable code, and changes nothing."""

from __future__ import annotations

import json
import math
import random
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal, get_args, get_origin

import httpx
import msgspec
import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mainspring.cli.app import main
from mainspring.client.client import Client, connect
from mainspring.data.types import Commit
from mainspring.kernel.errors import InvalidInput, MainspringError, TooLarge
from mainspring.kernel.hooks import ROOMS, load
from mainspring.kernel.operations import Operation, Service, operations_of
from mainspring.lineage.types import File
from mainspring.store.store import Store

EVERY = [(load(room.service), each) for room in ROOMS if room.service for each in operations_of(load(room.service))]
INSIDE = ("MS-9001", "MS-0000", "MS-5")
"""Codes that say that the fault is ours."""

TEXTS = [
    "", " ", ".", "..", "../../etc/passwd", "/etc/passwd", "a/../../b", "C:\\windows", "a\0b", "\0", "a\nb", "\ud800", "a\udfff",
    "'; DROP TABLE run; --", "%", "_", "*", "@", "a@", "model/x@1", "dataset/nothing@99999999999999999999", "a@-1", "\u202e", "e\u0301",
    "\U0001f600", "x" * 300, "y" * 1_000_000, "{}", "null", "NaN", "1e999", "run/", "prediction/", "-", "0" * 64, "-1",
    "019a0000-0000-7000-8000-000000000000", "019a0000-0000-7000-8000-000000000000--1", "019a0000-0000-7000-8000-000000000000-1",
]  # fmt: skip
NUMBERS = [0, -1, 1, 2, 10**6, 2**31, 2**53, 2**63 - 1, -(2**63), 2**63, 2**64, 10**30]
FLOATS = [0.0, -0.0, -1.0, 1.0, 1e308, -1e308, 5e-324, math.nan, math.inf, -math.inf]
MOMENTS = [datetime(1, 1, 1, tzinfo=UTC), datetime(9999, 12, 31, 23, 59, 59, tzinfo=UTC), datetime(1970, 1, 1, tzinfo=UTC)]


def _deep(depth: int) -> Any:
    value: Any = 1
    for _ in range(depth):
        value = {"a": [value]}
    return value


def _plain(chance: random.Random) -> Any:
    return chance.choice(
        [None, True, "", "\ud800", "a\0", math.nan, 10**30, -(2**63), [], {}, [1, "a", None], {"a": {}}, _deep(30), _deep(2000)]
    )


def _hostile(hint: Any, chance: random.Random, depth: int = 0) -> Any:
    """A value of a type (now and then of another), as nasty as the type allows."""
    if chance.random() < 0.04:
        return _plain(chance)
    if hint is Any:
        return _plain(chance)
    origin, inner = get_origin(hint), get_args(hint)
    if origin is Literal:
        return chance.choice([*inner, *inner, "other"])
    if origin is list or origin is tuple or hint is list:
        item = inner[0] if inner else Any
        return [_hostile(item, chance, depth + 1) for _ in range(chance.choice([0, 1, 2, 5]) if depth < 4 else 0)]
    if origin is dict or hint is dict:
        key, item = inner or (str, Any)
        keys = [_hostile(key, chance, depth + 1) for _ in range(chance.choice([0, 1, 3]) if depth < 4 else 0)]
        return {each: _hostile(item, chance, depth + 1) for each in keys if isinstance(each, str)}
    if inner and (origin is not None):  # a union
        return _hostile(chance.choice(inner), chance, depth)
    if isinstance(hint, type) and issubclass(hint, msgspec.Struct):
        fields = msgspec.structs.fields(hint)
        given_ = [each for each in fields if each.required or chance.random() < 0.5]
        made = {each.encode_name: _hostile(each.type, chance, depth + 1) for each in given_}
        tag = hint.__struct_config__.tag
        return {**made, "type": tag} if tag is not None else made
    pools: dict[Any, list[Any]] = {str: TEXTS, int: NUMBERS, float: FLOATS, bool: [True, False], datetime: MOMENTS, bytes: [b"", b"\xff"]}
    return chance.choice(pools.get(hint, [None]))


def _arguments(declared: Operation, chance: random.Random) -> dict[str, Any]:
    fields = msgspec.structs.fields(declared.request)
    made = {each.name: _hostile(each.type, chance) for each in fields if each.required or chance.random() < 0.4}
    if declared.upload:
        made[declared.upload] = [chance.choice([b"", b"x", b"\0" * 5000, b"PAR1" + b"\xff" * 64, b"\xff" * 9, b"{}"])]
    return made


def _state(store: Store) -> dict[str, int]:
    """How many rows every table has."""
    with store.read() as tx:
        names = [name for (name,) in tx.rows("SELECT name FROM sqlite_master WHERE type = 'table' ORDER BY name")]
        return {name: tx.value(f'SELECT count(*) FROM "{name}"') for name in names}


def _outcome(call: Any) -> str:
    """`answered`, or the code of what was raised; anything else than a typed error fails the test."""
    try:
        found = call()
        if hasattr(found, "__next__"):
            for _ in found:
                pass
    except MainspringError as error:
        assert error.message
        json.dumps(error.payload())
        return error.code
    return "answered"


@pytest.mark.databases("sqlite")
@pytest.mark.parametrize("seed", range(3))
def test_hostile_arguments_are_answered_or_refused_whole(client: Client, store: Store, seed: int) -> None:
    """Every operation, over and over, with the nastiest values that its types allow."""
    chance = random.Random(seed)
    for service, declared in EVERY:
        bound = getattr(service(client.backend), declared.verb)
        for _ in range(6):
            arguments = _arguments(declared, chance)
            before = _state(store)
            code = _outcome(lambda b=bound, a=arguments: b(**a))
            assert not code.startswith(INSIDE), (declared.name, code, str(arguments)[:500])
            if code != "answered":
                after = _state(store)
                assert after == before, (declared.name, code, str(arguments)[:500])
