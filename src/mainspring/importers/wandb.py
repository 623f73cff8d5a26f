"""Importing runs of Weights & Biases from the folders that its client writes: `wandb/offline-run-*` and `wandb/run-*`.

config -> params          history -> metrics, media files by key and step       stats -> metrics under `system/`
summary -> tags, where it was set by hand           files, output.log -> files  logged artifacts -> artifacts
"""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mainspring.importers.types import ForeignArtifact, ForeignFile, ForeignRun, ImportReport
from mainspring.importers.values import file_of, flat, number_of, pieces, read_json, small_file
from mainspring.importers.wandb_log import Message, read_log
from mainspring.importers.writing import Progress, text_of, write_runs
from mainspring.kernel.errors import InvalidInput, NotFound
from mainspring.kernel.hashing import digest_bytes
from mainspring.lineage.types import RunStatus
from mainspring.tracking.chunks import Points

if TYPE_CHECKING:
    from mainspring.client.client import Client

__all__ = ["import_wandb", "read_run"]

# Fields of `Record` in W&B's wandb_internal.proto.
_HISTORY, _SUMMARY, _CONFIG, _FILES, _STATS, _ARTIFACT, _RUN, _EXIT, _ENVIRONMENT = 2, 3, 5, 6, 7, 8, 17, 18, 26
_OWN = ("_step", "_runtime", "_timestamp", "_wandb")


def import_wandb(client: Client, path: str | Path, *, progress: Progress | None = None) -> ImportReport:
    """Import every run under a folder, or of one `.wandb` file; what was imported before is left as it is.

    Args:
        client: Where to.
        path: A `.wandb` file, the folder of a run, or a folder with folders of runs in it.
        progress: Told how many runs are done, and of how many.

    Raises:
        NotFound: There is no log under the folder.
    """
    root = Path(path)
    logs = [root] if root.is_file() else sorted(root.rglob("run-*.wandb"))
    if not logs:
        raise NotFound(f"there is no W&B run under {root}", hint="the folder is called wandb/, beside the script")
    report = ImportReport("wandb")
    write_runs(client, map(read_run, logs), report, total=len(logs), progress=progress)
    return report


def read_run(log: Path) -> ForeignRun:
    """The run that a log tells of."""
    reading = _Reading(log)
    for record in read_log(log):
        reading.take(record)
    return reading.run()


