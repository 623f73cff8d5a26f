"""An experiment as a file: all of it comes back, twice is as once, and nothing that lies is believed."""

from __future__ import annotations

import io
import json
import math
import struct
import zipfile

import msgspec
import pytest

from mainspring.client.client import connect
from mainspring.kernel.context import Caller, acting_as
from mainspring.kernel.errors import Conflict, Damaged, InvalidInput, MainspringError, NotFound, UnsupportedFormat
from mainspring.kernel.hashing import digest_bytes
from mainspring.tracking.inputs import RunInput


@pytest.fixture
def archive(any_client):
    """The archive of an experiment with a parent, a child, a fork and a file that two have."""
    client = any_client
    client.tracking.create_experiment("my exp/1", tags={"team": "x"}, note="About *it*")
    ids = []
    for number in range(3):
        with client.tracking.run(
            "my exp/1",
            params={"n": number, "text": "6", "list": [1, None], "nan": math.nan},
            tags={"mlflow.user": "ann"},
            title=f"r{number}",
            parent=ids[0] if number else "",
            source=False,
        ) as run:
            for step in range(5):
                run.log(step=step, loss=math.nan if step == 2 else 1 / (step + 1 + number), up=math.inf)
            run.log_text("same in all", "notes/a b.txt")
            run.log_text(f"own {number}", "b.bin")
            run.note(f"# note {number}")
            if number == 2:
                run.finish(status="failed", error="boom")
        ids.append(run.id)
    client.tracking.use_external(ids[0], inputs=[RunInput("flights", "d1", role="training")])
    return b"".join(client.tracking.export("my exp/1"))


def said(client, name):
    """All that is to be known about the runs of an experiment, without what differs by place."""
    page = client.tracking.search(experiments=[name], order_by=["title"])
    found = []
    for run in page.runs:
        metrics = {key: [*client.tracking.history(run.id, key).rows()] for key in run.metrics}
        files = [(each.path, each.file, each.media_type) for each in client.tracking.files(run.id)]
        found.append(
            (
                (run.title, run.status, run.user, run.group, run.note, run.params, run.tags, run.source),
                (run.run.kind, run.run.started_at, run.run.finished_at, bool(run.run.parent_id)),
                {key: (each.value, each.count, each.minimum, each.step) for key, each in run.metrics.items()},
                repr(metrics),
                files,
                [b"".join(client.tracking.read_file(run.id, path=path)) for path, _, _ in files],
            )
        )
    return repr(found)


def test_all_of_it_comes_back_and_twice_is_as_once(any_client, archive, tmp_path):
    with connect(tmp_path / "elsewhere") as other:
        for _ in range(2):
            made = other.tracking.import_archive([archive])
            assert (made.name, made.runs, made.tags, made.note) == ("my exp/1", 3, {"team": "x"}, "About *it*")
        assert said(other, "my exp/1") == said(any_client, "my exp/1")
        ids = [each.id for each in other.tracking.search(order_by=["title"]).runs]
        assert ids == [each.id for each in any_client.tracking.search(order_by=["title"]).runs]
        run = other.lineage.run(ids[0])
        (reference,) = run.metadata["references"]
        assert (reference["kind"], reference["name"], reference["made"]) == ("external-dataset", "flights", False)
        assert other.tracking.get(ids[1]).run.parent_id == ids[0]


def test_into_the_store_that_it_came_from_nothing_is_made_twice(any_client, archive):
    before = any_client.tracking.count()
    any_client.tracking.import_archive([archive])
    assert any_client.tracking.count() == before
    for _ in range(2):
        assert any_client.tracking.import_archive([archive], name="again").runs == 3
    assert any_client.tracking.count() == 2 * before
    assert said(any_client, "again") == said(any_client, "my exp/1")
    ids = {each.id for each in any_client.tracking.search().runs}
    assert len(ids) == 6
    parents = {each.run.parent_id for each in any_client.tracking.search(experiments=["again"]).runs} - {""}
    again = {each.id for each in any_client.tracking.search(experiments=["again"]).runs}
    assert parents <= again, "a copy's parent is the copy"


def test_another_workspace_has_runs_of_its_own(client):
    with client.tracking.run("demo", source=False) as run:
        run.log(loss=1.0)
    data = b"".join(client.tracking.export("demo"))
    with acting_as(Caller("bob", workspace="other")):
        assert client.tracking.import_archive([data]).runs == 1
        assert client.tracking.import_archive([data]).runs == 1
        (copy,) = client.tracking.search().runs
        assert copy.id != run.id
        assert copy.metrics["loss"].value == 1.0
    assert client.tracking.count() == 1


