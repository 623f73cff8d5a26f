"""Schedules: when flows start by themselves."""

from __future__ import annotations

from typing import Any

import msgspec

from mainspring.kernel.context import caller
from mainspring.kernel.ids import new_id
from mainspring.kernel.names import check_name
from mainspring.kernel.operations import operation
from mainspring.pipelines.schedules import find_schedule, next_moment
from mainspring.pipelines.tables_schedules import SCHEDULES
from mainspring.pipelines.tick import tick
from mainspring.pipelines.types import Location
from mainspring.pipelines.types_schedules import Schedule
from mainspring.store.service import RoomService

__all__ = ["ScheduleOperations"]


class ScheduleOperations(RoomService):
    """Schedules."""

    @operation(permission="pipelines:write", writes=True, resource="name")
    def schedule(
        self,
        name: str,
        *,
        flow: str,
        location: Location,
        params: dict[str, Any] = {},  # noqa: B006 -- an operation's defaults are copied
        cron: str = "",
        every: float = 0.0,
        tz: str = "UTC",
    ) -> Schedule:
        """Start a flow at certain moments; a schedule of the same name is replaced."""
        check_name(name, what="schedule")
        check_name(flow, what="flow")
        with self.store.write() as tx:
            moment = next_moment(after=tx.now, cron=cron, every=every, tz=tz)
            made = Schedule(
                id=new_id(),
                workspace=caller().workspace,
                name=name,
                flow=flow,
                location=location,
                params=params,
                cron=cron,
                every=every,
                tz=tz,
                paused=False,
                next_at=moment,
                last_at=None,
                created_at=tx.now,
                created_by=caller().principal,
            )
            tx.execute("DELETE FROM flow_schedule WHERE workspace = ? AND name = ?", (made.workspace, name))
            tx.insert(SCHEDULES, made)
            tx.note(f"schedule/{name}", flow=flow, cron=cron, every=every, tz=tz)
        return made

    @operation(permission="pipelines:write", writes=True, resource="name")
    def pause(self, name: str, *, paused: bool = True) -> Schedule:
        """Stop a schedule, or let it go on from now: moments that passed meanwhile are not made up for."""
        with self.store.write() as tx:
            found = find_schedule(tx, name)
            moment = (
                found.next_at if paused else next_moment(after=tx.now, cron=found.cron, every=found.every, tz=found.tz)
            )
            changed = msgspec.structs.replace(found, paused=paused, next_at=moment)
            tx.execute("DELETE FROM flow_schedule WHERE id = ?", (found.id,))
            tx.insert(SCHEDULES, changed)
            tx.note(f"schedule/{name}", paused=paused)
        return changed

    @operation(permission="pipelines:write", writes=True, resource="name")
    def unschedule(self, name: str) -> None:
        """Take a schedule away; runs that it started stay."""
        with self.store.write() as tx:
            tx.execute("DELETE FROM flow_schedule WHERE id = ?", (find_schedule(tx, name).id,))
            tx.note(f"schedule/{name}", removed=True)

    @operation(permission="pipelines:read")
    def schedules(self) -> list[Schedule]:
        """Every schedule, by name."""
        with self.store.read() as tx:
            return tx.fetch(SCHEDULES, "WHERE workspace = ? ORDER BY name", (caller().workspace,))

    @operation(permission="pipelines:admin", writes=True)
    def tick(self) -> int:
        """Start what is due and take up what lost its worker; how much was done. To be called every second or so."""
        return tick(self.store)
