"""W&B sweep files: read as they are, their distributions drawn exactly, their programs run for each trial."""

from __future__ import annotations

import json
import math
import random
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st

import mainspring as ms
from mainspring.cli.app import cli
from mainspring.kernel.errors import CheckFailed, InvalidInput, NotFound
from mainspring.tuning import Choice, Float, Int, sweeps_programs
from mainspring.tuning.sweeps import read_sweep, run_sweep
from mainspring.tuning.sweeps_distributions import DISTRIBUTIONS, parameter_of
from mainspring.tuning.sweeps_programs import arguments_of
from mainspring.tuning.warm_start import fits

pytestmark = pytest.mark.databases("sqlite")

FILE = """
program: train.py
name: demo sweep
method: bayes
metric: {name: val/loss, goal: minimize, target: 0.001}
run_cap: 12
parameters:
  lr: {distribution: log_uniform_values, min: 1e-4, max: 0.1}
  depth: {min: 2, max: 8}
  dropout: {min: 0.0, max: 0.5}
  kind: {values: [adam, sgd], probabilities: [0.25, 0.75]}
  layers: {value: 3}
  adam:
    parameters:
      beta: {distribution: normal, mu: 0.9, sigma: 0.01}
early_terminate: {type: hyperband, min_iter: 3, eta: 2}
command: ["${env}", "${interpreter}", "-u", "${program}", "${args}"]
"""
X = {"x": {"values": [1, 2]}}
GIVEN = {
    "a": 2.0,
    "b": 5.0,
    "max": 3,
    "min": 1,
    "mu": 1.0,
    "probabilities": [0.2, 0.8],
    "q": 0.5,
    "sigma": 0.5,
    "value": 7,
    "values": ["x", "y"],
}


def test_a_file_says_what_is_searched_and_how(tmp_path: Path) -> None:
    path = tmp_path / "sweep.yaml"
    path.write_text(FILE)
    sweep = read_sweep(path)
    assert {name: each for name, each in sweep.space.items() if name != "adam.beta"} == {
        "lr": Float(1e-4, 0.1, log=True),
        "depth": Int(2, 8),
        "dropout": Float(0.0, 0.5),
        "kind": Choice(("adam", "sgd")),
    }
    assert sweep.parameters["adam.beta"].dimension.low == pytest.approx(0.85)
    assert sweep.constants == {"layers": 3}
    assert sweep.pruner == ("asha", {"min_resource": 3, "reduction_factor": 2})
    assert (sweep.metric, sweep.direction, sweep.target, sweep.run_cap) == ("val/loss", "minimize", 0.001, 12)
    arguments = arguments_of(sweep, {"lr": 0.1, "adam.beta": 0.9, "flag": True, "layers": 3}, tmp_path)
    assert arguments[:4] == ["/usr/bin/env", sys.executable, "-u", "train.py"]
    assert arguments[4:] == ["--lr=0.1", "--adam.beta=0.9", "--flag=True", "--layers=3"]
    with pytest.raises(NotFound):
        read_sweep(tmp_path / "none.yaml")


@pytest.mark.parametrize(
    ("macro", "expected"),
    [
        ("${args_no_hyphens}", ["a.b=1", "on=True", "off=False"]),
        ("${args_no_boolean_flags}", ["--a.b=1", "--on"]),
        ("${args_json}", ['{"a": {"b": 1}, "on": true, "off": false}']),
        ("--x=${envvar:SWEEP_TEST}", ["--x=yes"]),
    ],
)
def test_macros_are_replaced(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, macro: str, expected: list[str]) -> None:
    monkeypatch.setenv("SWEEP_TEST", "yes")
    given = {"method": "random", "parameters": {"a": {"values": [1]}}, "program": "p.py"}
    params = {"a.b": 1, "on": True, "off": False}
    assert arguments_of(read_sweep({**given, "command": [macro]}), params, tmp_path) == expected
    (path,) = arguments_of(read_sweep({**given, "command": ["${args_json_file}"]}), params, tmp_path)
    assert json.loads(Path(path).read_text()) == {"a": {"b": 1}, "on": True, "off": False}
    (named,) = arguments_of(read_sweep({**given, "command": ["--in=${args_json_file}"]}), params, tmp_path)
    assert named == f"--in={path}"


