"""Facts about where and from what a model is made: the environment and the code. Captured on the user's machine.

Git is asked through its own program, when there is one: a repository in its worktrees, submodules and alternates is
more than a few files in `.git`.
"""

from __future__ import annotations

import inspect
import os
import platform
import re
import subprocess
import sys
from collections.abc import Callable
from importlib.metadata import distributions
from pathlib import Path
from typing import Any

from mainspring.kernel.hashing import digest_bytes
from mainspring.kernel.names import check_name
from mainspring.models.types import Code, Environment

__all__ = ["code", "environment"]

_SECONDS = 10.0


def environment() -> Environment:
    """The interpreter and every installed distribution.

    Example:
        >>> "msgspec" in environment().packages
        True
    """
    found: dict[str, str] = {}
    for each in distributions():
        name = each.metadata["Name"]
        if name:
            found.setdefault(name.lower().replace("_", "-"), each.version)  # the first found is the one imported
    return Environment(
        python=platform.python_version(),
        implementation=platform.python_implementation(),
        platform=f"{platform.system()}-{platform.machine()}",
        packages=dict(sorted(found.items())),
    )


def code(source: Callable[..., Any] | str | Path | None = None) -> Code:
    """The code that is running: of a function's file, of a path, or of the program.

    Inside a Git repository that is the commit and a digest of all that differs from it (new files that Git does not
    ignore included); outside, a digest of the source file.
    """
    path = _path_of(source)
    folder = (path.parent if path is not None and path.is_file() else path) or Path.cwd()
    top = _git(folder, "rev-parse", "--show-toplevel").strip()
    if top:
        return _of_repository(Path(top), path)
    if path is None or not path.is_file():
        return Code(name="interactive")
    return Code(name=_named(path.stem), source=digest_bytes(path.read_bytes()), path=path.name)


def _of_repository(top: Path, path: Path | None) -> Code:
    commit = _git(top, "rev-parse", "--verify", "-q", "HEAD").strip()
    inside = str(path.relative_to(top)) if path is not None and path.is_relative_to(top) else ""
    return Code(
        name=_named(top.name),
        commit=commit,
        branch=_git(top, "rev-parse", "--abbrev-ref", "HEAD").strip() if commit else "",
        changes=_changes(top, has_commit=bool(commit)),
        remote=re.sub(r"//[^/@]*@", "//", _git(top, "config", "--get", "remote.origin.url").strip()),
        path=inside,
    )


def _changes(top: Path, *, has_commit: bool) -> str:
    """A digest of what differs from the commit: the diff, and the content of files that Git does not know."""
    parts = [_git(top, "diff", "--no-ext-diff", "--binary", "HEAD")] if has_commit else []
    for name in sorted(filter(None, _git(top, "ls-files", "--others", "--exclude-standard", "-z").split("\0"))):
        file = top / name
        if file.is_file():
            parts += [name, digest_bytes(file.read_bytes())]
    text = "\0".join(part for part in parts if part)
    return digest_bytes(text.encode(errors="surrogateescape")) if text else ""


def _path_of(source: Callable[..., Any] | str | Path | None) -> Path | None:
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


def _named(text: str) -> str:
    return check_name(re.sub(r"[^\w.\-]+|^[^\w]+", "-", text).lstrip("-.") or "code")


def _git(folder: Path, *arguments: str) -> str:
    """What Git answers, or an empty text where there is no repository, no Git, or no answer in time."""
    try:
        done = subprocess.run(
            ["git", "-C", str(folder), *arguments],  # noqa: S607 -- the user's own Git
            capture_output=True,
            timeout=_SECONDS,
            env={**os.environ, "GIT_OPTIONAL_LOCKS": "0"},
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout.decode(errors="surrogateescape") if done.returncode == 0 else ""
