"""Pages of data and its quality: what they say of what failed, of what is agreed, and of two versions."""

from __future__ import annotations

import polars as pl
import pytest

from mainspring.quality import Expectation, expect
from mainspring.quality.checkpoints import Checkpoint, Emit, Target

GOOD = pl.DataFrame({"id": [1, 2, 3], "delay": [5.0, -3.0, None], "<b>": ["x", "<script>", "y"]})
BAD = pl.DataFrame({"id": [1, 2, 4], "delay": [5.0, 9000.0, 12.0], "<b>": ["x", "<script>", "y"]})
SUITE = expect("flights").column("delay").between(-120, 1440).column("id").unique().suite


@pytest.fixture
def page(client, empty):
    client.data.commit("flights", GOOD, message="January")
    client.data.commit("flights", BAD, message="February")
    client.quality.save_suite(SUITE)
    for version in (1, 2):
        client.quality.validate(f"flights@{version}", "flights", by="id")
        client.quality.profile(f"flights@{version}")
    return empty.page


def card(page, title):
    return next(each for each in page.all("section") if each.all("h2") and each.all("h2")[0].text.startswith(title))


def test_what_fails_stands_first_and_leads_to_its_rows(client, page):
    client.data.commit("agreed", GOOD)
    client.quality.set_contract("agreed", SUITE)
    index = page("/quality")
    rows = card(index, "Datasets").all("tr")[1:]
    assert [row.all("th")[0].text for row in rows] == ["flights", "agreed"]
    assert ("failed" in rows[0].text, "1 of 2" in rows[0].text, "not validated" in rows[1].text) == (True, True, True)
    report = page(next(a.attributes["href"] for a in rows[0].all("a") if "/reports/" in a.attributes["href"]))
    assert "9,000" in card(report, "values of delay are expected").text
    assert "66.6667 % hold" in card(report, "Expectations").text
    assert "delay to be at least -120 and at most 1440: 1 of 1 rows" in card(report, "By id").text
    assert [row.all("th")[0].text for row in card(report, "By id").all("tr")[1:]] == ["2"]
    assert "<script>" in card(report, "values of delay").text  # as text: the parser would have made it an element


def test_a_report_of_drift_names_its_rules_and_draws_both_samples_over_one_axis(client, page):
    old = pl.DataFrame({"delay": [float(k % 100) for k in range(600)]})
    for name, frame in (("one", old), ("two", old.with_columns(pl.col("delay") + 300))):
        client.data.commit(name, frame)
    client.quality.drift("one", "two", rules="evidently", name="delays")
    shown = page("/reports/drift/delays@1")
    assert "ks" in card(shown, "Columns").text
    assert "threshold 0.05" in card(shown, "Columns").text
    assert "by Evidently's rules" in shown.all("main")[0].text
    assert "300" in card(shown, "Distributions").text  # the axis reaches as far as what is new
    client.quality.drift("one", "two", name="delays")
    assert "threshold" not in card(page("/reports/drift/delays@2"), "Columns").text


def test_a_dataset_shows_its_expectations_over_time_its_contract_and_its_badge(client, page):
    client.quality.set_contract("flights", SUITE, note="agreed with the airport")
    shown = page("/data/flights")
    line = card(shown, "Expectations over time").all("tr")[1]
    assert line.all("th")[0].text == "delay"
    assert len(line.all("svg")[0].all("rect")) == 2
    assert "agreed with the airport" in card(shown, "Contract").text
    assert "contract" in page("/data").all("main")[0].text
    client.data.tag("flights@2", tags={"season": "winter"})
    client.data.note("flights@2", text="One sensor was broken.")
    assert all(said in page("/data/flights").text for said in ("season: winter", "One sensor was broken."))
    assert all(said in page("/data/flights@2").text for said in ("season: winter", "One sensor was broken."))
    assert "9,000" in card(page("/data/flights@2"), "Rows").text
    assert "null" in card(page("/data/flights@1"), "Rows").text


def test_two_versions_are_compared_to_the_row(page):
    plain = page("/data-diff?before=flights@1&after=flights@2")
    assert "as a bag" in card(plain, "Rows").text
    matched = page("/data-diff?before=flights@1&after=flights@2&key=id")
    assert "9,000" in card(matched, "Rows").text
    assert [tile.all("span")[1].text for tile in matched.all("div", class_="tile")][:4] == ["1", "1", "1", "1"]
    assert "same columns" in card(matched, "Columns").text
    equal = page("/data-diff?before=flights@1&after=flights@1")
    assert "the content is equal" in equal.text


def test_what_is_no_table_has_no_rows_to_show(client, empty, tmp_path):
    tmp_path.joinpath("note.bin").write_bytes(b"\0\1")
    client.data.commit("notes", tmp_path / "note.bin")
    assert "make no table" in card(empty.page("/data/notes@1"), "Rows").text
    client.data.commit("broken", GOOD)
    for each in (tmp_path / "cache").rglob("*"):
        if each.is_file():
            each.unlink()
    for each in (tmp_path / "blobs").rglob("*"):
        if each.is_file():
            each.chmod(0o600)
            each.write_bytes(b"\0" * each.stat().st_size)
    shown = empty.page("/data/broken@1")
    assert "cannot be read" in card(shown, "Rows").text
    assert "is damaged" in shown.all("div", role="alert")[0].text


def test_a_checkpoint_says_what_it_asks_what_follows_and_how_it_went(client, page):
    target = Target(dataset="flights", suite="flights")
    client.quality.save_checkpoint(
        Checkpoint(name="nightly", targets=(target,), actions=(Emit(),), note="Before dawn.")
    )
    assert "It never ran" in page("/quality/checkpoints/nightly").text
    client.quality.run_checkpoint("nightly")
    shown = page("/quality/checkpoints/nightly")
    assert "Before dawn." in shown.text
    assert "0 of 3" in card(shown, "Runs").text
    assert "failed" in card(page("/quality"), "Checkpoints").text


def test_a_suite_is_shown_in_sentences_and_a_history_as_a_line(client, page):
    assert "values of id are expected to be unique" in page("/quality/suites/flights@1").text
    history = {"history": [1.0, 2.0, 1.5, 1.0, 2.0, 1.0]}
    suite = expect("rows").add(Expectation(kind="table_row_count_to_be_normal", arguments=history))
    report = client.quality.validate("flights@1", suite)
    shown = page(f"/{report.ref.replace('report/', 'reports/', 1)}")
    assert "6 values before, and now" in card(shown, "the table is expected").text


@pytest.mark.parametrize("path", ["/quality/suites/none@1", "/quality/checkpoints/none", "/data-diff?before=a&after=b"])
def test_what_is_not_there_is_said(empty, path):
    assert empty.get(path).status_code == 404


def test_what_lies_elsewhere_is_not_asked_for_by_the_server(client, empty, tmp_path, monkeypatch):
    for name, frame in (("one", GOOD), ("other", BAD)):
        (tmp_path / name).mkdir()
        frame.write_parquet(tmp_path / name / "flights.parquet")
        client.data.link("linked", str(tmp_path / name))
    monkeypatch.setattr(type(client.data), "scan_external", lambda *_: pytest.fail("the server read it"))
    shown = empty.page("/data-diff?before=linked@1&after=linked@2")
    assert "what lies elsewhere is read only where you are" in shown.text
