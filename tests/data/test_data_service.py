"""The data room through its public door: in this process and over HTTP, on SQLite and on PostgreSQL."""

from __future__ import annotations

import random
import threading

import polars as pl
import pytest

from mainspring.data import trees
from mainspring.data.bundle import bundle
from mainspring.data.intake import Intake
from mainspring.data.trees import Entry, Tree, build
from mainspring.kernel.errors import Conflict, Damaged, InvalidInput, InvalidName, NotFound, UnsupportedFormat
from mainspring.kernel.hashing import digest_bytes
from mainspring.lineage.types import File

FRAME = pl.DataFrame({"id": [1, 2, 3], "city": ["Ulm", "Bonn", None], "size": [1.5, float("nan"), None]})
CHANGED = pl.DataFrame({"id": [1, 3, 4], "city": ["Ulm", "Köln", "Trier"], "size": [1.5, None, 2.0]})
LARGE = random.Random(5).randbytes(5_000_000)


# The SQL of this room is small; it meets PostgreSQL in the tests that say so.
pytestmark = pytest.mark.databases("sqlite")
both_databases = pytest.mark.databases("sqlite", "postgres")


@pytest.fixture(autouse=True)
def own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


@pytest.fixture
def data(any_client):
    return any_client.data


@pytest.fixture
def folder(tmp_path):
    made = tmp_path / "folder"
    (made / "deep" / "er").mkdir(parents=True)
    (made / "a.txt").write_bytes(b"text")
    (made / "deep" / "large.bin").write_bytes(LARGE)
    (made / "deep" / "er" / "empty").write_bytes(b"")
    for number in range(30):
        (made / "deep" / f"{number}.txt").write_bytes(f"file {number}".encode())
    return made


def tree(folder):
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_a_frame_comes_back(data):
    version = data.commit("cities", FRAME, message="as received", metadata={"source": "town hall"})
    assert (version.ref, version.rows, version.files) == ("dataset/cities@1", 3, 1)
    assert version.schema == {"id": "Int64", "city": "String", "size": "Float64"}
    assert (version.message, version.metadata, version.origin) == ("as received", {"source": "town hall"}, "frame")
    assert data.describe("cities") == data.describe("dataset/cities@v1") == data.describe(version.id) == version
    assert data.load("cities").equals(FRAME)
    assert data.load("cities", columns=["id"]).columns == ["id"]
    assert data.scan("cities@1").filter(pl.col("id") > 1).collect().height == 2


@both_databases
def test_a_folder_comes_back(data, folder, tmp_path):
    calls = []
    version = data.commit("files", folder, progress=lambda done, total: calls.append((done, total)))
    size = sum(map(len, tree(folder).values()))
    assert (version.files, version.size, version.rows, version.schema) == (33, size, None, {})
    assert version.origin == str(folder)
    assert calls[-1] == (size, size)
    assert [done for done, _ in calls] == sorted(done for done, _ in calls)
    assert {file.path: (file.size, file.digest) for file in data.files("files")} == {
        path: (len(content), digest_bytes(content)) for path, content in tree(folder).items()
    }
    written = data.checkout("files", into=tmp_path / "out")
    assert tree(tmp_path / "out") == tree(folder)
    assert len(written) == 33
    assert data.checkout("files", into=tmp_path / "out") == [], "what is there already is left"
    with pytest.raises(InvalidInput, match="one table"):
        data.load("files")


def test_the_same_content_is_the_same_version(data, folder):
    first = data.commit("files", folder)
    assert data.commit("files", folder, message="again") == first
    (folder / "a.txt").write_bytes(b"other")
    assert data.commit("files", folder).version == 2
    (folder / "a.txt").write_bytes(b"text")
    assert data.commit("files", folder) == first, "going back gives the version that there was"
    again = data.commit("files", folder, new_version=True)
    assert (again.version, again.digest) == (3, first.digest)
    assert data.commit("elsewhere", folder).digest == first.digest


