"""Schemas go forward from every release, whole or not at all, after a copy; and records are what their tables are."""

from __future__ import annotations

import importlib
import subprocess
import sys
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from mainspring.client.client import connect
from mainspring.kernel import hooks
from mainspring.kernel.errors import InternalError, StoreTooNew
from mainspring.kernel.hooks import ROOMS, Room
from mainspring.lineage import graph
from mainspring.store.database import Database
from mainspring.store.migrations import _statements, migrate, versions
from mainspring.store.records import Table
from mainspring.store.sqlite import SqliteConnection
from mainspring.store.store import Store, _engine
from mainspring.trust import tables as trust_tables

RELEASED = sorted(Path(__file__).with_name("released").glob("*.sql"))
LATER = tuple(Room(room.name, 2, room.service) if room.name == "trust" else room for room in ROOMS)


def all_tables() -> list[Table]:
    modules = [importlib.import_module(room.tables.partition(":")[0]) for room in ROOMS if room.migrations]
    modules += [
        importlib.import_module(f"mainspring.store.{each}") for each in ("ledger", "blob_tables", "queue_tables")
    ]
    found = {id(value): value for module in modules for value in vars(module).values() if isinstance(value, Table)}
    return list(found.values())


def columns_of(store: Store, table: str) -> list[str]:
    query = (
        f"SELECT name FROM pragma_table_info('{table}')"
        if store.database.dialect == "sqlite"
        else "SELECT column_name FROM information_schema.columns WHERE table_schema = current_schema()"
        f" AND table_name = '{table}' ORDER BY ordinal_position"
    )
    with store.read() as tx:
        return [name for (name,) in tx.rows(query)]


def test_every_room_counts_its_migrations() -> None:
    assert {room.name: room.migrations for room in ROOMS if room.migrations} == {
        room.name: len(hooks.load(room.tables)) for room in ROOMS if room.migrations
    }


def test_every_record_has_the_columns_of_its_table(store: Store) -> None:
    assert len(all_tables()) > 20
    for table in all_tables():
        assert sorted(columns_of(store, table.name)) == sorted(table.columns), table.name
        with store.read() as tx:
            assert tx.fetch(table) == []


@pytest.fixture
def empty_folder(store_folder: Path, database_kind: str, request: pytest.FixtureRequest) -> Iterator[Path]:
    """The folder of a store whose database has no tables."""
    if database_kind == "sqlite":
        yield store_folder
        return
    import psycopg

    server, name = request.getfixturevalue("postgres_server"), f"e_{uuid.uuid4().hex}"
    with psycopg.connect(f"host={server} user=mainspring dbname=postgres", autocommit=True) as admin:
        admin.execute(f"CREATE DATABASE {name}")
        url = f"postgresql:///{name}?host={server}&user=mainspring"
        store_folder.joinpath("config.toml").write_text(f'database = "{url}"\n')
        yield store_folder
        admin.execute(f"DROP DATABASE {name} WITH (FORCE)")


def database_in(folder: Path) -> Database:
    from mainspring.kernel.settings import read_settings

    return Database(_engine(folder, read_settings(folder).database))


@pytest.mark.parametrize("script", RELEASED, ids=lambda path: path.stem)
def test_a_store_of_every_release_is_brought_up_to_date_with_its_data(script: Path, empty_folder: Path) -> None:
    database = database_in(empty_folder)
    with database.write() as tx:
        for statement in _statements(script.read_text()):
            tx.execute(statement)
    database.close()
    with connect(empty_folder) as client:
        store = client.backend.store
        with store.read() as tx:
            assert {room.name: room.migrations for room in ROOMS if room.migrations} == versions(tx)
        for table in all_tables():
            assert sorted(columns_of(store, table.name)) == sorted(table.columns), table.name
        assert client.storage.verify_audit().intact
        assert client.storage.verify_audit().events >= 2
        why = client.lineage.why("model/delay@champion")
        assert [node.kind for node in why.nodes] == ["model", "training", "dataset"]
        assert why.nodes[1].metadata == {"depth": 3, "of": None}
        assert client.lineage.artifact("dataset/flights").files[0].path == "part.parquet"
        assert [token.principal for token in client.trust.tokens()] == ["ann"]
        assert [task.key for task in store.queue.tasks()] == ["nightly"]
        with store.write("test.add") as tx:
            assert graph.add_artifact(tx, "model", "delay", digest="m2").version == 2


