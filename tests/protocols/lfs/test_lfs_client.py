"""The stock `git lfs` client against a real server: push, clone, lock, and what must be refused."""

from __future__ import annotations

import hashlib
import random
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

pytestmark = pytest.mark.databases("sqlite")  # what PostgreSQL may do otherwise, `test_lfs_wire` looks at

Git = Callable[..., str]


def _commit(folder: Path, git: Git, files: dict[str, bytes]) -> None:
    for name, data in files.items():
        folder.joinpath(name).parent.mkdir(parents=True, exist_ok=True)
        folder.joinpath(name).write_bytes(data)
    git(folder, "lfs", "track", "*.bin")
    git(folder, "add", ".")
    git(folder, "commit", "--quiet", "-m", "Large files")


def _oid(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def test_push_clone_and_pull(repository, git, token, client):
    ada = repository("ada", token("ada"))
    large = random.Random(1).randbytes(9 << 20)  # more than one chunk
    _commit(ada, git, {"a.bin": large, "deep/b.bin": b"small", "empty.bin": b"", "same.bin": b"small"})
    git(ada, "push", "--quiet", "origin", "main")
    bob = repository("bob", token("bob", role="viewer"))
    assert (bob / "a.bin").read_bytes() == large
    assert (bob / "deep/b.bin").read_bytes() == (bob / "same.bin").read_bytes() == b"small"
    assert "Git LFS fsck OK" in git(bob, "lfs", "fsck")
    _commit(ada, git, {"a.bin": large[:5] + b"!" + large[5:]})
    git(ada, "push", "--quiet", "origin", "main")
    git(bob, "pull", "--quiet")
    assert (bob / "a.bin").read_bytes() == large[:5] + b"!" + large[5:]
    (held,) = client.data.lfs_repositories()
    assert (held.name, held.objects, held.size) == ("photos", 3, 2 * len(large) + 1 + 5)
    assert {each.actor for each in client.storage.events(action="data.lfs_put")} == {"ada"}


def test_who_may_not_write_cannot_push_and_who_is_unknown_cannot_read(repository, git, token, client):
    ada = repository("ada", token("ada"))
    _commit(ada, git, {"a.bin": b"first"})
    git(ada, "push", "--quiet", "origin", "main")
    eve = repository("eve", token("eve", role="viewer"))
    _commit(eve, git, {"b.bin": b"second"})
    assert "eve may not data:write" in git(eve, "push", "origin", "main", fails=True)
    repository("mallory", "ms_guessed", fails=True)
    assert [each.objects for each in client.data.lfs_repositories()] == [1]


def test_a_lock_keeps_others_from_pushing(repository, git, token):
    ada = repository("ada", token("ada"))
    _commit(ada, git, {"a.bin": b"one", "b.bin": b"two"})
    git(ada, "push", "--quiet", "origin", "main")
    bob = repository("bob", token("bob"))
    assert "Locked a.bin" in git(ada, "lfs", "lock", "a.bin")
    assert git(bob, "lfs", "locks").split()[:2] == ["a.bin", "ada"]
    assert "a.bin" in git(bob, "lfs", "lock", "a.bin", fails=True)
    _commit(bob, git, {"a.bin": b"mine"})
    assert "a.bin - ada" in git(bob, "push", "origin", "main", fails=True)
    assert "locked by ada" in git(bob, "lfs", "unlock", "a.bin", fails=True)
    assert "data:approve" in git(bob, "lfs", "unlock", "--force", "a.bin", fails=True)
    git(ada, "lfs", "unlock", "a.bin")
    git(bob, "push", "--quiet", "origin", "main")
    assert git(bob, "lfs", "locks") == ""
    git(bob, "lfs", "lock", "b.bin")
    git(repository("eva", token("eva", role="approver")), "lfs", "unlock", "--force", "b.bin")
    assert git(bob, "lfs", "locks") == ""


def test_a_download_goes_on_where_it_ended(repository, git, token, environment):
    ada = repository("ada", token("ada"))
    large = random.Random(2).randbytes(6 << 20)
    _commit(ada, git, {"a.bin": large})
    git(ada, "push", "--quiet", "origin", "main")
    environment["GIT_LFS_SKIP_SMUDGE"] = "1"
    bob = repository("bob", token("bob"))
    del environment["GIT_LFS_SKIP_SMUDGE"]
    assert (bob / "a.bin").stat().st_size < 200
    incomplete = bob / ".git/lfs/incomplete"
    incomplete.mkdir(parents=True)
    incomplete.joinpath(f"{_oid(large)}.part").write_bytes(large[: 4 << 20])
    environment["GIT_CURL_VERBOSE"] = "1"
    said = git(bob, "lfs", "pull")
    assert f"Range: bytes={4 << 20}-" in said
    assert "206 Partial Content" in said
    assert (bob / "a.bin").read_bytes() == large


def test_two_clients_push_at_once(repository, git, token, client, environment):
    folders = [repository(name, token(name)) for name in ("ada", "bob")]
    shared = random.Random(3).randbytes(5 << 20)
    for place, folder in enumerate(folders):
        git(folder, "checkout", "--quiet", "-b", folder.name)
        _commit(folder, git, {"shared.bin": shared, **{f"{place}-{n}.bin": bytes([place, n]) * 999 for n in range(20)}})
    running = [
        subprocess.Popen(["git", "push", "--quiet", "origin", folder.name], cwd=folder, env=environment)
        for folder in folders
    ]
    assert [each.wait(60) for each in running] == [0, 0]
    assert [each.objects for each in client.data.lfs_repositories()] == [41]
    both = repository("eva", token("eva"))
    git(both, "checkout", "--quiet", "bob")
    assert (both / "shared.bin").read_bytes() == shared
    assert (both / "1-19.bin").read_bytes() == bytes([1, 19]) * 999


def test_a_damaged_object_is_refused_and_a_push_mends_it(repository, git, token, client, store_folder):
    ada = repository("ada", token("ada"))
    data = random.Random(4).randbytes(50_000)
    _commit(ada, git, {"a.bin": data})
    git(ada, "push", "--quiet", "origin", "main")
    (stored,) = store_folder.glob("blobs/loose/*/*")
    stored.chmod(0o644)
    stored.write_bytes(data[:-1] + bytes([data[-1] ^ 1]))
    bob = repository("bob", token("bob"), fails=True)
    assert "damaged in the store" in git(bob, "lfs", "pull", fails=True)
    git(ada, "lfs", "push", "--object-id", "origin", _oid(data))
    git(bob, "lfs", "pull")
    assert (bob / "a.bin").read_bytes() == data
    assert client.storage.verify().intact


def test_a_collection_of_garbage_leaves_objects_and_takes_what_was_removed(repository, git, token, client):
    ada = repository("ada", token("ada"))
    _commit(ada, git, {"a.bin": b"kept" * 1000, "b.bin": b"gone" * 1000})
    git(ada, "push", "--quiet", "origin", "main")
    assert client.data.lfs_remove("photos", oids=[_oid(b"gone" * 1000), "0" * 64]) == 1
    assert client.storage.collect_garbage(grace_days=0, hold_hours=0).removed >= 1
    bob = repository("bob", token("bob"), fails=True)
    said = git(bob, "lfs", "pull", fails=True)
    assert "photos does not have this object" in said
    assert (bob / "a.bin").read_bytes() == b"kept" * 1000
