"""Reports: one page without requests, a text, and all of it back from the store."""

from __future__ import annotations

import re

import polars as pl
import pytest

from mainspring.kernel.errors import InvalidInput
from mainspring.quality.evaluation import (
    Condition,
    Costs,
    Gate,
    accumulated_local_effects,
    choose_threshold,
    evaluate_binary,
    evaluate_forecast,
    evaluate_multiclass,
    evaluate_quantiles,
    evaluate_ranking,
    evaluate_regression,
    evaluate_robustness,
    partial_dependence,
)
from mainspring.quality.evaluation.explanation import Explanation
from mainspring.quality.evaluation.report import EvaluationReport
from mainspring.quality.evaluation.types import Importance

np = pytest.importorskip("numpy")


def rows(size=1500):
    random = np.random.default_rng(1)
    frame = pl.DataFrame({"kind": random.choice(["<b>red", "green"], size), "x": random.normal(size=size)})
    labels = (random.random(size) < predict(frame)).astype(int)
    return frame, labels


def predict(frame):
    x = frame["x"].fill_null(0.0).to_numpy()
    return 1 / (1 + np.exp(-1.2 * x - (frame["kind"] == "green").fill_null(value=False).to_numpy()))


def whole(client):
    frame, labels = rows()
    scores = predict(frame)
    return client.quality.evaluate(
        "toy", labels, scores, champion=np.clip(scores + 0.1, 0, 1), frame=frame, slices=["kind"], search=True,
        sensitive=frame.select("kind"), replicates=100, weights=None,
        gate=Gate(name="ready", conditions=tuple(Condition(metric="auc", at_least=each) for each in (0.6, 0.99))),
        parts={
            "robustness": evaluate_robustness(predict, frame, labels, rows=500),
            "effects": [
                partial_dependence(predict, frame, "x"),
                partial_dependence(predict, frame, "kind"),
                accumulated_local_effects(predict, frame, "x"),
            ],
            "threshold": choose_threshold(labels, scores, costs=Costs(false_negative=3.0)),
            "explanation": Explanation(
                method="tree", features=("x", "kind"), base=0.1, rows=2,
                importances=(Importance("x", 0.5, 0.1), Importance("kind", 0.25)),
                values=((0.5, -0.25), (-0.5, 0.25)), data=((1.0, "green"), (2.0, None)),
            ),
            "notes": {"why": "a test"},
        },
    )  # fmt: skip


@pytest.mark.databases("sqlite")
def test_a_whole_report_comes_back_and_is_drawn(client):
    report = whole(client)
    assert report.ref == "report/evaluation/toy@1"
    kept = client.quality.evaluation(report.ref)
    assert kept == report
    assert client.quality.reports(kind="evaluation")[0].metadata["verdict"] == "failed"
    page = kept.to_html()
    assert len(page) < 500_000
    assert not re.search(r"(src|href)=|url\(|<script|@import", page)
    assert "<b>red" not in page
    for word in (
        "Gate ready",
        "Candidate and champion",
        "Slices",
        "Fairness by kind",
        "Robustness",
        "What it leans on",
    ):
        assert word in page
    assert page.count("<svg") == page.count("</svg>") >= 15
    assert "nan" not in re.sub(r"<title>.*?</title>", "", page)
    text = kept.to_text()
    assert "gate ready: failed" in text
    assert "demographic_parity_difference" in text
    assert "the champion" in text or "the candidate" in text
    assert "failed" in kept._repr_html_()
    assert kept.to_dict()["decision"]["verdict"] == "failed"


@pytest.mark.parametrize("task", ["regression", "multiclass", "quantile", "ranking", "forecast", "one label"])
def test_every_task_has_a_page(task):
    random = np.random.default_rng(2)
    truth = random.normal(size=120)
    codes = random.integers(0, 3, 120)
    found = {
        "regression": lambda: evaluate_regression(truth, truth + random.normal(size=120)),
        "multiclass": lambda: evaluate_multiclass(codes, np.eye(3)[codes] * 0.4 + 0.2, replicates=2),
        "quantile": lambda: evaluate_quantiles(truth, {0.1: truth - 1, 0.9: truth + 1}),
        "ranking": lambda: evaluate_ranking(codes, truth, np.arange(120) // 6),
        "forecast": lambda: evaluate_forecast(truth, truth + 1, horizons=np.arange(120) % 4 + 1, replicates=20),
        "one label": lambda: evaluate_binary([1, 1], [0.5, 0.5], replicates=2),
    }[task]()
    report = EvaluationReport(evaluation=found)
    assert f"<title>{found.task}: evaluation</title>" in report.to_html()
    assert report.to_text().startswith(f"{found.task} evaluation: {found.count} rows")


@pytest.mark.databases("sqlite")
def test_what_is_no_report_is_refused(client):
    with pytest.raises(InvalidInput, match="needs queries="):
        client.quality.evaluate("x", [0, 1], [0.1, 0.2], task="ranking")
    with pytest.raises(InvalidInput, match="is not a task"):
        client.quality.evaluate("x", [0, 1], [0.1, 0.2], task="guessing")
    with pytest.raises(InvalidInput, match="no option 'treshold'"):
        client.quality.evaluate("x", [0, 1], [0.1, 0.2], treshold=0.3)
    with pytest.raises(InvalidInput, match="no part"):
        client.quality.evaluate("x", [0, 1], [0.1, 0.2], parts={"poem": 1})
    with pytest.raises(InvalidInput, match="cannot be compared"):
        client.quality.evaluate("x", [[0, 1]], [[0.1, 0.2]], task="multilabel", champion=[[0.1, 0.2]])
    with pytest.raises(InvalidInput, match="needs the rows"):
        client.quality.evaluate("x", [0, 1], [0.1, 0.2], search=True)
    assert client.quality.reports(kind="evaluation") == []


@pytest.mark.databases("sqlite")
@pytest.mark.parametrize("task", ["multiclass", "regression", "forecast"])
def test_other_tasks_are_compared_and_searched(client, task):
    random = np.random.default_rng(3)
    size = 1200
    kind = random.choice(["a", "b"], size)
    if task == "multiclass":
        labels = random.integers(0, 3, size)
        good = np.eye(3)[labels] * 0.5 + 0.5 / 3
        scores, champion = np.where((kind == "b")[:, None], 1 / 3, good), np.full((size, 3), 1 / 3)
    else:
        labels = random.normal(size=size)
        scores = labels + random.normal(size=size) * np.where(kind == "b", 3, 0.3)
        champion = labels + 4 * random.normal(size=size)
    options = {} if task == "forecast" else {"frame": pl.DataFrame({"kind": kind})}
    report = client.quality.evaluate("m", labels, scores, task=task, champion=champion, search=bool(options), **options)
    assert {each.better for each in report.comparison.differences} == {"candidate"}
    if options:
        assert report.found_slices[0].conditions == (("kind", "b"),)
