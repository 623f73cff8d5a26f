"""Metrics as SQL aggregates of one row, and how their answers are read.

A metric asks for some aggregates; equal ones are computed once. What cannot be known in one scan (deviations
from a mean, a quantile that is a value of the column) asks again with what the scan before said.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any, Literal

import msgspec

from mainspring.engines import metrics as ir
from mainspring.engines.metrics import Metric
from mainspring.engines.tables_sql_rows import Compiler
from mainspring.engines.tables_texts import FORMS, PATTERNS
from mainspring.engines.tables_types import ColumnType
from mainspring.engines.tables_values import (
    check_number,
    check_ordered,
    check_text,
    interpolate,
    is_aware,
    is_null,
    json_value,
    known,
)
from mainspring.kernel.errors import InvalidInput

__all__ = ["Ask", "Questions", "read_value"]

Ask = Callable[[Sequence[Any]], Any]
"""What an answer is, given the values of the aggregates that a metric asked for."""

Way = Literal["between", "value", "near"]
"""Which quantile: between two values, a value of the column, or one whose place is off by few."""

Aggregate = str | tuple[str, Way]
"""An aggregate in SQL; or quantiles of a value, whose shares are known only when all metrics have asked."""

_FEW = 20_000
"""So many values an engine may keep of each column to find a quantile."""
_MARGIN = 0.002
"""How far in shares from a quantile the ends are looked for between which it lies: twice what `near` may be off."""


class Unfinished(msgspec.Struct, frozen=True):
    """What is known of a metric that must ask again."""


class _Averaged(Unfinished, frozen=True):
    """Moments of which the mean is known."""

    count: int
    mean: float


class _Counted(Unfinished, frozen=True):
    """A quantile of so many values."""

    count: int


class _Near(Unfinished, frozen=True):
    """A quantile of so many values that should lie between two of them."""

    count: int
    low: float
    high: float


class _Narrowed(Unfinished, frozen=True):
    """The same, once it is known how many values are below the two and how many between, the ends included."""

    near: _Near
    below: int
    inside: int


class Questions:
    """The aggregates of one query, each once, and what each metric makes of them."""

    def __init__(self, compiler: Compiler) -> None:
        self.compiler = compiler
        self.dialect = compiler.dialect
        self.aggregates: dict[Aggregate, int] = {}
        self.asked: dict[Metric, tuple[list[int], Ask]] = {}
        self.shares: dict[tuple[str, Way], list[float]] = {}

    def answers(self, row: Sequence[Any]) -> dict[Metric, Any]:
        """What each metric makes of the one row of the query."""
        return {metric: read([row[place] for place in places]) for metric, (places, read) in self.asked.items()}

    def columns(self) -> list[str]:
        """The aggregates in SQL, once all metrics have asked."""
        said = []
        for aggregate in self.aggregates:
            if isinstance(aggregate, str):
                said.append(aggregate)
            else:
                value, way = aggregate
                shares = self.shares[aggregate]
                near = way == "near"
                said.append(
                    self.dialect.near(value, shares)
                    if near
                    else self.dialect.quantiles(value, shares, exact=way == "value")
                )
        return said

    def ask(self, metric: Metric) -> None:
        """Add a metric to the query."""
        aggregates, read = self._of(metric)
        places = [self.aggregates.setdefault(sql, len(self.aggregates)) for sql in aggregates]
        self.asked[metric] = (places, read)

    def ask_again(self, metric: Metric, before: Any) -> bool:
        """Add what a metric must ask once more, given what was said before; False when that was the answer."""
        match metric, before:
            case ir.Moments(), _Averaged():
                aggregates, read = self._powers(metric, before)
            case ir.Quantile(), _Near() if before.count > _FEW:
                aggregates, read = self._narrowed(metric, before)
            case ir.Quantile(), _Counted() | _Near():
                aggregates, read = self._neighbours(metric, self._number(metric.column), before.count)
            case ir.Quantile(), _Narrowed():
                aggregates, read = self._inside(metric, before)
            case _:
                return False
        places = [self.aggregates.setdefault(sql, len(self.aggregates)) for sql in aggregates]
        self.asked[metric] = (places, read)
        return True

    def _of(self, metric: Metric) -> tuple[Sequence[Aggregate], Ask]:  # noqa: PLR0911 -- one case for each metric of the set
        match metric:
            case ir.Count(predicate=None):
                return ["COUNT(*)"], _whole
            case ir.Count(predicate=predicate) if predicate is not None:
                return [self._count(self.compiler.holds(predicate))], _whole
            case ir.Aggregate():
                return self._aggregate(metric)
            case ir.Moments():
                value = self._number(metric.column)
                where = f"FILTER (WHERE {self.dialect.is_finite(value)})"
                return [f"COUNT(*) {where}", f"AVG({value}) {where}"], _first_moments
            case ir.Comoments():
                return self._comoments(metric)
            case ir.Quantile():
                return self._quantile(metric)
            case ir.Histogram():
                value = self._number(metric.column)
                below = [self._count(f"{value} < {self.dialect.real(edge)}") for edge in metric.edges]
                return [*below, f"COUNT({value})"], _between_edges
            case ir.TextForms():
                return self._forms(metric)
            case ir.Distinct():
                return [f"COUNT(DISTINCT {self._row(metric.columns)})"], _whole
        raise InvalidInput(f"{metric!r} is not a metric that a table can answer")

    def _row(self, columns: Sequence[str]) -> str:
        names = [self.compiler.column(name) for name in columns]
        if len(names) == 1:
            return names[0]
        complete = " AND ".join(f"{name} IS NOT NULL" for name in names)
        return f"CASE WHEN {complete} THEN ({', '.join(names)}) END"

    def _count(self, condition: str) -> str:
        return f"COUNT(*) FILTER (WHERE {condition})"

    def _number(self, column: str) -> str:
        kind = check_number(column, self.compiler.schema)
        value = self.compiler.column(column)
        if kind.kind == "bool":
            value = f"CAST({value} AS INT)"
        return value if kind.kind == "float" else self.dialect.number(value)

    def _aggregate(self, metric: ir.Aggregate) -> tuple[Sequence[Aggregate], Ask]:
        column, dialect = metric.column, self.dialect
        kind = self.compiler.schema[known(column, self.compiler.schema)]
        match metric.function:
            case "nulls":
                return [self._count(f"{self.compiler.raw(column)} IS NULL")], _whole
            case "nans":
                if column in self.compiler.plain or kind.kind not in {"float", "decimal"}:
                    return [], _zero
                missing = f"{self.compiler.column(column)} IS NULL AND {self.compiler.raw(column)} IS NOT NULL"
                return [self._count(missing)], _whole
            case "min" | "max":
                check_ordered(column, self.compiler.schema)
                value = dialect.least(self.compiler.column(column), kind, metric.function)
                return [dialect.output(value, kind)], lambda row: read_value(row[0], kind)
            case "min_length" | "max_length":
                check_text(column, self.compiler.schema)
                text = (
                    f"CAST({self.compiler.column(column)} AS {dialect.text})"
                    if is_null(kind)
                    else self.compiler.column(column)
                )
                return [f"{metric.function[:3].upper()}({dialect.length(text)})"], _whole
            case "sum":
                return self._sum(column, kind)
            case "mean":
                value = self._number(column)
                return [f"AVG({value})"], _float
            case "std":
                value = self._number(column)
                finite = dialect.is_finite(value)
                spread = f"STDDEV_SAMP({value}) FILTER (WHERE {finite})"
                return [spread, f"COUNT({value})", self._count(finite)], _spread
        raise InvalidInput(f"{metric.function!r} is not an aggregate")

    def _sum(self, column: str, kind: ColumnType) -> tuple[Sequence[Aggregate], Ask]:
        check_number(column, self.compiler.schema)
        value = self.compiler.column(column)
        if kind.kind in {"integer", "bool"}:
            value = f"CAST({value} AS INT)" if kind.kind == "bool" else value
            return [f"SUM(CAST({value} AS {self.dialect.whole}))"], lambda row: int(row[0] or 0)
        if kind.kind == "decimal":
            return [f"SUM({value})"], lambda row: float(row[0] or 0)
        return [f"SUM({self._number(column)})"], lambda row: float(row[0] or 0.0)

    def _comoments(self, metric: ir.Comoments) -> tuple[Sequence[Aggregate], Ask]:
        x, y = self._number(metric.x), self._number(metric.y)
        where = f"FILTER (WHERE {self.dialect.is_finite(x)} AND {self.dialect.is_finite(y)})"
        aggregates = [f"COUNT(*) {where}", f"AVG({x}) {where}", f"AVG({y}) {where}",
                      f"VAR_POP({x}) {where}", f"VAR_POP({y}) {where}", f"COVAR_POP({x}, {y}) {where}"]  # fmt: skip
        return aggregates, _comoments

    def _powers(self, metric: ir.Moments, first: _Averaged) -> tuple[Sequence[Aggregate], Ask]:
        value, mean = self._number(metric.column), self.dialect.real(first.mean)
        where = f"FILTER (WHERE {self.dialect.is_finite(value)})"
        deviation = f"({value} - {mean})"
        powers = [f"SUM({' * '.join([deviation] * power)}) {where}" for power in (2, 3, 4)]
        return powers, lambda row: [first.count, first.mean, *(float(each) for each in row)]

    def _quantile(self, metric: ir.Quantile) -> tuple[Sequence[Aggregate], Ask]:
        if not 0 <= metric.q <= 1:
            raise InvalidInput(f"{metric.q!r} is not a share between 0 and 1")
        value = self._number(metric.column)
        if self.dialect.keeps_values:
            ends = [self._place(value, min(max(metric.q + step, 0.0), 1.0), "near") for step in (-_MARGIN, _MARGIN)]
            return [f"COUNT({value})", (value, "near")], lambda row: _near(row, ends)
        if metric.interpolation != "linear":
            return [f"COUNT({value})"], lambda row: _Counted(int(row[0])) if row[0] else None
        place = self._place(value, metric.q, "between")
        return [f"COUNT({value})", (value, "between")], lambda row: _linear(row, place)

    def _place(self, value: str, share: float, way: Way) -> int:
        """Where the answer will be in the list of the quantiles of a value."""
        shares = self.shares.setdefault((value, way), [])
        if share not in shares:
            shares.append(share)
        return shares.index(share)

    def _narrowed(self, metric: ir.Quantile, near: _Near) -> tuple[Sequence[Aggregate], Ask]:
        value = self._number(metric.column)
        low, high = self.dialect.real(near.low), self.dialect.real(near.high)
        counts = [self._count(f"{value} < {low}"), self._count(f"{value} BETWEEN {low} AND {high}")]
        return counts, lambda row: _Narrowed(near, int(row[0]), int(row[1]))

    def _inside(self, metric: ir.Quantile, narrowed: _Narrowed) -> tuple[Sequence[Aggregate], Ask]:
        """The quantile, of the few values that are between the two."""
        value, near = self._number(metric.column), narrowed.near
        low, high = _places(metric, near.count)
        if not narrowed.below <= low <= high < narrowed.below + narrowed.inside:
            return self._neighbours(metric, value, near.count)
        ends = f"{self.dialect.real(near.low)} AND {self.dialect.real(near.high)}"
        inside = f"CASE WHEN {value} BETWEEN {ends} THEN {value} END"
        return self._neighbours(metric, inside, narrowed.inside, before=narrowed.below, count=near.count)

    def _neighbours(
        self, metric: ir.Quantile, value: str, there: int, *, before: int = 0, count: int | None = None
    ) -> tuple[Sequence[Aggregate], Ask]:
        """The values of the two places between which the quantile lies, by shares that name a place exactly.

        `value` has `there` of the `count` values of the column, those that `before` of them precede.
        """
        count = there if count is None else count
        low, high = _places(metric, count)
        places = [self._place(value, (place - before + 0.5) / there, "value") for place in (low, high)]
        weight = metric.q * (count - 1) - low if low < high else 0.0

        def read(row: Sequence[Any]) -> float:
            below, above = (float(row[0][place]) for place in places)
            return interpolate(below, above, weight)

        return [(value, "value")], read

    def _forms(self, metric: ir.TextForms) -> tuple[Sequence[Aggregate], Ask]:
        column = metric.column
        kind = check_text(column, self.compiler.schema)
        text = self.compiler.column(column)
        text = f"CAST({text} AS {self.dialect.text})" if is_null(kind) else text
        counts, before = [], ""
        for form in FORMS[:-1]:
            said = self.dialect.matches(text, PATTERNS[form])
            counts.append(self._count(f"{said}{before}"))
            before += f" AND {said} IS NOT TRUE"
        counts.append(self._count(f"{text} IS NOT NULL{before}"))
        counts.append(self._count(f"{text} IS NULL"))
        return counts, lambda row: dict(zip((*FORMS, "missing"), map(int, row), strict=True))


def read_value(value: Any, kind: ColumnType | None = None) -> Any:
    """A value that came out of an engine, as JSON types."""
    if kind is not None and is_aware(kind) and isinstance(value, datetime):
        return json_value(value.replace(tzinfo=UTC))
    if isinstance(value, Decimal) and kind is not None and kind.kind == "integer":
        return int(value)
    return value if isinstance(value, float) else json_value(value)


def _whole(row: Sequence[Any]) -> Any:
    return None if row[0] is None else int(row[0])


def _zero(row: Sequence[Any]) -> int:
    return len(row)


def _float(row: Sequence[Any]) -> float | None:
    return None if row[0] is None else float(row[0])


def _spread(row: Sequence[Any]) -> float | None:
    spread, count, finite = row
    if count > 1 and finite < count:
        return math.nan
    return None if spread is None or count < 2 else float(spread)


def _first_moments(row: Sequence[Any]) -> Any:
    return _Averaged(int(row[0]), float(row[1])) if row[0] else [0, 0.0, 0.0, 0.0, 0.0]


def _comoments(row: Sequence[Any]) -> list[Any]:
    n = int(row[0])
    mean_x, mean_y, *spread = (float(each or 0.0) for each in row[1:])
    return [n, mean_x, mean_y, *(n * each for each in spread)]


def _between_edges(row: Sequence[Any]) -> list[int]:
    return [after - before for before, after in itertools.pairwise([0, *map(int, row)])]


def _linear(row: Sequence[Any], place: int) -> Any:
    count, values = row
    if not count:
        return None
    value = float(values[place])
    # Between two infinities an engine subtracts one from the other; then the values themselves are asked for.
    return _Counted(int(count)) if math.isnan(value) else value


def _near(row: Sequence[Any], ends: Sequence[int]) -> _Near | None:
    count, values = row
    return _Near(int(count), *(float(values[end]) for end in ends)) if count else None


def _places(metric: ir.Quantile, count: int) -> tuple[int, int]:
    """The places of the values between which a quantile lies, in the order of the values, from 0."""
    position = metric.q * (count - 1)
    low, high = math.floor(position), math.ceil(position)
    if metric.interpolation == "linear":
        return low, high
    place = {"lower": low, "higher": high, "nearest": round(position)}[metric.interpolation]
    return place, place
