"""Runs taken together by what they share, with the mean, the spread and the extremes of their numbers.

The runs and what they are grouped by are read once; then each column is one range of a covering index, in a number of
statements that does not grow with runs or groups. Sums are exact (`math.fsum`), and so alike on both databases.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import msgspec

from mainspring.kernel.errors import InvalidInput
from mainspring.store.transaction import Transaction
from mainspring.tracking.query_sql import Keys, Scope, compile_query
from mainspring.tracking.query_steps import reader_at_step
from mainspring.tracking.query_tree import Field, Node
from mainspring.tracking.query_words import RUN_WORDS
from mainspring.tracking.search import View, scope_condition

__all__ = ["Groups", "RunGroup", "Spread", "group_runs"]

_FEW = 500
_DISTINCT = 4
_MOST_GROUPS = 10_000
_COLUMNS = {"last": "last", "min": "minimum", "max": "maximum", "count": "count", "step": "step"}
_BY = ("group", "status", "title", "user", "experiment", "parent")


class Spread(msgspec.Struct, frozen=True):
    """The values of one column in one group; of texts, only some that differ."""

    count: int = 0
    """Runs that have a value, those that are not finite too."""
    mean: float | None = None
    """Of the finite numbers, as the rest."""
    deviation: float | None = None
    """Of a sample; 0 for one number."""
    minimum: float | None = None
    maximum: float | None = None
    distinct: list[str] = []
    """Where nothing is a number: up to four of the texts, in order."""


class RunGroup(msgspec.Struct, frozen=True):
    """The runs with the same values of what is grouped by."""

    values: list[str | None]
    """In the order of `by`; None where a run has none."""
    runs: int
    running: int
    cells: list[Spread]
    """In the order of the fields."""


class Groups(msgspec.Struct, frozen=True):
    """The groups, the largest first."""

    groups: list[RunGroup]
    total: int
    """How many groups there are, those beyond the limit too."""
    runs: int
    """How many runs there are in all of them."""
    unknown: list[str] = []


def group_runs(
    tx: Transaction,
    node: Node | None,
    *,
    experiments: Sequence[int] | None,
    view: View,
    by: Sequence[Field],
    fields: Sequence[Field],
    limit: int,
) -> Groups:
    """The groups of the runs for which a tree is true, the largest first, then by their values.

    Args:
        tx: Where to look.
        node: The filter; None for all.
        experiments: Ids of experiments, or None for the whole workspace.
        view: `active`, `deleted` or `all` runs.
        by: Parameters, tags, or `group`, `status`, `title`, `user`, `experiment`, `parent`.
        fields: Metrics, parameters, tags, the same words or `duration`, of which each group has a `Spread`.
        limit: How many groups at most.

    Raises:
        InvalidInput: nothing can be grouped by that, or `limit` is not from 1 to 10,000.
    """
    if not 1 <= limit <= _MOST_GROUPS:
        raise InvalidInput(f"limit = {limit} is not from 1 to {_MOST_GROUPS:,}")
    if not by or len(by) > 10:
        raise InvalidInput("runs are grouped by one to ten things", known=_BY)
    for each in (*by, *fields):
        _check(each, grouping=each in by)
    scope = Scope(tx, experiments)
    keys = Keys(scope)
    words = list(dict.fromkeys(each.name for each in (*by, *fields) if each.space == "attribute"))
    base, condition = scope_condition(scope, view), compile_query(node, keys, tx, at_step=reader_at_step(tx, keys))
    columns = ", ".join(["r.number", "r.status", *(_attribute(each, tx) for each in words)])
    sql = f"SELECT {columns} FROM tracked_run r WHERE {base[0]} AND {condition[0]}"  # noqa: S608 -- of constants
    rows = tx.rows(sql, (*base[1], *condition[1]))
    reader = _Reader(tx, keys, rows, words)
    shared = [reader.texts(each) for each in by]
    members: dict[tuple[str | None, ...], list[int]] = {}
    for row in rows:
        members.setdefault(tuple(texts.get(row[0]) for texts in shared), []).append(row[0])
    largest = sorted(
        members.items(), key=lambda each: (-len(each[1]), [(text is None, text or "") for text in each[0]])
    )
    shown = largest[:limit]
    cells = [reader.spreads(each, [runs for _, runs in shown]) for each in fields]
    running = {row[0] for row in rows if row[1] == "running"}
    groups = [
        RunGroup(list(values), len(runs), sum(run in running for run in runs), [each[place] for each in cells])
        for place, (values, runs) in enumerate(shown)
    ]
    return Groups(groups, len(members), len(rows), keys.unknown)


def _check(field: Field, *, grouping: bool) -> None:
    if field.at is not None:
        raise InvalidInput("groups know the last values of metrics, and not those at a step")
    if grouping and field.space == "metric":
        raise InvalidInput(f"runs cannot be grouped by a metric: {field.name!r}", hint="group by params or tags")
    if field.space == "attribute" and field.name not in _BY and (grouping or field.name != "duration"):
        raise InvalidInput(f"runs cannot be grouped by {field.name!r}", known=_BY)


def _attribute(word: str, tx: Transaction) -> str:
    sql = RUN_WORDS.attributes[word].sql
    return "r.finished_at - r.started_at" if word == "duration" else sql.replace("{now}", str(tx.now_micros))


class _Reader:
    """Columns of the runs that were found, each read once."""

    def __init__(self, tx: Transaction, keys: Keys, rows: list[tuple[Any, ...]], words: list[str]) -> None:
        self._tx, self._keys, self._rows, self._words = tx, keys, rows, words

    def texts(self, field: Field) -> dict[int, str]:
        """What a person reads of each run that has it."""
        if field.space == "attribute":
            place = 2 + self._words.index(field.name)
            return {row[0]: row[place] for row in self._rows if row[place]}
        return self._logged("run_value", "text", field)

    def numbers(self, field: Field) -> dict[int, float | None]:
        """Finite numbers; None where there is another value."""
        if field.space == "attribute":
            if field.name != "duration":
                return dict.fromkeys(self.texts(field))
            place = 2 + self._words.index("duration")
            return {row[0]: row[place] / 1e6 for row in self._rows if row[place] is not None}
        if field.space != "metric":
            return self._logged("run_value", "number", field)
        found = self._logged("metric", _COLUMNS[field.part], field)
        return found if field.part == "last" else {run: value for run, value in found.items() if value is not None}

    def spreads(self, field: Field, groups: list[list[int]]) -> list[Spread]:
        """A field's values in each of the groups."""
        numbers = self.numbers(field)
        held = [[numbers[run] for run in runs if run in numbers] for runs in groups]
        textual = any(each and all(value is None for value in each) for each in held) and field.space != "metric"
        texts = self.texts(field) if textual else {}
        return [
            _spread(values, {texts[run] for run in runs if run in texts} if texts else set())
            for values, runs in zip(held, groups, strict=True)
        ]

    def _logged(self, table: str, column: str, field: Field) -> dict[int, Any]:
        if not self._keys.find(field.space, field.name):
            return {}
        key, params = self._keys.part(field.space, field.name)
        among = ""
        if len(self._rows) <= _FEW:
            among = f" AND v.run IN ({', '.join(str(int(row[0])) for row in self._rows) or 'NULL'})"
        return dict(self._tx.rows(f"SELECT v.run, v.{column} FROM {table} v WHERE {key}{among}", params))  # noqa: S608 -- of constants


def _spread(values: list[float | None], texts: set[str]) -> Spread:
    numbers = [float(each) for each in values if each is not None]
    if not numbers:
        return Spread(len(values), distinct=sorted(texts)[:_DISTINCT])
    mean = math.fsum(numbers) / len(numbers)
    deviation = 0.0
    if len(numbers) > 1:
        deviation = math.sqrt(math.fsum((each - mean) ** 2 for each in numbers) / (len(numbers) - 1))
    return Spread(len(values), mean, deviation, min(numbers), max(numbers))
