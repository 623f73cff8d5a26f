"""Checking data from a shell: what is said, and the exit code."""

from __future__ import annotations

from datetime import UTC, datetime

import polars as pl
import pytest

from mainspring.quality import expect

pytestmark = pytest.mark.databases("sqlite")

GOOD = pl.DataFrame({"id": [1, 2, 3], "delay": [5.0, -3.0, 12.0]})
BAD = GOOD.with_columns(delay=pl.Series([5000.0, -3000.0, 12.0]))


@pytest.fixture
def flights(say, folder):
    from mainspring.client.client import connect

    with connect(folder) as client:
        client.data.commit("flights", GOOD)
        client.quality.save_suite(expect("flights").column("delay").between(-120, 1440).column("id").unique().suite)
    return say


def test_a_version_or_a_file_is_checked(flights, tmp_path):
    passed = flights("check", "flights")
    assert (passed.code, passed.out.splitlines()[0]) == (0, "flights: passed (2 of 2 passed, 3 rows)")
    BAD.write_parquet(tmp_path / "bad.parquet")
    failed = flights("check", tmp_path / "bad.parquet", "flights", "--html", tmp_path / "r.html", "--json")
    assert (failed.code, failed.json["verdict"]) == (1, "failed")
    assert "<html" in (tmp_path / "r.html").read_text()
    assert flights("check", "nothing", "flights").code == 3
    assert "is a file" in flights("check", tmp_path / "bad.parquet").err
    assert flights("contract", "set", "other", "flights").code == 0
    assert "no dataset" in flights("check", "other").err


def test_a_contract_is_set_shown_kept_and_removed(flights, tmp_path):
    assert flights("contract", "set", "flights", "flights", "--note", "agreed").code == 0
    assert flights("contract", "list").rows[0][:3] == ["flights", "suite/flights@1", "2"]
    BAD.write_parquet(tmp_path / "bad.parquet")
    refused = flights("data", "commit", "flights", tmp_path / "bad.parquet")
    assert refused.code == 1
    assert "fails suite 'flights' in 1 critical expectation" in refused.err
    assert flights("contract", "show", "flights", "--json").json["note"] == "agreed"
    assert flights("contract", "remove", "flights").code == 0
    assert flights("data", "commit", "flights", tmp_path / "bad.parquet").code == 0
    assert flights("contract", "show", "flights").code == 3


def test_a_checkpoint_is_saved_run_and_removed(flights, tmp_path):
    (tmp_path / "c.json").write_text(
        '{"name": "nightly", "targets": [{"dataset": "flights", "suite": "flights"}],'
        ' "actions": [{"action": "set-alias", "alias": "good"}, {"action": "refuse"}]}'
    )
    assert flights("checkpoint", "save", tmp_path / "c.json").code == 0
    ran = flights("checkpoint", "run", "nightly")
    assert (ran.code, ran.rows[0][:3]) == (0, ["passed", "dataset/flights@1", "flights"])
    assert "set-alias: done" in ran.err
    assert flights("checkpoint", "list").rows[0][3] == "passed"
    assert len(flights("checkpoint", "runs", "nightly").rows) == 1
    BAD.write_parquet(tmp_path / "bad.parquet")
    flights("data", "commit", "flights", tmp_path / "bad.parquet")
    refused = flights("checkpoint", "run", "nightly")
    assert (refused.code, "dataset/flights@2 fails flights" in refused.err) == (1, True)
    assert "values of delay are expected to be at least -120 and at most 1440: 2 of 3 rows" in refused.err
    assert flights("checkpoint", "remove", "nightly").code == 0
    (tmp_path / "c.json").write_text('{"name": "x"}')
    assert flights("checkpoint", "save", tmp_path / "c.json").code == 2


def test_profile_drift_quarantine_and_anomaly(flights, tmp_path):
    assert [row[0] for row in flights("profile", "flights").rows] == ["id", "delay"]
    BAD.write_parquet(tmp_path / "bad.parquet")
    flights("data", "commit", "flights", tmp_path / "bad.parquet")
    assert flights("drift", "flights@1", "flights@1").code == 0
    divided = flights("quarantine", "flights@2", "flights", "--json").json
    assert (divided["rows"], divided["clean"]["rows"], divided["quarantined"]["name"]) == (2, 1, "flights-quarantine")
    judged = flights("anomaly", "flights", "--metric", "row_count")
    assert (judged.code, judged.out.split("\t")[0], "too few to judge by" in judged.out) == (0, "not judged", True)


def test_drift_by_the_rules_of_evidently_and_by_a_named_test(flights, tmp_path):
    many = pl.DataFrame({"delay": [float(k % 40) for k in range(600)], "carrier": ["AA", "UA", "DL"] * 200})
    many.write_parquet(tmp_path / "old.parquet")
    many.with_columns(delay=pl.col("delay") * 1.5).write_parquet(tmp_path / "new.parquet")
    files = (tmp_path / "old.parquet", tmp_path / "new.parquet")
    theirs = flights("drift", *files, "--rules", "evidently", "--json").json
    assert {each["column"]: (each["method"], each["verdict"]) for each in theirs["columns"]} == {
        "delay": ("ks", "drift"),
        "carrier": ("chisquare", "ok"),
    }
    named = flights("drift", *files, "--test", "delay=wasserstein", "--column", "delay")
    assert (named.code, "wasserstein" in named.out, "carrier" in named.out) == (1, True, False)
    assert flights("drift", *files, "--test", "wasserstein").code == 2
    assert "no limits named" in flights("drift", *files, "--limits", "strange").err
    few = flights("drift", "flights@1", "flights@1", "--column", "delay")
    assert few.rows[-1][:4] == ["insufficient data", "delay", "", ""]


def test_a_profile_speaks_in_the_terms_of_its_columns(flights, tmp_path):
    pl.DataFrame({"at": [datetime(2013, 1, 1, tzinfo=UTC)], "name": ["abcd"], "id": [12345678]}).write_parquet(
        tmp_path / "one.parquet"
    )
    rows = flights("profile", tmp_path / "one.parquet").rows
    assert [row[4] for row in rows] == ["2013-01-01T00:00:00+00:00", "4 long", "12345678"]


def test_suites_are_inferred_and_updated_from_files(flights, tmp_path):
    BAD.write_parquet(tmp_path / "bad.parquet")
    assert flights("suite", "infer", tmp_path / "bad.parquet", "--json").json["name"] == "bad"
    assert "loosen" in flights("suite", "update", "flights", tmp_path / "bad.parquet").out


def test_a_suite_is_loaded_exported_and_updated_line_by_line(flights, tmp_path):
    exported = flights("suite", "export", "flights", "--format", "json")
    (tmp_path / "s.json").write_text(exported.out)
    assert (
        "saved as suite/copy@1: 2 expectations" in flights("suite", "load", tmp_path / "s.json", "--name", "copy").err
    )
    BAD.write_parquet(tmp_path / "bad.parquet")
    flights("data", "commit", "flights", tmp_path / "bad.parquet")
    shown = flights("suite", "update", "flights", "flights@2")
    assert shown.out.startswith("@@ 0: loosen (")
    assert [line[0] for line in shown.out.splitlines()] == ["@", "-", "+"]
    assert flights("suite", "list").rows[1][:2] == ["flights", "1"]
    assert "saved as suite/flights@2" in flights("suite", "update", "flights", "flights@2", "--accept", "0").err
    assert flights("check", "flights@2").code == 0
    assert flights("suite", "update", "flights", "flights@2", "--accept", "x").code == 2
    assert flights("suite", "load", tmp_path / "bad.parquet").code == 2
