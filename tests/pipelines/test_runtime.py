"""Flows in this process: what is recorded, what is repeated, what is refused."""

from __future__ import annotations

import importlib
import os
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from types import ModuleType
from typing import Any

import msgspec
import numpy as np
import pytest

from mainspring.client.client import Client
from mainspring.engines.tasks import ProcessDied
from mainspring.kernel.clock import now, turned
from mainspring.kernel.context import Caller, acting_as
from mainspring.kernel.errors import Conflict, DeadlineExceeded, InvalidInput, LostLease, NotFound, UnsupportedFormat
from mainspring.lineage.graph import add_artifact
from mainspring.pipelines import Flow, current_step, flow, step
from mainspring.pipelines.runtime import Diverged
from mainspring.pipelines.types import Attempt, FlowRun
from mainspring.pipelines.types_cards import Shown

pytestmark = pytest.mark.databases("sqlite")


def lines(oracle: Path, word: str = "") -> list[str]:
    return [line for line in oracle.read_text().splitlines() if line.startswith(word)]


def newest(client: Client) -> str:
    return client.pipelines.runs()[0].id


def outside_of_a_run(client: Client) -> None:
    assert client.pipelines.runs() == []


def test_outside_of_a_run_steps_are_ordinary_functions(flows: ModuleType, client: Client) -> None:
    assert flows.simple(1) == 3
    assert flows.one.map([1, 2]) == [2, 3]
    assert flows.one.submit(1).result() == 2
    assert client.pipelines.runs() == []


def test_a_run_records_its_steps_and_their_lineage(flows: ModuleType, client: Client, capsys: Any) -> None:
    assert flows.simple.run(client, 1) == 3
    (run,) = client.pipelines.runs(flow="simple", state="finished")
    assert (run.state, run.result, run.params, run.attempt) == ("finished", 3, {"n": 1}, 1)
    steps = client.pipelines.steps(run.id)
    assert [(each.name, each.path, each.item, each.state, each.output) for each in steps] == [
        ("one", "0", -1, "finished", 2),
        ("one", "1", -1, "finished", 3),
    ]
    assert steps[0].arguments == {"x": "1"}
    assert client.pipelines.logs(run.id) == "body\n" == capsys.readouterr().out
    recorded = client.lineage.runs(parent_id=run.id)
    assert {(each.kind, each.status) for each in recorded} == {("step", "finished")}
    assert {each.id for each in recorded} == {each.id for each in steps}


def test_a_resumed_run_repeats_no_finished_step(flows: ModuleType, client: Client, oracle: Path) -> None:
    with pytest.raises(ValueError, match="not yet 9"):
        flows.fails.run(client, 8)
    run = client.pipelines.get(newest(client))
    assert (run.state, run.error["details"]["type"]) == ("failed", "ValueError")  # type: ignore[index]
    assert lines(oracle) == ["one 8", "flaky 9 1", "flaky 9 2", "flaky 9 3"]
    with pytest.raises(ValueError, match="not yet"):
        flows.fails.resume(client, run.id)
    assert lines(oracle, "one") == ["one 8"]
    assert client.pipelines.get(run.id).attempt == 2
    assert [(each.name, each.state) for each in client.pipelines.steps(run.id)] == [
        ("one", "finished"),
        ("flaky", "failed"),
    ]


def test_retries_happen_as_often_as_was_said(flows: ModuleType, client: Client, oracle: Path) -> None:
    assert flows.fails.run(client, 0) == 1
    assert lines(oracle, "flaky") == ["flaky 1 1", "flaky 1 2"]
    assert client.pipelines.steps(newest(client))[-1].attempt == 2


def test_a_finished_run_answers_without_doing_anything(flows: ModuleType, client: Client, oracle: Path) -> None:
    flows.simple.run(client, 1)
    before = oracle.read_text()
    assert flows.simple.resume(client, newest(client)) == 3
    assert oracle.read_text() == before


def test_a_map_spreads_over_processes_and_keeps_order(flows: ModuleType, client: Client, oracle: Path) -> None:
    Path(f"{oracle}.go").touch()
    assert flows.wide.run(client, 3) == 10 * (4 + 1 + 2 + 3)
    records = [each for each in client.pipelines.steps(newest(client)) if each.name == "held"]
    assert sorted(each.item for each in records) == [0, 1, 2, 3]
    assert {each.path for each in records} == {"1"}
    assert str(os.getpid()) not in {line.split()[2] for line in lines(oracle, "held")}


