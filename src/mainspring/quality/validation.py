"""Validation: a suite against a table.

The whole suite becomes one set of metrics, answered together. A check that must know something first (a mean before
z-scores) asks for it in that scan and goes on in the next, in which what failed before is looked at, too: for its most
frequent unexpected values and a few of its rows. `quarantine` divides the rows.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, TypeVar

import msgspec

from mainspring.engines.tables import Predicate, Table, open_table
from mainspring.kernel import clock
from mainspring.kernel.errors import CheckFailed, InvalidInput
from mainspring.quality.expectations.base import RowCheck
from mainspring.quality.expectations.jobs import Job, Scans, run_jobs
from mainspring.quality.expectations.kinds import described, is_parametrised
from mainspring.quality.expectations.programs import ProgramCheck
from mainspring.quality.suite import ColumnExpectations, SuiteBuilder, as_suite
from mainspring.quality.types import Expectation, Suite, ValidationReport

__all__ = ["quarantine", "require", "validate_table"]

_SAMPLE = 20

Suitable = Suite | SuiteBuilder | ColumnExpectations | Iterable[Expectation]
"""Whatever can be read as a suite."""

T = TypeVar("T")


def validate_table(
    source: Any,
    suite: Suitable,
    *,
    dataset: str = "",
    sample: int | None = _SAMPLE,
    others: Mapping[str, Any] | None = None,
    parameters: Mapping[str, Any] | None = None,
    explain_passed: bool = False,
) -> ValidationReport:
    """Check a table against a suite.

    Args:
        source: Whatever `open_table` opens: frames, Arrow, files, tables of a database.
        suite: A suite, a builder, or a list of expectations.
        dataset: What to call the table in the report.
        sample: How many failing rows, and how many distinct unexpected values, to keep for each failure; None for all.
        others: Other tables by name, for the checks that compare: any source, or None for one that there is not (yet),
            such as the `previous` version of the first.
        parameters: Values of the `{"$PARAMETER": name}` in the suite.
        explain_passed: Whether unexpected rows are kept of checks that passed because of `mostly`, too.

    Example:
        >>> import polars as pl
        >>> from mainspring.quality.suite import expect
        >>> report = validate_table(pl.DataFrame({"x": [1, 2, 300]}), expect("t").column("x").between(0, 100))
        >>> report.verdict, report.results[0].unexpected, report.results[0].sample
        ('failed', 1, ({'__row__': 2, 'x': 300},))
    """
    started_at, began = clock.now(), clock.monotonic()
    checked = _with_values(as_suite(suite), parameters or {})
    scans = _scans(source, others)
    jobs = [Job(expectation, scans.schema) for expectation in checked.expectations]
    run_jobs(jobs, scans, sample=sample, explain_passed=explain_passed)
    return ValidationReport(
        suite=checked.name,
        results=tuple(job.result(scans.rows) for job in jobs),
        dataset=dataset,
        rows=scans.rows,
        columns=len(scans.schema),
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


def quarantine(
    source: Any,
    suite: Suitable,
    *,
    others: Mapping[str, Any] | None = None,
    parameters: Mapping[str, Any] | None = None,
) -> tuple[Any, Any]:
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
    scans = _scans(source, others)
    jobs = [Job(each, scans.schema) for each in _with_values(as_suite(suite), parameters or {}).expectations]
    for job in jobs:
        if isinstance(job.check, ProgramCheck):
            raise InvalidInput(
                f"{job.expectation.kind} looks at rows with a program, which cannot divide them",
                hint="say it with predicates (RowCheck) or in SQL (rows_to_satisfy)",
            )
    run_jobs(jobs, scans, sample=0, only_inform=True)
    reasons: dict[str, tuple[Predicate, Predicate | None]] = {}
    for job in jobs:
        if job.error is not None and isinstance(job.check, RowCheck):
            raise job.error
        if isinstance(job.check, RowCheck):
            sentence = described(msgspec.structs.replace(job.expectation, mostly=1.0))
            reasons[sentence] = (job.check.unexpected(job.target), job.target.where)
    return scans.table.split(reasons)


def _scans(source: Any, others: Mapping[str, Any] | None) -> Scans:
    opened: dict[str, Table | None] = {
        name: None if other is None else open_table(other) for name, other in (others or {}).items()
    }
    there = {name: table for name, table in opened.items() if table is not None}
    return Scans(open_table(source, others=there), opened)


def _with_values(suite: Suite, parameters: Mapping[str, Any]) -> Suite:
    if not any(is_parametrised(each.arguments) for each in suite.expectations):
        return suite
    given = tuple(
        msgspec.structs.replace(each, arguments=_filled(each.arguments, parameters)) for each in suite.expectations
    )
    return as_suite(msgspec.structs.replace(suite, expectations=given), complete=True)


def _filled(value: T, parameters: Mapping[str, Any]) -> T:
    if isinstance(value, dict):
        if "$PARAMETER" in value:
            name = value["$PARAMETER"]
            if name not in parameters:
                raise InvalidInput(f"the parameter {name!r} of the suite has no value", known=sorted(parameters))
            found: T = parameters[name]
            return found
        return {key: _filled(each, parameters) for key, each in value.items()}  # type: ignore[return-value]  # a dict again
    return [_filled(each, parameters) for each in value] if isinstance(value, list) else value  # type: ignore[return-value]
