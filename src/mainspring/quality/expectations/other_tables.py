"""Expectations that compare a table with another: with one it belongs to, or with its own version before.

The other table is told by name, `validate_table(..., others={"previous": ...})`. Where it is None, because there is no
version before the first, what is compared with it holds.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import Any, ClassVar, Literal

from mainspring.engines.tables import Aggregate, ColumnType, Count, Metric
from mainspring.kernel import clock
from mainspring.kernel.errors import InvalidInput
from mainspring.quality.expectations.base import (
    Answers,
    Check,
    Judgement,
    Known,
    Schema,
    Subject,
    Target,
    in_range,
    moment,
    range_text,
    short,
)
from mainspring.quality.expectations.column_aggregates import (
    MaxBetween,
    MeanBetween,
    MedianBetween,
    MinBetween,
    NumberCheck,
    ProportionNonNull,
    ProportionUnique,
    StdBetween,
    SumBetween,
    UniqueCountBetween,
)
from mainspring.quality.expectations.table_shape import RowCountBetween
from mainspring.quality.expectations.type_names import canonical

__all__ = [
    "MEASURES",
    "FreshValues",
    "NearOther",
    "RowCountEqualsOther",
    "RowCountNearOther",
    "SchemaEvolves",
    "SchemaMatches",
]

MEASURES: dict[str, type[NumberCheck]] = {
    "completeness": ProportionNonNull,
    "distinct": UniqueCountBetween,
    "maximum": MaxBetween,
    "mean": MeanBetween,
    "median": MedianBetween,
    "minimum": MinBetween,
    "rows": RowCountBetween,
    "standard_deviation": StdBetween,
    "sum": SumBetween,
    "uniqueness": ProportionUnique,
}
"""The numbers that can be compared between two tables."""


class Decided(Check, frozen=True, kw_only=True):
    """What was decided before any metric was asked for."""

    subjects = ("table", "column", "columns")
    judgement: Judgement
    words: str

    def metrics(self, target: Target) -> tuple[Metric, ...]:
        return ()

    def judge(self, target: Target, answers: Answers, schema: Schema) -> Judgement:
        return self.judgement

    def expected(self) -> str:
        return self.words


class OfOther(Check, frozen=True, kw_only=True):
    """A check that is decided as soon as another table is known."""

    def metrics(self, target: Target) -> tuple[Metric, ...]:
        """Nothing until the other table is known."""
        return ()

    def judge(self, target: Target, answers: Answers, schema: Schema) -> Judgement:
        """Never asked before the other table is known."""
        raise InvalidInput("the other table is not known yet")

    def _decided(self, judgement: Judgement) -> Check:
        return Decided(judgement=judgement, words=self.expected())

    def _first(self, name: str) -> Check:
        return self._decided(Judgement(passed=True, message=f"there is no {name} table to compare with"))


class RowCountEqualsOther(OfOther, frozen=True, kw_only=True):
    """There are as many rows as in another table."""

    subject = "table"
    other_table_name: str

    def before(self, target: Target) -> Mapping[str, tuple[Metric, ...]]:
        """The rows of both."""
        return {"": (Count(where=target.where),), self.other_table_name: (Count(),)}

    def informed(self, target: Target, known: Known) -> Check:
        """Compare."""
        other = known.other(self.other_table_name)
        if other is None:
            return self._first(self.other_table_name)
        counts = {"self": known.answers[Count(where=target.where)], "other": other.answers[Count()]}
        passed = counts["self"] == counts["other"]
        message = "" if passed else f"there are {counts['self']} rows and {counts['other']} in {self.other_table_name}"
        return self._decided(Judgement(passed=passed, observed=counts, message=message))

    def expected(self) -> str:
        """In words."""
        return f"to have as many rows as {self.other_table_name}"


class NearOther(OfOther, frozen=True, kw_only=True):
    """A number is near what it is in another table, usually the version before.

    `min_ratio` and `max_ratio` bound the number divided by the other's, `max_change` how far apart the two are.
    """

    subjects: ClassVar[tuple[Subject, ...]] = ("column", "table")
    measure: str
    min_ratio: float | None = None
    max_ratio: float | None = None
    max_change: float | None = None
    table: str = "previous"

    def __post_init__(self) -> None:
        if self.measure not in MEASURES:
            raise InvalidInput(f"{self.measure!r} is no number of a table", known=sorted(MEASURES))
        if self.min_ratio is None and self.max_ratio is None and self.max_change is None:
            raise InvalidInput("say how near with min_ratio, max_ratio or max_change")

    def check_subject(self, target: Target) -> None:
        """Rows are of the table, anything else of a column."""
        if (self.measure == "rows") == bool(target.column):
            what = "the table" if self.measure == "rows" else "a column"
            raise InvalidInput(f"the measure {self.measure!r} is of {what}")

    def before(self, target: Target) -> Mapping[str, tuple[Metric, ...]]:
        """The number in both."""
        asked = MEASURES[self.measure]().metrics(target)
        return {"": asked, self.table: asked}

    def informed(self, target: Target, known: Known) -> Check:
        """Compare."""
        other = known.other(self.table)
        if other is None:
            return self._first(self.table)
        measure = MEASURES[self.measure]()
        mine, theirs = measure.value(target, known.answers), measure.value(target, other.answers)
        if isinstance(mine, str) or isinstance(theirs, str):
            raise InvalidInput(f"the {self.measure} of {target.column} is no number")
        seen: dict[str, Any] = {"value": mine, self.table: theirs}
        if mine is None or theirs is None:
            message = "" if mine is theirs else f"it is {short(mine)}, in {self.table} {short(theirs)}"
            return self._decided(Judgement(passed=mine is theirs, observed=seen, message=message))
        # Nothing has a ratio to 0 but 0 itself, which is the same.
        seen["ratio"] = ratio = mine / theirs if theirs else 1.0 if not mine else float("inf")
        passed = (
            (self.min_ratio is None or ratio >= self.min_ratio)
            and (self.max_ratio is None or ratio <= self.max_ratio)
            and (self.max_change is None or abs(mine - theirs) <= self.max_change)
        )
        message = "" if passed else f"it is {short(mine)}, in {self.table} {short(theirs)}"
        return self._decided(Judgement(passed=passed, observed=seen, message=message))

    def expected(self) -> str:
        """In words."""
        ends = (("at least {:g} times", self.min_ratio), ("at most {:g} times", self.max_ratio),
                ("no further than {:g} from", self.max_change))  # fmt: skip
        near = " and ".join(words.format(end) for words, end in ends if end is not None)
        return f"to have a {self.measure.replace('_', ' ')} {near} that of {self.table}"


class RowCountNearOther(NearOther, frozen=True, kw_only=True):
    """The number of rows, the volume, is near that of another table, usually the version before."""

    subjects = ("table",)
    measure: str = "rows"


class SchemaEvolves(OfOther, frozen=True, kw_only=True):
    """The columns changed, against the version before, only in ways that are allowed.

    `type_changes`: `none`; `widening` (a number to a wider one of its kind, whole numbers to floats, a date to a
    moment); `any`.
    """

    subject = "table"
    new_columns: bool = True
    missing_columns: bool = False
    reordering: bool = True
    type_changes: Literal["none", "widening", "any"] = "widening"
    table: str = "previous"

    def before(self, target: Target) -> Mapping[str, tuple[Metric, ...]]:
        """Both schemas."""
        return {"": (), self.table: ()}

    def informed(self, target: Target, known: Known) -> Check:
        """Compare."""
        other = known.other(self.table)
        if other is None:
            return self._first(self.table)
        mine, theirs = known.schema, other.schema
        added = [name for name in mine if name not in theirs]
        gone = [name for name in theirs if name not in mine]
        kept = [name for name in mine if name in theirs]
        changed = {
            name: [theirs[name].dtype, mine[name].dtype] for name in kept if not self._allows(theirs[name], mine[name])
        }
        moved = kept != [name for name in theirs if name in mine]
        parts = [f"new: {', '.join(added)}"] if added and not self.new_columns else []
        parts += [f"gone: {', '.join(gone)}"] if gone and not self.missing_columns else []
        parts += [f"{name} was {before} and is {after}" for name, (before, after) in changed.items()]
        parts += ["the order changed"] if moved and not self.reordering else []
        seen = {"new": added, "missing": gone, "changed": changed, "reordered": moved}
        return self._decided(Judgement(passed=not parts, observed=seen, message="; ".join(parts)))

    def _allows(self, before: ColumnType, after: ColumnType) -> bool:
        if self.type_changes == "any" or before == after:
            return True
        if self.type_changes == "none":
            return False
        if (before.kind, after.kind) in {("integer", "float"), ("integer", "decimal"), ("date", "datetime")}:
            return True
        old, new = canonical(before.dtype), canonical(after.dtype)
        if before.kind != after.kind or old is None or new is None:
            return before.kind == after.kind and before.kind not in {"integer", "float"}
        signs = (old.bits < 0) == (new.bits < 0) or (old.bits < 0 and new.bits > 0 and new.bits > -old.bits)
        return signs and abs(new.bits) >= abs(old.bits)

    def expected(self) -> str:
        """In words."""
        return f"to have columns that changed as allowed since {self.table}"


class SchemaMatches(OfOther, frozen=True, kw_only=True):
    """The share of the columns of another table that are here, of the same type, lies in a range."""

    subject = "table"
    table: str
    min_value: float | None = 1.0
    max_value: float | None = None
    strict_min: bool = False
    strict_max: bool = False

    def before(self, target: Target) -> Mapping[str, tuple[Metric, ...]]:
        """Both schemas."""
        return {"": (), self.table: ()}

    def informed(self, target: Target, known: Known) -> Check:
        """Compare."""
        other = known.other(self.table)
        if other is None:
            return self._first(self.table)
        mine = known.schema
        odd = [name for name, kind in other.schema.items() if name not in mine or mine[name].kind != kind.kind]
        share = 1 - len(odd) / len(other.schema) if other.schema else 1.0
        ends = {"strict_low": self.strict_min, "strict_high": self.strict_max}
        passed = in_range(share, self.min_value, self.max_value, **ends)
        message = "" if passed else f"{', '.join(odd[:10])} of {self.table} are not here"
        return self._decided(Judgement(passed=passed, observed=share, message=message))

    def expected(self) -> str:
        """In words."""
        text = range_text(self.min_value, self.max_value, strict_low=self.strict_min, strict_high=self.strict_max)
        return f"to have a share of the columns of {self.table} {text}"


class FreshValues(Check, frozen=True, kw_only=True):
    """The newest value is not older than `max_age` seconds, by the clock or by `now`; nor is it later than now.

    `observed` is the age in seconds. Moments without a zone are taken to be in UTC.
    """

    max_age: float
    now: str | None = None
    future: float = 0.0
    """How many seconds ahead of the clock the newest value may be."""

    def __post_init__(self) -> None:
        if self.max_age < 0 or self.future < 0:
            raise InvalidInput("an age is not negative")
        if self.now is not None:
            moment(self.now)

    def metrics(self, target: Target) -> tuple[Metric, ...]:
        """The newest value."""
        return (Aggregate(where=target.where, column=target.column, function="max"),)

    def judge(self, target: Target, answers: Answers, schema: Schema) -> Judgement:
        """Its age."""
        newest = answers[self.metrics(target)[0]]
        if newest is None:
            return Judgement(passed=False, message="there is no newest value: every value is missing")
        now = clock.now() if self.now is None else moment(self.now)
        age = (now - moment(newest)).total_seconds()
        passed = -self.future <= age <= self.max_age
        seen = f"the newest value, {newest}, is {timedelta(seconds=round(age))} old"
        return Judgement(passed=passed, observed=age, message="" if passed else seen, details={"newest": newest})

    def expected(self) -> str:
        """In words."""
        return f"to have a newest value at most {timedelta(seconds=self.max_age)} old"
