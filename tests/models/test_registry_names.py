"""Models as names: made, tagged, renamed, deleted and brought back; stages and aliases; embedded and over HTTP."""

from __future__ import annotations

from typing import Any

import pytest
from registry_tools import SIGNATURE, person, register

from mainspring.client.client import Client
from mainspring.engines.signature import Field, Signature
from mainspring.kernel.context import Caller, acting_as
from mainspring.kernel.errors import AlreadyExists, Conflict, Forbidden, InvalidInput, InvalidName, NotFound
from mainspring.lineage import graph
from mainspring.models.service import Models
from mainspring.models.types import Metric
from mainspring.store.local import LocalBackend
from mainspring.trust.guard import RoleGuard


def test_a_model_is_made_described_and_tagged(any_client: Client) -> None:
    made = any_client.models.create("flight-delay", description="late or not", tags={"team": "ops", "empty": ""})
    assert (made.description, made.tags, made.deleted_at) == ("late or not", {"team": "ops"}, None)
    with pytest.raises(AlreadyExists):
        any_client.models.create("flight-delay")
    with pytest.raises(InvalidName):
        any_client.models.create("../up")
    with pytest.raises(NotFound, match="no version"):
        any_client.models.get("flight-delay")
    assert any_client.models.tag("flight-delay", "tier", "1").tags == {"team": "ops", "tier": "1"}
    changed = any_client.models.tag("flight-delay", "team", "")
    assert changed.tags == {"tier": "1"}
    assert changed.updated_at > made.updated_at
    assert any_client.models.model("flight-delay") == changed
    with pytest.raises(InvalidInput):
        any_client.models.tag("flight-delay", "", "x")
    version = register(any_client, "flight-delay", tags={"a": "b"}, source="runs:/1/model")
    assert (version.version, version.stage, version.status, version.source) == (1, "None", "ready", "runs:/1/model")
    tagged = any_client.models.tag_version("flight-delay@1", "c", "d")
    assert tagged.tags == {"a": "b", "c": "d"}
    assert tagged.updated_at > version.updated_at
    assert any_client.models.tag_version(tagged.id, "a", "").tags == {"c": "d"}
    assert any_client.models.describe_version("flight-delay@1", status="failed").status == "failed"


def test_a_version_may_lie_elsewhere(client: Client) -> None:
    version = client.models.register("m", files=[], source="s3://bucket/model", status="pending")
    assert (version.format, version.size, version.status) == ("external", 0, "pending")
    assert client.models.register("m", files=[], source="s3://bucket/model").digest == version.digest
    assert client.models.files("m@1") == []
    with pytest.raises(NotFound, match="no file"):
        client.models.file("m@1", "model.bin")
    with pytest.raises(InvalidInput, match="source"):
        client.models.register("m", files=[])


def test_a_deleted_model_comes_back_with_what_went_with_it(any_client: Client) -> None:
    models = any_client.models
    for _ in range(3):
        register(any_client, "m")
    models.alias("m", "champion", 2)
    models.alias("m", "best", 3)
    models.delete_version("m@1")
    assert models.delete("m").deleted_at is not None
    for ask, about in ((models.get, "m"), (models.get, "m@2"), (models.model, "m"), (models.versions, "m")):
        with pytest.raises(NotFound, match="deleted"):
            ask(about)
    with pytest.raises(NotFound):
        models.get("m@champion")
    with pytest.raises(Conflict, match="deleted"):
        register(any_client, "m")
    with pytest.raises(Conflict, match="restore"):
        models.restore_version("m@2")
    assert models.models() == []
    assert [each.name for each in models.search(view="deleted").models] == ["m"]
    assert models.restore("m").deleted_at is None
    assert [each.version for each in models.versions("m")] == [3, 2], "what was deleted before stays so"
    assert models.get("m@champion").version == 2
    assert models.get("m@best").version == 3
    with pytest.raises(NotFound, match="not deleted"):
        models.restore("m")


