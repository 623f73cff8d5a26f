"""Tags and notes: what is said of versions, by whom, and finding versions by it."""

from __future__ import annotations

import polars as pl
import pytest

from mainspring.data.service_labels import Labels
from mainspring.kernel.errors import InvalidInput, InvalidName, NotFound

FRAME = pl.DataFrame({"n": [1, 2, 3]})


@pytest.fixture
def data(any_client):
    for number in range(3):
        any_client.data.commit("flights", FRAME.with_columns(v=number))
    any_client.data.commit("other", FRAME)
    return any_client.data


def test_tags_are_set_changed_and_taken_away(data):
    assert data.tag("flights@2", tags={"source": "radar", "quality": "raw"}).tags == {
        "quality": "raw",
        "source": "radar",
    }
    assert data.tag("flights@2", tags={"quality": "checked"}).tags == {"quality": "checked", "source": "radar"}
    assert data.untag("flights@2", keys=["source", "never"]).tags == {"quality": "checked"}
    assert data.labels(["flights@1", "flights@2"]) == [Labels(), Labels({"quality": "checked"})]


def test_versions_are_found_by_their_tags(data):
    data.tag("flights@1", tags={"source": "radar", "year": "2025"})
    data.tag("flights@3", tags={"source": "radar", "year": "2026"})
    data.tag("other", tags={"source": "radar"})
    assert [each.ref for each in data.tagged({"source": "radar"})] == [
        "dataset/other@1",
        "dataset/flights@3",
        "dataset/flights@1",
    ]
    assert [each.version for each in data.tagged({"source": "radar"}, name="flights", limit=1)] == [3]
    assert [each.version for each in data.tagged({"source": "radar", "year": "2025"})] == [1]
    assert data.tagged({"source": "sonar"}) == []


def test_a_note_says_who_wrote_it(data):
    assert data.note("flights@1", text="Radar 7 was down").noted_by == "owner"
    assert data.note("flights@1", text="It was radar 8").note == "It was radar 8"
    assert data.note("flights@1", text="") == Labels()


def test_what_cannot_be_said_changes_nothing(data):
    data.tag("flights", tags={"good": "yes"})
    for wrong in (
        {"../bad": "x"},
        {"": "x"},
        {"long": "x" * 1001},
        {"null": "\x00"},
        {f"k{n}": "" for n in range(100)},
    ):
        with pytest.raises((InvalidInput, InvalidName)):
            data.tag("flights", tags=wrong)
    with pytest.raises(InvalidInput):
        data.note("flights", text="x" * 20_001)
    with pytest.raises(NotFound):
        data.tag("flights@9", tags={"a": "b"})
    with pytest.raises(InvalidInput):
        data.tagged({})
    assert data.labels(["flights"]) == [Labels({"good": "yes"})]