def test_nothing_is_sent_twice(data, folder, monkeypatch):
    data.commit("files", folder)
    sent = []

    def noted(self, digest, content):
        sent.append(content)
        small(self, digest, content)

    small = Intake.small
    monkeypatch.setattr(Intake, "small", noted)
    monkeypatch.setattr("mainspring.store.service.Storage.put_blob", lambda *_: pytest.fail("a large file was sent"))
    (folder / "b.txt").write_bytes(b"new")
    data.commit("files", folder)
    assert len(set(sent)) == 2, "the file and the folder that it is in"
    assert sent[0] == b"new"


def test_one_file_can_be_had_alone(data, folder):
    data.commit("files", folder)
    assert data.file("files@1", path="deep/large.bin").read_bytes() == LARGE
    assert data.file("files", path="deep/7.txt").read_bytes() == b"file 7"
    with pytest.raises(NotFound) as caught:
        data.file("files", path="deep/77.txt")
    assert "deep/7.txt" in caught.value.known


def test_several_paths_are_named_below_their_common_folder(data, folder):
    data.commit("some", [folder / "a.txt", folder / "deep" / "1.txt", folder / "deep" / "er"])
    assert [file.path for file in data.files("some")] == ["a.txt", "deep/1.txt", "deep/er/empty"]
    data.commit("one", folder / "deep" / "1.txt")
    assert [file.path for file in data.files("one")] == ["1.txt"]


@pytest.mark.parametrize(
    ("name", "write"),
    [
        ("t.parquet", pl.DataFrame.write_parquet),
        ("t.csv", pl.DataFrame.write_csv),
        ("t.tsv", lambda frame, path: frame.write_csv(path, separator="\t")),
        ("t.ndjson", pl.DataFrame.write_ndjson),
        ("t.arrow", pl.DataFrame.write_ipc),
    ],
)
def test_every_tabular_file_is_a_table(client, tmp_path, name, write):
    frame = pl.DataFrame({"id": [1, 2], "name": ["a", "b"]})
    write(frame, tmp_path / name)
    version = client.data.commit("table", tmp_path / name)
    assert (version.rows, version.schema) == (2, {"id": "Int64", "name": "String"})
    assert client.data.load("table").equals(frame)


def test_parts_are_one_table_in_the_order_of_their_paths(client, tmp_path):
    (tmp_path / "parts").mkdir()
    for number in range(3):
        pl.DataFrame({"n": [number, number + 10]}).write_parquet(tmp_path / "parts" / f"{number}.parquet")
    version = client.data.commit("parts", tmp_path / "parts")
    assert version.rows == 6
    assert client.data.load("parts")["n"].to_list() == [0, 10, 1, 11, 2, 12]
    assert client.data.load("parts", path="1.parquet")["n"].to_list() == [1, 11]
    with pytest.raises(NotFound) as caught:
        client.data.load("parts", path="7.parquet")
    assert "1.parquet" in caught.value.known


def test_folders_in_the_manner_of_hive_are_columns(client, tmp_path):
    for year, city in ((2019, "ulm"), (2020, "bonn")):
        part = tmp_path / "parts" / f"year={year}" / f"city={city}"
        part.mkdir(parents=True)
        pl.DataFrame({"n": [year * 10]}).write_parquet(part / "part.parquet")
    version = client.data.commit("parts", tmp_path / "parts")
    assert version.schema == {"n": "Int64", "year": "Int64", "city": "String"}
    assert client.data.load("parts").rows() == [(20190, 2019, "ulm"), (20200, 2020, "bonn")]


def test_a_dataset_with_slashes_in_its_name_is_a_source(client):
    client.data.commit("team/raw", FRAME)
    client.data.commit("team/clean", CHANGED, uses=["team/raw"])
    assert client.data.log("team/clean")[0].uses == ["dataset/team/raw@1"]
    client.data.commit("again", CHANGED, uses=["dataset/team/raw@1", "team/clean@1"])
    assert client.data.log("again")[0].uses == ["dataset/team/clean@1", "dataset/team/raw@1"]


