"""The quality room on a store: what is kept, how it hangs together in the lineage, in process and over HTTP."""

from __future__ import annotations

import json

import msgspec
import polars as pl
import pytest

from mainspring.kernel.errors import InvalidInput, NotFound
from mainspring.kernel.hooks import AFTER_COMMIT
from mainspring.lineage.types import File
from mainspring.quality import Condition, DriftLimits, Expectation, Gate, Profile, expect, validate_table
from mainspring.quality.drift import PRESETS, compare_tables
from mainspring.quality.profiles.build import profile_frame
from mainspring.quality.reports.html import observed_text

pytestmark = pytest.mark.databases("sqlite")

JANUARY = pl.DataFrame({"wind": [float(k % 30) for k in range(300)], "place": ["JFK", "LGA", "EWR"] * 100})
FEBRUARY = JANUARY.with_columns(wind=pl.when(pl.col("wind") == 7).then(1048.0).otherwise(pl.col("wind")))
SUITE = expect("weather").column("wind").between(0, 250).column("place").in_set(["JFK", "LGA", "EWR"])


@pytest.fixture
def weather(any_client):
    any_client.data.commit("weather", JANUARY)
    any_client.data.commit("weather", FEBRUARY)
    return any_client


def test_a_suite_is_kept_in_versions_by_what_it_says(weather):
    quality = weather.quality
    first = quality.save_suite(SUITE.suite)
    assert (first.ref, quality.save_suite(SUITE.suite).ref) == ("suite/weather@1", "suite/weather@1")
    longer = expect("weather").column("wind").not_null().suite
    assert quality.save_suite(longer).ref == "suite/weather@2"
    assert quality.suite("weather@1") == SUITE.suite
    assert quality.suite("weather") == longer
    assert [each.ref for each in quality.suites()] == ["suite/weather@2"]
    with pytest.raises(NotFound):
        quality.suite("wether")
    with pytest.raises(InvalidInput, match="expects nothing"):
        quality.save_suite(expect("empty").suite)
    assert len(quality.suites()) == 1


def test_a_validation_uses_the_dataset_and_the_suite_and_makes_a_report(weather):
    quality = weather.quality
    assert quality.validate("weather@1", SUITE).verdict == "passed"
    report = quality.validate("weather@2", "weather")
    assert (report.verdict, report.ref, report.dataset) == (
        "failed",
        "report/validation/weather@2",
        "dataset/weather@2",
    )
    kept = quality.validation(report.ref)
    assert kept.results == report.results
    assert kept.results[0].values == ((1048.0, 10),)
    nodes = {(node.kind, node.name, node.version) for node in weather.lineage.why(report.ref).nodes}
    assert {("validation", "weather", 0), ("dataset", "weather", 2), ("suite", "weather", 1)} <= nodes
    assert [each.metadata["verdict"] for each in quality.reports(kind="validation", of="weather")] == [
        "failed",
        "passed",
    ]
    assert quality.reports(kind="drift") == []
    history = quality.history("weather", subject="wind", kind="column_values_to_be_between")
    assert [(each.version, each.verdict, each.unexpected) for each in history] == [(2, "failed", 10), (1, "passed", 0)]


def test_a_frame_is_checked_and_kept_only_when_asked(weather, tmp_path):
    quality = weather.quality
    report = quality.validate(FEBRUARY, SUITE, dataset="a frame")
    assert (report.ref, report.dataset, quality.reports()) == ("", "a frame", [])
    kept = quality.validate(FEBRUARY, SUITE, record=True)
    assert kept.ref == "report/validation/weather@1"
    FEBRUARY.write_parquet(tmp_path / "f.parquet")
    assert quality.validate(tmp_path / "f.parquet", SUITE).verdict == "failed"
    good, bad = quality.quarantine("weather@2", SUITE)
    assert (good.height, bad.height) == (290, 10)


def test_a_suite_is_inferred_from_a_version_under_its_name(weather):
    suite = weather.quality.infer("weather@1")
    assert suite.name == "weather"
    assert weather.quality.validate("weather@2", suite).failures[0].expectation.column == "wind"
    with pytest.raises(InvalidInput, match="needs a name"):
        weather.quality.infer(JANUARY)


