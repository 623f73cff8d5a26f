"""What monitoring speaks of: windows of traffic, what was seen in them, and alerts."""

from __future__ import annotations

from datetime import datetime
from typing import Literal

import msgspec

from mainspring.kernel.errors import InvalidInput
from mainspring.quality.drift.compare import ColumnDrift

__all__ = ["Alert", "AlertKind", "Figure", "Limits", "Monitor", "Window"]

AlertKind = Literal["drift", "performance"]


class Limits(msgspec.Struct, frozen=True, kw_only=True):
    """When a monitor speaks up. The defaults hold for every endpoint until somebody says otherwise."""

    window_rows: int = 5000
    """How many predictions make a window, at least: a request is never divided."""
    window_days: float = 0.0
    """How many days of the traffic's time a window covers, at least. With 7, no weekday is missing from any window, and
    a column that follows the calendar is not taken for one that drifts."""
    labelled: float = 0.8
    """The share of the champion's answers whose labels must have come before a window's performance is judged."""
    label_days: float = 90.0
    """For how long labels are waited for; then a window is judged by those that came, if they are enough."""
    drift_share: float = 0.2
    """Drift alert: the columns that drifted carry at least this share of the model's importance (or of its columns,
    where no importances are known)."""
    calibration: float = 0.25
    """Performance alert: predicted and observed differ by more than this share of what came, beyond chance."""
    loss: float = 0.1
    """Performance alert of models without probabilities of two classes: the error is larger than it was when the model
    was accepted by more than this share, beyond chance."""
    quiet_windows: int = 2
    """After how many windows in a row without the cause an alert resolves by itself."""
    settle_seconds: float = 0.0
    """How old a request must be to be looked at. Where other machines answer too, give their logs the time to arrive:
    they seal them every 60 seconds."""

    def check(self) -> None:
        """Raise `InvalidInput` for limits that cannot be."""
        shares = {"labelled": self.labelled, "drift_share": self.drift_share}
        for name, share in shares.items():
            if not 0 < share <= 1:
                raise InvalidInput(f"{name} is a share above 0 and up to 1, not {share}")
        for name in ("window_days", "label_days", "calibration", "loss", "settle_seconds"):
            if not 0 <= getattr(self, name) < float("inf"):
                raise InvalidInput(f"{name} must be 0 or more, not {getattr(self, name)}")
        if self.window_rows < 1 or self.quiet_windows < 1:
            raise InvalidInput(f"window_rows and quiet_windows must be 1 or more, not {self}")


class Monitor(msgspec.Struct, frozen=True):
    """The watch over one endpoint: made by itself when the endpoint is first seen."""

    workspace: str
    endpoint: str
    limits: Limits
    position: str
    """The request up to which predictions are in windows; empty at the beginning."""
    watermark: datetime
    """The latest moment, of what predictions are about, that is in a window."""
    windows: int
    """How many windows there are."""
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
    """Worse than the reference beyond what chance explains."""


class Window(msgspec.Struct, frozen=True):
    """What was seen in one stretch of an endpoint's traffic.

    Windows divide the log by requests, in the order in which they came: every prediction is in one window, also one
    about a moment long gone. A window ends early where another model became champion.
    """

    id: str
    workspace: str
    endpoint: str
    number: int
    """1, 2, 3, ... at this endpoint."""
    model: str
    """The champion then: `model/name@version`."""
    after_id: str
    """The request before its first one; empty for the first window."""
    through_id: str
    """Its last request."""
    since: datetime
    until: datetime
    """The earliest and the latest moment that its predictions are about."""
    rows: int
    """Answers, of the champion and of a challenger: what the inputs are judged by."""
    answered: int
    """Those of the champion: what its performance is judged by."""
    reference: str
    """What the inputs are compared with: the artifact that the model was trained on, found in the lineage."""
    drifted: list[str]
    """Columns that drifted, worst first."""
    drift_share: float
    """The share of the importance that the drifted columns carry."""
    columns: list[ColumnDrift]
    """Every column, in the order in which to look at them: drift times importance."""
    seen_at: datetime
    judged_at: datetime | None = None
    """When performance was judged; None while labels are waited for."""
    labelled: int = 0
    """The champion's answers whose label had come by then."""
    figures: dict[str, Figure] = {}
    """`auc`, `log_loss`, `brier`, `calibration` of two classes; `accuracy`, `log_loss`, `brier`, `calibration` of more;
    `mae`, `rmse`, `bias` of numbers. Empty while labels are missing."""


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
