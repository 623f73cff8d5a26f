"""The operations on the files of runs, and on artifacts that runs make."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from mainspring.kernel.clock import from_micros
from mainspring.kernel.errors import InvalidInput, NotFound, nearest
from mainspring.kernel.hashing import digest_tree
from mainspring.kernel.names import check_name
from mainspring.kernel.operations import Download, Upload, operation
from mainspring.lineage import graph
from mainspring.lineage.types import Artifact, File
from mainspring.store.blobs import Blobs
from mainspring.store.service import RoomService
from mainspring.tracking.paths import check_path
from mainspring.tracking.runs import active_run, find_run
from mainspring.tracking.tables import FILES, FileRow
from mainspring.tracking.types import RunFile

__all__ = ["FileOperations"]

_PIECE = 8 << 20


class FileOperations(RoomService):
    """Files of runs."""

    @operation(permission="tracking:write", writes=True, resource="run_id")
    def put_file(
        self,
        run_id: str,
        *,
        path: str,
        body: Upload,
        media_type: str = "",
        key: str = "",
        step: int | None = None,
        about: dict[str, Any] = {},  # noqa: B006 -- copied by the operation's request type
    ) -> RunFile:
        """Keep a file with a run; one that was kept under the path before is replaced.

        Args:
            run_id: The run.
            path: With forward slashes, inside the run.
            body: Its bytes; none where all of it stands in `about`.
            media_type: What it is.
            key: The series that it belongs to, with `step`.
            step: Of the series.
            about: What a page shows before it reads the bytes.
        """
        check_path(path)
        with self.store.read() as tx:
            active_run(tx, run_id)
        digest, size = self.store.blobs.put_stream(body)
        with self.store.write() as tx:
            row = active_run(tx, run_id)
            file = FileRow(row.number, path, size, digest, media_type, key, step, tx.now_micros, about)
            tx.execute("DELETE FROM run_file WHERE run = ? AND path = ?", (row.number, path))
            tx.insert(FILES, file)
            tx.execute("UPDATE tracked_run SET updated_at = ? WHERE number = ?", (tx.now_micros, row.number))
            tx.note(f"run/{row.run_id}", file=path, digest=digest)
            return _run_file(file)

    @operation(permission="tracking:read")
    def files(self, run_id: str, *, prefix: str = "") -> list[RunFile]:
        """The files of a run by path, of those that begin with `prefix`."""
        with self.store.read() as tx:
            row = find_run(tx, run_id)
            where = "WHERE run = ? AND substr(path, 1, ?) = ? ORDER BY path"
            return [_run_file(each) for each in tx.fetch(FILES, where, (row.number, len(prefix), prefix))]

    @operation(permission="tracking:read")
    def read_file(self, run_id: str, *, path: str, start: int = 0, stop: int | None = None) -> Download:
        """The bytes of a file of a run, or those from `start` to before `stop`."""
        with self.store.read() as tx:
            row = find_run(tx, run_id)
            found = tx.fetch_one(FILES, "WHERE run = ? AND path = ?", (row.number, path))
            if found is None:
                rows = tx.rows("SELECT path FROM run_file WHERE run = ? ORDER BY path LIMIT 1000", (row.number,))
                raise NotFound(
                    f"run {row.run_id} has no file {path!r}", known=nearest(path, [each for (each,) in rows])
                )
        if start < 0 or (stop is not None and stop < start):
            raise InvalidInput(f"bytes {start} to {stop} are no range")
        if start == 0 and stop is None:
            return self.store.blobs.open(found.digest)
        end = found.size if stop is None else min(stop, found.size)
        return _ranges(self.store.blobs, found.digest, start, end)

    @operation(permission="tracking:write", writes=True, resource="run_id")
    def delete_file(self, run_id: str, *, path: str) -> None:
        """Take a file off a run."""
        with self.store.write() as tx:
            row = active_run(tx, run_id)
            if not tx.execute("DELETE FROM run_file WHERE run = ? AND path = ?", (row.number, path)):
                raise NotFound(f"run {row.run_id} has no file {path!r}")
            tx.note(f"run/{row.run_id}", deleted_file=path)

    @operation(permission="tracking:write", writes=True, resource="run_id")
    def log_artifact(
        self,
        run_id: str,
        *,
        kind: str,
        name: str,
        files: list[File],
        metadata: dict[str, Any] = {},  # noqa: B006
        aliases: list[str] = [],  # noqa: B006
    ) -> Artifact:
        """Record files that were uploaded before as the next version of an artifact that the run made.

        Equal content under the same name is the version there is.
        """
        check_name(kind, what="kind")
        check_name(name)
        if missing := self.store.blobs.missing([file.digest for file in files]):
            raise NotFound(f"{len(missing)} blobs are not in the store, the first is {missing[0]}")
        with self.store.write() as tx:
            made = graph.add_artifact(
                tx,
                kind,
                name,
                digest=digest_tree((file.path, file.size, file.digest) for file in files),
                size=sum(file.size for file in files),
                metadata=metadata,
                files=files,
                run_id=active_run(tx, run_id).run_id,
                reuse=True,
            )
            for alias in aliases:
                graph.set_alias(tx, kind, name, alias, made.version)
            return made


def _ranges(blobs: Blobs, digest: str, start: int, stop: int) -> Iterator[bytes]:
    for place in range(start, stop, _PIECE):
        yield blobs.read_range(digest, place, min(_PIECE, stop - place))


def _run_file(row: FileRow) -> RunFile:
    file = File(row.path, row.size, row.digest)
    return RunFile(row.path, file, row.media_type, row.key, row.step, from_micros(row.at), row.about)

