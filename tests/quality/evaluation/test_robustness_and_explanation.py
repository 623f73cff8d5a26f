"""What spoilt data does to a model, and why it answers as it does."""

from __future__ import annotations

import polars as pl
import pytest

from mainspring.kernel.errors import InvalidInput, NotFound
from mainspring.quality.evaluation import (
    accumulated_local_effects,
    evaluate_robustness,
    explain,
    partial_dependence,
)
from mainspring.quality.evaluation.perturbations import PERTURBATIONS

np = pytest.importorskip("numpy")


def rows(seed=0, size=1500):
    random = np.random.default_rng(seed)
    frame = pl.DataFrame(
        {
            "x": random.normal(size=size),
            "unused": random.normal(size=size),
            "kind": random.choice(["red", "green", "blue"], size),
        }
    )
    logit = 1.5 * frame["x"].to_numpy() + 1.5 * (frame["kind"] == "red").to_numpy()
    return frame, (random.random(size) < 1 / (1 + np.exp(-logit))).astype(int)


def predict(frame):
    x = frame["x"].fill_null(0.0).to_numpy()
    red = (frame["kind"] == "red").fill_null(value=False).to_numpy()
    return 1 / (1 + np.exp(-(1.5 * x + 1.5 * red)))


def test_the_more_goes_wrong_the_further_it_falls():
    frame, labels = rows()
    found = evaluate_robustness(predict, frame, labels)
    assert {each.perturbation for each in found.falls} == set(PERTURBATIONS)
    assert found.order_matters is False
    for name in ("noise", "missing", "swaps", "typos"):
        curve = found.curve(name)
        drops = [each.change.difference for each in curve]
        assert drops == sorted(drops, reverse=True), name
        assert curve[-1].change.high < 0, name
    assert all(each.change.difference == 0 for each in found.curve("units", "unused"))
    again = evaluate_robustness(predict, frame, labels)
    assert again == found


@pytest.mark.parametrize("metric", ["accuracy", "log_loss", "brier"])
def test_other_metrics_and_one_column_at_a_time(metric):
    frame, labels = rows()
    found = evaluate_robustness(
        predict, frame, labels, metric=metric, perturbations={"noise": [2.0]}, by_column=True, rows=800
    )
    by_column = {each.columns: each.change for each in found.falls}
    assert by_column[("unused",)].difference == 0
    worse = by_column[("x",)].difference
    assert worse < 0 if metric == "accuracy" else worse > 0
    assert found.rows == 800


def test_a_model_that_cannot_answer_or_goes_by_position_is_told():
    frame, labels = rows()

    def strict(given):
        if given["x"].null_count():
            raise ValueError("x is missing")
        return given.to_series(0).to_numpy() if given.columns[0] == "x" else given.to_series(1).to_numpy()

    found = evaluate_robustness(strict, frame, labels, perturbations=["missing"])
    assert all("x is missing" in each.error and each.change is None for each in found.falls)
    assert "does not answer" in found.falls[0].statement
    assert found.order_matters is True
    with pytest.raises(InvalidInput, match="not a perturbation"):
        evaluate_robustness(predict, frame, labels, perturbations=["storm"])
    with pytest.raises(InvalidInput, match="no column"):
        evaluate_robustness(predict, frame, labels, columns=["y"])


def test_partial_dependence_is_that_of_scikit_learn():
    inspection = pytest.importorskip("sklearn.inspection")
    ensemble = pytest.importorskip("sklearn.ensemble")
    random = np.random.default_rng(1)
    table = random.normal(size=(300, 3))
    model = ensemble.GradientBoostingRegressor(n_estimators=20).fit(table, table[:, 0] * table[:, 1] + table[:, 2])
    frame = pl.DataFrame(table, schema=["a", "b", "c"])
    ours = partial_dependence(lambda f: model.predict(f.to_numpy()), frame, "c", values=10)
    theirs = inspection.partial_dependence(
        model, table, [2], custom_values={2: np.asarray(ours.at)}, kind="average", method="brute"
    )
    assert ours.mean == pytest.approx(theirs["average"][0].tolist())
    assert all(low <= mean <= high for low, mean, high in zip(ours.low, ours.mean, ours.high, strict=True))
    kinds = partial_dependence(predict, rows()[0], "kind")
    assert dict(zip(kinds.at, kinds.mean, strict=True))["red"] == max(kinds.mean)


def test_local_effects_are_right_where_features_go_together():
    random = np.random.default_rng(2)
    x = random.random(4000)
    frame = pl.DataFrame({"x": x, "twin": x + 0.02 * random.normal(size=4000)})
    found = accumulated_local_effects(lambda f: f["x"] ** 2 + 5 * f["twin"], frame, "x", bins=20)
    expected = np.asarray(found.at) ** 2
    assert np.asarray(found.mean) == pytest.approx(expected - (x**2).mean(), abs=0.03)
    with pytest.raises(InvalidInput, match="not of numbers"):
        accumulated_local_effects(predict, rows()[0], "kind")
    with pytest.raises(NotFound):
        partial_dependence(predict, rows()[0], "y")


def test_shapley_values_of_trees_add_up_and_are_those_of_shap():
    shap = pytest.importorskip("shap")
    ensemble = pytest.importorskip("sklearn.ensemble")
    random = np.random.default_rng(3)
    table = random.normal(size=(400, 3))
    model = ensemble.RandomForestClassifier(n_estimators=10, max_depth=4, random_state=0).fit(table, table[:, 0] > 0)
    found = explain(model, pl.DataFrame(table, schema=["a", "b", "c"]).head(150))
    assert found.method == "tree"
    assert found.importances[0].feature == "a"
    assert len(found.values) == found.rows == 150
    answers = model.predict_proba(table[:150])[:, 1]
    assert found.base + np.asarray(found.values).sum(axis=1) == pytest.approx(answers)
    expected = shap.TreeExplainer(model).shap_values(table[:150])[:, :, 1]
    assert np.asarray(found.values) == pytest.approx(expected)
    first = found.row(0)
    assert abs(first[0].contribution) >= abs(first[-1].contribution)
    line = found.dependence("a")
    assert list(line.x) == sorted(line.x)
    assert np.corrcoef(line.x, line.y)[0, 1] > 0.7
    with pytest.raises(NotFound):
        found.row(999)


@pytest.mark.engines
def test_any_function_is_explained_with_texts_and_missing_values():
    pytest.importorskip("shap")
    frame, _ = rows(size=120)
    frame = frame.with_columns(pl.when(pl.col("unused") > 1).then(None).otherwise("unused").alias("unused"))
    found = explain(predict, frame, rows=30)
    assert found.method == "permutation"
    assert [each.feature for each in found.importances][-1] == "unused"
    assert found.importances[-1].importance == pytest.approx(0, abs=1e-9)
    sums = found.base + np.asarray(found.values).sum(axis=1)
    some = frame.sample(30, seed=0)
    assert sums == pytest.approx(predict(some), abs=1e-6)
    assert {each.value for each in found.row(0)} >= {some["kind"][0]}
    with pytest.raises(InvalidInput, match="not a model of trees"):
        explain(predict, frame, method="tree")
