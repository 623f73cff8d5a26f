from __future__ import annotations

import dataclasses
import math
import multiprocessing
import os
import signal
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import msgspec
import pytest

from mainspring.client import Client, connect
from mainspring.kernel.errors import Conflict, InvalidInput, NotFound, Unavailable
from mainspring.tracking.run import ActiveRun, current_run, log

pytestmark = pytest.mark.databases("sqlite")  # what speaks SQL of its own runs on both


@dataclasses.dataclass
class Trees:
    depth: int = 6
    rate: float = 0.1


class Recipe(msgspec.Struct):
    seed: int
    trees: Trees


def begin(client: Client, **options: Any) -> ActiveRun:
    return client.tracking.run("flight-delay", source=False, **options)


@pytest.mark.databases("sqlite", "postgres")
def test_a_run_keeps_what_it_was_told(any_client: Client, spools: Path) -> None:
    client = any_client
    with begin(client, params=Recipe(7, Trees()), tags={"team": "ops"}, title="first") as run:
        assert current_run() is run
        log(step=1, loss=0.5, acc=1)
        run.log({"val/loss": 0.75}, step=2, loss=0.25)
        run.params(threshold=math.inf, names=["a", "b"], nothing=None, flag=True)
        run.tags(team="", stage="dev")
        run.note("better")
    found = client.tracking.get(run.id)
    assert (found.status, found.experiment, found.title, found.note) == ("finished", "flight-delay", "first", "better")
    assert found.params == {
        "seed": 7,
        "trees.depth": 6,
        "trees.rate": 0.1,
        "threshold": "Infinity",
        "names": ["a", "b"],
        "nothing": None,
        "flag": True,
    }
    assert [type(found.params[name]) for name in ("seed", "trees.rate", "flag")] == [int, float, bool]
    assert found.tags == {"stage": "dev"}
    assert client.tracking.metrics(run.id) == {"loss": 0.25, "acc": 1.0, "val/loss": 0.75}
    assert client.tracking.history(run.id, "loss").select("step", "value").rows() == [(1, 0.5), (2, 0.25)]
    assert list(spools.glob("*/*")) == []


def test_steps_count_themselves_and_come_in_any_order(client: Client) -> None:
    with begin(client) as run:
        run.log(loss=3)
        run.log(loss=2)
        run.log(step=10, loss=1)
        run.log(loss=0)
        run.log(step=5, loss=9)
    assert client.tracking.history(run.id, "loss").select("step", "value").rows() == [
        (0, 3),
        (1, 2),
        (5, 9),
        (10, 1),
        (11, 0),
    ]
    assert client.tracking.metrics(run.id) == {"loss": 0.0}  # of the greatest step, not of the last call


def test_values_that_are_not_finite_are_kept(any_client: Client) -> None:
    client = any_client
    with begin(client) as run:
        for value in (1.0, math.inf, -math.inf, 3.0, math.nan):
            run.log(loss=value)
    metric = client.tracking.get(run.id).metrics["loss"]
    assert (metric.count, metric.last, metric.special, metric.minimum, metric.maximum) == (5, None, "nan", 1.0, 3.0)
    assert math.isnan(metric.value)
    values = client.tracking.history(run.id, "loss")["value"].to_list()
    assert values[:4] == [1.0, math.inf, -math.inf, 3.0]
    assert math.isnan(values[4])
    (series,) = client.tracking.series([run.id], keys=["loss"], buckets=1)
    assert (series.count, series.minimum, series.maximum, series.last) == (5, [1.0], [3.0], [None])


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda run: run.log(), "without a value"),
        (lambda run: run.log(loss="high"), "'loss' is not a number"),
        (lambda run: run.log(loss=1, step=1.5), "not an integer"),
        (lambda run: run.log({"": 1.0}), "cannot name"),
        (lambda run: run.params({"a": {"b": 1}, "a.b": 2}), "given twice"),
        (lambda run: run.params(3), "not int"),
        (lambda run: run.log_file("/does/not/exist"), "cannot be read"),
        (lambda run: run.log_text("x", "../up"), "not the path of a file"),
        (lambda run: run.log_figure(3, "x.png"), "not a figure"),
    ],
)
def test_what_cannot_be_logged_is_refused_at_once_and_changes_nothing(client: Client, call: Any, message: str) -> None:
    with begin(client) as run, pytest.raises(InvalidInput, match=message):
        call(run)
    found = client.tracking.get(run.id)
    assert (found.params, found.metrics, client.tracking.files(run.id)) == ({}, {}, [])


