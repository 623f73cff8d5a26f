"""Stages of the demo about flows that wait, start by themselves and keep their version, and about searches.

The flows are those of a user's folder: two files, of which one is edited while a run of it waits for an answer.
"""

from __future__ import annotations

import importlib
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import mainspring as ms
from mainspring.demo.flights import flights
from mainspring.demo.learners import fit, score
from mainspring.demo.training import MODEL
from mainspring.kernel.clock import monotonic, now
from mainspring.kernel.errors import DeadlineExceeded, MainspringError

if TYPE_CHECKING:
    from types import ModuleType

    from mainspring.client.client import Client
    from mainspring.demo.show import Show
    from mainspring.pipelines.types import FlowRun

__all__ = ["keep_versions", "search_parameters"]

_PATIENCE = 60.0
_LOOKERS = 4
_TRIALS = 8
_ROWS = 4000

_RULES = """LATE = {minutes}  # minutes
"""
_FLOWS = '''"""How many flights were late, and whether anybody is told."""

import mainspring as ms
from demo_rules import LATE


@ms.step(cache=True)
def share_late(flights: str) -> float:
    with ms.connect() as client:
        delays = client.data.load(flights)["arr_delay"]
    return round(float((delays > LATE).mean()), 4)


@ms.step
def publish(flights: str, share: float) -> str:
    return f"{share:.1%} of {flights} were more than {LATE} minutes late"


@ms.flow
def report(flights: str) -> str:
    share = share_late(flights)
    if ms.ask(f"Publish that {share:.1%} of {flights} were late?"):
        return publish(flights, share)
    return "kept back"


@ms.step
def change(shares: list[float]) -> float:
    return round(shares[-1] - shares[0], 4)


@ms.flow
def quarter() -> float:
    return change(share_late.map(["flights@1", "flights@2", "flights@3"]))
'''


def keep_versions(client: Client, show: Show, *, url: str, store: Path) -> None:
    """A dataset starts a flow, once; it waits for a person while its code is edited, and ends as it was deployed."""
    with _user_folder() as folder:
        (folder / "demo_rules.py").write_text(_RULES.format(minutes=15))
        (folder / "demo_flows.py").write_text(_FLOWS)
        module = importlib.import_module("demo_flows")
        deployed = [client.pipelines.deploy(each) for each in (module.report, module.quarter)]
        show.fact("deployed", ", ".join(f"{each.ref} ({len(each.files)} files)" for each in deployed))
        scheduled = _schedule_once(client, module)
        first = _start_by_data(client, show, module)
        _edit_while_it_waits(client, show, module, folder, first)
        second = _run_edited(client, show)
        again = next(each for each in client.pipelines.steps(second.id) if each.name == "share_late")
        _tell(show, "why", f"step/{again.id}", url=url, must="LATE")
        _show_schedule(client, show, scheduled)
        written = store / "quarter-argo.yaml"
        words = ("--to", "argo", "--image", "registry.example/flights:1", "--output", str(written))
        _tell(show, "flow", "export", "demo_flows:quarter", *words, folder=folder)
    show.must(written.is_file() and "kind: Workflow" in written.read_text(), "the flow was exported to Argo")


