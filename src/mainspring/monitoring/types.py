"""What monitoring speaks of: windows of traffic, what was seen in them, and alerts."""

from __future__ import annotations

from datetime import datetime
from typing import Literal

import msgspec

from mainspring.quality.drift.compare import ColumnDrift

__all__ = ["Alert", "AlertKind", "Figure", "Limits", "Monitor", "Window"]

AlertKind = Literal["drift", "performance"]


class Limits(msgspec.Struct, frozen=True, kw_only=True):
    """When a monitor speaks up. The defaults hold for every endpoint until somebody says otherwise."""

    window_rows: int = 5000
    """How many predictions make a window."""
    labelled: float = 0.8
    """The share of a window's rows whose labels must have come before its performance is judged."""
    drift_share: float = 0.2
    """Drift alert: the columns that drifted carry at least this share of the model's importance (or of its columns, where no
    importances are known)."""
    calibration: float = 0.25
    """Performance alert: what was predicted and what came differ by more than this share of what came, beyond chance."""
    quiet_windows: int = 2
    """After how many windows in a row without the cause an alert resolves by itself."""


class Monitor(msgspec.Struct, frozen=True):
    """The watch over one endpoint: made by itself when the endpoint is first seen."""

    workspace: str
    endpoint: str
    limits: Limits
    watermark: datetime
    """Predictions before this moment (of what they are about) are in windows already."""
    changed: int
    """Counts up with each change, so that two schedulers do not cut the same window."""
    paused: bool


class Figure(msgspec.Struct, frozen=True):
    """A measure of a window beside the same measure when the model was accepted."""

    value: float
    low: float | None = None
    high: float | None = None
    reference: float | None = None
    reference_low: float | None = None
    reference_high: float | None = None
    fell: bool = False
    """Worse than the reference beyond what chance explains: the intervals do not meet."""


class Window(msgspec.Struct, frozen=True):
    """What was seen in one stretch of an endpoint's traffic."""

    id: str
    workspace: str
    endpoint: str
    model: str
    """The champion then: `model/name@version`."""
    since: datetime
    until: datetime
    """Of what the predictions are about; the last moment is included."""
    rows: int
    reference: str
    """What the inputs are compared with: the artifact that the model was trained on, found in the lineage."""
    drifted: list[str]
    """Columns that drifted, worst first."""
    drift_share: float
    """The share of the importance that the drifted columns carry."""
    columns: list[ColumnDrift]
    """Every column, in the order in which to look at them: drift times importance."""
    labelled: int
    """Rows whose label had come when performance was judged; 0 while it was not."""
    figures: dict[str, Figure]
    """`auc`, `log_loss`, `brier`, `calibration`; empty while labels are missing."""
    seen_at: datetime


class Alert(msgspec.Struct, frozen=True):
    """Something that a person, or a loop, should look at. One per endpoint and kind at a time."""

    id: str
    workspace: str
    endpoint: str
    kind: AlertKind
    severity: Literal["warning", "critical"]
    title: str
    """One sentence: what, where, how much."""
    model: str
    window_id: str
    """The window that raised it."""
    report: str
    """The artifact of kind `report` that holds the evidence, in the lineage of whatever it leads to."""
    fired_at: datetime
    event_at: datetime
    """The end of the window that raised it, in the time of the traffic."""
    last_seen_at: datetime
    windows: int
    """How many windows have shown the cause."""
    quiet: int
    """How many windows in a row have not."""
    resolved_at: datetime | None
    resolution: str
    acknowledged_by: str
