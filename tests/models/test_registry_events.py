"""What happens in the registry is announced, in the order in which it happens, and only when it happened."""

from __future__ import annotations

import pytest
from registry_tools import person, register

from mainspring.client.client import Client
from mainspring.kernel.context import acting_as
from mainspring.kernel.errors import CheckFailed


def test_every_change_is_announced_and_no_refused_one(client: Client) -> None:
    models = client.models
    start = client.events.position()
    models.create("m", tags={"a": "b"})
    register(client)
    register(client)
    models.alias("m", "champion", 1)
    with pytest.raises(CheckFailed):
        models.alias("m", "champion", 2)
    models.tag_version("m@2", "k", "v")
    models.tag_version("m@2", "k", "")
    models.tag("m", "a", "")
    models.set_stage("m@2", "Staging")
    with acting_as(person("bob")):
        models.approve("m@2")
        models.reject("m@2")
        models.withdraw("m@2")
    models.delete_version("m@1")
    models.restore_version("m@1")
    models.rename("m", "n")
    models.delete("n")
    models.restore("n")
    told = client.events.since(start, kinds=["model.*"], limit=1000)
    assert [each.kind for each in told] == [
        "model.created",
        "model.version.created",
        "model.version.created",
        "model.alias.set",
        "model.version.tag.set",
        "model.version.tag.deleted",
        "model.tag.deleted",
        "model.version.stage.set",
        "model.version.approved",
        "model.version.rejected",
        "model.version.approval.withdrawn",
        "model.alias.deleted",
        "model.version.deleted",
        "model.version.restored",
        "model.alias.set",
        "model.renamed",
        "model.alias.deleted",
        "model.deleted",
        "model.alias.set",
        "model.restored",
    ]
    moved = told[3]
    assert (moved.subject, moved.data["version"], moved.data["before"]) == ("model/m@champion", 1, 0)