def test_a_fork_comes_with_its_origin_or_with_its_beginning(client, tmp_path):
    from mainspring.kernel.ids import new_id
    from mainspring.tracking.frames import encode_frame
    from mainspring.tracking.types import PointsRecord, RunStart

    def begin(experiment, **more):
        run = client.tracking.start(RunStart(new_id(), experiment, **more))
        return run.id

    def points(run_id, *steps):
        body = b"".join(encode_frame(PointsRecord(step, step, {"loss": float(step)})) for step in steps)
        client.tracking.append(run_id, writer="", sequence=0, body=[body])

    origin = begin("one")
    points(origin, 0, 1, 2, 3)
    inside, outside = begin("one", forked_from=origin, fork_step=1), begin("two", forked_from=origin, fork_step=2)
    points(inside, 2, 7)
    points(outside, 9)
    with connect(tmp_path / "elsewhere") as other:
        for name in ("one", "two"):
            other.tracking.import_archive([b"".join(client.tracking.export(name))])
        for run_id in (origin, inside, outside):
            assert other.tracking.history(run_id, "loss").equals(client.tracking.history(run_id, "loss"))
        assert other.tracking.get(inside).forked_from == origin
        assert other.tracking.get(outside).forked_from == ""


def test_what_is_deleted_stays_out(any_client, archive):
    any_client.tracking.delete_experiment("my exp/1")
    with pytest.raises(Conflict):
        any_client.tracking.export("my exp/1")
    with pytest.raises(Conflict):
        any_client.tracking.import_archive([archive])
    with pytest.raises(NotFound):
        b"".join(any_client.tracking.export("none"))


# What a stranger's archive may try.


def rewritten(archive, change):
    """The archive with its entries changed, and an index that is right again unless the change breaks it."""
    entries = {}
    with zipfile.ZipFile(io.BytesIO(archive)) as old:
        for info in old.infolist():
            entries[info.filename] = old.read(info)
    index = json.loads(entries.pop("index.json"))
    fixed = change(entries)
    index = {
        name: {"digest": digest_bytes(data), "size": len(data)}
        for name, data in entries.items()
        if not name.startswith("blobs/")
    }
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as new:
        for name, data in {**entries, "index.json": fixed or json.dumps(index).encode()}.items():
            new.writestr(name, data)
    return out.getvalue()


def run_changed(**fields):
    def change(entries):
        name = next(each for each in entries if each.startswith("runs/"))
        run = json.loads(entries[name])
        run.update(fields)
        entries[name] = json.dumps(run).encode()

    return change


def file_changed(**fields):
    def change(entries):
        name = next(each for each in entries if each.startswith("runs/"))
        run = json.loads(entries[name])
        run["files"][0].update(fields)
        entries[name] = json.dumps(run).encode()

    return change


def entry_changed(prefix, data):
    def change(entries):
        entries[next(each for each in entries if each.startswith(prefix))] = data

    return change


def entry_removed(prefix):
    def change(entries):
        del entries[next(each for each in entries if each.startswith(prefix))]

    return change


def points_changed(edit):
    def change(entries):
        name = next(each for each in entries if each.startswith("points/"))
        held = msgspec.msgpack.decode(entries[name])
        edit(held)
        entries[name] = msgspec.msgpack.encode(held)

    return change


def circle(entries):
    names = [each for each in entries if each.startswith("runs/")]
    runs = [json.loads(entries[name]) for name in names]
    runs[0]["parent_id"], runs[1]["parent_id"] = runs[1]["run_id"], runs[0]["run_id"]
    for name, run in zip(names, runs, strict=True):
        entries[name] = json.dumps(run).encode()


def about(**fields):
    plain = {"format": "mainspring-experiment", "version": 1, "name": "x", "note": "", "location": "", "tags": {}}
    return json.dumps({**plain, "runs": 3, **fields}).encode()


