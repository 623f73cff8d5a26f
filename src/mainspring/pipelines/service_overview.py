"""What people look at: flows and their health, runs beside steps, a run of any size, the queue, a month."""

from __future__ import annotations

from datetime import date, timedelta
from typing import Any, Literal

import msgspec

from mainspring.kernel.clock import from_micros
from mainspring.kernel.context import caller
from mainspring.kernel.errors import InvalidInput, NotFound
from mainspring.kernel.operations import operation
from mainspring.pipelines.ends import OPEN_STATES
from mainspring.pipelines.overview import flow_names, health_of, run_grid
from mainspring.pipelines.overview_days import days_of_schedules, outlook, schedules_named
from mainspring.pipelines.overview_shape import critical_path, run_shape
from mainspring.pipelines.records import find_flow
from mainspring.pipelines.schedules_moments import zone_named
from mainspring.pipelines.tables_runs import STEPS
from mainspring.pipelines.types import StepRecord
from mainspring.pipelines.types_overview import (
    CriticalStep,
    DayMarks,
    FlowHealth,
    OpenTask,
    QueueGroup,
    QueueOverview,
    RunGrid,
    RunShape,
    ScheduleOutlook,
    StepPage,
    TriggerMemory,
    WorkerOverview,
)
from mainspring.store.queue_tables import WORKERS
from mainspring.store.service import RoomService

__all__ = ["OverviewOperations"]

_LONGEST_RANGE = timedelta(days=62)
_MOST_SCHEDULES = 500


