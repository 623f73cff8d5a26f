"""Writing and reading flow runs and steps, inside the caller's transaction, together with their lineage."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from typing import Any, cast

import msgspec

from mainspring.events.outbox import emit, last_number
from mainspring.kernel.clock import to_micros
from mainspring.kernel.context import caller
from mainspring.kernel.errors import Conflict, InvalidInput, LostLease, MainspringError, NotFound
from mainspring.lineage.graph import (
    add_artifact,
    crash_runs,
    finish_run,
    put_runs,
    reopen_run,
    resolve,
    start_run,
    use,
    use_many,
)
from mainspring.lineage.listing import with_digest
from mainspring.lineage.types import File, Run, RunStatus
from mainspring.pipelines.endings import announce_end
from mainspring.pipelines.logs import TAIL_CHARACTERS
from mainspring.pipelines.tables_runs import ATTEMPTS, FLOW_RUNS, STEPS
from mainspring.pipelines.types import Attempt, FlowRun, FlowState, StepRecord
from mainspring.pipelines.values import nodes_in
from mainspring.store.blob_tables import batched
from mainspring.store.transaction import Transaction

__all__ = [
    "Fenced",
    "begin_attempt",
    "check_own",
    "end_flow",
    "fence",
    "fence_steps",
    "find_flow",
    "forget_others",
    "note_origin",
    "save_attempts",
    "save_lineage",
    "save_log",
    "save_steps",
    "settle",
]

_STEP_SQL = f"{STEPS.insert_sql} ON CONFLICT (run_id, path, item) DO UPDATE SET " + ", ".join(
    f"{column} = excluded.{column}" for column in STEPS.columns if column not in ("run_id", "path", "item")
)
_AT_ONCE = 500
_STATUS: dict[str, RunStatus] = {
    "running": "running",
    "waiting": "running",
    "finished": "finished",
    "cached": "finished",
    "failed": "failed",
}


def find_flow(tx: Transaction, run_id: str) -> FlowRun:
    """The flow run with this id."""
    found = tx.fetch_one(FLOW_RUNS, "WHERE id = ? AND workspace = ?", (run_id.removeprefix("run/"), caller().workspace))
    if found is None:
        raise NotFound(f"there is no flow run {run_id!r}", hint="mainspring flow list")
    return found


def fence(tx: Transaction, run_id: str, attempt: int) -> FlowRun:
    """The flow run, when `attempt` is the one that executes it.

    Raises:
        LostLease: Another attempt took over, or the run was cancelled or ended; nothing may be recorded.
    """
    run = find_flow(tx, run_id)
    if run.state not in ("running", "paused") or run.attempt != attempt:  # a paused one still does its last step
        raise LostLease(
            f"attempt {attempt} of flow run {run_id} may not record anything any more:"
            f" the run is {run.state}, at attempt {run.attempt}",
            details={"state": run.state, "attempt": run.attempt},
        )
    return run


class Fenced(msgspec.Struct, frozen=True):
    """As much of a flow run as recording its steps needs."""

    id: str
    workspace: str
    flow: str
    created_by: str
    state: FlowState = "running"


def fence_steps(tx: Transaction, run_id: str, attempt: int) -> Fenced:
    """`fence` for every step, which reads no more of the run than it must."""
    row = tx.row(
        "SELECT workspace, flow, created_by FROM flow_run"
        " WHERE id = ? AND workspace = ? AND attempt = ? AND state = 'running'",
        (run_id, caller().workspace, attempt),
    )
    if row is None:
        run = fence(tx, run_id, attempt)
        return Fenced(run.id, run.workspace, run.flow, run.created_by, run.state)
    return Fenced(run_id, *row)


def begin_attempt(tx: Transaction, run: FlowRun, *, worker: str, code: str) -> FlowRun:
    """Make a flow run's next attempt the one that executes it; steps that its last attempt left running were lost."""
    if run.state in ("finished", "cancelled"):
        raise Conflict(f"flow run {run.id} is {run.state}", hint="start a new run")
    running = msgspec.structs.replace(
        run,
        state="running",
        attempt=run.attempt + 1,
        worker=worker,
        code=code,
        started_at=run.started_at or tx.now,
        position=run.position if run.started_at else last_number(tx),
        finished_at=None,
        error=None,
    )
    tx.execute(
        "UPDATE flow_run SET state = 'running', attempt = ?, worker = ?, code = ?, started_at = ?, finished_at = NULL,"
        " error = NULL, position = ? WHERE id = ?",
        (running.attempt, worker, code, to_micros(running.started_at or tx.now), running.position, run.id),
    )
    if run.started_at is None:
        start_run(tx, "flow", run.flow, run_id=run.id, metadata={"code": code, "address": run.location.address})
        _tell(tx, running)
    else:
        settle(tx, run)
        reopen_run(tx, run.id)
        _bury_running_steps(tx, run.id, "the process that ran it was lost")
    return running


