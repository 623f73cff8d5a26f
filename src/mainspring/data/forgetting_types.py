"""What is said of forgetting: where the rows were, what they reached, what was done and what could not be."""

from __future__ import annotations

from datetime import datetime

import msgspec

from mainspring.data.erasures import Rewritten

__all__ = ["Erasure", "ForgetReport", "Forgotten", "Hit", "Reached", "RemoteErasure"]


class Hit(msgspec.Struct, frozen=True):
    """A version that holds what is to be forgotten."""

    ref: str
    id: str
    rows: int
    """How many of its rows."""
    files: list[str]
    """In which of its files; a file that goes as a whole stands here, too."""
    before: str
    """The root of its tree."""
    after: str = ""
    """The root without it; empty in a dry run, and where nothing is left."""


class Reached(msgspec.Struct, frozen=True):
    """Something that was derived of a version which holds, or held, the rows."""

    ref: str
    kind: str
    path: list[str]
    """From the version to it, along the lineage."""


class RemoteErasure(msgspec.Struct, frozen=True):
    """What was done at a remote."""

    remote: str
    versions: list[str]
    """Those that were written again there."""
    unsearched: list[str] = []
    """Versions that it has and this store has not; they were not searched."""
    failed: str = ""
    """Why it could not be done; the rows are still there."""


class Forgotten(msgspec.Struct, frozen=True):
    """What the functions under `ERASERS` on the hooks page are told."""

    where: str
    reason: str
    versions: list[str]
    """Ids of the dataset versions that held the rows."""
    apply: bool
    left: list[str] = []
    """What still holds some of it, though it should not; such a function adds to it."""


class Erasure(msgspec.Struct, frozen=True):
    """The tombstone of what was forgotten, as it is kept."""

    id: str
    at: datetime
    by: str
    reason: str
    seal: str
    """BLAKE3 of a salt and the condition: the report proves what was asked, the store alone does not tell it."""
    versions: list[Rewritten]
    removed: int
    """Blobs that are gone."""
    left: list[str] = []
    """Objects that could not be written again."""


class ForgetReport(msgspec.Struct, frozen=True):
    """What was found, and what was done about it."""

    where: str
    reason: str
    applied: bool
    hits: list[Hit]
    reached: list[Reached]
    """Models, reports, predictions and whatever else was derived. `elsewhere` says which of it changes."""
    elsewhere: list[str]
    """What was found outside of datasets: rows online of feature views, of training sets; see the hooks page."""
    remotes: list[RemoteErasure]
    scanned: int
    """Files that were read; each content once, however many versions have it."""
    unsearched: list[str]
    """What could not be searched, and why. It may hold rows that the condition means."""
    id: str = ""
    """Of the erasure."""
    salt: str = ""
    """With it and the condition the seal in the ledger can be proved; it is kept nowhere else."""
    removed: int = 0
    """Blobs that are gone from the store."""
    left: list[str] = []
    """Objects of the store that still hold some of it."""
