"""What the pipelines speak of when a flow's code is kept."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import msgspec

from mainspring.pipelines.types import Location

__all__ = ["CodeFile", "Deployment", "DeploymentDiff", "Placed"]


class CodeFile(msgspec.Struct, frozen=True):
    """One file of a deployment."""

    path: str
    """Relative to the folder that is put on `sys.path`."""
    digest: str
    size: int


class Deployment(msgspec.Struct, frozen=True):
    """One version of a flow: its code, as it was when it was deployed."""

    id: str
    workspace: str
    flow: str
    version: int
    """1, 2, 3, ... of each flow."""
    digest: str
    """Of the files and the address: the same code has one version."""
    code: str
    """The digest of what the flow reaches, as runs record it."""
    address: str
    """`module:function` in these files."""
    main: str
    """Which of the files is the script, for a flow that is defined in one; empty otherwise."""
    files: tuple[CodeFile, ...]
    sys_path: tuple[str, ...]
    """Where else modules are looked for: what is installed."""
    cwd: str
    options: dict[str, Any]
    """What the decorator said: schedule, trigger, pool, ..."""
    labels: dict[str, str]
    pool: str
    priority: int
    max_attempts: int
    active: bool
    """Whether schedules and triggers start this version."""
    created_at: datetime
    created_by: str

    @property
    def ref(self) -> str:
        """`flow@version`: what runs say of it."""
        return f"{self.flow}@{self.version}"


class DeploymentDiff(msgspec.Struct, frozen=True):
    """What differs between two versions of a flow."""

    added: list[str]
    removed: list[str]
    changed: list[str]
    text: str
    """The differences of the files, line by line."""


class Placed(msgspec.Struct, frozen=True):
    """Where a run that is started now finds its code."""

    location: Location
    deployment: str = ""
    code: str = ""
