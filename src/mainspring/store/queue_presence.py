"""Which process this is, and whether another process of the same machine is still there.

A worker that was killed is noticed at once by its neighbours, without waiting for its lease to run out. Where the
operating system does not tell (no `/proc`), nobody is ever called gone, and only leases decide.
"""

from __future__ import annotations

import functools
from pathlib import Path

__all__ = ["birth", "host", "is_gone"]


@functools.lru_cache(maxsize=1)
def host() -> str:
    """The boot of this machine and the namespace of its process ids; empty where it cannot be known."""
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
        return f"{boot}/{Path('/proc/self/ns/pid').readlink()}"
    except OSError:
        return ""


def birth(pid: int) -> str:
    """When the process started, in ticks since boot; empty when there is no such process, or it has ended."""
    try:
        # The name in parentheses may hold spaces and parentheses; fields are counted behind the last one.
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return ""
    return "" if fields[0] in "ZX" else fields[19]


def is_gone(where: str, pid: int, born: str) -> bool:
    """Whether the process has certainly ended: it was of this machine, and is not there any more.

    Example:
        >>> import os
        >>> is_gone("another machine", 1, "0")
        False
        >>> is_gone(host(), os.getpid(), birth(os.getpid()))
        False
    """
    return bool(where) and where == host() and bool(born) and birth(pid) != born