class OverviewOperations(RoomService):
    """Many runs, or many steps, together."""

    @operation(permission="pipelines:read")
    def flow_health(self, *, q: str = "", recent: int = 20, limit: int = 50, after: str = "") -> list[FlowHealth]:
        """How flows are doing, by name: their last runs, what is open, when they start next.

        Args:
            q: Only names with this text in them.
            recent: How many runs of each, at most 100.
            limit: At most 200.
            after: The name of a flow, for the next page.
        """
        with self.store.read() as tx:
            names = flow_names(tx, q=q, after=after, limit=max(1, min(limit, 200)))
            return health_of(tx, names, max(0, min(recent, 100)))

    @operation(permission="pipelines:read", resource="flow")
    def run_grid(self, flow: str, *, runs: int = 20, before: str = "") -> RunGrid:
        """Runs of a flow, newest first, and what became of each step in each; `before` is a run, for the next page."""
        with self.store.read() as tx:
            return run_grid(tx, flow, runs=max(1, min(runs, 100)), before=before)

    @operation(permission="pipelines:read", resource="run_id")
    def run_shape(self, run_id: str, *, opened: list[str] = [], closed: list[str] = []) -> RunShape:  # noqa: B006 -- an operation's defaults are copied
        """A run as groups of steps, and which group's result was an argument of which, whatever its size.

        Args:
            run_id: The run.
            opened: Places of maps that are shown item by item; short ones are by themselves.
            closed: Places of maps that are not.
        """
        with self.store.read() as tx:
            return run_shape(tx, find_flow(tx, run_id).id, set(opened), set(closed))

    @operation(permission="pipelines:read", resource="run_id")
    def critical_path(self, run_id: str) -> list[CriticalStep]:
        """The chain of steps that the end of a run waited for, at most the last 2,000."""
        with self.store.read() as tx:
            return critical_path(tx, find_flow(tx, run_id).id)

    @operation(permission="pipelines:read", resource="run_id")
    def find_steps(
        self,
        run_id: str,
        *,
        q: str = "",
        name: str = "",
        path: str = "",
        state: str = "",
        order: Literal["begun", "longest", "item"] = "begun",
        limit: int = 50,
        after: str = "",
    ) -> StepPage:
        """Some of the steps of a run.

        Args:
            run_id: The run.
            q: A text in their names or their arguments.
            name: Their name.
            path: Their place.
            state: Their state.
            order: As they began, the longest first, or by the items of a map.
            limit: At most 1000.
            after: The `following` of the page before.
        """
        clauses, values = ["run_id = ?"], [run_id.removeprefix("run/")]
        for clause, value in (("name = ?", name), ("path = ?", path), ("state = ?", state)):
            if value:
                clauses.append(clause)
                values.append(value)
        if q:
            clauses.append("(lower(name) LIKE ? ESCAPE '\\' OR lower(arguments) LIKE ? ESCAPE '\\')")
            pattern = q.lower().replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")
            values += [f"%{pattern}%"] * 2
        if not (after.isascii() and (after.isdigit() or not after)) or len(after) > 9:
            raise InvalidInput(f"{after[:60]!r} is not the `following` of a page")
        where, skipped, count = " AND ".join(clauses), int(after or 0), max(1, min(limit, 1000))
        sorts = {"begun": "id", "item": "item", "longest": "coalesce(finished_at, ?) - started_at DESC, id"}
        with self.store.read() as tx:
            find_flow(tx, run_id)
            total = int(tx.value(f"SELECT COUNT(*) FROM flow_step WHERE {where}", values) or 0)  # noqa: S608 -- names of our own
            also: list[Any] = [tx.now_micros] if order == "longest" else []
            page = f"WHERE {where} ORDER BY {sorts[order]} LIMIT ? OFFSET ?"
            steps = tx.fetch(STEPS, page, [*values, *also, count, skipped])
        following = str(skipped + count) if skipped + count < total else ""
        return StepPage(steps, total, following)

    @operation(permission="pipelines:read")
    def step(self, step_id: str) -> StepRecord:
        """One step."""
        with self.store.read() as tx:
            found = tx.fetch_one(STEPS, "WHERE id = ?", (step_id.removeprefix("run/").removeprefix("step/"),))
            if found is None:
                raise NotFound(f"there is no step {step_id!r}")
            find_flow(tx, found.run_id)  # of the caller's workspace
            return found

    @operation(permission="pipelines:read")
    def queue_overview(self) -> QueueOverview:
        """What waits to be done, by kind and state, and which worker does what."""
        workspace = caller().workspace
        with self.store.read() as tx:
            groups = tx.rows(
                "SELECT kind, state, COUNT(*),"
                " MIN(CASE WHEN not_before > created_at THEN not_before ELSE created_at END)"
                " FROM queue_tasks WHERE workspace = ? AND state IN ('waiting', 'ready', 'running', 'dead')"
                " GROUP BY kind, state ORDER BY kind, state",
                (workspace,),
            )
            held: dict[str, list[OpenTask]] = {}
            for worker, *task in tx.rows(
                "SELECT q.worker, q.id, q.kind, f.id, f.flow, q.attempt, q.changed_at FROM queue_tasks q"  # noqa: S608
                f" LEFT JOIN flow_run f ON f.task_id = q.id AND f.state IN {OPEN_STATES}"
                " WHERE q.workspace = ? AND q.state = 'running' ORDER BY q.id LIMIT 1000",
                (workspace,),
            ):
                identity, kind, run, flow, attempt, since = task
                held.setdefault(str(worker), []).append(
                    OpenTask(identity, kind, run or "", flow or "", int(attempt), from_micros(int(since)))
                )
            workers = tx.fetch(WORKERS, "ORDER BY id LIMIT 1000")
        return QueueOverview(
            [QueueGroup(kind, state, int(count), from_micros(int(at))) for kind, state, count, at in groups],
            [WorkerOverview(each, held.get(each.id, [])) for each in workers],
        )

    @operation(permission="pipelines:read")
    def trigger_memory(self, *, name: str = "") -> list[TriggerMemory]:
        """What arrived for triggers, or for the one of a name, and did not complete their conditions yet."""
        with self.store.read() as tx:
            rows = tx.rows(
                "SELECT t.name, m.path, m.key, m.begun_at, m.due_at, m.events FROM flow_trigger_memory m"
                " JOIN flow_trigger t ON t.id = m.trigger_id WHERE t.workspace = ? AND (? = '' OR t.name = ?)"
                " ORDER BY t.name, m.path, m.key LIMIT 1000",
                (caller().workspace, name, name),
            )
        return [
            TriggerMemory(
                trigger,
                path,
                key,
                from_micros(int(begun)),
                from_micros(int(due)) if due is not None else None,
                msgspec.json.decode(events, type=list[int]),
            )
            for trigger, path, key, begun, due, events in rows
        ]

    @operation(permission="pipelines:read")
    def schedule_outlook(self, *, n: int = 3, name: str = "", limit: int = 200) -> list[ScheduleOutlook]:
        """Schedules by name, in words, each with its next `n` moments, at most 20."""
        with self.store.read() as tx:
            found = schedules_named(tx, name, max(1, min(limit, _MOST_SCHEDULES)))
            return [outlook(tx, each, max(0, min(n, 20))) for each in found]

    @operation(permission="pipelines:read")
    def schedule_days(self, first: date, last: date, *, tz: str = "UTC", name: str = "") -> list[DayMarks]:
        """What each schedule did, and will do, on each day of a range: moments that come, states of runs that were.

        Args:
            first: The first day.
            last: The last one, at most 61 days after it.
            tz: The zone whose days these are.
            name: One schedule only.
        """
        if not timedelta(0) <= last - first < _LONGEST_RANGE:
            raise InvalidInput(f"from {first} to {last} are not 1 to {_LONGEST_RANGE.days} days")
        with self.store.read() as tx:
            return days_of_schedules(tx, schedules_named(tx, name, _MOST_SCHEDULES), first, last, zone_named(tz), name)
