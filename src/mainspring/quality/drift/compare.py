"""Drift: is what comes now like what the reference was?

A verdict needs both an effect that matters and evidence that it is no accident. The population stability
index alone calls one sample of a hundred rows drifted from its own distribution in four cases out of five;
a p-value alone calls a shift of a hundredth of a standard deviation drift when there are a million rows. So:

* the *effect* is the index over cells at the reference's quantiles (missing, out of range and new categories
  have cells of their own), minus what it comes to on average when nothing changed;
* the *p-value* is that of a chi-square test over cells of both samples together, which is calibrated at every
  size, adjusted over all columns by Benjamini and Hochberg;
* `drift` means effect and p both beyond their limits, `warn` the same with the lower limit of effect, and
  too few rows mean `insufficient data`, which is a result and not a pass.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal

import msgspec

from mainspring.kernel.errors import InvalidInput
from mainspring.quality.drift import statistics
from mainspring.quality.drift.cells import (
    Cell,
    cells_of,
    cells_to_test,
    greatest_distance,
    out_of_range,
    rare_categories,
)
from mainspring.quality.profiles.types import ColumnProfile, Profile

__all__ = ["ColumnDrift", "DriftLimits", "DriftReport", "DriftVerdict", "drift"]

DriftVerdict = Literal["ok", "warn", "drift", "insufficient data"]

_LEAST = 5.0  # expected rows of a cell of the test, below which its law does not hold
_RANK = {"drift": 3, "warn": 2, "insufficient data": 1, "ok": 0}


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
    """How one column moved. `effect` is `psi` minus its average under no change; `interval` is its 95 % interval."""

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

    @property
    def verdict(self) -> DriftVerdict:
        """The gravest of the columns; with no column that could be judged, `insufficient data`."""
        known: list[DriftVerdict] = [each.verdict for each in self.columns if each.verdict != "insufficient data"]
        return max(known, key=lambda verdict: _RANK[verdict], default="insufficient data")

    @property
    def drifted(self) -> tuple[str, ...]:
        """The columns that drifted."""
        return tuple(each.column for each in self.columns if each.verdict == "drift")

    def column(self, name: str) -> ColumnDrift:
        """One column."""
        return next(each for each in self.columns if each.column == name)

    def to_dict(self) -> dict[str, Any]:
        """As JSON types, with the verdict spelled out."""
        plain: dict[str, Any] = msgspec.to_builtins(self)
        return {"verdict": self.verdict, **plain}


def drift(
    reference: Profile,
    current: Profile,
    *,
    importances: Mapping[str, float] | None = None,
    columns: Sequence[str] | None = None,
    limits: DriftLimits | None = None,
) -> DriftReport:
    """Compare two profiles column by column.

    Args:
        reference: What the model was trained on, or last month.
        current: What comes now.
        importances: Of columns, to rank by drift times importance.
        columns: Only these; all columns of the reference by default, and new ones.
        limits: What counts as drift.

    Example:
        >>> import polars as pl
        >>> from mainspring.quality.profiles.build import profile_frame
        >>> before = profile_frame(pl.DataFrame({"x": [float(i % 100) for i in range(1000)]}))
        >>> after = profile_frame(pl.DataFrame({"x": [float(i % 100) + 30 for i in range(1000)]}))
        >>> drift(before, before).verdict, drift(before, after).verdict
        ('ok', 'drift')
    """
    limits = limits or DriftLimits()
    if not reference.rows:
        raise InvalidInput("the reference has no rows to compare with", hint="profile the training data")
    known, found = set(reference.names), set(current.names)
    names = list(columns) if columns is not None else [*reference.names, *(n for n in current.names if n not in known)]
    compared: list[ColumnDrift] = []
    for name in names:
        importance = None if importances is None else importances.get(name, 0.0)
        if name in known and name in found:
            compared.append(_compare(reference.column(name), current.column(name), limits, importance))
        elif name in known:
            compared.append(_changed(name, "the column is gone", importance))
        elif name in found:
            compared.append(_changed(name, "the column is new", importance, verdict="warn"))
        else:
            reference.column(name)  # raises, naming the nearest
    judged = _judged(compared, limits)
    judged.sort(key=lambda each: (-_RANK[each.verdict], -each.priority, each.q_value, each.column))
    return DriftReport(columns=tuple(judged), limits=limits, reference_rows=reference.rows, current_rows=current.rows)


def _changed(name: str, reason: str, importance: float | None, *, verdict: DriftVerdict = "drift") -> ColumnDrift:
    return ColumnDrift(
        column=name, verdict=verdict, p_value=0.0, q_value=0.0, effect=1.0, interval=(1.0, 1.0), js=1.0,
        reason=reason, importance=importance,
    )  # fmt: skip


def _compare(
    reference: ColumnProfile, current: ColumnProfile, limits: DriftLimits, importance: float | None
) -> ColumnDrift:
    n, m = reference.count, current.count
    if n and m and reference.present and current.present and reference.family != current.family:
        return _changed(reference.name, f"the type was {reference.dtype} and is {current.dtype}", importance)
    cells = cells_of(reference, current, bins=limits.bins)
    before, after = [cell.reference for cell in cells], [cell.current for cell in cells]
    index = statistics.psi(before, after) if cells else 0.0
    effect = index - statistics.psi_bias(len(cells), n, m)
    spread = 1.96 * statistics.psi_standard_error(before, after) if cells else 0.0
    p_value = _p_value(reference, current, limits.bins)
    is_number = reference.family in {"number", "moment"}
    distance = greatest_distance(reference.sketch, current.sketch) if is_number else None
    few = min(n, m) < limits.rows
    return ColumnDrift(
        column=reference.name,
        verdict="insufficient data" if few else "ok",
        effect=effect,
        interval=(max(effect - spread, 0.0), max(effect + spread, 0.0)) if n and m else (0.0, 0.0),
        p_value=p_value,
        psi=index,
        js=statistics.jensen_shannon(before, after),
        ks=distance,
        ks_p_value=statistics.kolmogorov_tail(distance, reference.sketch.n, current.sketch.n)
        if distance is not None
        else None,
        reference_rows=n,
        current_rows=m,
        missing=(reference.missing_share, current.missing_share),
        means=(reference.moments.mean, current.moments.mean) if is_number else None,
        importance=importance,
        reason=f"fewer than {limits.rows} rows" if few else "",
        cells=tuple(cells),
    )


def _p_value(reference: ColumnProfile, current: ColumnProfile, bins: int) -> float:
    """Of the cells, and of what they do not see: values out of range, and categories too rare for a cell each.

    A tenth of the level goes to the second test and the rest to the first, so together they keep it (Bonferroni).
    """
    tested = cells_to_test(reference, current, bins=bins, least=_LEAST)
    p_value = statistics.homogeneity([a for a, _ in tested], [b for _, b in tested], least=_LEAST)[2]
    n, m = reference.count, current.count
    if reference.family == "text":
        other = statistics.turnover(rare_categories(reference, current, least=_LEAST), n, m)
    elif reference.family == "other" or not reference.present:
        return p_value
    else:
        sides = out_of_range(reference, current)
        other = 2 * min(statistics.beyond(count, reference.sketch.n, current.sketch.n) for count in sides)
    return min(1.0, p_value / 0.9, other / 0.1)


def _judged(compared: Sequence[ColumnDrift], limits: DriftLimits) -> list[ColumnDrift]:
    """Adjust over the columns that were tested, and speak the verdicts."""
    tested = [each for each in compared if each.verdict == "ok"]
    q_list = statistics.adjusted([each.p_value for each in tested])
    q_values = {each.column: q_value for each, q_value in zip(tested, q_list, strict=True)}
    result = []
    for each in compared:
        if each.column not in q_values:
            result.append(each)
            continue
        q_value = q_values[each.column]
        verdict: DriftVerdict = "ok"
        if q_value <= limits.q and each.effect >= limits.warn:
            verdict = "drift" if each.effect >= limits.drift else "warn"
        reason = _reason(each) if verdict != "ok" else ""
        result.append(msgspec.structs.replace(each, q_value=q_value, verdict=verdict, reason=reason))
    return result


def _reason(each: ColumnDrift) -> str:
    """The cell that moved most, in words."""
    before, after = ([getattr(cell, side) for cell in each.cells] for side in ("reference", "current"))
    p, q = statistics.smoothed(before), statistics.smoothed(after)
    place = max(range(len(p)), key=lambda i: abs(p[i] - q[i]))
    shares = before[place] / max(sum(before), 1), after[place] / max(sum(after), 1)
    return f"{each.cells[place].label}: {shares[0]:.1%} to {shares[1]:.1%}"
