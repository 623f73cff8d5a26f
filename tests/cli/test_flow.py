"""Flows on the command line: parameters as flags, a view while it runs, answers, and what people do to runs."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import threading
import time

import pytest

from mainspring.cli.flow_progress import Counts, Follower, shown
from mainspring.client.client import connect
from mainspring.pipelines.worker import Worker
from mainspring.pipelines.zygotes import engine_kept

_MODULE = '''
from __future__ import annotations
import datetime as dt
from typing import Literal
import mainspring as ms

@ms.step
def load(day: dt.date, rows: int) -> int:
    print(f"loaded {rows}")
    return rows

@ms.step
def scale(n: int, depth: int) -> int:
    if depth < 0:
        raise ValueError("too deep")
    return n * depth

@ms.flow
def nightly(
    day: dt.date = ms.fire_date(), rows: int = 3, depth: list[int] = [1, 2], kind: Literal["a", "b"] = "a",
    key: str = "", dry: bool = False,
) -> dict:
    """Scale every night.

    Args:
        rows: How many there are.
    """
    found = scale.map(load(day, rows), depth=depth)
    return {"day": day.isoformat(), "found": found, "kind": kind, "key": key, "dry": dry}

@ms.flow
def asks(words: list[str] = []) -> list:
    return [ms.ask("Publish?", assignees=["owner"]), ms.ask("Why?", str), *words]

if __name__ == "__main__":
    nightly.main()
'''


@pytest.fixture
def module(folder):
    """A module of flows in the working folder."""
    path = folder.parent / "work" / "nights.py"
    path.write_text(_MODULE)
    yield path
    sys.modules.pop("nights", None)


@pytest.fixture(autouse=True)
def quick_workers(monkeypatch):
    """A worker that has nothing to do says so at once, and its processes stay for the next."""
    monkeypatch.setattr("mainspring.pipelines.worker._LOOK_SECONDS", 0.03, raising=False)
    with engine_kept():
        yield


def work(folder):
    with connect(folder) as client:
        Worker(client, concurrency=2, lease=30).run(until_idle=True)


def test_parameters_are_flags(say, module):
    said = say(
        "flow", "run", "nights:nightly", "--day", "2026-11-20", "--depth", 3, "--depth", "4", "--kind", "b", "--dry"
    )
    assert said.json == {"day": "2026-11-20", "found": [9, 12], "kind": "b", "key": "", "dry": True}
    said_lines = said.err.replace("loaded 3\n", "").splitlines()
    lines = [re.sub(r"[0-9.]+ m?s$", "T", line.partition(" ")[2]) for line in said_lines]
    assert lines[0].startswith("nightly ")
    assert sorted(lines[1:-1]) == ["load finished T", "scale[0] finished T", "scale[1] finished T"]
    assert lines[-1] == "nightly finished T"
    shown_help = say("flow", "start", "nights:nightly", "--help").out
    assert "Scale every night." in shown_help
    for line in (
        r"--day DATE",
        r"--rows INTEGER +How many there are.  \[default: 3\]",
        r"--dry / --no-dry",
        "--kind a|b",
    ):
        assert re.search(line.replace("|", r"\|") if "kind" in line else line, shown_help), line
    assert "--depth" not in say("flow", "start", "--help").out
    parameters = module.with_name("tonight.json")
    parameters.write_text('{"rows": 5, "depth": [1], "day": "2026-01-01"}')
    document = f"@{parameters}"
    given = say("flow", "run", "nights:nightly", "--params", document, "--rows", 6, "-p", "key=7 days", "--quiet")
    assert (given.json["found"], given.json["key"], given.json["day"]) == ([6], "7 days", "2026-01-01")
    assert given.err == "loaded 6\n"  # what is printed is no data
    for wrong in (["--day", "nope"], ["--params", "[1]"], ["--params", "@nothing"], ["-p", "rows"], ["-p", "none=1"]):
        refused = say("flow", "run", "nights:nightly", *wrong)
        assert (refused.code, "MS-1001" in refused.err) == (2, True), refused.err
    assert say("flow", "run", "nights:nightly", "--none", "1").code == 2
    failed = say("flow", "run", "nights:nightly", "--depth", "[-1]", "--quiet")
    assert (failed.code, "too deep" in failed.err) == (1, True)
    (run_id, *_), *_ = say("flow", "list", "--state", "failed").rows
    scale = say("flow", "show", run_id, "--json").json["steps"][1]
    assert say("flow", "mark", scale["id"], "--output", "5").code == 0
    assert say("flow", "run", "nights:nightly", "--resume", run_id, "--quiet").json["found"] == [5]


def test_a_script_is_the_same_command(module, folder):
    done = subprocess.run(
        [sys.executable, str(module), "--rows", "5", "--day", "2026-11-20"], capture_output=True, text=True, check=True
    )
    assert json.loads(done.stdout)["found"] == [5, 10]
    assert "scale[1] finished" in done.stderr


def test_questions_are_listed_and_answered(say, module, folder):
    run_id = say("flow", "start", "nights:asks", "--words", "a", "--words", "b").out.strip()
    work(folder)
    (row,) = say("flow", "waits", "--kind", "ask", "--assignee", "owner").rows
    assert row[1:4] == ["asks", "Publish?", "owner"]
    assert say("flow", "answer", row[0], "perhaps").code == 2
    assert say("flow", "answer", row[0], "yes").out.strip() == "Publish? true"
    work(folder)
    (wait,) = say("flow", "waits", "--run", run_id, "--json").json
    assert say("flow", "answer", wait["id"], "because it is better", "--json").json["answer"] == "because it is better"
    work(folder)
    found = say("flow", "show", run_id, "--json").json["run"]
    assert (found["state"], found["result"]) == ("finished", [True, "because it is better", "a", "b"])
    assert say("flow", "waits").rows == []
    assert len(say("flow", "waits", "--all").rows) == 2
    assert say("flow", "answer", wait["id"], "again").code == 4


def test_runs_are_steered(say, module, folder):
    run_id = say("flow", "start", "nights:nightly", "--depth", "-1").out.strip()
    assert say("flow", "pause", run_id).out.strip() == "paused"
    assert say("flow", "resume", run_id, "--json").json["state"] == "queued"
    work(folder)
    steps = say("flow", "show", run_id, "--json").json["steps"]
    assert [(each["name"], each["state"]) for each in steps] == [("load", "finished"), ("scale", "failed")]
    assert say("flow", "why", steps[0]["id"]).out.startswith("load(")
    assert say("flow", "start", "nights:nightly", "--day", "2026-11-19", "--rows", "4", "--depth", "-1").code == 0
    work(folder)
    other = say("flow", "show", say("flow", "list", "--json").json[0]["id"], "--json").json["steps"]
    for words in (("flow", "why", other[0]["id"]), ("why", f"step/{other[0]['id']}")):
        told = say(*words).out
        assert "input: rows" in told
        assert {len(each) for each in re.findall(r"\b[0-9a-f]{12,}\b", told.partition("input:")[2])} == {12}
    assert say("flow", "logs", steps[0]["id"], "--follow").out == "loaded 3\n"
    assert "scale at 1: finished" in say("flow", "mark", steps[1]["id"], "--output", "77").out
    assert say("flow", "retry", run_id).out.strip() == "queued"
    work(folder)
    assert say("flow", "show", run_id, "--json").json["run"]["result"]["found"] == [77]
    assert say("flow", "clear", run_id, "1", "--json").json["state"] == "queued"
    work(folder)
    assert say("flow", "show", run_id).out.count("too deep") == 2  # of the run and of the step
    assert say("flow", "mark", run_id, "--state", "finished", "--reason", "good enough").out.strip() == "finished"
    other = say("flow", "start", "nights:nightly").out.strip()
    assert say("flow", "cancel", "--flow", "nightly").rows == [[other, "cancelled"]]
    assert say("flow", "retry", other, "--from", "0").code == 3
    for wrong in (["cancel"], ["cancel", run_id, "--flow", "x"], ["mark", run_id], ["retry"]):
        assert say("flow", *wrong).code == 2


def test_a_follower_reads_what_changed_and_counts_it(module, folder, monkeypatch, capsys):
    monkeypatch.syspath_prepend(str(module.parent))
    import nights

    class Terminal:
        def __init__(self, inner):
            self._inner = inner

        def isatty(self):
            return True

        def __getattr__(self, name):
            return getattr(self._inner, name)

    with connect(folder) as client:
        nights.nightly.run(client)
        (run,) = client.pipelines.runs()
        follower, counts = Follower(client, run.id), Counts()
        counts.take(follower.changes())
        assert counts.steps == {"load": {"finished": 1}, "scale": {"finished": 2}}
        assert follower.changes() == []
        monkeypatch.setattr(sys, "stderr", Terminal(sys.stderr))
        thread = threading.Thread(target=lambda: nights.asks.run(client))
        with shown(client) as began:
            thread.start()
            while not (waits := client.pipelines.waits()):
                time.sleep(0.01)
            began(client.pipelines.get(waits[0].run_id))
            time.sleep(0.3)
            client.pipelines.answer(waits[0].id, True)
            while not (second := [each for each in client.pipelines.waits() if each.id != waits[0].id]):
                time.sleep(0.01)
            client.pipelines.answer(second[0].id, "so")
            thread.join()
        said = capsys.readouterr().err
    assert f"mainspring flow answer {waits[0].id}" in said.replace("\n", "")
    assert "asks finished" in said
