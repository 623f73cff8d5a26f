"""Logged models: begun, filled, finished, searched, deleted; and what the graph knows of them."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from mainspring.client.client import Client
from mainspring.kernel.clock import now, turned
from mainspring.kernel.errors import Conflict, InvalidInput, NotFound
from mainspring.kernel.ids import new_id
from mainspring.models.logged_types import DatasetFilter, LoggedMetric, LoggedOrder
from mainspring.tracking.types import RunStart


def begun(client: Client, experiment: str = "exp", **more: Any) -> Any:
    run = client.tracking.start(RunStart(new_id(), experiment))
    return client.models.create_logged(more.pop("name", "m"), experiment=experiment, run_id=run.id, **more)


def test_from_pending_to_an_artifact_of_its_run(any_client: Client) -> None:
    client = any_client
    model = begun(client, params={"depth": "6"}, tags={"team": "ops"}, type="agent")
    assert model.id.startswith("m-")
    assert len(model.id) == 34
    assert (model.model.status, model.params, model.tags) == ("pending", {"depth": "6"}, {"team": "ops"})
    client.models.put_logged_file(model.id, path="data/model.bin", body=[b"12", b"3456789"])
    client.models.put_logged_file(model.id, path="MLmodel", body=b"a: 1")
    done = client.models.finish_logged(model.id)
    assert done.model.status == "ready"
    graph = client.lineage.why(done.model.artifact_id)
    assert model.model.run_id in [node.id for node in graph.nodes]
    assert b"".join(client.models.read_logged_file(model.id, path="data/model.bin", start=2, stop=5)) == b"345"
    assert [each.path for each in client.models.logged_files(model.id)] == ["MLmodel", "data/model.bin"]
    again = client.models.finish_logged(model.id)
    assert again.model.artifact_id == done.model.artifact_id
    client.models.delete_logged_file(model.id, path="MLmodel")
    with pytest.raises(NotFound, match="MLmodel"):
        list(client.models.read_logged_file(model.id, path="MLmodel"))


def test_a_run_that_uses_a_model_is_downstream_of_it(client: Client) -> None:
    model = client.models.finish_logged(begun(client).id)
    user = client.tracking.start(RunStart(new_id(), "eval"))
    client.models.use_logged(user.id, [model.id])
    assert user.id in [node.id for node in client.lineage.impact(model.model.run_id).nodes]


def test_parameters_stand_and_tags_change(client: Client) -> None:
    model = begun(client, params={"a": "1"})
    client.models.log_logged_params(model.id, {"a": "1", "b": "2"})
    with pytest.raises(Conflict, match="'a'"):
        client.models.log_logged_params(model.id, {"c": "3", "a": "2"})
    client.models.tag_logged(model.id, {"x": "1", "y": ""})
    client.models.tag_logged(model.id, {"x": None})
    found = client.models.logged(model.id)
    assert found.params == {"a": "1", "b": "2"}
    assert found.tags == {"y": ""}


def test_deleting_hides_and_restoring_brings_back(client: Client) -> None:
    model = begun(client)
    client.models.delete_logged(model.id)
    with pytest.raises(NotFound):
        client.models.logged(model.id)
    assert client.models.logged(model.id, deleted=True).model.deleted_at is not None
    assert client.models.search_logged().models == []
    with pytest.raises(NotFound):
        client.models.finish_logged(model.id)
    client.models.restore_logged(model.id)
    assert [each.id for each in client.models.search_logged().models] == [model.id]


@pytest.mark.parametrize("name", ["a/b", "a:b", "a.b", "a%b", 'a"b', "a'b", "x" * 501])
def test_names_that_are_refused(client: Client, name: str) -> None:
    with pytest.raises(InvalidInput):
        begun(client, name=name)


@pytest.mark.parametrize("path", ["", "/a", "a//b", "../a", "a/../b", "a\nb", "x" * 1001])
def test_paths_that_are_refused(client: Client, path: str) -> None:
    with pytest.raises(InvalidInput):
        client.models.put_logged_file(begun(client).id, path=path, body=b"x")


def seeded(client: Client) -> list[str]:
    ids = []
    for number in range(6):
        model = begun(
            client,
            "odd" if number % 2 else "even",
            name=f"Model{number}",
            params={"depth": str(number)},
            tags={"team": "Ops" if number < 3 else "dev"},
        )
        ids.append(model.id)
        figures = [("train", 0.9), ("test", number / 10)]
        client.models.measure_logged(
            [LoggedMetric(model.id, "auc", value, now(), 0, name, f"d-{name}") for name, value in figures]
        )
    client.models.finish_logged(ids[0])
    return ids


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("params.depth = '3'", [3]),
        ("metrics.auc > 0.35 AND name != 'Model5'", [0, 1, 2, 3, 4]),
        ("tags.team = 'dev' OR name = 'Model0'", [0, 3, 4, 5]),
        ("NOT tags.team = 'dev'", [0, 1, 2]),
        ("tags.team LIKE 'O%'", [0, 1, 2]),
        ("tags.team LIKE 'o%'", []),
        ("tags.team ILIKE 'o%'", [0, 1, 2]),
        ("status = 'READY'", [0]),
        ("params.nothing IS NULL", [0, 1, 2, 3, 4, 5]),
        ("name IN ('Model1', 'Model2')", [1, 2]),
        ("created > 0", [0, 1, 2, 3, 4, 5]),
    ],
)
def test_filters(client: Client, query: str, expected: list[int]) -> None:
    ids = seeded(client)
    found = client.models.search_logged(query).models
    assert sorted(ids.index(each.id) for each in found) == expected


def test_figures_are_compared_on_the_data_that_was_named(client: Client) -> None:
    ids = seeded(client)
    found = client.models.search_logged("metrics.auc >= 0.4", datasets=[DatasetFilter("test")]).models
    assert sorted(ids.index(each.id) for each in found) == [4, 5]
    assert client.models.search_logged("metrics.auc >= 0.4", datasets=[DatasetFilter("test", "other")]).models == []
    assert len(client.models.search_logged(datasets=[DatasetFilter("train", "d-train")]).models) == 6
    assert client.models.search_logged(datasets=[DatasetFilter("nothing")]).models == []


def test_orders_and_pages(client: Client) -> None:
    ids = seeded(client)
    bare = begun(client).id
    order = [LoggedOrder("metrics.auc", ascending=False, dataset_name="test")]
    seen: list[str] = []
    page = ""
    while True:
        found = client.models.search_logged(order_by=order, limit=2, page=page)
        seen += [each.id for each in found.models]
        page = found.next_page
        if not page:
            break
    assert seen == [*ids[::-1], bare]
    first = client.models.search_logged(experiments=["odd"], limit=1)
    assert [ids.index(each.id) for each in first.models] == [5]
    with pytest.raises(InvalidInput, match="page token"):
        client.models.search_logged(experiments=["even"], limit=1, page=first.next_page)
    for wrong in ("nothing", "params.depth"):
        with pytest.raises(InvalidInput, match=wrong):
            client.models.search_logged(order_by=[LoggedOrder(wrong)])
    with pytest.raises(InvalidInput, match="bogus"):
        client.models.search_logged("bogus = '1'")


def test_the_latest_figure_counts_in_an_order(client: Client) -> None:
    first, second = begun(client).id, begun(client).id
    for model, step, value in ((first, 0, 0.9), (first, 1, 0.1), (second, 0, 0.5)):
        client.models.measure_logged([LoggedMetric(model, "auc", value, now(), step)])
    found = client.models.search_logged(order_by=[LoggedOrder("metrics.auc", ascending=False)])
    assert [each.id for each in found.models] == [second, first]


def test_the_same_figure_twice_is_one(client: Client) -> None:
    model, moment = begun(client).id, now()
    for value in (1.0, 1.0, float("nan")):
        client.models.measure_logged([LoggedMetric(model, "auc", value, moment)])
    (held,) = client.models.logged(model).metrics
    assert held.value == 1.0


def test_a_deleted_logged_model_gives_up_its_bytes_when_it_cannot_be_restored(client: Client) -> None:
    kept, gone = begun(client), begun(client)
    for model, data in ((kept, b"kept" * 500), (gone, b"gone" * 500)):
        client.models.put_logged_file(model.id, path="model.bin", body=data)
        client.models.finish_logged(model.id)
    digest = client.models.logged_files(gone.id)[0].digest
    client.models.delete_logged(gone.id)
    assert client.storage.collect_garbage(grace_days=0, hold_hours=0).expired == 0
    with turned(timedelta(days=31)):
        assert client.storage.collect_garbage(grace_days=0, hold_hours=0, dry_run=True).expired == 1
        assert client.storage.collect_garbage(grace_days=0, hold_hours=0).expired == 1
    with pytest.raises(NotFound):
        b"".join(client.storage.get_blob(digest))
    assert b"".join(client.models.read_logged_file(kept.id, path="model.bin")) == b"kept" * 500
