"""What a comparison of two tables says: a record of each column, and the report of all."""

from __future__ import annotations

from typing import Any, Literal

import msgspec

from mainspring.kernel.errors import InvalidInput, NotFound, nearest
from mainspring.quality.drift.cells import Cell
from mainspring.quality.drift.histograms import Overlay

__all__ = ["RANK", "ColumnDrift", "DriftLimits", "DriftReport", "DriftVerdict"]

DriftVerdict = Literal["ok", "warn", "drift", "insufficient data"]

RANK: dict[DriftVerdict, int] = {"drift": 3, "warn": 2, "insufficient data": 1, "ok": 0}
"""How grave a verdict is."""


class DriftLimits(msgspec.Struct, frozen=True, kw_only=True):
    """What counts as drift. `warn` and `drift` are effects, `q` the false discovery rate, `rows` the least sample."""

    warn: float = 0.1
    drift: float = 0.25
    q: float = 0.05
    rows: int = 50
    bins: int = 10

    def __post_init__(self) -> None:
        if not 0 <= self.warn <= self.drift or not 0 < self.q < 1 or self.rows < 1 or self.bins < 2:
            raise InvalidInput(f"these limits of drift contradict themselves: {self}")


class ColumnDrift(msgspec.Struct, frozen=True, kw_only=True):
    """How one column moved. `effect` is `psi` minus its average under no change; `interval` is its 95 % interval.

    Where a named test was asked for (`rules="evidently"`, or `tests` of a column), `method`, `score` and `threshold`
    say what it found, and the verdict is the test's.
    """

    column: str
    verdict: DriftVerdict
    effect: float = 0.0
    interval: tuple[float, float] = (0.0, 0.0)
    p_value: float = 1.0
    q_value: float = 1.0
    psi: float = 0.0
    js: float = 0.0
    ks: float | None = None
    ks_p_value: float | None = None
    reference_rows: int = 0
    current_rows: int = 0
    missing: tuple[float, float] = (0.0, 0.0)
    means: tuple[float, float] | None = None
    importance: float | None = None
    reason: str = ""
    cells: tuple[Cell, ...] = ()
    family: str = ""
    role: str = ""
    """`target`, `prediction`, or nothing for a feature."""
    method: str = ""
    score: float | None = None
    threshold: float | None = None
    overlay: Overlay | None = None
    """Both distributions over one axis, ready to draw."""

    @property
    def priority(self) -> float:
        """Drift times importance: what to look at first."""
        return max(self.effect, 0.0) * (1.0 if self.importance is None else self.importance)


class DriftReport(msgspec.Struct, frozen=True, kw_only=True):
    """How a table moved, columns in the order in which to look at them."""

    columns: tuple[ColumnDrift, ...]
    limits: DriftLimits
    reference_rows: int
    current_rows: int
    reference: str = ""
    current: str = ""
    rules: str = "mainspring"
    """By whose rules: `mainspring` (effect and calibrated significance), or `evidently` (one named test a column)."""
    drift_share: float | None = None
    """With it, the table drifted when at least this share of its columns did."""

    @property
    def verdict(self) -> DriftVerdict:
        """The gravest of the columns; with no column that could be judged, `insufficient data`."""
        known: list[DriftVerdict] = [each.verdict for each in self.columns if each.verdict != "insufficient data"]
        if known and self.drift_share is not None:
            return "drift" if self.share >= self.drift_share else "ok"
        return max(known, key=lambda verdict: RANK[verdict], default="insufficient data")

    @property
    def drifted(self) -> tuple[str, ...]:
        """The columns that drifted."""
        return tuple(each.column for each in self.columns if each.verdict == "drift")

    @property
    def share(self) -> float:
        """Of the columns that could be judged, how many drifted."""
        judged = [each for each in self.columns if each.verdict != "insufficient data"]
        return len(self.drifted) / len(judged) if judged else 0.0

    def column(self, name: str) -> ColumnDrift:
        """One column; raises `NotFound` naming the nearest."""
        found = next((each for each in self.columns if each.column == name), None)
        if found is None:
            raise NotFound(f"the report has no column {name!r}", known=nearest(name, [c.column for c in self.columns]))
        return found

    def to_dict(self) -> dict[str, Any]:
        """As JSON types, with the verdict spelled out."""
        plain: dict[str, Any] = msgspec.to_builtins(self)
        return {"verdict": self.verdict, **plain}

    def to_html(self) -> str:
        """The report as one HTML page that needs nothing else."""
        from mainspring.quality.drift.page import drift_html

        return drift_html(self)

    def _repr_html_(self) -> str:
        from mainspring.quality.drift.page import summary_html

        return summary_html(self)
