# ruff: noqa: DTZ001, E501 -- a table of cases, some of them moments of no zone
"""What every adapter of the table port must answer, over the same tables, beside plain Python.

An adapter's test module subclasses `TableConformance` and says how rows become one of its tables.
"""

from __future__ import annotations

import datetime as dt
import math
import re
import statistics
from collections import Counter
from decimal import Decimal
from itertools import pairwise

import polars as pl
import pytest

from mainspring.engines import tables as t
from mainspring.kernel.errors import InvalidInput, NotFound

NAN, INF = float("nan"), math.inf
UTC = dt.UTC

FRAME = pl.DataFrame(
    {
        "i": [1, 2, 2, None, -7, 2**62, 0, 2**62],
        "x": [1.0, NAN, None, INF, -INF, 0.1, -0.0, 0.1],
        "y": [1.5, 2.5, 2.5, 4.0, None, NAN, 3.0, 1000.25],
        "s": ["a", "", None, "é☃", "e\u0301", "a\nb", "12", "a"],
        "t": ["1.5e3", "TRUE", "2020-02-29", "x y", None, "-12", "{}", "[1, 2]"],
        "b": [True, None, False, True, True, False, False, True],
        "n": [Decimal("0.10"), Decimal("0.20"), None, Decimal("-3.25"), Decimal("99999999.99"), Decimal("0.30"), Decimal("0.10"), Decimal(0)],
        "d": [dt.date(1969, 12, 31), dt.date(2020, 2, 29), None, dt.date(1, 1, 2), dt.date(2020, 2, 29), dt.date(2262, 4, 12), dt.date(1970, 1, 1), dt.date(1900, 1, 1)],
        "m": [dt.datetime(1969, 12, 31, 23, 59, 59), None, dt.datetime(2020, 1, 1, 0, 0, 0, 1), *[dt.datetime(2020, 1, 1)] * 5],
        "z": [dt.datetime(2020, 6, 1, 12, tzinfo=UTC), None, dt.datetime(1950, 1, 1, tzinfo=UTC), *[dt.datetime(2020, 6, 1, 11, tzinfo=UTC)] * 5],
        "k": [1, 1, 2, 2, 3, 3, None, 4],
        "where": [0, 1, 0, 1, 0, 1, 0, 1],
        "q\"uo'te %s {x}": [1, 2, 3, 4, 5, 6, 7, 8],
    },
    schema_overrides={"n": pl.Decimal(10, 2), "z": pl.Datetime("us", "UTC"), "m": pl.Datetime("us")},
)  # fmt: skip
"""One row for every trap: not a number and infinities, whole numbers past 2^53, accents in two forms, days before 1970."""
ROWS = FRAME.rows(named=True)
OTHER = pl.DataFrame({"id": [1, 2, None, 9], "name": ["a", "é☃", "12", None], "real": [1.0, NAN, 3.0, 0.1]})
QUOTE = "q\"uo'te %s {x}"


def missing(value):
    return value is None or (isinstance(value, float) and math.isnan(value))


def there(column, rows=ROWS):
    return [row[column] for row in rows if not missing(row[column])]


def of(column, holds):
    """A question of the value of a column, false where it is missing."""
    return lambda row: not missing(row[column]) and bool(holds(row[column]))


def plain(value):
    return None if missing(value) else value


