"""Where the artifact proxy keeps files: the path of a request names a run, or something else that has files.

A shelf is found by the form of the path. Runs are here; other areas add theirs to `SHELVES`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from typing import Protocol

import msgspec

from mainspring.client.client import Client
from mainspring.kernel.errors import Conflict, NotFound
from mainspring.protocols.mlflow.failures import invalid, missing
from mainspring.protocols.mlflow.runs import inactive, no_run

__all__ = ["SHELVES", "Kept", "RunShelf", "Shelf", "find_shelf", "listing"]

_RUN = re.compile(r"(?:.*/)?([0-9a-f]{32})/artifacts(?:/(.*))?")


class Kept(msgspec.Struct, frozen=True):
    """A file on a shelf."""

    path: str
    size: int
    digest: str


class Shelf(Protocol):
    """Files that belong together, by path."""

    def files(self, prefix: str = "") -> list[Kept]:
        """Those whose path begins so."""
        ...

    def read(self, path: str, start: int, stop: int | None) -> Iterator[bytes]:
        """Bytes of a file."""
        ...

    def put(self, path: str, body: Iterable[bytes], media_type: str) -> None:
        """Keep a file; one that is there is replaced."""
        ...

    def delete(self, path: str) -> None:
        """Take a file away."""
        ...


class RunShelf:
    """The files of a run."""

    def __init__(self, client: Client, run_id: str) -> None:
        self._tracking = client.tracking
        self._run_id = run_id

    def files(self, prefix: str = "") -> list[Kept]:
        """Those whose path begins so."""
        try:
            found = self._tracking.files(self._run_id, prefix=prefix)
        except NotFound:
            raise no_run(self._run_id) from None
        return [Kept(each.path, each.file.size, each.file.digest) for each in found]

    def read(self, path: str, start: int, stop: int | None) -> Iterator[bytes]:
        """Bytes of a file."""
        return self._tracking.read_file(self._run_id, path=path, start=start, stop=stop)

    def put(self, path: str, body: Iterable[bytes], media_type: str) -> None:
        """Keep a file; one that is there is replaced."""
        try:
            self._tracking.put_file(self._run_id, path=path, body=body, media_type=media_type)
        except NotFound:
            raise no_run(self._run_id) from None
        except Conflict:
            raise inactive(self._run_id) from None

    def delete(self, path: str) -> None:
        """Take a file away."""
        try:
            self._tracking.delete_file(self._run_id, path=path)
        except Conflict:
            raise inactive(self._run_id) from None


def _run_shelf(client: Client, path: str) -> tuple[Shelf, str] | None:
    found = _RUN.fullmatch(path)
    return (RunShelf(client, found[1]), found[2] or "") if found else None


SHELVES: list[Callable[[Client, str], tuple[Shelf, str] | None]] = [_run_shelf]
"""Each reads a path of the proxy: the shelf and the path on it, or None when the path is not its."""


def find_shelf(client: Client, path: str, *, writing: bool = False) -> tuple[Shelf, str]:
    """The shelf that a path of the proxy names, and the path on it."""
    for each in SHELVES:
        if (found := each(client, path)) is not None:
            return found
    if writing:
        raise invalid(f"Artifacts belong to a run or a model: <experiment>/<run>/artifacts/<path>. Got '{path}'")
    raise missing(f"No such artifact: '{path}'")


def listing(shelf: Shelf, folder: str) -> list[tuple[str, int | None]]:
    """What is directly in a folder: names with sizes, folders without one; empty where it is none."""
    prefix = f"{folder.strip('/')}/" if folder.strip("/") else ""
    found: dict[str, int | None] = {}
    for each in shelf.files(prefix):
        head, deeper, _ = each.path[len(prefix) :].partition("/")
        found[head] = None if deeper else each.size
    return sorted(found.items())