def test_what_stands_for_a_macro_is_data_and_no_macro_or_command(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("SWEEP_TEST", "${envvar:SWEEP_TEST}")  # would be looked into for ever
    hostile = "${envvar:HOME} $(touch here); `id`"
    given = {"method": "random", "parameters": {"a": {"values": [hostile]}}, "program": "p.py"}
    sweep = read_sweep({**given, "command": ["x=${envvar:SWEEP_TEST}", "y=${args}", "${args}", "${envvar:open"]})
    assert arguments_of(sweep, {"a": hostile}, tmp_path) == [
        "x=${envvar:SWEEP_TEST}",
        f"y=--a={hostile}",
        f"--a={hostile}",
        "${envvar:open",
    ]


def test_what_a_program_leaves_behind_ends_with_its_trial(
    client: ms.Client, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sweeps_programs, "_LINGER_SECONDS", 0.3)
    (tmp_path / "train.py").write_text(
        "import subprocess\nleft = subprocess.Popen(['sleep', '60'])\n"
        "open('left', 'w').write(str(left.pid))\nprint('{\"loss\": 1}')\n"
    )
    sweep = read_sweep({"method": "random", "program": "train.py", "metric": {"name": "loss"}, "parameters": X})
    assert run_sweep(client, sweep, count=1, folder=tmp_path).value == 1
    left = Path("/proc") / (tmp_path / "left").read_text() / "status"
    for _ in range(100):  # who has no parent any more is reaped by another process
        if not left.exists() or "State:\tZ" in left.read_text():
            return
        time.sleep(0.02)
    pytest.fail("it is still there")


def test_lines_that_only_look_like_a_metric_do_not_stop_the_listening(client: ms.Client, tmp_path: Path) -> None:
    (tmp_path / "train.py").write_text(
        """print('{"loss": 1' + "0" * 400 + "}"); print('{"loss":' + "[" * 100_000)\n"""
        """print('{"loss": NaN}'); print("noise " * 50_000); print('{"loss": 2.5}')\n"""
    )
    sweep = read_sweep({"method": "random", "program": "train.py", "metric": {"name": "loss"}, "parameters": X})
    assert run_sweep(client, sweep, count=1, folder=tmp_path).value == 2.5


@pytest.mark.parametrize("kind", sorted(set(DISTRIBUTIONS) - {"constant"}))
def test_what_is_drawn_lies_in_the_dimension_and_follows_the_distribution(kind: str) -> None:
    given = {key: GIVEN[key] for key in DISTRIBUTIONS[kind]}
    if kind == "inv_log_uniform":
        given = {"min": 0.0, "max": 2.0}
    parameter = parameter_of("p", {**given, "distribution": kind})
    chance = random.Random(3)
    drawn = [parameter.draw(chance) for _ in range(4000)]
    assert all(fits(parameter.dimension, each) for each in drawn)
    if kind.startswith("categorical"):
        share = 0.8 if "prob" in kind else 0.5
        assert drawn.count("y") / 4000 == pytest.approx(share, abs=0.03)
        return
    plain = kind.removeprefix("q_")
    medians = {
        "beta": 0.2644,
        "int_uniform": 2,
        "inv_log_uniform": math.exp(-1),
        "inv_log_uniform_values": math.sqrt(3),
        "log_normal": math.e,
        "log_uniform": math.exp(2),
        "log_uniform_values": math.sqrt(3),
        "normal": 1.0,
        "uniform": 2.0,
    }
    tolerance = 0.26 if kind.startswith("q_") else 0.08 * medians[plain] + 0.02
    assert sorted(drawn)[2000] == pytest.approx(medians[plain], abs=tolerance)


@given(st.floats(-1e3, 1e3), st.floats(0, 1e3), st.floats(0.01, 50), st.integers())
def test_quantised_values_are_multiples(low: float, width: float, q: float, seed: int) -> None:
    parameter = parameter_of("p", {"distribution": "q_uniform", "min": low, "max": low + width, "q": q})
    value = parameter.draw(random.Random(seed))
    assert abs(value / q - round(value / q)) < 1e-6
    assert low - q <= value <= low + width + q


@pytest.mark.parametrize(
    "bad",
    [
        {"method": "hyper"},
        {"metric": {"name": "x", "goal": "best"}},
        {"parameters": {}},
        {"parameters": {"x": 3}},
        {"parameters": {"x": {"min": 1}}},
        {"parameters": {"x": {"values": []}}},
        {"parameters": {"x": {"values": [1], "probabilities": [0.3]}}},
        {"parameters": {"x": {"distribution": "gauss", "mu": 0}}},
        {"parameters": {"x": {"distribution": "log_uniform_values", "min": 0, "max": 1}}},
        {"parameters": {"x": {"distribution": "log_uniform", "min": 0, "max": 1e9}}},
        {"parameters": {"x": {"min": 2.0, "max": 1.0}}},
        {"early_terminate": {"type": "median"}},
        {"early_terminate": {"type": "hyperband"}},
        {"early_terminate": {"min_iter": 0}},
        {"early_terminate": {"max_iter": 9, "eta": 0}},
        {"early_terminate": ["hyperband"]},
        {"run_cap": -1},
        {"command": "python train.py"},
        {"metric": {"name": "x", "target": "low"}},
        {"parameters": {"x": {"value": 1}, "x.y": {"values": [1, 2]}}},
        {"parameters": {"x.y": {"value": 1}, "x": {"parameters": {"y": {"values": [1, 2]}}}}},
        {"paramters": {}},
    ],
)
def test_what_is_no_sweep_is_refused(bad: dict[str, Any]) -> None:
    with pytest.raises(InvalidInput):
        read_sweep({"method": "random", "parameters": {"x": {"values": [1, 2]}}, **bad})


PROGRAM = """
import argparse, json, os, sys
parser = argparse.ArgumentParser()
for name in ("--x", "--kind", "--layers"):
    parser.add_argument(name)
given = parser.parse_args()
if given.kind == "broken":
    sys.exit("no such kind")
if given.kind == "logged":
    import mainspring as ms
    with ms.run() as run:
        run.log({"loss": float(given.x) ** 2 + 1})
else:
    print("starting")
    for step in range(3):
        print(json.dumps({"loss": float(given.x) ** 2 + 3 - step, "step": step}))
assert json.loads(os.environ["MAINSPRING_PARAMS"])["layers"] == int(given.layers)
"""


def test_the_program_is_run_for_each_trial_and_its_metric_read(client: ms.Client, tmp_path: Path) -> None:
    (tmp_path / "train.py").write_text(PROGRAM)
    sweep = read_sweep(
        {
            "program": "train.py",
            "method": "grid",
            "metric": {"name": "loss"},
            "parameters": {
                "x": {"values": [2.0]},
                "kind": {"values": ["logged", "printed", "broken"]},
                "layers": {"value": 3},
            },
        }
    )
    found = run_sweep(client, sweep, folder=tmp_path, parallel=3)
    by_kind = {trial.params["kind"]: trial for trial in found.trials}
    assert (by_kind["logged"].value, by_kind["printed"].value) == (5.0, 5.0)
    assert list(by_kind["printed"].reports) == [0, 1, 2]
    assert by_kind["broken"].error == "CheckFailed: [MS-7001] the program ended with 1: no such kind"
    assert client.tracking.get(by_kind["logged"].id).metrics["loss"].value == 5.0
    assert found.study.metric_names == ["loss"]


def test_a_program_that_is_hopeless_is_killed(client: ms.Client, tmp_path: Path) -> None:
    (tmp_path / "train.py").write_text(
        "import json, pathlib, sys, time\n"
        "x = float(sys.argv[1].split('=')[1])\n"
        "for step in range(1, 13):\n"
        "    print(json.dumps({'loss': x, 'step': step}), flush=True)\n"
        "    time.sleep(0.1)\n"
        "pathlib.Path(f'ended-{x}').touch()\n"
    )
    sweep = read_sweep(
        {
            "program": "train.py",
            "method": "grid",
            "metric": {"name": "loss", "target": 1.0},
            "parameters": {"x": {"values": [1.0, 5.0, 6.0, 7.0]}},
            "early_terminate": {"type": "hyperband", "min_iter": 1, "eta": 2},
        }
    )
    found = run_sweep(client, sweep, folder=tmp_path, parallel=4)
    pruned = [trial for trial in found.trials if trial.state == "pruned"]
    assert 1 <= len(pruned) <= 3
    assert found.params == {"x": 1.0}
    assert all(not (tmp_path / f"ended-{trial.params['x']}").exists() for trial in pruned)


def test_a_sweep_is_run_and_looked_at_from_the_command_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "train.py").write_text("import sys; print('{\"loss\": ' + sys.argv[1].split('=')[1] + '}')")
    (tmp_path / "sweep.yaml").write_text(
        "program: train.py\nname: cli\nmethod: random\nmetric: {name: loss, goal: minimize}\n"
        "parameters: {x: {min: 0.0, max: 1.0}}\n"
    )
    store = ["--store", str(tmp_path / "store")]

    def call(*words: str) -> str:
        answer = CliRunner().invoke(cli, ["tune", *words, *store])
        assert answer.exit_code == 0, answer.output
        return answer.stdout

    with pytest.raises(InvalidInput, match="without an end"):
        CliRunner().invoke(cli, ["tune", "run", "sweep.yaml", *store], catch_exceptions=False)
    ran = json.loads(call("run", "sweep.yaml", "--count", "3", "--key", "k", "--json"))
    assert (ran["trials"], ran["study"]["unique_name"]) == (3, "cli")
    assert "stopped by  trials" in call("run", "sweep.yaml", "--count", "3", "--key", "k")
    assert call("list").split("\t")[:3] == ["cli", "finished", "3"]
    assert len(call("trials", "cli").splitlines()) == 3
    assert json.loads(call("best", "cli", "--json"))["values"] == [ran["best"]["values"][0]]
    assert "space x" in call("show", "cli")
    assert len(json.loads(call("trials", "cli", "--json"))) == 3


def test_random_draws_are_the_same_for_the_same_seed(client: ms.Client) -> None:
    from mainspring.tuning import tune
    from mainspring.tuning.sweeps import sweep_sampler

    sweep = read_sweep({"method": "bayes", "parameters": {"x": {"distribution": "normal", "mu": 5, "sigma": 1}}})

    def search(name: str, seed: int) -> list[float]:
        found = tune(
            lambda x: (x - 5) ** 2,
            sweep.space,
            trials=14,
            sampler=sweep_sampler(sweep, seed=seed),
            name=name,
            client=client,
        )
        return [trial.params["x"] for trial in found.trials]

    assert search("a", 1) == search("b", 1) != search("c", 2)
    assert client.tuning.get("a").sampler == "sweep bayes"
    with pytest.raises(CheckFailed):
        tune(lambda x: 1 / 0, sweep.space, trials=2, name="never", client=client)
