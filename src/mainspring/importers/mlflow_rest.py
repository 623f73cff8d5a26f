"""Reading an MLflow tracking server over its REST API: pages, retries, streams."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from typing import Any
from urllib.parse import quote

import httpx

from mainspring.kernel.errors import InvalidInput, NotFound, Unauthenticated, Unavailable

__all__ = ["MlflowServer"]

_API = "/api/2.0/mlflow"
_TRIES = 5
_AGAIN = (408, 429, 500, 502, 503, 504)


class MlflowServer:
    """What an MLflow server answers. Who asks is told by the variables that MLflow's own client reads.

    Args:
        uri: `http://host:port`, with a path before the API where there is one.
    """

    def __init__(self, uri: str) -> None:
        if not uri.startswith(("http://", "https://")):
            raise InvalidInput(
                f"{uri!r} is not the address of an MLflow server",
                hint=f"mlflow server --backend-store-uri {uri} --port 5000, then import http://127.0.0.1:5000",
            )
        self.uri = uri.rstrip("/")
        token = os.environ.get("MLFLOW_TRACKING_TOKEN", "")
        name = os.environ.get("MLFLOW_TRACKING_USERNAME", "")
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        auth = (name, os.environ.get("MLFLOW_TRACKING_PASSWORD", "")) if name and not token else None
        self._http = httpx.Client(base_url=self.uri, headers=headers, auth=auth, timeout=120.0)

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

    def get(self, address: str, /, **params: Any) -> dict[str, Any]:
        """The answer to a GET of the API."""
        return self._ask("GET", f"{_API}/{address}", params=params)

    def post(self, address: str, /, **body: Any) -> dict[str, Any]:
        """The answer to a POST of the API."""
        return self._ask("POST", f"{_API}/{address}", json=body)

    def pages(self, method: str, address: str, field: str, /, **asked: Any) -> Iterator[dict[str, Any]]:
        """The elements of `field` on every page of an answer."""
        page = ""
        while True:
            asked_page = {**asked, "page_token": page} if page else asked
            answer = self.get(address, **asked_page) if method == "GET" else self.post(address, **asked_page)
            yield from answer.get(field, [])
            page = answer.get("next_page_token", "")
            if not page:
                return

    def run_file(self, run_id: str, path: str) -> Iterator[bytes]:
        """The bytes of an artifact of a run, whatever store the server keeps it in."""
        return self._stream("/get-artifact", run_id=run_id, path=path)

    def logged_model_file(self, model_id: str, path: str) -> Iterator[bytes]:
        """The bytes of an artifact of a logged model."""
        address = f"/ajax-api/2.0/mlflow/logged-models/{quote(model_id)}/artifacts/files"
        return self._stream(address, artifact_file_path=path)

    def _ask(self, method: str, path: str, **kwargs: Any) -> dict[str, Any]:
        answer = self._send(method, path, **kwargs)
        found = answer.json() if answer.content else {}
        return found if isinstance(found, dict) else {}

    def _send(self, method: str, path: str, **kwargs: Any) -> httpx.Response:
        for attempt in range(_TRIES):
            try:
                answer = self._http.request(method, path, **kwargs)
            except httpx.TransportError as error:
                if attempt == _TRIES - 1:
                    raise Unavailable(f"{self.uri} cannot be reached: {error}") from error
            else:
                if answer.status_code not in _AGAIN or attempt == _TRIES - 1:
                    self._check(answer, path)
                    return answer
            time.sleep(0.2 * 2**attempt)
        raise AssertionError("unreachable: the last try returns or raises")

    def _stream(self, address: str, /, **params: str) -> Iterator[bytes]:
        try:
            with self._http.stream("GET", address, params=params) as answer:
                if answer.status_code != httpx.codes.OK:
                    answer.read()
                self._check(answer, address)
                yield from answer.iter_bytes(1 << 20)
        except httpx.TransportError as error:
            raise Unavailable(f"{self.uri} broke off while it sent {params}: {error}") from error

    def _check(self, answer: httpx.Response, path: str) -> None:
        if answer.is_success:
            return
        message = f"{self.uri}{path} answered {answer.status_code}: {answer.text[:300]}"
        if answer.status_code in (401, 403):
            raise Unauthenticated(message, hint="set MLFLOW_TRACKING_USERNAME and _PASSWORD, or MLFLOW_TRACKING_TOKEN")
        if answer.status_code == httpx.codes.NOT_FOUND:
            raise NotFound(message, hint="is it an MLflow server, and is its path prefix in the address?")
        raise Unavailable(message)
