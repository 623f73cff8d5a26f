"""Expectations about a table as a whole, and about several of its columns together."""

from __future__ import annotations

import itertools
import re
from collections.abc import Mapping
from typing import Any

import msgspec

from mainspring.engines.tables import AnyPredicate, Count, Grouping, Metric, Sql, check_regex
from mainspring.quality.expectations.base import (
    Answers,
    Check,
    Judgement,
    Known,
    RowCheck,
    Schema,
    Target,
    in_range,
)
from mainspring.quality.expectations.column_aggregates import NumberCheck
from mainspring.quality.expectations.type_names import is_of_type

__all__ = [
    "ColumnCountBetween",
    "ColumnCountEquals",
    "ColumnExists",
    "ColumnNamesMatch",
    "ColumnTypeIn",
    "ColumnTypeIs",
    "ColumnsAmong",
    "ColumnsMatchOrderedList",
    "ColumnsMatchSet",
    "ComplianceBetween",
    "DuplicateRowsBetween",
    "RowCountBetween",
    "RowCountEquals",
    "RowsSatisfy",
]


class RowCountBetween(NumberCheck, frozen=True, kw_only=True):
    """The number of rows lies in a range."""

    subject = "table"
    what = "number of rows"

    def metrics(self, target: Target) -> tuple[Metric, ...]:
        """The rows."""
        return (Count(where=target.where),)

    def judge(self, target: Target, answers: Answers, schema: Schema) -> Judgement:
        """As many as expected."""
        found = super().judge(target, answers, schema)
        return found if found.passed else msgspec.structs.replace(found, message=f"there are {found.observed} rows")


class RowCountEquals(Check, frozen=True, kw_only=True):
    """There are exactly so many rows."""

    subject = "table"
    value: int

    def metrics(self, target: Target) -> tuple[Metric, ...]:
        """The rows."""
        return (Count(where=target.where),)

    def judge(self, target: Target, answers: Answers, schema: Schema) -> Judgement:
        """As many as expected."""
        rows = answers[Count(where=target.where)]
        passed = rows == self.value
        return Judgement(passed=passed, observed=rows, message="" if passed else f"there are {rows} rows")

    def expected(self) -> str:
        """In words."""
        return f"to have {self.value} rows"


class ComplianceBetween(NumberCheck, frozen=True, kw_only=True):
    """The share of the rows of which a condition in SQL holds lies in a range."""

    subject = "table"
    what = "share of rows of which the condition holds"
    condition: str

    def metrics(self, target: Target) -> tuple[Metric, ...]:
        """The rows, and those of which it holds."""
        return Count(where=target.where), Count(where=target.where, predicate=Sql(self.condition))

    def value(self, target: Target, answers: Answers) -> Any:
        """The share; None without rows."""
        rows, found = (answers[metric] for metric in self.metrics(target))
        return found / rows if rows else None

    def expected(self) -> str:
        """In words."""
        return f"{super().expected()}: {self.condition}"


class DuplicateRowsBetween(NumberCheck, frozen=True, kw_only=True):
    """The number of rows that repeat another lies in a range: rows less distinct rows, of some columns or of all."""

    subject = "table"
    subjects = ("table", "columns", "column")
    what = "number of rows that repeat another"

    def before(self, target: Target) -> Mapping[str, tuple[Metric, ...]]:
        """The schema, for a whole row."""
        return {} if target.names else {"": ()}

    def informed(self, target: Target, known: Known) -> Check:
        """The same of every column."""
        given = {name: getattr(self, name) for name in self.__struct_fields__}
        return _DuplicatesOf(**given, of=tuple(known.schema))

    def metrics(self, target: Target) -> tuple[Metric, ...]:
        """How the rows fall into groups."""
        return (Grouping(where=target.where, columns=target.names),)

    def value(self, target: Target, answers: Answers) -> Any:
        """The repetitions."""
        groups = answers[self.metrics(target)[0]]
        return groups["rows"] - groups["groups"]


class _DuplicatesOf(DuplicateRowsBetween, frozen=True, kw_only=True):
    of: tuple[str, ...]

    def before(self, target: Target) -> Mapping[str, tuple[Metric, ...]]:
        return {}

    def metrics(self, target: Target) -> tuple[Metric, ...]:
        return (Grouping(where=target.where, columns=self.of),)


class _SchemaCheck(Check, frozen=True, kw_only=True):
    needs_columns = False

    def metrics(self, target: Target) -> tuple[Metric, ...]:
        """The schema is enough."""
        return ()


class ColumnExists(_SchemaCheck, frozen=True, kw_only=True):
    """The column is there, at `column_index` when one is given."""

    column_index: int | None = None

    def judge(self, target: Target, answers: Answers, schema: Schema) -> Judgement:
        """Look it up."""
        names = list(schema)
        if target.column not in schema:
            return Judgement(passed=False, message="the table has no such column")
        place = names.index(target.column)
        passed = self.column_index in {None, place}
        return Judgement(passed=passed, observed=place, message="" if passed else f"it is column number {place}")

    def expected(self) -> str:
        """In words."""
        return "to exist" if self.column_index is None else f"to exist as column number {self.column_index}"


class _TypeCheck(Check, frozen=True, kw_only=True):
    def accepted(self) -> tuple[str, ...]:
        """The types that are accepted: kinds (`integer`, `text`) or an engine's own names (`Int64`)."""
        raise NotImplementedError

    def metrics(self, target: Target) -> tuple[Metric, ...]:
        """The schema is enough."""
        return ()

    def judge(self, target: Target, answers: Answers, schema: Schema) -> Judgement:
        """Compare kinds and names, those of other systems too, without regard to case."""
        found = schema[target.column]
        passed = any(is_of_type(found, name) for name in self.accepted())
        return Judgement(passed=passed, observed=found.dtype, message="" if passed else f"it is {found.dtype}")

    def expected(self) -> str:
        """In words."""
        return f"to be of type {' or '.join(self.accepted())}"