def test_a_deleted_version_gives_its_aliases_back_where_they_are_free(client: Client) -> None:
    models = client.models
    for _ in range(3):
        register(client)
    models.alias("m", "champion", 3)
    models.alias("m", "blue", 3)
    deleted = models.delete_version("m@3")
    assert (deleted.aliases, deleted.deleted_at is None) == ([], False)
    assert models.get("m").version == 2, "the newest is the newest that is there"
    with pytest.raises(NotFound, match="restore"):
        models.get("m@3")
    assert models.get("m@3", deleted=True).version == 3
    models.alias("m", "blue", 1)
    assert models.restore_version("m@3").aliases == ["champion"]
    assert models.get("m@blue").version == 1
    moves = [(each.alias, each.version) for each in models.alias_history("m")]
    assert (moves[:2], moves[-2:]) == ([("champion", 3), ("blue", 1)], [("blue", 3), ("champion", 3)])
    assert sorted(moves[2:4]) == [("blue", 0), ("champion", 0)]
    with pytest.raises(NotFound, match="not deleted"):
        models.restore_version("m@3")


def test_a_name_that_was_deleted_can_be_taken_anew_and_numbers_go_on(client: Client) -> None:
    register(client, tags={"old": "1"})
    client.models.describe("m", description="the old one", tags={"x": "y"})
    client.models.delete("m")
    assert client.models.create("m", description="the new one").tags == {}
    assert client.models.versions("m") == []
    assert client.models.search("tags.x = 'y'", view="all").models == []
    assert register(client).version == 2
    assert client.models.restore_version("m@1").tags == {"old": "1"}


def test_a_renamed_model_is_found_under_both_names(any_client: Client) -> None:
    models = any_client.models
    first = register(any_client, "old", metrics={"auc": 0.8})
    register(any_client, "old")
    models.alias("old", "champion", 1)
    models.approve("old@1", comment="fine")
    models.tag("old", "team", "ops")
    assert models.rename("old", "new").name == "new"
    for ref in ("new@1", "old@1", "new@champion", "old@champion", first.id):
        found = models.get(ref)
        assert (found.ref, found.aliases, found.digest) == ("model/new@1", ["champion"], first.digest)
    assert any_client.lineage.artifact("model/old@1").artifact.id == first.id
    assert register(any_client, "old").ref == "model/new@3"
    assert [each.alias for each in models.alias_history("new")] == ["champion"]
    assert models.search("tags.team = 'ops'").models[0].name == "new"
    assert [each.ref for each in models.search_versions("metrics.auc > 0.5").versions] == ["model/new@1"]
    assert models.approvals("new@1")[0].comment == "fine"
    register(any_client, "other")
    for taken in ("other", "new"):
        if taken != "new":
            with pytest.raises(AlreadyExists):
                models.rename("new", taken)
    assert models.rename("new", "newest").name == "newest"
    assert models.get("old@1").ref == "model/newest@1"
    models.create("old")
    assert register(any_client, "old").ref == "model/old@1", "a name that is in use is itself"
    assert models.get("new@1").ref == "model/newest@1"


def test_stages_are_mlflows(client: Client) -> None:
    models = client.models
    for _ in range(3):
        register(client)
    assert models.set_stage("m@1", "production").stage == "Production"
    assert models.set_stage("m@2", "Production").stage == "Production"
    assert models.set_stage("m@3", "PRODUCTION", archive_existing=True).stage == "Production"
    assert [each.stage for each in models.versions("m")] == ["Production", "Archived", "Archived"]
    assert models.set_stage("m@1", "None").stage == "None"
    with pytest.raises(InvalidInput) as caught:
        models.set_stage("m@1", "Prod")
    assert "Production" in caught.value.known
    with pytest.raises(InvalidInput, match="archived from"):
        models.set_stage("m@1", "Archived", archive_existing=True)
    assert [each.version for each in models.search_versions("stage = 'archived'").versions] == [2]


