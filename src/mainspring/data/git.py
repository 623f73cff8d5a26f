"""Git repositories through the `git` command: where a path lies, what HEAD is, what a commit holds.

The command rather than a library: it reads every repository that its user's Git made, with its alternates, worktrees,
partial clones and credentials, and whoever has a repository has it.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from mainspring.kernel.errors import InvalidInput, MissingDependency, NotFound

if TYPE_CHECKING:
    import subprocess

__all__ = ["GitCommit", "GitFile", "Repository", "clone", "run_git"]

_LOCAL = {
    "GIT_ALTERNATE_OBJECT_DIRECTORIES", "GIT_COMMON_DIR", "GIT_DIR", "GIT_INDEX_FILE", "GIT_NAMESPACE",
    "GIT_OBJECT_DIRECTORY", "GIT_PREFIX", "GIT_WORK_TREE",
}  # fmt: skip
"""What a hook inherits that speaks of the repository it runs for; a path is asked afresh where it lies."""


class GitCommit(msgspec.Struct, frozen=True):
    """A commit of a Git repository."""

    id: str
    parents: list[str]
    author: str
    email: str
    date: str
    """When it was authored, ISO 8601 with the author's offset."""
    message: str


class GitFile(msgspec.Struct, frozen=True):
    """A file in the tree of a commit."""

    path: str
    mode: str
    blob: str


def run_git(folder: Path, *command: str, stdin: bytes | None = None) -> bytes:
    """What a Git command prints.

    Raises:
        MissingDependency: There is no `git`.
        InvalidInput: Git refused; its own words are in the message.
    """
    done = _start(folder, command, stdin)
    if done.returncode:
        said = done.stderr.decode(errors="replace").strip().splitlines()
        raise InvalidInput(f"git {command[0]} in {folder}: {said[-1] if said else f'exit code {done.returncode}'}")
    return done.stdout


def clone(url: str, into: Path) -> Repository:
    """A bare copy of a repository that lies elsewhere.

    Raises:
        InvalidInput: Git cannot reach it.
    """
    run_git(into.parent, "clone", "--quiet", "--bare", "--", url, str(into))
    return Repository(into, into)


