"""What people do to flow runs: cancel, try again."""

from __future__ import annotations

import msgspec

from mainspring.kernel.errors import Conflict
from mainspring.kernel.operations import operation
from mainspring.pipelines.records import end_flow, find_flow
from mainspring.pipelines.tick import queue_flow
from mainspring.pipelines.types import FlowRun
from mainspring.store.service import RoomService

__all__ = ["ControlOperations"]


class ControlOperations(RoomService):
    """Runs under a person's hand."""

    @operation(permission="pipelines:write", writes=True, resource="run_id")
    def cancel(self, run_id: str) -> FlowRun:
        """Stop a flow run; what executes it is killed, or stops at its next step. One that has ended stays as it is."""
        with self.store.write() as tx:
            run = find_flow(tx, run_id)
            if run.state not in ("queued", "running"):
                return run
            if run.task_id:
                self.store.queue.cancel(tx, run.task_id)
            return end_flow(tx, run, "cancelled")

    @operation(permission="pipelines:write", writes=True, resource="run_id")
    def retry(self, run_id: str) -> FlowRun:
        """Have a worker take up a run that failed, crashed or was cancelled; its finished steps are not run again."""
        with self.store.write() as tx:
            run = find_flow(tx, run_id)
            if run.state not in ("failed", "crashed", "cancelled"):
                raise Conflict(f"flow run {run.id} is {run.state}; only one that did not succeed can be tried again")
            if not run.location.address:
                raise Conflict(
                    f"no worker can import the flow {run.flow}", hint=f"my_flow.run(client, run_id={run.id!r})"
                )
            return queue_flow(
                self.store.queue, tx, msgspec.structs.replace(run, state="queued", error=None), fresh=False
            )
