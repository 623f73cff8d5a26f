"""The watch: cuts new traffic into windows, judges them, raises and resolves alerts. Called by the scheduler.

Safe to run in several schedulers: a window is committed only by the one that finds the monitor unchanged. Cheap while
nothing is new: what was counted at the last look is kept in this process, and nothing is read, nor is a table engine
loaded, before there is enough for another window, or another label. What is kept is a hint and never wrong for long:
a process that knows nothing looks once.
"""

from __future__ import annotations

import weakref
from typing import TYPE_CHECKING

import msgspec

from mainspring.kernel.context import caller
from mainspring.kernel.operations import Backend
from mainspring.monitoring.service import Monitoring
from mainspring.monitoring.types import Monitor, Window
from mainspring.monitoring.workspaces import in_each_workspace, let
from mainspring.serving.service import Serving

if TYPE_CHECKING:
    from mainspring.client.client import Client

__all__ = ["tick", "watch"]

_PAGE = 20


class _Look(msgspec.Struct):
    """What is remembered of an endpoint between two looks."""

    changed: int = -1
    """The monitor's count of changes when `enough` was reckoned."""
    enough: int = 0
    """Rows since the last window from which on it is worth reading them."""
    labels: tuple[int, int] = (-1, -1)
    """The windows and the labels that there were when pending windows were last looked through."""
    oldest: str = ""
    """Before the first request of the oldest pending window."""
    place: int = 0
    """The pending window after which looking through them goes on; 0 when it is done."""


_looks: weakref.WeakKeyDictionary[Backend, dict[tuple[str, str], _Look]] = weakref.WeakKeyDictionary()


def tick(client: Client) -> None:
    """Look at every endpoint of every workspace once."""
    in_each_workspace(client, _look_around)


def watch(backend: Backend, endpoint: str) -> list[Window]:
    """Judge what is new at one endpoint: windows that filled up, and labels that arrived; the windows cut now.

    Raises:
        Conflict: Another scheduler did some of it meanwhile.
    """
    monitor = Monitoring(backend).monitor(endpoint)
    if monitor.paused:
        return []
    look = _looks.setdefault(backend, {}).setdefault((caller().workspace, endpoint), _Look())
    _end_alerts_of_the_replaced(backend, endpoint)
    made = _cut(backend, monitor, look)
    _judge(backend, Monitoring(backend).monitor(endpoint) if made else monitor, look)
    return made


def _look_around(client: Client) -> None:
    for endpoint in client.serving.endpoints():
        let(lambda name=endpoint.name: watch(client.backend, name), what=f"watching endpoint {endpoint.name}")  # type: ignore[misc]  # mypy: lambda defaults


def _end_alerts_of_the_replaced(backend: Backend, endpoint: str) -> None:
    firing = Monitoring(backend).alerts(endpoint=endpoint, state="firing")
    if not firing:
        return
    champion = Serving(backend).endpoint(endpoint).plan.champion.reference
    for alert in firing:
        if alert.model != champion:
            Monitoring(backend).resolve(alert.id, reason=f"{alert.model} was replaced by {champion}")


def _cut(backend: Backend, monitor: Monitor, look: _Look) -> list[Window]:
    """New windows, when so many rows have come that there may be one."""
    counted = Serving(backend).activity(monitor.endpoint, after=monitor.position).rows
    if look.changed != monitor.changed:
        look.changed, look.enough = monitor.changed, monitor.limits.window_rows
    if counted < look.enough:
        return []
    from mainspring.monitoring.windows import cut_windows

    made, left, held = cut_windows(backend, monitor)
    look.changed = held.changed
    counted = Serving(backend).activity(monitor.endpoint, after=held.position).rows if made else counted
    # Where what was found made no window, wait for what is missing; in steps that grow, should rows not be what counts.
    look.enough = counted + max(monitor.limits.window_rows - left, left // 20, 1) if left >= 0 else 0
    return made


def _judge(backend: Backend, monitor: Monitor, look: _Look) -> None:
    """The performance of windows whose labels have come, a page of them at a time."""
    if not look.place and look.labels == _labels(backend, monitor, look):
        return
    pending = Monitoring(backend).pending(monitor.endpoint, after=look.place, limit=_PAGE)
    if not look.place:
        look.oldest = pending[0].after_id if pending else monitor.position
        look.labels = _labels(backend, monitor, look)
    look.place = pending[-1].number if len(pending) == _PAGE else 0
    if not pending:
        return
    from mainspring.monitoring.windows import judge_window

    for window in pending:
        judge_window(backend, monitor, window)


def _labels(backend: Backend, monitor: Monitor, look: _Look) -> tuple[int, int]:
    return monitor.windows, Serving(backend).activity(monitor.endpoint, after=look.oldest).labels
