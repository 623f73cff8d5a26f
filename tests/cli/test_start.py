"""A command on a store of this machine loads what it uses: to start is most of what a small command takes."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

NEVER = {
    "asyncio", "duckdb", "email", "http", "httpx", "importlib.metadata", "jinja2", "numpy", "pandas", "polars",
    "pyarrow", "rich", "socket", "ssl", "starlette", "subprocess", "tempfile", "uvicorn", "yaml", "zipfile",
}  # fmt: skip
"""What a local `mainspring data` has no use for."""
PROGRAM = """
import json, sys
from mainspring.cli.app import cli
cli.main(args=sys.argv[1:], standalone_mode=False)
sys.stderr.write("LOADED" + json.dumps(sorted(sys.modules)))
"""


def _loaded(folder, *words):
    answer = subprocess.run(
        [sys.executable, "-c", PROGRAM, "data", *words, "--store", "store"],
        cwd=folder,
        capture_output=True,
        check=True,
        text=True,
    )
    return set(json.loads(answer.stderr.rpartition("LOADED")[2]))


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    folder = tmp_path_factory.mktemp("start")
    (folder / "photos").mkdir()
    (folder / "photos" / "cat.bin").write_bytes(b"cat")
    _loaded(folder, "commit", "photos", "photos")
    return folder


def test_a_plain_status_loads_little(place):
    loaded = _loaded(place, "status", "photos")
    assert sorted(loaded & NEVER) == []
    assert len(loaded) < 320


@pytest.mark.parametrize(
    "words",
    [
        ("add", "photos"),
        ("checkout", "photos@1", "out"),
        ("push", "photos", "./remote"),
        ("pull", "photos", "./remote"),
    ],
    ids=lambda words: words[0],
)
def test_what_stays_on_this_machine_needs_no_network(place, words):
    assert sorted(_loaded(place, *words) & NEVER) == []
