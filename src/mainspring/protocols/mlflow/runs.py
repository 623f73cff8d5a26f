"""Runs: begun, found, renamed, ended, tagged, deleted and restored, as MLflow's clients do it."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

from mainspring.kernel.clock import from_micros
from mainspring.kernel.errors import Conflict, NotFound
from mainspring.kernel.ids import new_id
from mainspring.protocols.mlflow.experiments import TAG, VIEW_TYPE, VIEWS, active_experiment, find_experiment
from mainspring.protocols.mlflow.failures import MlflowError, invalid, missing
from mainspring.protocols.mlflow.grammar import RUNS, read_filter, read_order
from mainspring.protocols.mlflow.messages import Enum, Message, number, text, texts
from mainspring.protocols.mlflow.rules import check_max_results, check_tag, parse_experiment_id
from mainspring.protocols.mlflow.translate import HIDDEN, NOTE, PARENT, RUN_NAME, RunWriter, random_name
from mainspring.protocols.mlflow.wire import Call, Endpoint, array, at_most, intlike, of_texts, required, string
from mainspring.tracking.frames import encode_frame
from mainspring.tracking.types import NoteRecord, RunStart, TagsRecord, TrackedRun

__all__ = ["ENDPOINTS", "RUN_ID", "add_records", "find_run", "inactive", "no_run", "run_id_of"]

RUN_ID = {"run_id": (required, string)}

_STATUS = Enum(RUNNING=1, SCHEDULED=2, FINISHED=3, FAILED=4, KILLED=5)
_OURS = {
    "RUNNING": "running",
    "SCHEDULED": "running",
    "FINISHED": "finished",
    "FAILED": "failed",
    "KILLED": "cancelled",
}
_LATEST = datetime(9999, 12, 31, tzinfo=UTC)


def run_id_of(call: Call) -> str:
    """The run that a request names, under its old name or its new one."""
    return str(call.get("run_id") or call.get("run_uuid"))


def no_run(run_id: str) -> MlflowError:
    """There is no such run."""
    return missing(f"Run with id={run_id} not found")


def inactive(run_id: str) -> MlflowError:
    """The run is deleted, so nothing is written to it."""
    return invalid(f"The run {run_id} must be in the 'active' state. Current state is deleted.")


def find_run(call: Call, run_id: str) -> TrackedRun:
    """A run, deleted or not."""
    try:
        return call.client.tracking.get(run_id)
    except NotFound:
        raise no_run(run_id) from None


def add_records(call: Call, run_id: str, *records: Any) -> None:
    """Append records to a run that is not deleted."""
    try:
        body = b"".join(map(encode_frame, records))
        call.client.tracking.append(run_id, writer="", sequence=0, body=[body])
    except NotFound:
        raise no_run(run_id) from None
    except Conflict:
        raise inactive(run_id) from None


def set_tags(call: Call, run_id: str, tags: dict[str, str]) -> None:
    """Set tags; those that are something else here are that."""
    for key in HIDDEN & tags.keys():
        raise invalid(f"Tag '{key}' is reserved.")
    records: list[Any] = []
    plain = {key: value for key, value in tags.items() if key not in (RUN_NAME, NOTE)}
    if plain:
        records.append(TagsRecord(plain))
    if NOTE in tags:
        records.append(NoteRecord(tags[NOTE]))
    if records:
        add_records(call, run_id, *records)
    if tags.get(RUN_NAME):
        _change(call, run_id, title=tags[RUN_NAME])


def _change(call: Call, run_id: str, **changes: Any) -> None:
    try:
        call.client.tracking.change_run(run_id, **changes)
    except NotFound:
        raise no_run(run_id) from None
    except Conflict:
        if find_run(call, run_id).deleted_at is not None:
            raise inactive(run_id) from None
        raise


def _create(call: Call) -> dict[str, Any]:
    experiment = active_experiment(call.client, call.get("experiment_id"))
    tags = {tag.get("key", ""): tag.get("value", "") for tag in call.get("tags", [])}
    for position, (key, value) in enumerate(tags.items()):
        tags[key] = check_tag(key, value, f"tags[{position}]")
    name, named = call.get("run_name"), tags.pop(RUN_NAME, "")
    if name and named and name != named:
        raise invalid(
            "Both 'run_name' argument and 'mlflow.runName' tag are specified, but with different values "
            f"(run_name='{name}', mlflow.runName='{named}')."
        )
    note = tags.pop(NOTE, "")
    start = RunStart(
        new_id(),
        experiment.name,
        title=name or named or random_name(),
        parent_id=_parent(call, tags),
        user=call.get("user_id") or tags.get("mlflow.user", ""),
        started_at=_moment(call.get("start_time", None), "start_time"),
        tags={key: value for key, value in tags.items() if value},
    )
    call.client.tracking.start(start)
    if note:
        add_records(call, start.run_id, NoteRecord(note))
    made = RunWriter(call.client).run(call.client.tracking.get(start.run_id))
    del made["outputs"]  # a run that just began has none, and MLflow does not say so here
    return {"run": made}


def _parent(call: Call, tags: dict[str, str]) -> str:
    """The parent that a tag names, when it is a run here; otherwise the tag stays a tag."""
    named = tags.get(PARENT, "")
    if named:
        try:
            return call.client.tracking.get(named).id
        except NotFound:
            pass
    return ""


def _moment(millis: int | None, what: str) -> datetime | None:
    if millis is None:
        return None
    if not 0 <= millis <= _LATEST.timestamp() * 1000:
        raise invalid(f"Invalid value {millis} for parameter '{what}' supplied: milliseconds since 1970 are expected.")
    return from_micros(millis * 1000)


def _update(call: Call) -> dict[str, Any]:
    run_id = run_id_of(call)
    changes: dict[str, Any] = {}
    if "status" in call.request:
        changes["status"] = _OURS[call.request["status"]]
    if "end_time" in call.request:
        changes["finished_at"] = _moment(call.request["end_time"], "end_time")
    if call.get("run_name"):
        changes["title"] = call.get("run_name")
    before = find_run(call, run_id)
    if before.deleted_at is not None:
        raise inactive(run_id)
    if changes.get("status", before.status) == "running":
        changes.pop("finished_at", None)
    elif "status" not in changes and "finished_at" in changes:
        changes["status"] = "failed" if before.status == "crashed" else before.status
    elif before.run.finished_at is not None and "status" in changes:
        changes.setdefault("finished_at", before.run.finished_at)
    if changes:
        _change(call, run_id, **changes)
    return {"run_info": RunWriter(call.client).info(find_run(call, run_id))}


def _get(call: Call) -> dict[str, Any]:
    return {"run": RunWriter(call.client).run(find_run(call, run_id_of(call)))}


def _delete(call: Call) -> dict[str, Any]:
    run_id = find_run(call, call.get("run_id")).id
    call.client.tracking.delete_runs([run_id])
    return {}


def _restore(call: Call) -> dict[str, Any]:
    run_id = find_run(call, call.get("run_id")).id
    call.client.tracking.restore_runs([run_id])
    return {}


def _set_tag(call: Call) -> dict[str, Any]:
    key = call.get("key")
    set_tags(call, run_id_of(call), {key: check_tag(key, call.get("value"))})
    return {}


def _delete_tag(call: Call) -> dict[str, Any]:
    run_id, key = call.get("run_id"), call.get("key")
    run = find_run(call, run_id)
    if run.deleted_at is not None:
        raise inactive(run_id)
    if key not in RunWriter(call.client).tags(run):
        raise missing(f"No tag with name: {key} in run with id {run_id}")
    if key == NOTE:
        add_records(call, run_id, NoteRecord(""))
    elif key != RUN_NAME:  # a run keeps its name
        add_records(call, run_id, TagsRecord({key: ""}))
    return {}


def _search(call: Call) -> dict[str, Any]:
    limit = check_max_results(call.get("max_results", 1000))
    query, order = read_filter(call.get("filter"), RUNS), read_order(call.get("order_by", []), RUNS)
    names = []
    for each in call.get("experiment_ids", []):
        parse_experiment_id(each)
        try:
            names.append(find_experiment(call.client, each).name)
        except MlflowError as error:
            if error.code != "RESOURCE_DOES_NOT_EXIST":
                raise
    if not names:
        return {}
    page = call.client.tracking.search(
        query,
        experiments=names,
        view=VIEWS[call.get("run_view_type", "ACTIVE_ONLY")],
        order_by=order,
        limit=limit,
        page=call.get("page_token"),
    )
    writer = RunWriter(call.client)
    found: dict[str, Any] = {}
    if page.runs:
        found["runs"] = [writer.run(each) for each in page.runs]
    if page.next_page:
        found["next_page_token"] = page.next_page
    return found


def _log_model(call: Call) -> dict[str, Any]:
    """The old way to say that a run made a model: a list in a tag."""
    run_id, given = call.get("run_id"), call.get("model_json")
    try:
        model = json.loads(given)
    except ValueError:
        raise invalid(f"Malformed model info. \n {given} \n is not a valid JSON.") from None
    absent = {"artifact_path", "flavors", "utc_time_created", "run_id"} - set(model if isinstance(model, dict) else ())
    if absent:
        raise invalid(f"Model json is missing mandatory fields: {absent}")
    run = find_run(call, run_id)
    kept = {key: model.get(key) for key in ("run_id", "artifact_path", "utc_time_created", "model_uuid")}
    flavors = model["flavors"] if isinstance(model["flavors"], dict) else {}
    kept["flavors"] = {
        name: {key: value for key, value in each.items() if key != "config"} if isinstance(each, dict) else each
        for name, each in flavors.items()
    }
    history = [*json.loads(run.tags.get("mlflow.log-model.history") or "[]"), kept]
    add_records(call, run_id, TagsRecord({"mlflow.log-model.history": json.dumps(history)}))
    return {}


_KEYED = Message(run_id=text, run_uuid=text, key=text, value=text)
_ONE = Message(run_id=text, run_uuid=text)

ENDPOINTS = (
    Endpoint(
        "POST",
        "mlflow/runs/create",
        _create,
        Message(experiment_id=text, user_id=text, run_name=text, start_time=number, tags=[TAG]),
        {"experiment_id": (string,), "start_time": (intlike,), "run_name": (string,)},
    ),
    Endpoint(
        "POST",
        "mlflow/runs/update",
        _update,
        Message(run_id=text, run_uuid=text, status=_STATUS, end_time=number, run_name=text),
        {**RUN_ID, "end_time": (intlike,), "status": (string,), "run_name": (string,)},
    ),
    Endpoint("GET", "mlflow/runs/get", _get, _ONE, RUN_ID),
    Endpoint("POST", "mlflow/runs/delete", _delete, Message(run_id=text), RUN_ID),
    Endpoint("POST", "mlflow/runs/restore", _restore, Message(run_id=text), RUN_ID),
    Endpoint(
        "POST", "mlflow/runs/set-tag", _set_tag, _KEYED, {**RUN_ID, "key": (required, string), "value": (string,)}
    ),
    Endpoint(
        "POST",
        "mlflow/runs/delete-tag",
        _delete_tag,
        Message(run_id=text, key=text),
        {**RUN_ID, "key": (required, string)},
    ),
    Endpoint(
        "POST",
        "mlflow/runs/log-model",
        _log_model,
        Message(run_id=text, model_json=text),
        {"run_id": (string, required), "model_json": (string, required)},
    ),
    Endpoint(
        "POST",
        "mlflow/runs/search",
        _search,
        Message(
            experiment_ids=texts,
            filter=text,
            run_view_type=VIEW_TYPE,
            max_results=number,
            order_by=texts,
            page_token=text,
        ),
        {
            "experiment_ids": (array,),
            "filter": (string,),
            "max_results": (intlike, at_most(50_000)),
            "order_by": (array, of_texts),
        },
    ),
)
