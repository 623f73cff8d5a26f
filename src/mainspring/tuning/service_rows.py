"""Trials as rows, written and read in a few microseconds each."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any

import msgspec

from mainspring.kernel.clock import from_micros, to_micros
from mainspring.lineage.graph import end_runs
from mainspring.lineage.types import Run, RunStatus
from mainspring.store.transaction import Transaction
from mainspring.tuning.types import Dimension, Direction, Real, Trial, TrialChange, number

__all__ = ["Place", "best_of", "changed", "end_quickly", "fetch_trials", "lineage_run", "put_trials"]

_COLUMNS = (
    "study, number, id, state, revision, value, params, distributions, outcome, reports, user_attrs, system_attrs,"
    " error, worker, started_at, finished_at, heartbeat_at"
)
_LOOKED_AT = 500
_KEPT = ("study", "number", "id")
_PUT = (
    f"INSERT INTO study_trial ({_COLUMNS}) VALUES ({', '.join('?' * len(_COLUMNS.split(',')))})"  # noqa: S608 -- names of our own
    " ON CONFLICT (study, number) DO UPDATE SET "
    + ", ".join(f"{each} = excluded.{each}" for each in _COLUMNS.split(", ") if each not in _KEPT)
)
_END_QUICKLY = (
    "UPDATE study_trial SET state = ?, revision = ?, value = ?, params = ?, distributions = ?, outcome = ?,"
    " reports = ?, user_attrs = ?, system_attrs = ?, error = ?, finished_at = ?, heartbeat_at = NULL"
    " WHERE study = ? AND number = ? AND state = 'running' AND params = '{}' AND distributions = '{}'"
    " AND reports = '{}' AND user_attrs = '{}' AND system_attrs = '{}' AND outcome = '[]' AND error = '' RETURNING id"
)
_STATUS: dict[str, RunStatus] = {
    "running": "running",
    "finished": "finished",
    "pruned": "finished",
    "failed": "failed",
}
_distributions = msgspec.json.Decoder(dict[str, Dimension])
_outcome = msgspec.json.Decoder(list[Real])
_reports = msgspec.json.Decoder(dict[int, Real])
_attrs = msgspec.json.Decoder(dict[str, Any])


class Place(msgspec.Struct, frozen=True, gc=False):
    """What a trial needs to know of its study."""

    id: str
    number: int
    name: str
    workspace: str
    directions: list[Direction]
    trials: int
    """How many were made."""
    revision: int
    """The number of its last change."""
    study_revision: int
    """The number of the last change of the study itself."""


def put_trials(tx: Transaction, study: Place, trials: Sequence[Trial]) -> None:
    """Write trials as they are now."""
    tx.many(_PUT, [_to_row(study, each) for each in trials])


def fetch_trials(tx: Transaction, study: Place, where: str, params: Iterable[Any] = ()) -> list[Trial]:
    """The trials of a study that `where` selects: `"number > ? ORDER BY number"`."""
    rows = tx.rows(f"SELECT {_COLUMNS} FROM study_trial WHERE study = ? AND {where}", (study.number, *params))  # noqa: S608 -- texts of our own
    return [_from_row(study, row) for row in rows]


def best_of(tx: Transaction, study: Place) -> Trial | None:
    """The finished trial with the best first value that breaks no constraint, the earliest of equals."""
    order = "ASC" if study.directions[0] == "minimize" else "DESC"
    where = f"state = 'finished' AND value IS NOT NULL ORDER BY value {order}, number LIMIT ? OFFSET ?"
    seen = 0
    while found := fetch_trials(tx, study, where, (_LOOKED_AT if seen else 1, seen)):
        for each in found:
            if not any(broken > 0 for broken in each.constraints.values()):
                return each
        seen += len(found)
    return None


def changed(trial: Trial, change: TrialChange, now: datetime) -> Trial:
    """The trial with what is new of it."""
    news: dict[str, Any] = {
        name: {**getattr(trial, name), **new}
        for name in ("params", "distributions", "reports", "user_attrs", "system_attrs")
        if (new := getattr(change, name))
    }
    if change.values is not None:
        news["values"] = change.values
    if change.error:
        news["error"] = change.error[:2000]
    if change.state is not None and change.state != trial.state:
        news["state"] = change.state
        if change.state == "running":
            news["started_at"] = now
        else:
            news["finished_at"], news["heartbeat_at"] = now, None
    return msgspec.structs.replace(trial, **news)


def end_quickly(tx: Transaction, study: Place, change: TrialChange) -> bool:
    """End a running trial of which nothing was said before: all there is of it is in the change, and nothing is read.

    Most trials of a quick objective are such. False where this one is not, and nothing was written.
    """
    values = change.values or []
    row = tx.row(
        _END_QUICKLY,
        (
            change.state,
            study.revision,
            _first(values),
            _json(change.params),
            _json(change.distributions),
            _json(values),
            _json(change.reports),
            _json(change.user_attrs),
            _json(change.system_attrs),
            change.error[:2000],
            tx.now_micros,
            study.number,
            change.number,
        ),
    )
    if row is None or change.state is None:
        return False
    said = _said(change.state, change.params, values, change.error[:2000])
    end_runs(tx, [(row[0], _STATUS[change.state], said)])
    return True


def lineage_run(study: Place, trial: Trial, *, by: str, status: RunStatus | None = None) -> Run:
    """A trial that is not waiting, as the run that it is."""
    return Run(
        id=trial.id,
        workspace=study.workspace,
        kind="trial",
        name=f"{study.name or study.number}/{trial.number}",
        status=status or _STATUS[trial.state],
        parent_id=study.id,
        started_at=trial.started_at or trial.finished_at or from_micros(0),
        finished_at=trial.finished_at,
        heartbeat_at=trial.heartbeat_at,
        metadata=_said(trial.state, trial.params, trial.values, trial.error) if trial.ended else {},
        created_by=by,
    )


def _to_row(study: Place, trial: Trial) -> tuple[Any, ...]:
    return (
        study.number,
        trial.number,
        trial.id,
        trial.state,
        trial.revision,
        _first(trial.values),
        _json(trial.params),
        _json(trial.distributions),
        _json(trial.values),
        _json(trial.reports),
        _json(trial.user_attrs),
        _json(trial.system_attrs),
        trial.error,
        trial.worker,
        None if trial.started_at is None else to_micros(trial.started_at),
        None if trial.finished_at is None else to_micros(trial.finished_at),
        None if trial.heartbeat_at is None else to_micros(trial.heartbeat_at),
    )


def _from_row(study: Place, row: Sequence[Any]) -> Trial:
    started, finished, heartbeat = row[14:17]
    return Trial(
        id=row[2],
        study_id=study.id,
        number=row[1],
        state=row[3],
        params=_read(row[6], _attrs),
        started_at=None if started is None else from_micros(started),
        values=_outcome.decode(row[8]) if row[8] != "[]" else [],
        finished_at=None if finished is None else from_micros(finished),
        reports=_read(row[9], _reports),
        error=row[12],
        distributions=_read(row[7], _distributions),
        user_attrs=_read(row[10], _attrs),
        system_attrs=_read(row[11], _attrs),
        worker=row[13],
        heartbeat_at=None if heartbeat is None else from_micros(heartbeat),
        revision=row[4],
    )


def _first(values: Sequence[Real]) -> float | None:
    first = number(values[0]) if values else None
    return None if first is None or first != first else first  # noqa: PLR0124 -- NaN, which SQLite has not


def _said(state: str, params: dict[str, Any], values: Sequence[Real], error: str) -> dict[str, Any]:
    """What a run of the lineage says of a trial that is over."""
    said: dict[str, Any] = {"params": params, "value": values[0] if values else None, "state": state}
    if len(values) > 1:
        said["values"] = values
    if error:
        said["error"] = error
    return said


def _json(value: Any) -> str:
    return msgspec.json.encode(value).decode() if value else "[]" if isinstance(value, list) else "{}"


def _read(text: str, decoder: msgspec.json.Decoder[dict[Any, Any]]) -> dict[Any, Any]:
    return {} if text == "{}" else decoder.decode(text)
