"""Buckets: where bytes are kept under names. One narrow port, a local folder, and the object stores of the clouds.

A bucket knows nothing of digests, packs or SQL. It promises two things that everything above rests on:

1. `put` is atomic and durable: when it returns, the whole object survives power loss; until then nobody sees any of it.
2. What it raises is a `StorageError`, `NotFound` or `InvalidName`, never the system's own error.

The local folder is written by hand because the promise is in the order of the system calls, and no library that we
know of makes it: write under a temporary name, `fsync`, check the size, rename, `fsync` the folder.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import itertools
import os
import re
import threading
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import Protocol, runtime_checkable

import msgspec

from mainspring.kernel.errors import InvalidName, MainspringError, NotFound, ReadOnlyStore, StorageError, StorageFull
from mainspring.kernel.hashing import Buffer

__all__ = [
    "Bucket",
    "LocalBucket",
    "SharedBucket",
    "Stored",
    "check_object_name",
    "open_bucket",
    "translate_os_error",
]

TEMPORARY = "tmp"
"""The first segment of names that a folder keeps for unfinished files."""

_PIECE = 4 << 20
_NAME_LIMIT = 900  # bytes: below S3's 1,024 with room for a prefix
_SEGMENT_LIMIT = 255  # bytes: what Linux file systems accept
_SURELY = 225  # characters: never more than 900 bytes
_SEGMENT = r"[^\x00-\x1f\x7f\\/.\ud800-\udfff][^\x00-\x1f\x7f\\/\ud800-\udfff]{0,59}"
_PLAIN = re.compile(f"{_SEGMENT}(?:/{_SEGMENT})*").fullmatch  # what most names are, seen at once
_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
_READ_ONLY = (errno.EROFS, errno.EACCES, errno.EPERM)


class Stored(msgspec.Struct, frozen=True):
    """An object of a bucket: its name and its size in bytes."""

    name: str
    size: int


@runtime_checkable
class Bucket(Protocol):
    """Bytes under names. Safe to use from many threads and processes at once.

    `mainspring.testing.bucket_suite.BucketSuite` is the conformance suite that every adapter passes.
    """

    def put(self, name: str, data: Buffer | Path) -> None:
        """Keep `data`, or the content of a file, under `name`: atomic, durable, replacing what was there.

        Raises `StorageFull`, `ReadOnlyStore` or another `StorageError`; the name is then as it was.
        """
        ...

    def get(self, name: str) -> bytes:
        """The whole object; raises `NotFound`."""
        ...

    def get_range(self, name: str, start: int, length: int) -> bytes:
        """`length` bytes from `start`, fewer when the object ends before; raises `NotFound`."""
        ...

    def head(self, name: str) -> Stored | None:
        """Name and size without reading the object, or None."""
        ...

    def list(self, prefix: str = "") -> Iterator[Stored]:
        """Every object whose name begins with the segments of `prefix`, in any order."""
        ...

    def delete(self, name: str) -> None:
        """Remove the object; nothing happens when there is none."""
        ...


@runtime_checkable
class SharedBucket(Bucket, Protocol):
    """A bucket in which many machines change one object, none of them undoing what another did."""

    def swap(self, name: str, data: Buffer, *, expected: bytes | None) -> bool:
        """Put `data` where the object is still `expected`, or, for None, where there is none; whether it was put."""
        ...


def open_bucket(location: str | Path, *, options: dict[str, str] | None = None) -> SharedBucket:
    """The bucket at a folder or at a URL (`s3://bucket/prefix`, `gs://...`, `az://...`).

    Args:
        location: A folder, or a URL that `obstore` knows. `options` may also stand in its query.
        options: Settings of the object store, for example `{"endpoint": "http://localhost:9000"}`. Credentials are
            read from the environment (`AWS_ACCESS_KEY_ID`, ...) where they are not given here.
    """
    text = str(location)
    if "://" in text and not text.startswith("file://"):
        from mainspring.store.object_bucket import ObjectBucket

        return ObjectBucket(text, options=options)
    return LocalBucket(text.removeprefix("file://"))


def check_object_name(name: str) -> str:
    """Return `name` when it may name an object; raise `InvalidName` otherwise.

    A name is a relative path of segments divided by `/`: no empty segment, no `.` or `..`, no control character, no
    backslash, at most 255 bytes a segment and 900 in all. So it cannot leave the folder on any system.
    """
    try:
        if len(name) <= _SURELY and _PLAIN(name):
            return name
        raw = name.encode()
    except (UnicodeEncodeError, AttributeError, TypeError):
        raise InvalidName(f"{name!r} cannot name an object: it is not Unicode text") from None
    segments = name.split("/")
    if (
        not raw
        or len(raw) > _NAME_LIMIT
        or any(segment in ("", ".", "..") or len(segment.encode()) > _SEGMENT_LIMIT for segment in segments)
        or any(ord(char) < 32 or ord(char) == 127 or char == "\\" for char in name)
    ):
        shown = repr(name if len(name) <= 60 else name[:57] + "...")
        raise InvalidName(f"{shown} cannot name an object", hint="use a relative path such as packs/ab/abcd")
    return name


def translate_os_error(error: OSError, doing: str) -> MainspringError:
    """The system's error as ours: full, read-only, or failed; `doing` says what was attempted."""
    reason = error.strerror or str(error)
    if error.errno in _FULL:
        return StorageFull(f"no space left while {doing}: {reason}", hint="free space and repeat the call")
    if error.errno in _READ_ONLY:
        return ReadOnlyStore(f"not allowed while {doing}: {reason}", hint="check the folder's rights and its mount")
    return StorageError(f"the disk failed while {doing}: {reason}")