PREDICATES = [
    (t.Missing("x"), lambda r: missing(r["x"])),
    (t.Missing("s"), lambda r: missing(r["s"])),
    (t.Between("x", 0, 10), of("x", lambda v: 0 <= v <= 10)),
    (t.Between("x", 0.1), of("x", lambda v: v >= 0.1)),
    (t.Between("x", -0.0, 0.0), of("x", lambda v: v == 0)),
    (t.Between("i", 0.5, 2.5), of("i", lambda v: 0.5 <= v <= 2.5)),
    (t.Between("i", 2**62, None, strict_low=True), lambda r: False),
    (t.Between("i", None, float(2**62), strict_high=True), of("i", lambda v: v < 2**62)),
    (t.Between("i", 2**70), lambda r: False),
    (t.Between("i", -(2**70), 2**70), of("i", lambda v: True)),
    (t.Between("i", -INF, INF), of("i", lambda v: True)),
    (t.Between("s", "a", "é☃"), of("s", lambda v: "a" <= v <= "é☃")),
    (t.Between("n", 0.1, 0.2), of("n", lambda v: Decimal("0.1") <= v <= Decimal("0.2"))),
    (t.Between("n", 0.1, 0.3, strict_low=True, strict_high=True), of("n", lambda v: Decimal("0.1") < v < Decimal("0.3"))),
    (t.Between("n", 0.105), of("n", lambda v: v >= Decimal("0.105"))),
    (t.Between("d", "1900-01-01", "1970-01-01"), of("d", lambda v: dt.date(1900, 1, 1) <= v <= dt.date(1970, 1, 1))),
    (t.Between("m", "2020-01-01T00:00:00", strict_low=True), of("m", lambda v: v > dt.datetime(2020, 1, 1))),
    (t.Between("z", "2020-06-01T13:00:00+02:00"), of("z", lambda v: v >= dt.datetime(2020, 6, 1, 11, tzinfo=UTC))),
    (t.Between("z", None, "2020-06-01T11:00:00"), of("z", lambda v: v <= dt.datetime(2020, 6, 1, 11, tzinfo=UTC))),
    (t.Between("b", 1, 1), of("b", lambda v: v)),
    (t.In("s", ("a", "", "é☃")), of("s", lambda v: v in {"a", "", "é☃"})),
    (t.In("i", (1, 2.0, 2.5, 2**62)), of("i", lambda v: v in {1, 2, 2**62})),
    (t.In("x", (0.1, INF, 0)), of("x", lambda v: v in {0.1, INF, 0.0})),
    (t.In("x", ()), lambda r: False),
    (t.In("n", (0.1, 0)), of("n", lambda v: v in {Decimal("0.1"), Decimal(0)})),
    (t.In("b", (True,)), of("b", lambda v: v)),
    (t.In("d", ("2020-02-29",)), of("d", lambda v: v == dt.date(2020, 2, 29))),
    (t.In("z", ("2020-06-01T12:00:00Z",)), of("z", lambda v: v == dt.datetime(2020, 6, 1, 12, tzinfo=UTC))),
    (t.In("s", ("'; DROP TABLE x; --", "a")), of("s", lambda v: v == "a")),
    (t.In(QUOTE, (3, 4)), of(QUOTE, lambda v: v in {3, 4})),
    (t.Matches("s", "^a.$"), of("s", lambda v: re.search(r"^a.\Z", v))),
    (t.Matches("s", r"\d"), of("s", lambda v: re.search("[0-9]", v))),
    (t.Matches("s", r"^\w$"), of("s", lambda v: re.search(r"^[0-9A-Za-z_]\Z", v))),
    (t.Matches("s", r"\p{L}"), of("s", lambda v: any(c.isalpha() for c in v))),
    (t.Matches("s", "(?i)É"), of("s", lambda v: "é" in v.lower())),
    (t.Matches("s", "^a|^$"), of("s", lambda v: v.startswith("a") or not v)),
    (t.Matches("t", r"^[-+]?\d+(\.\d+)?([eE]\d+)?$"), of("t", lambda v: v in {"1.5e3", "-12"})),
    (t.Matches("t", r"^\{\}|^\[1, "), of("t", lambda v: v in {"{}", "[1, 2]"})),
    (t.Matches("t", r"'|\\|\bx\b"), of("t", lambda v: v == "x y")),
    (t.Like("s", "a%"), of("s", lambda v: v.startswith("a"))),
    (t.Like("s", "a_b"), of("s", lambda v: v == "a\nb")),
    (t.Like("s", "_"), of("s", lambda v: len(v) == 1)),
    (t.Like("t", "!%", escape="!"), lambda r: False),
    (t.Like("t", "\\"), lambda r: False),
    (t.Like("t", "true"), lambda r: False),
    (t.Length("s", 1, 2), of("s", lambda v: 1 <= len(v) <= 2)),
    (t.Length("s", None, 0), of("s", lambda v: not v)),
    (t.Parses("t", "json"), of("t", lambda v: v in {"1.5e3", "-12", "{}", "[1, 2]"})),
    (t.Parses("t", "integer"), of("t", lambda v: v == "-12")),
    (t.Parses("t", "number"), of("t", lambda v: v in {"1.5e3", "-12"})),
    (t.Parses("t", "boolean"), of("t", lambda v: v == "TRUE")),
    (t.Parses("t", "datetime", format="%Y-%m-%d"), of("t", lambda v: v == "2020-02-29")),
    (t.Parses("t", "datetime"), of("t", lambda v: v in {"2020-02-29", "-12"})),
    (t.FitsJsonSchema("t", '{"type":"array","maxItems":2}'), of("t", lambda v: v == "[1, 2]")),
    (t.Compare("i", "<", "x"), lambda r: not missing(r["i"]) and not missing(r["x"]) and r["i"] < r["x"]),
    (t.Compare("i", "!=", "where"), lambda r: r["i"] is not None and r["i"] != r["where"]),
    (t.Compare("x", "==", "y"), lambda r: not missing(r["x"]) and r["x"] == r["y"]),
    (t.Compare("d", "<=", "m"), lambda r: r["d"] and r["m"] and dt.datetime(*r["d"].timetuple()[:3]) <= r["m"]),
    (t.Compare("s", ">", "t"), lambda r: r["s"] is not None and r["t"] is not None and r["s"] > r["t"]),
    (t.InTuples(("i", "s"), ((1, "a"), (2, None), (None, "é☃"), (2.5, "a"))),
     lambda r: (r["i"], r["s"]) in {(1, "a"), (2, None), (None, "é☃")}),
    (t.InTuples(("x", "b"), ((None, None), (0.1, True))), lambda r: (plain(r["x"]), r["b"]) in {(None, None), (0.1, True)}),
    (t.RowSum(("i", "where"), 2, 3), lambda r: r["i"] is not None and 2 <= r["i"] + r["where"] <= 3),
    (t.RowSum(("i", "i", "i"), 3 * 2**62, None), of("i", lambda v: v == 2**62)),
    (t.RowSum(("n", "n"), 0.2, 0.4), of("n", lambda v: Decimal("0.2") <= v + v <= Decimal("0.4"))),
    (t.RowSum(("x", "y"), None, 3), lambda r: not missing(r["x"]) and not missing(r["y"]) and r["x"] + r["y"] <= 3),
    (t.SameInRow(("i", "where")), lambda r: r["i"] == r["where"]),
    (t.SameInRow(("x", "y")), lambda r: plain(r["x"]) == plain(r["y"])),
    (t.DistinctInRow(("i", "k", "where")), lambda r: len({r["i"], r["k"], r["where"]}) == 3),
    (t.InTable(("k",), "other", ("id",)), of("k", lambda v: v in {1, 2, 9})),
    (t.InTable(("x",), "other", ("real",)), of("x", lambda v: v in {1.0, 3.0, 0.1})),
    (t.InTable(("k", "s"), "other", ("id", "name")), lambda r: (r["k"], r["s"]) in {(1, "a"), (2, "é☃")}),
    (t.Duplicated(("k",)), lambda r: sum(o["k"] == r["k"] for o in ROWS) > 1),
    (t.Duplicated(("x",)), lambda r: sum(plain(o["x"]) == plain(r["x"]) for o in ROWS) > 1),
    (t.Duplicated(("b", "where")), lambda r: sum((o["b"], o["where"]) == (r["b"], r["where"]) for o in ROWS) > 1),
    (t.All((t.Not(t.Missing("i")), t.Not(t.Not(t.Duplicated(("i",)))))),
     of("i", lambda v: sum(o["i"] == v for o in ROWS) > 1)),
    (t.Not(t.Between("i", 0, 3)), lambda r: not (r["i"] is not None and 0 <= r["i"] <= 3)),
    (t.Not(t.Compare("x", "<", "y")), lambda r: not (not missing(r["x"]) and not missing(r["y"]) and r["x"] < r["y"])),
    (t.All((t.Between("i", 0, 3), t.In("s", ("a",)))), lambda r: r["i"] in range(4) and r["s"] == "a"),
    (t.AnyOf((t.Missing("i"), t.Missing("s"), t.Like("s", "12"))), lambda r: r["i"] is None or r["s"] in {None, "12"}),
]  # fmt: skip

