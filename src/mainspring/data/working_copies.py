"""Which folders of this machine are working copies: of which dataset, from which version.

One small file for each, named after the folder, written whole by a rename: so many processes may work at once.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

import msgspec

from mainspring.kernel.clock import now
from mainspring.kernel.errors import NotFound
from mainspring.kernel.hashing import digest_bytes
from mainspring.store.buckets import translate_os_error

__all__ = ["WorkingCopies", "WorkingCopy"]


class WorkingCopy(msgspec.Struct, frozen=True, kw_only=True):
    """A folder that belongs to a dataset."""

    path: str
    """Absolute."""
    dataset: str
    version: int = 0
    """The version that it was last equal to; 0 before the first."""
    tree: str = ""
    """The digest of that version."""
    paths: list[str] = []
    """The files and folders of the version that it has, as globs; empty for all."""
    dvc: bool = False
    """Whether `.dvcignore` files count in it."""
    at: datetime = msgspec.field(default_factory=now)

    @property
    def ref(self) -> str:
        """`dataset/name@version`, or `dataset/name` before the first version."""
        return f"dataset/{self.dataset}@{self.version}" if self.version else f"dataset/{self.dataset}"


class WorkingCopies:
    """The working copies that a folder of this machine keeps a record of."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def find(self, path: str | Path) -> WorkingCopy:
        """The working copy that a path is, or lies in.

        Raises:
            NotFound: It is none.
        """
        start = Path(os.path.abspath(path))  # noqa: PTH100 -- a link stays the name that the user gave
        for place in (start, *start.parents):
            found = self.get(place)
            if found is not None:
                return found
        raise NotFound(
            f"{start} is no working copy of a dataset",
            hint="`mainspring data commit NAME PATH`, `data add PATH` or `data checkout REF PATH` make it one",
            known=[each.path for each in self][:5],
        )

    def get(self, path: str | Path) -> WorkingCopy | None:
        """The working copy at a path, or None."""
        try:
            found = msgspec.json.decode(self._place(path).read_bytes(), type=WorkingCopy)
        except (FileNotFoundError, msgspec.DecodeError):
            return None
        return found if found.path == os.path.abspath(path) else None  # noqa: PTH100

    def keep(self, copy: WorkingCopy) -> WorkingCopy:
        """Write a working copy down."""
        place = self._place(copy.path)
        partial = place.with_name(f".{os.urandom(8).hex()}")
        try:
            place.parent.mkdir(parents=True, exist_ok=True)
            partial.write_bytes(msgspec.json.encode(copy))
            partial.replace(place)
        except OSError as error:
            raise translate_os_error(error, f"writing {place}") from error
        return copy

    def forget(self, path: str | Path) -> bool:
        """Keep no record of a folder any more; whether there was one. Its files stay."""
        place = self._place(path)
        there = place.exists()
        place.unlink(missing_ok=True)
        return there

    def __iter__(self) -> Iterator[WorkingCopy]:
        """Those whose folder is still there, by path."""
        found = []
        for place in sorted(self._folder.glob("*.json")):
            try:
                found.append(msgspec.json.decode(place.read_bytes(), type=WorkingCopy))
            except (FileNotFoundError, msgspec.DecodeError):
                continue
        return iter(sorted((each for each in found if Path(each.path).is_dir()), key=lambda each: each.path))

    def _place(self, path: str | Path) -> Path:
        name = digest_bytes(os.fsencode(os.path.abspath(path)))[:32]  # noqa: PTH100
        return self._folder / f"{name}.json"
