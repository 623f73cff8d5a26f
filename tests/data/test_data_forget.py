"""Forgetting: what is found, what is left, and that nothing of it can be read from any byte that is kept."""

from __future__ import annotations

import random
import uuid
from pathlib import Path

import polars as pl
import pytest

from mainspring.client import connect
from mainspring.data.deletions import KeepRule
from mainspring.data.forgetting import Condition
from mainspring.kernel.errors import Conflict, InvalidInput, NotFound
from mainspring.store.collect import Collection
from mainspring.store.erasing import erase
from mainspring.store.packs import read_directory

pytestmark = pytest.mark.databases("sqlite")
both_databases = pytest.mark.databases("sqlite", "postgres")

SECRET = "ada.lovelace@example.org"
OTHER = "grace.hopper@example.org"


@pytest.fixture(autouse=True)
def own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


def people(*rows):
    return pl.DataFrame({"id": [row[0] for row in rows], "mail": [row[1] for row in rows]})


def everything(folder):
    """Every byte below a folder as plain as it gets: objects of packs one by one, Parquet as its rows."""
    for path in sorted(each for each in Path(folder).rglob("*") if each.is_file()):
        data = path.read_bytes()
        yield path, data
        if data.endswith(b"MSPACK01"):
            for entry in read_directory(lambda start, length, data=data: data[start : start + length], len(data)):
                yield path, data[entry.position : entry.position + entry.stored]


def holds(folder, value):
    """The objects below a folder in which a value can be found."""
    found = []
    for path, data in everything(folder):
        plain = data
        if data[:4] == b"PAR1" and data[-4:] == b"PAR1":
            plain = str(pl.read_parquet(data).rows()).encode()
        if value.encode() in plain:
            found.append(path)
    return found


def test_what_was_forgotten_is_refused_in_a_folder_that_was_there_before_too(client, tmp_path):
    """Its folder was known to be whole; a commit that names it looks below it again."""
    (tmp_path / "files" / "deep").mkdir(parents=True)
    people((1, OTHER), (2, SECRET)).write_csv(tmp_path / "files" / "deep" / "people.csv")
    (tmp_path / "files" / "other.txt").write_text("other")
    client.data.commit("files", tmp_path / "files")
    assert client.data.forget(f"mail = '{SECRET}'", reason="asked", dry_run=False).left == []
    (tmp_path / "files" / "more.txt").write_text("more")
    with pytest.raises(Conflict, match="forgotten"):
        client.data.commit("files", tmp_path / "files")
    client.data.checkout("files", into=tmp_path / "out")
    assert SECRET not in (tmp_path / "out" / "deep" / "people.csv").read_text()


@pytest.mark.parametrize("size", [10, 6_000_000])
def test_what_is_referred_to_while_it_is_erased_stays(client, store, tmp_path, monkeypatch, size):
    """Whoever commits it between the look at what is referred to and the removal, in another workspace or for good."""
    content = random.Random(size).randbytes(size)
    digest = store.blobs.put_stream([content])[0]
    (tmp_path / "same").write_bytes(content)
    real = Collection.mark

    def mark(self, **kwargs):
        marks = real(self, **kwargs)
        client.data.commit("same", tmp_path / "same")
        return marks

    monkeypatch.setattr(Collection, "mark", mark)
    erase(store, [digest])
    monkeypatch.undo()
    client.data.checkout("same", into=tmp_path / "out")
    assert (tmp_path / "out" / "same").read_bytes() == content
    assert client.storage.verify().intact


