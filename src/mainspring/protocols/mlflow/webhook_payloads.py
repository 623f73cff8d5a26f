"""Events as MLflow tells its webhooks of them: the form `mlflow` of the events room."""

from __future__ import annotations

import base64
import hashlib
import hmac
from typing import Any

import msgspec

from mainspring.events.cloudevents import Prepared
from mainspring.events.types import Emitted, Webhook
from mainspring.kernel.clock import now
from mainspring.kernel.errors import NotFound
from mainspring.models.service import Models
from mainspring.protocols.mlflow.registry import IS_PROMPT, ORIGIN, Origin

__all__ = ["EXAMPLES", "KINDS", "TEST", "prepare"]

TEST = "mlflow."
"""Before a topic: the kind of an event that is only an example."""

KINDS: dict[str, str] = {
    "registered_model.created": "model.created",
    "model_version.created": "model.version.created",
    "model_version_tag.set": "model.version.tag.set",
    "model_version_tag.deleted": "model.version.tag.deleted",
    "model_version_alias.created": "model.alias.set",
    "model_version_alias.deleted": "model.alias.deleted",
    "prompt.created": "model.created",
    "prompt_version.created": "model.version.created",
    "prompt_tag.set": "model.tag.set",
    "prompt_tag.deleted": "model.tag.deleted",
    "prompt_version_tag.set": "model.version.tag.set",
    "prompt_version_tag.deleted": "model.version.tag.deleted",
    "prompt_alias.created": "model.alias.set",
    "prompt_alias.deleted": "model.alias.deleted",
    "budget_policy.exceeded": "budget.exceeded",
}
"""Our kind of event for each of MLflow's. Budgets are not kept here, so nothing is ever told of them."""

_MODEL_TOPICS = {kind: topic for topic, kind in KINDS.items() if not topic.startswith("prompt")}
_PROMPT_TOPICS = {kind: topic for topic, kind in KINDS.items() if topic.startswith("prompt")}
_INTERNAL = {IS_PROMPT, "_mlflow_prompt_type", "mlflow.prompt.text", ORIGIN}
_TEXT = "mlflow.prompt.text"
_NAMED = {"name": "example", "version": "1", "key": "example_key", "value": "example_value", "alias": "example_alias"}


def prepare(client: Any, event: Emitted, webhook: Webhook, *, delivery: str, secret: str) -> Prepared | None:
    """The request that tells a webhook of an event; None when it did not ask for this."""
    if event.kind.startswith(TEST):
        topic, data = event.kind[len(TEST) :], event.data
    else:
        prompt = _is_prompt(client, event)
        topic = (_PROMPT_TOPICS if prompt else _MODEL_TOPICS).get(event.kind, "")
        if topic not in webhook.topics:
            return None
        data = _data(topic, event, prompt=prompt)
    entity, _, action = topic.partition(".")
    body = msgspec.json.encode({"entity": entity, "action": action, "timestamp": event.at.isoformat(), "data": data})
    stamp = str(int(now().timestamp()))
    headers = {"content-type": "application/json", "X-MLflow-Delivery-Id": delivery, "X-MLflow-Timestamp": stamp}
    if secret:
        signed = hmac.new(secret.encode(), f"{delivery}.{stamp}.".encode() + body, hashlib.sha256).digest()
        headers["X-MLflow-Signature"] = f"v1,{base64.b64encode(signed).decode()}"
    return Prepared(body, headers)


def _is_prompt(client: Any, event: Emitted) -> bool:
    name = str(event.data.get("name") or event.subject.partition("/")[2].partition("@")[0])
    tags = event.data.get("tags")
    if event.kind == "model.created" and isinstance(tags, dict):
        return str(tags.get(IS_PROMPT, "")).lower() == "true"
    try:
        return Models(client.backend).model(name).tags.get(IS_PROMPT, "").lower() == "true"
    except NotFound:
        return False


def _data(topic: str, event: Emitted, *, prompt: bool) -> dict[str, Any]:
    given = event.data
    tags = {key: value for key, value in dict(given.get("tags") or {}).items() if key != ORIGIN}
    found: dict[str, Any] = {"name": given.get("name", "")}
    if topic.endswith(("_alias.created", "_alias.deleted")):
        found["alias"] = given.get("alias", "")
    if topic == "prompt_version.created":
        found |= {"version": str(given.get("version", "")), "template": tags.get(_TEXT)}
    elif "version" in given and not topic.endswith("_alias.deleted"):
        found["version"] = str(given["version"])
    if topic == "model_version.created":
        found |= {"source": given.get("source", ""), "run_id": _run(given)}
    if "_tag." in topic:
        found["key"] = given.get("key", "")
        if topic.endswith(".set"):
            found["value"] = given.get("value", "")
    if topic.endswith(".created") and "_alias" not in topic:
        shown = {key: value for key, value in tags.items() if key not in _INTERNAL} if prompt else tags
        found |= {"tags": shown, "description": given.get("description") or (None if "version" in topic else "")}
    return found


def _run(given: dict[str, Any]) -> str | None:
    """The run that the client named, in its form; one that only we recorded is not the client's."""
    held = dict(given.get("tags") or {}).get(ORIGIN)
    if held is None:
        return str(given.get("run_id", "")).replace("-", "") or None
    return msgspec.json.decode(held, type=Origin).run_id or None


def _example(topic: str) -> dict[str, Any]:
    keys = ["name"]
    if topic.endswith(("_alias.created", "_alias.deleted")):
        keys += ["alias"] + (["version"] if topic.endswith("created") else [])
    elif topic.endswith(("_tag.set", "_tag.deleted")):
        keys += (["version"] if "version" in topic else []) + ["key"] + (["value"] if topic.endswith("set") else [])
    elif topic.startswith("budget_policy"):
        return {"budget_policy_id": "bp-example", "budget_unit": "USD", "budget_amount": 100.0, "current_spend": 105.5}
    else:
        keys += ["version"] if "version" in topic else []
    found: dict[str, Any] = {key: _NAMED[key] for key in keys}
    if topic == "model_version.created":
        found |= {"source": "models:/123", "run_id": "abcd1234abcd5678"}
    if topic == "prompt_version.created":
        found["template"] = "Hello {{name}}!"
    if topic.endswith(".created") and "_alias" not in topic:
        found |= {"tags": {"example_key": "example_value"}, "description": "An example"}
    return found


EXAMPLES: dict[str, dict[str, Any]] = {topic: _example(topic) for topic in KINDS}
"""What a test of a webhook sends."""
