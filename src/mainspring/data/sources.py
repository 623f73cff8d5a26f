"""What a dataset version is made of: a frame, a file, a folder or several paths become files with digests.

Nothing is copied but frames, which are written as Parquet first.
"""

from __future__ import annotations

import os
import stat
import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from mainspring.data.frames import as_frame
from mainspring.data.local_tree import LocalFile
from mainspring.data.parquet import write_parquet
from mainspring.data.reading import Taker, read_file
from mainspring.data.scanning import LEFT_OUT
from mainspring.kernel.errors import InvalidInput, NotFound
from mainspring.kernel.hashing import hasher
from mainspring.lineage.types import File
from mainspring.store.buckets import check_object_name

__all__ = ["FRAME_PATH", "LocalFile", "Source", "gather", "hash_file", "origin_of"]

FRAME_PATH = "data.parquet"
"""The path of a committed frame inside its dataset."""

Source = Any
"""A frame (polars, pandas, Arrow, DuckDB, a dictionary of columns), a path, or a list of paths."""

_PIECE = 1 << 20


def gather(source: Source, scratch: Path, *, taker: Taker | None = None) -> list[LocalFile]:
    """The files of a source, by path, hashed.

    Args:
        source: What to commit.
        scratch: A folder for a frame's Parquet file; it must live until the files are sent.
        taker: Takes in what is read, when it is to be stored.

    Raises:
        NotFound: A path does not exist.
        InvalidInput: The source is of an unknown type, is empty, or holds what cannot be a file of a dataset.
    """
    if isinstance(source, str | os.PathLike):
        found = list(_walk(Path(source)))
    elif isinstance(source, list | tuple):
        found = list(_walk_all([Path(each) for each in source]))
    else:
        found = [(FRAME_PATH, write_parquet(as_frame(source, scratch), scratch / FRAME_PATH))]
    if not found:
        raise InvalidInput(f"there is no file in {source}")
    return _named(found, taker)


def origin_of(source: Source) -> str:
    """Where a source came from, for the record."""
    if isinstance(source, str | os.PathLike):
        return str(Path(source).absolute())
    if isinstance(source, list | tuple):
        return ", ".join(str(Path(each).absolute()) for each in source[:10]) + (", ..." if len(source) > 10 else "")
    return "frame"


def hash_file(path: Path) -> tuple[str, int]:
    """Digest and size of a file's content."""
    digest, size = hasher(), 0
    with path.open("rb", buffering=0) as file:
        while piece := file.read(_PIECE):
            digest.update(piece)
            size += len(piece)
    return digest.hexdigest(), size


def _walk_all(paths: Sequence[Path]) -> Iterator[tuple[str, Path]]:
    """The files of several paths, named by what lies below their common folder."""
    if not paths:
        return
    top = Path(os.path.commonpath([path.absolute().parent for path in paths]))
    for path in paths:
        for _, location in _walk(path):
            yield location.absolute().relative_to(top).as_posix(), location


def _walk(path: Path) -> Iterator[tuple[str, Path]]:
    """`(name, location)` of a file, or of every file below a folder."""
    try:
        mode = path.stat().st_mode
    except OSError as error:
        raise NotFound(f"there is no file or folder {path}") from error
    if stat.S_ISDIR(mode):
        for location in _files_below(path):
            yield location.relative_to(path).as_posix(), location
    elif stat.S_ISREG(mode):
        yield path.name, path
    else:
        raise InvalidInput(f"{path} is neither a file nor a folder")


def _files_below(folder: Path) -> Iterator[Path]:
    for here, subfolders, names in os.walk(folder, onerror=_unreadable):
        subfolders[:] = sorted(set(subfolders) - LEFT_OUT)
        for name in subfolders:
            if Path(here, name).is_symlink():
                raise InvalidInput(f"{Path(here, name)} is a link to a folder", hint="commit the folder it leads to")
        for name in sorted(names):
            location = Path(here, name)
            if not location.is_file():
                raise InvalidInput(f"{location} is not a file (a dangling link, a pipe or a device)")
            yield location


def _unreadable(error: OSError) -> None:
    raise InvalidInput(f"the folder {error.filename} cannot be read: {error.strerror}") from error


def _named(found: Iterable[tuple[str, Path]], taker: Taker | None) -> list[LocalFile]:
    """Hash the files; names are brought into Unicode's NFC form, so that a dataset is the same on every system."""
    files: dict[str, LocalFile] = {}
    for name, location in found:
        path = unicodedata.normalize("NFC", check_object_name(name))
        if path in files:
            raise InvalidInput(f"two files would be called {path!r}: {files[path].location} and {location}")
        digest, size = read_file(str(location), taker)
        files[path] = LocalFile(file=File(path=path, size=size, digest=digest.hex()), location=location)
    return [files[path] for path in sorted(files)]