def test_a_version_is_profiled_once(weather):
    quality = weather.quality
    profile = quality.profile("weather@1")  # taken when it was committed
    assert profile == profile_frame(JANUARY) == quality.profile_of("weather@1")
    version = weather.data.describe("weather@1")
    assert quality.record_profile(Profile(), of=version.ref).ref == "profile/dataset/weather@1"
    assert quality.profile("weather@1") == profile
    assert quality.profile(FEBRUARY) == profile_frame(FEBRUARY)
    made = weather.lineage.impact("dataset/weather@1").of_kind("profile")
    assert [each.ref for each in made] == ["profile/dataset/weather@1"]


@pytest.mark.databases("sqlite", "postgres")
def test_how_a_dataset_stands_is_that_of_its_newest_version_and_its_worst_suite(client):
    quality = client.quality
    client.data.commit("weather", JANUARY)
    client.data.commit("weather", FEBRUARY)
    assert quality.validate("weather@2", SUITE).verdict == "failed"
    quality.validate("weather@1", SUITE)  # an older version that passes says nothing of the newest
    (standing,) = quality.standings()
    assert (standing.version, standing.verdict, standing.passed) == (2, "failed", 1)
    told = expect("told").column("place").in_set(["JFK"], severity="info").suite
    assert quality.validate("weather@2", told).verdict == "passed"
    assert quality.standings(dataset="weather")[0].suite == "weather"  # the worst of both
    client.data.commit("weather", JANUARY.head(250))
    quality.validate("weather@3", told)
    (standing,) = quality.standings()
    assert (standing.version, standing.verdict, standing.passed) == (3, "passed", 0)  # what is only told fails nothing


def test_a_value_that_is_called_missing_is_a_part_of_its_own(client):
    client.data.commit("t", pl.DataFrame({"kind": ["a", "missing", "missing", None], "n": [1, 2, -3, -4]}))
    found = client.quality.validate("t", expect("t").column("n").between(0, 9), by="kind").parts
    assert [(part.name, part.rows, part.verdict) for part in found] == [
        ("a", 1, "passed"),
        ("missing", 2, "failed"),
        ("(missing)", 1, "failed"),
    ]


def test_what_was_observed_claims_no_more_than_holds():
    one = pl.DataFrame({"n": [-1, *range(5_000_000)]})
    (failed,) = validate_table(one, expect("t").column("n").between(0, None)).results
    (empty,) = validate_table(one.head(0), expect("t").column("n").between(0, None)).results
    assert (observed_text(failed), observed_text(empty)) == ("all but a few hold", "no row is asked")


def test_a_profile_of_an_older_form_is_taken_again(client, store, monkeypatch):
    quality = client.quality
    monkeypatch.setitem(AFTER_COMMIT, "profile", "mainspring.kernel.hooks:load")  # nobody profiles it
    version = client.data.commit("weather", JANUARY)
    old = {**json.loads(profile_frame(JANUARY).to_bytes()), "form": 1}
    monkeypatch.setattr(quality, "_put", lambda value, path: put(old))

    def put(value):
        data = json.dumps(value).encode()
        return File("profile.json", len(data), store.blobs.put(data))

    quality.record_profile(Profile(), of=version.ref)
    monkeypatch.undo()
    assert quality.profile_of(version.ref) is None
    assert [each.value for each in quality.series("weather", metric="mean", column="wind")] == [None]
    assert quality.profile(version.ref) == quality.profile_of(version.ref) == profile_frame(JANUARY)
    assert quality.record_profile(Profile(), of=version.ref).ref == "profile/dataset/weather@2"  # that one is kept


def test_drift_by_the_rules_of_others_reads_the_rows(weather):
    quality = weather.quality
    theirs = quality.drift("weather@1", "weather@2", rules="evidently")
    assert theirs == msgspec.structs.replace(
        compare_tables(JANUARY, FEBRUARY, rules="evidently"), reference="weather@1", current="weather@2"
    )
    named = quality.drift("weather@1", FEBRUARY, tests={"wind": "anderson"}, limits="strict")  # asks the rows
    assert (named.column("wind").method, named.limits) == ("anderson", PRESETS["strict"])
    made = quality.drift("weather@1", "weather@2", rules="evidently", name="theirs")
    assert quality.drift_report("report/drift/theirs@1") == made
    with pytest.raises(InvalidInput, match="none is asked of wind"):
        quality.drift("weather@1", "weather@2", thresholds={"wind": 0.2})


