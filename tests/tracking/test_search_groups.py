"""Groups of runs against the same worked out run by run, on both databases."""

from __future__ import annotations

import math
import random
import statistics

import pytest

from mainspring.kernel.errors import InvalidInput


@pytest.fixture(scope="module")
def drawn():
    """What sixty runs log: each has some of it."""
    draw = random.Random(11)
    runs = []
    for number in range(60):
        params = {}
        if draw.random() < 0.8:
            params["family"] = draw.choice(["trees", "linear", "ÄX", "6"])
        if draw.random() < 0.8:
            params["depth"] = draw.choice([1, 2.5, "7", "many"])
        params["note"] = f"n{number % 7}"
        values = [draw.gauss(0, 1), 1e9 + draw.random(), math.nan, math.inf]
        metrics = {key: draw.choice(values) for key in ("loss", "acc")}
        if draw.random() < 0.2:
            del metrics["acc"]
        runs.append((draw.choice(["one", "two"]), draw.choice(["g1", ""]), params, metrics))
    return runs


@pytest.fixture
def filled(any_client, drawn):
    for experiment, group, params, metrics in drawn:
        with any_client.tracking.run(experiment, params=params, group=group, source=False) as run:
            run.log(metrics)
    return any_client


def text(value):
    return None if value in (None, "") else str(value)


def number(value):
    try:
        return float(value) if math.isfinite(float(value)) else None
    except (TypeError, ValueError):
        return None


@pytest.mark.parametrize(
    "by", [["params.family"], ["group", "params.depth"], ["experiment"], ["status", "params.none"]]
)
@pytest.mark.parametrize("only", ["", "two"])
def test_groups_are_those_worked_out_run_by_run(filled, drawn, by, only):
    fields = ["metrics.loss", "min(metrics.acc)", "params.depth", "params.note"]
    found = filled.tracking.group(by=by, fields=fields, experiments=[only] if only else [])
    wanted = {}
    for experiment, group, params, metrics in drawn:
        if only and experiment != only:
            continue
        shared = {"group": group, "experiment": experiment, "status": "finished"}
        place = tuple(text(shared.get(each, params.get(each.removeprefix("params.")))) for each in by)
        wanted.setdefault(place, []).append((params, metrics))
    assert {tuple(each.values): each.runs for each in found.groups} == {key: len(runs) for key, runs in wanted.items()}
    assert [each.runs for each in found.groups] == sorted((len(runs) for runs in wanted.values()), reverse=True)
    assert (found.total, found.runs) == (len(wanted), sum(map(len, wanted.values())))
    for each in found.groups:
        runs = wanted[tuple(each.values)]
        loss, acc, depth, note = each.cells
        check(loss, [metrics["loss"] for _, metrics in runs])
        check(acc, [metrics["acc"] for _, metrics in runs if math.isfinite(metrics.get("acc", math.nan))])
        check(depth, [params["depth"] for params, _ in runs if "depth" in params])
        assert note.mean is None
        assert note.distinct == sorted({params["note"] for params, _ in runs})[:4]


def check(spread, values):
    numbers = [found for each in values if (found := number(each)) is not None]
    assert spread.count == len(values)
    assert spread.mean == (pytest.approx(statistics.fmean(numbers)) if numbers else None)
    if numbers:
        deviation = statistics.stdev(numbers) if len(numbers) > 1 else 0
        assert (spread.minimum, spread.maximum) == (min(numbers), max(numbers))
        assert spread.deviation == pytest.approx(deviation, rel=1e-6, abs=1e-9)


def test_a_filter_and_a_limit_bound_them(filled, drawn):
    found = filled.tracking.group("params.note = 'n1'", by=["params.family"], limit=1)
    assert found.runs == sum(params["note"] == "n1" for _, _, params, _ in drawn)
    assert len(found.groups) == 1
    assert found.total > 1


def test_what_cannot_be_grouped_by_is_said(any_client):
    for by in (["metrics.loss"], ["started_at"], [], ["params.a@3"]):
        with pytest.raises(InvalidInput):
            any_client.tracking.group(by=by)
    assert any_client.tracking.group(by=["params.nothing"]).groups == []
