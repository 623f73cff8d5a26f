"""Git LFS on the wire: media type, bodies, errors in its own shape, and which workspace a path speaks of."""

from __future__ import annotations

import re
from typing import Any, TypeVar

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from mainspring.client.statuses import status_of
from mainspring.kernel.errors import InvalidInput, MainspringError, TooLarge

__all__ = ["MEDIA_TYPE", "LfsError", "answer", "is_lfs", "read_body", "refuse", "wants_lfs", "workspace_in"]

MEDIA_TYPE = "application/vnd.git-lfs+json"
BODY_LIMIT = 16 * 1024 * 1024
_PATH = re.compile(r"/lfs/([^/]+)/.")
_ACCEPTED = {MEDIA_TYPE, "application/json", "application/*", "*/*"}
_CHALLENGE = 'Basic realm="Mainspring: the password is a token"'

T = TypeVar("T")


class LfsError(Exception):
    """An answer that is an error of the protocol itself."""

    def __init__(self, status: int, message: str, **more: Any) -> None:
        super().__init__(message)
        self.status, self.message, self.more = status, message, more


def is_lfs(path: str) -> bool:
    """Whether a path is the protocol's.

    Example:
        >>> is_lfs("/lfs/default/photos/locks"), is_lfs("/api/v1/data/log")
        (True, False)
    """
    return path.startswith("/lfs/")


def workspace_in(path: str) -> str:
    """The workspace that a path of the protocol names; an empty text for any other path."""
    match = _PATH.match(path)
    return match.group(1) if match else ""


def answer(value: Any, status: int = 200) -> Response:
    """An answer in the protocol's media type; fields that are None are left out."""
    return Response(msgspec.json.encode(value), status, media_type=MEDIA_TYPE)


def refuse(error: MainspringError | LfsError, request_id: str = "") -> Response:
    """An error as every client of the protocol shows it."""
    if isinstance(error, LfsError):
        status, body = error.status, {"message": error.message, **error.more}
    else:
        status = 422 if type(error) is InvalidInput else status_of(error)
        hint = f" ({error.hint})" if error.hint else ""
        body = {"message": f"{error.message}{hint}"}
    headers = {}
    if status == 401:  # without a challenge the client does not ask for a password
        headers = {"www-authenticate": _CHALLENGE, "lfs-authenticate": _CHALLENGE}
    elif status == 503:
        headers = {"retry-after": "1"}
    if request_id:
        body["request_id"] = request_id
    return Response(msgspec.json.encode(body), status, headers=headers, media_type=MEDIA_TYPE)


def wants_lfs(request: Request) -> None:
    """Refuse a client that cannot read the protocol's answers."""
    accepted = {each.partition(";")[0].strip() for each in request.headers.get("accept", "*/*").split(",")}
    if not accepted & _ACCEPTED:
        raise LfsError(406, f"answers have the type {MEDIA_TYPE}, and Accept leaves it out")


async def read_body(request: Request, form: type[T]) -> T:
    """The body of a request as a struct; what it does not know in it is passed over."""
    body = bytearray()
    async for piece in request.stream():
        body += piece
        if len(body) > BODY_LIMIT:
            raise TooLarge(f"the body is over {BODY_LIMIT} bytes")
    try:
        return msgspec.json.decode(body or b"{}", type=form)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise LfsError(
            422 if isinstance(error, msgspec.ValidationError) else 400, f"this body is not of the protocol: {error}"
        ) from None