def test_tables_of_different_columns_are_files(client, tmp_path):
    (tmp_path / "both").mkdir()
    pl.DataFrame({"a": [1]}).write_parquet(tmp_path / "both" / "a.parquet")
    pl.DataFrame({"b": ["x"]}).write_parquet(tmp_path / "both" / "b.parquet")
    version = client.data.commit("both", tmp_path / "both")
    assert (version.rows, version.schema) == (None, {})
    assert client.data.load("both", path="b.parquet")["b"].to_list() == ["x"]


def test_a_broken_parquet_file_is_refused_by_name(client, tmp_path):
    (tmp_path / "parts").mkdir()
    pl.DataFrame({"a": [1]}).write_parquet(tmp_path / "parts" / "good.parquet")
    whole = (tmp_path / "parts" / "good.parquet").read_bytes()
    (tmp_path / "parts" / "torn.parquet").write_bytes(whole[:-20])
    with pytest.raises(UnsupportedFormat, match=r"torn\.parquet"):
        client.data.commit("parts", tmp_path / "parts")
    assert client.data.datasets() == []


def test_text_that_is_called_csv_may_be_anything(client, tmp_path):
    (tmp_path / "x.csv").write_bytes(b'\xff\xfe\x00not a table\n"')
    version = client.data.commit("odd", tmp_path / "x.csv")
    assert version.files == 1


@both_databases
def test_the_log_says_who_why_and_from_what(data):
    data.commit("raw", FRAME, message="first")
    data.commit("raw", CHANGED, message="second", uses=["raw@1"])
    data.commit("clean", FRAME.drop_nulls(), message="no nulls", uses=["raw", "dataset/raw@1"])
    data.set_alias("raw", alias="accepted", version=1)
    newest, oldest = data.log("raw")
    assert (newest.version.message, newest.uses, newest.aliases) == ("second", ["dataset/raw@1"], [])
    assert (oldest.version.message, oldest.uses, oldest.aliases) == ("first", [], ["accepted"])
    assert data.log("clean")[0].uses == ["dataset/raw@1", "dataset/raw@2"]
    assert [entry.version.version for entry in data.log("raw", before=2)] == [1]
    assert [version.version for version in data.versions("raw", limit=1)] == [2]
    assert [version.ref for version in data.datasets()] == ["dataset/clean@1", "dataset/raw@2"]


@both_databases
def test_aliases_move_and_go(data):
    data.commit("raw", FRAME)
    data.commit("raw", CHANGED)
    assert data.set_alias("raw", alias="good", version=1) == {"good": 1}
    assert data.load("raw@good").equals(FRAME)
    assert data.set_alias("raw", alias="good", version=2) == {"good": 2}
    assert data.aliases("raw") == {"good": 2}
    assert data.remove_alias("raw", alias="good") == {}
    with pytest.raises(NotFound):
        data.load("raw@good")


def test_a_commit_is_a_run_in_the_lineage(any_client):
    raw = any_client.data.commit("raw", FRAME)
    clean = any_client.data.commit("clean", CHANGED, uses=["raw"], message="because")
    graph = any_client.lineage.why(clean.ref)
    assert [(node.kind, node.name) for node in graph.nodes] == [
        ("dataset", "clean"),
        ("commit", "clean"),
        ("dataset", "raw"),
        ("commit", "raw"),
    ]
    run = any_client.lineage.run(clean.run_id)
    assert (run.kind, run.status, run.metadata["message"]) == ("commit", "finished", "because")
    assert [node.id for node in any_client.lineage.impact(raw.ref).of_kind("dataset")] == [raw.id, clean.id]


