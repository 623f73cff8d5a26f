"""Locks: taking, listing, verifying before a push, and giving back."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from mainspring.kernel.context import caller
from mainspring.kernel.errors import AlreadyExists
from mainspring.protocols.lfs.objects import Ref
from mainspring.protocols.lfs.wire import LfsError

if TYPE_CHECKING:
    from mainspring.client.client import Client
    from mainspring.data.lfs import LfsLock

__all__ = ["Lock", "Unlock", "Verify", "listed", "lock", "unlock", "verified"]


class Lock(msgspec.Struct, frozen=True):
    """A request to lock a file."""

    path: str
    ref: Ref | None = None


class Unlock(msgspec.Struct, frozen=True):
    """A request to give a lock back, or to take it from whoever holds it."""

    force: bool = False
    ref: Ref | None = None


class Verify(msgspec.Struct, frozen=True):
    """A request for the locks that a push has to respect."""

    cursor: str | None = None
    limit: int | None = None
    ref: Ref | None = None


def lock(client: Client, repository: str, asked: Lock) -> dict[str, Any]:
    """Lock a file."""
    try:
        made = client.data.lfs_lock(repository, path=asked.path, ref=asked.ref.name if asked.ref else "")
    except AlreadyExists as error:
        held = client.data.lfs_locks(repository, path=asked.path).locks
        if not held:  # given back in between
            return lock(client, repository, asked)
        raise LfsError(409, error.message, lock=_told(held[0])) from error
    return {"lock": _told(made)}


def unlock(client: Client, repository: str, lock_id: str, asked: Unlock) -> dict[str, Any]:
    """Give a lock back."""
    give = client.data.lfs_unlock
    if asked.force:
        held = client.data.lfs_locks(repository, lock_id=lock_id).locks
        if held and held[0].owner != caller().principal:
            give = client.data.lfs_break_lock
    return {"lock": _told(give(repository, lock_id=lock_id))}


def listed(client: Client, repository: str, query: dict[str, str]) -> dict[str, Any]:
    """A page of locks. They hold on every branch, so that `refspec` leaves none out."""
    limit = query.get("limit", "")
    page = client.data.lfs_locks(
        repository,
        path=query.get("path", ""),
        lock_id=query.get("id", ""),
        cursor=query.get("cursor", ""),
        limit=int(limit) if limit.isdigit() and len(limit) < 7 and int(limit) else 100,
    )
    return _page({"locks": [_told(each) for each in page.locks]}, page.next_cursor)


def verified(client: Client, repository: str, asked: Verify) -> dict[str, Any]:
    """A page of locks, the caller's apart from those of others."""
    page = client.data.lfs_own_locks(repository, cursor=asked.cursor or "", limit=asked.limit or 100)
    told = {"ours": [_told(each) for each in page.ours], "theirs": [_told(each) for each in page.theirs]}
    return _page(told, page.next_cursor)


def _page(told: dict[str, Any], cursor: str) -> dict[str, Any]:
    return {**told, "next_cursor": cursor} if cursor else told


def _told(held: LfsLock) -> dict[str, Any]:
    moment = held.locked_at.replace(microsecond=0).isoformat().replace("+00:00", "Z")
    return {"id": held.id, "path": held.path, "locked_at": moment, "owner": {"name": held.owner}}
