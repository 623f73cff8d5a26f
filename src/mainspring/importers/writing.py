"""Writing a foreign run into this store: once, however often it is tried, and compared with its source at the end.

A run's id is made of where it comes from, so that importing it again finds it. Of every metric the points that are here
are counted, and only what is missing is sent; a batch is written whole or not at all. At the end the history that can
be read here is compared with the source's, by count and digest, and every file by the digest of its bytes.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator
from datetime import datetime
from typing import TYPE_CHECKING, Any

from mainspring.importers.types import ForeignArtifact, ForeignFile, ForeignRun, ImportReport
from mainspring.kernel.clock import to_micros
from mainspring.kernel.errors import CheckFailed, MainspringError, NotFound
from mainspring.kernel.hashing import digest_bytes, digest_value, hasher
from mainspring.lineage.types import File
from mainspring.tracking.chunks import Points
from mainspring.tracking.frames import encode_frame
from mainspring.tracking.params import encode_params
from mainspring.tracking.types import FinishRecord, NoteRecord, ParamsRecord, PointsRecord, RunStart, TagsRecord

if TYPE_CHECKING:
    from mainspring.client.client import Client
    from mainspring.tracking.types import TrackedRun

__all__ = ["Progress", "imported_id", "text_of", "write_run", "write_runs"]

Progress = Callable[[int, int], None]
"""Told how many runs are done, and of how many."""

_FINGERPRINT = "import.fingerprint"
_ORIGIN = "import.origin"
_BATCH = 1 << 20


def imported_id(origin: str, started_at: datetime) -> str:
    """The id here of a run from elsewhere: a UUIDv7 of the time when it began and the digest of its origin.

    Example:
        >>> from datetime import UTC, datetime
        >>> imported_id("mlflow:abc", datetime(2026, 1, 1, tzinfo=UTC))[:18]
        '019b76da-a800-7260'
    """
    digest = int(digest_value("imported-run", [origin])[:19], 16)
    milliseconds = max(0, to_micros(started_at)) // 1000
    value = milliseconds << 80 | 0x7 << 76 | (digest >> 64 & 0xFFF) << 64 | 0x2 << 62 | digest & 0x3FFF_FFFF_FFFF_FFFF
    text = f"{value:032x}"
    return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"


def write_runs(
    client: Client,
    runs: Iterable[ForeignRun],
    report: ImportReport,
    *,
    total: int = 0,
    progress: Progress | None = None,
) -> dict[str, str]:
    """Write runs one after the other, parents before their children; what fails is a problem of the report.

    Returns:
        The id here of each run that is here now, by origin.
    """
    here: dict[str, str] = {}
    for number, run in enumerate(runs, start=1):
        try:
            here[run.origin] = write_run(client, run, report, parent_id=here.get(run.parent_origin, ""))
        except MainspringError as error:
            report.problems.append(f"run {run.title or run.origin}: {error.message}")
        if run.experiment not in report.experiments:
            report.experiments.append(run.experiment)
        if progress is not None:
            progress(number, max(total, number))
    return here


def write_run(client: Client, run: ForeignRun, report: ImportReport, *, parent_id: str = "") -> str:
    """Write one run, or what is missing of it; its id here.

    Raises:
        CheckFailed: What can be read here is not what the source has.
    """
    run_id = imported_id(run.origin, run.started_at)
    known = _known(client, run_id)
    if known is not None and run.fingerprint and known.tags.get(_FINGERPRINT) == run.fingerprint:
        report.unchanged += 1
        return run_id
    start = RunStart(
        run_id,
        run.experiment,
        run.kind,
        run.title,
        parent_id,
        group=run.group,
        user=run.user,
        started_at=run.started_at,
    )
    client.tracking.start(start)
    if known is not None and known.deleted_at is not None:
        client.tracking.restore_runs([run_id])
    _describe(client, run_id, run)
    _write_points(client, run_id, run, report)
    _write_files(client, run_id, run.files(), report)
    for artifact in run.artifacts():
        _write_artifact(client, run_id, artifact, report)
    status = "crashed" if run.status == "running" else run.status
    if status == "crashed":
        client.tracking.mark_crashed(run_id)
    else:
        finished = to_micros(run.finished_at) if run.finished_at else None
        _append(client, run_id, [encode_frame(FinishRecord(status, finished_at=finished))])
    if run.fingerprint:
        _append(client, run_id, [encode_frame(TagsRecord({_FINGERPRINT: run.fingerprint}))])
    if run.deleted:
        client.tracking.delete_runs([run_id])
    report.runs += 1
    return run_id


def text_of(value: Any) -> str:
    """A value of another tool as the text of a tag."""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)


def _known(client: Client, run_id: str) -> TrackedRun | None:
    try:
        return client.tracking.get(run_id)
    except NotFound:
        return None


def _describe(client: Client, run_id: str, run: ForeignRun) -> None:
    frames = [encode_frame(TagsRecord({**run.tags, _ORIGIN: run.origin}))]
    if run.params:
        frames.append(encode_frame(ParamsRecord(encode_params(run.params))))
    if run.note:
        frames.append(encode_frame(NoteRecord(run.note)))
    _append(client, run_id, frames)


def _write_points(client: Client, run_id: str, run: ForeignRun, report: ImportReport) -> None:
    known = client.tracking.get(run_id).metrics
    for key, points in run.series():
        here = known[key].count if key in known else 0
        for batch in _batches(key, points, here):
            _append(client, run_id, batch)
        report.points += max(0, len(points) - here)
        _compare(client, run_id, key, points)


def _batches(key: str, points: Points, start: int) -> Iterator[list[bytes]]:
    frames: list[bytes] = []
    size = 0
    for step, at, value in zip(points.steps[start:], points.times[start:], points.values[start:], strict=True):
        frames.append(encode_frame(PointsRecord(step, at, {key: value})))
        size += len(frames[-1])
        if size >= _BATCH:
            yield frames
            frames, size = [], 0
    if frames:
        yield frames


def _compare(client: Client, run_id: str, key: str, points: Points) -> None:
    here = client.tracking.history(run_id, key)
    theirs = _digest(zip(points.steps, points.times, points.values, strict=True))
    ours = _digest(zip(here["step"], here["at"].dt.timestamp("us"), here["value"], strict=True))
    if here.height != len(points) or ours != theirs:
        raise CheckFailed(
            f"metric {key!r} of run {run_id} has {here.height} points here and {len(points)} at its source,"
            " or other values",
            hint="the source has changed while it was read, or its history was rewritten: import again, or delete"
            " the run here first",
        )


def _digest(rows: Iterable[tuple[int, int, float]]) -> str:
    """Of the points whatever their order; NaN is NaN."""
    return digest_bytes("\n".join(sorted(f"{step} {at} {float(value)!r}" for step, at, value in rows)).encode())


def _write_files(client: Client, run_id: str, files: Iterator[ForeignFile], report: ImportReport) -> None:
    known = {each.path: each.file for each in client.tracking.files(run_id)}
    for each in files:
        held = known.get(each.path)
        if held is not None and each.size is not None and held.size == each.size:
            continue
        passing = _Passing(each)
        made = client.tracking.put_file(
            run_id, path=each.path, body=passing, media_type=each.media_type, key=each.key, step=each.step
        )
        if made.file.digest != passing.hashing.hexdigest() or (each.size is not None and passing.size != each.size):
            raise CheckFailed(
                f"the file {each.path!r} of run {run_id} is not what its source has: {passing.size} bytes came"
            )
        report.files += 1
        report.bytes += passing.size


class _Passing:
    """The bytes of a file as they pass, counted and hashed."""

    def __init__(self, file: ForeignFile) -> None:
        self._file = file
        self.hashing = hasher()
        self.size = 0

    def __iter__(self) -> Iterator[bytes]:
        for piece in self._file.read():
            self.hashing.update(piece)
            self.size += len(piece)
            yield piece


def _write_artifact(client: Client, run_id: str, artifact: ForeignArtifact, report: ImportReport) -> None:
    files = []
    for each in artifact.files:
        blob = client.storage.put_blob(each.read())
        files.append(File(each.path, blob.size, blob.digest))
        report.bytes += blob.size
    client.tracking.log_artifact(
        run_id,
        kind=artifact.kind,
        name=artifact.name,
        files=files,
        metadata=artifact.metadata,
        aliases=list(artifact.aliases),
    )
    report.artifacts += 1


def _append(client: Client, run_id: str, frames: list[bytes]) -> None:
    client.tracking.append(run_id, writer="", sequence=0, body=[b"".join(frames)])
