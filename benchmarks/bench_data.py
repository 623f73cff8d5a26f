"""Files: adding, looking and checking out beside DVC; a million files; one large file; bytes stored of checkpoints.

Both are run as their users run them, from the command line, each in processes of its own; CPU seconds are those of the
process and its children. Nothing is deleted before all is measured: a file system is slow to reuse what it just freed.
"""

from __future__ import annotations

import compileall
import functools
import os
import random
import shutil
import statistics
import struct
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from blake3 import blake3
from peers import find_peer
from row import Row

import mainspring
from mainspring.client import connect

FILES, FOLDERS, BYTES = 20_000, 100, 10_000
MANY = int(os.environ.get("MAINSPRING_BENCH_MANY", "1000000"))
"""Files of the large folder; a hundredth says as much about growth, in a hundredth of the time."""
LARGE = int(os.environ.get("MAINSPRING_BENCH_LARGE", str(2 << 30)))
ROUNDS = 3
_LOOK = """
import os, sys
for folder in os.scandir(sys.argv[1]):
    for file in os.scandir(folder):
        file.stat()
"""
_WRITE = """
import os, sys
files, folders, size = map(int, sys.argv[2:])
data = os.urandom(size)
for number in range(folders):
    place = f"{sys.argv[1]}/{number}"
    os.mkdir(place)
    for each in range(files // folders):
        handle = os.open(f"{place}/{each:06}.bin", os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o644)
        os.write(handle, data)
        os.close(handle)
"""
OURS = [str(Path(sys.executable).with_name("mainspring")), "data"]


class Taken(NamedTuple):
    """What a command took."""

    cpu: float
    wall: float


def rows() -> Iterator[Row]:
    """Every workload; others add theirs by a function of this form."""
    for part in (small_files, many_files, large_file, checkpoints):
        with _folder() as folder:
            yield from part(folder)


def small_files(folder: Path) -> Iterator[Row]:
    """20,000 files of 10 kB: add, look at it unchanged, check out into a new folder."""
    source = make_files(folder / "source", files=FILES, folders=FOLDERS, size=BYTES)
    ours = our_side(folder, source)
    theirs, version = their_side(folder, source)
    what = f"{FILES:,} files of {BYTES // 1000} kB"
    for verb in ours:
        for kind in ("cpu", "wall"):
            mine = getattr(ours[verb], kind)
            peer = getattr(theirs[verb], kind) if verb in theirs else None
            ratio = peer / mine if peer else None
            yield Row(f"{what}, {verb}, {kind}", mine, peer, version, ratio, "ratio >= 10", "s")
    for verb, loop in bare_loops(folder, source).items():
        for kind in ("cpu", "wall"):
            bare = getattr(loop, kind)
            peer = getattr(theirs[verb], kind) if verb in theirs else None
            ratio = peer / bare if peer else None
            text = f"{what}, the bare system calls of {verb}, {kind}"
            yield Row(text, bare, peer, version, ratio, "", "s", "what no program in Python goes below")


def our_side(folder: Path, source: Path) -> dict[str, Taken]:
    """What each verb takes with Mainspring."""
    place = folder / "ours"
    shutil.copytree(source, place / "data")
    store = ["--store", str(place / "store")]
    with connect(place / "store"):
        pass  # a store that is there, as `dvc init` makes one
    return {
        "add": run([*OURS, "commit", "files", "data", *store], place),
        "status": median([run([*OURS, "status", "data", *store], place) for _ in range(ROUNDS)]),
        "checkout": run([*OURS, "checkout", "files@1", "out", *store], place),
    }


def their_side(folder: Path, source: Path) -> tuple[dict[str, Taken], str]:
    """What each verb takes with DVC; nothing where it is not installed."""
    found = find_peer("dvc", "dvc==3.67.1")
    if found is None:
        return {}, "dvc 3.67.1"
    place = folder / "theirs"
    shutil.copytree(source, place / "data")
    dvc = [str(Path(found[0]).with_name("dvc"))]
    run([*dvc, "init", "--no-scm", "-q"], place)
    taken = {
        "add": run([*dvc, "add", "-q", "data"], place),
        "status": median([run([*dvc, "status", "-q"], place) for _ in range(ROUNDS)]),
    }
    (place / "data").rename(place / "away")
    return {**taken, "checkout": run([*dvc, "checkout", "-q", "data.dvc"], place)}, found[1]


def bare_loops(folder: Path, source: Path) -> dict[str, Taken]:
    """What the system alone takes: to look at every file, and to write as many bytes from memory, unchecked."""
    out = folder / "bare"
    out.mkdir()
    return {
        "status": median([run([sys.executable, "-S", "-c", _LOOK, str(source)], folder) for _ in range(ROUNDS)]),
        "checkout": run([sys.executable, "-S", "-c", _WRITE, str(out), str(FILES), str(FOLDERS), str(BYTES)], folder),
    }


