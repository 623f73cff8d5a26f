"""Experiments: made, found, renamed, tagged, deleted and restored, as MLflow's clients do it."""

from __future__ import annotations

import contextlib
from typing import Any, Literal
from urllib.parse import urlparse

from mainspring.client.client import Client
from mainspring.kernel.clock import to_micros
from mainspring.kernel.context import caller
from mainspring.kernel.errors import AlreadyExists, Conflict, Forbidden, NotFound
from mainspring.protocols.mlflow.failures import MlflowError, already_exists, invalid, missing
from mainspring.protocols.mlflow.grammar import EXPERIMENTS, read_filter, read_order
from mainspring.protocols.mlflow.messages import Enum, Message, number, text, texts
from mainspring.protocols.mlflow.rules import (
    check_experiment_name,
    check_experiment_tag,
    check_max_results,
    parse_experiment_id,
)
from mainspring.protocols.mlflow.wire import Call, Endpoint, array, intlike, required, string
from mainspring.tracking.types import Experiment

__all__ = [
    "DEFAULT",
    "ENDPOINTS",
    "TAG",
    "VIEWS",
    "VIEW_TYPE",
    "active_experiment",
    "artifact_root",
    "default_experiment",
    "find_experiment",
    "location_of",
    "outer_id",
]

DEFAULT = "Default"
"""The name of the experiment that MLflow's clients know as `0`."""

TAG = Message(key=text, value=text)
VIEW_TYPE = Enum(ACTIVE_ONLY=1, DELETED_ONLY=2, ALL=3)
VIEWS: dict[str, Literal["active", "deleted", "all"]] = {
    "ACTIVE_ONLY": "active",
    "DELETED_ONLY": "deleted",
    "ALL": "all",
}

_IS_DEFAULT = "mlflow.experiment.isDefault"
_defaults: dict[tuple[str, str], int] = {}
"""The number of the default experiment by store and workspace; 0 where there is none yet."""
_locations: dict[tuple[str, str, int], str] = {}
_MOST_LOCATIONS = 10_000


def default_experiment(client: Client) -> Experiment:
    """The workspace's default experiment, which is made when it is first asked for."""
    place = (client.address, caller().workspace)
    if _defaults.get(place):
        try:
            return client.tracking.experiment(id=_defaults[place], counted=False)
        except NotFound:
            del _defaults[place]
    marked = client.tracking.experiments(f"tags.`{_IS_DEFAULT}` = 'yes'", view="all", limit=1).experiments
    found = marked[0] if marked else _make_default(client)
    _defaults[place] = found.id
    return found


def outer_id(client: Client, number: int) -> str:
    """An experiment's id as the protocol has it: `0` for the default one."""
    place = (client.address, caller().workspace)
    if place not in _defaults:
        marked = client.tracking.experiments(f"tags.`{_IS_DEFAULT}` = 'yes'", view="all", limit=1).experiments
        _defaults[place] = marked[0].id if marked else 0
    return "0" if _defaults[place] == number else str(number)


def find_experiment(client: Client, experiment_id: str) -> Experiment:
    """The experiment with an id of the protocol."""
    wanted = parse_experiment_id(experiment_id)
    if wanted == 0:
        return default_experiment(client)
    try:
        if not 0 < wanted < 1 << 62:
            raise NotFound("no such number")
        found = client.tracking.experiment(id=wanted, counted=False)
    except NotFound:
        raise missing(f"No Experiment with id={wanted} exists") from None
    return found


def location_of(client: Client, number: int) -> str:
    """Where the files of an experiment's runs are, as it was asked for when it was made; that never changes."""
    place = (client.address, caller().workspace, number)
    if place not in _locations:
        if len(_locations) > _MOST_LOCATIONS:
            _locations.clear()
        _locations[place] = client.tracking.experiment(id=number, counted=False).location
    return _locations[place]


def active_experiment(client: Client, experiment_id: str) -> Experiment:
    """The experiment with an id of the protocol, which must not be deleted."""
    found = find_experiment(client, experiment_id)
    if found.status != "active":
        raise invalid(
            f"The experiment {outer_id(client, found.id)} must be in the 'active' state. Current state is deleted."
        )
    return found


