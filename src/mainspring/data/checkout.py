"""Checkout: the files of a dataset version as plain files in a folder."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from mainspring.data.sources import hash_file
from mainspring.kernel.errors import Conflict, InvalidInput
from mainspring.lineage.types import File
from mainspring.store.buckets import check_object_name, translate_os_error

__all__ = ["plan_checkout", "target_of"]


def plan_checkout(files: Sequence[File], into: Path, *, overwrite: bool) -> list[File]:
    """Which files have to be written; those that are there with the right content are not.

    Raises:
        Conflict: A file of another content is in the way and `overwrite` is not set. Nothing was written.
        InvalidInput: A file would land outside of the folder, through a link or a name.
    """
    wanted: list[File] = []
    in_the_way: list[str] = []
    for file in files:
        target = target_of(file, into)
        try:
            if target.is_symlink() or target.is_dir():
                in_the_way.append(file.path)
            elif not target.exists():
                wanted.append(file)
            elif target.stat().st_size != file.size or hash_file(target)[0] != file.digest:
                wanted.append(file)
                if not overwrite:
                    in_the_way.append(file.path)
        except OSError as error:
            raise translate_os_error(error, f"looking at {target}") from error
    if in_the_way:
        raise Conflict(
            f"{len(in_the_way)} files in {into} differ from the version, {in_the_way[0]} first; nothing was written",
            hint="choose another folder, or overwrite=True (never replaces links and folders)",
            details={"paths": in_the_way[:100]},
        )
    return wanted


def target_of(file: File, into: Path) -> Path:
    """Where a file goes; raises `InvalidInput` when that is outside of the folder."""
    target = into / check_object_name(file.path)
    if not target.parent.resolve().is_relative_to(into.resolve()):
        raise InvalidInput(f"{file.path} would be written outside of {into}: a folder on its way is a link")
    return target
