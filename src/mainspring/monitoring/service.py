"""The operations of monitoring: monitors, windows, alerts."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any, Literal

import msgspec

from mainspring.kernel.context import caller
from mainspring.kernel.errors import Conflict
from mainspring.kernel.operations import operation
from mainspring.monitoring import alerting
from mainspring.monitoring.tables import ALERTS, MONITORS, WINDOWS
from mainspring.monitoring.types import Alert, Limits, Monitor, Window
from mainspring.serving.deployments import find_endpoint
from mainspring.store.service import RoomService
from mainspring.store.transaction import Transaction

__all__ = ["Monitoring"]

_BEGINNING = datetime(1970, 1, 1, tzinfo=UTC)
_LAST = 2**62


class Monitoring(RoomService, room="monitoring"):
    """The watch over what endpoints answer, and the alerts that it raises."""

    @operation(permission="monitoring:read", resource="endpoint")
    def monitor(self, endpoint: str) -> Monitor:
        """The monitor of an endpoint, with the limits in force."""
        with self.store.read() as tx:
            return _monitor(tx, endpoint)

    @operation(permission="monitoring:write", writes=True, resource="endpoint")
    def configure(self, endpoint: str, *, limits: Limits | None = None, paused: bool | None = None) -> Monitor:
        """Set other limits than the defaults, or pause the watch, or take it up again where it stopped.

        Example:
            `client.monitoring.configure("fraud", limits=Limits(window_rows=20_000))`
        """
        if limits is not None:
            limits.check()
        with self.store.write() as tx:
            held = _monitor(tx, endpoint)
            changed = msgspec.structs.replace(
                held,
                limits=limits or held.limits,
                paused=held.paused if paused is None else paused,
                changed=held.changed + 1,
            )
            _save(tx, changed)
            tx.note(f"monitor/{endpoint}", limits=msgspec.to_builtins(changed.limits), paused=changed.paused)
            return changed

    @operation(permission="monitoring:read", resource="endpoint")
    def windows(self, endpoint: str, *, limit: int = 100, before: str = "") -> list[Window]:
        """What was seen, newest first; `before` is the id of a window, for the next page."""
        with self.store.read() as tx:
            return tx.fetch(
                WINDOWS,
                "WHERE workspace = ? AND endpoint = ? AND number < coalesce("
                "(SELECT number FROM monitor_window WHERE id = ?), 9223372036854775807) ORDER BY number DESC LIMIT ?",
                (tx.workspace, endpoint, before, max(0, min(limit, 1000))),
            )

    @operation(permission="monitoring:read", resource="endpoint")
    def pending(self, endpoint: str, *, after: int = 0, limit: int = 20) -> list[Window]:
        """Windows whose labels are waited for, oldest first; `after` is the number of a window, for the next page."""
        with self.store.read() as tx:
            return tx.fetch(
                WINDOWS,
                "WHERE workspace = ? AND endpoint = ? AND judged_at IS NULL AND number > ? ORDER BY number LIMIT ?",
                (tx.workspace, endpoint, max(0, min(after, _LAST)), max(0, min(limit, 1000))),
            )

    @operation(permission="monitoring:admin", writes=True)
    def record_window(self, window: Window, *, expected: int) -> Monitor:
        """Keep the next window and move the monitor on; raises or resolves the drift alert.

        `Conflict` when the monitor is not as it was, `expected`, when the window was cut: somebody else was quicker.
        """
        with self.store.write() as tx:
            held = _monitor(tx, window.endpoint)
            if held.changed != expected or window.number != held.windows + 1:
                raise Conflict(f"the monitor of {window.endpoint!r} changed meanwhile", hint="look again")
            moved = msgspec.structs.replace(
                held,
                position=window.through_id,
                watermark=max(held.watermark, window.until),
                windows=window.number,
                changed=held.changed + 1,
            )
            _save(tx, moved)
            tx.insert(WINDOWS, window)
            tx.note(f"monitor/{window.endpoint}", window=window.id, drifted=window.drifted)
            alerting.follow(
                tx,
                window,
                "drift",
                cause=alerting.drift_cause(window, held.limits),
                tells=any(each.verdict != "insufficient data" for each in window.columns),
                quiet_after=held.limits.quiet_windows,
            )
            return moved

    @operation(permission="monitoring:admin", writes=True)
    def record_performance(self, window: Window) -> Window:
        """Add what the labels showed to a window; raises or resolves the performance alert. `Conflict` when known."""
        with self.store.write() as tx:
            held = _monitor(tx, window.endpoint)
            judged = msgspec.structs.replace(window, judged_at=tx.now)
            row = dict(zip(WINDOWS.columns, WINDOWS.to_row(judged), strict=True))
            changed = tx.execute(
                "UPDATE monitor_window SET judged_at = ?, labelled = ?, figures = ?"
                " WHERE id = ? AND workspace = ? AND judged_at IS NULL",
                (row["judged_at"], row["labelled"], row["figures"], window.id, tx.workspace),
            )
            if not changed:
                raise Conflict(f"the performance of window {window.id} was judged already")
            tx.note(f"monitor/{window.endpoint}", window=window.id, labelled=window.labelled)
            alerting.follow(
                tx,
                judged,
                "performance",
                cause=alerting.performance_cause(judged),
                tells=bool(judged.figures),
                quiet_after=held.limits.quiet_windows,
            )
            return judged

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
        query = f"WHERE {' AND '.join(where)} ORDER BY id DESC LIMIT ?"
        with self.store.read() as tx:
            return tx.fetch(ALERTS, query, [*params, max(0, min(limit, 1000))])

    @operation(permission="monitoring:read")
    def alert(self, alert_id: str) -> Alert:
        """One alert."""
        with self.store.read() as tx:
            return alerting.find(tx, alert_id)

    @operation(permission="monitoring:write", writes=True)
    def acknowledge(self, alert_id: str) -> Alert:
        """Say that somebody is looking at it."""
        with self.store.write() as tx:
            held = msgspec.structs.replace(alerting.find(tx, alert_id), acknowledged_by=caller().principal)
            alerting.save(tx, held)
            tx.note(f"alert/{held.id}", acknowledged_by=held.acknowledged_by)
            return held

    @operation(permission="monitoring:write", writes=True)
    def resolve(self, alert_id: str, *, reason: str = "resolved by hand") -> Alert:
        """End an alert; another one fires when its cause is seen again."""
        with self.store.write() as tx:
            return alerting.resolve(tx, alerting.find(tx, alert_id), reason)


def _monitor(tx: Transaction, endpoint: str) -> Monitor:
    found = tx.fetch_one(MONITORS, "WHERE workspace = ? AND endpoint = ?", (tx.workspace, endpoint))
    if found is not None:
        return found
    find_endpoint(tx, endpoint)
    return Monitor(
        workspace=tx.workspace,
        endpoint=endpoint,
        limits=Limits(),
        position="",
        watermark=_BEGINNING,
        windows=0,
        changed=0,
        paused=False,
    )


def _save(tx: Transaction, monitor: Monitor) -> None:
    row: list[Any] = MONITORS.to_row(monitor)
    kept = ", ".join(f"{name} = excluded.{name}" for name in MONITORS.columns[2:])
    tx.execute(f"{MONITORS.insert_sql} ON CONFLICT (workspace, endpoint) DO UPDATE SET {kept}", row)
