"""Sources: files and messages become events, each once, also when whoever took them died before it said so.

Redis and NATS are real servers of this machine; Kafka is librdkafka's own broker, inside of this process, which speaks
the protocol (groups, offsets) without a disk.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from mainspring.client.client import Client
from mainspring.events.outbox import events_since
from mainspring.kernel.context import Caller, acting_as
from mainspring.kernel.errors import InvalidInput
from mainspring.pipelines.sources import accepting, files
from mainspring.pipelines.sources.checks import address_of, check_source
from mainspring.pipelines.sources.listening import Listeners
from mainspring.pipelines.types import Location
from mainspring.pipelines.types_triggers import StreamSource, file, message

pytestmark = pytest.mark.databases("sqlite")


def received(client: Client) -> list[dict[str, Any]]:
    """What came of the sources, in order."""
    with acting_as(Caller()), client.backend.store.read() as tx:  # type: ignore[attr-defined]
        return [each.data for each in events_since(tx, 0, ["message.received", "file.appeared"], limit=10_000)]


def soon(said: Callable[[], bool], *, seconds: float = 20.0) -> None:
    deadline = time.monotonic() + seconds
    while not said():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


def answers(port: int) -> bool:
    with socket.socket() as tried:
        return tried.connect_ex(("127.0.0.1", port)) == 0


@contextmanager
def server(command: list[str], port: int) -> Iterator[None]:
    program = shutil.which(command[0], path=f"{os.environ.get('PATH', '')}:/usr/sbin")
    if program is None:
        pytest.skip(f"{command[0]} is not installed")
    process = subprocess.Popen([program, *command[1:]], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        soon(lambda: answers(port))
        yield
    finally:
        process.terminate()
        process.wait(10)


@contextmanager
def listening(client: Client) -> Iterator[Listeners]:
    listeners = Listeners(client.backend.store)  # type: ignore[attr-defined]
    listeners.look()
    try:
        yield listeners
    finally:
        listeners.close()


@contextmanager
def dying_once(monkeypatch: pytest.MonkeyPatch, module: str) -> Iterator[list[int]]:
    """After the first messages are recorded, and before they are acknowledged, whoever took them is gone."""
    taken: list[int] = []

    def accept(*args: Any, **kwargs: Any) -> int:
        fresh = accepting.accept(*args, **kwargs)
        if args[2] and not taken:
            taken.append(len(args[2]))
            raise ConnectionError("gone")
        return fresh

    with monkeypatch.context() as patch:
        patch.setattr(f"mainspring.pipelines.sources.{module}.accept", accept)
        yield taken


def test_files_that_appear_are_events_once(client: Client, tmp_path: Path) -> None:
    inbox = tmp_path / "in"
    inbox.mkdir()
    (inbox / "old.csv").write_text("before")
    made = client.pipelines.create_source(
        "inbox", kind="file", address=f"{inbox}/**/*.csv", options={"every": 0.2, "settle": 0.0}
    )
    client.pipelines.create_trigger(
        "t", flow="f", location=Location(address="a:b"), condition=file("inbox"), params={"path": "$event.data.path"}
    )
    store = client.backend.store  # type: ignore[attr-defined]
    assert files.look(store, made) == 0
    (inbox / "sub").mkdir()
    (inbox / "sub" / "a.csv").write_text("1")
    (inbox / "b.txt").write_text("1")
    assert [files.look(store, made), files.look(store, made)] == [1, 0]
    (inbox / "sub" / "a.csv").write_text("12")  # written again: another
    assert [files.look(store, made), files.look(store, made)] == [1, 0]
    client.pipelines.tick()
    assert [run.params["path"] for run in client.pipelines.runs()] == [str(inbox / "sub" / "a.csv")] * 2
    # the same place, declared again, knows what it saw; a file that is still being written is left for later
    again = client.pipelines.create_source("inbox", kind="file", address=made.address, options={"settle": 3600.0})
    assert again.id == made.id
    (inbox / "young.csv").write_text("1")
    assert files.look(store, again) == 0
    os.utime(inbox / "young.csv", (time.time() - 7200,) * 2)
    assert files.look(store, again) == 1


def test_redis_streams(client: Client, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    redis = pytest.importorskip("redis")
    port = free_port()
    options = ["--port", str(port), "--save", "", "--appendonly", "no", "--dir", str(tmp_path)]
    with server(["redis-server", *options], port):
        monkeypatch.setenv("WHERE_REDIS_IS", f"127.0.0.1:{port}")
        monkeypatch.setattr("mainspring.pipelines.sources.redis._IDLE_MS", 100)
        monkeypatch.setattr("mainspring.pipelines.sources.redis._BLOCK_MS", 50)
        client.pipelines.create_source(
            "orders", kind="redis", address="redis://${WHERE_REDIS_IS}/0", topic="orders", options={"beginning": True}
        )
        told = redis.Redis(port=port)
        for number in range(150):
            told.xadd("orders", {"n": str(number), "who": "me"})
        with dying_once(monkeypatch, "redis") as died, listening(client):
            soon(lambda: len(received(client)) == 150)
            told.xadd("orders", {"n": "150"})
            soon(lambda: len(received(client)) == 151)
            soon(lambda: told.xpending("orders", "mainspring-orders")["pending"] == 0)
        assert died
        assert sorted(each["body"]["n"] for each in received(client)) == list(range(151))
        told.close()


def test_nats_jetstream(client: Client, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    nats = pytest.importorskip("nats")
    port = free_port()
    with server(["nats-server", "-js", "-sd", str(tmp_path), "-p", str(port), "-a", "127.0.0.1"], port):
        monkeypatch.setattr("mainspring.pipelines.sources.nats._ACK_SECONDS", 0.5)
        monkeypatch.setattr("mainspring.pipelines.sources.nats._WAIT_SECONDS", 0.1)

        async def publish(first: int, count: int) -> None:
            told = await nats.connect(f"nats://127.0.0.1:{port}")
            stream = told.jetstream()
            if first == 0:
                await stream.add_stream(name="shop", subjects=["orders.*"])
            for number in range(first, first + count):
                await stream.publish("orders.new", b'{"n": %d}' % number)
            await told.close()

        asyncio.run(publish(0, 20))
        client.pipelines.create_source("orders", kind="nats", address=f"nats://127.0.0.1:{port}", topic="orders.*")
        client.pipelines.create_trigger(
            "t", flow="f", location=Location(address="a:b"), condition=message("orders", {"body.n": 20})
        )
        with dying_once(monkeypatch, "nats") as died, listening(client):
            soon(lambda: len(received(client)) == 20)
            asyncio.run(publish(20, 1))
            soon(lambda: len(received(client)) == 21)
        assert died
        assert sorted(each["body"]["n"] for each in received(client)) == list(range(21))
        client.pipelines.tick()
        assert len(client.pipelines.runs()) == 1


def test_kafka(client: Client) -> None:
    kafka = pytest.importorskip("confluent_kafka")
    producer = kafka.Producer({"bootstrap.servers": "mock", "test.mock.num.brokers": 1, "log_level": 0})
    (broker,) = producer.list_topics(timeout=10).brokers.values()
    address = f"kafka://{broker.host}:{broker.port}?session.timeout.ms=6000&fetch.wait.max.ms=20&log_level=0"

    def publish(first: int, count: int) -> None:
        for number in range(first, first + count):
            producer.produce("orders", b'{"n": %d}' % number, key=b"k", headers={"h": b"v"})
        producer.flush(10)

    publish(0, 20)
    client.pipelines.create_source("orders", kind="kafka", address=address, topic="orders", options={"beginning": True})
    with listening(client):  # once: joining a group anew takes three seconds, and what is seen is known by one function
        soon(lambda: len(received(client)) == 20, seconds=40)
        publish(20, 1)
        soon(lambda: len(received(client)) == 21, seconds=40)
    found = received(client)
    assert sorted(each["body"]["n"] for each in found) == list(range(21))
    assert (found[0]["key"], found[0]["headers"]) == ("k", {"h": "v"})


def test_a_server_that_is_away_is_told_and_a_source_that_is_removed_brings_nothing(client: Client) -> None:
    made = client.pipelines.create_source("s", kind="redis", address=f"redis://127.0.0.1:{free_port()}", topic="x")
    with listening(client) as listeners:
        soon(lambda: client.pipelines.sources()[0].error != "")
        client.pipelines.remove_source("s")
        listeners.look()
        soon(lambda: "mainspring-source-s" not in {each.name for each in threading.enumerate()})
    store = client.backend.store  # type: ignore[attr-defined]
    assert accepting.accept(store, made, [accepting.Message("1", {})]) == 0
    assert received(client) == []


@pytest.mark.parametrize(
    ("kind", "address", "topic", "options"),
    [
        ("file", "relative/*.csv", "", {}),
        ("file", "/data/../etc/*", "", {}),
        ("file", "http://somewhere/x", "", {}),
        ("file", "/data/*", "topic", {}),
        ("redis", "http://somewhere", "x", {}),
        ("redis", "redis://:open@somewhere/0", "x", {}),
        ("kafka", "kafka://somewhere?sasl.password=open", "x", {}),
        ("nats", "nats://somewhere", "", {}),
        ("kafka", "kafka://somewhere", "x", {"group": "a b"}),
        ("redis", "redis://somewhere", "x", {"beginning": 1}),
        ("file", "/data/*", "", {"every": 0.0}),
        ("file", "/data/*", "", {"unheard": 1}),
    ],
)
def test_what_cannot_be_listened_to_is_refused(
    client: Client, kind: Any, address: str, topic: str, options: dict[str, Any]
) -> None:
    with pytest.raises(InvalidInput):
        client.pipelines.create_source("s", kind=kind, address=address, topic=topic, options=options)
    assert client.pipelines.sources() == []


def test_an_address_takes_its_secret_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("A_PASSWORD", "x$y")
    assert address_of("redis://:${A_PASSWORD}@host/0") == "redis://:x$y@host/0"
    check_source("redis", "redis://:${A_PASSWORD}@host/0", "x", {})
    check_source("kafka", "kafka://host?sasl.password=${A_PASSWORD}", "x", {})
    with pytest.raises(InvalidInput, match="NOT_THERE"):
        address_of("redis://:${NOT_THERE}@host/0")


def test_files_of_a_bucket(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    boto3 = pytest.importorskip("boto3")
    moto = pytest.importorskip("moto.server")
    port = free_port()
    bucket = moto.ThreadedMotoServer(port=port, verbose=False)
    bucket.start()
    try:
        for name, value in {
            "AWS_ENDPOINT_URL": f"http://127.0.0.1:{port}",
            "AWS_ACCESS_KEY_ID": "a",
            "AWS_SECRET_ACCESS_KEY": "b",
            "AWS_REGION": "us-east-1",
        }.items():
            monkeypatch.setenv(name, value)
        s3 = boto3.client("s3", endpoint_url=f"http://127.0.0.1:{port}", region_name="us-east-1")
        s3.create_bucket(Bucket="inbox")
        made: StreamSource = client.pipelines.create_source(
            "in", kind="file", address="s3://inbox/day/*.csv", options={"existing": True}
        )
        store = client.backend.store  # type: ignore[attr-defined]
        s3.put_object(Bucket="inbox", Key="day/a.csv", Body=b"1")
        s3.put_object(Bucket="inbox", Key="other/a.csv", Body=b"1")
        assert [files.look(store, made), files.look(store, made)] == [1, 0]
        s3.put_object(Bucket="inbox", Key="day/a.csv", Body=b"2")
        assert files.look(store, made) == 1
        assert {each["path"] for each in received(client)} == {"s3://inbox/day/a.csv"}
    finally:
        bucket.stop()
