"""Cutting the log into windows and judging them. Loads the table engine; `watch` comes here only when there is news.

The log is read onward from the last window twice: once without its columns, to see where windows end, and once for each
window, so that no more than one window's rows are in memory with all their columns.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import msgspec
import polars as pl

from mainspring.kernel.clock import now
from mainspring.kernel.ids import new_id
from mainspring.kernel.operations import Backend
from mainspring.models.service import Models
from mainspring.monitoring.drift import drift_of, drift_share
from mainspring.monitoring.performance import LEAST, figures_of, output_columns
from mainspring.monitoring.reference import Reference, find_reference
from mainspring.monitoring.service import Monitoring
from mainspring.monitoring.types import Limits, Monitor, Window
from mainspring.serving.rollout import first_id_at
from mainspring.serving.service import Serving

__all__ = ["Stretch", "cut_windows", "judge_window", "stretches"]

_AT_ONCE = 4
_MOST_ROWS = 200_000
"""So many rows are a window whatever time they cover, and so many are looked at in one go."""


class Stretch(msgspec.Struct, frozen=True):
    """A piece of the log that makes a window."""

    model: str
    through: str
    """Its last request."""


def cut_windows(backend: Backend, monitor: Monitor) -> tuple[list[Window], int, Monitor]:
    """Commit the windows that are complete, a few at a time.

    Returns:
        The windows; how many rows are left over, -1 when there may be more windows in them; the monitor afterwards.

    Raises:
        Conflict: Another scheduler cut them meanwhile; those committed before are.
    """
    serving, limits = Serving(backend), monitor.limits
    most = min(_MOST_ROWS, limits.window_rows * _AT_ONCE) if not limits.window_days else _MOST_ROWS
    log = serving.tail(monitor.endpoint, after=monitor.position, rows=max(most, limits.window_rows), columns=[])
    full = log.height >= most
    if limits.settle_seconds:
        settled = log.filter(pl.col("request") < first_id_at(now() - timedelta(seconds=limits.settle_seconds)))
        full, log = full or settled.height < log.height, settled
    champion = serving.endpoint(monitor.endpoint).plan.champion.reference
    references: dict[str, Reference] = {}
    made: list[Window] = []
    for stretch in stretches(log, limits, champion=champion):
        if stretch.model not in references:
            references[stretch.model] = find_reference(backend, stretch.model)
        window = _window(backend, monitor, stretch, references[stretch.model])
        monitor = Monitoring(backend).record_window(window, expected=monitor.changed)
        made.append(window)
    left = int((log["request"] > monitor.position).sum())
    return made, -1 if full else left, monitor


def stretches(log: pl.DataFrame, limits: Limits, *, champion: str) -> Iterator[Stretch]:
    """Where windows end: when they are large and long enough, and where another model became champion.

    Args:
        log: `request`, `at`, `arm`, `model`, `deployment`, in the order of requests; whole requests.
        limits: How large, and how long.
        champion: The model to name where the champion itself answered nothing.
    """
    requests = log.group_by("request", maintain_order=True).agg(
        pl.len().alias("rows"),
        pl.col("at").min().alias("first"),
        pl.col("at").max().alias("last"),
        pl.col("model").filter(pl.col("arm") == "champion").first(),
        pl.col("deployment").filter(pl.col("arm") == "champion").first(),
    )
    days = timedelta(days=limits.window_days)
    rows, first, last, newest, through = 0, datetime.max.replace(tzinfo=UTC), _EARLIEST, "", ""
    model = next((each for each in requests["model"] if each), champion)
    for request, count, begin, end, its_model, deployment in requests.iter_rows():
        # Ids of deployments grow with time: a request that an old one answered late does not turn the clock back.
        if its_model and its_model != model and deployment > newest:
            if rows:
                yield Stretch(model, through)
            rows, first, last, model = 0, datetime.max.replace(tzinfo=UTC), _EARLIEST, its_model
        newest = max(newest, deployment or "")
        rows, first, last, through = rows + count, min(first, begin), max(last, end), request
        if (rows >= limits.window_rows and last - first >= days) or rows >= _MOST_ROWS:
            yield Stretch(model, through)
            rows, first, last = 0, datetime.max.replace(tzinfo=UTC), _EARLIEST


_EARLIEST = datetime.min.replace(tzinfo=UTC)


def judge_window(backend: Backend, monitor: Monitor, window: Window) -> Window | None:
    """Judge the performance in a window, when enough of its labels have come, or are waited for no longer.

    Raises:
        Conflict: Another scheduler did so meanwhile.
    """
    serving, limits = Serving(backend), monitor.limits
    overdue = now() - window.seen_at > timedelta(days=limits.label_days)
    needed = limits.labelled * window.answered
    told = serving.activity(window.endpoint, after=window.after_id, through=window.through_id).labels
    if told < max(needed, 1) and window.answered and not overdue:
        return None
    labelled, figures = 0, {}
    if told and window.answered:
        version = Models(backend).get(window.model)
        frame = serving.outcomes(
            window.endpoint,
            after=window.after_id,
            through=window.through_id,
            model=window.model,
            labelled=True,
            columns=output_columns(),
        ).filter(pl.col("arm") == "champion", pl.col("label").is_not_null())
        if frame.height < needed and not overdue:
            return None
        labelled = frame.height
        figures = figures_of(frame, version, limits) if labelled >= min(LEAST, limits.window_rows) else {}
    judged = msgspec.structs.replace(window, labelled=labelled, figures=figures)
    return Monitoring(backend).record_performance(judged)


def _window(backend: Backend, monitor: Monitor, stretch: Stretch, reference: Reference) -> Window:
    names = [field.name for field in reference.version.signature.inputs]
    rows = Serving(backend).outcomes(
        monitor.endpoint,
        after=monitor.position,
        through=stretch.through,
        columns=[f"{part}.{name}" for name in names for part in ("input", "feature")],
    )
    columns = drift_of(rows, reference)
    return Window(
        id=new_id(),
        workspace=monitor.workspace,
        endpoint=monitor.endpoint,
        number=monitor.windows + 1,
        model=stretch.model,
        after_id=monitor.position,
        through_id=stretch.through,
        since=_moment(rows["at"].min()),
        until=_moment(rows["at"].max()),
        rows=rows.height,
        answered=int(((rows["arm"] == "champion") & (rows["model"] == stretch.model)).sum()),
        reference=reference.source,
        drifted=[each.column for each in columns if each.verdict == "drift"],
        drift_share=drift_share(columns, reference.importances),
        columns=columns,
        seen_at=now(),
    )


def _moment(value: object) -> datetime:
    if not isinstance(value, datetime):
        raise TypeError(f"the prediction log gave {value!r} for a moment")
    return value if value.tzinfo else value.replace(tzinfo=UTC)
