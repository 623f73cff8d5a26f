"""The operations on trials: beginning, changing, ending them, and hearing what is new of them.

A trial that is running is written without waiting for the disk: every process sees it at once, and a power cut may take
it back together with the worker that ran it. How a trial ended is on the disk when the call returns, and so are trials
that wait for somebody to try them.
"""

from __future__ import annotations

from datetime import datetime, timedelta

import msgspec

from mainspring.kernel.context import caller
from mainspring.kernel.errors import Conflict, InvalidInput, NotFound
from mainspring.kernel.ids import new_id
from mainspring.kernel.operations import operation
from mainspring.lineage.graph import finish_run, get_run, put_runs
from mainspring.store.service import RoomService
from mainspring.store.transaction import Transaction
from mainspring.tuning.service_checks import check_change, check_new, check_recorded, check_texts
from mainspring.tuning.service_rows import Place, changed, end_quickly, fetch_trials, lineage_run, put_trials
from mainspring.tuning.service_studies import advance, place_of, study_of
from mainspring.tuning.types import Changed, Changes, NewTrial, Trial, TrialChange

__all__ = ["TrialOperations"]

_MOST_TRIALS = 100_000
_MOST_AT_ONCE = 10_000
_ENDED = ("finished", "pruned", "failed")
_LONGEST_SILENCE = timedelta(days=3650).total_seconds()


