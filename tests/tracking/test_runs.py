"""Runs of several processes and lives: gone on with, joined, nested, forked, kept offline, ended by their process."""

from __future__ import annotations

import errno
import math
import os
import random
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mainspring.client import Client, connect
from mainspring.kernel.errors import AlreadyExists, Conflict, InvalidInput, NotFound, StorageFull, Unavailable
from mainspring.kernel.ids import new_id
from mainspring.tracking import spool as spool_module
from mainspring.tracking.frames import encode_frame
from mainspring.tracking.run import ActiveRun
from mainspring.tracking.types import ColumnsRecord, FileRecord, PointsRecord, RunStart

pytestmark = pytest.mark.databases("sqlite")


def begin(client: Client, experiment: str = "flight-delay", **options: Any) -> ActiveRun:
    return client.tracking.run(experiment, source=False, **options)


def values(client: Client, run_id: str, key: str = "loss") -> list[float]:
    return client.tracking.history(run_id, key)["value"].to_list()


def python(program: str, *arguments: str, **environ: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", program, *arguments],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
        env={**os.environ, **environ},
    )


def test_a_run_is_gone_on_with_where_it_was(any_client: Client) -> None:
    client = any_client
    with begin(client, title="first", params={"depth": 3}, group="night") as run:
        run.log(loss=3.0)
        run.log(loss=2.0)
    with begin(client, "", id=run.id.replace("-", ""), resume="must") as again:
        assert (again.id, client.tracking.get(run.id).status) == (run.id, "running")
        again.log(loss=1.0)
    found = client.tracking.get(run.id)
    assert (found.status, found.title, found.params, found.group) == ("finished", "first", {"depth": 3}, "night")
    assert client.tracking.history(run.id, "loss").select("step", "value").rows() == [(0, 3.0), (1, 2.0), (2, 1.0)]


def test_what_may_be_gone_on_with_is_said(client: Client) -> None:
    with begin(client) as run:
        run.log(loss=1)
    with pytest.raises(AlreadyExists):
        begin(client, id=run.id, resume="never")
    with pytest.raises(NotFound, match="to go on with"):
        begin(client, id=new_id(), resume="must")
    with pytest.raises(InvalidInput, match="needs the id"):
        begin(client, resume="must")
    with pytest.raises(InvalidInput, match="known: allow, must, never"):
        begin(client, id=run.id, resume="always")
    with begin(client, id=(wanted := new_id()), resume="allow") as new:
        assert new.id == wanted


def test_a_run_inside_another_is_its_child(client: Client) -> None:
    with begin(client) as parent, begin(client, title="child") as child:
        child.log(loss=1)
    with begin(client) as alone:
        pass
    assert client.tracking.get(child.id).run.parent_id == parent.id
    assert not client.tracking.get(alone.id).run.parent_id


JOINS = """
import sys
from mainspring.client import connect

with connect(sys.argv[1]) as client, client.tracking.run(source=False) as run:
    for step in range(500):
        run.log(step=step, **{f"rank/{sys.argv[2]}": step, "shared": float(sys.argv[2])})
"""


def test_several_processes_write_into_one_run(any_client: Client) -> None:
    client = any_client
    with begin(client) as run:
        children = [
            subprocess.Popen(
                [sys.executable, "-c", JOINS, client.address, str(rank)], env={**os.environ, "MAINSPRING_RUN": run.id}
            )
            for rank in range(2)
        ]
        for step in range(500):
            run.log(step=step, shared=2.0)
        assert [child.wait(60) for child in children] == [0, 0]
        assert client.tracking.get(run.id).status == "running"  # it is ours to end
    found = client.tracking.get(run.id)
    assert (found.status, found.metrics["shared"].count) == ("finished", 1500)
    assert all(values(client, run.id, f"rank/{rank}") == list(range(500)) for rank in range(2))


def test_offline_runs_are_sent_later(any_client: Client, spools: Path) -> None:
    client = any_client
    with begin(client, params={"depth": 2}, offline=True) as run:
        run.log(loss=0.5)
        run.log(loss=0.25)
        run.flush()
        assert run.waiting == 3
    with pytest.raises(NotFound):
        client.tracking.get(run.id)
    assert client.tracking.recover() == 4
    found = client.tracking.get(run.id)
    assert (found.status, found.params, values(client, run.id)) == ("finished", {"depth": 2}, [0.5, 0.25])
    assert list(spools.glob("*/*")) == []


