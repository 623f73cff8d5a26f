"""Predicates: what may be asked about a row of a table, as plain values.

Truth is two-valued: a predicate holds of a row or it does not. *Missing* means null or NaN, and a
missing value is in no range, in no set, matches nothing and equals nothing.
"""

from __future__ import annotations

from typing import Literal

import msgspec

__all__ = [
    "All",
    "AnyOf",
    "AnyPredicate",
    "Between",
    "Compare",
    "DistinctInRow",
    "Duplicated",
    "FitsJsonSchema",
    "In",
    "InTable",
    "InTuples",
    "Length",
    "Like",
    "Matches",
    "Missing",
    "Not",
    "Ordered",
    "Parses",
    "Predicate",
    "RowSum",
    "SameInRow",
    "Scalar",
    "Sql",
]

Scalar = bool | int | float | str
"""A value as JSON has it. Moments in time are ISO 8601 text, compared as moments with temporal columns."""


class Predicate(msgspec.Struct, frozen=True, tag_field="is"):
    """Something that holds of a row, or does not."""


class Missing(Predicate, frozen=True, tag="missing"):
    """The value is null or NaN."""

    column: str


class Between(Predicate, frozen=True, tag="between"):
    """The value is in a range; an open end is None."""

    column: str
    low: Scalar | None = None
    high: Scalar | None = None
    strict_low: bool = False
    strict_high: bool = False


class In(Predicate, frozen=True, tag="in"):
    """The value is one of `values`."""

    column: str
    values: tuple[Scalar, ...]


class Matches(Predicate, frozen=True, tag="matches"):
    """The text contains a match of a regular expression (RE2 syntax: no look-around, linear time)."""

    column: str
    pattern: str


class Length(Predicate, frozen=True, tag="length"):
    """The number of characters of the text is in a range, ends included."""

    column: str
    low: int | None = None
    high: int | None = None


class Compare(Predicate, frozen=True, tag="compare"):
    """Two columns of the row stand in a relation; never when either is missing."""

    left: str
    relation: Literal["==", "!=", "<", "<=", ">", ">="]
    right: str


class Duplicated(Predicate, frozen=True, tag="duplicated"):
    """Another row of the table has the same values in `columns`."""

    columns: tuple[str, ...]


class Ordered(Predicate, frozen=True, tag="ordered"):
    """The value does not step back from the last value that is not missing, in the order of the rows."""

    column: str
    descending: bool = False
    strict: bool = False


class Sql(Predicate, frozen=True, tag="sql"):
    """A boolean SQL expression over the columns of the row; unknown counts as false."""

    text: str


class Like(Predicate, frozen=True, tag="like"):
    """The whole text matches a pattern of SQL's LIKE: `%` for any characters, `_` for one; case told apart."""

    column: str
    pattern: str
    escape: str = ""
    """The character that makes the next one plain."""


class Parses(Predicate, frozen=True, tag="parses"):
    """The text reads as something: by `format` (of strftime) where it is given and `form` is a moment."""

    column: str
    form: Literal["json", "datetime", "integer", "number", "boolean"]
    format: str = ""


class FitsJsonSchema(Predicate, frozen=True, tag="fits-json-schema"):
    """The text is JSON that a JSON Schema accepts."""

    column: str
    schema: str
    """The schema, as canonical JSON text."""


class InTuples(Predicate, frozen=True, tag="in-tuples"):
    """The values of the columns together are one of `values`; None in a tuple is a missing value."""

    columns: tuple[str, ...]
    values: tuple[tuple[Scalar | None, ...], ...]


class RowSum(Predicate, frozen=True, tag="row-sum"):
    """The sum of the columns of the row is in a range, ends included; never when one is missing."""

    columns: tuple[str, ...]
    low: float | None = None
    high: float | None = None


class SameInRow(Predicate, frozen=True, tag="same-in-row"):
    """The columns of the row all hold the same value; missing values equal each other."""

    columns: tuple[str, ...]


class DistinctInRow(Predicate, frozen=True, tag="distinct-in-row"):
    """No two of the columns of the row hold the same value; missing values equal each other."""

    columns: tuple[str, ...]


class InTable(Predicate, frozen=True, tag="in-table"):
    """The values of the columns together occur in another table: what a foreign key asks. Never when one is missing."""

    columns: tuple[str, ...]
    table: str
    """The name of the other table, as `open_table` was told it."""
    keys: tuple[str, ...]
    """Its columns, in the order of `columns`."""


class Not(Predicate, frozen=True, tag="not"):
    """The inner predicate does not hold."""

    inner: AnyPredicate


class All(Predicate, frozen=True, tag="all"):
    """Every part holds."""

    parts: tuple[AnyPredicate, ...]


class AnyOf(Predicate, frozen=True, tag="any"):
    """At least one part holds."""

    parts: tuple[AnyPredicate, ...]


AnyPredicate = (
    Missing
    | Between
    | In
    | Matches
    | Like
    | Length
    | Parses
    | FitsJsonSchema
    | Compare
    | InTuples
    | RowSum
    | SameInRow
    | DistinctInRow
    | InTable
    | Duplicated
    | Ordered
    | Sql
    | Not
    | All
    | AnyOf
)
"""The closed set of predicates: what an adapter must know."""
