"""Artifacts as scripts of W&B know them: folders of files with a name, a type and versions from v0 on.

A version is an artifact of the lineage, `type/name@1` being W&B's `name:v0`.
"""

from __future__ import annotations

import os
import re
import shutil
import tempfile
import weakref
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from mainspring.compat.wandb.errors import CommError
from mainspring.kernel.errors import NotFound
from mainspring.lineage.types import Artifact as Kept
from mainspring.lineage.types import File
from mainspring.tracking.media import Media
from mainspring.tracking.upload import digest_files, upload

if TYPE_CHECKING:
    from mainspring.client.client import Client

__all__ = ["Artifact"]


class Artifact:
    """Files under a name. Filled first, then logged by a run, after which it is a version that never changes."""

    def __init__(
        self,
        name: str,
        type: str,  # noqa: A002 -- as W&B declares it
        description: str | None = None,
        metadata: Mapping[str, Any] | None = None,
        **ignored: Any,
    ) -> None:
        del ignored
        self._name = name
        self.type = type
        self.description = description or ""
        self.metadata = dict(metadata or {})
        self._folder = Path(tempfile.mkdtemp(prefix="mainspring-artifact-"))
        weakref.finalize(self, shutil.rmtree, self._folder, ignore_errors=True)
        self._references: dict[str, str] = {}
        self._client: Client | None = None
        self._kept: Kept | None = None
        self._files: list[File] = []
        self._aliases: list[str] = []

    @property
    def name(self) -> str:
        """`name:v0` once it is logged, the bare name before."""
        return f"{self._name}:{self.version}" if self._kept else self._name

    @property
    def version(self) -> str:
        """`v0`, `v1`, ...; empty before it is logged."""
        return f"v{self._kept.version - 1}" if self._kept else ""

    @property
    def ref(self) -> str:
        """How it is addressed here: `type/name@1`."""
        return self._kept.ref if self._kept else ""

    @property
    def id(self) -> str | None:
        """Its id in the lineage."""
        return self._kept.id if self._kept else None

    @property
    def digest(self) -> str:
        """Of its content."""
        return self._kept.digest if self._kept else ""

    @property
    def size(self) -> int:
        """Bytes."""
        return self._kept.size if self._kept else sum(file.stat().st_size for file in self._staged_files())

    @property
    def aliases(self) -> list[str]:
        """What points at it."""
        return list(self._aliases)

    def add_file(self, local_path: str | os.PathLike[str], name: str | None = None, **ignored: Any) -> None:
        """Add a copy of a file."""
        del ignored
        source = Path(local_path)
        if not source.is_file():
            raise ValueError(f"Path is not a file: {str(local_path)!r}")
        target = self._place(name or source.name)
        shutil.copyfile(source, target)

    def add_dir(self, local_path: str | os.PathLike[str], name: str | None = None, **ignored: Any) -> None:
        """Add copies of all files of a folder."""
        del ignored
        root = Path(local_path)
        if not root.is_dir():
            raise ValueError(f"Path is not a directory: {str(local_path)!r}")
        for file in sorted(root.rglob("*")):
            if file.is_file():
                path = file.relative_to(root).as_posix()
                self.add_file(file, f"{name.strip('/')}/{path}" if name else path)

    def add(self, obj: Media, name: str, **ignored: Any) -> None:
        """Add a table, an image or the like as a file."""
        del ignored
        encoded = obj.encode(Path(name).suffix)
        self._place(name if Path(name).suffix else name + encoded.suffix).write_bytes(encoded.data)

    def add_reference(self, uri: str, name: str | None = None, **ignored: Any) -> None:
        """Add the address of something that stays where it is; its bytes are not kept."""
        del ignored
        self._references[name or uri.rpartition("/")[2]] = str(uri)

    @contextmanager
    def new_file(self, name: str, mode: str = "x", encoding: str | None = None) -> Iterator[IO[Any]]:
        """A file to write into."""
        text = "b" not in mode
        with self._place(name).open(mode, encoding=encoding or "utf-8" if text else None) as opened:
            yield opened

    def keep(self, client: Client, run_id: str, *, aliases: Sequence[str], tags: Sequence[str]) -> None:
        """Store it as the next version, made by a run."""
        names = [file.relative_to(self._folder).as_posix() for file in self._staged_files()]
        self._files = upload(client.tracking, self._folder, digest_files(self._folder, names))
        said = {"description": self.description, "references": self._references, "tags": list(tags)}
        metadata = self.metadata | {key: value for key, value in said.items() if value}
        self._aliases = [alias for alias in aliases if alias != "latest"]  # the newest is always the latest
        self._kept = client.tracking.log_artifact(
            run_id,
            kind=_kind(self.type),
            name=self._name,
            files=self._files,
            metadata=metadata,
            aliases=self._aliases,
        )
        self._client = client

    @classmethod
    def find(cls, client: Client, name: str, type: str = "") -> Artifact:  # noqa: A002 -- as W&B declares it
        """A logged artifact by `name:latest`, `name:v0` or `name:alias`, with or without `project/` before it.

        Raises:
            CommError: There is none.
        """
        bare, _, wanted = name.rpartition("/")[2].partition(":")
        version = str(int(wanted[1:]) + 1) if re.fullmatch(r"v\d+", wanted) else wanted
        suffix = f"@{version}" if version not in ("", "latest") else ""
        kinds = [_kind(type)] if type else sorted(client.lineage.counts().artifacts)
        for kind in kinds:
            try:
                detail = client.lineage.artifact(f"{kind}/{bare}{suffix}")
            except NotFound:
                continue
            found = cls(bare, type or kind, metadata=detail.artifact.metadata)
            found._client, found._kept, found._files = client, detail.artifact, detail.files
            found._aliases = detail.aliases
            return found
        raise CommError(f"there is no artifact {name!r}")

    def wait(self, timeout: int | None = None) -> Artifact:
        """It is stored when `log_artifact` returns, so there is nothing to wait for."""
        del timeout
        return self

    def download(self, root: str | os.PathLike[str] | None = None, **ignored: Any) -> str:
        """Write its files into a folder; the folder."""
        del ignored
        target = Path(root) if root else Path("artifacts") / self.name.replace(":", "-")
        for file in self._files:
            self._fetch(file, target)
        target.mkdir(parents=True, exist_ok=True)
        return str(target)

    def file(self, root: str | os.PathLike[str] | None = None) -> str:
        """Write its only file into a folder; the file."""
        if len(self._files) != 1:
            raise ValueError(f"{self.name} has {len(self._files)} files: use download()")
        return str(Path(self.download(root)) / self._files[0].path)

    def files(self) -> list[str]:
        """The paths of its files."""
        return (
            [file.path for file in self._files]
            if self._kept
            else [file.relative_to(self._folder).as_posix() for file in self._staged_files()]
        )

    def _fetch(self, file: File, root: Path) -> None:
        if self._client is None:
            raise CommError("this artifact has not been logged")
        path = root / file.path
        if not path.resolve().is_relative_to(root.resolve()):
            raise CommError(f"{self.name} names a file outside of its folder: {file.path}")
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("wb") as out:
            for piece in self._client.storage.get_blob(file.digest):
                out.write(piece)

    def _place(self, name: str) -> Path:
        if self._kept is not None:
            raise ValueError(f"{self.name} is logged and cannot change")
        target = self._folder / name
        if not target.resolve().is_relative_to(self._folder.resolve()):
            raise ValueError(f"{name!r} leads out of the artifact")
        target.parent.mkdir(parents=True, exist_ok=True)
        return target

    def _staged_files(self) -> list[Path]:
        return sorted(each for each in self._folder.rglob("*") if each.is_file())


def _kind(text: str) -> str:
    """A type as a kind of artifact: `model` and `dataset` are kept apart from ours, which promise more."""
    kind = re.sub(r"[^\w.-]+", "-", text).strip("-.") or "artifact"
    return f"wandb-{kind}" if kind in ("model", "dataset", "run") else kind
