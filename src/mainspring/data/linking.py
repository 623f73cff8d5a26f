"""Ways for two files to share their bytes on the disk, where the file system offers one.

A *reflink* shares until one of the two is written; nobody can tell it from a copy. A *hard link* is one file with two
names: who writes to one writes to both. So hard links are made only when asked for, read-only, and only to files of the
cache, which are checked each time they are handed out; the store itself is never linked to.
"""

from __future__ import annotations

import fcntl
import os
from contextlib import suppress
from pathlib import Path
from typing import Literal

__all__ = ["Link", "hard_link", "reflink"]

Link = Literal["auto", "copy", "hard"]
"""How files come into a folder: `auto` is a reflink where the file system has them and a copy otherwise."""

_CLONE = 0x40049409  # FICLONE, linux/fs.h
_READ_ONLY = 0o444


def reflink(source: Path, target: str | Path) -> bool:
    """Make a new file that shares the bytes of another; False, and no file, where the file system cannot."""
    try:
        with source.open("rb") as one, Path(target).open("xb") as other:
            fcntl.ioctl(other.fileno(), _CLONE, one.fileno())
    except OSError:
        with suppress(FileNotFoundError):
            if Path(target).stat().st_size == 0:
                Path(target).unlink()
        return False
    return True


def hard_link(source: Path, target: str | Path) -> bool:
    """Give a file a second name, and take from everybody the right to write to it; False where that cannot be."""
    try:
        os.link(source, target)
    except OSError:
        return False
    Path(target).chmod(_READ_ONLY)
    return True