def test_frames_travel_by_digest_and_show_in_the_lineage(flows: ModuleType, client: Client) -> None:
    assert flows.frames.run(client, 1000) == [499501, 499502]
    (artifact,) = client.lineage.artifacts(kind="result")
    assert artifact.name == "frames/frame"
    graph = client.lineage.impact(artifact.id)
    assert sum(node.name == "total" for node in graph.nodes) == 2
    made = client.lineage.why(artifact.id)
    assert any(node.name == "frame" and node.kind == "step" for node in made.nodes)


def test_what_steps_print_is_kept(flows: ModuleType, client: Client) -> None:
    @flow
    def talk() -> list[int]:
        return [flows.loud(1), *flows.loud.map([2])]

    assert talk.run(client) == [1, 2]
    inside, outside = (client.pipelines.logs(each.id) for each in client.pipelines.steps(newest(client)))
    assert inside == "printed 1\n"
    assert sorted(outside.splitlines()) == ["from a child 2", "printed 2"]


def test_a_step_that_crashes_or_hangs_is_an_error_of_its_own(flows: ModuleType, client: Client) -> None:
    @flow
    def crashing() -> Any:
        return flows.crash.map([1])

    @flow
    def hanging() -> int:
        return flows.hang()

    with pytest.raises(ProcessDied):
        crashing.run(client)
    with pytest.raises(DeadlineExceeded):
        hanging.run(client)
    assert client.pipelines.steps(newest(client))[0].error["code"] == DeadlineExceeded.code  # type: ignore[index]


def test_when_items_of_a_map_fail_the_others_are_kept(flows: ModuleType, client: Client, oracle: Path) -> None:
    once = flows.flaky.using(retries=0)

    @flow
    def some() -> Any:
        return once.map([0, 0, 1, 0])

    with pytest.raises(ValueError, match="not yet 1"):
        some.run(client)
    done = [each for each in client.pipelines.steps(newest(client)) if each.state == "finished"]
    assert len(done) >= 2
    before = len(lines(oracle, "flaky 0"))
    with pytest.raises(ValueError, match="not yet 1"):
        some.resume(client, newest(client))
    assert len(lines(oracle, "flaky 0")) <= before + 3 - len(done)


def test_a_cache_holds_across_runs_until_code_or_inputs_change(flows: ModuleType, client: Client, oracle: Path) -> None:
    assert [flows.cached.run(client, 1), flows.cached.run(client, 1), flows.cached.run(client, 2)] == [10, 10, 20]
    assert lines(oracle, "costly") == ["costly 1", "costly 2"]
    changed, hit, first = (client.pipelines.steps(run.id)[0] for run in client.pipelines.runs())
    assert (first.state, hit.state, hit.cached_from) == ("finished", "cached", first.id)
    assert [why.component for why in client.pipelines.why_step(first.id).reasons] == ["first run"]
    assert [why.component for why in client.pipelines.why_step(hit.id).reasons] == ["cache"]
    assert [why.component for why in client.pipelines.why_step(changed.id).reasons] == ["input: x"]
    source = Path(flows.__file__)
    source.write_text(source.read_text().replace("FACTOR = 10", "FACTOR = 100"))
    importlib.reload(flows)
    assert flows.cached.run(client, 1) == 100
    why = client.pipelines.why_step(client.pipelines.steps(newest(client))[0].id)
    assert "code: flows_under_test:FACTOR" in [each.component for each in why.reasons]


class Opaque:
    """Nothing knows what this holds."""


SECRET = Opaque()


@step(cache=True)
def of_opaque(_: Any) -> int:
    return 1


@step(cache=True)
def reaches_opaque() -> bool:
    return SECRET is not None


@flow
def uncacheable() -> int:
    return of_opaque(Opaque()) + reaches_opaque()


def test_what_cannot_be_digested_is_never_cached(client: Client) -> None:
    for _ in range(2):
        uncacheable.run(client)
    first, second = client.pipelines.steps(newest(client))
    assert (first.state, first.key, first.uncached) == ("finished", "", "arguments that cannot be digested: _")
    assert second.state == "finished"
    assert "SECRET" in second.uncached
    assert any("SECRET" in why.now for why in client.pipelines.why_step(second.id).reasons)


calls: list[Any] = []


@step
def note(x: Any) -> Any:
    calls.append(x)
    return x


@step
def fail() -> None:
    raise ValueError("broken")


@step
def weather(x: int) -> int:
    return x


