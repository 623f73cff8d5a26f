from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest
import yaml

from mainspring.cli.app import main

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"


@pytest.fixture(autouse=True)
def in_the_examples(monkeypatch):
    monkeypatch.chdir(EXAMPLES)
    monkeypatch.setattr(sys, "path", [*sys.path])


def run(capsys, *words):
    with pytest.raises(SystemExit) as left:
        main(["flow", "export", *words])
    said = capsys.readouterr()
    return left.value.code, said.out, said.err


def test_a_flow_is_written_for_another_orchestrator(capsys, tmp_path):
    code, out, err = run(capsys, "nightly:nightly", "--to", "kubeflow", "--image", "nightly:7", "--cron", "@daily")
    assert code == 0
    assert list(yaml.safe_load(out)["root"]["dag"]["tasks"]) == ["load", "fit", "pick", "report"]
    assert err == "note: Its schedule is no part of a pipeline: create a recurring run with @daily.\n"

    file = tmp_path / "nightly.yaml"
    code, out, err = run(capsys, "nightly:nightly", "--image", "nightly:7", "--output", str(file))
    assert (code, out, err) == (0, "", f"{file}: 4 steps\n")
    assert yaml.safe_load(file.read_text())["kind"] == "Workflow"


def test_a_dynamic_flow_says_why_it_is_run_whole(capsys):
    code, out, err = run(capsys, "nightly:until_good", "--image", "nightly:7", "--store", "https://mainspring.example")
    assert code == 0
    (template,) = yaml.safe_load(out)["spec"]["templates"]
    assert template["container"]["args"][:2] == ["flow", "nightly:until_good"]
    assert template["container"]["env"] == [{"name": "MAINSPRING_URL", "value": "https://mainspring.example"}]
    assert "has no static graph: nightly.py:" in err
    assert "lost" not in err


def test_the_graph_is_json(capsys):
    code, out, _ = run(capsys, "nightly:nightly", "--json")
    assert code == 0
    assert [node["name"] for node in json.loads(out)["nodes"]] == ["load", "fit", "pick", "report"]


def test_what_cannot_be_exported_says_what_to_do(capsys):
    assert run(capsys, "nightly:nightly", "--to", "argo")[0] == 2
    code, _, err = run(capsys, "nightly:until_good", "--to", "cronjob", "--image", "nightly:7")
    assert code == 2
    assert "has no schedule" in err
    assert "--cron" in err
