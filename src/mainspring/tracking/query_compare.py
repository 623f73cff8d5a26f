"""Comparisons as SQL that SQLite and PostgreSQL answer alike, NaN, infinities and letters included.

A condition is a list of alternatives, any of which is enough; each may be answered from an index of its own.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from mainspring.kernel.errors import InvalidInput
from mainspring.tracking.query_language import parse_time
from mainspring.tracking.query_pattern import check_pattern, for_postgres
from mainspring.tracking.query_tree import Now, Operator, Span, Special, Value
from mainspring.tracking.query_words import Kind

__all__ = ["NEVER", "Part", "ascii_lower", "either", "number_parts", "text_part", "time_of", "typed"]

Part = tuple[str, tuple[Any, ...]]
"""A piece of SQL and its parameters."""

NEVER: Part = ("1 = 0", ())

_ALWAYS: Part = ("1 = 1", ())
_LOWER = str.maketrans("ABCDEFGHIJKLMNOPQRSTUVWXYZ", "abcdefghijklmnopqrstuvwxyz")
_GLOB = str.maketrans({"%": "*", "_": "?", "*": "[*]", "?": "[?]", "[": "[[]"})
_FARTHEST = 250_000_000_000_000_000
"""Microseconds: the year 9892."""


def either(parts: Sequence[Part], word: str = " OR ") -> Part:
    """The parts joined by a word; never true when there are none."""
    if not parts:
        return NEVER
    if len(parts) == 1:
        return parts[0]
    return "(" + word.join(sql for sql, _ in parts) + ")", tuple(value for _, values in parts for value in values)


def number_parts(column: str, special: str, operator: Operator, value: float | Special) -> list[Part]:
    """`column operator value` for an operator other than `!=`, in alternatives.

    Args:
        column: A column of finite numbers, or NULL.
        special: The column that says `nan`, `inf` or `-inf` where the number is not finite; empty when it always is.
        operator: NaN equals NaN, so that it can be looked for; in no other way it compares with anything.
        value: The number.
    """
    if isinstance(value, Special):
        return _special_parts(column, special, operator, value.name)
    finite: Part = (f"{column} {operator} ?", (float(value),))
    if special and operator in ("<", "<=", ">", ">="):
        end = "-inf" if operator[0] == "<" else "inf"
        return [finite, (f"{column} IS NULL AND {special} = '{end}'", ())]
    return [finite]


def _special_parts(column: str, special: str, operator: Operator, name: str) -> list[Part]:
    same: list[Part] = [(f"{column} IS NULL AND {special} = '{name}'", ())] if special else []
    if operator == "=" or name == "nan":
        return same if operator == "=" else []
    parts = list(same) if operator in ("<=", ">=") else []
    if (operator[0] == "<") == (name == "inf"):  # below plus infinity, above minus infinity: all that is finite ...
        parts.append((f"{column} IS NOT NULL", ()))
        if special:  # ... and the other end
            parts.append((f"{column} IS NULL AND {special} = '{'-inf' if name == 'inf' else 'inf'}'", ()))
    return parts


def text_part(expression: str, operator: Operator, value: str, dialect: str) -> Part:
    """`expression operator value` for an operator other than `!=`.

    Letters compare by code point; where case is ignored, that of `A` to `Z` is.
    """
    postgres = dialect == "postgres"
    if "\x00" in value:
        raise InvalidInput("a text in a filter cannot have the character U+0000")
    plain = f'{expression} COLLATE "C"' if postgres else expression
    if operator == "=":
        return f"{expression} = ?", (value,)
    if operator == "LIKE":
        return (
            (f"{expression} LIKE ? ESCAPE ''", (value,))
            if postgres
            else (f"{expression} GLOB ?", (value.translate(_GLOB),))
        )
    if operator == "ILIKE":
        lowered = ascii_lower(value)
        return (f"lower({plain}) LIKE ? ESCAPE ''", (lowered,)) if postgres else (f"{expression} LIKE ?", (lowered,))
    if operator == "CONTAINS":
        find = "strpos" if postgres else "instr"
        return f"{find}(lower({plain}), ?) > 0", (ascii_lower(value),)
    if operator == "=~":
        check_pattern(value)
        return (f"{expression} ~ ?", (for_postgres(value),)) if postgres else (f"{expression} REGEXP ?", (value,))
    return f"{plain} {operator} ?", (value,)


def ascii_lower(text: str) -> str:
    """A text with the letters A to Z in lower case: what both databases do without a locale."""
    return text.translate(_LOWER)


def time_of(value: Value, now_micros: int) -> int:
    """A point in time as microseconds since 1970; a bare number is milliseconds, as in MLflow."""
    if isinstance(value, str):
        return parse_time(value)
    if isinstance(value, Now):
        micros = now_micros + value.seconds * 1e6
    elif isinstance(value, int | float) and not isinstance(value, bool):
        micros = value * 1000
    else:
        raise InvalidInput("a time is compared with a time")
    if not math.isfinite(micros) or abs(micros) > _FARTHEST:
        raise InvalidInput("a time in the filter is too far away")
    return int(micros)


def typed(kind: Kind, value: Value, now_micros: int) -> Any:
    """A value as what a column of this kind is compared with: a number, a special number or a text."""
    if kind == "time":
        return time_of(value, now_micros)
    if isinstance(value, Span):
        return value.seconds
    if kind == "id" and isinstance(value, str):
        return _run_id(value)
    if kind == "status" and isinstance(value, str):
        lowered = value.lower()
        return {"killed": "cancelled", "scheduled": "running"}.get(lowered, lowered)
    return value


def _run_id(text: str) -> str:
    """A run's id as it is stored, from any of its forms."""
    bare = text.removeprefix("run/").lower()
    if len(bare) == 32 and all(each in "0123456789abcdef" for each in bare):
        return f"{bare[:8]}-{bare[8:12]}-{bare[12:16]}-{bare[16:20]}-{bare[20:]}"
    return bare
