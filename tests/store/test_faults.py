"""Faults under SQLite: killed at every write, power loss, full and read-only disks, damage, a stopped writer, a turned
clock.

What is right is decided outside of the process that was harmed: it told a pipe what was acknowledged, and this one
reads what is there.
"""

from __future__ import annotations

import functools
import json
import os
import shutil
import signal
import subprocess
import sys
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mainspring.client.client import connect
from mainspring.kernel import clock
from mainspring.kernel.errors import Damaged, ReadOnlyStore, StorageFull, StoreBusy
from mainspring.kernel.hooks import ROOMS
from mainspring.lineage import graph
from mainspring.lineage.tables import ARTIFACTS
from mainspring.store.check import verify_store
from mainspring.store.database import Database
from mainspring.store.engine import SqliteEngine
from mainspring.store.ledger import Ledger
from mainspring.store.migrations import migrate
from mainspring.store.store import Store

SEAL = functools.partial(Ledger.event, action="test.add")


def open_database(folder: Path, **options: object) -> Database:
    return Database(SqliteEngine(folder), chain=Ledger.chain, **options)


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The closed database of a store without blobs, with a table of pairs."""
    folder = tmp_path_factory.mktemp("template")
    database = open_database(folder)
    migrate(database, ROOMS[:1])
    with database.write() as tx:
        tx.execute("CREATE TABLE pair (id BIGINT NOT NULL, half BIGINT NOT NULL, PRIMARY KEY (id, half))")
    database.close()
    return folder


def pairs_of(database: Database) -> set[int]:
    """The pairs that are there; fails when there is half of one, or when pairs and ledger differ."""
    with database.read() as tx:
        assert tx.rows("PRAGMA integrity_check") == [("ok",)]
        rows = tx.rows("SELECT id, count(*) FROM pair GROUP BY id")
    assert all(halves == 2 for _, halves in rows)
    report = Ledger(database, Path("/nonexistent")).verify()
    assert report.intact
    assert report.events == len(rows)
    return {number for number, _ in rows}


def add_pair(database: Database, number: int, size: int = 0) -> None:
    with database.write(SEAL) as tx:
        tx.execute("INSERT INTO pair (id, half) VALUES (?, 0)", (number,))
        tx.execute("INSERT INTO pair (id, half) VALUES (?, 1)", (number,))
        tx.note(f"pair/{number}", padding="x" * size)


@pytest.mark.parametrize("mode", ["kill", "power"])
def test_death_at_any_write_loses_nothing_acknowledged_and_shows_nothing_halved(
    mode: str, template: Path, tmp_path: Path
) -> None:
    program = Path(__file__).with_name("faulty.py")
    done = subprocess.run(
        [sys.executable, str(program), mode, str(template), str(tmp_path)], capture_output=True, text=True, timeout=100
    )
    assert done.returncode == 0, done.stderr
    deaths = [json.loads(line) for line in done.stdout.splitlines()]
    assert {death["call"] for death in deaths} >= {
        "write mainspring.db-wal",
        "sync mainspring.db-wal",
        "write mainspring.db",
    }
    for death in deaths:
        database = open_database(tmp_path / str(death["n"]))
        try:
            found = pairs_of(database)
            assert set(death["acknowledged"]) <= found, death
            add_pair(database, 100)
            assert pairs_of(database) == found | {100}
        finally:
            database.close()
    assert deaths[-1]["call"] == "end"
    assert len(deaths[-1]["acknowledged"]) == (18 if mode == "kill" else 17)


WITH_LIMIT = """
import resource, signal, sys
from pathlib import Path
from mainspring.kernel.errors import StorageFull
sys.path.insert(0, sys.argv[2])
from test_faults import add_pair, open_database, pairs_of

signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
database = open_database(Path(sys.argv[1]))
resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, resource.RLIM_INFINITY))
kept = set()
try:
    while True:
        add_pair(database, len(kept), size=2000)
        kept.add(len(kept))
except StorageFull as error:
    assert "no space left" in error.message
