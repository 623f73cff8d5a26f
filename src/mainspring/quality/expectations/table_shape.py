"""Expectations about a table as a whole, and about several of its columns together."""

from __future__ import annotations

from mainspring.engines.tables import AnyOf, AnyPredicate, Compare, Count, Duplicated, Metric, Missing, Not, Sql
from mainspring.kernel.errors import InvalidInput
from mainspring.quality.expectations.base import (
    Answers,
    Check,
    Judgement,
    RowCheck,
    Schema,
    Target,
    in_range,
    range_text,
)

__all__ = [
    "ColumnCountBetween",
    "ColumnExists",
    "ColumnTypeIn",
    "ColumnTypeIs",
    "ColumnsMatchOrderedList",
    "ColumnsMatchSet",
    "CompoundUnique",
    "PairEqual",
    "PairGreater",
    "RowCountBetween",
    "RowsSatisfy",
]


class RowCountBetween(Check, frozen=True, kw_only=True):
    """The number of rows lies in a range."""

    subject = "table"
    min_value: int | None = None
    max_value: int | None = None

    def __post_init__(self) -> None:
        if self.min_value is None and self.max_value is None:
            raise InvalidInput("a range needs min_value, max_value or both")

    def metrics(self, target: Target) -> tuple[Metric, ...]:
        """The rows."""
        return (Count(where=target.where),)

    def judge(self, target: Target, answers: Answers, schema: Schema) -> Judgement:
        """As many as expected."""
        rows = answers[Count(where=target.where)]
        passed = in_range(rows, self.min_value, self.max_value)
        return Judgement(passed=passed, observed=rows, message="" if passed else f"there are {rows} rows")

    def expected(self) -> str:
        """In words."""
        return f"to have a number of rows {range_text(self.min_value, self.max_value)}"


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
        """Compare kinds and names without regard to case."""
        found = schema[target.column]
        passed = bool({found.kind, found.dtype.casefold()} & {name.casefold() for name in self.accepted()})
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
    """The column's type is this one."""

    type_: str

    def accepted(self) -> tuple[str, ...]:
        """The one."""
        return (self.type_,)


class ColumnCountBetween(_SchemaCheck, frozen=True, kw_only=True):
    """The number of columns lies in a range."""

    subject = "table"
    min_value: int | None = None
    max_value: int | None = None

    def judge(self, target: Target, answers: Answers, schema: Schema) -> Judgement:
        """Count them."""
        passed = in_range(len(schema), self.min_value, self.max_value)
        return Judgement(passed=passed, observed=len(schema), message="" if passed else f"there are {len(schema)}")

    def expected(self) -> str:
        """In words."""
        return f"to have a number of columns {range_text(self.min_value, self.max_value)}"


class ColumnsMatchOrderedList(_SchemaCheck, frozen=True, kw_only=True):
    """The columns are these, in this order."""

    subject = "table"
    column_list: tuple[str, ...]

    def judge(self, target: Target, answers: Answers, schema: Schema) -> Judgement:
        """Compare name by name."""
        names = list(schema)
        passed = names == list(self.column_list)
        return Judgement(passed=passed, observed=names, message="" if passed else f"the columns are {names}")

    def expected(self) -> str:
        """In words."""
        return f"to have the columns {list(self.column_list)} in this order"


class ColumnsMatchSet(_SchemaCheck, frozen=True, kw_only=True):
    """The columns are these in any order; others may be there too unless `exact_match`."""

    subject = "table"
    column_set: tuple[str, ...]
    exact_match: bool = True

    def judge(self, target: Target, answers: Answers, schema: Schema) -> Judgement:
        """Compare as sets."""
        absent = sorted(set(self.column_set) - set(schema))
        extra = sorted(set(schema) - set(self.column_set)) if self.exact_match else []
        parts = [f"{word} {names}" for word, names in (("missing", absent), ("unexpected", extra)) if names]
        return Judgement(passed=not parts, observed=list(schema), message="; ".join(parts))

    def expected(self) -> str:
        """In words."""
        return f"to have {'exactly' if self.exact_match else 'at least'} the columns {sorted(self.column_set)}"


class CompoundUnique(RowCheck, frozen=True, kw_only=True):
    """No two rows have the same values in all the columns; rows where one of them is missing are not asked."""

    subject = "columns"

    def ignored(self, target: Target) -> AnyPredicate | None:
        """Rows where any part of the key is missing."""
        return AnyOf(tuple(Missing(name) for name in target.columns))

    def holds(self, target: Target) -> AnyPredicate:
        """No other row has these values."""
        return Not(Duplicated(target.columns))

    def expected(self) -> str:
        """In words."""
        return "to be unique together"


class _PairCheck(RowCheck, frozen=True, kw_only=True):
    subject = "columns"

    def ignored(self, target: Target) -> AnyPredicate | None:
        """Rows where either value is missing."""
        return AnyOf(tuple(Missing(name) for name in target.columns))

    def pair(self, target: Target) -> tuple[str, str]:
        """The two columns."""
        if len(target.columns) != 2:
            raise InvalidInput(f"a pair is two columns, not {list(target.columns)}")
        return target.columns[0], target.columns[1]


class PairGreater(_PairCheck, frozen=True, kw_only=True):
    """The first column is greater than the second, or equal with `or_equal`."""

    or_equal: bool = False

    def holds(self, target: Target) -> AnyPredicate:
        """Compare within the row."""
        left, right = self.pair(target)
        return Compare(left, ">=" if self.or_equal else ">", right)

    def expected(self) -> str:
        """In words."""
        return f"to be greater {'or equal ' if self.or_equal else ''}in the first column than in the second"


class PairEqual(_PairCheck, frozen=True, kw_only=True):
    """The two columns are equal."""

    def holds(self, target: Target) -> AnyPredicate:
        """Compare within the row."""
        left, right = self.pair(target)
        return Compare(left, "==", right)

    def expected(self) -> str:
        """In words."""
        return "to be equal in both columns"


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
