"""Page tokens: where a page ended, as the values of its last row, so that what arrives between pages moves nothing.

A token belongs to one question. It carries a digest of it and a checksum, so that one that was cut short, edited or
taken from elsewhere is a typed error and no wrong page. It grants nothing: its values are only compared with.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Sequence
from typing import Any

import msgspec

from mainspring.kernel.errors import InvalidInput
from mainspring.kernel.hashing import digest_value

__all__ = ["decode_page", "encode_page"]

_LONGEST = 100_000
_SUM = 8


def encode_page(question: Sequence[Any], values: Sequence[Any]) -> str:
    """The token of a page of a question (JSON types) that ended with these values."""
    body = msgspec.msgpack.encode([_digest(question), list(values)])
    return base64.urlsafe_b64encode(_checksum(body) + body).rstrip(b"=").decode()


def decode_page(token: str, question: Sequence[Any], kinds: Sequence[type]) -> list[Any]:
    """The values of a token, of these types (`float` takes integers too); `InvalidInput` for another question's."""
    if len(token) > _LONGEST:
        raise _wrong()
    try:
        data = base64.b64decode(token + "=" * (-len(token) % 4), altchars=b"-_", validate=True)
        if _checksum(data[_SUM:]) != data[:_SUM]:
            raise _wrong()
        owner, values = msgspec.msgpack.decode(data[_SUM:], type=tuple[str, list[str | int | float]])
    except (binascii.Error, ValueError, msgspec.DecodeError, RecursionError):
        raise _wrong() from None
    if owner != _digest(question):
        raise InvalidInput(
            "this page token belongs to another question",
            hint="ask for the next page with the same query, order and experiments",
        )
    if len(values) != len(kinds) or not all(map(_fits, values, kinds)):
        raise _wrong()
    return values


def _fits(value: Any, kind: type) -> bool:
    return isinstance(value, int | float) if kind is float else isinstance(value, kind)


def _digest(question: Sequence[Any]) -> str:
    return digest_value("page", list(question))[:16]


def _checksum(body: bytes) -> bytes:
    return bytes.fromhex(digest_value("page-token", body.hex())[: 2 * _SUM])


def _wrong() -> InvalidInput:
    return InvalidInput("this is not a page token", hint="pass `next_page` of the page before, as it is")
