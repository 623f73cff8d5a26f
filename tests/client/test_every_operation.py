"""Every declared operation, over every transport: it is reachable, it refuses what does not fit, it needs its right."""

from __future__ import annotations

import json
import types
import typing
from typing import Any

import httpx
import msgspec
import pytest

from mainspring.client.client import Client
from mainspring.kernel.context import Caller, acting_as
from mainspring.kernel.errors import Forbidden, InvalidInput, MainspringError
from mainspring.kernel.hooks import ROOMS, load
from mainspring.kernel.operations import Operation, Service, operation, operations_of
from mainspring.server.openapi import openapi
from mainspring.store.local import LocalBackend
from mainspring.store.store import Store
from mainspring.trust.guard import RoleGuard

EVERY = [
    (load(room.service), declared) for room in ROOMS if room.service for declared in operations_of(load(room.service))
]
EACH = pytest.mark.parametrize(("service", "declared"), EVERY, ids=[declared.name for _, declared in EVERY])


def test_a_declaration_without_a_permission_fails_at_import() -> None:
    with pytest.raises(TypeError, match="permission"):
        operation()  # type: ignore[call-arg]
    with pytest.raises(InvalidInput, match="permission"):
        operation(permission="everything")


@EACH
def test_it_is_declared_whole(service: type[Service], declared: Operation) -> None:
    assert declared.room == service.room
    assert declared.summary.endswith(".")
    assert issubclass(declared.request, msgspec.Struct)
    if not declared.downloads:
        msgspec.json.schema(declared.result)


def test_all_are_described_in_openapi() -> None:
    paths = openapi("0")["paths"]
    assert set(paths) == {f"/api/v1/{declared.room}/{declared.verb}" for _, declared in EVERY}
    json.dumps(paths)


@pytest.mark.databases("sqlite")
def test_each_refuses_what_does_not_fit_alike_on_every_transport(client: Client, server_url: str) -> None:
    with httpx.Client(base_url=server_url) as http:
        for service, declared in EVERY:
            bound = getattr(service(client.backend), declared.verb)
            with pytest.raises(InvalidInput) as here:
                bound(no_such_argument=1)
            path = f"/api/v1/{declared.room}/{declared.verb}"
            wrong = {"no_such_argument": 1}
            answer = (
                http.post(path, params={"arguments": json.dumps(wrong)}, content=b"x")
                if declared.upload
                else http.post(path, json=wrong)
            )
            assert answer.status_code == 400, (declared.name, answer.text)
            assert answer.json()["error"]["code"] == here.value.code == "MS-1001"


@pytest.mark.databases("sqlite")
def test_each_needs_its_right(store: Store) -> None:
    nobody = Caller("nobody", roles=())
    backend = LocalBackend(store, RoleGuard())
    for service, declared in EVERY:
        with acting_as(nobody), pytest.raises(Forbidden) as refused:
            backend.invoke(service(backend), declared, _anything(declared))
        assert refused.value.details["permission"] == declared.permission


@pytest.mark.databases("sqlite")
def test_none_fails_inside_for_arguments_of_the_right_types(client: Client, server_url: str) -> None:
    """Made-up but well-typed arguments get an answer or a typed refusal, the same one, here and over the wire."""
    with httpx.Client(base_url=server_url, timeout=30) as http:
        for service, declared in EVERY:
            if declared.upload or declared.downloads or declared.name in _SLOW:
                continue
            arguments = _anything(declared)
            here = _outcome(
                lambda s=service, d=declared, a=arguments: client.backend.invoke(s(client.backend), d, dict(a))
            )
            answer = http.post(
                f"/api/v1/{declared.room}/{declared.verb}", content=msgspec.json.encode(declared.request(**arguments))
            )
            assert answer.status_code < 500 or answer.json()["error"]["code"] != "MS-9001", (
                declared.name,
                answer.text,
            )
            there = "answered" if answer.status_code == 200 else answer.json()["error"]["code"]
            assert here == there or (here, there) in TWICE, declared.name


_SLOW: set[str] = set()
TWICE = {("answered", "MS-3002"), ("answered", "MS-2001")}
"""What a call made is there, and what it deleted is gone, when the same call comes a second time."""


def _outcome(call: Any) -> str:
    try:
        call()
    except MainspringError as error:
        return error.code
    return "answered"


def _anything(declared: Operation) -> dict[str, Any]:
    """A value of the right type for each argument that has no default."""
    made: dict[str, Any] = {}
    for field in msgspec.structs.fields(declared.request):
        if field.required:
            made[field.name] = _value(field.type)
    if declared.upload:
        made[declared.upload] = [b"x"]
    return made


def _value(hint: Any) -> Any:
    if typing.get_origin(hint) is typing.Literal:
        return typing.get_args(hint)[0]
    if typing.get_origin(hint) is types.UnionType and all(_is_struct(each) for each in typing.get_args(hint)):
        return _value(typing.get_args(hint)[0])
    for text in (b'"x"', b"1", b"{}", b"[]", b"1.5", b"true", b'"2026-01-01T00:00:00Z"', b'"2026-01-01"', b"null"):
        try:
            return msgspec.json.decode(text, type=hint)
        except msgspec.ValidationError:
            continue
    if _is_struct(hint):
        return hint(**{field.name: _value(field.type) for field in msgspec.structs.fields(hint) if field.required})
    raise AssertionError(f"no made-up value for {hint}")


def _is_struct(hint: Any) -> bool:
    return isinstance(hint, type) and issubclass(hint, msgspec.Struct)
