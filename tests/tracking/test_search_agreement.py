"""The SQL of filters and orders against an evaluator in Python that shares nothing with it, on both databases."""

from __future__ import annotations

import functools
import math
import random
import re

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mainspring.kernel.clock import from_micros
from mainspring.tracking import search, search_plan
from mainspring.tracking.chunks import Points, encode_points
from mainspring.tracking.query_language import parse_query
from mainspring.tracking.query_tree import (
    Among,
    And,
    Between,
    Compare,
    Field,
    Missing,
    Not,
    Or,
    Order,
    Span,
    Special,
    text_of,
)
from mainspring.tracking.search import count_runs, search_runs

DAY = 86_400_000_000
START = 1_790_000_000_000_000
METRICS = ["loss", "val/acc", "a b"]
PARAMS = ["depth", "opt", "flag"]
TAGS = ["team", "mlflow.user"]
TEXTS = [
    "",
    "adam",
    "Adam",
    "sgd",
    "6",
    "6.0",
    "10",
    "-1.5",
    "true",
    "False",
    "ÄX",
    "äx",
    "a%b",
    "a_b",
    "[x]",
    "it's",
    "x*",
]
NUMBERS = [0, 1, -1, 6, 10, 0.5, -1.5, 2.25, 1e300, -1e300]
VALUES = [*map(float, NUMBERS), math.nan, math.inf, -math.inf]
STATUSES = ["running", "finished", "failed", "cancelled", "crashed"]


class Model:
    """A run as the evaluator sees it."""

    def __init__(self, number, draw):
        self.number = number
        self.run_id = f"0190{number:04x}-0000-7000-8000-{draw.getrandbits(48):012x}"
        self.experiment = draw.choice([1, 2, 3])
        self.title = draw.choice(["", "first", "Second", "ÄX"])
        self.user = draw.choice(["", "ann", "bob"])
        self.group = draw.choice(["", "g1", "g2"])
        self.note = draw.choice(["", "Retry of a RUN", "100% sure"])
        self.status = draw.choice(STATUSES)
        self.started_at = START + draw.randrange(6) * DAY
        self.finished_at = draw.choice([None, self.started_at + draw.choice([0, 5_000_000, 3 * 3_600_000_000])])
        self.deleted_at = draw.choice([None, None, None, START])
        self.parent = draw.choice(["", f"0190{draw.randrange(1, 5):04x}-0000-7000-8000-000000000000"])
        self.files = draw.sample(["plots/a.png", "plots/b.png", "Model.onnx"], draw.randrange(3))
        self.params = {key: draw.choice(TEXTS) for key in PARAMS if draw.random() < 0.7}
        self.tags = {key: draw.choice(TEXTS[1:]) for key in TAGS if draw.random() < 0.6}
        self.points = {}
        for key in METRICS:
            if draw.random() < 0.7:
                count = draw.randrange(1, 5)
                self.points[key] = [(draw.randrange(3), at, draw.choice(VALUES)) for at in range(count)]

    def metric(self, field):
        points = self.points.get(field.name)
        if points is None:
            return None
        if field.at is not None:
            return next((value for step, _, value in reversed(points) if step == field.at), None)
        step, _, last = max(points, key=lambda point: point[:2])
        finite = [value for _, _, value in points if math.isfinite(value)]
        of = {"last": last, "step": step, "count": len(points), "min": min(finite, default=None)}
        return {**of, "max": max(finite, default=None)}[field.part]


def fill(store):
    draw = random.Random(5)
    models = [Model(number, draw) for number in range(1, 61)]
    with store.bookkeeping() as tx:
        for number, name in ((1, "one"), (2, "two"), (3, "three")):
            tx.execute("INSERT INTO experiment VALUES (?, 'default', ?, 'active', '', '', 1, 1, 'me')", (number, name))
        keys = {}
        for experiment in (1, 2, 3):
            for space, names in (("metric", METRICS), ("param", PARAMS), ("tag", TAGS)):
                for name in names:
                    keys[experiment, space, name] = len(keys) + 1
        tx.many("INSERT INTO run_key VALUES (?, ?, ?, ?)", [(number, *place) for place, number in keys.items()])
        for run in models:
            _insert(tx, run, keys)
    return models


