"""A real `mainspring up`: the stock client registers a model, and its worker part tells the webhook."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

mlflow = pytest.importorskip("mlflow")

from mainspring.client.client import connect  # noqa: E402

pytestmark = [pytest.mark.filterwarnings("ignore"), pytest.mark.databases("sqlite")]


def test_a_registered_model_is_told(store_folder: Path) -> None:
    got: list[dict[str, Any]] = []
    arrived = threading.Event()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            got.append(json.loads(self.rfile.read(int(self.headers["content-length"]))))
            self.send_response(204)
            self.end_headers()
            arrived.set()

        def log_message(self, *_: Any) -> None:
            pass

    receiver = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=receiver.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
    with connect(store_folder) as ours:
        ours.events.set_policy(private=True)
    environment = {name: value for name, value in os.environ.items() if not name.startswith("MAINSPRING_")}
    command = [sys.executable, "-m", "mainspring", "up", "--store", str(store_folder), "--port", "0"]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env=environment) as process:
        try:
            found = None
            while found is None:
                line = process.stderr.readline()
                assert line, "it ended before it was up"
                found = re.search(r"is up at (http://\S+)", line)
            threading.Thread(target=process.stderr.read, daemon=True).start()
            api = mlflow.MlflowClient(found[1], found[1])
            hook = f"http://127.0.0.1:{receiver.server_address[1]}/"
            made = api.create_webhook("ops", hook, ["registered_model.created"])
            api.create_registered_model("flight-delay", tags={"team": "ops"})
            assert arrived.wait(40)
            assert got[0]["data"]["name"] == "flight-delay"
            deadline = time.monotonic() + 20
            with connect(found[1]) as remote:
                while remote.events.deliveries()[0].state != "delivered" and time.monotonic() < deadline:
                    time.sleep(0.05)
                (delivery,) = remote.events.deliveries(webhook_id=made.webhook_id)
                assert (delivery.state, delivery.status, delivery.attempts) == ("delivered", 204, 1)
                assert remote.models.model("flight-delay").tags == {"team": "ops"}
        finally:
            process.send_signal(signal.SIGINT)
            process.wait(40)
            receiver.shutdown()
            receiver.server_close()
    assert process.returncode == 0
