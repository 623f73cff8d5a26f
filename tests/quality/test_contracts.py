"""Contracts: what breaks one is not recorded, however it is committed; what only warns is, with its report."""

from __future__ import annotations

import polars as pl
import pytest

from mainspring.client import connect
from mainspring.data.types import Commit
from mainspring.kernel.errors import CheckFailed, NotFound
from mainspring.quality import expect
from mainspring.quality.suite import as_suite
from mainspring.quality.validation import validate_table

GOOD = pl.DataFrame({"id": [1, 2, 3], "delay": [5, -3, 12]})
BAD = pl.DataFrame({"id": [1, 2, 2], "delay": [5, 9000, 12]})
ODD = pl.DataFrame({"id": [4, 5, 6], "delay": [500, 600, 12]})
SUITE = expect("flights").column("id").unique().column("delay").between(-120, 1440).mean(0, 100, severity="warning")


@pytest.fixture
def flights(any_client):
    any_client.quality.set_contract("flights", SUITE, note="agreed with the airport")
    return any_client


@pytest.mark.databases("sqlite")
def test_a_commit_that_breaks_the_contract_is_refused_before_it_is_visible(flights):
    assert flights.data.commit("flights", GOOD).version == 1
    with pytest.raises(CheckFailed) as refused:
        flights.data.commit("flights", BAD)
    assert "2 critical expectations" in refused.value.message
    failures = {each["kind"]: each for each in refused.value.details["failures"]}
    assert failures["column_values_to_be_between"]["sample"] == [{"__row__": 1, "id": 2, "delay": 9000}]
    assert failures["column_values_to_be_unique"]["unexpected"] == 2
    assert [each.version for each in flights.data.versions("flights")] == [1]
    assert [each.metadata["verdict"] for each in flights.quality.reports(kind="validation")] == ["passed"]
    assert flights.data.commit("other", BAD).version == 1  # the contract is of one name


@pytest.mark.databases("sqlite")
def test_a_warning_passes_and_is_recorded_with_the_version(flights):
    version = flights.data.commit("flights", ODD)
    (report,) = flights.quality.reports(kind="validation", of="flights")
    kept = flights.quality.validation(report.id)
    assert (kept.verdict, [each.expectation.kind for each in kept.failures]) == (
        "warning", ["column_mean_to_be_between"]
    )  # fmt: skip
    assert version.ref in {node.ref for node in flights.lineage.why(report.id).nodes}
    assert {each.verdict for each in flights.quality.history("flights")} == {"passed", "failed"}
    again = flights.quality.validate("flights@1", "flights", record=False)
    assert again.scan.rows_scanned == 0  # the gate had learnt it all
    assert flights.quality.settle("flights", version=1) is None  # once


def test_the_store_refuses_a_version_that_nobody_validated(client):
    quality, data = client.quality, client.data
    quality.set_contract("flights", SUITE)
    stray = data.commit("elsewhere", BAD)
    with pytest.raises(CheckFailed, match="nobody validated"):
        data.record("flights", tree=stray.digest, commit=Commit())
    forged = validate_table(GOOD, expect("flights").column("id").unique())
    with pytest.raises(CheckFailed, match="not about the expectations"):
        quality.admit("flights", tree=stray.digest, report=forged)
    honest = validate_table(BAD, SUITE)
    with pytest.raises(CheckFailed, match="failed"):
        quality.admit("flights", tree=stray.digest, report=honest)
    with pytest.raises(NotFound):
        data.describe("flights")


