"""The operations by which a search goes on: trials that are tried again, and what the parameters are worth."""

from __future__ import annotations

from typing import Literal

import msgspec

from mainspring.kernel.context import caller
from mainspring.kernel.errors import Conflict, InvalidInput, NotFound
from mainspring.kernel.ids import new_id
from mainspring.kernel.operations import operation
from mainspring.lineage.graph import finish_run, put_runs
from mainspring.store.service import RoomService
from mainspring.tuning.importances import importances_of
from mainspring.tuning.service_checks import check_texts
from mainspring.tuning.service_rows import fetch_trials, lineage_run, put_trials
from mainspring.tuning.service_studies import advance, place_of, study_of
from mainspring.tuning.types import Importances, Trial

__all__ = ["ATTEMPTS", "ResumeOperations"]

ATTEMPTS = "attempts"
"""The attribute of a trial that says how often it was begun, where that is more than once."""
_MOST_STUDIES = 1000
_EXPLAINED = 2000
"""More trials than these say no more of which parameters matter, and cost more."""


class ResumeOperations(RoomService):
    """What is done so that a search goes on."""

    @operation(permission="tuning:write", writes=True, resource="study_id")
    def renew(
        self,
        study_id: str,
        *,
        number: int,
        trial_id: str,
        status: Literal["failed", "crashed"] = "crashed",
        error: str = "",
        worker: str = "",
    ) -> Trial:
        """Try a running trial anew under its number and with its parameters, as another run; the run so far has ended.

        Args:
            study_id: The study.
            number: The trial.
            trial_id: Its run so far. Of all who renew it, one does.
            status: How that run ended: by an error, or with its process.
            error: What went wrong.
            worker: Who tries it now.

        Raises:
            Conflict: It is over, or somebody else renewed it.
        """
        check_texts(worker=worker)
        with self.store.bookkeeping() as tx:
            study = advance(tx, study_id)
            found = fetch_trials(tx, study, "number = ?", (number,))
            if not found:
                raise NotFound(f"study {study.name} has no trial {number}")
            old = found[0]
            if old.state != "running" or old.id != trial_id:
                raise Conflict(f"trial {number} is not tried by run {trial_id[:100]} any more")
            kept = {name: each for name, each in old.system_attrs.items() if not name.startswith("constraints")}
            tried = kept.get(ATTEMPTS)
            new = Trial(
                id=new_id(),
                study_id=study.id,
                number=number,
                state="running",
                params=old.params,
                started_at=tx.now,
                distributions=old.distributions,
                system_attrs={**kept, ATTEMPTS: (tried if isinstance(tried, int) else 1) + 1},
                worker=worker,
                revision=study.revision,
            )
            finish_run(tx, old.id, status=status, metadata={"params": old.params, "error": error[:2000]})
            tx.execute("UPDATE study_trial SET id = ? WHERE study = ? AND number = ?", (new.id, study.number, number))
            put_trials(tx, study, [new])
            put_runs(tx, [lineage_run(study, new, by=caller().principal)])
        return new

    @operation(permission="tuning:read")
    def states(self, study_ids: list[str]) -> dict[str, dict[str, int]]:
        """How many trials of each state some studies have, by the ids given; at most 1,000 studies."""
        if len(study_ids) > _MOST_STUDIES:
            raise InvalidInput(f"{len(study_ids)} studies at once; at most {_MOST_STUDIES}")
        found: dict[str, dict[str, int]] = {}
        with self.store.read() as tx:
            for each in study_ids:
                place = place_of(tx, each)
                rows = tx.rows(
                    "SELECT state, count(*) FROM study_trial WHERE study = ? GROUP BY state", (place.number,)
                )
                found[each] = dict(sorted(rows))
        return found

    @operation(permission="tuning:read", resource="study_id")
    def importances(self, study_id: str, *, objective: int = 0) -> Importances:
        """How much of what makes a trial good is due to each parameter, the most important first; they sum to 1.

        Of at most the 2,000 latest finished trials, by Optuna's PED-ANOVA (Watanabe, Bansal and Hutter, "PED-ANOVA:
        Efficiently Quantifying Hyperparameter Importance in Arbitrary Subspaces", IJCAI 2023). Empty while there are
        too few.

        Raises:
            InvalidInput: The study has no such objective.
            MissingDependency: Optuna is not installed.
        """
        with self.store.read() as tx:
            study = study_of(tx, study_id)
            place = place_of(tx, study.id)
            if not 0 <= objective < len(study.directions):
                raise InvalidInput(f"objective {objective}: study {study.name} has {len(study.directions)}")
            found = fetch_trials(tx, place, "state = 'finished' ORDER BY number DESC LIMIT ?", (_EXPLAINED,))
        whole = [msgspec.structs.replace(each, distributions={**study.space, **each.distributions}) for each in found]
        return importances_of(study, place.revision, whole, objective)
