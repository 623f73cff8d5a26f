"""Sketches keep the errors they state, on streams that were made to break them."""

from __future__ import annotations

import bisect
import itertools
import math
import random

import msgspec
import polars as pl
import pytest

from mainspring.quality.profiles import numbers as nums
from mainspring.quality.profiles import values as vals
from mainspring.quality.profiles.build import profile_frame
from mainspring.quality.profiles.types import Profile, merge_all


def streams():
    draw = random.Random(23)
    n = 30_000
    near = [1.0 + draw.random() * 1e-9 for _ in range(n)]
    return {
        "sorted": [float(k) for k in range(n)],
        "reversed": [float(n - k) / 7 for k in range(n)],
        "zipf": [float(int(draw.paretovariate(0.8))) for _ in range(n)],
        "near duplicates": near,
        "near duplicates among every magnitude": [
            value if draw.random() < 0.6 else draw.choice([-1, 1]) * 10 ** draw.uniform(-300, 300) for value in near
        ],
        "heavy tails": [draw.paretovariate(0.2) * draw.choice([-1, 1]) for _ in range(n)],
        "constant": [4.25] * n,
        "alternating": [(-1.0) ** k * (1 + k % 3 * 1e-12) for k in range(n)],
        "mostly zero": [0.0 if draw.random() < 0.9 else draw.gauss(0, 1) for _ in range(n)],
        "two far clusters": [draw.gauss(*draw.choice([(1e-200, 1e-203), (1e200, 1e197)])) for _ in range(n)],
        "denormal": [draw.randrange(40_000) * 5e-324 for _ in range(n)],
    }  # fmt: skip


STREAMS = streams()


def worst_rank_error(sketch, values):
    """The greatest error of the rank of any quantile: 0 where the value stands at its rank, however often."""
    ordered, worst = sorted(values), 0.0
    for step in range(1, 200):
        q = step / 200
        found = sketch.quantile(q)
        low, high = (side(ordered, found) / len(ordered) for side in (bisect.bisect_left, bisect.bisect_right))
        worst = max(worst, low - q, q - high)
    return worst


@pytest.mark.parametrize("name", STREAMS)
def test_no_rank_is_off_by_more_than_stated_and_that_is_a_hundredth_at_most(name):
    values = STREAMS[name]
    column = profile_frame(pl.DataFrame({"x": values}), correlations=False).columns[0]
    assert column.sketch == nums.sketch_of(values)
    assert column.rank_error <= nums.HEAVY
    assert worst_rank_error(column.sketch, values) <= column.rank_error + 1 / len(values)
    assert len(msgspec.json.encode(column.sketch)) < 40_000
    assert sum(count for _, _, count in column.sketch.leaves()) == len(values) == column.sketch.n


@pytest.mark.parametrize("name", STREAMS)
def test_the_bound_holds_after_merging_in_any_order(name):
    values = STREAMS[name]
    cuts = [0, 100, 9_000, 9_100, 20_000, len(values)]
    parts = [nums.sketch_of(values[a:b]) for a, b in itertools.pairwise(cuts)]
    whole = nums.sketch_of(values)
    for seed in range(2):
        random.Random(seed).shuffle(parts)
        merged = parts[0]
        for part in parts[1:]:
            merged = nums.merge_sketches(merged, part)
        assert merged.n == len(values)
        assert (merged.level, merged.gaps, merged.counts) == (whole.level, whole.gaps, whole.counts)
        assert merged.rank_error <= 2 * nums.HEAVY
        assert worst_rank_error(merged, values) <= merged.rank_error + 1 / len(values)


@pytest.mark.parametrize("name", STREAMS)
def test_two_sketches_over_common_buckets_count_exactly(name):
    values = STREAMS[name]
    left, right = values[:12_000], values[12_000:]
    found = nums.aligned(nums.sketch_of(left), nums.sketch_of(right))
    spans = [(nums.leaf_edges(level, key), a, b) for level, key, a, b in found]
    assert all(one[0][1] < two[0][0] for one, two in itertools.pairwise(spans))
    one, two = sorted(left), sorted(right)
    for (low, high), a, b in spans[:: max(1, len(spans) // 60)]:
        assert a == bisect.bisect_right(one, high) - bisect.bisect_left(one, low)
        assert b == bisect.bisect_right(two, high) - bisect.bisect_left(two, low)
    assert (sum(a for _, a, _ in spans), sum(b for *_, b in spans)) == (len(left), len(right))


def test_what_kll_of_the_same_size_states_is_no_better():
    sketches = pytest.importorskip("datasketches")
    np = pytest.importorskip("numpy")
    draw = random.Random(3)
    values = [draw.gauss(0, 1) for _ in range(30_000)]
    kll = sketches.kll_doubles_sketch(350)
    kll.update(np.array(values))
    ours = nums.sketch_of(values)
    assert kll.normalized_rank_error(as_pmf=False) > ours.rank_error
    for q in (0.05, 0.5, 0.95):
        assert abs(kll.get_rank(ours.quantile(q)) - q) < 0.01 + ours.rank_error


@pytest.mark.parametrize("count", [1_500, 20_000, 120_000])
def test_distinct_values_are_counted_within_five_standard_errors_and_as_datasketches_does(count):
    sketches = pytest.importorskip("datasketches")
    words = [f"customer-{k * 7919 % 1_000_003}-ä" for k in range(count)]
    column = profile_frame(pl.DataFrame({"s": words * 2})).columns[0]
    theirs = sketches.hll_sketch(12, sketches.HLL_8)
    for word in words:
        theirs.update(word)
    assert column.distinct == pytest.approx(count, rel=5 * 0.0163)
    assert theirs.get_estimate() == pytest.approx(column.distinct, rel=0.1)


def test_hashes_spread_evenly_over_the_registers():
    places = [vals.hash_text(f"k{i}") >> 52 for i in range(40_960)]
    counts = [0] * 4096
    for place in places:
        counts[place] += 1
    chi_square = sum((c - 10) ** 2 / 10 for c in counts)
    assert abs(chi_square - 4095) < 5 * math.sqrt(2 * 4095)
    assert len({vals.hash_text(text) for text in ("", "\0", "\0\0", "a", "a\0", "a" * 8, "a" * 9)}) == 7


def test_moments_of_a_far_away_narrow_column_merge_without_losing_its_spread():
    draw = random.Random(2)
    values = [1e9 + draw.gauss(0, 1e-2) for _ in range(20_000)]
    parts = [profile_frame(pl.DataFrame({"x": values[k::7]})) for k in range(7)]
    merged = merge_all(parts).columns[0].moments
    mean = math.fsum(values) / len(values)
    spread = math.sqrt(math.fsum((v - mean) ** 2 for v in values) / (len(values) - 1))
    assert merged.mean == pytest.approx(mean, rel=1e-15)
    assert merged.std == pytest.approx(spread, rel=1e-5)


def test_equal_tables_give_equal_bytes_whatever_the_order_of_rows():
    draw = random.Random(4)
    rows = [{"x": draw.gauss(0, 1), "n": draw.randrange(50), "s": f"w{draw.randrange(5000)}"} for _ in range(20_000)]
    one = profile_frame(pl.DataFrame(rows), correlations=False)
    draw.shuffle(rows)
    two = profile_frame(pl.DataFrame(rows), correlations=False)
    rounded = [msgspec.structs.replace(c, moments=nums.Moments()) for p in (one, two) for c in p.columns]
    assert rounded[:3] == rounded[3:]
    assert profile_frame(pl.DataFrame(rows), correlations=False).to_bytes() == two.to_bytes()
    assert Profile.from_bytes(two.to_bytes()) == two
