"""The operations on checkpoints: what a trial leaves, and takes over from another."""

from __future__ import annotations

from typing import Any

from mainspring.kernel.errors import InvalidInput, NotFound
from mainspring.kernel.hashing import digest_value
from mainspring.kernel.operations import operation
from mainspring.lineage import graph
from mainspring.lineage.types import File
from mainspring.store.service import RoomService
from mainspring.store.transaction import Transaction
from mainspring.tuning.service_rows import fetch_trials
from mainspring.tuning.service_studies import place_of
from mainspring.tuning.types import Trial

__all__ = ["CheckpointOperations"]

_KIND = "checkpoint"
_MOST_FILES = 10_000


class CheckpointOperations(RoomService):
    """What trials leave for each other."""

    @operation(permission="tuning:write", writes=True, resource="study_id")
    def keep_checkpoint(self, study_id: str, *, number: int, value: Any, files: list[File]) -> str:
        """Record what a running trial has written as an artifact that it made; the id of the artifact.

        Args:
            study_id: The study.
            number: The trial.
            value: How the value is made of its blobs.
            files: The blobs, which are in the store already.
        """
        if len(files) > _MOST_FILES:
            raise InvalidInput(f"a checkpoint of {len(files)} pieces; at most {_MOST_FILES}")
        if missing := self.store.blobs.missing(sorted({each.digest for each in files})):
            raise NotFound(f"blob {missing[0][:100]} is not in the store", hint="put_blob")
        with self.store.write() as tx:
            trial = _running(tx, study_id, number)
            study = place_of(tx, study_id)
            made = graph.add_artifact(
                tx,
                _KIND,
                f"study-{study.number}",
                digest=digest_value(_KIND, [trial.id, value]),
                run_id=trial.id,
                metadata={"trial": number, "value": value},
                files=files,
                reuse=True,
            )
        return made.id

    @operation(permission="tuning:write", writes=True, resource="study_id")
    def take_checkpoint(self, study_id: str, *, number: int, artifact_id: str) -> Any:
        """How a checkpoint is made of its blobs; from now on the running trial has used it."""
        with self.store.write() as tx:
            trial = _running(tx, study_id, number)
            found = graph.resolve(tx, artifact_id, kind=_KIND)
            if found.kind != _KIND:
                raise NotFound(f"{artifact_id[:100]!r} is no checkpoint")
            graph.use(tx, trial.id, found.id, role=_KIND)
        return found.metadata.get("value")


def _running(tx: Transaction, study_id: str, number: int) -> Trial:
    study = place_of(tx, study_id)
    found = fetch_trials(tx, study, "number = ? AND state = 'running'", (number,))
    if not found:
        raise NotFound(f"study {study.name} has no running trial {number}")
    return found[0]
