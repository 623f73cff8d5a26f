"""What the registry speaks of: models, their versions, who approved them, and the card that tells it all."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import msgspec

from mainspring.engines.signature import Signature
from mainspring.kernel.errors import InvalidInput
from mainspring.lineage.types import AliasChange, File, Node
from mainspring.models.parity import CompileReport

__all__ = [
    "Approval",
    "Attached",
    "Code",
    "Environment",
    "Manifest",
    "Metric",
    "Model",
    "ModelCard",
    "ModelVersion",
    "VersionNotes",
]


class Metric(msgspec.Struct, frozen=True):
    """A figure with its interval, where one was computed."""

    value: float
    low: float | None = None
    high: float | None = None
    level: float | None = None
    """Confidence of the interval, for example 0.95."""

    def __post_init__(self) -> None:
        if (self.low is None) != (self.high is None):
            raise InvalidInput("an interval has two ends: give both low and high, or neither")
        if self.value - self.value != 0.0:
            raise InvalidInput(f"a metric of a model must be a finite number, and this is {self.value}")


class Manifest(msgspec.Struct, frozen=True):
    """What is in the folder of a saved model: its `manifest.json`.

    It describes and grants nothing: what may be loaded is the policy of the workspace that loads it.
    """

    format: str
    """One of `formats.FORMATS`: `skops`, `lightgbm`, `onnx`, `pickle`."""
    signature: Signature
    files: tuple[File, ...]
    libraries: dict[str, str] = {}
    """Distribution -> version that wrote it."""
    classes: list[Any] = []
    """What a classifier's labels are, in the order of its probabilities."""
    parity: CompileReport | None = None
    """How the compiled graph `model.onnx` compares with the original; None where the model was not compiled."""
    format_version: int = 1


class Environment(msgspec.Struct, frozen=True):
    """Where something ran: enough to tell two environments apart, and to build this one again."""

    python: str
    implementation: str
    platform: str
    packages: dict[str, str]
    """Every installed distribution and its version."""


class Code(msgspec.Struct, frozen=True):
    """Which code ran: a commit of a Git repository, or, outside of one, the source itself."""

    name: str
    """The repository or the module."""
    commit: str = ""
    branch: str = ""
    changes: str = ""
    """Digest of what differed from the commit; empty when nothing did."""
    source: str = ""
    """Digest of the source file, outside of Git."""
    remote: str = ""
    """Where the repository came from, without credentials."""
    path: str = ""
    """The source file, relative to the repository."""


class Model(msgspec.Struct, frozen=True):
    """A name in the registry, under which versions are kept."""

    workspace: str
    name: str
    description: str
    tags: dict[str, str]
    created_at: datetime
    created_by: str


class VersionNotes(msgspec.Struct, frozen=True):
    """What may be said about a version afterwards; the version itself never changes."""

    workspace: str
    name: str
    version: int
    description: str
    tags: dict[str, str]


class Approval(msgspec.Struct, frozen=True):
    """Somebody's yes to one content: it holds for the digest, so for these very bytes and no others."""

    workspace: str
    digest: str
    """Of the model version."""
    name: str
    version: int
    artifact_id: str
    """The artifact of kind `approval`."""
    comment: str
    at: datetime
    by: str


class Attached(msgspec.Struct, frozen=True):
    """An evaluation report that belongs to a version."""

    workspace: str
    name: str
    version: int
    artifact_id: str
    """The artifact of kind `report`."""
    metrics: dict[str, Metric]
    at: datetime
    by: str


class ModelVersion(msgspec.Struct, frozen=True):
    """One version of a model: immutable content, with what was said about it since."""

    id: str
    """Of the artifact."""
    name: str
    version: int
    digest: str
    """Merkle root over its files."""
    size: int
    format: str
    signature: Signature
    run_id: str
    """The run that made it."""
    created_at: datetime
    created_by: str
    metrics: dict[str, Metric] = {}
    parameters: dict[str, Any] = {}
    parity: CompileReport | None = None
    libraries: dict[str, str] = {}
    classes: list[Any] = []
    data: list[str] = []
    """References of the datasets and training sets that its run used."""
    code: str = ""
    """Reference of the code artifact, or an empty text."""
    environment: str = ""
    """Reference of the environment artifact, or an empty text."""
    description: str = ""
    tags: dict[str, str] = {}
    aliases: list[str] = []
    approved: bool = False

    @property
    def ref(self) -> str:
        """`model/name@version`."""
        return f"model/{self.name}@{self.version}"


class ModelCard(msgspec.Struct, frozen=True):
    """Everything that is known about a version, read from the graph; only descriptions were written by hand."""

    model: Model
    version: ModelVersion
    files: list[File]
    data: list[Node]
    """The dataset versions and training sets it came from, nearest first."""
    features: list[Node]
    code: list[Node]
    environment: list[Node]
    runs: list[Node]
    approvals: list[Approval]
    reports: list[Attached]
    alias_history: list[AliasChange]
