"""Drift: calibrated when nothing changed, found when something did."""

from __future__ import annotations

import math
import random

import polars as pl
import pytest

from mainspring.kernel.errors import InvalidInput, NotFound
from mainspring.quality import DriftLimits, drift
from mainspring.quality.drift import statistics
from mainspring.quality.drift.cells import cells_of, common_of
from mainspring.quality.profiles.build import profile_frame


def profile(**columns):
    return profile_frame(pl.DataFrame(columns))


DRAWS = {
    "normal": lambda draw, n: [draw.gauss(0, 1) for _ in range(n)],
    "lognormal": lambda draw, n: [draw.lognormvariate(0, 1) for _ in range(n)],
    "few integers": lambda draw, n: [draw.randrange(15) for _ in range(n)],
    "with nulls": lambda draw, n: [None if draw.random() < 0.3 else draw.gauss(0, 1) for _ in range(n)],
    "categories": lambda draw, n: [f"c{int(draw.paretovariate(1.0))}" for _ in range(n)],
}


@pytest.mark.parametrize("law", DRAWS)
@pytest.mark.parametrize(("n", "m"), [(1000, 50), (200, 800)])
def test_nothing_changed_and_the_p_value_is_uniform(law, n, m):
    draw = random.Random(f"{law} {n} {m}")
    runs, limits = 80, DriftLimits(rows=20)
    found = []
    for _ in range(runs):
        one, two = (profile(x=DRAWS[law](draw, size)) for size in (n, m))
        found.append(drift(one, two, limits=limits).columns[0])
    # Of 80 p-values 8 are expected below 0.1, standard deviation 2.7, and about 36 below 0.5, standard deviation 4.5.
    assert sum(each.p_value <= 0.1 for each in found) <= 19
    assert sum(each.p_value <= 0.5 for each in found) >= 18
    # Both effect and p must pass, so alarms are rarer than the level of the test.
    assert sum(each.verdict == "drift" for each in found) <= 5


def test_false_discoveries_over_many_columns_are_controlled():
    draw = random.Random(5)
    alarms = 0
    for _ in range(20):
        one = profile(**{f"c{k}": [draw.gauss(0, 1) for _ in range(400)] for k in range(20)})
        two = profile(**{f"c{k}": [draw.gauss(0, 1) for _ in range(80)] for k in range(20)})
        alarms += any(each.q_value <= 0.05 for each in drift(one, two).columns)
    assert alarms <= 5


CHANGES = {
    "shift": (lambda d: d.gauss(0, 1), lambda d: d.gauss(1, 1)),
    "scale": (lambda d: d.gauss(0, 1), lambda d: d.gauss(0, 2.5)),
    "one outlier does not hide a shift": (
        lambda d: d.gauss(0, 1),
        lambda d: d.gauss(1, 1) if d.random() > 0.001 else 1e5,
    ),
    "nulls": (lambda d: d.gauss(0, 1), lambda d: None if d.random() < 0.3 else d.gauss(0, 1)),
    "a twentieth in other units": (
        lambda d: d.gauss(50, 5),
        lambda d: d.gauss(50, 5) * (1000 if d.random() < 0.05 else 1),
    ),
    "a new category": (lambda d: d.choice("abc"), lambda d: d.choice("abcz")),
    "identifiers that turn over": (lambda d: f"id{d.randrange(300)}", lambda d: f"id{d.randrange(300) + 300}"),
    "flag": (lambda d: d.random() < 0.1, lambda d: d.random() < 0.5),
    "not finite": (lambda d: d.random(), lambda d: math.inf if d.random() < 0.2 else d.random()),
}


@pytest.mark.parametrize("change", CHANGES)
def test_real_changes_are_drift(change):
    draw = random.Random(11)
    before, after = CHANGES[change]
    one, two = profile(x=[before(draw) for _ in range(3000)]), profile(x=[after(draw) for _ in range(1000)])
    found = drift(one, two).columns[0]
    assert found.verdict == "drift"
    assert found.q_value < 1e-6
    assert found.interval[0] <= found.effect <= found.interval[1]
    assert found.reason


def test_a_tiny_shift_in_many_rows_is_significant_and_not_drift():
    draw = random.Random(2)
    one = profile(x=[draw.gauss(0, 1) for _ in range(100_000)])
    two = profile(x=[draw.gauss(0.05, 1) for _ in range(100_000)])
    found = drift(one, two).columns[0]
    assert found.q_value < 1e-6
    assert found.verdict == "ok"