class _Reading:
    """A run as its records come."""

    def __init__(self, log: Path) -> None:
        self.log = log
        self.head = Message(b"")
        self.config: dict[str, Any] = {}
        self.summary: dict[str, Any] = {}
        self.series: dict[str, Points] = {}
        self.texts: list[tuple[str, int, str]] = []
        self.media: list[tuple[str, int, dict[str, Any]]] = []
        self.paths: list[str] = []
        self.artifacts: list[Message] = []
        self.machine: dict[str, str] = {}
        self.exit_code: int | None = None
        self.last = 0.0
        self.statistics = 0

    def take(self, record: Message) -> None:
        if _HISTORY in record:
            self._take_history(record.message(_HISTORY))
        elif _STATS in record:
            self._take_statistics(record.message(_STATS))
        elif _SUMMARY in record:
            _update(self.summary, record.message(_SUMMARY))
        elif _CONFIG in record:
            _update(self.config, record.message(_CONFIG))
        elif _RUN in record:
            self.head = record.message(_RUN)
            _update(self.config, self.head.message(4))
        elif _FILES in record:
            self.paths += [each.text(1) for each in record.message(_FILES).messages(1)]
        elif _ARTIFACT in record:
            self.artifacts.append(record.message(_ARTIFACT))
        elif _ENVIRONMENT in record:
            self._take_environment(record.message(_ENVIRONMENT))
        elif _EXIT in record:
            self.exit_code = record.message(_EXIT).number(1)

    def run(self) -> ForeignRun:
        head = self.head
        if not head.text(1):
            raise InvalidInput(f"{self.log.name} names no run", hint="it was cut off before the run began")
        started = _moment(head.message(17))
        status: RunStatus = "running" if self.exit_code is None else "failed" if self.exit_code else "finished"
        finished = datetime.fromtimestamp(self.last, UTC) if self.last else started
        tags = dict.fromkeys(head.texts(10), "true") | self.machine
        tags |= {f"summary.{key}": text_of(value) for key, value in self._by_hand().items()}
        if job := head.text(7):
            tags["job_type"] = job
        if sweep := head.text(12):
            tags["sweep"] = sweep
        return ForeignRun(
            origin=f"wandb:{head.text(3)}/{head.text(1)}",
            experiment=head.text(3) or "uncategorized",
            title=head.text(8),
            status=status,
            started_at=started,
            finished_at=finished,
            fingerprint=digest_bytes(self.log.read_bytes()),
            group=head.text(6),
            note=head.text(9),
            params={key: value for key, value in self.config.items() if key not in _OWN},
            tags=tags,
            series=lambda: iter(self.series.items()),
            files=self._files,
            artifacts=self._artifacts,
        )

    def _take_history(self, record: Message) -> None:
        row: dict[str, Any] = {}
        _set_items(row, record.messages(1))
        step = int(row.get("_step", record.message(2).number(1)))
        at = float(row.get("_timestamp", self.last))
        self.last = max(self.last, at)
        for key, value in flat({key: each for key, each in row.items() if key not in _OWN}):
            if isinstance(value, dict):
                self.media.append((key, step, value))
            elif (number := number_of(value)) is not None:
                self.series.setdefault(key, Points()).add(step, round(at * 1e6), number)
            elif value is not None:
                self.texts.append((key, step, text_of(value)))

    def _take_statistics(self, record: Message) -> None:
        at = record.message(2).number(1) * 1_000_000 + record.message(2).number(2) // 1000
        for item in record.messages(3):
            number = number_of(read_json(item.text(16)))
            if number is not None:
                self.series.setdefault(f"system/{item.text(1)}", Points()).add(self.statistics, at, number)
        self.statistics += 1
        self.last = max(self.last, at / 1e6)

    def _take_environment(self, record: Message) -> None:
        known = {"os": 1, "python": 2, "program": 6, "host": 12, "user": 13, "gpu": 14, "cuda": 25}
        self.machine |= {f"machine.{name}": record.text(field) for name, field in known.items() if record.text(field)}
        if commit := record.message(9).text(2):
            self.machine["git.commit"] = commit

    def _by_hand(self) -> dict[str, Any]:
        """What the summary says beyond the last value of each metric."""
        said = flat({key: value for key, value in self.summary.items() if key not in _OWN})
        media = {key for key, *_ in self.media} | {key for key, *_ in self.texts}
        return {key: value for key, value in said if key not in self.series and key not in media}

    def _files(self) -> Iterator[ForeignFile]:
        folder = self.log.parent / "files"
        shown: dict[str, tuple[str, int | None]] = {}
        for key, step, value in self.media:
            if path := value.get("path"):
                shown[str(path)] = (key, step)
            else:
                path = f"media/{key}/{step}.json"
                yield small_file(json.dumps(value), path, media_type="application/json", key=key, step=step)
        for key, step, text in self.texts:
            yield small_file(text, f"media/{key}/{step}.txt", media_type="text/plain", key=key, step=step)
        found = {str(each.relative_to(folder)) for each in folder.rglob("*") if each.is_file()}
        for path in sorted(found | {each for each in self.paths if _inside(folder, each)}):
            if (file := folder / path).is_file():
                of = shown.get(path, ("", None))
                yield file_of(file, path, key=of[0], step=of[1])

    def _artifacts(self) -> Iterator[ForeignArtifact]:
        for record in self.artifacts:
            files = tuple(_entry(each) for each in record.message(12).messages(4))
            lost = [file.path for file in files if file.size is None]
            if lost:
                continue
            yield ForeignArtifact(
                record.text(4).replace("_", "-"),
                record.text(5),
                files,
                read_json(record.text(8)) or {},
                tuple(alias for alias in record.texts(11) if alias != "latest"),
            )


def _entry(entry: Message) -> ForeignFile:
    """A file of an artifact; its size is None where its bytes are not on this machine, or are not the ones logged."""
    file = Path(entry.text(6)) if entry.text(6) else None
    here = file is not None and file.is_file() and _md5(file) == entry.text(2)
    if file is None or not here:
        return ForeignFile(entry.text(1), None, list)
    return file_of(file, entry.text(1))


def _update(into: dict[str, Any], record: Message) -> None:
    _set_items(into, record.messages(1))
    for item in record.messages(2):
        into.pop(item.text(1), None)


def _set_items(into: dict[str, Any], items: list[Message]) -> None:
    """Items of config, summary and history: `key` = 1, `nested_key` = 2, `value_json` = 16."""
    for item in items:
        path = item.texts(2) or [item.text(1)]
        place = into
        for part in path[:-1]:
            inner = place.get(part)
            place[part] = place = inner if isinstance(inner, dict) else {}
        place[path[-1]] = read_json(item.text(16))


def _moment(stamp: Message) -> datetime:
    return datetime.fromtimestamp(stamp.number(1) + stamp.number(2) / 1e9, UTC)


def _inside(folder: Path, path: str) -> bool:
    return (folder / path).resolve().is_relative_to(folder.resolve())


def _md5(file: Path) -> str:
    hashing = hashlib.md5(usedforsecurity=False)  # what W&B's manifests hold
    for piece in pieces(file):
        hashing.update(piece)
    return base64.b64encode(hashing.digest()).decode()