def many_files(folder: Path) -> Iterator[Row]:
    """A million files: the first look reads them all, the next ones only look."""
    source = make_files(folder / "many", files=MANY, folders=max(1, MANY // 1000), size=20)
    with connect(folder / "store") as client:
        start = time.perf_counter()
        client.data.add(source, name="many")
        added = time.perf_counter() - start
        start = time.perf_counter()
        client.data.commit_folder(source)
        committed = time.perf_counter() - start
    store = ["--store", str(folder / "store")]
    looked = median([run([*OURS, "status", str(source), *store], folder) for _ in range(ROUNDS)])
    peak = peak_megabytes([*OURS, "status", str(source), *store], folder)
    limit = "ours < 5" if MANY == 1_000_000 else ""
    yield Row(f"{MANY:,} files, status, wall", looked.wall, unit="s", limit=limit)
    yield Row(f"{MANY:,} files, status, memory", peak, unit="MB", limit="ours < 500")
    yield Row(f"{MANY:,} files, add", added, unit="s")
    yield Row(f"{MANY:,} files, commit after add", committed, unit="s")


def large_file(folder: Path) -> Iterator[Row]:
    """One file of 2 GB, beside `cp` and a hash of the same file on the same disk, all on the disk at the end."""
    source = folder / "large" / "file.bin"
    source.parent.mkdir()
    chance = random.Random(1)
    with source.open("wb") as file:
        for _ in range(LARGE >> 24):
            file.write(chance.randbytes(16 << 20))
    os.sync()
    start = time.perf_counter()
    subprocess.run(["cp", str(source), str(folder / "copy")], check=True)
    with (folder / "copy").open("rb") as file:
        os.fsync(file.fileno())
    digest = blake3()
    with source.open("rb", buffering=0) as file:
        while piece := file.read(4 << 20):
            digest.update(piece)
    plain = time.perf_counter() - start
    os.sync()
    with connect(folder / "store"):
        pass
    taken = run([*OURS, "commit", "large", str(source.parent), "--store", str(folder / "store")], folder)
    stored = size_below(folder / "store" / "blobs")
    text = f"one file of {LARGE / 1e9:.1f} GB, add, wall"
    note = f"{stored / 1e9:.2f} GB stored, {taken.cpu:.1f} s of CPU"
    yield Row(text, taken.wall, plain, "cp, fsync and blake3", plain / taken.wall, "ratio >= 0.5", "s", note)


def checkpoints(folder: Path) -> Iterator[Row]:
    """Three checkpoints of a model, in each a tenth of the weights other ones: what all of them take of the disk."""
    chance = random.Random(2)
    tensors = [chance.randbytes(1 << 20) for _ in range(60)]
    total = 0
    with connect(folder / "store") as client:
        for number in range(3):
            for place in range(number * 6, number * 6 + 6):
                tensors[place] = chance.randbytes(1 << 20)
            path = folder / "model.bin"
            path.write_bytes(b"".join(tensors))
            total += path.stat().st_size
            client.data.commit("model", path)
    share = size_below(folder / "store" / "blobs") / total * 100
    yield Row("3 checkpoints, a tenth changed, stored", share, 100.0, "whole files", 100 / share, "ours <= 45", "%")


def make_files(folder: Path, *, files: int, folders: int, size: int) -> Path:
    """Files whose contents all differ."""
    rest = random.Random(3).randbytes(size)
    for number in range(folders):
        (folder / f"{number:05}").mkdir(parents=True)
        for each in range(files // folders):
            handle = os.open(folder / f"{number:05}" / f"{each:06}.bin", os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o644)
            os.write(handle, struct.pack("<II", number, each) + rest[8:])
            os.close(handle)
    return folder


def run(command: Sequence[str], cwd: Path) -> Taken:
    """Run a command; its CPU seconds and those of its children, and its wall time."""
    environment = user_environment()
    start = time.perf_counter()
    with subprocess.Popen(
        command, cwd=cwd, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE
    ) as process:
        said = process.stderr.read() if process.stderr else b""
        _, status, used = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode not in (0, 3):  # 3: a store that is not there yet
        raise RuntimeError(f"{' '.join(command)}: {said.decode()}")
    return Taken(used.ru_utime + used.ru_stime, time.perf_counter() - start)


@functools.cache
def user_environment() -> dict[str, str]:
    """The environment of a user, who has our modules compiled, as pip leaves every package that it installs."""
    compileall.compile_dir(Path(mainspring.__file__).parent, quiet=1)
    kept = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    return {**kept, "DVC_NO_ANALYTICS": "1"}


def peak_megabytes(command: Sequence[str], cwd: Path) -> float:
    """The most memory that a command had; asked by a small process, because what forks counts as its child's."""
    asking = (
        "import resource, subprocess, sys; subprocess.run(sys.argv[1:], stdout=subprocess.DEVNULL, check=True);"
        "print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)"
    )
    answer = subprocess.run(
        [sys.executable, "-c", asking, *command], cwd=cwd, capture_output=True, text=True, check=True
    )
    return int(answer.stdout) / 1024


def median(taken: Sequence[Taken]) -> Taken:
    """The median of each figure."""
    return Taken(statistics.median(each.cpu for each in taken), statistics.median(each.wall for each in taken))


def size_below(folder: Path) -> int:
    """Bytes of all files below a folder."""
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


@contextmanager
def _folder() -> Iterator[Path]:
    """A folder on the disk where benchmarks run; not in memory, where `/tmp` may be."""
    with tempfile.TemporaryDirectory(prefix="mainspring-bench-", dir=os.environ.get("MAINSPRING_BENCH_DIR")) as folder:
        yield Path(folder)