class TrialOperations(RoomService):
    """What is done with trials."""

    @operation(permission="tuning:write", writes=True, resource="study_id")
    def begin(self, study_id: str, *, trial: NewTrial | None = None) -> Trial:
        """Make the next trial of a study: running, unless `trial` says that it waits or is over already.

        Its number is the next one, also when many processes ask at once.
        """
        return self._begin(study_id, [trial or NewTrial()])[0]

    @operation(permission="tuning:write", writes=True, resource="study_id")
    def begin_many(self, study_id: str, *, trials: list[NewTrial]) -> list[Trial]:
        """Make the next trials of a study, all or none: a queue, a generation, what was tried before."""
        if len(trials) > _MOST_AT_ONCE:
            raise InvalidInput(f"{len(trials)} trials at once; at most {_MOST_AT_ONCE}")
        return self._begin(study_id, trials)

    def _begin(self, study_id: str, new: list[NewTrial]) -> list[Trial]:
        with self.store.bookkeeping(durable=any(each.state != "running" for each in new)) as tx:
            study = advance(tx, study_id, trials=len(new))
            for each in new:
                check_new(study.directions, each)
            first = study.trials - len(new)
            made = [_begun(study, first + place, each, tx.now) for place, each in enumerate(new)]
            put_trials(tx, study, made)
            who = caller().principal
            put_runs(tx, [lineage_run(study, each, by=who) for each in made if each.state != "waiting"])
        return made

    @operation(permission="tuning:write", writes=True, resource="study_id")
    def claim(self, study_id: str, *, number: int, worker: str = "", heartbeat: bool = False) -> Trial | None:
        """Take up a trial that waits. Of all who try, one gets the trial and the others None."""
        check_texts(worker=worker)
        with self.store.bookkeeping(durable=False) as tx:
            study = place_of(tx, study_id)
            found = _the_trial(tx, study, number)
            if found.state != "waiting":
                return None
            taken = msgspec.structs.replace(
                found,
                state="running",
                started_at=tx.now,
                worker=worker,
                heartbeat_at=tx.now if heartbeat else None,
                revision=advance(tx, study.id).revision,
            )
            put_trials(tx, study, [taken])
            put_runs(tx, [lineage_run(study, taken, by=caller().principal)])
        return taken

    @operation(permission="tuning:write", writes=True, resource="study_id")
    def change(self, study_id: str, *, changes: list[TrialChange], sync: bool = True) -> Changed:
        """Say what is new of trials, all or nothing.

        A change with a state of `finished`, `pruned` or `failed` ends its trial, and is on the disk when this returns;
        without `sync` when the next one that waited for the disk has returned, `settle` for example.

        Raises:
            Conflict: One of them is over already; `details["ended"]` is its number.
            NotFound: There is no such trial.
        """
        if len(changes) > _MOST_AT_ONCE:
            raise InvalidInput(f"{len(changes)} changes at once; at most {_MOST_AT_ONCE}")
        ends = any(each.state not in (None, "running") for each in changes)
        with self.store.bookkeeping(durable=ends and sync) as tx:
            study = advance(tx, study_id)
            if len(changes) == 1 and changes[0].state in _ENDED:
                check_change(study.directions, changes[0])
                if end_quickly(tx, study, changes[0]):
                    return Changed(study.revision, tx.now)
            before: dict[int, Trial] = {}
            after: dict[int, Trial] = {}
            for each in changes:
                check_change(study.directions, each)
                if each.number not in after:
                    before[each.number] = after[each.number] = _the_trial(tx, study, each.number)
                found = after[each.number]
                if found.ended:
                    raise Conflict(
                        f"trial {each.number} is over: {found.state}",
                        hint="an ended trial never changes",
                        details={"ended": each.number},
                    )
                after[each.number] = msgspec.structs.replace(changed(found, each, tx.now), revision=study.revision)
            put_trials(tx, study, list(after.values()))
            who = caller().principal
            moved = [each for place, each in after.items() if each.state != before[place].state]
            put_runs(tx, [lineage_run(study, each, by=who) for each in moved])
            return Changed(study.revision, tx.now)

    @operation(permission="tuning:write", writes=True, resource="study_id")
    def beat(self, study_id: str, *, numbers: list[int]) -> None:
        """Say that the workers of these running trials live. Trials that are over are passed over."""
        if len(numbers) > _MOST_AT_ONCE:
            raise InvalidInput(f"{len(numbers)} trials at once; at most {_MOST_AT_ONCE}")
        with self.store.bookkeeping(durable=False) as tx:
            study = place_of(tx, study_id)
            tx.many(
                "UPDATE study_trial SET heartbeat_at = ? WHERE study = ? AND number = ? AND state = 'running'",
                [(tx.now_micros, study.number, each) for each in numbers],
            )

    @operation(permission="tuning:write", writes=True, resource="study_id")
    def settle(self, study_id: str) -> None:
        """Wait until everything that was said of a study is on the disk."""
        with self.store.bookkeeping() as tx:
            study = place_of(tx, study_id)
            tx.execute("UPDATE study_progress SET revision = revision WHERE study_id = ?", (study.id,))

    @operation(permission="tuning:read", resource="study_id")
    def silent(self, study_id: str, *, seconds: float) -> list[Trial]:
        """Running trials whose workers said that they live, and not for so many seconds."""
        if not 0 <= seconds <= _LONGEST_SILENCE:
            raise InvalidInput(f"seconds={seconds}: a silence is between 0 and {_LONGEST_SILENCE:.0f} seconds")
        with self.store.read() as tx:
            study = place_of(tx, study_id)
            before = tx.now_micros - int(seconds * 1_000_000)
            return fetch_trials(tx, study, "state = 'running' AND heartbeat_at < ? ORDER BY number", (before,))

    @operation(permission="tuning:read", resource="study_id")
    def changes(self, study_id: str, *, since: int = -1, limit: int = _MOST_TRIALS) -> Changes:
        """What is new of a study since a revision: nothing is asked or sent twice. -1 for everything."""
        with self.store.read() as tx:
            study = place_of(tx, study_id)
            revision = study.revision
            if revision == since:
                return Changes(revision, [])
            limit = max(1, min(limit, _MOST_TRIALS))
            found = fetch_trials(tx, study, "revision > ? ORDER BY revision, number LIMIT ?", (since, limit + 1))
            more = len(found) > limit
            if more:
                # Trials of one revision are asked for together: the page ends where a revision does.
                last = found[-1].revision
                found = [each for each in found if each.revision < last] or fetch_trials(
                    tx, study, "revision = ? ORDER BY number", (last,)
                )
                revision = found[-1].revision
            return Changes(revision, found, study_of(tx, study.id) if study.study_revision > since else None, more)

    @operation(permission="tuning:read", resource="study_id")
    def trials(self, study_id: str, *, limit: int = 10_000, after: int = -1) -> list[Trial]:
        """The trials of a study in the order of their numbers; `after` is a number, for the next page."""
        with self.store.read() as tx:
            study = place_of(tx, study_id)
            return fetch_trials(
                tx, study, "number > ? ORDER BY number LIMIT ?", (after, max(0, min(limit, _MOST_TRIALS)))
            )

    @operation(permission="tuning:write", writes=True, resource="study_id")
    def record(self, study_id: str, *, trials: list[Trial]) -> None:
        """Record trials that were made elsewhere as they are now, all or none. Their numbers leave no gap.

        Raises:
            InvalidInput: One of them is not of this study, or leaves a gap.
            Conflict: A number is another trial's, or an id another run's.
        """
        if len(trials) > _MOST_AT_ONCE:
            raise InvalidInput(f"{len(trials)} trials at once; at most {_MOST_AT_ONCE}", hint="record them in pieces")
        with self.store.write() as tx:
            whole = study_of(tx, study_id)
            study = place_of(tx, whole.id)
            for trial in trials:
                check_recorded(study.id, study.directions, whole.space, trial)
            made = study.trials
            new = sorted({each.number for each in trials if each.number >= made})
            if new != list(range(made, made + len(new))) or any(each.number < 0 for each in trials):
                raise InvalidInput(f"the next trial of study {study.name} has the number {made}, not {new[:3]}")
            ids = {
                each.number: each.id
                for each in fetch_trials(tx, study, "number >= ?", (min((t.number for t in trials), default=made),))
            }
            if taken := [each.number for each in trials if ids.get(each.number, each.id) != each.id]:
                raise Conflict(f"study {study.name} has another trial with the number {taken[0]}")
            revision = advance(tx, study.id, trials=len(new)).revision
            trials = [msgspec.structs.replace(each, revision=revision) for each in trials]
            put_trials(tx, study, trials)
            put_runs(tx, [lineage_run(study, each, by=caller().principal) for each in trials if each.started_at])
            _check_own(tx, study, [each.id for each in trials if each.started_at])
            tx.note(f"run/{study.id}", trials=len(trials))

    @operation(permission="tuning:write", writes=True, resource="study_id")
    def discard(self, study_id: str, *, trial_id: str) -> None:
        """Take the last trial, which lost its process, out of its study; its number is tried again."""
        with self.store.write() as tx:
            study = place_of(tx, study_id)
            last = fetch_trials(tx, study, "1 = 1 ORDER BY number DESC LIMIT 1")
            if not last or last[0].id != trial_id or last[0].state != "running":
                raise Conflict(f"trial {trial_id[:100]} is not the last one of study {study.name}, and running")
            tx.execute("DELETE FROM study_trial WHERE study = ? AND number = ?", (study.number, last[0].number))
            advance(tx, study.id, trials=-1)
            finish_run(tx, trial_id, status="crashed")


