"""The arrows between steps: told by the digests of what was handed on, never by their order."""

from __future__ import annotations

from mainspring.pipelines.overview_shape import Link, step_edges
from mainspring.pipelines.values import digest


def record(number: int, name: str, output: object, **inputs: object) -> Link:
    return Link(f"s{number}", str(number), -1, name, tuple(digest(value) for value in inputs.values()), output)


def test_a_result_that_becomes_an_argument_is_an_arrow():
    steps = [record(0, "load", {"rows": 3}), record(1, "clean", {"rows": 2}, data={"rows": 3}), record(2, "other", 7)]
    assert step_edges(steps) == [("s0", "s1")]


def test_a_list_of_results_comes_from_each_of_them():
    steps = [record(0, "train", 0.5), record(1, "train", 0.7), record(2, "choose", 0.7, scores=[0.5, 0.7])]
    assert step_edges(steps) == [("s0", "s2"), ("s1", "s2")]


def test_blobs_are_known_by_their_digest_and_truth_values_are_not():
    blob = {"$": "bytes", "codec": "frame", "digest": "ab" * 32, "size": 9}
    made = record(0, "load", blob)
    used = Link("s1", "1", -1, "clean", ("ab" * 32,), True)
    after = record(2, "publish", None, flag=True)
    assert step_edges([made, used, after]) == [("s0", "s1")]
