"""What a run is run from: the code's version, what is changed since, the machine, the packages."""

from __future__ import annotations

import os
import platform
import re
import socket
import subprocess
import sys
from importlib.metadata import distributions
from pathlib import Path
from typing import Any

from mainspring.tracking.types import SourceRecord

__all__ = ["capture"]

_LONGEST = 4 << 20
_PATIENCE = 10.0


def capture(folder: Path | None = None) -> SourceRecord:
    """Look around; never fails, what cannot be found out is left empty.

    Environment variables are not captured: secrets live there.
    """
    root = _git(folder, "rev-parse", "--show-toplevel").decode(errors="replace").strip()
    script, program = ("", b"") if root else _program()
    content = _git(folder, "diff", "HEAD", "--no-ext-diff", "--no-color", "--binary") if root else program
    return SourceRecord(
        machine=_machine(),
        packages=_packages(),
        commit=_git(folder, "rev-parse", "HEAD").decode(errors="replace").strip() if root else "",
        repository=_repository(folder, root) if root else "",
        script=script,
        content=content if len(content) <= _LONGEST else b"",
    )


def _machine() -> dict[str, Any]:
    return {
        "host": socket.gethostname(),
        "user": os.environ.get("USER") or os.environ.get("USERNAME") or "",
        "process": os.getpid(),
        "command": [sys.executable, *sys.argv],
        "folder": str(Path.cwd()),
        "python": platform.python_version(),
        "platform": platform.platform(),
        "cores": os.cpu_count() or 0,
    }


def _program() -> tuple[str, bytes]:
    """The name and the text of the program that runs; empty in a shell or a notebook."""
    path = Path(sys.argv[0])
    try:
        return (path.name, path.read_bytes()) if path.suffix == ".py" else ("", b"")
    except OSError:
        return "", b""


def _packages() -> dict[str, str]:
    found = {}
    for each in distributions():
        name = each.name
        if name:
            found[name.lower().replace("_", "-")] = each.version or ""
    return dict(sorted(found.items()))


def _repository(folder: Path | None, root: str) -> str:
    """The address of the remote without who may read it, or the folder's name."""
    remote = _git(folder, "remote", "get-url", "origin").decode(errors="replace").strip()
    return re.sub(r"//[^/@]*@", "//", remote) or Path(root).name


def _git(folder: Path | None, *arguments: str) -> bytes:
    try:
        done = subprocess.run(
            ["git", *arguments],  # noqa: S607 -- the user's own git, wherever it is installed
            cwd=folder,
            capture_output=True,
            timeout=_PATIENCE,
            check=False,
            env={**os.environ, "GIT_OPTIONAL_LOCKS": "0"},
        )
    except (OSError, subprocess.TimeoutExpired):
        return b""
    return done.stdout if done.returncode == 0 else b""