def _check_own(tx: Transaction, study: Place, run_ids: list[str]) -> None:
    """Refuse trials whose ids are those of runs that are no trials of this study."""
    for each in run_ids:
        try:
            own = get_run(tx, each).parent_id == study.id
        except NotFound:  # it is in another workspace
            own = False
        if not own:
            raise Conflict(f"{each[:100]!r} is the id of another run", hint="a trial has a new id of its own")


def _the_trial(tx: Transaction, study: Place, number: int) -> Trial:
    found = fetch_trials(tx, study, "number = ?", (number,))
    if not found:
        raise NotFound(f"study {study.name} has no trial {number}")
    return found[0]


def _begun(study: Place, number: int, new: NewTrial, now: datetime) -> Trial:
    over = new.state not in ("waiting", "running")
    return Trial(
        id=new_id(),
        study_id=study.id,
        number=number,
        state=new.state,
        params=new.params,
        started_at=new.started_at or (None if new.state == "waiting" else now),
        values=new.values,
        finished_at=(new.finished_at or now) if over else None,
        reports=new.reports,
        distributions=new.distributions,
        user_attrs=new.user_attrs,
        system_attrs=new.system_attrs,
        worker=new.worker,
        heartbeat_at=now if new.heartbeat and new.state == "running" else None,
        revision=study.revision,
    )
