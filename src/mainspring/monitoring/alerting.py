"""Alerts: one per endpoint and kind at a time; fired once, counted while the cause lasts, resolved when it has gone."""

from __future__ import annotations

import msgspec

from mainspring.events.outbox import emit
from mainspring.kernel.errors import NotFound
from mainspring.kernel.hashing import digest_value
from mainspring.kernel.ids import new_id
from mainspring.lineage import graph
from mainspring.monitoring.tables import ALERTS
from mainspring.monitoring.types import Alert, AlertKind, Limits, Window
from mainspring.serving.deployments import find_endpoint
from mainspring.store.transaction import Transaction

__all__ = ["TRIGGERS", "drift_cause", "find", "firing", "follow", "performance_cause", "resolve", "save"]

TRIGGERS = ("auc", "calibration", "accuracy", "mae", "bias")
"""Figures whose fall is a reason to alert. The losses of classifiers are not: they move with how hard a month is."""

_NAMED = 3
"""How many columns the title of an alert names; its report has all of them."""


def drift_cause(window: Window, limits: Limits) -> str:
    """Why this window is a reason to alert for drift, in one sentence; empty when it is none."""
    if not window.drifted or window.drift_share < limits.drift_share:
        return ""
    drifted = [f"{each.column} (PSI {each.psi:.2f})" for each in window.columns if each.verdict == "drift"]
    others = f" and {len(drifted) - _NAMED} more" if len(drifted) > _NAMED else ""
    named = ", ".join(drifted[:_NAMED])
    return f"inputs of {window.endpoint} drifted: {named}{others}; {window.drift_share:.0%} of what the model goes by"


def performance_cause(window: Window) -> str:
    """Why this window is a reason to alert for performance; empty when it is none."""
    told = []
    for name in TRIGGERS:
        figure = window.figures.get(name)
        if figure is None or not figure.fell:
            continue
        if name == "calibration":
            told.append(f"{figure.value:.2f} times as many predicted as came")
        elif name == "bias":
            told.append(f"predictions lie {abs(figure.value):.3g} too {'high' if figure.value > 0 else 'low'}")
        else:
            told.append(f"{name} {figure.value:.3f}, accepted with {figure.reference or 0.0:.3f}")
    return f"{window.model} at {window.endpoint} got worse: {'; '.join(told)}" if told else ""


def follow(
    tx: Transaction, window: Window, kind: AlertKind, *, cause: str, tells: bool, quiet_after: int
) -> Alert | None:
    """Bring the alert of this kind up to date with a window that was just judged; the alert, where there is one.

    Args:
        tx: Where the window was written.
        window: Of a model that does not answer any more it changes nothing: what was wrong with it is over.
        kind: Which alert.
        cause: Why it is a reason to alert; empty when it is none.
        tells: Whether it could have shown a cause: one that could not does not speak for the end of an alert.
        quiet_after: After how many windows without the cause the alert is resolved.
    """
    champion = find_endpoint(tx, window.endpoint).plan.champion.reference
    if window.model != champion:
        return None
    held = firing(tx, window.endpoint, kind)
    if held is not None and held.model != champion:
        resolve(tx, held, f"{held.model} was replaced by {champion}")
        held = None
    if held is None:
        return _fire(tx, window, kind, cause) if cause else None
    if not cause and not tells:
        return held
    if not cause and held.quiet + 1 >= quiet_after:
        return resolve(tx, held, f"not seen in {quiet_after} windows")
    if cause:
        held = msgspec.structs.replace(held, last_seen_at=tx.now, windows=held.windows + 1, quiet=0)
    else:
        held = msgspec.structs.replace(held, quiet=held.quiet + 1)
    save(tx, held)
    return held


def firing(tx: Transaction, endpoint: str, kind: AlertKind) -> Alert | None:
    """The alert of this kind that fires now."""
    return tx.fetch_one(
        ALERTS,
        "WHERE workspace = ? AND endpoint = ? AND kind = ? AND resolved_at IS NULL",
        (tx.workspace, endpoint, kind),
    )


def find(tx: Transaction, alert_id: str) -> Alert:
    """The alert with this id, `alert/` before it or not."""
    found = tx.fetch_one(ALERTS, "WHERE workspace = ? AND id = ?", (tx.workspace, alert_id.removeprefix("alert/")))
    if found is None:
        raise NotFound(f"there is no alert {alert_id!r}", hint="mainspring alert list")
    return found


def resolve(tx: Transaction, alert: Alert, reason: str) -> Alert:
    """End an alert; ending it twice is fine."""
    if alert.resolved_at is not None:
        return alert
    ended = msgspec.structs.replace(alert, resolved_at=tx.now, resolution=reason)
    save(tx, ended)
    _tell(tx, ended, "resolved", reason=reason)
    tx.note(f"alert/{alert.id}", resolved=reason)
    return ended


def save(tx: Transaction, alert: Alert) -> None:
    """Write an alert over the one with its id."""
    tx.execute("DELETE FROM alert WHERE id = ?", (alert.id,))
    tx.insert(ALERTS, alert)


def _fire(tx: Transaction, window: Window, kind: AlertKind, cause: str) -> Alert:
    report = _report(tx, window, kind, cause)
    alert = Alert(
        id=new_id(),
        workspace=tx.workspace,
        endpoint=window.endpoint,
        kind=kind,
        severity="warning" if kind == "drift" else "critical",
        title=cause,
        model=window.model,
        window_id=window.id,
        report=report,
        fired_at=tx.now,
        event_at=window.until,
        last_seen_at=tx.now,
        windows=1,
        quiet=0,
        resolved_at=None,
        resolution="",
        acknowledged_by="",
    )
    tx.insert(ALERTS, alert)
    _tell(tx, alert, "fired")
    tx.note(f"alert/{alert.id}", kind=kind, title=cause)
    return alert


def _tell(tx: Transaction, alert: Alert, what: str, **more: str) -> None:
    data = {"alert": alert.id, "kind": alert.kind, "severity": alert.severity, "title": alert.title, **more}
    data |= {"model": alert.model, "report": alert.report}
    emit(tx, f"monitoring.alert.{what}", subject=f"endpoint/{alert.endpoint}", data=data)


def _report(tx: Transaction, window: Window, kind: AlertKind, cause: str) -> str:
    """The evidence as an artifact, made by a run that used the model: what an alert leads to is traced to it."""
    run = graph.start_run(tx, "monitoring", window.endpoint, metadata={"window": window.id, "kind": kind})
    graph.use(tx, run.id, graph.resolve(tx, window.model).id, role="model")
    if window.reference:
        graph.use(tx, run.id, graph.resolve(tx, window.reference).id, role="reference")
    content = {"cause": cause, "window": msgspec.structs.asdict(window)}
    span = {"since": window.since.isoformat(), "until": window.until.isoformat()}
    made = graph.add_artifact(
        tx,
        "report",
        f"{window.endpoint}/{kind}",
        digest=digest_value("monitoring-report", msgspec.to_builtins(content)),
        metadata={"cause": cause, "window": window.id, **span},
        run_id=run.id,
    )
    graph.finish_run(tx, run.id)
    return made.ref
