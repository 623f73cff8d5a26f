"""What the process that forks flow processes has read: imported first in it, it remembers every file opened since.

A flow's module is imported there once, and each run begins with it there. That is right only as long as the files are
what they were, and the process is fit to be forked; the forked process asks before it does anything.
"""

from __future__ import annotations

import importlib.util
import os
import sys
from contextlib import suppress
from pathlib import Path
from typing import Any

from mainspring.kernel.clock import monotonic

__all__ = ["begin_anew", "unfit"]

_INSTALLED = tuple(
    {f"{Path(path).resolve()}{os.sep}" for path in (sys.prefix, sys.base_prefix, Path(__file__).parents[1])}
)
_DEVICES, _MEMORY = ("/proc/", "/dev/"), "/dev/shm/"  # noqa: S108 -- files in memory are files that people edit

_SURVIVING = frozenset({"", "jemalloc_bg_thd", "polars-ooc-clea"})


class _Seen:
    """What was opened since this module was imported."""

    def __init__(self) -> None:
        self.files: dict[str, tuple[int, int] | None] = {}
        self.descriptors = _descriptors() if Path("/proc/self/fd").is_dir() else None
        self.born = monotonic()
        self.process = os.getpid()

    def note(self, event: str, arguments: tuple[Any, ...]) -> None:
        """The audit hook; `open` is all that it looks at, in the process that began it."""
        if event != "open" or os.getpid() != self.process or not isinstance(arguments[0], str):
            return
        path = arguments[0]
        if path.endswith(".pyc"):
            with suppress(ValueError):
                path = importlib.util.source_from_cache(path)
        path = os.path.abspath(path)  # noqa: PTH100 -- of a text, without looking at the disk
        passed_over = path.startswith((*_INSTALLED, *_DEVICES)) and not path.startswith(_MEMORY)
        if not passed_over and path not in self.files:
            self.files[path] = _state(path)


def unfit(most_seconds: float) -> str:
    """In a forked process: why nothing may be executed on what it inherited; empty when it is as good as fresh.

    `stale` when something was edited or is too old; any other text when a fork of it will never do.
    """
    if _seen.descriptors is None:
        return "this system does not tell what a process has open"
    if monotonic() - _seen.born > most_seconds or any(_state(path) != was for path, was in _seen.files.items()):
        return "stale"
    if threads := _threads_lost(os.getppid()):
        return f"its modules start threads when they are imported: {', '.join(threads)}"
    if len(_descriptors() - _seen.descriptors) > 1:  # one is the socket on which it serves
        return "its modules open files or connections when they are imported, and keep them"
    return ""


def begin_anew() -> None:
    """In a forked process: let what must differ between processes differ."""
    numpy = sys.modules.get("numpy.random.mtrand")
    if numpy is not None and numpy._rand._bit_generator._seed_seq is not None:  # noqa: SLF001 -- None once it was seeded
        numpy.seed()  # every fork would draw the same numbers


def _threads_lost(parent: int) -> list[str]:
    """The threads of the process that was forked which its forks miss; those of pools that survive a fork do not count.

    Such are jemalloc's, the sweeper of polars, and the pools that OpenBLAS makes when NumPy or SciPy is imported.
    """
    names = [_line(each / "comm") for each in Path(f"/proc/{parent}/task").iterdir()]
    main = _line(Path(f"/proc/{parent}/comm"))
    unknown = [name for name in names if name not in _SURVIVING and name != main]
    more = names.count(main) - 1  # named like the process: threads of Python, and those of OpenBLAS
    if more:
        maps = Path("/proc/self/maps").read_text().splitlines()
        more -= len({line.split()[-1] for line in maps if "openblas" in line}) * max(0, (os.cpu_count() or 1) - 1)
    return unknown + [main] * max(0, more)


def _line(path: Path) -> str:
    with suppress(OSError):  # a thread may end while it is looked at
        return path.read_text().strip()
    return ""


def _descriptors() -> set[str]:
    """What this process has open; without the folder that is read for that."""
    return {each.name for each in list(Path("/proc/self/fd").iterdir()) if each.is_symlink()}


def _state(path: str) -> tuple[int, int] | None:
    try:
        found = os.stat(path)  # noqa: PTH116 -- of a text, a hundred times
    except OSError:
        return None
    return found.st_mtime_ns, found.st_size


_seen = _Seen()
sys.addaudithook(_seen.note)
