"""Drift between any two of: frames, files, profiles; by the default rules, by named tests, or by Evidently's choice.

Evidently chooses one test a column, by its type and by the size of the reference alone, and calls a table drifted when
half of its columns are. With `rules="evidently"` that choice, its thresholds and its conventions are followed, so that
verdicts that were given there stay the same here. What they are worth is on the page on calibration.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal

import msgspec

from mainspring.kernel.errors import InvalidInput, MainspringError, UnsupportedFormat
from mainspring.quality.drift.compare import drift, in_order
from mainspring.quality.drift.methods import METHODS, Kind, Score, method, score_columns, score_profiles
from mainspring.quality.drift.types import ColumnDrift, DriftLimits, DriftReport
from mainspring.quality.profiles.types import ColumnProfile, Profile

if TYPE_CHECKING:
    import polars as pl

__all__ = ["PRESETS", "Rules", "compare_tables", "evidently_kind", "evidently_method"]

Rules = Literal["mainspring", "evidently"]

PRESETS: dict[str, DriftLimits] = {
    "default": DriftLimits(),
    "strict": DriftLimits(warn=0.02, drift=0.1, q=0.05),
    "lenient": DriftLimits(warn=0.25, drift=0.5, q=0.01),
    "significance": DriftLimits(warn=0.0, drift=0.0, q=0.05),
}
"""Limits by name; `significance` takes any effect that chance does not explain, as a plain test would."""

_SMALL = 1000  # rows of the reference, up to which Evidently tests and beyond which it measures
_FEW = 5  # distinct values of numbers, up to which it treats them as categories


def compare_tables(
    reference: Any,
    current: Any,
    *,
    rules: Rules = "mainspring",
    columns: Sequence[str] | None = None,
    importances: Mapping[str, float] | None = None,
    limits: DriftLimits | str | None = None,
    column_limits: Mapping[str, DriftLimits] | None = None,
    tests: Mapping[str, str] | None = None,
    thresholds: Mapping[str, float] | None = None,
    target: str = "",
    prediction: str = "",
    drift_share: float | None = None,
) -> DriftReport:
    """Compare two tables, each a frame, Parquet files or a profile.

    Args:
        reference: What the model was trained on, or last month.
        current: What comes now.
        rules: Whose choice of tests and verdicts.
        columns: Only these.
        importances: Of columns, to rank by drift times importance.
        limits: What counts as drift, or the name of a preset.
        column_limits: What counts as drift in single columns.
        tests: Of columns, a test by name instead of what the rules choose; its verdict stands.
        thresholds: Of columns, a threshold other than the test's own.
        target: The column of the truth.
        prediction: The column of what the model said.
        drift_share: The table drifted when this share of its columns did; half by Evidently's rules.

    Example:
        >>> import polars as pl
        >>> before = pl.DataFrame({"x": [float(i % 100) for i in range(1000)]})
        >>> after = pl.DataFrame({"x": [float(i % 100) + 30 for i in range(1000)]})
        >>> compare_tables(before, after, rules="evidently").column("x").method
        'ks'
    """
    if rules not in {"mainspring", "evidently"}:
        raise InvalidInput(f"there are no rules named {rules!r}", known=["mainspring", "evidently"])
    if isinstance(limits, str):
        if limits not in PRESETS:
            raise InvalidInput(f"there are no limits named {limits!r}", known=sorted(PRESETS))
        limits = PRESETS[limits]
    frames = _frame(reference), _frame(current)
    profiles = tuple(
        side if isinstance(side, Profile) else _profile(frame)
        for side, frame in zip((reference, current), frames, strict=True)
    )
    roles = {name: role for name, role in ((target, "target"), (prediction, "prediction")) if name}
    report = drift(
        *profiles, importances=importances, columns=columns, limits=limits, column_limits=column_limits, roles=roles
    )
    asked = dict(tests or {})
    for name in (*asked, *(thresholds or {})):
        report.column(name)  # raises, naming the nearest
    idle = [name for name in thresholds or {} if rules == "mainspring" and name not in asked]
    if idle:
        raise InvalidInput(
            f"a threshold is one of a test, and none is asked of {', '.join(idle)}",
            hint="name a test in tests, or give column_limits",
        )
    tested = []
    for each in report.columns:
        both = each.column in profiles[0].names and each.column in profiles[1].names
        if both and (each.column in asked or rules == "evidently"):
            pair = (profiles[0].column(each.column), profiles[1].column(each.column))
            found = _tested(each, pair, frames, asked.get(each.column, ""), (thresholds or {}).get(each.column))
            if found is not None:
                tested.append(found)
        elif rules == "mainspring":
            tested.append(each)
    share = 0.5 if rules == "evidently" and drift_share is None else drift_share
    return msgspec.structs.replace(report, columns=in_order(tested), rules=rules, drift_share=share)


def _frame(source: Any) -> pl.DataFrame | None:
    """A table in memory; None for a profile."""
    import polars as pl

    from mainspring.engines.tables_polars_rows import to_lazy

    if isinstance(source, Profile):
        return None
    if isinstance(source, pl.DataFrame):
        return source
    lazy = to_lazy(source)
    if lazy is None:
        raise UnsupportedFormat(f"a {type(source).__name__} is neither a table nor a profile")
    return lazy.collect(engine="streaming")


def _profile(frame: pl.DataFrame | None) -> Profile:
    from mainspring.quality.profiles.build import profile_frame

    if frame is None:
        raise InvalidInput("there is neither a table nor a profile to compare")
    return profile_frame(frame, correlations=False)


def _tested(
    each: ColumnDrift,
    pair: tuple[ColumnProfile, ColumnProfile],
    frames: tuple[pl.DataFrame | None, pl.DataFrame | None],
    name: str,
    threshold: float | None,
) -> ColumnDrift | None:
    """The column with the verdict of one test; None for a column that no test of a name compares (moments, lists)."""
    one, two = pair
    kind = evidently_kind(one)
    if kind is None and not name:
        return None
    if name and kind is not None and kind not in METHODS.get(name, method(name, kind)).kinds:
        kind = next(other for other in METHODS[name].kinds)
    try:
        chosen = name or evidently_method(kind or "num", one, two)
        found = _score(chosen, pair, frames, kind or "num", threshold)
    except MainspringError as error:
        return msgspec.structs.replace(each, verdict="insufficient data", reason=error.message, method=name)
    return msgspec.structs.replace(
        each,
        verdict="drift" if found.drifted else "ok",
        reason=each.reason if found.drifted and each.verdict in {"drift", "warn"} else "",
        method=found.method,
        score=found.score,
        threshold=found.threshold,
    )


def _score(
    name: str,
    pair: tuple[ColumnProfile, ColumnProfile],
    frames: tuple[pl.DataFrame | None, pl.DataFrame | None],
    kind: Kind,
    threshold: float | None,
) -> Score:
    one, two = frames
    if one is None or two is None:
        return score_profiles(name, *pair, kind=kind, threshold=threshold)
    column = pair[0].name
    return score_columns(name, one.get_column(column), two.get_column(column), kind=kind, threshold=threshold)


def evidently_kind(column: ColumnProfile) -> Kind | None:
    """How Evidently takes a column; None for one that it leaves out.

    Text with more distinct values than half of its rows is text, other text is categories, and so are booleans and
    whole numbers of at most ten values.
    """
    if column.family == "text":
        return "text" if column.distinct > 0.5 * column.count else "cat"
    if column.family != "number" or column.dtype.startswith(("Duration", "Time")):
        return None
    whole = "Int" in column.dtype
    return "cat" if column.dtype == "Boolean" or (whole and column.distinct <= 10) else "num"


def evidently_method(kind: Kind, reference: ColumnProfile, current: ColumnProfile) -> str:
    """The test that Evidently chooses for two columns: by kind, by distinct values, by the size of the reference."""
    rows = reference.present - reference.infinities
    if kind == "text":
        return "abs_text_content_drift" if rows > _SMALL else "perc_text_content_drift"
    values = _distinct_together(reference, current)
    if rows > _SMALL:
        return "jensenshannon" if kind == "cat" or values <= _FEW else "wasserstein"
    if kind == "num" and values > _FEW:
        return "ks"
    return "chisquare" if values > 2 else "z"


def _distinct_together(reference: ColumnProfile, current: ColumnProfile) -> int:
    """Of both together; at least as many as the greater has where not all are known."""
    if reference.family == "text":
        return len({value for side in (reference, current) for value, _ in side.frequent.values})
    if not (reference.sketch.is_exact and current.sketch.is_exact):
        return max(reference.distinct, current.distinct)
    return len({*reference.sketch.keys, *current.sketch.keys})
