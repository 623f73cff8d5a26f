"""The cache of this machine: blobs as plain files that engines can map, checked each time they are handed out.

It may be deleted at any time. Nothing in it is believed because it is there: the disk may have changed it, or a user.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from io import FileIO
from pathlib import Path

from mainspring.data.sources import hash_file
from mainspring.kernel.errors import Damaged
from mainspring.kernel.hashing import Buffer, hasher
from mainspring.store.buckets import translate_os_error

__all__ = ["Cache", "default_folder", "write_checked"]

LIMIT = 20 << 30
"""Bytes that a cache may hold before what was not used for longest goes."""


def default_folder() -> Path:
    """`$XDG_CACHE_HOME/mainspring`, or `~/.cache/mainspring`."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "mainspring"


class Cache:
    """Blobs as files in a folder, by digest. Safe to share between processes."""

    def __init__(self, folder: Path, *, limit: int = LIMIT) -> None:
        self._folder = folder
        self._limit = limit

    @property
    def folder(self) -> Path:
        """Where it is."""
        return self._folder

    def has(self, digest: str) -> bool:
        """Whether a file of that name is there, checked or not."""
        return self._path(digest).exists()

    def find(self, digest: str) -> Path | None:
        """The file of a blob, just checked, or None. A damaged file is removed."""
        path = self._path(digest)
        try:
            if hash_file(path)[0] == digest:
                os.utime(path)
                return path
            path.unlink(missing_ok=True)
        except FileNotFoundError:
            return None
        except OSError as error:
            raise translate_os_error(error, f"reading the cache {self._folder}") from error
        return None

    def add(self, digest: str, pieces: Iterable[Buffer]) -> Path:
        """Keep a blob; raises `Damaged` when the pieces are not it."""
        path = self._path(digest)
        write_checked(path, digest, pieces)
        return path

    def remove(self, digests: Iterable[str]) -> int:
        """Remove blobs that must not stay on this machine; how many were there."""
        found = [path for digest in digests if (path := self._path(digest)).exists()]
        for path in found:
            path.unlink(missing_ok=True)
        return len(found)

    def prune(self, *, keep: Iterable[str] = ()) -> int:
        """Remove what was not used for longest until the limit holds; how many files went. `keep` is never removed."""
        kept = {self._path(digest) for digest in keep}
        entries = []
        for path in (self._folder / "blobs").glob("*/*"):
            try:
                status = path.stat()
            except FileNotFoundError:
                continue  # another process pruned it
            entries.append((status.st_mtime, status.st_size, path))
        excess = sum(size for _, size, _ in entries) - self._limit
        removed = 0
        for _, size, path in sorted(entries):
            if excess <= 0:
                break
            if path not in kept:
                path.unlink(missing_ok=True)
                excess -= size
                removed += 1
        return removed

    @contextmanager
    def scratch(self) -> Iterator[Path]:
        """A folder for large temporary files, on the disk of the cache."""
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise translate_os_error(error, f"making the cache {self._folder}") from error
        from tempfile import TemporaryDirectory

        with TemporaryDirectory(prefix="scratch-", dir=self._folder) as folder:
            yield Path(folder)

    def _path(self, digest: str) -> Path:
        return self._folder / "blobs" / digest[:2] / digest


def write_checked(path: Path, digest: str, pieces: Iterable[Buffer]) -> None:
    """Write a file that appears whole, and only if its content has the digest; raises `Damaged` otherwise."""
    partial = path.with_name(f".{os.urandom(8).hex()}.partial")
    arrived = hasher()
    try:
        try:
            with _create(partial) as file:
                for piece in pieces:
                    arrived.update(piece)
                    file.write(piece)
            if arrived.hexdigest() != digest:
                hint = "repeat it; if it stays, run `mainspring verify`"
                raise Damaged(f"what arrived for {path.name} does not match its digest {digest}", hint=hint)
            partial.replace(path)
        except BaseException:
            partial.unlink(missing_ok=True)
            raise
    except OSError as error:
        raise translate_os_error(error, f"writing {path}") from error


def _create(path: Path) -> FileIO:
    """A new file; its folder is made when it is not there, which is asked only then."""
    try:
        return path.open("xb", buffering=0)
    except FileNotFoundError:
        path.parent.mkdir(parents=True, exist_ok=True)
        return path.open("xb", buffering=0)
