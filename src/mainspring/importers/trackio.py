"""Importing Trackio's projects from its folder: one SQLite database for each project, media files beside it.

configs -> params       metrics -> metrics; tables, images and the like as files by key and step
system_metrics -> metrics under `system/`       alerts -> files
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mainspring.importers.types import ForeignFile, ForeignRun, ImportReport
from mainspring.importers.values import file_of, flat, number_of, small_file
from mainspring.importers.writing import Progress, text_of, write_runs
from mainspring.kernel.clock import to_micros
from mainspring.kernel.errors import NotFound, UnsupportedFormat
from mainspring.kernel.hashing import digest_value
from mainspring.tracking.chunks import Points

if TYPE_CHECKING:
    from mainspring.client.client import Client

__all__ = ["import_trackio", "read_project"]


def import_trackio(client: Client, path: str | Path = "", *, progress: Progress | None = None) -> ImportReport:
    """Import one project (`<project>.db`) or every project of a folder; what was imported before is left as it is.

    Args:
        client: Where to.
        path: The database or the folder; Trackio's own folder when left out.
        progress: Told how many runs are done, and of how many.

    Raises:
        NotFound: There is no such database.
        UnsupportedFormat: It is not one of Trackio's.
    """
    root = Path(path) if path else Path("~/.cache/huggingface/trackio").expanduser()
    databases = [root] if root.is_file() else sorted(root.glob("*.db"))
    if not databases:
        raise NotFound(f"there is no Trackio project in {root}", hint="give the folder in TRACKIO_DIR")
    report = ImportReport("trackio")
    runs = [run for database in databases for run in read_project(database)]
    write_runs(client, runs, report, total=len(runs), progress=progress)
    return report


def read_project(database: Path) -> Iterator[ForeignRun]:
    """The runs of a project; their histories are read when they are asked for."""
    rows = _rows(
        database,
        "SELECT run_id, min(run_name), min(timestamp), max(timestamp), count(*), max(id) FROM metrics"
        " GROUP BY run_id ORDER BY 3",
    )
    configs = {run_id: _json(config) for run_id, config in _rows(database, "SELECT run_id, config FROM configs")}
    for run_id, name, first, last, count, newest in rows:
        config = configs.get(run_id, {})
        params = {key: value for key, value in config.items() if not key.startswith("_")}
        reading = _Reading(database, run_id)
        yield ForeignRun(
            origin=f"trackio:{database.stem}/{run_id}",
            experiment=database.stem,
            title=name,
            status="finished",  # Trackio keeps no state of a run
            started_at=_moment(first),
            finished_at=_moment(last),
            fingerprint=digest_value("trackio", [run_id, count, newest, text_of(config)]),
            user=str(config.get("_Username") or ""),
            group=str(config.get("_Group") or ""),
            params=params,
            series=reading.series,
            files=reading.files,
        )


class _Reading:
    """The history of one run."""

    def __init__(self, database: Path, run_id: str) -> None:
        self._database = database
        self._run_id = run_id

    def series(self) -> Iterator[tuple[str, Points]]:
        found: dict[str, Points] = {}
        for step, at, key, value in self._values():
            number = number_of(value)
            if number is not None:
                found.setdefault(key, Points()).add(step, at, number)
        for step, (at, text) in enumerate(self._of("system_metrics", "timestamp, metrics")):
            for key, value in flat(_json(text)):
                number = number_of(value)
                if number is not None:
                    found.setdefault(f"system/{key}", Points()).add(step, to_micros(_moment(at)), number)
        yield from found.items()

    def files(self) -> Iterator[ForeignFile]:
        media = self._database.parent / "media"
        for step, _, key, value in self._values():
            if value is None or number_of(value) is not None:
                continue
            path = value.get("file_path") if isinstance(value, dict) else None
            if path and (file := (media / str(path)).resolve()).is_file() and file.is_relative_to(media.resolve()):
                yield file_of(file, f"media/{key}/{step}{file.suffix}", key=key, step=step)
            elif isinstance(value, str):
                yield small_file(value, f"media/{key}/{step}.txt", media_type="text/plain", key=key, step=step)
            else:
                path = f"media/{key}/{step}.json"
                yield small_file(json.dumps(value), path, media_type="application/json", key=key, step=step)
        alerts = self._of("alerts", "timestamp, level, title, text, step")
        if alerts:
            names = ("at", "level", "title", "text", "step")
            body = json.dumps([dict(zip(names, each, strict=True)) for each in alerts], indent=1)
            yield small_file(body, "alerts.json", media_type="application/json")

    def _values(self) -> Iterator[tuple[int, int, str, Any]]:
        for step, at, text in self._of("metrics", "step, timestamp, metrics"):
            moment = to_micros(_moment(at))
            for key, value in flat(_json(text)):
                yield step, moment, key, value

    def _of(self, table: str, columns: str) -> list[tuple[Any, ...]]:
        query = f"SELECT {columns} FROM {table} WHERE run_id = ? ORDER BY id"  # noqa: S608 -- names of our own
        return _rows(self._database, query, (self._run_id,))


def _rows(database: Path, query: str, params: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    import apsw

    try:
        connection = apsw.Connection(str(database), flags=apsw.SQLITE_OPEN_READONLY)
        try:
            return list(connection.execute(query, params))
        finally:
            connection.close()
    except apsw.Error as error:
        raise UnsupportedFormat(f"{database.name} cannot be read as a project of Trackio: {error}") from error


def _json(data: bytes | str) -> dict[str, Any]:
    found = json.loads(data)
    return found if isinstance(found, dict) else {}


def _moment(text: str) -> datetime:
    found = datetime.fromisoformat(text)
    return found if found.tzinfo else found.replace(tzinfo=UTC)