def test_a_run_may_make_a_version_itself(client):
    from mainspring.lineage import graph

    raw = client.data.commit("raw", FRAME)
    with client.backend.store.write("test.start") as tx:
        run = graph.start_run(tx, "step", "cleaning")
    made = client.data.commit("clean", CHANGED, uses=["raw"], run_id=run.id)
    assert made.run_id == run.id
    assert {node.id for node in client.lineage.why(made.ref).nodes} >= {made.id, run.id, raw.id}
    with client.backend.store.write("test.start") as tx:
        second = graph.start_run(tx, "step", "cleaning")
    assert client.data.commit("clean", CHANGED, run_id=second.id).id == made.id
    assert second.id in {node.id for node in client.lineage.why(made.ref).nodes}, "the second made the same content"


def test_differences_at_three_depths(data):
    data.commit("cities", FRAME)
    data.commit("cities", CHANGED.with_columns(code=pl.lit(7)))
    files = data.diff("cities@1", "cities@2", depth="files")
    assert [file.path for file, _ in files.files.modified] == ["data.parquet"]
    assert (files.schema, files.rows, files.same) == (None, None, False)
    schema = data.diff("cities@1", "cities@2", depth="schema")
    assert schema.schema.added == {"code": "Int32"}
    assert schema.rows is None
    rows = data.diff("cities@1", "cities@2", key=["id"]).rows
    assert (rows.added, rows.removed, rows.changed, rows.unchanged) == (1, 1, 1, 1)
    assert rows.changed_sample == [{"key": {"id": 3}, "before": {"city": None}, "after": {"city": "Köln"}}]
    assert rows.added_sample == [{"id": 4, "city": "Trier", "size": 2.0}]
    assert rows.changed_columns == {"city": 1}
    multiset = data.diff("cities@1", "cities@2").rows
    assert (multiset.added, multiset.removed, multiset.unchanged) == (2, 2, 1)
    assert data.diff("cities@1", "cities@1").same


def test_only_files_that_differ_are_read_for_a_difference_of_rows(client, tmp_path, monkeypatch):
    monkeypatch.setenv("MAINSPRING_PROFILE_ROWS", "0")  # a profile would have brought them here
    (tmp_path / "parts").mkdir()
    for number in range(4):
        pl.DataFrame({"n": [number]}).write_parquet(tmp_path / "parts" / f"{number}.parquet")
    client.data.commit("parts", tmp_path / "parts")
    (tmp_path / "parts" / "0.parquet").rename(tmp_path / "parts" / "9.parquet")
    pl.DataFrame({"n": [70]}).write_parquet(tmp_path / "parts" / "2.parquet")
    client.data.commit("parts", tmp_path / "parts")
    fetched = []
    real = type(client.data).fetch
    watched = lambda self, digests: fetched.extend(digests) or real(self, digests)  # noqa: E731
    monkeypatch.setattr(type(client.data), "fetch", watched)
    diff = client.data.diff("parts@1", "parts@2")
    assert diff.files.renamed == [("0.parquet", "9.parquet")]
    assert (diff.rows.added, diff.rows.removed, diff.rows.unchanged) == (1, 1, 3)
    assert len(fetched) == 2


def test_a_version_is_refused_until_its_bytes_are_there(data):
    absent = File(path="x", size=3, digest=digest_bytes(b"abc"))
    with pytest.raises(Conflict, match="not in the store"):
        data.record("raw", tree=stored(data, build([absent])).root)
    assert data.datasets() == []


@pytest.mark.parametrize("name", ["..", "a/b", "", "a\\b", "e\u0301"])
def test_a_folder_with_a_name_that_cannot_be_changes_nothing(client, name):
    data = client.data
    data.commit("other", FRAME)
    known = data.files("other")[0]
    top, nodes = trees.folder([Entry(name, known.size, known.digest)])
    with pytest.raises(InvalidInput):
        data.record("raw", tree=stored(data, Tree(top.digest, 1, known.size, nodes)).root)
    assert [version.name for version in data.datasets()] == ["other"]