def artifact_root(experiment_id: str, location: str) -> str:
    """Where the files of an experiment's runs are, as clients resolve it."""
    return location.rstrip("/") or f"mlflow-artifacts:/{experiment_id}"


def _make_default(client: Client) -> Experiment:
    try:
        return client.tracking.create_experiment(DEFAULT, tags={_IS_DEFAULT: "yes"})
    except AlreadyExists:
        found = client.tracking.experiment(DEFAULT)
        if found.status == "deleted":
            return found
        return client.tracking.change_experiment(DEFAULT, tags={_IS_DEFAULT: "yes"})


def _described(client: Client, experiment: Experiment) -> dict[str, Any]:
    identity = outer_id(client, experiment.id)
    tags = {key: value for key, value in experiment.tags.items() if key != _IS_DEFAULT}
    if experiment.note:
        tags["mlflow.note.content"] = experiment.note
    described: dict[str, Any] = {
        "experiment_id": identity,
        "name": experiment.name,
        "artifact_location": artifact_root(identity, experiment.location),
        "lifecycle_stage": experiment.status,
        "last_update_time": to_micros(experiment.updated_at) // 1000,
        "creation_time": to_micros(experiment.created_at) // 1000,
        "workspace": caller().workspace,
    }
    if tags:
        described["tags"] = [{"key": key, "value": value} for key, value in tags.items()]
    return described


def _create(call: Call) -> dict[str, Any]:
    name, location = call.get("name"), call.get("artifact_location")
    check_experiment_name(name)
    if location:
        _check_location(location)
    tags = {tag.get("key", ""): tag.get("value", "") for tag in call.get("tags", [])}
    for key, value in tags.items():
        check_experiment_tag(key, value)
    note = tags.pop("mlflow.note.content", "")
    if name == DEFAULT:
        default_experiment(call.client)
    try:
        made = call.client.tracking.create_experiment(name, tags=tags, note=note, location=location)
    except AlreadyExists as error:
        raise already_exists(f"Experiment(name={name}) already exists. Error: {error.message}") from None
    return {"experiment_id": outer_id(call.client, made.id)}


def _check_location(location: str) -> None:
    parts = urlparse(location)
    if parts.fragment or parts.params:
        raise invalid("'artifact_location' URL can't include fragments or params.")
    if location.startswith("runs:"):
        raise invalid(f"Artifact location cannot be a runs:/ URI. Given: '{location}'")


def _get(call: Call) -> dict[str, Any]:
    return {"experiment": _described(call.client, find_experiment(call.client, call.get("experiment_id")))}


def _get_by_name(call: Call) -> dict[str, Any]:
    name = call.get("experiment_name")
    if name == DEFAULT:
        default_experiment(call.client)
    try:
        found = call.client.tracking.experiment(name, counted=False)
    except NotFound:
        raise missing(f"Could not find experiment with name '{name}'") from None
    return {"experiment": _described(call.client, found)}


def _delete(call: Call) -> dict[str, Any]:
    found = find_experiment(call.client, call.get("experiment_id"))
    if found.status != "active":
        raise missing(f"No Experiment with id={parse_experiment_id(call.get('experiment_id'))} exists")
    call.client.tracking.delete_experiment(found.name)
    return {}


def _restore(call: Call) -> dict[str, Any]:
    found = find_experiment(call.client, call.get("experiment_id"))
    if found.status != "deleted":
        raise missing(f"No Experiment with id={parse_experiment_id(call.get('experiment_id'))} exists")
    call.client.tracking.restore_experiment(found.name)
    return {}


def _update(call: Call) -> dict[str, Any]:
    name = call.get("new_name")
    check_experiment_name(name)
    found = find_experiment(call.client, call.get("experiment_id"))
    if found.status != "active":
        raise MlflowError("Cannot rename a non-active experiment.", "INVALID_STATE")
    try:
        call.client.tracking.change_experiment(found.name, rename=name)
    except AlreadyExists as error:
        raise MlflowError(error.message, "BAD_REQUEST") from None
    return {}


