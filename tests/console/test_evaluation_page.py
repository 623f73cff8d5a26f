"""The page of an evaluation shows all parts of the report."""

from __future__ import annotations

import polars as pl
import pytest

from mainspring.quality.evaluation import (
    Condition,
    Costs,
    Gate,
    choose_threshold,
    evaluate_multiclass,
    evaluate_robustness,
)
from mainspring.quality.evaluation.report import EvaluationReport

np = pytest.importorskip("numpy")


def predict(frame):
    return 1 / (1 + np.exp(-frame["x"].fill_null(0).to_numpy()))


def test_every_part_is_on_the_page(client, empty):
    random = np.random.default_rng(1)
    frame = pl.DataFrame({"x": random.normal(size=900), "kind": random.choice(["<a>", "b"], 900)})
    labels = (random.random(900) < predict(frame)).astype(int)
    scores = np.where(frame["kind"] == "b", 1 - predict(frame), predict(frame))
    made = client.quality.evaluate(
        "m", labels, scores, frame=frame, slices=["kind"], sensitive=frame.select("kind"), search=True, replicates=100,
        gate=Gate(name="g", conditions=(Condition(metric="auc", at_least=0.5),)),
        parts={
            "robustness": evaluate_robustness(predict, frame, labels, perturbations=["noise"]),
            "threshold": choose_threshold(labels, scores, costs=Costs(false_negative=3.0)),
        },
    )  # fmt: skip
    page = empty.page(f"/reports/{made.ref.removeprefix('report/')}")
    text = page.text
    for said in (
        made.decision.verdict, made.found_slices[0].statement, "demographic_parity_difference",
        made.robustness.falls[0].statement, made.threshold.statement,
    ):  # fmt: skip
        assert said in text
    codes = random.integers(0, 3, 100)
    report = EvaluationReport(evaluation=evaluate_multiclass(codes, np.full((100, 3), 1 / 3), replicates=2))
    client.quality.record_evaluation("several", report=report)
    assert "auc_ovr_macro" in empty.page("/reports/evaluation/several@1").text