assert pairs_of(database) == kept
resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
add_pair(database, 1000)
assert pairs_of(database) == kept | {1000}
database.close()
print(len(kept))
"""


def test_a_file_that_may_not_grow_is_a_full_store_and_works_again_afterwards(template: Path, tmp_path: Path) -> None:
    folder = shutil.copytree(template, tmp_path / "store")
    done = subprocess.run(
        [sys.executable, "-c", WITH_LIMIT, str(folder), str(Path(__file__).parent)],
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) > 5


@contextmanager
def mounted(*arguments: str, at: Path):
    if shutil.which("mount") is None or os.geteuid() != 0:
        pytest.skip("mounting needs root")
    at.mkdir(exist_ok=True)
    if subprocess.run(["mount", *arguments, str(at)], capture_output=True).returncode:
        pytest.skip("mounting is not allowed here")
    try:
        yield at
    finally:
        subprocess.run(["umount", str(at)], check=True)


def test_a_full_disk_refuses_the_change_whole_and_works_again_when_there_is_space(
    template: Path, tmp_path: Path
) -> None:
    with mounted("-t", "tmpfs", "-o", "size=1m", "tmpfs", at=tmp_path / "small") as disk:
        shutil.copytree(template, disk, dirs_exist_ok=True)
        database = open_database(disk)
        try:
            add_pair(database, 1)
            (disk / "ballast").write_bytes(b"x" * (os.statvfs(disk).f_bavail * os.statvfs(disk).f_frsize - 40_000))
            kept = {1}
            with pytest.raises(StorageFull, match="no space left"):
                for number in range(2, 100):
                    add_pair(database, number, size=3000)
                    kept.add(number)
            assert pairs_of(database) == kept
            (disk / "ballast").unlink()
            add_pair(database, 100, size=3000)
            assert pairs_of(database) == kept | {100}
        finally:
            database.close()


def test_a_read_only_folder_is_named_as_such(template: Path, tmp_path: Path) -> None:
    folder = shutil.copytree(template, tmp_path / "store")
    with mounted("--bind", "-o", "ro", str(folder), at=tmp_path / "locked") as locked, pytest.raises(ReadOnlyStore):
        Store.open(locked).close()
    assert sorted(path.name for path in folder.iterdir()) == ["mainspring.db", "write.lock"]


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, list[tuple[object, ...]]]]:
    """A closed store with lineage in it, and all rows of all its tables."""
    folder = tmp_path_factory.mktemp("filled")
    with Store.open(folder) as store:
        with store.write("test.fill") as tx:
            for number in range(400):
                graph.add_artifact(
                    tx, "dataset", f"name-{number % 40}", digest=f"{number:064x}", metadata={"n": "x" * number}
                )
        everything = read_everything(store)
        assert verify_store(store).intact
    return folder, everything


def read_everything(store: Store) -> dict[str, list[tuple[object, ...]]]:
    with store.read() as tx:
        tables = [name for (name,) in tx.rows("SELECT name FROM sqlite_schema WHERE type = 'table'")]
        return {table: tx.rows(f'SELECT * FROM "{table}"') for table in tables}


@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
@given(where=st.floats(0, 1, exclude_max=True), bit=st.integers(0, 7))
def test_a_flipped_bit_is_damage_or_nothing_but_never_another_answer(
    where: float, bit: int, filled: tuple[Path, dict[str, list[tuple[object, ...]]]], tmp_path: Path
) -> None:
    check_flipped(filled, tmp_path, lambda size: int(where * size), bit)


@pytest.mark.parametrize(
    ("offset", "bit"), [*((each, each % 8) for each in range(100)), *((20, bit) for bit in range(8))]
)
def test_the_header_too(
    offset: int, bit: int, filled: tuple[Path, dict[str, list[tuple[object, ...]]]], tmp_path: Path
) -> None:
    check_flipped(filled, tmp_path, lambda size: offset, bit)


def check_flipped(filled, tmp_path, choose, bit) -> None:
    source, everything = filled
    folder = shutil.copytree(source, tmp_path / "store", dirs_exist_ok=True)
    file = folder / "mainspring.db"
    content = bytearray(file.read_bytes())
    offset = choose(len(content))
    content[offset] ^= 1 << bit
    file.write_bytes(content)
    try:
        with Store.open(folder) as store:
            unharmed = True
            try:
                assert read_everything(store) == everything
            except Damaged:
                unharmed = False
            report = verify_store(store)
            assert unharmed or not report.intact, (offset, bit)
    except Damaged as error:
        assert "damaged" in error.message


STOPS = """
import sys
sys.path.insert(0, sys.argv[2])
from pathlib import Path
import os, signal
from test_faults import SEAL, open_store_database
database = open_store_database(Path(sys.argv[1]))
with database.write(SEAL) as tx:
    tx.execute("INSERT INTO pair (id, half) VALUES (7, 0)")
    tx.execute("INSERT INTO pair (id, half) VALUES (7, 1)")
    print("writing", flush=True)
    os.kill(os.getpid(), signal.SIGSTOP)
