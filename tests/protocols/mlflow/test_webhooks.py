"""Webhooks through the stock client: made, listed, changed, tried out, told of the registry's events, signed."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("mlflow")

from mlflow.entities.webhook import WebhookStatus
from mlflow.exceptions import MlflowException

from mainspring.client.client import connect
from mainspring.pipelines.worker import Worker

pytestmark = [pytest.mark.filterwarnings("ignore"), pytest.mark.databases("sqlite")]


@pytest.fixture
def received() -> Iterator[tuple[str, list[tuple[dict[str, str], bytes]]]]:
    """An address, and what was posted to it."""
    got: list[tuple[dict[str, str], bytes]] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            got.append((dict(self.headers.items()), body))
            self.send_response(200)
            self.end_headers()
            self.wfile.write(b"ok")

        def log_message(self, *_: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_address[1]}/hook", got
    server.shutdown()
    server.server_close()


def permit(folder: Path) -> None:
    with connect(folder) as ours:
        ours.events.set_policy(private=True)


def deliver(folder: Path) -> None:
    with connect(folder) as ours:
        Worker(ours, kinds=["webhook"]).run(until_idle=True)


def test_the_registry_tells(tracking: Any, api: Any, received: Any, store_folder: Path) -> None:
    url, got = received
    permit(store_folder)
    events = [
        "registered_model.created",
        "model_version.created",
        "model_version_tag.set",
        "model_version_tag.deleted",
        "model_version_alias.created",
        "model_version_alias.deleted",
    ]
    api.create_webhook("ops", url, events, secret="hush")
    api.create_registered_model("m", tags={"a": "b"}, description="d")
    run = api.create_run("0")
    api.create_model_version("m", f"runs:/{run.info.run_id}/x", run.info.run_id, tags={"k": "v"})
    api.set_model_version_tag("m", "1", "t", "1")
    api.delete_model_version_tag("m", "1", "t")
    api.set_registered_model_alias("m", "champion", "1")
    api.delete_registered_model_alias("m", "champion")
    tracking.genai.register_prompt("p", "Hello")
    deliver(store_folder)
    told = sorted((json.loads(body) for _, body in got), key=lambda each: each["timestamp"])
    assert {f"{each['entity']}.{each['action']}" for each in told} == set(events)
    assert len(told) == len(events)
    data = {f"{each['entity']}.{each['action']}": each["data"] for each in told}
    assert data["registered_model.created"] == {"name": "m", "tags": {"a": "b"}, "description": "d"}
    assert data["model_version.created"] == {
        "name": "m",
        "version": "1",
        "source": f"runs:/{run.info.run_id}/x",
        "run_id": run.info.run_id,
        "tags": {"k": "v"},
        "description": None,
    }
    assert data["model_version_tag.set"] == {"name": "m", "version": "1", "key": "t", "value": "1"}
    assert data["model_version_tag.deleted"] == {"name": "m", "version": "1", "key": "t"}
    assert data["model_version_alias.created"] == {"name": "m", "alias": "champion", "version": "1"}
    assert data["model_version_alias.deleted"] == {"name": "m", "alias": "champion"}
    for headers, body in got:
        signed = f"{headers['X-MLflow-Delivery-Id']}.{headers['X-MLflow-Timestamp']}.".encode() + body
        expected = base64.b64encode(hmac.new(b"hush", signed, hashlib.sha256).digest()).decode()
        assert headers["X-MLflow-Signature"] == f"v1,{expected}"


def test_prompts_tell_those_who_asked_for_prompts(tracking: Any, api: Any, received: Any, store_folder: Path) -> None:
    url, got = received
    permit(store_folder)
    api.create_webhook("ops", url, ["prompt.created", "prompt_version.created", "prompt_alias.created"])
    api.create_registered_model("m")
    tracking.genai.register_prompt("greet", "Hello {{name}}")
    tracking.genai.set_prompt_alias("greet", "prod", 1)
    deliver(store_folder)
    told = {f"{each['entity']}.{each['action']}": each["data"] for each in (json.loads(body) for _, body in got)}
    assert set(told) == {"prompt.created", "prompt_version.created", "prompt_alias.created"}
    assert told["prompt_version.created"]["template"] == "Hello {{name}}"
    assert "X-MLflow-Signature" not in got[0][0]


def test_listed_changed_tried_and_deleted(api: Any, received: Any, store_folder: Path) -> None:
    url, got = received
    permit(store_folder)
    made = api.create_webhook("first", url, ["model_version.created"], description="d", status="DISABLED")
    api.create_webhook("second", url, ["registered_model.created"])
    assert (made.description, made.status) == ("d", WebhookStatus.DISABLED)
    page = api.list_webhooks(max_results=1)
    assert [each.name for each in page] == ["first"]
    assert [each.name for each in api.list_webhooks(max_results=1, page_token=page.token)] == ["second"]
    changed = api.update_webhook(made.webhook_id, name="third", status="ACTIVE", events=["model_version_tag.set"])
    assert [str(each) for each in changed.events] == ["model_version_tag.set"]
    result = api.test_webhook(made.webhook_id)
    assert (result.success, result.response_status, result.response_body) == (True, 200, "ok")
    assert json.loads(got[0][1])["entity"] == "model_version_tag"
    api.delete_webhook(made.webhook_id)
    with pytest.raises(MlflowException, match="not found"):
        api.get_webhook(made.webhook_id)


@pytest.mark.parametrize("url", ["https://127.0.0.1/x", "http://93.184.215.14/", "https://169.254.169.254/", "nothing"])
def test_addresses_that_are_refused(api: Any, url: str) -> None:
    with pytest.raises(MlflowException) as refused:
        api.create_webhook("ops", url, ["model_version.created"])
    assert refused.value.error_code == "INVALID_PARAMETER_VALUE"
    assert list(api.list_webhooks()) == []
