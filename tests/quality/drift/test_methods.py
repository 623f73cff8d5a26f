"""The field's tests of drift give the numbers and the verdicts that Evidently gives, from data and from profiles."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path

import polars as pl
import pytest

from mainspring.kernel.errors import InvalidInput, UnsupportedFormat
from mainspring.quality.drift.methods import METHODS, method, score_columns, score_profiles
from mainspring.quality.profiles.build import profile_frame

np = pytest.importorskip("numpy")
pytest.importorskip("sklearn")
HERE = Path(__file__).parent
_spec = importlib.util.spec_from_file_location("evidently_cases", HERE / "evidently_cases.py")
cases = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(cases)
FACTS = json.loads((HERE / "evidently_facts.json").read_text())
SAMPLES = {"num": cases.numeric(), "cat": cases.categorical(), "text": cases.texts()}
RANDOM = {"empirical_mmd": 0.06, "TVD": 0.02}
"""Methods that shuffle at random, and by how much two honest answers may differ."""


@pytest.mark.parametrize("fact", FACTS["tests"], ids=lambda fact: f"{fact['type']} {fact['case']} {fact['test']}")
def test_every_method_agrees_with_evidently(fact):
    one, two = (pl.Series(side) for side in SAMPLES[fact["type"]][fact["case"]])
    if "error" in fact and fact["test"] == "g_test":
        # Evidently compares counts of unequal samples without scaling them, which scipy refuses.
        assert score_columns("g_test", one, two, kind="cat").drifted
        return
    if "error" in fact:
        with pytest.raises(InvalidInput):
            score_columns(fact["test"], one, two, kind=fact["type"])
        return
    found = score_columns(fact["test"], one, two, kind=fact["type"])
    if fact["test"] in RANDOM:
        assert found.score == pytest.approx(fact["score"], abs=RANDOM[fact["test"]])
    else:
        assert found.score == pytest.approx(fact["score"], rel=1e-8, abs=1e-14)
    assert found.drifted == fact["drifted"]


def test_all_twenty_are_there_and_each_was_compared():
    assert len(METHODS) == 20
    assert {fact["test"] for fact in FACTS["tests"]} == set(METHODS)


@pytest.mark.parametrize("case", SAMPLES["num"])
@pytest.mark.parametrize("name", [each.name for each in METHODS.values() if each.from_profiles and "num" in each.kinds])
def test_profiles_of_numbers_give_nearly_what_the_data_give(name, case):
    one, two = (pl.Series("x", side) for side in SAMPLES["num"][case])
    if METHODS[name].kinds[0] == "cat" and case != "few":
        with pytest.raises(InvalidInput):
            score_columns("fisher_exact", one, two, kind="num")
        return
    if name == "fisher_exact":
        return
    left, right = (profile_frame(side.to_frame()).columns[0] for side in (one, two))
    data, profiles = score_columns(name, one, two, kind="num"), score_profiles(name, left, right, kind="num")
    # The samples are small enough for the sketches to hold every value.
    assert profiles.score == pytest.approx(data.score, rel=1e-9)
    assert profiles.drifted == data.drifted


@pytest.mark.parametrize(
    "name", ["ks", "mannw", "cramer_von_mises", "wasserstein", "ed", "psi", "jensenshannon", "t_test"]
)
def test_profiles_of_many_values_come_near(name):
    draw = np.random.default_rng(3)
    one, two = pl.Series("x", draw.normal(0, 1, 40_000)), pl.Series("x", draw.normal(0.02, 1.01, 30_000))
    left, right = (profile_frame(side.to_frame()).columns[0] for side in (one, two))
    assert not left.sketch.is_exact
    data, profiles = score_columns(name, one, two, kind="num"), score_profiles(name, left, right, kind="num")
    # A p-value is more sensitive than the statistic: the distance of Kolmogorov is taken at the edges of buckets.
    assert profiles.score == pytest.approx(data.score, rel=0.2 if name == "ks" else 0.06, abs=2e-4)


@pytest.mark.parametrize("case", SAMPLES["cat"])
@pytest.mark.parametrize("name", ["z", "chisquare", "g_test", "jensenshannon", "kl_div", "psi", "hellinger", "TVD"])
def test_profiles_of_categories_give_what_the_data_give(name, case):
    one, two = (pl.Series("x", side) for side in SAMPLES["cat"][case])
    left, right = (profile_frame(side.to_frame()).columns[0] for side in (one, two))
    data = score_columns(name, one, two, kind="cat")
    assert score_profiles(name, left, right, kind="cat") == data


def test_what_is_missing_or_not_finite_is_left_out():
    one, two = pl.Series("x", [1.0, None, 3.0, float("nan"), 2.0]), pl.Series("x", [2.0, float("inf"), 4.0, 3.0])
    assert score_columns("t_test", one, two, kind="num").score == pytest.approx(
        score_columns("t_test", pl.Series([1.0, 3.0, 2.0]), pl.Series([2.0, 4.0, 3.0]), kind="num").score
    )
    with pytest.raises(InvalidInput, match="reference"):
        score_columns("ks", pl.Series("x", [None], dtype=pl.Float64), two, kind="num")


def test_names_and_kinds_are_checked():
    with pytest.raises(InvalidInput, match="wasserstein"):
        method("waserstein", "num")
    with pytest.raises(InvalidInput, match="does not compare"):
        method("ks", "cat")
    column = profile_frame(pl.DataFrame({"x": [1.0, 2.0]})).columns[0]
    with pytest.raises(UnsupportedFormat, match="needs the data"):
        score_profiles("anderson", column, column, kind="num")