def test_an_ended_run_takes_nothing_more(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mainspring.tracking.run._active", [])  # whatever other tests of this process left open
    with begin(client) as run:
        pass
    with pytest.raises(Conflict, match="has ended"):
        run.log(loss=1)
    run.finish(status="failed")
    assert client.tracking.get(run.id).status == "finished"
    with pytest.raises(Conflict, match="no run goes on"):
        current_run()


def test_an_exception_fails_the_run_and_an_interrupt_cancels_it(client: Client) -> None:
    with pytest.raises(ZeroDivisionError), begin(client) as run:
        1 / 0  # noqa: B018
    assert client.tracking.get(run.id).status == "failed"
    assert client.lineage.run(run.id).metadata["error"] == "ZeroDivisionError: division by zero"
    with pytest.raises(KeyboardInterrupt), begin(client) as run:
        raise KeyboardInterrupt
    assert client.tracking.get(run.id).status == "cancelled"


def test_files_are_kept_with_the_run(any_client: Client, tmp_path: Path) -> None:
    client = any_client
    (tmp_path / "model.bin").write_bytes(b"\x00weights")
    with begin(client) as run:
        run.log_file(tmp_path / "model.bin", name="out/model.bin")
        run.log_text("hello", "notes.txt")
        run.log_text("hello again", "notes.txt")
        run.log_figure("<svg/>", "plot.svg")
    assert [each.path for each in client.tracking.files(run.id)] == ["notes.txt", "out/model.bin", "plot.svg"]
    assert b"".join(client.tracking.read_file(run.id, path="notes.txt")) == b"hello again"
    with pytest.raises(NotFound, match="no file"):
        client.tracking.read_file(run.id, path="note.txt")


def test_threads_lose_nothing_and_flush_makes_durable(client: Client) -> None:
    def work(number: int) -> None:
        for step in range(250):
            run.log({f"worker/{number}": step, "shared": number}, step=step)

    with begin(client) as run:
        threads = [threading.Thread(target=work, args=(number,)) for number in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        run.flush()
        assert run.waiting == 0
        with connect(client.address) as other:
            assert other.tracking.get(run.id).metrics["shared"].count == 2000
    assert all(
        client.tracking.history(run.id, f"worker/{number}")["value"].to_list() == list(range(250))
        for number in range(8)
    )


def test_many_points_of_many_flushes_come_back_in_full_chunks(client: Client) -> None:
    with begin(client) as run:
        for step in range(10_000):
            run.log(step=step, loss=float(step))
            if step % 700 == 0:
                run.flush()
    metric = client.tracking.get(run.id).metrics["loss"]
    assert (metric.count, metric.chunks, metric.minimum, metric.maximum, metric.first_step) == (10_000, 3, 0, 9999, 0)
    assert client.tracking.history(run.id, "loss")["value"].to_list() == list(range(10_000))
    (series,) = client.tracking.series([run.id], keys=["loss"], buckets=100)
    assert series.minimum == [100.0 * each for each in range(100)]
    assert sum(series.counts) == 10_000


KILLED = """
import os, signal, sys
from mainspring.client import connect

client = connect(sys.argv[1])
run = client.tracking.run("doomed", params={"depth": 3}, source=False)
for step in range(int(sys.argv[2])):
    run.log(step=step, loss=step / 2)
    if step == int(sys.argv[3]):
        run.flush()
print(run.id, flush=True)
run.log(step=10**6, loss=float("nan"))
os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.mark.parametrize("flushed_at", [-1, 100])
def test_a_kill_right_after_log_loses_no_point_and_doubles_none(any_client: Client, flushed_at: int) -> None:
    client = any_client
    command = [sys.executable, "-c", KILLED, client.address, "300", str(flushed_at)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == -signal.SIGKILL, done.stderr
    run_id = done.stdout.strip()
    assert client.tracking.recover() == 302  # parameters, 300 points, and the one right before the end
    assert client.tracking.recover() == 0
    found = client.tracking.get(run_id)
    assert (found.status, found.params) == ("crashed", {"depth": 3})
    history = client.tracking.history(run_id, "loss")
    assert history["step"].to_list() == [*range(300), 10**6]
    assert history["value"].to_list()[:300] == [step / 2 for step in range(300)]


def test_the_next_run_sends_what_a_dead_one_left(client: Client) -> None:
    command = [sys.executable, "-c", KILLED, client.address, "3", "-1"]
    run_id = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60).stdout.strip()
    with begin(client):
        assert client.tracking.get(run_id).metrics["loss"].count == 4


def test_a_torn_end_of_a_spool_is_left_out(client: Client, spools: Path) -> None:
    command = [sys.executable, "-c", KILLED, client.address, "3", "-1"]
    run_id = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60).stdout.strip()
    (spool,) = spools.glob("*/*")
    spool.write_bytes(spool.read_bytes().rstrip(b"\0")[:-3])  # what is allocated and not written is zeros
    client.tracking.recover()
    assert client.tracking.get(run_id).metrics["loss"].count == 3


def test_a_living_run_is_never_swept(client: Client) -> None:
    with begin(client) as run:
        run.log(loss=1)
        with connect(client.address) as other:
            assert other.tracking.recover() == 0
        run.log(loss=2)
    assert client.tracking.get(run.id).metrics["loss"].count == 2


def _child(run: ActiveRun) -> None:
    for step in range(50):
        run.log(step=step, child=step)
    os._exit(0)


def test_a_forked_child_logs_into_the_same_run(client: Client) -> None:
    with begin(client) as run:
        run.log(step=0, parent=1)
        run.flush()
        child = multiprocessing.get_context("fork").Process(target=_child, args=(run,))
        child.start()
        child.join()
        run.log(step=1, parent=2)
    found = client.tracking.get(run.id)
    assert (found.status, found.metrics["child"].count, found.metrics["parent"].count) == ("finished", 50, 2)


def test_while_the_store_is_away_nothing_is_lost(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    def away(*_: Any, **__: Any) -> None:
        raise Unavailable("the server is away")

    tracking = client.tracking
    with monkeypatch.context() as patch:
        patch.setattr(type(tracking), "start", away)
        run = begin(client, params={"depth": 1})
        run.log(loss=1)
        with pytest.raises(Unavailable, match="in the spool"):
            run.flush(timeout=0.05)
        run.finish(timeout=0.05)
    with pytest.raises(NotFound):
        tracking.get(run.id)
    assert tracking.recover() == 3
    found = tracking.get(run.id)
    assert (found.status, found.params, found.metrics["loss"].value) == ("finished", {"depth": 1}, 1.0)


def test_the_source_is_recorded_as_lineage(client: Client, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    repository = tmp_path / "work"
    repository.mkdir()
    monkeypatch.chdir(repository)
    git = ["git", "-c", "user.name=n", "-c", "user.email=e@example.org"]
    (repository / "train.py").write_text("print(1)\n")
    for arguments in (["init", "-q"], ["add", "."], ["commit", "-q", "-m", "one"]):
        subprocess.run([*git, *arguments], check=True)
    subprocess.run(["git", "remote", "add", "origin", "https://me:secret@example.org/team/delay.git"], check=True)
    (repository / "train.py").write_text("print(2)\n")
    with client.tracking.run("flight-delay") as run:
        run.log(loss=1)
    found = client.tracking.get(run.id)
    assert found.source["repository"] == "https://example.org/team/delay.git"
    assert found.source["changed"] is True
    assert found.source["command"][1:] == sys.argv
    nodes = client.lineage.why(run.id)
    (code,) = nodes.of_kind("code")
    (environment,) = nodes.of_kind("environment")
    assert (code.name, code.metadata["commit"]) == ("delay", found.source["commit"])
    assert environment.metadata["packages"]["polars"]
    (patch,) = client.lineage.artifact(code.id).files
    assert b"+print(2)" in b"".join(client.storage.get_blob(patch.digest))


def test_outside_of_a_repository_the_program_is_the_code(
    client: Client, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "train it.py").write_text("print(1)\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    monkeypatch.setattr(sys, "argv", ["train it.py"])
    with client.tracking.run("flight-delay") as run:
        pass
    (code,) = client.lineage.why(run.id).of_kind("code")
    (program,) = client.lineage.artifact(code.id).files
    assert (code.name, program.path) == ("train-it", "train it.py")
    assert b"".join(client.storage.get_blob(program.digest)) == b"print(1)\n"