def _set_tag(call: Call) -> dict[str, Any]:
    key, value = call.get("key"), call.get("value")
    check_experiment_tag(key, value)
    found = active_experiment(call.client, call.get("experiment_id"))
    if key == "mlflow.note.content":
        call.client.tracking.change_experiment(found.name, note=value)
    else:
        call.client.tracking.change_experiment(found.name, tags={key: value})
    return {}


def _delete_tag(call: Call) -> dict[str, Any]:
    key = call.get("key")
    found = active_experiment(call.client, call.get("experiment_id"))
    is_note = key == "mlflow.note.content" and found.note
    if not is_note and (key not in found.tags or key == _IS_DEFAULT):
        raise missing(f"No tag with name: {key} in experiment with id {call.get('experiment_id')}")
    try:
        if is_note:
            call.client.tracking.change_experiment(found.name, note="")
        else:
            call.client.tracking.change_experiment(found.name, tags={key: ""})
    except Conflict:
        active_experiment(call.client, call.get("experiment_id"))
        raise
    return {}


def _search(call: Call) -> dict[str, Any]:
    limit = check_max_results(call.get("max_results", 0))
    query = read_filter(call.get("filter"), EXPERIMENTS, identify=lambda each: find_experiment(call.client, each).id)
    order = read_order(call.get("order_by", []), EXPERIMENTS)
    with contextlib.suppress(Forbidden):  # who may only read sees what there is
        default_experiment(call.client)
    page = call.client.tracking.experiments(
        query,
        view=VIEWS[call.get("view_type", "ACTIVE_ONLY")],
        order_by=order or ["created_at DESC", "experiment_id ASC"],
        limit=limit,
        page=call.get("page_token"),
    )
    found: dict[str, Any] = {}
    if page.experiments:
        found["experiments"] = [_described(call.client, each) for each in page.experiments]
    if page.next_page:
        found["next_page_token"] = page.next_page
    return found


_ONE = Message(experiment_id=text)
_SEARCH = Message(max_results=number, page_token=text, filter=text, order_by=texts, view_type=VIEW_TYPE)
_SEARCH_CHECKS = {
    "view_type": (intlike,),
    "max_results": (intlike,),
    "order_by": (array,),
    "filter": (string,),
    "page_token": (string,),
}
_ID = {"experiment_id": (required, string)}

ENDPOINTS = (
    Endpoint(
        "POST",
        "mlflow/experiments/create",
        _create,
        Message(name=text, artifact_location=text, tags=[TAG]),
        {"name": (required, string), "artifact_location": (string,), "tags": (array,)},
    ),
    Endpoint("GET", "mlflow/experiments/get", _get, _ONE, _ID),
    Endpoint(
        "GET",
        "mlflow/experiments/get-by-name",
        _get_by_name,
        Message(experiment_name=text),
        {"experiment_name": (required, string)},
    ),
    Endpoint("POST", "mlflow/experiments/delete", _delete, _ONE, _ID),
    Endpoint("POST", "mlflow/experiments/restore", _restore, _ONE, _ID),
    Endpoint(
        "POST",
        "mlflow/experiments/update",
        _update,
        Message(experiment_id=text, new_name=text),
        {**_ID, "new_name": (string, required)},
    ),
    Endpoint(
        "POST",
        "mlflow/experiments/set-experiment-tag",
        _set_tag,
        Message(experiment_id=text, key=text, value=text),
        {**_ID, "key": (required, string), "value": (string,)},
    ),
    Endpoint(
        "POST",
        "mlflow/experiments/delete-experiment-tag",
        _delete_tag,
        Message(experiment_id=text, key=text),
        {**_ID, "key": (required, string)},
    ),
    Endpoint("POST", "mlflow/experiments/search", _search, _SEARCH, _SEARCH_CHECKS),
    Endpoint("GET", "mlflow/experiments/search", _search, _SEARCH, _SEARCH_CHECKS),
)
