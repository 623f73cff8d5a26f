"""What a client keeps of its own on this machine: the cache of blobs, what it knows of files, its working copies.

In the store's folder when the store is here, in the user's cache folder otherwise.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec

from mainspring.data.stat_cache import FileClock, StatCache

__all__ = ["Files", "open_files"]


class Files(msgspec.Struct, frozen=True):
    """What is needed to look at files."""

    cache: StatCache
    clock: FileClock


@contextmanager
def open_files(folder: Path) -> Iterator[Files]:
    """The stat cache and the clocks, kept in a folder."""
    clock = FileClock(folder)
    try:
        with StatCache(folder / "files.db") as cache:
            yield Files(cache, clock)
    finally:
        clock.close()
