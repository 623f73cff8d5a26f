"""Every command on a full store: it shows what the services say, as a table and as JSON."""

from __future__ import annotations

import json

import polars as pl
import pytest

from mainspring.client.client import connect
from mainspring.pipelines import flow, step

READING = [
    "data list",
    "data log flights",
    "data show flights@1",
    "data diff flights@1 flights@2 --depth schema",
    "suite list",
    "suite show flights",
    "run list",
    "run list --status failed --experiment flight-delay",
    "run list --kind step",
    "run list metrics.auc>0 --order=-metrics.auc --columns run,metrics.auc",
    "run show {trained}",
    "run compare {trained}",
    "experiment list",
    "experiment show flight-delay",
    "model list",
    "model versions flight-delay",
    "model show flight-delay@champion",
    "flow list",
    "flow list --state failed",
    "flow show {failed_flow}",
    "endpoint list",
    "endpoint show flight-delay",
    "endpoint predictions flight-delay --limit 5",
    "endpoint rollout list",
    "alert list",
    "loop list",
    "loop show flight-delay",
    "why dataset/flights@2",
    "why model/flight-delay@champion",
    "why prediction/{prediction}",
    "why step/{failed_step}",
    "impact dataset/flights@2",
    "audit list",
]


def test_every_reading_command_prints_a_table_and_json(say, names):
    for line in READING:
        words = line.format(**names).split()
        plain, as_json = say(*words), say(*words, "--json")
        assert plain.code == 0, (line, plain.err)
        assert plain.out.strip(), line
        assert as_json.json not in (None, [], {}), line
        assert "\x1b" not in plain.out, "colours are for terminals"


def test_json_is_the_records_of_the_services(say, names, folder):
    with connect(folder) as client:
        assert [each["id"] for each in say("data", "list", "--json").json] == [
            each.id for each in client.data.datasets()
        ]
        assert say("endpoint", "show", "flight-delay", "--json").json["endpoint"]["plan"]["mode"] == (
            client.serving.endpoint("flight-delay").plan.mode
        )
        assert [each["id"] for each in say("alert", "list", "--json").json] == [
            each.id for each in client.monitoring.alerts()
        ]


def test_a_prediction_is_explained_from_its_inputs_to_its_data(say, names, folder):
    plain = say("why", f"prediction/{names['prediction']}").out
    with connect(folder) as client:
        found = client.serving.prediction(names["prediction"])
    assert found.model in plain
    assert f"hour={found.inputs['hour']:.6g}" in plain
    assert "label" in plain
    assert "deployment flight-delay" in plain
    assert "dataset/flights@2" in plain
    both = say("why", f"prediction/{names['prediction']}", "--json").json
    assert both["prediction"]["id"] == names["prediction"]
    assert {"predictions", "model", "approval", "dataset"} <= {node["kind"] for node in both["graph"]["nodes"]}


def test_a_step_says_why_it_ran(say, names):
    plain = say("why", f"step/{names['failed_step']}")
    assert "publish" in plain.out
    assert "first run" in plain.out
    assert say("impact", f"step/{names['failed_step']}").code == 0


def test_the_bare_command_shows_what_matters_now(say, names, folder):
    with connect(folder) as client:
        firing = client.monitoring.alerts(state="firing")
    plain = say().out
    assert "dataset" in plain
    assert "latest runs" in plain
    assert ("firing alerts" in plain) == bool(firing)
    if firing:
        assert f"mainspring alert show {firing[0].id}" in plain
    assert "mainspring model list" in plain


def test_the_bare_command_where_there_is_no_store(say, folder):
    said = say()
    assert "There is no store yet" in said.out
    assert not folder.exists(), "looking makes nothing"


def test_an_alert_is_acknowledged_and_resolved(say, names, folder):
    with connect(folder) as client:
        (alert, *_) = client.monitoring.alerts()
    assert say("alert", "show", alert.id).out.count(alert.title) == 1
    assert say("alert", "ack", alert.id).code == 0
    assert say("alert", "resolve", alert.id, "--reason", "a holiday").code == 0
    found = say("alert", "show", alert.id, "--json").json
    assert found["acknowledged_by"] == "owner"
    assert found["resolved_at"] is not None


