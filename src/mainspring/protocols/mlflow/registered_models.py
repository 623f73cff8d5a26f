"""Registered models: made, found, renamed, tagged, given aliases, deleted, as MLflow's clients do it."""

from __future__ import annotations

from typing import Any

from mainspring.kernel.errors import AlreadyExists, CheckFailed, Conflict, InvalidInput, NotFound
from mainspring.models.types import ModelVersion
from mainspring.protocols.mlflow.experiments import TAG
from mainspring.protocols.mlflow.failures import already_exists, invalid, missing
from mainspring.protocols.mlflow.grammar import Vocabulary, read_filter, read_order
from mainspring.protocols.mlflow.messages import Message, text, texts
from mainspring.protocols.mlflow.registry import (
    SEARCHED,
    check_alias,
    check_model_name,
    check_new_alias,
    check_registry_tag,
    describe_models,
    describe_version,
    find_model,
    find_version,
    hide_prompts,
    search_checks,
)
from mainspring.protocols.mlflow.rules import check_tag_name
from mainspring.protocols.mlflow.wire import Call, Endpoint, array, of_texts, required, string

__all__ = ["ENDPOINTS", "MODELS", "canonical_stage"]

MODELS = Vocabulary(
    {
        "name": "name",
        "creation_timestamp": "created",
        "timestamp": "updated",
        "last_updated_timestamp": "updated",
    },
    frozenset({"creation_timestamp", "last_updated_timestamp", "timestamp"}),
    frozenset({"name"}),
    ("tag", "attribute"),
    misfit="Invalid comparator for attribute: {operator}",
)
"""What `registered-models/search` may name."""

_STAGES = ("None", "Staging", "Production", "Archived")
_PAGE, _MOST = 100, 1000


def canonical_stage(stage: str) -> str:
    """A stage in its usual spelling."""
    found = next((each for each in _STAGES if each.lower() == stage.lower()), None)
    if found is None:
        raise invalid(f"Invalid Model Version stage: {stage}. Value must be one of {', '.join(_STAGES)}.")
    return found


def _create(call: Call) -> dict[str, Any]:
    name = call.get("name")
    check_model_name(name)
    tags = {each.get("key", ""): each.get("value", "") for each in call.get("tags", [])}
    for key, value in tags.items():
        check_registry_tag(key, value)
    try:
        made = call.client.models.create(name, description=call.get("description"), tags=tags)
    except AlreadyExists:
        raise already_exists(f"Registered Model (name={name}) already exists.") from None
    return {"registered_model": describe_models(call.client, [made])[0]}


def _get(call: Call) -> dict[str, Any]:
    return {"registered_model": describe_models(call.client, [find_model(call.client, call.get("name"))])[0]}


def _update(call: Call) -> dict[str, Any]:
    held = find_model(call.client, call.get("name"))
    changed = call.client.models.describe(held.name, description=call.get("description"))
    return {"registered_model": describe_models(call.client, [changed])[0]}


def _rename(call: Call) -> dict[str, Any]:
    new = call.get("new_name")
    check_model_name(new, "new_name")
    held = find_model(call.client, call.get("name"))
    try:
        changed = call.client.models.rename(held.name, new)
    except (AlreadyExists, Conflict) as error:
        raise already_exists(f"Registered Model (name={new}) already exists. Error: {error.message}") from None
    return {"registered_model": describe_models(call.client, [changed])[0]}


def _delete(call: Call) -> dict[str, Any]:
    call.client.models.delete(find_model(call.client, call.get("name")).name)
    return {}


def _search(call: Call) -> dict[str, Any]:
    limit = call.get("max_results", _PAGE)
    if limit > _MOST:
        raise invalid(
            f"Invalid value for request parameter max_results. It must be at most {_MOST}, but got value {limit}"
        )
    query = hide_prompts(read_filter(call.get("filter"), MODELS))
    order = read_order(call.get("order_by", []), MODELS)
    try:
        page = call.client.models.search(query, order_by=order, limit=limit, page=call.get("page_token"))
    except InvalidInput as error:
        raise invalid(error.message) from None
    found: dict[str, Any] = {}
    if page.models:
        found["registered_models"] = describe_models(call.client, page.models)
    if page.next_page:
        found["next_page_token"] = page.next_page
    return found


def _latest(call: Call) -> dict[str, Any]:
    held = find_model(call.client, call.get("name"))
    wanted = [canonical_stage(each) for each in call.get("stages", [])]
    versions = describe_models(call.client, [held])[0].get("latest_versions", [])
    if wanted:
        versions = [each for each in versions if each["current_stage"] in wanted]
    return {"model_versions": versions} if versions else {}


