"""A row of the table of benchmarks: what a `bench_*.py` module yields from its function `rows()`."""

from __future__ import annotations

import operator
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass

__all__ = ["Row", "median_seconds"]

_COMPARE = {"<": operator.lt, "<=": operator.le, ">": operator.gt, ">=": operator.ge}


@dataclass(frozen=True)
class Row:
    """One workload: our figure beside a peer's, or beside a limit of this machine, taken in the same run.

    Example:
        >>> Row("import", 20.0, 5000.0, "mlflow 3.17.2", ratio=250.0, limit="ours < 60", unit="ms").verdict
        'ok'
    """

    workload: str
    ours: float | None
    """Our figure, None when it could not be taken."""
    peer: float | None = None
    """The peer's figure for the same work, None when it was not measured."""
    peer_version: str = ""
    """Who the peer is: a product with its version, or the plain work by hand that bounds it."""
    ratio: float | None = None
    """How many times better we are: above 1 is better, whichever way the unit counts."""
    limit: str = ""
    """What must hold, `ours < 60` or `ratio >= 4`; empty for a figure that is shown and not judged."""
    unit: str = ""
    note: str = ""
    """What a reader must know to read the figure rightly."""

    @property
    def verdict(self) -> str:
        """`ok`, `MISSED`, `not measured` or nothing."""
        if not self.limit:
            return ""
        subject, compare, bound = self.limit.split()
        figure = {"ours": self.ours, "ratio": self.ratio}[subject]
        if figure is None:
            return "not measured"
        return "ok" if _COMPARE[compare](figure, float(bound)) else "MISSED"


def median_seconds(work: Callable[[], object], *, times: int = 5) -> float:
    """The median duration of `work`, after one call to warm up."""
    work()
    taken = []
    for _ in range(times):
        start = time.perf_counter()
        work()
        taken.append(time.perf_counter() - start)
    return statistics.median(taken)
