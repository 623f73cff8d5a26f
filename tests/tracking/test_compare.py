"""Comparing runs, and telling which parameters matter."""

from __future__ import annotations

import builtins
import random

import pytest

from mainspring.kernel.errors import InvalidInput, MissingDependency, NotFound
from mainspring.tracking.frames import encode_frame
from mainspring.tracking.importance import LEAST_RUNS, rate_params
from mainspring.tracking.types import SourceRecord

PATCH = b"--- a/train.py\n+++ b/train.py\n@@ -1 +1 @@\n-rate = 1\n+rate = %d\n"


def log(client, *, params, source=None, tags=None, title="", **metrics):
    with client.tracking.run("demo", params=params, tags=tags, title=title, source=False) as run:
        if metrics:
            run.log(**metrics)
    if source is not None:
        client.tracking.append(run.id, writer="", sequence=0, body=[encode_frame(source)])
    return run.id


def source(rate, *, commit="c1", **packages):
    return SourceRecord(
        {"python": "3.11"}, packages, commit=commit, repository="https://host/r.git", content=PATCH % rate
    )


def test_only_what_differs_is_said(any_client):
    client = any_client
    first = log(
        client,
        params={"a": 1, "b": {"c": "x"}, "same": 5},
        source=source(2, numpy="2.0", polars="1.0"),
        tags={"t": "1"},
        title="p",
        loss=0.5,
        acc=0.5,
        eq=1.0,
    )
    second = log(
        client,
        params={"a": 2, "same": 5, "new": None},
        source=source(3, numpy="2.1", torch="2.8"),
        title="q",
        loss=0.25,
        acc=float("nan"),
        eq=1.0,
    )
    found = client.tracking.diff([first, f"run/{second}"])
    assert (found.run_ids, found.baseline) == ([first, second], first)
    assert [(row.name, row.values) for row in found.params] == [
        ("a", [1, 2]),
        ("b.c", ["x", None]),
        ("new", [None, None]),
    ]
    loss = next(row for row in found.metrics if row.name == "loss")
    assert (loss.values, loss.deltas, loss.relative) == ([0.5, 0.25], [0.0, -0.25], [0.0, -0.5])
    acc = next(row for row in found.metrics if row.name == "acc")
    assert (acc.values, acc.deltas) == ([0.5, "nan"], [0.0, None])
    assert "eq" not in [row.name for row in found.metrics]
    assert [(row.name, row.values) for row in found.tags] == [("t", ["1", None])]
    assert {row.name: row.values for row in found.environment} == {
        "numpy": ["2.0", "2.1"],
        "polars": ["1.0", None],
        "torch": [None, "2.8"],
    }
    assert ("title", ["p", "q"]) in [(row.name, row.values) for row in found.about]
    (code,) = found.code
    assert (code.run_id, code.commit, code.repository) == (second, "c1", "https://host/r.git")
    assert "-+rate = 2\n++rate = 3" in code.changes


def test_the_baseline_is_any_of_them(any_client):
    ids = [log(any_client, params={}, loss=float(number)) for number in (4, 2, 1)]
    found = any_client.tracking.diff(ids, baseline=ids[1])
    assert found.metrics[0].deltas == [2.0, 0.0, -1.0]
    assert found.metrics[0].relative == [1.0, 0.0, -0.5]
    assert (found.params, found.code) == ([], [])


def test_data_that_runs_used_is_compared(client):
    from mainspring.tracking.inputs import RunInput

    first, second = (log(client, params={}) for _ in range(2))
    client.tracking.use_external(first, inputs=[RunInput("flights", "d1")])
    client.tracking.use_external(second, inputs=[RunInput("flights", "d2")])
    (row,) = client.tracking.diff([first, second]).data
    assert row.name == "external-dataset/flights"
    assert row.values == [["1 (d1)"], ["2 (d2)"]]


