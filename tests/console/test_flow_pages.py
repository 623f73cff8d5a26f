"""The pages of flows over HTTP: health, runs beside steps, one run of any size, steps, moments, queue, questions."""

from __future__ import annotations

import json
import time
from datetime import timedelta
from typing import Literal

import msgspec
import pytest

from mainspring.console.pages.answer_forms import fields_of
from mainspring.console.pages.flow_parts import shown
from mainspring.console.pages.triggers import branches
from mainspring.events.outbox import emit
from mainspring.kernel.clock import turned
from mainspring.kernel.context import Caller, acting_as
from mainspring.pipelines.types_triggers import all_of, on
from mainspring.pipelines.values import encode
from mainspring.pipelines.waits_schema import mismatch, schema_of

HTML_LIMIT = 100_000


class Order(msgspec.Struct):
    """What an answer may be made of."""

    size: Literal["small", "large"]
    count: int
    names: list[str]
    boxes: dict[str, int]
    gift: bool = False
    note: str | None = None


def card(page, title: str):
    return next(each for each in page.all("section") if each.all("h2") and each.all("h2")[0].text.startswith(title))


def row(page, name: str):
    return next(each for each in page.all("tr") if each.all("th") and each.all("th")[0].text.startswith(name))


def test_flows_show_their_health_and_are_found(flows):
    page = flows.page("/flows")
    daily = row(page, "daily")
    assert "83%" in daily.text
    assert "queued" in daily.text
    bars = daily.all("svg")[0].attributes["aria-label"]
    assert "5 finished, 1 failed" in bars
    assert "3 waiting" in row(page, "release").text
    assert "never ran" in row(page, "check").text
    assert "1 schedule, 1 trigger" in daily.text
    names = [each.all("th")[0].text for each in flows.page("/flows?q=AIL").all("tr")[1:]]
    assert names == ["daily"]
    waiting = [each.all("th")[0].text for each in flows.page("/flows?only=open").all("tr")[1:]]
    assert waiting == ["daily", "publish", "release"]


def test_runs_stand_beside_steps_with_the_times_of_one(flows):
    page = flows.page(f"/flows/of/daily?run={flows.names['failed']}")
    grid = page.all("table", class_="run-grid")[0]
    names = [each.all("th")[0].text for each in grid.all("tbody")[0].all("tr")]
    assert names == ["load", "train", "choose"]
    train = row(grid, "train")
    assert [link.text for link in train.all("a")] == ["\u2713"] * 4 + ["\u2715"] + ["\u2713"]
    assert "failed" in train.all("a")[4].attributes["aria-label"]
    assert len(grid.all("th", class_="chosen")) == 1
    assert train.all("svg")[0].attributes["aria-label"].startswith("train. failed")
    assert not row(grid, "choose").all("svg"), "the failed run never came to it"
    for link in grid.all("a"):
        assert flows.get(link.attributes["href"].partition("#")[0]).status_code == 200


def test_a_run_is_a_graph_with_maps_that_open(flows):
    path = f"/flows/{flows.names['wide']}"
    page = flows.page(path)
    labels = [node.attributes["data-name"] for node in page.all("g", class_="node")]
    assert labels == ["load", "train \u00d7 40", "choose"]
    assert len(page.all("path", class_="edge")) == 2, "the list of forty is known to have come from the map"
    toggle = page.all("a", class_="toggle")[0].attributes["href"]
    opened = flows.page(toggle.partition("#")[0])
    labels = [node.attributes["data-name"] for node in opened.all("g", class_="node")]
    assert labels[1:3] == ["train [0]", "train [1]"]
    assert "train, 16 more" in labels
    closed = flows.page(opened.all("a", class_="toggle")[0].attributes["href"].partition("#")[0])
    assert len(closed.all("g", class_="node")) == 3


