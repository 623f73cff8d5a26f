"""Whether a JSON value is what a JSON schema asks for: the part of the language that msgspec writes for Python types.

Written by hand because the server that takes an answer cannot import the type that the flow asked for, and `jsonschema`
with what it needs is not a dependency of the core.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from typing import Any

import msgspec

from mainspring.kernel.errors import InvalidInput

__all__ = ["mismatch", "schema_of"]

_FORMATS: dict[str, type] = {
    "date": date,
    "date-time": datetime,
    "time": time,
    "duration": timedelta,
    "uuid": uuid.UUID,
    "decimal": Decimal,
}
_TYPES: dict[str, Callable[[Any], bool]] = {
    "null": lambda value: value is None,
    "boolean": lambda value: isinstance(value, bool),
    "integer": lambda value: isinstance(value, int) and not isinstance(value, bool),
    "number": lambda value: isinstance(value, int | float) and not isinstance(value, bool),
    "string": lambda value: isinstance(value, str),
    "array": lambda value: isinstance(value, list),
    "object": lambda value: isinstance(value, dict),
}
_BOUNDS: dict[str, tuple[str, Callable[[Any, Any], bool]]] = {
    "minimum": ("at least", lambda value, bound: value >= bound),
    "maximum": ("at most", lambda value, bound: value <= bound),
    "exclusiveMinimum": ("more than", lambda value, bound: value > bound),
    "exclusiveMaximum": ("less than", lambda value, bound: value < bound),
}
_SIZES: dict[str, tuple[str, Callable[[int, int], bool]]] = {
    "minLength": ("at least", lambda size, bound: size >= bound),
    "maxLength": ("at most", lambda size, bound: size <= bound),
    "minItems": ("at least", lambda size, bound: size >= bound),
    "maxItems": ("at most", lambda size, bound: size <= bound),
    "minProperties": ("at least", lambda size, bound: size >= bound),
    "maxProperties": ("at most", lambda size, bound: size <= bound),
}
_PARTS = {str: "Length", list: "Items", dict: "Properties"}
_DEPTH = 50


def schema_of(kind: Any) -> dict[str, Any]:
    """The JSON schema of a Python type.

    Raises:
        InvalidInput: JSON has no form of it, or it has a pattern: a server would not run somebody's regular expression.

    Example:
        >>> schema_of(bool)
        {'type': 'boolean'}
    """
    try:
        schema = msgspec.json.schema(kind)
    except (TypeError, ValueError) as error:
        raise InvalidInput(
            f"nobody can answer with {kind!r}: {error}", hint="bool, int, str, Literal, date, a dataclass, ..."
        ) from None
    if any("pattern" in part for part in _parts(schema)):
        raise InvalidInput(f"{kind!r} has a pattern, which is not checked when somebody answers", hint="Literal[...]")
    return schema


def mismatch(schema: dict[str, Any], value: Any) -> str:
    """What is wrong with a value, or an empty text.

    Example:
        >>> mismatch({"type": "array", "items": {"type": "integer"}}, [1, "two"])
        "answer[1] is not of the type integer: 'two'"
    """
    try:
        return _wrong(schema, value, schema, "answer", 0)
    except (TypeError, ValueError, AttributeError, ArithmeticError, RecursionError) as error:
        return f"nothing fits a schema that makes no sense: {error}"


def _wrong(schema: Any, value: Any, root: dict[str, Any], at: str, depth: int) -> str:
    if schema is False or depth > _DEPTH:
        return f"{at} is too much"
    if not isinstance(schema, dict):
        return ""
    if reference := schema.get("$ref"):
        target = (root.get("$defs") or {}).get(str(reference).rpartition("/")[2], {})
        return _wrong(target, value, root, at, depth + 1)
    if choices := schema.get("anyOf"):
        found = [_wrong(each, value, root, at, depth + 1) for each in choices]
        return "" if "" in found else f"{at} is none of what it may be: {'; '.join(found)}"
    parts = (_plain(schema, value, at), _bounds(schema, value, at), _members(schema, value, root, at, depth))
    return next((wrong for part in parts for wrong in part if wrong), "")


def _plain(schema: dict[str, Any], value: Any, at: str) -> Iterator[str]:
    if "enum" in schema and not any(_equal(value, each) for each in schema["enum"]):
        yield f"{at} is not one of {', '.join(repr(each) for each in schema['enum'])}: {_short(value)}"
    if "const" in schema and not _equal(value, schema["const"]):
        yield f"{at} is not {schema['const']!r}: {_short(value)}"
    kinds = schema.get("type", ())
    kinds = [kinds] if isinstance(kinds, str) else kinds
    if kinds and not any(_TYPES[kind](value) for kind in kinds if kind in _TYPES):
        yield f"{at} is not of the type {' or '.join(kinds)}: {_short(value)}"
    if isinstance(value, str) and (kind := _FORMATS.get(schema.get("format", ""))):
        yield _malformed(kind, value, schema["format"], at)


def _bounds(schema: dict[str, Any], value: Any, at: str) -> Iterator[str]:
    if isinstance(value, int | float) and not isinstance(value, bool):
        for name, (words, holds) in _BOUNDS.items():
            if name in schema and not holds(value, schema[name]):
                yield f"{at} is not {words} {schema[name]}: {_short(value)}"
        if (step := schema.get("multipleOf")) and value % step:
            yield f"{at} is not a multiple of {step}: {_short(value)}"
    if isinstance(value, str | list | dict):
        for name, (words, fits) in _SIZES.items():
            if name.endswith(_PARTS[type(value)]) and name in schema and not fits(len(value), schema[name]):
                yield f"{at} has not {words} {schema[name]} parts: {_short(value)}"


def _members(schema: dict[str, Any], value: Any, root: dict[str, Any], at: str, depth: int) -> Iterator[str]:
    if isinstance(value, list):
        firsts = schema.get("prefixItems", [])
        for number, item in enumerate(value):
            inner = firsts[number] if number < len(firsts) else schema.get("items", True)
            yield _wrong(inner, item, root, f"{at}[{number}]", depth + 1)
    if isinstance(value, dict):
        properties = schema.get("properties", {})
        yield from (f"{at} lacks {name!r}" for name in schema.get("required", ()) if name not in value)
        for name, item in value.items():
            inner = properties[name] if name in properties else schema.get("additionalProperties", True)
            yield _wrong(inner, item, root, f"{at}.{name}", depth + 1)


def _malformed(kind: type, value: str, name: str, at: str) -> str:
    try:
        msgspec.convert(value, kind)
    except (msgspec.ValidationError, ValueError, ArithmeticError):
        return f"{at} is not a {name}: {_short(value)}"
    return ""


def _equal(one: Any, other: Any) -> bool:
    return bool(one == other) and isinstance(one, bool) == isinstance(other, bool)


def _parts(schema: Any) -> Iterator[dict[str, Any]]:
    if isinstance(schema, dict):
        yield {name: part for name, part in schema.items() if not isinstance(part, dict | list)}
        for part in schema.values():
            yield from _parts(part)
    elif isinstance(schema, list):
        for part in schema:
            yield from _parts(part)


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 80 else text[:77] + "..."
