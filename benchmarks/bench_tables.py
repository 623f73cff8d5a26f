"""Versions of tables: what five of them store, and the rows that differ between two of ten million rows each."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import polars as pl
from row import Row

from mainspring.client import connect

ROWS = 600_000
LARGE = 10_000_000
SEED = 7


def rows() -> Iterator[Row]:
    """Stored bytes against the sum of the versions, which is what tools that keep whole files store."""
    with tempfile.TemporaryDirectory(prefix="mainspring-bench-") as folder:
        yield from _stored(Path(folder))
        yield _checkpoints(Path(folder))
        yield from _row_diff(Path(folder))


def _stored(folder: Path) -> Iterator[Row]:
    for what, edit, limit, note in (
        ("0.25% of rows put in and taken out", _moved, "ours <= 40", "1,000 rows put in, 500 taken out, at one place"),
        ("0.2% of rows edited, 2 of 20 columns", _edited, "ours <= 40", "at random places"),
        ("0.2% of rows edited, all columns", _all_edited, "", "at random places: every page of a column changes"),
    ):
        frame = _table()
        with connect(folder / what[:12].replace("%", "")) as client:
            total = 0
            for version in range(5):
                frame = edit(frame, version) if version else frame
                total += client.data.commit("t", frame).size
            share = 100 * _bytes_in(client.backend.store.path("blobs")) / total
        yield Row(f"5 versions of a table, {what}", share, 100.0, "whole files", 100 / share, limit, "% stored", note)


def _checkpoints(folder: Path) -> Row:
    import numpy as np

    random = np.random.default_rng(SEED)
    weights = random.normal(size=25_000_000).astype("float32")
    with connect(folder / "weights") as client:
        total = 0
        for version in range(3):
            if version:
                weights[-len(weights) // 10 :] = random.normal(size=len(weights) // 10)
            weights.tofile(folder / "model.bin")
            total += client.data.commit("model", folder / "model.bin").size
        share = 100 * _bytes_in(client.backend.store.path("blobs")) / total
    return Row("3 checkpoints, 10% changed", share, 100.0, "whole files", 100 / share, "ours <= 45", "% stored")


PEAK = """
import json, re, sys, threading, time
peak = 0
def watch():  # memory of its own; files that are mapped for reading are the system's to take back
    global peak
    while True:
        peak = max(peak, int(re.search(r"RssAnon:\\s+(\\d+)", open("/proc/self/status").read())[1]))
        time.sleep(0.005)
threading.Thread(target=watch, daemon=True).start()
def megabytes():
    return peak / 1024
"""

PROGRAM = PEAK + """
import polars as pl
from mainspring.data.row_diff import diff_rows
before, after, key = pl.scan_parquet(sys.argv[1]), pl.scan_parquet(sys.argv[2]), sys.argv[3:]
began = time.perf_counter()
found = diff_rows(before, after, key=key)
print(json.dumps({"seconds": time.perf_counter() - began, "differ": found.added + found.removed + found.changed,
    "megabytes": megabytes()}))
"""

BY_HAND = PEAK + """
import duckdb
before, after = (f"read_parquet('{path}')" for path in sys.argv[1:3])
began = time.perf_counter()
duckdb.execute("SET memory_limit = '2GB'")
names = [name for name, *_ in duckdb.sql(f"SELECT * FROM {before}").description if name != "id"]
differs = " OR ".join(f"a.{name} IS DISTINCT FROM b.{name}" for name in names)
found = duckdb.sql(f"SELECT count(*) FILTER (a.id IS NULL OR b.id IS NULL OR {differs})"
    f" FROM {before} a FULL JOIN {after} b USING (id)").fetchall()[0][0]
print(json.dumps({"seconds": time.perf_counter() - began, "differ": found,
    "megabytes": megabytes()}))
"""


def _row_diff(folder: Path) -> Iterator[Row]:
    frame = _table(LARGE)
    paths = [folder / "before.parquet", folder / "after.parquet"]
    frame.write_parquet(paths[0])
    _moved(_edited(frame, 1), 2).write_parquet(paths[1])
    del frame
    hand = _run(BY_HAND, paths)
    for key in (["id"], []):
        ours = _run(PROGRAM, paths, key)
        if key and ours["differ"] != hand["differ"]:
            raise AssertionError(f"{ours['differ']} rows differ, and {hand['differ']} by hand")
        what = f"rows that differ of two tables of 10,000,000, {'by key' if key else 'without a key'}"
        peer = ("DuckDB, a join by hand", hand["seconds"] / ours["seconds"]) if key else ("", None)
        seconds = hand["seconds"] if key else None
        yield Row(what, ours["seconds"], seconds, *peer, "ours < 20", "s", "one process, reading included")
        peak = hand["megabytes"] if key else None
        yield Row(f"{what}: memory", ours["megabytes"], peak, peer[0], None, "ours < 2048", "MiB")


def _run(program: str, paths: list[Path], key: list[str] | None = None) -> dict[str, float]:
    command = [sys.executable, "-c", program, *map(str, paths), *(key or [])]
    answer = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    return json.loads(answer.strip().splitlines()[-1])


def _table(rows: int = ROWS) -> pl.DataFrame:
    import numpy as np

    random = np.random.default_rng(SEED)
    columns = {"id": np.arange(rows) * 7}
    columns |= {f"f{number}": random.normal(size=rows) for number in range(9)}
    columns |= {f"i{number}": random.integers(0, 10_000, rows) for number in range(6)}
    texts = [
        pl.Series(f"c{number}", random.integers(0, 50 * (number + 1), rows)).cast(pl.String) for number in range(4)
    ]
    return pl.DataFrame(columns).with_columns(texts)


def _moved(frame: pl.DataFrame, version: int) -> pl.DataFrame:
    place = frame.height // 2 + version * 1000
    new = frame.sample(1000, seed=version).with_columns(pl.col("id") * -1 - version)
    return pl.concat([frame[:place], new, frame[place + 500 :]])


def _edited(frame: pl.DataFrame, version: int) -> pl.DataFrame:
    chosen = pl.int_range(pl.len()).hash(version) % 500 == 0
    return frame.with_columns(
        pl.when(chosen).then(pl.col("f1") + 1).otherwise(pl.col("f1")).alias("f1"),
        pl.when(chosen).then(pl.lit("9")).otherwise(pl.col("c1")).alias("c1"),
    )


def _all_edited(frame: pl.DataFrame, version: int) -> pl.DataFrame:
    chosen = pl.int_range(pl.len()).hash(version) % 500 == 0
    names = [name for name in frame.columns if name != "id"]
    return frame.with_columns(
        pl.when(chosen).then(pl.col(name).shift(1)).otherwise(pl.col(name)).alias(name) for name in names
    )


def _bytes_in(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
