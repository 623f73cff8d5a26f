"""Waits: rows that answers, moments and events resolve, whatever becomes of the processes; the oracle is a file."""

from __future__ import annotations

import importlib
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from datetime import date, timedelta
from pathlib import Path
from types import ModuleType
from typing import Any

import jsonschema
import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mainspring.client.client import Client
from mainspring.events.outbox import emit
from mainspring.kernel.clock import turned
from mainspring.kernel.context import Caller, acting_as
from mainspring.kernel.errors import Conflict, DeadlineExceeded, Forbidden, InvalidInput
from mainspring.pipelines.runtime import Diverged
from mainspring.pipelines.types import FlowRun
from mainspring.pipelines.types_waits import Wait
from mainspring.pipelines.waits import ask, sleep, wait_for
from mainspring.pipelines.waits_schema import mismatch, schema_of
from mainspring.pipelines.worker import Worker
from mainspring.pipelines.zygotes import engine_kept

_FLOWS = """
import dataclasses, enum, os, time
from datetime import date
from typing import Literal
import msgspec
import mainspring as ms
from mainspring.kernel.errors import DeadlineExceeded

ORACLE = {oracle!r}

def note(text):
    file = os.open(ORACLE, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    os.write(file, (text + "\\n").encode())
    os.close(file)

@dataclasses.dataclass
class Plan:
    when: date
    rows: int = 1

class Size(msgspec.Struct):
    name: Literal["small", "large"]

@ms.step
def one(x: int) -> int:
    note(f"one {{x}}")
    return x + 1

@ms.flow
def approved(n: int = 1) -> int:
    first = one(n)
    if not ms.ask("Publish?", assignees=["ana"]):
        return -1
    return one(first)

@ms.flow
def typed() -> list:
    return [
        ms.ask("How many?", int), ms.ask("Why?", str), ms.ask("How sure?", float), ms.ask("Which?", Literal["a", "b"]),
        ms.ask("When?", date), ms.ask("What?", Plan), ms.ask("Size?", Size),
    ]

@ms.flow
def both() -> list:
    first, second = ms.ask.submit("First?", int), ms.ask.submit("Second?", int)
    note("asked")
    return [first.result(), second.result()]

@ms.flow
def naps(seconds: float = 0.2) -> int:
    first = one(1)
    ms.sleep(seconds)
    return one(first)

@ms.flow
def patient(default: bool = False) -> str:
    one(1)
    try:
        answer = ms.ask("Now?", deadline=0.2, **({{"default": False}} if default else {{}}))
    except DeadlineExceeded:
        answer = "late"
    return f"{{answer}} {{one(2)}}"

@ms.flow
def impatient() -> bool:
    return ms.ask("Now?", deadline=3600 if os.path.exists(ORACLE + ".calm") else 0.2)

@ms.flow
def listens() -> list:
    one(1)
    if os.path.exists(ORACLE + ".hold"):
        while os.path.exists(ORACLE + ".hold"): time.sleep(0.005)
    wanted = {{"report.rows": 2}}
    return [ms.wait_for("thing.*", subject="thing/*", where=wanted, timeout=60).data["n"] for _ in range(2)]

@ms.flow
def greedy() -> int:
    try:
        ms.ask("Sure?")
    except:  # it catches what leaves the body, too
        note("caught")
    finally:
        note("finally")
    return one(1)

@ms.flow
async def awaits() -> int:
    return one(1) if ms.ask("Async?") else 0

@ms.step
def wrong() -> bool:
    return ms.ask("Inside a step?")

@ms.flow
def asks_inside() -> bool:
    return wrong()

@ms.flow
def fickle(n: int = 0) -> bool:
    answer = ms.ask("One?" if not os.path.exists(ORACLE + ".changed") else "Two?")
    one(int(answer))
    return ms.ask("Again?")
"""


