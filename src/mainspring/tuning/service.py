"""The operations of the tuning: making studies, recording trials, looking at them."""

from __future__ import annotations

import math

import msgspec

from mainspring.kernel.context import caller
from mainspring.kernel.errors import Conflict, InvalidInput, NotFound
from mainspring.kernel.ids import new_id
from mainspring.kernel.names import check_name
from mainspring.kernel.operations import operation
from mainspring.lineage.graph import crash_runs, finish_run, put_runs, reopen_run, start_run
from mainspring.lineage.types import Run, RunStatus
from mainspring.store.service import RoomService
from mainspring.store.transaction import Transaction
from mainspring.tuning.tables import STUDIES, TRIALS
from mainspring.tuning.types import Choice, Dimension, Direction, Study, Trial

__all__ = ["Tuning"]

_STATUS: dict[str, RunStatus] = {"running": "running", "finished": "finished", "pruned": "finished", "failed": "failed"}
_TRIAL_SQL = (
    f"{TRIALS.insert_sql} ON CONFLICT (id) DO UPDATE SET state = excluded.state, value = excluded.value,"
    " finished_at = excluded.finished_at, reports = excluded.reports, error = excluded.error"
)
_MOST_TRIALS = 100_000


class Tuning(RoomService, room="tuning"):
    """Studies and trials."""

    @operation(permission="tuning:write", writes=True, resource="name")
    def create(
        self,
        name: str,
        *,
        space: dict[str, Dimension],
        direction: Direction = "minimize",
        sampler: str = "tpe",
        pruner: str = "none",
        seed: int = 0,
        key: str = "",
        parent_id: str = "",
    ) -> Study:
        """Make a study. The same `key` again gives the study there is, which must be of the same search."""
        check_name(name, what="study")
        _check_space(space)
        with self.store.write() as tx:
            if known := self._by_key(tx, key):
                asked = (name, direction, space, sampler, pruner, seed)
                if asked != (known.name, known.direction, known.space, known.sampler, known.pruner, known.seed):
                    raise Conflict(
                        f"the study {known.name!r} with this key is another search", hint="take another name or key"
                    )
                tx.execute("UPDATE study SET state = 'running' WHERE id = ?", (known.id,))
                reopen_run(tx, known.id)
                return msgspec.structs.replace(known, state="running")
            study = Study(
                id=new_id(),
                workspace=caller().workspace,
                name=name,
                key=key,
                direction=direction,
                space=space,
                sampler=sampler,
                pruner=pruner,
                seed=seed,
                parent_id=parent_id,
                state="running",
                created_at=tx.now,
                created_by=caller().principal,
            )
            tx.insert(STUDIES, study)
            metadata = {"direction": direction, "sampler": sampler, "seed": seed}
            start_run(tx, "study", name, run_id=study.id, parent_id=parent_id, metadata=metadata)
        return study

    @operation(permission="tuning:write", writes=True, resource="study_id")
    def record(self, study_id: str, *, trials: list[Trial]) -> None:
        """Record trials as they are now, all or none."""
        with self.store.write() as tx:
            study = self._find(tx, study_id)
            for trial in trials:
                _check_trial(study, trial)
            put_runs(tx, [_lineage_run(study, trial) for trial in trials])
            tx.many(_TRIAL_SQL, [TRIALS.to_row(trial) for trial in trials])
            tx.note(f"run/{study.id}", trials=len(trials))

    @operation(permission="tuning:write", writes=True, resource="study_id")
    def discard(self, study_id: str, *, trial_id: str) -> None:
        """Take a trial that lost its process out of its study; its number is tried again, its run has crashed."""
        with self.store.write() as tx:
            study = self._find(tx, study_id)
            gone = tx.execute(
                "DELETE FROM study_trial WHERE id = ? AND study_id = ? AND state = 'running'", (trial_id, study.id)
            )
            if not gone:
                raise Conflict(f"trial {trial_id} of study {study.name} is not running")
            finish_run(tx, trial_id, status="crashed")

    @operation(permission="tuning:write", writes=True, resource="study_id")
    def finish(self, study_id: str) -> Study:
        """End a study; its best value goes into its run. Trials that are still running were lost."""
        with self.store.write() as tx:
            study = self._find(tx, study_id)
            lost = tx.rows(
                "UPDATE study_trial SET state = 'failed', finished_at = ?, error = 'lost'"
                " WHERE study_id = ? AND state = 'running' RETURNING id",
                (tx.now_micros, study.id),
            )
            crash_runs(tx, [trial_id for (trial_id,) in lost])
            tx.execute("UPDATE study SET state = 'finished' WHERE id = ?", (study.id,))
            best = _best(tx, study)
            finish_run(tx, study.id, metadata={"best": best.value, "params": best.params} if best else {})
        return msgspec.structs.replace(study, state="finished")

    @operation(permission="tuning:read", resource="study_id")
    def get(self, study_id: str) -> Study:
        """A study by its id, or the newest of that name."""
        with self.store.read() as tx:
            return self._find(tx, study_id)

    @operation(permission="tuning:read", resource="study_id")
    def trials(self, study_id: str, *, limit: int = 10_000, after: int = -1) -> list[Trial]:
        """The trials of a study in the order of their numbers; `after` is a number, for the next page."""
        with self.store.read() as tx:
            study = self._find(tx, study_id)
            return tx.fetch(
                TRIALS,
                "WHERE study_id = ? AND number > ? ORDER BY number LIMIT ?",
                (study.id, after, max(0, min(limit, _MOST_TRIALS))),
            )

    @operation(permission="tuning:read", resource="study_id")
    def best(self, study_id: str) -> Trial | None:
        """The finished trial with the best value, or None."""
        with self.store.read() as tx:
            return _best(tx, self._find(tx, study_id))

    @operation(permission="tuning:read")
    def studies(self, *, name: str = "", limit: int = 100) -> list[Study]:
        """Studies, newest first."""
        with self.store.read() as tx:
            return tx.fetch(
                STUDIES,
                "WHERE workspace = ? AND (? = '' OR name = ?) ORDER BY id DESC LIMIT ?",
                (caller().workspace, name, name, max(0, min(limit, 1000))),
            )

    @staticmethod
    def _by_key(tx: Transaction, key: str) -> Study | None:
        return tx.fetch_one(STUDIES, "WHERE workspace = ? AND key = ?", (caller().workspace, key)) if key else None

    @staticmethod
    def _find(tx: Transaction, study_id: str) -> Study:
        found = tx.fetch_one(
            STUDIES,
            "WHERE workspace = ? AND (id = ? OR name = ?) ORDER BY id DESC LIMIT 1",
            (caller().workspace, study_id.removeprefix("run/"), study_id),
        )
        if found is None:
            raise NotFound(f"there is no study {study_id!r}")
        return found


