"""What starts flows, on the command line: schedules, triggers, deployments, backfills."""

from __future__ import annotations

import sys

import pytest

from mainspring.client.client import connect

_MODULE = """
import mainspring as ms

@ms.flow(schedule="15 2 * * 1-5", tz="Europe/Paris", trigger=ms.on("dataset.version.created", "dataset/flights@*"))
def nightly(n: int = 1) -> int:
    return n

@ms.flow
def plain(n: int) -> int:
    return n
"""


@pytest.fixture(autouse=True)
def module(folder):
    (folder.parent / "work" / "starts_of_flows.py").write_text(_MODULE)
    yield
    sys.modules.pop("starts_of_flows", None)


def test_a_module_is_deployed_with_what_its_decorators_say(say):
    said = say("flow", "deploy", "starts_of_flows")
    assert [line.partition(":")[0] for line in said.out.splitlines()] == ["nightly@1", "plain@1"]
    assert said.out.splitlines()[0].endswith("schedule/nightly · trigger/nightly")
    assert say("flow", "schedule", "list").rows[0][:4] == ["nightly", "nightly", "15 2 * * 1-5", "Europe/Paris"]
    assert say("flow", "trigger", "list").rows[0][2] == "dataset.version.created of dataset/flights@*"
    assert say("flow", "deploy", "starts_of_flows", "--schedule", "@daily").code == 2  # of which flow?
    assert say("flow", "deploy", "nothing_here").code == 2
    assert say("flow", "deployment", "start", "plain", "-p", "n=3", "--json").json["params"] == {"n": 3}
    (first,) = say("flow", "deployment", "list", "--flow", "plain", "--json").json
    assert (first["version"], first["active"]) == (1, True)
    assert say("flow", "deployment", "activate", "plain", 1).out == "plain@1 is active\n"
    assert say("flow", "deployment", "activate", "plain", 2).code != 0
    assert say("flow", "deployment", "diff", "plain", 1, 1).out == "nothing differs\n"


def test_a_schedule_is_explained_started_and_looked_back_at(say):
    words = ("--cron", "15 2 * * 1-5", "--tz", "Europe/Paris")
    explained = say("flow", "schedule", "explain", *words, "-n", 2, "--after", "2026-03-27").out.splitlines()
    assert explained[0] == "At 02:15 on Monday through Friday (Europe/Paris)"
    assert explained[1:] == ["  Fri 2026-03-27 02:15:00 CET", "  Mon 2026-03-30 02:15:00 CEST"]
    assert say("flow", "schedule", "calendar", "holidays", "2030-12-25").out.startswith("holidays: 1 days")
    added = say(
        "flow",
        "schedule",
        "add",
        "s",
        "starts_of_flows:nightly",
        *words,
        "--exclude",
        "holidays",
        "--start",
        "2030-12-24",
    )
    assert added.code == 0, added.err
    assert say("flow", "schedule", "next", "s", "-n", 2).out.splitlines() == [
        "Tue 2030-12-24 01:15:00Z",
        "Thu 2030-12-26 01:15:00Z",
    ]
    run = say("flow", "schedule", "now", "s").out.strip()
    assert say("flow", "schedule", "history", "--name", "s").rows[0][3] == run
    assert say("flow", "schedule", "calendar", "holidays", "--remove").code != 0  # it is in use


def test_a_backfill_is_planned_begun_and_cancelled(say, folder):
    words = ("starts_of_flows:nightly", "2026-01-01", "2026-01-05", "--cron", "0 3 * * *")
    plan = say("flow", "backfill", "start", *words, "--plan").out.splitlines()
    assert plan[0].endswith("4 runs, 0 moments have one")
    assert say("flow", "list", "--json").json == []
    assert say("flow", "backfill", "start", *words, "--name", "b", "--parallel", 2).code == 0
    with connect(folder) as client:
        client.pipelines.tick()
    assert say("flow", "backfill", "list").rows[0][:5] == ["b", "nightly", "running", "2", "2"]
    assert say("flow", "backfill", "pause", "b").out == "paused\n"
    assert say("flow", "backfill", "cancel", "b").out == "cancelled\n"
    assert say("flow", "backfill", "show", "b", "--json").json["cancelled"] == 2


def test_what_is_listened_to(say, folder):
    words = ("--on", "a.b", "--where", "x=1", "-p", "n=$event.data.n")
    added = say("flow", "trigger", "add", "t", "starts_of_flows:plain", *words)
    assert added.out == "t starts plain when a.b of *, x == 1\n"
    absent = '{"is": "absent", "of": {"is": "on", "kind": "a.b"}, "within": 60}'
    assert say("flow", "trigger", "add", "u", "starts_of_flows:nightly", "--condition", absent).code == 0
    assert say("flow", "trigger", "add", "u", "starts_of_flows:nightly", "--condition", "{").code == 2
    secret = say("flow", "trigger", "hook", "github").out
    assert secret.startswith("POST /hooks/default/github\nsecret, shown once: whsec_")
    assert say("flow", "trigger", "hook").rows[0][:2] == ["github", "/hooks/default/github"]
    assert say("flow", "trigger", "source", "in", "in/*.csv").code == 0
    assert say("flow", "trigger", "source", "q", "redis://h", "--topic", "t", "-o", "beginning=true").code == 0
    assert [row[:2] for row in say("flow", "trigger", "source").rows] == [["in", "file"], ["q", "redis"]]
    assert say("flow", "trigger", "source", "q", "http://h").code == 2
    assert say("flow", "trigger", "source", "q", "--remove").code == 0
    from mainspring.events.outbox import emit

    with connect(folder) as client:
        with client.backend.store.write("test") as tx:
            emit(tx, "a.b", subject="s", data={"x": 1, "n": 5})
        client.pipelines.tick()
        (run,) = client.pipelines.runs()
    why = say("flow", "trigger", "why", run.id)
    assert why.out.splitlines()[0] == "t: a.b of *, x == 1"
    assert say("flow", "trigger", "pause", "t").out == "paused\n"
    assert say("flow", "trigger", "remove", "t").code == 0