CONDITIONS = [
    ("i > 0 AND s = 'a'", lambda r: r["i"] is not None and r["i"] > 0 and r["s"] == "a"),
    ("1 = 1", lambda r: True),
    ("NOT (x > 0)", of("x", lambda v: not v > 0)),
    ("x IS NULL OR y IS NOT NULL", lambda r: missing(r["x"]) or not missing(r["y"])),
    ("i / 2 > 0.5", of("i", lambda v: v / 2 > 0.5)),
    ("i % 2 = 0", of("i", lambda v: v % 2 == 0)),
    ("i / `where` > 1" if False else "1 / i < 1", of("i", lambda v: v != 0 and 1 / v < 1)),
    ("s LIKE 'a%' OR s IN ('12', 'x')", of("s", lambda v: v.startswith("a") or v == "12")),
    ("s LIKE '!%%' ESCAPE '!'", of("s", lambda v: v.startswith("%"))),
    ("length(s) BETWEEN 1 AND 2", of("s", lambda v: 1 <= len(v) <= 2)),
    ("upper(s) = 'A' OR trim(t) = 'x y'", lambda r: r["s"] == "a" or r["t"] == "x y"),
    ("coalesce(i, -1) = -1", lambda r: r["i"] is None),
    ("CASE WHEN b THEN i ELSE 0 END >= 1", lambda r: bool(r["b"]) and r["i"] is not None and r["i"] >= 1),
    ("abs(i) > 5", of("i", lambda v: abs(v) > 5)),
    ("d >= '1970-01-01' AND extract(year FROM d) < 2100", of("d", lambda v: 1970 <= v.year < 2100)),
    ("z = '2020-06-01T12:00:00Z'", of("z", lambda v: v == dt.datetime(2020, 6, 1, 12, tzinfo=UTC))),
    ("substring(t, 1, 3) = '202'", of("t", lambda v: v[:3] == "202")),
    ("s || '!' = 'a!'", of("s", lambda v: v == "a")),
    ("b", lambda r: bool(r["b"])),
    ("i IS NOT DISTINCT FROM k", lambda r: r["i"] == r["k"]),
    ("CAST(y AS INTEGER) = 2", of("y", lambda v: v == 2.5)),
    ("round(y) = 3", of("y", lambda v: v in {2.5, 3.0})),
    ('"where" = 1', lambda r: r["where"] == 1),
]  # fmt: skip

