"""Rankings and forecasts: values as published or as scikit-learn has them, intervals that hold."""

from __future__ import annotations

import polars as pl
import pytest

from mainspring.kernel.errors import InvalidInput
from mainspring.quality.evaluation import backtest, compare_forecasts, evaluate_forecast, evaluate_ranking
from mainspring.quality.evaluation.significance import corrected, diebold_mariano, wilcoxon

np = pytest.importorskip("numpy")
sk = pytest.importorskip("sklearn.metrics")


def lists(seed, queries=80):
    random = np.random.default_rng(seed)
    sizes = random.integers(4, 15, queries)
    codes = np.repeat(np.arange(queries), sizes)
    labels = random.choice([0, 0, 0, 1, 2, 3], codes.size)
    scores = np.round(labels + 2 * random.normal(size=codes.size), 1)
    mixed = random.permutation(codes.size)
    return labels[mixed], scores[mixed], codes[mixed]


@pytest.mark.parametrize("gain", ["linear", "exponential"])
def test_ndcg_is_that_of_scikit_learn_ties_included(gain):
    labels, scores, codes = lists(1)
    found = evaluate_ranking(labels, scores, codes, cuts=(1, 3, 10), gain=gain, without="zero")
    for cut, name in ((1, "ndcg@1"), (3, "ndcg@3"), (10, "ndcg@10"), (None, "ndcg")):
        worth = labels if gain == "linear" else 2.0**labels - 1
        values = [sk.ndcg_score([worth[codes == q]], [scores[codes == q]], k=cut) for q in range(80)]
        assert found[name].value == pytest.approx(np.mean(values), rel=1e-12)


def test_the_other_metrics_by_brute_force():
    random = np.random.default_rng(2)
    labels, _, codes = lists(2)
    scores = random.permutation(codes.size).astype(float)  # no ties
    found = evaluate_ranking(labels, scores, codes, cuts=(3, 5))
    expected = {name: [] for name in ("map", "mrr", "map@3", "mrr@3", "hit_rate@3", "precision@5", "recall@5")}
    for query in np.unique(codes):
        inside = codes == query
        hits = (labels[inside] > 0)[np.argsort(-scores[inside])]
        if not hits.any():
            continue
        first = 1 / (1 + int(np.argmax(hits)))
        precision = np.cumsum(hits) / np.arange(1, hits.size + 1)
        expected["map"].append(sk.average_precision_score(labels[inside] > 0, scores[inside]))
        expected["mrr"].append(first)
        expected["map@3"].append((precision * hits)[:3].sum() / min(3, hits.sum()))
        expected["mrr@3"].append(first if first >= 1 / 3 else 0)
        expected["hit_rate@3"].append(hits[:3].any())
        expected["precision@5"].append(hits[:5].sum() / 5)
        expected["recall@5"].append(hits[:5].sum() / hits.sum())
    for name, values in expected.items():
        assert found[name].value == pytest.approx(np.mean(values), rel=1e-12), name
        assert found[name].low < found[name].value < found[name].high
    assert found.meta["queries_left_out"] == len(np.unique(codes)) - len(expected["map"])


def test_slices_of_queries_and_what_is_no_ranking():
    labels, scores, codes = lists(3, 200)
    frame = pl.DataFrame({"market": np.where(codes % 2, "de", "fr")})
    broken = np.where(codes % 2, -scores, scores)
    found = evaluate_ranking(labels, broken, codes, frame=frame, slices=["market"])
    assert (found.slices[0].column, found.slices[0].value) == ("market", "de")
    assert found.slices[0].q_value < 1e-6
    with pytest.raises(InvalidInput, match="no query"):
        evaluate_ranking([0, 0], [1, 2], ["a", "a"])
    with pytest.raises(InvalidInput, match="cuts"):
        evaluate_ranking([0, 1], [1, 2], ["a", "a"], cuts=())