@pytest.fixture
def waiting(tmp_path: Path, oracle: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[ModuleType]:
    """Flows that wait, importable here and by workers."""
    folder = tmp_path / "waiting"
    folder.mkdir()
    (folder / "flows_that_wait.py").write_text(_FLOWS.format(oracle=str(oracle)))
    monkeypatch.syspath_prepend(str(folder))
    sys.modules.pop("flows_that_wait", None)
    yield importlib.import_module("flows_that_wait")
    sys.modules.pop("flows_that_wait", None)


@pytest.fixture(autouse=True)
def impatient_workers(monkeypatch: pytest.MonkeyPatch) -> None:
    """A worker that has nothing to do says so at once."""
    monkeypatch.setattr("mainspring.pipelines.worker._LOOK_SECONDS", 0.03, raising=False)


@pytest.fixture(autouse=True, scope="module")
def processes() -> Iterator[None]:
    """The zygote of flow processes lives as long as this module's tests."""
    with engine_kept():
        yield


def work(client: Client) -> None:
    """Do what can be done now."""
    Worker(client, concurrency=4, lease=30).run(until_idle=True)


def open_wait(client: Client, question: str = "", **which: Any) -> Wait:
    """The wait that is open, or will be in a moment."""
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        for each in client.pipelines.waits(**which):
            if each.wanted.question == question or not question:
                return each
        time.sleep(0.005)
    raise AssertionError(f"nothing waits: {question}")


def here(flow: Any, client: Client, *args: Any) -> tuple[threading.Thread, list[Any]]:
    """A run in a thread of this process, and what it returns."""
    results: list[Any] = []
    thread = threading.Thread(target=lambda: results.append(flow.run(client, *args)))
    thread.start()
    return thread, results


def test_a_run_that_waits_holds_no_process_and_goes_on_when_it_is_answered(
    waiting: ModuleType, client: Client, oracle: Path
) -> None:
    run_id = client.pipelines.start(waiting.approved, {"n": 5})
    work(client)
    run = client.pipelines.get(run_id)
    assert (run.state, run.finished_at) == ("waiting", None)
    assert client.backend.store.queue.get(run.task_id).state == "done"  # type: ignore[attr-defined]
    assert [(each.name, each.state) for each in client.pipelines.steps(run_id)] == [
        ("one", "finished"),
        ("ask", "waiting"),
    ]
    wait = open_wait(client, run_id=run_id)
    assert (wait.wanted.question, wait.wanted.schema) == ("Publish?", {"type": "boolean"})
    with pytest.raises(InvalidInput, match="boolean"):
        client.pipelines.answer(wait.id, "yes")
    stranger = Caller(principal="bob", roles=("editor",))
    with acting_as(stranger), pytest.raises(Forbidden, match="ana"):
        client.pipelines.answer(wait.id, True)
    with acting_as(Caller(principal="ana", roles=("editor",))):
        assert client.pipelines.answer(wait.id, True).resolved_by == "ana"
    queued = client.pipelines.get(run_id)
    assert (queued.state, queued.task_id != run.task_id) == ("queued", True)  # in the transaction of the answer
    with pytest.raises(Conflict, match="ana"):
        client.pipelines.answer(wait.id, False)
    work(client)
    assert client.pipelines.result(run_id) == 7
    assert oracle.read_text().split("\n") == ["one 5", "one 6", ""]
    ask_step = next(each for each in client.pipelines.steps(run_id) if each.name == "ask")
    assert (ask_step.state, ask_step.output) == ("finished", True)
    assert client.pipelines.waits() == []
    kinds = [each.kind for each in client.events.since(0, kinds=["flow.*"])]
    assert kinds.count("flow.run.waiting") == kinds.count("flow.ask.opened") == kinds.count("flow.ask.answered") == 1


@pytest.mark.databases("sqlite")
def test_answers_come_back_as_the_types_that_were_asked_for(waiting: ModuleType, client: Client) -> None:
    thread, results = here(waiting.typed, client)
    answers: dict[str, tuple[Any, Any]] = {
        "How many?": (3, "three"),
        "Why?": ("so", 1),
        "How sure?": (1, None),
        "Which?": ("b", "c"),
        "When?": ("2026-11-22", "2026-13-01"),
        "What?": ({"when": "2026-11-22"}, {"rows": 1}),
        "Size?": ({"name": "small"}, {"name": "medium"}),
    }
    for question, (right, wrong) in answers.items():
        wait = open_wait(client, question)
        with pytest.raises(InvalidInput):
            client.pipelines.answer(wait.id, wrong)
        client.pipelines.answer(wait.id, right)
    thread.join()
    assert results == [[3, "so", 1.0, "b", date(2026, 11, 22), waiting.Plan(date(2026, 11, 22)), waiting.Size("small")]]
    assert isinstance(results[0][2], float)


def test_two_are_asked_at_once_and_answered_in_any_order(waiting: ModuleType, client: Client, oracle: Path) -> None:
    run_id = client.pipelines.start(waiting.both)
    work(client)
    assert [each.wanted.question for each in client.pipelines.waits()] == ["Second?", "First?"]
    client.pipelines.answer(open_wait(client, "Second?").id, 2)
    work(client)
    assert client.pipelines.get(run_id).state == "waiting"
    client.pipelines.answer(open_wait(client, "First?").id, 1)
    work(client)
    assert client.pipelines.result(run_id) == [1, 2]


@pytest.mark.databases("sqlite")
def test_an_answer_survives_the_death_of_every_process(
    waiting: ModuleType, client: Client, oracle: Path, start_worker: Callable[..., subprocess.Popen[bytes]]
) -> None:
    worker = start_worker()
    run_id = client.pipelines.start(waiting.approved, {"n": 1})
    first = open_wait(client, run_id=run_id)
    other = client.pipelines.start(waiting.approved, {"n": 10})
    second = open_wait(client, run_id=other)
    while client.pipelines.get(other).state != "waiting":
        time.sleep(0.01)
    worker.send_signal(signal.SIGSTOP)
    client.pipelines.answer(first.id, True)  # it is killed between the answer and the resumption
    worker.kill()
    worker.wait()
    client.pipelines.answer(second.id, True)  # nobody is there
    start_worker("--until-idle").wait(60)
    assert (client.pipelines.result(run_id), client.pipelines.result(other)) == (3, 12)
    assert sorted(oracle.read_text().split("\n")) == ["", "one 1", "one 10", "one 11", "one 2"]


@pytest.mark.databases("sqlite")
def test_a_sleep_is_a_row_that_outlives_workers(waiting: ModuleType, client: Client, oracle: Path) -> None:
    short = client.pipelines.start(waiting.naps, {"seconds": 0.3})
    long = client.pipelines.start(waiting.naps, {"seconds": 86_400.0})
    work(client)
    states = {client.pipelines.get(each).state for each in (short, long)}
    assert states <= {"waiting", "finished"}
    assert client.pipelines.get(long).state == "waiting"
    time.sleep(0.4)
    work(client)
    assert client.pipelines.result(short) == 3
    with turned(timedelta(days=2)):
        work(client)
        assert client.pipelines.result(long) == 3
    assert oracle.read_text().split("\n") == ["one 1", "one 1", "one 2", "one 2", ""]
    began = time.monotonic()
    assert waiting.naps.run(client, 0.25) == 3  # here, it blocks, with no worker to fire the timer
    assert 0.25 <= time.monotonic() - began < 5
    assert client.backend.store.queue.tasks(state="waiting") == []  # type: ignore[attr-defined]


@pytest.mark.databases("sqlite")
def test_a_deadline_gives_the_default_or_an_error_that_the_body_may_catch(
    waiting: ModuleType, client: Client, oracle: Path
) -> None:
    runs = [
        client.pipelines.start(waiting.patient, {"default": True}),
        client.pipelines.start(waiting.patient, {"default": False}),
        client.pipelines.start(waiting.impatient),
    ]
    work(client)
    time.sleep(0.25)
    work(client)
    assert [client.pipelines.result(each) for each in runs[:2]] == ["False 3", "late 3"]
    with pytest.raises(DeadlineExceeded):
        client.pipelines.result(runs[2])
    Path(f"{oracle}.calm").touch()
    assert client.pipelines.retry(runs[2]).state == "queued"  # who tries again asks again
    work(client)
    client.pipelines.answer(open_wait(client, "Now?").id, True)
    work(client)
    assert client.pipelines.result(runs[2]) is True
    assert waiting.patient.run(client, True) == "False 3"


def test_events_resolve_waits_in_the_transaction_in_which_they_happen(
    waiting: ModuleType, client: Client, oracle: Path
) -> None:
    store = client.backend.store  # type: ignore[attr-defined]

    def say(n: int, kind: str = "thing.made", subject: str = "thing/a", rows: int = 2) -> None:
        with store.write("tests.say") as tx:
            emit(tx, kind, subject=subject, data={"n": n, "report": {"rows": rows}})

    say(0)  # before the run began
    thread, results = here(waiting.listens, client)
    open_wait(client, kind="event")
    say(1, kind="other.made")
    say(2, subject="other/a")
    say(3, rows=3)
    say(4)
    say(5)
    thread.join()
    assert results == [[4, 5]]

    Path(f"{oracle}.hold").touch()
    thread, results = here(waiting.listens, client)
    while oracle.read_text().count("one 1") < 2:
        time.sleep(0.005)
    say(6)  # before the body came to the wait, but after the run began
    Path(f"{oracle}.hold").unlink()
    open_wait(client, kind="event")
    say(7)
    thread.join()
    assert results == [[6, 7]]

    run_id = client.pipelines.start(waiting.listens)
    work(client)
    say(8)
    assert client.pipelines.get(run_id).state == "queued"
    say(9)
    work(client)
    assert client.pipelines.result(run_id) == [8, 9]


@pytest.mark.databases("sqlite")
def test_an_interrupt_leaves_a_run_that_waits_resumable(waiting: ModuleType, client: Client, oracle: Path) -> None:
    before = signal.signal(signal.SIGINT, signal.default_int_handler)  # whoever runs the tests may ignore it
    threading.Timer(0.5, lambda: (open_wait(client), os.kill(os.getpid(), signal.SIGINT))).start()
    try:
        with pytest.raises(KeyboardInterrupt):
            waiting.approved.run(client, 1)
    finally:
        signal.signal(signal.SIGINT, before)
    (run,) = client.pipelines.runs()
    assert run.state == "waiting"
    client.pipelines.answer(open_wait(client).id, True)
    assert waiting.approved.resume(client, run.id) == 3
    assert oracle.read_text().split("\n") == ["one 1", "one 2", ""]


@pytest.mark.databases("sqlite")
def test_where_nothing_can_wait_it_says_so(waiting: ModuleType, client: Client, oracle: Path) -> None:
    with pytest.raises(InvalidInput, match="step wrong cannot wait"):
        waiting.asks_inside.run(client)
    with pytest.raises(InvalidInput, match="outside of a flow run"):
        ask("Anybody?")
    with pytest.raises(InvalidInput, match="outside of a flow run"):
        wait_for("thing.*")
    for refused in (
        {"type": object()},
        {"default": True},
        {"type": int, "default": "x", "deadline": 1},
        {"deadline": -1},
    ):
        with pytest.raises(InvalidInput):
            ask("Anybody?", **refused)  # type: ignore[call-overload]
    run_id = client.pipelines.start(waiting.fickle)
    work(client)
    client.pipelines.answer(open_wait(client, "One?").id, True)
    Path(f"{oracle}.changed").touch()
    work(client)
    with pytest.raises(Diverged, match="One"):
        client.pipelines.result(run_id)


@pytest.mark.databases("sqlite")
def test_nothing_that_a_body_catches_keeps_it_from_being_left(
    waiting: ModuleType, client: Client, oracle: Path
) -> None:
    runs = [client.pipelines.start(waiting.greedy), client.pipelines.start(waiting.awaits)]
    work(client)
    assert [client.pipelines.get(each).state for each in runs] == ["waiting", "waiting"]
    assert oracle.read_text().split() == ["caught", "finally"]
    client.pipelines.pause_run(runs[1])
    for question in ("Sure?", "Async?"):
        client.pipelines.answer(open_wait(client, question).id, True)
    work(client)
    assert [client.pipelines.get(each).state for each in runs] == ["finished", "paused"]
    client.pipelines.resume_run(runs[1])
    work(client)
    assert [client.pipelines.result(each) for each in runs] == [2, 2]


@pytest.mark.databases("sqlite")
def test_an_answer_that_comes_while_the_body_is_left_is_not_lost(waiting: ModuleType, client: Client) -> None:
    runs = {client.pipelines.start(waiting.awaits) for _ in range(8)}
    worker = Worker(client, concurrency=4, lease=30)
    thread = threading.Thread(target=worker.run)
    thread.start()
    answered: set[str] = set()
    while len(answered) < 8:  # at once, while its process is still there
        for each in client.pipelines.waits():
            client.pipelines.answer(each.id, True)
            answered.add(each.id)
    assert [client.pipelines.result(each, timeout=60) for each in runs] == [2] * 8
    worker.stop()
    thread.join()


class _Named(msgspec.Struct, tag="named"):
    name: str


class _Sized(msgspec.Struct, tag="sized", forbid_unknown_fields=True):
    size: int
    inner: list[_Named] = []


_TYPES: list[Any] = [
    bool,
    int,
    float | None,
    list[int],
    dict[str, float],
    tuple[int, str],
    _Named | _Sized,
    list[_Named | _Sized],
    msgspec.inspect,
]
_JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-3, 3) | st.floats(-2, 2) | st.sampled_from(["named", "sized", "a"]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["type", "name", "size", "inner", "x"]), inner, max_size=4)
    ),
    max_leaves=8,
)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(number=st.integers(0, len(_TYPES) - 2), value=_JSON)
def test_answers_are_checked_as_jsonschema_checks_them(number: int, value: Any) -> None:
    schema = schema_of(_TYPES[number])
    whole = isinstance(value, float) and value.is_integer()  # to JSON Schema 1.0 is an integer, to Python it is not
    if not whole and "1.0" not in repr(value) and "0.0" not in repr(value) and "2.0" not in repr(value):
        assert (mismatch(schema, value) == "") == jsonschema.Draft202012Validator(schema).is_valid(value), value


@pytest.mark.databases("sqlite")
def test_a_run_here_waits_for_a_server_too(any_client: Client) -> None:
    client = any_client
    from mainspring.pipelines import flow

    @flow
    def local() -> bool:
        sleep(0.05)
        return bool(ask("Here?"))

    thread, results = here(local, client)
    client.pipelines.answer(open_wait(client, "Here?").id, True)
    thread.join()
    assert results == [True]
    run: FlowRun = client.pipelines.runs()[0]
    assert (run.state, run.location.address) == ("finished", "")