database.close()
"""


def open_store_database(folder: Path, **options: object) -> Database:
    """The database of a store, wherever its settings say that it is."""
    from mainspring.kernel.settings import read_settings
    from mainspring.store.store import _engine

    return Database(_engine(folder, read_settings(folder).database), chain=Ledger.chain, **options)


@pytest.mark.parametrize("ending", [signal.SIGCONT, signal.SIGKILL])
def test_a_stopped_writer_makes_others_busy_and_not_stuck(
    ending: signal.Signals, store: Store, store_folder: Path
) -> None:
    with store.bookkeeping() as tx:
        tx.execute("CREATE TABLE pair (id BIGINT NOT NULL, half BIGINT NOT NULL, PRIMARY KEY (id, half))")
    stopped = subprocess.Popen(
        [sys.executable, "-c", STOPS, str(store_folder), str(Path(__file__).parent)], stdout=subprocess.PIPE, text=True
    )
    assert stopped.stdout is not None
    impatient = open_store_database(store_folder, busy_seconds=0.2)
    try:
        assert stopped.stdout.readline() == "writing\n"
        os.waitid(os.P_PID, stopped.pid, os.WSTOPPED | os.WNOWAIT)
        with pytest.raises(StoreBusy):
            add_pair(impatient, 1)
        with impatient.read() as tx:
            assert tx.value("SELECT count(*) FROM pair") == 0  # reading never waits for a writer
        stopped.send_signal(ending)
        patient = open_store_database(store_folder, busy_seconds=30)
        add_pair(patient, 2)
        with patient.read() as tx:
            found = {number for (number,) in tx.rows("SELECT id FROM pair")}
        assert found == ({2, 7} if ending == signal.SIGCONT else {2})
        patient.close()
    finally:
        stopped.kill()
        stopped.wait(10)
        stopped.stdout.close()
        impatient.close()


def test_a_clock_that_is_set_back_keeps_the_order_and_the_chain(store: Store) -> None:
    ids: list[str] = []

    def add() -> None:
        with store.write("test.add") as tx:
            ids.append(graph.add_artifact(tx, "dataset", "flights", digest=f"d{len(ids)}").id)

    for hours in (0, -1, -2, 1, -1):
        with clock.turned(timedelta(hours=hours)):
            for _ in range(3):
                add()
    assert ids == sorted(ids)
    with store.read() as tx:
        newest = tx.fetch(ARTIFACTS, "ORDER BY id DESC")
    assert [artifact.version for artifact in newest] == list(range(15, 0, -1))
    assert store.ledger.verify().intact
    assert [event.seq for event in store.ledger.events(limit=2)] == [15, 14]


def test_a_damaged_page_is_named_by_the_verification(
    filled: tuple[Path, dict[str, list[tuple[object, ...]]]], tmp_path: Path
) -> None:
    folder = shutil.copytree(filled[0], tmp_path / "store")
    content = bytearray((folder / "mainspring.db").read_bytes())
    content[content.index(b"x" * 300)] ^= 1  # of an artifact's metadata
    (folder / "mainspring.db").write_bytes(content)
    with connect(folder) as client:
        with pytest.raises(Damaged, match="damaged"):
            client.lineage.artifacts(limit=1000)
        report = client.storage.verify()
    assert not report.intact
    assert "damaged" in report.database[0]
