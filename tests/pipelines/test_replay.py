"""A resumed flow: what is done again, and what never is. Effects are counted outside of the store."""

from __future__ import annotations

import importlib
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mainspring.client.client import Client
from mainspring.kernel.errors import LostLease
from mainspring.pipelines import flow, step
from mainspring.pipelines.calls import Calls
from mainspring.pipelines.runtime import Diverged

pytestmark = pytest.mark.databases("sqlite")

effects: Counter[str] = Counter()


def noted(text: str) -> None:
    effects[text] += 1


@step(where="inline")
def double(x: int) -> int:
    noted(f"double {x}")
    return 2 * x % 1009


@step(where="inline")
def add(x: int, y: int = 1) -> int:
    noted(f"add {x} {y}")
    return (x + y) % 1009


@step(where="inline")
def pair(x: int) -> tuple[int, dict[str, int]]:
    noted(f"pair {x}")
    return x + 1, {"x": x}


@flow
def nested(value: int, program: list[Any]) -> int:
    return body(value, program)


def body(value: int, program: list[Any]) -> int:
    """A program is a list of operations; each takes the value so far and gives the next."""
    for operation, argument in program:
        if operation == "double":
            value = double(value)
        elif operation == "add":
            value = add(value, y=argument)
        elif operation == "pair":
            value = sum(pair(value)[1].values()) + argument
        elif operation == "map":
            value = sum(add.map(value, list(range(argument)))) % 1009
        elif operation == "submit":
            handles = [add.submit(value, number) for number in range(argument)]
            value = add(handles[0].later, y=handles[-1].later) if handles else value
        elif operation == "branch":
            value = body(value, argument[value % 2])
        else:
            value = nested(value, argument)
    return value


@flow
def interpreted(program: list[Any]) -> int:
    return body(3, program)


_OPERATIONS = st.one_of(
    st.tuples(st.just("double"), st.just(0)),
    st.tuples(st.just("add"), st.integers(0, 3)),
    st.tuples(st.just("pair"), st.integers(0, 3)),
    st.tuples(st.just("map"), st.integers(0, 4)),
    st.tuples(st.just("submit"), st.integers(0, 3)),
)
_PROGRAMS = st.lists(
    st.recursive(
        _OPERATIONS,
        lambda inner: st.one_of(
            st.tuples(st.just("branch"), st.tuples(st.lists(inner, max_size=3), st.lists(inner, max_size=3))),
            st.tuples(st.just("nested"), st.lists(inner, max_size=3)),
        ),
        max_leaves=6,
    ),
    max_size=6,
)


@contextmanager
def killed(after: int, *, committed: bool) -> Iterator[None]:
    """As if the process were killed at a commit: just before it, or just after; nothing more reaches the store."""
    left = after
    inner = Calls._record

    def record(self: Calls, records: list[Any], *args: Any, **kwargs: Any) -> None:
        nonlocal left
        left -= bool(records)
        if left < -1 or (left == -1 and not (committed and records)):
            raise LostLease("killed")
        inner(self, records, *args, **kwargs)
        if left == -1:
            raise LostLease("killed")

    Calls._record = record  # type: ignore[method-assign]
    try:
        yield
    finally:
        Calls._record = inner  # type: ignore[method-assign]


@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    program=_PROGRAMS,
    crashes=st.lists(st.tuples(st.integers(0, 6), st.booleans()), max_size=4),
)
def test_a_run_that_is_killed_anywhere_ends_as_if_it_were_not(
    client: Client, program: list[Any], crashes: list[tuple[int, bool]]
) -> None:
    effects.clear()
    expected = interpreted.function(program)
    wanted = Counter(effects)
    effects.clear()
    run_id, result, lost = "", None, 0
    for after, committed in crashes:
        with killed(after, committed=committed):
            try:
                result = interpreted.resume(client, run_id) if run_id else interpreted.run(client, program)
                break
            except LostLease:
                lost += 1
        run_id = client.pipelines.runs(limit=1)[0].id
        assert client.pipelines.get(run_id).state == "running"
    else:
        result = interpreted.resume(client, run_id) if run_id else interpreted.run(client, program)
    run = client.pipelines.runs(limit=1)[0]
    assert (result, run.state, run.attempt) == (expected, "finished", lost + 1)
    steps = client.pipelines.steps(run.id)
    assert len(steps) == wanted.total()
    assert len({(each.path, each.item) for each in steps}) == len(steps)
    again = effects - wanted
    assert wanted <= effects  # no call was left out,
    assert again.total() <= 4 * lost  # and done again was at most what was under way when the process was killed
    assert {each.id for each in steps} == {each.id for each in client.lineage.runs(parent_id=run.id, limit=1000)}


