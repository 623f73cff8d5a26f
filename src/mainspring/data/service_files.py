"""Files of datasets on the user's machine: committing them, fetching them, and writing them into folders.

Hashing and writing happen where the data is. All of it is composed of operations only, so that it is the same on a
folder and on a server.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from mainspring.data.cache import Cache, default_folder
from mainspring.data.committing import commit_source
from mainspring.data.service_versions import VersionOperations
from mainspring.data.sources import Source, origin_of
from mainspring.data.transfer import read_nodes, receive
from mainspring.data.trees import Read
from mainspring.data.types import Commit, DatasetVersion, Progress
from mainspring.data.working_copy import Checkout
from mainspring.kernel.errors import NotFound, nearest
from mainspring.lineage.types import File
from mainspring.store.service import Storage

__all__ = ["FileWork"]


class FileWork(VersionOperations):
    """Commits, checkouts and copies of files."""

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
        commit = Commit(
            message=message,
            origin=origin or origin_of(source),
            uses=list(uses),
            metadata=metadata or {},
            run_id=run_id,
            new_version=new_version,
        )
        return commit_source(self, name, source, commit, progress=progress)

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
        arriving = receive(self, self.storage, wanted, progress=progress)
        return [folder.write(file, pieces) for file, pieces in arriving]

    def local_copies(self, files: Sequence[File], *, progress: Progress | None = None) -> list[Path]:
        """Checked copies of files on this machine, in their order; fetched when they are not in the cache."""
        cache = self.cache()
        found = {file.digest: cache.find(file.digest) for file in files}
        absent = [file for file in {file.digest: file for file in files}.values() if found[file.digest] is None]
        for file, pieces in receive(self, self.storage, absent, progress=progress):
            found[file.digest] = cache.add(file.digest, pieces)
        if absent:
            cache.prune(keep=found)
        return [path for file in files if (path := found[file.digest]) is not None]

    @property
    def nodes(self) -> Read:
        """Reads nodes of trees, checked, a bundle at a time."""
        return read_nodes(self)

    @property
    def storage(self) -> Storage:
        """The store's own operations, over the same connection."""
        return Storage(self._backend)

    @property
    def is_here(self) -> bool:
        """Whether the store is on this machine, and not behind a server."""
        return getattr(self._backend, "store", None) is not None

    def cache(self) -> Cache:
        """In the store's folder when it is here, in the user's cache folder otherwise."""
        store = getattr(self._backend, "store", None)
        return Cache(store.path("cache") if store is not None else default_folder())

    def machine_folder(self) -> Path:
        """Where this client keeps what it knows of files and folders of this machine; see `machine`."""
        store = getattr(self._backend, "store", None)
        return Path(store.path("machine")) if store is not None else default_folder() / "machine"
