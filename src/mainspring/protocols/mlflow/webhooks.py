"""Webhooks through MLflow's interface: ours, told of events in MLflow's form."""

from __future__ import annotations

import re
from typing import Any
from urllib.parse import urlparse

from mainspring.events.posting import is_public
from mainspring.events.types import Webhook
from mainspring.kernel.clock import to_micros
from mainspring.kernel.errors import InvalidInput, NotFound
from mainspring.protocols.mlflow.failures import MlflowError, invalid, missing
from mainspring.protocols.mlflow.messages import Enum, Message, number, text
from mainspring.protocols.mlflow.webhook_payloads import EXAMPLES, KINDS, TEST
from mainspring.protocols.mlflow.wire import Call, Endpoint, array, intlike, required, string

__all__ = ["ENDPOINTS"]

_NAME = re.compile(r"(?=.{1,63}$)[a-z0-9]([a-z0-9._-]*[a-z0-9])?", re.IGNORECASE)
_ENTITY = Enum(
    ENTITY_UNSPECIFIED=0,
    REGISTERED_MODEL=1,
    MODEL_VERSION=2,
    MODEL_VERSION_TAG=3,
    MODEL_VERSION_ALIAS=4,
    PROMPT=5,
    PROMPT_VERSION=6,
    PROMPT_TAG=7,
    PROMPT_VERSION_TAG=8,
    PROMPT_ALIAS=9,
    BUDGET_POLICY=10,
)
_ACTION = Enum(ACTION_UNSPECIFIED=0, CREATED=1, UPDATED=2, DELETED=3, SET=4, EXCEEDED=5)
_STATUS = Enum(ACTIVE=1, DISABLED=2)
_EVENT = Message(entity=_ENTITY, action=_ACTION)
_PAGE, _MOST = 100, 1000


def _described(webhook: Webhook) -> dict[str, Any]:
    found: dict[str, Any] = {"webhook_id": webhook.id, "name": webhook.name}
    if webhook.description:
        found["description"] = webhook.description
    topics = [topic.partition(".") for topic in webhook.topics]
    return found | {
        "url": webhook.url,
        "events": [{"entity": entity.upper(), "action": action.upper()} for entity, _, action in topics],
        "status": webhook.status.upper(),
        "creation_timestamp": to_micros(webhook.created_at) // 1000,
        "last_updated_timestamp": to_micros(webhook.updated_at) // 1000,
    }


def _topic(event: dict[str, Any]) -> str:
    entity, action = event.get("entity", "").lower(), event.get("action", "").lower()
    topic = f"{entity}.{action}"
    if topic not in KINDS:
        valid = sorted(each.partition(".")[2] for each in KINDS if each.partition(".")[0] == entity)
        raise invalid(f"Invalid action '{action}' for entity '{entity}'. Valid actions are: {valid}")
    return topic


def _check_name(name: str) -> None:
    if not _NAME.fullmatch(name):
        raise invalid(
            f"Webhook name {name!r} is invalid. It must start and end with a letter or digit, "
            "be less than 63 characters long, and contain only letters, digits, dots (.), "
            "underscores (_), and hyphens (-)."
        )


def _check_url(url: str, *, private: bool) -> None:
    if not url.strip():
        raise invalid(f"Webhook URL cannot be empty or just whitespace: {url!r}")
    try:
        parts = urlparse(url)
        host = parts.hostname
    except ValueError as error:
        raise invalid(f"Invalid webhook URL {url!r}: {error!r}") from None
    if parts.scheme != "https" and not (private and parts.scheme == "http"):
        raise invalid(f"Invalid webhook URL scheme: {parts.scheme!r}. Allowed schemes are: https.")
    if not host:
        raise invalid(f"Webhook URL must include a hostname: {url!r}")
    try:
        public = private or is_public(host)
    except ValueError:  # a name: it is resolved when the webhook is made
        return
    if not public:
        raise invalid(f"Webhook URL must not resolve to a non-public IP address. {host!r} resolves to {host}.")


def _gone(webhook_id: str) -> MlflowError:
    return missing(f"Webhook with ID {webhook_id} not found.")


def _find(call: Call) -> Webhook:
    webhook_id = call.path["webhook_id"]
    try:
        found = call.client.events.webhook(webhook_id)
    except NotFound:
        raise _gone(webhook_id) from None
    if found.payload != "mlflow":  # one of ours, which says things that this interface has no words for
        raise _gone(webhook_id)
    return found


