"""The graph: what came from what, over both transports and both databases."""

from __future__ import annotations

from datetime import timedelta

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mainspring.client.client import Client
from mainspring.kernel import clock
from mainspring.kernel.context import Caller, acting_as
from mainspring.kernel.errors import Conflict, InvalidInput, InvalidReference, NotFound
from mainspring.lineage import graph, queries
from mainspring.store.store import Store


@pytest.fixture
def trained(store: Store) -> dict[str, str]:
    """data@1 -> training -> model@1 -> deployment -> predictions@1, with data@2 beside it."""
    ids: dict[str, str] = {}
    with store.write("test.fill") as tx:
        data = graph.add_artifact(tx, "dataset", "flights", digest="d1")
        ids["other"] = graph.add_artifact(tx, "dataset", "flights", digest="d2").id
        training = graph.start_run(tx, "training", "fit")
        graph.use(tx, training.id, data.id, role="training-data")
        model = graph.add_artifact(tx, "model", "delay", digest="m1", run_id=training.id)
        graph.finish_run(tx, training.id)
        deployment = graph.start_run(tx, "deployment", "delay")
        graph.use(tx, deployment.id, model.id, role="model")
        predictions = graph.add_artifact(tx, "predictions", "delay", digest="p1", run_id=deployment.id)
        graph.set_alias(tx, "model", "delay", "champion", 1)
    ids |= {"data": data.id, "training": training.id, "model": model.id, "deployment": deployment.id}
    return ids | {"predictions": predictions.id}


def test_why_goes_back_to_the_data_and_impact_forward_to_the_predictions(
    client: Client, trained: dict[str, str]
) -> None:
    why = client.lineage.why("predictions/delay@1")
    assert [node.id for node in why.nodes] == [
        trained[each] for each in ("predictions", "deployment", "model", "training", "data")
    ]
    assert [node.distance for node in why.nodes] == [0, 1, 2, 3, 4]
    impact = client.lineage.impact("flights@1".replace("flights", "dataset/flights"))
    assert [node.id for node in impact.nodes] == [
        trained[each] for each in ("data", "training", "model", "deployment", "predictions")
    ]
    assert trained["other"] not in {node.id for node in why.nodes}


def test_the_same_answers_over_the_wire(any_client: Client, store_folder: object) -> None:
    assert any_client.lineage.artifacts(kind="dataset") == []
    with pytest.raises(NotFound) as caught:
        any_client.lineage.artifact("model/none@1")
    assert caught.value.code == "MS-2001"
    with pytest.raises(InvalidReference):
        any_client.lineage.why("nonsense")


def test_references_by_version_alias_and_newest(client: Client, trained: dict[str, str]) -> None:
    assert client.lineage.artifact("flights", kind="dataset").artifact.version == 2
    assert client.lineage.artifact("flights@v1", kind="dataset").artifact.digest == "d1"
    assert client.lineage.artifact("model/delay@champion").artifact.id == trained["model"]
    assert client.lineage.artifact(trained["model"]).aliases == ["champion"]
    with pytest.raises(NotFound) as caught:
        client.lineage.artifact("model/delay@prod")
    assert caught.value.known == ("champion", "1")


def test_an_alias_keeps_its_history_and_cannot_look_like_a_version(
    client: Client, store: Store, trained: dict[str, str]
) -> None:
    with store.write("test.alias") as tx:
        graph.add_artifact(tx, "model", "delay", digest="m2")
        graph.set_alias(tx, "model", "delay", "champion", 2)
        graph.set_alias(tx, "model", "delay", "champion", 2)
    assert [(move.alias, move.version) for move in client.lineage.alias_history("model", "delay")] == [
        ("champion", 2),
        ("champion", 1),
    ]
    for name in ("v3", "7", "latest"):
        with pytest.raises(InvalidInput), store.write("test.alias") as tx:
            graph.set_alias(tx, "model", "delay", name, 1)
    assert client.lineage.aliases("model", "delay") == {"champion": 2}


