"""Profiles of a million rows and twenty columns, beside whylogs in the same run; CPU seconds, of this process."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Iterable
from pathlib import Path

import numpy as np
import polars as pl
from peers import find_peer, run_peer
from row import Row

from mainspring.quality.profiles.build import profile_frame
from mainspring.quality.profiles.types import Profile, merge

ROWS = 1_000_000
WHYLOGS = """
import json, time
import pandas as pd
import whylogs as why
frame = pd.read_parquet("table.parquet")
start = time.process_time()
profile = why.log(frame).profile()
taken = time.process_time() - start
view = profile.view()
print(json.dumps({"cpu": taken, "bytes": len(view.serialize())}))
"""


def table(seed: int, shift: float = 0.0, rows: int = ROWS) -> pl.DataFrame:
    """Ten columns of numbers with holes, five of whole numbers, four of categories, one of identifiers."""
    draw = np.random.default_rng(seed)
    laws = (
        lambda: draw.normal(shift, 1, rows),
        lambda: draw.lognormal(0, 1, rows),
        lambda: draw.exponential(2, rows),
        lambda: draw.uniform(0, 100, rows),
        lambda: draw.gamma(2, 2, rows),
    )
    columns: dict[str, pl.Series] = {}
    for place in range(10):
        values, there = pl.Series(laws[place % 5]()), pl.Series(draw.random(rows) > 0.02)
        columns[f"f{place}"] = pl.select(pl.when(there).then(values)).to_series()
    for place, top in enumerate((10, 100, 1000, 100_000, 2**40)):
        columns[f"i{place}"] = pl.Series(draw.integers(0, top, rows))
    for place, count in enumerate((3, 12, 48, 192)):
        columns[f"c{place}"] = "v" + pl.Series(draw.integers(0, count, rows)).cast(pl.String)
    columns["id"] = "id" + pl.Series(draw.integers(0, rows, rows)).cast(pl.String)
    return pl.DataFrame(columns)


def cpu(work: Callable[[], object], *, times: int = 3) -> float:
    """The least CPU seconds of a few calls, after one to warm up."""
    work()
    taken = []
    for _ in range(times):
        start = time.process_time()
        work()
        taken.append(time.process_time() - start)
    return min(taken)


def rows() -> Iterable[Row]:
    """The benchmark."""
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        frame = table(1)
        frame.write_parquet(folder / "table.parquet")
        profile = profile_frame(frame)
        size = len(profile.to_bytes())
        theirs, version = None, "whylogs 1.6.4"
        found = find_peer("whylogs", "whylogs==1.6.4", "numpy<2", "pandas<3", "pyarrow<21", "setuptools")
        if found is not None:
            python, version = found
            theirs = run_peer(python, WHYLOGS, cwd=folder)
        own = cpu(lambda: profile_frame(frame))
        peer = theirs["cpu"] if theirs else None
        yield Row(
            "profile of 1,000,000 x 20, in memory", own, peer, version, peer / own if peer else None, "ratio >= 6",
            "CPU s", note="Correlations and shapes of text included, which whylogs does not take.",
        )  # fmt: skip
        yield Row(
            "profile of 1,000,000 x 20, from Parquet",
            cpu(lambda: profile_frame(folder / "table.parquet")),
            unit="CPU s",
        )
        peer = theirs["bytes"] / 1000 if theirs else None
        yield Row(
            "its bytes", size / 1000, peer, version, peer / (size / 1000) if peer else None, "ratio >= 1", "kB",
            note="As JSON, uncompressed; compressed it is a third of that.",
        )  # fmt: skip
        worst = max(column.rank_error for column in profile.columns)
        yield Row(
            "greatest error of a rank that a column states",
            worst * 100,
            1.33,
            "datasketches KLL(200)",
            limit="ours <= 1",
            unit="%",
            note="KLL states an error for its size; these buckets state theirs from the data, one hundredth at most.",
        )
        part = profile_frame(table(3, rows=50_000))
        taken = cpu(lambda: merge(profile, part))
        yield Row("merging a partition's profile into it", taken * 1000, unit="CPU ms", limit="ours < 400")
        data = profile.to_bytes()
        yield Row("reading it", cpu(lambda: Profile.from_bytes(data)) * 1000, unit="CPU ms", limit="ours < 50")