def test_drift_between_versions_profiles_and_frames(weather):
    quality = weather.quality
    report = quality.drift("weather@1", "weather@2", name="weather", importances={"wind": 1.0})
    assert report.columns[0].column == "wind"
    assert report == quality.drift_report("report/drift/weather@1")
    assert quality.drift(profile_frame(JANUARY), JANUARY, limits=DriftLimits(rows=10)).verdict == "ok"
    nodes = {node.ref for node in weather.lineage.why("report/drift/weather@1").nodes}
    assert {"dataset/weather@1", "dataset/weather@2"} <= nodes


def test_an_evaluation_is_kept_with_its_comparison_and_its_decision(weather):
    pytest.importorskip("numpy")
    labels = [0, 1] * 150
    good, weak = [0.2, 0.8] * 150, [0.45, 0.55] * 100 + [0.55, 0.45] * 50
    gate = Gate(name="better", conditions=(Condition(metric="log_loss", better_by=0.0),))
    frame = pl.DataFrame({"place": ["JFK", "LGA", "EWR"] * 100})
    report = weather.quality.evaluate(
        "delay", labels, good, champion=weak, gate=gate, dataset="weather@1", frame=frame, slice_metric="brier"
    )
    assert report.ref == "report/evaluation/delay@1"
    kept = weather.quality.evaluation(report.ref)
    assert kept == report
    assert kept.to_dict()["decision"]["passed"] is True
    assert {each.value for each in kept.evaluation.slices} == {"JFK", "LGA", "EWR"}
    facts = weather.quality.reports(kind="evaluation")[0].metadata
    assert (facts["gate"], facts["passed"], facts["rows"]) == ("better", True, 300)
    assert "dataset/weather@1" in {node.ref for node in weather.lineage.why(report.ref).nodes}
    plain = weather.quality.evaluate("hours", [1.0, 2.0, 3.5], [1.0, 2.5, 3.0], task="regression")
    assert plain.evaluation["mae"].value == pytest.approx(1 / 3)
    with pytest.raises(InvalidInput, match="not a task"):
        weather.quality.evaluate("x", [0, 1], [0.1, 0.2], task="guessing")


def test_a_report_of_another_sort_is_not_handed_out(weather):
    report = weather.quality.validate("weather@1", SUITE)
    with pytest.raises(NotFound, match="not a DriftReport"):
        weather.quality.drift_report(report.ref)
    with pytest.raises(NotFound, match=r"no artifact|is not a"):
        weather.quality.validation("01900000-0000-7000-8000-000000000000")


def test_what_cannot_be_recorded_changes_nothing(weather):
    report = weather.quality.validate("weather@1", SUITE)
    before = len(weather.quality.reports())
    with pytest.raises(NotFound):
        weather.quality.record_validation(report, dataset="weathr@1")
    with pytest.raises(NotFound):
        weather.quality.validate("weather@9", SUITE)
    with pytest.raises(InvalidInput, match="not a dataset"):
        weather.quality.validate("model/delay@1", SUITE)
    assert len(weather.quality.reports()) == before


def test_a_version_is_compared_with_the_one_before_and_with_other_datasets(weather):
    quality = weather.quality
    weather.data.commit("places", pl.DataFrame({"code": ["JFK", "LGA"]}))
    near = {"measure": "maximum", "max_ratio": 2.0}
    key = {"table": "places", "keys": ["code"]}
    suite = (
        expect("compared")
        .add(Expectation(kind="column_metric_to_be_near_other", column="wind", arguments=near))
        .add(Expectation(kind="values_to_be_in_table", column="place", arguments=key, severity="warning"))
    )
    first, second = quality.validate("weather@1", suite), quality.validate("weather@2", suite)
    assert [each.verdict for each in first.results] == ["passed", "failed"]  # nothing is before the first
    assert [each.verdict for each in second.results] == ["failed", "failed"]
    assert second.results[1].unexpected == 100
    weather.data.commit("places", pl.DataFrame({"code": ["JFK", "LGA", "EWR"]}))
    again = quality.validate("weather@1", suite)
    assert again.verdict == "passed"  # what another table answers is never remembered
    given = quality.validate("weather@1", suite, others={"places": pl.DataFrame({"code": ["JFK"]})})
    assert given.results[1].unexpected == 200
