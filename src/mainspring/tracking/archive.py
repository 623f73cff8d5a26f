"""An experiment as one file: a zip that holds everything that its runs are, and nothing that runs.

    index.json              every entry below but the blobs, with its BLAKE3 digest and size
    experiment.json         format, version, and what is said about the experiment
    runs/<run id>.json      one `ArchivedRun`
    points/<run id>.bin     msgpack: by metric, three little-endian columns (int64 steps, int64 times, float64 values)
    blobs/<digest>          the bytes of files, each once, whoever has them

It is written as a stream: only the lists of names are held in memory. Artifacts that runs used or made stay where they
are; the archive names them by kind, name, version and digest.
"""

from __future__ import annotations

import zipfile
from array import array
from collections.abc import Callable, Iterable, Iterator
from typing import Annotated, Any

import msgspec

from mainspring.kernel.errors import Conflict
from mainspring.kernel.hashing import digest_bytes
from mainspring.lineage import graph
from mainspring.lineage.listing import made_by, used_by
from mainspring.lineage.types import Artifact, File
from mainspring.store.store import Store
from mainspring.store.transaction import Transaction
from mainspring.tracking.chunks import Points, decode_points
from mainspring.tracking.experiments import find_experiment
from mainspring.tracking.histories import points_of
from mainspring.tracking.runs import find_run
from mainspring.tracking.tables import FILES, RunRow
from mainspring.tracking.types import Experiment

__all__ = [
    "EXPERIMENT_ENTRY",
    "FORMAT",
    "INDEX_ENTRY",
    "VERSION",
    "ArchivedArtifact",
    "ArchivedExperiment",
    "ArchivedFile",
    "ArchivedRun",
    "Column",
    "Entry",
    "export_experiment",
    "little_endian",
]

FORMAT = "mainspring-experiment"
VERSION = 1
INDEX_ENTRY, EXPERIMENT_ENTRY = "index.json", "experiment.json"

_PIECE = 1 << 20
_WHOLE_KINDS = ("code", "environment")
"""Artifacts that belong to the runs alone; they travel whole."""
_PACKED = (".gz", ".jpeg", ".jpg", ".mp3", ".mp4", ".npz", ".ogg", ".parquet", ".png", ".webp", ".zip", ".zst")

Column = tuple[bytes, bytes, bytes]
Int = Annotated[int, msgspec.Meta(ge=-(1 << 62), le=1 << 62)]
"""What the columns of both databases hold."""


class ArchivedExperiment(msgspec.Struct, frozen=True, kw_only=True):
    """What is said about the experiment."""

    format: str
    version: int
    name: str
    note: str
    location: str
    tags: dict[str, str]
    runs: int


class ArchivedFile(msgspec.Struct, frozen=True, kw_only=True):
    """A file of a run."""

    path: str
    size: Int
    digest: str
    media_type: str
    key: str
    step: Int | None
    at: Int
    about: dict[str, Any]


class ArchivedArtifact(msgspec.Struct, frozen=True, kw_only=True):
    """An artifact that a run used or made: a reference, or whole, with the files."""

    kind: str
    name: str
    version: Int
    digest: str
    role: str
    made: bool
    whole: bool = False
    metadata: dict[str, Any] = {}
    files: list[File] = []


class ArchivedRun(msgspec.Struct, frozen=True, kw_only=True):
    """One run, without the points of its metrics."""

    run_id: str
    kind: str
    title: str
    user: str
    group: str
    note: str
    status: str
    started_at: Int
    finished_at: Int | None
    parent_id: str
    forked_from: str
    fork_step: Int | None
    source: dict[str, Any]
    metadata: dict[str, Any]
    params: dict[str, tuple[str, str, float | None]]
    """By name: the text, its type, and the number that it reads as."""
    tags: dict[str, str]
    metrics: dict[str, int]
    """By name: how many points."""
    files: list[ArchivedFile]
    artifacts: list[ArchivedArtifact]


class Entry(msgspec.Struct, frozen=True):
    """What the index says of an entry."""

    digest: str
    size: int


