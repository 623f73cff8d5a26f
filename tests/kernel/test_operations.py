"""Operations: declared once; arguments are checked the same from Python and from JSON."""

from __future__ import annotations

import contextvars
import threading
from typing import Any

import msgspec
import pytest

from mainspring.kernel.context import OWNER, Caller, acting_as, caller, current_action, performing
from mainspring.kernel.errors import InvalidInput
from mainspring.kernel.operations import Download, Service, Upload, operation, operations_of


class Echo:
    """A backend that gives back what it was asked."""

    def invoke(self, service: Service, operation: Any, arguments: dict[str, Any]) -> Any:
        return operation.name, arguments


class Things(Service, room="things"):
    @operation(permission="things:write", writes=True, resource="name")
    def put(self, name: str, *, size: int = 3, tags: list[str] = []) -> str:  # noqa: B006
        """Put a thing."""

    @operation(permission="things:write", writes=True)
    def send(self, name: str, *, body: Upload) -> None:
        """Send bytes."""

    @operation(permission="things:read")
    def fetch(self, name: str) -> Download:
        """Fetch bytes."""


THINGS = Things(Echo())
PUT = next(each for each in operations_of(Things) if each.verb == "put")


def test_a_call_is_bound_by_name_with_defaults():
    assert THINGS.put("a") == ("things.put", {"name": "a", "size": 3, "tags": []})
    assert THINGS.put(name="a", tags=["x"])[1]["tags"] == ["x"]
    THINGS.put("a")[1]["tags"].append("kept?")
    assert THINGS.put("a")[1]["tags"] == [], "a default is never shared"


@pytest.mark.parametrize(
    ("args", "kwargs"),
    [((), {}), ((1,), {}), (("a", 3), {}), (("a",), {"size": "3"}), (("a",), {"size": 1.5}), (("a",), {"tags": "x"}),
     (("a",), {"tags": [1]}), (("a",), {"wrong": 1}), (("a",), {"size": True}), (("a",), {"size": None})],
)  # fmt: skip
def test_what_does_not_fit_is_refused_by_name(args, kwargs):
    with pytest.raises(InvalidInput, match=r"things\.put"):
        THINGS.put(*args, **kwargs)


@pytest.mark.parametrize(
    "body",
    [
        b"[]",
        b"3",
        b"{",
        b'{"name":1}',
        b'{"name":"a","x":1}',
        b"\xff",
        b'{"name":"\\ud800"}',
        b"[" * 100_000,
        b'{"name":"a","size":1e999}',
    ],
)
def test_json_that_does_not_fit_is_refused(body):
    with pytest.raises(InvalidInput, match=r"things\.put"):
        PUT.decode(body)


def test_json_and_python_agree():
    assert PUT.decode(b'{"name": "a", "size": 4}') == THINGS.put("a", size=4)[1]
    assert PUT.decode(msgspec.json.encode({"name": "a"})) == THINGS.put("a")[1]


def test_streams_are_known():
    found = {each.verb: each for each in operations_of(Things)}
    assert (found["send"].upload, found["fetch"].downloads, found["put"].upload) == ("body", True, "")
    assert THINGS.send("a", body=b"xy")[1]["body"] == [b"xy"]
    with pytest.raises(InvalidInput, match="body"):
        THINGS.send("a")


def test_a_wrong_declaration_fails_at_import():
    with pytest.raises(InvalidInput, match="not a permission"):
        operation(permission="things:destroy")
    with pytest.raises(InvalidInput, match="resource"):

        @operation(permission="things:read", resource="nothing")
        def look(self, name: str) -> None: ...


def test_the_caller_travels_with_the_context_and_no_further():
    ann = Caller("ann", "team", ("viewer",))
    found = []
    with acting_as(ann), performing("things.put"):
        context = contextvars.copy_context()
        follows = threading.Thread(target=lambda: found.append(context.run(caller)))
        alone = threading.Thread(target=lambda: found.append(caller()))
        for each in (follows, alone):
            each.start()
            each.join()
        assert (caller(), current_action()) == (ann, "things.put")
    assert found == [ann, OWNER]
    assert (caller(), current_action()) == (OWNER, "")
