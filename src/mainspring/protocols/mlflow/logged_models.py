"""Logged models: begun by a run, filled through the artifact proxy, finished, searched and tagged."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from mainspring.client.client import Client
from mainspring.kernel.clock import from_micros, to_micros
from mainspring.kernel.errors import Conflict, InvalidInput, NotFound
from mainspring.models.logged_types import (
    DatasetFilter,
    LoggedMetric,
    LoggedModel,
    LoggedOrder,
    LoggedStatus,
)
from mainspring.protocols.mlflow.artifacts import file_answer
from mainspring.protocols.mlflow.experiments import (
    TAG,
    active_experiment,
    artifact_root,
    find_experiment,
    outer_id,
)
from mainspring.protocols.mlflow.failures import MlflowError, invalid, missing
from mainspring.protocols.mlflow.messages import Enum, Message, flag, number, text, texts
from mainspring.protocols.mlflow.rules import parse_experiment_id, safe_path
from mainspring.protocols.mlflow.runs import no_run
from mainspring.protocols.mlflow.shelves import SHELVES, Kept, Shelf, listing
from mainspring.protocols.mlflow.wire import (
    Answer,
    Call,
    Endpoint,
    array,
    intlike,
    of_texts,
    required,
    spelled,
    string,
)

__all__ = ["ENDPOINTS", "ModelShelf", "location_of", "log_metrics", "no_model"]

_PATH = re.compile(r"(?:.*/)?models/(m-[0-9a-f]{32})/artifacts(?:/(.*))?")
_STATUS = Enum(
    LOGGED_MODEL_STATUS_UNSPECIFIED=0, LOGGED_MODEL_PENDING=1, LOGGED_MODEL_READY=2, LOGGED_MODEL_UPLOAD_FAILED=3
)
_OURS: dict[str, LoggedStatus] = {
    "LOGGED_MODEL_STATUS_UNSPECIFIED": "pending",
    "LOGGED_MODEL_PENDING": "pending",
    "LOGGED_MODEL_READY": "ready",
    "LOGGED_MODEL_UPLOAD_FAILED": "failed",
}
_THEIRS = {"pending": "LOGGED_MODEL_PENDING", "ready": "LOGGED_MODEL_READY", "failed": "LOGGED_MODEL_UPLOAD_FAILED"}
_BAD_CHARACTERS = ("/", ":", ".", "%", '"', "'")
_PAGE = 100


def no_model(model_id: str) -> MlflowError:
    """There is no such logged model."""
    return missing(f"Logged model with ID '{model_id}' not found.")


def location_of(client: Client, model: LoggedModel) -> str:
    """Where the files of a logged model are, as clients resolve it."""
    held = client.tracking.experiment(id=model.model.experiment_id)
    root = artifact_root(outer_id(client, held.id), held.location)
    return f"{root}/models/{model.id}/artifacts"


def log_metrics(call: Call, run_id: str, points: Sequence[Any]) -> None:
    """Figures that a run measured of models."""
    found = [
        LoggedMetric(
            point.model_id,
            point.key,
            float(point.value),
            from_micros(point.timestamp * 1000),
            point.step,
            getattr(point, "dataset_name", "") or "",
            getattr(point, "dataset_digest", "") or "",
            run_id.replace("-", ""),
        )
        for point in points
        if point.model_id
    ]
    try:
        call.client.models.measure_logged(found)
    except NotFound:
        raise no_model(found[0].model_id) from None


class ModelShelf:
    """The files of a logged model, for the artifact proxy."""

    def __init__(self, client: Client, model_id: str) -> None:
        self._models = client.models
        self._model_id = model_id

    def files(self, prefix: str = "") -> list[Kept]:
        """Those whose path begins so."""
        try:
            found = self._models.logged_files(self._model_id, prefix=prefix)
        except NotFound:
            raise no_model(self._model_id) from None
        return [Kept(each.path, each.size, each.digest) for each in found]

    def read(self, path: str, start: int, stop: int | None) -> Iterator[bytes]:
        """Bytes of a file."""
        return self._models.read_logged_file(self._model_id, path=path, start=start, stop=stop)

    def put(self, path: str, body: Iterable[bytes], media_type: str) -> None:
        """Keep a file; one that is there is replaced."""
        try:
            self._models.put_logged_file(self._model_id, path=path, body=body)
        except NotFound:
            raise no_model(self._model_id) from None

    def delete(self, path: str) -> None:
        """Take a file away."""
        self._models.delete_logged_file(self._model_id, path=path)


def _shelf(client: Client, path: str) -> tuple[Shelf, str] | None:
    found = _PATH.fullmatch(path)
    return (ModelShelf(client, found[1]), found[2] or "") if found else None


SHELVES.append(_shelf)


def _model(call: Call, *, deleted: bool = False) -> LoggedModel:
    model_id = call.path["model_id"]
    try:
        return call.client.models.logged(model_id, deleted=deleted)
    except NotFound:
        raise no_model(model_id) from None


def _described(client: Client, model: LoggedModel) -> dict[str, Any]:
    row = model.model
    info: dict[str, Any] = {
        "model_id": row.id,
        "experiment_id": outer_id(client, row.experiment_id),
        "name": row.name,
        "creation_timestamp_ms": to_micros(row.created_at) // 1000,
        "last_updated_timestamp_ms": to_micros(row.updated_at) // 1000,
        "artifact_uri": location_of(client, model),
        "status": _THEIRS[row.status],
        "model_type": row.type,
        "source_run_id": row.run_id.replace("-", ""),
    }
    if model.tags:
        info["tags"] = [{"key": key, "value": value} for key, value in model.tags.items()]
    if model.registered:
        info["registrations"] = [{"name": name, "version": str(version)} for name, version in model.registered]
    data: dict[str, Any] = {}
    if model.params:
        data["params"] = [{"key": key, "value": value} for key, value in model.params.items()]
    if model.metrics:
        data["metrics"] = [_metric(each) for each in model.metrics]
    return {"info": info, "data": data}


def _metric(each: LoggedMetric) -> dict[str, Any]:
    found: dict[str, Any] = {
        "key": each.key,
        "value": spelled(float("nan") if each.value is None else each.value),
        "timestamp": to_micros(each.at) // 1000,
        "step": each.step,
        "model_id": each.model_id,
    }
    more = {"dataset_name": each.dataset_name, "dataset_digest": each.dataset_digest, "run_id": each.run_id}
    return found | {key: value for key, value in more.items() if value}


def _create(call: Call) -> dict[str, Any]:
    name = call.get("name")
    if any(each in name for each in _BAD_CHARACTERS):
        raise invalid(
            f"Invalid model name ({name!r}) provided. Model name must be a non-empty string "
            f"and cannot contain the following characters: {_BAD_CHARACTERS}"
        )
    experiment = active_experiment(call.client, call.get("experiment_id"))
    try:
        made = call.client.models.create_logged(
            name,
            experiment_id=experiment.id,
            run_id=call.get("source_run_id"),
            type=call.get("model_type"),
            params=_pairs(call, "params"),
            tags=_pairs(call, "tags"),
        )
    except NotFound:
        raise no_run(call.get("source_run_id")) from None
    return {"model": _described(call.client, made)}


def _pairs(call: Call, field: str) -> dict[str, str]:
    return {each.get("key", ""): each.get("value", "") for each in call.get(field, [])}


def _get(call: Call) -> dict[str, Any]:
    deleted = call.query.get("allow_deleted", ["false"])[0].lower() == "true"
    return {"model": _described(call.client, _model(call, deleted=deleted))}


def _finalize(call: Call) -> dict[str, Any]:
    held = _model(call)
    done = call.client.models.finish_logged(held.id, status=_OURS[call.get("status")])
    return {"model": _described(call.client, done)}


def _delete(call: Call) -> dict[str, Any]:
    call.client.models.delete_logged(_model(call).id)
    return {}


def _set_tags(call: Call) -> dict[str, Any]:
    held = _model(call)
    call.client.models.tag_logged(held.id, {**_pairs(call, "tags")})
    return {}


def _delete_tag(call: Call) -> dict[str, Any]:
    held, key = _model(call), call.path["key"]
    if key not in held.tags:
        raise missing(f"No tag with key {key!r} found for model with ID {held.id!r}.")
    call.client.models.tag_logged(held.id, {key: None})
    return {}


def _log_params(call: Call) -> dict[str, Any]:
    held = _model(call)
    try:
        call.client.models.log_logged_params(held.id, _pairs(call, "params"))
    except Conflict as error:
        raise invalid(error.message) from None
    return {}


def _search(call: Call) -> dict[str, Any]:
    datasets = call.get("datasets", [])
    if not all(each.get("dataset_name") for each in datasets):
        raise invalid("`dataset_name` in the `datasets` clause must be specified.")
    numbers = []
    for each in call.get("experiment_ids", []):
        parse_experiment_id(each)
        try:
            numbers.append(find_experiment(call.client, each).id)
        except MlflowError as error:
            if error.code != "RESOURCE_DOES_NOT_EXIST":
                raise
    if not numbers:
        return {}
    try:
        page = call.client.models.search_logged(
            call.get("filter"),
            experiment_ids=numbers,
            datasets=[DatasetFilter(each["dataset_name"], each.get("dataset_digest", "")) for each in datasets],
            order_by=[
                LoggedOrder(
                    each.get("field_name", ""),
                    each.get("ascending", True),
                    each.get("dataset_name", ""),
                    each.get("dataset_digest", ""),
                )
                for each in call.get("order_by", [])
            ],
            limit=call.get("max_results", 0) or _PAGE,
            page=call.get("page_token"),
        )
    except InvalidInput as error:
        raise invalid(f"Invalid filter string: {call.get('filter')!r}. {error.message}") from None
    found: dict[str, Any] = {}
    if page.models:
        found["models"] = [_described(call.client, each) for each in page.models]
    if page.next_page:
        found["next_page_token"] = page.next_page
    return found


def _list(call: Call) -> dict[str, Any]:
    held = _model(call)
    folder = safe_path(call.get("artifact_directory_path")).strip("/")
    files = [
        {"path": f"{folder}/{name}" if folder else name, "is_dir": size is None}
        | ({} if size is None else {"file_size": size})
        for name, size in listing(ModelShelf(call.client, held.id), folder)
    ]
    return ({"files": files} if files else {}) | {"root_uri": location_of(call.client, held)}


def _file(call: Call) -> Answer:
    held = _model(call)
    path = safe_path((call.query.get("artifact_file_path") or [""])[0])
    return file_answer(call, ModelShelf(call.client, held.id), path)


_ONE = "mlflow/logged-models/{model_id}"
_PARAMS = Message(model_id=text, params=[TAG])
_DATASET = Message(dataset_name=text, dataset_digest=text)
_ORDER = Message(field_name=text, ascending=flag, dataset_name=text, dataset_digest=text)

ENDPOINTS = (
    Endpoint(
        "POST",
        "mlflow/logged-models",
        _create,
        Message(experiment_id=text, name=text, model_type=text, source_run_id=text, params=[TAG], tags=[TAG]),
        {
            "experiment_id": (string, required),
            "name": (string,),
            "model_type": (string,),
            "source_run_id": (string,),
            "params": (array,),
            "tags": (array,),
        },
    ),
    Endpoint(
        "POST",
        "mlflow/logged-models/search",
        _search,
        Message(
            experiment_ids=texts,
            filter=text,
            datasets=[_DATASET],
            max_results=number,
            order_by=[_ORDER],
            page_token=text,
        ),
        {
            "experiment_ids": (array, of_texts, required),
            "filter": (string,),
            "datasets": (array,),
            "max_results": (intlike,),
            "order_by": (array,),
            "page_token": (string,),
        },
    ),
    Endpoint("GET", _ONE, _get),
    Endpoint(
        "PATCH",
        _ONE,
        _finalize,
        Message(model_id=text, status=_STATUS),
        {"model_id": (string, required), "status": (intlike, required)},
    ),
    Endpoint("DELETE", _ONE, _delete),
    Endpoint("PATCH", f"{_ONE}/tags", _set_tags, Message(model_id=text, tags=[TAG]), {"tags": (array,)}),
    Endpoint("DELETE", f"{_ONE}/tags/{{key}}", _delete_tag),
    Endpoint(
        "POST",
        f"{_ONE}/params",
        _log_params,
        _PARAMS,
        {"model_id": (string, required), "params": (array,)},
    ),
    Endpoint(
        "GET",
        f"{_ONE}/artifacts/directories",
        _list,
        Message(artifact_directory_path=text),
        {"artifact_directory_path": (string,)},
    ),
    Endpoint("GET", f"{_ONE}/artifacts/files", _file),
)
