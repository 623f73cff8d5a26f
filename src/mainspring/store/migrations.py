"""Forward migrations: each room numbers its own, all that are missing run in one transaction, after a backup."""

from __future__ import annotations

from collections.abc import Sequence

from mainspring.kernel.clock import now
from mainspring.kernel.errors import StoreTooNew
from mainspring.kernel.hooks import ROOMS, Room, load
from mainspring.store.database import Database
from mainspring.store.transaction import Transaction

__all__ = ["migrate", "versions"]

_VERSIONS = (
    "CREATE TABLE IF NOT EXISTS schema_version (room TEXT PRIMARY KEY, version BIGINT NOT NULL, at BIGINT NOT NULL)"
)


def versions(tx: Transaction) -> dict[str, int]:
    """The version of every room's tables in this database; empty for a new one."""
    exists = (
        "SELECT 1 FROM sqlite_master WHERE name = 'schema_version'"
        if tx.dialect == "sqlite"
        else "SELECT 1 FROM pg_tables WHERE schemaname = current_schema() AND tablename = 'schema_version'"
    )
    return dict(tx.rows("SELECT room, version FROM schema_version")) if tx.value(exists) else {}


def migrate(database: Database, rooms: Sequence[Room] = ROOMS) -> list[str]:
    """Bring the tables up to this version of the code; what was done, empty when nothing had to be.

    Safe when several processes open a store at once: the first does the work, the others find it done. A crash leaves
    the old tables or the new ones. A database that holds data is copied first, into `backups/` or a schema beside it.

    Raises:
        StoreTooNew: A room's tables are newer than this code; nothing was touched.
    """
    with database.read() as tx:
        present = versions(tx)
    _refuse_newer(present, rooms)
    if not _behind(present, rooms):
        return []
    done: list[str] = []
    with database.write() as tx:
        present = versions(tx)  # again, now that nobody else can write
        _refuse_newer(present, rooms)
        if present and _behind(present, rooms):
            database.backup_inside(tx, f"before-{now():%Y%m%dT%H%M%S%f}")
        tx.execute(_VERSIONS)
        for room in _behind(present, rooms):
            done += _migrate_room(tx, room, present.get(room.name, 0))
    return done


def _behind(present: dict[str, int], rooms: Sequence[Room]) -> list[Room]:
    return [room for room in rooms if present.get(room.name, 0) < room.migrations]


def _migrate_room(tx: Transaction, room: Room, version: int) -> list[str]:
    scripts: tuple[str, ...] = load(room.tables)
    for script in scripts[version:]:
        for statement in _statements(script):
            tx.execute(_native(statement, tx.dialect))
    tx.execute(
        "INSERT INTO schema_version (room, version, at) VALUES (?, ?, ?)"
        " ON CONFLICT (room) DO UPDATE SET version = excluded.version, at = excluded.at",
        (room.name, len(scripts), tx.now_micros),
    )
    return [f"{room.name} {number}" for number in range(version + 1, len(scripts) + 1)]


def _native(statement: str, dialect: str) -> str:
    """SQLite keeps a table in the order of its number, without an index beside it, only where it is called INTEGER."""
    return statement.replace("BIGINT PRIMARY KEY", "INTEGER PRIMARY KEY") if dialect == "sqlite" else statement


def _statements(script: str) -> list[str]:
    """The statements of a script; each ends with `;` at the end of a line."""
    lines = [line for line in script.strip().splitlines() if not line.lstrip().startswith("--")]
    return [each.strip() for each in "\n".join(lines).split(";\n") if each.strip().rstrip(";")]


def _refuse_newer(present: dict[str, int], rooms: Sequence[Room]) -> None:
    newer = [room.name for room in rooms if present.get(room.name, 0) > room.migrations]
    newer += sorted(set(present) - {room.name for room in rooms})
    if newer:
        raise StoreTooNew(
            f"this store was written by a newer Mainspring (its tables of {', '.join(newer)} are ahead)",
            hint="pip install --upgrade mainspring",
        )
