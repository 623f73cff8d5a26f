"""Operations: a capability is declared once, as a typed method of a room's service.

From one declaration come the in-process call, the validation of its arguments, the permission it
needs, the name under which its changes are audited, the HTTP route, the OpenAPI entry and the
method of the remote client. A service is bound to a *backend*: the local one runs the method on a
store; the remote one sends its arguments to a server that does. Both are called the same way.

    class Lineage(Service, room="lineage"):
        @operation(permission="lineage:read")
        def why(self, ref: str, *, depth: int = 100) -> Graph:
            \"\"\"Everything that `ref` came from.\"\"\"
            ...

A parameter annotated `Upload` is the streamed body of the request; a method that returns
`Download` streams its answer. Types in a signature must be importable at run time (msgspec types,
JSON types, datetime, bytes).
"""

from __future__ import annotations

import functools
import inspect
import re
import typing
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, ClassVar, Protocol, TypeVar

import msgspec

from mainspring.kernel.context import Caller
from mainspring.kernel.errors import InvalidInput

__all__ = ["Backend", "Download", "Guard", "Operation", "Service", "Upload", "operation", "operations_of"]

Upload = Iterable[bytes]
"""A parameter of this type is streamed as the body of the request; an operation has at most one."""

Download = Iterator[bytes]
"""An operation that returns this streams its answer; an error in the middle breaks the stream."""

F = TypeVar("F", bound=Callable[..., Any])
_PERMISSION = re.compile(r"[a-z]+:(read|write|approve|admin)")


class Backend(Protocol):
    """Where a service's operations run. Safe to use from many threads."""

    def invoke(self, service: Service, operation: Operation, arguments: dict[str, Any]) -> Any:
        """Run `operation` with validated `arguments`; raise what it raises, as a `MainspringError`."""
        ...


class Guard(Protocol):
    """The rule that says who may do what. Asked once per call, before anything is read or written."""

    def check(self, who: Caller, permission: str, resource: str) -> None:
        """Return when `who` has `permission` on `resource` (may be empty); raise `Forbidden` otherwise."""
        ...