def end_flow(
    tx: Transaction, run: FlowRun, state: FlowState, *, result: Any = None, error: dict[str, Any] | None = None
) -> FlowRun:
    """Record how a flow run ended."""
    ended = msgspec.structs.replace(run, state=state, finished_at=tx.now, result=result, error=error, worker="")
    tx.execute(
        "UPDATE flow_run SET state = ?, finished_at = ?, result = ?, error = ?, worker = '' WHERE id = ?",
        (state, tx.now_micros, _json(result), _json(error), run.id),
    )
    if run.started_at is not None:
        settle(tx, run)
        _bury_running_steps(tx, run.id, f"the flow run was {state}", waiting=True)
        status = cast("RunStatus", "running" if state in ("queued", "waiting", "paused") else state)
        finish_run(tx, run.id, status=status, metadata={"error": error} if error else {})
    steps = tx.value("SELECT count(*) FROM flow_step WHERE run_id = ?", (run.id,))
    tx.note(f"run/{run.id}", flow=run.flow, state=state, steps=steps)
    if state not in ("queued", "running"):
        _tell(tx, ended)
        announce_end(tx, ended)
    return ended


def note_origin(tx: Transaction, run_id: str, name: str, code: str, parts: dict[str, str], environment: str) -> None:
    """Record that a run used this code and this environment."""
    if code:
        made = add_artifact(tx, "code", name, digest=code, metadata={"parts": parts}, reuse=True)
        use(tx, run_id, made.id, role="code")
    if environment and (found := _artifact_of(tx, environment)):
        use(tx, run_id, found, role="environment")


def save_steps(
    tx: Transaction,
    run: FlowRun | Fenced,
    steps: Sequence[StepRecord],
    logs: dict[str, str],
    codes: dict[str, dict[str, str]],
    *,
    lags: bool = False,
) -> None:
    """Record steps as they are now, with their lineage, their cache entries and the ends of their logs.

    Args:
        tx: The transaction.
        run: Of which run.
        steps: The steps.
        logs: The ends of what they printed, by step.
        codes: The parts of each code digest that this run has not recorded before.
        lags: Leave their lineage for later: `save_lineage` or `settle` makes it of these rows.
    """
    names = {step.code: step.name for step in steps} if codes else {}
    for code, parts in codes.items():
        if code in names:
            add_artifact(tx, "code", f"{run.flow}/{names[code]}", digest=code, metadata={"parts": parts}, reuse=True)
    tx.many(_STEP_SQL, [STEPS.to_row(step) for step in steps])
    for step_id, text in logs.items():
        save_log(tx, step_id, text)
    if not lags:
        save_lineage(tx, run, steps)
    keyed = [(run.workspace, step.key, step.id, tx.now_micros) for step in steps if step.key]
    if keyed:
        tx.many(
            "INSERT INTO flow_cache (workspace, key, step_id, at) VALUES (?, ?, ?, ?)"
            " ON CONFLICT (workspace, key) DO UPDATE SET step_id = excluded.step_id, at = excluded.at",
            keyed,
        )


def save_lineage(tx: Transaction, run: FlowRun | Fenced, steps: Sequence[StepRecord]) -> None:
    """Make the lineage's runs of steps, with what they used and made. Saying it twice is fine."""
    put_runs(tx, [_lineage_run(run, step) for step in steps])
    known: dict[str, str] = {}
    used: list[tuple[str, str, str]] = []
    for step in steps:
        if step.state != "finished":
            continue
        for token in (step.code, *step.uses):
            if token not in known:
                known[token] = _artifact_of(tx, token)
            if known[token]:
                used.append((known[token], step.id, "code" if token == step.code else ""))
        for blob in nodes_in(step.output):
            _add_result(tx, run, step, blob)
    use_many(tx, used)


def settle(tx: Transaction, run: FlowRun) -> None:
    """Make the lineage of those steps of a run that are recorded without it: the run has ended, or was taken over."""
    behind = tx.fetch(
        STEPS,
        "LEFT JOIN run ON run.id = flow_step.id WHERE flow_step.run_id = ?"
        " AND flow_step.state IN ('finished', 'cached') AND (run.status IS NULL OR run.status <> 'finished')"
        " ORDER BY flow_step.id",
        (run.id,),
    )
    if behind:
        save_lineage(tx, run, behind)


