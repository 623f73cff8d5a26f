"""Versions of registered models: registered without moving a byte, found, tagged, staged, deleted."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import Any

import msgspec

from mainspring.client.client import Client
from mainspring.engines.signature import Signature
from mainspring.kernel.errors import CheckFailed, Conflict, InvalidInput, NotFound
from mainspring.models.types import Manifest, ModelVersion
from mainspring.protocols.mlflow.artifacts import file_answer
from mainspring.protocols.mlflow.experiments import TAG
from mainspring.protocols.mlflow.failures import internal, invalid, missing
from mainspring.protocols.mlflow.grammar import Vocabulary, read_filter, read_order
from mainspring.protocols.mlflow.messages import Message, flag, text
from mainspring.protocols.mlflow.registered_models import canonical_stage
from mainspring.protocols.mlflow.registry import (
    IS_PROMPT,
    ORIGIN,
    SEARCHED,
    Origin,
    check_model_name,
    check_registry_tag,
    describe_version,
    find_model,
    find_version,
    hide_prompts,
    no_registered,
    origin_of,
    search_checks,
    version_number,
)
from mainspring.protocols.mlflow.rules import check_tag_name, safe_path
from mainspring.protocols.mlflow.shelves import SHELVES, Kept, Shelf
from mainspring.protocols.mlflow.sources import PROMPT_SOURCES, Source, read_source
from mainspring.protocols.mlflow.wire import (
    Answer,
    Call,
    Endpoint,
    array,
    boolean,
    required,
    string,
)

__all__ = ["ENDPOINTS", "VERSIONS"]

VERSIONS = Vocabulary(
    {
        "name": "name",
        "version_number": "version",
        "run_id": "run_id",
        "source_path": "source",
        "creation_timestamp": "created",
        "last_updated_timestamp": "updated",
    },
    frozenset({"version_number", "creation_timestamp", "last_updated_timestamp"}),
    frozenset({"name", "run_id"}),
    ("tag", "attribute"),
    misfit="Invalid comparator for attribute: {operator}",
)
"""What `model-versions/search` may name."""

_PAGE, _MOST = 10_000, 200_000
_OWN_PAGE = 1000
_ACTIVE = ["Staging", "Production"]
_HEX = re.compile(r"'([0-9a-f]{8})([0-9a-f]{4})([0-9a-f]{4})([0-9a-f]{4})([0-9a-f]{12})'")
_SHELF = re.compile(r"registry/([^/]+)/(\d+)(?:/(.*))?")


class VersionShelf:
    """The files of a version, for the artifact proxy: to be read only."""

    def __init__(self, client: Client, version: ModelVersion) -> None:
        self._models, self._ref = client.models, f"model/{version.name}@{version.version}"

    def files(self, prefix: str = "") -> list[Kept]:
        """Those whose path begins so."""
        held = self._models.files(self._ref)
        return [Kept(each.path, each.size, each.digest) for each in held if each.path.startswith(prefix)]

    def read(self, path: str, start: int, stop: int | None) -> Any:
        """Bytes of a file."""
        body = self._models.file(self._ref, path)
        return body if start == 0 and stop is None else _between(body, start, stop)

    def put(self, path: str, body: Any, media_type: str) -> None:
        """Refused: a version never changes."""
        raise invalid("The files of a model version cannot be changed.")

    def delete(self, path: str) -> None:
        """Refused: a version never changes."""
        raise invalid("The files of a model version cannot be changed.")


def _between(body: Iterable[bytes], start: int, stop: int | None) -> Iterator[bytes]:
    """Some of a stream, without holding it."""
    place = 0
    for piece in body:
        end = len(piece) if stop is None else max(0, min(len(piece), stop - place))
        if wanted := piece[max(0, start - place) : end]:
            yield wanted
        place += len(piece)
        if stop is not None and place >= stop:
            return


def _shelf(client: Client, path: str) -> tuple[Shelf, str] | None:
    found = _SHELF.fullmatch(path)
    return (VersionShelf(client, find_version(client, found[1], found[2])), found[3] or "") if found else None


SHELVES.append(_shelf)


def _create(call: Call) -> dict[str, Any]:
    name, given = call.get("name"), call.get("source")
    tags = {each.get("key", ""): each.get("value", "") for each in call.get("tags", [])}
    prompt = tags.get(IS_PROMPT, "false").lower() == "true"
    if prompt:
        if given not in PROMPT_SOURCES:
            raise invalid(f"Invalid prompt source: '{given}'. Prompt sources must use an MLflow placeholder.")
        source = Source(given, "", "")
    else:
        source = read_source(
            call.client, given, run_id=call.request.get("run_id"), model_id=call.request.get("model_id")
        )
    check_model_name(name)
    for key, value in tags.items():
        check_registry_tag(key, value)
    find_model(call.client, name)
    origin = Origin(source.run_id, call.get("run_link"), source.model_id, source.location, described=True)
    try:
        made = call.client.models.register(
            name,
            files=list(source.files),
            run_id=_run(call, source.run_id),
            manifest=_manifest(source),
            description=call.get("description"),
            tags={**tags, ORIGIN: msgspec.json.encode(origin).decode()},
            source=source.text,
        )
    except Conflict:
        raise no_registered(name) from None
    if source.model_id:
        _tag_logged(call, source.model_id, made)
    return {"model_version": describe_version(made)}


def _run(call: Call, run_id: str) -> str:
    """The run where there is one; MLflow takes any text."""
    if not run_id:
        return ""
    try:
        return call.client.tracking.get(run_id).id
    except NotFound:
        return ""


def _manifest(source: Source) -> Manifest | None:
    """None where the files say themselves what they are; otherwise that nothing is known of them."""
    if not source.files or any(each.path in ("MLmodel", "manifest.json") for each in source.files):
        return None
    return Manifest(format="external", signature=Signature(inputs=()), files=source.files)


def _tag_logged(call: Call, model_id: str, made: ModelVersion) -> None:
    """Note on the logged model that it was registered, in the tag in which MLflow's own pages look for it."""
    held = call.client.models.logged(model_id)
    before = msgspec.json.decode(held.tags.get("mlflow.modelVersions") or "[]", type=list[dict[str, Any]])
    after = [*before, {"name": made.name, "version": made.version}]
    call.client.models.tag_logged(model_id, {"mlflow.modelVersions": msgspec.json.encode(after).decode()})


