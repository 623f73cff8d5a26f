"""A remote client that is closed while other threads of its process still ask."""

from __future__ import annotations

import httpx
import pytest

from mainspring.client.client import Client
from mainspring.client.remote import RemoteBackend
from mainspring.kernel.errors import Unavailable


class _Transport(httpx.BaseTransport):
    """Counts what is open: a request that is under way opens a connection though the client was closed meanwhile."""

    def __init__(self) -> None:
        self.open = 0
        self.client: Client | None = None

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        if self.client is not None:
            self.client.close()
        self.open += 1
        return httpx.Response(200, content=b'""', request=request)

    def close(self) -> None:
        self.open = 0


def test_a_client_that_is_closed_under_way_leaves_nothing_open_and_refuses() -> None:
    transport = _Transport()
    client = Client(RemoteBackend("http://127.0.0.1:1", transport=transport), address="http://127.0.0.1:1")
    assert client.pipelines.logs("x") == ""
    assert transport.open == 1
    transport.client = client
    assert client.pipelines.logs("x") == ""
    assert transport.open == 0
    with pytest.raises(Unavailable, match="is closed"):
        client.pipelines.logs("x")