def _best(tx: Transaction, study: Study) -> Trial | None:
    order = "ASC" if study.direction == "minimize" else "DESC"
    return tx.fetch_one(
        TRIALS,
        f"WHERE study_id = ? AND state = 'finished' AND value IS NOT NULL ORDER BY value {order}, number LIMIT 1",
        (study.id,),
    )


def _lineage_run(study: Study, trial: Trial) -> Run:
    return Run(
        id=trial.id,
        workspace=study.workspace,
        kind="trial",
        name=f"{study.name}/{trial.number}",
        status=_STATUS[trial.state],
        parent_id=study.id,
        started_at=trial.started_at,
        finished_at=trial.finished_at,
        heartbeat_at=None,
        metadata={"params": trial.params, "value": trial.value, "state": trial.state},
        created_by=study.created_by,
    )


def _check_trial(study: Study, trial: Trial) -> None:
    if trial.study_id != study.id:
        raise InvalidInput(f"trial {trial.number} belongs to another study than {study.id}")
    if unknown := sorted(set(trial.params) - set(study.space)):
        raise InvalidInput(f"trial {trial.number} has parameters that the space does not: {', '.join(unknown)}")
    if trial.state == "finished" and (trial.value is None or not math.isfinite(trial.value)):
        raise InvalidInput(f"trial {trial.number} is finished without a finite value")
    if any(not math.isfinite(value) for value in trial.reports.values()):
        raise InvalidInput(f"trial {trial.number} reports a value that is not finite")


def _check_space(space: dict[str, Dimension]) -> None:
    if not space:
        raise InvalidInput("a search space has at least one parameter")
    for name, each in space.items():
        check_name(name, what="parameter")
        if isinstance(each, Choice):
            if not each.values:
                raise InvalidInput(f"parameter {name}: there is nothing to choose from")
        elif not (math.isfinite(each.low) and math.isfinite(each.high) and each.low <= each.high):
            raise InvalidInput(f"parameter {name}: from {each.low} to {each.high} is no range")
        elif each.log and each.low <= 0:
            raise InvalidInput(f"parameter {name}: a logarithmic range begins above 0, not at {each.low}")
        elif each.step is not None and (each.step <= 0 or (each.log and each.step != 1)):
            raise InvalidInput(f"parameter {name}: step {each.step} does not go with this range")
