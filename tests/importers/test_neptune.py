"""The exporter reads a service that has been switched off, so the data is made here, to the exporter's own schema."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal

import polars as pl
import pytest

from mainspring.importers import import_neptune
from mainspring.kernel.errors import NotFound, UnsupportedFormat

pytestmark = pytest.mark.databases("sqlite")

MOMENT = datetime(2025, 11, 3, 12, tzinfo=UTC)
SCHEMA = {
    "project_id": pl.String,
    "run_id": pl.String,
    "attribute_path": pl.String,
    "attribute_type": pl.String,
    "step": pl.Decimal(18, 6),
    "timestamp": pl.Datetime("ms", "UTC"),
    "int_value": pl.Int64,
    "float_value": pl.Float64,
    "string_value": pl.String,
    "bool_value": pl.Boolean,
    "datetime_value": pl.Datetime("ms", "UTC"),
    "string_set_value": pl.List(pl.String),
    "file_value": pl.Struct({"path": pl.String}),
    "histogram_value": pl.Struct({"type": pl.String, "edges": pl.List(pl.Float64), "values": pl.List(pl.Float64)}),
}


def row(run, path, kind, *, step=None, **values):
    return {
        "project_id": "team/flights",
        "run_id": run,
        "attribute_path": path,
        "attribute_type": kind,
        "step": None if step is None else Decimal(str(step)),
        "timestamp": MOMENT if step is not None else None,
        **values,
    }


def export(root, run, rows, *, steps=range(5)):
    rows = [
        row(run, "sys/creation_time", "datetime", datetime_value=MOMENT),
        row(run, "sys/name", "string", string_value=f"named {run}"),
        *rows,
        *[row(run, "loss", "float_series", step=step, float_value=1 / (i + 1)) for i, step in enumerate(steps)],
    ]
    folder = root / "data" / "team_flights_0a1b"
    folder.mkdir(parents=True, exist_ok=True)
    half = len(rows) // 2
    for number, part in enumerate((rows[:half], rows[half:])):
        complete = [{name: each.get(name) for name in SCHEMA} for each in part]
        pl.DataFrame(complete, schema=SCHEMA).write_parquet(folder / f"{run}_part_{number}.parquet")


@pytest.fixture
def exported(tmp_path):
    (tmp_path / "files" / "team_flights_0a1b").mkdir(parents=True)
    (tmp_path / "files" / "team_flights_0a1b" / "plot.png").write_bytes(b"\x89PNG")
    path = {"path": "team_flights_0a1b/plot.png"}
    export(
        tmp_path,
        "RUN-2",
        [
            row("RUN-2", "sys/forking/parent", "string", string_value="RUN-10"),
            row("RUN-2", "params/lr", "float", float_value=0.1),
            row("RUN-2", "params/depth", "int", int_value=6),
            row("RUN-2", "sys/tags", "string_set", string_set_value=["good", "old"]),
            row("RUN-2", "plots/first", "file", file_value=path),
            row("RUN-2", "plots/each", "file_series", step=3, file_value=path),
            row("RUN-2", "plots/evil", "file", file_value={"path": "../../secret"}),
            row("RUN-2", "log", "string_series", step=0, string_value="line one"),
            row("RUN-2", "log", "string_series", step=1, string_value="line two"),
            row(
                "RUN-2",
                "dist",
                "histogram_series",
                step=0,
                histogram_value={"type": "COUNTING", "edges": [0.0, 1.0], "values": [3.0]},
            ),
        ],
    )
    export(tmp_path, "RUN-10", [row("RUN-10", "sys/failed", "bool", bool_value=True)])
    (tmp_path / "secret").write_text("not theirs")
    return tmp_path


def test_an_export_is_the_same_here(client, exported):
    report = import_neptune(client, exported)
    assert (report.problems, report.runs, report.points) == ([], 2, 10)
    found = {run.tags["neptune.id"]: run for run in client.tracking.search(experiments=["team/flights"]).runs}
    run, parent = found["RUN-2"], found["RUN-10"]
    assert (run.title, run.run.started_at, parent.status) == ("named RUN-2", MOMENT, "failed")
    assert run.run.parent_id == parent.id
    assert run.params == {"params/lr": 0.1, "params/depth": 6}
    assert (run.tags["good"], run.tags["old"]) == ("true", "true")
    assert client.tracking.history(run.id, "loss")["value"].to_list() == [1 / (step + 1) for step in range(5)]
    files = {file.path: file for file in client.tracking.files(run.id)}
    assert set(files) == {"plots/first", "media/plots/each/3.png", "media/dist/0.json", "text/log.txt"}
    assert (files["media/plots/each/3.png"].key, files["media/plots/each/3.png"].step) == ("plots/each", 3)
    assert b"".join(client.tracking.read_file(run.id, path="text/log.txt")) == b"line one\nline two\n"
    assert (import_neptune(client, exported).unchanged) == 2


def test_decimal_steps_need_a_multiplier(client, tmp_path):
    export(tmp_path, "RUN-1", [], steps=[0, 0.5, 1])
    report = import_neptune(client, tmp_path)
    assert "--step-multiplier" not in report.problems[0]
    assert "no whole number" in report.problems[0]
    assert import_neptune(client, tmp_path, step_multiplier=1000).problems == []
    (run,) = client.tracking.search(experiments=["team/flights"]).runs
    assert client.tracking.history(run.id, "loss")["step"].to_list() == [0, 500, 1000]


def test_what_is_no_export_is_refused(client, tmp_path):
    with pytest.raises(NotFound):
        import_neptune(client, tmp_path)
    pl.DataFrame({"a": [1]}).write_parquet(tmp_path / "x.parquet")
    with pytest.raises(UnsupportedFormat, match="lacks project_id"):
        import_neptune(client, tmp_path)
