"""Every place where Mainspring is extended, on one page. Built-ins register here like anybody else.

A registration is a name and an address, `module:attribute`, loaded on first use. Third parties add
theirs under the entry-point group `mainspring.<table>`, for example
`[project.entry-points."mainspring.handlers"]`.
"""

from __future__ import annotations

import importlib
import logging
from typing import Any

import msgspec

from mainspring.kernel.errors import MissingDependency, NotFound, nearest

__all__ = [
    "AFTER_COMMIT",
    "AFTER_TABLE",
    "AUTOLOGGERS",
    "CODECS",
    "COMMIT_GATES",
    "ERASERS",
    "FORGETTERS",
    "HANDLERS",
    "MODEL_FORMATS",
    "ON_EVENT",
    "PAYLOADS",
    "PEER",
    "RECORD_GATES",
    "ROOMS",
    "TICKERS",
    "Room",
    "load",
    "registered",
    "tell",
]

_log = logging.getLogger(__name__)


class Room(msgspec.Struct, frozen=True):
    """A room with state: its tables (a tuple of forward migrations) and its service."""

    name: str
    migrations: int
    """How many migrations its `tables.py` has; a test holds the two together."""
    service: str = ""
    """`module:Class` of its operations."""
    blobs: tuple[str, ...] = ()
    """Columns whose text names blobs that must be kept, `table.column`: every 64 hex digits in it are taken for a
    digest. ` BY key` says by which column the table is read in pages (the column itself where it is a digest, `id`
    otherwise; a text that is unique), ` WHERE ...` which rows count."""
    reach: str = ""
    """`module:function`, `(store) -> digests`: blobs that must be kept because blobs of the room name them."""
    release: str = ""
    """`module:function`, `(store, marks) -> None`: lets go of what leads to blobs that are not marked, before these are
    condemned, and of copies on this machine that nobody uses."""
    expire: str = ""
    """`module:function`, `(tx, before, write) -> how many`: gives up what was deleted before then (microseconds)."""

    @property
    def tables(self) -> str:
        """`module:attribute` of its migrations."""
        return f"mainspring.{self.name}.tables:MIGRATIONS"


ROOMS: tuple[Room, ...] = (
    Room(
        "store",
        1,
        "mainspring.store.service:Storage",
        blobs=("queue_tasks.payload", "queue_tasks.result", "queue_tasks.error"),
    ),
    Room(
        "lineage",
        1,
        "mainspring.lineage.service:Lineage",
        blobs=(
            "artifact_file.digest WHERE artifact_id NOT IN (SELECT artifact_id FROM artifact_emptied)",
            "artifact.metadata WHERE id NOT IN (SELECT artifact_id FROM artifact_emptied)",
            "run.metadata",
        ),
    ),
    Room("trust", 1, "mainspring.trust.service:Trust"),
    Room("events", 1, "mainspring.events.service:Events"),
    Room(
        "data",
        1,
        "mainspring.data.service:Data",
        blobs=(
            "dataset_content.tree BY artifact_id WHERE artifact_id NOT IN (SELECT artifact_id FROM artifact_emptied)",
            "lfs_object.digest",
        ),
        reach="mainspring.data.wholeness:reach",
        release="mainspring.data.wholeness:release_trees",
        expire="mainspring.data.deletions:expire_deleted",
    ),
    Room(
        "tracking",
        1,
        "mainspring.tracking.service:Tracking",
        blobs=("run_file.digest", "trace_file.digest", "tracked_run.source BY run_id"),
        expire="mainspring.tracking.expiry:expire_deleted",
    ),
    Room(
        "quality",
        1,
        "mainspring.quality.service:Quality",
        blobs=("quality_admission.report_digest",),
        expire="mainspring.quality.states_expiry:expire_states",
    ),
    Room("features", 1, "mainspring.features.service:Features", blobs=("feature_state.digest",)),
    Room(
        "pipelines",
        1,
        "mainspring.pipelines.service:Pipelines",
        blobs=(
            "flow_run.params",
            "flow_run.result",
            "flow_step.arguments",
            "flow_step.inputs",
            "flow_step.contents",
            "flow_step.output",
            "flow_schedule.params",
            "flow_fire.params WHERE outcome = 'buffered'",
            "flow_trigger.params",
            "flow_backfill.params",
            "flow_deployment.files",
            "flow_card.content",
        ),
        release="mainspring.pipelines.deployments_cleaning:release_folders",
    ),
    Room(
        "models",
        1,
        "mainspring.models.service:Models",
        blobs=("logged_model_file.digest",),
        expire="mainspring.models.expiry:expire_deleted",
    ),
    Room("tuning", 1, "mainspring.tuning.service:Tuning"),
    Room(
        "serving",
        1,
        "mainspring.serving.service:Serving",
        blobs=("prediction_segment.digest", "label_batch.digest"),
    ),
    Room("monitoring", 1, "mainspring.monitoring.service:Monitoring"),
    Room("loop", 1, "mainspring.loop.service:Loops"),
)
"""The rooms in the order in which their tables are made; a room may refer to tables of rooms above it in this list."""