def test_moving_an_alias_is_one_change_with_its_audit(client: Client) -> None:
    register(client)
    register(client)
    client.models.alias("m", "blue", 1)
    before = len(client.storage.events(limit=1000))
    assert client.models.alias("m", "blue", 1).aliases == ["blue"], "saying it again is no move"
    assert len(client.storage.events(limit=1000)) == before
    client.models.alias("m", "blue", 2)
    event = client.storage.events(limit=1)[0]
    assert event.action == "models.alias"
    assert {"before": 1, "after": 2}.items() <= event.changes[0].detail.items()
    assert [each.aliases for each in client.models.versions("m")] == [["blue"], []]
    for wrong in ("latest", "v3", "3"):
        with pytest.raises(InvalidInput):
            client.models.alias("m", wrong, 1)


def test_figures_by_data_and_what_differs_between_versions(client: Client) -> None:
    with client.backend.store.write("test.fill") as tx:
        for number in (1, 2):
            graph.add_artifact(tx, "dataset", "flights", digest=f"d{number}")
    first = register(client, parameters={"depth": 3, "rate": 0.1}, metrics={"auc": 0.8}, data=["flights@1"])
    wider = Signature(inputs=(*SIGNATURE.inputs, Field("hour", "INT64", nullable=True)), outputs=SIGNATURE.outputs)
    register(client, parameters={"depth": 4, "rate": 0.1}, metrics={"auc": 0.82}, data=["flights@2"], signature=wider)
    assert first.measured == {}
    measured = client.models.measure("m@2", {"auc": Metric(0.79, 0.77, 0.81, 0.95)}, dataset="dataset/april@1")
    assert measured.measured == {"dataset/april@1": {"auc": Metric(0.79, 0.77, 0.81, 0.95)}}
    client.models.measure("m@2", {"auc": Metric(0.78)}, dataset="dataset/april@1")
    assert client.models.versions("m")[0].measured["dataset/april@1"]["auc"] == Metric(0.78)
    with pytest.raises(InvalidInput):
        client.models.measure("m@2", {"auc": Metric(0.7)}, dataset="")
    diff = client.models.diff("m@1", "m@2")
    assert diff.parameters == {"depth": (3, 4)}
    assert diff.metrics == {"auc": (Metric(0.8), Metric(0.82)), "auc on dataset/april@1": (None, Metric(0.78))}
    assert diff.data == (["dataset/flights@1"], ["dataset/flights@2"])
    assert diff.signature == {"in hour": (None, "INT64 or missing")}
    assert not diff.same_content
    assert client.models.diff("m@1", "m@1").same_content


def test_workspaces_do_not_see_each_other(client: Client) -> None:
    register(client, "m", tags={"a": "b"})
    client.models.alias("m", "champion", 1)
    client.models.set_rules("", [])
    other = Caller(principal="eve", workspace="other", roles=("admin",), method="token")
    with acting_as(other):
        assert client.models.search("tags.a = 'b'").models == []
        assert client.models.search_versions("alias = 'champion'").versions == []
        with pytest.raises(NotFound):
            client.models.get("m@1")
        assert client.models.create("m").workspace == "other"
        client.models.delete("m")
    assert client.models.get("m@champion").tags == {"a": "b"}


def test_who_may_only_read_changes_nothing(client: Client) -> None:
    register(client)
    guarded = Models(LocalBackend(client.backend.store, RoleGuard()))
    calls: list[Any] = [
        lambda: guarded.create("x"),
        lambda: guarded.tag("m", "a", "b"),
        lambda: guarded.delete("m"),
        lambda: guarded.delete_version("m@1"),
        lambda: guarded.rename("m", "x"),
        lambda: guarded.set_stage("m@1", "Staging"),
        lambda: guarded.approve("m@1"),
        lambda: guarded.reject("m@1"),
        lambda: guarded.set_rules("m", []),
        lambda: guarded.write_card("m", "summary", "x"),
        lambda: guarded.retain("m"),
    ]
    with acting_as(person("reader", "viewer")):
        for call in calls:
            with pytest.raises(Forbidden):
                call()
        assert guarded.get("m").version == 1
    with acting_as(person("writer", "contributor")):
        assert guarded.tag("m", "a", "b").tags == {"a": "b"}
        for call in (calls[6], calls[7], calls[8], calls[10]):
            with pytest.raises(Forbidden):
                call()