def test_forecast_errors_are_those_of_their_papers():
    history = {"a": [10.0, 12.0, 11.0, 13.0, 12.0], "b": [100.0, 90.0, 110.0, 95.0]}
    truth, said = np.array([13.0, 14.0, 100.0, 105.0]), np.array([12.0, 15.0, 90.0, 115.0])
    found = evaluate_forecast(truth, said, series=["a", "a", "b", "b"], history=history, replicates=50)
    scale = np.array([1.5, 1.5, 45 / 3, 45 / 3])
    square = np.array([2.5, 2.5, 725 / 3, 725 / 3])
    error = said - truth
    assert found["mase"].value == pytest.approx(np.mean(np.abs(error) / scale))
    assert found["rmsse"].value == pytest.approx(np.sqrt(np.mean(error**2 / square)))
    assert found["smape"].value == pytest.approx(np.mean(2 * np.abs(error) / (np.abs(truth) + np.abs(said))))
    assert found["wape"].value == pytest.approx(22 / 232)
    assert found["bias"].value == pytest.approx(error.mean())
    assert found["relative_bias"].value == pytest.approx(error.sum() / truth.sum())
    with pytest.raises(InvalidInput, match="no history of series 'b'"):
        evaluate_forecast(truth, said, series=["a", "a", "b", "b"], history={"a": history["a"]})
    with pytest.raises(InvalidInput, match="too short"):
        evaluate_forecast([1.0], [1.0], history=[1.0, 2.0], season=7)


def walk(seed, size=300):
    return 50 + np.cumsum(np.random.default_rng(seed).normal(size=size))


def test_a_backtest_knows_only_the_past_and_errors_grow_with_the_horizon():
    seen = []

    def naive(known, steps):
        seen.append(known.size)
        return [known[-1]] * steps

    table = backtest(walk(1), naive, initial=50, horizon=5, step=5, window=30)
    assert set(seen) == {30}
    assert (table["label"].to_numpy() == walk(1)[table["origin"].to_numpy() + table["horizon"].to_numpy() - 1]).all()
    found = evaluate_forecast(
        table["label"], table["prediction"], horizons=table["horizon"], origins=table["origin"], history=walk(1)[:50]
    )
    assert list(found.by_horizon) == ["1", "2", "3", "4", "5"]
    assert found.by_horizon["5"]["mae"].value > 1.5 * found.by_horizon["1"]["mae"].value
    assert found.by_horizon["1"]["mase"].low < 1.0 < found.by_horizon["1"]["mase"].high * 1.1
    alone = evaluate_forecast(table["label"], table["prediction"], origins=list(range(table.height)))
    assert found["mae"].standard_error > 1.3 * alone["mae"].standard_error  # rows of an origin err together


def test_diebold_mariano_is_the_paired_t_test_one_step_ahead_and_calibrated_further():
    stats = pytest.importorskip("scipy.stats")
    random = np.random.default_rng(4)
    one, two = random.gamma(2, size=60), random.gamma(2, size=60)
    statistic, p_value = diebold_mariano(one, two)
    expected = stats.ttest_rel(two, one)
    assert statistic == pytest.approx(expected.statistic)
    assert p_value == pytest.approx(expected.pvalue)
    alarms = 0
    for seed in range(300):
        noise = np.random.default_rng(seed).normal(size=(2, 153))
        old, new = (np.convolve(each, np.ones(4) / 2, "valid") ** 2 for each in noise)
        alarms += diebold_mariano(old, new, horizon=4)[1] <= 0.05
    assert alarms <= 33  # 5 % of 300 is 15, standard deviation 3.8; without the overlap it would be about 80
    truth = random.normal(size=200)
    worse = truth + random.normal(size=200)
    found = compare_forecasts(truth, champion=worse, candidate=truth + 0.5 * (worse - truth), horizon=2)
    assert found["mae"].better == "candidate"
    assert found["mae"].method == "Diebold-Mariano"


def test_corrections():
    multitest = pytest.importorskip("statsmodels.stats.multitest")
    p_values = np.random.default_rng(5).random(20) ** 3
    for ours, theirs in (("holm", "holm"), ("benjamini-hochberg", "fdr_bh")):
        expected = multitest.multipletests(p_values, method=theirs)[1]
        assert corrected(p_values.tolist(), ours) == pytest.approx(expected.tolist())
    with pytest.raises(InvalidInput, match="not a correction"):
        corrected([0.1], "hope")
    assert wilcoxon(np.zeros(5)) == 1.0