def test_a_person_is_found_in_every_version_and_goes_from_every_byte(client, store_folder, tmp_path):
    data = client.data
    data.commit("people", people((1, OTHER), (2, SECRET), (3, OTHER)), message="first")
    data.commit("people", people((1, OTHER), (2, SECRET), (3, OTHER), (4, SECRET)), message="second")
    data.commit("people", people((1, OTHER)), message="third")
    (tmp_path / "logs").mkdir()
    (tmp_path / "logs" / "a.csv").write_text(f'id,mail,note\n1,{OTHER},"two\nlines, 3,50"\n2,{SECRET},x\n')
    (tmp_path / "logs" / "b.csv").write_text(f"id,mail,note\n5,{OTHER},y\n")
    (tmp_path / "logs" / "c.ndjson").write_text(
        f'{{"mail": "{SECRET}", "n": 1.50}}\n{{"mail": "{OTHER}", "n": 2.50}}\n'
    )
    data.commit("logs", tmp_path / "logs")
    data.set_alias("people", alias="clean", version=2)
    where = f"mail = '{SECRET}'"
    assert holds(store_folder, SECRET), "the test sees what is there"

    found = data.forget(where)
    assert not found.applied
    assert {hit.ref: hit.rows for hit in found.hits} == {
        "dataset/people@1": 1,
        "dataset/people@2": 2,
        "dataset/logs@1": 2,
    }
    assert found.unsearched == []
    assert data.describe("people@1").rows == 3

    before = data.describe("people@1")
    done = data.forget(where, reason="asked on 3 May", dry_run=False)
    assert done.applied
    assert done.left == []
    assert done.removed > 0
    assert data.load("people@1")["id"].to_list() == [1, 3]
    assert data.load("people@clean")["id"].to_list() == [1, 3]
    assert data.load("people@3")["id"].to_list() == [1]
    after = data.describe("people@1")
    assert (after.id, after.version, after.message, after.rows) == (before.id, 1, "first", 2)
    assert after.digest != before.digest
    assert data.file("logs", path="a.csv").read_bytes() == f'id,mail,note\n1,{OTHER},"two\nlines, 3,50"\n'.encode()
    assert data.file("logs", path="b.csv").read_bytes() == (tmp_path / "logs" / "b.csv").read_bytes()
    assert data.file("logs", path="c.ndjson").read_bytes() == f'{{"mail": "{OTHER}", "n": 2.50}}\n'.encode()

    assert holds(store_folder, SECRET) == []
    assert client.storage.verify().intact
    assert data.forget(where).hits == []
    tombstone = data.erasures("people@1")
    assert [(each.before, each.after, each.rows) for each in tombstone] == [(before.digest, after.digest, 1)]
    told = str(client.storage.events(limit=100))
    assert "asked on 3 May" in told
    assert before.digest in told
    assert SECRET not in told


@both_databases
def test_it_is_the_same_over_http_and_on_every_database(any_client):
    data = any_client.data
    data.commit("people", people((1, OTHER), (2, SECRET)))
    done = data.forget("id = 2", reason="asked", dry_run=False)
    assert [hit.rows for hit in done.hits] == [1]
    assert data.load("people")["id"].to_list() == [1]
    assert data.commit("people", people((1, OTHER))).version in (1, 2)


def test_what_was_forgotten_does_not_come_back(client, tmp_path):
    data = client.data
    frame = people((1, OTHER), (2, SECRET))
    data.commit("people", frame)
    data.forget("id = 2", reason="asked", dry_run=False)
    with pytest.raises(Conflict, match="forgotten"):
        data.commit("people", frame)
    with pytest.raises(Conflict, match="forgotten"):
        data.commit("copy", frame)


def test_files_are_forgotten_by_their_paths(client, store_folder, tmp_path):
    data = client.data
    faces = tmp_path / "faces"
    faces.mkdir()
    (faces / "42.png").write_bytes(b"PNG" + SECRET.encode())
    (faces / "43.png").write_bytes(b"PNG" + OTHER.encode())
    large = bytearray(5_000_000)
    large[2_500_000 : 2_500_000 + len(SECRET)] = SECRET.encode()
    (faces / "42.raw").write_bytes(large)
    data.commit("faces", faces)
    (faces / "44.png").write_bytes(b"PNG 44")
    data.commit("faces", faces)
    data.commit("alone", [faces / "42.png"])
    done = data.forget("path LIKE '42.%'", reason="asked", dry_run=False)
    assert sorted(hit.ref for hit in done.hits) == ["dataset/alone@1", "dataset/faces@1", "dataset/faces@2"]
    assert [file.path for file in data.files("faces@2")] == ["43.png", "44.png"]
    assert holds(store_folder, SECRET) == []
    with pytest.raises(NotFound):
        data.checkout("alone@1", into=tmp_path / "out")


def test_columns_of_folders_count(client, tmp_path):
    top = tmp_path / "parts"
    for year in (2023, 2024):
        (top / f"year={year}").mkdir(parents=True)
        people((1, OTHER), (2, SECRET)).write_parquet(top / f"year={year}" / "part.parquet")
    client.data.commit("parts", top)
    done = client.data.forget("year = 2024 AND id = 2", reason="asked", dry_run=False)
    assert [hit.rows for hit in done.hits] == [1]
    assert client.data.load("parts").sort("year", "id").select("year", "id").rows() == [(2023, 1), (2023, 2), (2024, 1)]


def test_equal_files_are_read_once(client):
    frame = people((1, OTHER), (2, SECRET))
    client.data.commit("a", frame)
    client.data.commit("a", frame, new_version=True)
    client.data.commit("b", frame)
    found = client.data.forget("id = 2")
    assert (len(found.hits), found.scanned) == (3, 1)