def search_parameters(client: Client, show: Show, *, training_set: str, seed: int) -> None:
    """The search inside the flow, as its trials were recorded; then a program of Optuna's on the same storage."""
    import optuna

    from mainspring.tuning.storage import MainspringStorage

    study = client.tuning.studies(name=MODEL)[0]
    trials = client.tuning.trials(study.id)
    best = client.tuning.best(study.id)
    runs = client.lineage.runs(kind="trial", parent_id=study.id)
    show.fact("ms.tune in the flow: trials, each a run of the lineage", f"{len(trials)}, {len(runs)}")
    show.must(bool(best) and len(runs) == len(trials), "every trial is a run")

    rows = client.features.load_training_set(training_set).head(2 * _ROWS).gather_every(2)
    early, late = rows.head(_ROWS // 2), rows.tail(_ROWS // 2)

    def objective(trial: optuna.Trial) -> float:
        strength = trial.suggest_float("C", 1e-3, 10.0, log=True)
        model = fit("logistic", early, early["late"], seed=seed, params={"C": strength})
        return _log_loss(late["late"], score(model, late))

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    storage = MainspringStorage(client)
    sampler = optuna.samplers.TPESampler(seed=seed)
    mine = optuna.create_study(storage=storage, study_name="logistic-by-optuna", sampler=sampler)
    mine.optimize(objective, n_trials=_TRIALS)
    recorded = client.tuning.trials("logistic-by-optuna")
    theirs = optuna.load_study(storage=storage, study_name=study.unique_name)
    show.fact("an Optuna program, one argument changed: trials in the store", len(recorded))
    show.fact("its best C, log loss", f"{mine.best_params['C']:.3g}, {mine.best_value:.4f}")
    show.fact("the flow's study, as Optuna reads it: best log loss", f"{theirs.best_value:.4f}")
    show.must(
        len(recorded) == _TRIALS and min(each.value or 9.0 for each in recorded) == mine.best_value,
        "Optuna's trials are in the store",
    )
    show.must(bool(best) and best is not None and theirs.best_value == best.value, "Optuna reads the flow's study")


def _schedule_once(client: Client, module: ModuleType) -> str:
    soon = now() + timedelta(seconds=0.3)
    return client.pipelines.schedule_flow(module.quarter, name="quarter-once", at=[soon], deployment="active").name


def _start_by_data(client: Client, show: Show, module: ModuleType) -> FlowRun:
    """Commit a dataset that a trigger waits for; the run that it starts, once it waits for a person."""
    import polars as pl

    condition = ms.on("dataset.version.created", "dataset/arrivals@*")
    params = {"flights": "$event.subject"}
    client.pipelines.trigger("report-arrivals", module.report, condition, params=params, deployment="active")
    arrivals = flights().filter(pl.col("month") == 1)
    began = monotonic()
    client.data.commit("arrivals", arrivals, message="what landed")
    with ThreadPoolExecutor(_LOOKERS) as looking:  # beside the scheduler: who looks first decides, for all
        list(looking.map(lambda _: client.pipelines.tick(), range(_LOOKERS)))
    _until(lambda: client.pipelines.waits(kind="ask", flow="report"), "the question")
    took = monotonic() - began
    client.data.commit("arrivals", arrivals, message="the same again")
    client.pipelines.tick()
    started = client.pipelines.runs(flow="report")
    (wait,) = client.pipelines.waits(kind="ask", flow="report")
    show.fact("a version of arrivals, looked at by five: runs that it started", len(started))
    show.say(f"asked {took:.1f} s after the commit: {wait.wanted.question}")
    show.must(len(started) == 1 and len(client.pipelines.fires(name="report-arrivals")) == 1, "it fired exactly once")
    return started[0]


def _edit_while_it_waits(client: Client, show: Show, module: ModuleType, folder: Path, run: FlowRun) -> None:
    """No process holds a run that waits; its code is edited and deployed anew, and then it is answered."""
    _until(lambda: client.pipelines.get(run.id).state == "waiting" and not _holders(client, run), "the end of its task")
    (folder / "demo_rules.py").write_text(_RULES.format(minutes=60))
    edited = client.pipelines.deploy(module.report)
    changed = client.pipelines.diff_deployments("report", 1, edited.version).text
    busy = _holders(client, run)
    show.fact("processes that hold the run while it waits", len(busy))
    lines = [line for line in changed.splitlines() if line[:1] in "+-" and line[:3] not in ("+++", "---")]
    show.say(f"edited meanwhile, {edited.ref} is active: {'  '.join(lines)}")
    (wait,) = client.pipelines.waits(run_id=run.id)
    client.pipelines.answer(wait.id, answer=True)
    ended = _ended(client, run.id)
    show.fact(f"answered; it ends as {ended.deployment}", ended.result)
    before = [each for each in client.pipelines.steps(run.id) if each.name == "share_late"]
    show.must(not busy, "no process held the run")
    show.must(ended.deployment == "report@1" and "more than 15" in str(ended.result), "the run kept its version")
    show.must(len(before) == 1 and before[0].attempt == 1 and ended.attempt == 2, "nothing before it was repeated")


def _holders(client: Client, run: FlowRun) -> list[str]:
    """The workers that hold a task of a run."""
    workers = client.pipelines.queue_overview().workers
    return [each.worker.id for each in workers if any(task.run_id == run.id for task in each.tasks)]


def _run_edited(client: Client, show: Show) -> FlowRun:
    run = client.pipelines.start_deployed("report", params={"flights": "dataset/arrivals@1"})
    _until(lambda: client.pipelines.waits(run_id=run.id), "the second question")
    client.pipelines.answer(client.pipelines.waits(run_id=run.id)[0].id, answer=True)
    ended = _ended(client, run.id)
    show.fact(f"started anew, as {ended.deployment}", ended.result)
    show.must(ended.deployment == "report@2" and "more than 60" in str(ended.result), "new runs have the new version")
    return ended


def _show_schedule(client: Client, show: Show, name: str) -> None:
    _until(lambda: client.pipelines.fires(name=name), "the schedule")
    fired = client.pipelines.fires(name=name)
    ended = _ended(client, fired[0].run_id)
    late = (fired[0].at - fired[0].fire_at).total_seconds()
    show.fact("scheduled for one moment: runs, seconds after it", f"{len(fired)}, {late:.2f}")
    show.fact("what it found: late from January to March, less late in January", f"{ended.result:+.1%}")
    show.must(len(fired) == 1 and ended.cause.kind == "schedule", "the schedule started it once")


def _ended(client: Client, run_id: str) -> FlowRun:
    run = client.pipelines.wait(run_id, timeout=_PATIENCE)
    if run.state != "finished":
        raise MainspringError(f"the flow {run.flow} {run.state}: {run.error}", hint=f"mainspring flow show {run_id}")
    return run


def _until(done: Callable[[], Any], what: str) -> None:
    deadline = monotonic() + _PATIENCE
    while not done():
        if monotonic() > deadline:
            raise DeadlineExceeded(f"{what} did not come in {_PATIENCE:.0f} s", hint="mainspring flow list")
        time.sleep(0.03)


def _tell(show: Show, *words: str, url: str = "", folder: Path | None = None, must: str = "") -> None:
    """Show a command and what it says, as somebody would type it."""
    command = [sys.executable, "-m", "mainspring", *words, *(["--url", url] if url else [])]
    said = subprocess.run(command, capture_output=True, text=True, check=False, cwd=folder)
    show.say(f"$ mainspring {' '.join(words)}")
    for line in (said.stdout + said.stderr).splitlines():
        show.say(f"  {line}")
    show.must(said.returncode == 0 and must in said.stdout, f"mainspring {words[0]} {words[1]}")


@contextmanager
def _user_folder() -> Iterator[Path]:
    """A folder of somebody's own, from which modules are imported."""
    with tempfile.TemporaryDirectory(prefix="mainspring-demo-") as made:
        sys.path.insert(0, made)
        importlib.invalidate_caches()
        try:
            yield Path(made)
        finally:
            sys.path.remove(made)
            for name in ("demo_flows", "demo_rules"):
                sys.modules.pop(name, None)


def _log_loss(labels: Any, scores: Any) -> float:
    from sklearn.metrics import log_loss

    return float(log_loss(labels.to_numpy(), scores))
