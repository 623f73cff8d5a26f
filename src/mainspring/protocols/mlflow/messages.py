"""Requests as MLflow's servers read them: JSON onto a message of typed fields, leniently.

MLflow parses a body with the JSON rules of Protocol Buffers and goes on when that fails: what came before the first
wrong field counts, and only then the checks of the endpoint decide what is wrong. Clients and their tests rely on the
sentences that come out of it, so the order of things is kept exactly. A parsed message is a plain dict that holds only
the fields that were set. By hand, because the core must not need protobuf.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from typing import Any

__all__ = ["Enum", "Field", "Message", "ParseFailed", "flag", "number", "parse", "real", "text", "texts"]

_UNPAIRED = re.compile("[\ud800-\udfff]")
_INT64 = 1 << 63
_SPECIAL = {"NaN": math.nan, "Infinity": math.inf, "-Infinity": -math.inf}


class ParseFailed(Exception):
    """The JSON is not such a message; what was read before stays read."""


class Message(dict[str, "Field"]):
    """The fields of a message, by name: `Message(name=text, tags=[TAG], max_results=number)`.

    A value is one of the readers below, an `Enum`, another message, or any of them in a list for a repeated field.
    """

    def __init__(self, **fields: Field) -> None:
        super().__init__(fields)
        self.by_name = {**{_camel(name): name for name in fields}, **{name: name for name in fields}}


class Enum(dict[str, int]):
    """The values of an enumeration, by name."""


Reader = Callable[[Any], Any]
Field = Reader | Message | Enum | list[Any]


def text(value: Any) -> str:
    """A text."""
    if not isinstance(value, str):
        raise ParseFailed(f"{value!r} is not a text")
    if _UNPAIRED.search(value):
        raise ParseFailed("Unpaired surrogate")
    return value


texts = [text]
"""A repeated text."""


def number(value: Any) -> int:
    """A whole number of 64 bits; a text that holds one counts."""
    if (isinstance(value, str) and " " in value) or isinstance(value, bool):
        raise ParseFailed(f"{value!r} is not a whole number")
    try:
        found = int(value)
        if isinstance(value, float) and found != value:
            raise ParseFailed(f"{value!r} is not a whole number")
    except (TypeError, ValueError, OverflowError):
        found = _whole(value)
    if not -_INT64 <= found < _INT64:
        raise ParseFailed(f"{value!r} is out of range")
    return found


def real(value: Any) -> float:
    """A float64; `NaN`, `Infinity` and `-Infinity` as texts."""
    if isinstance(value, float) and not math.isfinite(value):
        raise ParseFailed("not a JSON number")
    if value == "nan":
        raise ParseFailed('use "NaN" instead of "nan"')
    try:
        return float(value)
    except (TypeError, ValueError, OverflowError):
        if isinstance(value, str) and value in _SPECIAL:
            return _SPECIAL[value]
        raise ParseFailed(f"{value!r} is not a number") from None


def flag(value: Any) -> bool:
    """A truth value."""
    if not isinstance(value, bool):
        raise ParseFailed(f"{value!r} is not true or false")
    return value


def parse(source: Any, message: Message, into: dict[str, Any]) -> bool:
    """Read JSON into a message; false when something in it was wrong, and then `into` holds what came before."""
    try:
        _read_message(source, message, into)
    except ParseFailed:
        return False
    return True


def _read_message(source: Any, message: Message, into: dict[str, Any]) -> None:
    if not isinstance(source, Mapping):
        if isinstance(source, str | list) and not source:
            return
        raise ParseFailed("not an object")
    for key, value in source.items():
        name = message.by_name.get(key)
        if name is None:
            continue
        if value is None:
            into.pop(name, None)
            continue
        field = message[name]
        if isinstance(field, list):
            _read_repeated(value, field[0], into.setdefault(name, []))
        elif isinstance(field, Message):
            _read_message(value, field, into.setdefault(name, {}))
        elif not (isinstance(field, Enum) and _unknown(value, field)):
            into[name] = _scalar(value, field)


def _unknown(value: Any, field: Enum) -> bool:
    """A name that the enumeration does not have: passed over, like a field that the message does not have."""
    if not isinstance(value, str) or value in field:
        return False
    try:
        int(value)
    except ValueError:
        return True
    return False


def _read_repeated(value: Any, field: Reader | Message | Enum, into: list[Any]) -> None:
    into.clear()
    if not isinstance(value, list):
        raise ParseFailed("a repeated field is a list")
    for item in value:
        if item is None:
            raise ParseFailed("null is no element of a repeated field")
        if isinstance(field, Message):
            into.append({})
            _read_message(item, field, into[-1])
        else:
            into.append(_scalar(item, field))


def _scalar(value: Any, field: Reader | Enum) -> Any:
    if not isinstance(field, Enum):
        return field(value)
    if isinstance(value, str) and value in field:
        return value
    try:
        wanted = int(value)
    except (TypeError, ValueError, OverflowError):
        raise ParseFailed(f"{value!r} is not in the enumeration") from None
    for name, held in field.items():
        if held == wanted:
            return name
    raise ParseFailed(f"{value!r} is not in the enumeration")


def _whole(value: Any) -> int:
    try:
        found = float(value)
    except (TypeError, ValueError, OverflowError):
        raise ParseFailed(f"{value!r} is not a whole number") from None
    if not found.is_integer():
        raise ParseFailed(f"{value!r} is not a whole number")
    return int(found)


def _camel(name: str) -> str:
    head, *rest = name.split("_")
    return head + "".join(part[:1].upper() + part[1:] for part in rest)
