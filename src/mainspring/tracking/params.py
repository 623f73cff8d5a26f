"""Parameters as they are given, nested and typed, as flat names with typed values."""

from __future__ import annotations

import dataclasses
import enum
import json
import math
from collections.abc import Callable, Mapping, Sequence
from datetime import date, datetime, timedelta
from pathlib import PurePath
from typing import Any

import msgspec

from mainspring.kernel.errors import InvalidInput

__all__ = [
    "check_key",
    "decode_param",
    "encode_params",
    "flatten",
    "number_of",
    "number_of_text",
    "read_param",
    "stored_param",
]

_CONVERSIONS: tuple[tuple[Any, Callable[[Any], Any]], ...] = (
    (int, int),
    (float, float),
    (str, str),
    (datetime | date, lambda value: value.isoformat()),
    (timedelta, timedelta.total_seconds),
    (PurePath, str),
)
"""Kinds with a JSON form; subclasses become the kind itself."""

_LONGEST = 64 << 10
_DEEPEST = 20
_LONGEST_NUMBER = 40


def flatten(params: Any) -> dict[str, Any]:
    """Nested parameters under dotted names; the types of the values are kept.

    Args:
        params: A mapping, a dataclass or a struct; values may again be any of these, lists, numbers, texts,
            booleans, None, times, paths, enums. Of any other object its `repr` is kept.

    Raises:
        InvalidInput: two ways lead to the same name, or the nesting has no end.

    Example:
        >>> flatten({"model": {"depth": 6, "rate": 0.1}, "seed": 1})
        {'model.depth': 6, 'model.rate': 0.1, 'seed': 1}
    """
    fields = _fields(params)
    if fields is None:
        raise InvalidInput(f"parameters are a mapping, a dataclass or a struct, not {type(params).__name__}")
    found: dict[str, Any] = {}
    _collect(fields, "", found, 0)
    return found


def encode_params(params: Any) -> dict[str, str]:
    """`flatten`, with each value as JSON text in Python's dialect (NaN and infinities stay)."""
    texts = {}
    for key, value in flatten(params).items():
        texts[key] = json.dumps(value, ensure_ascii=False)
        if len(texts[key]) > _LONGEST:
            message = f"the parameter {key!r} has {len(texts[key])} characters, more than {_LONGEST}"
            raise InvalidInput(message, hint="log it as a file: run.log_text(...)")
    return texts


def _collect(fields: Mapping[Any, Any], prefix: str, found: dict[str, Any], depth: int) -> None:
    if depth > _DEEPEST:
        raise InvalidInput(f"the parameters at {prefix!r} are nested more than {_DEEPEST} deep")
    for key, value in fields.items():
        name = f"{prefix}{key}"
        inner = _fields(value)
        if inner:
            _collect(inner, f"{name}.", found, depth + 1)
            continue
        if name in found:
            raise InvalidInput(f"the parameter {name!r} is given twice")
        found[name] = {} if inner is not None else _plain(value)


def _fields(value: Any) -> Mapping[Any, Any] | None:
    if isinstance(value, Mapping):
        return value
    if isinstance(value, msgspec.Struct):
        return {name: getattr(value, name) for name in value.__struct_fields__}
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {field.name: getattr(value, field.name) for field in dataclasses.fields(value)}
    return None


def _plain(value: Any) -> Any:
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, enum.Enum):
        return _plain(value.value)
    for kinds, convert in _CONVERSIONS:
        if isinstance(value, kinds):
            return convert(value)
    if isinstance(value, Sequence) and not isinstance(value, bytes | bytearray):
        return [_plain(each) if _fields(each) is None else flatten(each) for each in value]
    if hasattr(value, "item") and getattr(value, "size", 0) == 1:  # a scalar of NumPy or a tensor
        return _plain(value.item())
    return repr(value)[:1000]


def decode_param(text: str) -> Any:
    """The value of a parameter from its text; raises `InvalidInput` when it is none.

    NaN and infinities come back as the texts `NaN`, `Infinity` and `-Infinity`, which every JSON can carry.

    Example:
        >>> decode_param("[1, -Infinity]")
        [1, '-Infinity']
    """
    try:
        return json.loads(text, parse_constant=str)
    except (ValueError, RecursionError) as error:
        raise InvalidInput(f"{text[:60]!r} is not the text of a parameter: {error}") from error


def number_of(value: Any) -> float | None:
    """The number that a parameter can be compared by: itself when it is a finite number, otherwise none."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    try:
        number = float(value)
    except OverflowError:
        return None
    return number if math.isfinite(number) else None


def check_key(key: object) -> str:
    """Return `key` when it may name a metric or a tag; raise `InvalidInput` otherwise."""
    if not isinstance(key, str) or not key or len(key) > 250 or not key.isprintable() or len(key.encode()) > 250:
        raise InvalidInput(f"{key!r:.60} cannot name a metric or a tag", hint="1 to 250 bytes of printable text")
    return key


def number_of_text(text: str) -> float | None:
    """The number that a text reads as, or none.

    Example:
        >>> number_of_text("6"), number_of_text("0x10"), number_of_text("nan")
        (6.0, None, None)
    """
    try:
        number = float(text) if len(text) <= _LONGEST_NUMBER and "_" not in text else math.nan
    except ValueError:
        return None
    return number if math.isfinite(number) else None


def stored_param(text: str) -> tuple[float | None, str, str]:
    """A parameter as its row holds it: the number it reads as, what a person reads, and the type of that.

    The type is `s` where it is a text and `j` where it is JSON.

    Example:
        >>> stored_param("6"), stored_param('"6"'), stored_param("true")
        ((6.0, '6', 'j'), (6.0, '6', 's'), (None, 'true', 'j'))
    """
    value = decode_param(text)
    if isinstance(value, str) and text.lstrip().startswith('"'):
        return number_of_text(value), value, "s"
    return number_of(value), text, "j"


def read_param(text: str, kind: str) -> Any:
    """The value of a parameter from its row."""
    return text if kind == "s" else decode_param(text)
