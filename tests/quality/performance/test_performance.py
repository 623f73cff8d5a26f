"""Performance without labels: NannyML's figures are met, and the estimates follow the truth where they should."""

from __future__ import annotations

import datetime as dt
import importlib.util
import json
from pathlib import Path

import polars as pl
import pytest

from mainspring.kernel.errors import InvalidInput
from mainspring.quality.performance import Chunking, Threshold, estimate_classifier, estimate_regressor
from mainspring.quality.performance.chunks import chunks_of

np = pytest.importorskip("numpy")
pytest.importorskip("sklearn")
HERE = Path(__file__).parent
_spec = importlib.util.spec_from_file_location("nannyml_cases", HERE / "nannyml_cases.py")
cases = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(cases)
FACTS = json.loads((HERE / "nannyml_facts.json").read_text())
CHUNKS = Chunking(size=cases.CHUNK)


def agree(report, facts, *, rel):
    for metric, rows in facts.items():
        found = [*report.of(metric, reference=True), *report.of(metric)]
        assert len(found) == len(rows)
        for ours, theirs in zip(found, rows, strict=True):
            assert ours.is_reference == (theirs["period"] == "reference")
            assert ours.value == pytest.approx(theirs["value"], rel=rel)
            assert ours.realized == pytest.approx(theirs["realized"], rel=1e-6)
            # Their error of the average precision is resampled at random, and that of the F1 of several classes leaves
            # out the factor that it has for one.
            tolerance = 0.35 if metric == "average_precision" else 0.01
            if metric != "f1" or "true_positive" in facts:
                assert ours.sampling_error == pytest.approx(theirs["sampling_error"], rel=tolerance)
            for bound in ("lower", "upper"):
                expected = theirs[f"{bound}_threshold"]
                assert getattr(ours, bound) == (None if expected is None else pytest.approx(expected, rel=1e-6))
            assert ours.alert == theirs["alert"]


def test_a_binary_classifier_as_nannyml_estimates_it():
    one, two = pl.DataFrame(cases.binary()), pl.DataFrame(cases.binary(1500, 0.8, 32))
    facts = FACTS["binary"]
    report = estimate_classifier(
        one, two, truth="y", score="score", prediction="prediction", metrics=list(facts), chunking=CHUNKS
    )
    agree(report, facts, rel=2e-4)
    assert {each.metric for each in report.alerts} >= {"specificity", "f1"}
    assert FACTS["binary needs calibration"]
    raw = estimate_classifier(one, two, truth="y", score="score", chunking=CHUNKS, calibrate=False)
    assert raw.of("roc_auc")[0].value != pytest.approx(report.of("roc_auc")[0].value, rel=0.01)


def test_three_classes_as_nannyml_estimates_them():
    one, two = pl.DataFrame(cases.multiclass()), pl.DataFrame(cases.multiclass(1000, 1.0, 42))
    report = estimate_classifier(
        one, two, truth="y", score={label: label for label in "abc"}, prediction="prediction",
        metrics=cases.MULTICLASS, chunking=CHUNKS,
    )  # fmt: skip
    agree(report, FACTS["multiclass"], rel=2e-4)


def test_a_regression_as_nannyml_estimates_it():
    lightgbm = pytest.importorskip("lightgbm")
    one, two = pl.DataFrame(cases.regression()), pl.DataFrame(cases.regression(1000, 1.8, 52))
    report = estimate_regressor(
        one, two, truth="y", prediction="prediction", features=["x", "noise"], metrics=cases.REGRESSION,
        chunking=CHUNKS, model=lambda: lightgbm.LGBMRegressor(**cases.LIGHTGBM),
    )  # fmt: skip
    agree(report, FACTS["regression"], rel=1e-6)


