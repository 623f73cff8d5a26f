"""Finding runs through the operations: pages, projections, counts, names, experiments, tables; here and over HTTP."""

from __future__ import annotations

import builtins
import math

import polars as pl
import pytest

from mainspring.kernel.context import Caller, acting_as
from mainspring.kernel.errors import InvalidInput, MissingDependency, NotFound
from mainspring.tracking.frames_out import typed_series


def log(client, experiment, title, *, params=None, tags=None, status="finished", **metrics):
    with client.tracking.run(experiment, params=params, tags=tags, title=title, source=False) as run:
        if metrics:
            run.log(**metrics)
        if status != "finished":
            run.finish(status=status)
    return run.id


@pytest.fixture
def runs(any_client):
    """Four runs of two experiments."""
    ids = {
        "a": log(
            any_client,
            "one",
            "a",
            params={"depth": 3, "opt": "adam", "deep": {"er": True}},
            tags={"team": "x"},
            loss=0.5,
            acc=0.8,
        ),
        "b": log(any_client, "one", "b", params={"depth": 6, "opt": "sgd", "list": [1, 2]}, loss=0.1, acc=0.9),
        "c": log(any_client, "one", "c", params={"depth": "many"}, loss=math.nan, status="failed"),
        "d": log(any_client, "two", "d", params={"depth": 4.5}, loss=math.inf),
    }
    return any_client, ids


def titles(page):
    return "".join(each.title for each in page.runs)


def test_a_page_has_what_the_filter_finds_in_order(runs):
    client, _ = runs
    search = client.tracking.search
    assert titles(search("params.depth >= 3 AND metrics.loss < 1")) == "ba"
    assert titles(search("params.depth >= 3", order_by=["params.depth"])) == "adb"
    assert titles(search(order_by=["metrics.loss"])) == "badc"
    assert titles(search(order_by=["-metrics.loss"])) == "dabc", "NaN comes last in either direction"
    assert titles(search("status = 'FAILED' OR experiment = 'two'", order_by=["title"])) == "cd"
    assert titles(search("params.deep.er = true")) == "a"
    assert titles(search("params.list = '[1, 2]'")) == "b"
    assert titles(search(experiments=["two"])) == "d"
    assert titles(search("metrics.loss@0 < 0.3")) == "b"
    assert titles(search("started_at > now - 1h AND duration < 1h", order_by=["title"])) == "abcd"


def test_fields_say_what_is_loaded(runs):
    client, _ = runs
    (run,) = client.tracking.search("title = 'a'", fields=["metrics.loss", "params.d*"]).runs
    assert (list(run.metrics), run.params, run.tags) == (["loss"], {"deep.er": True, "depth": 3}, {})
    (run,) = client.tracking.search("title = 'a'", fields=[]).runs
    assert (run.metrics, run.params, run.tags) == ({}, {}, {})
    (run,) = client.tracking.search("title = 'a'").runs
    assert (set(run.metrics), run.params["opt"], run.tags) == ({"loss", "acc"}, "adam", {"team": "x"})
    with pytest.raises(InvalidInput, match="not a field"):
        client.tracking.search(fields=["loss"])


def test_pages_go_on_where_they_ended_while_runs_arrive(runs):
    client, _ = runs
    search = client.tracking.search
    first = search(order_by=["title"], limit=2)
    assert titles(first) == "ab"
    log(client, "one", "A")  # comes before what was shown: no later page has it
    log(client, "one", "bb")
    second = search(order_by=["title"], limit=2, page=first.next_page)
    assert titles(second) == "bbc"
    last = search(order_by=["title"], limit=2, page=second.next_page)
    assert (titles(last), last.next_page) == ("d", "")


def test_a_token_is_of_one_question(runs):
    client, _ = runs
    token = client.tracking.search(order_by=["title"], limit=1).next_page
    for other in (
        {"order_by": ["-title"]},
        {"query": "title != 'x'", "order_by": ["title"]},
        {"order_by": ["title"], "view": "all"},
    ):
        with pytest.raises(InvalidInput, match="another question"):
            client.tracking.search(**other, page=token)
    wrong = [
        token[:-3],
        "x" + token[1:],
        "nonsense!",
        "",
        token + "A",
        token[:5] + ("A" if token[5] != "A" else "B") + token[6:],
    ]
    for each in wrong:
        if each:
            with pytest.raises(InvalidInput, match="page token"):
                client.tracking.search(order_by=["title"], page=each)


def test_counting_loads_nothing(runs):
    client, ids = runs
    count = client.tracking.count
    assert count() == 4
    assert count("metrics.loss = nan") == 1
    assert count("metrics.loss < 1") == 2
    assert count("metrics.loss IN (0.1, 0.1, 0.5)") == 2
    assert count("params.depth IS NOT NULL", experiments=["one"]) == 3
    client.tracking.delete_runs([ids["b"]])
    assert count("metrics.loss < 1") == 1
    assert count("metrics.loss < 1", view="deleted") == 1
    assert count("metrics.loss < 1", view="all") == 2
    assert count(view="deleted") == 1
    assert titles(client.tracking.search(view="deleted")) == "b"


