"""Importing what neptune-exporter wrote: Parquet with one row for each value, and a folder of files beside it.

The columns are those of its SCHEMA: `project_id`, `run_id`, `attribute_path`, `attribute_type`, `step` (decimal),
`timestamp`, and one `*_value` for each type. Neptune's own namespace `sys/` says what a run is called and how it ended.

    float, int, string, bool, datetime -> params        string_set -> tags           float_series -> metrics
    string_series -> one text file a series             file, file_series, histogram_series -> files
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mainspring.importers.types import ForeignFile, ForeignRun, ImportReport
from mainspring.importers.values import file_of, small_file
from mainspring.importers.writing import Progress, write_runs
from mainspring.kernel.errors import InvalidInput, NotFound, UnsupportedFormat
from mainspring.kernel.hashing import digest_value
from mainspring.tracking.chunks import Points

if TYPE_CHECKING:
    import polars as pl

    from mainspring.client.client import Client

__all__ = ["import_neptune"]

_SINGLE = {
    "float": "float_value",
    "int": "int_value",
    "string": "string_value",
    "bool": "bool_value",
    "datetime": "datetime_value",
}
_NEEDED = ("project_id", "run_id", "attribute_path", "attribute_type", "step", "timestamp")


def import_neptune(
    client: Client,
    path: str | Path,
    *,
    files: str | Path = "",
    step_multiplier: int = 1,
    progress: Progress | None = None,
) -> ImportReport:
    """Import every run of an export; what was imported before is left as it is.

    Args:
        client: Where to.
        path: The export's folder of Parquet files (`--data-path`), or the one above it that has `data` and `files`.
        files: The export's folder of files (`--files-path`); found beside the data when left out.
        step_multiplier: Neptune's steps are decimals, ours are whole numbers: each step is multiplied by this.
        progress: Told how many runs are done, and of how many.

    Raises:
        NotFound: There is no Parquet file.
        InvalidInput: A step times the multiplier is no whole number.
    """
    root = Path(path)
    data = root / "data" if (root / "data").is_dir() else root
    folder = Path(files) if files else (root if root != data else root.parent) / "files"
    parts: dict[tuple[Path, str], list[Path]] = {}
    for part in sorted(data.rglob("*.parquet")):
        parts.setdefault((part.parent, part.stem.rpartition("_part_")[0] or part.stem), []).append(part)
    if not parts:
        raise NotFound(f"there is no Parquet file under {root}", hint="neptune-exporter export --data-path FOLDER")
    report = ImportReport("neptune")
    exports = [_Export(each, folder, step_multiplier) for each in parts.values()]
    known = {export.run_id: export for export in exports}
    exports.sort(key=lambda export: _depth(export, known))
    write_runs(client, (export.run() for export in exports), report, total=len(exports), progress=progress)
    return report


class _Export:
    """The rows of one run."""

    def __init__(self, parts: Sequence[Path], folder: Path, multiplier: int) -> None:
        self._parts = parts
        self._folder = folder
        self._multiplier = multiplier

    @cached_property
    def _rows(self) -> pl.DataFrame:
        import polars as pl

        try:
            rows = pl.concat([pl.read_parquet(part) for part in self._parts], how="diagonal_relaxed")
        except pl.exceptions.PolarsError as error:
            raise UnsupportedFormat(f"{self._parts[0].name} cannot be read: {error}") from error
        if lacking := [name for name in _NEEDED if name not in rows.columns]:
            raise UnsupportedFormat(f"{self._parts[0].name} is no export of Neptune: it lacks {', '.join(lacking)}")
        return rows

    @cached_property
    def _single(self) -> dict[str, Any]:
        """Every attribute with one value."""
        found: dict[str, Any] = {}
        for kind, column in _SINGLE.items():
            if column in self._rows.columns:
                rows = self._rows.filter(self._rows["attribute_type"] == kind)
                found |= dict(zip(rows["attribute_path"], rows[column], strict=True))
        return found

    @property
    def run_id(self) -> str:
        """Neptune's id of the run."""
        return str(self._rows["run_id"][0])

    @property
    def parent(self) -> str:
        """Neptune's id of the run that it was forked from, or an empty text."""
        return str(self._single.get("sys/forking/parent") or "")

    def run(self) -> ForeignRun:
        said = self._single
        project = str(self._rows["project_id"][0])
        started, finished = _time(said.get("sys/creation_time")), _time(said.get("sys/modification_time"))
        tags = {tag: "true" for path in ("sys/tags", "sys/group_tags") for tag in self._set(path)}
        return ForeignRun(
            origin=f"neptune:{project}/{self.run_id}",
            experiment=project,
            title=str(said.get("sys/name") or said.get("sys/custom_run_id") or self.run_id),
            status="failed" if said.get("sys/failed") else "finished",
            started_at=started or datetime.fromtimestamp(0, UTC),
            finished_at=finished or started,
            fingerprint=digest_value("neptune", [self.run_id, self._rows.height, str(finished)]),
            user=str(said.get("sys/owner") or ""),
            note=str(said.get("sys/description") or ""),
            parent_origin=f"neptune:{project}/{self.parent}" if self.parent else "",
            params={path: value for path, value in said.items() if not path.startswith("sys/")},
            tags=tags | {"neptune.id": str(said.get("sys/id") or self.run_id)},
            series=self._series,
            files=self._files,
            deleted=bool(said.get("sys/trashed")),
        )

    def _series(self) -> Iterator[tuple[str, Points]]:
        import polars as pl

        rows = self._rows.filter(pl.col("attribute_type") == "float_series")
        for (path,), points in rows.group_by("attribute_path", maintain_order=True):
            steps = [self._step(step) for step in points["step"]]
            times = points["timestamp"].dt.timestamp("us").fill_null(0)
            yield str(path), Points(steps, times, points["float_value"].fill_null(float("nan")))

    def _files(self) -> Iterator[ForeignFile]:
        for row in self._of("file"):
            if file := self._file(row):
                yield file_of(file, str(row["attribute_path"]))
        for row in self._of("file_series"):
            if file := self._file(row):
                path, step = str(row["attribute_path"]), self._step(row["step"])
                yield file_of(file, f"media/{path}/{step}{file.suffix}", key=path, step=step)
        for row in self._of("histogram_series"):
            path, step = str(row["attribute_path"]), self._step(row["step"])
            body = json.dumps(row["histogram_value"])
            yield small_file(body, f"media/{path}/{step}.json", media_type="application/json", key=path, step=step)
        texts: dict[str, list[str]] = {}
        for row in self._of("string_series"):
            texts.setdefault(str(row["attribute_path"]), []).append(str(row["string_value"]))
        for path, lines in texts.items():
            yield small_file("\n".join(lines) + "\n", f"text/{path}.txt", media_type="text/plain")

    def _of(self, kind: str) -> Iterator[dict[str, Any]]:
        return self._rows.filter(self._rows["attribute_type"] == kind).iter_rows(named=True)

    def _set(self, path: str) -> list[str]:
        rows = self._rows.filter(self._rows["attribute_path"] == path)
        return [str(each) for value in rows["string_set_value"].to_list() for each in value or []]

    def _file(self, row: dict[str, Any]) -> Path | None:
        path = (row.get("file_value") or {}).get("path")
        file = (self._folder / str(path)).resolve() if path else None
        inside = file is not None and file.is_relative_to(self._folder.resolve()) and file.is_file()
        return file if inside else None

    def _step(self, step: Any) -> int:
        scaled = step * self._multiplier
        if scaled != int(scaled):
            raise InvalidInput(
                f"step {step} of run {self.run_id} is no whole number", hint="give a --step-multiplier, such as 1000"
            )
        return int(scaled)


def _depth(export: _Export, known: dict[str, _Export]) -> int:
    """How many forks lead to a run: parents are written first. A circle, which cannot be, ends."""
    depth, seen = 0, set[str]()
    while (parent := known.get(export.parent)) is not None and export.parent not in seen:
        seen.add(export.parent)
        export, depth = parent, depth + 1
    return depth


def _time(value: Any) -> datetime | None:
    if not isinstance(value, datetime):
        return None
    return value if value.tzinfo else value.replace(tzinfo=UTC)
