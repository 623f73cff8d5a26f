"""Fairness: fairlearn's values, its interface, and intervals that mean something."""

from __future__ import annotations

import polars as pl
import pytest

from mainspring.kernel.errors import InvalidInput
from mainspring.quality.evaluation import MetricFrame, evaluate_fairness

np = pytest.importorskip("numpy")
sk = pytest.importorskip("sklearn.metrics")
fairlearn = pytest.importorskip("fairlearn.metrics")


def people(seed, size=2000):
    random = np.random.default_rng(seed)
    sex, region = random.choice(["f", "m"], size), random.choice(["n", "s", "w"], size, p=[0.6, 0.3, 0.1])
    labels = (random.random(size) < 0.3 + 0.1 * (sex == "m")).astype(int)
    scores = np.clip(0.3 * labels + 0.15 * (region == "s") + 0.7 * random.random(size), 0, 1)
    return labels, scores, sex, region, random.random(size) + 0.1


@pytest.mark.parametrize("method", ["between_groups", "to_overall"])
@pytest.mark.parametrize("weighted", [False, True])
def test_disparities_are_those_of_fairlearn(method, weighted):
    labels, scores, sex, region, weights = people(1)
    weights = weights if weighted else None
    sensitive = {"sex": sex, "region": region}
    found = evaluate_fairness(
        labels, scores, sensitive, threshold=0.5, method=method, weights=weights, least=0, replicates=2
    )
    called = (scores >= 0.5).astype(int)
    groups = np.char.add(np.char.add(sex, "/"), region)
    options = {"sensitive_features": groups, "sample_weight": weights, "method": method}
    for name in (
        "demographic_parity_difference", "demographic_parity_ratio", "equalized_odds_difference",
        "equalized_odds_ratio", "equal_opportunity_difference", "equal_opportunity_ratio",
    ):  # fmt: skip
        expected = getattr(fairlearn, name)(labels, called, **options)
        assert found[name].value == pytest.approx(expected, rel=1e-12), name
    frame = fairlearn.MetricFrame(
        metrics={name: getattr(fairlearn, name) for name in ("selection_rate", "true_positive_rate")},
        y_true=labels, y_pred=called, sensitive_features=groups,
        sample_params={
            name: {} if weights is None else {"sample_weight": weights}
            for name in ("selection_rate", "true_positive_rate")
        },
    )  # fmt: skip
    for each in found.groups:
        row = frame.by_group.loc["/".join(each.values)]
        for name in ("selection_rate", "true_positive_rate"):
            assert each.metrics[name].value == pytest.approx(row[name], rel=1e-12)
    assert found.group_min()["selection_rate"] == pytest.approx(frame.group_min()["selection_rate"])
    assert found.group_max()["selection_rate"] == pytest.approx(frame.group_max()["selection_rate"])
    assert found.difference["selection_rate"].value == pytest.approx(frame.difference(method=method)["selection_rate"])


def test_the_mean_of_both_odds():
    labels, scores, sex, _, _ = people(2)
    found = evaluate_fairness(labels, scores, sex, agg="mean", least=0, replicates=2)
    expected = fairlearn.equalized_odds_difference(labels, scores >= 0.5, sensitive_features=sex, agg="mean")
    assert found["equalized_odds_difference"].value == pytest.approx(expected)


@pytest.mark.parametrize("method", ["between_groups", "to_overall"])
def test_any_metric_by_group_as_fairlearn_has_it(method):
    labels, scores, sex, region, weights = people(3)
    metrics = {"auc": sk.roc_auc_score, "brier": sk.brier_score_loss}
    sensitive = {"sex": sex, "region": region}
    ours = MetricFrame(metrics=metrics, y_true=labels, y_pred=scores, sensitive_features=sensitive, weights=weights)
    pandas = pytest.importorskip("pandas")
    theirs = fairlearn.MetricFrame(
        metrics=metrics, y_true=labels, y_pred=scores, sensitive_features=pandas.DataFrame(sensitive),
        sample_params={name: {"sample_weight": weights} for name in metrics},
    )  # fmt: skip
    for name in metrics:
        assert ours.overall[name] == pytest.approx(theirs.overall[name])
        assert ours.difference(method)[name] == pytest.approx(theirs.difference(method=method)[name])
        assert ours.ratio(method)[name] == pytest.approx(theirs.ratio(method=method)[name])
        assert ours.group_min()[name] == pytest.approx(theirs.group_min()[name])
        for group, values in ours.by_group.items():
            assert values[name] == pytest.approx(theirs.by_group.loc[group, name])
    drawn = ours.intervals("difference", replicates=20)
    assert drawn["auc"].low <= ours.difference()["auc"] <= drawn["auc"].high


def test_small_groups_are_shown_and_do_not_make_the_difference():
    labels, scores, sex, _, _ = people(4)
    sex = sex.astype(object)
    sex[:5], scores[:5] = "x", 1.0
    found = evaluate_fairness(labels, scores, pl.Series("sex", sex.tolist()), replicates=100)
    small = [each for each in found.groups if each.small]
    assert [(each.values, each.count) for each in small] == [(("x",), 5)]
    assert small[0].metrics["selection_rate"].value == 1.0
    assert found["demographic_parity_difference"].value < 0.1
    assert found.features == ("sex",)
    counted = evaluate_fairness(labels, scores, sex, least=0, replicates=2)
    assert counted["demographic_parity_difference"].value > 0.4


def test_intervals_of_disparities_cover_the_truth():
    def once(seed):
        random = np.random.default_rng(seed)
        group = random.random(800) < 0.5
        labels = random.random(800) < 0.5
        called = random.random(800) < np.where(group, 0.6, 0.4)
        found = evaluate_fairness(labels, called, group, metrics=["selection_rate"], replicates=200)
        return found["demographic_parity_difference"]

    covered = sum(each.low <= 0.2 <= each.high for each in map(once, range(40)))
    assert covered >= 33  # 95 % of 40 is 38, standard deviation 1.4


def test_what_has_no_groups_is_refused():
    with pytest.raises(InvalidInput, match="rows"):
        evaluate_fairness([0, 1], [0, 1], ["a"])
    with pytest.raises(InvalidInput, match="not a rate"):
        evaluate_fairness([0, 1], [0, 1], ["a", "b"], metrics=["auc"])
    with pytest.raises(InvalidInput, match="needs a sensitive feature"):
        evaluate_fairness([0, 1], [0, 1], {})
    with pytest.raises(InvalidInput, match="no group has"):
        MetricFrame(
            metrics=sk.accuracy_score, y_true=[0, 1], y_pred=[0, 1], sensitive_features=[0, 1], least=9
        ).difference()
