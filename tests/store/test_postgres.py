"""PostgreSQL that goes away, in the middle of a transaction, at a commit, for a while: nothing acknowledged is lost."""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from mainspring.kernel.errors import AlreadyExists, MainspringError, StorageError, Unavailable
from mainspring.kernel.hooks import ROOMS
from mainspring.store.database import Database
from mainspring.store.ledger import Ledger
from mainspring.store.migrations import migrate
from mainspring.store.store import Store

psycopg = pytest.importorskip("psycopg")

from mainspring.store.postgres import PostgresConnection, PostgresEngine, to_postgres  # noqa: E402 -- needs psycopg

_BINARIES = sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)
ADD = "INSERT INTO note (id) VALUES (?)"
TABLE = "CREATE TABLE note (id BIGINT PRIMARY KEY)"

pytestmark = pytest.mark.databases("postgres")


def kill_backends(url: str) -> int:
    """Terminate every other connection of the database; how many there were."""
    with psycopg.connect(url, autocommit=True) as admin:
        others = "datname = current_database() AND pid <> pg_backend_pid()"
        query = f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE {others}"
        return len(admin.execute(query).fetchall())


@pytest.fixture
def notes(store: Store) -> Store:
    with store.bookkeeping() as tx:
        tx.execute(TABLE)
    return store


def there(store: Store) -> set[int]:
    with store.read() as tx:
        return {number for (number,) in tx.rows("SELECT id FROM note")}


