"""Large objects of Git repositories: what is kept of each, who holds which lock, and the check while one arrives.

Git LFS names an object by the SHA-256 of its bytes; it is stored as a blob like everything else, so that equal content
is kept once, also between a repository and a dataset. Which objects a repository has stands in `lfs_object`: whoever
may read one repository cannot fetch what is in another by knowing its name.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from datetime import datetime

import msgspec

from mainspring.kernel.errors import InvalidInput, TooLarge

__all__ = [
    "LfsHolding",
    "LfsLock",
    "LfsLocks",
    "LfsObject",
    "LfsOwnLocks",
    "LfsRepository",
    "check_oid",
    "check_size",
    "check_text",
    "checked",
]

LARGEST = 1 << 50
"""Bytes of an object: a petabyte."""
_OID = re.compile(r"[0-9a-f]{64}")
_LONGEST = 4096


class LfsObject(msgspec.Struct, frozen=True):
    """An object of a repository."""

    workspace: str
    repository: str
    oid: str
    """SHA-256 of its bytes."""
    size: int
    digest: str
    """The blob with its bytes."""
    created_at: datetime
    created_by: str


class LfsHolding(msgspec.Struct, frozen=True):
    """An object as its repository has it."""

    oid: str
    size: int
    sound: bool = True
    """Whether its bytes can be read; sending it again mends it otherwise."""


class LfsRepository(msgspec.Struct, frozen=True):
    """A repository and what it holds."""

    name: str
    objects: int
    size: int


class LfsLock(msgspec.Struct, frozen=True):
    """That one person works on a file which cannot be merged."""

    id: str
    workspace: str
    repository: str
    path: str
    ref: str
    """The branch it was taken on, for whoever reads the list; a lock holds on every branch."""
    owner: str
    locked_at: datetime


class LfsLocks(msgspec.Struct, frozen=True):
    """A page of locks."""

    locks: list[LfsLock]
    next_cursor: str = ""
    """What the next page is asked with; empty at the end."""


class LfsOwnLocks(msgspec.Struct, frozen=True):
    """A page of locks, divided into the caller's and those of others."""

    ours: list[LfsLock]
    theirs: list[LfsLock]
    next_cursor: str = ""


def check_oid(oid: str) -> str:
    """Return `oid` when it is a SHA-256 in hex; raise `InvalidInput` otherwise."""
    if not _OID.fullmatch(oid):
        raise InvalidInput(f"{oid[:80]!r} is not the id of an object: 64 hex digits of SHA-256 in lower case")
    return oid


def check_size(size: int) -> int:
    """Return `size` when an object may have it."""
    if not 0 <= size <= LARGEST:
        raise InvalidInput(f"an object of {size} bytes cannot be: from 0 to {LARGEST}")
    return size


def check_text(text: str, *, what: str, needed: bool = True) -> str:
    """Return a path or a ref when it can be one."""
    long = len(text.encode(errors="surrogatepass")) > _LONGEST
    if (needed and not text) or long or "\0" in text or any("\ud800" <= letter <= "\udfff" for letter in text):
        raise InvalidInput(f"{text[:80]!r} cannot be a {what}: 1 to {_LONGEST} bytes of Unicode")
    return text


def checked(pieces: Iterable[bytes], oid: str, size: int) -> Iterator[bytes]:
    """The bytes of an object as they arrive; raises before their end is seen when they are not it.

    Example:
        >>> import hashlib
        >>> b"".join(checked([b"da", b"ta"], hashlib.sha256(b"data").hexdigest(), 4))
        b'data'
    """
    import hashlib

    arrived, count = hashlib.sha256(), 0
    for piece in pieces:
        arrived.update(piece)
        count += len(piece)
        if count > size:
            raise TooLarge(f"object {oid} was announced with {size} bytes, and more arrived")
        yield piece
    if count != size:
        raise InvalidInput(f"object {oid} was announced with {size} bytes, and {count} arrived", hint="send it again")
    if arrived.hexdigest() != oid:
        raise InvalidInput(f"what arrived for object {oid} has the SHA-256 {arrived.hexdigest()}", hint="send it again")