@flow
def wavering() -> None:
    weather(int(os.environ["WEATHER"]))
    fail()


def test_a_body_that_does_something_else_is_told_so(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WEATHER", "0")
    with pytest.raises(ValueError, match="broken"):
        wavering.run(client)
    monkeypatch.setenv("WEATHER", "1")
    with pytest.raises(Diverged) as diverged:
        wavering.resume(client, newest(client))
    assert "weather(x=0)" in diverged.value.message
    assert "weather(x=1)" in diverged.value.message


def test_after_an_edit_the_run_goes_on_from_where_it_changed(client: Client) -> None:
    def version(body: Callable[[], Any]) -> Flow[[], Any]:
        return Flow(body, name="edited")

    def first() -> None:
        note("a"), note("b"), note("c")
        fail()

    def second() -> list[Any]:
        return [note("a"), note("B"), note("c")]

    calls.clear()
    with pytest.raises(ValueError, match="broken"):
        version(first).run(client)
    assert version(second).resume(client, newest(client)) == ["a", "B", "c"]
    assert calls == ["a", "b", "c", "B"]
    assert [(each.arguments["x"], each.state) for each in client.pipelines.steps(newest(client))] == [
        ("'a'", "finished"),
        ("'B'", "finished"),
        ("'c'", "cached"),
    ]


def test_flows_in_flows_share_the_run(flows: ModuleType, client: Client) -> None:
    assert flows.outer.run(client, 1) == 3 + 4 + 2
    assert [each.path for each in client.pipelines.steps(newest(client))] == ["0.0", "0.1", "1.0", "1.1", "2"]
    assert len(client.pipelines.runs()) == 1


def test_submitted_steps_keep_the_place_of_their_submission(flows: ModuleType, client: Client) -> None:
    @flow
    def beside() -> list[int]:
        return [each.result() for each in [flows.one.submit(number) for number in range(4)]]

    assert beside.run(client) == [1, 2, 3, 4]
    records = client.pipelines.steps(newest(client))
    assert {each.path: each.output for each in records} == {"0": 1, "1": 2, "2": 3, "3": 4}


@step
def model_of(seed: int) -> Any:
    from sklearn.linear_model import LogisticRegression

    rows = np.random.default_rng(seed).random((60, 3))
    return LogisticRegression().fit(rows, rows[:, 0] > 0.5)


@step
def score(model: Any, rows: Any) -> float:
    return float(model.predict_proba(rows)[:, 1].sum())


@flow
def modelled(*, broken: bool = True) -> float:
    models = [model_of(1), model_of(2)]
    found = max(score(model, np.ones((3, 3))) for model in models)
    if broken:
        fail()
    return found


def test_models_are_recalled_and_recognised_on_resuming(client: Client) -> None:
    with pytest.raises(ValueError, match="broken"):
        modelled.run(client)
    before = {each.id for each in client.pipelines.steps(newest(client), state="finished")}
    with pytest.raises(ValueError, match="broken"):
        modelled.resume(client, newest(client))
    assert {each.id for each in client.pipelines.steps(newest(client), state="finished")} == before


def test_a_result_that_was_altered_is_not_mistaken_for_the_recorded_one(client: Client) -> None:
    @flow
    def altering() -> Any:
        array = note(np.zeros(5000))
        array[0] = 7
        return note(array)

    assert altering.run(client)[0] == 7
    assert altering.resume(client, newest(client))[0] == 7


def test_a_step_knows_itself(client: Client) -> None:
    seen = []

    @step
    def look() -> None:
        context = current_step()
        assert context is not None
        seen.append(context)

    @flow
    def looking() -> None:
        look()

    looking.run(client)
    (context,) = seen
    assert (context.run_id, context.flow, context.name, context.attempt) == (newest(client), "looking", "look", 1)
    assert client.pipelines.steps(newest(client))[0].id == context.step_id
    assert current_step() is None


def test_a_step_that_looks_at_itself_or_takes_long_is_seen_running(client: Client) -> None:
    def states() -> list[str]:
        return [each.state for each in client.pipelines.steps(newest(client))]

    @step
    def quick() -> list[str]:
        return states()

    @step
    def looking() -> list[str]:
        context = current_step()
        assert context is not None
        with client.backend.store.write("tests") as tx:  # type: ignore[attr-defined]
            add_artifact(tx, "report", "mine", digest="0" * 64, run_id=context.step_id)
        return states()

    @step
    def long() -> list[str]:
        while "running" not in (found := states()):
            pass
        return found

    @flow
    def seen() -> list[list[str]]:
        return [quick(), looking(), long()]

    done = "finished"
    assert seen.run(client) == [[], [done, "running"], [done, done, "running"]]
    assert states() == [done] * 3
    (artifact,) = client.lineage.artifacts(kind="report")
    assert artifact.run_id == client.pipelines.steps(newest(client))[1].id
    assert {run.status for run in client.lineage.runs(kind="step")} == {done}


def test_an_attempt_that_was_overtaken_can_record_nothing(flows: ModuleType, client: Client, oracle: Path) -> None:
    run_id = ""

    @step
    def overtake() -> int:
        nonlocal run_id
        run_id = newest(client)
        client.pipelines.begin("victim", run_id=run_id)
        return 1

    @flow
    def victim() -> int:
        return overtake() + flows.one(1)

    with pytest.raises(LostLease):
        victim.run(client)
    assert client.pipelines.steps(run_id) == []
    assert lines(oracle) == []
    assert client.pipelines.get(run_id).state == "running"


def test_a_run_says_nothing_of_another_and_of_its_steps(client: Client) -> None:
    @step
    def loud() -> None:
        print("mine")  # noqa: T201 -- what a step prints is what is looked at

    @flow
    def victim() -> None:
        loud()

    victim.run(client)
    mine = client.pipelines.runs()[0]
    done = client.pipelines.steps(mine.id)[0]
    with acting_as(Caller(workspace="other")):
        theirs = client.pipelines.begin("attacker").run
        forged = msgspec.structs.replace(done, run_id=theirs.id, id=mine.id, state="failed")
        for said in (
            {"logs": {done.id: "theirs"}},
            {"logs": {mine.id: "theirs"}},
            {"attempts": [Attempt(done.id, 7, now(), now(), {})]},
        ):
            with pytest.raises(InvalidInput, match="not a step"):
                client.pipelines.record(theirs.id, attempt=1, steps=[], **said)
        client.pipelines.record(theirs.id, attempt=1, steps=[forged])
        assert client.pipelines.logs(done.id) == ""
        for step_id in (done.id, mine.id):
            said = {"attempt": 1, "step_id": step_id}
            with pytest.raises(InvalidInput, match="not a step"):
                client.pipelines.append_step_log(theirs.id, text="theirs", **said)
            with pytest.raises(InvalidInput, match="not a step"):
                client.pipelines.show_parts(theirs.id, parts=[Shown(0, "markdown")], **said)
    assert client.pipelines.logs(done.id) == "mine\n"
    assert client.lineage.run(mine.id).status == "finished"


def test_cancelling_stops_a_flow_at_its_next_step(flows: ModuleType, client: Client, oracle: Path) -> None:
    @step
    def stop() -> None:
        client.pipelines.cancel(newest(client))

    @flow
    def stopped() -> None:
        stop()
        flows.one(1)

    with pytest.raises(LostLease):
        stopped.run(client)
    run = client.pipelines.get(newest(client))
    assert run.state == "cancelled"
    assert lines(oracle) == []
    assert client.lineage.runs(kind="flow")[0].status == "cancelled"
    with pytest.raises(Conflict):
        stopped.resume(client, run.id)


def test_values_that_cannot_be_kept_fail_their_step(client: Client) -> None:
    @step
    def opaque() -> Any:
        return Opaque()

    @flow
    def keeping() -> bool:
        return isinstance(opaque.using(allow_pickle=True)(), Opaque) and opaque() is None

    with pytest.raises(UnsupportedFormat, match="Opaque"):
        keeping.run(client)
    assert [each.state for each in client.pipelines.steps(newest(client))] == ["finished", "failed"]


def test_bad_input_is_refused_before_anything_is_written(flows: ModuleType, client: Client) -> None:
    for wrong in (
        lambda: flows.simple.run(client, 1, 2),
        lambda: flows.simple.start(client, m=1),
        flows.one.map,
        lambda: flows.one.map([1], [1, 2]),
        lambda: flows.one.using(retries=-1),
        lambda: flows.one.using(retrys=1),
        lambda: flows.one.using(where="moon"),
        lambda: client.pipelines.start(flow(lambda: 1)),
        lambda: client.pipelines.enqueue("bad/../name", location=flows.simple.location()),
    ):
        with pytest.raises(InvalidInput):
            wrong()  # type: ignore[no-untyped-call]
    with pytest.raises(NotFound):
        client.pipelines.get("nothing")
    assert client.pipelines.runs() == []


tried: list[int] = []


@step(retries=5, delay=0.0, retry_on=lambda error: "again" in str(error))
def picky(message: str) -> None:
    tried.append(1)
    raise ValueError(message)


def test_a_predicate_says_which_errors_are_tried_again(client: Client) -> None:
    @flow
    def picking(message: str) -> None:
        picky(message)

    for message, times in (("again", 6), ("never", 1)):
        tried.clear()
        with pytest.raises(ValueError, match=message):
            picking.run(client, message)
        assert len(tried) == times
        (found,) = client.pipelines.steps(newest(client))
        attempts = client.pipelines.attempts(found.id)
        assert [each.attempt for each in attempts] == list(range(1, times))
        assert all(each.error["message"] == f"ValueError: {message}" for each in attempts)
    only = picky.using(retry_on=KeyError)
    assert (only.options.retry_on, step(lambda: 1).options.retry_on) == ((KeyError,), (Exception,))


def test_a_fallback_takes_the_place_of_a_result_that_failed(client: Client) -> None:
    quick = picky.using(retries=0, cache=True)

    @flow
    def falling() -> list[Any]:
        return [
            quick.using(fallback=None)("a"),
            quick.using(fallback=lambda error: f"no {error}")("b"),
            quick.using(fallback=lambda error: {}[str(error)])("c"),
        ]

    with pytest.raises(KeyError, match="c"):
        falling.run(client)
    steps = client.pipelines.steps(newest(client))
    assert [(each.state, each.output, each.key) for each in steps] == [
        ("finished", None, ""),
        ("finished", "no b", ""),
        ("failed", None, ""),
    ]
    said = [each.error and each.error["message"] for each in steps]
    assert said == ["ValueError: a", "ValueError: b", "KeyError: 'c'"]
    tried.clear()
    with pytest.raises(KeyError, match="c"):
        falling.resume(client, newest(client))
    assert len(tried) == 1  # what fell back is finished


def test_a_cached_result_is_too_old_after_its_time(flows: ModuleType, client: Client, oracle: Path) -> None:
    hour = flows.costly.using(cache_ttl=3600)

    @flow
    def hourly(x: int) -> int:
        return hour(x)

    hourly.run(client, 1)
    for minutes, times in ((59, 1), (61, 2), (90, 2)):
        with turned(timedelta(minutes=minutes)):
            hourly.run(client, 1)
        assert len(lines(oracle, "costly")) == times, minutes


def test_what_becomes_of_a_run_is_told_to_listeners_and_hooks(flows: ModuleType, client: Client) -> None:
    ended: list[tuple[str, str, Any]] = []

    def hook(run: FlowRun) -> None:
        ended.append((run.flow, run.state, run.result))
        raise OSError("no paper")

    @flow(on_success=hook, on_failure=hook)
    def told(n: int) -> int:
        return flows.fails.function(n)

    assert told.run(client, 0) == 1
    with pytest.raises(ValueError, match="not yet"):
        told.run(client, 8)
    failed, finished = (run.id for run in client.pipelines.runs())
    assert ended == [("told", "finished", 1), ("told", "failed", None)]
    with client.backend.store.read() as tx:  # type: ignore[attr-defined]
        events = tx.rows("SELECT kind, subject, data FROM event_outbox ORDER BY number")
    said = [(kind.rpartition(".")[2], subject, finished in data, failed in data) for kind, subject, data in events]
    assert said == [
        ("started", "flow/told", True, False),
        ("finished", "flow/told", True, False),
        ("started", "flow/told", False, True),
        ("failed", "flow/told", False, True),
    ]


def test_handles_are_waited_for_where_they_are_given(flows: ModuleType, client: Client) -> None:
    @flow
    def chained() -> int:
        first = flows.one.submit(1)
        second = flows.one.submit(first)
        return note([second, {"deep": first}])[0] + flows.one(second)

    assert chained.run(client) == 3 + 4
    named = {each.path: each for each in client.pipelines.steps(newest(client))}
    assert named["1"].arguments == {"x": "2"}
    assert flows.one(flows.one.submit(flows.one.submit(1))) == 4  # and so outside of a run

    @flow
    def broken() -> int:
        return flows.one(flows.flaky.using(retries=0).submit(1))

    with pytest.raises(ValueError, match="not yet 1"):
        broken.run(client)