def test_estimates_follow_the_truth_under_covariate_shift_and_say_how_sure_they_are():
    draw = np.random.default_rng(4)

    def rows(count, shift):
        x = draw.normal(shift, 1, count)
        p = 1 / (1 + np.exp(-1.5 * x))
        return pl.DataFrame({"y": (draw.random(count) < p).astype(int), "p": p, "said": (p > 0.5).astype(int)})

    near, far = rows(20_000, 0.0), rows(8_000, 1.2)
    report = estimate_classifier(
        near, far, truth="y", score="p", prediction="said", chunking=Chunking(count=8),
        metrics=["accuracy", "roc_auc", "f1"],
    )  # fmt: skip
    for each in report.estimates:
        assert abs(each.value - each.realized) < 4.5 * each.sampling_error
        assert each.interval[0] < each.value < each.interval[1]
    assert any(each.alert for each in report.of("accuracy"))
    unlabelled = estimate_classifier(near, far.drop("y"), truth="y", score="p", chunking=Chunking(count=4))
    assert all(each.realized is None for each in unlabelled.of("roc_auc"))


def test_a_model_of_the_loss_sees_harder_rows_with_categories_and_moments():
    from sklearn.ensemble import HistGradientBoostingRegressor

    draw = np.random.default_rng(5)

    def rows(count, share):
        hard = draw.random(count) < share
        return pl.DataFrame({
            "kind": np.where(hard, "storm", "calm"), "prediction": np.full(count, 10.0), "on": [True] * count,
            "at": [dt.datetime(2024, 1, 1, tzinfo=dt.UTC) + dt.timedelta(hours=k) for k in range(count)],
            "y": 10 + draw.normal(0, np.where(hard, 4.0, 1.0)),
        })  # fmt: skip

    report = estimate_regressor(
        rows(4000, 0.2), rows(1000, 0.8), truth="y", prediction="prediction", features=["kind", "on"],
        metrics=["mae", "rmse"], chunking=Chunking(count=4), model=lambda: HistGradientBoostingRegressor(max_iter=15),
    )  # fmt: skip
    for each in report.of("rmse"):
        assert each.value == pytest.approx(each.realized, rel=0.15)
    assert len(report.alerts) == 8


def test_chunks_by_size_count_and_period():
    frame = pl.DataFrame(
        {"at": [dt.datetime(2024, 1, 28, tzinfo=dt.UTC) + dt.timedelta(days=k % 9) for k in range(27)]}
    )
    assert [(c.start, c.end) for c in chunks_of(frame, Chunking(size=10))] == [(0, 10), (10, 20), (20, 27)]
    assert [(c.start, c.end) for c in chunks_of(frame, Chunking(size=12))] == [(0, 12), (12, 27)]
    assert [c.end for c in chunks_of(frame, Chunking(count=4))] == [6, 12, 18, 27]
    months = chunks_of(frame, Chunking(period="month", at="at"))
    assert [len(c.rows) for c in months] == [12, 15]
    assert sorted(row for c in months for row in c.rows) == list(range(27))
    for wrong in ({"size": 3, "count": 2}, {"period": "day"}, {"size": -1}):
        with pytest.raises(InvalidInput):
            Chunking(**wrong)
    with pytest.raises(InvalidInput, match="no rows"):
        chunks_of(frame[:0], Chunking())
    with pytest.raises(InvalidInput, match="of times"):
        chunks_of(frame, Chunking(period="day", at="nope"))


def test_thresholds_and_what_is_refused():
    frame = pl.DataFrame(cases.binary(400))
    report = estimate_classifier(frame, frame, truth="y", score="score", threshold=Threshold(lower=0.99))
    assert len(report.alerts) == 10
    assert Threshold().bounds([0.5, 0.5, 0.5], (0, 1)) == (0.5, 0.5)
    assert Threshold().bounds([0.0, 1.0], (0, 1)) == (None, None)
    for wrong in (
        {"score": "scor"}, {"metrics": ["f2"]}, {"metrics": ["f1"]}, {"truth": "nope"}, {"positive": 7},
    ):  # fmt: skip
        with pytest.raises(InvalidInput):
            estimate_classifier(frame, frame, **{"truth": "y", "score": "score", **wrong})
    numbers = pl.DataFrame(cases.regression(100)).with_columns(y=pl.lit(-2.0))
    with pytest.raises(InvalidInput, match="above -1"):
        estimate_regressor(numbers, numbers, truth="y", prediction="prediction", features=["x"], metrics=["msle"])