HANDLERS: dict[str, str] = {
    "flow": "mainspring.pipelines.handler:run_flow",
    "webhook": "mainspring.events.delivery:deliver",
}
"""What a worker runs for each kind of queued task: `(client, task) -> JSON result`."""

TICKERS: dict[str, str] = {
    "pipelines": "mainspring.pipelines.tick:look",
    "monitors": "mainspring.monitoring.watch:tick",
    "loops": "mainspring.loop.turn:tick",
    "runs": "mainspring.tracking.reaper:tick",
    "events": "mainspring.events.retention:tick",
}
"""What the scheduler looks at every `monitor_seconds`: `(client) -> None`, quick, safe in several schedulers."""


ON_EVENT: dict[str, str] = {"waits": "mainspring.pipelines.waits_records:happened"}
"""What is told of every event in the transaction in which it happens: `(tx, event) -> None`."""

PAYLOADS: dict[str, str] = {
    "cloudevents": "mainspring.events.cloudevents:prepare",
    "mlflow": "mainspring.protocols.mlflow.webhook_payloads:prepare",
}
"""The forms in which webhooks are told of events: functions like `events.cloudevents.prepare`."""


COMMIT_GATES: dict[str, str] = {"contract": "mainspring.quality.contracts_gate:admit_proposal"}
"""What is asked before a dataset version is sent: `(data service, proposal) -> None`; it refuses by raising."""

RECORD_GATES: dict[str, str] = {"contract": "mainspring.quality.contracts:check_admitted"}
"""What is asked where a version is recorded: `(tx, name, tree, commit) -> None`; it refuses by raising."""

AFTER_COMMIT: dict[str, str] = {
    "validation": "mainspring.quality.contracts_gate:settle_version",
    "profile": "mainspring.quality.profiles.committed:take",
}
"""What is told of a version that is new, at who committed it: `(data service, version) -> None`."""

AFTER_TABLE: dict[str, str] = {"profile": "mainspring.quality.profiles.committed:take_frame"}
"""What is told of a table artifact that was just made from a frame, at who made it: `(service, ref, frame) -> None`."""


FORGETTERS: dict[str, str] = {"quality": "mainspring.quality.forgotten:forget_versions"}
"""What goes with dataset versions that are written again without a part of them, in the same transaction: `(tx, version
ids, digests of what they held) -> ids of artifacts whose bytes are given up`."""

ERASERS: dict[str, str] = {
    "quality": "mainspring.quality.states_eraser:erase_answers",
    "features": "mainspring.features.forgotten:erase_features",
}
"""What removes forgotten rows outside of datasets, and what was derived of versions that were written again:
`(data service, data.forgetting_types.Forgotten) -> list of what was found`; it writes only where `apply` says so, and
adds to `left` what it could not remove."""