def test_what_cannot_begin_leaves_no_connection(postgres_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def away(connection: PostgresConnection, *_: object) -> None:
        made.append(connection)
        raise Unavailable("the server went away")

    made: list[PostgresConnection] = []
    engine = PostgresEngine(postgres_url)
    with monkeypatch.context() as patch, pytest.raises(Unavailable):
        patch.setattr(PostgresConnection, "script", away)
        engine.listen()
    with monkeypatch.context() as patch, pytest.raises(Unavailable):
        patch.setattr(PostgresConnection, "_run", away)
        engine.connect(readonly=False)
    assert [each._db.closed for each in made] == [True, True]


def test_a_connection_that_dies_in_a_transaction_is_unavailable_and_the_next_call_works(
    notes: Store, postgres_url: str
) -> None:
    with pytest.raises(Unavailable), notes.write("test.add") as tx:
        tx.execute(ADD, (1,))
        assert kill_backends(postgres_url) >= 1
        tx.execute(ADD, (2,))
    assert there(notes) == set()
    with notes.write("test.add") as tx:
        tx.execute(ADD, (3,))
    assert there(notes) == {3}
    assert notes.ledger.verify().intact


def test_a_connection_that_dies_before_the_commit_keeps_nothing_and_says_that_it_is_not_known(
    notes: Store, postgres_url: str
) -> None:
    with pytest.raises(Unavailable, match="not known"), notes.bookkeeping() as tx:
        tx.execute(ADD, (1,))
        kill_backends(postgres_url)
    assert there(notes) == set()


def test_connections_that_died_while_idle_are_noticed_by_nobody(notes: Store, postgres_url: str) -> None:
    with contextlib.ExitStack() as stack:
        for _ in range(4):
            stack.enter_context(notes.read())
    assert kill_backends(postgres_url) >= 5
    for number in range(3):
        assert there(notes) == set(range(number))
        with notes.write("test.add") as tx:
            tx.execute(ADD, (number,))


def test_a_failed_statement_costs_its_member_only(notes: Store) -> None:
    with notes.write("test.add") as tx:
        tx.execute(ADD, (0,))
    outcomes: list[str] = []

    def add(number: int) -> None:
        try:
            with notes.write("test.add") as tx:
                tx.execute(ADD, (number,))
            outcomes.append("kept")
        except AlreadyExists:
            outcomes.append("taken")

    threads = [threading.Thread(target=add, args=(n // 2,)) for n in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert outcomes.count("kept") == 9
    assert outcomes.count("taken") == 11
    assert there(notes) == set(range(10))


def test_a_readers_transaction_that_failed_is_given_back_clean(notes: Store) -> None:
    with pytest.raises(MainspringError), notes.read() as tx:
        tx.rows("SELECT nothing FROM nowhere")
    assert there(notes) == set()
    assert len(notes.database._readers) == 1


@pytest.mark.parametrize(
    ("portable", "native"),
    [
        ("SELECT 1 FROM a WHERE b = ? AND c = '?'", "SELECT 1 FROM a WHERE b = %s AND c = '?'"),
        ("SELECT 'it''s 100%' || ?", "SELECT 'it''s 100%%' || %s"),
        ("CREATE TABLE a (b BLOB, blobby TEXT)", "CREATE TABLE a (b BYTEA, blobby TEXT)"),
    ],
)
def test_statements_are_put_in_postgresqls_words(portable: str, native: str) -> None:
    assert to_postgres(portable) == native


class Cluster:
    """A PostgreSQL of its own that syncs, and that can be stopped as a power cut would."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.user = "postgres" if os.geteuid() == 0 else None
        if self.user:
            shutil.chown(root, self.user)
        self.run("initdb", "-D", f"{root}/data", "-U", "mainspring", "-A", "trust", "-E", "UTF8", "--no-sync")
        self.url = f"postgresql:///postgres?host={root}&user=mainspring"

    def run(self, program: str, *arguments: str) -> None:
        command = [str(_BINARIES[0] / program), *arguments]
        subprocess.run(
            command, check=True, user=self.user, cwd=self.root, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )

    def start(self) -> None:
        options = f"-c fsync=on -c synchronous_commit=on -c listen_addresses= -c unix_socket_directories={self.root}"
        self.run("pg_ctl", "-D", f"{self.root}/data", "-o", options, "-l", f"{self.root}/log", "-w", "start")

    def stop(self) -> None:
        self.run("pg_ctl", "-D", f"{self.root}/data", "-m", "immediate", "-w", "stop")


@pytest.fixture
def cluster() -> Iterator[Cluster]:
    if not _BINARIES:
        pytest.skip("no PostgreSQL server is installed (Debian: apt-get install postgresql)")
    root = Path(tempfile.mkdtemp(prefix="ms-pg-", dir="/tmp"))
    own = Cluster(root)
    own.start()
    try:
        yield own
    finally:
        with contextlib.suppress(subprocess.CalledProcessError):
            own.stop()
        shutil.rmtree(root, ignore_errors=True)


def test_a_server_that_falls_and_comes_back_has_everything_that_was_acknowledged(cluster: Cluster) -> None:
    database = Database(PostgresEngine(cluster.url), chain=Ledger.chain)
    migrate(database, ROOMS[:1])
    with database.write() as tx:
        tx.execute(TABLE)
    told: set[int] = set()
    fell, enough = threading.Event(), threading.Event()

    def add_until_it_falls(first: int) -> None:
        number = first
        while True:
            try:
                with database.write(lambda tx: Ledger.event(tx, "test.add")) as tx:
                    tx.execute(ADD, (number,))
            except (Unavailable, StorageError):  # whose own statement failed, or shared a group with one that did
                fell.set()
                return
            told.add(number)
            number += 1
            if len(told) > 100:
                enough.set()

    threads = [threading.Thread(target=add_until_it_falls, args=(1_000_000 * n,)) for n in range(4)]
    for thread in threads:
        thread.start()
    assert enough.wait(60)
    cluster.stop()
    for thread in threads:
        thread.join(60)
    assert fell.is_set()
    with pytest.raises(Unavailable), database.read():
        pass
    cluster.start()
    with database.read() as tx:
        found = {number for (number,) in tx.rows("SELECT id FROM note")}
    assert told <= found
    assert len(found - told) <= len(threads)  # whose commit was under way
    report = Ledger(database, cluster.root / "anchors").verify()
    assert report.intact
    assert report.events == len(found)
    with database.write() as tx:
        tx.execute(ADD, (-1,))
    database.close()
