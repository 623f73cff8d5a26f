"""What steps show and print, while they run and afterwards: inline, in threads, in processes, through a server."""

from __future__ import annotations

import sys
import threading
import time

import msgspec
import polars as pl
import pytest

import mainspring as ms
from mainspring.kernel.errors import InvalidInput, LostLease, NotFound
from mainspring.pipelines import current_step, flow, step
from mainspring.pipelines.logs import caught
from mainspring.pipelines.types_cards import Shown

_GO = threading.Event()
_STEP: list[str] = []

_MODULE = """
import os, sys, time
import mainspring as ms
from mainspring.pipelines import flow, step


@step(where="process")
def away(go: str) -> int:
    ms.card.markdown("# from a process")
    bar = ms.progress(total=4, label="parts")
    bar.advance(3)
    print("begun", flush=True)
    os.system("echo by a child")
    while not os.path.exists(go):
        time.sleep(0.01)
    print("ended")
    return 1


@flow
def outside(go: str) -> int:
    return away(go)


@flow
def talks(go: str) -> int:
    print("body begun", flush=True)
    while not os.path.exists(go):
        time.sleep(0.01)
    print("body ended")
    return 1
"""


@step
def _shows(rows: int) -> int:
    _STEP[:] = [current_step().step_id]
    ms.card.table(pl.DataFrame({"a": range(rows), "b": ["x" * 900] * rows}), title="rows")
    ms.card.metric("AUC", 0.75, before=0.7)
    text = ms.card.markdown("first")
    ms.card.html("<script>parent.document</script>", title="page")
    for place, _ in enumerate(ms.progress(range(50_000), label="walk")):
        if place % 1000 == 0:
            text.markdown(f"at {place}")
    sys.stdout.write("a line\nand half")
    _GO.wait(20)
    text.markdown("last")
    return rows


@flow
def _shown(rows: int = 300) -> int:
    return _shows(rows)


def _until(true, seconds: float = 20.0) -> None:
    deadline = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_a_card_is_there_while_its_step_runs_and_stays(any_client, monkeypatch):
    client = any_client
    _GO.clear()
    sent: list[int] = []
    show = type(client.pipelines).show_parts
    monkeypatch.setattr(
        type(client.pipelines), "show_parts", lambda *args, **kwargs: (sent.append(1), show(*args, **kwargs))[1]
    )
    running = threading.Thread(daemon=True, target=_shown.run, args=(client,))
    running.start()
    _until(
        lambda: (
            _STEP
            and any(step.id == _STEP[0] for run in client.pipelines.runs() for step in client.pipelines.steps(run.id))
        )
    )
    step_id = _STEP[0]
    _until(lambda: len(client.pipelines.card(step_id)) == 5)
    _until(lambda: client.pipelines.logs(step_id) == "a line\n")  # whole lines come while it runs
    began = time.monotonic()
    _GO.set()
    running.join(20)
    assert time.monotonic() - began < 10
    table, metric, text, page, bar = client.pipelines.card(step_id)
    assert (table.content["total"], len(table.content["rows"]), table.title) == (300, 200, "rows")
    assert table.content["rows"][1] == [1, "x" * 197 + "..."]
    assert metric.content == {"value": 0.75, "unit": "", "before": 0.7}
    assert text.content == {"text": "last"}
    assert b"".join(client.storage.get_blob(page.content["digest"])) == b"<script>parent.document</script>"
    assert page.content["media_type"] == "text/html"
    assert (bar.kind, bar.content["done"], bar.content["total"]) == ("progress", 50_000, 50_000)
    assert len(sent) < 20  # of 50 000 calls
    assert client.pipelines.logs(step_id) == "a line\nand half"


