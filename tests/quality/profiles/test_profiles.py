"""Profiles: the merge laws, the errors that are stated, and the same states in plain Python."""

from __future__ import annotations

import itertools
import math
import random

import hypothesis.strategies as st
import polars as pl
import pytest
from hypothesis import given, settings

from mainspring.kernel.errors import InvalidInput, NotFound, UnsupportedFormat
from mainspring.quality.profiles import Profile, merge, merge_all
from mainspring.quality.profiles import numbers as nums
from mainspring.quality.profiles import values as vals
from mainspring.quality.profiles.build import profile_frame

NAN = float("nan")
number = st.one_of(
    st.none(),
    st.sampled_from([0.0, -0.0, NAN, math.inf, -math.inf, 1e308, -1e-308, 5e-324]),
    st.floats(allow_nan=False, allow_infinity=False),
    st.integers(-9, 9).map(float),
)
SCHEMA = {
    "x": pl.Float64,
    "i": pl.Int64,
    "s": pl.String,
    "b": pl.Boolean,
    "t": pl.Datetime("us"),
    "l": pl.List(pl.Int64),
}
rows_of = st.lists(
    st.tuples(
        number,
        st.one_of(st.none(), st.integers(-(2**62), 2**62)),
        st.one_of(st.none(), st.text("abé☃", max_size=2), st.just("long" * 60)),
        st.one_of(st.none(), st.booleans()),
        st.one_of(st.none(), st.datetimes()),
        st.one_of(st.none(), st.just([1])),
    ),
    max_size=30,
)


def frame_of(rows):
    return pl.DataFrame(rows, schema=SCHEMA, orient="row")


def plain(profile):
    """Everything of a profile that merges exactly."""
    return [
        (c.name, c.family, c.dtype, c.count, c.nulls, c.nans, c.infinities, c.zeros, c.minimum, c.maximum, c.sketch,
         c.frequent, c.registers, c.moments.n)
        for c in profile.columns
    ]  # fmt: skip


@settings(max_examples=60, deadline=None)
@given(rows=rows_of, cuts=st.lists(st.integers(0, 30), max_size=3), order=st.randoms(use_true_random=False))
def test_the_parts_merge_to_the_profile_of_the_whole_in_any_order(rows, cuts, order):
    frame = frame_of(rows)
    ends = [0, *sorted(min(cut, len(rows)) for cut in cuts), len(rows)]
    parts = [profile_frame(frame[a:b]) for a, b in itertools.pairwise(ends)]
    order.shuffle(parts)
    merged, whole = merge_all(parts), profile_frame(frame)
    assert merged.rows == whole.rows
    assert plain(merged) == plain(whole)
    for mine, theirs in zip(merged.columns, whole.columns, strict=True):
        scale = max(abs(theirs.maximum or 0), abs(theirs.minimum or 0), 1e-300)
        if scale < 1e70:
            assert mine.moments.mean == pytest.approx(theirs.moments.mean, rel=1e-9, abs=1e-9 * scale)
            assert mine.moments.m2 == pytest.approx(theirs.moments.m2, rel=1e-6, abs=1e-9 * scale**2)
    assert merge(Profile(), whole) == whole == merge(whole, Profile())


@settings(max_examples=60, deadline=None)
@given(a=st.lists(number), b=st.lists(number), c=st.lists(number))
def test_sketches_merge_like_sets_of_values(a, b, c):
    a, b, c = ([v for v in part if v is not None and math.isfinite(v)] for part in (a, b, c))
    one, two, three = (nums.sketch_of(part) for part in (a, b, c))
    assert nums.merge_sketches(one, two) == nums.merge_sketches(two, one) == nums.sketch_of(a + b)
    left = nums.merge_sketches(nums.merge_sketches(one, two), three)
    assert left == nums.merge_sketches(one, nums.merge_sketches(two, three)) == nums.sketch_of(a + b + c)


@pytest.fixture(scope="module")
def many():
    draw = random.Random(7)
    return {
        "normal": [draw.gauss(0, 1) for _ in range(20_000)],
        "narrow": [draw.gauss(1013, 7) for _ in range(20_000)],
        "heavy": [draw.lognormvariate(0, 3) * draw.choice([-1, 1]) for _ in range(20_000)],
    }


@pytest.mark.parametrize("name", ["normal", "narrow", "heavy"])
def test_a_sketch_past_its_capacity_still_merges_exactly_and_keeps_its_stated_error(many, name):
    values = many[name]
    column = profile_frame(pl.DataFrame({"x": values})).columns[0]
    assert column.sketch == nums.sketch_of(values)
    thirds = [nums.sketch_of(values[start::3]) for start in range(3)]
    assert nums.merge_sketches(nums.merge_sketches(thirds[2], thirds[0]), thirds[1]) == column.sketch
    assert not column.sketch.is_exact
    assert len(column.sketch.counts) <= nums.CAPACITY
    assert column.rank_error < 0.01
    ordered = sorted(values)
    for q in (0.01, 0.1, 0.5, 0.9, 0.99):
        found = column.sketch.quantile(q)
        rank = sum(v <= found for v in ordered) / len(ordered)
        assert abs(rank - q) <= column.rank_error + 1e-9
        assert found == pytest.approx(ordered[int(q * len(ordered))], rel=2.0 ** (column.sketch.level - 51), abs=0.02)


@settings(max_examples=100, deadline=None)
@given(value=st.floats(allow_nan=False, allow_infinity=False), other=st.floats(allow_nan=False, allow_infinity=False))
def test_the_key_of_a_number_keeps_the_order_and_comes_back(value, other):
    assert nums.value_of(nums.key_of(value)) == value
    assert (nums.key_of(value) < nums.key_of(other)) == (value < other)


