"""The version of the code that runs: a commit and all that differs from it, or the source itself.

Git is asked through its own program, when there is one: a repository in its worktrees, submodules and alternates is
more than a few files in `.git`.
"""

from __future__ import annotations

import inspect
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import msgspec

from mainspring.kernel.hashing import digest_value

__all__ = ["CodeState", "code_state", "notebook", "path_of"]

_SECONDS = 10.0
_LARGEST_NEW = 128 << 10
_MOST_NEW = 500


class CodeState(msgspec.Struct, frozen=True):
    """Which code ran."""

    top: Path | None = None
    """The folder of the repository; None outside of one."""
    commit: str = ""
    branch: str = ""
    remote: str = ""
    """The address of `origin` without who may read it."""
    path: str = ""
    """Of the program, within the repository; its name outside of one."""
    patch: bytes = b""
    """What `git apply` turns the commit into what ran with: the changes, and new files that Git does not ignore."""
    left_out: tuple[str, ...] = ()
    """New files that are too large for the patch, or too many."""
    content: bytes = b""
    """Outside of a repository: the program."""

    @property
    def changes(self) -> str:
        """A digest of what differs from the commit; empty when nothing does."""
        if self.top is None or not (self.patch or self.left_out):
            return ""
        sizes = {name: _size(self.top / name) for name in self.left_out}
        return digest_value("changes", [self.patch.hex(), sizes])


def code_state(source: Callable[..., Any] | str | Path | None = None, *, folder: Path | None = None) -> CodeState:
    """Look at the code of a function's file, of a path, or of the program; never fails, what is unknown stays empty.

    Args:
        source: Whose code; the program that runs when left out.
        folder: Where to look for a repository; beside the source, or else the working folder, when left out.
    """
    path = path_of(source)
    beside = path.parent if path is not None and path.is_file() else path
    start = folder or beside or Path.cwd()
    top = _git(start, "rev-parse", "--show-toplevel").decode(errors="replace").strip()
    if top:
        return _of_repository(Path(top), path)
    if source is None and (cells := notebook()):
        return CodeState(path=cells[0], content=cells[1])
    try:
        content = path.read_bytes() if path is not None and path.is_file() else b""
    except OSError:
        content = b""
    return CodeState(path=path.name if path is not None else "", content=content)


def notebook() -> tuple[str, bytes] | None:
    """The name and the cells that were run, in order, where this is a notebook; None elsewhere."""
    ipython = sys.modules.get("IPython")
    shell = ipython.get_ipython() if ipython is not None else None
    if shell is None or not hasattr(shell, "kernel"):
        return None
    cells = [str(cell) for cell in shell.user_ns.get("In", []) if str(cell).strip()]
    named = shell.user_ns.get("__vsc_ipynb_file__") or os.environ.get("JPY_SESSION_NAME") or "notebook.ipynb"
    text = "\n\n".join(f"# %%\n{cell}" for cell in cells)
    return Path(str(named)).with_suffix(".py").name, text.encode(errors="replace")


def path_of(source: Callable[..., Any] | str | Path | None) -> Path | None:
    """The file of a function, of a path, or of the program; None in a shell."""
    if source is None:
        main = getattr(sys.modules.get("__main__"), "__file__", None)
        return Path(main).resolve() if main else None
    if isinstance(source, str | Path):
        return Path(source).resolve()
    try:
        file = inspect.getsourcefile(inspect.unwrap(source))
    except TypeError:
        file = None
    return Path(file).resolve() if file and Path(file).is_file() else None


def _of_repository(top: Path, path: Path | None) -> CodeState:
    commit = _line(top, "rev-parse", "--verify", "-q", "HEAD")
    named = _git(top, "ls-files", "--others", "--exclude-standard", "-z").decode(errors="surrogateescape")
    new = sorted(filter(None, named.split("\0")))
    taken = [name for name in new if 0 <= _size(top / name) <= _LARGEST_NEW][:_MOST_NEW]
    return CodeState(
        top=top,
        commit=commit,
        branch=_line(top, "rev-parse", "--abbrev-ref", "HEAD") if commit else "",
        remote=re.sub(r"//[^/@]*@", "//", _line(top, "config", "--get", "remote.origin.url")),
        path=str(path.relative_to(top)) if path is not None and path.is_relative_to(top) else "",
        patch=_patch(top, taken, commit=commit),
        left_out=tuple(sorted(set(new) - set(taken))),
    )


def _patch(top: Path, new: Sequence[str], *, commit: str) -> bytes:
    """The difference to the commit, new files included: they are announced in a copy of Git's index."""
    base = commit or _line(top, "hash-object", "-t", "tree", "--stdin")  # before the first commit: the empty tree
    difference = ("diff", "--no-ext-diff", "--no-color", "--binary", base)
    if not new:
        return _git(top, *difference)
    index = top / _line(top, "rev-parse", "--git-path", "index")
    with tempfile.TemporaryDirectory(prefix="mainspring-index-") as made:
        copy = Path(made) / "index"
        try:
            if index.exists():
                shutil.copyfile(index, copy)
        except OSError:
            return _git(top, *difference)
        own = {"GIT_INDEX_FILE": str(copy)}
        names = "\0".join(new).encode(errors="surrogateescape")
        _git(top, "add", "-N", "--pathspec-from-file=-", "--pathspec-file-nul", given=names, environ=own)
        return _git(top, *difference, environ=own)


def _size(path: Path) -> int:
    """Bytes of a file, -1 when it is none."""
    try:
        return path.stat().st_size if path.is_file() else -1
    except OSError:
        return -1


def _line(folder: Path, *arguments: str) -> str:
    return _git(folder, *arguments).decode(errors="replace").strip()


def _git(folder: Path, *arguments: str, given: bytes = b"", environ: dict[str, str] | None = None) -> bytes:
    """What Git answers, or nothing where there is no repository, no Git, or no answer in time."""
    try:
        done = subprocess.run(
            ["git", "-C", str(folder), *arguments],  # noqa: S607 -- the user's own Git
            input=given,
            capture_output=True,
            timeout=_SECONDS,
            env={**os.environ, "GIT_OPTIONAL_LOCKS": "0", **(environ or {})},
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return b""
    return done.stdout if done.returncode == 0 else b""
