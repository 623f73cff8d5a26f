"""Validation: a suite against a table.

The whole suite becomes one set of metrics, answered together; only what failed is looked at a second
time, for its most frequent unexpected values and a few of its rows. `quarantine` divides the rows.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import msgspec

from mainspring.engines.tables import All, AnyPredicate, Count, Frequent, Metric, Predicate, Table, open_table
from mainspring.kernel import clock
from mainspring.kernel.errors import CheckFailed, MainspringError
from mainspring.quality.expectations.base import Check, Judgement, RowCheck, Schema, Target
from mainspring.quality.expectations.kinds import compile_expectation, described
from mainspring.quality.suite import ColumnExpectations, SuiteBuilder, as_suite
from mainspring.quality.types import Expectation, ExpectationResult, Suite, ValidationReport

__all__ = ["quarantine", "require", "validate_table"]

_SAMPLE = 20
_WHOLE = Count()

Suitable = Suite | SuiteBuilder | ColumnExpectations | Iterable[Expectation]
"""Whatever can be read as a suite."""


def validate_table(source: Any, suite: Suitable, *, dataset: str = "", sample: int = _SAMPLE) -> ValidationReport:
    """Check a table against a suite.

    Args:
        source: A polars frame, Parquet paths, an Arrow or pandas table.
        suite: A suite, a builder, or a list of expectations.
        dataset: What to call the table in the report.
        sample: How many failing rows, and how many distinct unexpected values, to keep for each failure.

    Example:
        >>> import polars as pl
        >>> from mainspring.quality.suite import expect
        >>> report = validate_table(pl.DataFrame({"x": [1, 2, 300]}), expect("t").column("x").between(0, 100))
        >>> report.verdict, report.results[0].unexpected, report.results[0].sample
        ('failed', 1, ({'__row__': 2, 'x': 300},))
    """
    started_at, began = clock.now(), clock.monotonic()
    checked = as_suite(suite)
    table = open_table(source)
    schema = table.schema()
    jobs = [_Job(expectation, schema) for expectation in checked.expectations]
    wanted = dict.fromkeys([_WHOLE, *(metric for job in jobs for metric in job.metrics)])
    answers, refused = _answer(table, list(wanted))
    for job in jobs:
        job.judge(answers, refused, schema)
    results = _explain(table, jobs, answers, sample)
    return ValidationReport(
        suite=checked.name,
        results=tuple(results),
        dataset=dataset,
        rows=answers[_WHOLE],
        columns=len(schema),
        started_at=started_at,
        seconds=clock.monotonic() - began,
    )


def require(report: ValidationReport) -> ValidationReport:
    """Return the report when no critical expectation failed; raise `CheckFailed` naming the first ones otherwise."""
    if report.verdict != "failed":
        return report
    critical = [each for each in report.failures if each.expectation.severity == "critical"]
    lines = "; ".join(f"{described(each.expectation)}: {each.message}" for each in critical[:3])
    more = f" and {len(critical) - 3} more" if len(critical) > 3 else ""
    raise CheckFailed(
        f"{report.dataset or 'the table'} fails suite {report.suite!r} in {len(critical)} critical expectations: "
        f"{lines}{more}",
        details={"failed": len(critical), "suite": report.suite, "dataset": report.dataset},
    )


def quarantine(source: Any, suite: Suitable) -> tuple[Any, Any]:
    """Divide the rows of a table: those that hold, and the others with the reasons why not.

    Every row check of the suite divides, whether or not its `mostly` was reached; checks of aggregates have no
    rows. The second frame has the column `__reasons__`, a list of sentences. A check that cannot be asked of
    this table raises, since silence would let its rows through.

    Example:
        >>> import polars as pl
        >>> from mainspring.quality.suite import expect
        >>> good, bad = quarantine(pl.DataFrame({"x": [1, None]}), expect("t").column("x").not_null())
        >>> good.height, bad.get_column("__reasons__").to_list()
        (1, [['values of x are expected to be there']])
    """
    table = open_table(source)
    schema = table.schema()
    reasons: dict[str, tuple[Predicate, Predicate | None]] = {}
    for expectation in as_suite(suite).expectations:
        check, target = compile_expectation(expectation)
        if isinstance(check, RowCheck):
            check.check_target(target, schema)
            sentence = described(msgspec.structs.replace(expectation, mostly=1.0))
            reasons[sentence] = (check.unexpected(target), target.where)
    return table.split(reasons)


class _Job:
    """One expectation on its way from a sentence to a result."""

    def __init__(self, expectation: Expectation, schema: Schema) -> None:
        self.expectation = expectation
        self.check: Check
        self.target: Target
        self.check, self.target = compile_expectation(expectation)
        self.judgement: Judgement | None = None
        self.error = ""
        self.metrics: tuple[Metric, ...] = ()
        try:
            self.check.check_target(self.target, schema)
            self.metrics = (_WHOLE, *self.check.metrics(self.target))
        except MainspringError as error:
            self.error = _sentence(error)

    def judge(self, answers: Mapping[Metric, Any], refused: Mapping[Metric, MainspringError], schema: Schema) -> None:
        """Turn the answers into a judgement, or say why they could not be had."""
        if self.error:
            return
        refusal = next((refused[metric] for metric in self.metrics if metric in refused), None)
        if refusal is not None:
            self.error = _sentence(refusal)
            return
        try:
            self.judgement = self.check.judge(self.target, answers, schema)
        except MainspringError as error:
            self.error = _sentence(error)

    @property
    def unexpected(self) -> AnyPredicate | None:
        """The rows to show, when rows failed."""
        judgement = self.judgement
        if isinstance(self.check, RowCheck) and judgement is not None and not judgement.passed:
            return self.check.unexpected(self.target)
        return None

    @property
    def values(self) -> Frequent | None:
        """The metric that counts the unexpected values of a failed column."""
        if self.unexpected is None or not self.target.column:
            return None
        bad = self.unexpected if self.target.where is None else All((self.target.where, self.unexpected))
        return Frequent(column=self.target.column, where=bad, limit=_SAMPLE)

    def result(
        self,
        answers: Mapping[Metric, Any],
        values: Sequence[Sequence[Any]] = (),
        rows: Sequence[dict[str, Any]] = (),
    ) -> ExpectationResult:
        """The record."""
        judgement = self.judgement
        verdict = "error" if judgement is None else "passed" if judgement.passed else "failed"
        return ExpectationResult(
            expectation=self.expectation,
            verdict=verdict,  # type: ignore[arg-type]  # one of the three literals
            expected=self.check.expected(),
            observed=_plain(judgement.observed) if judgement else None,
            message=judgement.message if judgement else self.error,
            rows=answers.get(_WHOLE, 0),
            evaluated=judgement.evaluated if judgement else None,
            missing=judgement.missing if judgement else None,
            unexpected=judgement.unexpected if judgement else None,
            values=tuple((value, count) for value, count in values),
            sample=tuple(rows),
        )


def _answer(table: Table, metrics: Sequence[Metric]) -> tuple[dict[Metric, Any], dict[Metric, MainspringError]]:
    """Answer all metrics at once; when one cannot be asked, find it by halving and answer the others."""
    try:
        return table.compute(metrics), {}
    except MainspringError as error:
        if len(metrics) == 1:
            return {}, {metrics[0]: error}
    half = len(metrics) // 2
    left, right = _answer(table, metrics[:half]), _answer(table, metrics[half:])
    return left[0] | right[0], left[1] | right[1]


def _explain(table: Table, jobs: Sequence[_Job], answers: Mapping[Metric, Any], sample: int) -> list[ExpectationResult]:
    """The second wave: values and rows of what failed, and of nothing else."""
    wanted = [metric for job in jobs if sample and (metric := job.values) is not None]
    counted = table.compute(wanted) if wanted else {}
    results = []
    for job in jobs:
        bad, metric = job.unexpected if sample else None, job.values
        rows = table.rows(bad, where=job.target.where, limit=sample) if bad is not None else []
        results.append(job.result(answers, counted[metric][:sample] if metric in counted else [], rows))
    return results


def _plain(observed: Any) -> Any:
    """What was observed as JSON, which has no infinities."""
    if isinstance(observed, list):
        return [_plain(each) for each in observed]
    return str(observed) if isinstance(observed, float) and not math.isfinite(observed) else observed


def _sentence(error: MainspringError) -> str:
    known = f"; known: {', '.join(error.known)}" if error.known else ""
    return f"{error.message}{known}"