@pytest.mark.parametrize(("steps", "chain"), [(10_000, False), (4_000, True)], ids=["map", "loop"])
def test_ten_thousand_steps_are_looked_at_at_once(client, empty, shop, parsed, steps, chain):
    run = shop.filling.wide(client, steps, chain=chain)
    for path in (f"/flows/{run}", f"/flows/{run}?open=1&q=9999&order=longest", "/flows/of/wide", "/flows"):
        began = time.process_time()
        answer = empty.get(path)
        spent = time.process_time() - began
        assert answer.status_code == 200, answer.text[-900:]
        assert len(answer.content) <= HTML_LIMIT, path
        assert spent < 0.9, f"{path} took {spent:.2f} s of the processor; quiet it is below 0.3"
        parsed(answer.text)
    page = empty.page(f"/flows/{run}")
    assert f"{steps + 2:,}" in page.all("main")[0].text
    assert [node.attributes["data-name"] for node in page.all("g", class_="node")][1] == f"train \u00d7 {steps:,}"
    assert len(page.all("path", class_="edge")) == 2


def test_groups_and_critical_path_add_up(shop):
    for run in shop.pipelines.runs(limit=50):
        steps = shop.pipelines.steps(run.id)
        shape = shop.pipelines.run_shape(run.id, opened=["1"])
        assert sum(shape.counts.values()) == sum(sum(each.counts.values()) for each in shape.groups) == len(steps)
        ended = [step for step in steps if step.finished_at]
        if not ended:
            continue
        chain = shop.pipelines.critical_path(run.id)
        whole = (max(step.finished_at for step in ended) - min(step.started_at for step in steps)).total_seconds()
        assert 0 < sum(each.seconds for each in chain) <= whole + 1e-3
        assert [each.ended for each in chain] == sorted(each.ended for each in chain)
        assert chain[-1].id == max(ended, key=lambda step: (step.finished_at, step.id)).id


def test_a_failed_run_can_be_tried_again_and_one_that_goes_on_cannot(flows):
    def acts(path):
        return {each.attributes["data-act"] for each in flows.page(path).all("button") if "data-act" in each.attributes}

    assert acts(f"/flows/{flows.names['failed']}") == {"pipelines.retry", "pipelines.mark_run"}
    waiting = acts(f"/flows/{flows.names['record']}")
    assert waiting == {"pipelines.cancel", "pipelines.pause_run", "pipelines.mark_run"}
    step = acts(f"/flows/steps/{flows.names['failed_step']}")
    assert step == {"pipelines.retry", "pipelines.clear", "pipelines.mark_step"}
    every = {verb for path in ("schedules", "triggers", "backfills") for verb in acts(f"/flows/{path}")}
    for name in {*every, *waiting, *step}:
        assert hasattr(flows.client.pipelines, name.removeprefix("pipelines.")), name


def test_a_step_shows_what_it_got_gave_and_printed(flows):
    page = flows.page(f"/flows/steps/{flows.names['step']}")
    assert "list of 8" in card(page, "Arguments").text
    assert card(page, "Result").all("p")[0].text == "24"
    load = next(step for step in flows.client.pipelines.steps(flows.names["finished"]) if step.name == "load")
    page = flows.page(f"/flows/steps/{load.id}")
    assert [each.text for each in card(page, "Result").all("thead")[0].all("th")] == ["distance", "delay"]
    assert "the first 20 of 24 rows" in card(page, "Result").text
    assert "loaded" in card(page, "Log").text
    shows = card(page, "Card")
    assert "24 rows before 22" in shows.text
    assert "18 of 24" in shows.text
    assert [each.text for each in shows.all("thead")[0].all("th")] == ["column", "nulls"]
    assert not shows.all("b")[1:], "what a step writes is never markup"
    picture = flows.get(shows.all("img")[0].attributes["src"])
    assert picture.headers["content-type"].startswith("image/svg+xml")
    assert "sandbox" in picture.headers["content-security-policy"]
    assert flows.get(f"/flows/steps/{load.id}/card/0").status_code == 404, "a text is no file"
    failed = flows.page(f"/flows/steps/{flows.names['failed_step']}")
    assert "does not fit into memory" in failed.all("div", role="alert")[0].text


