"""Importing repositories that DVC itself made (see `recorded_dvc/record.py`): content, history, lineage, losses."""

from __future__ import annotations

import functools
import hashlib
import json
import subprocess
import tarfile
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from click.testing import CliRunner

from mainspring.cli.app import cli
from mainspring.client.client import Client
from mainspring.importers.dvc import dataset_name, import_dvc
from mainspring.kernel.errors import NotFound
from mainspring.quality import expect

RECORDED = Path(__file__).parent / "recorded_dvc"
_TWO = ("data/raw", "data/table.csv")
Unpack = Callable[..., Path]


def _git(folder: Path, *command: str) -> str:
    who = ["-c", "user.name=Eve", "-c", "user.email=eve@example.org"]
    done = subprocess.run(["git", *who, *command], cwd=folder, capture_output=True, text=True, check=True)
    return done.stdout.strip()


class _Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *_: object) -> None:
        pass


@contextmanager
def _served(folder: Path) -> Iterator[str]:
    """A web server over a folder."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(_Quiet, directory=str(folder)))
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.fixture(scope="module")
def s3_endpoint() -> Iterator[str]:
    """The address of an S3 that lives for this module."""
    from moto.server import ThreadedMotoServer

    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    yield "http://{}:{}".format(*server.get_host_and_port())
    server.stop()


@pytest.fixture(params=["3", "2"])
def major(request: pytest.FixtureRequest) -> str:
    """Which DVC made the repository."""
    return request.param


@pytest.fixture
def unpack(tmp_path: Path) -> Unpack:
    """A recorded repository in a folder of its own, as it was after a clone with a part of its cache."""

    def make(major: str, *, bare: bool = False) -> Path:
        folder = tmp_path / ("cats.git" if bare else "cats")
        options = ["--bare"] if bare else ["-b", "main"]
        _git(tmp_path, "clone", "--quiet", *options, str(RECORDED / f"{major}.bundle"), str(folder))
        with tarfile.open(RECORDED / f"{major}.tar.gz") as tar:
            tar.extractall(tmp_path, filter="data")
        return folder

    return make


def _facts(major: str) -> list[dict[str, dict[str, str]]]:
    return json.loads((RECORDED / f"{major}.json").read_text())["commits"]


def _holds(client: Client, ref: str, expected: dict[str, str]) -> None:
    """Whether a version has exactly these files, by path and SHA-256."""
    found = {}
    for file in client.data.files(ref):
        whole = hashlib.sha256()
        for piece in client.storage.get_blob(file.digest):
            whole.update(piece)
        found[file.path] = whole.hexdigest()
    assert found == expected, ref


@pytest.mark.databases("sqlite")
def test_every_version_is_what_dvc_itself_checks_out(client, unpack, major):
    report = import_dvc(client, str(unpack(major)))
    assert (report.problems, report.missing) == ([], {})
    facts = _facts(major)
    names = {name for each in facts for name in each["outputs"]}
    assert sorted(report.datasets) == sorted(f"cats/{name}" for name in names)
    made = 0
    for name in sorted(names):
        by_commit = {each.metadata["git"]["commit"]: each for each in client.data.versions(f"cats/{name}")}
        made += len(by_commit)
        for each in facts:
            if each["commit"] in by_commit:
                _holds(client, by_commit[each["commit"]].id, each["outputs"][name])
    assert made == report.versions
    assert [each.message for each in client.data.versions("cats/data/raw")] == [
        "More cats",
        "First cats\n\nFrom the north.",
    ]
    assert [each.message for each in client.data.versions("cats/data/table.csv")] == ["No row", "A row", "A table"]
    newest = client.data.describe("cats/data/table.csv@main")
    assert (newest.rows, newest.schema) == (2, {"id": "Int64", "name": "String"})
    assert (newest.created_by, newest.created_at) == ("Ada Müller", datetime(2023, 11, 15, 6, 13, 20, tzinfo=UTC))
    who = newest.metadata["git"]
    assert (who["author"], who["email"], who["date"][-6:]) == ("Ada Müller", "ada@example.org", "+01:00")


@pytest.mark.databases("sqlite")
def test_branches_and_tags_are_aliases_and_stages_are_lineage(client, unpack):
    import_dvc(client, str(unpack("3")))
    models = {alias: each for alias in ("main", "deeper", "tag-v1")
              if (each := client.data.describe(f"cats/models/model.bin@{alias}"))}  # fmt: skip
    stages = {alias: each.metadata["dvc"]["stage"] for alias, each in models.items()}
    assert {alias: each["params"] for alias, each in stages.items()} == {
        "main": {"params.yaml": {"train.depth": 3}},
        "deeper": {"params.yaml": {"train.depth": 7}},
        "tag-v1": {"params.yaml": {"train.depth": 3}},
    }
    assert {alias: each.metadata["dvc"]["metrics"]["metrics.json"]["accuracy"] for alias, each in models.items()} == {
        "main": 0.3, "deeper": 0.7, "tag-v1": 0.3,
    }  # fmt: skip
    assert (stages["main"]["name"], stages["main"]["cmd"], set(stages["main"]["deps"])) == (
        "train", "python train.py", {"data/raw", "train.py"},
    )  # fmt: skip
    used = {each.version.version: each.uses for each in client.data.log("cats/models/model.bin")}
    raw = client.data.aliases("cats/data/raw")
    assert used[models["main"].version] == [f"dataset/cats/data/raw@{raw['main']}"]
    assert used[models["deeper"].version] == [f"dataset/cats/data/raw@{raw['deeper']}"]
    assert raw["main"] != raw["deeper"] == raw["tag-v1"]
    assert client.data.describe("cats/fetched.txt").origin == "source.txt"


@pytest.mark.databases("sqlite")
def test_what_was_imported_before_is_left_as_it_is_and_not_read(client, unpack, tmp_path):
    folder = unpack("3")
    first = import_dvc(client, str(folder))
    (tmp_path / "storage").rename(tmp_path / "away")
    again = import_dvc(client, str(folder / "data"))
    assert (again.versions, again.unchanged, again.files, again.aliases) == (0, first.versions, 0, 0)
    assert (again.problems, again.missing) == ([], {})


@pytest.mark.databases("sqlite")
def test_a_new_commit_costs_what_it_changed(client, unpack):
    folder = unpack("3")
    import_dvc(client, str(folder))
    pointer = (folder / "data/raw.dvc").read_text()
    before = next(each for each in pointer.split() if each.endswith(".dir"))
    cache = folder / ".dvc/cache/files/md5"
    held = [*cache.rglob(before[2:]), *(folder.parent / "storage").rglob(before[2:])]
    rows = json.loads(held[0].read_bytes())
    rows.append({"md5": hashlib.md5(b"new", usedforsecurity=False).hexdigest(), "relpath": "new.txt"})
    listed = json.dumps(rows).encode()
    for data, suffix in ((b"new", ""), (listed, ".dir")):
        name = hashlib.md5(data, usedforsecurity=False).hexdigest() + suffix
        (cache / name[:2]).mkdir(exist_ok=True)
        (cache / name[:2] / name[2:]).write_bytes(data)
    files, size = (
        next(int(line.split()[1]) for line in pointer.splitlines() if key in line) for key in ("nfiles:", "size:")
    )
    changed = pointer.replace(before, name).replace(f"nfiles: {files}", f"nfiles: {files + 1}")
    (folder / "data/raw.dvc").write_text(changed.replace(f"size: {size}", f"size: {size + 3}"))
    _git(folder, "commit", "--quiet", "-am", "One more")
    report = import_dvc(client, str(folder))
    assert (report.versions, report.files, report.bytes, report.missing) == (1, 1, 3, {})
    assert report.problems == []
    expected = _facts("3")[-1]["outputs"]["data/raw"] | {"new.txt": hashlib.sha256(b"new").hexdigest()}
    _holds(client, "cats/data/raw@main", expected)


@pytest.mark.databases("sqlite")
def test_what_is_nowhere_is_listed_and_nothing_of_it_recorded_until_it_is_there(client, unpack, tmp_path):
    folder = unpack("3")
    (tmp_path / "storage").rename(tmp_path / "away")
    part = import_dvc(client, str(folder))
    assert part.missing
    assert part.problems == []
    lost = {each for listed in part.missing.values() for each in listed}
    assert all(each.endswith(("(missing)", ".dir")) for each in lost)
    for place in part.missing:
        path, commit = place.split(" at ")
        made = client.data.versions(f"cats/{path}") if f"cats/{path}" in part.datasets else []
        assert commit not in {each.metadata["git"]["commit"][:12] for each in made}
    (tmp_path / "away").rename(tmp_path / "storage")
    rest = import_dvc(client, str(folder))
    assert (rest.missing, rest.unchanged) == ({}, part.versions)
    for each in _facts("3"):
        for name in each["outputs"]:
            for version in client.data.versions(f"cats/{name}"):
                if version.metadata["git"]["commit"] == each["commit"]:
                    _holds(client, version.id, each["outputs"][name])


@pytest.mark.databases("sqlite")
def test_a_damaged_object_is_taken_from_elsewhere_or_listed(client, unpack, tmp_path):
    folder = unpack("3")
    for path in (folder / ".dvc/cache").rglob("*"):
        if path.is_file():
            path.write_bytes(path.read_bytes() + b"!")
    stored = {path.name for path in (tmp_path / "storage").rglob("*") if path.is_file()}
    report = import_dvc(client, str(folder))
    assert (report.problems, report.missing) == ([], {})
    last = _facts("3")[-1]["outputs"]
    _holds(client, "cats/data/raw@main", last["data/raw"])
    assert len(stored) > 12


@pytest.mark.databases("sqlite")
def test_an_object_that_is_damaged_everywhere_is_refused(client, unpack, tmp_path):
    folder = unpack("3")
    for path in [*(folder / ".dvc/cache").rglob("*"), *(tmp_path / "storage").rglob("*")]:
        if path.is_file() and not path.name.endswith(".dir"):
            path.write_bytes(path.read_bytes() + b"!")
    report = import_dvc(client, str(folder))
    assert (report.versions, report.datasets) == (0, [])
    assert any("(damaged)" in each for listed in report.missing.values() for each in listed)
    with pytest.raises(NotFound):
        client.data.describe("cats/data/raw")


@pytest.mark.databases("sqlite")
def test_a_bare_repository_with_its_data_in_s3(client, unpack, tmp_path, monkeypatch, s3_endpoint):
    import boto3

    folder = unpack("3")
    s3 = boto3.client(
        "s3", endpoint_url=s3_endpoint, aws_access_key_id="a", aws_secret_access_key="b", region_name="us-east-1"
    )
    s3.create_bucket(Bucket="cats")
    for place in (tmp_path / "storage", folder / ".dvc/cache"):
        for path in place.rglob("*"):
            if path.is_file():
                s3.upload_file(str(path), "cats", f"dvc/store/{path.relative_to(place)}")
    (folder / ".dvc/config").write_text(
        "[core]\n    remote = storage\n['remote \"storage\"']\n    url = s3://cats/dvc/store\n"
        f"    endpointurl = {s3_endpoint}\n    access_key_id = a\n    secret_access_key = b\n    region = us-east-1\n"
    )
    _git(folder, "commit", "--quiet", "-am", "To the cloud")
    _git(tmp_path, "clone", "--quiet", "--bare", str(folder), str(tmp_path / "bare.git"))
    report = import_dvc(client, str(tmp_path / "bare.git"), prefix="team/cats")
    assert (report.problems, report.missing) == ([], {})
    _holds(client, "team/cats/data/raw@main", _facts("3")[-1]["outputs"]["data/raw"])


@pytest.mark.databases("sqlite")
def test_a_url_is_cloned_and_a_remote_on_the_web_is_read(client, unpack, tmp_path):
    folder = unpack("3", bare=True)
    web = tmp_path / "web"
    (tmp_path / "cats/.dvc/cache").rename(web)
    for path in (tmp_path / "storage").rglob("*"):
        if path.is_file():
            (web / path.relative_to(tmp_path / "storage")).parent.mkdir(parents=True, exist_ok=True)
            path.rename(web / path.relative_to(tmp_path / "storage"))
    work = tmp_path / "work"
    _git(tmp_path, "clone", "--quiet", "-b", "main", str(folder), str(work))
    with _served(web) as address:
        (work / ".dvc/config").write_text(f"[core]\nremote = web\n['remote \"web\"']\nurl = {address}\n")
        _git(work, "commit", "--quiet", "-am", "To the web")
        _git(work, "push", "--quiet", "origin", "main")
        report = import_dvc(client, f"file://{folder}")
    assert (report.problems, report.missing) == ([], {})
    _holds(client, "cats/data/table.csv@main", _facts("3")[-1]["outputs"]["data/table.csv"])


@pytest.mark.databases("sqlite")
def test_without_git_what_is_there_now_is_imported(client, unpack):
    folder = unpack("3")
    (folder / ".git").rename(folder.with_name("git-away"))
    report = import_dvc(client, str(folder))
    assert (report.problems, report.missing) == ([], {})
    _holds(client, "cats/data/raw", _facts("3")[-1]["outputs"]["data/raw"])
    assert import_dvc(client, str(folder)).versions == report.versions
    assert [each.version for each in client.data.versions("cats/data/raw")] == [1]


def test_what_is_imported_is_profiled_and_held_to_contracts(client, unpack):
    folder = str(unpack(3))
    import_dvc(client, folder)
    (name,) = [each.name for each in client.data.datasets() if each.name.endswith("table.csv")]
    assert client.quality.profile_of(f"{name}@1") is not None
    client.quality.set_contract(f"held/{name.partition('/')[2]}", expect(name).column("nothing").not_null().suite)
    report = import_dvc(client, folder, prefix="held")
    assert any("contract" in each or "nothing" in each for each in report.problems), report.problems
    assert not [each for each in client.data.datasets() if each.name == f"held/{name.partition('/')[2]}"]


def test_what_is_no_repository_is_refused(client, tmp_path):
    with pytest.raises(NotFound, match="no folder"):
        import_dvc(client, str(tmp_path / "nowhere"))
    with pytest.raises(NotFound, match="no DVC repository"):
        import_dvc(client, str(tmp_path))


@pytest.mark.databases("sqlite")
def test_a_pointer_that_cannot_be_read_is_a_problem_and_the_others_come(client, unpack):
    folder = unpack("3")
    (folder / "broken.dvc").write_text("outs: [\n")
    (folder / "cloud.dvc").write_text("outs:\n- etag: abc\n  path: cloud.bin\n")
    _git(folder, "add", "-f", "broken.dvc", "cloud.dvc")
    _git(folder, "commit", "--quiet", "-m", "Broken")
    report = import_dvc(client, str(folder))
    assert len(report.problems) == 2
    assert "broken.dvc cannot be read as YAML" in report.problems[1]
    assert "cloud.bin: DVC keeps no MD5" in report.problems[0]
    _holds(client, "cats/data/raw@main", _facts("3")[-1]["outputs"]["data/raw"])


@pytest.mark.databases("sqlite")
def test_the_command_says_what_came_and_fails_when_something_did_not(unpack, tmp_path):
    folder = unpack("2")
    command = ["import", "dvc", str(folder), "--store", str(tmp_path / "store")]
    first = CliRunner().invoke(cli, [*command, "--json"])
    told = json.loads(first.stdout)
    assert (first.exit_code, told["source"], told["versions"], told["missing"]) == (0, "dvc:cats", 10, {})
    (folder / "lost.dvc").write_text(f"outs:\n- md5: {'a' * 32}\n  hash: md5\n  path: lost.bin\n")
    _git(folder, "add", "-f", "lost.dvc")
    _git(folder, "commit", "--quiet", "-m", "Lost")
    again = CliRunner().invoke(cli, command, standalone_mode=False)
    assert again.return_value == 1
    assert "0 imported, 10 here already" in again.stdout
    assert f"no bytes of {'a' * 32} (missing)" in again.stderr


def test_names_of_datasets():
    assert dataset_name("", "data/raw.csv") == "data/raw.csv"
    assert dataset_name("a/b", "../x y/[1]") == "a/b/_../x y/_1_"