def test_a_folder_that_lies_about_what_is_in_it_changes_nothing(client):
    data = client.data
    data.commit("other", FRAME)
    known = data.files("other")[0]
    with pytest.raises(InvalidInput, match="bytes"):
        data.record("raw", tree=stored(data, build([File("x", known.size + 1, known.digest)])).root)
    inner, nodes = trees.folder([Entry("x", known.size, known.digest)])
    top, more = trees.folder([Entry("folder", known.size, inner.digest, 7)])
    with pytest.raises(InvalidInput, match="parent"):
        data.record("raw", tree=stored(data, Tree(top.digest, 7, known.size, nodes | more)).root)
    with pytest.raises(InvalidInput, match="digest"):
        data.record("raw", tree="x")
    with pytest.raises(Damaged):
        data.record("raw", tree=known.digest)
    assert [version.name for version in data.datasets()] == ["other"]


def below(data, entry, nodes, name="a"):
    """A folder that holds a folder, stored."""
    top, made = trees.folder([Entry(name, entry.size, entry.digest, entry.files)])
    return top, stored(data, Tree(top.digest, top.files, top.size, nodes | made)).nodes


def test_folders_inside_folders_end_where_paths_do_though_each_was_recorded_for_itself(client):
    data = client.data
    data.commit("other", FRAME)
    known = data.files("other")[0]
    top, nodes = trees.folder([Entry("x", known.size, known.digest)])
    stored(data, Tree(top.digest, 1, known.size, nodes))
    data.record("deep", tree=top.digest)
    for _ in range(4):
        top, nodes = below(data, top, {}, "a" * 230)
        try:
            data.record("deep", tree=top.digest)
        except InvalidInput as refused:
            assert "deep" in refused.message
            break
    else:
        top, nodes = below(data, top, {}, "b" * 90)
        with pytest.raises(InvalidInput, match="too deep"):
            data.record("deep", tree=top.digest)
    cut, parts = trees.folder([Entry("x", known.size, known.digest)])
    made = dict(parts)
    for _ in range(600):  # parts of parts have no path, and end as well
        node = trees._encode(2, [Entry("x", cut.size, cut.digest, 1)])
        cut = Entry("", cut.size, digest_bytes(node), 1)
        made[cut.digest] = node
    with pytest.raises(InvalidInput, match="too deep"):
        data.record("cut", tree=stored(data, Tree(cut.digest, 1, cut.size, made)).root)


def test_folders_that_name_each_other_many_times_are_bounded(client):
    data = client.data
    data.commit("other", FRAME)
    known = data.files("other")[0]
    top, made = trees.folder([Entry("x", known.size, known.digest)])
    for depth in range(40):
        top, more = trees.folder([Entry(name, top.size, top.digest, top.files) for name in "ab"])
        made |= more
        if depth == 24:
            data.record("many", tree=stored(data, Tree(top.digest, top.files, top.size, made)).root)
    with pytest.raises(InvalidInput, match="too many files"):
        data.record("bomb", tree=stored(data, Tree(top.digest, top.files, top.size, made)).root)
    with pytest.raises(InvalidInput, match="one list"):
        data.files("many")


def test_a_name_that_only_says_where_a_part_begins_is_never_that_of_a_file(client):
    data = client.data
    data.commit("other", FRAME)
    known = data.files("other")[0]
    inner, made = trees.folder([Entry("x", known.size, known.digest)])
    node = trees._encode(2, [Entry("../../x", inner.size, inner.digest, 1)])
    parted = Entry("a", inner.size, digest_bytes(node), 1)
    top = trees._encode(2, [parted, Entry("y", inner.size, inner.digest, 1)])
    made |= {parted.digest: node, digest_bytes(top): top}
    with pytest.raises(InvalidInput, match="name"):
        data.record("raw", tree=stored(data, Tree(digest_bytes(top), 2, inner.size * 2, made)).root)
    with pytest.raises(Damaged, match="two forms"):
        list(trees.walk(lambda digests: [made[each] for each in digests], digest_bytes(top)))


