"""Webhooks, with a real receiver and real workers."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from typing import Any

import pytest

from mainspring.client.client import Client, connect
from mainspring.events import posting
from mainspring.events.outbox import emit
from mainspring.events.retention import forget
from mainspring.kernel.clock import now_micros
from mainspring.kernel.errors import CheckFailed, InvalidInput, NotFound
from mainspring.pipelines.worker import Worker


def happen(client: Client, kind: str = "model.version.created", subject: str = "model/a@1", **data: Any) -> int:
    with client.backend.store.write("test") as tx:  # type: ignore[attr-defined]
        return emit(tx, kind, subject=subject, data=data).number


def work(client: Client) -> int:
    return Worker(client, kinds=["webhook"]).run(until_idle=True)


def test_a_delivery_is_a_signed_cloudevent(client: Client, receiver: Any) -> None:
    client.events.set_policy(private=True)
    made = client.events.create_webhook("ops", receiver.url, kinds=["model.version.*"])
    number = happen(client, version=1, tags={"a": "b"})
    happen(client, "model.created")
    assert work(client) == 1
    ((headers, body),) = receiver.got
    event = json.loads(body)
    assert headers["content-type"].startswith("application/cloudevents+json")
    assert event["specversion"] == "1.0"
    assert event["type"] == "mainspring.model.version.created"
    assert event["subject"] == "model/a@1"
    assert event["data"] == {"version": 1, "tags": {"a": "b"}}
    assert int(event["sequence"]) == number
    key = base64.b64decode(made.secret.removeprefix("whsec_"))
    signed = f"{headers['webhook-id']}.{headers['webhook-timestamp']}.".encode() + body
    expected = base64.b64encode(hmac.new(key, signed, hashlib.sha256).digest()).decode()
    assert headers["webhook-signature"] == f"v1,{expected}"
    (delivery,) = client.events.deliveries()
    assert (delivery.id, delivery.state, delivery.attempts) == (headers["webhook-id"], "delivered", 1)
    assert (delivery.status, delivery.answer) == (200, "thanks")


def test_a_secret_is_shown_once(client: Client, receiver: Any) -> None:
    client.events.set_policy(private=True)
    made = client.events.create_webhook("ops", receiver.url, kinds=["*"])
    assert made.webhook.signed
    told = [str(client.events.webhooks()), str(client.events.webhook(made.webhook.id)), str(client.storage.events())]
    assert not any(made.secret in each for each in told)
    assert client.events.create_webhook("mine", receiver.url, kinds=["*"], secret="hush").secret == ""


def test_an_event_of_a_change_that_failed_did_not_happen(client: Client, receiver: Any) -> None:
    client.events.set_policy(private=True)
    client.events.create_webhook("ops", receiver.url, kinds=["*"])
    with pytest.raises(CheckFailed), client.backend.store.write("test") as tx:  # type: ignore[attr-defined]
        emit(tx, "model.created", subject="model/a", data={})
        raise CheckFailed("no")
    assert client.events.since() == []
    assert work(client) == 0


def test_a_busy_receiver_is_asked_again_under_the_same_id(client: Client, receiver: Any) -> None:
    client.events.set_policy(private=True)
    client.events.create_webhook("ops", receiver.url, kinds=["*"])
    receiver.answers = [(503, {"retry-after": "0"}), (429, {"retry-after": "0"})]
    happen(client)
    assert work(client) == 3
    assert len({headers["webhook-id"] for headers, _ in receiver.got}) == 1
    (delivery,) = client.events.deliveries()
    assert (delivery.state, delivery.attempts) == ("delivered", 3)


def test_a_receiver_that_asks_for_peace_gets_it(client: Client, receiver: Any) -> None:
    client.events.set_policy(private=True)
    client.events.create_webhook("ops", receiver.url, kinds=["*"])
    receiver.answers = [(429, {"retry-after": "600"})]
    happen(client)
    worker = Worker(client, kinds=["webhook"])
    assert worker.run(until_idle=True) == 1
    (task,) = client.backend.store.queue.tasks()  # type: ignore[attr-defined]
    assert task.state == "waiting"
    assert 590 < (task.not_before - task.changed_at).total_seconds() < 610
    assert client.events.deliveries(state="pending")[0].status == 429


def test_what_the_receiver_refuses_is_not_sent_again(client: Client, receiver: Any) -> None:
    client.events.set_policy(private=True)
    client.events.create_webhook("ops", receiver.url, kinds=["*"])
    receiver.answers = [(410, {}), (302, {"location": "http://169.254.169.254/"})]
    happen(client)
    happen(client)
    assert work(client) == 2
    assert [each.state for each in client.events.deliveries()] == ["failed", "failed"]
    again = client.events.redeliver(client.events.deliveries()[0].id)
    work(client)
    assert {each.id: each.state for each in client.events.deliveries()}[again.id] == "delivered"


def test_a_worker_killed_in_the_middle_loses_nothing(client: Client, receiver: Any, store_folder: Any) -> None:
    client.events.set_policy(private=True)
    client.events.create_webhook("ops", receiver.url, kinds=["*"])
    numbers = [happen(client, version=each) for each in range(12)]
    gate, third = threading.Event(), threading.Event()

    def hold(count: int) -> None:
        if count == 3:
            third.set()
            gate.wait(20)

    receiver.on_post = hold
    program = [sys.executable, "-m", "mainspring.pipelines.worker", "--store", str(store_folder), "--kind", "webhook"]
    worker = subprocess.Popen([*program, "--concurrency", "1"], start_new_session=True)
    try:
        assert third.wait(30)
    finally:
        os.kill(worker.pid, signal.SIGKILL)
        worker.wait()
        gate.set()
    queue = client.backend.store.queue  # type: ignore[attr-defined]
    deadline = time.monotonic() + 20
    while queue.tasks(state="running") and time.monotonic() < deadline:
        queue.reap()
    work(client)
    seen: dict[int, list[str]] = {}
    for headers, body in receiver.got:
        seen.setdefault(int(json.loads(body)["sequence"]), []).append(headers["webhook-id"])
    assert sorted(seen) == numbers
    assert all(len(set(ids)) == 1 for ids in seen.values())
    assert sum(len(ids) for ids in seen.values()) == len(numbers) + 1  # only the one that was held came twice
    assert {each.state for each in client.events.deliveries()} == {"delivered"}


@pytest.mark.parametrize(
    "url",
    [
        "https://127.0.0.1/",
        "https://localhost/",
        "https://[::1]/",
        "https://[::ffff:10.0.0.1]/",
        "https://10.1.2.3/",
        "https://169.254.169.254/latest/meta-data",
        "https://0x7f000001/",
        "https://2130706433/",
        "http://93.184.215.14/",
        "ftp://93.184.215.14/",
        "https://user:pass@93.184.215.14/",
        "https:///nowhere",
        "https://a b/",
        "https://[64:ff9b::7f00:1]/",
    ],
)
def test_our_own_network_is_out_of_reach(client: Client, url: str) -> None:
    with pytest.raises(InvalidInput):
        client.events.create_webhook("ops", url, kinds=["*"])
    assert client.events.webhooks() == []


def test_a_name_that_changes_its_mind_gains_nothing(
    client: Client, receiver: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    answers = ["93.184.215.14", "127.0.0.1"]

    def rebinding(host: str, port: int, **_: Any) -> list[Any]:
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (answers.pop(0), port))]

    monkeypatch.setattr(posting.socket, "getaddrinfo", rebinding)
    client.events.create_webhook("ops", receiver.url.replace("http:", "https:"), kinds=["*"])
    happen(client)
    work(client)
    (delivery,) = client.events.deliveries()
    assert delivery.state == "failed"
    assert "127.0.0.1" in delivery.error
    assert receiver.got == []


def test_a_policy_taken_back_holds_for_what_is_on_its_way(client: Client, receiver: Any) -> None:
    client.events.set_policy(private=True)
    client.events.create_webhook("ops", receiver.url, kinds=["*"])
    happen(client)
    client.events.set_policy(private=False)
    work(client)
    assert receiver.got == []
    assert client.events.deliveries()[0].state == "failed"


def test_disabled_changed_and_deleted(client: Client, receiver: Any) -> None:
    client.events.set_policy(private=True)
    made = client.events.create_webhook("ops", receiver.url, kinds=["model.*"], secret="a").webhook
    client.events.change_webhook(made.id, status="disabled", description="quiet")
    happen(client)
    assert work(client) == 0
    changed = client.events.change_webhook(made.id, status="active", kinds=["run.*"], secret="")
    assert (changed.description, changed.signed) == ("quiet", False)
    happen(client)
    happen(client, "run.finished", "run/1")
    client.events.delete_webhook(made.id)
    work(client)
    assert receiver.got == []
    with pytest.raises(NotFound):
        client.events.webhook(made.id)


def test_trying_out(client: Client, receiver: Any) -> None:
    client.events.set_policy(private=True)
    made = client.events.create_webhook("ops", receiver.url, kinds=["model.*"]).webhook
    receiver.answers = [(500, {})]
    failed = client.events.test_webhook(made.id)
    assert (failed.delivered, failed.status) == (False, 500)
    assert client.events.test_webhook(made.id).delivered
    assert client.events.deliveries() == []


def test_consumers_read_in_order_and_are_woken(any_client: Client, store_folder: Any) -> None:
    with connect(store_folder) as writer:
        for version in range(5):
            happen(writer, version=version)
            happen(writer, "model.tag.set", key=str(version))
        page = any_client.events.since(0, kinds=["model.version.*"], limit=2)
        rest = any_client.events.since(page[-1].number, kinds=["model.version.*"])
        assert [each.data["version"] for each in [*page, *rest]] == [0, 1, 2, 3, 4]
        numbers = [each.number for each in any_client.events.since(limit=1000)]
        assert numbers == sorted(set(numbers))
        position = any_client.events.position()
        found: list[Any] = []
        waiting = threading.Thread(
            target=lambda: found.extend(any_client.events.since(position, kinds=["model.alias.*"], wait=20.0))
        )
        waiting.start()
        happen(writer, "model.created")  # not of these kinds
        begun = time.monotonic()
        happen(writer, "model.alias.set", alias="champion")
        waiting.join(20)
        assert [each.kind for each in found] == ["model.alias.set"]
        assert time.monotonic() - begun < 10
        assert any_client.events.since(any_client.events.position(), wait=0.1) == []


def test_what_is_old_is_forgotten_but_not_what_is_on_its_way(client: Client, receiver: Any) -> None:
    client.events.set_policy(private=True)
    happen(client, "model.created")
    client.events.create_webhook("ops", receiver.url, kinds=["*"])
    kept = happen(client, "model.created")
    newest = happen(client, "model.created")
    store = client.backend.store  # type: ignore[attr-defined]
    forget(store, before=now_micros() + 1)
    assert [each.number for each in client.events.since()] == [kept, newest]
    work(client)
    forget(store, before=now_micros() + 1)
    assert [each.number for each in client.events.since()] == [newest]
    assert happen(client, "model.created") == newest + 1