def test_values_are_shown_and_never_run(client):
    import numpy as np
    import polars as pl

    blobs = client.backend.store.blobs
    frame = shown(client, encode(pl.DataFrame({"a": range(30), "b": ["x"] * 30}), blobs))
    assert (frame.kind, frame.columns, len(frame.rows), frame.total) == ("table", ["a", "b"], 20, 30)
    assert shown(client, encode(np.arange(3), blobs)).text == "0, 1, 2"
    assert shown(client, encode({"auc": 0.9, "n": 3}, blobs)).rows == [["auc", "0.9"], ["n", "3"]]
    pickled = {"$": "bytes", "codec": "pickle", "size": 9, "data": "not even base64", "digest": "0" * 64}
    assert shown(client, pickled).text == "pickle, 9 bytes"
    gone = {"$": "bytes", "codec": "frame", "size": 9, "digest": "0" * 64}
    assert shown(client, gone).text == "frame, 9 bytes"


def test_the_form_of_an_answer_follows_its_schema():
    fields = {each.name: each for each in fields_of(schema_of(Order))}
    kinds = {name: each.kind for name, each in fields.items()}
    assert kinds == {
        "size": "choice",
        "count": "integer",
        "names": "lines",
        "boxes": "json",
        "gift": "bool",
        "note": "text",
    }
    assert [each.value for each in fields["size"].choices] == ['"large"', '"small"']
    assert fields["gift"].value == "false"
    assert not fields["note"].required
    whole = {"size": "small", "count": 2, "names": ["a"], "boxes": {}, "gift": False}
    assert not mismatch(schema_of(Order), whole)
    assert [(each.name, each.kind) for each in fields_of(schema_of(bool))] == [("", "bool")]
    assert [each.kind for each in fields_of({"$ref": "#/$defs/a", "$defs": {"a": {"$ref": "#/$defs/a"}}})] == ["json"]


def test_only_who_was_asked_gets_the_form(flows):
    page = flows.page("/flows/approvals")
    questions = {each.all("h3")[0].text: each for each in page.all("article")}
    assert questions["Release flight-delay@3 to production?"].all("form")
    assert "until" in questions["How is it released?"].text
    with acting_as(Caller(principal="ada", workspace="default", roles=frozenset({"approver", "viewer"}))):
        page = flows.page("/flows/approvals")
        late = next(each for each in page.all("article") if "March" in each.text)
        assert not late.all("form")
        assert "only grace" in late.text
        assert len(flows.page("/flows/approvals?mine=1").all("article")) == 2


def test_a_month_shows_what_fired_and_what_will(flows):
    page = flows.page("/flows/schedules")
    nightly = row(page, "nightly")
    assert "At 02:15 every day (Europe/Paris)" in nightly.text
    assert "Europe/Paris" in nightly.text
    assert "Resume" in row(page, "month-end").text
    answer = json.loads(flows.get("/flows/calendar.json?name=nightly&tz=Europe/Paris").content)
    days = [day for week in answer["weeks"] for day in week]
    assert len(days) % 7 == 0
    ahead = [mark for day in days for mark in day["marks"] if mark["marks"]["ahead"]]
    assert all(mark["marks"]["ahead"] == 1 and "at 02:15" in mark["text"] for mark in ahead)
    past = [mark["marks"]["past"] for day in days for mark in day["marks"] if mark["marks"]["past"]]
    assert sum(sum(each.values()) for each in past) == 1
    following = json.loads(flows.get("/flows/calendar.json?month=2031-02&tz=Europe/Paris").content)
    inside = [day for week in following["weeks"] for day in week if day["inside"]]
    assert len(inside) == 28
    assert [mark["marks"]["ahead"] for mark in inside[0]["marks"]] == [24, 1], "the hourly one and the nightly one"
    assert flows.get("/flows/calendar?month=never").status_code == 400
    assert flows.get("/flows/calendar?tz=Nowhere").status_code == 400