FORBIDDEN = [
    "i IN (SELECT 1)", "EXISTS (SELECT 1)", "read_csv('/etc/passwd')", "1; DROP TABLE x", "count(*) > 1", "i", "i +",
    "random() > 0.5", "pg_sleep(1) IS NULL", "row_number() OVER () = 1", "current_setting('x') = ''", "getvariable('x')",
    "i = (SELECT max(i) FROM other)", "s COLLATE nocase = 'A'", "CAST(s AS BLOB) = 'a'", "t.i = 1", "now() > d",
]  # fmt: skip


class _Near:
    """Equal to some numbers, each up to a slack of its own."""

    def __init__(self, expected, slack):
        self.expected, self.slack = expected, slack

    def __eq__(self, other):
        pairs = zip(other, self.expected, self.slack, strict=True)
        return all(found == wanted or abs(found - wanted) <= slack for found, wanted, slack in pairs)

    def __hash__(self):
        return hash(tuple(self.expected))

    def __repr__(self):
        return f"{self.expected} ± {self.slack}"


def _reach(values):
    """The largest of some values, and how far one may seem to be from their mean, which rounding moves."""
    mean = sum(values) / len(values) if values else 0.0
    largest = max((abs(value) for value in values), default=0.0)
    return largest, max((abs(value - mean) for value in values), default=0.0) + largest * 1e-13


def _near(expected, sizes):
    """Up to rounding, which grows with the sizes that are added up and not with their sum."""
    return _Near(expected, [size * 1e-9 + 1e-9 for size in sizes])


def moments_near(values):
    finite = [value for value in values if math.isfinite(value)]
    largest, reach = _reach(finite)
    return _near(moments(values), [0.0, largest, *(len(finite) * reach**power for power in (2, 3, 4))])


def comoments_near(rows, x, y):
    pairs = [(float(r[x]), float(r[y])) for r in rows if not missing(r[x]) and not missing(r[y])]
    pairs = [p for p in pairs if all(map(math.isfinite, p))]
    (largest_x, far_x), (largest_y, far_y) = (_reach([p[k] for p in pairs]) for k in (0, 1))
    n = len(pairs)
    return _near(comoments(pairs), [0.0, largest_x, largest_y, n * far_x**2, n * far_y**2, n * far_x * far_y])