def test_too_few_rows_is_a_result_of_its_own():
    report = drift(profile(x=[1.0] * 500), profile(x=[9.0] * 10))
    assert (report.verdict, report.columns[0].reason) == ("insufficient data", "fewer than 50 rows")
    assert drift(profile(x=[1.0] * 500), profile(x=[9.0] * 10), limits=DriftLimits(rows=5)).verdict == "drift"


def test_columns_that_come_go_and_change_their_type():
    one, two = profile(a=[1.0] * 99, b=["x"] * 99, c=[1] * 99), profile(b=[2] * 99, c=[1] * 99, d=[1] * 99)
    found = {each.column: (each.verdict, each.reason) for each in drift(one, two).columns}
    assert found == {
        "a": ("drift", "the column is gone"),
        "b": ("drift", "the type was String and is Int64"),
        "c": ("ok", ""),
        "d": ("warn", "the column is new"),
    }
    assert [each.column for each in drift(one, two, columns=["c"]).columns] == ["c"]
    with pytest.raises(NotFound, match="known: "):
        drift(one, two, columns=["e"])
    with pytest.raises(InvalidInput, match="no rows"):
        drift(profile(x=[]), two)
    with pytest.raises(InvalidInput, match="contradict"):
        DriftLimits(warn=0.5, drift=0.1)


def test_importance_orders_what_drifted():
    draw = random.Random(1)
    columns = {name: [draw.gauss(0, 1) for _ in range(2000)] for name in "abc"}
    moved = {"a": [v + 1 for v in columns["a"]], "b": [v + 2 for v in columns["b"]], "c": columns["c"]}
    one, two = profile(**columns), profile(**moved)
    assert [each.column for each in drift(one, two).columns] == ["b", "a", "c"]
    report = drift(one, two, importances={"a": 0.9, "b": 0.01})
    assert [each.column for each in report.columns] == ["a", "b", "c"]
    assert report.drifted == ("a", "b")
    assert report.to_dict()["verdict"] == "drift"
    assert report.column("c").importance == 0.0


@pytest.mark.parametrize("law", DRAWS)
def test_the_cells_hold_every_row_of_both(law):
    draw = random.Random(4)
    one, two = (profile(x=DRAWS[law](draw, n)).columns[0] for n in (3000, 700))
    cells = cells_of(one, two)
    assert (sum(c.reference for c in cells), sum(c.current for c in cells)) == (3000, 700)


def test_distance_and_laws_are_those_of_scipy():
    stats = pytest.importorskip("scipy.stats")
    draw = random.Random(9)
    a, b = [draw.gauss(0, 1) for _ in range(1500)], [draw.gauss(0.1, 1) for _ in range(500)]
    exact = stats.ks_2samp(a, b, method="asymp")
    distance = common_of(profile(x=a).columns[0].sketch, profile(x=b).columns[0].sketch).distance
    assert distance == pytest.approx(exact.statistic)
    assert statistics.kolmogorov_tail(distance, 1500, 500) == pytest.approx(exact.pvalue, rel=0.15)
    for value, degrees in ((0.1, 1), (5, 3), (50, 40), (400, 300), (1e-5, 9), (30, 200), (1500, 20)):
        assert statistics.chi2_tail(value, degrees) == pytest.approx(stats.chi2.sf(value, degrees), rel=1e-8)
    table = [[30, 40, 50], [25, 60, 70]]
    assert statistics.homogeneity(*table)[2] == pytest.approx(stats.chi2_contingency(table, correction=False).pvalue)
    p_values = [draw.random() ** 3 for _ in range(30)]
    assert statistics.adjusted(p_values) == pytest.approx(stats.false_discovery_control(p_values).tolist())
    js = pytest.importorskip("scipy.spatial.distance").jensenshannon([3, 4, 5], [5, 4, 1], base=2)
    assert statistics.jensen_shannon([3, 4, 5], [5, 4, 1]) == pytest.approx(js)


def test_the_error_of_the_index_is_about_its_spread():
    draw = random.Random(8)
    values = []
    for _ in range(200):
        a = [0, 0, 0, 0]
        b = [0, 0, 0, 0]
        for counts, weights in ((a, [4, 3, 2, 1]), (b, [1, 2, 3, 4])):
            for place in draw.choices(range(4), weights, k=400):
                counts[place] += 1
        values.append((statistics.psi(a, b), statistics.psi_standard_error(a, b)))
    mean = sum(v for v, _ in values) / 200
    spread = math.sqrt(sum((v - mean) ** 2 for v, _ in values) / 199)
    assert sum(e for _, e in values) / 200 == pytest.approx(spread, rel=0.2)