def test_folders_that_say_two_things_of_one_folder_or_name_are_refused(client):
    data = client.data
    data.commit("other", FRAME)
    known = data.files("other")[0]
    inner, made = trees.folder([Entry("x", known.size, known.digest)])
    for members in (
        [Entry("a", known.size, inner.digest, 7), Entry("b", known.size, inner.digest, 1)],
        [Entry("a", known.size, inner.digest, 1), Entry("a", known.size, inner.digest, 1)],
        [Entry("b", known.size, inner.digest, 1), Entry("a", known.size, inner.digest, 1)],
    ):
        node = trees._encode(1, members)
        wrong = stored(data, Tree(digest_bytes(node), 1, 1, made | {digest_bytes(node): node}))
        with pytest.raises(InvalidInput):
            data.record("raw", tree=wrong.root)
    empty = trees._encode(1, [])
    with pytest.raises(InvalidInput):
        data.record("raw", tree=stored(data, Tree(digest_bytes(empty), 0, 0, {digest_bytes(empty): empty})).root)


def stored(data, tree):
    data.upload(bundle(tree.nodes.values()))
    return tree


@pytest.mark.parametrize("name", ["", "../x", "a/../b", "x\n", "e\u0301"])
def test_a_dataset_needs_a_proper_name(client, name):
    with pytest.raises(InvalidName):
        client.data.commit(name, FRAME)


def test_what_is_not_there_is_not_found(data, tmp_path):
    data.commit("flights", FRAME)
    with pytest.raises(NotFound) as caught:
        data.load("fligths")
    assert "flights" in caught.value.known
    with pytest.raises(NotFound):
        data.load("flights@2")
    with pytest.raises(NotFound):
        data.commit("x", tmp_path / "nothing")
    with pytest.raises(NotFound):
        data.commit("x", FRAME, uses=["dataset/nothing"])
    assert [version.name for version in data.datasets()] == ["flights"]


def test_what_cannot_be_committed_is_named(client, tmp_path):
    with pytest.raises(InvalidInput, match="cannot be committed"):
        client.data.commit("x", 42)
    with pytest.raises(InvalidInput, match="without columns"):
        client.data.commit("x", pl.DataFrame())
    (tmp_path / "empty").mkdir()
    with pytest.raises(InvalidInput, match="no file"):
        client.data.commit("x", tmp_path / "empty")
    with pytest.raises(InvalidInput, match="no file"):
        client.data.commit("x", [])
    (tmp_path / "linked").mkdir()
    (tmp_path / "linked" / "loop").symlink_to(tmp_path / "linked")
    with pytest.raises(InvalidInput, match="link to a folder"):
        client.data.commit("x", tmp_path / "linked")
    assert client.data.datasets() == []


@both_databases
def test_clients_that_commit_at_once_get_versions_of_their_own(client):
    made = []

    def commit(number):
        version = client.data.commit("busy", pl.DataFrame({"n": [number % 4]}), message=str(number))
        made.append((version.version, number % 4))

    threads = [threading.Thread(target=commit, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted({version for version, _ in made}) == [1, 2, 3, 4]
    assert len(set(made)) == 4, "the same content is the same version, whoever was first"
    for version, number in set(made):
        assert client.data.load(f"busy@{version}")["n"].to_list() == [number]


def test_every_change_is_in_the_audit_log(client):
    version = client.data.commit("raw", FRAME, message="why")
    client.data.commit("raw", FRAME)
    client.data.set_alias("raw", alias="good", version=1)
    events = client.storage.events()
    assert [event.action for event in events if event.action.startswith("data.")] == ["data.set_alias", "data.record"]
    assert any(version.ref in str(event.changes) for event in events)
