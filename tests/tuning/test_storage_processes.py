"""Many processes on one study, one of them killed: numbers are unique, and what was told is there. Counted outside."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import optuna
import pytest
from optuna.trial import TrialState

from mainspring.client.client import connect
from mainspring.tuning.storage import MainspringStorage

WORKER = """
import os, sys, time
import optuna
from optuna.storages import RetryHeartbeatStaleTrialCallback
from mainspring.tuning.storage import MainspringStorage

optuna.logging.set_verbosity(optuna.logging.ERROR)
folder, oracle, doomed, total = sys.argv[1], sys.argv[2], sys.argv[3] == "doomed", int(sys.argv[4])

def say(*words):
    with open(oracle, "a") as file:
        file.write(" ".join(map(str, words)) + "\\n")
        file.flush()
        os.fsync(file.fileno())

def objective(trial):
    x = trial.suggest_float("x", -10, 10)
    kind = trial.suggest_categorical("kind", ["a", "b"])
    say("begun", trial.number, x)
    trial.report(x, step=0)
    if doomed and trial.number > 4:
        time.sleep(0.3)  # longer than it takes until the others see what was said
        say("doomed", trial.number, os.getpid())
        time.sleep(60)
    time.sleep(0.01)
    return x * x

storage = MainspringStorage(
    folder,
    heartbeat_interval=0.2,
    grace_period=1.0,
    heartbeat_stale_trial_callback=RetryHeartbeatStaleTrialCallback(max_retry=2),
)
study = optuna.load_study(study_name="shared", storage=storage, sampler=optuna.samplers.RandomSampler())
say("ready", os.getpid())
while not os.path.exists(oracle + ".go"):
    time.sleep(0.01)
deadline = time.monotonic() + 60
def done():
    complete = study.get_trials(deepcopy=False, states=(optuna.trial.TrialState.COMPLETE,))
    return len(complete) >= total and any("failed_trial" in each.system_attrs for each in complete)

while not done() and time.monotonic() < deadline:
    study.optimize(objective, n_trials=1, callbacks=[lambda _, trial: say("told", trial.number, trial.value)])
"""


def _wait_for(check, seconds: float = 60.0):
    deadline = time.monotonic() + seconds
    while not (found := check()):
        assert time.monotonic() < deadline, "it did not come"
        time.sleep(0.01)
    return found


@pytest.mark.databases("sqlite")
def test_a_killed_worker_costs_its_trial_and_nothing_that_was_told(store_folder: Path, tmp_path: Path) -> None:
    oracle = tmp_path / "oracle"
    oracle.touch()
    with MainspringStorage(store_folder) as storage:
        study = optuna.create_study(study_name="shared", storage=storage)
        for place in range(20):
            study.enqueue_trial({"x": place / 10})

        def lines(word: str) -> list[list[str]]:
            return [each.split()[1:] for each in oracle.read_text().splitlines() if each.startswith(word)]

        workers = [
            subprocess.Popen([sys.executable, "-c", WORKER, str(store_folder), str(oracle), fate, "60"])
            for fate in ("doomed", "well", "well")
        ]
        try:
            _wait_for(lambda: len(lines("ready")) == 3)
            Path(f"{oracle}.go").touch()
            ((lost, pid),) = _wait_for(lambda: lines("doomed"))
            os.kill(int(pid), signal.SIGKILL)
            for each in workers[1:]:
                assert each.wait(90) == 0
        finally:
            for each in workers:
                each.kill()
                each.wait()
        trials = study.get_trials()
        begun = {int(number): float(x) for number, x in lines("begun")}
        assert max(Counter(number for number, _ in lines("begun")).values()) == 1, "a number was given twice"
        assert [each.number for each in trials] == list(range(len(trials)))
        for number, value in lines("told"):
            assert (trials[int(number)].state, trials[int(number)].value) == (TrialState.COMPLETE, float(value))
        dead = trials[int(lost)]
        said = begun[dead.number]
        assert (dead.state, dead.params["x"], dead.intermediate_values[0]) == (TrialState.FAIL, said, said)
        (again,) = [each for each in trials if each.system_attrs.get("failed_trial") == dead.number]
        assert (again.state, again.params) == (TrialState.COMPLETE, dead.params)
        assert [each.params["x"] for each in trials[:20]] == [place / 10 for place in range(20)]
        assert len([each for each in trials if each.state == TrialState.COMPLETE]) >= 60
        with connect(store_folder) as client:
            runs = {run.id: run for run in client.lineage.runs(kind="trial", limit=1000)}
            kept = client.tuning.trials("shared")
            assert len(runs) == len(kept) == len(trials)
            assert {runs[each.id].status for each in kept if each.number == int(lost)} == {"failed"}
            assert len({each.worker for each in kept if each.worker}) == 3
