"""Reading an archive that anybody may have made: nothing in it is believed before its digest is.

Entries are opened by names that we compute, never by names that it gives; sizes are bounded before bytes are read, and
again while they are. A run is written in one transaction, under the id that it had. Where another workspace of the
store, or another experiment, has that id, the new id follows from the old one, so that the same archive twice is still
the same runs.
"""

from __future__ import annotations

import tempfile
import zipfile
import zlib
from array import array
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, TypeVar

import msgspec

from mainspring.kernel.clock import from_micros
from mainspring.kernel.errors import Conflict, Damaged, InvalidInput, NotFound, TooLarge, UnsupportedFormat
from mainspring.kernel.hashing import digest_bytes
from mainspring.kernel.operations import Upload
from mainspring.lineage import graph
from mainspring.lineage.listing import with_digest, workspace_of_run
from mainspring.lineage.types import RunStatus
from mainspring.store.store import Store
from mainspring.store.transaction import Transaction
from mainspring.tracking.archive import (
    EXPERIMENT_ENTRY,
    FORMAT,
    INDEX_ENTRY,
    VERSION,
    ArchivedArtifact,
    ArchivedExperiment,
    ArchivedRun,
    Column,
    Entry,
    little_endian,
)
from mainspring.tracking.archive_checks import blob_sizes, check_run, derived_id, in_order
from mainspring.tracking.chunks import Points
from mainspring.tracking.experiments import add_experiment, change_experiment, check_experiment_name, find_experiment
from mainspring.tracking.ingest import append_points
from mainspring.tracking.keys import intern
from mainspring.tracking.params import check_key
from mainspring.tracking.runs import begin_run, end_run, find_run, put_values
from mainspring.tracking.tables import FILES, FileRow, RunRow
from mainspring.tracking.types import Experiment, RunStart

__all__ = ["import_experiment"]

_ARCHIVE = 64 << 30
_RECORD = 256 << 20
_POINTS = 4 << 30
_RATIO = 2000
_SLACK = 1 << 20
_ENTRIES = 2_000_000
_PIECE = 1 << 20
_BROKEN = (zipfile.BadZipFile, zipfile.LargeZipFile, zlib.error, NotImplementedError, RuntimeError, EOFError)
"""What `zipfile` raises of a file that is none, or not a whole one."""

T = TypeVar("T")


def import_experiment(store: Store, body: Upload, *, name: str = "") -> Experiment:
    """Bring in the archive of an experiment; what is here already stays as it is.

    Args:
        store: Where to.
        body: The archive.
        name: What the experiment is called here; as in the archive when empty.

    Raises:
        UnsupportedFormat: it is no archive of an experiment, or a newer kind of one.
        Damaged: something in it is not what its digest says.
        InvalidInput, TooLarge: something in it cannot be.
        Conflict: an experiment of that name is here, and deleted.
    """
    with tempfile.TemporaryFile(dir=_folder(store)) as file:
        size = 0
        for piece in body:
            size += len(piece)
            if size > _ARCHIVE:
                raise TooLarge(f"an archive may have {_ARCHIVE} bytes")
            file.write(piece)
        try:
            with zipfile.ZipFile(file) as archive:
                return _Reader(store, archive, size).read(name)
        except _BROKEN as error:
            raise UnsupportedFormat(f"this is not the archive of an experiment: {error}") from error


def _folder(store: Store) -> Path:
    return Path(store.path("imports"))


