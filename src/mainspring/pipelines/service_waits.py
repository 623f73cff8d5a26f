"""Waits: what runs wait for, and the answers of people."""

from __future__ import annotations

import re
from typing import Any, Literal

import msgspec

from mainspring.kernel.clock import monotonic
from mainspring.kernel.context import caller
from mainspring.kernel.errors import Conflict, Forbidden, InvalidInput
from mainspring.kernel.operations import operation
from mainspring.pipelines.control import OVER, leave_run
from mainspring.pipelines.records import fence, find_flow, save_log
from mainspring.pipelines.tables_waits import WAITS
from mainspring.pipelines.types import FlowRun, StepRecord
from mainspring.pipelines.types_waits import Wait, WaitState, Wanted
from mainspring.pipelines.waits_records import check_wanted, find_wait, put_wait, resolve_wait, step_name
from mainspring.pipelines.waits_schema import mismatch
from mainspring.store.service import RoomService

__all__ = ["WaitOperations"]

_PLACE = re.compile(r"[0-9]{1,9}(\.[0-9]{1,9}){0,50}")
_LONGEST_LOOK = 30.0
_LARGEST_ANSWER = 64 << 10
_OF_OPEN_RUNS = "run_id IN (SELECT id FROM flow_run WHERE state IN ('queued', 'running', 'waiting', 'paused'))"


