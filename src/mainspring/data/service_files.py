"""Files of datasets on the user's machine: committing them, fetching them, and writing them into folders.

Hashing and writing happen where the data is. All of it is composed of operations only, so that it is the same on a
folder and on a server.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from mainspring.data.cache import Cache, default_folder
from mainspring.data.checkout import Written, check_out
from mainspring.data.committing import commit_source
from mainspring.data.linking import Link
from mainspring.data.machine import open_files
from mainspring.data.selecting import Selection
from mainspring.data.service_versions import VersionOperations
from mainspring.data.sources import Source, origin_of
from mainspring.data.transfer import read_nodes, receive
from mainspring.data.trees import Read
from mainspring.data.types import Commit, DatasetVersion, Progress
from mainspring.data.working_copies import WorkingCopies, WorkingCopy
from mainspring.kernel.errors import NotFound, nearest
from mainspring.kernel.hashing import digest_bytes
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
        dvc: bool = False,
        progress: Progress | None = None,
    ) -> DatasetVersion:
        """Make a version of a dataset. Content that a version has already gives that version.

        A folder is a working copy of the dataset from then on; see `status`.

        Args:
            name: The dataset.
            source: A polars DataFrame or LazyFrame, anything that speaks Arrow, a file, a folder, or a list of paths.
            message: Why, for whoever reads the log.
            uses: References of what it was derived from; a bare name is a dataset.
            metadata: JSON to keep with it.
            origin: Where the content came from; the path by default.
            run_id: The run (a step, a training) that made the content, instead of a run of kind `commit`.
            new_version: Make a version even when one has this content already.
            dvc: Honour `.dvcignore` files in a folder, beside `.mainspringignore`.
            progress: Called as `progress(bytes done, bytes in all)` while files are read and sent.

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
        version = commit_source(self, name, source, commit, progress=progress, dvc=dvc)
        if isinstance(source, str | os.PathLike) and Path(source).is_dir():
            self.working_copies().keep(
                WorkingCopy(
                    path=os.path.abspath(source),  # noqa: PTH100 -- a link stays the name that the user gave
                    dataset=name,
                    version=version.version,
                    tree=version.digest,
                    dvc=dvc,
                )
            )
        return version

    def file(self, ref: str, *, path: str, progress: Progress | None = None) -> Path:
        """One file of a version: a checked copy on this machine, to be read and not to be changed."""
        files = self.files(ref)
        found = [file for file in files if file.path == path]
        if not found:
            raise NotFound(f"{ref} has no file {path!r}", known=nearest(path, [file.path for file in files]))
        return self.local_copies(found, progress=progress)[0]

    def checkout(
        self,
        ref: str,
        *,
        into: str | Path,
        paths: Sequence[str] = (),
        force: bool = False,
        link: Link = "auto",
        progress: Progress | None = None,
    ) -> list[Path]:
        """Make a folder a working copy of a version; the paths that were written.

        Files that are right stay untouched; what an earlier version had and this one has not goes, if nobody edited it;
        everything else in the folder stays.

        Args:
            ref: `flights@3`, `flights@clean`, `flights` (the newest) or an id.
            into: The folder.
            paths: Files, folders and patterns (`train`, `*.jpg`, `**/labels/*`), for a part of the version.
            force: Replace files that were edited. Links and folders in the way are never replaced.
            link: `auto` shares bytes where the file system has reflinks and copies otherwise; `copy` copies; `hard`
                makes read-only hard links to the cache.
            progress: Called as `progress(bytes done, bytes in all)`.

        Raises:
            Conflict: A file that was edited is in the way; nothing was written.
        """
        written: list[Path] = []
        top = Path(into)
        self.check_out(ref, into=top, paths=paths, force=force, link=link, progress=progress,
                       told=lambda path: written.append(top / path))  # fmt: skip
        return written

    def check_out(
        self,
        ref: str,
        *,
        into: str | Path,
        paths: Sequence[str] = (),
        force: bool = False,
        link: Link = "auto",
        progress: Progress | None = None,
        told: Callable[[str], None] | None = None,
    ) -> Written:
        """As `checkout`, for any number of files: how many were written; `told` is called with each path."""
        version = self.describe(ref)
        top, copies = Path(into), self.working_copies()
        before, selection = copies.get(top), Selection(paths)
        with open_files(self.machine_folder()) as files:
            done = check_out(
                self, files, top, tree=version.digest, base=before.tree if before else "", selection=selection,
                force=force, link=link, progress=progress, told=told,
            )  # fmt: skip
        whole = not selection and not (before and before.paths and before.tree == version.digest)
        if whole or before is None or (before.paths and before.tree == version.digest):
            had = before.paths if before and not whole else []
            copies.keep(
                WorkingCopy(
                    path=os.path.abspath(top),  # noqa: PTH100 -- a link stays the name that the user gave
                    dataset=version.name,
                    version=version.version,
                    tree=version.digest,
                    paths=[] if not selection else sorted({*had, *selection.paths}),
                    dvc=before.dvc if before else False,
                )
            )
        return done

    def bring(self, files: Sequence[File]) -> None:
        """See to it that the content of files is in the store, where a version was pulled in part; see `RemoteWork`."""

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

    def working_copies(self) -> WorkingCopies:
        """The folders of this machine that belong to datasets of this store."""
        return WorkingCopies(self.machine_folder() / "copies" / self._of_where())

    def _of_where(self) -> str:
        """Tells the stores apart that this machine works with."""
        address = str(getattr(self._backend, "url", ""))
        return digest_bytes(address.encode())[:16] if address else "here"

    def machine_folder(self) -> Path:
        """Where this client keeps what it knows of files and folders of this machine; see `machine`."""
        store = getattr(self._backend, "store", None)
        return Path(store.path("machine")) if store is not None else default_folder() / "machine"
