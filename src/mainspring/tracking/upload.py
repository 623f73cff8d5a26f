"""Files of this machine on their way to the store: listed, hashed several at a time, sent where they are missing."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from mainspring.kernel.errors import InvalidInput
from mainspring.kernel.hashing import hasher
from mainspring.lineage.types import File
from mainspring.store.service import Storage

if TYPE_CHECKING:
    from mainspring.tracking.service import Tracking

__all__ = ["digest_files", "folder_files", "pieces", "together", "upload"]

_PIECE = 1 << 20
_TOGETHER = 8
_WORTH_SHOWING = 20

Item = TypeVar("Item")
Result = TypeVar("Result")


def folder_files(folder: Path) -> list[str]:
    """The files below a folder, relative to it, sorted; links that lead out of it are not followed."""
    root = folder.resolve()
    if not root.is_dir():
        raise InvalidInput(f"{folder} is not a folder", hint="log_file takes a file")
    found = [
        path.relative_to(root).as_posix()
        for path in root.rglob("*")
        if path.is_file() and path.resolve().is_relative_to(root)
    ]
    if not found:
        raise InvalidInput(f"{folder} has no files")
    return sorted(found)


def pieces(path: Path) -> Iterator[bytes]:
    """The bytes of a file, in pieces; `InvalidInput` when it cannot be read."""
    try:
        with path.open("rb") as source:
            while piece := source.read(_PIECE):
                yield piece
    except OSError as error:
        raise InvalidInput(f"{path} cannot be read: {error.strerror}") from error


def digest_files(root: Path, names: Sequence[str]) -> list[File]:
    """Each file with its size and digest, several read at a time (hashing lets go of the interpreter's lock)."""

    def digest(name: str) -> File:
        hashing, size = hasher(), 0
        for piece in pieces(root / name):
            hashing.update(piece)
            size += len(piece)
        return File(path=name, size=size, digest=hashing.hexdigest())

    return together(digest, names, what=f"reading {root.name}")


def upload(tracking: Tracking, root: Path, files: Sequence[File]) -> list[File]:
    """Send the files whose bytes the store has not got, each digest once; the files."""
    storage = Storage(tracking._backend)  # noqa: SLF001 -- another service at the same place
    first = {file.digest: file for file in files}
    wanted = [first[digest] for digest in storage.missing(list(first))]

    def send(file: File) -> None:
        held = storage.put_blob(pieces(root / file.path))
        if held.digest != file.digest:
            raise InvalidInput(f"{root / file.path} was changed while it was read", hint="log it again")

    together(send, wanted, what=f"sending {root.name}")
    return list(files)


def together(do: Callable[[Item], Result], items: Iterable[Item], *, what: str) -> list[Result]:
    """Do something with each, several at a time, in order; with a progress bar when somebody watches and it is much."""
    todo = list(items)
    if not todo:
        return []
    with ThreadPoolExecutor(min(_TOGETHER, len(todo)), thread_name_prefix="mainspring-upload") as pool:
        results = pool.map(do, todo)
        if len(todo) < _WORTH_SHOWING or not sys.stderr or not sys.stderr.isatty():
            return list(results)
        from rich.console import Console
        from rich.progress import track

        console = Console(file=sys.stderr)
        return list(track(results, description=what, total=len(todo), console=console, transient=True))
