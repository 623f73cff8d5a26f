"""The operations on studies: making, describing, ending, deleting, finding them."""

from __future__ import annotations

import functools
from typing import Any

import msgspec

from mainspring.kernel.context import caller
from mainspring.kernel.errors import AlreadyExists, Conflict, InternalError, InvalidInput, NotFound
from mainspring.kernel.ids import new_id
from mainspring.kernel.names import check_name
from mainspring.kernel.operations import operation
from mainspring.lineage.graph import crash_runs, finish_run, reopen_run, start_run
from mainspring.store.service import RoomService
from mainspring.store.transaction import Transaction
from mainspring.tuning.service_checks import check_directions, check_space, check_texts
from mainspring.tuning.service_rows import Place, best_of, fetch_trials, put_trials
from mainspring.tuning.tables import STUDIES
from mainspring.tuning.types import Dimension, Direction, Study, Trial

__all__ = ["StudyOperations", "advance", "place_of", "study_of"]

_LONGEST_NAME = 500
_PLACE = "study_id, number, name, workspace, directions, trials, revision, study_revision"


class StudyOperations(RoomService):
    """What is done with a study as a whole."""

    @operation(permission="tuning:write", writes=True, resource="name")
    def create(
        self,
        name: str,
        *,
        space: dict[str, Dimension] = {},  # noqa: B006 -- operations copy their defaults
        directions: list[Direction] = ["minimize"],  # noqa: B006 -- operations copy their defaults
        sampler: str = "",
        pruner: str = "",
        seed: int = 0,
        key: str = "",
        parent_id: str = "",
        user_attrs: dict[str, Any] = {},  # noqa: B006 -- operations copy their defaults
        system_attrs: dict[str, Any] = {},  # noqa: B006 -- operations copy their defaults
    ) -> Study:
        """Make a study. The same `key` again gives the study there is, which must be of the same search."""
        check_name(name, what="study")
        check_space(space)
        check_directions(directions)
        check_texts(key=key, parent_id=parent_id)
        with self.store.write() as tx:
            if known := _by_key(tx, key):
                asked = (name, directions, space, sampler, pruner, seed)
                if asked != (known.name, known.directions, known.space, known.sampler, known.pruner, known.seed):
                    raise Conflict(
                        f"the study {known.name!r} with this key is another search", hint="take another name or key"
                    )
                tx.execute("UPDATE study SET state = 'running' WHERE id = ?", (known.id,))
                advance(tx, known.id, study=True)
                reopen_run(tx, known.id)
                return msgspec.structs.replace(known, state="running")
            number = _next_number(tx)
            study = Study(
                id=new_id(),
                number=number,
                workspace=caller().workspace,
                name=name,
                unique_name=_free_name(tx, name, number),
                key=key,
                directions=directions,
                space=space,
                sampler=sampler,
                pruner=pruner,
                seed=seed,
                parent_id=parent_id,
                state="running",
                user_attrs=user_attrs,
                system_attrs=system_attrs,
                created_at=tx.now,
                created_by=caller().principal,
            )
            _insert(tx, study)
        return study

    @operation(permission="tuning:write", writes=True, resource="name")
    def create_shared(self, name: str, *, directions: list[Direction]) -> Study:
        """Make a study of an Optuna program, whose name is any text that no other study has; `AlreadyExists` if one."""
        check_directions(directions)
        if len(name) > _LONGEST_NAME or any(not each.isprintable() for each in name):
            raise InvalidInput(f"a study name has at most {_LONGEST_NAME} printable characters")
        with self.store.write() as tx:
            if _by_unique_name(tx, name) is not None:
                raise AlreadyExists(f"there is a study {name!r}", hint="load_if_exists=True goes on with it")
            study = Study(
                id=new_id(),
                number=_next_number(tx),
                workspace=caller().workspace,
                name=name,
                unique_name=name,
                key="",
                directions=directions,
                space={},
                sampler="",
                pruner="",
                seed=0,
                parent_id="",
                state="running",
                user_attrs={},
                system_attrs={},
                created_at=tx.now,
                created_by=caller().principal,
            )
            _insert(tx, study)
        return study

    @operation(permission="tuning:write", writes=True, resource="study_id")
    def annotate(
        self,
        study_id: str,
        *,
        user_attrs: dict[str, Any] = {},  # noqa: B006 -- operations copy their defaults
        system_attrs: dict[str, Any] = {},  # noqa: B006 -- operations copy their defaults
    ) -> Study:
        """Say more of a study; what was said before under other keys stays."""
        with self.store.write() as tx:
            study = study_of(tx, study_id)
            study = msgspec.structs.replace(
                study,
                user_attrs={**study.user_attrs, **user_attrs},
                system_attrs={**study.system_attrs, **system_attrs},
            )
            row = dict(zip(STUDIES.columns, STUDIES.to_row(study), strict=True))
            tx.execute(
                "UPDATE study SET user_attrs = ?, system_attrs = ? WHERE id = ?",
                (row["user_attrs"], row["system_attrs"], study.id),
            )
            advance(tx, study.id, study=True)
            tx.note(f"run/{study.id}", attrs=sorted({*user_attrs, *system_attrs})[:20])
        return study

    @operation(permission="tuning:write", writes=True, resource="study_id")
    def finish(self, study_id: str) -> Study:
        """End a study; its best value goes into its run. Trials that are still running were lost."""
        with self.store.write() as tx:
            study = study_of(tx, study_id)
            place = place_of(tx, study.id)
            lost = fetch_trials(tx, place, "state = 'running'")
            revision = advance(tx, study.id, study=True).revision
            if lost:
                ended = [
                    msgspec.structs.replace(each, state="failed", finished_at=tx.now, error="lost", revision=revision)
                    for each in lost
                ]
                put_trials(tx, place, ended)
                crash_runs(tx, [each.id for each in lost])
            tx.execute("UPDATE study SET state = 'finished' WHERE id = ?", (study.id,))
            best = best_of(tx, place) if len(study.directions) == 1 else None
            finish_run(tx, study.id, metadata={"best": best.values[0], "params": best.params} if best else {})
        return msgspec.structs.replace(study, state="finished")

    @operation(permission="tuning:write", writes=True, resource="study_id")
    def delete(self, study_id: str) -> None:
        """Delete a study and its trials. What the lineage knows stays: that they ran, and what was made by them."""
        with self.store.write() as tx:
            study = study_of(tx, study_id)
            place = place_of(tx, study.id)
            crash_runs(tx, [each.id for each in fetch_trials(tx, place, "state = 'running'")])
            tx.execute("DELETE FROM study_trial WHERE study = ?", (study.number,))
            tx.execute("DELETE FROM study WHERE id = ?", (study.id,))
            tx.execute("UPDATE study_progress SET workspace = '' WHERE study_id = ?", (study.id,))
            if study.state == "running":
                finish_run(tx, study.id, status="cancelled")
            tx.note(f"run/{study.id}", deleted=study.unique_name)

    @operation(permission="tuning:read", resource="study_id")
    def get(self, study_id: str) -> Study:
        """A study by its id, its unique name, or the newest of that name."""
        with self.store.read() as tx:
            return study_of(tx, study_id)

    @operation(permission="tuning:read", resource="study_id")
    def best(self, study_id: str) -> Trial | None:
        """The finished trial with the best value that breaks no constraint, or None.

        Of several objectives the first one counts.
        """
        with self.store.read() as tx:
            return best_of(tx, place_of(tx, study_of(tx, study_id).id))

    @operation(permission="tuning:read")
    def studies(self, *, name: str = "", limit: int = 100, before: int = 0) -> list[Study]:
        """Studies, newest first; those with a number under `before` for the next page."""
        with self.store.read() as tx:
            return tx.fetch(
                STUDIES,
                "WHERE workspace = ? AND (? = '' OR name = ?) AND (? = 0 OR number < ?) ORDER BY number DESC LIMIT ?",
                (caller().workspace, name, name, before, before, max(0, min(limit, 1000))),
            )


