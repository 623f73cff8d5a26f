"""What a run keeps beside numbers: texts, tables, figures, images, sounds, distributions, pages, files, folders.

Every method takes a name, and with `step=` the value is one of a series under that name: an image per epoch is looked
at with a slider. Up to 8 MiB the bytes go into the spool and the call returns, like a call of `log`; they outlive
`kill -9`. What is larger is copied beside it, and waits there.
"""

from __future__ import annotations

import math
import os
import uuid
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from mainspring.kernel.clock import now_micros
from mainspring.kernel.errors import InvalidInput
from mainspring.kernel.hooks import load
from mainspring.kernel.ids import new_id
from mainspring.tracking.companions import Companions
from mainspring.tracking.media import Audio, Figure, Histogram, Html, Image, Json, Media, Table, Text, Video, as_media
from mainspring.tracking.params import check_key
from mainspring.tracking.paths import check_path
from mainspring.tracking.types import FileRecord, PointsRecord
from mainspring.tracking.upload import digest_files, folder_files, pieces, together, upload

if TYPE_CHECKING:
    from mainspring.lineage.types import Artifact
    from mainspring.tracking.service import Tracking
    from mainspring.tracking.types import Record

__all__ = ["MediaLogging"]

_ENDINGS = {
    *(".bmp", ".csv", ".flac", ".gif", ".htm", ".html", ".jpeg", ".jpg", ".json", ".jsonl", ".log", ".md", ".mov"),
    *(".mp3", ".mp4", ".ogg", ".parquet", ".pdf", ".png", ".py", ".rst", ".sql", ".svg", ".toml", ".tsv", ".txt"),
    *(".wav", ".webm", ".webp", ".xml", ".yaml", ".yml"),
}
"""What ends the name of a file; anything else after a dot is a part of the name."""

_FRESH = 0.5
"""Seconds: a run that is older when it begins here was begun elsewhere, or before, and what this process prints must
not replace what another one did."""

_SMALL = 8 << 20
"""Bytes of the largest file that waits in the spool; a larger one waits beside it."""

_MODELS = "mainspring.models.service:Models"
_WATCH = "mainspring.autologging.torch_watch:watch"