def test_a_divergence_says_which_argument_and_how(client: Client) -> None:
    world = {"rows": 10, "name": "linear"}

    @step
    def train(rows: int, name: str, *, seed: int = 0) -> int:
        return rows

    @flow
    def wavering() -> None:
        train(1, "first")
        train(world["rows"], str(world["name"]))  # type: ignore[call-overload]
        raise RuntimeError("broken")

    with pytest.raises(RuntimeError, match="broken"):
        wavering.run(client)
    run = client.pipelines.runs()[0]
    with client.backend.store.bookkeeping() as tx:  # type: ignore[attr-defined]
        code = tx.value("SELECT code FROM flow_run WHERE id = ?", (run.id,))
    world.update(rows=12, name="trees")
    wavering_again = wavering
    with client.backend.store.bookkeeping() as tx:  # type: ignore[attr-defined]
        tx.execute("UPDATE flow_run SET code = ? WHERE id = ?", (wavering_again.code().fingerprint, run.id))
    assert code
    with pytest.raises(Diverged) as diverged:
        wavering_again.resume(client, run.id)
    assert diverged.value.details["arguments"] == {"rows": ["10", "12"], "name": ["'linear'", "'trees'"]}
    assert diverged.value.details["path"] == "1"
    assert "rows was 10 and is 12; name was 'linear' and is 'trees'" in diverged.value.message
    assert client.pipelines.get(run.id).state == "failed"


_BEFORE = """
from mainspring.pipelines import flow, step

def note(text):
    with open({oracle!r}, "a") as file:
        file.write(text + "\\n")

def scale(x):
    return x * 10

SIZES = [1]
SEEN = []

@step
def load(n: int) -> int:
    note("load")
    SEEN.append(n)  # a value that the program changes: no edit of the step
    return n * SIZES[0]

@step
def clean(n: int) -> int:
    note("clean")
    return scale(n)

@step(where="inline")
def train(rows: int, depth: int) -> int:
    note(f"train {{depth}}")
    return rows * depth

@step
def report(best: int) -> str:
    note("report")
    raise ValueError("no paper")

@flow
def edited(n: int) -> str:
    rows = clean(load(n))
    return report(max(train.map(rows, depth=[2, 4])))
"""


def _edit(module: ModuleType, *changes: tuple[str, str]) -> None:
    path = Path(str(module.__file__))
    text = path.read_text()
    for old, new in changes:
        assert old in text
        text = text.replace(old, new)
    path.write_text(text)
    importlib.invalidate_caches()
    importlib.reload(module)


