"""Calls from outside: a signed POST becomes one event, `webhook.received`.

Three ways of signing are understood, all HMAC-SHA256 with the hook's secret:

- Standard Webhooks: `webhook-id`, `webhook-timestamp`, `webhook-signature: v1,<base64>` over `id.timestamp.body`;
- our own: `X-Mainspring-Signature: t=<seconds>,v1=<hex>` over `timestamp.body`;
- GitHub's: `X-Hub-Signature-256: sha256=<hex>` over the body. It signs no moment, so a body that came once is known.

A call that comes again, whoever sends it, is accepted and changes nothing: what was seen is remembered by what was
signed, in the transaction of its event, for longer than a signed moment is good.

Source: Standard Webhooks specification 1.0; GitHub, "Validating webhook deliveries".
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import secrets
from collections.abc import Mapping
from typing import Any

import msgspec

from mainspring.events.outbox import emit
from mainspring.kernel.clock import now_micros
from mainspring.kernel.context import Caller, acting_as
from mainspring.kernel.errors import InvalidInput, Unauthenticated
from mainspring.pipelines.tables_triggers import HOOKS
from mainspring.pipelines.types_triggers import Hook
from mainspring.store.store import Store

__all__ = ["MOST_BYTES", "made_secret", "receive", "sign"]

MOST_BYTES = 256 << 10
"""A longer body is refused."""
_KEPT_MICROS = 7 * 86_400 * 1_000_000
_SHOWN_HEADERS = ("x-github-event", "x-github-delivery", "webhook-id", "user-agent", "content-type", "x-gitlab-event")


class _Proof(msgspec.Struct, frozen=True):
    """What a call says to show that it comes from who knows the secret."""

    signed: bytes
    signatures: tuple[bytes, ...]
    key: bytes
    token: str
    """What it is known by, if it comes again."""
    at: float | None
    """The moment that was signed, in seconds."""


def made_secret() -> str:
    """A secret in the form of Standard Webhooks."""
    return "whsec_" + base64.b64encode(secrets.token_bytes(32)).decode()


def sign(secret: str, body: bytes, *, at: int) -> str:
    """The header `X-Mainspring-Signature` for a body that is sent at that second.

    Example:
        >>> sign("a secret of the hook", b"{}", at=1700000000)[:13]
        't=1700000000,'
    """
    mac = hmac.new(secret.encode(), f"{at}.".encode() + body, hashlib.sha256).hexdigest()
    return f"t={at},v1={mac}"


def receive(store: Store, workspace: str, name: str, headers: Mapping[str, str], body: bytes) -> bool:
    """Take a call: whether it is new. Its headers have names in small letters.

    Raises:
        Unauthenticated: There is no such hook, the signature is wrong, or the moment that was signed is too far off.
        InvalidInput: It is too long, or says JSON and is none.
    """
    if len(body) > MOST_BYTES:
        raise InvalidInput(f"the body of a call has at most {MOST_BYTES >> 10} KiB")
    with store.read() as tx:
        hook = tx.fetch_one(HOOKS, "WHERE workspace = ? AND name = ?", (workspace, name))
        where = "SELECT secret FROM flow_hook_secret WHERE workspace = ? AND name = ?"
        secret = str(tx.value(where, (workspace, name)) or "")
    # One that is not there is refused in the time, and in the words, of a wrong signature.
    proof = _checked(headers, body, secret or made_secret(), hook)
    content = _content(headers, body)
    assert hook is not None  # noqa: S101 -- nobody knows a secret that was just made
    source = f"hook:{workspace}:{name}"
    with acting_as(Caller(f"hook/{name}", workspace, (), "", "webhook")), store.write("pipelines.receive_hook") as tx:
        fresh = tx.execute(
            "INSERT INTO flow_source_seen (source_id, token, at) VALUES (?, ?, ?) ON CONFLICT DO NOTHING",
            (source, proof.token, tx.now_micros),
        )
        if not fresh:
            return False
        tx.execute(
            "DELETE FROM flow_source_seen WHERE source_id = ? AND at < ?", (source, tx.now_micros - _KEPT_MICROS)
        )
        shown = {each: headers[each][:500] for each in _SHOWN_HEADERS if each in headers}
        emit(tx, "webhook.received", subject=f"hook/{name}", data={"body": content, "headers": shown})
        tx.note(f"hook/{name}", bytes=len(body))
    return True


def _checked(headers: Mapping[str, str], body: bytes, secret: str, hook: Hook | None) -> _Proof:
    proof = _proof(headers, body, secret)
    refused = Unauthenticated(
        "this call is not signed as its hook asks",
        hint="X-Mainspring-Signature, the headers of Standard Webhooks, or X-Hub-Signature-256",
    )
    if proof is None:
        raise refused
    right = hmac.new(proof.key, proof.signed, hashlib.sha256).digest()
    if not any([hmac.compare_digest(right, each) for each in proof.signatures]) or hook is None:  # noqa: C419 -- each, always
        raise refused
    if proof.at is not None and abs(now_micros() / 1e6 - proof.at) > hook.tolerance:
        raise Unauthenticated(
            f"the moment that was signed is more than {hook.tolerance:g} seconds off",
            hint="sign again, and set the clock",
        )
    return proof


def _proof(headers: Mapping[str, str], body: bytes, secret: str) -> _Proof | None:
    if given := headers.get("webhook-signature"):
        return _standard(headers, body, secret, given)
    if given := headers.get("x-mainspring-signature"):
        parts = [each.partition("=") for each in given.split(",")]
        stamps = [value for name, _, value in parts if name.strip() == "t"]
        signatures = tuple(_unhex(value) for name, _, value in parts if name.strip() == "v1")
        if len(stamps) != 1 or not stamps[0].isdecimal() or len(stamps[0]) > 12 or not signatures:
            return None
        signed = f"{stamps[0]}.".encode() + body
        token = f"ours:{hashlib.sha256(signed).hexdigest()}"
        return _Proof(signed, signatures, secret.encode(), token, float(stamps[0]))
    given = headers.get("x-hub-signature-256", "")
    if given.startswith("sha256="):
        signature = _unhex(given.removeprefix("sha256="))
        return _Proof(body, (signature,), secret.encode(), f"github:{hashlib.sha256(body).hexdigest()}", None)
    return None


def _standard(headers: Mapping[str, str], body: bytes, secret: str, given: str) -> _Proof | None:
    name, stamp = headers.get("webhook-id", ""), headers.get("webhook-timestamp", "")
    if not name or len(name) > 200 or not stamp.isdecimal() or len(stamp) > 12:
        return None
    found = [each.partition(",") for each in given.split()]
    signatures = tuple(_unbase64(value) for version, _, value in found if version == "v1")
    key = _unbase64(secret.removeprefix("whsec_")) if secret.startswith("whsec_") else secret.encode()
    return _Proof(f"{name}.{stamp}.".encode() + body, signatures, key, f"standard:{name}", float(stamp))


def _content(headers: Mapping[str, str], body: bytes) -> Any:
    kind = headers.get("content-type", "").partition(";")[0].strip().lower()
    try:
        if kind == "application/json" or kind.endswith("+json") or not kind:
            return msgspec.json.decode(body) if body else None
        return body.decode()
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise InvalidInput(f"the body is not {kind or 'JSON'}: {error}") from None


def _unhex(text: str) -> bytes:
    try:
        return bytes.fromhex(text)
    except ValueError:
        return b""


def _unbase64(text: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        return b""
