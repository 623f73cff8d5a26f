"""A browser whose requests go straight to an application, without a network."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from mainspring.server.app import make_app
from mainspring.store.store import Store


class _Straight(httpx.BaseTransport):
    def __init__(self, app: Any) -> None:
        self._app = app

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        content = request.read()

        async def ask() -> httpx.Response:
            sent = httpx.Request(request.method, request.url, headers=request.headers, content=content)
            answer = await httpx.ASGITransport(self._app).handle_async_request(sent)
            return httpx.Response(answer.status_code, headers=answer.headers, content=await answer.aread())

        return asyncio.run(ask())


@pytest.fixture
def browse(store_folder: Path) -> Iterator[Callable[..., httpx.Client]]:
    """Makes a browser of the store's server: `browse("http://127.0.0.1", host="127.0.0.1")`."""
    stores: list[Store] = []

    def make(base_url: str, **options: Any) -> httpx.Client:
        stores.append(Store.open(store_folder))
        return httpx.Client(transport=_Straight(make_app(stores[-1], **options)), base_url=base_url)

    yield make
    for each in stores:
        each.close()
