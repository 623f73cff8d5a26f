"""What the registry speaks of: models, their versions, who approved them, and the card that tells it all."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Literal

import msgspec

from mainspring.engines.signature import Signature
from mainspring.kernel.errors import InvalidInput
from mainspring.lineage.types import AliasChange, File, Node
from mainspring.models.parity import CompileReport
from mainspring.models.rule_types import Approval, ApprovalStatus, Decision, Gate, RetentionRule, Rule, Verdict

__all__ = [
    "Approval",
    "ApprovalStatus",
    "Attached",
    "CardEvaluation",
    "CardText",
    "Code",
    "Decision",
    "Environment",
    "Gate",
    "Manifest",
    "Measured",
    "Metric",
    "Model",
    "ModelCard",
    "ModelPage",
    "ModelVersion",
    "RetentionRule",
    "Rule",
    "SliceFigure",
    "Stage",
    "Verdict",
    "VersionDiff",
    "VersionNotes",
    "VersionPage",
    "VersionStatus",
]

Stage = Literal["None", "Staging", "Production", "Archived"]
"""The stages of MLflow's registry; an alias says the same with words of one's own."""

VersionStatus = Literal["ready", "pending", "failed"]
"""Whether the files of a version are all there."""


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
    """One of `formats.format_names()`: `skops`, `xgboost`, `onnx`, `mlflow`, ..."""
    signature: Signature
    files: tuple[File, ...]
    libraries: dict[str, str] = {}
    """Distribution -> version that wrote it."""
    classes: list[Any] = []
    """What a classifier's labels are, in the order of its probabilities."""
    parity: CompileReport | None = None
    """How the compiled graph `model.onnx` compares with the original; None where the model was not compiled."""
    details: dict[str, Any] = {}
    """What the format says beside; of an MLflow folder its flavors and ids."""
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
    updated_at: datetime | None = None
    deleted_at: datetime | None = None
    """When it was deleted; it can be restored for as long as the setting `undo_days` says."""


class VersionNotes(msgspec.Struct, frozen=True):
    """What the registry keeps about a version beside the artifact, which never changes."""

    workspace: str
    name: str
    version: int
    artifact_id: str
    digest: str
    run_id: str
    format: str
    description: str
    tags: dict[str, str]
    aliases: list[str]
    stage: Stage
    status: VersionStatus
    source: str
    approval: ApprovalStatus
    approved_until: int
    """Microseconds until which the approvals hold; 0 where they do not suffice."""
    created_at: datetime
    created_by: str
    updated_at: datetime
    deleted_at: datetime | None = None
    lost_aliases: list[str] = []
    """What the deletion took away, to come back with a restoration."""
    emptied_at: datetime | None = None
    """When its files were given up for good, some time after it was deleted."""


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
    dataset: str = ""
    """The data it was measured on, where that is known."""


class Measured(msgspec.Struct, frozen=True):
    """One figure of a version on one data."""

    workspace: str
    name: str
    version: int
    dataset: str
    """Reference or name of the data; empty for the figures given at registration."""
    key: str
    value: float
    low: float | None
    high: float | None
    level: float | None
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
    """As given at registration."""
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
    example: str = ""
    """The file that holds an input example, or an empty text."""
    description: str = ""
    tags: dict[str, str] = {}
    aliases: list[str] = []
    approved: bool = False
    """Whether the approvals that its model's rule asks of a champion were given, still hold, and nobody objects."""
    approval: ApprovalStatus = "pending"
    measured: dict[str, dict[str, Metric]] = {}
    """Figures on each data, measured after the registration."""
    stage: Stage = "None"
    status: VersionStatus = "ready"
    source: str = ""
    """Where it was taken from, in the words of whoever registered it: a path or a URI."""
    updated_at: datetime | None = None
    deleted_at: datetime | None = None

    @property
    def ref(self) -> str:
        """`model/name@version`."""
        return f"model/{self.name}@{self.version}"


class ModelPage(msgspec.Struct, frozen=True):
    """Some of the models that a search found."""

    models: list[Model]
    latest: dict[str, ModelVersion]
    """The newest version of each, by the model's name; a model without versions is not in it."""
    next_page: str
    """Give it as `page` for what follows; empty at the end."""


class VersionPage(msgspec.Struct, frozen=True):
    """Some of the versions that a search found."""

    versions: list[ModelVersion]
    next_page: str
    """Give it as `page` for what follows; empty at the end."""


class VersionDiff(msgspec.Struct, frozen=True):
    """What differs between two versions: name -> (before, after), None where one has it not."""

    before: str
    after: str
    same_content: bool
    parameters: dict[str, tuple[Any, Any]]
    metrics: dict[str, tuple[Metric | None, Metric | None]]
    data: tuple[list[str], list[str]]
    """What only the first, and what only the second was trained on."""
    code: tuple[Any, Any] | None
    environment: dict[str, tuple[str | None, str | None]]
    """Packages whose version differs."""
    signature: dict[str, tuple[str | None, str | None]]
    """Columns that came, went or changed: `in wind` -> (`FP64`, `FP32`)."""
    facts: dict[str, tuple[Any, Any]]
    """Format, size, classes."""


class CardText(msgspec.Struct, frozen=True):
    """What a person wrote into a section of a card; later texts of the same section replace it."""

    id: str
    workspace: str
    name: str
    version: int
    """0 where it holds for every version of the model."""
    section: str
    text: str
    """Empty where it was taken out."""
    at: datetime
    by: str


class SliceFigure(msgspec.Struct, frozen=True):
    """A figure on a part of the rows of an evaluation."""

    slice: str
    """`column = value`."""
    metric: str
    rows: int
    figure: Metric


class CardEvaluation(msgspec.Struct, frozen=True):
    """One evaluation of a version, as its report says."""

    report: str
    """Reference of the report."""
    dataset: str
    task: str
    rows: int
    metrics: dict[str, Metric]
    slices: list[SliceFigure]
    """The worst first."""
    at: datetime
    by: str


class ModelCard(msgspec.Struct, frozen=True):
    """Everything that is known about a version, read from the graph; only `written` and descriptions are by hand."""

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
    profiles: list[Node] = []
    """Of the data."""
    evaluations: list[CardEvaluation] = []
    written: dict[str, CardText] = {}
    """What people wrote, by section; see `cards.SECTIONS`."""