def moments(values):
    finite = [v for v in values if math.isfinite(v)]
    mean = statistics.fmean(finite) if finite else 0.0
    return [len(finite), mean, *(math.fsum((v - mean) ** k for v in finite) for k in (2, 3, 4))]


def comoments(pairs):
    mx, my = (statistics.fmean(p[k] for p in pairs) if pairs else 0.0 for k in (0, 1))
    sums = [math.fsum((a - mx) ** 2 for a, _ in pairs), math.fsum((b - my) ** 2 for _, b in pairs)]
    return [len(pairs), mx, my, *sums, math.fsum((a - mx) * (b - my) for a, b in pairs)]


def quantile(values, q, how):
    values = sorted(float(v) for v in values)
    if not values:
        return None
    place = q * (len(values) - 1)
    low, high = values[math.floor(place)], values[math.ceil(place)]
    if how == "linear":
        part = place - math.floor(place)
        return low if low == high or not part else low * (1 - part) + high * part
    return {"lower": low, "higher": high, "nearest": values[round(place)]}[how]


def entropy(counts):
    total = sum(counts)
    return -sum(c / total * math.log(c / total) for c in counts) if total else 0.0


def grouping(rows, columns):
    keys = [tuple(plain(r[c]) for c in columns) for r in rows]
    counts = Counter(k for k in keys if any(v is not None for v in k))
    ones = sum(c == 1 for c in counts.values())
    whole = {"rows": sum(counts.values()), "groups": len(counts), "singletons": ones}
    return {**whole, "entropy": pytest.approx(entropy(counts.values()), abs=1e-9)}


def information(rows, x, y):
    pairs = [(r[x], r[y]) for r in rows if not missing(r[x]) and not missing(r[y])]
    joint, left, right = Counter(pairs), Counter(p[0] for p in pairs), Counter(p[1] for p in pairs)
    return entropy(left.values()) + entropy(right.values()) - entropy(joint.values())


def expected(metric, rows):  # noqa: C901, PLR0911, PLR0912 -- one case for each metric
    """What plain Python answers, of rows that `where` left."""
    match metric:
        case t.Aggregate(column=c, function="nulls"):
            return sum(r[c] is None for r in rows)
        case t.Aggregate(column=c, function="nans"):
            return sum(isinstance(r[c], float) and math.isnan(r[c]) for r in rows)
        case t.Aggregate(column=c, function="min" | "max" as f):
            found = {"min": min, "max": max}[f](there(c, rows), default=None)
            return (
                found.isoformat()
                if isinstance(found, dt.date)
                else float(found)
                if isinstance(found, Decimal)
                else found
            )
        case t.Aggregate(column=c, function="min_length" | "max_length" as f):
            return {"min": min, "max": max}[f[:3]](map(len, there(c, rows)), default=None)
        case t.Aggregate(column=c, function="sum"):
            total = sum(there(c, rows))
            return total if isinstance(total, int) else pytest.approx(float(total), nan_ok=True)
        case t.Aggregate(column=c, function="mean"):
            values = [float(v) for v in there(c, rows)]
            return pytest.approx(sum(values) / len(values), nan_ok=True) if values else None
        case t.Aggregate(column=c, function="std"):
            values = [float(v) for v in there(c, rows)]
            if len(values) < 2:
                return None
            if not all(map(math.isfinite, values)):
                return pytest.approx(NAN, nan_ok=True)
            return pytest.approx(statistics.stdev(values))
        case t.Moments(column=c):
            return moments_near([float(v) for v in there(c, rows)])
        case t.Comoments(x=x, y=y):
            return comoments_near(rows, x, y)
        case t.Quantile(column=c, q=q, interpolation=how):
            found = quantile(there(c, rows), q, how)
            return found if found is None else pytest.approx(found, nan_ok=True)
        case t.Distinct(columns=columns):
            return len({tuple(r[c] for c in columns) for r in rows if not any(missing(r[c]) for c in columns)})
        case t.Frequent(column=c, limit=limit):
            ranked = sorted(Counter(there(c, rows)).items(), key=lambda p: (-p[1], p[0]))[:limit]
            return [[_json(v), n] for v, n in ranked]
        case t.Histogram(column=c, edges=edges):
            ends = [-INF, *edges]
            below = [sum(v < e for v in there(c, rows)) for e in ends[1:]] + [len(there(c, rows))]
            return [b - a for a, b in pairwise([0, *below])]
        case t.Grouping(columns=columns):
            return grouping(rows, columns)
        case t.MutualInformation(x=x, y=y):
            return pytest.approx(information(rows, x, y), abs=1e-9)
    raise AssertionError(metric)