def _insert(tx, run, keys):
    row = (run.number, run.run_id, "default", run.experiment, run.title, run.user, run.status, run.started_at)
    row += (run.finished_at, run.deleted_at, run.parent, run.group, run.note, "{}", None, None, 1)
    tx.execute(f"INSERT INTO tracked_run VALUES ({', '.join('?' * len(row))})", row)
    for space, values in (("param", run.params), ("tag", run.tags)):
        for name, text in values.items():
            row = (run.number, keys[run.experiment, space, name], number_in(text), text, "s")
            tx.execute("INSERT INTO run_value (run, key, number, text, type) VALUES (?, ?, ?, ?, ?)", row)
    for name, points in run.points.items():
        key = keys[run.experiment, "metric", name]
        get = functools.partial(Field, "metric", name)
        last = run.metric(get())
        special = "" if math.isfinite(last) else str(last)
        row = (run.number, key, None if special else last, special, run.metric(get("step")), 1, len(points))
        row += (run.metric(get("min")), run.metric(get("max")), min(step for step, _, _ in points), 1)
        columns = "run, key, last, special, step, at, count, minimum, maximum, first_step, chunks"
        tx.execute(f"INSERT INTO metric ({columns}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)", row)
        steps, times, values = zip(*points, strict=True)
        data = encode_points(Points(steps, times, values))
        columns = "run, key, number, count, first_step, last_step, minimum, maximum, points"
        row = (run.number, key, 0, len(points), min(steps), max(steps), None, None, data)
        tx.execute(f"INSERT INTO metric_chunk ({columns}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)", row)
    for path in run.files:
        tx.execute("INSERT INTO run_file VALUES (?, ?, 1, 'd', '', '', NULL, 1, '{}')", (run.number, path))


def number_in(text):
    try:
        return float(text) if math.isfinite(float(text)) else None
    except ValueError:
        return None


# The evaluator: what the guide says, in Python.


def holds(node, run, now):
    if isinstance(node, And):
        return all(holds(each, run, now) for each in node.nodes)
    if isinstance(node, Or):
        return any(holds(each, run, now) for each in node.nodes)
    if isinstance(node, Not):
        return not holds(node.node, run, now)
    values = read(node.field, run, now)
    if isinstance(node, Missing):
        return bool(values) == node.negated
    negative = node.negated
    if isinstance(node, Between):
        test = lambda value: one(value, ">=", node.low) and one(value, "<=", node.high)  # noqa: E731
    elif isinstance(node, Among):
        test = lambda value: any(one(value, "=", each) for each in node.values)  # noqa: E731
    elif node.operator == "!=":
        negative, test = not negative, lambda value: one(value, "=", node.value)
    else:
        test = lambda value: one(value, node.operator, node.value)  # noqa: E731
    if node.field == Field("attribute", "file"):
        return any(map(test, values)) != negative
    return any(test(value) != negative for value in values)


def read(field, run, now):
    if field.space == "metric":
        value = run.metric(field)
        return [] if value is None else [value]
    if field.space in ("param", "tag"):
        held = run.params if field.space == "param" else run.tags
        return [held[field.name]] if field.name in held else []
    if field.name == "file":
        return run.files
    if field.name == "experiment":
        return [["one", "two", "three"][run.experiment - 1]]
    if field.name == "duration":
        return [((now if run.finished_at is None else run.finished_at) - run.started_at) / 1e6]
    if field.name == "experiment_id":
        return [run.experiment]
    value = getattr(run, field.name)
    if field.name.endswith("_at") and value is not None:
        value = value / 1000  # a bare number is milliseconds
    return [] if value in ("", None) else [value]


def lower(text):
    return "".join(each.lower() if each.isascii() else each for each in text)


def one(value, operator, other):
    if isinstance(other, bool):
        return isinstance(value, str) and any(one(value, operator, word) for word in (str(other), str(other).lower()))
    if isinstance(other, str):
        pattern = "".join({"%": ".*", "_": "."}.get(each, re.escape(each)) for each in other)
        if operator == "LIKE":
            return re.fullmatch(pattern, value, re.DOTALL) is not None
        if operator == "ILIKE":
            return re.fullmatch(lower(pattern), lower(value), re.DOTALL) is not None
        if operator == "CONTAINS":
            return lower(other) in lower(value)
        if operator == "=~":
            return re.search(other, value) is not None
    else:
        other = float(other.name) if isinstance(other, Special) else getattr(other, "seconds", other)
        value = number_in(value) if isinstance(value, str) else value
        if value is None:
            return False
        if operator == "=" and isinstance(value, float) and math.isnan(value):
            return math.isnan(other)
    return {"=": value == other, "<": value < other, "<=": value <= other, ">": value > other, ">=": value >= other}[
        operator
    ]