def test_a_run_ends_once(store: Store, trained: dict[str, str]) -> None:
    with store.write("test.end") as tx:
        graph.finish_run(tx, trained["training"])
    with pytest.raises(Conflict, match="already"), store.write("test.end") as tx:
        graph.finish_run(tx, trained["training"], status="failed")


def test_equal_content_is_one_version_where_asked(store: Store, trained: dict[str, str]) -> None:
    with store.write("test.again") as tx:
        assert graph.add_artifact(tx, "dataset", "flights", digest="d1", reuse=True).version == 1
        assert graph.add_artifact(tx, "dataset", "flights", digest="d1").version == 3


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(edges=st.lists(st.tuples(st.integers(0, 12), st.integers(0, 12)), max_size=40), root=st.integers(0, 12))
@pytest.mark.databases("sqlite")
def test_why_and_impact_agree_with_a_walk_in_python(store: Store, edges: list[tuple[int, int]], root: int) -> None:
    with store.write("test.edges") as tx:
        tx.execute("DELETE FROM edge")
        tx.many(
            "INSERT INTO edge (source, target, role) VALUES (?, ?, '') ON CONFLICT DO NOTHING",
            [(str(a), str(b)) for a, b in edges],
        )

    def reach(start: int, pairs: list[tuple[int, int]]) -> set[tuple[str, str]]:
        seen, todo, found = {start}, [start], set()
        while todo:
            here = todo.pop()
            for near, far in pairs:
                if near == here:
                    found.add((str(near), str(far)))
                    if far not in seen:
                        seen.add(far)
                        todo.append(far)
        return found

    with store.read() as tx:
        down = {(edge.source, edge.target) for edge in queries.impact(tx, str(root)).edges}
        up = {(edge.target, edge.source) for edge in queries.why(tx, str(root)).edges}
    assert down == reach(root, edges)
    assert up == reach(root, [(b, a) for a, b in edges])


def test_edges_join_what_is_there_and_never_two_workspaces(store: Store, trained: dict[str, str]) -> None:
    missing = "0192f0c1-7d5e-7000-8000-000000000000"
    with pytest.raises(NotFound), store.write("test.use") as tx:
        graph.use(tx, trained["training"], missing)
    with pytest.raises(NotFound), store.write("test.use") as tx:
        graph.use(tx, missing, trained["data"])
    with pytest.raises(NotFound), store.write("test.make") as tx:
        graph.add_artifact(tx, "dataset", "flights", digest="d1", run_id=missing, reuse=True)
    with acting_as(Caller(workspace="other")):
        with store.write("test.other") as tx:
            run = graph.start_run(tx, "training", "fit")
        with pytest.raises(NotFound), store.write("test.use") as tx:
            graph.use(tx, run.id, trained["data"])
        with store.write("test.touch") as tx:
            graph.touch_run(tx, trained["training"])
    with store.read() as tx:
        assert tx.value("SELECT count(*) FROM edge") == 4
        training = graph.get_run(tx, trained["training"])
    assert training.heartbeat_at == training.started_at


def test_moves_of_an_alias_in_one_moment_and_under_a_turned_clock_keep_their_order(
    client: Client, store: Store, trained: dict[str, str]
) -> None:
    with store.write("test.alias") as tx:
        graph.add_artifact(tx, "model", "delay", digest="m2")
        for version in (2, 1, 2):
            graph.set_alias(tx, "model", "delay", "canary", version)
    with clock.turned(timedelta(hours=-1)), store.write("test.alias") as tx:
        graph.remove_alias(tx, "model", "delay", "canary")
    moves = [move.version for move in client.lineage.alias_history("model", "delay") if move.alias == "canary"]
    assert moves == [0, 2, 1, 2]


def test_a_limited_answer_says_so_and_holds_together(client: Client, trained: dict[str, str]) -> None:
    for limit in (-5, 0, 1, 2, 3):
        part = client.lineage.why("predictions/delay@1", limit=limit)
        assert part.truncated
        ids = {node.id for node in part.nodes}
        assert part.nodes[0].id == part.root
        assert all(edge.source in ids and edge.target in ids for edge in part.edges)
        assert len(part.edges) == max(1, limit)
    assert not client.lineage.why("predictions/delay@1", limit=4).truncated
