"""What was deleted, or is not all there, is not put to work."""

from __future__ import annotations

import pytest
from registry_tools import register

from mainspring.client.client import Client
from mainspring.kernel.errors import CheckFailed, Conflict, NotFound


def test_an_endpoint_takes_no_version_that_was_deleted_or_is_not_all_there(client: Client) -> None:
    for _ in range(2):
        register(client)
    for version in (1, 2):
        client.models.approve(f"m@{version}")
    client.models.delete_version("m@2")
    with pytest.raises(NotFound, match="deleted"):
        client.serving.deploy("e", model="m@2")
    client.models.describe_version("m@1", status="pending")
    with pytest.raises(Conflict, match="not all there"):
        client.serving.deploy("e", model="m@1")
    client.models.describe_version("m@1", status="ready")
    assert client.serving.deploy("e", model="m").plan.champion.reference == "model/m@1", "the newest that is there"


def test_an_endpoint_takes_no_content_that_somebody_rejected(client: Client) -> None:
    register(client)
    client.models.approve("m@1")
    client.models.reject("m@1", comment="second thoughts")
    with pytest.raises(CheckFailed, match="not approved"):
        client.serving.deploy("e", model="m@1")