def test_a_trigger_is_a_tree_with_what_arrived(flows):
    tree = branches(all_of(on("a.b", "x"), on("c.d"), within=60))
    assert (tree.text, tree.detail, [each.text for each in tree.inside]) == (
        "all of",
        "within 1 min",
        ["a.b of x", "c.d"],
    )
    page = flows.page(f"/flows/{flows.names['triggered']}")
    (event,) = card(page, "Why it was started").all("li")
    assert "model.alias.set" in event.text
    assert event.all("a")[0].attributes["href"] == "/models/flight-delay@3"
    store = flows.client.backend.store
    with store.write("test.arrive") as tx:
        emit(tx, "model.alias.set", subject="model/delay", data={"alias": "champion"})
    flows.client.pipelines.tick()
    page = flows.page("/flows/triggers")
    arrived = [each for each in page.all("li") if each.text.startswith("model.alias.set of model/delay")]
    assert "arrived" in arrived[0].text
    assert "did not happen that" in row(page, "retrain-when-it-must").text


def test_a_backfill_is_shown_before_it_begins(flows):
    query = "schedule=nightly&first=2026-03-01T00:00&last=2026-03-04T23:59&preview=1"
    page = flows.page(f"/flows/backfills?{query}")
    assert [each.text for each in page.all("ol", class_="moments")[0].all("li")] == [
        "Sun 2026-03-01 02:15",
        "Mon 2026-03-02 02:15",
        "Tue 2026-03-03 02:15",
        "Wed 2026-03-04 02:15",
    ]
    start = next(each for each in page.all("button") if each.attributes.get("data-act") == "pipelines.backfill")
    values = json.loads(start.attributes["data-values"])
    made = flows.client.pipelines.backfill(**msgspec.convert(values, dict) | {"name": "from-the-form"})
    assert made.runs == 4
    wrong = flows.page("/flows/backfills?schedule=nightly&first=2026-03-04T00:00&last=2026-03-01T00:00&preview=1")
    assert "before it begins" in wrong.all("div", role="alert")[0].text
    items = flows.page(f"/flows/backfills?name={made.id}")
    assert len(card(items, "Moments").all("tbody")[0].all("tr")) == 4
    flows.client.pipelines.cancel_backfill(made.id)


def test_the_queue_tells_what_nobody_takes_and_who_is_lost(flows):
    page = flows.page("/flows/queue")
    assert "builder-1" in card(page, "Workers").text
    assert "daily" in card(page, "Workers").text
    assert not page.all("div", role="alert")
    flows.client.pipelines.set_limit("gpu", slots=2)
    assert row(flows.page("/flows/queue?limit=gpu"), "gpu")
    with turned(timedelta(hours=1)):
        page = flows.page("/flows/queue")
    assert "No worker takes flow" in page.all("div", role="alert")[0].text
    assert "lost" in row(card(page, "Workers"), "builder-1").text


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/flows/nothing", 404),
        ("/flows/of/nothing", 404),
        ("/flows/steps/nothing", 404),
        ("/flows/steps/{step}/card/99", 404),
        ("/flows/{wide}?after=999999999999", 400),
        ("/flows/{wide}?rows=99999999999999999999&open=1&shut=1&q=%25%5C_", 200),
        ("/flows/of/wide?before=zzz&rows=-1", 200),
        ("/flows/calendar?tz=../../etc/passwd", 400),
        ("/flows/calendar?month=9999-12", 400),
        ("/flows/backfills?preview=1&schedule=nightly&first=0001-01-01T00:00&last=9999-12-31T23:59", 200),
        ("/flows/backfills?preview=1&schedule=nightly&reprocess=zzz&parallel=x", 200),
        ("/flows/backfills?name=none", 404),
        ("/flows/deployments?flow=x&before=a&after=2", 400),
        ("/flows/triggers?name=%3Cscript%3E", 200),
    ],
)
def test_an_address_that_makes_no_sense_is_answered(flows, parsed, path, status):
    answer = flows.get(path.format(**flows.names))
    assert answer.status_code == status, answer.text[-500:]
    parsed(answer.text)
