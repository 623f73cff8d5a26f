"""Pushing and pulling, where the bytes are: at the client, with the rights of whoever runs it.

Either end is a `Depot`; see `data.remotes`. The store is one end, over the same operations whether it is here or behind
a server, so that a transfer is the same in all directions.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, cast

import msgspec

from mainspring.data.remotes.copying import WORKERS, Copied, Wanted, copy_content, copy_versions
from mainspring.data.remotes.depot import Depot
from mainspring.data.remotes.opening import open_depot
from mainspring.data.remotes.service_depot import ServiceDepot
from mainspring.data.remotes.types import History, Transfer, VersionRecord
from mainspring.data.service_files import FileWork
from mainspring.data.service_remotes import RemoteOperations
from mainspring.data.types import KIND, Progress
from mainspring.kernel.errors import Conflict, InvalidInput, NotFound, StorageError, nearest
from mainspring.kernel.names import parse_reference
from mainspring.lineage.types import File

if TYPE_CHECKING:
    from mainspring.data.service import Data

__all__ = ["RemoteWork"]

_TRIES = 3


class RemoteWork(FileWork, RemoteOperations):
    """Transfers to and from remotes."""

    def push(
        self,
        dataset: str = "",
        remote: str = "",
        *,
        token: str = "",
        progress: Progress | None = None,
        workers: int = WORKERS,
    ) -> Transfer:
        """Bring versions to a remote: those that it does not have, and of their bytes those that it does not have.

        Args:
            dataset: `flights` (every version), `flights@3`, `flights@clean`; every dataset when it is empty.
            remote: Its name, or a URL or folder. Empty means `origin`, or the only one there is.
            token: For another Mainspring; see `docs/guides/remotes.md`.
            progress: Called as `progress(bytes done, bytes in all)`.
            workers: How many batches move at once.

        Example:
            >>> import tempfile
            >>> from mainspring.client import connect
            >>> place = tempfile.mkdtemp()
            >>> with connect(tempfile.mkdtemp()) as client:
            ...     version = client.data.commit("numbers", {"n": [1, 2]})
            ...     client.data.push("numbers", place).versions
            ['dataset/numbers@1']
        """
        with self._remote(remote, token=token, make=True) as (_, there):
            return self._transfer(self.own_depot(), there, dataset, progress=progress, workers=workers)

    def pull(
        self,
        dataset: str = "",
        remote: str = "",
        *,
        paths: Sequence[str] = (),
        files: bool = True,
        token: str = "",
        progress: Progress | None = None,
        workers: int = WORKERS,
    ) -> Transfer:
        """Take versions from a remote: those that are not here, and of their bytes those that are not here.

        Args:
            dataset: `flights` (every version), `flights@3`, `flights@clean` as they are called there; all when empty.
            remote: Its name, or a URL or folder. Empty means `origin`, or the only one there is.
            paths: Only these files and folders of the versions; the rest is fetched when it is read.
            files: False for the folders alone: names, sizes and history; each file is fetched when it is read.
            token: For another Mainspring.
            progress: Called as `progress(bytes done, bytes in all)`.
            workers: How many batches move at once.
        """
        wanted = Wanted(paths=[_path(each) for each in paths], files=files)
        with self._remote(remote, token=token) as (name, there):
            if not wanted.whole and name not in {each.name for each in self.remotes()}:
                hint = "mainspring data remote add NAME URL; the rest of the files is fetched from it when it is read"
                raise InvalidInput("a part is pulled from a remote that has a name", hint=hint)
            return self._transfer(
                there, self.own_depot(), dataset, wanted=wanted, remote=name, progress=progress, workers=workers
            )

    def remote_history(self, dataset: str = "", remote: str = "", *, token: str = "") -> list[VersionRecord]:
        """What a remote has, without moving anything: every version of a dataset, or of all."""
        with self._remote(remote, token=token) as (_, there):
            name, version = _split(dataset)
            names = [name] if name else there.names()
            return [each for one in names for each in there.history(one).chosen(version)]

    def fetch_files(
        self,
        remote: str,
        ref: str,
        *,
        into: str | Path,
        paths: Sequence[str] = (),
        overwrite: bool = False,
        token: str = "",
        progress: Progress | None = None,
    ) -> list[Path]:
        """Write files of a version that a remote has into a folder, without a store: nothing is recorded here."""
        from mainspring.data.remotes.fetching import fetch_files

        with self._remote(remote, token=token) as (_, there):
            return fetch_files(there, ref, into=Path(into), paths=paths, overwrite=overwrite, progress=progress)

    def bring(self, files: Sequence[File]) -> None:
        """See to it that files of versions that were pulled in part are here, before they are read."""
        names = self.partial_remotes() if files else []
        here = self.own_depot()
        absent = set(here.missing([file.digest for file in files])) if names else set()
        for name in names:
            if not absent:
                return
            with self._remote(name) as (_, there):
                found = absent - set(there.missing(sorted(absent)))
                copy_blobs(there, here, {file.digest: file.size for file in files if file.digest in found})
                absent -= found

    def own_depot(self) -> ServiceDepot:
        """This store as one end of a transfer."""
        return ServiceDepot(cast("Data", self), self.storage, address="this store")

    @contextmanager
    def remote_depot(self, remote: str) -> Iterator[Depot]:
        """A remote as one end of a transfer."""
        with self._remote(remote) as (_, depot):
            yield depot

    @contextmanager
    def _remote(self, remote: str, *, token: str = "", make: bool = False) -> Iterator[tuple[str, Depot]]:
        """The depot that a name, a URL or nothing means, and its name (the URL where it has none)."""
        known = {each.name: each.url for each in self.remotes()}
        if not remote:
            remote = "origin" if "origin" in known else next(iter(known)) if len(known) == 1 else ""
            if not remote:
                hint = "mainspring data remote add origin URL-OR-FOLDER"
                raise NotFound("no remote is named, and none is called origin", hint=hint, known=list(known))
        place = "://" in remote or "/" in remote or remote.startswith((".", "~"))
        if remote not in known and not place:
            raise NotFound(f"there is no remote {remote!r}", known=nearest(remote, known))
        url, name = known.get(remote, remote), remote if remote in known else ""
        with open_depot(url, name=name, token=token, cache=self.cache().folder / "remotes", make=make) as depot:
            yield remote, depot

    def _transfer(
        self,
        source: Depot,
        target: Depot,
        dataset: str,
        *,
        wanted: Wanted | None = None,
        remote: str = "",
        progress: Progress | None = None,
        workers: int = WORKERS,
    ) -> Transfer:
        name, version = _split(dataset)
        done = Transfer(
            remote=remote or target.address,
            versions=[], files=0, bytes=0, known=0, aliases_kept=[], erased_elsewhere=[],
        )  # fmt: skip
        for each in [name] if name else source.names():
            history = source.history(each)
            chosen = history.chosen(version)
            if not chosen and name:
                known = [f"{each}@{one.number}" for one in history.versions][-5:] or source.names()
                raise NotFound(f"{source.address} has no {dataset}", known=known)
            done = self._move(source, target, each, chosen, history, wanted or Wanted(), done, progress, workers)
        return done

    def _move(
        self,
        source: Depot,
        target: Depot,
        name: str,
        chosen: Sequence[VersionRecord],
        history: History,
        wanted: Wanted,
        done: Transfer,
        progress: Progress | None,
        workers: int,
    ) -> Transfer:
        """One dataset; again where garbage was collected, or packs were written again, in between."""
        for attempt in range(1, _TRIES + 1):
            there = target.history(name)
            absent = _absent(chosen, history, there, wanted)
            try:
                copied = copy_versions(
                    source, target, absent, there=there, wanted=wanted, remote=done.remote,
                    progress=progress, workers=workers,
                )  # fmt: skip
            except (Conflict, StorageError):
                if attempt == _TRIES:
                    raise
                continue
            break
        else:
            copied = Copied()
        after = target.history(name) if copied.versions else there
        kept = _move_aliases(target, name, chosen, history, after)
        moved = {each.id for each in copied.versions}
        trees = {each.id: each.tree for each in after.versions}
        return msgspec.structs.replace(
            done,
            versions=[*done.versions, *(f"{KIND}/{name}@{v.number}" for v in after.versions if v.id in moved)],
            files=done.files + copied.blobs,
            bytes=done.bytes + copied.bytes,
            known=done.known + len(chosen) - len(copied.versions),
            aliases_kept=done.aliases_kept + kept,
            erased_elsewhere=done.erased_elsewhere
            + [f"{KIND}/{name}@{v.number}" for v in chosen if trees.get(v.id, v.tree) != v.tree],
        )


def copy_blobs(source: Depot, target: Depot, sizes: dict[str, int]) -> None:
    """Move files by digest."""
    copy_content(source, target, [], wanted=Wanted(), files=sizes)


def _absent(chosen: Sequence[VersionRecord], history: History, there: History, wanted: Wanted) -> list[VersionRecord]:
    """Versions that the target lacks: not there by id, nor by content unless its history has it twice."""
    ids = {each.id: each for each in there.versions}
    trees = {each.tree for each in there.versions if not each.partial}
    first: dict[str, str] = {}
    for each in history.versions:
        first.setdefault(each.tree, each.id)
    absent = []
    for each in chosen:
        if each.id in ids:
            if ids[each.id].partial and wanted.files and ids[each.id].tree == each.tree:
                absent.append(each)  # what is here of it is a part
        elif each.tree not in trees or first[each.tree] != each.id:
            absent.append(each)
    return absent


def _move_aliases(
    target: Depot, name: str, chosen: Sequence[VersionRecord], history: History, there: History
) -> list[str]:
    """Point the aliases of what was moved; one that points at a version which the source does not know is left."""
    ids = {each.id for each in history.versions}
    trees = {each.tree: each.id for each in there.versions}
    known_there = {each.id: each.tree for each in there.versions}
    source_trees = {each.tree for each in history.versions}
    kept: list[str] = []
    pointed: dict[str, str] = {}
    moved = {each.id: each for each in chosen}
    for alias, version_id in history.aliases.items():
        if version_id not in moved:
            continue
        wanted = version_id if version_id in known_there else trees.get(moved[version_id].tree, "")
        now = there.aliases.get(alias, "")
        if not wanted or now == wanted:
            continue
        if now and now not in ids and known_there.get(now) not in source_trees:
            kept.append(f"{name}@{alias}")
            continue
        pointed[alias] = wanted
    target.set_aliases(name, pointed)
    return kept


def _split(dataset: str) -> tuple[str, str]:
    if not dataset:
        return "", ""
    ref = parse_reference(dataset, kind=KIND)
    return ref.name, ref.version


def _path(path: str) -> str:
    return unicodedata.normalize("NFC", path.strip("/"))
