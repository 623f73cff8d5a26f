"""Logged models: a model as a run wrote it, before anybody gave it a name in the registry."""

from __future__ import annotations

from datetime import datetime
from typing import Literal

import msgspec

from mainspring.lineage.types import File

__all__ = [
    "DatasetFilter",
    "LoggedFile",
    "LoggedMetric",
    "LoggedModel",
    "LoggedOrder",
    "LoggedPage",
    "LoggedRow",
    "LoggedStatus",
]

LoggedStatus = Literal["pending", "ready", "failed"]
"""`pending` until its files are all there."""


class LoggedRow(msgspec.Struct, frozen=True):
    """What is kept of a logged model."""

    id: str
    """`m-` and 32 hex digits."""
    workspace: str
    experiment_id: int
    name: str
    type: str
    """What kind of thing it is, in the words of whoever logged it; may be empty."""
    status: LoggedStatus
    run_id: str
    """The run that made it, or an empty text."""
    artifact_id: str
    """The artifact of kind `logged-model` that it became when it was ready, or an empty text."""
    created_at: datetime
    updated_at: datetime
    created_by: str
    deleted_at: datetime | None


class LoggedMetric(msgspec.Struct, frozen=True):
    """One figure of a logged model, on one data where that is known."""

    model_id: str
    key: str
    value: float | None
    """None where it is not a number."""
    at: datetime
    step: int = 0
    dataset_name: str = ""
    dataset_digest: str = ""
    run_id: str = ""
    """The run that measured it."""


class LoggedFile(msgspec.Struct, frozen=True):
    """A file of a logged model."""

    model_id: str
    path: str
    size: int
    digest: str
    at: datetime

    @property
    def file(self) -> File:
        """As the lineage has files."""
        return File(self.path, self.size, self.digest)


class LoggedModel(msgspec.Struct, frozen=True):
    """A model that a run wrote, with what was said about it."""

    model: LoggedRow
    params: dict[str, str] = {}
    tags: dict[str, str] = {}
    metrics: list[LoggedMetric] = []
    registered: list[tuple[str, int]] = []
    """Versions in the registry that were made of it: names and numbers."""

    @property
    def id(self) -> str:
        """`m-` and 32 hex digits."""
        return self.model.id


class LoggedPage(msgspec.Struct, frozen=True):
    """Some of the logged models that a search found."""

    models: list[LoggedModel]
    next_page: str


class DatasetFilter(msgspec.Struct, frozen=True):
    """On which data figures are compared."""

    name: str
    digest: str = ""


class LoggedOrder(msgspec.Struct, frozen=True):
    """By what logged models are ordered: a field, or `metrics.key` on one data."""

    field: str
    ascending: bool = True
    dataset_name: str = ""
    dataset_digest: str = ""