def forget_others(tx: Transaction, run: FlowRun, calls: dict[str, list[int]]) -> None:
    """Forget the steps of a body as it was before it was edited: those that are none of the calls that it made."""
    rows = tx.rows("SELECT id, path, item FROM flow_step WHERE run_id = ?", (run.id,))
    gone = [(step_id,) for step_id, path, item in rows if not _is_among(path, item, calls)]
    tx.many("DELETE FROM flow_step WHERE id = ?", gone)


def _is_among(path: str, item: int, calls: dict[str, list[int]]) -> bool:
    scope, _, number = path.rpartition(".")
    widths = calls.get(scope, [])
    if int(number) >= len(widths):
        return False
    width = widths[int(number)]
    return item == -1 if width == -1 else 0 <= item < width


def check_own(tx: Transaction, run: FlowRun | Fenced, step_ids: Collection[str]) -> None:
    """Refuse ids that are those of other runs, or of their steps. A step that was not recorded yet has no row."""
    for some in batched(sorted(step_ids), _AT_ONCE):
        marks = ", ".join("?" * len(some))
        others = tx.row(
            f"SELECT id FROM flow_step WHERE id IN ({marks}) AND run_id <> ?"  # noqa: S608 -- marks only
            f" UNION ALL SELECT id FROM flow_run WHERE id IN ({marks}) LIMIT 1",
            (*some, run.id, *some),
        )
        if others:
            raise InvalidInput(f"{others[0]} is not a step of flow run {run.id}")


def save_attempts(tx: Transaction, attempts: Sequence[Attempt]) -> None:
    """Keep tries that failed and are followed by others."""
    tx.many(f"{ATTEMPTS.insert_sql} ON CONFLICT DO NOTHING", [ATTEMPTS.to_row(each) for each in attempts])


def save_log(tx: Transaction, run_id: str, text: str) -> None:
    """Keep the end of a log."""
    tx.execute(
        "INSERT INTO flow_log (id, text) VALUES (?, ?) ON CONFLICT (id) DO UPDATE SET text = excluded.text",
        (run_id, text.replace("\0", "")[-TAIL_CHARACTERS:]),  # PostgreSQL's text holds no NUL
    )


def _tell(tx: Transaction, run: FlowRun) -> None:
    """Emit what became of a run: `flow.run.started`, `flow.run.failed`."""
    what = "started" if run.state == "running" else run.state
    data = {"run": run.id, "cause": msgspec.to_builtins(run.cause)}
    emit(tx, f"flow.run.{what}", subject=f"flow/{run.flow}", data=data)


def _lineage_run(run: FlowRun | Fenced, step: StepRecord) -> Run:
    metadata: dict[str, Any] = {"flow": run.flow, "path": step.path, "attempt": step.attempt}
    if step.item >= 0:
        metadata["item"] = step.item
    if step.cached_from:
        metadata["cached_from"] = step.cached_from
    return Run(
        id=step.id,
        workspace=run.workspace,
        kind="step",
        name=step.name,
        status=_STATUS[step.state],
        parent_id=run.id,
        started_at=step.started_at,
        finished_at=step.finished_at,
        heartbeat_at=None,
        metadata=metadata,
        created_by=run.created_by,
    )


def _add_result(tx: Transaction, run: FlowRun | Fenced, step: StepRecord, blob: dict[str, Any]) -> None:
    add_artifact(
        tx,
        "result",
        f"{run.flow}/{step.name}",
        digest=blob["digest"],
        size=blob["size"],
        metadata={"codec": blob["codec"], "flow_run": run.id, "path": step.path, "item": step.item},
        files=[] if blob["inline"] else [File("value", blob["size"], blob["digest"])],
        run_id=step.id,
        reuse=True,
    )


def _artifact_of(tx: Transaction, token: str) -> str:
    """The artifact that a digest, an id or a reference in a step's arguments means; empty when it means none."""
    if (known := with_digest(tx, token)) is not None:
        return known.id
    if "/" in token and "@" not in token:
        return ""  # a name alone says nothing of what the step was given
    try:
        return resolve(tx, token).id
    except MainspringError:
        return ""  # a text that only looked like a reference


def _bury_running_steps(tx: Transaction, run_id: str, message: str, *, waiting: bool = False) -> None:
    error = _json({"code": LostLease.code, "message": message, "hint": "", "known": [], "details": {}})
    lost: Iterable[tuple[Any, ...]] = tx.rows(
        "UPDATE flow_step SET state = 'failed', finished_at = ?, error = ? WHERE run_id = ? AND state IN ('running', ?)"
        " RETURNING id",
        (tx.now_micros, error, run_id, "waiting" if waiting else "running"),
    )
    crash_runs(tx, [step_id for (step_id,) in lost])


def _json(value: Any) -> str | None:
    try:
        return None if value is None else msgspec.json.encode(value).decode()
    except RecursionError:
        raise InvalidInput("this value is nested too deep to be stored") from None
