"""A run of ours as MLflow's clients read it: ids, times, statuses, and the tags that mean something."""

from __future__ import annotations

import json
import random
from typing import Any

from mainspring.client.client import Client
from mainspring.kernel.clock import to_micros
from mainspring.protocols.mlflow.experiments import artifact_root, location_of, outer_id
from mainspring.protocols.mlflow.grammar import DATASETS_TAG
from mainspring.protocols.mlflow.wire import spelled
from mainspring.tracking.types import Metric, TrackedRun

__all__ = [
    "DATASET_TAGS",
    "HIDDEN",
    "MODEL_INPUTS",
    "MODEL_OUTPUTS",
    "NOTE",
    "PARENT",
    "RUN_NAME",
    "RunWriter",
    "param_text",
    "random_name",
]

RUN_NAME = "mlflow.runName"
NOTE = "mlflow.note.content"
PARENT = "mlflow.parentRunId"
DATASET_TAGS = "mlflow.datasets.tags"
MODEL_INPUTS = "mlflow.models.inputs"
MODEL_OUTPUTS = "mlflow.models.outputs"
HIDDEN = frozenset({DATASETS_TAG, DATASET_TAGS, MODEL_INPUTS, MODEL_OUTPUTS})
"""Tags in which this protocol keeps what its runs have and ours have elsewhere; clients do not see them."""

_STATUS = {
    "running": "RUNNING",
    "finished": "FINISHED",
    "failed": "FAILED",
    "cancelled": "KILLED",
    "crashed": "FAILED",
}
_FIRST = "able bold brisk calm deft eager fair fleet glad keen kind lively merry neat polite quick rare swift"
_SECOND = "bee carp crane deer dove elk finch fox gull hare ibis jay kite lark lynx mole newt owl perch ray seal wren"


def random_name() -> str:
    """A name for a run that has none."""
    chosen = random.SystemRandom()
    return f"{chosen.choice(_FIRST.split())}-{chosen.choice(_SECOND.split())}-{chosen.randrange(1000)}"


def param_text(value: Any) -> str:
    """A parameter as a text, as MLflow's client would have written the value.

    Example:
        >>> param_text("6"), param_text(6), param_text(True), param_text([1, "a"])
        ('6', '6', 'True', "[1, 'a']")
    """
    return value if isinstance(value, str) else str(value)


class RunWriter:
    """Writes runs as the protocol has them; remembers the experiments that it met."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self._roots: dict[int, tuple[str, str]] = {}

    def run(self, run: TrackedRun) -> dict[str, Any]:
        """The whole run."""
        data: dict[str, Any] = {}
        if run.metrics:
            data["metrics"] = [_metric(each) for each in run.metrics.values()]
        if run.params:
            data["params"] = [{"key": key, "value": param_text(value)} for key, value in run.params.items()]
        if tags := self.tags(run):
            data["tags"] = [{"key": key, "value": value} for key, value in tags.items()]
        return {"info": self.info(run), "data": data, "inputs": self._inputs(run), "outputs": _outputs(run)}

    def info(self, run: TrackedRun) -> dict[str, Any]:
        """What a run is, without what it logged."""
        identity, root = self._root(run)
        plain = run.id.replace("-", "")
        info: dict[str, Any] = {
            "run_id": plain,
            "run_uuid": plain,
            "run_name": run.title,
            "experiment_id": identity,
            "user_id": run.user,
            "status": _STATUS[run.status],
            "start_time": to_micros(run.run.started_at) // 1000,
        }
        if run.run.finished_at is not None:
            info["end_time"] = to_micros(run.run.finished_at) // 1000
        info["artifact_uri"] = f"{root}/{plain}/artifacts"
        info["lifecycle_stage"] = "active" if run.deleted_at is None else "deleted"
        return info

    def tags(self, run: TrackedRun) -> dict[str, str]:
        """The tags, with those that are something else here."""
        tags = {key: value for key, value in run.tags.items() if key not in HIDDEN}
        if run.title:
            tags[RUN_NAME] = run.title
        if run.note:
            tags[NOTE] = run.note
        if run.run.parent_id:
            tags[PARENT] = run.run.parent_id.replace("-", "")
        if run.source:  # a run that our own client wrote
            tags.setdefault("mlflow.user", run.user)
            for key, ours in (("mlflow.source.name", "command"), ("mlflow.source.git.commit", "commit")):
                if value := run.source.get(ours):
                    tags.setdefault(key, value if isinstance(value, str) else " ".join(map(str, value)))
        return tags

    def _root(self, run: TrackedRun) -> tuple[str, str]:
        if run.experiment_id not in self._roots:
            identity = outer_id(self._client, run.experiment_id)
            root = artifact_root(identity, location_of(self._client, run.experiment_id))
            self._roots[run.experiment_id] = identity, root
        return self._roots[run.experiment_id]

    def _inputs(self, run: TrackedRun) -> dict[str, Any]:
        inputs: dict[str, Any] = {}
        if run.tags.get(DATASETS_TAG):
            extra = json.loads(run.tags.get(DATASET_TAGS) or "{}")
            datasets = []
            for each in self._client.tracking.external(run.id):
                dataset = {"name": each.name, "digest": each.digest, **each.about}
                described: dict[str, Any] = {"dataset": dataset}
                if tags := extra.get(f"{each.name}\t{each.digest}"):
                    described = {"tags": tags, "dataset": dataset}
                datasets.append(described)
            inputs["dataset_inputs"] = datasets
        if models := run.tags.get(MODEL_INPUTS):
            inputs["model_inputs"] = json.loads(models)
        return inputs


def _outputs(run: TrackedRun) -> dict[str, Any]:
    models = run.tags.get(MODEL_OUTPUTS)
    return {"model_outputs": json.loads(models)} if models else {}


def _metric(metric: Metric) -> dict[str, Any]:
    return {
        "key": metric.key,
        "value": spelled(metric.value),
        "timestamp": to_micros(metric.at) // 1000,
        "step": metric.step,
    }