class _Reader:
    """One archive; everything goes through `_bytes`, which believes nothing."""

    def __init__(self, store: Store, archive: zipfile.ZipFile, size: int) -> None:
        self._store = store
        self._archive = archive
        self._entries = {info.filename: info for info in archive.infolist()}
        if len(self._entries) != len(archive.infolist()) or len(self._entries) > _ENTRIES:
            raise InvalidInput("the archive names an entry twice, or has too many")
        if sum(info.compress_size for info in archive.infolist()) > size:
            raise InvalidInput("the entries of the archive overlap")
        self._index: dict[str, Entry] = {}

    def read(self, name: str) -> Experiment:
        index = self._bytes(INDEX_ENTRY, _RECORD)
        self._index = _decode(index, dict[str, Entry], INDEX_ENTRY)
        about = self._record(EXPERIMENT_ENTRY, ArchivedExperiment)
        if about.format != FORMAT or about.version != VERSION:
            raise UnsupportedFormat(
                f"this is version {about.version} of the format {about.format!r};"
                f" version {VERSION} of {FORMAT} is read here"
            )
        runs = [
            self._record(entry, ArchivedRun)
            for entry in sorted(self._index)
            if entry.startswith("runs/") and entry.endswith(".json")
        ]
        if len(runs) != about.runs:
            raise Damaged(f"the archive says that it has {about.runs} runs, and has {len(runs)}")
        for run in runs:
            check_run(run)
            self._points(run)  # once to be checked, before anything is written; once more to be written
        in_order(runs)
        check_experiment_name(name or about.name)
        self._blobs(runs)
        return self._write(about, runs, name or about.name)

    def _write(self, about: ArchivedExperiment, runs: list[ArchivedRun], name: str) -> Experiment:
        with self._store.write() as tx:
            try:
                experiment = find_experiment(tx, name)
            except NotFound:
                experiment = add_experiment(tx, name, tags=about.tags, note=about.note, location=about.location)
            else:
                if experiment.status == "deleted":
                    raise Conflict(
                        f"experiment {name!r} is deleted", hint="mainspring experiment restore, or another name"
                    )
                new = {key: value for key, value in about.tags.items() if key not in experiment.tags}
                if new:
                    experiment = change_experiment(tx, experiment, rename="", note=None, tags=new)
        placed = self._ids(runs, experiment)
        for run in in_order(runs):
            target = placed[run.run_id]
            columns = self._points(run)
            with self._store.write() as tx:
                if tx.value("SELECT 1 FROM tracked_run WHERE run_id = ?", (target,)) is None:
                    _write_run(tx, experiment, run, target, placed, columns)
        with self._store.read() as tx:
            return find_experiment(tx, name)

    def _ids(self, runs: list[ArchivedRun], experiment: Experiment) -> dict[str, str]:
        """The id of each run here."""
        found = {}
        with self._store.read() as tx:
            for run in runs:
                held = "SELECT workspace, experiment_id FROM tracked_run WHERE run_id = ?"
                row = tx.row(held, (run.run_id,))
                ours = row is not None and (row[0], row[1]) == (tx.workspace, experiment.id)
                free = ours or (row is None and not workspace_of_run(tx, run.run_id))
                found[run.run_id] = run.run_id if free else derived_id(run.run_id, tx.workspace, experiment.name)
        return found

    def _record(self, name: str, kind: type[T]) -> T:
        return _decode(self._bytes(name, _RECORD), kind, name)

    def _points(self, run: ArchivedRun) -> dict[str, Points]:
        if not run.metrics:
            return {}
        name = f"points/{run.run_id}.bin"
        held = _decode(self._bytes(name, _POINTS), dict[str, Column], name, msgspec.msgpack.Decoder)
        if {key: len(column[0]) // 8 for key, column in held.items()} != run.metrics:
            raise Damaged(f"{name} does not hold the points that the run says it has")
        return {check_key(key): _points_of(column, name) for key, column in held.items()}

    def _blobs(self, runs: list[ArchivedRun]) -> None:
        """Store the blobs that are not here; each is checked against its name as it is read."""
        sizes: dict[str, int] = {}
        for run in runs:
            for digest, size in blob_sizes(run):
                if sizes.setdefault(digest, size) != size:
                    raise Damaged(f"the archive gives blob {digest} two sizes")
        for digest in self._store.blobs.missing(list(sizes)):
            stored, _ = self._store.blobs.put_stream(self._stream(f"blobs/{digest}", sizes[digest], digest))
            if stored != digest:
                raise Damaged(f"blob {digest} of the archive has other bytes: {stored}")

    def _bytes(self, name: str, most: int) -> bytes:
        info = self._info(name)
        if info.file_size > most:
            raise TooLarge(f"{name} has {info.file_size} bytes, more than {most}")
        with self._archive.open(info) as entry:
            data = entry.read(info.file_size + 1)
        if len(data) != info.file_size:
            raise Damaged(f"{name} has other than its {info.file_size} bytes")
        if name != INDEX_ENTRY:
            known = self._index.get(name)
            if known is None or known.size != len(data) or known.digest != digest_bytes(data):
                raise Damaged(f"{name} is not what the index of the archive says")
        return data

    def _stream(self, name: str, size: int, digest: str) -> Iterator[bytes]:
        info = self._info(name)
        if info.file_size != size:
            raise Damaged(f"{name} has {info.file_size} bytes and not {size}")
        seen = 0
        with self._archive.open(info) as entry:
            while piece := entry.read(_PIECE):
                seen += len(piece)
                if seen > size:
                    raise Damaged(f"blob {digest} has more than its {size} bytes")
                yield piece
        if seen != size:
            raise Damaged(f"blob {digest} has {seen} of its {size} bytes")

    def _info(self, name: str) -> zipfile.ZipInfo:
        info = self._entries.get(name)
        if info is None:
            if name in (INDEX_ENTRY, EXPERIMENT_ENTRY):
                raise UnsupportedFormat(f"this is not the archive of an experiment: it has no {name}")
            raise Damaged(f"the archive has no {name}")
        if info.file_size > _RATIO * info.compress_size + _SLACK:
            raise InvalidInput(f"{name} would unpack to {info.file_size} bytes out of {info.compress_size}")
        return info


def _write_run(
    tx: Transaction,
    experiment: Experiment,
    run: ArchivedRun,
    target: str,
    placed: Mapping[str, str],
    columns: Mapping[str, Points],
) -> None:
    parent = placed.get(run.parent_id, "") or (run.parent_id if run.parent_id and _exists(tx, run.parent_id) else "")
    fork = placed.get(run.forked_from, "") if run.forked_from else ""
    begin_run(
        tx,
        RunStart(
            run_id=target,
            experiment=experiment.name,
            kind=run.kind,
            title=run.title,
            parent_id=parent,
            group=run.group,
            user=run.user,
            started_at=from_micros(run.started_at),
            tags=run.tags,
            forked_from=fork,
            fork_step=run.fork_step if fork else None,
        ),
    )
    row = find_run(tx, target)
    keys = intern(tx, experiment.id, "param", [check_key(name) for name in run.params])
    put_values(tx, row, [(keys[name], number, text, kind) for name, (text, kind, number) in run.params.items()])
    if columns:
        append_points(tx, row, columns)
    tx.execute(
        "UPDATE tracked_run SET note = ?, source = ?, updated_at = ? WHERE number = ?",
        (run.note, msgspec.json.encode(run.source).decode(), tx.now_micros, row.number),
    )
    for file in run.files:
        tx.insert(
            FILES,
            FileRow(
                row.number, file.path, file.size, file.digest, file.media_type, file.key, file.step, file.at, file.about
            ),
        )
    absent = [each for each in run.artifacts if not _connect(tx, row, each)]
    metadata = {**run.metadata, "imported": run.run_id}
    if absent:
        metadata["references"] = [
            {"kind": each.kind, "name": each.name, "version": each.version, "digest": each.digest, "made": each.made}
            for each in absent
        ]
    status: RunStatus = "crashed" if run.status == "running" else run.status  # type: ignore[assignment]  # checked before
    ended = run.finished_at if run.finished_at is not None else run.started_at
    end_run(tx, row, status, finished_at=from_micros(ended), metadata=metadata)


def _connect(tx: Transaction, row: RunRow, artifact: ArchivedArtifact) -> bool:
    """Connect a run with an artifact of its archive, if there is one here; what travels whole is made."""
    if artifact.whole and not artifact.made:
        made = graph.add_artifact(
            tx,
            artifact.kind,
            artifact.name,
            digest=artifact.digest,
            metadata=artifact.metadata,
            files=artifact.files,
            size=sum(file.size for file in artifact.files),
            reuse=True,
        )
        graph.use(tx, row.run_id, made.id, role=artifact.role)
        return True
    known = with_digest(tx, artifact.digest, kind=artifact.kind, name=artifact.name)
    if known is None:
        return False
    if artifact.made:
        graph.add_artifact(tx, artifact.kind, artifact.name, digest=artifact.digest, run_id=row.run_id, reuse=True)
    else:
        graph.use(tx, row.run_id, known.id, role=artifact.role)
    return True


def _exists(tx: Transaction, run_id: str) -> bool:
    try:
        graph.get_run(tx, run_id)
    except NotFound:
        return False
    return True


def _points_of(column: Column, name: str) -> Points:
    if len({len(each) for each in column}) != 1 or len(column[0]) % 8:
        raise Damaged(f"{name} has columns of different lengths")
    points = Points()
    for place, (kind, data) in enumerate(zip("qqd", column, strict=True)):
        read: array[Any] = array(kind)
        read.frombytes(data)
        setattr(points, ("steps", "times", "values")[place], little_endian(read))
    return points


def _decode(data: bytes, kind: type[T], name: str, decoder: Any = msgspec.json.Decoder) -> T:
    try:
        return decoder(kind).decode(data)  # type: ignore[no-any-return]  # as its type says
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise Damaged(f"{name} of the archive cannot be read: {error}") from error
