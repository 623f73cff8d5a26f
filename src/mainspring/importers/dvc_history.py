"""The history of a DVC repository: what its outputs were at each commit that changed one."""

from __future__ import annotations

import json
import posixpath
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import msgspec

from mainspring.data.git import GitCommit, GitFile, Repository, clone
from mainspring.importers.dvc_files import Output, read_config, read_lock, read_pointer, read_yaml
from mainspring.kernel.errors import NotFound, UnsupportedFormat

__all__ = ["DvcRepository", "Snapshot", "open_dvc"]

_PATHS = (":(glob)**/*.dvc", ":(glob)**/dvc.lock")
_METRICS_LIMIT = 1 << 20


class Snapshot(msgspec.Struct, frozen=True):
    """The outputs at a commit."""

    commit: GitCommit
    outputs: dict[str, Output]
    """By path."""
    metrics: dict[str, Any]
    """What the files of metrics that Git keeps say, by path."""


class DvcRepository:
    """A DVC repository in Git, or in a folder without it.

    Args:
        name: What it is called.
        dvc: Its folder `.dvc`, whether it is on this machine or not.
        below: Where it begins in the Git repository; empty, or with a slash at its end.
        repository: The Git repository; None without one.
    """

    def __init__(self, name: str, dvc: Path, below: str, repository: Repository | None) -> None:
        self.name = name
        self.dvc = dvc
        self.problems: list[str] = []
        self._below = below
        self._repository = repository
        self._parsed: dict[tuple[str, str, str], list[Output]] = {}
        self._blobs: dict[str, bytes] = {}

    def config(self) -> dict[str, dict[str, str]]:
        """Its configuration: the user's, the repository's, and what is not in Git, the last one counting."""
        merged: dict[str, dict[str, str]] = {}
        for text in (
            _text(Path("~/.config/dvc/config").expanduser()),
            self._own_config(),
            _text(self.dvc / "config.local"),
        ):
            for section, values in read_config(text).items():
                merged.setdefault(section, {}).update(values)
        return merged

    def commits(self) -> list[GitCommit]:
        """Commits of any branch or tag that changed a pointer, parents first; without Git, one that has no name."""
        if self._repository is None:
            return [GitCommit("", [], "", "", "", "")]
        if not self._repository.text("rev-list", "-n", "1", "--all"):
            return []
        paths = [each.replace(")", f"){self._below}", 1) for each in _PATHS]
        head = ["HEAD"] if self._repository.text("rev-parse", "--verify", "--quiet", "HEAD") else []
        return self._repository.commits("--branches", "--tags", "--remotes", *head, paths=paths)

    def refs(self) -> dict[str, str]:
        """Branches and tags, and the commit that each stands for."""
        return self._repository.refs() if self._repository else {}

    def snapshot(self, commit: GitCommit) -> Snapshot:
        """The outputs at a commit; a file that cannot be read is a problem, and the others count."""
        files = self._files(commit.id)
        self._fetch(files)
        outputs: dict[str, Output] = {}
        metrics: dict[str, Any] = {}
        for path, file in files.items():
            name = posixpath.basename(path)
            try:
                if name.endswith(".dvc") and name != ".dvc":
                    found = self._read(file, path, None)
                elif name == "dvc.lock":
                    found = self._read(file, path, files.get(posixpath.join(posixpath.dirname(path), "dvc.yaml")))
                else:
                    continue
            except UnsupportedFormat as error:
                self._say(f"{error.message} (at {commit.id[:12] or 'the working tree'})")
                continue
            for output in found:
                if not _in_git(output.path, files):
                    outputs[output.path] = output
                for metric in output.stage.metrics if output.stage else ():
                    if metric in files and metric not in metrics:
                        metrics[metric] = self._metrics(files[metric], metric)
        return Snapshot(commit, outputs, metrics)

    def _own_config(self) -> str:
        if (self.dvc / "config").is_file() or self._repository is None:
            return _text(self.dvc / "config")
        return self._repository.text("show", f"HEAD:{self._below}.dvc/config")

    def _files(self, commit: str) -> dict[str, GitFile]:
        """The files below the top of the DVC repository."""
        if self._repository is None:
            top = self.dvc.parent
            found = [*top.rglob("*.dvc"), *top.rglob("dvc.lock"), *top.rglob("dvc.yaml")]
            return {
                (path := each.relative_to(top).as_posix()): GitFile(path, "100644", str(each))
                for each in found
                if each.is_file() and ".dvc" not in each.relative_to(top).parts[:-1]
            }
        listed = self._repository.tree(commit, self._below) if self._below else self._repository.tree(commit)
        return {(path := each.path.removeprefix(self._below)): GitFile(path, each.mode, each.blob) for each in listed}

    def _read(self, file: GitFile, path: str, beside: GitFile | None) -> list[Output]:
        key = (file.blob, path, beside.blob if beside else "")
        if key not in self._parsed:
            data = self._content(file)
            if beside is None and not path.endswith("dvc.lock"):
                self._parsed[key] = read_pointer(data, path)
            else:
                pipeline = read_yaml(self._content(beside), beside.path) if beside else {}
                self._parsed[key] = read_lock(data, path, pipeline if isinstance(pipeline, dict) else {})
        return self._parsed[key]

    def _metrics(self, file: GitFile, path: str) -> Any:
        data = self._content(file)
        if len(data) > _METRICS_LIMIT:
            return None
        try:
            found = json.loads(data) if path.endswith(".json") else read_yaml(data, path)
            return json.loads(json.dumps(found, default=str))
        except (ValueError, UnsupportedFormat):
            return None

    def _fetch(self, files: dict[str, GitFile]) -> None:
        """Have the pointers of a commit at hand that no commit before had, read at once."""
        if self._repository is None:
            return
        names = (".dvc", "dvc.lock", "dvc.yaml")
        wanted = {each.blob for path, each in files.items() if path.endswith(names)} - self._blobs.keys()
        if wanted:
            listed = sorted(wanted)
            self._blobs.update(zip(listed, self._repository.blobs(listed), strict=True))

    def _content(self, file: GitFile) -> bytes:
        if self._repository is None:
            return Path(file.blob).read_bytes()
        if file.blob not in self._blobs:
            self._blobs[file.blob] = next(self._repository.blobs([file.blob]))
        return self._blobs[file.blob]

    def _say(self, problem: str) -> None:
        if problem not in self.problems:
            self.problems.append(problem)