def test_models_are_approved_aliased_and_downloaded(say, names, folder):
    assert say("model", "alias", "flight-delay", "shadow", 1).code == 0
    assert "shadow" in say("model", "show", "flight-delay@1").out
    assert say("model", "alias", "flight-delay", "shadow", 0).code == 0
    assert say("model", "show", "flight-delay@shadow").code == 3
    assert say("model", "approve", "flight-delay@2", "-m", "again", "--json").json["comment"] == "again"
    assert say("model", "download", "flight-delay@2", "here").code == 0
    assert json.loads((folder.parent / "work" / "here" / "manifest.json").read_text())["format"]


def test_an_endpoint_gets_a_challenger_and_loses_it(say, names):
    running = [each for each in say("endpoint", "rollout", "list", "--json").json if each["status"] == "running"]
    if running:
        assert say("endpoint", "rollout", "rollback", "flight-delay").code == 0
    champion = say("endpoint", "show", "flight-delay", "--json").json["endpoint"]["plan"]["champion"]["version"]
    other = f"flight-delay@{3 - champion}"
    begun = say("endpoint", "rollout", "start", "flight-delay", other, "--mode", "canary", "--step", 0.2, "--json").json
    assert begun["status"] == "running"
    assert "canary 20%" in say("endpoint", "list").out
    looked = say("endpoint", "rollout", "evaluate", "flight-delay", "--dry-run", "--json")
    # What other tests of this store logged counts as evidence: there may be enough of it already.
    assert looked.json["decision"]["verdict"] in ("continue", "promote")
    assert say("endpoint", "deploy", "flight-delay", other).code == 4, "not while a rollout runs"
    assert say("endpoint", "rollout", "promote", "flight-delay").out.startswith(f"model/{other}")
    assert say("endpoint", "deploy", "second", other, "--json").json["name"] == "second"


def test_a_loop_is_stopped(say, names):
    assert say("loop", "stop", "flight-delay", "--reason", "freeze").code == 0
    assert say("loop", "show", "flight-delay", "--json").json["policy"]["enabled"] is False


def test_a_flow_is_retried_only_when_it_may_be(say, names):
    assert "publish" in say("flow", "show", names["failed_flow"]).out
    assert say("flow", "retry", names["flow"]).code == 4
    assert say("flow", "cancel", names["flow"]).out.strip() == "finished"
    steps = say("flow", "show", names["flow"], "--json").json["steps"]
    cleaned = next(each for each in steps if each["name"] == "clean")
    assert say("run", "logs", cleaned["id"]).out.startswith("kept")
    assert say("flow", "logs", cleaned["id"]).out.startswith("kept")


@step
def double(n: int) -> int:
    return 2 * n


@flow
def doubling(n: int, label: str = "") -> int:
    return double(n)


def _module(folder):
    folder.joinpath("doublings.py").write_text(
        "import mainspring as ms\n\n\n@ms.step\ndef double(n: int) -> int:\n    return 2 * n\n\n\n"
        "@ms.flow\ndef doubling(n: int, label: str = '') -> int:\n    return double(n)\n\n\nother = 3\n"
    )


def test_a_flow_is_started_here_and_for_a_worker(say, folder):
    _module(folder.parent / "work")
    assert say("flow", "run", "doublings:doubling", "-p", "n=4").json == 8
    queued = say("flow", "start", "doublings:doubling", "-p", "n=5", "-p", "label=7 days", "--key", "a")
    again = say("flow", "start", "doublings:doubling", "-p", "n=5", "--key", "a")
    assert queued.out == again.out, "one key, one run"
    found = say("flow", "show", queued.out.strip(), "--json").json["run"]
    assert (found["state"], found["flow"]) == ("queued", "doubling")
    assert say("flow", "cancel", found["id"]).out.strip() == "cancelled"
    for wrong in ("doublings", "doublings:none", "nothing_here:doubling", "doublings:other"):
        said = say("flow", "start", wrong)
        assert (said.code, "MS-1001" in said.err) == (2, True), said.err
    assert say("flow", "start", "doublings:doubling", "-p", "n").code == 2
    assert say("flow", "start", "doublings:doubling", "-p", "m=1").code == 2