@pytest.mark.databases("sqlite")
def test_a_step_in_a_process_is_seen_while_it_runs(client, tmp_path, monkeypatch):
    (tmp_path / "away_flows.py").write_text(_MODULE)
    monkeypatch.syspath_prepend(tmp_path)
    import away_flows

    go = tmp_path / "go"
    running = threading.Thread(daemon=True, target=away_flows.outside.run, args=(client,), kwargs={"go": str(go)})
    running.start()
    service = client.pipelines
    _until(lambda: service.runs() and service.steps(service.runs()[0].id))
    [found] = service.steps(service.runs()[0].id)
    _until(lambda: len(service.card(found.id)) == 2)
    _until(lambda: service.logs(found.id) == "begun\nby a child\n")
    assert service.card(found.id)[1].content["done"] == 3
    go.touch()
    running.join(20)
    assert service.logs(found.id) == "begun\nby a child\nended\n"


@pytest.mark.databases("sqlite")
def test_the_body_of_a_worker_is_heard_while_it_runs(client, tmp_path, monkeypatch, start_worker):
    (tmp_path / "away_flows.py").write_text(_MODULE)
    monkeypatch.syspath_prepend(tmp_path)
    import importlib

    import away_flows

    importlib.reload(away_flows)
    go = tmp_path / "go"
    run_id = client.pipelines.start(away_flows.talks, {"go": str(go)})
    worker = start_worker("--until-idle")
    _until(lambda: client.pipelines.logs(run_id) == "body begun\n", 60)
    go.touch()
    assert worker.wait(60) == 0
    assert client.pipelines.logs(run_id) == "body begun\nbody ended\n"


@step(retries=1, delay=0.0)
def _twice() -> int:
    ms.card.markdown(f"try {current_step().attempt}")
    if current_step().attempt == 1:
        ms.card.markdown("only in the first")
        raise ValueError("once more")
    return 1


@flow
def _again() -> int:
    return _twice()


@pytest.mark.databases("sqlite")
def test_a_try_shows_nothing_of_the_one_before(client):
    _again.run(client)
    [found] = client.pipelines.steps(client.pipelines.runs()[0].id)
    assert [part.content["text"] for part in client.pipelines.card(found.id)] == ["try 2"]


@pytest.mark.databases("sqlite")
def test_cards_are_bounded_and_of_whoever_executes_the_run(client):
    service = client.pipelines
    opened = service.begin("nightly")
    ok = {"attempt": 1, "step_id": "01"}
    for parts in (
        [Shown(100, "markdown")],
        [Shown(-1, "markdown")],
        [Shown(0, "markdown", content={"text": "x" * 300_000})],
        [Shown(0, "markdown", "t" * 501)],
    ):
        with pytest.raises(InvalidInput):
            service.show_parts(opened.run.id, parts=parts, **ok)
    service.begin("nightly", run_id=opened.run.id)
    with pytest.raises(LostLease):
        service.show_parts(opened.run.id, parts=[Shown(0, "metric")], **ok)
    with pytest.raises(LostLease):
        service.append_step_log(opened.run.id, text="late", **ok)
    with pytest.raises(NotFound):
        service.card("01")


def test_outside_of_a_step_nothing_is_shown_and_everything_works():
    assert list(ms.progress(iter("abc"))) == ["a", "b", "c"]
    assert ms.card.metric("x", float("nan")).table([{"a": 1}, {"b": object()}]) is not None
    with pytest.raises(InvalidInput, match="no table"):
        ms.card.table(object())
    with pytest.raises(InvalidInput):
        ms.card.markdown("x" * 100_000)
    assert msgspec.json.encode(Shown(0, "metric", content={"value": "nan"}))


def test_half_a_line_waits_for_its_end_and_a_long_one_does_not():
    heard: list[str] = []
    with caught(heard.append) as tail:
        sys.stdout.write("one\ntw")
        tail.send()
        sys.stdout.write("o\n" + "x" * 3000)
        tail.send()
        tail.send()
    assert heard == ["one\n", "two\n", "x" * 3000]
    assert tail.text() == "one\ntwo\n" + "x" * 3000