@contextmanager
def open_dvc(source: str) -> Iterator[DvcRepository]:
    """Open a DVC repository: a folder, a bare repository, or the URL of one, which is cloned for as long as it is read.

    Raises:
        NotFound: There is no DVC repository there.
        InvalidInput: Git cannot read it.
    """
    path = Path(source).expanduser()
    if not path.exists():
        if "://" not in source and "@" not in source:
            raise NotFound(f"there is no folder {source}")
        with tempfile.TemporaryDirectory(prefix="mainspring-dvc-") as folder:
            name = source.rstrip("/").removesuffix(".git").rpartition("/")[2].rpartition(":")[2]
            yield _opened(name, clone(source, Path(folder, "clone.git")), Path(folder, "clone.git"))
        return
    repository = Repository.find(path)
    yield _opened("", repository, path.resolve())


def _opened(name: str, repository: Repository | None, path: Path) -> DvcRepository:
    if repository is not None and repository.bare:
        if not repository.text("ls-tree", "HEAD", ".dvc/config"):
            raise NotFound(f"{name or repository.top} holds no DVC repository at its top")
        name = name or repository.top.name.removesuffix(".git")
        return DvcRepository(name, repository.top / ".dvc", "", repository)
    for folder in (path, *path.parents):
        if (folder / ".dvc" / "config").is_file():
            if repository is None or not folder.is_relative_to(repository.top.resolve()):
                return DvcRepository(folder.name, folder / ".dvc", "", None)
            below = folder.relative_to(repository.top.resolve()).as_posix()
            return DvcRepository(folder.name, folder / ".dvc", "" if below == "." else f"{below}/", repository)
    raise NotFound(f"there is no DVC repository in {path} or above it", hint="it has a folder .dvc with a file config")


def _in_git(path: str, files: dict[str, GitFile]) -> bool:
    """Whether Git itself keeps an output: what DVC calls `cache: false`."""
    return path in files


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):
        return ""