def _set_tag(call: Call) -> dict[str, Any]:
    name, key, value = call.get("name"), call.get("key"), call.get("value")
    check_model_name(name)
    check_registry_tag(key, value)
    call.client.models.tag(find_model(call.client, name).name, key, value)
    return {}


def _delete_tag(call: Call) -> dict[str, Any]:
    name, key = call.get("name"), call.get("key")
    check_model_name(name)
    check_tag_name(key)
    held = find_model(call.client, name)
    if key in held.tags:
        call.client.models.tag(held.name, key, "")
    return {}


def _set_alias(call: Call) -> dict[str, Any]:
    name, alias = call.get("name"), call.get("alias")
    check_model_name(name)
    check_new_alias(alias)
    held = find_version(call.client, name, call.get("version"))
    try:
        call.client.models.alias(held.name, alias, held.version)
    except CheckFailed as error:
        raise invalid(f"The alias '{alias}' cannot be set: {error.message}") from None
    return {}


def _delete_alias(call: Call) -> dict[str, Any]:
    name, alias = call.get("name"), call.get("alias")
    check_model_name(name)
    check_alias(alias)
    held = find_model(call.client, name)
    try:
        call.client.models.remove_alias(held.name, alias)
    except NotFound:  # what is not there is gone already
        return {}
    return {}


def _get_alias(call: Call) -> dict[str, Any]:
    name, alias = call.get("name"), call.get("alias")
    check_model_name(name)
    check_alias(alias)
    if alias.lower() == "latest":
        return {"model_version": describe_version(_newest(call, name))}
    held = find_model(call.client, name)
    pointing = call.client.lineage.aliases("model", held.name)
    if alias not in pointing:
        raise invalid(f"Registered model alias {alias} not found.")
    return {"model_version": describe_version(find_version(call.client, held.name, str(pointing[alias])))}


def _newest(call: Call, name: str) -> ModelVersion:
    versions = call.client.models.versions(find_model(call.client, name).name, limit=1)
    if not versions:
        raise missing(f"Latest version not found for model {name}.")
    return versions[0]


_NAME = {"name": (string, required)}
_STAGED = {**_NAME, "stages": (array, of_texts)}
_TAGGED = {**_NAME, "key": (string, required)}
_ALIASED = {**_NAME, "alias": (string, required)}

ENDPOINTS = (
    Endpoint(
        "POST",
        "mlflow/registered-models/create",
        _create,
        Message(name=text, tags=[TAG], description=text, deployment_job_id=text),
        {**_NAME, "tags": (array,), "description": (string,)},
    ),
    Endpoint("GET", "mlflow/registered-models/get", _get, Message(name=text), _NAME),
    Endpoint(
        "PATCH",
        "mlflow/registered-models/update",
        _update,
        Message(name=text, description=text, deployment_job_id=text),
        {**_NAME, "description": (string,)},
    ),
    Endpoint(
        "POST",
        "mlflow/registered-models/rename",
        _rename,
        Message(name=text, new_name=text),
        {**_NAME, "new_name": (string, required)},
    ),
    Endpoint("DELETE", "mlflow/registered-models/delete", _delete, Message(name=text), _NAME),
    Endpoint(
        "GET",
        "mlflow/registered-models/search",
        _search,
        SEARCHED,
        search_checks(_MOST),
    ),
    *(
        Endpoint(
            method, "mlflow/registered-models/get-latest-versions", _latest, Message(name=text, stages=texts), _STAGED
        )
        for method in ("GET", "POST")
    ),
    Endpoint(
        "POST",
        "mlflow/registered-models/set-tag",
        _set_tag,
        Message(name=text, key=text, value=text),
        {**_TAGGED, "value": (string,)},
    ),
    Endpoint("DELETE", "mlflow/registered-models/delete-tag", _delete_tag, Message(name=text, key=text), _TAGGED),
    Endpoint(
        "POST",
        "mlflow/registered-models/alias",
        _set_alias,
        Message(name=text, alias=text, version=text),
        {**_ALIASED, "version": (string, required)},
    ),
    Endpoint("DELETE", "mlflow/registered-models/alias", _delete_alias, Message(name=text, alias=text), _ALIASED),
    Endpoint("GET", "mlflow/registered-models/alias", _get_alias, Message(name=text, alias=text), _ALIASED),
)
