"""Data that a run used and that lies elsewhere."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mainspring.kernel.errors import Conflict, InvalidInput, NotFound
from mainspring.kernel.ids import new_id
from mainspring.kernel.names import check_name
from mainspring.tracking.inputs import EXTERNAL, RunInput, artifact_name
from mainspring.tracking.types import RunStart


@pytest.fixture
def run_id(client: Any) -> str:
    return str(client.tracking.start(RunStart(new_id(), "flights")).id)


def test_equal_data_is_one_version_and_its_users_are_known(client: Any, run_id: str) -> None:
    second = client.tracking.start(RunStart(new_id(), "flights")).id
    for each in (run_id, second):
        client.tracking.use_external(each, inputs=[RunInput("s3://bucket/a?b", "abc", "training", {"source": "x"})])
    client.tracking.use_external(second, inputs=[RunInput("s3://bucket/a?b", "other")])
    assert [each.version for each in client.lineage.artifacts(kind=EXTERNAL)] == [2, 1]
    found = client.tracking.external(run_id)
    assert [(each.name, each.digest, each.about) for each in found] == [("s3://bucket/a?b", "abc", {"source": "x"})]
    roles = {edge.role for edge in client.lineage.why(f"run/{run_id}").edges}
    assert "training" in roles


def test_wrong_inputs_are_refused_whole(client: Any, run_id: str) -> None:
    with pytest.raises(InvalidInput):
        client.tracking.use_external(run_id, inputs=[RunInput("fine", "a"), RunInput("", "b")])
    with pytest.raises(InvalidInput):
        client.tracking.use_external(run_id, inputs=[RunInput("a", "b")] * 1001)
    with pytest.raises(NotFound):
        client.tracking.use_external(new_id(), inputs=[RunInput("a", "b")])
    client.tracking.delete_runs([run_id])
    with pytest.raises(Conflict):
        client.tracking.use_external(run_id, inputs=[RunInput("a", "b")])
    assert client.tracking.external(run_id) == []


@given(st.text(min_size=1, max_size=300))
def test_every_name_becomes_one_that_artifacts_may_have(name: str) -> None:
    check_name(artifact_name(name))