def _json(value):
    if isinstance(value, dt.date):
        return value.isoformat()
    return (
        str(value)
        if isinstance(value, float) and not math.isfinite(value)
        else float(value)
        if isinstance(value, Decimal)
        else value
    )


FUNCTIONS = ("min", "max", "sum", "mean", "std", "nulls", "nans")
METRICS = [
    *(t.Aggregate(column=c, function=f) for c in ("i", "n", "y", "where") for f in FUNCTIONS if (c, f) != ("y", "std")),
    *(t.Aggregate(column="x", function=f) for f in ("min", "max", "sum", "mean", "std", "nulls", "nans")),
    *(t.Aggregate(column=c, function=f) for c in ("s", "d", "m", "z", "b") for f in ("min", "max", "nulls", "nans")),
    *(t.Aggregate(column="s", function=f) for f in ("min_length", "max_length")),
    t.Moments(column="x"), t.Moments(column="where"), t.Moments(column="n"),
    t.Comoments(x="x", y="y"), t.Comoments(x="where", y="k"), t.Comoments(x="n", y="k"),
    *(t.Quantile(column=c, q=q, interpolation=how) for c in ("i", "k", "n", "x") for q in (0.0, 0.25, 0.5, 0.77, 1.0)
      for how in ("linear", "lower", "higher", "nearest")),
    *(t.Distinct(columns=c) for c in (("x",), ("s",), ("k",), ("z",), ("b", "where"), ("x", "k"))),
    *(t.Frequent(column=c, limit=3) for c in ("i", "s", "k", "d", "n", "b", "x")),
    t.Histogram(column="x", edges=(-1, 0, 0.1, 2)), t.Histogram(column="k", edges=(2, 3)),
    *(t.Grouping(columns=c) for c in (("k",), ("x",), ("b", "k"), ("s", "x"))),
    t.MutualInformation(x="k", y="where"), t.MutualInformation(x="x", y="b"),
]  # fmt: skip


