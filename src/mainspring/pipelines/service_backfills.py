"""Backfills: runs of a flow for moments of the past, steered together."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import msgspec

from mainspring.kernel.clock import from_micros, to_micros
from mainspring.kernel.context import caller
from mainspring.kernel.errors import Conflict, InvalidInput
from mainspring.kernel.ids import new_id
from mainspring.kernel.names import check_name
from mainspring.kernel.operations import operation
from mainspring.pipelines.backfills import cancelled, divided, find_backfill, items_of, planned, progress_of, resting
from mainspring.pipelines.calendars import known_days
from mainspring.pipelines.schedules import find_schedule, moments_of
from mainspring.pipelines.schedules_moments import Moments
from mainspring.pipelines.service_schedules import check_start
from mainspring.pipelines.tables_backfills import BACKFILL_ITEMS, BACKFILLS
from mainspring.pipelines.types import Location
from mainspring.pipelines.types_backfills import Backfill, BackfillItem, BackfillPlan, BackfillProgress, Reprocess
from mainspring.pipelines.types_schedules import Timing
from mainspring.store.service import RoomService
from mainspring.store.transaction import Transaction

__all__ = ["BackfillOperations"]


class BackfillOperations(RoomService):
    """Backfills."""

    @operation(permission="pipelines:read")
    def plan_backfill(
        self,
        first: datetime,
        last: datetime,
        *,
        schedule: str = "",
        flow: str = "",
        cron: str = "",
        every: float = 0.0,
        tz: str = "UTC",
        exclude: list[str] = [],  # noqa: B006 -- an operation's defaults are copied
        only: list[str] = [],  # noqa: B006
        reprocess: Reprocess = "missing",
        backward: bool = False,
    ) -> BackfillPlan:
        """What a backfill over a range would do: which moments, how many runs, what is kept. Nothing is started.

        Args:
            first: The beginning of the range, included.
            last: Its end, included.
            schedule: Whose moments; or else `flow` with `cron` or `every`, which counts from `first`.
            flow: Which flow.
            cron: Five fields.
            every: Seconds.
            tz: The zone of the fields.
            exclude: What is left out, as in `schedule`.
            only: What everything else is left out of.
            reprocess: Which moments are run: those without a run, also those whose run failed, all.
            backward: The newest first.
        """
        first, last = (from_micros(to_micros(each)) for each in (first, last))
        with self.store.read() as tx:
            moments, _, name = _what(tx, schedule, flow, _timing(cron, every, tz, exclude, only), first, last)
            return planned(moments, divided(tx, name, moments, first, last, schedule, reprocess), backward=backward)

    @operation(permission="pipelines:write", writes=True, resource="name")
    def backfill(
        self,
        name: str,
        first: datetime,
        last: datetime,
        *,
        schedule: str = "",
        flow: str = "",
        location: Location = Location(),  # noqa: B008 -- frozen
        params: dict[str, Any] | None = None,
        cron: str = "",
        every: float = 0.0,
        tz: str = "UTC",
        exclude: list[str] = [],  # noqa: B006 -- an operation's defaults are copied
        only: list[str] = [],  # noqa: B006
        reprocess: Reprocess = "missing",
        backward: bool = False,
        max_parallel: int = 16,
        deployment: str = "",
        pool: str = "",
        priority: int = -10,
        labels: dict[str, str] = {},  # noqa: B006
        max_attempts: int = 5,
    ) -> Backfill:
        """Run a flow for every moment of a range; `plan_backfill` shows which, `Backfill` says what the words mean."""
        check_name(name, what="backfill")
        if not 0 <= max_parallel <= 100_000:
            raise InvalidInput(f"max_parallel={max_parallel}: 0 for all, to 100,000")
        first, last = (from_micros(to_micros(each)) for each in (first, last))
        with self.store.write() as tx:
            moments, found, flow_name = _what(tx, schedule, flow, _timing(cron, every, tz, exclude, only), first, last)
            place = found.location if found else location
            version = deployment or (found.deployment if found else "")
            check_start(tx, flow_name, place, version, pool, priority, max_attempts)
            items = divided(tx, flow_name, moments, first, last, schedule, reprocess)
            made = Backfill(
                id=new_id(),
                workspace=caller().workspace,
                name=name,
                flow=flow_name,
                location=place,
                params=(found.params if found else {}) if params is None else params,
                timing=moments.timing,
                first=first,
                last=last,
                schedule=schedule,
                reprocess=reprocess,
                backward=backward,
                max_parallel=max_parallel,
                state="running",
                runs=sum(1 for _, run in items if not run),
                kept=sum(1 for _, run in items if run),
                created_at=tx.now,
                created_by=caller().principal,
                deployment=version,
                pool=pool or (found.pool if found else ""),
                priority=priority,
                labels=labels,
                max_attempts=max_attempts,
            )
            return _recorded(tx, made, items)

    @operation(permission="pipelines:read")
    def backfills(self, *, limit: int = 100) -> list[BackfillProgress]:
        """Backfills and how far they are, newest first."""
        with self.store.read() as tx:
            found = tx.fetch(
                BACKFILLS,
                "WHERE workspace = ? ORDER BY id DESC LIMIT ?",
                (caller().workspace, max(0, min(limit, 1000))),
            )
            return [progress_of(tx, each) for each in found]

    @operation(permission="pipelines:read", resource="name")
    def backfill_progress(self, name: str) -> BackfillProgress:
        """How far a backfill is: its id, or the newest of a name."""
        with self.store.read() as tx:
            return progress_of(tx, find_backfill(tx, name))

    @operation(permission="pipelines:read", resource="name")
    def backfill_items(self, name: str, *, limit: int = 1000, after: int = -1) -> list[BackfillItem]:
        """The moments of a backfill in the order of their starts; `after` is a number, for the next page."""
        with self.store.read() as tx:
            return tx.fetch(
                BACKFILL_ITEMS,
                "WHERE backfill_id = ? AND number > ? ORDER BY number LIMIT ?",
                (find_backfill(tx, name).id, after, max(0, min(limit, 10_000))),
            )

    @operation(permission="pipelines:write", writes=True, resource="name")
    def cancel_backfill(self, name: str) -> Backfill:
        """End a backfill: its open runs are cancelled, and what waits is never started."""
        with self.store.write() as tx:
            found = find_backfill(tx, name)
            if found.state in ("cancelled", "finished"):
                return found
            return cancelled(self.store.queue, tx, found)

    @operation(permission="pipelines:write", writes=True, resource="name")
    def pause_backfill(self, name: str, *, paused: bool = True) -> Backfill:
        """Stop starting the runs of a backfill, those that are queued included, or go on; what runs goes on."""
        with self.store.write() as tx:
            found = find_backfill(tx, name)
            if found.state not in ("running", "paused"):
                raise Conflict(f"the backfill {found.name} is {found.state}")
            if (found.state == "paused") == paused:
                return found
            return resting(self.store.queue, tx, found, paused=paused)


def _timing(cron: str, every: float, tz: str, exclude: list[str], only: list[str]) -> Timing:
    return Timing(cron=cron, every=every, tz=tz, exclude=tuple(exclude), only=tuple(only))


def _recorded(tx: Transaction, made: Backfill, items: list[tuple[datetime, str]]) -> Backfill:
    if not made.runs:
        raise Conflict(f"all {len(items)} moments have a run already", hint='reprocess="failed" or "all"')
    tx.insert(BACKFILLS, made)
    tx.insert_many(BACKFILL_ITEMS, items_of(made, items))
    tx.note(f"backfill/{made.name}", flow=made.flow, runs=made.runs, kept=made.kept)
    tx.announce()
    return made


def _what(
    tx: Transaction, schedule: str, flow: str, timing: Timing, first: datetime, last: datetime
) -> tuple[Moments, Any, str]:
    """The moments of a backfill, the schedule whose they are, and the flow."""
    if first > last:
        raise InvalidInput(f"the range ends at {last} before it begins at {first}")
    if bool(schedule) == bool(flow):
        raise InvalidInput("a backfill is of a `schedule`, or of a `flow` with `cron` or `every`")
    if schedule:
        found = find_schedule(tx, schedule)
        return moments_of(tx, msgspec.structs.replace(found, timing=_reaching(found.timing, first))), found, found.flow
    whole = msgspec.structs.replace(timing, start=first) if timing.every else timing
    return Moments(whole, known_days(tx)), None, flow


def _reaching(timing: Timing, first: datetime) -> Timing:
    """The same moments, and those before the schedule was made, where they are counted from then."""
    if not timing.every or timing.start is None or timing.start <= first:
        return timing
    step = timedelta(seconds=timing.every)
    count = -(-(timing.start - first) // step)
    return msgspec.structs.replace(timing, start=timing.start - count * step)
