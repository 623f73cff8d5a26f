"""The remote backend: operations run at a server, over HTTP."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlencode

import httpx
import msgspec

from mainspring.kernel.context import caller
from mainspring.kernel.errors import InternalError, MainspringError, Unavailable, from_payload
from mainspring.kernel.operations import Operation, Service

__all__ = ["RemoteBackend"]

_TIMEOUT = httpx.Timeout(60.0, connect=5.0)


class RemoteBackend:
    """Sends each call as `POST /api/v1/<room>/<verb>` and reads the typed answer. Safe to use from many threads."""

    def __init__(
        self, url: str, *, token: str = "", workspace: str = "default", transport: httpx.BaseTransport | None = None
    ) -> None:
        headers = {"accept": "application/json", "x-mainspring-workspace": workspace}
        if token:
            headers["authorization"] = f"Bearer {token}"
        self.url = url.rstrip("/")
        self.workspace = workspace
        self._http = httpx.Client(base_url=self.url, headers=headers, timeout=_TIMEOUT, transport=transport)
        self._closing = threading.Lock()

    def invoke(self, service: Service, operation: Operation, arguments: dict[str, Any]) -> Any:
        """Run the operation at the server; what it raises there is raised here."""
        body = arguments.pop(operation.upload, None) if operation.upload else None
        path = f"/api/v1/{operation.room}/{operation.verb}"
        encoded = msgspec.json.encode(operation.request(**arguments))
        if body is not None:
            path += "?" + urlencode({"arguments": encoded.decode()})
        request = self._http.build_request(
            "POST",
            path,
            content=body if body is not None else encoded,
            headers={
                "content-type": "application/octet-stream" if body is not None else "application/json",
                "x-request-id": caller().request_id,
            },
        )
        if operation.downloads:
            return self._stream(request)
        response = self._send(request)
        if response.status_code != httpx.codes.OK:
            raise _error_of(response)
        try:
            return msgspec.json.decode(response.content, type=operation.result)
        except msgspec.DecodeError as error:
            raise InternalError(
                f"{operation.name}: the server's answer does not fit: {error}", hint="is the server of another version?"
            ) from error

    def _stream(self, request: httpx.Request) -> Iterator[bytes]:
        response = self._send(request, stream=True)
        if response.status_code != httpx.codes.OK:
            response.read()
            raise _error_of(response)
        return self._pieces(response)

    def _send(self, request: httpx.Request, *, stream: bool = False) -> httpx.Response:
        if self._is_closed():
            raise Unavailable(f"the client of {self.url} is closed", hint="connect again")
        try:
            return self._http.send(request, stream=stream)
        except httpx.HTTPError as error:
            raise self._unreachable(error) from error
        finally:
            if self._is_closed():  # by another thread: what was connected since then would stay open
                self._http._transport.close()  # noqa: SLF001 -- a closed httpx client closes nothing more

    def _pieces(self, response: httpx.Response) -> Iterator[bytes]:
        try:
            yield from response.iter_bytes()
        except httpx.HTTPError as error:
            raise Unavailable(
                f"the download from {self.url} broke off: {error}", hint="repeat it; what came is not whole"
            ) from error
        finally:
            response.close()

    def close(self) -> None:
        """Close the connections."""
        with self._closing:
            self._http.close()

    def _is_closed(self) -> bool:
        return self._http.is_closed

    def _unreachable(self, error: httpx.HTTPError) -> Unavailable:
        return Unavailable(
            f"the server at {self.url} cannot be reached: {error}", hint="is `mainspring up` running there?"
        )


def _error_of(response: httpx.Response) -> MainspringError:
    try:
        payload = json.loads(response.content)["error"]
    except (ValueError, KeyError, TypeError):
        return Unavailable(
            f"the server answered {response.status_code} with something that is not Mainspring's",
            hint="check the address",
        )
    return from_payload(payload if isinstance(payload, dict) else {"message": str(payload)})