class MediaLogging:
    """The part of an active run that logs media. What has it gives `id`, `_tracking`, `_pid` and `_write`."""

    id: str
    _main: bool = True
    _pid: int
    _tracking: Tracking

    def _write(self, record: Record) -> None:
        raise NotImplementedError

    def _write_large(self, record: FileRecord, content: bytes | Path) -> None:
        raise NotImplementedError

    def flush(self, *, timeout: float = 30.0) -> None:
        """Return when all that was logged before is durable in the store."""
        raise NotImplementedError

    def log_media(self, value: Any, name: str, *, step: int | None = None) -> None:
        """Keep a value of any kind of media, a figure, an image of Pillow or a frame; or a list of them.

        Args:
            value: `ms.Image(...)`, `ms.Table(...)`, ... , or what one is made of.
            name: Under which name. Its ending is added where it has none.
            step: The value is one of a series under `name`.
        """
        found = as_media(value)
        if found is None:
            raise InvalidInput(
                f"{type(value).__name__} is no media", hint="ms.Image, Table, Audio, Histogram, Html, Text, Json, Video"
            )
        for number, each in enumerate(found):
            self._log_one(each, name, step=step, number=number if len(found) > 1 else None)

    def log_text(self, text: str, name: str, *, step: int | None = None) -> None:
        """Keep a text."""
        self._log_one(Text(text), name, step=step)

    def log_dict(self, value: Any, name: str, *, step: int | None = None) -> None:
        """Keep a mapping or a list as JSON."""
        self._log_one(Json(value), name, step=step)

    def log_html(self, source: str | os.PathLike[str], name: str, *, step: int | None = None) -> None:
        """Keep a page: its text or the path of its file."""
        self._log_one(Html(source), name, step=step)

    def log_figure(self, figure: Any, name: str, *, step: int | None = None, caption: str = "") -> None:
        """Keep a figure: of Matplotlib (`name.png`, `.svg`, `.pdf`), of Plotly (`name.html`, `.json`), or SVG text."""
        self._log_one(Figure(figure, caption=caption), name, step=step)

    def log_image(self, image: Any, name: str, *, step: int | None = None, caption: str = "") -> None:
        """Keep an image: an array, a tensor, an image of Pillow, a file; see `Image`."""
        self._log_one(Image(image, caption=caption), name, step=step)

    def log_audio(
        self, sound: Any, name: str, *, rate: int = 44_100, step: int | None = None, caption: str = ""
    ) -> None:
        """Keep a sound: samples with their rate, or a file; see `Audio`."""
        self._log_one(Audio(sound, rate=rate, caption=caption), name, step=step)

    def log_video(
        self, video: Any, name: str, *, rate: float = 8.0, step: int | None = None, caption: str = ""
    ) -> None:
        """Keep a video: a file, or frames that become a GIF; see `Video`."""
        self._log_one(Video(video, rate=rate, caption=caption), name, step=step)

    def log_histogram(self, values: Any, name: str, *, bins: int = 64, step: int | None = None) -> None:
        """Keep a distribution: of numbers, or a pair of counts and edges as `numpy.histogram` gives it."""
        is_pair = isinstance(values, tuple) and len(values) == 2 and len(values[1]) == len(values[0]) + 1
        made = Histogram(counts=values[0], edges=values[1]) if is_pair else Histogram(values, bins=bins)
        self._log_one(made, name, step=step)

    def log_table(
        self,
        table: Any,
        name: str,
        *,
        columns: Sequence[str] | None = None,
        step: int | None = None,
        append: bool = False,
    ) -> None:
        """Keep a table: a frame of polars, pandas or Arrow, a list of mappings, rows with `columns`.

        Args:
            table: The rows; see `Table`.
            name: Under which name. `name.csv` and `name.json` are kept as such, everything else as Parquet.
            columns: The names of the columns, where the rows have none.
            step: The table is one of a series.
            append: The rows come after those that were appended to `name` before. Each call is a part of its own;
                `client.tracking.read_table(run_id, name)` puts the parts together.
        """
        made = table if isinstance(table, Table) else Table(table, columns=columns)
        if append and step is not None:
            raise InvalidInput("a table is appended to, or one of a series by its step, not both")
        if not append:
            self._log_one(made, name, step=step)
            return
        stem = Path(name).with_suffix("").as_posix()
        encoded = made.encode()
        # The id rises with time, so that the parts of many processes stand in the order of their calls.
        path = f"{stem}/part-{new_id()}{encoded.suffix}"
        self._keep(path, encoded.data, media_type=encoded.media_type, key=stem, about={**encoded.about, "part": True})

    def log_file(self, path: str | os.PathLike[str], *, name: str = "", step: int | None = None) -> None:
        """Keep a file, under `name` or its own."""
        file = Path(path)
        if not file.is_file():
            raise InvalidInput(f"{file} cannot be read: no such file", hint="log_folder takes a folder")
        target = name or file.name
        if step is None:
            self._keep(target, file)
        else:
            stem, suffix = os.path.splitext(target)  # noqa: PTH122 -- a name with slashes, not a path of this machine
            self._keep(f"{stem}/{step}{suffix}", file, key=target, step=step)

    def log_folder(self, folder: str | os.PathLike[str], *, name: str = "") -> int:
        """Keep every file of a folder, with their paths under `name`; how many. All are in the store when this returns.

        They are sent several at a time; on a terminal with a progress bar.
        """
        root = Path(folder)
        files = folder_files(root)
        prefix = f"{name.strip('/')}/" if name else ""

        def put(path: str) -> None:
            self._tracking.put_file(self.id, path=prefix + path, body=pieces(root / path))

        together(put, files, what=f"logging {root.name}")
        return len(files)

    def log_artifact(
        self,
        path: str | os.PathLike[str],
        *,
        name: str = "",
        kind: str = "artifact",
        metadata: Mapping[str, Any] | None = None,
        aliases: Iterable[str] = (),
    ) -> Artifact:
        """Keep a file or a folder as the next version of an artifact that this run made: `kind/name@version`.

        Files are hashed once, and only bytes that the store has not got are sent.
        """
        source = Path(path)
        root: Path
        if source.is_dir():
            root, names = source, folder_files(source)
        elif source.is_file():
            root, names = source.parent, [source.name]
        else:
            raise InvalidInput(f"{source} cannot be read: no such file or folder")
        files = upload(self._tracking, root, digest_files(root, names))
        return self._tracking.log_artifact(
            self.id,
            kind=kind,
            name=name or source.stem,
            files=files,
            metadata=dict(metadata or {}),
            aliases=list(aliases),
        )

    def log_model(
        self,
        model: Any,
        name: str,
        *,
        example: Any = None,
        metrics: Mapping[str, float] | None = None,
        format: str = "",  # noqa: A002 -- the word of the field, and only ever given by name
        description: str = "",
        tags: Mapping[str, str] | None = None,
    ) -> Any:
        """Register a fitted model as the next version of `name`, made by this run; the version.

        Args:
            model: A fitted estimator, pipeline, booster or network; see `client.models.log_model`, which takes more.
            name: The model's name in the registry.
            example: Real rows of its inputs: the signature is read off them, the parity of its graph measured.
            metrics: Figures of this version; those that this run has logged last, when left out.
            format: One of the formats of models; chosen by the model's kind when left out.
            description: In words.
            tags: Free labels of the version.
        """
        figures = self._figures() if metrics is None else dict(metrics)
        return load(_MODELS)(self._tracking._backend).log_model(  # noqa: SLF001 -- the rooms of one client share it
            name,
            model,
            example=example,
            run_id=self.id,
            metrics=figures,
            format=format,
            description=description,
            tags=tags,
        )

    def watch(self, model: Any, *, every: int = 100, gradients: bool = True, parameters: bool = True) -> None:
        """Keep histograms of a PyTorch module's gradients and parameters, every so many backward passes."""
        load(_WATCH)(self, model, every=every, gradients=gradients, parameters=parameters)

    def _figures(self) -> dict[str, float]:
        """What the run has logged last, of what is about the model."""
        self.flush()
        found = self._tracking.metrics(self.id)
        return {key: value for key, value in found.items() if math.isfinite(value) and not key.startswith("system/")}

    def _begin_companions(self, *, console: bool | str, system: bool | float) -> None:
        """Listen to what is printed, look at the machine; nothing of it can stop a run from beginning."""
        self._companions: Companions | None = None
        if console or system:
            age = _age(self.id)
            self._companions = Companions(
                self._keep,
                self._log_quietly,
                console=console,
                system=system,
                elapsed=age,
                main=self._main and age < _FRESH,
                folder=getattr(getattr(self._tracking._backend, "store", None), "folder", None),  # noqa: SLF001
            )

    def _end_companions(self, error: BaseException | None = None) -> None:
        companions, self._companions = self._companions, None
        if companions is not None and os.getpid() == self._pid:
            companions.stop(error)

    def _log_quietly(self, step: int, values: Mapping[str, float]) -> None:
        """Log without counting the program's own steps on."""
        self._write(PointsRecord(step, now_micros(), dict(values)))

    def _log_one(self, value: Media, name: str, *, step: int | None, number: int | None = None) -> None:
        stem, suffix = os.path.splitext(name)  # noqa: PTH122 -- a name with slashes, not a path of this machine
        if suffix.lower() not in _ENDINGS:
            stem, suffix = name, ""  # "layers.0.weight" and "loss at 0.5" have none
        if isinstance(value, Table) and (cells := value.cells()):
            value = value.replaced(self._log_cells(cells, f"{stem}/{step}" if step is not None else stem))
        encoded = value.encode(suffix)
        about = encoded.about if number is None else {**encoded.about, "index": number}
        ending = suffix if step is None and suffix else encoded.suffix
        if step is None:
            path = f"{stem}{'' if number is None else f'-{number}'}{ending}"
        else:
            path = f"{stem}/{step}{'' if number is None else f'-{number}'}{encoded.suffix}"
        self._keep(
            path,
            encoded.data,
            media_type=encoded.media_type,
            key=name if step is not None or not encoded.data else "",
            step=step,
            about=about,
        )

    def _log_cells(self, cells: Sequence[tuple[int, str, Media]], stem: str) -> dict[tuple[int, str], str]:
        paths = {}
        for row, column, value in cells:
            encoded = value.encode()
            path = f"{stem}.cells/{row}-{column}{encoded.suffix}"
            self._keep(path, encoded.data, media_type=encoded.media_type, about=encoded.about)
            paths[row, column] = path
        return paths

    def _keep(
        self,
        path: str,
        content: bytes | Path,
        *,
        media_type: str = "",
        key: str = "",
        step: int | None = None,
        about: Mapping[str, Any] | None = None,
    ) -> None:
        """Hand a file over: a small one as one of the run's records, a large one copied beside them.

        What is refused is refused here: a record that the store refuses would hold up all that come after it.
        """
        check_path(path)
        if key:
            check_key(key)
        if isinstance(content, Path) and content.stat().st_size <= _SMALL:
            content = b"".join(pieces(content))
        record = FileRecord(path, now_micros(), b"", media_type, key, step, dict(about or {}))
        if isinstance(content, bytes) and len(content) <= _SMALL:
            self._write(msgspec.structs.replace(record, content=content))
        else:
            self._write_large(record, content)


def _age(run_id: str) -> float:
    """Seconds since the id of a run was made, which its first half tells (UUIDv7)."""
    try:
        made = uuid.UUID(run_id)
    except ValueError:
        return 0.0
    return max(0.0, now_micros() / 1e6 - (made.int >> 80) / 1e3) if made.version == 7 else 0.0
