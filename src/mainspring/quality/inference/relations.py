"""What holds between rows and between columns: keys, order, and columns that determine others.

Each is looked for where it would mean something, and promised only where chance would hardly have brought it about:
a key among rows enough, an order among values enough, a dependency that many rows could have broken and none did.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence

from mainspring.engines.tables import ColumnType, Count, Distinct, Metric, Missing, Not, Ordered, Table
from mainspring.quality.evaluation.intervals import wilson
from mainspring.quality.profiles.types import ColumnProfile, Profile
from mainspring.quality.types import Expectation

__all__ = ["dependencies", "keys", "orders", "sure"]

_KEY_ROWS = 20  # fewer rows say nothing of a key, nor of an order
_PAIRS = 15  # pairs of columns tried as a key
_DEPENDENCIES = 120  # pairs of columns tried as determining and determined
_REPEATED = 50  # rows that could break a dependency
_MINORITY = 20  # rows whose dependent value is not the most frequent one: among equal values anything is determined
_GROUP = 3.0  # rows with one value of the determining column, on average


def sure(total: int, bad: int = 0) -> float:
    """How sure a rule is that failed `bad` times in `total`: Wilson's lower bound of the share that holds.

    Example:
        >>> sure(10), sure(10_000)
        (0.7225, 0.9996)
    """
    return round(wilson(total - bad, total, 0.95)[0], 4)


def keys(profile: Profile, table: Table) -> list[Expectation]:
    """Columns without a value that occurs twice; where there is none, a pair of columns that tells all rows apart."""
    if profile.rows < _KEY_ROWS:
        return []
    types = table.schema()
    able = [
        each for each in profile.columns
        if each.family != "other" and types[each.name].kind not in _NO_KEY and not each.missing
    ]  # fmt: skip
    single = [each for each in able if each.distinct >= each.present * 0.93]
    exact = table.compute([Distinct(columns=(each.name,)) for each in single]) if single else {}
    found = [
        Expectation(
            kind="column_values_to_be_unique",
            column=each.name,
            confidence=sure(profile.rows),
            reason="no value occurs twice",
        )
        for each in single
        if exact[Distinct(columns=(each.name,))] == profile.rows
    ]
    if found:
        return found
    pair = _pair(able, table, profile.rows)
    if pair is None:
        return []
    reason = "no two rows agree in both, and no single column tells rows apart"
    return [
        Expectation(
            kind="compound_columns_to_be_unique", columns=pair, confidence=min(0.9, sure(profile.rows)), reason=reason
        )
    ]


def orders(profile: Profile, table: Table) -> list[Expectation]:
    """Columns whose values never go back, or never forward, in the order of the rows."""
    types = table.schema()
    able = [
        each.name
        for each in profile.columns
        if each.present >= _KEY_ROWS and each.distinct >= _KEY_ROWS / 2 and _has_order(types[each.name])
    ]
    ways: list[tuple[str, bool, bool]] = [(n, d, s) for n in able for d in (False, True) for s in (True, False)]
    asked = {way: _steps_back(*way) for way in ways}
    answers = table.compute(list(asked.values())) if asked else {}
    found = []
    for name in able:
        way = next((way for way in ways if way[0] == name and answers[asked[way]] == 0), None)
        if way is not None:
            _, descending, strict = way
            column = profile.column(name)
            found.append(
                Expectation(
                    kind=f"column_values_to_be_{'decreasing' if descending else 'increasing'}",
                    column=name,
                    arguments={"strictly": True} if strict else {},
                    severity="warning",
                    # By chance n different values stand in order once in n! times; what counts is how many there were.
                    confidence=sure(column.distinct),
                    reason=f"{column.present} values, none of which went {'forward' if descending else 'back'}",
                )
            )
    return found


def dependencies(profile: Profile, table: Table) -> list[Expectation]:
    """Columns that determine others: rows with one value of the first have one value of the second."""
    types = table.schema()
    able = {
        each.name: each
        for each in profile.columns
        if types[each.name].kind not in _NO_KEY and not each.missing and each.distinct >= 2
    }
    pairs = [
        (a, b)
        for a, b in itertools.permutations(able, 2)
        if able[a].distinct * _GROUP <= profile.rows
        and able[b].distinct <= able[a].distinct
        and profile.rows - able[a].distinct >= _REPEATED
        and _minority(able[b], profile.rows) >= _MINORITY
    ]
    pairs = sorted(pairs, key=lambda pair: able[pair[0]].distinct)[:_DEPENDENCIES]
    asked = {name: Distinct(columns=(name,)) for pair in pairs for name in pair}
    both = {pair: Distinct(columns=pair) for pair in pairs}
    answers = table.compute([*asked.values(), *both.values()]) if pairs else {}
    holding = {pair for pair in pairs if answers[both[pair]] == answers[asked[pair[0]]]}
    found: dict[str, list[str]] = {}
    for a, b in pairs:
        if (a, b) in holding and not _follows(a, b, holding):
            found.setdefault(a, []).append(b)
    return [_determines(a, tuple(bs), answers[asked[a]], profile.rows) for a, bs in found.items()]


def _determines(name: str, dependent: tuple[str, ...], values: int, rows: int) -> Expectation:
    return Expectation(
        kind="columns_to_determine",
        column=name,
        arguments={"dependent": list(dependent)},
        severity="warning",
        confidence=min(0.95, sure(rows - values)),
        reason=f"{values} values in {rows} rows, each with one {' and one '.join(dependent)}",
    )


def _follows(a: str, b: str, holding: set[tuple[str, str]]) -> bool:
    """Whether it goes without saying: the reverse of one said before, or by way of a third column."""
    if (b, a) in holding and b < a:
        return True
    return any(
        (a, c) in holding and (c, b) in holding and (c, a) not in holding for c in {x for x, _ in holding} - {a, b}
    )


def _minority(column: ColumnProfile, rows: int) -> int:
    """Rows that have another value than the most frequent one, as far as is known."""
    top = max((count for _, count in column.frequent.values), default=0)
    if column.family == "number" and column.sketch.is_exact:
        top = max((count for _, count in column.sketch.points()), default=0)
    return rows - int(top)


def _steps_back(name: str, descending: bool, strict: bool) -> Metric:  # noqa: FBT001 -- one of four ways
    ordered = Ordered(name, descending=descending, strict=strict)
    return Count(where=Not(Missing(name)), predicate=Not(ordered))


def _has_order(kind: ColumnType) -> bool:
    return kind.kind in ("integer", "float", "decimal", "date", "datetime")


def _pair(columns: Sequence[ColumnProfile], table: Table, rows: int) -> tuple[str, str] | None:
    """The pair of columns that tells all rows apart with the fewest combinations to spare."""
    pairs = [(a, b) for a, b in itertools.combinations(columns, 2) if a.distinct * b.distinct >= rows]
    pairs.sort(key=lambda pair: pair[0].distinct * pair[1].distinct)
    metrics: Mapping[tuple[str, str], Metric] = {
        (a.name, b.name): Distinct(columns=(a.name, b.name)) for a, b in pairs[:_PAIRS]
    }
    answers = table.compute([Count(), *metrics.values()]) if metrics else {}
    return next((pair for pair, metric in metrics.items() if answers[metric] == answers[Count()]), None)


_NO_KEY = {"float", "bool", "duration", "list", "struct", "binary", "other"}
