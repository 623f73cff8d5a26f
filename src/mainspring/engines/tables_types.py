"""The types of columns in the words of the port: the same on every engine."""

from __future__ import annotations

from typing import Literal

import msgspec

__all__ = ["ColumnKind", "ColumnType"]

ColumnKind = Literal[
    "bool", "integer", "float", "decimal", "text", "date", "datetime", "time", "duration", "binary", "list", "struct",
    "other",
]  # fmt: skip


class ColumnType(msgspec.Struct, frozen=True):
    """What a column holds: its kind, the same on every engine, and the engine's own name of the type."""

    kind: ColumnKind
    dtype: str

    @property
    def is_number(self) -> bool:
        """Whether arithmetic on it makes sense."""
        return self.kind in {"integer", "float", "decimal"}

    @property
    def is_moment(self) -> bool:
        """Whether it is a point in time."""
        return self.kind in {"date", "datetime"}

    @property
    def is_ordered(self) -> bool:
        """Whether its values have a least and a greatest."""
        return self.kind not in {"list", "struct", "other", "binary"}