# Trees.

numbers = st.sampled_from(NUMBERS) | st.builds(Special, st.sampled_from(["nan", "inf", "-inf"]))
texts = st.sampled_from(
    [*TEXTS, "one", "two", "ann", "first", "retry", "100%", "g1", "%a%", "_dam", "plots/%", "model.onnx"]
)
patterns = st.sampled_from(["^a", "[0-9]+$", "(ad|sg)", "plots/.", "R[a-z]t", "^.{2,3}$", "\\d", "x\\*"])
metrics = st.builds(
    lambda name, part, at: (
        Field("metric", name) if at is None and part is None else Field("metric", name, part or "last", at)
    ),
    st.sampled_from([*METRICS, "none"]),
    st.sampled_from([None, "min", "max", "count", "step"]),
    st.none(),
) | st.builds(lambda name, at: Field("metric", name, at=at), st.sampled_from(METRICS), st.integers(0, 3))
held = st.builds(Field, st.just("param"), st.sampled_from([*PARAMS, "none"])) | st.builds(
    Field, st.just("tag"), st.sampled_from(TAGS)
)
plain = st.builds(Field, st.just("attribute"), st.sampled_from(["title", "user", "group", "note", "experiment"]))
orderly = st.sampled_from(["=", "!=", "<", "<=", ">", ">="])
textual = st.sampled_from(["LIKE", "ILIKE", "CONTAINS"])


def leaves(fields, values, operators):
    return (
        st.builds(Compare, fields, operators, values)
        | st.builds(
            lambda field, items, no: Among(field, tuple(items), no),
            fields,
            st.lists(values, min_size=1, max_size=3),
            st.booleans(),
        )
        | st.builds(Between, fields, values, values, st.booleans())
        | st.builds(Missing, fields, st.booleans())
    )


