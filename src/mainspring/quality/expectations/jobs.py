"""Expectations on their way from sentences to results: waves of metrics that all of them share.

A job first asks for what its check must know, then for what the check judges by, then, when it failed, for values and
rows to show. In each wave every job says what it asks, the metrics of all are answered in one scan of each table, and
every job goes one step on.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from mainspring.engines.tables import All, AnyPredicate, Count, Frequent, Metric, Predicate, Table
from mainspring.kernel.errors import InvalidInput, MainspringError
from mainspring.quality.expectations.base import Check, Judgement, Known, RowCheck, Schema, Target
from mainspring.quality.expectations.kinds import compile_expectation
from mainspring.quality.expectations.programs import ProgramCheck, run_programs
from mainspring.quality.types import Expectation, ExpectationResult

__all__ = ["Job", "Scans", "run_jobs"]

_WHOLE = Count()
_VALUES = 20
_WAVES = 8
"""More steps than any check takes; a check that goes on longer than that goes round in circles."""


class Scans:
    """The tables, and what they have answered so far; nothing is asked of one twice."""

    def __init__(self, table: Table, others: Mapping[str, Table | None]) -> None:
        self.table = table
        self.others = others
        self.schema: Schema = table.schema()
        self._answers: dict[str, dict[Metric, Any]] = {}
        self._refused: dict[str, dict[Metric, MainspringError]] = {}

    @property
    def rows(self) -> int:
        """The rows of the table."""
        self.ask("", [_WHOLE])
        return int(self._answers[""][_WHOLE])

    def ask(self, name: str, metrics: Sequence[Metric]) -> None:
        """Have the metrics that are not known yet answered, in one scan unless one of them is refused."""
        table = self.table if not name else self.others.get(name)
        answers, refused = self._answers.setdefault(name, {}), self._refused.setdefault(name, {})
        new = [metric for metric in dict.fromkeys(metrics) if metric not in answers and metric not in refused]
        if table is not None and new:
            found, failed = _answer(table, new)
            answers |= found
            refused |= failed

    def known(self, asked: Mapping[str, Sequence[Metric]]) -> Known:
        """What was answered; raises the refusal of the first metric that was refused."""
        for name, metrics in asked.items():
            refusal = next((each for m in metrics if (each := self._refused.get(name, {}).get(m)) is not None), None)
            if refusal is not None:
                raise refusal
        others = {
            name: None if table is None else Known(self._answers.get(name, {}), table.schema())
            for name, table in self.others.items()
        }
        return Known(self._answers.get("", {}), self.schema, others)


class Job:
    """One expectation on its way to a result."""

    def __init__(self, expectation: Expectation, schema: Schema) -> None:
        self.expectation = expectation
        self.check: Check
        self.target: Target
        self.check, self.target = compile_expectation(expectation)
        self.judgement: Judgement | None = None
        self.error: MainspringError | None = None
        self.values: Sequence[Sequence[Any]] = ()
        self.sample: Sequence[dict[str, Any]] = ()
        self._words = self.check.expected()
        try:
            self.check.check_target(self.target, schema)
        except MainspringError as error:
            self.error = error

    @property
    def is_open(self) -> bool:
        """Whether it has yet to be judged."""
        return self.error is None and self.judgement is None

    def asks(self) -> Mapping[str, Sequence[Metric]]:
        """What it needs to go one step on."""
        before = self.check.before(self.target)
        return before or {"": () if isinstance(self.check, ProgramCheck) else self.check.metrics(self.target)}

    def step(self, scans: Scans, *, only_inform: bool) -> None:
        """Go on with what was answered."""
        before = self.check.before(self.target)
        try:
            known = scans.known(self.asks())
            if before:
                self.check = self.check.informed(self.target, known)
                self._words = self.check.expected()
            elif not only_inform:
                self.judgement = self.check.judge(self.target, known.answers, known.schema)
        except MainspringError as error:
            self.error = error

    def unexpected(self, *, passed_too: bool) -> AnyPredicate | None:
        """The rows to show."""
        found = self.judgement
        if not isinstance(self.check, RowCheck) or found is None or not found.unexpected:
            return None
        return self.check.unexpected(self.target) if passed_too or not found.passed else None

    def frequent(self, predicate: Predicate, limit: int) -> Frequent | None:
        """The metric that counts the unexpected values of a column."""
        if not self.target.column:
            return None
        where = predicate if self.target.where is None else All((self.target.where, predicate))  # type: ignore[arg-type]
        return Frequent(column=self.target.column, where=where, limit=limit)  # type: ignore[arg-type]  # one of the closed set

    def result(self, rows: int) -> ExpectationResult:
        """The record."""
        found = self.judgement
        verdict = "error" if found is None else "passed" if found.passed else "failed"
        return ExpectationResult(
            expectation=self.expectation,
            verdict=verdict,  # type: ignore[arg-type]  # one of the three literals
            expected=self._words,
            observed=_plain(found.observed) if found else None,
            message=found.message if found else _sentence(self.error),
            rows=rows,
            evaluated=found.evaluated if found else None,
            missing=found.missing if found else None,
            unexpected=found.unexpected if found else None,
            values=tuple((value, count) for value, count in self.values),
            sample=tuple(self.sample or (found.sample if found else ())),
            details=_plain(found.details) if found else {},
        )


def run_jobs(
    jobs: Sequence[Job],
    scans: Scans,
    *,
    sample: int | None,
    explain_passed: bool = False,
    only_inform: bool = False,
) -> None:
    """Take every job to its judgement (or, with `only_inform`, to where it could be judged), and show what failed."""
    waiting = [job for job in jobs if job.is_open]
    unexplained: list[Job] = []
    for wave in range(_WAVES):
        asked: dict[str, list[Metric]] = {"": [] if wave or only_inform else [_WHOLE]}
        moving = [job for job in waiting if not only_inform or job.check.before(job.target)]
        for job in moving:
            for name, metrics in job.asks().items():
                asked.setdefault(name, []).extend(metrics)
        shown = [(job, bad) for job in unexplained if (bad := job.unexpected(passed_too=explain_passed)) is not None]
        counted = [job.frequent(bad, _limit(job, sample)) for job, bad in shown]
        asked[""] += [metric for metric in counted if metric is not None]
        for name, metrics in asked.items():
            scans.ask(name, metrics)
        _show(shown, counted, scans, sample)
        programs = [job for job in moving if isinstance(job.check, ProgramCheck) and not job.check.before(job.target)]
        _run_programs(programs, scans, sample)
        for job in programs:
            if job.judgement is not None and job.judgement.passed and not explain_passed:
                job.judgement = msgspec.structs.replace(job.judgement, sample=())
        for job in moving:
            if job.is_open:
                job.step(scans, only_inform=only_inform)
        unexplained = [job for job in moving if job.judgement is not None] if sample != 0 else []
        waiting = [job for job in moving if job.is_open]
        if not waiting and not any(job.unexpected(passed_too=explain_passed) for job in unexplained):
            return
    for job in waiting:
        job.error = InvalidInput(f"{job.expectation.kind} asks for more and more, and is never judged")


def _run_programs(jobs: Sequence[Job], scans: Scans, sample: int | None) -> None:
    if not jobs:
        return
    try:
        found = run_programs(scans.table, [(job.check, job.target) for job in jobs], sample)  # type: ignore[misc]
    except MainspringError as error:
        if len(jobs) == 1:
            jobs[0].error = error
            return
        for job in jobs:
            _run_programs([job], scans, sample)
        return
    for job, judgement in zip(jobs, found, strict=True):
        job.judgement = judgement


def _show(
    shown: Sequence[tuple[Job, AnyPredicate]], counted: Sequence[Frequent | None], scans: Scans, sample: int | None
) -> None:
    if not shown:
        return
    answers = scans.known({}).answers
    for (job, _), metric in zip(shown, counted, strict=True):
        job.values = answers.get(metric, ()) if metric is not None else ()
    limits = [(bad, job.target.where, _limit(job, sample, every=True)) for job, bad in shown]
    together = getattr(scans.table, "samples", None)
    if together is not None:
        found = together(limits)
    else:
        found = [scans.table.rows(bad, where=where, limit=limit) for bad, where, limit in limits]
    for (job, _), rows in zip(shown, found, strict=True):
        job.sample = rows


def _limit(job: Job, sample: int | None, *, every: bool = False) -> int:
    unexpected = job.judgement.unexpected if job.judgement is not None else None
    if sample is None:
        return unexpected or _VALUES
    return sample if every else min(sample, _VALUES) or 1


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


def _plain(observed: Any) -> Any:
    """What was observed as JSON, which has no infinities."""
    if isinstance(observed, list | tuple):
        return [_plain(each) for each in observed]
    if isinstance(observed, dict):
        return {name: _plain(each) for name, each in observed.items()}
    return str(observed) if isinstance(observed, float) and not math.isfinite(observed) else observed


def _sentence(error: MainspringError | None) -> str:
    if error is None:
        return ""
    known = f"; known: {', '.join(error.known)}" if error.known else ""
    return f"{error.message}{known}"