def _get(call: Call) -> dict[str, Any]:
    return {"model_version": describe_version(find_version(call.client, call.get("name"), call.get("version")))}


def _update(call: Call) -> dict[str, Any]:
    held = find_version(call.client, call.get("name"), call.get("version"))
    changed = call.client.models.describe_version(_ref(held), description=call.get("description"))
    return {"model_version": describe_version(changed)}


def _transition(call: Call) -> dict[str, Any]:
    stage, archive = call.get("stage"), call.get("archive_existing_versions", False)
    wanted = canonical_stage(stage)
    if archive and wanted not in _ACTIVE:
        raise internal(
            "Model version transition cannot archive existing model versions "
            f"because '{stage}' is not an Active stage. Valid stages are {_ACTIVE}"
        )
    held = find_version(call.client, call.get("name"), call.get("version"))
    try:
        changed = call.client.models.set_stage(_ref(held), wanted, archive_existing=archive)
    except CheckFailed as error:
        raise invalid(f"The version cannot take the stage '{wanted}': {error.message}") from None
    return {"model_version": describe_version(changed)}


def _delete(call: Call) -> dict[str, Any]:
    call.client.models.delete_version(_ref(find_version(call.client, call.get("name"), call.get("version"))))
    return {}


def _download_uri(call: Call) -> dict[str, Any]:
    held = find_version(call.client, call.get("name"), call.get("version"))
    return {"artifact_uri": origin_of(held).location or describe_version(held)["source"]}