times = st.integers(START // 1000 - 1, START // 1000 + 6 * DAY // 1000)
conditions = (
    leaves(metrics, numbers, orderly)
    | leaves(held, numbers.filter(lambda each: not isinstance(each, Special)), orderly)
    | leaves(held, texts | st.booleans(), st.sampled_from(["=", "!="]))
    | leaves(held | plain, texts, orderly)
    | st.builds(Compare, held | plain, textual, texts, st.booleans())
    | st.builds(Compare, held | plain, st.just("=~"), patterns, st.booleans())
    | st.builds(Compare, st.just(Field("attribute", "status")), st.sampled_from(["=", "!="]), st.sampled_from(STATUSES))
    | st.builds(Compare, st.just(Field("attribute", "duration")), orderly, st.sampled_from([Span(5.0), 0, 10800]))
    | st.builds(Compare, st.just(Field("attribute", "file")), textual, texts, st.booleans())
    | st.builds(Compare, st.just(Field("attribute", "file")), st.just("="), st.sampled_from(["Model.onnx", "x"]))
    | st.builds(
        Missing, st.just(Field("attribute", "file")) | st.just(Field("attribute", "finished_at")) | plain, st.booleans()
    )
    | st.builds(
        lambda name, operator, at: Compare(Field("attribute", name), operator, at),
        st.sampled_from(["started_at", "finished_at"]),
        orderly,
        times,
    )
)
trees = st.recursive(
    conditions,
    lambda inner: (
        st.builds(Not, inner)
        | st.builds(lambda nodes: And(tuple(nodes)), st.lists(inner, min_size=2, max_size=3))
        | st.builds(lambda nodes: Or(tuple(nodes)), st.lists(inner, min_size=2, max_size=3))
    ),
    max_leaves=6,
)
conjunctions = st.builds(
    lambda nodes: And(tuple(nodes)),
    st.lists(
        leaves(metrics, numbers, orderly) | leaves(held, texts | st.booleans(), st.just("=")), min_size=2, max_size=3
    ),
)
orders = st.lists(
    st.builds(
        Order,
        metrics
        | held
        | st.builds(
            Field,
            st.just("attribute"),
            st.sampled_from(
                [
                    "title",
                    "status",
                    "started_at",
                    "finished_at",
                    "experiment",
                    "user",
                    "run_id",
                    "experiment_id",
                    "duration",
                ]
            ),
        ),
        st.booleans(),
    ),
    max_size=3,
    unique_by=lambda order: order.field,
)
scopes = st.sampled_from([None, [1], [2], [1, 3], []])
views = st.sampled_from(["active", "deleted", "all"])


def seen(run, scope, view):
    inside = scope is None or run.experiment in scope
    return inside and (view == "all" or (run.deleted_at is None) == (view == "active"))


def sort(models, order, now):
    result = sorted(models, key=lambda run: run.run_id)
    result.sort(key=lambda run: -run.started_at)
    for each in reversed(order):
        placed = {run.number: place(each.field, run, now) for run in result}
        result.sort(key=lambda run: placed[run.number][1], reverse=each.descending)
        result.sort(key=lambda run: placed[run.number][0])
    return result


def place(field, run, now):
    values = read(field, run, now)
    if not values:
        return 2, (0, "")
    value = values[0]
    if field.space in ("param", "tag"):
        number = number_in(value)
        return (1, (0, value)) if number is None else (0, (number, value))
    if isinstance(value, float) and math.isnan(value):
        return 1, (0, "")
    return 0, (value, "") if not isinstance(value, str) else (0, value)


@pytest.fixture(params=[2, 1000], ids=["sets", "rare"])
def filled(store, request, monkeypatch):
    # Few runs are always rare: with the lower bound the other ways to answer are gone, too.
    for module in (search, search_plan):
        monkeypatch.setattr(module, "RARE", request.param)
    return store, fill(store)


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(tree=trees | conjunctions, scope=scopes, view=views)
def test_sql_and_python_find_the_same_runs(filled, tree, scope, view):
    store, models = filled
    with store.read() as tx:
        found = search_runs(tx, tree, experiments=scope, view=view, limit=1000).numbers
        counted = count_runs(tx, tree, experiments=scope, view=view)
        now = tx.now_micros
    wanted = {run.number for run in models if seen(run, scope, view) and holds(tree, run, now)}
    assert set(found) == wanted, text_of(tree)
    assert counted == len(wanted) == len(found)


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    order=orders,
    scope=scopes,
    view=views,
    size=st.integers(1, 30),
    offset=st.integers(0, 70),
    tree=st.none() | conditions | conjunctions,
)
def test_pages_together_are_the_whole_in_order(filled, order, scope, view, size, offset, tree):
    store, models = filled
    found, page, pages = [], "", 0
    with store.read() as tx:
        while True:
            part = search_runs(tx, tree, experiments=scope, view=view, orders=order, limit=size, page=page)
            found += part.numbers
            pages += 1
            if not (page := part.next_page):
                break
        now = tx.now_micros
    wanted = [run for run in models if seen(run, scope, view) and (tree is None or holds(tree, run, now))]
    assert found == [run.number for run in sort(wanted, order, now)]
    with store.read() as tx:
        ask = {"experiments": scope, "view": view, "orders": order, "limit": size}
        jumped = search_runs(tx, tree, offset=offset, **ask)
        assert jumped.numbers == found[offset : offset + size]
        if jumped.next_page:
            after = search_runs(tx, tree, page=jumped.next_page, **ask).numbers
            assert after == found[offset + size : offset + 2 * size]
    assert pages == max(1, math.ceil(len(wanted) / size))


@settings(max_examples=300, deadline=None)
@given(tree=trees)
def test_what_is_printed_is_read_as_the_same_tree(tree):
    assert parse_query(text_of(tree)) == tree


def test_the_runs_differ_enough_to_tell(filled):
    _, models = filled
    lasts = [run.metric(Field("metric", "loss")) for run in models if "loss" in run.points]
    assert any(math.isnan(each) for each in lasts)
    assert math.inf in lasts
    assert -math.inf in lasts
    assert len({run.status for run in models}) == len(STATUSES)
    assert from_micros(START).year == 2026
