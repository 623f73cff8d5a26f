"""Tables against tables: Evidently's choice and verdicts, named tests, roles, presets; and the histograms."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path

import polars as pl
import pytest

from mainspring.kernel.errors import InvalidInput, NotFound, UnsupportedFormat
from mainspring.quality.drift.frames import PRESETS, compare_tables
from mainspring.quality.drift.histograms import overlay
from mainspring.quality.drift.methods import METHODS
from mainspring.quality.drift.types import DriftLimits
from mainspring.quality.profiles.build import profile_frame

np = pytest.importorskip("numpy")
pytest.importorskip("sklearn")
HERE = Path(__file__).parent
_spec = importlib.util.spec_from_file_location("evidently_cases", HERE / "evidently_cases.py")
cases = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(cases)
FACTS = json.loads((HERE / "evidently_facts.json").read_text())


@pytest.mark.parametrize("case", cases.TABLES)
def test_evidentlys_rules_choose_find_and_judge_as_evidently_does(case):
    report = compare_tables(*map(pl.DataFrame, cases.TABLES[case]), rules="evidently")
    facts = FACTS["tables"][case]
    assert {each.column for each in report.columns} == set(facts["columns"])
    for each in report.columns:
        fact = facts["columns"][each.column]
        assert METHODS[each.method].title == fact["method"]
        assert each.score == pytest.approx(fact["score"], rel=1e-9)
        assert (each.threshold, each.verdict == "drift") == (fact["threshold"], fact["drifted"])
    assert (len(report.drifted), report.share) == (facts["share"]["count"], pytest.approx(facts["share"]["share"]))
    assert (report.verdict == "drift") == (facts["share"]["share"] >= 0.5)


def test_evidentlys_rules_from_profiles_where_those_are_enough():
    one, two = map(pl.DataFrame, cases.TABLES["large and moved"])
    data, profiles = compare_tables(one, two, rules="evidently"), compare_tables(
        profile_frame(one), profile_frame(two), rules="evidently"
    )  # fmt: skip
    for each in profiles.columns:
        assert each.method == data.column(each.column).method
        assert each.score == pytest.approx(data.column(each.column).score, rel=0.02)
        assert each.verdict == data.column(each.column).verdict


def test_a_column_may_have_a_test_a_threshold_and_limits_of_its_own():
    one, two = map(pl.DataFrame, cases.TABLES["large and moved"])
    report = compare_tables(
        one, two, tests={"normal": "t_test", "holes": "anderson"}, thresholds={"normal": 1e-300}, target="kind",
        prediction="flag", column_limits={"price": DriftLimits(warn=5, drift=9)}, importances={"carrier": 1.0},
    )  # fmt: skip
    assert (report.column("normal").method, report.column("normal").verdict) == ("t_test", "ok")
    assert report.column("holes").method == "anderson"
    assert report.column("price").verdict == "ok"
    assert (report.column("kind").role, report.column("flag").role) == ("target", "prediction")
    assert (report.column("carrier").method, report.column("carrier").importance) == ("", 1.0)
    from_profiles = compare_tables(profile_frame(one), two, tests={"holes": "anderson"})
    assert from_profiles.column("holes").verdict == "insufficient data"
    assert "needs the data" in from_profiles.column("holes").reason
    with pytest.raises(NotFound, match="norml"):
        compare_tables(one, two, tests={"norml": "ks"})
    with pytest.raises(InvalidInput, match="rules"):
        compare_tables(one, two, rules="theirs")
    with pytest.raises(InvalidInput, match="limits named"):
        compare_tables(one, two, limits="harsh")
    with pytest.raises(UnsupportedFormat):
        compare_tables(one, 7)


def test_presets_and_the_share_of_columns():
    one, two = map(pl.DataFrame, cases.TABLES["large and moved"])
    drifted = {name: len(compare_tables(one, two, limits=name).drifted) for name in PRESETS}
    assert drifted["lenient"] <= drifted["default"] <= drifted["strict"] <= drifted["significance"]
    assert drifted["lenient"] < drifted["significance"]
    assert compare_tables(one, two, limits="strict", drift_share=1.0).verdict == "ok"
    assert compare_tables(one, two, limits="strict", drift_share=0.1).verdict == "drift"


def test_texts_and_kinds_by_evidentlys_rules():
    one, two = cases.texts()["other words"]
    frames = [
        pl.DataFrame({"t": side, "n": [k % 3 for k in range(300)], "b": [True, False] * 150}) for side in (one, two)
    ]
    report = compare_tables(*frames, rules="evidently")
    assert {each.column: each.method for each in report.columns} == {
        "t": "perc_text_content_drift", "n": "chisquare", "b": "z",
    }  # fmt: skip
    assert report.drifted == ("t",)


def test_overlays_hold_every_value_once():
    draw = np.random.default_rng(2)
    one = pl.DataFrame(
        {"x": draw.normal(0, 1, 30_000), "k": draw.integers(0, 6, 30_000), "s": ["a", "b", "c"] * 10_000}
    )
    two = pl.DataFrame({"x": draw.normal(1, 1, 9_000), "k": draw.integers(1, 7, 9_000), "s": ["b", "c", "d"] * 3_000})
    before, after = profile_frame(one), profile_frame(two)
    found = overlay(before, after, "x", bins=30)
    assert len(found.edges) == 31
    assert sum(found.reference) + found.outside[0] == pytest.approx(30_000)
    assert sum(found.current) + found.outside[1] == pytest.approx(9_000)
    exact = np.histogram(one["x"].to_numpy(), np.array(found.edges))[0]
    assert np.abs(np.array(found.reference) - exact).max() < 0.02 * 30_000
    assert overlay(before, after, "k").labels == ("0", "1", "2", "3", "4", "5", "6")
    assert dict(zip(overlay(before, after, "s").labels, overlay(before, after, "s").current, strict=True)) == {
        "a": 0.0, "b": 3000.0, "c": 3000.0, "d": 3000.0,
    }  # fmt: skip
    wild = pl.DataFrame({"x": [*one["x"].to_list(), 1e9]})
    assert overlay(profile_frame(wild), after, "x").outside[0] > 0
    empty = profile_frame(pl.DataFrame({"x": pl.Series([None, None], dtype=pl.Float64)}))
    assert overlay(empty, empty, "x").edges == ()
    assert sum(overlay(empty, after, "x").current) > 8_000
