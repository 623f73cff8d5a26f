"""What moves between places: a version and its history, and what a transfer did."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import msgspec

__all__ = ["History", "Remote", "Transfer", "VersionRecord"]


class Remote(msgspec.Struct, frozen=True):
    """Another place of dataset versions, by name."""

    workspace: str
    name: str
    url: str
    """A folder, `s3://`, `gs://`, `az://`, or `http(s)://` of another Mainspring. Never a secret."""
    at: datetime
    by: str


class VersionRecord(msgspec.Struct, frozen=True):
    """A version as it travels: everything that is known of it but its bytes."""

    id: str
    """Of the version where it was first committed; the same wherever it is pushed to."""
    name: str
    number: int
    """Its number where this record was read. A number is each place's own; the order travels."""
    tree: str
    files: int
    size: int
    created_at: datetime
    created_by: str
    rows: int | None = None
    schema: dict[str, str] = {}
    message: str = ""
    origin: str = ""
    uses: list[str] = []
    """References of what it was derived from, as its first place knew them."""
    metadata: dict[str, Any] = {}
    tags: dict[str, str] = {}
    note: str = ""
    partial: str = ""
    """Not empty where some of its files are only at a remote."""
    erased: str = ""
    """The erasure that its content was last written again by; empty for most."""
    form: int = 1


class History(msgspec.Struct, frozen=True):
    """The versions of a dataset at a place, oldest first."""

    versions: list[VersionRecord]
    aliases: dict[str, str]
    """Alias to version id."""

    def chosen(self, version: str) -> list[VersionRecord]:
        """The versions that the part of a reference behind `@` means; all for an empty one."""
        if not version:
            return list(self.versions)
        number = version.removeprefix("v")
        wanted = self.aliases.get(version, version)
        return [
            each for each in self.versions if wanted == each.id or (number.isdigit() and each.number == int(number))
        ]


class Transfer(msgspec.Struct, frozen=True):
    """What was moved."""

    remote: str
    versions: list[str]
    """References of the versions that are new there, with the numbers of the target."""
    files: int
    """Blobs that had to move: files, or pieces of large ones, and folders."""
    bytes: int
    known: int
    """Versions that were there already."""
    aliases_kept: list[str]
    """Aliases that point elsewhere there, at versions that the source does not know; they were left."""
    erased_elsewhere: list[str]
    """Versions whose content one side had to forget, and the other still has; see `forget`."""
