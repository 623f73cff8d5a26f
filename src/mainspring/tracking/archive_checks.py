"""What a run of an archive must be before anything of it is written: one that we could have written ourselves."""

from __future__ import annotations

import re
import uuid
from collections.abc import Iterator
from typing import get_args

from mainspring.kernel.errors import InvalidInput
from mainspring.kernel.hashing import digest_value
from mainspring.kernel.names import check_name
from mainspring.lineage.types import RunStatus
from mainspring.tracking.archive import ArchivedRun
from mainspring.tracking.params import check_key, read_param
from mainspring.tracking.paths import check_path

__all__ = ["blob_sizes", "check_run", "derived_id", "in_order"]

_DIGEST = re.compile(r"[0-9a-f]{64}")


def in_order(runs: list[ArchivedRun]) -> list[ArchivedRun]:
    """Parents and origins before what follows from them; raises `InvalidInput` when they follow from each other."""
    waiting = {run.run_id: run for run in runs}
    ordered: list[ArchivedRun] = []
    while waiting:
        ready = [run for run in waiting.values() if not {run.parent_id, run.forked_from} & (waiting.keys() - {""})]
        if not ready:
            raise InvalidInput("the runs of the archive follow from each other in a circle")
        for run in ready:
            del waiting[run.run_id]
        ordered += ready
    return ordered


def derived_id(run_id: str, workspace: str, experiment: str) -> str:
    """Another id for a run, the same every time: its time, and a digest of where it goes."""
    digest = digest_value("imported run", [run_id, workspace, experiment])
    return str(uuid.UUID(run_id.replace("-", "")[:12] + "7" + digest[:3] + "8" + digest[3:18]))


def check_run(run: ArchivedRun) -> None:
    """Refuse a run that we would not have written."""
    try:
        plain = str(uuid.UUID(run.run_id)) == run.run_id
    except ValueError:
        plain = False
    if not plain:
        raise InvalidInput(f"{run.run_id!r:.60} is not the id of a run")
    check_name(run.kind, what="kind")
    if run.status not in get_args(RunStatus):
        raise InvalidInput(f"{run.status!r:.60} is not a status of a run")
    for key in (*run.tags, *run.params, *run.metrics):
        check_key(key)
    for text, kind, _ in run.params.values():
        if kind not in ("s", "j"):
            raise InvalidInput(f"{kind!r:.20} is not a type of a parameter")
        read_param(text, kind)
    for file in run.files:
        _check_file(file.path, file.digest, file.size)
    for artifact in run.artifacts:
        if not _DIGEST.fullmatch(artifact.digest):
            raise InvalidInput(f"{artifact.digest!r:.80} is not a digest")
        for each in artifact.files:
            _check_file(each.path, each.digest, each.size)
        if artifact.files and artifact.kind not in ("code", "environment"):
            raise InvalidInput(f"an archive carries no files of artifacts of the kind {artifact.kind!r:.40}")


def _check_file(path: str, digest: str, size: int) -> None:
    check_path(path)
    if size < 0 or (digest and not _DIGEST.fullmatch(digest)):
        raise InvalidInput(f"{path!r:.80} has no right digest or size")


def blob_sizes(run: ArchivedRun) -> Iterator[tuple[str, int]]:
    """The blobs that a run has, with their sizes."""
    for file in run.files:
        if file.digest:
            yield file.digest, file.size
    for artifact in run.artifacts:
        for each in artifact.files:
            yield each.digest, each.size