class Operation:
    """One declared capability; built by `operation`, found as `method.operation`."""

    def __init__(self, function: Callable[..., Any], *, permission: str, writes: bool, resource: str) -> None:
        self.function = function
        self.permission = permission
        self.writes = writes
        self.resource = resource
        self.verb = function.__name__
        self.room = ""  # set when the service class is made
        self.signature = inspect.signature(function)
        if resource and resource not in self.signature.parameters:
            raise InvalidInput(f"operation {self.verb}: resource={resource!r} is not one of its parameters")

    @property
    def name(self) -> str:
        """`room.verb`: the name in the audit log, in the route and in the documentation."""
        return f"{self.room}.{self.verb}"

    @property
    def summary(self) -> str:
        """The first line of the docstring."""
        return (inspect.getdoc(self.function) or "").partition("\n")[0]

    @functools.cached_property
    def _hints(self) -> dict[str, Any]:
        return typing.get_type_hints(self.function, include_extras=True)

    @functools.cached_property
    def upload(self) -> str:
        """The parameter that is streamed, or an empty text."""
        return next((name for name, hint in self._hints.items() if name != "return" and hint == Upload), "")

    @functools.cached_property
    def downloads(self) -> bool:
        """Whether the answer is streamed."""
        return bool(self._hints.get("return") == Download)

    @functools.cached_property
    def request(self) -> type[msgspec.Struct]:
        """The arguments as a struct: what the wire carries and what the validation checks."""
        fields: list[Any] = []
        for parameter in list(self.signature.parameters.values())[1:]:
            if parameter.kind in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD):
                raise InvalidInput(f"operation {self.name}: *{parameter.name} cannot be typed on the wire")
            if parameter.name == self.upload:
                continue
            hint = self._hints.get(parameter.name, Any)
            if parameter.default is parameter.empty:
                fields.append((parameter.name, hint))
            else:
                fields.append((parameter.name, hint, _default(parameter.default)))
        return msgspec.defstruct(
            f"{self.room}_{self.verb}", fields, kw_only=True, forbid_unknown_fields=True, module=__name__
        )

    @functools.cached_property
    def result(self) -> Any:
        """The type of the answer."""
        return self._hints.get("return", type(None))

    def bind(self, service: Service, args: tuple[Any, ...], kwargs: dict[str, Any]) -> dict[str, Any]:
        """The arguments of a Python call, by name, checked against their types."""
        try:
            bound = self.signature.bind(service, *args, **kwargs).arguments
        except TypeError as error:
            raise InvalidInput(f"{self.name}: {error}") from None
        arguments = dict(bound)
        arguments.pop("self", None)
        return self.validate(arguments)

    def validate(self, arguments: Mapping[str, Any]) -> dict[str, Any]:
        """Check arguments against their types; raise `InvalidInput` naming the first that is wrong."""
        body = arguments.get(self.upload) if self.upload else None
        plain = {name: value for name, value in arguments.items() if name != self.upload}
        try:
            checked = msgspec.convert(plain, self.request)
        except (msgspec.ValidationError, UnicodeEncodeError, RecursionError) as error:
            raise InvalidInput(f"{self.name}: {error}", hint=f"see help() of {self.name}") from None
        complete = {name: getattr(checked, name) for name in checked.__struct_fields__}
        if self.upload:
            if body is None:
                raise InvalidInput(f"{self.name}: the parameter `{self.upload}` is missing")
            complete[self.upload] = [bytes(body)] if isinstance(body, bytes | bytearray | memoryview) else body
        return complete

    def decode(self, body: bytes) -> dict[str, Any]:
        """Read arguments from a JSON object; raise `InvalidInput` naming the first that is wrong."""
        try:
            checked = msgspec.json.decode(body or b"{}", type=self.request)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            raise InvalidInput(f"{self.name}: {error}") from None
        return {name: getattr(checked, name) for name in checked.__struct_fields__}


class Service:
    """The operations of one room, bound to a backend. Subclasses name their room."""

    room: ClassVar[str] = ""

    def __init_subclass__(cls, *, room: str = "", **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        cls.room = room or cls.room
        for declared in operations_of(cls):
            declared.room = declared.room or cls.room

    def __init__(self, backend: Backend) -> None:
        self._backend = backend


def operation(*, permission: str, writes: bool = False, resource: str = "") -> Callable[[F], F]:
    """Declare a method of a service as an operation.

    Args:
        permission: `room:action`, action one of read, write, approve, admin. There is no default:
            a declaration without one fails at import.
        writes: Whether it may change the store; only such an operation is audited, and only a POST reaches it.
        resource: The parameter that names the thing acted upon, for rules about single things.
    """
    if not _PERMISSION.fullmatch(permission):
        raise InvalidInput(
            f"{permission!r} is not a permission", hint="write room:read, room:write, room:approve or room:admin"
        )

    def declare(function: F) -> F:
        declared = Operation(function, permission=permission, writes=writes, resource=resource)

        @functools.wraps(function)
        def call(self: Service, /, *args: Any, **kwargs: Any) -> Any:
            return self._backend.invoke(self, declared, declared.bind(self, args, kwargs))

        call.operation = declared  # type: ignore[attr-defined]  # functions carry attributes; mypy cannot say so
        return typing.cast("F", call)

    return declare


def operations_of(service: type[Service]) -> list[Operation]:
    """Every operation that a service class declares, by name."""
    found = (getattr(getattr(service, name, None), "operation", None) for name in sorted(dir(service)))
    return [each for each in found if isinstance(each, Operation)]


def _default(value: Any) -> Any:
    if isinstance(value, list | dict | set):
        return msgspec.field(default_factory=functools.partial(type(value), value))
    return value
