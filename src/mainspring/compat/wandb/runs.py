"""A run as scripts of W&B know it, around one of ours."""

from __future__ import annotations

import enum
import logging
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from mainspring.compat.wandb.artifact import Artifact
from mainspring.compat.wandb.errors import UsageError
from mainspring.compat.wandb.values import Config, Summary
from mainspring.tracking.media import as_media

if TYPE_CHECKING:
    from mainspring.client.client import Client
    from mainspring.tracking.run import ActiveRun

__all__ = ["AlertLevel", "Run", "Settings"]

_log = logging.getLogger("mainspring.compat.wandb")


class AlertLevel(enum.Enum):
    """How bad it is."""

    INFO = "INFO"
    WARN = "WARN"
    ERROR = "ERROR"


class Settings:
    """Accepted and kept; nothing here depends on them."""

    def __init__(self, **settings: Any) -> None:
        self.__dict__.update(settings)


class Run:
    """A run that goes on. `init` makes one; a disabled run takes every call and keeps nothing."""

    def __init__(
        self, client: Client | None, active: ActiveRun | None, *, about: Mapping[str, Any], config: Mapping[str, Any]
    ) -> None:
        self._client = client
        self._active = active
        self._about = dict(about)
        self._row: dict[str, Any] = {}
        self._step = int(about.get("step", 0))
        self._ended = False
        self.config = Config(self._configured)
        self.summary = Summary(self._summarised)
        if config:
            self.config.update(config)

    @property
    def id(self) -> str:
        """The id that W&B's users gave it, or ours."""
        return str(self._about.get("id") or (self._active.id if self._active else "disabled"))

    @property
    def name(self) -> str:
        """What it is called."""
        return str(self._about.get("name") or "")

    @name.setter
    def name(self, value: str) -> None:
        self._about["name"] = value
        if self._client is not None and self._active is not None:
            self._client.tracking.change_run(self._active.id, title=value)

    @property
    def notes(self) -> str:
        """The note."""
        return str(self._about.get("notes") or "")

    @notes.setter
    def notes(self, value: str) -> None:
        self._about["notes"] = value
        if self._active is not None:
            self._active.note(value)

    @property
    def tags(self) -> tuple[str, ...]:
        """Its tags."""
        return tuple(self._about.get("tags") or ())

    @tags.setter
    def tags(self, value: Sequence[str]) -> None:
        gone = {tag: "" for tag in self.tags if tag not in value}
        self._about["tags"] = tuple(value)
        if self._active is not None:
            self._active.tags({**gone, **dict.fromkeys(value, "true")})

    @property
    def project(self) -> str:
        """The experiment."""
        return str(self._about.get("project") or "")

    @property
    def entity(self) -> str:
        """Whose it is, as it was said; access is a matter of the workspace here."""
        return str(self._about.get("entity") or "")

    @property
    def group(self) -> str:
        """Its group."""
        return str(self._about.get("group") or "")

    @property
    def job_type(self) -> str:
        """What kind of work it does."""
        return str(self._about.get("job_type") or "")

    @property
    def resumed(self) -> bool:
        """Whether it goes on with an earlier run."""
        return bool(self._about.get("resumed"))

    @property
    def step(self) -> int:
        """The step of the next row."""
        return self._step

    @property
    def path(self) -> str:
        """`entity/project/id`."""
        return "/".join(part for part in (self.entity, self.project, self.id) if part)

    @property
    def url(self) -> str | None:
        """Its page, where a server is worked on."""
        address = self._client.address if self._client is not None else ""
        page = address.startswith("http") and self._active is not None
        return f"{address.rstrip('/')}/runs/{self._active.id}" if page and self._active else None

    @property
    def dir(self) -> str:
        """A folder for the files of this run."""
        return str(self._about.get("dir") or Path.cwd())

    @property
    def disabled(self) -> bool:
        """Whether it keeps nothing."""
        return self._active is None

    @property
    def offline(self) -> bool:
        """Whether it is sent later."""
        return bool(self._about.get("offline"))

    def log(
        self,
        data: Mapping[str, Any],
        step: int | None = None,
        commit: bool | None = None,  # noqa: FBT001 -- as W&B declares it
        sync: bool | None = None,  # noqa: FBT001
    ) -> None:
        """Log values: numbers, media, texts, nested mappings.

        Without `step` each call is a row; `commit=False` holds it open for the next call. With `step` a row is held
        open until another step comes. Unlike W&B's, an earlier step is taken as well.
        """
        del sync
        if self._ended:
            raise UsageError("this run has ended; wandb.init() begins another")
        if not isinstance(data, Mapping):
            raise TypeError("Data must be a mapping of names to values: wandb.log({'loss': 0.1})")
        if step is not None and step != self._step:
            self._commit()
            self._step = int(step)
        self._row.update(_flat(data))
        if commit or (commit is None and step is None):
            self._commit()
            self._step += 1

    def define_metric(
        self,
        name: str,
        step_metric: Any = None,
        step_sync: bool | None = None,  # noqa: FBT001 -- as W&B declares it
        hidden: bool | None = None,  # noqa: FBT001
        summary: str | None = None,
        goal: str | None = None,
        overwrite: bool | None = None,  # noqa: FBT001
    ) -> _Metric:
        """Say what the last word on a metric is (`min`, `max`, `mean`, `last`, `best`), and what it is drawn over."""
        del step_sync, hidden, overwrite
        if self._active is not None and (summary or goal or step_metric):
            rules = [each.strip() for each in (summary or "last").split(",") if each.strip() not in ("copy", "none")]
            over = getattr(step_metric, "name", step_metric) or ""
            for rule in rules or ["last"]:
                self._active.define(name, summary=rule, goal=goal or "", step_metric=over)
        return _Metric(name)

    def watch(
        self, models: Any, criterion: Any = None, log: str | None = "gradients", log_freq: int = 1000, **ignored: Any
    ) -> None:
        """Keep histograms of the gradients and parameters of PyTorch modules."""
        del criterion, ignored
        if self._active is None or log is None:
            return
        for model in models if isinstance(models, list | tuple) else [models]:
            self._active.watch(
                model, every=log_freq, gradients=log in ("gradients", "all"), parameters=log in ("parameters", "all")
            )

    def save(self, glob_str: str | os.PathLike[str], base_path: str | None = None, policy: str = "live") -> list[str]:
        """Keep files with the run."""
        del policy
        pattern = Path(glob_str)
        base = Path(base_path) if base_path else pattern.parent
        found = sorted(each for each in pattern.parent.glob(pattern.name) if each.is_file())
        for each in found:
            if self._active is not None:
                inside = each.is_relative_to(base)
                self._active.log_file(each, name=str(each.relative_to(base)) if inside else each.name)
        return [str(each) for each in found]

    def log_artifact(
        self,
        artifact_or_path: Artifact | str | os.PathLike[str],
        name: str | None = None,
        type: str | None = None,  # noqa: A002 -- as W&B declares it
        aliases: Sequence[str] | None = None,
        tags: Sequence[str] | None = None,
    ) -> Artifact:
        """Keep an artifact as its next version, made by this run."""
        artifact = artifact_or_path
        if not isinstance(artifact, Artifact):
            path = Path(artifact)
            artifact = Artifact(name or path.stem, type or "unspecified")
            artifact.add_dir(path) if path.is_dir() else artifact.add_file(path)
        if self._client is not None and self._active is not None:
            self._active.flush()
            artifact.keep(self._client, self._active.id, aliases=aliases or (), tags=tags or ())
        return artifact

    def use_artifact(
        self,
        artifact_or_name: Artifact | str,
        type: str | None = None,  # noqa: A002 -- as W&B declares it
        aliases: Sequence[str] | None = None,
    ) -> Artifact:
        """An artifact by `name:latest`, `name:v0` or `name:alias`; this run is recorded as one that used it."""
        del aliases
        if self._client is None or self._active is None:
            raise UsageError("a disabled run has no artifacts")
        name = artifact_or_name.name if isinstance(artifact_or_name, Artifact) else artifact_or_name
        found = Artifact.find(self._client, name, type or "")
        self._active.use(found.ref, role=found.type)
        return found

    def alert(self, title: str, text: str, level: Any = None, wait_duration: Any = None) -> None:
        """Say that something happened: into the log of this process, and into the run's files."""
        del wait_duration
        word = getattr(level, "value", level) or "INFO"
        _log.log(getattr(logging, "WARNING" if word == "WARN" else word), "%s: %s", title, text)
        if self._active is not None:
            self._active.log_table(
                [{"level": word, "title": title, "text": text, "step": self._step}], "alerts", append=True
            )

    def mark_preempting(self) -> None:
        """Nothing to do: a run whose process is gone is found by itself."""

    def finish(self, exit_code: int | None = None, quiet: bool | None = None) -> None:  # noqa: FBT001 -- as W&B declares it
        """End the run; all of it is in the store when this returns, or waits in the spool when that is away."""
        del quiet
        if self._ended:
            return
        self._commit()
        self._ended = True
        if self._active is not None:
            self._active.finish(status="failed" if exit_code else "finished")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.finish(exit_code=1 if error is not None else 0)

    def __repr__(self) -> str:
        return f"<wandb run {self.path}>"

    def _commit(self) -> None:
        row, self._row = self._row, {}
        if not row:
            return
        self.summary.logged({key: value for key, value in row.items() if as_media(value) is None})
        if self._active is None:
            return
        numbers: dict[str, Any] = {}
        for key, value in row.items():
            if isinstance(value, str):
                self._active.log_text(value, key, step=self._step)
            elif (found := as_media(value)) is not None:
                self._active.log_media(found if len(found) > 1 else found[0], key, step=self._step)
            elif isinstance(value, list | tuple):
                self._active.log_dict(list(value), key, step=self._step)
            elif value is not None:
                numbers[key] = value
        if numbers:
            self._active.log(numbers, step=self._step)

    def _configured(self, entries: dict[str, Any]) -> None:
        if self._active is not None:
            self._active.params({key: value for key, value in entries.items() if key != "_wandb"})

    def _summarised(self, entries: dict[str, Any]) -> None:
        """Numbers are the latest value of their metric, at a step after all others; everything else is a tag."""
        if self._active is None:
            return
        numbers = {key: value for key, value in entries.items() if isinstance(value, int | float)}
        if numbers:
            self._active.log(numbers, step=self._step)
        tags = {f"summary.{key}": str(value) for key, value in entries.items() if key not in numbers}
        if tags:
            self._active.tags(tags)


class _Metric:
    """What `define_metric` gives back."""

    def __init__(self, name: str) -> None:
        self.name = name


def _flat(values: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    found: dict[str, Any] = {}
    for key, value in values.items():
        if isinstance(value, Mapping):
            found |= _flat(value, f"{prefix}{key}.")
        else:
            found[f"{prefix}{key}"] = value
    return found
