"""Imported by the process that forks flow processes: reads what is installed once, for all of them."""

from __future__ import annotations

import os
import sys

from mainspring.pipelines.environment import current_environment

__all__ = ["still_true"]


def _folders() -> dict[str, int]:
    """When each folder of installed packages was changed last: installing anything changes its folder."""
    found = {}
    for path in sys.path:
        if not path.endswith("-packages"):
            continue
        try:
            found[path] = os.stat(path).st_mtime_ns  # noqa: PTH116 -- of a text
        except OSError:
            continue
    return found


def still_true() -> None:
    """In a forked process: forget what was read when something was installed since."""
    now = _folders()
    if any(now.get(path) != then for path, then in _then.items()):
        current_environment.cache_clear()


_then = _folders()
current_environment()
