"""The body of a request as the thread that works on it reads it; the API and the protocols over HTTP share it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator

import anyio.from_thread
from starlette.requests import ClientDisconnect, Request

from mainspring.kernel.errors import Unavailable

__all__ = ["pieces_of"]


def pieces_of(request: Request) -> Iterator[bytes]:
    """The body piece by piece, with back-pressure: what is not taken is not read from the socket.

    Raises:
        Unavailable: The client went away in the middle.
    """
    stream: AsyncIterator[bytes] = request.stream().__aiter__()

    async def following() -> bytes | None:
        try:
            return await anext(stream, None)
        except ClientDisconnect as gone:
            raise Unavailable("the client went away in the middle of its upload") from gone

    while (piece := anyio.from_thread.run(following)) is not None:
        if piece:
            yield piece
