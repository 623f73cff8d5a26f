"""Saved views of runs, and what is said about runs afterwards."""

from __future__ import annotations

import pytest

from mainspring.kernel.errors import InvalidInput, NotFound, TooLarge


@pytest.fixture
def runs(client):
    ids = []
    for depth in (1, 2):
        with client.tracking.run("viewed", params={"depth": depth}, source=False) as run:
            run.log(loss=depth / 2)
        ids.append(run.id)
    return ids


def test_a_view_is_kept_replaced_listed_by_name_and_taken_away(client):
    tracking = client.tracking
    tracking.save_view("worst", query="sort=-metrics.loss")
    tracking.save_view("best", query="sort=metrics.loss")
    tracking.save_view(" worst ", query="sort=-metrics.loss&limit=10")
    assert [(each.name, each.query) for each in tracking.views()] == [
        ("best", "sort=metrics.loss"),
        ("worst", "sort=-metrics.loss&limit=10"),
    ]
    assert tracking.views()[0].created_by == "owner"
    tracking.delete_view("worst")
    assert [each.name for each in tracking.views()] == ["best"]
    with pytest.raises(NotFound) as refused:
        tracking.delete_view("bets")
    assert "best" in refused.value.known
    assert [each.action for each in client.storage.events(limit=2)] == ["tracking.delete_view", "tracking.save_view"]


@pytest.mark.parametrize(
    ("name", "query", "error"),
    [
        ("", "q=a", InvalidInput),
        ("a\nb", "q=a", InvalidInput),
        ("n" * 101, "q=a", InvalidInput),
        ("fine", "no query", InvalidInput),
        ("fine", "q=" + "a" * 8000, TooLarge),
    ],
)
def test_what_is_no_view_is_refused(client, name, query, error):
    with pytest.raises(error):
        client.tracking.save_view(name, query=query)
    assert client.tracking.views() == []


def test_notes_and_tags_of_many_runs_are_set_at_once(client, runs):
    assert client.tracking.annotate(runs, note="looked at", tags={"team": "ops", "old": "yes"}) == 2
    assert client.tracking.annotate([*runs, runs[0]], tags={"old": ""}) == 2
    for run_id in runs:
        found = client.tracking.get(run_id)
        assert (found.note, found.tags, found.status) == ("looked at", {"team": "ops"}, "finished")
    assert client.tracking.count("note CONTAINS 'looked' AND tags.team = 'ops'") == 2


def test_one_run_that_is_not_there_leaves_all_as_they_were(client, runs):
    with pytest.raises(NotFound):
        client.tracking.annotate([runs[0], "0198c0de-0000-7000-8000-000000000000"], tags={"team": "ops"})
    assert client.tracking.get(runs[0]).tags == {}
    with pytest.raises(InvalidInput):
        client.tracking.annotate(runs)