def test_a_schedule_is_added_paused_and_removed(say, folder):
    _module(folder.parent / "work")
    made = say("flow", "schedule", "add", "often", "doublings:doubling", "--every", 60, "-p", "n=1")
    assert made.code == 0, made.err
    assert say("flow", "schedule", "list").rows[0][:3] == ["often", "doubling", "every 60 s"]
    assert say("flow", "schedule", "pause", "often").out.strip() == "paused"
    assert say("flow", "schedule", "pause", "often", "--resume").code == 0
    assert say("flow", "schedule", "remove", "often").code == 0
    assert say("flow", "schedule", "list", "--json").json == []
    assert say("flow", "schedule", "add", "odd", "doublings:doubling", "--cron", "61 * * * *").code == 2


def test_data_from_commit_to_check(say, folder):
    work = folder.parent / "work"
    pl.DataFrame({"id": [1, 2, 3], "delay": [5, 7, 9]}).write_parquet(work / "a.parquet")
    pl.DataFrame({"id": [1, 2, 4], "delay": [5, 8, -900]}).write_parquet(work / "b.parquet")
    made = say("data", "commit", "flights", "a.parquet", "-m", "January", "--json").json
    assert (made["version"], made["rows"], made["message"]) == (1, 3, "January")
    assert "3 rows" in say("data", "commit", "flights", "b.parquet", "--uses", "flights@1").out
    assert [row[0] for row in say("data", "log", "flights").rows] == ["2", "1"]
    assert say("data", "diff", "flights@1", "flights@2", "--key", "id", "--json").json["rows"]["changed"] == 1
    assert "1 added, 1 removed, 1 changed" in say("data", "diff", "flights@1", "flights@2", "--key", "id").out
    assert "same content" in say("data", "diff", "flights@1", "flights@1").out
    assert say("data", "alias", "flights", "clean", 1, "--json").json == {"clean": 1}
    assert say("data", "checkout", "flights@clean", "out", "--json").json["written"] == 1
    assert (work / "out" / "a.parquet").read_bytes() == (work / "a.parquet").read_bytes()
    (work / "out" / "a.parquet").write_bytes(b"mine")
    assert say("data", "checkout", "flights@clean", "out").code == 4
    assert (work / "out" / "a.parquet").read_bytes() == b"mine"
    assert say("data", "get", "flights@1", "a.parquet", "-o", "copy").code == 0
    assert (work / "copy").read_bytes() == (work / "a.parquet").read_bytes()
    assert say("data", "alias", "flights", "clean", 0, "--json").json == {}
    assert say("suite", "infer", "dataset/flights@1", "--save").code == 0
    assert say("data", "check", "flights@1", "--suite", "flights").code == 0


def test_a_check_that_fails_is_exit_code_1_with_its_page(say, folder):
    work = folder.parent / "work"
    (work / "a.csv").write_text("id,delay\n1,5\n2,-900\n")
    say("data", "commit", "flights", "a.csv")
    with connect(folder) as client:
        from mainspring.quality.suite import expect

        client.quality.save_suite(expect("flights").column("delay").between(-100, 1000).suite)
    said = say("data", "check", "flights", "--suite", "flights", "--html", "report.html")
    assert said.code == 1
    assert "failed" in said.out
    assert "<html" in (work / "report.html").read_text()
    report = say("data", "check", "flights", "--suite", "flights", "--no-record", "--json")
    assert (report.code, report.json["verdict"]) == (1, "failed")
    with connect(folder) as client:
        assert len(client.quality.reports()) == 1


@pytest.mark.databases("sqlite")
def test_a_server_answers_the_same(say, server_url, tmp_path):
    (tmp_path / "work" / "a.csv").write_text("n\n1\n")
    assert say("data", "commit", "n", "a.csv", "--url", server_url).code == 0
    assert say("data", "list", "--url", server_url, "--json").json[0]["name"] == "n"
    assert say("why", "dataset/n@1", "--url", server_url).code == 0