def study_of(tx: Transaction, study_id: str) -> Study:
    """A study by its id, its unique name, or the newest of that name; `NotFound` otherwise."""
    workspace = caller().workspace
    found = tx.fetch_one(STUDIES, "WHERE id = ? AND workspace = ?", (study_id.removeprefix("run/"), workspace))
    found = found or _by_unique_name(tx, study_id)
    found = found or tx.fetch_one(
        STUDIES, "WHERE workspace = ? AND name = ? ORDER BY id DESC LIMIT 1", (workspace, study_id)
    )
    if found is None:
        raise NotFound(f"there is no study {study_id[:100]!r}")
    return found


def place_of(tx: Transaction, study_id: str) -> Place:
    """What trials need to know of the study with this id, or else of this name."""
    return _place(tx, study_id, f"SELECT {_PLACE} FROM study_progress WHERE study_id = ? AND workspace = ?")  # noqa: S608 -- texts of our own


def advance(tx: Transaction, study_id: str, *, trials: int = 0, study: bool = False) -> Place:
    """Count a change of a study, of trials that are made and of itself; the study with the number of the change."""
    own = ", study_revision = revision + 1" if study else ""
    return _place(
        tx,
        study_id,
        f"UPDATE study_progress SET revision = revision + 1, trials = trials + {int(trials)}{own}"  # noqa: S608 -- texts of our own
        f" WHERE study_id = ? AND workspace = ? RETURNING {_PLACE}",
    )


def _place(tx: Transaction, study_id: str, statement: str) -> Place:
    row = tx.row(statement, (study_id, caller().workspace))
    if row is None:
        study = study_of(tx, study_id)
        row = tx.row(statement, (study.id, study.workspace))
    if row is None:
        raise InternalError(f"study {study_id} has lost its progress")
    found, number, name, workspace, directions, trials, revision, own = row
    return Place(found, number, name, workspace, _directions(directions), trials, revision, own)


@functools.lru_cache
def _directions(text: str) -> list[Direction]:
    return list(msgspec.json.decode(text))


def _insert(tx: Transaction, study: Study) -> None:
    tx.insert(STUDIES, study)
    tx.execute(
        "INSERT INTO study_progress (study_id, number, workspace, name, directions, trials, revision, study_revision)"
        " VALUES (?, ?, ?, ?, ?, 0, 0, 0)",
        (study.id, study.number, study.workspace, study.name, msgspec.json.encode(study.directions).decode()),
    )
    metadata = {"directions": study.directions, "sampler": study.sampler, "seed": study.seed}
    start_run(
        tx,
        "study",
        study.name or f"study {study.number}",
        run_id=study.id,
        parent_id=study.parent_id,
        metadata=metadata,
    )


def _next_number(tx: Transaction) -> int:
    return int(tx.value("SELECT max(number) FROM study_progress") or 0) + 1


def _free_name(tx: Transaction, name: str, number: int) -> str:
    candidates = (name, f"{name}-{number}", f"{name} ({number})", f"{name} ({new_id()})")
    return next(each for each in candidates if _by_unique_name(tx, each) is None)


def _by_key(tx: Transaction, key: str) -> Study | None:
    return tx.fetch_one(STUDIES, "WHERE workspace = ? AND key = ?", (caller().workspace, key)) if key else None


def _by_unique_name(tx: Transaction, name: str) -> Study | None:
    return tx.fetch_one(STUDIES, "WHERE workspace = ? AND unique_name = ?", (caller().workspace, name))