PEER = "mainspring.client.client:connect"
"""How another Mainspring is reached, as a remote of datasets: `(address, token=...) -> client`."""


CODECS: dict[str, str] = {
    "array": "mainspring.pipelines.codecs:ArrayCodec",
    "bytes": "mainspring.pipelines.codecs:BytesCodec",
    "frame": "mainspring.pipelines.codecs:FrameCodec",
    "model": "mainspring.pipelines.codecs:ModelCodec",
    "spark": "mainspring.pipelines.spark:SparkFrameCodec",
}
"""How results of steps that are not JSON become bytes: classes with the methods of `pipelines.codecs.Codec`."""


MODEL_FORMATS: dict[str, str] = {
    "onnx": "mainspring.models.format_onnx:ONNX",
    "lightgbm": "mainspring.models.format_lightgbm:LIGHTGBM",
    "xgboost": "mainspring.models.format_xgboost:XGBOOST",
    "catboost": "mainspring.models.format_catboost:CATBOOST",
    "keras": "mainspring.models.format_keras:KERAS",
    "torchscript": "mainspring.models.format_torch:TORCHSCRIPT",
    "torch-export": "mainspring.models.format_torch:TORCH_EXPORT",
    "safetensors": "mainspring.models.format_safetensors:SAFETENSORS",
    "mlflow": "mainspring.models.format_mlflow:MLFLOW",
    "skops": "mainspring.models.format_skops:SKOPS",
    "pickle": "mainspring.models.format_pickle:PICKLE",
    "cloudpickle": "mainspring.models.format_pickle:CLOUDPICKLE",
    "joblib": "mainspring.models.format_pickle:JOBLIB",
    "python": "mainspring.models.format_python:PYTHON",
}
"""How models become files: objects with the methods of `models.formats.Format`; the first that accepts one is used."""


AUTOLOGGERS: dict[str, str] = {
    "catboost": "mainspring.autologging.catboost:CatBoostLogger",
    "keras": "mainspring.autologging.keras:KerasLogger",
    "lightgbm": "mainspring.autologging.lightgbm:LightGBMLogger",
    "lightning": "mainspring.autologging.lightning:LightningLogger",
    "sklearn": "mainspring.autologging.sklearn:SklearnLogger",
    "statsmodels": "mainspring.autologging.statsmodels:StatsmodelsLogger",
    "torch": "mainspring.autologging.torch:TorchLogger",
    "transformers": "mainspring.autologging.transformers:TransformersLogger",
    "xgboost": "mainspring.autologging.xgboost:XGBoostLogger",
}
"""Frameworks whose trainings become runs by themselves: classes like `autologging.protocol.AutoLogger`."""


def load(address: str) -> Any:
    """The object at `module:attribute`."""
    module, _, attribute = address.partition(":")
    return getattr(importlib.import_module(module), attribute)


def tell(followers: dict[str, str], ref: str, *told: Any) -> None:
    """Tell those who follow of something that was made and has this reference; whatever fails there is only logged."""
    for what, address in followers.items():
        try:
            load(address)(*told)
        except MissingDependency as error:
            _log.info("%s has no %s: %s", ref, what, error.hint)
        except Exception as error:  # noqa: BLE001 -- it is recorded; nothing that follows may say otherwise
            _log.warning("%s is recorded, but its %s was not made: %s", ref, what, error)


def registered(table: str, built_in: dict[str, str], name: str) -> Any:
    """The object registered under `name` in a table of this page, or by an installed package."""
    from importlib.metadata import entry_points  # a fifth of the start of a command, and few commands ask

    address = built_in.get(name) or next(
        (point.value for point in entry_points(group=f"mainspring.{table}") if point.name == name), None
    )
    if address is None:
        raise NotFound(f"no {table} is registered under {name!r}", known=nearest(name, built_in))
    return load(address)