def test_what_cannot_be_compared_is_refused(any_client):
    one = log(any_client, params={})
    for wrong in ([], [one], [one, one], [one] * 200):
        with pytest.raises(InvalidInput):
            any_client.tracking.diff(wrong)
    with pytest.raises(NotFound):
        any_client.tracking.diff([one, "01970b2e-0000-7000-8000-000000000000"])
    other = log(any_client, params={})
    with pytest.raises(InvalidInput, match="baseline"):
        any_client.tracking.diff([one, other], baseline="x")


@pytest.fixture
def trials():
    """A metric that depth decides, that the optimizer moves, and that a seed has nothing to do with."""
    draw = random.Random(3)
    params = {"depth": [], "opt": [], "seed": [], "const": [], "rare": []}
    targets = []
    for _ in range(80):
        depth, opt, seed = draw.randrange(10), draw.choice(["adam", "sgd"]), draw.randrange(1000)
        for name, value in (("depth", depth), ("opt", opt), ("seed", seed), ("const", 1), ("rare", None)):
            params[name].append(value)
        targets.append(depth * 2.0 + (6.0 if opt == "adam" else 0.0) + draw.random() * 0.1)
    params["rare"][0] = "x"
    return targets, params


def test_the_parameter_that_decides_comes_first(trials):
    rated = rate_params(*trials)
    assert [each.name for each in rated][:2] == ["depth", "opt"]
    found = {each.name: each for each in rated}
    assert "const" not in found
    assert sum(each.importance for each in rated) == pytest.approx(1.0, abs=0.01)
    assert found["depth"].correlation > 0.8
    assert found["opt"].correlation is None
    assert (found["opt"].kind, found["depth"].kind) == ("category", "number")
    assert found["seed"].importance < 0.05
    assert found["rare"].runs == 1
    assert found["depth"].explained > 0.8
    assert rated == rate_params(*trials), "the same runs give the same answer"


def test_noise_explains_nothing(trials):
    _, params = trials
    draw = random.Random(1)
    rated = rate_params([draw.random() for _ in range(80)], params)
    assert rated[0].explained < 0.2


def test_texts_of_numbers_are_numbers(trials):
    targets, params = trials
    rated = rate_params(
        targets, {"depth": [str(each) for each in params["depth"]], "flag": [each % 2 == 0 for each in params["depth"]]}
    )
    found = {each.name: each for each in rated}
    assert (found["depth"].kind, found["flag"].kind) == ("number", "category")


def test_too_little_is_said_to_be_too_little(trials, monkeypatch):
    targets, params = trials
    few = {name: values[: LEAST_RUNS - 1] for name, values in params.items()}
    with pytest.raises(InvalidInput, match="fewer than"):
        rate_params(targets[: LEAST_RUNS - 1], few)
    with pytest.raises(InvalidInput, match="same in all"):
        rate_params([1.0] * 80, params)
    assert rate_params(targets, {"const": params["const"]}) == []
    real = builtins.__import__

    def without(name, *rest):
        if name.startswith("sklearn"):
            raise ImportError(name)
        return real(name, *rest)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(MissingDependency, match="serve"):
        rate_params(targets, params)


def test_importance_asks_the_store(any_client):
    for number in range(LEAST_RUNS):
        log(any_client, params={"depth": number, "same": 1}, loss=number * 2.0, bad=float("nan"))
    ask = any_client.tracking.importance
    for metric in ("loss", "metrics.loss", "max(metrics.loss)", "metrics.loss@0"):
        (rated,) = ask(metric, experiments=["demo"])
        assert (rated.name, rated.correlation, rated.runs) == ("depth", pytest.approx(1.0), LEAST_RUNS)
    with pytest.raises(NotFound) as caught:
        ask("los")
    assert "loss" in caught.value.known
    for wrong in ("bad", "", "params.depth"):
        with pytest.raises((InvalidInput, NotFound)):
            ask(wrong)
    with pytest.raises(InvalidInput, match="fewer"):
        ask("loss", query="params.depth < 5")