def test_the_environment_says_offline(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MAINSPRING_OFFLINE", "1")
    with begin(client) as run:
        run.log(loss=1)
    assert client.tracking.recover(run_id=run.id) == 2


ENDS = """
import sys
from mainspring.client import connect

run = connect(sys.argv[1]).tracking.run("left", source=False)
print(run.id, flush=True)
for step in range(100):
    run.log(loss=step)
if sys.argv[2] == "fails":
    raise ValueError("no more data")
"""


@pytest.mark.parametrize(("how", "status"), [("ends", "finished"), ("fails", "failed")])
def test_a_run_that_nobody_ended_ends_with_its_process(client: Client, how: str, status: str) -> None:
    done = python(ENDS, client.address, how)
    run_id = done.stdout.strip()
    found = client.tracking.get(run_id)
    assert (found.status, found.metrics["loss"].count) == (status, 100), done.stderr
    error = client.lineage.run(run_id).metadata.get("error", "")
    assert error == ("ValueError: no more data" if how == "fails" else "")


def test_rules_say_what_the_last_word_is(client: Client) -> None:
    with begin(client) as run:
        run.define("val/*", summary="best", goal="minimize", step_metric="epoch")
        run.define("val/acc", summary="max")
        run.define("time", summary="mean")
        for epoch, loss in enumerate((3.0, 1.0, 2.0)):
            run.log({"val/loss": loss, "val/acc": loss, "time": loss, "lr": loss}, epoch=epoch)
        run.log(time=math.nan)
    assert client.tracking.summary(run.id) == {"val/loss": 1.0, "val/acc": 3.0, "time": 2.0, "lr": 2.0, "epoch": 2.0}
    with begin(client) as run, pytest.raises(InvalidInput, match="goal"):
        run.define("x", summary="best")


def test_a_fork_begins_with_what_was_known_at_its_step(client: Client) -> None:
    with begin(client) as parent:
        for step in range(100):
            parent.log(step=step, loss=float(-step))
            if step > 50:
                parent.log(step=step, late=1.0)
    with begin(client, fork_from=parent.id, fork_step=30) as fork:
        before = client.tracking.get(fork.id)
        fork.log(loss=7.0)
    assert (before.forked_from, before.fork_step) == (parent.id, 30)
    assert {key: (each.last, each.minimum, each.count) for key, each in before.metrics.items()} == {
        "loss": (-30.0, -30.0, 31)
    }
    after = client.tracking.get(fork.id).metrics["loss"]
    assert (after.last, after.step, after.count, after.minimum) == (7.0, 31, 32, -30.0)
    assert values(client, fork.id) == [*(float(-step) for step in range(31)), 7.0]
    with pytest.raises(InvalidInput, match="a run and a step"):
        begin(client, fork_from=parent.id)


def test_an_answer_that_is_lost_counts_nothing_twice(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    tracking, source = client.tracking, random.Random(3)
    real = type(tracking).append

    def unreliable(self: Any, run_id: str, **arguments: Any) -> Any:
        before, after = source.random() < 0.3, source.random() < 0.5
        if before:
            raise Unavailable("the question was lost")
        answer = real.__get__(self)(run_id, **arguments)
        if after:
            raise Unavailable("the answer was lost")
        return answer

    with monkeypatch.context() as patch:
        patch.setattr("mainspring.tracking.shipper._INTERVAL", 0.001)
        patch.setattr("mainspring.tracking.shipper._LONGEST_PAUSE", 0.005)
        patch.setattr(spool_module, "_BATCH", 2000)
        patch.setattr(type(tracking), "append", unreliable)
        with begin(client) as run:
            for step in range(3000):
                run.log(step=step, loss=float(step))
                if step % 3 == 0:
                    run.log(step=step, acc=1.0, lr=0.1)
    found = client.tracking.get(run.id)
    assert found.status == "finished"
    assert (found.metrics["acc"].count, found.metrics["lr"].count) == (1000, 1000)
    assert values(client, run.id) == list(map(float, range(3000)))


def test_a_full_disk_is_an_error_of_the_call_and_takes_nothing_back(
    client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    logged = 0
    with begin(client) as run:
        run.log(loss=0.0)
        with monkeypatch.context() as patch:
            patch.setattr(os, "posix_fallocate", full)
            with pytest.raises(StorageFull, match="what was logged before is safe"):
                while logged < 100_000:
                    run.log(loss=1.0)
                    logged += 1
        run.log(loss=2.0)
    found = values(client, run.id)
    assert (len(found), found[0], found[-1]) == (logged + 2, 0.0, 2.0)


def test_a_long_spool_gives_its_room_back(client: Client, spools: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(spool_module, "_WORTH_CLEARING", 10_000)
    with begin(client) as run:
        for part in range(5):
            for step in range(2000):
                run.log(step=part * 2000 + step, loss=float(step))
            run.flush()
        (file,) = spools.glob("*/*.spool")
        assert file.stat().st_size <= 500_000
    assert client.tracking.get(run.id).metrics["loss"].count == 10_000


def test_what_waits_and_for_how_long_is_seen(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    def away(*_: Any, **__: Any) -> None:
        raise Unavailable("the server is away")

    with monkeypatch.context() as patch:
        patch.setattr(type(client.tracking), "append", away)
        run = begin(client)
        run.log(loss=1)
        with pytest.raises(Unavailable):
            run.flush(timeout=0.3)
        assert run.waiting == 1
        assert run.lag > 0.05
    run.finish()
    assert (run.waiting, run.lag) == (0, 0.0)
    assert client.tracking.get(run.id).status == "finished"


KILLED = """
import os, signal, sys
from mainspring.client import connect

run = connect(sys.argv[1]).tracking.run("doomed", source=False)
print(run.id, flush=True)
for step in range(int(sys.argv[2])):
    run.log(step=step, loss=step / 2, acc=-step)
    if step % 7 == 0:
        run.log(step=step, rare=1)
os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.mark.parametrize("count", [1, 20_000])
def test_a_kill_while_records_are_sent_loses_none(any_client: Client, count: int) -> None:
    done = python(KILLED, any_client.address, str(count))
    assert done.returncode == -signal.SIGKILL, done.stderr
    run_id = done.stdout.strip()
    any_client.tracking.recover()
    found = any_client.tracking.get(run_id)
    assert found.status == "crashed"
    assert (found.metrics["loss"].count, found.metrics["rare"].count) == (count, (count + 6) // 7)
    assert values(any_client, run_id) == [step / 2 for step in range(count)]


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.tuples(st.sampled_from(["a", "ab", "b", "note"]), st.integers(1, 40)), max_size=20))
def test_any_mixture_of_calls_arrives(client: Client, calls: list[tuple[str, int]]) -> None:
    expected: dict[str, list[float]] = {"a": [], "b": []}
    step = 0
    with begin(client) as run:
        for names, times in calls:
            for _ in range(times):
                if names == "note":
                    run.note(str(step))
                    continue
                run.log(dict.fromkeys(names, step), step=step)
                for name in names:
                    expected[name].append(float(step))
                step += 1
    found = client.tracking.get(run.id)
    assert set(found.metrics) == {name for name, logged in expected.items() if logged}
    assert all(values(client, run.id, name) == expected[name] for name in found.metrics)


def test_columns_that_do_not_fit_are_refused_whole(client: Client) -> None:
    run_id = new_id()
    client.tracking.start(RunStart(run_id, "e"))
    good, short = bytes(16), bytes(8)
    for record in (
        ColumnsRecord(["a"], good, short, [good]),
        ColumnsRecord(["a"], good, good, [short]),
        ColumnsRecord(["a", "b"], good, good, [good]),
        ColumnsRecord(["a", "a"], good, good, [good, good]),
        ColumnsRecord(["a"], b"", b"", [b""]),
        ColumnsRecord([""], good, good, [good]),
    ):
        with pytest.raises(InvalidInput):
            body = encode_frame(PointsRecord(1, 1, {"x": 1.0})) + encode_frame(record)
            client.tracking.append(run_id, writer="w", sequence=0, body=[body])
    assert client.tracking.get(run_id).metrics == {}
    two = encode_frame(ColumnsRecord(["a"], good, good, [good]))
    assert client.tracking.append(run_id, writer="w", sequence=0, body=[two]).applied == 2
    assert client.tracking.append(run_id, writer="w", sequence=0, body=[two]).applied == 2
    with pytest.raises(Conflict) as halfway:
        client.tracking.append(run_id, writer="w", sequence=1, body=[two])
    assert halfway.value.details == {"applied": 2}


def test_a_forked_child_and_its_threads_leave_the_parent_alone(client: Client) -> None:
    with begin(client) as run:
        run.log(step=0, parent=1)
        child = os.fork()
        if child == 0:
            for step in range(1000):
                run.log(step=step, child=step)
            run.finish(status="failed")  # not its to end
            os._exit(0)
        for step in range(1, 1000):
            run.log(step=step, parent=1)
        assert os.waitpid(child, 0)[1] == 0
    found = client.tracking.get(run.id)
    assert (found.status, found.metrics["child"].count, found.metrics["parent"].count) == ("finished", 1000, 1000)


def test_the_next_run_sends_what_one_left_offline(tmp_path: Path) -> None:
    with connect(tmp_path / "store") as client:
        run = begin(client, offline=True)
        for step in range(1000):
            run.log(step=step, loss=1.0)
        run.finish()
        with begin(client) as other:
            other.log(loss=1)
        assert client.tracking.get(run.id).metrics["loss"].count == 1000


LARGE = """
import os, signal, sys
from pathlib import Path
from mainspring.client import connect

run = connect(sys.argv[1]).tracking.run("large", source=False)
file = Path(sys.argv[2])
file.write_bytes(b"sent" * 2_500_000)
run.log_file(file, name="sent.bin")
run.flush()
file.write_bytes(b"kept" * 2_500_000)
run.log_file(file, name="model.bin", step=3)
run.log(loss=1)
file.write_bytes(b"changed")
print(run.id, flush=True)
os.kill(os.getpid(), signal.SIGKILL)
"""


def test_a_large_file_outlives_its_process_as_it_was(any_client: Client, spools: Path, tmp_path: Path) -> None:
    done = python(LARGE, any_client.address, str(tmp_path / "model.bin"))
    assert done.returncode == -signal.SIGKILL, done.stderr
    run_id = done.stdout.strip()
    any_client.tracking.recover()
    first, second = any_client.tracking.files(run_id)
    assert [(each.path, each.file.size, each.step) for each in (first, second)] == [
        ("model/3.bin", 10_000_000, 3),
        ("sent.bin", 10_000_000, None),
    ]
    assert b"".join(any_client.tracking.read_file(run_id, path="model/3.bin"))[-4:] == b"kept"
    assert any_client.tracking.get(run_id).metrics["loss"].count == 1
    assert list(spools.glob("*/*")) == []


def test_a_large_file_waits_for_no_store(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    def away(*_: Any, **__: Any) -> None:
        raise Unavailable("the server is away")

    monkeypatch.setattr("mainspring.tracking.run_media._SMALL", 100)
    with monkeypatch.context() as patch:
        patch.setattr(type(client.tracking), "append", away)
        run = begin(client)
        run.log_text("x" * 1000, "long.txt")
        assert client.tracking.files(run.id) == []
    run.finish()
    assert b"".join(client.tracking.read_file(run.id, path="long.txt")) == b"x" * 1000


def test_a_record_of_a_file_without_its_bytes_is_refused(client: Client) -> None:
    run_id = new_id()
    client.tracking.start(RunStart(run_id, "e"))
    for record in (FileRecord("a", 1, digest="0" * 64, size=3), FileRecord("a", 1, beside="b")):
        with pytest.raises(NotFound, match="bytes"):
            client.tracking.append(run_id, writer="w", sequence=0, body=[encode_frame(record)])
    assert client.tracking.files(run_id) == []


@pytest.mark.parametrize(
    "wrong",
    [
        lambda run: run.note(3),
        lambda run: run.note("\ud800"),
        lambda run: run.tags(a="\ud800"),
        lambda run: run.params(a="\ud800"),
        lambda run: run.log({3: 1.0}),
        lambda run: run.define("", summary="max"),
        lambda run: run.log_text("x", "a.txt", step="1"),
        lambda run: run.finish(status="FINISHED"),
        lambda run: run.finish(status="running"),
        lambda run: run.finish(status="failed", error=3),
    ],
)
def test_a_wrong_call_is_refused_and_holds_up_nothing(client: Client, wrong: Any) -> None:
    run = begin(client)
    run.log(loss=1)
    with pytest.raises(InvalidInput):
        wrong(run)
    run.log(loss=2)
    run.finish()
    found = client.tracking.get(run.id)
    assert (found.status, found.metrics["loss"].count) == ("finished", 2)
