"""The operations of the data room, and what of it happens on the user's machine.

A version is recorded in one transaction after all its bytes are durable: the operation `record` refuses a version whose
blobs are not there. Hashing, reading tables and writing files happen where the data is, at the client; that part is
composed of operations only, so it is the same on a folder and on a server.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from mainspring.data.bundle import BUNDLED_BELOW, bundle, unbundle
from mainspring.data.cache import Cache, default_folder
from mainspring.data.differences import diff_files, diff_rows, diff_schema, no_rows_differ, without_common
from mainspring.data.sources import Source, gather, origin_of
from mainspring.data.tabular import scan_files, summarise, table_files
from mainspring.data.transfer import receive, send
from mainspring.data.types import (
    KIND,
    Commit,
    DatasetVersion,
    Depth,
    Diff,
    FilesDiff,
    LogEntry,
    Progress,
    RowsDiff,
    dataset_version,
)
from mainspring.data.versions import (
    artifact_metadata,
    check_files,
    resolve_dataset,
    resolve_source,
    run_metadata,
    sources_of,
    versions_of,
    with_digest,
)
from mainspring.data.working_copy import Checkout
from mainspring.kernel.errors import Conflict, InvalidInput, NotFound, nearest
from mainspring.kernel.hashing import digest_tree
from mainspring.kernel.names import check_name
from mainspring.kernel.operations import Download, Upload, operation
from mainspring.lineage import graph, listing
from mainspring.lineage.types import File
from mainspring.store.service import RoomService, Storage

if TYPE_CHECKING:
    import polars as pl


__all__ = ["Data"]


class Data(RoomService, room="data"):
    """Dataset versions."""

    @operation(permission="data:write", writes=True, resource="name")
    def record(self, name: str, *, files: list[File], commit: Commit | None = None) -> DatasetVersion:
        """Record a version of a dataset whose files are stored already; the known one when its content is known.

        Raises:
            Conflict: Bytes of a file are not in the store.
        """
        commit = commit or Commit()
        check_name(name)
        check_files(files)
        self._check_stored(files)
        digest = digest_tree((file.path, file.size, file.digest) for file in files)
        with self.store.write() as tx:
            known = None if commit.new_version else with_digest(tx, name, digest)
            if known is not None and not commit.run_id:
                return dataset_version(known)
            run_id = commit.run_id or graph.start_run(tx, "commit", name, metadata=run_metadata(commit)).id
            for ref in commit.uses:
                graph.use(tx, run_id, resolve_source(tx, ref).id, role="source")
            made = graph.add_artifact(
                tx,
                KIND,
                name,
                digest=digest,
                size=sum(file.size for file in files),
                metadata=artifact_metadata(commit, files),
                files=files,
                run_id=run_id,
                reuse=known is not None,
            )
            if not commit.run_id:
                graph.finish_run(tx, run_id)
            return dataset_version(made)

    @operation(permission="data:write", writes=True)
    def upload(self, body: Upload) -> list[str]:
        """Store many small files that come as one bundle; their digests, in order."""
        return self.store.blobs.put_many(unbundle(body))

    @operation(permission="data:read")
    def fetch(self, digests: list[str]) -> Download:
        """Many small files as one bundle, in the order of the digests, each checked before it leaves."""
        sizes = self.store.blobs.sizes(digests)
        if large := [digest for digest, size in sizes.items() if size >= BUNDLED_BELOW]:
            raise InvalidInput(f"blob {large[0]} is too large for a bundle", hint="use storage.get_blob")
        return bundle(self.store.blobs.get_many(digests))

    @operation(permission="data:read")
    def describe(self, ref: str) -> DatasetVersion:
        """The version that a reference means: `flights@3`, `flights@clean`, `flights` (the newest) or an id."""
        with self.store.read() as tx:
            return dataset_version(resolve_dataset(tx, ref))

    @operation(permission="data:read")
    def files(self, ref: str) -> list[File]:
        """The files of a version, by path."""
        with self.store.read() as tx:
            return graph.files_of(tx, resolve_dataset(tx, ref).id)

    @operation(permission="data:read")
    def datasets(self) -> list[DatasetVersion]:
        """The newest version of every dataset, by name."""
        with self.store.read() as tx:
            return [dataset_version(artifact) for artifact in listing.newest(tx, KIND)]

    @operation(permission="data:read")
    def versions(self, name: str, *, limit: int = 100, before: int = 0) -> list[DatasetVersion]:
        """The versions of a dataset, newest first; `before` is a version number, for the next page."""
        with self.store.read() as tx:
            return [dataset_version(artifact) for artifact in versions_of(tx, name, limit=limit, before=before)]

    @operation(permission="data:read")
    def log(self, name: str, *, limit: int = 100, before: int = 0) -> list[LogEntry]:
        """The history of a dataset, newest first: who committed what, why, and derived from what."""
        with self.store.read() as tx:
            pointing: dict[int, list[str]] = {}
            for alias, version in graph.aliases(tx, KIND, name).items():
                pointing.setdefault(version, []).append(alias)
            return [
                LogEntry(
                    version=dataset_version(artifact),
                    aliases=pointing.get(artifact.version, []),
                    uses=sources_of(tx, artifact.run_id),
                )
                for artifact in versions_of(tx, name, limit=limit, before=before)
            ]

    @operation(permission="data:read")
    def compare_files(self, before: str, *, after: str) -> FilesDiff:
        """What differs between the files of two versions."""
        with self.store.read() as tx:
            return diff_files(*(graph.files_of(tx, resolve_dataset(tx, ref).id) for ref in (before, after)))

    @operation(permission="data:write", writes=True, resource="name")
    def set_alias(self, name: str, *, alias: str, version: int) -> dict[str, int]:
        """Point an alias at a version; every alias of the dataset afterwards."""
        with self.store.write() as tx:
            graph.set_alias(tx, KIND, name, alias, version)
            return graph.aliases(tx, KIND, name)

    @operation(permission="data:write", writes=True, resource="name")
    def remove_alias(self, name: str, *, alias: str) -> dict[str, int]:
        """Take an alias away; every alias of the dataset afterwards."""
        with self.store.write() as tx:
            graph.remove_alias(tx, KIND, name, alias)
            return graph.aliases(tx, KIND, name)

    @operation(permission="data:read")
    def aliases(self, name: str) -> dict[str, int]:
        """Every alias of a dataset and the version that it points at."""
        with self.store.read() as tx:
            return graph.aliases(tx, KIND, name)

    # -- on the user's machine

    def commit(
        self,
        name: str,
        source: Source,
        *,
        message: str = "",
        uses: Sequence[str] = (),
        metadata: dict[str, Any] | None = None,
        origin: str = "",
        run_id: str = "",
        new_version: bool = False,
        progress: Progress | None = None,
    ) -> DatasetVersion:
        """Make a version of a dataset. Content that a version has already gives that version.

        Args:
            name: The dataset.
            source: A polars DataFrame or LazyFrame, anything that speaks Arrow, a file, a folder, or a list of paths.
            message: Why, for whoever reads the log.
            uses: References of what it was derived from; a bare name is a dataset.
            metadata: JSON to keep with it.
            origin: Where the content came from; the path by default.
            run_id: The run (a step, a training) that made the content, instead of a run of kind `commit`.
            new_version: Make a version even when one has this content already.
            progress: Called as `progress(bytes done, bytes in all)` while files are sent.

        Raises:
            InvalidInput, NotFound, UnsupportedFormat: The source cannot be committed; nothing was recorded.

        Example:
            >>> import polars as pl, tempfile
            >>> from mainspring.client import connect
            >>> with connect(tempfile.mkdtemp()) as client:
            ...     client.data.commit("numbers", pl.DataFrame({"n": [1, 2]})).ref
            'dataset/numbers@1'
        """
        check_name(name)
        with self._cache().scratch() as scratch:
            local = gather(source, scratch)
            files = [each.file for each in local]
            rows, schema = summarise(files, [each.location for each in local])
            send(self, Storage(self._backend), local, progress=progress)
        commit = Commit(
            message=message,
            origin=origin or origin_of(source),
            rows=rows,
            schema=schema,
            uses=list(uses),
            metadata=metadata or {},
            run_id=run_id,
            new_version=new_version,
        )
        return self.record(name, files=files, commit=commit)

    def scan(self, ref: str, *, path: str = "", progress: Progress | None = None) -> pl.LazyFrame:
        """A version as a lazy table over checked local copies of its files.

        Args:
            ref: `flights@3`, `flights@clean`, `flights` or an id.
            path: The file or folder of the dataset to read, where the whole is not one table.
            progress: Called as `progress(bytes done, bytes in all)`.
        """
        files = table_files(self.files(ref), path=path)
        return scan_files(files, self.local_copies(files, progress=progress))

    def load(
        self, ref: str, *, path: str = "", columns: Sequence[str] | None = None, progress: Progress | None = None
    ) -> pl.DataFrame:
        """A version as a table in memory; see `scan`."""
        frame = self.scan(ref, path=path, progress=progress)
        return (frame if columns is None else frame.select(columns)).collect()

    def file(self, ref: str, *, path: str, progress: Progress | None = None) -> Path:
        """One file of a version: a checked copy on this machine, to be read and not to be changed."""
        files = self.files(ref)
        found = [file for file in files if file.path == path]
        if not found:
            raise NotFound(f"{ref} has no file {path!r}", known=nearest(path, [file.path for file in files]))
        return self.local_copies(found, progress=progress)[0]

    def checkout(
        self, ref: str, *, into: str | Path, overwrite: bool = False, progress: Progress | None = None
    ) -> list[Path]:
        """Write the files of a version into a folder; the paths that were written. What is there already is left.

        Raises:
            Conflict: A file of another content is in the way and `overwrite` is not set; nothing was written.
        """
        folder = Checkout(Path(into))
        wanted = folder.plan(self.files(ref), overwrite=overwrite)
        arriving = receive(self, Storage(self._backend), wanted, progress=progress)
        return [folder.write(file, pieces) for file, pieces in arriving]

    def diff(self, before: str, after: str, *, depth: Depth = "rows", key: Sequence[str] = (), sample: int = 5) -> Diff:
        """What differs between two versions: files, then columns, then rows, as far as both are tables.

        Args:
            before: Reference of the one version.
            after: Reference of the other; of the same dataset or not.
            depth: `files`, `schema` or `rows`.
            key: Columns that tell rows apart; without them rows are compared as multisets.
            sample: How many rows to show of each kind of difference.
        """
        old, new = self.describe(before), self.describe(after)
        files = self.compare_files(old.id, after=new.id)
        result = Diff(before=old, after=new, files=files)
        if depth == "files" or not (old.schema and new.schema):
            return result
        result = msgspec.structs.replace(result, schema=diff_schema(old.schema, new.schema))
        if depth == "schema":
            return result
        return msgspec.structs.replace(result, rows=self._diff_rows(old, new, key=key, sample=sample))

    def local_copies(self, files: Sequence[File], *, progress: Progress | None = None) -> list[Path]:
        """Checked copies of files on this machine, in their order; fetched when they are not in the cache."""
        cache = self._cache()
        found = {file.digest: cache.find(file.digest) for file in files}
        absent = [file for file in {file.digest: file for file in files}.values() if found[file.digest] is None]
        for file, pieces in receive(self, Storage(self._backend), absent, progress=progress):
            found[file.digest] = cache.add(file.digest, pieces)
        if absent:
            cache.prune(keep=found)
        return [path for file in files if (path := found[file.digest]) is not None]

    def _diff_rows(self, old: DatasetVersion, new: DatasetVersion, *, key: Sequence[str], sample: int) -> RowsDiff:
        """Compare the rows of those files that differ; all others are unchanged and are not even fetched."""
        before, after = without_common(table_files(self.files(old.id)), table_files(self.files(new.id)))
        if not before and not after:
            return no_rows_differ(key=key, unchanged=old.rows or 0)
        frames = [scan_files(files, self.local_copies(files)) if files else None for files in (before, after)]
        there = next(frame for frame in frames if frame is not None)
        first, second = (there.limit(0) if frame is None else frame for frame in frames)
        rows = diff_rows(first, second, key=key, sample=sample)
        return msgspec.structs.replace(rows, unchanged=(old.rows or 0) - rows.removed - rows.changed)

    def _cache(self) -> Cache:
        """In the store's folder when it is here, in the user's cache folder otherwise."""
        store = getattr(self._backend, "store", None)
        return Cache(store.path("cache") if store is not None else default_folder())

    def _check_stored(self, files: Sequence[File]) -> None:
        sizes = self.store.blobs.sizes(file.digest for file in files)
        for file in files:
            if file.digest not in sizes:
                raise Conflict(f"the content of {file.path} is not in the store", hint="`commit` stores it first")
            if sizes[file.digest] != file.size:
                raise InvalidInput(f"{file.path} has {sizes[file.digest]} bytes, not {file.size}")
