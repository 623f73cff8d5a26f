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

from collections.abc import Iterable, Mapping, Sequence

import msgspec

from mainspring.kernel.errors import InvalidInput
from mainspring.quality.drift import statistics
from mainspring.quality.drift.columns import changed, compare_column, reason_of
from mainspring.quality.drift.types import RANK, ColumnDrift, DriftLimits, DriftReport, DriftVerdict
from mainspring.quality.profiles.types import ColumnProfile, Profile

__all__ = ["ColumnDrift", "DriftLimits", "DriftReport", "DriftVerdict", "drift", "in_order"]


def drift(
    reference: Profile,
    current: Profile,
    *,
    importances: Mapping[str, float] | None = None,
    columns: Sequence[str] | None = None,
    limits: DriftLimits | None = None,
    column_limits: Mapping[str, DriftLimits] | None = None,
    roles: Mapping[str, str] | None = None,
) -> DriftReport:
    """Compare two profiles column by column.

    Args:
        reference: What the model was trained on, or last month.
        current: What comes now.
        importances: Of columns, to rank by drift times importance.
        columns: Only these; all columns of the reference by default, and new ones.
        limits: What counts as drift.
        column_limits: What counts as drift in single columns; `q` is the table's.
        roles: Of columns: `target` or `prediction`.

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
    before, after = _flat(reference.columns), _flat(current.columns)
    names = list(columns) if columns is not None else list(dict.fromkeys([*before, *after]))
    own = dict(column_limits or {})
    compared: list[ColumnDrift] = []
    for name in names:
        importance = None if importances is None else importances.get(name, 0.0)
        if name in before and name in after:
            compared.append(compare_column(before[name], after[name], own.get(name, limits), importance))
        elif name in before:
            compared.append(changed(name, "the column is gone", importance))
        elif name in after:
            compared.append(changed(name, "the column is new", importance, verdict="warn"))
        else:
            reference.column(name)  # raises, naming the nearest
    judged = _judged(compared, limits, own)
    if roles:
        judged = [msgspec.structs.replace(each, role=roles.get(each.column, "")) for each in judged]
    return DriftReport(
        columns=in_order(judged), limits=limits, reference_rows=reference.rows, current_rows=current.rows
    )


def in_order(columns: Iterable[ColumnDrift]) -> tuple[ColumnDrift, ...]:
    """What to look at first comes first."""
    order = sorted(columns, key=lambda each: (-RANK[each.verdict], -each.priority, each.q_value, each.column))
    return tuple(order)


def _flat(columns: Iterable[ColumnProfile]) -> dict[str, ColumnProfile]:
    """Columns by name, those of structs after the struct by their dotted names."""
    found: dict[str, ColumnProfile] = {}
    for column in columns:
        found[column.name] = column
        found |= _flat(column.fields)
    return found


def _judged(compared: Sequence[ColumnDrift], limits: DriftLimits, own: Mapping[str, DriftLimits]) -> list[ColumnDrift]:
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
        bounds = own.get(each.column, limits)
        if q_value <= limits.q and each.effect >= bounds.warn:
            verdict = "drift" if each.effect >= bounds.drift else "warn"
        reason = reason_of(each.cells) if verdict != "ok" else ""
        result.append(msgspec.structs.replace(each, q_value=q_value, verdict=verdict, reason=reason))
    return result
