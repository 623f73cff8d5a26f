"""What the products themselves say of our exports, and of the examples that stand beside ours in the guides.

Each answers in an environment of its own under `build/peer-venvs`, which `make test-peers` makes.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import bills
import demand
import golden
import pytest
import shop
import wines
import yaml

import mainspring as ms
from mainspring.pipelines.exports.exporting import export
from mainspring.pipelines.exports.inputs import Inputs
from mainspring.pipelines.exports.portable import unpack

pytestmark = [pytest.mark.peers, pytest.mark.timeout(300)]

HERE = Path(__file__).parent
ROOT = HERE.parents[2]
COMING_FROM = ROOT / "examples" / "coming_from"


def ask(peer, script, *words, folder, **environment):
    """The facts that a script of `peers` prints, run by the Python of a product."""
    python = ROOT / "build" / "peer-venvs" / peer / "bin" / "python"
    if not python.exists():
        pytest.skip(f"{peer} is not there: make test-peers")
    own = {name: each for name, each in os.environ.items() if not name.startswith(("PYTHON", "AIRFLOW", "METAFLOW"))}
    own |= {"MAINSPRING_PYTHON": sys.executable, "MAINSPRING_FOLDER": str(HERE), "HOME": str(folder), "USER": "tester"}
    own |= {"PYTHONPATH": str(ROOT / "examples")} | environment
    answer = subprocess.run([python, script, *words], capture_output=True, text=True, cwd=folder, env=own)
    assert answer.returncode == 0, f"{answer.stdout[-4000:]}\n{answer.stderr[-4000:]}"
    return answer.stdout


def facts(text):
    return json.loads(text.strip().splitlines()[-1])


def test_kubeflow_loads_and_computes_it(tmp_path):
    files = {"everything": shop.everything, "options": shop.options, "nested": shop.nested, "gathered": shop.gathered}
    for name, flow in files.items():
        (tmp_path / f"{name}.yaml").write_text(export(flow, to="kubeflow", image="shop:1").text)
    script = HERE / "peers" / "ask_kubeflow.py"
    for name in ("options", "nested", "gathered"):
        assert facts(ask("kfp", script, f"{tmp_path}/{name}.yaml", "", folder=tmp_path))["inputs"]
    for name in golden.FILES:
        if "kubeflow" in name:
            assert facts(ask("kfp", script, f"{HERE}/golden/{name}", "", folder=tmp_path))["inputs"]
    found = facts(ask("kfp", script, f"{tmp_path}/everything.yaml", f"{tmp_path}/root", "shops=3", folder=tmp_path))
    assert unpack(Path(found["outputs"]["result"]).read_bytes()) == shop.everything()


def test_kubeflow_refuses_what_it_does_not_know(tmp_path):
    spec = yaml.safe_load(export(shop.nested, to="kubeflow", image="shop:1").text)
    spec["root"]["dag"]["tasks"]["double"]["retryPolicy"] = {"tries": 3}
    (tmp_path / "wrong.yaml").write_text(yaml.safe_dump(spec))
    with pytest.raises(AssertionError, match="tries"):
        ask("kfp", HERE / "peers" / "ask_kubeflow.py", f"{tmp_path}/wrong.yaml", "", folder=tmp_path)


def test_kubeflow_chooses_the_same(tmp_path):
    """The example of the guide: theirs is compiled and run by Kubeflow Pipelines, ours by its own export too."""
    ask("kfp", COMING_FROM / "wines_kubeflow.py", folder=tmp_path)
    (tmp_path / "ours.yaml").write_text(export(wines.wines, to="kubeflow", image="wines:1").text)
    script = HERE / "peers" / "ask_kubeflow.py"
    theirs = facts(ask("kfp", script, "wines.yaml", f"{tmp_path}/theirs", "bottles=24", folder=tmp_path))
    folder = {"MAINSPRING_FOLDER": str(COMING_FROM)}
    ours = facts(ask("kfp", script, "ours.yaml", f"{tmp_path}/ours", "bottles=24", folder=tmp_path, **folder))
    best = unpack(Path(ours["outputs"]["result"]).read_bytes())
    assert theirs["outputs"] == {"Output": best}
    assert best == wines.wines(24)


def test_airflow_imports_and_computes_it(tmp_path):
    dags = tmp_path / "dags"
    dags.mkdir()
    for name in golden.FILES:
        if "airflow" in name:
            shutil.copy(HERE / "golden" / name, dags)
    (dags / "everything.py").write_text(export(shop.everything, to="airflow", image="shop:1").text)
    share = f"claim:{tmp_path}/share"
    (dags / "parts_of.py").write_text(export(shop.parts_of, to="airflow", image="shop:1", share=share).text)
    (dags / "options.py").write_text(export(shop.options, to="airflow", image="shop:1", share=share).text)
    shutil.copy(COMING_FROM / "bills_airflow.py", dags)
    home = str(tmp_path / "airflow")
    (dags / "unpacked.py").write_text(export(shop.unpacked, to="airflow", image="shop:1", share=share).text)
    runs = ["everything", "parts_of", "unpacked", "bills"]
    found = facts(ask("airflow", HERE / "peers" / "ask_airflow.py", dags, *runs, folder=tmp_path, AIRFLOW_HOME=home))
    assert found["errors"] == {}
    assert found["timetables"]["nightly"] == "CronTriggerTimetable"
    assert found["edges"]["nightly"] == {"load": ["fit"], "fit": ["pick"], "pick": ["report"], "report": []}
    assert {name: each["state"] for name, each in found["runs"].items()} == dict.fromkeys(runs, "success")
    reader = Inputs(fired=golden.NOON)

    def value(run, task):
        return reader.arguments([f"value=json:{json.dumps(found['runs'][run]['results'][task])}"])["value"]

    assert value("everything", "add") == shop.everything()
    assert value("parts_of", "join") == shop.parts_of()
    assert value("unpacked", "add") == shop.unpacked()
    assert [path.name for path in (tmp_path / "share").glob("*/shout/*")]

    theirs = found["runs"]["bills"]
    assert theirs["results"]["send"] == bills.bills() == "sent 188.25"
    assert "ask_for_review/-1: skipped" in theirs["tasks"]


@pytest.mark.parametrize("days", [28, 10])
def test_metaflow_picks_the_same(tmp_path, days, capfd):
    """With ten days one of the models fails: there `@catch` keeps the flow going, here a fallback."""
    said = ask("metaflow", COMING_FROM / "demand_metaflow.py", "run", f"--days={days}", folder=tmp_path)
    best = demand.demand.run(ms.connect(str(tmp_path / "store")), days=days)
    assert f"best is {best.window} days, off by {best.error:g}" in said


def test_kubernetes_takes_the_cron_job(tmp_path):
    for name, flow in (("nightly", shop.options), ("plain", shop.nested)):
        made = export(flow, to="cronjob", image="shop:1", cron="@daily", store="https://mainspring.example")
        (tmp_path / f"{name}.yaml").write_text(made.text)
    wrong = yaml.safe_load(made.text)
    wrong["spec"]["timezone"] = "UTC"
    (tmp_path / "wrong.yaml").write_text(yaml.safe_dump(wrong))
    files = [str(path) for path in sorted(tmp_path.glob("*.yaml"))]
    found = facts(ask("kubernetes-validate", HERE / "peers" / "ask_kubernetes.py", "1.35", *files, folder=tmp_path))
    assert {name for name, error in found.items() if error} == {"wrong.yaml"}
    assert "timezone" in found["wrong.yaml"]
