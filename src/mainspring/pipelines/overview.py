"""Many runs at a glance: the health of flows, and runs beside steps."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from mainspring.kernel.clock import from_micros
from mainspring.kernel.context import caller
from mainspring.pipelines.types_overview import FlowHealth, GridCell, GridRow, RunGrid, RunMark
from mainspring.store.transaction import Transaction

__all__ = ["OPEN_STATES", "flow_names", "health_of", "rank", "run_grid"]

OPEN_STATES = ("queued", "running", "waiting", "paused")
_MARK = "id, state, created_at, started_at, finished_at"
_RANK = {state: rank for rank, state in enumerate(("failed", "waiting", "running", "finished", "cached"))}
_NAMES = 2000
_ROWS = 500


def rank(state: str) -> int:
    """How much a state matters among those of steps that are shown as one: 0 is the worst."""
    return _RANK.get(state, len(_RANK))


def flow_names(tx: Transaction, *, q: str, after: str, limit: int) -> list[str]:
    """Names of flows that ran, or may start by themselves, in the order of the alphabet; at most `limit`.

    Names of runs are found one after the other in the index: there are few, of perhaps millions of runs.
    """
    workspace = caller().workspace
    found: set[str] = set()
    last = after
    while len(found) < _NAMES:
        row = tx.row(
            "SELECT flow FROM flow_run WHERE workspace = ? AND flow > ? ORDER BY flow LIMIT 1", (workspace, last)
        )
        if row is None:
            break
        last = str(row[0])
        if q.casefold() in last.casefold():
            found.add(last)
            if len(found) >= limit:
                break
    for table in ("flow_schedule", "flow_trigger", "flow_deployment"):
        rows = tx.rows(
            f"SELECT DISTINCT flow FROM {table} WHERE workspace = ? AND flow > ?",  # noqa: S608 -- names of our own
            (workspace, after),
        )
        found.update(str(row[0]) for row in rows if q.casefold() in str(row[0]).casefold())
    return sorted(found)[:limit]


def health_of(tx: Transaction, names: Sequence[str], recent: int) -> list[FlowHealth]:
    """How these flows are doing."""
    workspace = caller().workspace
    counts: dict[str, dict[str, int]] = {}
    for flow, state, count in tx.rows(
        f"SELECT flow, state, COUNT(*) FROM flow_run WHERE workspace = ? AND state IN {OPEN_STATES}"  # noqa: S608 -- constant
        " GROUP BY flow, state",
        (workspace,),
    ):
        counts.setdefault(str(flow), {})[str(state)] = int(count)
    schedules = {
        str(flow): (int(count), due)
        for flow, count, due in tx.rows(
            "SELECT flow, COUNT(*), MIN(CASE WHEN paused = 0 THEN next_at END) FROM flow_schedule WHERE workspace = ?"
            " GROUP BY flow",
            (workspace,),
        )
    }
    triggers = _by_flow(tx, "SELECT flow, COUNT(*) FROM flow_trigger WHERE workspace = ? GROUP BY flow", workspace)
    active = "SELECT flow, MAX(version) FROM flow_deployment WHERE workspace = ? AND active = 1 GROUP BY flow"
    versions = _by_flow(tx, active, workspace)
    found = []
    for name in names:
        count, due = schedules.get(name, (0, None))
        found.append(
            FlowHealth(
                flow=name,
                recent=marks(tx, name, recent),
                open=counts.get(name, {}),
                next_at=from_micros(due) if due is not None else None,
                schedules=count,
                triggers=triggers.get(name, 0),
                version=versions.get(name, 0),
            )
        )
    return found


def _by_flow(tx: Transaction, sql: str, workspace: str) -> dict[str, int]:
    return {str(flow): int(number) for flow, number in tx.rows(sql, (workspace,))}


def marks(tx: Transaction, flow: str, limit: int, before: str = "") -> list[RunMark]:
    """The last runs of a flow, newest first."""
    rows = tx.rows(
        f"SELECT {_MARK} FROM flow_run"  # noqa: S608 -- names of our own
        " WHERE workspace = ? AND flow = ? AND (? = '' OR id < ?) ORDER BY id DESC LIMIT ?",
        (caller().workspace, flow, before, before, limit),
    )
    return [
        RunMark(run, state, from_micros(created), _moment(started), _moment(ended))
        for run, state, created, started, ended in rows
    ]


def run_grid(tx: Transaction, flow: str, *, runs: int, before: str) -> RunGrid:
    """Runs of a flow and, for each name of a step, what became of it in each of them."""
    shown = marks(tx, flow, runs, before)
    if not shown:
        return RunGrid([], [])
    place = {run.id: index for index, run in enumerate(shown)}
    rows = tx.rows(
        "SELECT run_id, name, state, COUNT(*), MIN(started_at), MAX(finished_at), MIN(id), COUNT(finished_at) FROM"  # noqa: S608 -- marks only
        f" flow_step WHERE run_id IN ({', '.join('?' * len(shown))}) GROUP BY run_id, name, state",
        list(place),
    )
    together: dict[str, list[list[Any]]] = {}
    first: dict[str, tuple[int, int]] = {}
    for row in rows:
        together.setdefault(str(row[1]), [[] for _ in shown])[place[row[0]]].append(row)
        at = (place[row[0]], int(row[4]))
        first[str(row[1])] = min(first.get(str(row[1]), at), at)
    names = sorted(together, key=lambda name: (first[name][0], first[name][1], name))[:_ROWS]
    return RunGrid(shown, [GridRow(name, [_cell(parts) for parts in together[name]]) for name in names])


def _cell(parts: list[Any]) -> GridCell | None:
    if not parts:
        return None
    worst = min(parts, key=lambda part: rank(part[2]))
    ends = [part[5] for part in parts]
    whole = all(part[3] == part[7] for part in parts)
    return GridCell(
        state=str(worst[2]),
        count=sum(int(part[3]) for part in parts),
        step_id=str(worst[6]),
        started_at=from_micros(min(int(part[4]) for part in parts)),
        finished_at=from_micros(max(ends)) if whole else None,
    )


def _moment(micros: Any) -> Any:
    return None if micros is None else from_micros(int(micros))
