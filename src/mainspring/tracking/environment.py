"""What a run is run from: the machine, the interpreter, the packages, and the version of the code."""

from __future__ import annotations

import os
import platform
import re
import socket
import sys
from collections.abc import Sequence
from importlib.metadata import distributions
from pathlib import Path
from typing import Any

from mainspring.kernel.clock import monotonic
from mainspring.tracking.code_state import CodeState, code_state, notebook
from mainspring.tracking.types import SourceRecord

__all__ = ["capture", "packages"]

_LONGEST = 8 << 20
_FRESH = 5.0
_known: list[tuple[tuple[Path, Path | None], float, CodeState]] = []
_DISTRIBUTION = re.compile(r"([^-]+)-([^-]+)\.dist-info")
_SECRET = re.compile(r"(?i)(pass(word|wd)?|secret|token|api[-_]?key|credential|auth)")
_NVIDIA = Path("/proc/driver/nvidia/gpus")


def capture(folder: Path | None = None) -> SourceRecord:
    """Look around; never fails, what cannot be found out is left empty.

    Environment variables are not captured: secrets live there. What looks like a secret on the command line is masked.

    Args:
        folder: Where to look for a Git repository; the working folder when left out.
    """
    code = _code() if folder is None else code_state(folder=folder)
    inside = code.top is not None
    content = code.patch if inside else code.content if code.path.endswith(".py") else b""
    machine = _machine() | {
        "branch": code.branch,
        "entry": code.path,
        "left_out": list(code.left_out[:100]),
    }
    if len(content) > _LONGEST:
        machine["content_too_large"] = len(content)
        content = b""
    return SourceRecord(
        machine={key: value for key, value in machine.items() if value not in ("", [], None)},
        packages=packages(),
        commit=code.commit,
        repository=(code.remote or code.top.name) if code.top is not None else "",
        script="" if inside else code.path if content else "",
        content=content,
    )


def _code() -> CodeState:
    """The code of this process; asked again within seconds, as by the runs of a search, the same."""
    program = Path(sys.argv[0]) if sys.argv and sys.argv[0].endswith(".py") else None
    asked = (Path.cwd(), program)
    for place, at, known in _known:
        if place == asked and monotonic() - at < _FRESH:
            return known
    code = code_state(program, folder=asked[0])
    if code.top is None and program is not None:
        code = code_state(program)
    if notebook() is None:  # whose cells change from run to run
        _known[:] = [(asked, monotonic(), code)]
    return code


def packages() -> dict[str, str]:
    """Every installed distribution and its version, by its normal name; of one that is there twice, the imported.

    Read off the names of the folders, which say both: reading hundreds of metadata files takes half a second.
    """
    found: dict[str, str] = {}
    for entry in sys.path:
        for name, version in _installed(entry or "."):
            found.setdefault(re.sub(r"[-_.]+", "-", name).lower(), version)
    return dict(sorted(found.items()))


def _installed(folder: str) -> list[tuple[str, str]]:
    try:
        names = sorted(os.listdir(folder))  # noqa: PTH208 -- a path object for each of thousands of names costs more
    except OSError:
        names = []
    found = [match.groups() for name in names if (match := _DISTRIBUTION.fullmatch(name))]
    if any(name.endswith(".egg-info") for name in names):  # whose names do not always tell
        found += [(each.name, each.version) for each in distributions(path=[folder]) if each.name]
    return [(name, version or "") for name, version in found]


def _machine() -> dict[str, Any]:
    cells = notebook()
    return {
        "host": socket.gethostname(),
        "user": os.environ.get("USER") or os.environ.get("USERNAME") or "",
        "process": os.getpid(),
        "command": [sys.executable, *_masked(sys.argv)],
        "folder": str(Path.cwd()),
        "python": platform.python_version(),
        "implementation": platform.python_implementation(),
        "platform": platform.platform(),
        "architecture": platform.machine(),
        "cores": os.cpu_count() or 0,
        "memory": _memory(),
        "gpus": _gpus(),
        "notebook": cells[0] if cells else "",
    }


def _masked(arguments: Sequence[str]) -> list[str]:
    """The arguments without what follows a name that speaks of secrets: `--token=x`, `--password x`."""
    shown, hide = [], False
    for argument in arguments:
        name, equals, _ = argument.partition("=")
        secret = bool(_SECRET.search(name)) and (bool(equals) or name.startswith("-"))
        if hide and not argument.startswith("-"):
            shown.append("***")
        elif secret and equals:
            shown.append(f"{name}=***")
        else:
            shown.append(re.sub(r"//[^/@\s]*:[^/@\s]*@", "//***@", argument))
        hide = secret and not equals
    return shown


def _memory() -> int | None:
    """Bytes of the machine's memory."""
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (ValueError, OSError, AttributeError):
        return None


def _gpus() -> list[str]:
    """The names of the graphics processors, as the driver or a framework that is loaded anyway tells them."""
    try:
        found = [
            line.partition(":")[2].strip()
            for file in sorted(_NVIDIA.glob("*/information"))
            for line in file.read_text(encoding="utf-8", errors="replace").splitlines()
            if line.startswith("Model:")
        ]
    except OSError:
        found = []
    torch = sys.modules.get("torch")
    if found or torch is None:
        return found
    try:
        return [str(torch.cuda.get_device_name(number)) for number in range(torch.cuda.device_count())]
    except (RuntimeError, AssertionError, AttributeError):
        return []