def test_a_contract_is_of_a_version_of_the_suite_and_can_be_changed_and_removed(client):
    quality = client.quality
    first = quality.set_contract("flights", SUITE)
    assert (first.suite, first.expectations) == ("suite/flights@1", 3)
    assert quality.contract("flights") == first
    client.data.commit("flights", ODD)
    stricter = expect("flights").column("delay").between(-120, 100)
    assert quality.set_contract("flights", stricter).suite == "suite/flights@2"
    with pytest.raises(CheckFailed):
        client.data.commit("flights", ODD, new_version=True)
    assert [each.dataset for each in quality.contracts()] == ["flights"]
    quality.remove_contract("flights")
    assert client.data.commit("flights", BAD).version == 2
    for missing in (quality.contract, quality.remove_contract):
        with pytest.raises(NotFound, match="no contract"):
            missing("flights")
    with pytest.raises(NotFound):
        quality.bind_contract("flights", suite="nothing")


@pytest.mark.databases("sqlite")
def test_what_is_no_table_cannot_keep_a_contract(client, tmp_path):
    client.quality.set_contract("flights", SUITE)
    tmp_path.joinpath("note.bin").write_bytes(b"not a table")
    with pytest.raises(CheckFailed, match="make no table"):
        client.data.commit("flights", tmp_path / "note.bin")


@pytest.mark.databases("sqlite")
def test_a_new_file_beside_known_ones_is_the_only_one_that_the_gate_scans(client, tmp_path):
    suite = expect("parts").column("delay").between(-120, 1440).not_null()
    client.quality.set_contract("parts", suite)
    folder = tmp_path / "parts"
    folder.mkdir()
    for month in range(3):
        GOOD.with_columns(delay=pl.col("delay") + month).write_parquet(folder / f"{month}.parquet")
    client.data.commit("parts", folder)
    GOOD.with_columns(delay=pl.col("delay") + 9).write_parquet(folder / "3.parquet")
    client.data.commit("parts", folder)
    newest = client.quality.validation(client.quality.reports(kind="validation", of="parts")[0].id)
    assert (newest.scan.files, newest.scan.files_scanned, newest.scan.rows_scanned) == (4, 1, 3)
    assert as_suite(suite).expectations == client.quality.suite("parts").expectations


@pytest.mark.databases("sqlite")
def test_data_that_stays_where_it_is_keeps_a_contract_too(client, tmp_path):
    for name, frame in (("good", GOOD), ("bad", BAD)):
        (tmp_path / name).mkdir()
        frame.write_parquet(tmp_path / name / "f.parquet")
    client.quality.set_contract("linked", SUITE)
    version = client.data.link("linked", str(tmp_path / "good"))
    assert client.quality.validate(version.ref, "flights", record=False).scan.rows_scanned == 0
    with pytest.raises(CheckFailed, match="2 critical"):
        client.data.link("linked", str(tmp_path / "bad"))
    assert [each.version for each in client.data.versions("linked")] == [1]


@pytest.mark.databases("sqlite")
def test_a_step_that_commits_is_held_to_the_contract(client):
    from mainspring.pipelines import flow, step

    client.quality.set_contract("flights", SUITE)

    @step
    def load(bad: bool) -> int:
        return client.data.commit("flights", BAD if bad else GOOD).version

    @flow
    def nightly(bad: bool) -> int:
        return load(bad)

    assert nightly.run(client, bad=False) == 1
    with pytest.raises(CheckFailed, match="2 critical"):
        nightly.run(client, bad=True)
    assert [each.version for each in client.data.versions("flights")] == [1]


def test_what_is_pulled_is_held_to_the_contract(client, tmp_path):
    remote = str(tmp_path / "remote")
    with connect(str(tmp_path / "there")) as there:
        there.data.commit("held", pl.DataFrame({"id": [1, 1]}))
        there.data.push("held", remote)
    client.data.commit("held", pl.DataFrame({"id": [1, 2]}))
    client.quality.set_contract("held", expect("held").column("id").unique().suite)
    with pytest.raises(CheckFailed) as refused:
        client.data.pull("held", remote)
    assert "data download REMOTE held" in refused.value.hint
    assert [each.version for each in client.data.versions("held")] == [1]
    client.data.fetch_files(remote, "held", into=tmp_path / "files")
    with pytest.raises(CheckFailed, match="unique"):
        client.data.commit("held", tmp_path / "files")