LIES = {
    "a file's path climbs": (file_changed(path="../../etc/passwd"), InvalidInput),
    "a file's path is absolute": (file_changed(path="/etc/passwd"), InvalidInput),
    "a file's path has backslashes": (file_changed(path="..\\x"), InvalidInput),
    "a file's digest is none": (file_changed(digest="../../x"), InvalidInput),
    "a file's digest is another's": (file_changed(digest="0" * 64), Damaged),
    "a file's size is wrong": (file_changed(size=5_000_000), Damaged),
    "a file's size is negative": (file_changed(size=-1), InvalidInput),
    "a blob has other bytes": (entry_changed("blobs/", b"same in al!"), Damaged),
    "a blob is a bomb": (entry_changed("blobs/", b"\0" * 30_000_000), MainspringError),
    "a blob is missing": (entry_removed("blobs/"), Damaged),
    "points are missing": (entry_removed("points/"), Damaged),
    "points are short": (points_changed(lambda held: held.update(loss=[b"", b"", b""])), Damaged),
    "points are ragged": (points_changed(lambda held: held["loss"].__setitem__(1, b"x" * 8)), Damaged),
    "points are no msgpack": (entry_changed("points/", b"\xc1"), Damaged),
    "a run is missing": (entry_removed("runs/"), Damaged),
    "a run is no JSON": (entry_changed("runs/", b"{"), Damaged),
    "a run is nested": (entry_changed("runs/", b"[" * 100_000), Damaged),
    "a run's id is a path": (run_changed(run_id="../../../x"), InvalidInput),
    "a run's id is of capitals": (run_changed(run_id="0197ABCD-0000-7000-8000-000000000000"), InvalidInput),
    "a run's status is none": (run_changed(status="perfect"), InvalidInput),
    "a run's kind is none": (run_changed(kind="a/../b"), InvalidInput),
    "a run's times are none": (run_changed(started_at=1 << 80), Damaged),
    "a tag's name is none": (run_changed(tags={"": "x"}), InvalidInput),
    "a metric's name is none": (run_changed(metrics={"\0": 1}), InvalidInput),
    "a parameter is none": (run_changed(params={"a": ["{", "j", None]}), InvalidInput),
    "a parameter's type is none": (run_changed(params={"a": ["x", "pickle", None]}), InvalidInput),
    "runs are each other's parents": (circle, InvalidInput),
    "the experiment's name is none": (entry_changed("experiment.json", about(name="\n")), InvalidInput),
    "the format is newer": (entry_changed("experiment.json", about(version=99)), UnsupportedFormat),
    "the format is another": (entry_changed("experiment.json", about(format="x")), UnsupportedFormat),
    "the experiment is missing": (entry_removed("experiment.json"), UnsupportedFormat),
    "the index lies": (lambda entries: b'{"runs/x.json": {"digest": "", "size": 0}}', MainspringError),
    "the index is no JSON": (lambda entries: b"[", Damaged),
}


def test_nothing_that_lies_is_believed_and_nothing_is_written(any_client, archive, tmp_path):
    wrong = []
    with connect(tmp_path / "elsewhere") as other:
        for name, (change, kind) in LIES.items():
            try:
                other.tracking.import_archive([rewritten(archive, change)])
                wrong.append((name, "it was taken"))
            except kind:
                pass
            except Exception as error:  # noqa: BLE001 -- all of them are named at the end
                wrong.append((name, repr(error)[:200]))
            if other.tracking.experiments(view="all").experiments or other.tracking.count(view="all"):
                wrong.append((name, "something was written"))
                break
        assert wrong == []
        assert other.tracking.import_archive([rewritten(archive, lambda entries: None)]).runs == 3


def test_what_is_no_archive_is_refused(any_client, archive):
    twice = io.BytesIO()
    with zipfile.ZipFile(twice, "w") as new:
        new.writestr("index.json", "{}")
        with pytest.warns(UserWarning, match="Duplicate"):
            new.writestr("index.json", "{}")
    for data in (b"", b"PK", b"x" * 1000, archive[:-30], archive[:1000], twice.getvalue()):
        with pytest.raises(MainspringError) as caught:
            any_client.tracking.import_archive([data], name="other")
        assert caught.value.code in ("MS-1001", "MS-1005", "MS-5001")
    with zipfile.ZipFile(io.BytesIO(archive)) as whole:
        entries = [each for each in whole.infolist() if not each.filename.startswith("blobs/")]
    for entry in entries:  # bytes that are in this store already are not read from the archive again
        flipped = bytearray(archive)
        lengths = struct.unpack_from("<HH", archive, entry.header_offset + 26)
        flipped[entry.header_offset + 30 + sum(lengths) + entry.compress_size // 2] ^= 0xFF
        with pytest.raises(MainspringError) as caught:
            any_client.tracking.import_archive([bytes(flipped)], name="other")
        assert caught.value.code in ("MS-1001", "MS-1005", "MS-5001"), entry.filename
    assert [each.name for each in any_client.tracking.experiments(view="all").experiments] == ["my exp/1"]
