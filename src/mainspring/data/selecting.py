"""A part of a version: files and folders by their paths, or by patterns as in ignore files."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from mainspring.data.ignore import glob_regex
from mainspring.data.trees import Read, find, walk
from mainspring.kernel.errors import InvalidInput, NotFound
from mainspring.lineage.types import File

__all__ = ["Selection"]


class Selection:
    """Which files are wanted.

    Args:
        paths: `train`, `train/cats`, `*.jpg` (in any folder), `train/*.jpg`, `**/labels/*`; a folder means all that is
            below it. None at all means everything.

    Example:
        >>> wanted = Selection(["train", "*.txt"])
        >>> [wanted.has(path) for path in ("train/a/1.jpg", "test/notes.txt", "test/1.jpg")]
        [True, True, False]
    """

    def __init__(self, paths: Sequence[str] = ()) -> None:
        self.paths = [path.strip("/") for path in paths if path.strip("/") not in ("", ".")]
        self._patterns = [_pattern(path) for path in self.paths]

    def __bool__(self) -> bool:
        return bool(self.paths)

    def has(self, path: str) -> bool:
        """Whether a file is wanted."""
        return not self._patterns or any(pattern.fullmatch(path) for pattern in self._patterns)

    def files(self, read: Read, root: str) -> Iterator[File]:
        """The files of a tree that are wanted, each once; raises `NotFound` for a path or pattern that means none."""
        plain = [path for path in self.paths if not _is_glob(path)]
        if len(plain) < len(self.paths) or not plain:
            yield from self._filtered(read, root)
            return
        for path in _outermost(plain):
            entry = find(read, root, path)
            if entry.files:
                yield from walk(read, entry.digest, prefix=f"{path}/")
            else:
                yield File(path, entry.size, entry.digest)

    def _filtered(self, read: Read, root: str) -> Iterator[File]:
        unmet = set(range(len(self._patterns)))
        for file in walk(read, root):
            hits = [at for at, pattern in enumerate(self._patterns) if pattern.fullmatch(file.path)]
            unmet.difference_update(hits)
            if hits or not self._patterns:
                yield file
        if unmet:
            raise NotFound(f"no file of the version is called {self.paths[min(unmet)]!r}")


def _is_glob(path: str) -> bool:
    return any(char in path for char in "*?[\\")


def _pattern(path: str) -> re.Pattern[str]:
    if not _is_glob(path):
        return re.compile(f"{re.escape(path)}(?:/.*)?", re.DOTALL)
    regex = glob_regex(path)
    if regex is None:
        raise InvalidInput(f"{path!r} is not a pattern", hint="write it as in a .gitignore: *.jpg, train/**, [ab]*")
    anywhere = "" if "/" in path else "(?:.*/)?"
    return re.compile(f"{anywhere}{regex}(?:/.*)?", re.DOTALL)


def _outermost(paths: Sequence[str]) -> list[str]:
    chosen: list[str] = []
    for path in sorted(set(paths), key=lambda each: each.split("/")):
        if not (chosen and (path == chosen[-1] or path.startswith(f"{chosen[-1]}/"))):
            chosen.append(path)
    return chosen
