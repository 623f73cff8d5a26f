"""Evaluating a table of predictions from a shell: what is said, what is kept, and the exit code."""

from __future__ import annotations

import polars as pl
import pytest

np = pytest.importorskip("numpy")

pytestmark = pytest.mark.databases("sqlite")


@pytest.fixture
def table(tmp_path):
    random = np.random.default_rng(1)
    labels = (random.random(800) < 0.4).astype(int)
    score = np.clip(0.4 + 0.3 * (labels - 0.4) + 0.1 * random.normal(size=800), 0.01, 0.99)
    frame = pl.DataFrame({"late": labels, "p": score, "old": random.random(800), "kind": ["a", "b"] * 400})
    frame.write_parquet(tmp_path / "predictions.parquet")
    return tmp_path / "predictions.parquet"


def test_a_file_is_evaluated_and_the_gate_makes_the_exit_code(say, table, tmp_path):
    said = say(
        "evaluate", table, "--label", "late", "--score", "p", "--champion", "old", "--slice", "kind", "--search",
        "--sensitive", "kind", "--at-least", "auc=0.7", "--html", tmp_path / "r.html",
    )  # fmt: skip
    assert said.code == 0, said.err
    assert "gate command line: passed" in said.out
    assert "the candidate is better" in said.out
    assert "demographic_parity_difference" in said.out
    assert "<svg" in (tmp_path / "r.html").read_text()
    failed = say("evaluate", table, "--label", "late", "--score", "p", "--at-most", "log_loss=0.01", "--json")
    assert failed.code == 1
    assert failed.json["decision"]["verdict"] == "failed"


def test_a_kept_report_is_shown_again(say, table, folder):
    from mainspring.client.client import connect

    connect(folder).close()
    kept = say("evaluate", table, "--label", "late", "--score", "p", "--name", "delay", "--json")
    assert kept.code == 0, kept.err
    assert kept.json["ref"] == "report/evaluation/delay@1"
    again = say("evaluate", "report/evaluation/delay@1")
    assert again.code == 0
    assert "binary evaluation" in again.out


def test_what_cannot_be_evaluated_is_told(say, table):
    assert "no column 'p2'" in say("evaluate", table, "--label", "late", "--score", "p2").err
    wrong = say("evaluate", table, "--label", "late", "--score", "p", "--at-least", "auc")
    assert wrong.code == 2
    assert "auc=0.7" in wrong.err
    assert say("evaluate", table, "--task", "ranking", "--label", "late", "--score", "p").code == 2
