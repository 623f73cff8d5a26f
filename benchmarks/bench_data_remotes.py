"""Push and pull of 20,000 files of 10 kB to and from a folder, beside DVC, in CPU seconds and in wall time.

Both start with the files committed (added), push them to an empty folder, push again with nothing to do, and pull into
an empty store. Each step is a process of its own as a user starts it, its interpreter and imports included; CPU seconds
are those of the process and its children. A pull of DVC checks the files out as well, so ours does both, too. The disk
is that of the temporary folder, the same for both; caches of the operating system are warm, as after a commit.
"""

from __future__ import annotations

import random
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from bench_data import user_environment
from peers import find_peer
from row import Row

from mainspring.client import connect

FILES, SIZE = 20_000, 10_000
FOLDERS = 100
STEPS = ("push", "push again", "pull")


def rows() -> Iterator[Row]:
    """Each step: CPU seconds and wall seconds, with the ratio to DVC."""
    with tempfile.TemporaryDirectory(prefix="mainspring-bench-") as folder:
        top = Path(folder)
        _make_files(top / "files")
        ours = _mainspring(top)
        found = find_peer("dvc", "dvc==3.67.1")
        theirs = _dvc(top, Path(found[0])) if found else {}
        peer = found[1] if found else "dvc 3.67.1"
    for step in STEPS:
        for unit, place in (("CPU s", 0), ("s", 1)):
            mine = ours[step][place]
            other = theirs[step][place] if theirs else None
            ratio = other / mine if other is not None else None
            limit = "ratio >= 10" if step != "push again" else ""
            yield Row(f"{step}, {FILES:,} files of 10 kB, folder remote", mine, other, peer, ratio, limit, unit)


def _make_files(folder: Path) -> None:
    chance = random.Random(1)
    for number in range(FILES):
        path = folder / f"{number % FOLDERS:03}" / f"{number:05}.bin"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(chance.randbytes(SIZE))


def _mainspring(top: Path) -> dict[str, tuple[float, float]]:
    program = str(Path(sys.executable).parent / "mainspring")
    env = {**user_environment(), "XDG_CACHE_HOME": str(top / "cache")}
    one, two, remote = top / "one", top / "two", str(top / "remote")

    def run(*words: str) -> tuple[float, float]:
        return _timed([program, "data", *words], cwd=top, env=env)

    for store in (one, two):
        with connect(store):
            pass  # stores that are there, as `dvc init` makes them below
    run("commit", "many", str(top / "files"), "--store", str(one))
    taken = {"push": run("push", "many", remote, "--store", str(one))}
    taken["push again"] = run("push", "many", remote, "--store", str(one))
    pulled = run("pull", "many", remote, "--store", str(two))
    written = run("checkout", "many", str(top / "out"), "--store", str(two))
    taken["pull"] = (pulled[0] + written[0], pulled[1] + written[1])
    _same(top / "files", top / "out")
    return taken


def _dvc(top: Path, python: Path) -> dict[str, tuple[float, float]]:
    program = str(python.parent / "dvc")
    env = {**user_environment(), "DVC_SITE_CACHE_DIR": str(top / "dvc-site")}
    work, again, remote = top / "dvc", top / "dvc-again", str(top / "dvc-remote")
    work.mkdir()
    again.mkdir()
    (top / "files").rename(work / "files")

    def run(*words: str, cwd: Path = work) -> tuple[float, float]:
        return _timed([program, *words], cwd=cwd, env=env)

    run("init", "--no-scm", "--quiet")
    run("remote", "add", "-d", "origin", remote)
    run("add", "--quiet", "files")
    taken = {"push": run("push", "--quiet")}
    taken["push again"] = run("push", "--quiet")
    run("init", "--no-scm", "--quiet", cwd=again)
    run("remote", "add", "-d", "origin", remote, cwd=again)
    (again / "files.dvc").write_bytes((work / "files.dvc").read_bytes())
    taken["pull"] = run("pull", "--quiet", cwd=again)
    _same(work / "files", again / "files")
    return taken


def _timed(command: list[str], *, cwd: Path, env: dict[str, str]) -> tuple[float, float]:
    """CPU seconds of a process and its children, and wall seconds."""
    before, began = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    subprocess.run(command, cwd=cwd, env=env, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    took, after = time.perf_counter() - began, resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime, took


def _same(one: Path, other: Path) -> None:
    """That both folders hold the same names and sizes: a step that did nothing must not look fast."""
    listed = [
        sorted((path.relative_to(top).as_posix(), path.stat().st_size) for path in top.rglob("*") if path.is_file())
        for top in (one, other)
    ]
    if listed[0] != listed[1] or len(listed[0]) != FILES:
        raise AssertionError("what was pulled is not what was pushed")


if __name__ == "__main__":
    for row in rows():
        print(row)