class Repository:
    """A Git repository on this machine, or a worktree of one.

    Args:
        top: The folder of the working tree; that of a bare repository itself.
        git_dir: Where Git keeps what belongs to this working tree.
    """

    def __init__(self, top: Path, git_dir: Path) -> None:
        self.top = top
        self.git_dir = git_dir

    @classmethod
    def find(cls, path: str | Path) -> Repository | None:
        """The repository that a path lies in, which need not be there itself; None outside of any."""
        folder = Path(os.path.abspath(path))  # noqa: PTH100 -- a link that is tracked is not followed
        while not folder.is_dir():
            folder = folder.parent
        found = _start(folder, ("rev-parse", "--is-bare-repository", "--absolute-git-dir"), None)
        if found.returncode:
            return None
        bare, git_dir = found.stdout.decode().splitlines()
        if bare == "true":
            return cls(Path(git_dir), Path(git_dir))
        top = _start(folder, ("rev-parse", "--show-toplevel"), None)
        return cls(Path(top.stdout.decode().rstrip("\n")), Path(git_dir)) if not top.returncode else None

    @property
    def bare(self) -> bool:
        """Whether it has no working tree."""
        return self.top == self.git_dir

    def run(self, *command: str, stdin: bytes | None = None) -> bytes:
        """What a Git command prints here; see `run_git`."""
        return run_git(self.top, *command, stdin=stdin)

    def text(self, *command: str) -> str:
        """What a Git command prints, as one text; empty when it fails."""
        done = _start(self.top, command, None)
        return "" if done.returncode else done.stdout.decode(errors="replace").strip()

    def facts(self) -> dict[str, str | bool]:
        """Where a version is made, for its record: commit, branch, and whether files differ from the commit."""
        commit = self.text("rev-parse", "--verify", "--quiet", "HEAD")
        branch = self.text("symbolic-ref", "--quiet", "--short", "HEAD")
        dirty = bool(self.text("status", "--porcelain", "--untracked-files=no"))
        return {"commit": commit, "branch": branch, "dirty": dirty}

    def relative(self, path: str | Path) -> str:
        """A path as the repository names it; raises `InvalidInput` for one outside of it."""
        whole = Path(os.path.abspath(path))  # noqa: PTH100
        for place, top in ((whole, self.top), (whole.parent.resolve() / whole.name, self.top.resolve())):
            if place.is_relative_to(top):
                return place.relative_to(top).as_posix()
        raise InvalidInput(f"{path} lies outside of the Git repository {self.top}")

    def commits(self, *revisions: str, paths: Sequence[str] = ()) -> list[GitCommit]:
        """Commits that changed something at the paths, parents first; parents are the nearest that did."""
        form = "--format=%H%x1f%P%x1f%an%x1f%ae%x1f%aI%x1f%B%x1e"
        found = self.run(
            "log", "--topo-order", "--reverse", "--full-history", "--parents", form, *revisions, "--", *paths
        )
        made = []
        for record in found.decode(errors="replace").split("\x1e"):
            fields = record.lstrip("\n").split("\x1f")
            if len(fields) == 6:
                commit, parents, author, email, date, message = fields
                made.append(GitCommit(commit, parents.split(), author, email, date, message.strip()))
        return made

    def tree(self, revision: str, *paths: str) -> list[GitFile]:
        """The files of a commit, by path; a link to another repository is none."""
        listed = self.run("ls-tree", "-r", "-z", "--full-tree", revision, "--", *paths).decode(errors="surrogateescape")
        found = []
        for line in listed.split("\0"):
            about, tab, path = line.partition("\t")
            if tab and about.split(" ")[1] == "blob":
                mode, _, blob = about.split(" ")
                found.append(GitFile(path, mode, blob))
        return found

    def blobs(self, ids: Iterable[str]) -> Iterator[bytes]:
        """The content of files, in order."""
        wanted = list(ids)
        answer = self.run("cat-file", "--batch", stdin="".join(f"{each}\n" for each in wanted).encode())
        position = 0
        for each in wanted:
            end = answer.index(b"\n", position)
            head = answer[position:end].split()
            if len(head) != 3:
                raise NotFound(f"{self.top} has no object {each}", hint="git fsck")
            size = int(head[2])
            yield answer[end + 1 : end + 1 + size]
            position = end + 2 + size

    def refs(self) -> dict[str, str]:
        """Branches and tags by name, and the commit of each; what is here comes before a branch of `origin`."""
        form = "--format=%(refname)%00%(objectname)%00%(*objectname)"
        found: dict[str, str] = {}
        kinds = ("refs/remotes/origin", "refs/heads", "refs/tags")
        listed = self.run("for-each-ref", form, *kinds).decode().splitlines()
        for line in sorted(listed, key=lambda each: not each.startswith(kinds[0])):
            name, commit, peeled = line.split("\0")
            short = name.removeprefix("refs/remotes/origin/").removeprefix("refs/heads/").removeprefix("refs/tags/")
            if name != "refs/remotes/origin/HEAD":
                found[short] = peeled or commit
        return found


def _start(folder: Path, command: Sequence[str], stdin: bytes | None) -> subprocess.CompletedProcess[bytes]:
    import shutil
    import subprocess

    program = shutil.which("git")
    if program is None:
        raise MissingDependency("git")
    environment = {key: value for key, value in os.environ.items() if key not in _LOCAL}
    environment |= {"GIT_TERMINAL_PROMPT": "0", "LC_ALL": "C", "GIT_OPTIONAL_LOCKS": "0"}
    return subprocess.run(
        [program, "-C", str(folder), *command],
        input=stdin if stdin is not None else b"",
        capture_output=True,
        check=False,
        env=environment,
    )
