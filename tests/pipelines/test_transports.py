"""Flows recorded in a folder and at a server, and the death of the process that runs one."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

from mainspring.client.client import Client

_SCRIPT = """
import os, signal, sys
sys.path.insert(0, sys.argv[2])
import flows_under_test as flows
from mainspring.client.client import connect
from mainspring.pipelines import flow, step

@step
def die():
    if os.environ.get("DIE"):
        os.kill(os.getpid(), signal.SIGKILL)
    return flows.current_step().run_id

@flow
def mortal():
    flows.one(5)
    return die()

if __name__ == "__main__":
    with connect(sys.argv[1]) as client:
        print(mortal.resume(client, sys.argv[3]) if len(sys.argv) > 3 else mortal.run(client))
"""


@pytest.mark.databases("sqlite")
def test_a_flow_runs_the_same_at_a_server(flows: ModuleType, any_client: Client, oracle: Path) -> None:
    Path(f"{oracle}.go").touch()
    assert flows.wide.run(any_client, 3) == 10 * (4 + 1 + 2 + 3)
    assert flows.frames.run(any_client, 500_000) == [124999750001, 124999750002]
    with pytest.raises(ValueError, match="not yet"):
        flows.fails.run(any_client, 8)
    run = any_client.pipelines.runs(state="failed")[0]
    with pytest.raises(ValueError, match="not yet"):
        flows.fails.resume(any_client, run.id)
    assert oracle.read_text().count("one 8") == 1
    assert [flows.cached.run(any_client, 4) for _ in range(2)] == [40, 40]
    assert oracle.read_text().count("costly 4") == 1
    assert {each.kind for each in any_client.lineage.artifacts(limit=100)} == {"code", "environment", "result"}


@pytest.mark.databases("sqlite")
def test_a_run_whose_process_was_killed_is_seen_to_have_crashed_and_goes_on(
    flows: ModuleType, client: Client, oracle: Path, store_folder: Path, tmp_path: Path
) -> None:
    script = tmp_path / "mortal.py"
    script.write_text(_SCRIPT)

    def run(*more: str, die: str = "") -> subprocess.CompletedProcess[str]:
        command = [sys.executable, str(script), str(store_folder), str(Path(flows.__file__).parent), *more]
        environment = {**os.environ, "DIE": die}
        return subprocess.run(command, env=environment, capture_output=True, text=True, check=False)

    assert run(die="yes").returncode == -signal.SIGKILL
    (lost,) = client.pipelines.runs()
    assert lost.state == "running"
    client.pipelines.tick()
    crashed = client.pipelines.get(lost.id)
    assert (crashed.state, client.lineage.runs(kind="flow")[0].status) == ("crashed", "crashed")
    again = run(lost.id)
    assert again.stdout.strip() == lost.id, again.stderr
    assert client.pipelines.get(lost.id).state == "finished"
    assert oracle.read_text().split() == ["one", "5"]