@pytest.fixture
def edited(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    oracle = tmp_path / "oracle.txt"
    oracle.touch()
    (tmp_path / "edited_flow.py").write_text(_BEFORE.format(oracle=str(oracle)))
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setattr("sys.dont_write_bytecode", True)
    return importlib.reload(importlib.import_module("edited_flow"))


_CURE = ('raise ValueError("no paper")', "return str(best)")


@pytest.mark.parametrize(
    ("changes", "done"),
    [
        ([], []),
        ([("return x * 10", "return x * 5 * 2")], ["clean"]),  # a helper: its result is the same, so nothing below it
        ([("return x * 10", "return x * 20")], ["clean", "train 2", "train 4"]),
        ([("SIZES = [1]", "SIZES = [1, 2]")], ["load"]),
        ([("depth=[2, 4]", "depth=[2, 8, 4]")], ["train 8"]),
        ([("rows = clean(load(n))", "load(n + 1); rows = clean(load(n))")], ["load"]),  # all that follow have moved
        ([("rows = clean(load(n))", "rows = load(n)"), ("depth=[2, 4]", "depth=[4]")], ["train 4"]),
    ],
)
def test_after_an_edit_only_what_changed_runs(
    client: Client, edited: ModuleType, tmp_path: Path, changes: list[tuple[str, str]], done: list[str]
) -> None:
    with pytest.raises(ValueError, match="no paper"):
        edited.edited.run(client, 3)
    run = client.pipelines.runs()[0]
    oracle = tmp_path / "oracle.txt"
    assert sorted(oracle.read_text().split("\n")[:-1]) == ["clean", "load", "report", "train 2", "train 4"]
    oracle.write_text("")
    _edit(edited, _CURE, *changes)
    expected = edited.edited.function(3)
    oracle.write_text("")
    assert edited.edited.resume(client, run.id) == expected
    assert sorted(oracle.read_text().split("\n")[:-1]) == sorted([*done, "report"])
    steps = client.pipelines.steps(run.id)
    assert {each.state for each in steps} <= {"finished", "cached"}  # and nothing is left of what the body had before
    for each in steps:
        if each.name in done and not any("load(n + 1)" in new for _, new in changes):
            assert each.state == "finished"


turns: list[int] = []
factors = {"is": 2}
offset = 0


@flow
def restless(wanted: int) -> int:
    turns.append(wanted)  # a value that the program changes: no edit of the flow
    first = double(wanted + len(turns))
    if len(turns) == 1:
        raise RuntimeError("not yet")
    return first


def test_a_flow_whose_globals_changed_is_not_taken_for_edited(client: Client) -> None:
    turns.clear()
    with pytest.raises(RuntimeError, match="not yet"):
        restless.run(client, 3)
    with pytest.raises(Diverged) as caught:
        restless.resume(client, client.pipelines.runs(flow="restless")[0].id)
    assert caught.value.details["arguments"] == {"x": ["4", "5"]}


@step(cache=True, where="inline")
def scaled(x: int) -> int:
    return x * factors["is"] + offset


@flow
def rescaled(other: int) -> list[int]:
    global offset  # noqa: PLW0603 -- what the body changes
    factors["is"], offset = 2, 0
    found = [scaled(3)]
    factors["is"] = other
    found.append(scaled(3))
    offset = 1
    return [*found, scaled(3), *scaled.map([3])]


def test_a_cached_step_sees_what_the_body_changes_in_the_values_that_it_reads(client: Client) -> None:
    def states() -> list[str]:
        steps = client.pipelines.steps(client.pipelines.runs(flow="rescaled")[0].id)
        assert len({each.code for each in steps}) == 3
        return [each.state for each in steps]

    assert rescaled.run(client, 10) == [6, 30, 31, 31]
    assert states() == ["finished", "finished", "finished", "cached"]
    assert rescaled.run(client, 10) == [6, 30, 31, 31]
    assert states() == ["cached"] * 4
    assert rescaled.run(client, 11) == [6, 33, 34, 34]
    assert states() == ["cached", "finished", "finished", "cached"]
    second = client.pipelines.steps(client.pipelines.runs(flow="rescaled")[0].id)[1]
    reasons = client.pipelines.why_step(f"step/{second.id}").reasons
    assert [each.component.rpartition(":")[2] for each in reasons] == ["factors"]


def test_why_says_which_function_made_a_step_run(client: Client, edited: ModuleType) -> None:
    _edit(edited, _CURE)
    edited.edited.run(client, 3)
    _edit(edited, ("return x * 10", "return x * 20"))
    edited.edited.run(client, 3)
    named = {each.name: each for each in client.pipelines.steps(client.pipelines.runs()[0].id)}
    reasons = {name: client.pipelines.why_step(f"step/{step.id}").reasons for name, step in named.items()}
    assert [each.component for each in reasons["clean"]] == ["code: edited_flow:scale"]
    assert [each.component for each in reasons["report"]] == ["input: best"]
    assert [each.component for each in reasons["load"]] == ["cache"]


def test_the_lineage_of_a_killed_process_is_made_of_its_record(client: Client) -> None:
    with killed(3, committed=True), pytest.raises(LostLease):
        interpreted.run(client, [("double", 0)] * 6)
    run = client.pipelines.runs()[0]
    with pytest.raises(LostLease), killed(0, committed=False):
        interpreted.resume(client, run.id)
    steps = client.pipelines.steps(run.id, state="finished")
    assert len(steps) == 4
    assert {each.id for each in client.lineage.runs(kind="step")} >= {each.id for each in steps}
    code = client.lineage.artifacts(kind="code")
    used = {node.id for each in code for node in client.lineage.impact(each.id).nodes}
    assert used >= {each.id for each in steps}
