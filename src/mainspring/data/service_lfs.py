"""The operations on large objects of Git repositories and on their locks; `protocols.lfs` speaks Git LFS over them."""

from __future__ import annotations

from collections.abc import Iterator

from mainspring.data.lfs import (
    LfsHolding,
    LfsLock,
    LfsLocks,
    LfsObject,
    LfsOwnLocks,
    LfsRepository,
    check_oid,
    check_size,
    check_text,
    checked,
)
from mainspring.data.tables import LFS_LOCKS, LFS_OBJECTS
from mainspring.kernel.context import caller
from mainspring.kernel.errors import AlreadyExists, Damaged, Forbidden, InvalidInput, NotFound, TooLarge
from mainspring.kernel.ids import new_id
from mainspring.kernel.names import check_name
from mainspring.kernel.operations import Download, Upload, operation
from mainspring.store.blob_changes import keep
from mainspring.store.blob_tables import batched
from mainspring.store.service import RoomService
from mainspring.store.transaction import Transaction

__all__ = ["LfsOperations"]

_BATCH = 500
_MOST_OBJECTS = 10_000
_MOST_LOCKS = 1000
_WINDOW = 32 << 20
"""Bytes of a part of a blob that are read at once."""


class LfsOperations(RoomService):
    """Objects and locks of Git repositories."""

    @operation(permission="data:read", resource="repository")
    def lfs_objects(self, repository: str, *, oids: list[str]) -> list[LfsHolding]:
        """Those of the objects that a repository has; one whose bytes are damaged is not sound."""
        check_name(repository, what="repository")
        if len(oids) > _MOST_OBJECTS:
            raise TooLarge(f"{len(oids)} objects at once; ask for {_MOST_OBJECTS} at most")
        with self.store.read() as tx:
            held = _find(tx, repository, [check_oid(oid) for oid in oids])
        sound = self.store.blobs.sizes({each.digest for each in held.values()})
        return [
            LfsHolding(oid, held[oid].size, sound=held[oid].digest in sound)
            for oid in dict.fromkeys(oids)
            if oid in held
        ]

    @operation(permission="data:write", writes=True, resource="repository")
    def lfs_put(self, repository: str, *, oid: str, size: int, body: Upload) -> LfsHolding:
        """Keep an object; it is hashed while it arrives, and nothing is kept of one that is not what it is called.

        Raises:
            InvalidInput: Another number of bytes arrived, or others.
        """
        check_name(repository, what="repository")
        digest, stored = self.store.blobs.put_stream(checked(body, check_oid(oid), check_size(size)))
        with self.store.write() as tx:
            keep(tx, [digest])
            made = LfsObject(tx.workspace, repository, oid, stored, digest, tx.now, caller().principal)
            if tx.execute(f"{LFS_OBJECTS.insert_sql} ON CONFLICT DO NOTHING", LFS_OBJECTS.to_row(made)):
                tx.note(f"lfs/{repository}", oid=oid, size=stored)
        return LfsHolding(oid, stored)

    @operation(permission="data:read", resource="repository")
    def lfs_get(self, repository: str, *, oid: str, start: int = 0, stop: int | None = None) -> Download:
        """The bytes of an object from `start` to before `stop`, its end where that is left out; every piece is checked.

        Raises:
            NotFound: The repository does not have it.
            Damaged: What is stored is not what was sent.
        """
        check_name(repository, what="repository")
        with self.store.read() as tx:
            held = _find(tx, repository, [check_oid(oid)]).get(oid)
        if held is None:
            raise NotFound(f"{repository} has no object {oid}")
        end = held.size if stop is None else min(stop, held.size)
        if not 0 <= start <= end:
            raise InvalidInput(f"bytes {start} to {end} are not a part of an object of {held.size} bytes")
        return self._pieces(held, start, end)

    def _pieces(self, held: LfsObject, start: int, stop: int) -> Iterator[bytes]:
        """Bytes of an object; an error names it as its owner knows it."""
        blobs = self.store.blobs
        try:
            if (start, stop) == (0, held.size):
                yield from blobs.open(held.digest)
                return
            for position in range(start, stop, _WINDOW):
                yield blobs.read_range(held.digest, position, min(_WINDOW, stop - position))
        except (Damaged, NotFound) as error:
            hint = "push it again from a clone that has it: git lfs push --object-id REMOTE OID"
            raise Damaged(f"object {held.oid} is damaged in the store", hint=hint, details=error.details) from error

    @operation(permission="data:read")
    def lfs_repositories(self) -> list[LfsRepository]:
        """Every repository that has objects, by name."""
        with self.store.read() as tx:
            rows = tx.rows(
                "SELECT repository, count(*), sum(size) FROM lfs_object WHERE workspace = ?"
                " GROUP BY repository ORDER BY repository",
                (tx.workspace,),
            )
        return [LfsRepository(str(name), int(objects), int(size)) for name, objects, size in rows]

    @operation(permission="data:admin", writes=True, resource="repository")
    def lfs_remove(self, repository: str, *, oids: list[str]) -> int:
        """Take objects out of a repository, for which no commit of it needs them any more; how many there were.

        Their bytes go with the next collection of garbage, where nothing else has them.
        """
        check_name(repository, what="repository")
        if len(oids) > _MOST_OBJECTS:
            raise TooLarge(f"{len(oids)} objects at once; remove {_MOST_OBJECTS} at most")
        removed = 0
        with self.store.write() as tx:
            for oid in dict.fromkeys(check_oid(oid) for oid in oids):
                removed += tx.execute(
                    "DELETE FROM lfs_object WHERE workspace = ? AND repository = ? AND oid = ?",
                    (tx.workspace, repository, oid),
                )
            if removed:
                tx.note(f"lfs/{repository}", removed=removed)
        return removed

    @operation(permission="data:write", writes=True, resource="repository")
    def lfs_lock(self, repository: str, *, path: str, ref: str = "") -> LfsLock:
        """Lock a file of a repository, on all of its branches.

        Raises:
            AlreadyExists: Somebody has it; `details["lock"]` is the id.
        """
        check_name(repository, what="repository")
        check_text(path, what="path")
        check_text(ref, what="ref", needed=False)
        with self.store.write() as tx:
            lock = LfsLock(new_id(), tx.workspace, repository, path, ref, caller().principal, tx.now)
            if tx.execute(f"{LFS_LOCKS.insert_sql} ON CONFLICT DO NOTHING", LFS_LOCKS.to_row(lock)):
                tx.note(f"lfs/{repository}", locked=path, lock=lock.id)
                return lock
            where = "WHERE workspace = ? AND repository = ? AND path = ?"
            holder = tx.fetch_one(LFS_LOCKS, where, (tx.workspace, repository, path))
        who = holder.owner if holder else "somebody"
        raise AlreadyExists(
            f"{path} is locked by {who}", hint="git lfs locks", details={"lock": holder.id if holder else ""}
        )

    @operation(permission="data:write", writes=True, resource="repository")
    def lfs_unlock(self, repository: str, *, lock_id: str) -> LfsLock:
        """Give a lock of one's own back; it, as it was."""
        return self._unlock(repository, lock_id, any_owner=False)

    @operation(permission="data:approve", writes=True, resource="repository")
    def lfs_break_lock(self, repository: str, *, lock_id: str) -> LfsLock:
        """Take a lock away from whoever holds it; it, as it was."""
        return self._unlock(repository, lock_id, any_owner=True)

    def _unlock(self, repository: str, lock_id: str, *, any_owner: bool) -> LfsLock:
        check_name(repository, what="repository")
        check_text(lock_id, what="lock")
        with self.store.write() as tx:
            where = "WHERE workspace = ? AND repository = ? AND id = ?"
            lock = tx.fetch_one(LFS_LOCKS, where, (tx.workspace, repository, lock_id))
            if lock is None:
                raise NotFound(f"{repository} has no lock {lock_id!r}", hint="git lfs locks")
            if lock.owner != caller().principal and not any_owner:
                raise Forbidden(f"{lock.path} is locked by {lock.owner}", hint="an approver may use --force")
            tx.execute("DELETE FROM lfs_lock WHERE id = ?", (lock.id,))
            tx.note(f"lfs/{repository}", unlocked=lock.path, lock=lock.id, owner=lock.owner)
        return lock

    @operation(permission="data:read", resource="repository")
    def lfs_locks(
        self, repository: str, *, path: str = "", lock_id: str = "", cursor: str = "", limit: int = 100
    ) -> LfsLocks:
        """A page of the locks of a repository, oldest first; of one path or one id where these are given."""
        with self.store.read() as tx:
            return _page(tx, repository, path=path, lock_id=lock_id, cursor=cursor, limit=limit)

    @operation(permission="data:write", resource="repository")
    def lfs_own_locks(self, repository: str, *, cursor: str = "", limit: int = 100) -> LfsOwnLocks:
        """A page of locks, divided into the caller's and those of others: what a push has to respect."""
        with self.store.read() as tx:
            page = _page(tx, repository, cursor=cursor, limit=limit)
        ours = [lock for lock in page.locks if lock.owner == caller().principal]
        return LfsOwnLocks(ours, [lock for lock in page.locks if lock not in ours], page.next_cursor)


def _find(tx: Transaction, repository: str, oids: list[str]) -> dict[str, LfsObject]:
    found: dict[str, LfsObject] = {}
    for batch in batched(dict.fromkeys(oids), _BATCH):
        marks = ", ".join("?" * len(batch))
        where = f"WHERE workspace = ? AND repository = ? AND oid IN ({marks})"
        found.update((each.oid, each) for each in tx.fetch(LFS_OBJECTS, where, (tx.workspace, repository, *batch)))
    return found


def _page(
    tx: Transaction, repository: str, *, path: str = "", lock_id: str = "", cursor: str = "", limit: int = 100
) -> LfsLocks:
    check_name(repository, what="repository")
    where, params = "WHERE workspace = ? AND repository = ?", [tx.workspace, repository]
    for column, value in (("path = ?", path), ("id = ?", lock_id), ("id >= ?", cursor)):
        if value:
            where += f" AND {column}"
            params.append(check_text(value, what="path, lock or cursor"))
    count = max(1, min(limit, _MOST_LOCKS))
    found = tx.fetch(LFS_LOCKS, f"{where} ORDER BY id LIMIT {count + 1}", params)
    return LfsLocks(found[:count], found[count].id if len(found) > count else "")
