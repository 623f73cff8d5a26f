"""Validating what is known: a dataset of 21 Parquet files again, with one file more, and beside a full scan.

40 expectations whose numbers merge, on 2,000,000 rows of 10 columns in 20 files and 100,000 rows in one more. CPU
seconds of this process; fewer rows: MAINSPRING_BENCH_ROWS.
"""

from __future__ import annotations

import os
import random
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from row import Row

from mainspring.client.client import Client, connect
from mainspring.quality import expect
from mainspring.quality.types import Suite

ROWS = int(os.environ.get("MAINSPRING_BENCH_ROWS", "2000000"))
FILES = 20


def _suite() -> Suite:
    built = expect("known")
    for k in range(8):
        name = f"f{k}"
        built = built.column(name).between(-1e9, 1e9).not_null(mostly=0.9).mean(-1e9, 1e9).minimum(-1e9).table
    for k in range(2):
        built = (
            built.column(f"c{k}")
            .in_set([f"item-{j}" for j in range(50)])
            .not_null()
            .length(1, 20)
            .distinct(1, 50)
            .table
        )
    return built.suite


def _file(path: Path, rows: int, seed: int) -> None:
    import numpy as np
    import polars as pl

    chance = np.random.default_rng(seed)
    columns: dict[str, Any] = {f"f{k}": chance.normal(k, 1 + k, rows) for k in range(8)}
    frame = pl.DataFrame(columns)
    for k in range(2):
        frame = frame.with_columns(pl.format("item-{}", pl.Series(chance.integers(0, 50, rows))).alias(f"c{k}"))
    frame.write_parquet(path)


def _cpu(client: Client, ref: str, suite: Suite) -> tuple[float, int]:
    started = time.process_time()
    report = client.quality.validate(ref, suite, record=False)
    taken = time.process_time() - started
    return taken, report.scan.rows_scanned if report.scan else report.rows


def rows() -> Iterator[Row]:
    """The table's rows."""
    import polars as pl

    suite = _suite()
    seed = random.Random(0).randrange(1_000_000)
    with tempfile.TemporaryDirectory() as folder, connect(Path(folder) / "store") as client:
        parts = Path(folder) / "parts"
        parts.mkdir()
        for k in range(FILES):
            _file(parts / f"{k:02}.parquet", ROWS // FILES, seed + k)
        client.data.commit("known", parts)
        first, scanned = _cpu(client, "known", suite)
        again, nothing = _cpu(client, "known", suite)
        _file(parts / f"{FILES:02}.parquet", ROWS // FILES, seed + FILES)
        client.data.commit("known", parts)
        more, new = _cpu(client, "known", suite)
        whole = pl.scan_parquet(parts)
        started = time.process_time()
        client.quality.validate(whole, suite)
        full = time.process_time() - started
    note = f"{scanned:,} rows scanned, a frame of the same without states: {full:.2f} s"
    yield Row(
        "suite of 40 on 20 files, first time", first, full, "one scan of the whole", full / first, "", "CPU s", note
    )
    yield Row(
        "the same again", again, first, "first time", first / again, "ratio >= 5", "CPU s", f"{nothing:,} rows scanned"
    )
    yield Row(
        "one file of 21 is new",
        more,
        full,
        "one scan of the whole",
        full / more,
        "ratio >= 3",
        "CPU s",
        f"{new:,} rows scanned",
    )
