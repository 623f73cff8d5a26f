"""Columns of Polars in the words of the port: in the type in which their kind is compared, with NaN as missing."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import polars as pl

from mainspring.engines.predicates import All, AnyOf, InTable, Not, Predicate
from mainspring.engines.tables_types import ColumnKind, ColumnType
from mainspring.engines.tables_values import check_number, check_text, comparable, is_aware, is_null, known, member
from mainspring.kernel.errors import InvalidInput

__all__ = ["Scope", "column_types", "members", "missing_values", "nullable", "number", "present", "text_of"]

Keys = Callable[[str, tuple[str, ...]], pl.LazyFrame]
"""The keys of another table: its name and its columns."""


class Scope(dict[str, ColumnType]):
    """The columns of a table with their types, and which of its rows occur in other tables."""

    def __init__(self, schema: Mapping[str, pl.DataType], keys: Keys | None = None) -> None:
        super().__init__(column_types(schema))
        self.dtypes = dict(schema)
        self._find = keys
        self._flags: dict[InTable, str] = {}

    def flag(self, predicate: InTable) -> str:
        """The name of the column that says which rows occur in another table: see `with_flags`."""
        if self._find is None or len(predicate.columns) != len(predicate.keys) or not predicate.columns:
            raise InvalidInput(f"{predicate!r} needs another table, and as many keys as columns")
        return self._flags.setdefault(predicate, f"__in_table_{len(self._flags)}__")

    def with_flags(self, frame: pl.LazyFrame, predicates: Iterable[Predicate | None]) -> pl.LazyFrame:
        """The frame with a column for each `InTable` that the predicates speak of, by one hash join each."""
        for predicate in dict.fromkeys(found for each in predicates for found in _in_tables(each)):
            frame = self._joined(frame, predicate)
        return frame

    def _joined(self, frame: pl.LazyFrame, predicate: InTable) -> pl.LazyFrame:
        flag = self.flag(predicate)
        keys = self._find(predicate.table, predicate.keys) if self._find else pl.LazyFrame()
        schema = keys.collect_schema()
        other = Scope(schema)
        mine, theirs, names = [], [], []
        for place, (column, key) in enumerate(zip(predicate.columns, schema, strict=True)):
            comparable((column, key), {**self, **other})
            dtype = _meeting(self.dtypes[column], schema[key])
            names.append(f"{flag}{place}")
            mine.append(_cast(nullable(column, self), self[column], dtype).alias(names[-1]))
            theirs.append(_cast(nullable(key, other), other[key], dtype).alias(names[-1]))
        known_keys = keys.select(theirs).drop_nulls().unique().with_columns(pl.lit(value=True).alias(flag))
        joined = frame.with_columns(mine).join(known_keys, on=names, how="left", maintain_order="left")
        return joined.with_columns(pl.col(flag).fill_null(value=False)).drop(names)


def _in_tables(predicate: Predicate | None) -> list[InTable]:
    match predicate:
        case InTable():
            return [predicate]
        case Not(inner):
            return _in_tables(inner)
        case All(parts) | AnyOf(parts):
            return [found for part in parts for found in _in_tables(part)]
    return []


def _meeting(left: pl.DataType, right: pl.DataType) -> pl.DataType:
    """The type in which keys of two tables meet without changing."""
    kinds = {_kind(left), _kind(right)}
    if kinds & {"float"}:
        return pl.Float64()
    if "decimal" in kinds:
        return pl.Decimal(38, max(getattr(each, "scale", 0) for each in (left, right)))
    if kinds & {"date", "datetime"}:
        return pl.Datetime("us", "UTC" if is_aware(column_types({"": left})[""]) else None)
    if kinds == {"integer"}:
        wide = {pl.UInt64(), pl.Int128(), pl.UInt128()}
        return pl.Int128() if {left, right} & wide else pl.Int64()
    return pl.String() if kinds & {"text"} else right if is_null(column_types({"": left})[""]) else left


def _cast(value: pl.Expr, kind: ColumnType, dtype: pl.DataType) -> pl.Expr:
    return value.dt.convert_time_zone("UTC").cast(dtype) if is_aware(kind) else value.cast(dtype)


def column_types(schema: Mapping[str, pl.DataType]) -> dict[str, ColumnType]:
    """The types of a Polars schema in the words of the port."""
    return {name: ColumnType(_kind(dtype), str(dtype)) for name, dtype in schema.items()}


def _kind(dtype: pl.DataType) -> ColumnKind:
    if dtype.is_integer():
        return "integer"
    if dtype.is_float():
        return "float"
    kinds: list[tuple[Any, ColumnKind]] = [
        (pl.Boolean, "bool"), (pl.Decimal, "decimal"), (pl.String, "text"), (pl.Categorical, "text"),
        (pl.Enum, "text"), (pl.Date, "date"), (pl.Datetime, "datetime"), (pl.Time, "time"),
        (pl.Duration, "duration"), (pl.Binary, "binary"), (pl.List, "list"), (pl.Array, "list"), (pl.Struct, "struct"),
    ]  # fmt: skip
    return next((kind for dtype_class, kind in kinds if dtype == dtype_class), "other")


def nullable(column: str, scope: Mapping[str, ColumnType]) -> pl.Expr:
    """The column with NaN as null, which is what missing means here."""
    kind = scope[known(column, scope)]
    value = pl.col(column)
    match kind.kind:
        case "datetime" if is_aware(kind) and "'UTC'" not in kind.dtype:
            return value.dt.convert_time_zone("UTC")
        case "text" if kind.dtype != "String":
            return value.cast(pl.String)  # dictionary text is text
        case "float":
            # In 32 bits 0.1 is another number than in 64.
            return (value if kind.dtype == "Float64" else value.cast(pl.Float64)).fill_nan(None)
    return value


def present(column: str, scope: Mapping[str, ColumnType]) -> pl.Expr:
    """The values that are not missing."""
    return nullable(column, scope).drop_nulls()


def missing_values(column: str, scope: Mapping[str, ColumnType]) -> pl.Expr:
    """Whether each value is null or NaN."""
    return (
        nullable(column, scope).is_null() if scope[known(column, scope)].kind == "float" else pl.col(column).is_null()
    )


def text_of(column: str, scope: Mapping[str, ColumnType]) -> pl.Expr:
    """A column of text as text; `InvalidInput` for any other."""
    kind = check_text(column, scope)
    return pl.col(column) if kind.dtype == "String" else pl.col(column).cast(pl.String)


def number(column: str, scope: Mapping[str, ColumnType]) -> pl.Expr:
    """The numbers of a column as floats, missing ones null."""
    kind = check_number(column, scope)
    value = pl.col(column) if kind.dtype == "Float64" else pl.col(column).cast(pl.Float64)
    return value.fill_nan(None) if kind.kind == "float" else value


def members(column: str, values: Iterable[Any], scope: Mapping[str, ColumnType]) -> pl.Series:
    """The values that a value of the column can equal, in the type of the column."""
    kind = scope[known(column, scope)]
    plain = [each for value in values if (each := member(value, column, kind)) is not None]
    if is_null(kind):
        return pl.Series([], dtype=pl.Null)
    return pl.Series(plain, dtype=_common(kind), strict=False) if kind.kind != "decimal" else _decimals(plain)


def _common(kind: ColumnType) -> Any:
    types: dict[str, Any] = {
        "bool": pl.Boolean, "text": pl.String, "date": pl.Date, "time": pl.Time, "float": pl.Float64,
        "duration": pl.Duration("us"), "integer": pl.Int128,
        "datetime": pl.Datetime("us", "UTC" if is_aware(kind) else None),
    }  # fmt: skip
    return types[kind.kind]


def _decimals(values: list[Any]) -> pl.Series:
    scale = max((max(-value.as_tuple().exponent, 0) for value in values), default=0)
    return pl.Series(values, dtype=pl.Decimal(38, min(scale, 38)))