def export_experiment(store: Store, name: str) -> Iterator[bytes]:
    """The archive of an experiment without deleted runs, piece by piece; checked before the first piece."""
    with store.read() as tx:
        experiment = find_experiment(tx, name)
        if experiment.status == "deleted":
            raise Conflict(f"experiment {name!r} is deleted", hint="mainspring experiment restore")
        rows = tx.rows(
            "SELECT run_id FROM tracked_run WHERE experiment_id = ? AND deleted_at IS NULL ORDER BY number",
            (experiment.id,),
        )
    return _pieces(store, experiment, [run_id for (run_id,) in rows])


class _Sink:
    """What a zip is written into: a file without a way back, emptied as it fills."""

    def __init__(self) -> None:
        self.waiting: list[bytes] = []
        self.size = 0

    def write(self, data: Any) -> int:
        self.waiting.append(bytes(data))
        self.size += len(data)
        return len(data)

    def flush(self) -> None:
        """Nothing is held back."""

    def close(self) -> None:
        """Nothing is open."""

    def taken(self) -> Iterator[bytes]:
        """What was written since the last time, when it is enough to be sent."""
        if self.size >= _PIECE:
            yield from self.rest()

    def rest(self) -> Iterator[bytes]:
        if self.waiting:
            yield b"".join(self.waiting)
        self.waiting, self.size = [], 0


