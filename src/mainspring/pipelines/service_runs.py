"""Flow runs and their steps: starting, recording, and looking at them."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any

from mainspring.kernel.context import caller
from mainspring.kernel.errors import Conflict, InvalidInput, NotFound
from mainspring.kernel.names import check_name
from mainspring.kernel.operations import operation
from mainspring.lineage.graph import add_artifact
from mainspring.lineage.listing import with_digest
from mainspring.pipelines.edits import is_edited
from mainspring.pipelines.records import (
    begin_attempt,
    check_own,
    end_flow,
    fence,
    fence_steps,
    find_flow,
    forget_others,
    note_origin,
    save_attempts,
    save_lineage,
    save_log,
    save_steps,
)
from mainspring.pipelines.starting import known_run, new_run, queue_flow
from mainspring.pipelines.tables_runs import ATTEMPTS, FLOW_RUNS, STEPS
from mainspring.pipelines.types import (
    Attempt,
    Environment,
    FlowRun,
    FlowState,
    Known,
    Location,
    Opened,
    StepRecord,
    StepWhy,
)
from mainspring.pipelines.values import nodes_in
from mainspring.pipelines.why import explain
from mainspring.store.queue_tables import WorkerRow
from mainspring.store.service import RoomService

if TYPE_CHECKING:
    from mainspring.pipelines.decorators import Flow

__all__ = ["RunOperations"]

_TTL = 100 * 365 * 86_400.0


class RunOperations(RoomService):
    """Flow runs and steps."""

    def start(
        self,
        flow: Flow[..., Any],
        params: dict[str, Any] | None = None,
        *,
        key: str = "",
        priority: int = 0,
        not_before: datetime | None = None,
    ) -> str:
        """Have a worker run `flow`; the id of the run. See `enqueue`, which this calls with where the flow is defined.

        Example:
            `client.pipelines.start(nightly, {"rows": 3}, key="2026-11-21")`
        """
        from mainspring.pipelines.runtime import blob_port
        from mainspring.pipelines.values import encode

        encoded = {name: encode(value, blob_port(self)) for name, value in flow.bind(params or {}).items()}
        run = self.enqueue(
            flow.name,
            location=flow.location(),
            params=encoded,
            code=flow.code().fingerprint,
            key=key,
            priority=priority or flow.options.priority,
            not_before=not_before,
            max_attempts=flow.max_attempts,
            pool=flow.options.pool,
        )
        return run.id

    @operation(permission="pipelines:write", writes=True, resource="flow")
    def enqueue(
        self,
        flow: str,
        *,
        location: Location,
        params: dict[str, Any] = {},  # noqa: B006 -- an operation's defaults are copied
        code: str = "",
        key: str = "",
        priority: int = 0,
        not_before: datetime | None = None,
        max_attempts: int = 5,
        pool: str = "",
    ) -> FlowRun:
        """Have a worker run the flow at `location`, one of `pool` if it is named.

        A `key` that was used before gives the run that it started.
        """
        check_name(flow, what="flow")
        if pool:
            check_name(pool, what="pool")
        if not location.address:
            raise InvalidInput(
                f"the flow {flow} is defined where no other process can import it",
                hint="define it at the top of a module, or run it here: my_flow.run(client)",
            )
        with self.store.write() as tx:
            if known := known_run(tx, flow, key):
                return known
            return queue_flow(
                self.store.queue,
                tx,
                new_run(tx, flow, location=location, params=params, code=code, key=key, pool=pool, priority=priority),
                priority=priority,
                not_before=not_before,
                max_attempts=max_attempts,
            )

    @operation(permission="pipelines:write", writes=True, resource="flow")
    def begin(
        self,
        flow: str,
        *,
        run_id: str = "",
        location: Location = Location(),  # noqa: B008 -- frozen
        params: dict[str, Any] = {},  # noqa: B006 -- an operation's defaults are copied
        code: str = "",
        parts: dict[str, str] = {},  # noqa: B006 -- an operation's defaults are copied
        state: tuple[str, ...] = (),
        environment: str = "",
        key: str = "",
        worker: str = "",
    ) -> Opened:
        """Become the one that executes a flow run, new or interrupted; what is already known of it comes with it.

        Whoever executed it before is fenced off: nothing that they record is accepted from now on. `state` names those
        of the `parts` of its code that are values which the program changes: when only these differ, nobody edited it.
        """
        check_name(flow, what="flow")
        with self.store.write() as tx:
            run = find_flow(tx, run_id) if run_id else known_run(tx, flow, key)
            if run is None:
                run = new_run(tx, flow, location=location, params=params, code=code, key=key)
                tx.insert(FLOW_RUNS, run)
            if run.flow != flow:
                raise Conflict(f"flow run {run.id} is of {run.flow}, not of {flow}")
            if run.state == "finished":
                return Opened(run, [])
            opened = begin_attempt(tx, run, worker=worker, code=code)
            note_origin(tx, opened.id, f"flow/{flow}", code, parts, environment)
            rows = tx.rows(
                "SELECT id, path, item, name, code, inputs, coalesce(output, 'null') FROM flow_step"
                " WHERE run_id = ? AND state IN ('finished', 'cached')",
                (run.id,),
            )
            steps = [Known(*row) for row in rows]
            changed = bool(steps) and run.code != code
            known = with_digest(tx, run.code, kind="code") if changed else None
            if known is not None and (before := known.metadata.get("parts")):
                changed = is_edited(before, parts, state)
        return Opened(opened, steps, changed=changed)

    @operation(permission="pipelines:write", writes=True, resource="run_id")
    def record(
        self,
        run_id: str,
        *,
        attempt: int,
        steps: list[StepRecord],
        logs: dict[str, str] = {},  # noqa: B006 -- an operation's defaults are copied
        codes: dict[str, dict[str, str]] = {},  # noqa: B006 -- an operation's defaults are copied
        attempts: list[Attempt] = [],  # noqa: B006 -- an operation's defaults are copied
        behind: list[StepRecord] = [],  # noqa: B006 -- an operation's defaults are copied
        lags: bool = False,
    ) -> FlowState:
        """Record steps as they are now, all or none; `LostLease` when another attempt took over.

        Gives the state of the run: who executes one that is `paused` begins nothing more.

        The rows are the record of what was done. The audit log has the run's beginning and its end, with the number of
        its steps, and an event here only for what makes artifacts.

        Args:
            run_id: Of which run.
            attempt: Which attempt says so.
            steps: The steps.
            logs: The ends of what they printed, by step.
            codes: The parts of code digests that this run has not recorded before.
            attempts: Tries that failed and are followed by others.
            behind: Steps that were recorded before with `lags`: their lineage is written now.
            lags: Write the lineage of these steps later, with `behind`, or when the run ends or is taken over.
        """
        quiet = not codes and not any(step.uses or nodes_in(step.output) for step in steps)
        derived = not steps and not attempts  # what can be made of the rows again need not wait for the disk
        with self.store.bookkeeping(durable=not derived) if quiet else self.store.write() as tx:
            run = fence_steps(tx, run_id, attempt)
            if any(step.run_id != run.id for step in (*steps, *behind)):
                raise InvalidInput(f"a step that is recorded with flow run {run.id} is of another run")
            if logs or attempts:
                check_own(tx, run, {*logs, *(each.step_id for each in attempts)})
            if steps:
                save_steps(tx, run, steps, logs, codes, lags=lags)
            if attempts:
                save_attempts(tx, attempts)
            if behind:
                save_lineage(tx, run, behind)
            if not quiet:
                tx.note(f"run/{run_id}", steps=len(steps))
        return run.state

    @operation(permission="pipelines:write", writes=True, resource="run_id")
    def finish(
        self,
        run_id: str,
        *,
        attempt: int,
        state: FlowState = "finished",
        result: Any = None,
        error: dict[str, Any] | None = None,
        log: str = "",
        calls: dict[str, list[int]] = {},  # noqa: B006 -- an operation's defaults are copied
    ) -> FlowRun:
        """Record how a flow run ended; `LostLease` when another attempt took over.

        `calls` says, of a flow that was edited, what is at each place of its body, under an empty text, and of the
        flows in it, under their places: -1 for a call, the width of a map. Other steps, of the flow as it was before,
        are forgotten.
        """
        with self.store.write() as tx:
            run = fence(tx, run_id, attempt)
            if calls:
                forget_others(tx, run, calls)
            ended = end_flow(tx, run, state, result=result, error=error)
            if log:
                save_log(tx, ended.id, log)
        return ended

    @operation(permission="pipelines:write", writes=True, resource="run_id")
    def append_log(self, run_id: str, *, text: str) -> None:
        """Add to what the body of a flow printed; of what is too much the end is kept."""
        with self.store.bookkeeping() as tx:
            run = find_flow(tx, run_id)
            save_log(tx, run.id, str(tx.value("SELECT text FROM flow_log WHERE id = ?", (run.id,)) or "") + text)

    @operation(permission="pipelines:read")
    def cached(self, key: str, *, ttl: float = 0.0) -> StepRecord | None:
        """The step that made the result with this key, in any run of this workspace; with `ttl`, in so many seconds."""
        if not 0 <= ttl <= _TTL:
            raise InvalidInput(f"ttl is between 0 and {_TTL:g} seconds, not {ttl:g}")
        with self.store.read() as tx:
            oldest = tx.now_micros - int(ttl * 1e6) if ttl else 0
            return tx.fetch_one(
                STEPS,
                "JOIN flow_cache ON flow_cache.step_id = flow_step.id"
                " WHERE flow_cache.workspace = ? AND flow_cache.key = ? AND flow_cache.at >= ?",
                (caller().workspace, key, oldest),
            )

    @operation(permission="pipelines:read")
    def code_parts(self, digest: str) -> dict[str, str]:
        """The functions, classes and constants that a digest of code stands for; empty when nobody recorded it."""
        with self.store.read() as tx:
            found = with_digest(tx, digest, kind="code")
            return dict(found.metadata.get("parts", {})) if found else {}

    @operation(permission="pipelines:read")
    def attempts(self, step_id: str) -> list[Attempt]:
        """The tries of a step that failed and were followed by others, oldest first."""
        with self.store.read() as tx:
            step = tx.fetch_one(STEPS, "WHERE id = ?", (step_id.removeprefix("run/").removeprefix("step/"),))
            if step is None:
                raise NotFound(f"there is no step {step_id!r}")
            find_flow(tx, step.run_id)  # of the caller's workspace
            return tx.fetch(ATTEMPTS, "WHERE step_id = ? ORDER BY started_at, attempt LIMIT 1000", (step.id,))

    @operation(permission="pipelines:write", writes=True)
    def note_environment(self, environment: Environment) -> None:
        """Record what an environment's digest stands for, as an artifact."""
        with self.store.read() as tx:
            if with_digest(tx, environment.digest) is not None:
                return  # every run says so
        with self.store.write() as tx:
            packages = {"packages": environment.packages}
            add_artifact(tx, "environment", "python", digest=environment.digest, metadata=packages, reuse=True)

    @operation(permission="pipelines:read", resource="run_id")
    def get(self, run_id: str) -> FlowRun:
        """A flow run."""
        with self.store.read() as tx:
            return find_flow(tx, run_id)

    @operation(permission="pipelines:read")
    def runs(self, *, flow: str = "", state: str = "", limit: int = 100, before: str = "") -> list[FlowRun]:
        """Flow runs, newest first; `before` is the id of a run, for the next page."""
        with self.store.read() as tx:
            return tx.fetch(
                FLOW_RUNS,
                "WHERE workspace = ? AND (? = '' OR flow = ?) AND (? = '' OR state = ?) AND (? = '' OR id < ?)"
                " ORDER BY id DESC LIMIT ?",
                (caller().workspace, flow, flow, state, state, before, before, max(0, min(limit, 1000))),
            )

    @operation(permission="pipelines:read", resource="run_id")
    def steps(self, run_id: str, *, state: str = "", limit: int = 10_000, after: str = "") -> list[StepRecord]:
        """The steps of a flow run in the order in which they began; `after` is the id of a step, for the next page."""
        with self.store.read() as tx:
            run = find_flow(tx, run_id)
            return tx.fetch(
                STEPS,
                "WHERE run_id = ? AND (? = '' OR state = ?) AND id > ? ORDER BY id LIMIT ?",
                (run.id, state, state, after, max(0, min(limit, 100_000))),
            )

    @operation(permission="pipelines:read")
    def workers(self) -> list[WorkerRow]:
        """The processes that execute tasks: which kinds, where, and when they were last heard of."""
        return self.store.queue.workers()

    @operation(permission="pipelines:read")
    def logs(self, run_id: str) -> str:
        """The end of what a step, or the body of a flow, printed; empty when it printed nothing."""
        wanted = run_id.removeprefix("run/")
        with self.store.read() as tx:
            run_id = str(tx.value("SELECT run_id FROM flow_step WHERE id = ?", (wanted,)) or wanted)
            if not tx.row("SELECT 1 FROM flow_run WHERE id = ? AND workspace = ?", (run_id, caller().workspace)):
                return ""
            return str(tx.value("SELECT text FROM flow_log WHERE id = ?", (wanted,)) or "")

    @operation(permission="pipelines:read")
    def why_step(self, step_id: str) -> StepWhy:
        """Why a step ran: which function, input or package differs from the run before, or why nothing was reused."""
        with self.store.read() as tx:
            step = tx.fetch_one(STEPS, "WHERE id = ?", (step_id.removeprefix("run/").removeprefix("step/"),))
            if step is None:
                raise NotFound(f"there is no step {step_id!r}")
            return explain(tx, find_flow(tx, step.run_id), step)
