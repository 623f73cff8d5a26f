"""The arrows between steps: told by the digests of what was handed on, never by their order."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from mainspring.console.pages.flows import step_edges
from mainspring.pipelines.types import StepRecord
from mainspring.pipelines.values import digest

START = datetime(2026, 1, 1, tzinfo=UTC)


def record(number: int, name: str, output: object, **inputs: object) -> StepRecord:
    return StepRecord(
        id=f"s{number}",
        run_id="r",
        path=str(number),
        item=-1,
        name=name,
        state="finished",
        attempt=1,
        started_at=START + timedelta(seconds=number),
        inputs={argument: digest(value) for argument, value in inputs.items()},
        output=output,
    )


def test_a_result_that_becomes_an_argument_is_an_arrow():
    steps = [record(0, "load", {"rows": 3}), record(1, "clean", {"rows": 2}, data={"rows": 3}), record(2, "other", 7)]
    assert step_edges(steps) == [("s0", "s1")]


def test_a_list_of_results_comes_from_each_of_them():
    steps = [record(0, "train", 0.5), record(1, "train", 0.7), record(2, "choose", 0.7, scores=[0.5, 0.7])]
    assert step_edges(steps) == [("s0", "s2"), ("s1", "s2")]


def test_blobs_are_known_by_their_digest_and_truth_values_are_not():
    blob = {"$": "bytes", "codec": "frame", "digest": "ab" * 32, "size": 9}
    made = record(0, "load", blob)
    used = record(1, "clean", True)
    used = StepRecord(**{name: getattr(used, name) for name in used.__struct_fields__} | {"uses": ("ab" * 32,)})
    after = record(2, "publish", None, flag=True)
    assert step_edges([made, used, after]) == [("s0", "s1")]