def _pieces(store: Store, experiment: Experiment, run_ids: list[str]) -> Iterator[bytes]:
    sink = _Sink()
    index: dict[str, Entry] = {}
    blobs: dict[str, str] = {}
    known = set(run_ids)
    with zipfile.ZipFile(sink, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:

        def add(name: str, data: bytes) -> None:
            index[name] = Entry(digest_bytes(data), len(data))
            archive.writestr(_info(name), data)

        for run_id in run_ids:
            with store.read() as tx:
                run, points = _archived(tx, run_id, known)
            add(f"runs/{run_id}.json", msgspec.json.encode(run))
            if points:
                add(f"points/{run_id}.bin", msgspec.msgpack.encode(points))
            for path, digest in _blobs_of(run):
                blobs.setdefault(digest, path)
            yield from sink.taken()
        for digest, path in blobs.items():
            yield from _add_blob(archive, sink, digest, path, store.blobs.open)
        about = ArchivedExperiment(
            format=FORMAT,
            version=VERSION,
            name=experiment.name,
            note=experiment.note,
            location=experiment.location,
            tags=experiment.tags,
            runs=len(run_ids),
        )
        add(EXPERIMENT_ENTRY, msgspec.json.encode(about))
        archive.writestr(_info(INDEX_ENTRY), msgspec.json.encode(index))
    yield from sink.rest()


def _add_blob(
    archive: zipfile.ZipFile, sink: _Sink, digest: str, path: str, read: Callable[[str], Iterable[bytes]]
) -> Iterator[bytes]:
    info = _info(f"blobs/{digest}")
    if path.lower().endswith(_PACKED):
        info.compress_type = zipfile.ZIP_STORED
    with archive.open(info, "w", force_zip64=True) as entry:
        for piece in read(digest):
            entry.write(piece)
            yield from sink.taken()


def _archived(tx: Transaction, run_id: str, known: set[str]) -> tuple[ArchivedRun, dict[str, Column]]:
    row = find_run(tx, run_id)
    run = graph.get_run(tx, run_id)
    values = tx.rows(
        "SELECT k.space, k.name, v.text, v.type, v.number FROM run_value v JOIN run_key k ON k.id = v.key"
        " WHERE v.run = ?",
        (row.number,),
    )
    origin = (
        ""
        if row.forked_from is None
        else str(tx.value("SELECT run_id FROM tracked_run WHERE number = ?", (row.forked_from,)))
    )
    own = origin in known  # otherwise the beginning comes along, since there will be nothing to point at
    points = {
        name: _points(tx, row, key, name, own=own or not origin)
        for key, name in _metric_keys(tx, row, inherited=bool(origin) and not own)
    }
    archived = ArchivedRun(
        run_id=run_id,
        kind=run.kind,
        title=row.title,
        user=row.user_name,
        group=row.group_name,
        note=row.note,
        status=row.status,
        started_at=row.started_at,
        finished_at=row.finished_at,
        parent_id=row.parent_id,
        forked_from=origin if own else "",
        fork_step=row.fork_step if own else None,
        source=row.source,
        metadata=run.metadata,
        params={name: (text, kind, number) for space, name, text, kind, number in values if space == "param"},
        tags={name: text for space, name, text, _, _ in values if space == "tag"},
        metrics={name: len(each) for name, each in points.items()},
        files=[
            ArchivedFile(
                path=each.path,
                size=each.size,
                digest=each.digest,
                media_type=each.media_type,
                key=each.key,
                step=each.step,
                at=each.at,
                about=each.about,
            )
            for each in tx.fetch(FILES, "WHERE run = ? ORDER BY path", (row.number,))
        ],
        artifacts=[
            *(_artifact(tx, each, made=False) for each in used_by(tx, run_id)),
            *(_artifact(tx, each, made=True) for each in made_by(tx, run_id)),
        ],
    )
    return archived, {name: _column(each) for name, each in points.items()}


def _metric_keys(tx: Transaction, row: RunRow, *, inherited: bool) -> list[tuple[int, str]]:
    runs = [row.number]
    while (
        inherited
        and (before := tx.value("SELECT forked_from FROM tracked_run WHERE number = ?", (runs[-1],))) is not None
    ):
        if before in runs:
            break
        runs.append(int(before))
    among = ", ".join(map(str, runs))
    rows = tx.rows(
        f"SELECT k.id, k.name FROM metric m JOIN run_key k ON k.id = m.key WHERE m.run IN ({among})"  # noqa: S608 -- integers
        " ORDER BY m.run = ? DESC",
        (row.number,),
    )
    names: dict[str, int] = {}
    for key, name in rows:
        names.setdefault(name, key)
    return [(key, name) for name, key in sorted(names.items())]


def _points(tx: Transaction, row: RunRow, key: int, name: str, *, own: bool) -> Points:
    if not own:
        return points_of(tx, row, name)
    whole = Points()
    for (data,) in tx.rows(
        "SELECT points FROM metric_chunk WHERE run = ? AND key = ? ORDER BY number", (row.number, key)
    ):
        whole.extend(decode_points(bytes(data)))
    return whole


def _artifact(tx: Transaction, artifact: Artifact, *, made: bool) -> ArchivedArtifact:
    whole = artifact.kind in _WHOLE_KINDS
    return ArchivedArtifact(
        kind=artifact.kind,
        name=artifact.name,
        version=artifact.version,
        digest=artifact.digest,
        role="" if made else artifact.kind if whole else "",
        made=made,
        whole=whole,
        metadata=artifact.metadata if whole else {},
        files=graph.files_of(tx, artifact.id) if whole else [],
    )


def _blobs_of(run: ArchivedRun) -> Iterator[tuple[str, str]]:
    for file in run.files:
        if file.digest:
            yield file.path, file.digest
    for artifact in run.artifacts:
        for each in artifact.files:
            yield each.path, each.digest


def _column(points: Points) -> Column:
    return (
        little_endian(points.steps).tobytes(),
        little_endian(points.times).tobytes(),
        little_endian(points.values).tobytes(),
    )


def little_endian(column: array[Any]) -> array[Any]:
    """A column in little-endian order, whatever the machine's is; turning it twice is turning it back."""
    import sys

    if sys.byteorder == "big":
        column = column[:]
        column.byteswap()
    return column


def _info(name: str) -> zipfile.ZipInfo:
    """An entry that depends on its name and content alone."""
    info = zipfile.ZipInfo(name, (1980, 1, 1, 0, 0, 0))
    info.compress_type = zipfile.ZIP_DEFLATED
    info.external_attr = 0o644 << 16
    return info
