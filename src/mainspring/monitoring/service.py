"""The operations of monitoring: monitors, windows, alerts."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any, Literal

import msgspec

from mainspring.kernel.context import caller
from mainspring.kernel.errors import Conflict, InvalidInput
from mainspring.kernel.operations import operation
from mainspring.monitoring import alerts
from mainspring.monitoring.tables import ALERTS, MONITORS, WINDOWS
from mainspring.monitoring.types import Alert, Limits, Monitor, Window
from mainspring.serving.deployments import find_endpoint
from mainspring.store.service import RoomService
from mainspring.store.transaction import Transaction

__all__ = ["Monitoring"]

_BEGINNING = datetime(1970, 1, 1, tzinfo=UTC)


class Monitoring(RoomService, room="monitoring"):
    """The watch over what endpoints answer, and the alerts that it raises."""

    @operation(permission="monitoring:read", resource="endpoint")
    def monitor(self, endpoint: str) -> Monitor:
        """The monitor of an endpoint, with the limits in force."""
        with self.store.read() as tx:
            return _monitor(tx, endpoint)

    @operation(permission="monitoring:write", writes=True, resource="endpoint")
    def configure(self, endpoint: str, *, limits: Limits | None = None, paused: bool | None = None) -> Monitor:
        """Set other limits than the defaults, or pause the watch, or take it up again."""
        if limits is not None and (limits.window_rows < 1 or not 0 < limits.labelled <= 1):
            raise InvalidInput(f"these limits cannot be: {limits}", hint="window_rows >= 1 and 0 < labelled <= 1")
        with self.store.write() as tx:
            held = _monitor(tx, endpoint)
            changed = msgspec.structs.replace(
                held, limits=limits or held.limits, paused=held.paused if paused is None else paused, changed=held.changed + 1
            )
            _save(tx, changed)
            tx.note(f"monitor/{endpoint}", limits=msgspec.to_builtins(changed.limits), paused=changed.paused)
            return changed

    @operation(permission="monitoring:read", resource="endpoint")
    def windows(self, endpoint: str, *, unlabelled: bool = False, limit: int = 100, before: str = "") -> list[Window]:
        """What was seen, newest first; `unlabelled` gives those whose performance is not judged yet."""
        where, params = ["workspace = ?", "endpoint = ?"], [caller().workspace, endpoint]
        if unlabelled:
            where.append("labelled = 0")
        if before:
            where.append("id < ?")
            params.append(before)
        with self.store.read() as tx:
            return tx.fetch(WINDOWS, f"WHERE {' AND '.join(where)} ORDER BY id DESC LIMIT ?", [*params, min(limit, 1000)])

    @operation(permission="monitoring:write", writes=True)
    def record_window(self, window: Window, *, expected: int, watermark: datetime) -> Monitor:
        """Keep a window and move the watermark; raises or resolves the drift alert. `Conflict` when the monitor changed since."""
        with self.store.write() as tx:
            held = _monitor(tx, window.endpoint)
            if held.changed != expected:
                raise Conflict(f"the monitor of {window.endpoint!r} changed meanwhile", hint="look again")
            moved = msgspec.structs.replace(held, watermark=watermark, changed=held.changed + 1)
            _save(tx, moved)
            tx.insert(WINDOWS, window)
            tx.note(f"monitor/{window.endpoint}", window=window.id, drifted=window.drifted)
            alerts.follow(tx, window, "drift", cause=alerts.drift_cause(window, held.limits), quiet_after=held.limits.quiet_windows)
            return moved

    @operation(permission="monitoring:write", writes=True)
    def record_performance(self, window: Window) -> Window:
        """Add what the labels showed to a window; raises or resolves the performance alert."""
        with self.store.write() as tx:
            held = _monitor(tx, window.endpoint)
            count = tx.execute(
                "UPDATE monitor_window SET labelled = ?, figures = ? WHERE id = ? AND workspace = ? AND labelled = 0",
                (window.labelled, msgspec.json.encode(window.figures).decode(), window.id, caller().workspace),
            )
            if not count:
                raise Conflict(f"the performance of window {window.id} was judged already")
            tx.note(f"monitor/{window.endpoint}", window=window.id, labelled=window.labelled)
            alerts.follow(
                tx, window, "performance", cause=alerts.performance_cause(window), quiet_after=held.limits.quiet_windows
            )
            return window

    @operation(permission="monitoring:read")
    def alerts(
        self, *, endpoint: str = "", state: Literal["", "firing", "resolved"] = "", limit: int = 100
    ) -> list[Alert]:
        """Alerts, newest first."""
        where, params = ["workspace = ?"], [caller().workspace]
        if endpoint:
            where.append("endpoint = ?")
            params.append(endpoint)
        if state:
            where.append(f"resolved_at IS {'NOT NULL' if state == 'resolved' else 'NULL'}")
        with self.store.read() as tx:
            return tx.fetch(ALERTS, f"WHERE {' AND '.join(where)} ORDER BY id DESC LIMIT ?", [*params, min(limit, 1000)])

    @operation(permission="monitoring:read")
    def alert(self, alert_id: str) -> Alert:
        """One alert."""
        with self.store.read() as tx:
            return alerts.find(tx, alert_id)

    @operation(permission="monitoring:write", writes=True)
    def acknowledge(self, alert_id: str) -> Alert:
        """Say that somebody is looking at it."""
        with self.store.write() as tx:
            held = msgspec.structs.replace(alerts.find(tx, alert_id), acknowledged_by=caller().principal)
            alerts.save(tx, held)
            return held

    @operation(permission="monitoring:write", writes=True)
    def resolve(self, alert_id: str, *, reason: str = "resolved by hand") -> Alert:
        """End an alert; it fires anew when its cause is seen again."""
        with self.store.write() as tx:
            return alerts.resolve(tx, alerts.find(tx, alert_id), reason)


def _monitor(tx: Transaction, endpoint: str) -> Monitor:
    found = tx.fetch_one(MONITORS, "WHERE workspace = ? AND endpoint = ?", (tx.workspace, endpoint))
    if found is not None:
        return found
    find_endpoint(tx, endpoint)
    return Monitor(tx.workspace, endpoint, Limits(), _BEGINNING, 0, paused=False)


def _save(tx: Transaction, monitor: Monitor) -> None:
    row: list[Any] = MONITORS.to_row(monitor)
    tx.execute(
        f"{MONITORS.insert_sql} ON CONFLICT (workspace, endpoint) DO UPDATE SET limits = excluded.limits,"
        " watermark = excluded.watermark, changed = excluded.changed, paused = excluded.paused",
        row,
    )
