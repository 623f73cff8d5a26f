"""Writing the files of a version into a folder: whole or not at all, never through a link, quickly.

A folder that is new is written under a hidden name beside its place and appears with all its files by one rename. Into
one that is there each file is renamed by itself. What a killed checkout leaves behind is under hidden names, which the
next one removes; what had appeared stays, and is not written again.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path

import msgspec

from mainspring.data.reading import Row
from mainspring.data.scanning import TEMPORARY, fingerprint
from mainspring.data.stat_cache import FileClock, Folder, Seen, StatCache
from mainspring.data.trees import Entry
from mainspring.kernel.errors import Damaged, InvalidInput
from mainspring.kernel.hashing import Buffer, hasher
from mainspring.lineage.types import File
from mainspring.store.buckets import check_object_name, translate_os_error

__all__ = ["Content", "Fill", "FolderWriter", "sweep"]

_STAGED = 64
_TICK = 0.001
_TICKS = 200
"""A clock of files stands still for 4 to 10 ms at a time, on some file systems longer; then nothing is learned."""
Fill = Callable[[File, str], bool]
"""Makes a file at a path in another way than by writing it; False where that cannot be."""
Content = tuple[File, Iterable[Buffer], bool]
"""A file, its bytes, and whether these were seen to match its digest."""


class _Staged(msgspec.Struct, frozen=True):
    """A new folder that waits under a hidden name."""

    hidden: Path
    place: str
    handle: int
    seen: list[Seen]
    entry: Entry | None
    folders: list[Entry]


class FolderWriter:
    """Writes files below a folder.

    Args:
        into: The folder.
        cache: Learns what was written, where nobody else can have changed it since.
        clock: The clocks of file systems.
    """

    def __init__(self, into: Path, cache: StatCache, clock: FileClock) -> None:
        self._into = os.path.abspath(into)  # noqa: PTH100 -- as the stat cache has it
        self._cache = cache
        self._clock = clock
        self._staged: list[_Staged] = []
        self._real = os.path.realpath(self._into)
        self._inside: set[str] = set()

    def write(
        self,
        folder: str,
        contents: Iterator[Content],
        *,
        entry: Entry | None = None,
        folders: Sequence[Entry] = (),
        fill: Fill | None = None,
    ) -> None:
        """Write files of one folder.

        Args:
            folder: Its path in the dataset, with a slash at its end; empty for the top.
            contents: The files with their bytes, in any order.
            entry: The folder's own entry, when these are all of its files.
            folders: The entries of its subfolders, then.
            fill: Is asked first, for each file.

        Raises:
            Damaged: The bytes of a file are not those of its digest.
            InvalidInput: A folder on the way is a link.
        """
        place = self.place(folder)
        try:
            if any(one.place == place for one in self._staged):
                self.publish()
            if not os.path.lexists(place):
                self._stage(place, contents, entry, folders, fill)
                return
            self.publish()
            hidden = Path(place, _hidden_name())
            handle = _make_hidden(hidden)
            try:
                for file, pieces, checked in contents:
                    name = file.path.rpartition("/")[2]
                    _write_one(hidden, handle, name, file, pieces, checked=checked, fill=fill)
                    os.rename(f"{hidden}/{name}", f"{place}/{name}")  # noqa: PTH104
            finally:
                os.close(handle)
                shutil.rmtree(hidden, ignore_errors=True)
        except OSError as error:
            raise translate_os_error(error, f"writing into {place}") from error

    def place(self, folder: str) -> str:
        """Where a folder of the dataset is; raises `InvalidInput` when a link leads out of the top."""
        place = f"{self._into}/{check_object_name(folder.rstrip('/'))}" if folder else self._into
        if place not in self._inside:
            if os.path.realpath(place) != f"{self._real}{place[len(self._into) :]}":
                raise InvalidInput(f"{folder} would be written outside of {self._into}: a folder on its way is a link")
            self._inside.add(place)
        return place

    def publish(self) -> None:
        """Let the new folders appear."""
        staged, self._staged = self._staged, []
        settled = self._settle(staged)
        for one in staged:
            try:
                one.hidden.rename(one.place)
            except OSError as error:
                if not Path(one.place).is_dir():
                    raise translate_os_error(error, f"making {one.place}") from error
                for each in one.seen:  # somebody made it meanwhile
                    os.replace(f"{one.hidden}/{each.name}", f"{one.place}/{each.name}")  # noqa: PTH105
                shutil.rmtree(one.hidden, ignore_errors=True)
            else:
                if settled and one.entry is not None:
                    self._learn(one, one.entry)
            finally:
                os.close(one.handle)

    def _settle(self, staged: Sequence[_Staged]) -> bool:
        """Wait until what changes a file from now on has another time; False where no clock tells."""
        written = [each for one in staged for each in one.seen]
        if not written:
            return True
        latest = max(each.changed for each in written)
        for _ in range(_TICKS):
            if self._clock.now(written[0].device, str(staged[0].hidden.parent)) > latest:
                return True
            time.sleep(_TICK)
        return False

    def discard(self) -> None:
        """Remove what has not appeared."""
        for one in self._staged:
            os.close(one.handle)
            shutil.rmtree(one.hidden, ignore_errors=True)
        self._staged = []

    def _stage(
        self,
        place: str,
        contents: Iterator[Content],
        entry: Entry | None,
        folders: Sequence[Entry],
        fill: Fill | None,
    ) -> None:
        parent = os.path.dirname(place)  # noqa: PTH120
        if len(self._staged) >= _STAGED or not os.path.isdir(parent):  # noqa: PTH112
            self.publish()
            os.makedirs(parent, exist_ok=True)  # noqa: PTH103
        hidden = Path(parent, _hidden_name())
        handle = _make_hidden(hidden)
        one = _Staged(hidden, place, handle, [], entry, list(folders))
        self._staged.append(one)
        for file, pieces, checked in contents:
            name = file.path.rpartition("/")[2]
            found = _write_one(hidden, handle, name, file, pieces, checked=checked, fill=fill)
            one.seen.append(
                Seen(
                    name,
                    found.st_size,
                    bytes.fromhex(file.digest),
                    found.st_ino,
                    found.st_dev,
                    found.st_mtime_ns,
                    found.st_ctime_ns,
                )
            )

    def _learn(self, one: _Staged, entry: Entry) -> None:
        """Remember a folder that nobody could reach while its files were written."""
        one.seen.sort(key=lambda each: each.name)
        rows: list[Row] = [
            (each.name, each.size, each.inode, each.device, each.modified, each.changed, 0) for each in one.seen
        ]
        known = Folder(
            fingerprint(rows), fingerprint(one.folders), bytes.fromhex(entry.digest), entry.files, entry.size
        )
        self._cache.keep(one.place, known, one.seen, one.folders)


def sweep(folder: Path) -> None:
    """Remove what killed checkouts left in a folder; what belongs to one that is at work stays."""
    with suppress(FileNotFoundError, NotADirectoryError), os.scandir(folder) as entries:
        for entry in entries:
            if not (entry.name.startswith(TEMPORARY) and entry.is_dir(follow_symlinks=False)):
                continue
            with suppress(OSError):
                handle = os.open(entry.path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
                try:
                    fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    shutil.rmtree(entry.path)
                finally:
                    os.close(handle)


def _hidden_name() -> str:
    return f"{TEMPORARY}{os.urandom(8).hex()}"


def _make_hidden(path: Path) -> int:
    """A new folder, locked as long as its handle is open; the kernel gives the lock back when we die."""
    path.mkdir()
    handle = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    fcntl.flock(handle, fcntl.LOCK_EX)
    return handle


def _write_one(
    hidden: Path,
    folder: int,
    name: str,
    file: File,
    pieces: Iterable[Buffer],
    *,
    checked: bool,
    fill: Fill | None,
) -> os.stat_result:
    if fill is not None and fill(file, f"{hidden}/{name}"):
        return os.stat(name, dir_fd=folder, follow_symlinks=False)
    handle = os.open(name, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o666, dir_fd=folder)
    try:
        if checked:
            for piece in pieces:
                _write_all(handle, piece)
        else:
            arrived = hasher()
            for piece in pieces:
                arrived.update(piece)
                _write_all(handle, piece)
            if arrived.hexdigest() != file.digest:
                hint = "repeat it; if it stays, run `mainspring verify`"
                raise Damaged(f"what arrived for {file.path} does not match its digest {file.digest}", hint=hint)
        return os.fstat(handle)
    except BaseException:
        with suppress(OSError):
            os.unlink(name, dir_fd=folder)
        raise
    finally:
        os.close(handle)


def _write_all(handle: int, piece: Buffer) -> None:
    written = os.write(handle, piece)
    while written < len(piece):
        written += os.write(handle, memoryview(piece)[written:])
