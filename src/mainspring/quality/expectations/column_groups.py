"""Expectations about several columns of a row together."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from mainspring.engines.tables import (
    All,
    AnyOf,
    AnyPredicate,
    Compare,
    DistinctInRow,
    Duplicated,
    Grouping,
    InTable,
    InTuples,
    Metric,
    Missing,
    Not,
    RowSum,
    SameInRow,
    Scalar,
)
from mainspring.kernel.errors import InvalidInput
from mainspring.quality.expectations.base import (
    Answers,
    Check,
    IgnoreRowIf,
    Judgement,
    Known,
    RowCheck,
    Schema,
    Target,
    missing_rows,
)

__all__ = [
    "ColumnsComplete",
    "ColumnsDetermine",
    "CompoundUnique",
    "ForeignKey",
    "PairEqual",
    "PairGreater",
    "PairInSet",
    "PairRelation",
    "RowSumEquals",
    "SameWithinRow",
    "UniqueWithinRow",
]


class _MultiCheck(RowCheck, frozen=True, kw_only=True):
    subject = "columns"
    ignore_row_if: IgnoreRowIf = "all_values_are_missing"

    def ignored(self, target: Target) -> AnyPredicate | None:
        """What `ignore_row_if` says."""
        return missing_rows(target.columns, self.ignore_row_if)


class CompoundUnique(_MultiCheck, frozen=True, kw_only=True):
    """No two rows have the same values in all the columns; missing values equal each other."""

    def holds(self, target: Target) -> AnyPredicate:
        """No other row has these values."""
        return Not(Duplicated(target.columns))

    def expected(self) -> str:
        """In words."""
        return "to be unique together"


class UniqueWithinRow(_MultiCheck, frozen=True, kw_only=True):
    """No two of the columns of a row hold the same value."""

    def holds(self, target: Target) -> AnyPredicate:
        """All different."""
        return DistinctInRow(target.columns)

    def expected(self) -> str:
        """In words."""
        return "to differ from each other in each row"


class SameWithinRow(_MultiCheck, frozen=True, kw_only=True):
    """The columns of a row all hold the same value."""

    def holds(self, target: Target) -> AnyPredicate:
        """All the same."""
        return SameInRow(target.columns)

    def expected(self) -> str:
        """In words."""
        return "to equal each other in each row"


class RowSumEquals(_MultiCheck, frozen=True, kw_only=True):
    """The columns of a row add up to a number."""

    sum_total: float

    def holds(self, target: Target) -> AnyPredicate:
        """The sum is the number."""
        return RowSum(target.columns, self.sum_total, self.sum_total)

    def expected(self) -> str:
        """In words."""
        return f"to add up to {self.sum_total:g} in each row"


class ColumnsComplete(RowCheck, frozen=True, kw_only=True):
    """In each row `all` of the columns are there, or `any` of them."""

    subject = "columns"
    need: Literal["all", "any"] = "all"

    def ignored(self, target: Target) -> AnyPredicate | None:
        """Nothing: missing values are what is asked about."""
        return None

    def holds(self, target: Target) -> AnyPredicate:
        """They are there."""
        there = tuple(Not(Missing(name)) for name in target.columns)
        return All(there) if self.need == "all" else AnyOf(there)

    def expected(self) -> str:
        """In words."""
        return "to be there" if self.need == "all" else "to be there in one of them"


class _PairCheck(RowCheck, frozen=True, kw_only=True):
    subject = "columns"
    ignore_row_if: IgnoreRowIf = "both_values_are_missing"

    def ignored(self, target: Target) -> AnyPredicate | None:
        """What `ignore_row_if` says."""
        return missing_rows(target.columns, self.ignore_row_if)

    def check_subject(self, target: Target) -> None:
        """Two of them."""
        if len(target.columns) != 2:
            raise InvalidInput(f"a pair is two columns, not {list(target.columns)}")


class PairRelation(_PairCheck, frozen=True, kw_only=True):
    """The two columns stand in a relation; a missing value stands in none."""

    relation: Literal["==", "!=", "<", "<=", ">", ">="]

    def holds(self, target: Target) -> AnyPredicate:
        """Compare within the row."""
        return Compare(target.columns[0], self.relation, target.columns[1])

    def expected(self) -> str:
        """In words."""
        return f"to be {self.relation} one another"


class PairGreater(_PairCheck, frozen=True, kw_only=True):
    """The first column is greater than the second, or equal with `or_equal`."""

    or_equal: bool | None = False

    def holds(self, target: Target) -> AnyPredicate:
        """Compare within the row."""
        return Compare(target.columns[0], ">=" if self.or_equal else ">", target.columns[1])

    def expected(self) -> str:
        """In words."""
        return f"to be greater {'or equal ' if self.or_equal else ''}in the first column than in the second"


class PairEqual(_PairCheck, frozen=True, kw_only=True):
    """The two columns are equal."""

    def holds(self, target: Target) -> AnyPredicate:
        """Compare within the row."""
        return Compare(target.columns[0], "==", target.columns[1])

    def expected(self) -> str:
        """In words."""
        return "to be equal in both columns"


class PairInSet(_PairCheck, frozen=True, kw_only=True):
    """The two values together are one of the pairs of a set; null in a pair is a missing value."""

    value_pairs_set: tuple[tuple[Scalar | None, Scalar | None], ...]

    def holds(self, target: Target) -> AnyPredicate:
        """The pair is one of them."""
        return InTuples(target.columns, self.value_pairs_set)

    def expected(self) -> str:
        """In words."""
        return f"to be one of {len(self.value_pairs_set)} pairs"


class ForeignKey(RowCheck, frozen=True, kw_only=True):
    """The values occur in another table; rows where one is missing are not asked.

    `keys` are the columns of the other table, the same names when they are not given.
    """

    subject = "columns"
    subjects = ("column", "columns")
    table: str
    keys: tuple[str, ...] = ()
    missing: Literal["ignored", "unexpected"] = "ignored"

    def ignored(self, target: Target) -> AnyPredicate | None:
        """Rows where one of them is missing, unless that is unexpected."""
        return missing_rows(target.names, "any_value_is_missing") if self.missing == "ignored" else None

    def check_subject(self, target: Target) -> None:
        """As many keys as columns."""
        if self.keys and len(self.keys) != len(target.names):
            raise InvalidInput(f"{len(target.names)} columns are looked up by {len(self.keys)} keys")

    def before(self, target: Target) -> Mapping[str, tuple[Metric, ...]]:
        """That the other table is there."""
        return {self.table: ()}

    def informed(self, target: Target, known: Known) -> RowCheck:
        """The same, once the other table is known to be there."""
        if known.other(self.table) is None:
            raise InvalidInput(f"there is no table {self.table!r} to look values up in")
        return _Lookup(table=self.table, keys=self.keys, missing=self.missing)

    def holds(self, target: Target) -> AnyPredicate:
        """The values are there."""
        return InTable(target.names, self.table, self.keys or target.names)

    def expected(self) -> str:
        """In words."""
        return f"to occur in {self.table}"


class _Lookup(ForeignKey, frozen=True, kw_only=True):
    def before(self, target: Target) -> Mapping[str, tuple[Metric, ...]]:
        return {}


class ColumnsDetermine(Check, frozen=True, kw_only=True):
    """Rows that agree in the columns agree in `dependent`, too: a functional dependency.

    A missing dependent is a value of its own; rows where a determining column is missing are not asked.
    `observed` is how many combinations of the columns go with more than they should.
    """

    subject = "columns"
    subjects = ("column", "columns")
    dependent: tuple[str, ...]
    max_violations: int = 0

    def __post_init__(self) -> None:
        if not self.dependent:
            raise InvalidInput("dependent is empty")

    def check_target(self, target: Target, schema: Schema) -> None:
        """The dependent columns are needed, too."""
        super().check_target(Target(columns=(*target.names, *self.dependent)), schema)

    def metrics(self, target: Target) -> tuple[Metric, ...]:
        """Combinations without and with the dependent columns."""
        there = tuple(Not(Missing(name)) for name in target.names)
        where = All(there if target.where is None else (target.where, *there))
        return (
            Grouping(where=where, columns=target.names),
            Grouping(where=where, columns=(*target.names, *self.dependent)),
        )

    def judge(self, target: Target, answers: Answers, schema: Schema) -> Judgement:
        """As many combinations with as without."""
        without, with_dependent = (answers[metric]["groups"] for metric in self.metrics(target))
        extra: Any = with_dependent - without
        passed = extra <= self.max_violations
        return Judgement(passed=passed, observed=extra, message="" if passed else f"{extra} combinations too many")

    def expected(self) -> str:
        """In words."""
        return f"to determine {', '.join(self.dependent)}"
