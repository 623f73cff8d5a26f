"""Tables derived from records: one frozen struct is the row, the JSON and the documentation of an entity.

Written by hand because it is forty lines without an ORM's session, cache and query builder; statements
stay plain SQL that both databases read.
"""

from __future__ import annotations

import math
import types
import typing
from collections.abc import Callable, Sequence
from datetime import datetime
from functools import cached_property
from typing import Any, Generic, TypeVar

import msgspec

from mainspring.kernel.clock import from_micros, to_micros
from mainspring.kernel.errors import InvalidInput

__all__ = ["Table"]

T = TypeVar("T", bound=msgspec.Struct)
Convert = Callable[[Any], Any]


class Table(Generic[T]):
    """A SQL table whose columns are the fields of a struct, in order.

    A `datetime` is stored as microseconds (BIGINT), a `bool` as 0 or 1, `str`, `int`, `float` and `bytes` as
    themselves, everything else as JSON text. A field typed `X | None` may be NULL; in a `float | None`, NaN is.

    Example:
        >>> class Point(msgspec.Struct, frozen=True):
        ...     key: str
        ...     seen: bool
        >>> Table("point", Point).insert_sql
        'INSERT INTO point (key, seen) VALUES (?, ?)'
    """

    def __init__(self, name: str, record: type[T]) -> None:
        self.name = name
        self.record = record
        self.columns: tuple[str, ...] = record.__struct_fields__
        names, marks = ", ".join(self.columns), ", ".join("?" * len(self.columns))
        self.insert_sql = f"INSERT INTO {name} ({names}) VALUES ({marks})"  # noqa: S608 -- names of our own
        self.select_sql = f"SELECT {', '.join(f'{name}.{column}' for column in self.columns)} FROM {name}"  # noqa: S608 -- names of our own

    @cached_property
    def _pairs(self) -> list[tuple[Convert | None, Convert | None]]:
        """For each column; made when first needed, because most of a program's tables are not used by it."""
        hints = typing.get_type_hints(self.record)
        return [_converters(hints[column]) for column in self.columns]

    @cached_property
    def _writers(self) -> list[Convert | None]:
        return [writer for writer, _ in self._pairs]

    @cached_property
    def _readers(self) -> list[tuple[int, Convert]]:
        return [(place, reader) for place, (_, reader) in enumerate(self._pairs) if reader is not None]

    def to_row(self, record: T) -> list[Any]:
        """The column values of a record."""
        values = (getattr(record, column) for column in self.columns)
        return [
            value if writer is None or value is None else writer(value)
            for value, writer in zip(values, self._writers, strict=True)
        ]

    def from_row(self, row: Sequence[Any]) -> T:
        """The record of a row that was selected with `select_sql`."""
        values = list(row)
        for place, reader in self._readers:
            if values[place] is not None:
                values[place] = reader(values[place])
        return self.record(*values)


def _converters(hint: Any) -> tuple[Convert | None, Convert | None]:
    """How a field of this type is written to and read from a column; None for as it is."""
    origin = typing.get_origin(hint)
    if origin in (typing.Union, types.UnionType):
        inner = [each for each in typing.get_args(hint) if each is not type(None)]
        if len(inner) == 1:
            return (_nan_is_null, None) if inner[0] is float else _converters(inner[0])
    if origin is typing.Literal or hint in (str, int):
        return None, None
    if hint is float:
        return _refuse_nan, None
    if hint is bytes:
        return None, bytes
    if hint is bool:
        return int, bool
    if hint is datetime:
        return to_micros, from_micros
    decoder = msgspec.json.Decoder(hint)
    return _to_json, decoder.decode


def _to_json(value: Any) -> str:
    try:
        return msgspec.json.encode(value).decode()
    except RecursionError:
        raise InvalidInput("this value is nested too deep to be stored") from None


# SQLite has no NaN: it would make NULL of it, where PostgreSQL keeps it.
def _nan_is_null(value: float) -> float | None:
    return None if math.isnan(value) else value


def _refuse_nan(value: float) -> float:
    if math.isnan(value):
        raise InvalidInput("NaN cannot be stored in a column of numbers")
    return value
