"""Events as CloudEvents 1.0 in structured JSON, signed as Standard Webhooks are.

Sources: CloudEvents specification 1.0.2 (cloudevents.io), JSON format and HTTP binding; Standard Webhooks 1.0.0.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
from typing import Any

import msgspec

from mainspring.events.types import Emitted, Webhook
from mainspring.kernel.clock import now

__all__ = ["Prepared", "prepare", "sign"]

_PREFIX = "whsec_"


class Prepared(msgspec.Struct, frozen=True):
    """What is posted."""

    body: bytes
    headers: dict[str, str]


def prepare(
    client: Any,  # noqa: ARG001 -- what every form is given
    event: Emitted,
    webhook: Webhook,  # noqa: ARG001
    *,
    delivery: str,
    secret: str,
) -> Prepared | None:
    """The request that tells a webhook of an event; None when it is not for this webhook.

    Args:
        client: To look up what the event does not say.
        event: What happened.
        webhook: Who is told.
        delivery: The id of the delivery, the same at every attempt.
        secret: To sign with; empty for no signature.
    """
    body = msgspec.json.encode(
        {
            "specversion": "1.0",
            "id": event.id,
            "source": f"/mainspring/{event.workspace}",
            "type": f"mainspring.{event.kind}",
            "subject": event.subject,
            "time": event.at,
            "datacontenttype": "application/json",
            "sequence": f"{event.number:020d}",
            "actor": event.by,
            "data": event.data,
        }
    )
    stamp = str(int(now().timestamp()))
    headers = {
        "content-type": "application/cloudevents+json; charset=utf-8",
        "webhook-id": delivery,
        "webhook-timestamp": stamp,
    }
    if secret:
        headers["webhook-signature"] = f"v1,{sign(_key(secret), f'{delivery}.{stamp}.'.encode() + body)}"
    return Prepared(body, headers)


def sign(key: bytes, content: bytes) -> str:
    """HMAC-SHA256 in base64.

    Example:
        >>> sign(b"key", b"id.1700000000.{}")[:8]
        '/Hqug/Js'
    """
    return base64.b64encode(hmac.new(key, content, hashlib.sha256).digest()).decode()


def _key(secret: str) -> bytes:
    """The bytes of a secret: base64 behind `whsec_`, as Standard Webhooks write it, and the text itself otherwise."""
    if secret.startswith(_PREFIX):
        try:
            return base64.b64decode(secret[len(_PREFIX) :], validate=True)
        except (binascii.Error, ValueError):
            pass
    return secret.encode()
