"""Trials per second through `study.optimize`: our storage beside Optuna's own, all of them on a disk that is synced.

The same objective of five parameters and the random sampler, which costs next to nothing: what is measured is the
storage. Optuna's SQLite and its journal file sync with every parameter; ours syncs once a trial, before `tell` returns,
and where several threads tell at once their ends share a sync. So the figures depend on what a sync of the disk costs:
where it is slow, several threads or `sync=False` are many times faster than one that waits; where it is quick, the
processor is what they share, and several threads are slower.
"""

from __future__ import annotations

import tempfile
import time
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import optuna
from optuna.samplers import RandomSampler, TPESampler
from optuna.storages import BaseStorage, InMemoryStorage, JournalStorage, RDBStorage
from optuna.storages.journal import JournalFileBackend
from row import Row

from mainspring.client.client import connect
from mainspring.tuning import NewTrial, TrialChange
from mainspring.tuning.storage import MainspringStorage

TRIALS = 120
ROUNDS = 3
THREADS = 8
MANY = 10_000
LATE = 30
PEERS = ("SQLite", "journal file")
VERSION = f"optuna {optuna.__version__}"

optuna.logging.set_verbosity(optuna.logging.WARNING)


def objective(trial: optuna.Trial) -> float:
    """What a boosted tree would be tuned by, without the tree."""
    rate = trial.suggest_float("learning_rate", 1e-3, 0.3, log=True)
    leaves = trial.suggest_int("num_leaves", 8, 256, log=True)
    feature = trial.suggest_float("feature_fraction", 0.4, 1.0)
    l2 = trial.suggest_float("lambda_l2", 0.0, 10.0)
    kind = trial.suggest_categorical("boosting", ["gbdt", "dart"])
    return (rate - 0.05) ** 2 + abs(leaves - 31) / 100 + (feature - 0.8) ** 2 + l2 / 100 + (kind == "dart")


def rate(storage: BaseStorage, *, trials: int = TRIALS, threads: int = 1, sampler: Any = None) -> float:
    """Trials per second of a study of its own, after a few to warm up."""
    study = optuna.create_study(storage=storage, sampler=sampler or RandomSampler(seed=1))
    study.optimize(objective, n_trials=5)
    start = time.perf_counter()
    study.optimize(objective, n_trials=trials, n_jobs=threads)
    return trials / (time.perf_counter() - start)


def rows() -> Iterator[Row]:
    """Our figures beside Optuna's own storages."""
    warnings.simplefilter("ignore")
    with tempfile.TemporaryDirectory(dir=Path.cwd()) as folder:
        sqlite = RDBStorage(f"sqlite:///{folder}/optuna.db", engine_kwargs={"connect_args": {"timeout": 300}})
        cached = optuna.storages._CachedStorage(sqlite)  # noqa: SLF001 -- what create_study makes of a URL
        journal = JournalStorage(JournalFileBackend(f"{folder}/optuna.journal"))
        with MainspringStorage(f"{folder}/store") as ours:
            slow: dict[str, float] = {}
            for threads in (1, THREADS):
                how = "one thread" if threads == 1 else f"{threads} threads"
                rounds = [[rate(each, threads=threads) for each in (ours, cached, journal)] for _ in range(ROUNDS)]
                us, *them = (max(each) for each in zip(*rounds, strict=True))
                for name, each, target in zip(PEERS, them, (50, 5), strict=True):
                    yield _row(f"durable trials, {how}", us, each, name, target if threads == 1 else 0)
                    slow.setdefault(name, each)
        sqlite.engine.dispose()
        with MainspringStorage(f"{folder}/soon", sync=False) as soon:
            us = max(rate(soon) for _ in range(ROUNDS))
            for name, target in zip(PEERS, (50, 5), strict=True):
                yield _row("trials on the disk 40 ms later, one thread", us, slow[name], name, target)
        yield from _asked_and_told(folder)
        yield from _many(folder)


def _row(workload: str, us: float, them: float, name: str, target: int) -> Row:
    return Row(workload, us, them, f"{VERSION}, {name}", us / them, f"ratio >= {target}" if target else "", "trials/s")


def _asked_and_told(folder: str) -> Iterator[Row]:
    """The same without Optuna: operations of ours."""
    with connect(f"{folder}/own") as client:
        study = client.tuning.create("own")
        start = time.perf_counter()
        for place in range(TRIALS):
            trial = client.tuning.begin(study.id, trial=NewTrial(params={"x": place}))
            client.tuning.change(study.id, changes=[TrialChange(trial.number, state="finished", values=[1.0])])
        pace = TRIALS / (time.perf_counter() - start)
        yield Row("durable trials, begun and ended without Optuna", pace, unit="trials/s")


def _many(folder: str) -> Iterator[Row]:
    """A study that has grown."""
    with MainspringStorage(f"{folder}/many", sync=False) as ours:
        study = optuna.create_study(storage=ours, sampler=RandomSampler(seed=1), study_name="many")
        pace = []
        for _ in range(MANY // 1000):
            start = time.process_time()
            study.optimize(objective, n_trials=1000)
            pace.append(time.process_time() - start)
        yield Row(
            f"processor time of a trial, the last 1,000 of {MANY:,} beside the first",
            pace[-1],
            pace[0],
            "our own first 1,000",
            pace[0] / pace[-1],
            "ratio >= 0.5",
            "ms",
        )
        memory = optuna.create_study(storage=InMemoryStorage(), sampler=RandomSampler(seed=1))
        memory.add_trials(study.get_trials(deepcopy=False))
        taken = [float("inf"), float("inf")]
        for _ in range(2):
            for place, each in enumerate((study, memory)):
                each.sampler = TPESampler(seed=1)
                start = time.process_time()
                each.optimize(objective, n_trials=LATE)
                taken[place] = min(taken[place], (time.process_time() - start) / LATE * 1000)
        yield Row(
            f"processor time of a trial of TPE after {MANY:,}",
            taken[0],
            taken[1],
            f"{VERSION}, in memory",
            taken[1] / taken[0],
            "ratio >= 0.8",
            "ms",
        )
    with MainspringStorage(f"{folder}/many") as again:
        start = time.perf_counter()
        study = optuna.load_study(study_name="many", storage=again)
        count = len(study.get_trials(deepcopy=False))
        yield Row(f"a study of {count:,} trials is opened", time.perf_counter() - start, limit="ours < 2", unit="s")