class LocalBucket:
    """A folder as a bucket.

    Unfinished files live in its subfolder `tmp`, each held by a file lock of its writer. The kernel gives the lock back
    when the writer dies, so the sweep at opening removes exactly the files whose owner is gone, in any container.

    Example:
        >>> import tempfile
        >>> bucket = LocalBucket(tempfile.mkdtemp())
        >>> bucket.put("greeting/hello", b"world")
        >>> bucket.get_range("greeting/hello", 1, 3)
        b'orl'
    """

    def __init__(self, root: str | Path) -> None:
        self.root = Path(root).absolute()
        self._temporary = self.root / TEMPORARY
        self._serial = itertools.count()
        self._durable: set[Path] = set()
        self._guard = threading.Lock()
        try:
            self._make_durable(self._temporary)
            self.sweep()
        except OSError as error:
            if not self.root.is_dir():
                raise translate_os_error(error, f"making the folder {self.root}") from error
            # An existing folder that cannot be written is still a bucket to read from.

    def __repr__(self) -> str:
        return f"LocalBucket({str(self.root)!r})"

    def put(self, name: str, data: Buffer | Path) -> None:
        """See `Bucket.put`."""
        target = self._path(name)
        try:
            # A sweep of another process may take a new file in the instant before its lock; then it is written again.
            while not self._put_once(target, data):
                pass
        except OSError as error:
            raise translate_os_error(error, f"writing {name} in {self.root}") from error

    def get(self, name: str) -> bytes:
        """See `Bucket.get`."""
        path = self._path(name)
        try:
            return path.read_bytes()
        except FileNotFoundError:
            raise NotFound(f"there is no object {name} in {self.root}") from None
        except OSError as error:
            raise translate_os_error(error, f"reading {name} in {self.root}") from error

    def get_range(self, name: str, start: int, length: int) -> bytes:
        """See `Bucket.get_range`."""
        path = self._path(name)
        try:
            with path.open("rb", buffering=0) as file:
                pieces = []
                while length > 0 and (piece := os.pread(file.fileno(), length, start)):
                    pieces.append(piece)
                    start, length = start + len(piece), length - len(piece)
                return pieces[0] if len(pieces) == 1 else b"".join(pieces)
        except FileNotFoundError:
            raise NotFound(f"there is no object {name} in {self.root}") from None
        except OSError as error:
            raise translate_os_error(error, f"reading {name} in {self.root}") from error

    def head(self, name: str) -> Stored | None:
        """See `Bucket.head`."""
        try:
            return Stored(name, self._path(name).stat().st_size)
        except (FileNotFoundError, NotADirectoryError):
            return None
        except OSError as error:
            raise translate_os_error(error, f"looking for {name} in {self.root}") from error

    def list(self, prefix: str = "") -> Iterator[Stored]:
        """See `Bucket.list`."""
        start = self._path(prefix) if prefix else self.root
        try:
            for folder, subfolders, files in os.walk(start, onerror=_raise_unless_missing):
                if folder == str(self.root) and TEMPORARY in subfolders:
                    subfolders.remove(TEMPORARY)
                for file in files:
                    path = Path(folder, file)
                    with contextlib.suppress(FileNotFoundError):  # deleted since the folder was read
                        yield Stored(path.relative_to(self.root).as_posix(), path.stat().st_size)
        except OSError as error:
            raise translate_os_error(error, f"listing {start}") from error

    def delete(self, name: str) -> None:
        """See `Bucket.delete`."""
        path = self._path(name)
        try:
            path.unlink(missing_ok=True)
            if path.parent.is_dir():
                _sync_folder(path.parent)
        except OSError as error:
            raise translate_os_error(error, f"deleting {name} in {self.root}") from error

    def swap(self, name: str, data: Buffer, *, expected: bytes | None) -> bool:
        """See `SharedBucket.swap`; who swaps the same object at the same time waits for a lock of the folder."""
        folder = self._path(name).parent
        try:
            self._make_durable(folder)
            handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        except OSError as error:
            raise translate_os_error(error, f"locking {folder}") from error
        try:
            fcntl.flock(handle, fcntl.LOCK_EX)
            try:
                now: bytes | None = self.get(name)
            except NotFound:
                now = None
            if now != expected:
                return False
            self.put(name, data)
            return True
        finally:
            os.close(handle)

    def sweep(self) -> int:
        """Remove temporary files whose writer is dead; returns how many. Called when the bucket is opened."""
        swept = 0
        for entry in os.scandir(self._temporary):
            with contextlib.suppress(FileNotFoundError):
                handle = os.open(entry.path, os.O_RDONLY | os.O_CLOEXEC)
                try:
                    fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    Path(entry.path).unlink()
                    swept += 1
                except BlockingIOError:
                    pass  # its writer lives
                finally:
                    os.close(handle)
        return swept

    def _path(self, name: str) -> Path:
        check_object_name(name)
        if PurePosixPath(name).parts[0] == TEMPORARY:
            raise InvalidName(f"{name!r} cannot name an object: {TEMPORARY}/ is kept for unfinished files")
        return self.root / name

    def _put_once(self, target: Path, data: Buffer | Path) -> bool:
        """Write one object; False when the temporary file was swept before it could be locked."""
        self._make_durable(self._temporary)
        self._make_durable(target.parent)
        temporary = self._temporary / f"{os.getpid()}-{next(self._serial)}-{os.urandom(8).hex()}"
        handle = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o444)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX)
            if os.fstat(handle).st_nlink == 0:
                return False
            size = _copy_file(data, handle) if isinstance(data, Path) else _write_all(handle, data)
            os.fsync(handle)  # never repeated when it fails: the kernel may have dropped the pages
            if os.fstat(handle).st_size != size:
                raise OSError(errno.EIO, f"{os.fstat(handle).st_size} of {size} bytes arrived")
            temporary.rename(target)
        except BaseException:
            with contextlib.suppress(OSError):
                temporary.unlink()
            raise
        finally:
            os.close(handle)
        _sync_folder(target.parent)
        return True

    def _make_durable(self, folder: Path) -> None:
        """Make a folder and see to it that its own name survives power loss."""
        if folder in self._durable and folder.is_dir():
            return
        missing = list(itertools.takewhile(lambda each: not each.is_dir(), (folder, *folder.parents)))
        folder.mkdir(parents=True, exist_ok=True)
        for each in missing:
            _sync_folder(each.parent)
        with self._guard:
            self._durable.add(folder)


def _write_all(handle: int, data: Buffer) -> int:
    """Write every byte, however little the system takes at a time."""
    rest = memoryview(data).cast("B")
    size = rest.nbytes
    while rest:
        rest = rest[os.write(handle, rest[:_PIECE]) :]
    return size


def _copy_file(source: Path, handle: int) -> int:
    size = 0
    with source.open("rb", buffering=0) as file:
        while piece := file.read(_PIECE):
            size += _write_all(handle, piece)
    return size


def _sync_folder(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _raise_unless_missing(error: OSError) -> None:
    if not isinstance(error, FileNotFoundError | NotADirectoryError):
        raise error
