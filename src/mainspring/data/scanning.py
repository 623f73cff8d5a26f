"""What a folder holds now: every file looked at, only those read that may have changed, folders built from them.

Files are read by a few threads, each once: what is hashed goes on to whoever takes it in, so that a commit reads a file
no second time. Memory holds one folder's names, and the pieces that are on their way.
"""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from itertools import islice
from pathlib import Path
from typing import TypeVar

import msgspec
from blake3 import blake3

from mainspring.data.bundle import BUNDLED_BELOW
from mainspring.data.ignore import DVC_IGNORE, IGNORE_FILE, Rules, read_rules
from mainspring.data.local_tree import Found, LocalTree, entries_of, stored_name
from mainspring.data.reading import Row, Taker, read_large, read_small
from mainspring.data.stat_cache import FileClock, Folder, Seen, StatCache
from mainspring.data.trees import Entry, folder
from mainspring.kernel.errors import InvalidInput, NotFound
from mainspring.store.buckets import check_object_name

__all__ = [
    "LEFT_OUT",
    "TEMPORARY",
    "fingerprint",
    "list_folder",
    "scan",
]

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
_PLAIN = re.compile(r"[^\x00-\x1f\x7f\\/.\ud800-\udfff][^\x00-\x1f\x7f\\/\ud800-\udfff]{0,59}").fullmatch
_SHORT = 225  # characters: never more than the bytes that a name may have
_T = TypeVar("_T")
_R = TypeVar("_R")


def scan(
    top: Path,
    cache: StatCache,
    clock: FileClock,
    *,
    taker: Taker | None = None,
    dvc: bool = False,
    plain: bool = False,
) -> LocalTree | None:
    """The tree of a folder as it is now; None when there is no file in it.

    Args:
        top: The folder.
        cache: What is known of files that were hashed before; it learns.
        clock: The clocks of file systems.
        taker: Takes in what is read, when it is to be stored.
        dvc: Honour `.dvcignore` files, too.
        plain: See every plain file whatever ignore files say, and pass over links and all that cannot be committed.

    Raises:
        NotFound: There is no such folder.
        InvalidInput: It holds what cannot be part of a dataset, or cannot be read.
        Conflict: A file changes all the time.
    """
    place = os.path.abspath(top)  # noqa: PTH100 -- as text, as everything below
    if not os.path.isdir(place):  # noqa: PTH112
        raise NotFound(f"there is no folder {top}")
    with ThreadPoolExecutor(_READERS, thread_name_prefix="read-files") as pool:
        names = () if plain else (IGNORE_FILE, DVC_IGNORE) if dvc else (IGNORE_FILE,)
        scanner = _Scanner(cache, clock, taker, pool, names, plain=plain)
        root = scanner.visit(place, "", Rules())
    cache.flush()
    return None if root is None else LocalTree(place, root, scanner.found, cache)


def list_folder(
    place: str,
    prefix: str = "",
    rules: Rules = Rules(),  # noqa: B008 -- frozen
    *,
    plain: bool = False,
) -> tuple[list[Row], list[str]]:
    """The files of a folder, each with what tells that it changed, and the names of its subfolders; both sorted."""
    rows: list[Row] = []
    folders: list[str] = []
    add = rows.append
    ruled = bool(rules)
    try:
        with os.scandir(place) as entries:
            for entry in entries:
                name = entry.name
                is_folder = entry.is_dir(follow_symlinks=False)
                if name[0] == "." and (name.startswith(TEMPORARY) or (is_folder and name in LEFT_OUT)):
                    continue
                if ruled and rules.leaves_out(f"{prefix}{stored_name(name)}", is_folder=is_folder):
                    continue
                if plain and not ((is_folder or entry.is_file(follow_symlinks=False)) and _may_be(name)):
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


def _may_be(name: str) -> bool:
    try:
        _check_path("", stored_name(name))
    except InvalidInput:
        return False
    return True


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
        *,
        plain: bool,
    ) -> None:
        self.found = Found()
        self._cache = cache
        self._clock = clock
        self._taker = taker
        self._pool = pool
        self._ignore_files = ignore_files
        self._plain = plain
        self._stamps: dict[int, int] = {}

    def visit(self, place: str, prefix: str, above: Rules) -> Entry | None:
        """The entry of a folder, its name left open; None when no file lies in it."""
        rules = self._rules(place, prefix, above)
        rows, names = list_folder(place, prefix, rules, plain=self._plain)
        folders: list[Entry] = []
        for name in names:
            stored = check_object_name(stored_name(name))
            made = self.visit(f"{place}/{name}" if place != "/" else f"/{name}", f"{prefix}{stored}/", rules)
            if made is not None:
                folders.append(msgspec.structs.replace(made, name=stored))
        now, below = fingerprint(rows), fingerprint(folders)
        known = self._cache.folder(place)
        if known and now and known.fingerprint == now and known.below == below:
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
            for each in absent:
                _check_path(prefix, stored_name(rows[each][0]))
                self._stamp(rows[each][3], place)
            read = self._read([(f"{place}/{rows[each][0]}", rows[each]) for each in absent])
            for at, (row, digest) in zip(absent, read, strict=True):
                trusted = max(row[5], row[6]) < self._stamps.get(row[3], 0)
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
            fingerprint(rows) if whole else b"", fingerprint(folders), bytes.fromhex(top.digest), top.files, top.size
        )
        self._cache.keep(place, known, files, folders)
        self.found.places[top.digest] = place
        if len(absent) == len(rows):
            self.found.fresh.add(top.digest)
        return top

    def _stamp(self, device: int, place: str) -> None:
        """Ask the clock of a file system once, before any file on it is read: what changes from then on is seen."""
        if device not in self._stamps:
            self._stamps[device] = self._clock.now(device, place)

    def _read(self, wanted: list[tuple[str, Row]]) -> Iterator[tuple[Row, bytes]]:
        """Digests of files, in their order, each with how the file was when it was read."""
        taker = self._taker
        for batch in _batches(wanted):
            if batch[0][1][1] >= BUNDLED_BELOW:
                yield from (read_large(location, row, taker) for location, row in batch)
            elif len(wanted) < _AT_ONCE:
                for row, digest, data in read_small(batch):
                    if taker:
                        taker.small(digest, data)
                    yield row, digest
            else:
                yield from self._read_ahead(batch)

    def _read_ahead(self, small: list[tuple[str, Row]]) -> Iterator[tuple[Row, bytes]]:
        for found in _ordered(self._pool, read_small, _portions(small)):
            for row, digest, data in found:
                if self._taker:
                    self._taker.small(digest, data)
                yield row, digest


def _check_path(prefix: str, name: str) -> None:
    """Raise `InvalidName` for what cannot be a path in a dataset; quick about what is plain."""
    if not (_PLAIN(name) and len(prefix) + len(name) < _SHORT):
        check_object_name(prefix + name)


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


_encode = msgspec.msgpack.Encoder().encode


def fingerprint(rows: Sequence[Row] | Sequence[Entry]) -> bytes:
    """Over all that is known of the files of a folder, or the entries of its subfolders, in order of their names."""
    try:
        return blake3(_encode(rows)).digest()
    except UnicodeEncodeError:  # a name that is not Unicode; it is refused where it is read
        return b""