def _search(call: Call) -> dict[str, Any]:
    limit = call.get("max_results", _PAGE)
    if limit < 1:
        raise invalid(f"Invalid value for max_results. It must be a positive integer, but got {limit}")
    if limit > _MOST:
        raise invalid(
            f"Invalid value for request parameter max_results. It must be at most {_MOST}, but got value {limit}"
        )
    query = hide_prompts(_HEX.sub(r"'\1-\2-\3-\4-\5'", read_filter(call.get("filter"), VERSIONS)))
    order = read_order(call.get("order_by", []), VERSIONS) or ["updated DESC", "name", "version DESC"]
    found: list[dict[str, Any]] = []
    page = call.get("page_token")
    while len(found) < limit:
        try:
            answer = call.client.models.search_versions(
                query, order_by=order, limit=min(limit - len(found), _OWN_PAGE), page=page
            )
        except InvalidInput as error:
            raise invalid(error.message) from None
        found += [describe_version(each) for each in answer.versions]
        page = answer.next_page
        if not page:
            break
    return ({"model_versions": found} if found else {}) | ({"next_page_token": page} if page else {})


def _set_tag(call: Call) -> dict[str, Any]:
    name, key, value = call.get("name"), call.get("key"), call.get("value")
    check_model_name(name)
    version_number(call.get("version"))
    check_registry_tag(key, value)
    if key == ORIGIN:
        raise invalid(f"Tag '{key}' is reserved.")
    held = find_version(call.client, name, call.get("version"))
    call.client.models.tag_version(_ref(held), key, value)
    return {}


def _delete_tag(call: Call) -> dict[str, Any]:
    name, key = call.get("name"), call.get("key")
    check_model_name(name)
    version_number(call.get("version"))
    check_tag_name(key)
    held = find_version(call.client, name, call.get("version"))
    if key in held.tags and key != ORIGIN:
        call.client.models.tag_version(_ref(held), key, "")
    return {}


def _artifact(call: Call) -> Answer:
    """A version's file for MLflow's pages."""
    name, version, path = (call.query.get(each, [""])[0] for each in ("name", "version", "path"))
    if not path:
        raise missing("Request must specify name, version and path.")
    shelf = VersionShelf(call.client, find_version(call.client, name, version))
    return file_answer(call, shelf, safe_path(path))


def _ref(version: ModelVersion) -> str:
    return f"model/{version.name}@{version.version}"


_ONE = {"name": (string, required), "version": (string, required)}
_NAMED = Message(name=text, version=text)

ENDPOINTS = (
    Endpoint(
        "POST",
        "mlflow/model-versions/create",
        _create,
        Message(
            name=text, source=text, run_id=text, tags=[TAG], run_link=text, description=text, model_id=text
        ),
        {
            "name": (string, required),
            "source": (string, required),
            "run_id": (string,),
            "tags": (array,),
            "run_link": (string,),
            "description": (string,),
            "model_id": (string,),
        },
    ),
    Endpoint("GET", "mlflow/model-versions/get", _get, _NAMED, _ONE),
    Endpoint(
        "PATCH",
        "mlflow/model-versions/update",
        _update,
        Message(name=text, version=text, description=text),
        {**_ONE, "description": (string,)},
    ),
    Endpoint(
        "POST",
        "mlflow/model-versions/transition-stage",
        _transition,
        Message(name=text, version=text, stage=text, archive_existing_versions=flag),
        {**_ONE, "stage": (string, required), "archive_existing_versions": (boolean,)},
    ),
    Endpoint("DELETE", "mlflow/model-versions/delete", _delete, _NAMED, _ONE),
    Endpoint("GET", "mlflow/model-versions/get-download-uri", _download_uri, _NAMED),
    Endpoint(
        "GET",
        "mlflow/model-versions/search",
        _search,
        SEARCHED,
        search_checks(_MOST),
    ),
    Endpoint(
        "POST",
        "mlflow/model-versions/set-tag",
        _set_tag,
        Message(name=text, version=text, key=text, value=text),
        {**_ONE, "key": (string, required), "value": (string,)},
    ),
    Endpoint(
        "DELETE",
        "mlflow/model-versions/delete-tag",
        _delete_tag,
        Message(name=text, version=text, key=text),
        {**_ONE, "key": (string, required)},
    ),
    Endpoint("GET", "model-versions/get-artifact", _artifact, version=0),
)
