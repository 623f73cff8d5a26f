# ruff: noqa: E501 -- strategies, one to a line
"""Polars and DuckDB on tables that nobody thought of: each against plain Python, and so against each other."""

from __future__ import annotations

import importlib.util
import math
from pathlib import Path

import duckdb
import hypothesis.strategies as st
import polars as pl
import pytest
from hypothesis import given, settings

from mainspring.engines import tables as t

_spec = importlib.util.spec_from_file_location("table_conformance", Path(__file__).with_name("table_conformance.py"))
conformance = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(conformance)

SCHEMA = {"x": pl.Float64, "y": pl.Float64, "i": pl.Int64, "j": pl.Int64, "s": pl.String, "u": pl.String}
floats = (
    st.none()
    | st.just(math.nan)
    | st.sampled_from([math.inf, -math.inf, 0.0, -0.0, 1e16, 0.1])
    | st.integers(-4, 4).map(lambda n: n / 4)
)
whole = st.none() | st.integers(-4, 4) | st.sampled_from([2**53 + 1, 2**53, 2**63 - 1, -(2**63)])
texts = st.none() | st.text("aé\u0301 1☃%_'\\\n{", max_size=4)
rows_of = st.lists(st.tuples(floats, floats, whole, whole, texts, texts), max_size=12)
bounds = st.none() | st.sampled_from([-1, 0, 0.5, 1, 2**53, float(2**53), 2.0**63, -math.inf, math.inf])
names = st.sampled_from(["x", "y", "i", "j"])
anything = st.sampled_from(list(SCHEMA))


def between():
    return st.builds(t.Between, names, bounds, bounds, st.booleans(), st.booleans())


leaves = st.one_of(
    st.builds(t.Missing, anything),
    between(),
    st.builds(t.In, names, st.lists(st.sampled_from([0, 1, 0.25, -1.0, 2**53, 2**53 + 1, math.inf]), max_size=3).map(tuple)),
    st.builds(t.In, st.just("s"), st.lists(st.text("a'\\é", max_size=2), max_size=3).map(tuple)),
    st.builds(t.Like, st.just("s"), st.text("a%_é\\'", max_size=3)),
    st.builds(t.Length, st.just("s"), st.none() | st.integers(0, 3), st.none() | st.integers(0, 3)),
    st.builds(t.Compare, st.sampled_from(["x", "i"]), st.sampled_from(["==", "!=", "<", "<=", ">", ">="]), st.sampled_from(["y", "x"])),
    st.builds(t.Compare, st.just("i"), st.sampled_from(["==", "<", ">="]), st.just("j")),
    st.builds(t.SameInRow, st.sampled_from([("x", "y"), ("i", "j"), ("s", "u"), ("i", "j", "i")])),
    st.builds(t.DistinctInRow, st.sampled_from([("x", "y"), ("i", "j"), ("s", "u")])),
    st.builds(t.InTuples, st.just(("i", "s")), st.lists(st.tuples(st.none() | st.integers(0, 2), st.none() | st.text("aé", max_size=1)), max_size=3).map(tuple)),
    st.builds(t.Duplicated, st.sampled_from([("x",), ("s",), ("i", "s")])),
    st.builds(t.RowSum, st.sampled_from([("i", "j"), ("x", "y")]), bounds, bounds),
)  # fmt: skip
predicates = st.recursive(
    leaves,
    lambda inner: (
        st.builds(t.Not, inner)
        | st.lists(inner, min_size=1, max_size=2).map(lambda parts: t.All(tuple(parts)))
        | st.lists(inner, min_size=1, max_size=2).map(lambda parts: t.AnyOf(tuple(parts)))
    ),
    max_leaves=4,
)
plain, missing = conformance.plain, conformance.missing


def like(text, pattern):
    """LIKE by its definition, without regular expressions."""
    if not pattern:
        return not text
    if pattern[0] == "%":
        return like(text, pattern[1:]) or (bool(text) and like(text[1:], pattern))
    return bool(text) and pattern[0] in {"_", text[0]} and like(text[1:], pattern[1:])


def number(value, other):
    """Whole numbers meet floats as floats, which is what engines compare."""
    return float(value) if isinstance(other, float) else value


