"""`mainspring gc`: what it says and what it does."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from mainspring.cli.gc import gc
from mainspring.client.client import connect
from mainspring.kernel.errors import InvalidInput
from mainspring.store.service import Storage


@pytest.mark.databases("sqlite")
def test_it_says_what_would_go_and_then_removes_it(store_folder: Path) -> None:
    with connect(store_folder) as client:
        digest = Storage(client.backend).put_blob([b"nobody needs this"]).digest
    run = CliRunner().invoke
    place = ["--store", str(store_folder)]
    said = run(gc, [*place, "--dry-run"], catch_exceptions=False).output
    assert "0 blobs, 0 B, would go" in said
    said = run(gc, [*place, "--dry-run", "--now"], catch_exceptions=False).output
    assert "1 blobs, 17 B, would go" in said
    report = json.loads(run(gc, [*place, "--now", "--json"], catch_exceptions=False).output)
    assert (report["removed"], report["deleted_objects"], report["freed_bytes"]) == (1, 1, 17)
    with connect(store_folder) as client:
        assert Storage(client.backend).missing([digest]) == [digest]
        assert client.storage.events(action="storage.collect_garbage")[0].changes[0].detail["removed"] == 1
    with pytest.raises(InvalidInput, match="duration"):
        run(gc, [*place, "--older-than", "soon"], catch_exceptions=False)
