"""Media of a run read again, on the reader's machine."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING

from mainspring.kernel.errors import NotFound, nearest

if TYPE_CHECKING:
    import polars as pl

    from mainspring.tracking.service import Tracking
    from mainspring.tracking.types import RunFile

__all__ = ["read_output", "read_table"]


def read_table(tracking: Tracking, run_id: str, name: str, *, step: int | None = None) -> pl.DataFrame:
    """A table of a run; of one that was appended to, all of its parts in the order in which they were logged.

    Args:
        tracking: Where the run is.
        run_id: The run.
        name: As it was logged, with or without its ending.
        step: Which one of a series; its last when left out.
    """
    import polars as pl

    files = [each for each in tracking.files(run_id) if each.about.get("kind") == "table"]
    stem = name.rpartition(".")[0] if name.endswith((".parquet", ".csv", ".json")) else name
    parts = [each for each in files if each.key == stem and each.about.get("part")]
    series = [
        each for each in files if each.key in (name, stem) and each.step is not None and step in (None, each.step)
    ]
    single = [each for each in files if each.path in (name, f"{name}.parquet")]
    if parts:
        frames = [_read(tracking, run_id, each) for each in sorted(parts, key=lambda part: part.path)]
        return pl.concat(frames, how="diagonal_relaxed")
    if series:
        return _read(tracking, run_id, max(series, key=lambda each: each.step or 0))
    if single and step is None:
        return _read(tracking, run_id, single[0])
    wanted = name if step is None else f"{name} at step {step}"
    known = sorted({each.key or each.path for each in files})
    raise NotFound(f"run {run_id} has no table {wanted!r}", known=nearest(name, known))


def read_output(tracking: Tracking, run_id: str) -> str:
    """What the processes of a run have printed, each process after the other, its lines in order with their times."""
    files = [each for each in tracking.files(run_id, prefix="logs/") if each.about.get("kind") == "output"]
    ordered = sorted(files, key=lambda each: (each.key, each.step or 0))
    return "".join(b"".join(tracking.read_file(run_id, path=each.path)).decode(errors="replace") for each in ordered)


def _read(tracking: Tracking, run_id: str, file: RunFile) -> pl.DataFrame:
    import polars as pl

    data = io.BytesIO(b"".join(tracking.read_file(run_id, path=file.path)))
    if file.path.endswith(".csv"):
        return pl.read_csv(data)
    return pl.read_json(data) if file.path.endswith(".json") else pl.read_parquet(data)
