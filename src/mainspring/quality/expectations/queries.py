"""Expectations asked in SQL of one's own, `{batch}` in it standing for the table."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from mainspring.engines.tables import Count, Metric, Query
from mainspring.kernel.errors import InvalidInput
from mainspring.kernel.hashing import canonical_json
from mainspring.quality.expectations.base import Answers, Check, Judgement, Known, Schema, Target
from mainspring.quality.expectations.column_aggregates import NumberCheck
from mainspring.quality.expectations.other_tables import Decided

__all__ = ["NoUnexpectedRows", "QueryRowsShareBetween", "QueryValueBetween", "ResultsMatch"]

_ROWS = 200
"""As many rows of an answer to a query are compared or shown."""


class NoUnexpectedRows(Check, frozen=True, kw_only=True):
    """A query that looks for bad rows finds none."""

    subject = "table"
    unexpected_rows_query: str

    def metrics(self, target: Target) -> tuple[Metric, ...]:
        """The query."""
        return (Query(sql=self.unexpected_rows_query, limit=_ROWS),)

    def judge(self, target: Target, answers: Answers, schema: Schema) -> Judgement:
        """No row."""
        found = answers[self.metrics(target)[0]]
        count = found["count"]
        message = f"the query finds {count} rows" if count else ""
        details = {"unexpected_rows": found["rows"]} if count else {}
        return Judgement(
            passed=not count, observed=count, message=message, details=details, sample=tuple(found["rows"])
        )

    def expected(self) -> str:
        """In words."""
        return f"to give no row for {self.unexpected_rows_query}"


class QueryValueBetween(NumberCheck, frozen=True, kw_only=True):
    """The one number that a query gives lies in a range."""

    subject = "table"
    what = "answer of the query"
    query: str

    def metrics(self, target: Target) -> tuple[Metric, ...]:
        """The query."""
        return (Query(sql=self.query, limit=2),)

    def value(self, target: Target, answers: Answers) -> Any:
        """The first value of the only row."""
        found = answers[self.metrics(target)[0]]
        if found["count"] != 1 or len(found["rows"][0]) != 1:
            raise InvalidInput("the query gives no single value", hint="select one expression, without GROUP BY")
        return next(iter(found["rows"][0].values()))

    def expected(self) -> str:
        """In words."""
        return f"{super().expected()}: {self.query}"


class QueryRowsShareBetween(NumberCheck, frozen=True, kw_only=True):
    """The rows that a query gives, divided by the rows of the table, lie in a range."""

    subject = "table"
    what = "share of rows that the query gives"
    query: str

    def metrics(self, target: Target) -> tuple[Metric, ...]:
        """The query, and the rows."""
        return Query(sql=self.query, limit=1), Count(where=target.where)

    def value(self, target: Target, answers: Answers) -> Any:
        """The share; None without rows."""
        found, rows = (answers[metric] for metric in self.metrics(target))
        return found["count"] / rows if rows else None

    def expected(self) -> str:
        """In words."""
        return f"{super().expected()}: {self.query}"


class ResultsMatch(Check, frozen=True, kw_only=True):
    """A query of this table and one of another give the same rows, in any order, as often.

    `comparison_data_source_name` is the name of the other table. At most 100,000 rows of each are compared.
    """

    subject = "table"
    base_query: str
    comparison_data_source_name: str
    comparison_query: str

    _limit = 100_000

    def before(self, target: Target) -> Mapping[str, tuple[Metric, ...]]:
        """Both answers."""
        mine, theirs = self._queries()
        return {"": (mine,), self.comparison_data_source_name: (theirs,)}

    def _queries(self) -> tuple[Query, Query]:
        return Query(sql=self.base_query, limit=self._limit), Query(sql=self.comparison_query, limit=self._limit)

    def metrics(self, target: Target) -> tuple[Metric, ...]:
        """Nothing until both answers are there."""
        return ()

    def judge(self, target: Target, answers: Answers, schema: Schema) -> Judgement:
        """Never asked before both answers are there."""
        raise InvalidInput("the answers are not known yet")

    def informed(self, target: Target, known: Known) -> Check:
        """Compare as multisets."""
        other = known.other(self.comparison_data_source_name)
        if other is None:
            raise InvalidInput(f"there is no table {self.comparison_data_source_name!r} to compare with")
        mine, theirs = self._queries()
        base, comparison = known.answers[mine], other.answers[theirs]
        if max(base["count"], comparison["count"]) > self._limit:
            raise InvalidInput(f"the queries give more than {self._limit} rows", hint="aggregate in the queries")
        left, right = _counted(base["rows"]), _counted(comparison["rows"])
        most = max(base["count"], comparison["count"])
        bad = most - sum((left & right).values())
        share = 1 - bad / most if most else 1.0
        passed = share >= target.mostly
        rows = {
            name: _rows(extra) for name, extra in (("missing_rows", right - left), ("unexpected_rows", left - right))
        }
        return Decided(
            words=self.expected(),
            judgement=Judgement(
                passed=passed,
                observed=share,
                message="" if passed else f"{bad} of {most} rows differ",
                evaluated=most,
                missing=0,
                unexpected=bad,
                details=rows,
            ),
        )

    def expected(self) -> str:
        """In words."""
        return f"to give the same rows as {self.comparison_data_source_name}"


def _counted(rows: Sequence[Mapping[str, Any]]) -> Counter[bytes]:
    # Whole floats and integers are one number in JSON as they are in SQL.
    plain = ([int(v) if isinstance(v, float) and v.is_integer() else v for v in row.values()] for row in rows)
    return Counter(canonical_json(row) for row in plain)


def _rows(counted: Counter[bytes]) -> list[str]:
    return [text.decode() for text in list(counted.elements())[:_ROWS]]