@settings(max_examples=50, deadline=None)
@given(a=st.lists(st.floats(-1e3, 1e3), max_size=20), b=st.lists(st.floats(-1e3, 1e3), max_size=20))
def test_moments_merge_to_those_of_both(a, b):
    def moments(values):
        mean = math.fsum(values) / len(values) if values else 0.0
        return nums.Moments(len(values), mean, *(math.fsum((v - mean) ** k for v in values) for k in (2, 3, 4)))

    merged, whole = nums.merge_moments(moments(a), moments(b)), moments(a + b)
    spread = 1e-9 * (1 + sum(abs(v) for v in a + b)) ** 4
    for name, scale in (("mean", 1e-9), ("m2", spread), ("m3", spread), ("m4", spread)):
        assert getattr(merged, name) == pytest.approx(getattr(whole, name), rel=1e-7, abs=max(scale * 1e-3, 1e-9) * 1e3)
    assert merged.n == whole.n


def test_skewness_and_kurtosis_are_those_of_scipy(many):
    stats = pytest.importorskip("scipy.stats")
    moments = profile_frame(pl.DataFrame({"x": many["normal"]})).columns[0].moments
    assert moments.skewness == pytest.approx(stats.skew(many["normal"]))
    assert moments.kurtosis == pytest.approx(stats.kurtosis(many["normal"]))
    assert nums.Moments(3, 1.0).skewness is None
    assert nums.Moments(1, 1.0).std is None


def test_frequent_values_stay_within_their_error():
    draw = random.Random(3)
    words = [f"w{int(draw.paretovariate(0.6))}" for _ in range(30_000)]
    parts = [profile_frame(pl.DataFrame({"s": words[k::4]})).columns[0] for k in range(4)]
    merged = merge_all(Profile(rows=p.count, columns=(p,)) for p in parts).columns[0]
    truth = {}
    for word in words:
        truth[word] = truth.get(word, 0) + 1
    assert len(truth) > vals.COMPLETE
    assert not merged.distinct_is_exact
    stated = dict(merged.frequent.values)
    assert max(truth.values()) > 20 * merged.frequent.error > 0
    for word, count in truth.items():
        if word in stated:
            assert stated[word] <= count <= stated[word] + merged.frequent.error
        else:
            assert count <= merged.frequent.error
    assert merged.distinct == pytest.approx(len(truth), rel=0.06)
    assert merged.registers == profile_frame(pl.DataFrame({"s": words})).columns[0].registers


def test_the_columnar_hash_is_the_written_one():
    values = [k * 1.37 for k in range(-4000, 4000)]
    column = profile_frame(pl.DataFrame({"x": values})).columns[0]
    assert column.registers == vals.Registers.of(vals.hash_number(nums.key_of(v)) for v in values)
    assert column.distinct == pytest.approx(8000, rel=0.06)
    assert vals.hash_number(0) == 0xE220A8397B1DCDAF  # splitmix64's first output for seed 0
    words = [str(v) for v in values]
    assert profile_frame(pl.DataFrame({"s": words})).columns[0].registers == vals.Registers.of(
        map(vals.hash_text, words)
    )


def test_zeros_have_one_key_and_their_bucket_is_known():
    values = [0.0, -0.0] * 5000 + [k / 7 for k in range(5000)]
    column = profile_frame(pl.DataFrame({"x": values})).columns[0]
    assert column.zeros == 10_001
    assert max(column.sketch.counts) == 10_001
    assert column.rank_error < 0.01
    assert column.sketch.quantile(0.5) == 0.0


def test_a_profile_is_small_json_that_comes_back():
    frame = pl.DataFrame({"x": [1.5, None, NAN], "s": ["a", "a", None], "t": [True, False, None]})
    profile = profile_frame(frame)
    assert Profile.from_bytes(profile.to_bytes()) == profile
    summary = {row["column"]: row for row in profile.summary()}
    assert (summary["x"]["missing"], summary["x"]["mean"], summary["s"]["top"]) == (2, 1.5, [("a", 2)])
    assert profile.column("x").missing_share == pytest.approx(2 / 3)
    assert profile.column("t").distinct == 2
    with pytest.raises(InvalidInput, match="not a profile"):
        Profile.from_bytes(b"[]")
    with pytest.raises(NotFound, match="known: "):
        profile.column("y")


def test_columns_that_come_and_go_and_types_that_change():
    old, new = pl.DataFrame({"a": [1], "b": ["x"]}), pl.DataFrame({"a": [2.5], "c": [1]})
    merged = merge(profile_frame(old), profile_frame(new))
    assert merged.names == ("a", "b", "c")
    assert (merged.rows, merged.column("b").count, merged.column("a").dtype) == (2, 1, "Float64 | Int64")
    with pytest.raises(InvalidInput, match="do not merge"):
        merge(profile_frame(old), profile_frame(pl.DataFrame({"a": ["text"]})))
    empty = profile_frame(pl.DataFrame({"a": pl.Series([None, None], dtype=pl.String)}))
    assert merge(empty, profile_frame(old)).column("a").nulls == 2


def test_lazy_sources_are_read_in_batches_of_columns(tmp_path):
    frame = pl.DataFrame({f"c{k}": [k, k + 1] for k in range(40)})
    frame.write_parquet(tmp_path / "wide.parquet")
    assert profile_frame(tmp_path / "wide.parquet") == profile_frame(frame) == profile_frame(frame.lazy())
    assert profile_frame(frame, columns=["c3"]).names == ("c3",)
    assert profile_frame(frame.select([])).columns == ()
    with pytest.raises(UnsupportedFormat):
        profile_frame(3)