def _create(call: Call) -> dict[str, Any]:
    topics = [_topic(each) for each in call.get("events", [])]
    name, url = call.get("name"), call.get("url")
    _check_name(name)
    _check_url(url, private=call.client.events.policy().private)
    if not topics:
        raise invalid("Webhook events must be a non-empty list of WebhookEvent objects: [].")
    try:
        made = call.client.events.create_webhook(
            name,
            url,
            kinds=_kinds(topics),
            secret=call.get("secret"),
            payload="mlflow",
            topics=topics,
            description=call.get("description"),
            status="disabled" if call.get("status") == "DISABLED" else "active",
        )
    except InvalidInput as error:
        raise invalid(error.message) from None
    return {"webhook": _described(made.webhook)}


def _kinds(topics: list[str]) -> list[str]:
    return list(dict.fromkeys(KINDS[topic] for topic in topics))


def _list(call: Call) -> dict[str, Any]:
    limit = call.get("max_results", 0) or _PAGE
    if not 1 <= limit <= _MOST:
        raise invalid("max_results must be between 1 and 1000.")
    found: list[Webhook] = []
    after = call.get("page_token")
    while len(found) <= limit:
        page = call.client.events.webhooks(limit=_MOST, after=after)
        found += [each for each in page if each.payload == "mlflow"]
        if len(page) < _MOST:
            break
        after = page[-1].id
    answer: dict[str, Any] = {}
    if found:
        answer["webhooks"] = [_described(each) for each in found[:limit]]
    if len(found) > limit:
        answer["next_page_token"] = found[limit - 1].id
    return answer


def _get(call: Call) -> dict[str, Any]:
    return {"webhook": _described(_find(call))}


def _update(call: Call) -> dict[str, Any]:
    held = _find(call)
    changes: dict[str, Any] = {}
    if name := call.get("name"):
        _check_name(name)
        changes["name"] = name
    if url := call.get("url"):
        _check_url(url, private=call.client.events.policy().private)
        changes["url"] = url
    if call.get("events", []):
        topics = [_topic(each) for each in call.get("events")]
        changes |= {"topics": topics, "kinds": _kinds(topics)}
    changes |= {field: call.request[field] for field in ("description", "secret") if field in call.request}
    if "status" in call.request:
        changes["status"] = call.request["status"].lower()
    try:
        return {"webhook": _described(call.client.events.change_webhook(held.id, **changes))}
    except InvalidInput as error:
        raise invalid(error.message) from None


def _delete(call: Call) -> dict[str, Any]:
    call.client.events.delete_webhook(_find(call).id)
    return {}


def _test(call: Call) -> dict[str, Any]:
    held = _find(call)
    topic = _topic(call.get("event")) if "event" in call.request else held.topics[0]
    outcome = call.client.events.test_webhook(held.id, kind=f"{TEST}{topic}", data=EXAMPLES[topic])
    result: dict[str, Any] = {"success": outcome.delivered}
    if outcome.status:
        result["response_status"] = outcome.status
        result["response_body"] = outcome.answer
    else:
        result["error_message"] = f"Failed to test webhook: {outcome.error}"
    return {"result": result}


_FIELDS = Message(webhook_id=text, name=text, description=text, url=text, events=[_EVENT], secret=text, status=_STATUS)
_PLAIN = {"description": (string,), "secret": (string,), "status": (string,)}
_ONE = "mlflow/webhooks/{webhook_id}"

ENDPOINTS = (
    Endpoint(
        "POST",
        "mlflow/webhooks",
        _create,
        _FIELDS,
        {"name": (string, required), "url": (string, required), "events": (array, required), **_PLAIN},
    ),
    Endpoint(
        "GET",
        "mlflow/webhooks",
        _list,
        Message(max_results=number, page_token=text),
        {"max_results": (intlike,), "page_token": (string,)},
    ),
    Endpoint("GET", _ONE, _get),
    Endpoint("PATCH", _ONE, _update, _FIELDS, {"name": (string,), "url": (string,), "events": (array,), **_PLAIN}),
    Endpoint("DELETE", _ONE, _delete),
    Endpoint("POST", f"{_ONE}/test", _test, Message(webhook_id=text, event=_EVENT)),
)
