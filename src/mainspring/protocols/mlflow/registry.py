"""Models and versions of ours as MLflow's clients read them, and MLflow's rules for their names."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Sequence
from typing import Any

import msgspec

from mainspring.client.client import Client
from mainspring.kernel.clock import to_micros
from mainspring.kernel.errors import InvalidInput, NotFound
from mainspring.models.types import Model, ModelVersion
from mainspring.protocols.mlflow.failures import MlflowError, invalid, invalid_value, missing, missing_value
from mainspring.protocols.mlflow.messages import Message, number, text, texts
from mainspring.protocols.mlflow.rules import check_length, check_tag_name
from mainspring.protocols.mlflow.wire import array, at_most, intlike, of_texts, string

__all__ = [
    "IS_PROMPT",
    "ORIGIN",
    "SEARCHED",
    "Origin",
    "check_alias",
    "check_model_name",
    "check_new_alias",
    "check_registry_tag",
    "describe_models",
    "describe_version",
    "find_model",
    "find_version",
    "hide_prompts",
    "is_prompt",
    "no_registered",
    "no_version",
    "origin_of",
    "search_checks",
    "version_number",
    "visible",
]

SEARCHED = Message(filter=text, max_results=number, order_by=texts, page_token=text)
"""What a search of the registry is asked with."""


def search_checks(most: int) -> dict[str, tuple[Any, ...]]:
    """How the fields of a search are checked, with at most so many results."""
    return {
        "filter": (string,),
        "max_results": (intlike, at_most(most)),
        "order_by": (array, of_texts),
        "page_token": (string,),
    }


IS_PROMPT = "mlflow.prompt.is_prompt"
ORIGIN = "mlflow.version.origin"
"""The tag in which this protocol keeps what a version was registered with; clients do not see it."""

_TAG_KEY, _TAG_VALUE, _ALIAS = 250, 100_000, 255
_ALIAS_FORM = re.compile(r"^[\w\-]*$")
_ASKS = re.compile(r"tags?\.`?mlflow\.prompt\.is_prompt`? (=|!=) '(\w*)'")
_STATUS = {"ready": "READY", "pending": "PENDING_REGISTRATION", "failed": "FAILED_REGISTRATION"}


class Origin(msgspec.Struct, frozen=True, omit_defaults=True):
    """What a client gave when it registered a version."""

    run_id: str = ""
    run_link: str = ""
    model_id: str = ""
    location: str = ""
    """Where the files are read from, where that is not the source."""
    described: bool = False
    """Whether a description was given, if only an empty one."""


def check_model_name(name: str, path: str = "name") -> None:
    """A name of a registered model."""
    if not name.strip():
        raise invalid(missing_value(path))
    if "/" in name or ":" in name:
        raise invalid(f"Invalid model name '{name}'. Names cannot contain '/' or ':'.")
    norm = posixpath.normpath(name)
    if norm != name or norm == "." or norm.startswith(("..", "/")):
        reason = (
            "Names may be treated as files in certain cases, and must not resolve to other names"
            f" when treated as such. This name would resolve to {norm!r}"
        )
        raise invalid(invalid_value("name", name, reason))


def check_registry_tag(key: str, value: str) -> None:
    """A tag of a model or of a version."""
    check_tag_name(key)
    check_length("key", _TAG_KEY, key)
    check_length("value", _TAG_VALUE, value)


def check_alias(alias: str) -> None:
    """The form of an alias."""
    if not alias:
        raise invalid("Registered model alias name cannot be empty.")
    if not _ALIAS_FORM.match(alias):
        raise invalid(
            f"Invalid alias name: '{alias}'. Names may only contain alphanumerics, underscores (_), and dashes (-)."
        )
    check_length("Registered model alias name", _ALIAS, alias)


def check_new_alias(alias: str) -> None:
    """An alias that is to be set: some words are reserved."""
    check_alias(alias)
    if alias.lower() == "latest":
        raise invalid("'latest' alias name (case insensitive) is reserved.")
    if re.fullmatch(r"[vV]\d+", alias):
        raise invalid(f"Version alias name '{alias}' is reserved.")


def version_number(version: str) -> int:
    """A version as a number."""
    try:
        found = int(version)
    except ValueError:
        raise invalid(f"Parameter 'version' must be an integer, got '{version}'.") from None
    return found if abs(found) < 1 << 62 else 0


def no_registered(name: str) -> MlflowError:
    """There is no such model."""
    return missing(f"Registered Model with name={name} not found")


def no_version(name: str, version: int) -> MlflowError:
    """There is no such version."""
    return missing(f"Model Version (name={name}, version={version}) not found")


def find_model(client: Client, name: str) -> Model:
    """The model of this name, and not of one that it had before."""
    check_model_name(name)
    try:
        found = client.models.model(name)
    except (NotFound, InvalidInput):
        raise no_registered(name) from None
    if found.name != name:
        raise no_registered(name)
    return found


def find_version(client: Client, name: str, version: str) -> ModelVersion:
    """The version of this number."""
    check_model_name(name)
    number = version_number(version)
    try:
        if number < 1:
            raise NotFound("versions start at 1")
        found = client.models.get(f"model/{name}@{number}")
    except (NotFound, InvalidInput):  # nothing has a name that nothing may have
        raise no_version(name, number) from None
    if found.name != name:
        raise no_version(name, number)
    return found


def is_prompt(model: Model) -> bool:
    """Whether it is a prompt, which MLflow keeps as a model with tags."""
    return model.tags.get(IS_PROMPT, "false").lower() == "true"


def hide_prompts(query: str) -> str:
    """A search for models without prompts, unless it asks for prompts.

    That a model is no prompt is seen by the tag not being there, so the client's `!= 'true'` is read as that.
    """
    asked = _ASKS.search(query)
    if asked is not None and (asked[1] == "=") == (asked[2].lower() == "true"):
        return query
    hidden = f"NOT tags.`{IS_PROMPT}` ILIKE 'true'"
    if asked is not None:
        return _ASKS.sub(hidden, query)
    return f"{query} AND {hidden}" if query else hidden


def visible(tags: dict[str, str]) -> list[dict[str, str]]:
    """Tags as clients see them."""
    return [{"key": key, "value": value} for key, value in tags.items() if key != ORIGIN]


def origin_of(version: ModelVersion) -> Origin:
    """What it was registered with; of a version of ours, its run."""
    held = version.tags.get(ORIGIN)
    if held is None:
        return Origin(run_id=version.run_id.replace("-", ""), described=bool(version.description))
    try:
        return msgspec.json.decode(held, type=Origin)
    except msgspec.DecodeError:
        return Origin()


def describe_version(version: ModelVersion) -> dict[str, Any]:
    """A version as the protocol has it."""
    origin = origin_of(version)
    source = version.source or f"mlflow-artifacts:/registry/{version.name}/{version.version}"
    found: dict[str, Any] = {
        "name": version.name,
        "version": str(version.version),
        "creation_timestamp": to_micros(version.created_at) // 1000,
        "last_updated_timestamp": to_micros(version.updated_at or version.created_at) // 1000,
        "current_stage": version.stage,
        "description": version.description,
        "source": source,
        "run_id": origin.run_id,
        "status": _STATUS[version.status],
        "run_link": origin.run_link,
    }
    if tags := visible(version.tags):
        found["tags"] = tags
    if version.aliases:
        found["aliases"] = sorted(version.aliases)
    return found


def describe_models(client: Client, models: Sequence[Model]) -> list[dict[str, Any]]:
    """Models with their newest version in each stage and their aliases; few queries for a page."""
    if not models:
        return []
    newest, aliases = _versions_of(client, [model.name for model in models])
    found = []
    for model in models:
        described: dict[str, Any] = {
            "name": model.name,
            "creation_timestamp": to_micros(model.created_at) // 1000,
            "last_updated_timestamp": to_micros(model.updated_at or model.created_at) // 1000,
        }
        if model.description:
            described["description"] = model.description
        if versions := newest.get(model.name):
            described["latest_versions"] = [
                describe_version(each) for each in sorted(versions.values(), key=lambda each: each.version)
            ]
        if tags := visible(model.tags):
            described["tags"] = tags
        if pointing := aliases.get(model.name):
            described["aliases"] = [{"alias": each, "version": str(pointing[each])} for each in sorted(pointing)]
        found.append(described)
    return found


def _versions_of(
    client: Client, names: Sequence[str]
) -> tuple[dict[str, dict[str, ModelVersion]], dict[str, dict[str, int]]]:
    newest: dict[str, dict[str, ModelVersion]] = {}
    aliases: dict[str, dict[str, int]] = {}
    for start in range(0, len(names), 100):
        batch = names[start : start + 100]
        listed = ", ".join("'" + name.replace("'", "''") + "'" for name in batch)
        for version in client.models.search(f"name IN ({listed})", limit=1000).latest.values():
            newest.setdefault(version.name, {})[version.stage] = version
        for version in _all(client, f"name IN ({listed}) AND stage != 'None'"):
            newest.setdefault(version.name, {}).setdefault(version.stage, version)
        for version in _all(client, f"name IN ({listed}) AND alias IS NOT NULL"):
            for alias in version.aliases:
                aliases.setdefault(version.name, {})[alias] = version.version
    for name, stages in newest.items():
        if "None" not in stages:
            quoted = name.replace("'", "''")
            query = f"name = '{quoted}' AND stage = 'None'"
            for version in client.models.search_versions(query, order_by=["version DESC"], limit=1).versions:
                stages["None"] = version
    return newest, aliases


def _all(client: Client, query: str) -> list[ModelVersion]:
    """Every version that a filter finds, the newest of a model first."""
    found: list[ModelVersion] = []
    page = ""
    while True:
        answer = client.models.search_versions(query, order_by=["name", "version DESC"], limit=1000, page=page)
        found += answer.versions
        page = answer.next_page
        if not page:
            return found