class WaitOperations(RoomService):
    """What runs wait for."""

    @operation(permission="pipelines:write", writes=True, resource="run_id")
    def open_wait(
        self,
        run_id: str,
        *,
        attempt: int,
        path: str,
        wanted: Wanted,
        arguments: dict[str, str] = {},  # noqa: B006 -- an operation's defaults are copied
        inputs: dict[str, str] = {},  # noqa: B006
    ) -> Wait:
        """Wait at a place of a run that executes; asked again, the same wait, as it is now.

        Raises:
            LostLease: Another attempt took over, or the run is over.
        """
        check_wanted(wanted)
        if not _PLACE.fullmatch(path):
            raise InvalidInput(f"{path[:60]!r} is not a place of a body", hint="numbers divided by dots, as in 3.0")
        with self.store.write() as tx:
            run = fence(tx, run_id, attempt)
            shown = StepRecord(
                id="",
                run_id=run.id,
                path=path,
                item=-1,
                name=step_name(wanted),
                state="waiting",
                attempt=1,
                started_at=tx.now,
                arguments=arguments,
                inputs=inputs,
            )
            return put_wait(tx, run, path, wanted, shown)

    @operation(permission="pipelines:write", writes=True, resource="run_id")
    def suspend(self, run_id: str, *, attempt: int, wait_id: str = "", log: str = "") -> FlowRun:
        """Leave a run that waits for `wait_id`, or was paused: no process holds it from now on.

        It is queued at once when that has come meanwhile, or when it was resumed.
        """
        with self.store.write() as tx:
            run = fence(tx, run_id, attempt)
            if log:
                save_log(tx, run.id, log)
            return leave_run(tx, self.store.queue, run, wait_id)

    @operation(permission="pipelines:approve", writes=True, resource="wait_id")
    def answer(self, wait_id: str, answer: Any) -> Wait:
        """Answer what a run asked; it goes on within milliseconds.

        Args:
            wait_id: What `waits` shows.
            answer: JSON that fits the wait's schema.

        Raises:
            InvalidInput: It does not fit.
            Forbidden: The question was put to others.
            Conflict: It was answered before, or the run is over.
        """
        if len(_encoded(answer)) > _LARGEST_ANSWER:
            raise InvalidInput(f"an answer has at most {_LARGEST_ANSWER} bytes", hint="commit it as a dataset")
        with self.store.write() as tx:
            wait = find_wait(tx, wait_id)
            wanted = wait.wanted
            if wanted.kind != "ask":
                raise Conflict(f"the run waits here for {'a moment' if wanted.kind == 'sleep' else 'an event'}")
            who = caller()
            if wanted.assignees and who.principal not in wanted.assignees and "admin" not in who.roles:
                raise Forbidden(
                    f"{who.principal} was not asked {wanted.question!r}",
                    hint=f"it was put to {', '.join(wanted.assignees)}",
                )
            if wait.state != "open":
                raise Conflict(f"this was answered by {wait.resolved_by}" if wait.state == "done" else "it is too late")
            run = find_flow(tx, wait.run_id)
            if run.state in OVER:
                raise Conflict(f"flow run {run.id} is {run.state}", hint=f"mainspring flow retry {run.id}")
            if wrong := mismatch(wanted.schema, answer):
                raise InvalidInput(wrong, details={"schema": wanted.schema})
            return resolve_wait(tx, wait, answer=answer)

    @operation(permission="pipelines:read")
    def waits(
        self,
        *,
        run_id: str = "",
        flow: str = "",
        kind: Literal["", "sleep", "ask", "event"] = "",
        state: WaitState | None = "open",
        assignee: str = "",
        limit: int = 100,
        before: str = "",
    ) -> list[Wait]:
        """What runs wait for, newest first.

        Args:
            run_id: Of this run only.
            flow: Of runs of this flow only.
            kind: `ask` for what people have to answer.
            state: `open` ones of runs that are not over; `done`, `expired`, or all with None.
            assignee: What this principal was asked, or everybody.
            limit: At most 1000.
            before: The id of a wait, for the next page.
        """
        clauses, params = ["workspace = ?"], [caller().workspace]
        wanted = (("run_id = ?", run_id.removeprefix("run/")), ("flow = ?", flow), ("id < ?", before))
        for clause, value in (*wanted, ("state = ?", state)):
            if value:
                clauses.append(clause)
                params.append(value)
        if state == "open":
            clauses.append(_OF_OPEN_RUNS)
        count = max(1, min(limit, 1000))
        found: list[Wait] = []
        with self.store.read() as tx:
            last = ""
            while len(found) < count:
                more, values = (["id < ?"], [last]) if last else ([], [])
                where = f"WHERE {' AND '.join([*clauses, *more])} ORDER BY id DESC LIMIT 1000"
                page = tx.fetch(WAITS, where, [*params, *values])
                found += [
                    each
                    for each in page
                    if (not kind or each.wanted.kind == kind)
                    and (not assignee or not each.wanted.assignees or assignee in each.wanted.assignees)
                ]
                if len(page) < 1000:
                    break
                last = page[-1].id
        return found[:count]

    @operation(permission="pipelines:read", resource="wait_id")
    def get_wait(self, wait_id: str, *, patience: float = 0.0) -> Wait:
        """A wait. Blocks until it is resolved or its run is over, for up to `patience` seconds, at most 30."""
        deadline = monotonic() + _checked(patience)
        commits = self.store.database.commits
        while True:
            seen = commits.number
            with self.store.read() as tx:
                found = find_wait(tx, wait_id)
                over = find_flow(tx, found.run_id).state in OVER
            if found.state != "open" or over or monotonic() >= deadline:
                return found
            commits.wait(seen, deadline - monotonic())

    @operation(permission="pipelines:read", resource="run_id")
    def watch(self, run_id: str, *, attempt: int = 0, state: str = "", patience: float = 0.0) -> FlowRun:
        """A flow run. Blocks until it is over, for up to `patience` seconds, at most 30.

        Args:
            run_id: The run.
            attempt: Return as soon as it is at another attempt; 0 for any.
            state: Return as soon as it is in another state than this one.
            patience: Seconds.
        """
        deadline = monotonic() + _checked(patience)
        commits = self.store.database.commits
        while True:
            seen = commits.number
            with self.store.read() as tx:
                run = find_flow(tx, run_id)
            changed = bool(state and run.state != state) or bool(attempt and run.attempt != attempt)
            if run.state in OVER or changed or monotonic() >= deadline:
                return run
            commits.wait(seen, deadline - monotonic())


def _encoded(answer: Any) -> bytes:
    try:
        return msgspec.json.encode(answer)
    except (RecursionError, OverflowError, ValueError) as error:
        raise InvalidInput(f"this answer has no form in JSON: {error}") from None


def _checked(patience: float) -> float:
    if not 0 <= patience <= _LONGEST_LOOK:
        raise InvalidInput(
            f"patience = {patience} is not from 0 to {_LONGEST_LOOK:g} seconds", hint="ask again and again"
        )
    return patience