class ColumnTypeIn(_TypeCheck, frozen=True, kw_only=True):
    """The column's type is one of several."""

    type_list: tuple[str, ...]

    def accepted(self) -> tuple[str, ...]:
        """The list."""
        return self.type_list


class ColumnTypeIs(_TypeCheck, frozen=True, kw_only=True):
    """The column's type is this one: a kind (`integer`), the engine's name (`Int64`) or another's (`BIGINT`)."""

    type_: str

    def accepted(self) -> tuple[str, ...]:
        """The one."""
        return (self.type_,)


class ColumnCountBetween(NumberCheck, frozen=True, kw_only=True):
    """The number of columns lies in a range."""

    subject = "table"
    what = "number of columns"

    def metrics(self, target: Target) -> tuple[Metric, ...]:
        """The schema is enough."""
        return ()

    def judge(self, target: Target, answers: Answers, schema: Schema) -> Judgement:
        """Count them."""
        ends = {"strict_low": self.strict_min, "strict_high": self.strict_max}
        passed = in_range(len(schema), self.min_value, self.max_value, **ends)
        return Judgement(passed=passed, observed=len(schema), message="" if passed else f"there are {len(schema)}")


class ColumnCountEquals(_SchemaCheck, frozen=True, kw_only=True):
    """There are exactly so many columns."""

    subject = "table"
    value: int

    def judge(self, target: Target, answers: Answers, schema: Schema) -> Judgement:
        """Count them."""
        passed = len(schema) == self.value
        return Judgement(passed=passed, observed=len(schema), message="" if passed else f"there are {len(schema)}")

    def expected(self) -> str:
        """In words."""
        return f"to have {self.value} columns"


class ColumnNamesMatch(_SchemaCheck, frozen=True, kw_only=True):
    """The name of every column matches a regular expression as a whole."""

    subject = "table"
    regex: str

    def __post_init__(self) -> None:
        check_regex(self.regex)

    def judge(self, target: Target, answers: Answers, schema: Schema) -> Judgement:
        """Look at each name."""
        odd = [name for name in schema if not re.fullmatch(self.regex, name)]
        return Judgement(passed=not odd, observed=odd, message=f"these do not: {odd[:10]}" if odd else "")

    def expected(self) -> str:
        """In words."""
        return f"to have columns whose names match {self.regex!r}"


class ColumnsMatchOrderedList(_SchemaCheck, frozen=True, kw_only=True):
    """The columns are these, in this order."""

    subject = "table"
    column_list: tuple[str, ...]

    def judge(self, target: Target, answers: Answers, schema: Schema) -> Judgement:
        """Compare name by name."""
        names = list(schema)
        pairs = enumerate(itertools.zip_longest(self.column_list, names))
        odd = [{"Expected Column Position": k, "Expected": a, "Found": b} for k, (a, b) in pairs if a != b]
        details = {"mismatched": odd} if odd else {}
        message = f"the columns are {names}" if odd else ""
        return Judgement(passed=not odd, observed=names, message=message, details=details)

    def expected(self) -> str:
        """In words."""
        return f"to have the columns {list(self.column_list)} in this order"


class ColumnsMatchSet(_SchemaCheck, frozen=True, kw_only=True):
    """The columns are these in any order; others may be there too unless `exact_match`."""

    subject = "table"
    column_set: tuple[str, ...]
    exact_match: bool | None = True

    def judge(self, target: Target, answers: Answers, schema: Schema) -> Judgement:
        """Compare as sets."""
        absent = sorted(set(self.column_set) - set(schema))
        extra = sorted(set(schema) - set(self.column_set))
        odd = {word: names for word, names in (("missing", absent), ("unexpected", extra)) if names}
        passed = not absent and not (extra and self.exact_match)
        message = "" if passed else "; ".join(f"{word} {names}" for word, names in odd.items())
        return Judgement(
            passed=passed, observed=list(schema), message=message, details={"mismatched": odd} if odd else {}
        )

    def expected(self) -> str:
        """In words."""
        return f"to have {'exactly' if self.exact_match else 'at least'} the columns {sorted(self.column_set)}"


class ColumnsAmong(_SchemaCheck, frozen=True, kw_only=True):
    """There are no columns but these; not all of them need be there."""

    subject = "table"
    column_set: tuple[str, ...]

    def judge(self, target: Target, answers: Answers, schema: Schema) -> Judgement:
        """Look for others."""
        others = [name for name in schema if name not in self.column_set]
        kinds = {name: schema[name].kind for name in others}
        message = f"also {others[:20]}" if others else ""
        return Judgement(passed=not others, observed=others, message=message, details={"kinds": kinds})

    def expected(self) -> str:
        """In words."""
        return f"to have no columns but {', '.join(self.column_set[:20])}"


class RowsSatisfy(RowCheck, frozen=True, kw_only=True):
    """A condition in SQL holds of every row; unknown (because of a null) counts as not."""

    subject = "table"
    condition: str

    def ignored(self, target: Target) -> AnyPredicate | None:
        """Nothing."""
        return None

    def holds(self, target: Target) -> AnyPredicate:
        """The condition."""
        return Sql(self.condition)

    def expected(self) -> str:
        """In words."""
        return f"to satisfy {self.condition}"
