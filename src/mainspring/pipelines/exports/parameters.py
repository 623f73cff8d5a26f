"""Parameters of a flow, as other orchestrators know parameters: a kind, and a default that can be written down."""

from __future__ import annotations

import enum
import re
import types
import typing
from datetime import date, datetime
from typing import Any, Literal, Union, get_args, get_origin

import msgspec

from mainspring.kernel.errors import InvalidInput, MainspringError
from mainspring.pipelines.decorators import Flow, Step
from mainspring.pipelines.exports.graph import Kind, Parameter
from mainspring.pipelines.parameters import fire_date
from mainspring.pipelines.values import encode

__all__ = ["address_of", "as_text", "crons_of", "is_spread", "parameters_of", "result_type"]

_KINDS: dict[Any, Kind] = {
    str: "text",
    bool: "boolean",
    int: "integer",
    float: "number",
    list: "list",
    dict: "object",
    datetime: "datetime",
    date: "date",
}


def parameters_of(flow: Flow[..., Any]) -> tuple[Parameter, ...]:
    """The parameters of a flow.

    Raises:
        InvalidInput: One has no name of its own (`*args`, `**kwargs`), or a default that cannot be written down.
    """
    try:
        hints = typing.get_type_hints(flow.function)
    except Exception:  # noqa: BLE001 -- an annotation may name what is imported for type checkers only
        hints = {}
    made = []
    for each in flow.signature.parameters.values():
        if each.kind in (each.VAR_POSITIONAL, each.VAR_KEYWORD, each.POSITIONAL_ONLY):
            raise InvalidInput(
                f"flow {flow.name}: the parameter {each.name} has no name that another orchestrator could give it by",
                hint="give it a name of its own, or a list",
            )
        default = msgspec.UNSET if each.default is each.empty else each.default
        hint = hints.get(each.name, type(default) if default not in (msgspec.UNSET, None) else Any)
        kind = _kind(hint)
        if (what := getattr(default, "what", "")) and type(default).__module__ == fire_date.__module__:
            made.append(Parameter(each.name, "date" if what == "date" else "datetime", fires=True))
        elif default is msgspec.UNSET:
            made.append(Parameter(each.name, kind))
        else:
            made.append(_with_default(flow, each.name, kind, default))
    return tuple(made)


def as_text(parameter: Parameter) -> str:
    """The default as text, the way a person would type it."""
    value = parameter.default
    if parameter.kind in ("text", "date", "datetime"):
        return str(value["value"] if isinstance(value, dict) else value)
    return msgspec.json.encode(value).decode()


def address_of(found: Step[..., Any] | Flow[..., Any], *, what: str) -> str:
    """`module:name` of a step or flow.

    Raises:
        InvalidInput: No container can import it.
    """
    address = found.address if isinstance(found, Step) else found.location().address
    if not address or address.startswith("__main__:"):
        raise InvalidInput(
            f"{what} {found.name} cannot be exported: a container cannot import it",
            hint="define it at the top of a module that the image has: not a lambda, not inside a function, and"
            " not in a script or notebook that is run",
        )
    return address


def crons_of(flow: Flow[..., Any], cron: str = "") -> tuple[str, ...]:
    """When the flow starts by itself, as cron expressions; `cron` instead of its own schedule.

    Raises:
        InvalidInput: It is an interval that no cron expression means.
    """
    own = flow.options.schedule
    given = (cron,) if cron else (own,) if isinstance(own, str) else own
    return tuple(_cron(flow.name, each.strip()) for each in given)


def result_type(step: Step[..., Any]) -> Any:
    """The type that a step says it returns; `Any` when it does not say it."""
    try:
        return typing.get_type_hints(step.function).get("return", Any)
    except Exception:  # noqa: BLE001 -- an annotation may name what is imported for type checkers only
        return Any


def is_spread(hint: Any) -> bool | None:
    """Whether a map spreads values of a type over its calls; None when the type does not say it."""
    kind = get_origin(hint) or hint
    if kind in (list, tuple, range):
        return True
    return False if isinstance(kind, type) and kind not in (Any, object) and not issubclass(list, kind) else None


def _cron(flow: str, text: str) -> str:
    if not (found := re.fullmatch(r"every\s+(\d+)\s*([mh])\w*", text)):
        if text.startswith("every"):
            raise _no_cron(flow, text)
        return text
    number, unit = int(found[1]), found[2]
    if unit == "m" and number and 60 % number == 0:
        return f"*/{number} * * * *" if number < 60 else "0 * * * *"
    if unit == "h" and number and 24 % number == 0:
        return f"0 */{number} * * *" if number < 24 else "0 0 * * *"
    raise _no_cron(flow, text)


def _no_cron(flow: str, text: str) -> InvalidInput:
    return InvalidInput(f"the flow {flow} starts {text}, which no cron expression means", hint='--cron "15 2 * * *"')


def _with_default(flow: Flow[..., Any], name: str, kind: Kind, default: Any) -> Parameter:
    if isinstance(default, enum.Enum) or (kind in ("text", "integer", "number", "boolean") and default is None):
        kind = "json"
    try:
        written = encode(default, _Nowhere())
    except MainspringError as error:
        raise InvalidInput(
            f"flow {flow.name}: the default of {name} cannot be written down: {error.message}", hint=error.hint
        ) from None
    plain = {"list": list, "object": dict}.get(kind)
    if (plain is not None and not isinstance(written, plain)) or (isinstance(written, dict) and "$" in written):
        kind = kind if kind in ("date", "datetime") and written["$"] == kind else "json"
    made = Parameter(name, kind, written)
    if kind in ("text", "date", "datetime") and any(mark in as_text(made) for mark in ("{{", "{%", "{#")):
        raise InvalidInput(
            f"flow {flow.name}: the default of {name} holds the marks of templates, which orchestrators fill in",
            hint="let a step make that text",
        )
    return made


def _kind(hint: Any) -> Kind:
    if hint in _KINDS:
        return _KINDS[hint]
    origin = get_origin(hint)
    if origin is Literal and all(type(each) is str for each in get_args(hint)):
        return "text"
    if origin in (list, dict):
        return _KINDS[origin]
    if origin in (Union, types.UnionType) or hint is Any:
        return "json"
    return "json"


class _Nowhere:
    def put(self, data: bytes, /) -> str:
        raise InvalidInput(f"it has {len(data)} bytes", hint="let a step make it")

    def get(self, digest: str, /) -> bytes:
        raise NotImplementedError