def test_null_is_not_meant_and_other_tables_are_passed_over(client):
    client.data.commit("people", pl.DataFrame({"id": [1, None, 2]}))
    client.data.commit("towns", pl.DataFrame({"town": ["Ulm"]}))
    client.data.forget("id = 2", reason="asked", dry_run=False)
    assert client.data.load("people")["id"].to_list() == [1, None]
    assert client.data.load("towns")["town"].to_list() == ["Ulm"]


def test_what_cannot_be_searched_is_named(client):
    client.data.commit("people", pl.DataFrame({"id": ["x", "y"]}))
    client.data.commit("good", pl.DataFrame({"id": [42, 43]}))
    found = client.data.forget("id = 42")
    assert [hit.ref for hit in found.hits] == ["dataset/good@1"]
    assert len(found.unsearched) == 1
    assert found.unsearched[0].startswith("dataset/people@1: data.parquet")


def test_models_that_the_rows_reached_are_named(client):
    from mainspring.lineage import graph

    store = client.backend.store
    version = client.data.commit("people", people((1, OTHER), (2, SECRET)))
    other = client.data.commit("towns", pl.DataFrame({"town": ["Ulm"]}))
    with store.write("test") as tx:
        run = graph.start_run(tx, "training", "fit")
        graph.use(tx, run.id, version.id)
        model = graph.add_artifact(tx, "model", "fraud", digest="a" * 64, run_id=run.id)
        later = graph.start_run(tx, "evaluation", "judge")
        graph.use(tx, later.id, model.id)
        graph.add_artifact(tx, "report", "fraud", digest="b" * 64, run_id=later.id)
        clean = graph.start_run(tx, "training", "fit")
        graph.use(tx, clean.id, other.id)
        graph.add_artifact(tx, "model", "towns", digest="c" * 64, run_id=clean.id)
    reached = [each for each in client.data.forget("id = 2").reached if each.kind != "profile"]
    assert [(each.kind, each.ref) for each in reached] == [("model", "model/fraud@1"), ("report", "report/fraud@1")]
    assert reached[1].path == [
        "dataset/people@1", "training run fit", "model/fraud@1", "evaluation run judge", "report/fraud@1",
    ]  # fmt: skip


@pytest.mark.parametrize("where", ["", "  ", "id =", "1 = 1", "DROP TABLE people", "id = 2; DELETE"])
def test_what_is_no_condition_is_refused(where):
    with pytest.raises(InvalidInput):
        Condition(where)


def test_a_reason_is_asked_for(client):
    client.data.commit("people", people((1, OTHER)))
    with pytest.raises(InvalidInput, match="reason"):
        client.data.forget("id = 1", dry_run=False)


def test_deleted_versions_are_searched_too(client, store_folder):
    client.data.commit("people", people((1, OTHER), (2, SECRET)))
    client.data.commit("people", people((1, OTHER)))
    client.data.delete("people@1")
    done = client.data.forget("id = 2", reason="asked", dry_run=False)
    assert [hit.ref for hit in done.hits] == ["dataset/people@1"]
    assert holds(store_folder, SECRET) == []
    assert client.data.restore("people", version=1).rows == 1


