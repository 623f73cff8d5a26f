"""Datasets and models that a run used, and models that it made."""

from __future__ import annotations

import contextlib
import json
from typing import Any

from mainspring.kernel.errors import Conflict, NotFound
from mainspring.protocols.mlflow.experiments import find_experiment
from mainspring.protocols.mlflow.failures import MlflowError, invalid
from mainspring.protocols.mlflow.grammar import DATASETS_TAG
from mainspring.protocols.mlflow.messages import Message, number, text, texts
from mainspring.protocols.mlflow.rules import check_dataset, check_run_id, parse_experiment_id
from mainspring.protocols.mlflow.runs import RUN_ID, add_records, find_run, inactive, no_run
from mainspring.protocols.mlflow.translate import DATASET_TAGS, MODEL_INPUTS, MODEL_OUTPUTS
from mainspring.protocols.mlflow.wire import Call, Endpoint, array, required
from mainspring.tracking.inputs import RunInput
from mainspring.tracking.types import TagsRecord

__all__ = ["ENDPOINTS"]

_CONTEXT = "mlflow.data.context"
_MOST_EXPERIMENTS = 20
_MOST_SUMMARIES = 1000
_ABOUT = ("source_type", "source", "schema", "profile")

_DATASET = Message(name=text, digest=text, source_type=text, source=text, schema=text, profile=text)
_INPUT_TAG = Message(key=text, value=text)
_MODEL = Message(model_id=text, step=number)


def _log_inputs(call: Call) -> dict[str, Any]:
    run_id = call.get("run_id")
    check_run_id(run_id)
    inputs: dict[tuple[str, str], dict[str, Any]] = {}
    for given in call.get("datasets", []):
        dataset = given.get("dataset", {})
        check_dataset(dataset, given.get("tags", []))
        inputs.setdefault((dataset.get("name", ""), dataset.get("digest", "")), given)
    run = find_run(call, run_id)
    if run.deleted_at is not None:
        raise inactive(run_id)
    lines, extra = run.tags.get(DATASETS_TAG, ""), json.loads(run.tags.get(DATASET_TAGS) or "{}")
    new: list[RunInput] = []
    for (name, digest), given in inputs.items():
        context = next((tag.get("value", "") for tag in given.get("tags", []) if tag.get("key") == _CONTEXT), "")
        if not name:
            raise invalid("A dataset has a name.")
        about = {key: given["dataset"][key] for key in _ABOUT if key in given["dataset"]}
        new.append(RunInput(name, digest, context, about))
        if f"\n{_flat(name)}\t{_flat(digest)}\t" not in lines:
            lines += f"\n{_flat(name)}\t{_flat(digest)}\t{_flat(context)}\n"
            if given.get("tags"):
                extra[f"{name}\t{digest}"] = given["tags"]
    tags: dict[str, str] = {}
    if new:
        try:
            call.client.tracking.use_external(run_id, inputs=new)
        except NotFound:
            raise no_run(run_id) from None
        except Conflict:
            raise inactive(run_id) from None
        tags = {DATASETS_TAG: lines, DATASET_TAGS: json.dumps(extra)}
    if models := call.get("models", []):
        tags[MODEL_INPUTS] = _joined(run.tags.get(MODEL_INPUTS), models)
        with contextlib.suppress(NotFound):  # MLflow takes the id of a model that is not here
            call.client.models.use_logged(run_id, [each["model_id"] for each in models if each.get("model_id")])
    if tags:
        add_records(call, run_id, TagsRecord(tags))
    return {}


def _log_outputs(call: Call) -> dict[str, Any]:
    run_id = call.get("run_id")
    run = find_run(call, run_id)
    if run.deleted_at is not None:
        raise inactive(run_id)
    models = [{"step": 0, **each} for each in call.get("models", [])]
    if models:
        add_records(call, run_id, TagsRecord({MODEL_OUTPUTS: _joined(run.tags.get(MODEL_OUTPUTS), models)}))
    return {}


def _joined(held: str | None, models: list[dict[str, Any]]) -> str:
    known = {each.get("model_id"): each for each in [*json.loads(held or "[]"), *models]}
    return json.dumps(list(known.values()))


def _flat(value: str) -> str:
    return value.replace("\t", " ").replace("\n", " ")


def _search_datasets(call: Call) -> dict[str, Any]:
    given = call.get("experiment_ids", [])
    if not given:
        raise invalid("SearchDatasets request must specify at least one experiment_id.")
    if len(given) > _MOST_EXPERIMENTS:
        raise invalid(
            f"SearchDatasets request cannot specify more than {_MOST_EXPERIMENTS} experiment_ids. "
            f"Received {len(given)} experiment_ids."
        )
    found: dict[tuple[str, ...], None] = {}
    for identity in given:
        parse_experiment_id(identity)
        try:
            name = find_experiment(call.client, identity).name
        except MlflowError:
            continue
        query, field = f"tags.{DATASETS_TAG} IS NOT NULL", f"tags.{DATASETS_TAG}"
        page = call.client.tracking.search(query, experiments=[name], fields=[field], limit=_MOST_SUMMARIES)
        for run in page.runs:
            for line in run.tags.get(DATASETS_TAG, "").split("\n"):
                if line:
                    found[identity, *line.split("\t")] = None
    summaries = [
        {"experiment_id": identity, "name": name, "digest": digest} | ({"context": context} if context else {})
        for identity, name, digest, context in list(found)[:_MOST_SUMMARIES]
    ]
    return {"dataset_summaries": summaries} if summaries else {}


ENDPOINTS = (
    Endpoint(
        "POST",
        "mlflow/runs/log-inputs",
        _log_inputs,
        Message(run_id=text, datasets=[Message(tags=[_INPUT_TAG], dataset=_DATASET)], models=[Message(model_id=text)]),
        {**RUN_ID, "datasets": (array,), "models": (array,)},
    ),
    Endpoint(
        "POST",
        "mlflow/runs/outputs",
        _log_outputs,
        Message(run_id=text, models=[_MODEL]),
        {**RUN_ID, "models": (required, array)},
    ),
    Endpoint("POST", "mlflow/experiments/search-datasets", _search_datasets, Message(experiment_ids=texts)),
)
