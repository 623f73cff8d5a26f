"""Makes the DVC repositories that the tests import, with DVC itself; the answer stands beside them.

    python record.py /path/to/dvc3/bin/python /path/to/dvc2/bin/python

(DVC 3.67.1, and 2.58.2 with pathspec<0.12, fsspec<2024, dulwich<0.22 and pygit2<1.14, each in an environment of its
own.) Of each version of DVC it writes `<major>.bundle`, the Git repository; `<major>.tar.gz`, a part of its cache
`.dvc/cache` and the remote `storage` beside the repository; and `<major>.json`: for each commit and output, what
`dvc checkout` put into the folder, as paths and SHA-256.
"""

from __future__ import annotations

import hashlib
import io
import json
import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path

HERE = Path(__file__).resolve().parent
OUTPUTS = ("data/raw", "data/table.csv", "models/model.bin", "fetched.txt", "legacy.txt")
TRAIN = """
import json, pathlib, yaml
depth = yaml.safe_load(open("params.yaml"))["train"]["depth"]
rows = sum(len(each.read_bytes()) for each in sorted(pathlib.Path("data/raw").rglob("*")) if each.is_file())
pathlib.Path("models").mkdir(exist_ok=True)
pathlib.Path("models/model.bin").write_bytes(bytes([depth]) * rows)
json.dump({"accuracy": depth / 10, "rows": rows}, open("metrics.json", "w"))
"""


def make(python: str, major: str) -> None:
    """A repository of one version of DVC."""
    top = Path(tempfile.mkdtemp())
    work = top / "cats"
    work.mkdir()
    environment = {**os.environ, "DVC_NO_ANALYTICS": "1", "HOME": str(top), "XDG_CACHE_HOME": str(top / "xdg")}
    environment |= {"PATH": f"{Path(python).parent}:{os.environ['PATH']}", "GIT_CONFIG_NOSYSTEM": "1", "TZ": "UTC"}
    clock = [1_700_000_000]

    def run(*command: str) -> str:
        dates = {"GIT_AUTHOR_DATE": f"{clock[0]} +0100", "GIT_COMMITTER_DATE": f"{clock[0]} +0100"}
        people = {f"GIT_{kind}_{what}": value for kind in ("AUTHOR", "COMMITTER") for what, value in
                  (("NAME", "Ada Müller"), ("EMAIL", "ada@example.org"))}  # fmt: skip
        done = subprocess.run(
            command, cwd=work, env=environment | dates | people, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, f"{command}: {done.stdout}{done.stderr}"
        return done.stdout

    def dvc(*command: str) -> str:
        return run(python, "-m", "dvc", *command)

    def commit(message: str) -> str:
        clock[0] += 3600
        run("git", "add", ".")
        run("git", "commit", "--quiet", "-m", message)
        return run("git", "rev-parse", "HEAD").strip()

    def write(path: str, data: bytes) -> None:
        (work / path).parent.mkdir(parents=True, exist_ok=True)
        (work / path).write_bytes(data)

    run("git", "init", "--quiet", "-b", "main")
    dvc("init", "--quiet")
    dvc("remote", "add", "-d", "storage", "../storage")  # kept as a path below `.dvc`: it holds wherever both lie
    commits = [commit("DVC")]
    for number in range(12):
        write(f"data/raw/{number % 3}/{number}.txt", f"cat {number}\r\n".encode() * number)
    write("data/raw/ümlaut name.bin", bytes(range(256)))
    dvc("add", "--quiet", "data/raw")
    commits.append(commit("First cats\n\nFrom the north."))
    write("data/table.csv", b"id,name\n1,Tom\n2,Felix\n")
    dvc("add", "--quiet", "data/table.csv")
    write("legacy.txt", b"two\r\nlines\r\n")
    dvc("add", "--quiet", "legacy.txt")
    write("source.txt", b"from elsewhere\n")
    dvc("import-url", "--quiet", str(work / "source.txt"), "fetched.txt")
    (work / "source.txt").unlink()
    commits.append(commit("A table"))
    write("params.yaml", b"train:\n  depth: 3\n")
    write("train.py", TRAIN.encode())
    dvc("stage", "add", "--quiet", "-n", "train", "-d", "data/raw", "-d", "train.py", "-p", "train.depth",
        "-o", "models/model.bin", "-M", "metrics.json", "python train.py")  # fmt: skip
    dvc("repro", "--quiet")
    commits.append(commit("A model"))
    run("git", "tag", "-a", "v1", "-m", "First release")
    run("git", "checkout", "--quiet", "-b", "deeper")
    write("params.yaml", b"train:\n  depth: 7\n")
    dvc("repro", "--quiet")
    commits.append(commit("Deeper"))
    run("git", "checkout", "--quiet", "main")
    dvc("checkout", "--quiet")
    write("data/raw/1/1.txt", b"another cat")
    (work / "data/raw/2/2.txt").unlink()
    dvc("add", "--quiet", "data/raw")
    dvc("repro", "--quiet")
    commits.append(commit("More cats"))
    run("git", "merge", "--quiet", "--no-ff", "-s", "ours", "-m", "Merge, ours counts", "deeper")
    write("data/table.csv", b"id,name\n1,Tom\n2,Felix\n3,Garfield\n")
    dvc("add", "--quiet", "data/table.csv")
    write("unrelated.md", b"words\n")
    commits.append(commit("A row"))
    write("data/table.csv", b"id,name\n1,Tom\n2,Felix\n")
    dvc("add", "--quiet", "data/table.csv")
    commits.append(commit("No row"))
    facts = {"dvc": dvc("--version").strip(), "commits": [_facts(work, run, dvc, each) for each in commits[1:]]}
    run("git", "checkout", "--quiet", "main")
    _strip(work, top)
    run("git", "bundle", "create", "--quiet", str(HERE / f"{major}.bundle"), "--all")
    with tarfile.open(HERE / f"{major}.tar.gz", "w:gz", compresslevel=9) as tar:
        for path in sorted([*(work / ".dvc/cache").rglob("*"), *(top / "storage").rglob("*")]):
            if path.is_file() and ".dir.unpacked" not in path.parts and "runs" not in path.parts:
                about = tarfile.TarInfo(path.relative_to(top).as_posix())
                data = path.read_bytes()
                about.size = len(data)
                tar.addfile(about, io.BytesIO(data))
    (HERE / f"{major}.json").write_text(json.dumps(facts, indent=1, ensure_ascii=False) + "\n")
    shutil.rmtree(top)


def _facts(work: Path, run, dvc, commit: str) -> dict[str, object]:
    run("git", "checkout", "--quiet", commit)
    dvc("checkout", "--quiet")
    dvc("push", "--quiet")
    held = {}
    for name in OUTPUTS:
        path = work / name
        if path.is_dir():
            found = sorted(each for each in path.rglob("*") if each.is_file())
            held[name] = {each.relative_to(path).as_posix(): _sha(each) for each in found}
        elif path.exists():
            held[name] = {path.name: _sha(path)}
    return {"commit": commit, "outputs": held}


def _strip(work: Path, top: Path) -> None:
    """What is in the remote only, as after a `dvc gc`: every object of the cache whose name is odd."""
    for path in sorted((work / ".dvc/cache").rglob("*")):
        if path.is_file() and "runs" not in path.parts and int(path.name[-1].replace("r", "1"), 16) % 2:
            path.chmod(0o644)
            path.unlink()
    assert any((top / "storage").rglob("*"))


def _sha(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


if __name__ == "__main__":
    make(sys.argv[1], "3")
    make(sys.argv[2], "2")
