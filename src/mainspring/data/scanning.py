"""What a folder holds now: every file looked at, only those read that may have changed, folders built from them.

Files are read by a few threads, each once: what is hashed goes on to whoever takes it in, so that a commit reads a file
no second time. Memory holds one folder's names, and the pieces that are on their way.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from itertools import islice
from pathlib import Path
from typing import Protocol, TypeVar

import msgspec
from blake3 import blake3

from mainspring.data.bundle import BUNDLED_BELOW
from mainspring.data.ignore import DVC_IGNORE, IGNORE_FILE, Rules, read_rules
from mainspring.data.local_tree import Found, LocalTree, changed, entries_of, stored_name
from mainspring.data.stat_cache import FileClock, Folder, Seen, StatCache
from mainspring.data.trees import Entry, folder
from mainspring.kernel.errors import InvalidInput, NotFound
from mainspring.store.buckets import check_object_name

__all__ = ["LEFT_OUT", "TEMPORARY", "Taker", "hash_pieces", "list_folder", "read_again", "read_file", "scan"]

LEFT_OUT = frozenset({".git", ".mainspring"})
"""Folders that are never a part of a dataset."""
TEMPORARY = ".mainspring-"
"""How the names of our own unfinished files begin."""

_READERS = 2
_AHEAD = 6
_AT_ONCE = 32
_AT_ONCE_BYTES = 2 << 20
_PIECE = 4 << 20
_TRIES = 3
_T = TypeVar("_T")
_R = TypeVar("_R")

Row = tuple[str, int, int, int, int, int, int]
"""Name, size, inode, device, time of modification, time of change, and that of the link itself or 0."""


class Taker(Protocol):
    """Takes in what is read; `transfer.Intake` is one."""

    def small(self, digest: bytes, data: bytes) -> None:
        """The content of a small file, or a node."""
        ...

    def large(self, location: str, pieces: Callable[[], Iterator[bytes]]) -> bytes:
        """The content of a large file, as often as it is asked for; its digest."""
        ...

    def passed(self, size: int) -> None:
        """So many bytes did not have to be read."""
        ...


def scan(
    top: Path, cache: StatCache, clock: FileClock, *, taker: Taker | None = None, dvc: bool = False
) -> LocalTree | None:
    """The tree of a folder as it is now; None when there is no file in it.

    Args:
        top: The folder.
        cache: What is known of files that were hashed before; it learns.
        clock: The clocks of file systems.
        taker: Takes in what is read, when it is to be stored.
        dvc: Honour `.dvcignore` files, too.

    Raises:
        NotFound: There is no such folder.
        InvalidInput: It holds what cannot be part of a dataset, or cannot be read.
        Conflict: A file changes all the time.
    """
    place = os.path.abspath(top)  # noqa: PTH100 -- as text, as everything below
    if not os.path.isdir(place):  # noqa: PTH112
        raise NotFound(f"there is no folder {top}")
    with ThreadPoolExecutor(_READERS, thread_name_prefix="read-files") as pool:
        scanner = _Scanner(cache, clock, taker, pool, (IGNORE_FILE, DVC_IGNORE) if dvc else (IGNORE_FILE,))
        root = scanner.visit(place, "", Rules())
    cache.flush()
    return None if root is None else LocalTree(place, root, scanner.found, cache)


def list_folder(place: str, prefix: str = "", rules: Rules = Rules()) -> tuple[list[Row], list[str]]:  # noqa: B008 -- frozen
    """The files of a folder, each with what tells that it changed, and the names of its subfolders; both sorted."""
    rows: list[Row] = []
    folders: list[str] = []
    add = rows.append
    try:
        with os.scandir(place) as entries:
            for entry in entries:
                name = entry.name
                is_folder = entry.is_dir(follow_symlinks=False)
                if name[0] == "." and (name.startswith(TEMPORARY) or (is_folder and name in LEFT_OUT)):
                    continue
                if rules and rules.leaves_out(f"{prefix}{stored_name(name)}", is_folder=is_folder):
                    continue
                if is_folder:
                    folders.append(name)
                    continue
                found = entry.stat(follow_symlinks=False)
                linked = 0
                if (found.st_mode & 0o170000) != stat.S_IFREG:
                    linked = found.st_ctime_ns
                    found = _behind(entry)
                add((name, found.st_size, found.st_ino, found.st_dev, found.st_mtime_ns, found.st_ctime_ns, linked))
    except OSError as error:
        raise InvalidInput(f"the folder {error.filename or place} cannot be read: {error.strerror}") from error
    rows.sort()
    folders.sort()
    return rows, folders


def _behind(entry: os.DirEntry[str]) -> os.stat_result:
    """What a link leads to, where that is a file."""
    try:
        found = entry.stat()
    except OSError:
        found = None
    if found is not None and stat.S_ISDIR(found.st_mode):
        raise InvalidInput(f"{entry.path} is a link to a folder", hint="commit the folder it leads to, or ignore it")
    if found is None or not stat.S_ISREG(found.st_mode):
        raise InvalidInput(
            f"{entry.path} is not a file (a dangling link, a pipe or a device)", hint=f"name it in {IGNORE_FILE}"
        )
    return found


class _Scanner:
    def __init__(
        self,
        cache: StatCache,
        clock: FileClock,
        taker: Taker | None,
        pool: ThreadPoolExecutor,
        ignore_files: Sequence[str],
    ) -> None:
        self.found = Found()
        self._cache = cache
        self._clock = clock
        self._taker = taker
        self._pool = pool
        self._ignore_files = ignore_files

    def visit(self, place: str, prefix: str, above: Rules) -> Entry | None:
        """The entry of a folder, its name left open; None when no file lies in it."""
        rules = self._rules(place, prefix, above)
        rows, names = list_folder(place, prefix, rules)
        folders: list[Entry] = []
        for name in names:
            stored = check_object_name(stored_name(name))
            made = self.visit(f"{place}/{name}" if place != "/" else f"/{name}", f"{prefix}{stored}/", rules)
            if made is not None:
                folders.append(msgspec.structs.replace(made, name=stored))
        fingerprint, below = _digest(rows), _digest(folders)
        known = self._cache.folder(place)
        if known and fingerprint and known.fingerprint == fingerprint and known.below == below:
            entry = Entry("", known.size, known.digest.hex(), known.files)
            self.found.places[entry.digest] = place
            if self._taker:
                self._taker.passed(sum(row[1] for row in rows))
            return entry
        if not rows and not folders:
            return None
        return self._build(place, prefix, rows, folders)

    def _rules(self, place: str, prefix: str, above: Rules) -> Rules:
        rules = above
        for name in self._ignore_files:
            path = f"{place}/{name}"
            with suppress(FileNotFoundError, NotADirectoryError, IsADirectoryError):
                handle = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
                with os.fdopen(handle, "rb") as file:
                    rules = rules.below(prefix, read_rules(file.read().decode("utf-8", "replace")))
        return rules

    def _build(self, place: str, prefix: str, rows: list[Row], folders: list[Entry]) -> Entry:
        content = self._cache.content(place)
        before = {each.name: each for each in content[0]} if content else {}
        seen: list[Seen | None] = [_same(before.get(row[0]), row) for row in rows]
        absent = [place_of for place_of, each in enumerate(seen) if each is None]
        if self._taker:
            self._taker.passed(sum(each.size for each in seen if each is not None))
        if absent:
            for row in (rows[each] for each in absent):
                check_object_name(prefix + stored_name(row[0]))
            stamps = {device: self._clock.now(device, place) for device in {rows[each][3] for each in absent}}
            read = self._read([(f"{place}/{rows[each][0]}", rows[each]) for each in absent])
            for at, (row, digest) in zip(absent, read, strict=True):
                stamp = stamps.get(row[3], 0)
                trusted = max(row[5], row[6]) < stamp
                seen[at] = Seen(row[0], row[1], digest, row[2], row[3], row[4], row[5] if trusted else 0, row[6])
                rows[at] = row
        files = [each for each in seen if each is not None]
        top, nodes = folder([*entries_of(files), *folders])
        if self._taker:
            for address, node in nodes.items():
                self._taker.small(bytes.fromhex(address), node)
        if content:
            for gone in {each.name for each in content[1]} - {each.name for each in folders}:
                self._cache.forget(f"{place}/{gone}")
        whole = all(each.changed for each in files)
        known = Folder(
            _digest(rows) if whole else b"", _digest(folders), bytes.fromhex(top.digest), top.files, top.size
        )
        self._cache.keep(place, known, files, folders)
        self.found.places[top.digest] = place
        if len(absent) == len(rows):
            self.found.fresh.add(top.digest)
        return top

    def _read(self, wanted: list[tuple[str, Row]]) -> Iterator[tuple[Row, bytes]]:
        """Digests of files, in their order, each with how the file was when it was read."""
        taker = self._taker
        for batch in _batches(wanted):
            if batch[0][1][1] >= BUNDLED_BELOW:
                yield from (_read_large(location, row, taker) for location, row in batch)
            elif len(wanted) < _AT_ONCE:
                for row, digest, data in _read_small(batch):
                    if taker:
                        taker.small(digest, data)
                    yield row, digest
            else:
                yield from self._read_ahead(batch)

    def _read_ahead(self, small: list[tuple[str, Row]]) -> Iterator[tuple[Row, bytes]]:
        for found in _ordered(self._pool, _read_small, _portions(small)):
            for row, digest, data in found:
                if self._taker:
                    self._taker.small(digest, data)
                yield row, digest


def read_file(location: str, taker: Taker | None) -> tuple[bytes, int]:
    """Digest and size of one file, which is taken in."""
    try:
        size = os.stat(location).st_size  # noqa: PTH116 -- as text, as everything here
    except OSError as error:
        raise InvalidInput(f"{location} cannot be read: {error.strerror}") from error
    row: Row = (location, size, 0, 0, 0, 0, 0)
    if size >= BUNDLED_BELOW:
        row, digest = _read_large(location, row, taker)
        return digest, row[1]
    ((row, digest, data),) = _read_small([(location, row)])
    if taker:
        taker.small(digest, data)
    return digest, row[1]


def read_again(location: str, digest: bytes, size: int, taker: Taker) -> None:
    """Take in a file that was hashed before; raises `Conflict` when it is another now."""
    if read_file(location, taker) != (digest, size):
        raise changed(location)


def _same(before: Seen | None, row: Row) -> Seen | None:
    """What was seen of a file before, if it is still the same."""
    if (
        before is not None
        and before.changed == row[5]
        and before.size == row[1]
        and before.inode == row[2]
        and before.modified == row[4]
        and before.device == row[3]
        and before.linked == row[6]
    ):
        return before
    return None


def _batches(wanted: list[tuple[str, Row]]) -> Iterator[list[tuple[str, Row]]]:
    """Runs of small files, and large files one by one, in their order."""
    run: list[tuple[str, Row]] = []
    for each in wanted:
        if each[1][1] >= BUNDLED_BELOW:
            if run:
                yield run
            yield [each]
            run = []
        else:
            run.append(each)
    if run:
        yield run


def _portions(wanted: list[tuple[str, Row]]) -> Iterator[list[tuple[str, Row]]]:
    portion: list[tuple[str, Row]] = []
    size = 0
    for each in wanted:
        portion.append(each)
        size += each[1][1]
        if len(portion) >= _AT_ONCE or size >= _AT_ONCE_BYTES:
            yield portion
            portion, size = [], 0
    if portion:
        yield portion


def _ordered(pool: ThreadPoolExecutor, work: Callable[[_T], _R], items: Iterator[_T]) -> Iterator[_R]:
    """The results in order, a few ahead of whoever takes them."""
    waiting: list[Future[_R]] = [pool.submit(work, item) for item in islice(items, _AHEAD)]
    try:
        while waiting:
            result = waiting.pop(0).result()
            waiting += [pool.submit(work, item) for item in islice(items, 1)]
            yield result
    finally:
        for each in waiting:
            each.cancel()


def _read_small(wanted: list[tuple[str, Row]]) -> list[tuple[Row, bytes, bytes]]:
    """Content and digest of small files, each with how it was while it was read."""
    found = []
    for location, row in wanted:
        for _ in range(_TRIES):
            handle = _open(location)
            try:
                before = os.fstat(handle)
                data = os.read(handle, before.st_size + 1)
                after = os.fstat(handle)
            finally:
                os.close(handle)
            if _still(before, after) and len(data) == before.st_size < BUNDLED_BELOW:
                found.append((_row(row, before), blake3(data).digest(), data))
                break
        else:
            raise changed(location)
    return found


def _read_large(location: str, row: Row, taker: Taker | None) -> tuple[Row, bytes]:
    """The digest of a large file, which is taken in on the way."""
    handle = _open(location)
    try:
        before = os.fstat(handle)
        digest = taker.large(location, lambda: _pieces(handle)) if taker else hash_pieces(_pieces(handle))
        if not _still(before, os.fstat(handle)):
            raise changed(location)
    except OSError as error:
        raise InvalidInput(f"{location} cannot be read: {error.strerror}") from error
    finally:
        os.close(handle)
    return _row(row, before), digest


def hash_pieces(pieces: Iterator[bytes]) -> bytes:
    """The digest of a large file, on several cores."""
    whole = blake3(max_threads=blake3.AUTO)
    for piece in pieces:
        whole.update(piece)
    return whole.digest()


def _pieces(handle: int) -> Iterator[bytes]:
    """What is in an open file, from its beginning, as often as it is asked for."""
    at = 0
    while piece := os.pread(handle, _PIECE, at):
        at += len(piece)
        yield piece


def _open(location: str) -> int:
    try:
        return os.open(location, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        raise changed(location) from None
    except OSError as error:
        raise InvalidInput(f"{location} cannot be read: {error.strerror}") from error


def _still(before: os.stat_result, after: os.stat_result) -> bool:
    return (before.st_size, before.st_mtime_ns, before.st_ctime_ns) == (
        after.st_size,
        after.st_mtime_ns,
        after.st_ctime_ns,
    )


def _row(row: Row, found: os.stat_result) -> Row:
    return (row[0], found.st_size, found.st_ino, found.st_dev, found.st_mtime_ns, found.st_ctime_ns, row[6])


_encode = msgspec.msgpack.Encoder().encode


def _digest(rows: Sequence[Row] | Sequence[Entry]) -> bytes:
    try:
        return blake3(_encode(rows)).digest()
    except UnicodeEncodeError:  # a name that is not Unicode; it is refused where it is read
        return b""
