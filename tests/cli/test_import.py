from __future__ import annotations

import json

import optuna
import pytest
from click.testing import CliRunner

from mainspring.cli.app import cli

pytestmark = pytest.mark.databases("sqlite")


@pytest.fixture
def journal(tmp_path):
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    address = f"sqlite:///{tmp_path}/study.db"
    study = optuna.create_study(study_name="depth", storage=address)
    study.optimize(lambda trial: trial.suggest_float("x", 0, 1), n_trials=3)
    return address


def test_an_import_tells_what_came_and_makes_the_store(tmp_path, journal):
    run = CliRunner().invoke(cli, ["import", "optuna", journal, "--store", str(tmp_path / "store")])
    assert run.exit_code == 0, run.output
    assert "3 imported, 0 here already" in run.output
    again = CliRunner().invoke(cli, ["import", "optuna", journal, "--store", str(tmp_path / "store"), "--json"])
    report = json.loads(again.stdout)
    assert (report["runs"], report["unchanged"], report["problems"]) == (0, 3, [])


@pytest.mark.parametrize("command", ["mlflow", "wandb", "trackio", "optuna", "neptune-export"])
def test_every_source_explains_itself(command):
    run = CliRunner().invoke(cli, ["import", command, "--help"])
    assert run.exit_code == 0
    assert f"mainspring import {command}" in run.output
