"""Stock MLflow in this process: its Flask application over SQLite, without a network."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import httpx

__all__ = ["Ours", "Reply", "Stock"]


class Reply:
    """A status and a JSON body; `None` where the body is none."""

    def __init__(self, status: int, data: bytes) -> None:
        self.status = status
        try:
            self.body = json.loads(data) if data else {}
        except ValueError:
            self.body = None


class Stock:
    """Answers requests as `mlflow server` does."""

    def __init__(self, folder: Path) -> None:
        os.environ["_MLFLOW_SERVER_SERVE_ARTIFACTS"] = "true"
        os.environ["_MLFLOW_SERVER_ARTIFACT_DESTINATION"] = str(folder / "artifacts")
        from mlflow.server import app, handlers

        handlers._tracking_store = handlers._model_registry_store = handlers._artifact_repo = None
        database = f"sqlite:///{folder / 'mlflow.db'}"
        handlers.initialize_backend_stores(database, database, "mlflow-artifacts:/")
        self._http = app.test_client()

    def send(self, method: str, path: str, *, query: Any = None, body: Any = None, raw: bytes | None = None) -> Reply:
        """One request."""
        options: dict[str, Any] = {"query_string": query} if query else {}
        if raw is not None:
            options |= {"data": raw, "content_type": "application/json"}
        elif body is not None:  # not `json=`, which would sort the keys, and their order matters
            options |= {"data": json.dumps(body), "content_type": "application/json"}
        answer = self._http.open(path, method=method, **options)
        return Reply(answer.status_code, answer.data)


class Ours:
    """Answers requests as our server does."""

    def __init__(self, app: Any) -> None:
        from starlette.testclient import TestClient

        self._http = TestClient(app, base_url="http://127.0.0.1")

    def send(self, method: str, path: str, *, query: Any = None, body: Any = None, raw: bytes | None = None) -> Reply:
        """One request."""
        options: dict[str, Any] = {"params": query} if query else {}
        if raw is not None:
            options |= {"content": raw, "headers": {"content-type": "application/json"}}
        elif body is not None:
            options["json"] = body
        answer: httpx.Response = self._http.request(method, path, **options)
        return Reply(answer.status_code, answer.content)
