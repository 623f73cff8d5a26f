"""Checkout: the files of a dataset version as plain files in a folder."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable, Sequence
from pathlib import Path

from mainspring.data.cache import write_checked
from mainspring.data.sources import hash_file
from mainspring.kernel.errors import Conflict, InvalidInput
from mainspring.kernel.hashing import Buffer
from mainspring.lineage.types import File
from mainspring.store.buckets import check_object_name, translate_os_error

__all__ = ["Checkout"]


class Checkout:
    """A folder that files are checked out into. Nothing is written outside of it, through a link or a name."""

    def __init__(self, into: Path) -> None:
        self._into = str(into)
        self._real = os.path.realpath(into)
        self._inside: set[str] = set()  # folders that were seen to lie inside; there are far fewer than files

    def plan(self, files: Sequence[File], *, overwrite: bool) -> list[File]:
        """Which files have to be written; those that are there with the right content are not.

        Raises:
            Conflict: A file of another content is in the way and `overwrite` is not set. Nothing was written.
            InvalidInput: A file would land outside of the folder.
        """
        wanted: list[File] = []
        in_the_way: list[str] = []
        for file in files:
            target = self._target(file)
            try:
                found = os.lstat(target)
            except (FileNotFoundError, NotADirectoryError):
                wanted.append(file)
                continue
            except OSError as error:
                raise translate_os_error(error, f"looking at {target}") from error
            if not stat.S_ISREG(found.st_mode):
                in_the_way.append(file.path)
            elif found.st_size != file.size or _digest(target) != file.digest:
                wanted.append(file)
                if not overwrite:
                    in_the_way.append(file.path)
        if in_the_way:
            raise Conflict(
                f"{len(in_the_way)} files in {self._into} would be replaced, as {in_the_way[0]}; none was written",
                hint="choose another folder, or overwrite=True (which never replaces links and folders)",
                details={"paths": in_the_way[:100]},
            )
        return wanted

    def write(self, file: File, pieces: Iterable[Buffer]) -> Path:
        """Write one file, whole and checked; where it is."""
        target = Path(self._target(file))
        write_checked(target, file.digest, pieces)
        return target

    def _target(self, file: File) -> str:
        target = f"{self._into}/{check_object_name(file.path)}"
        parent = os.path.dirname(target)  # noqa: PTH120 -- a pathlib object for each of a million files costs more than the file
        if parent not in self._inside:
            if os.path.commonpath([self._real, os.path.realpath(parent)]) != self._real:
                raise InvalidInput(
                    f"{file.path} would be written outside of {self._into}: a folder on its way is a link"
                )
            self._inside.add(parent)
        return target


def _digest(target: str) -> str:
    try:
        return hash_file(Path(target))[0]
    except OSError as error:
        raise translate_os_error(error, f"reading {target}") from error
