"""Rows, texts and embeddings: told apart when they differ, and as often as stated when they do not."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path

import polars as pl
import pytest

from mainspring.kernel.errors import InvalidInput
from mainspring.quality.drift import drift
from mainspring.quality.drift.embeddings import compare_embeddings, embedding_score
from mainspring.quality.drift.methods_numbers import kernel_test
from mainspring.quality.drift.methods_texts import compare_texts
from mainspring.quality.drift.multivariate import classify_domain, discrepancy, held_out_test, reconstruct
from mainspring.quality.profiles.build import profile_frame

np = pytest.importorskip("numpy")
pytest.importorskip("sklearn")
HERE = Path(__file__).parent
_spec = importlib.util.spec_from_file_location("evidently_cases", HERE / "evidently_cases.py")
cases = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(cases)
FACTS = json.loads((HERE / "evidently_facts.json").read_text())


def rows(count, seed, *, together):
    """Two columns that each look the same either way, and go together or do not."""
    draw = np.random.default_rng(seed)
    x = draw.normal(0, 1, count)
    y = 0.95 * x + (1 - 0.95**2) ** 0.5 * draw.normal(0, 1, count) if together else draw.normal(0, 1, count)
    kinds = np.where(draw.random(count) < 0.3, "a", "b")
    return pl.DataFrame({"x": x, "y": y, "z": draw.normal(0, 1, count), "kind": kinds})


def test_what_no_column_shows_rows_show():
    one, two, other = (rows(900, 1, together=True), rows(900, 2, together=False), rows(900, 3, together=True))
    assert drift(profile_frame(one), profile_frame(two)).verdict == "ok"
    found = classify_domain(one, two)
    assert found.auc > 0.7
    assert found.p_value < 1e-10
    assert classify_domain(one, other).p_value > 0.01
    assert discrepancy(one[:400], two[:400], permutations=200)[1] <= 0.01
    assert discrepancy(one[:400], other[:400], permutations=200)[1] > 0.02
    broken = reconstruct(one, two, columns=["x", "y", "z"], variance=0.6)
    assert broken.components == 2 or all(broken.alerts)
    assert all(reconstruct(one, two, columns=["x", "y"], variance=0.6).alerts)
    same = reconstruct(one, other, columns=["x", "y"], variance=0.6)
    assert sum(same.alerts) <= 1
    assert len(same.reference) == 10
    assert same.lower < same.reference[0] < same.upper
    assert same.sampling_error > 0


def test_the_reconstruction_error_is_that_of_scikit_learn():
    from sklearn.decomposition import PCA
    from sklearn.preprocessing import StandardScaler

    one = rows(800, 4, together=True).select("x", "y", "z")
    scaled = StandardScaler().fit_transform(one.to_numpy())
    model = PCA(n_components=0.65).fit(scaled)
    errors = np.linalg.norm(scaled - model.inverse_transform(model.transform(scaled)), axis=1)
    found = reconstruct(one, one, variance=0.65, chunk=400)
    assert found.components == model.n_components_
    assert found.reference == pytest.approx([errors[:400].mean(), errors[400:].mean()])


@pytest.mark.parametrize("count", [60, 300])
def test_a_held_out_classifier_keeps_its_level(count):
    from sklearn.naive_bayes import GaussianNB

    draw = np.random.default_rng(count)
    draws = 200
    p_values = []
    for _ in range(draws):
        features = draw.normal(0, 1, (2 * count, 3))
        marks = np.array([0] * count + [1] * count)
        p_values.append(held_out_test(features, marks, GaussianNB).p_value)
    # Of 200 p-values 10 are expected below 0.05, standard deviation 3.1.
    assert 1 <= sum(p <= 0.05 for p in p_values) <= 21
    assert 0.4 < float(np.mean(p_values)) < 0.6
    with pytest.raises(InvalidInput, match="at least"):
        held_out_test(features[:12], marks[:12], GaussianNB)


def test_a_kernel_test_keeps_its_level_and_sees_a_shift():
    draw = np.random.default_rng(6)
    p_values = [kernel_test(draw.normal(0, 1, (40, 2)), draw.normal(0, 1, (30, 2)))[1] for _ in range(150)]
    assert 1 <= sum(p <= 0.1 for p in p_values) <= 28  # 15 are expected, standard deviation 3.7
    assert kernel_test(draw.normal(0, 1, (80, 2)), draw.normal(1, 1, (80, 2)))[1] == 0.0


def test_texts_are_told_apart_by_their_words():
    one, two = cases.texts()["other words"]
    found = compare_texts(one, two)
    assert found.auc > 0.9
    assert found.p_value < 1e-6
    assert set(found.words[0]) <= set(cases.WORDS[:5]) | {str(k) for k in range(50)}
    assert {"runway", "fuel", "engine", "seat"} <= set(found.words[1])
    assert compare_texts(*cases.texts()["same"]).p_value > 0.01


@pytest.mark.parametrize("name", ["euclidean", "cosine", "cityblock", "chebyshev", "model", "ratio", "mmd"])
def test_embeddings_as_evidently_compares_them(name):
    one, two = cases.embeddings()
    found, fact = embedding_score(name, one, two), FACTS["embeddings"][name]
    # Kernels are as wide as the median distance of a sample that Evidently draws with pandas.
    assert found.score == pytest.approx(fact["score"], rel=0.02 if name == "mmd" else 1e-9)
    assert found.drifted == fact["drifted"]


def test_embeddings_by_default_know_chance():
    one, two = (np.array(side) for side in cases.embeddings())
    assert compare_embeddings(one, two).drifted
    assert not compare_embeddings(one[::2], one[1::2]).drifted
    assert embedding_score("euclidean", one, two, components=2).score > 0
    with pytest.raises(InvalidInput, match="one width"):
        compare_embeddings(one, two[:, :3])
    with pytest.raises(InvalidInput, match="does not compare"):
        embedding_score("manhattan", one, two)


def test_profiles_of_embeddings_drift_and_keep_their_level():
    draw = np.random.default_rng(8)

    def profile(shift, count=400):
        matrix = draw.normal(shift, 1, (count, 12))
        return profile_frame(pl.DataFrame({"e": pl.Series(matrix.tolist())}), correlations=False)

    moved = drift(profile(0), profile(0.4)).columns[0]
    assert moved.verdict == "drift"
    flagged = sum(drift(profile(0), profile(0)).columns[0].p_value <= 0.1 for _ in range(60))
    assert flagged <= 12  # 6 are expected, standard deviation 2.3
    flat = profile_frame(pl.DataFrame({"e": [[1.0, 2.0, 3.0]] * 99}))
    assert drift(profile(0), flat).columns[0].verdict == "drift"


def test_structs_and_lists_drift_by_what_is_in_them():
    one = pl.DataFrame({"s": [{"a": k % 10, "b": "x"} for k in range(600)], "l": [["t"] * (k % 3) for k in range(600)]})
    two = pl.DataFrame({"s": [{"a": k % 10, "b": "y"} for k in range(600)], "l": [["t"] * (k % 9) for k in range(600)]})
    found = {each.column: each.verdict for each in drift(profile_frame(one), profile_frame(two)).columns}
    assert found == {"s": "ok", "s.a": "ok", "s.b": "drift", "l": "drift"}