def test_names_that_no_run_has_are_named(runs):
    client, _ = runs
    assert client.tracking.search("metrics.lsos < 1 OR params.depth > 1 OR tags.x = 'y'").unknown == [
        "metrics.lsos",
        "tags.x",
    ]
    with pytest.raises(NotFound) as caught:
        client.tracking.search(experiments=["oen"])
    assert "one" in caught.value.known


@pytest.mark.parametrize(
    "asked",
    [{"query": "metrics."}, {"order_by": ["x"]}, {"limit": 0}, {"limit": 60_000}, {"order_by": ["title", "-title"]}],
)
def test_what_cannot_be_asked_is_refused(any_client, asked):
    with pytest.raises(InvalidInput):
        any_client.tracking.search(**asked)


def test_keys_are_listed_by_prefix_and_counted_on_request(runs):
    client, _ = runs
    keys = client.tracking.keys
    assert [(each.space, each.name) for each in keys(space="metric")] == [("metric", "acc"), ("metric", "loss")]
    found = {each.name: each for each in keys(prefix="d", counts=True)}
    assert {name: (each.runs, each.numeric) for name, each in found.items()} == {
        "depth": (4, True),
        "deep.er": (1, False),
    }
    assert [each.name for each in keys(experiments=["two"])] == ["loss", "depth"]
    assert len(keys(limit=3)) == 3


def test_experiments_are_found_too(runs):
    client, _ = runs
    client.tracking.create_experiment("three", tags={"team": "web"}, note="None yet")
    find = client.tracking.experiments
    assert [each.name for each in find(order_by=["name"]).experiments] == ["one", "three", "two"]
    assert [each.name for each in find("tags.team = 'web' AND note CONTAINS 'NONE'").experiments] == ["three"]
    assert [(each.name, each.runs) for each in find("name LIKE 't%' AND name != 'three'").experiments] == [("two", 1)]
    page = find(order_by=["-tags.team", "name"], limit=2)
    assert [each.name for each in page.experiments] == ["three", "one"]
    rest = find(order_by=["-tags.team", "name"], limit=2, page=page.next_page)
    assert ([each.name for each in rest.experiments], rest.next_page) == (["two"], "")
    client.tracking.delete_experiment("two")
    assert [each.name for each in find(view="deleted").experiments] == ["two"]
    assert client.tracking.count() == 3


def test_a_frame_has_typed_columns(runs):
    client, ids = runs
    frame = client.tracking.frame(order_by=["title"])
    assert frame["run_id"].to_list() == list(ids.values())
    assert frame.schema["started_at"] == pl.Datetime("us", "UTC")
    assert frame["metrics.acc"].to_list() == [0.8, 0.9, None, None]
    losses = frame["metrics.loss"].to_list()
    assert losses[:2] == [0.5, 0.1]
    assert math.isnan(losses[2])
    assert losses[3] == math.inf
    assert frame["params.deep.er"].to_list() == [True, None, None, None]
    assert frame["params.depth"].to_list() == ["3", "6", "many", "4.5"], "what differs in type is text"
    assert frame["params.list"].to_list() == [None, "[1, 2]", None, None]
    numbers = client.tracking.frame("params.depth > 0", order_by=["title"], fields=["params.depth"])
    assert numbers["params.depth"].to_list() == [3.0, 6.0, 4.5]
    assert [each for each in numbers.columns if "." in each] == ["params.depth"]
    assert client.tracking.frame("title = 'none'").height == 0


def test_a_frame_is_had_in_other_forms(runs, monkeypatch):
    client, _ = runs
    pytest.importorskip("pyarrow")
    table = client.tracking.frame(fields=["metrics.acc"], kind="arrow")
    assert (table.num_rows, str(table.schema.field("metrics.acc").type)) == (4, "double")
    assert client.tracking.frame(fields=["metrics.acc"], kind="pandas")["metrics.acc"].notna().sum() == 2
    real = builtins.__import__

    def without(name, *rest):
        if name.split(".")[0] in ("pyarrow", "pandas"):
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)
        return real(name, *rest)

    monkeypatch.setattr(pl.DataFrame, "to_arrow", lambda _: without("pyarrow"))
    with pytest.raises(MissingDependency, match="frames"):
        client.tracking.frame(kind="arrow")


def test_a_column_has_the_type_that_all_of_its_values_have():
    assert typed_series("a", [1, None, 3]).dtype == pl.Int64
    assert typed_series("a", [1, 2.5]).dtype == pl.Float64
    assert typed_series("a", [True, None]).dtype == pl.Boolean
    assert typed_series("a", [True, 1]).dtype == pl.String
    assert typed_series("a", [None]).dtype == pl.String
    assert typed_series("a", [1 << 70]).dtype == pl.Float64
    assert typed_series("a", [10**400]).dtype == pl.String


def test_another_workspace_sees_nothing(client):
    log(client, "one", "a", params={"depth": 3}, loss=0.5)
    with acting_as(Caller("bob", workspace="other")):
        assert client.tracking.search("metrics.loss < 1").runs == []
        assert client.tracking.count() == 0
        assert client.tracking.keys() == []
        assert client.tracking.experiments().experiments == []
        with pytest.raises(NotFound):
            client.tracking.search(experiments=["one"])
