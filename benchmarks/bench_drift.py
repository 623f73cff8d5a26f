"""Drift of a million rows beside a million, from the data and from stored profiles, beside Evidently; CPU seconds."""

from __future__ import annotations

import tempfile
from collections.abc import Iterable
from pathlib import Path

from bench_profiles import cpu, table
from peers import find_peer, run_peer
from row import Row

from mainspring.quality.drift.compare import drift
from mainspring.quality.drift.frames import compare_tables
from mainspring.quality.profiles.build import profile_frame
from mainspring.quality.profiles.types import Profile

EVIDENTLY = """
import json, time
import pandas as pd
from evidently import DataDefinition, Dataset, Report
from evidently.presets import DataDriftPreset
names = [f"f{k}" for k in range(10)] + [f"i{k}" for k in range(5)]
kinds = [f"c{k}" for k in range(4)]
definition = DataDefinition(numerical_columns=names, categorical_columns=kinds)
frames = [pd.read_parquet(f"{name}.parquet", columns=names + kinds) for name in ("current", "reference")]
start = time.process_time()
report = Report([DataDriftPreset()]).run(*(Dataset.from_pandas(each, data_definition=definition) for each in frames))
report.dict()
print(json.dumps({"cpu": time.process_time() - start}))
"""


def rows() -> Iterable[Row]:
    """The benchmark."""
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        one, two = table(1), table(2, shift=0.1)
        one.write_parquet(folder / "reference.parquet")
        two.write_parquet(folder / "current.parquet")
        theirs, version = None, "evidently 0.7.23"
        found = find_peer("evidently", "evidently==0.7.23", "pandas<3", "pyarrow")
        if found is not None:
            python, version = found
            theirs = run_peer(python, EVIDENTLY, cwd=folder)["cpu"]
        columns = [name for name in one.columns if name != "id"]
        sides = one.select(columns), two.select(columns)
        own = cpu(lambda: compare_tables(*sides), times=2)
        yield Row(
            "drift of 19 columns, 1M rows beside 1M, from the data", own, theirs, version,
            theirs / own if theirs else None, "ratio >= 10", "CPU s",
            note="Both profiles are taken in it; with the profile of the reference kept it is half.",
        )  # fmt: skip
        own = cpu(lambda: compare_tables(*sides, rules="evidently"), times=1)
        yield Row(
            "the same by Evidently's rules", own, theirs, version, theirs / own if theirs else None, unit="CPU s",
            note="The same tests, scores and verdicts as Evidently's.",
        )  # fmt: skip
        stored = [profile_frame(each, correlations=False).to_bytes() for each in (one, two)]
        taken = cpu(lambda: drift(*map(Profile.from_bytes, stored)), times=5)
        yield Row("drift of 20 columns from two stored profiles", taken * 1000, limit="ours < 100", unit="CPU ms")
        report = drift(*map(Profile.from_bytes, stored))
        yield Row("its page", len(report.to_html()) / 1000, limit="ours < 500", unit="kB")
