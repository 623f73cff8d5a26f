"""The stages of the demo about flows and searches, on a store of the test's own with one worker."""

from __future__ import annotations

import threading

import polars as pl
import pytest

from mainspring.demo import flowing
from mainspring.demo.show import Show
from mainspring.pipelines.worker import Worker

pytestmark = pytest.mark.databases("sqlite")


@pytest.fixture
def delays(monkeypatch):
    """A small year in place of the real one, which takes a second to read."""
    months = pl.DataFrame({"month": [1, 1, 1, 1, 2, 2, 3, 3], "arr_delay": [5, 20, 70, None, 30, 40, 0, 0]})
    monkeypatch.setattr(flowing, "flights", lambda: months)
    return months


def test_flows_start_once_wait_without_a_process_and_keep_their_version(client, delays, tmp_path, monkeypatch):
    monkeypatch.setenv("MAINSPRING_STORE", str(client.address))
    for month in (1, 2, 3):
        client.data.commit("flights", delays.filter(pl.col("month") <= month))
    show = Show()
    worker = Worker(client, kinds=["flow"])
    running = threading.Thread(target=worker.run)
    running.start()
    try:
        with show.stage("flows"):
            flowing.keep_versions(client, show, url="", store=tmp_path)
    finally:
        worker.stop()
        running.join(30)
    facts = {each.what: each.value for each in show.facts}
    assert show.failures == []
    assert facts["answered; it ends as report@1"] == "66.7% of dataset/arrivals@1 were more than 15 minutes late"
    assert facts["started anew, as report@2"] == "33.3% of dataset/arrivals@1 were more than 60 minutes late"
    assert (tmp_path / "quarter-argo.yaml").stat().st_size > 1000


def test_what_a_stage_had_to_do_and_did_not_is_named():
    show = Show()
    with show.stage("a stage"):
        show.must(1 + 1 == 2, "sums")
        show.must(1 + 1 == 3, "other sums")
    assert show.failures == ["a stage: other sums"]