def test_an_open_store_that_is_up_to_date_is_left_alone(store: Store, store_folder: Path) -> None:
    assert migrate(store.database) == []
    with Store.open(store_folder):
        pass
    assert not (store_folder / "backups").exists()


def fill(store: Store) -> None:
    with store.write("test.fill") as tx:
        graph.add_artifact(tx, "dataset", "flights", digest="d1")


def test_a_migration_that_fails_in_the_middle_leaves_the_old_tables(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(store)
    broken = "CREATE TABLE later (id TEXT PRIMARY KEY);\nALTER TABLE token ADD COLUMN note TEXT;\nNONSENSE;\n"
    monkeypatch.setattr(trust_tables, "MIGRATIONS", (*trust_tables.MIGRATIONS, broken))
    with pytest.raises(InternalError):
        migrate(store.database, LATER)
    assert columns_of(store, "later") == []
    assert "note" not in columns_of(store, "token")
    with store.read() as tx:
        assert versions(tx)["trust"] == 1
    fill(store)


def test_a_migration_keeps_the_data_and_a_copy_of_what_was_before(
    store: Store, store_folder: Path, database_kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(store)
    script = "CREATE TABLE later (id TEXT PRIMARY KEY);\nDELETE FROM artifact;\n"
    monkeypatch.setattr(trust_tables, "MIGRATIONS", (*trust_tables.MIGRATIONS, script))
    assert migrate(store.database, LATER) == ["trust 2"]
    assert columns_of(store, "later") == ["id"]
    assert migrate(store.database, LATER) == []
    if database_kind == "sqlite":
        (copy,) = (store_folder / "backups").iterdir()
        backup = SqliteConnection(copy)
        assert backup.rows("SELECT name FROM artifact") == [("flights",)]
        assert backup.rows("SELECT version FROM schema_version WHERE room = 'trust'") == [(1,)]
        assert backup.rows("PRAGMA integrity_check") == [("ok",)]
        backup.close()
    else:
        with store.read() as tx:
            (schema,) = [name for (name,) in tx.rows("SELECT nspname FROM pg_namespace WHERE nspname LIKE 'backup_%'")]
            assert tx.rows(f"SELECT name FROM {schema}.artifact") == [("flights",)]
            assert tx.value("SELECT count(*) FROM artifact") == 0


def test_a_backup_opens_as_a_store(store: Store, tmp_path: Path, database_kind: str) -> None:
    fill(store)
    where = store.database.backup("by-hand")
    if database_kind == "postgres":
        assert where == "schema backup_by_hand"
        return
    (tmp_path / "restored").mkdir()
    Path(where).rename(tmp_path / "restored" / "mainspring.db")
    with connect(tmp_path / "restored") as restored:
        assert [artifact.name for artifact in restored.lineage.artifacts()] == ["flights"]
        assert restored.storage.verify_audit().intact


@pytest.mark.parametrize("row", ["('trust', 7, 0)", "('room-of-the-future', 1, 0)"])
def test_a_store_of_a_newer_version_is_refused_untouched(store: Store, store_folder: Path, row: str) -> None:
    with store.bookkeeping() as tx:
        tx.execute(
            f"INSERT INTO schema_version (room, version, at) VALUES {row}"
            " ON CONFLICT (room) DO UPDATE SET version = excluded.version"
        )
        before = versions(tx)
    with pytest.raises(StoreTooNew, match="newer Mainspring"):
        Store.open(store_folder)
    with store.read() as tx:
        assert versions(tx) == before
    assert not (store_folder / "backups").exists()


OPENER = "import sys\nfrom mainspring.store.store import Store\nStore.open(sys.argv[1]).close()\n"


def test_many_processes_may_open_a_new_store_at_once(empty_folder: Path) -> None:
    processes = [
        subprocess.Popen([sys.executable, "-c", OPENER, str(empty_folder)], stderr=subprocess.PIPE, text=True)
        for _ in range(4)
    ]
    for process in processes:
        _, errors = process.communicate(timeout=60)
        assert process.returncode == 0, errors
    assert not (empty_folder / "backups").exists()
    with connect(empty_folder) as client:
        fill(client.backend.store)