class TableConformance:
    """Subclass it, and give it a fixture `make` that turns a Polars frame, and others by name, into a table."""

    ordered = True
    """Whether rows have an order."""

    @pytest.fixture(scope="class")
    @classmethod
    def table(cls, make):
        return make(FRAME, {"other": OTHER})

    def numbers(self, table, predicate, where=None):
        """The rows of which a predicate holds, known by a column that numbers them."""
        return sorted(row[QUOTE] - 1 for row in table.rows(predicate, where=where, limit=100, columns=[QUOTE]))

    def test_the_schema_is_said_in_the_words_of_the_port(self, table):
        kinds = [kind.kind for kind in table.schema().values()]
        assert kinds == ["integer", "float", "float", "text", "text", "bool", "decimal", "date", "datetime", "datetime",
                         "integer", "integer", "integer"]  # fmt: skip
        assert list(table.schema()) == FRAME.columns

    def test_predicates_hold_of_the_rows_that_plain_python_finds(self, table):
        counts = table.compute([t.Count(predicate=predicate) for predicate, _ in PREDICATES])
        wrong = [
            (metric.predicate, counts[metric], hits)
            for metric, (_, holds) in zip(counts, PREDICATES, strict=True)
            if counts[metric] != (hits := sum(bool(holds(row)) for row in ROWS))
        ]
        assert wrong == [], wrong

    @pytest.mark.parametrize("share", range(4))
    def test_rows_and_divisions_are_those_that_were_counted(self, table, share):
        some = PREDICATES[share::12]
        for predicate, holds in some:
            assert self.numbers(table, predicate) == [k for k, row in enumerate(ROWS) if holds(row)], predicate
        good, bad = (frame_of(part) for part in table.split({str(k): (p, None) for k, (p, _) in enumerate(some)}))
        whys = {row[QUOTE]: [str(k) for k, (_, holds) in enumerate(some) if holds(row)] for row in ROWS}
        assert sorted(good[QUOTE]) == [key for key, why in whys.items() if not why]
        assert dict(zip(bad[QUOTE], bad["__reasons__"].to_list(), strict=True)) == {k: w for k, w in whys.items() if w}
        assert good.columns == FRAME.columns

    @pytest.mark.parametrize("where", [None, t.In("where", (1,)), t.All((t.Not(t.Missing("k")), t.Duplicated(("k",))))])
    def test_metrics_are_those_of_plain_python(self, table, where):
        rows = ROWS
        if isinstance(where, t.In):
            rows = [row for row in ROWS if row["where"] == 1]
        elif where is not None:
            rows = [row for row in ROWS if row["k"] in {1, 2, 3}]
        asked = [msgspec_replace(metric, where) for metric in METRICS]
        answers = table.compute(asked)
        wrong = [(m, answers[m], e) for m in asked if not (answers[m] == (e := expected(m, rows)))]  # noqa: SIM201
        assert wrong == [], wrong
        assert list(answers) == asked

    def test_forms_of_text_add_up_to_the_rows(self, table):
        (found,) = table.compute([t.TextForms(column="t")]).values()
        assert found == {"integer": 1, "number": 1, "boolean": 1, "datetime": 1, "text": 3, "missing": 1}

    def test_conditions_in_sql_mean_one_thing(self, table):
        counts = table.compute([t.Count(predicate=t.Sql(text)) for text, _ in CONDITIONS])
        wrong = [
            (metric.predicate.text, found, hits)
            for (metric, found), (_, holds) in zip(counts.items(), CONDITIONS, strict=True)
            if found != (hits := sum(bool(holds(row)) for row in ROWS))
        ]
        assert wrong == [], wrong

    @pytest.mark.parametrize("text", FORBIDDEN)
    def test_what_is_not_a_condition_is_refused(self, table, text):
        with pytest.raises((InvalidInput, NotFound)):
            table.compute([t.Count(predicate=t.Sql(text))])

    def test_a_condition_narrows_before_a_window_looks(self, table):
        inside = t.In("where", (1,))
        twice = t.Duplicated(("b",))
        rows = [k for k, row in enumerate(ROWS) if row["where"] == 1]
        hits = [k for k in rows if sum(ROWS[o]["b"] == ROWS[k]["b"] for o in rows) > 1]
        assert list(table.compute([t.Count(predicate=twice, where=inside)]).values()) == [len(hits)]
        assert self.numbers(table, twice, inside) == hits
        _, bad = table.split({"twice": (twice, inside)})
        assert sorted(key - 1 for key in frame_of(bad)[QUOTE]) == hits

    def test_order_is_that_of_the_rows_or_an_error(self, table):
        rising = t.Count(predicate=t.Ordered("k"))
        falling = t.Count(predicate=t.Ordered("x", descending=True, strict=True))
        if self.ordered:
            assert table.compute([rising, falling]) == {rising: 7, falling: 3}
            numbered = table.rows(t.Ordered("i"), limit=3)
            assert [row["__row__"] for row in numbered] == [0, 1, 2]
        else:
            with pytest.raises(InvalidInput, match="no order"):
                table.compute([rising])

    def test_a_query_reads_the_table_and_the_others_and_nothing_else(self, table):
        asked = t.Query(
            sql="SELECT b, count(*) AS n FROM {batch} WHERE k IN (SELECT id FROM other) GROUP BY b ORDER BY b DESC"
        )
        (found,) = table.compute([asked]).values()
        assert found["count"] == 3
        assert sorted(found["rows"], key=str) == [{"b": False, "n": 1}, {"b": None, "n": 1}, {"b": True, "n": 2}]
        narrow = t.Query(sql="SELECT * FROM {batch}", where=t.In("where", (1,)), limit=1)
        (found,) = table.compute([narrow]).values()
        assert (found["count"], len(found["rows"])) == (4, 1)
        for text in ("SELECT * FROM '/etc/passwd'", "SELECT * FROM read_csv('/etc/passwd')", "DELETE FROM {batch}",
                     "SELECT * FROM pg_catalog.pg_user", "SELECT * FROM unknown", "COPY {batch} TO '/tmp/x'", "SELECT 1; SELECT 2",
                     "SELECT pg_read_file('/etc/passwd') FROM {batch}"):  # fmt: skip
            with pytest.raises((InvalidInput, NotFound)):
                table.compute([t.Query(sql=text)])

    def test_tables_of_no_and_of_one_row(self, make):
        empty = make(FRAME.clear(), {"other": OTHER.clear()})
        asked = [t.Count(), *METRICS, *(t.Count(predicate=predicate) for predicate, _ in PREDICATES)]
        answers = empty.compute(asked)
        wrong = [(m, answers[m], expected(m, [])) for m in METRICS if not (answers[m] == expected(m, []))]  # noqa: SIM201
        assert wrong == [], wrong
        assert {answers[m] for m in asked if isinstance(m, t.Count)} == {0}
        one = make(FRAME.head(1), {})
        answers = one.compute(METRICS)
        wrong = [(m, answers[m], expected(m, ROWS[:1])) for m in METRICS if not (answers[m] == expected(m, ROWS[:1]))]  # noqa: SIM201
        assert wrong == [], wrong

    def test_nested_values_are_grouped_and_shown(self, make):
        frame = pl.DataFrame({"l": [[1, 2], [1, 2], None], "o": [{"a": 1}, {"a": 2}, {"a": 1}]})
        table = make(frame, {})
        assert [kind.kind for kind in table.schema().values()] == ["list", "struct"]
        asked = [t.Count(predicate=t.Missing("l")), t.Distinct(columns=("l",)), t.Frequent(column="o", limit=1),
                 t.Count(predicate=t.Duplicated(("o",)))]  # fmt: skip
        assert list(table.compute(asked).values()) == [1, 1, [[{"a": 1}, 2]], 2]
        (row,) = table.rows(t.Missing("l"), limit=5)
        assert (row["l"], row["o"]) == (None, {"a": 1})
        with pytest.raises(InvalidInput, match="no order"):
            table.compute([t.Aggregate(column="l", function="max")])

    @pytest.mark.parametrize(
        ("metric", "error", "words"),
        [
            (t.Count(predicate=t.Missing("wage")), NotFound, "no column 'wage'"),
            (t.Count(predicate=t.Between("s", 0, 1)), InvalidInput, "cannot be compared"),
            (t.Count(predicate=t.Between("i", "a", "b")), InvalidInput, "cannot be compared"),
            (t.Count(predicate=t.Between("d", "soon")), InvalidInput, "cannot be compared"),
            (t.Count(predicate=t.Compare("s", "<", "i")), InvalidInput, "cannot be compared"),
            (t.Count(predicate=t.Compare("m", "<", "z")), InvalidInput, "cannot be compared"),
            (t.Count(predicate=t.Matches("i", "a")), InvalidInput, "only text"),
            (t.Count(predicate=t.Like("s", "a!", escape="!")), InvalidInput, "ends with its escape"),
            (t.Count(predicate=t.FitsJsonSchema("t", '{"type": 3}')), InvalidInput, "not a JSON schema"),
            (t.Count(predicate=t.InTuples(("i", "s"), ((1,),))), InvalidInput, "one value for each"),
            (t.Count(predicate=t.InTable(("k",), "elsewhere", ("id",))), NotFound, "no other table is called"),
            (t.Count(predicate=t.InTable(("k",), "other", ("name",))), InvalidInput, "cannot be compared"),
            (t.Count(predicate=t.All(())), InvalidInput, "not a predicate"),
            (t.Aggregate(column="s", function="mean"), InvalidInput, "not a number"),
            (t.Quantile(column="i", q=1.5), InvalidInput, "not a share"),
            (t.Count(predicate=t.RowSum(("i", "s"))), InvalidInput, "not a number"),
        ],
    )
    def test_what_cannot_be_asked_is_refused_with_the_reason(self, table, metric, error, words):
        with pytest.raises(error, match=re.escape(words)):
            table.compute([metric])


def msgspec_replace(metric, where):
    import msgspec

    return msgspec.structs.replace(metric, where=where)


def frame_of(part):
    """A division as a Polars frame, whatever the adapter made of it."""
    if isinstance(part, pl.DataFrame):
        return part
    if hasattr(part, "toLocalIterator"):  # Spark's
        rows = [tuple(row) for row in part.select(part.columns[-2:]).collect()]
        found = pl.DataFrame(rows, schema=part.columns[-2:], orient="row")
        return found.select(pl.lit(None).alias(name) if name not in found.columns else name for name in part.columns)
    return pl.DataFrame(part)