def holds(p, k, rows):  # noqa: C901, PLR0911, PLR0912 -- one case for each predicate
    """Whether a predicate holds of row `k`, in plain Python."""
    row = rows[k]
    match p:
        case t.Not(inner):
            return not holds(inner, k, rows)
        case t.All(parts):
            return all(holds(part, k, rows) for part in parts)
        case t.AnyOf(parts):
            return any(holds(part, k, rows) for part in parts)
        case t.Missing(c):
            return missing(row[c])
        case t.Duplicated(cs):
            return sum(all(plain(other[c]) == plain(row[c]) for c in cs) for other in rows) > 1
        case t.SameInRow(cs):
            return len({plain(row[c]) for c in cs}) == 1
        case t.DistinctInRow(cs):
            return len({plain(row[c]) for c in cs}) == len(cs)
        case t.InTuples(cs, values):
            return tuple(plain(row[c]) for c in cs) in values
        case t.Compare(left, relation, right):
            a, b = row[left], row[right]
            if missing(a) or missing(b):
                return False
            a, b = number(a, b), number(b, a)
            return {"==": a == b, "!=": a != b, "<": a < b, "<=": a <= b, ">": a > b, ">=": a >= b}[relation]
        case t.RowSum(cs, low, high):
            if any(missing(row[c]) for c in cs):
                return False
            total = sum(row[c] for c in cs)
            return not missing(total) and (low is None or total >= low) and (high is None or total <= high)
    value = row[p.column]
    if missing(value):
        return False
    match p:
        case t.Between(_, low, high, strict_low, strict_high):
            above = low is None or value > low or (value == low and not strict_low)
            return above and (high is None or value < high or (value == high and not strict_high))
        case t.In(_, values):
            return value in values
        case t.Like(_, pattern):
            return like(value, pattern)
        case t.Length(_, low, high):
            return (low is None or len(value) >= low) and (high is None or len(value) <= high)
    raise AssertionError(p)


def polars_table(frame):
    return t.open_table(frame)


def duck_table(frame):
    connection = duckdb.connect()
    connection.register("frame", frame)
    return t.open_table(connection.sql("SELECT * FROM frame"))


@pytest.fixture(scope="module", params=[polars_table, duck_table], ids=["polars", "duckdb"])
def make(request):
    return request.param


@settings(max_examples=40, deadline=None)
@given(rows=rows_of, asked=st.lists(predicates, min_size=4, max_size=8), where=st.none() | leaves)
def test_predicates_of_any_shape_hold_where_plain_python_says(make, rows, asked, where):
    frame = pl.DataFrame(rows, schema=SCHEMA, orient="row")
    named = frame.rows(named=True)
    inside = [row for k, row in enumerate(named) if where is None or holds(where, k, named)]
    metrics = [t.Count(predicate=p, where=where) for p in asked]
    wanted = {m: sum(holds(m.predicate, k, inside) for k in range(len(inside))) for m in metrics}
    assert make(frame).compute(metrics) == wanted


METRICS = [
    m for m in conformance.METRICS
    if not isinstance(m, t.Aggregate | t.Quantile) and {"x", "y"} >= {getattr(m, "column", "x"), getattr(m, "x", "x"), getattr(m, "y", "y")}
    and set(getattr(m, "columns", ("x",))) <= {"x", "s"}
]  # fmt: skip
METRICS += [t.Frequent(column=c, limit=2) for c in SCHEMA] + [
    t.Distinct(columns=("i", "s")),
    t.Grouping(columns=("i", "s")),
]
METRICS += [
    t.Quantile(column="x", q=q, interpolation=how) for q, how in ((0.3, "linear"), (0.5, "nearest"), (0.9, "lower"))
]
METRICS += [t.MutualInformation(x="i", y="s"), t.Aggregate(column="i", function="sum")]
METRICS += [t.Aggregate(column=c, function=f) for c in ("i", "s", "x") for f in ("min", "max", "nulls", "nans")]


@settings(max_examples=8, deadline=None)
@given(rows=rows_of)
def test_metrics_of_any_table_are_those_of_plain_python(make, rows):
    frame = pl.DataFrame(rows, schema=SCHEMA, orient="row")
    named = frame.rows(named=True)
    answers = make(frame).compute(METRICS)
    wrong = [(m, answers[m], e) for m in METRICS if not (answers[m] == (e := conformance.expected(m, named)))]  # noqa: SIM201
    assert wrong == [], wrong


@settings(max_examples=40, deadline=None)
@given(texts=st.lists(st.none() | st.text("aB1_.- \n\té☃", max_size=5), min_size=1, max_size=8), pattern=st.sampled_from([
    r"^\w+$", r"\d", r"\D", r"\s", r"^\S*$", r".", r"a.B", r"^[a-z]+$", r"[^a]", r"(a|B)+1", r"(?:a|é)$", r"^$", r"\ba", r"é{1,2}",
    r"[\d.]+", r"(?i)A", r"(?s)a.", r"\.", "☃|1", r"^.{2,3}$", r"[\w-]+", r"\t", r"a*?B", r"\p{Lu}",
]))  # fmt: skip
def test_duckdb_and_polars_agree_on_a_pattern(texts, pattern):
    frame = pl.DataFrame({"s": texts}, schema={"s": pl.String})
    count = t.Count(predicate=t.Matches("s", pattern))
    assert polars_table(frame).compute([count]) == duck_table(frame).compute([count])
