"""Triggers: what happened, or did not, starts one run, and says why."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
import multiprocessing
from datetime import timedelta
from typing import Any

import httpx
import msgspec
import pytest

from mainspring.client.client import Client, connect
from mainspring.events.outbox import emit
from mainspring.kernel import clock
from mainspring.kernel.errors import InvalidInput, NotFound, Unauthenticated
from mainspring.pipelines.hooks_inbound import receive, sign
from mainspring.pipelines.triggers import evaluate
from mainspring.pipelines.types import Location
from mainspring.pipelines.types_triggers import (
    Condition,
    absent,
    all_of,
    any_of,
    debounce,
    metric,
    on,
    webhook,
)
from mainspring.server.app import make_app

HERE = Location(address="somewhere:flow")


def happened(client: Client, kind: str, subject: str = "thing/a", **data: Any) -> None:
    """Something happened."""
    with client.backend.store.write("test") as tx:  # type: ignore[attr-defined]
        emit(tx, kind, subject=subject, data=data)


def trigger(client: Client, condition: Condition, name: str = "t", **options: Any) -> None:
    client.pipelines.create_trigger(name, flow="f", location=HERE, condition=condition, **options)


def causes(client: Client) -> list[tuple[int, ...]]:
    """The events of each run, oldest run first."""
    client.pipelines.tick()
    return [run.cause.events for run in client.pipelines.runs(limit=1000)[::-1]]


def test_an_event_that_fits_starts_one_run_and_is_why(any_client: Client, client: Client) -> None:
    happened(client, "dataset.version.created", "dataset/flights@1", version=1)  # before: not for it
    wanted = on("dataset.version.*", "dataset/flights@*", {"version": (">", 1), "rows": ("in", [5, 6])})
    trigger(client, wanted, params={"version": "$event.data.version", "of": "$event.subject", "cost": "$$5"})
    happened(client, "dataset.version.created", "dataset/flights@2", version=2, rows=5)
    happened(client, "dataset.version.created", "dataset/other@2", version=2, rows=5)
    happened(client, "dataset.version.created", "dataset/flights@3", version=3, rows=7)
    happened(client, "dataset.version.created", "dataset/flights@4", version="4", rows=6)  # a text is no number
    assert causes(client) == [(2,)]
    assert causes(client) == [(2,)]
    (run,) = client.pipelines.runs()
    assert run.params == {"version": 2, "of": "dataset/flights@2", "cost": "$5"}
    why = client.pipelines.why_started(run.id)
    assert (why.trigger, why.condition, why.events[0]["subject"]) == ("t", wanted, "dataset/flights@2")
    assert any_client.pipelines.triggers() is not None


def test_a_trigger_goes_through_the_wire_as_it_is(any_client: Client) -> None:
    tree = any_of(
        all_of(on("a"), debounce(on("b"), 5, longest=timedelta(minutes=1)), within=60),
        absent(on("c"), within=timedelta(days=1), after=on("d", where={"x": ("like", "y*")}), by="run"),
    )
    trigger(any_client, tree)
    (found,) = any_client.pipelines.triggers()
    assert found.condition == tree
    assert any_client.pipelines.pause_trigger("t").paused
    any_client.pipelines.remove_trigger("t")
    with pytest.raises(NotFound):
        any_client.pipelines.remove_trigger("t")


def test_all_of_several_within_a_while(client: Client) -> None:
    trigger(client, all_of(on("a"), any_of(on("b"), on("c")), within=60))
    happened(client, "a")
    happened(client, "a")
    with clock.turned(timedelta(seconds=100)):
        happened(client, "b")  # too late for either
        assert causes(client) == []
    with clock.turned(timedelta(seconds=150)):
        happened(client, "a")
        assert causes(client) == [(3, 4)]
        happened(client, "c")  # what made it true once is used up
        assert causes(client) == [(3, 4)]


def test_many_events_are_one_start_after_a_while_of_quiet(client: Client) -> None:
    trigger(client, debounce(on("a"), 60, longest=100), params={"last": "$event.data.n", "all": "$events"})
    for seconds, n in ((0, 1), (50, 2)):
        with clock.turned(timedelta(seconds=seconds)):
            happened(client, "a", n=n)
            assert causes(client) == []
    with clock.turned(timedelta(seconds=90)):
        happened(client, "a", n=3)
        assert causes(client) == []
    with clock.turned(timedelta(seconds=101)):  # 100 after the first, though not 60 after the last
        assert len(causes(client)) == 1
    (run,) = client.pipelines.runs()
    assert (run.params["last"], len(run.params["all"])) == (3, 3)
    with clock.turned(timedelta(days=1)):
        assert len(causes(client)) == 1


def test_what_did_not_happen_starts_one_run(client: Client) -> None:
    trigger(client, absent(on("beat"), within=60))
    with clock.turned(timedelta(seconds=50)):
        happened(client, "beat")
        assert causes(client) == []
    with clock.turned(timedelta(seconds=100)):
        assert causes(client) == []  # 50 after the last
    with clock.turned(timedelta(seconds=115)):
        assert causes(client) == [(1,)]
    with clock.turned(timedelta(days=1)):
        assert len(causes(client)) == 1  # once, until it happens again
        happened(client, "beat")
        assert len(causes(client)) == 1
    with clock.turned(timedelta(days=1, seconds=61)):
        assert len(causes(client)) == 2


def test_what_did_not_follow_starts_one_run_for_each(client: Client) -> None:
    """A job that began and was not heard of again: each by itself."""
    trigger(client, absent(on("job.done"), within=60, after=on("job.begun"), by="job"))
    for job in ("a", "b", "c"):
        happened(client, "job.begun", job=job)
    with clock.turned(timedelta(seconds=30)):
        happened(client, "job.done", job="b")
        happened(client, "job.done", job="unheard of")
        assert causes(client) == []
    with clock.turned(timedelta(seconds=61)):
        happened(client, "job.done", job="c")  # said too late, yet before it was looked
        assert causes(client) == [(1,)]


def test_metrics_alerts_and_aliases_are_events(client: Client) -> None:
    trigger(client, metric("auc", ">", 0.8, experiment="exp*"), "good")
    for auc in (0.7, 0.9):
        with client.tracking.run("exp-1") as run:
            run.log(auc=auc)
    assert len(causes(client)) == 1
    assert client.pipelines.why_started(client.pipelines.runs()[0].id).events[0]["data"]["metrics"] == {"auc": 0.9}


def test_a_start_that_is_refused_is_told_and_keeps_nobody(client: Client) -> None:
    trigger(client, on("a"), "broken", params={"x": "$event.data.missing"})
    trigger(client, on("a"), "whole", params={"x": "$event.data.x"})
    happened(client, "a", x=1)
    assert causes(client) == [(1,)]
    broken, whole = client.pipelines.triggers()
    assert "missing" in broken.error
    assert whole.error == ""
    happened(client, "a", x=2, missing=3)
    client.pipelines.tick()
    assert [run.cause.name for run in client.pipelines.runs()].count("broken") == 1
    assert client.pipelines.triggers()[0].error == ""


def test_the_same_content_twice_starts_one_run(client: Client) -> None:
    trigger(client, on("a"), key="$event.data.digest")
    trigger(client, on("a"), "paused")
    client.pipelines.pause_trigger("paused")
    for digest in ("x", "x", "y"):
        happened(client, "a", digest=digest)
    assert causes(client) == [(1,), (3,)]
    client.pipelines.pause_trigger("paused", paused=False)
    happened(client, "a", digest="y")
    assert len(causes(client)) == 3  # of the one that was paused, for what came afterwards
    assert [run.cause.name for run in client.pipelines.runs()] == ["paused", "t", "t"]


def test_a_trigger_does_not_start_itself_for_ever(client: Client) -> None:
    trigger(client, on("flow.run.*"), "self")
    happened(client, "flow.run.finished", run="x", cause={"kind": "person"})
    assert len(causes(client)) == 1
    assert len(causes(client)) == 1


@pytest.mark.databases("sqlite")
def test_a_firing_is_whole_or_not_at_all(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    """A scheduler that dies after the run is written, and before the cursor is, leaves neither."""
    trigger(client, all_of(on("a"), on("b")))
    happened(client, "a")
    happened(client, "b")
    store = client.backend.store  # type: ignore[attr-defined]
    with monkeypatch.context() as patch:

        def die(*_: Any) -> None:
            raise KeyboardInterrupt

        patch.setattr("mainspring.pipelines.triggers._advance", die)
        with pytest.raises(KeyboardInterrupt):
            evaluate(store)
    assert client.pipelines.runs() == []
    assert causes(client) == [(1, 2)]


def _look(folder: str, ready: Any, go: Any) -> None:
    with connect(folder) as client:
        ready.release()
        go.wait()
        for _ in range(30):
            client.pipelines.tick()


def test_several_schedulers_fire_each_trigger_once(client: Client, store_folder: object) -> None:
    for number in range(10):
        trigger(client, on(f"kind.{number % 3}"), f"t{number}")
    trigger(client, on("kind.*"), "all")
    for number in range(30):
        happened(client, f"kind.{number % 4}")
    context = multiprocessing.get_context("spawn")
    ready, go = context.Semaphore(0), context.Event()
    lookers = [context.Process(target=_look, args=(str(store_folder), ready, go)) for _ in range(2)]
    for each in lookers:
        each.start()
    for _ in lookers:
        assert ready.acquire(timeout=60)
    go.set()
    for each in lookers:
        each.join(60)
        assert each.exitcode == 0
    fired = [(run.cause.name, run.cause.events) for run in client.pipelines.runs(limit=1000)]
    assert len(fired) == len(set(fired))
    counts = {kind: sum(1 for number in range(30) if number % 4 == kind) for kind in range(4)}
    assert len(fired) == 30 + sum(counts[number % 3] for number in range(10))


@pytest.mark.parametrize(
    "condition",
    [
        any_of(),
        on(""),
        absent(on("a"), within=0),
        debounce(on("a"), 0),
        on("a", where={"x": ("in", "text")}),
        all_of(*[on("a")] * 60),
        on("a" * 300),
    ],
)
def test_conditions_that_make_no_sense_are_refused(client: Client, condition: Condition) -> None:
    with pytest.raises(InvalidInput):
        trigger(client, condition)
    assert client.pipelines.triggers() == []


SECRET = "a secret of sixteen and more"
STANDARD = "whsec_" + base64.b64encode(b"k" * 32).decode()


def standard(body: bytes, at: int, name: str = "msg_1") -> dict[str, str]:
    mac = hmac.new(b"k" * 32, f"{name}.{at}.".encode() + body, hashlib.sha256).digest()
    given = f"v1,{base64.b64encode(b'another key').decode()} v1,{base64.b64encode(mac).decode()}"
    return {"webhook-id": name, "webhook-timestamp": str(at), "webhook-signature": given}


def test_calls_that_are_signed_are_events_once(client: Client) -> None:
    store = client.backend.store  # type: ignore[attr-defined]
    client.pipelines.create_hook("ours", secret=SECRET)
    client.pipelines.create_hook("standard", secret=STANDARD)
    trigger(client, webhook("*", {"body.ref": "main"}), params={"who": "$event.subject"})
    now = int(clock.now().timestamp())
    body = b'{"ref": "main"}'
    github = {"x-hub-signature-256": "sha256=" + hmac.new(SECRET.encode(), body, hashlib.sha256).hexdigest()}
    good = [
        ("ours", {"x-mainspring-signature": sign(SECRET, body, at=now)}),
        ("ours", {**github, "x-github-event": "push"}),
        ("standard", standard(body, now)),
    ]
    assert [receive(store, "default", name, headers, body) for name, headers in good] == [True] * 3
    assert [receive(store, "default", name, headers, body) for name, headers in good] == [False] * 3  # again
    assert len(causes(client)) == 3
    bad = [
        ("ours", {}),
        ("ours", {"x-mainspring-signature": sign("another secret, long enough", body, at=now)}),
        ("ours", {"x-mainspring-signature": sign(SECRET, body, at=now - 400)}),  # too old
        ("ours", {"x-mainspring-signature": sign(SECRET, body, at=now).replace(str(now), str(now + 1))}),
        ("ours", {"x-hub-signature-256": github["x-hub-signature-256"][:-1]}),
        ("standard", standard(b"another body", now)),
        ("standard", standard(body, now + 4000)),
        ("nowhere", {"x-mainspring-signature": sign(SECRET, body, at=now)}),
    ]
    for name, headers in bad:
        with pytest.raises(Unauthenticated):
            receive(store, "default", name, headers, body)
    with pytest.raises(InvalidInput):
        receive(store, "default", "ours", {"x-mainspring-signature": sign(SECRET, b"{", at=now)}, b"{")
    assert len(causes(client)) == 3
    client.pipelines.remove_hook("ours")
    with pytest.raises(Unauthenticated):
        receive(store, "default", *good[0], body)


async def _post(app: Any, path: str, content: bytes, headers: dict[str, str]) -> httpx.Response:
    transport = httpx.ASGITransport(app=app)
    async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1") as http:
        return await http.post(path, content=content, headers=headers)


@pytest.mark.databases("sqlite")
def test_a_call_comes_in_over_http_without_a_token(client: Client) -> None:
    made = client.pipelines.create_hook("h")
    assert made.secret not in msgspec.json.encode(client.pipelines.hooks()).decode()
    app = make_app(client.backend.store, host="0.0.0.0")  # type: ignore[attr-defined]
    body, now = b'{"a": 1}', int(clock.now().timestamp())

    async def calls() -> list[int]:
        signed = {"X-Mainspring-Signature": sign(made.secret, body, at=now)}
        answers = [
            await _post(app, "/hooks/default/h", body, signed),
            await _post(app, "/hooks/default/h", body, signed),
            await _post(app, "/hooks/default/h", body, {}),
            await _post(app, "/hooks/other/h", body, signed),
            await _post(app, "/hooks/default/h", b"x" * 300_000, signed),
            await _post(app, "/api/v1/pipelines/hooks", b"{}", {}),  # everything else asks for a token
        ]
        return [each.status_code for each in answers]

    assert asyncio.run(calls()) == [202, 200, 401, 401, 400, 401]


@pytest.mark.databases("sqlite")
def test_events_that_are_for_nobody_are_not_written_of(client: Client) -> None:
    trigger(client, on("wanted"))
    for number in range(450):
        happened(client, f"other.{number}")
    before = len(client.storage.events(limit=1000))
    client.pipelines.tick()
    assert len(client.storage.events(limit=1000)) == before
    happened(client, "wanted")
    assert len(causes(client)) == 1