def test_a_forgetting_that_was_cut_off_is_finished(client, store_folder, monkeypatch):
    from mainspring.data import service_forget

    client.data.commit("people", people((1, OTHER), (2, SECRET)))
    monkeypatch.setattr(service_forget, "erase", lambda store, digests: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        client.data.forget("id = 2", reason="asked", dry_run=False)
    monkeypatch.undo()
    assert client.data.load("people")["id"].to_list() == [1]
    assert client.data.finish_forgetting() > 0
    client.data.cache().remove([path.name for path in (store_folder / "cache" / "blobs").glob("*/*")])
    assert holds(store_folder, SECRET) == []
    assert client.data.finish_forgetting() == 0


def test_a_bucket_forgets_too(client, tmp_path):
    data, remote = client.data, tmp_path / "remote"
    data.add_remote("origin", url=str(remote))
    data.commit("people", people((1, OTHER), (2, SECRET)))
    data.commit("people", people((1, OTHER), (3, SECRET)))
    big = tmp_path / "big"
    big.mkdir()
    (big / "42").write_bytes(SECRET.encode() * 200_000)
    (big / "43").write_bytes(OTHER.encode())
    data.commit("big", big)
    data.push()
    with connect(tmp_path / "other") as other:
        other.data.commit("theirs", people((7, OTHER)))
        other.data.push("theirs", str(remote))
    assert holds(remote, SECRET)
    done = data.forget(f"mail = '{SECRET}'", reason="asked", dry_run=False)
    assert [(each.remote, sorted(each.versions), each.failed) for each in done.remotes] == [
        ("origin", ["dataset/people@1", "dataset/people@2"], "")
    ]
    assert done.remotes[0].unsearched == ["dataset/theirs@1"]
    done = data.forget("path = '42'", reason="asked", dry_run=False)
    assert done.remotes[0].versions == ["dataset/big@1"]
    assert holds(remote, SECRET) == []
    with connect(tmp_path / "fresh") as fresh:
        fresh.data.pull("", str(remote))
        assert fresh.data.load("people@1")["id"].to_list() == [1]
        assert fresh.data.load("people@2")["id"].to_list() == [1]
        assert fresh.data.load("theirs")["id"].to_list() == [7]
        assert fresh.data.describe("people@1").digest == data.describe("people@1").digest


def test_another_mainspring_forgets_too(client, tmp_path):
    from tests.conftest import serve

    with serve(tmp_path / "served") as url:
        client.data.add_remote("origin", url=url)
        client.data.commit("people", people((1, OTHER), (2, SECRET)))
        client.data.push()
        done = client.data.forget("id = 2", reason="asked", dry_run=False)
        assert done.remotes[0].versions == ["dataset/people@1"], done.remotes
        with connect(url) as there:
            assert there.data.load("people")["id"].to_list() == [1]
    assert holds(tmp_path / "served", SECRET) == []


def test_a_remote_that_cannot_be_reached_is_named(client, tmp_path):
    client.data.add_remote("gone", url=f"http://127.0.0.1:9/{uuid.uuid4().hex}")
    client.data.commit("people", people((1, OTHER), (2, SECRET)))
    done = client.data.forget("id = 2", reason="asked", dry_run=False)
    assert done.applied
    assert done.remotes[0].failed


@both_databases
def test_versions_are_deleted_and_restored(client):
    data = client.data
    for number in range(3):
        data.commit("numbers", pl.DataFrame({"n": [number]}))
    data.set_alias("numbers", alias="best", version=3)
    data.delete("numbers@3")
    assert data.describe("numbers").version == 2
    assert [version.version for version in data.versions("numbers")] == [2, 1]
    assert [version.version for version in data.datasets()] == [2]
    assert data.aliases("numbers") == {}
    with pytest.raises(NotFound, match="deleted"):
        data.load("numbers@3")
    assert [each.version for each in data.deleted()] == [3]
    data.restore("numbers", version=3)
    assert data.load("numbers@best")["n"].to_list() == [2]
    with pytest.raises(NotFound):
        data.restore("numbers", version=3)


@both_databases
def test_what_was_deleted_goes_after_the_time_to_undo_it(client, monkeypatch):
    data, store = client.data, client.backend.store
    data.commit("numbers", pl.DataFrame({"n": [1]}))
    data.commit("numbers", pl.DataFrame({"n": [2]}))
    digest = data.files("numbers@1")[0].digest
    data.delete("numbers@1")
    client.storage.collect_garbage(grace_days=0, hold_hours=0)
    assert store.blobs.exists(digest), "it can still be restored"
    with store.write("test") as tx:
        tx.execute("UPDATE dataset_deletion SET at = 1")
    report = client.storage.collect_garbage(grace_days=0, hold_hours=0)
    assert report.expired == 1
    assert not store.blobs.exists(digest)
    assert data.load("numbers@2")["n"].to_list() == [2]
    with pytest.raises(Conflict, match="given up"):
        data.restore("numbers", version=1)
    again = data.commit("numbers", pl.DataFrame({"n": [1]}))
    assert data.load(again.ref)["n"].to_list() == [1], "the same content can be committed again"


@both_databases
def test_rules_keep_what_they_say(client):
    data = client.data
    for number in range(6):
        data.commit("numbers", pl.DataFrame({"n": [number]}))
    data.set_alias("numbers", alias="best", version=1)
    data.commit("other", pl.DataFrame({"n": [9]}), uses=["numbers@2"])
    data.tag("numbers@4", tags={"used": "in the paper"})
    with pytest.raises(InvalidInput):
        data.retain("numbers")
    rule = KeepRule(last=2)
    assert [each.version for each in data.retain("numbers", rule=rule, dry_run=True)] == [3]
    data.set_retention("", rule=rule)
    assert data.retention("numbers") == rule
    data.set_retention("numbers", rule=KeepRule(last=3))
    assert [each.version for each in data.retain("numbers")] == [3]
    data.set_retention("numbers", rule=KeepRule(last=1, days=1.0))
    assert data.retain("numbers") == []
    assert [each.version for each in data.versions("numbers")] == [6, 5, 4, 2, 1]
    with pytest.raises(InvalidInput):
        data.set_retention("numbers", rule=KeepRule(last=0))
