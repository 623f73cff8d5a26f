"""What people do to flow runs: cancel, pause, try again, do again, say how it went."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any, Literal, cast

import msgspec

from mainspring.kernel.clock import monotonic
from mainspring.kernel.context import caller
from mainspring.kernel.errors import Conflict, DeadlineExceeded, InvalidInput, from_payload
from mainspring.kernel.operations import operation
from mainspring.pipelines.control import (
    OPEN,
    OVER,
    cancel_run,
    find_step,
    follow_changes,
    forget_steps,
    is_live,
    is_of_backfill,
    pause,
    places_from,
    places_in,
    runs_that,
    take_up,
    unpause,
)
from mainspring.pipelines.endings import callback_of, claim_callback, expect_end, overdue
from mainspring.pipelines.records import end_flow, fence, find_flow, save_log, save_steps
from mainspring.pipelines.tables_waits import WAITS
from mainspring.pipelines.types import FlowRun, StepRecord
from mainspring.pipelines.types_waits import Ending
from mainspring.pipelines.waits_records import expire
from mainspring.store.service import RoomService
from mainspring.store.transaction import Transaction

if TYPE_CHECKING:
    from mainspring.pipelines.service import Pipelines

__all__ = ["ControlOperations"]

_LONGEST = 100 * 365 * 86_400.0
_LOOK_SECONDS = 20.0


class ControlOperations(RoomService):
    """Runs under a person's hand."""

    @operation(permission="pipelines:write", writes=True, resource="run_id")
    def cancel(self, run_id: str) -> FlowRun:
        """Stop a flow run; what executes it is killed with all it started. One that is over stays as it is.

        A flow that runs in a process of its user, by `flow.run(client)`, stops at what it records next.
        """
        with self.store.write() as tx:
            return cancel_run(tx, self.store.queue, find_flow(tx, run_id))

    @operation(permission="pipelines:write", writes=True)
    def cancel_all(self, *, flow: str = "", backfill: str = "") -> list[str]:
        """Stop all runs of a flow, or of a backfill, that are not over; their ids.

        Raises:
            InvalidInput: Neither was named: nobody means everything.
        """
        _must_narrow(flow, backfill)

        def cancel(tx: Transaction, run: FlowRun) -> FlowRun:
            return cancel_run(tx, self.store.queue, run)

        return self._to_all(OPEN, flow, backfill, cancel)

    @operation(permission="pipelines:write", writes=True, resource="run_id")
    def pause_run(self, run_id: str) -> FlowRun:
        """Let a run stop at its next step: what runs finishes and is recorded, nothing more begins."""
        with self.store.write() as tx:
            return pause(tx, self.store.queue, find_flow(tx, run_id))

    @operation(permission="pipelines:write", writes=True, resource="run_id")
    def resume_run(self, run_id: str) -> FlowRun:
        """Let a paused run go on."""
        with self.store.write() as tx:
            return unpause(tx, self.store.queue, find_flow(tx, run_id))

    @operation(permission="pipelines:write", writes=True, resource="run_id")
    def retry(self, run_id: str, *, from_step: str = "") -> FlowRun:
        """Have a worker take up a run again; its finished steps are not run again.

        Args:
            run_id: A run that failed, crashed or was cancelled; with `from_step` any that is over or paused.
            from_step: Forget this step, by its path or id, and all that came after it, first.
        """
        with self.store.write() as tx:
            run = find_flow(tx, run_id)
            if from_step:
                _must_rest(tx, run)
                forget_steps(tx, run, places_from(tx, run, from_step))
            elif run.state not in ("failed", "crashed", "cancelled"):
                raise Conflict(
                    f"flow run {run.id} is {run.state}; only one that did not succeed can be tried again",
                    hint="from_step=... runs it again from a step on",
                )
            return take_up(tx, self.store.queue, msgspec.structs.replace(run, state="queued", error=None))

    @operation(permission="pipelines:write", writes=True)
    def retry_all(self, *, flow: str = "", backfill: str = "") -> list[str]:
        """Have workers take up all runs of a flow, or of a backfill, that failed or crashed; their ids."""
        _must_narrow(flow, backfill)

        def again(tx: Transaction, run: FlowRun) -> FlowRun | None:
            return take_up(tx, self.store.queue, run) if run.location.address or run.deployment else None

        return self._to_all(("failed", "crashed"), flow, backfill, again)

    @operation(permission="pipelines:write", writes=True, resource="run_id")
    def clear(self, run_id: str, paths: list[str]) -> FlowRun:
        """Forget these steps of a run, and run it again: what depends on them is done again where it changes.

        Args:
            run_id: A run that is over or paused.
            paths: Places or ids of steps; of a flow that was called, all that is inside.
        """
        if not paths:
            raise InvalidInput("there is nothing to clear", hint="name the places of steps: clear(run, ['3'])")
        with self.store.write() as tx:
            run = find_flow(tx, run_id)
            _must_rest(tx, run)
            forget_steps(tx, run, places_in(tx, run, paths))
            return take_up(tx, self.store.queue, msgspec.structs.replace(run, state="queued", error=None))

    @operation(permission="pipelines:write", writes=True, resource="step_id")
    def mark_step(self, step_id: str, *, output: Any = None) -> StepRecord:
        """Set the result of a step by hand, in the form of `values.encode`: its run goes on as if it had returned it.

        Raises:
            Conflict: Its run executes now.
        """
        with self.store.write() as tx:
            step = find_step(tx, step_id)
            run = find_flow(tx, step.run_id)
            _must_rest(tx, run)
            marked = msgspec.structs.replace(
                step,
                state="finished",
                output=output,
                error=None,
                finished_at=tx.now,
                marked_by=caller().principal,
                key="",
                cached_from="",
            )
            tx.execute("DELETE FROM flow_cache WHERE step_id = ?", (step.id,))
            tx.execute("DELETE FROM flow_wait WHERE id = ?", (step.id,))
            save_steps(tx, run, [marked], {}, {})
            follow_changes(tx, run)
            tx.note(f"run/{step.id}", flow=run.flow, path=step.path, marked="finished")
            return marked

    @operation(permission="pipelines:write", writes=True, resource="run_id")
    def mark_run(
        self, run_id: str, state: Literal["finished", "failed", "cancelled"], *, result: Any = None, reason: str = ""
    ) -> FlowRun:
        """Say how a run ended, whatever it did; what executes it is stopped. `result` is in the form of `encode`."""
        with self.store.write() as tx:
            run = find_flow(tx, run_id)
            if run.task_id and run.state in OPEN:
                self.store.queue.cancel(tx, run.task_id)
            by = caller().principal
            error = {"code": "", "message": reason or f"marked as {state} by {by}", "hint": "", "known": []}
            labels = {**run.labels, "marked_by": by}
            tx.execute("UPDATE flow_run SET labels = ? WHERE id = ?", (msgspec.json.encode(labels).decode(), run.id))
            if run.started_at is not None and run.state in OVER:
                tx.execute("UPDATE run SET status = 'running' WHERE id = ? AND workspace = ?", (run.id, run.workspace))
            marked = msgspec.structs.replace(run, labels=labels)
            tx.note(f"run/{run.id}", marked=state, reason=reason)
            tx.announce()
            wrong = None if state == "finished" else {**error, "details": {}}
            return end_flow(tx, marked, state, result=result, error=wrong)

    @operation(permission="pipelines:write", writes=True, resource="run_id")
    def wake(self, run_id: str) -> FlowRun:
        """Do what is due of a run that is not over: end its waits whose moment has come, or the run itself."""
        with self.store.write() as tx:
            run = find_flow(tx, run_id)
            if run.state in OVER:
                return run
            if (late := overdue(tx, run)) is not None:
                if run.task_id:
                    self.store.queue.cancel(tx, run.task_id)
                tx.announce()
                return end_flow(tx, run, "failed", error=late.payload())
            due = "WHERE run_id = ? AND state = 'open' AND due_at <= ? ORDER BY due_at, id"
            for wait in tx.fetch(WAITS, due, (run.id, tx.now_micros)):
                expire(tx, wait)
            return find_flow(tx, run.id)

    @operation(permission="pipelines:write", writes=True, resource="run_id")
    def expect_end(
        self, run_id: str, *, attempt: int, timeout: float = 0.0, on_success: bool = False, on_failure: bool = False
    ) -> Ending:
        """Note what is to happen at the end of a run; said again, it gives what was noted first.

        Args:
            run_id: The run.
            attempt: Which executes it.
            timeout: Seconds from now after which it is ended as failed; 0 for never.
            on_success: Whether its flow wants to be told that it finished.
            on_failure: Whether its flow wants to be told that it failed or crashed.
        """
        if not 0 <= timeout <= _LONGEST:
            raise InvalidInput(f"timeout = {timeout:g} seconds", hint="between 0 seconds and 100 years")
        with self.store.write() as tx:
            run = fence(tx, run_id, attempt)
            return expect_end(tx, run, timeout=timeout, on_success=on_success, on_failure=on_failure)

    @operation(permission="pipelines:write", writes=True, resource="run_id")
    def take_callback(self, run_id: str, *, worker: str = "") -> bool:
        """Make the call at the end of a run here, in the process that executed it; whether there is one to be made.

        Without a `worker` that is known to the store, the call counts as made at once.
        """
        with self.store.write() as tx:
            return claim_callback(tx, find_flow(tx, run_id), worker)

    @operation(permission="pipelines:write", writes=True, resource="run_id")
    def end_callback(self, run_id: str, *, error: dict[str, Any] | None = None) -> None:
        """Record that the call at the end of a run was made, or has to be tried again by a worker."""
        with self.store.write() as tx:
            task = callback_of(tx, find_flow(tx, run_id))
            if task is None or task.state != "running":
                return
            if error is None:
                self.store.queue.complete(task, tx=tx)
            else:
                self.store.queue.fail(task, error, tx=tx)

    @operation(permission="pipelines:write", writes=True, resource="run_id")
    def give_back(self, run_id: str, *, attempt: int, error: dict[str, Any], log: str = "") -> FlowRun:
        """Record that an attempt failed and another one follows: the run is queued, and its end has not come."""
        with self.store.write() as tx:
            run = fence(tx, run_id, attempt)
            if log:
                save_log(tx, run.id, log)
            given = end_flow(tx, run, "queued", error=error)
            tx.execute("UPDATE flow_run SET finished_at = NULL WHERE id = ?", (run.id,))
            return msgspec.structs.replace(given, finished_at=None)

    def _to_all(
        self, states: Iterable[str], flow: str, backfill: str, change: Callable[[Transaction, FlowRun], FlowRun | None]
    ) -> list[str]:
        """Change runs, a hundred in one transaction so that others are not kept waiting; the ids of the changed."""
        done: list[str] = []
        after = ""
        while True:
            with self.store.write() as tx:
                found = runs_that(tx, flow=flow, states=states, after=after, limit=100)
                wanted = [run for run in found if not backfill or is_of_backfill(run, backfill)]
                done += [changed.id for run in wanted if (changed := change(tx, run)) is not None]
            if len(found) < 100:
                return done
            after = found[-1].id

    def mark(self, step_id: str, output: Any = None) -> StepRecord:
        """Set the result of a step by hand, as a Python value; see `mark_step`.

        Example:
            `client.pipelines.mark(step_id, 0.93)`
        """
        from mainspring.pipelines.runtime import blob_port
        from mainspring.pipelines.values import encode

        return self.mark_step(step_id, output=encode(output, blob_port(self)))

    def wait(self, run_id: str, timeout: float | None = None) -> FlowRun:
        """Block until a run is over, and give it as it ended.

        Args:
            run_id: The run.
            timeout: Seconds; None for as long as it takes.

        Raises:
            DeadlineExceeded: It is not over after `timeout` seconds; it goes on.
        """
        deadline = float("inf") if timeout is None else monotonic() + timeout
        while True:
            patience = max(0.0, min(_LOOK_SECONDS, deadline - monotonic()))
            run = cast("Pipelines", self).watch(run_id, patience=patience)
            if run.state in OVER:
                return run
            if monotonic() >= deadline:
                raise DeadlineExceeded(
                    f"flow run {run.id} is {run.state} after {timeout:g} s", hint="it goes on; wait again"
                )

    def result(self, run_id: str, timeout: float | None = None) -> Any:
        """What a run returned, waiting for its end; raises what it failed with.

        Raises:
            DeadlineExceeded: It is not over after `timeout` seconds.
            Conflict: It was cancelled, or ended without an error of its own.
        """
        from mainspring.pipelines.runtime import blob_port
        from mainspring.pipelines.values import decode

        run = self.wait(run_id, timeout)
        if run.state == "finished":
            return decode(run.result, blob_port(self))
        if run.error and run.error.get("code"):
            raise from_payload(run.error)
        said = run.error["message"] if run.error else f"by {run.labels.get('marked_by', 'a person')}"
        raise Conflict(f"flow run {run.id} of {run.flow} is {run.state}: {said}", details={"error": run.error})


def _must_narrow(flow: str, backfill: str) -> None:
    if not flow and not backfill:
        raise InvalidInput("which runs?", hint="flow=... or backfill=...")


def _must_rest(tx: Transaction, run: FlowRun) -> None:
    """Refuse to change what a process works with now."""
    if run.state not in OVER and not (run.state == "paused" and not is_live(tx, run)):
        raise Conflict(f"flow run {run.id} is {run.state}", hint="cancel it first, or pause it and wait for its step")
