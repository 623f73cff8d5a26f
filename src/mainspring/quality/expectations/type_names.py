"""Names of types: those of Python, pandas, Polars, Arrow, Spark, SQL and TFDV, brought to a kind and a width.

A name without a width means any width of its kind (`int`, `INTEGER`, `float`); one with a width only that one.
"""

from __future__ import annotations

import re
from typing import NamedTuple

from mainspring.engines.tables import ColumnType

__all__ = ["Canonical", "canonical", "is_of_type"]


class Canonical(NamedTuple):
    """A kind of `ColumnType`, and the bits of a number where the name says how many; unsigned ones are negative."""

    kind: str
    bits: int = 0


_PLAIN: dict[str, str] = {
    "bool": "bool bool_ boolean booleantype booldtype booleandtype bit logical",
    "integer": "int integer integer_ integraltype integral whole",
    "float": "float floating fractional real_number number double_or_float",
    "decimal": "decimal decimaltype numeric dec money bignumeric decimal128 decimal256",
    "text": "str string object object_ text stringtype varchar char character nvarchar nchar clob utf8 large_string "
    "largeutf8 large_utf8 stringdtype string_view bpchar varchartype chartype category categorical categoricaldtype "
    "categoricaldtypetype enum str_ unicode uuid varchar2 tinytext mediumtext longtext",
    "date": "date datetype date32 date64",
    "datetime": "datetime timestamp timestamptype timestampntztype datetime64 datetimetz datetimetzdtype timestamptz "
    "timestamp_ntz timestamp_ltz timestamp_tz timestamp_ns timestamp_s timestamp_ms timestamp_us smalldatetime "
    "datetime2",
    "time": "time time32 time64 timetz",
    "duration": "duration timedelta timedelta64 interval daytimeintervaltype",
    "binary": "bytes binary binarytype blob bytea varbinary large_binary bytes_",
    "list": "list array arraytype ndarray large_list fixed_size_list",
    "struct": "struct structtype dict map maptype record json jsonb object_struct variant row",
}
_SIZED: dict[tuple[str, int], str] = {
    ("integer", 8): "int8 tinyint bytetype byteint int8dtype byte",
    ("integer", 16): "int16 smallint shorttype int2 int16dtype short",
    ("integer", 32): "int32 integertype int4 int32dtype mediumint intc",
    ("integer", 64): "int64 bigint longtype long int64dtype int_",
    ("integer", 128): "int128 hugeint",
    ("integer", -8): "uint8 utinyint uint8dtype",
    ("integer", -16): "uint16 usmallint uint16dtype",
    ("integer", -32): "uint32 uinteger uint32dtype",
    ("integer", -64): "uint64 ubigint uint64dtype",
    ("float", 16): "float16 half halffloat",
    ("float", 32): "float32 floattype real float4 float32dtype single",
    ("float", 64): "float64 double doubletype float8 float64dtype float_ double_precision binary_double",
}
_NAMES: dict[str, Canonical] = {name: Canonical(kind) for kind, names in _PLAIN.items() for name in names.split()} | {
    name: Canonical(*sized) for sized, names in _SIZED.items() for name in names.split()
}
_WORDS = {"double precision": "double", "character varying": "varchar", "timestamp with time zone": "timestamptz",
          "timestamp without time zone": "timestamp", "time with time zone": "timetz",
          "time without time zone": "time"}  # fmt: skip


def canonical(name: str) -> Canonical | None:
    """What a name of a type means; None when nobody calls a type so.

    Example:
        >>> canonical("VARCHAR(20)"), canonical("LongType()"), canonical("datetime64[ns, UTC]")
        (Canonical(kind='text', bits=0), Canonical(kind='integer', bits=64), Canonical(kind='datetime', bits=0))
    """
    plain = re.split(r"[(\[<{]", name.strip().casefold(), maxsplit=1)[0].strip()
    plain = _WORDS.get(plain, plain).removeprefix("pl.").removeprefix("pa.").removeprefix("numpy.").removeprefix("np.")
    return _NAMES.get(plain)


def is_of_type(column: ColumnType, name: str) -> bool:
    """Whether a column is of the type that a name means: the kind, the engine's own name, or that of another system."""
    folded = name.strip().casefold()
    if folded in {column.kind, column.dtype.casefold()}:
        return True
    wanted = canonical(name)
    if wanted is None or wanted.kind != column.kind:
        return False
    own = canonical(column.dtype)
    return not wanted.bits or own is None or not own.bits or own.bits == wanted.bits
