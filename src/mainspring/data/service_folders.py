"""Working copies: folders that belong to a dataset; what changed in them since their version, and the next one."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import msgspec

from mainspring.data.committing import take_in
from mainspring.data.differences import diff_files
from mainspring.data.machine import open_files
from mainspring.data.scanning import scan
from mainspring.data.selecting import Selection
from mainspring.data.service_files import FileWork
from mainspring.data.trees import Change, changes, walk
from mainspring.data.types import DatasetVersion, FilesDiff, Progress
from mainspring.data.working_copies import WorkingCopy
from mainspring.kernel.errors import Conflict, NotFound
from mainspring.kernel.names import check_name
from mainspring.lineage.types import File

__all__ = ["Added", "FolderStatus", "FolderWork"]


class Added(msgspec.Struct, frozen=True):
    """What `add` took in."""

    copy: WorkingCopy
    tree: str
    """The root of what the folder holds."""
    files: int
    size: int


class FolderStatus(msgspec.Struct, frozen=True):
    """What a working copy holds, beside the version that it came from."""

    copy: WorkingCopy
    tree: str
    """The root of what it holds now; empty when that is nothing."""
    files: int
    size: int
    changes: FilesDiff
    newest: int
    """The newest version of the dataset; 0 when there is none."""

    @property
    def clean(self) -> bool:
        """Whether nothing changed."""
        found = self.changes
        return not (found.added or found.removed or found.modified or found.renamed)


class FolderWork(FileWork):
    """Working copies."""

    def add(self, path: str | Path, *, name: str = "", dvc: bool = False, progress: Progress | None = None) -> Added:
        """Take a folder's files into the store, and make it a working copy; no version is made of it yet.

        So the long part of a commit can be done ahead. What no commit names within a week is garbage again.

        Args:
            path: The folder.
            name: The dataset that it belongs to; what it belongs to already, or the folder's own name, by default.
            dvc: Honour `.dvcignore` files in it, beside `.mainspringignore`.
            progress: Called as `progress(bytes done, bytes in all)`.
        """
        top = Path(path)
        copies = self.working_copies()
        known = copies.get(top)
        dataset = check_name(name or (known.dataset if known else top.absolute().name))
        with take_in(self, top, progress=progress, dvc=dvc or bool(known and known.dvc)) as taken:
            tree = taken.tree
        if known is None or known.dataset != dataset:
            place = os.path.abspath(top)  # noqa: PTH100 -- a link stays the name that the user gave
            known = copies.keep(WorkingCopy(path=place, dataset=dataset, dvc=dvc))
        return Added(known, tree.root, tree.files, tree.size)

    def status(self, path: str | Path = ".") -> FolderStatus:
        """What changed in a working copy since the version that it came from; only what may have changed is read.

        Args:
            path: The folder, or one inside of it.

        Raises:
            NotFound: It is no working copy; `commit`, `add` or `checkout` makes it one.

        Example:
            >>> import tempfile
            >>> from mainspring.client import connect
            >>> folder = Path(tempfile.mkdtemp())
            >>> _ = (folder / "a.txt").write_text("one")
            >>> with connect(tempfile.mkdtemp()) as client:
            ...     _ = client.data.commit("notes", folder)
            ...     _ = (folder / "b.txt").write_text("two")
            ...     [file.path for file in client.data.status(folder).changes.added]
            ['b.txt']
        """
        copy = self.working_copies().find(path)
        selection = Selection(copy.paths)
        with open_files(self.machine_folder()) as files:
            local = scan(Path(copy.path), files.cache, files.clock, dvc=copy.dvc)
            before = self._count(copy, selection)
            found: Iterator[Change]
            if local is None:
                found = (Change(each.path, each, None) for each in self._before(copy))
            elif not copy.tree:
                found = (Change(each.file.path, None, each.file) for each in local.walk())
            else:
                found = changes(local.reader(self.nodes), copy.tree, local.root)
            kept = (each for each in found if each.after is not None or selection.has(each.path))
            difference = diff_files(kept, files=before)
        return FolderStatus(
            copy,
            local.root if local else "",
            local.files if local else 0,
            local.size if local else 0,
            difference,
            self._newest_of(copy.dataset),
        )

    def commit_folder(
        self,
        path: str | Path = ".",
        *,
        name: str = "",
        message: str = "",
        uses: Sequence[str] = (),
        metadata: dict[str, Any] | None = None,
        force: bool = False,
        progress: Progress | None = None,
    ) -> DatasetVersion:
        """Make the next version of the dataset that a working copy belongs to.

        Args:
            path: The folder, or one inside of it.
            name: Another dataset to commit it to.
            message: Why, for whoever reads the log.
            uses: References of what it was derived from.
            metadata: JSON to keep with it.
            force: Commit although the dataset got versions since that this folder does not come from.
            progress: Called as `progress(bytes done, bytes in all)`.

        Raises:
            Conflict: The folder holds a part of its version only, or others committed since.
            NotFound: It is no working copy.
        """
        copy = self.working_copies().find(path)
        if copy.paths:
            raise Conflict(
                f"{copy.path} holds a part of {copy.ref} only ({', '.join(copy.paths)}); a commit would drop the rest",
                hint="check the whole version out, or commit this folder as a dataset of its own: `commit(name, path)`",
            )
        newest = self._newest_of(copy.dataset)
        if not (name or force) and newest > copy.version:
            theirs = self.describe(f"{copy.dataset}@{newest}")
            if theirs.digest != copy.tree:
                raise Conflict(
                    f"{copy.dataset} is at version {newest} (by {theirs.created_by}), and {copy.path} comes from"
                    f" {copy.version or 'no version'}: a commit would undo what was done since",
                    hint=f"check {copy.dataset}@{newest} out and do your changes there, or force it",
                )
        return self.commit(
            name or copy.dataset,
            copy.path,
            message=message,
            uses=uses,
            metadata=metadata,
            dvc=copy.dvc,
            progress=progress,
        )

    def _count(self, copy: WorkingCopy, selection: Selection) -> int:
        """Files of the version that the folder is to hold."""
        if not copy.tree:
            return 0
        if selection:
            return sum(1 for _ in self._before(copy))
        return self.describe(f"{copy.dataset}@{copy.version}").files

    def _before(self, copy: WorkingCopy) -> Iterator[File]:
        read = self.nodes
        if not copy.tree:
            return iter(())
        return Selection(copy.paths).files(read, copy.tree) if copy.paths else walk(read, copy.tree)

    def _newest_of(self, dataset: str) -> int:
        try:
            return self.describe(dataset).version
        except NotFound:
            return 0
