"""Importing a DVC repository with its history: every commit that changed an output is a version of its dataset.

output -> dataset `<repository>/<path>`     commit -> version, with author, date and message
branches and tags -> aliases     stages -> lineage from their inputs, with command, parameters and metrics
"""

from __future__ import annotations

import dataclasses
import functools
import re
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import msgspec

from mainspring.data.bundle import BUNDLED_BELOW, bundle
from mainspring.data.committing import Proposal, submit
from mainspring.data.git import GitCommit
from mainspring.data.local_tree import LocalFile
from mainspring.data.tabular import summarise, table_files
from mainspring.data.transfer import send_nodes
from mainspring.data.trees import build
from mainspring.data.types import KIND, Birth, Commit, DatasetVersion
from mainspring.importers.dvc_files import Content, Listed, Output, read_list
from mainspring.importers.dvc_history import DvcRepository, Snapshot, open_dvc
from mainspring.importers.dvc_objects import Objects, places_of
from mainspring.importers.writing import imported_id
from mainspring.kernel.errors import CheckFailed, Damaged, InvalidInput, MainspringError, NotFound, UnsupportedFormat
from mainspring.kernel.names import check_name
from mainspring.lineage.types import File

if TYPE_CHECKING:
    from mainspring.client.client import Client

__all__ = ["DvcReport", "dataset_name", "import_dvc"]

_BATCH = 16 << 20
_READERS = 8
_PAGE = 1000
_LOOKED_AT = 1 << 30
"""Bytes of a table whose rows and columns are still counted."""

Progress = Callable[[int, int], None]
"""Told how many commits are done, and of how many."""


@dataclasses.dataclass
class DvcReport:
    """What an import brought, and what it could not bring."""

    source: str
    datasets: list[str] = dataclasses.field(default_factory=list)
    versions: int = 0
    unchanged: int = 0
    """Versions that were here already."""
    files: int = 0
    """Objects that were read."""
    bytes: int = 0
    aliases: int = 0
    missing: dict[str, list[str]] = dataclasses.field(default_factory=dict)
    """Objects that are nowhere or damaged, by the output and commit that need them; nothing of these is recorded."""
    problems: list[str] = dataclasses.field(default_factory=list)


def import_dvc(
    client: Client, source: str, *, prefix: str | None = None, progress: Progress | None = None
) -> DvcReport:
    """Import a DVC repository; what was imported before is left as it is.

    Args:
        client: Where to.
        source: A folder in it, a bare Git repository, or a URL that Git can clone.
        prefix: What stands before the paths in the names of the datasets; the repository's name by default.
        progress: Told how many commits are done, and of how many.

    Raises:
        NotFound: There is no DVC repository.
    """
    with open_dvc(source) as repository:
        caches, remotes, problems = places_of(repository.config(), repository.dvc, here=repository.dvc.is_dir())
        work = _Import(client, repository, Objects(caches, remotes), repository.name if prefix is None else prefix)
        work.report.problems += problems
        work.run(progress)
        work.report.problems += repository.problems
        return work.report


def dataset_name(prefix: str, path: str) -> str:
    """The name of the dataset of an output: its path, with what names may not hold replaced.

    Example:
        >>> dataset_name("cats", "data/raw images (1)/.cache")
        'cats/data/raw images _1_/_.cache'
    """
    parts = [re.sub(r"[^\w .\-+:=]", "_", part) for part in (*prefix.split("/"), *path.split("/")) if part]
    return check_name("/".join(re.sub(r"^(?=[^\w])", "_", part).rstrip() or "_" for part in parts))


class _Import:
    """One import: what was read, made and found to be missing so far."""

    def __init__(self, client: Client, repository: DvcRepository, objects: Objects, prefix: str) -> None:
        self.report = DvcReport(f"dvc:{repository.name}")
        self._client = client
        self._repository = repository
        self._objects = objects
        self._prefix = prefix
        self._stored: dict[str, tuple[str, int]] = {}
        """Digest and size of objects that are in the store, by MD5."""
        self._versions: dict[str, dict[str, DatasetVersion]] = {}
        """Of each dataset, the versions that imports made, by commit."""
        self._remembered: set[str] = set()
        self._newest: dict[tuple[str, str], DatasetVersion] = {}
        """The newest version of an output with a content, by its path and MD5."""

    def run(self, progress: Progress | None) -> None:
        """Every commit, then what branches and tags stand for."""
        commits = self._repository.commits()
        before: dict[str, dict[str, str]] = {}
        for number, commit in enumerate(commits, start=1):
            now = self._repository.snapshot(commit)
            known = [before[parent] for parent in commit.parents if parent in before]
            for output in _in_order(now):
                if any(each.get(output.path) == _content_of(output) for each in known):
                    continue
                self._bring(now, output)
            before[commit.id] = {path: _content_of(output) for path, output in now.outputs.items()}
            if progress is not None:
                progress(number, len(commits))
        for name, commit_id in self._repository.refs().items():
            self._alias(name, commit_id)

    def _bring(self, now: Snapshot, output: Output) -> None:
        """One output as a version, or a problem."""
        where = f"{output.path} at {now.commit.id[:12] or 'the working tree'}"
        if output.content is None and not output.listed:
            return self._say(f"{output.path}: DVC keeps no MD5 of it (it is not in its cache)")
        try:
            name = dataset_name(self._prefix, output.path)
            known = self._known(name).get(now.commit.id)
            if known is None:
                known = self._record(name, now, output, where)
                if known is None:
                    return None
                self._known(name)[now.commit.id] = known
                self.report.versions += 1
            else:
                self.report.unchanged += 1
            self._newest[output.path, _content_of(output)] = known
            if name not in self.report.datasets:
                self.report.datasets.append(name)
        except MainspringError as error:
            self._say(f"{where}: {error.message}")
        return None

    def _record(self, name: str, now: Snapshot, output: Output, where: str) -> DatasetVersion | None:
        listed = self._listed(output.content, output)
        self._remember(name, output)
        if listed is None:
            self.report.missing[where] = [output.content.md5 if output.content else ""]
            return None
        lost = self._store([each.content for each in listed], output.remote)
        if lost:
            self.report.missing[where] = lost
            return None
        kept = [(each.path, *self._stored[each.content.md5]) for each in listed]
        files = sorted((File(path, size, digest) for path, digest, size in kept), key=lambda each: each.path)
        tree = build(files)
        for what, theirs, ours in (("files", output.files, tree.files), ("bytes", output.size, tree.size)):
            if theirs is not None and theirs != ours:
                raise CheckFailed(f"DVC says that it has {theirs} {what}, and there are {ours}")
        rows, schema = self._table(files)
        commit = Commit(
            message=now.commit.message,
            origin=output.origin or f"dvc:{self._repository.name}/{output.path}",
            rows=rows,
            schema=schema,
            uses=self._uses(now, output),
            metadata=self._metadata(now, output),
            new_version=bool(now.commit.id),
            born=self._birth(now.commit, output),
        )
        send = functools.partial(send_nodes, self._client.data, self._client.storage, tree)
        send()
        chosen = table_files(files) if schema else []
        places = self._client.data.local_copies(chosen)
        local = [LocalFile(file, place) for file, place in zip(chosen, places, strict=True)]
        made = submit(self._client.data, Proposal(name, commit, tree, local), send)
        if (made.digest, made.files, made.size) != (tree.root, tree.files, tree.size):
            raise CheckFailed(f"{made.ref} is not what was imported: {made.files} files, {made.size} bytes")
        return made

    def _remember(self, name: str, output: Output) -> None:
        """Objects of the newest version that was imported before are in the store: they are not fetched again."""
        known = max(self._known(name).values(), key=lambda each: each.version, default=None)
        if known is None or name in self._remembered:
            return
        self._remembered.add(name)
        said = known.metadata.get("dvc")
        md5 = said.get("md5", "") if isinstance(said, dict) else ""
        content = msgspec.structs.replace(output.content, md5=md5) if output.content and md5 else None
        listed = self._listed(content, output) if content else None
        if not listed:
            return
        held = {file.path: file for file in self._client.data.files(known.id)}
        gone = set(self._client.storage.missing([file.digest for file in held.values()]))
        for each in listed:
            if (file := held.get(each.path)) is not None and file.digest not in gone:
                self._stored.setdefault(each.content.md5, (file.digest, file.size))

    def _listed(self, content: Content | None, output: Output) -> list[Listed] | None:
        """The files of an output with a content; None when the list of its folder is nowhere."""
        if output.listed is not None:
            return output.listed
        if content is None:
            return None
        if not content.md5.endswith(".dir"):
            return [Listed(output.path.rpartition("/")[2], content)]
        try:
            data = self._objects.read(content, remote=output.remote, limit=1 << 40)
        except (NotFound, Damaged):
            return None
        return read_list(data or b"", output.path, legacy=content.legacy)

    def _store(self, contents: Iterable[Content], remote: str) -> list[str]:
        """Put objects into the store; those that are nowhere, or damaged in every place."""
        wanted = list({each.md5: each for each in contents if each.md5 not in self._stored}.values())
        lost: list[str] = []
        pending: list[tuple[Content, bytes]] = []
        size = 0

        def look(content: Content) -> bytes | MainspringError | None:
            try:
                return self._objects.read(content, remote=remote, limit=BUNDLED_BELOW)
            except (NotFound, Damaged) as error:
                return error

        with ThreadPoolExecutor(_READERS) as readers:
            for start in range(0, len(wanted), _PAGE):
                batch = wanted[start : start + _PAGE]
                for content, found in zip(batch, readers.map(look, batch), strict=True):
                    if isinstance(found, MainspringError):
                        lost.append(f"{content.md5} ({'damaged' if isinstance(found, Damaged) else 'missing'})")
                    elif found is not None:
                        pending.append((content, found))
                        size += len(found)
                    elif not self._store_large(content, remote):
                        lost.append(f"{content.md5} (damaged)")
                    if size >= _BATCH:
                        self._send(pending)
                        pending, size = [], 0
        self._send(pending)
        return lost

    def _send(self, pending: list[tuple[Content, bytes]]) -> None:
        if not pending:
            return
        digests = self._client.data.upload(bundle(data for _, data in pending))
        for (content, data), digest in zip(pending, digests, strict=True):
            self._keep(content, digest, len(data))

    def _store_large(self, content: Content, remote: str) -> bool:
        for pieces in self._objects.copies(content, remote=remote):
            try:
                info = self._client.storage.put_blob(pieces)
            except Damaged:
                continue
            self._keep(content, info.digest, info.size)
            return True
        return False

    def _keep(self, content: Content, digest: str, size: int) -> None:
        self._stored[content.md5] = (digest, size)
        self.report.files += 1
        self.report.bytes += size

    def _table(self, files: list[File]) -> tuple[int | None, dict[str, str]]:
        """Rows and columns of the table that the files make, where they make one and it is not too large to look at."""
        try:
            chosen = table_files(files)
            if sum(each.size for each in chosen) > _LOOKED_AT:
                return None, {}
            return summarise(chosen, self._client.data.local_copies(chosen))
        except (InvalidInput, UnsupportedFormat):
            return None, {}

    def _uses(self, now: Snapshot, output: Output) -> list[str]:
        """The versions of the outputs that a stage read, at this commit."""
        found: list[str] = []
        for dep in output.stage.deps if output.stage else ():
            for path in (dep, *_above(dep)):
                other = now.outputs.get(path)
                version = self._newest.get((path, _content_of(other))) if other else None
                if version is not None and path != output.path:
                    found.append(f"{KIND}/{version.name}@{version.version}")
                    break
        return list(dict.fromkeys(found))

    def _birth(self, commit: GitCommit, output: Output) -> Birth | None:
        """Who made it and when, as Git says; the same on every import."""
        if not commit.id:
            return None
        moment = datetime.fromisoformat(commit.date).astimezone(UTC)
        origin = f"dvc:{self._repository.name}/{output.path}@{commit.id}"
        return Birth(imported_id(origin, moment), moment, commit.author)

    def _metadata(self, now: Snapshot, output: Output) -> dict[str, Any]:
        commit, stage = now.commit, output.stage
        made: dict[str, Any] = {"path": output.path, "md5": _content_of(output), **output.facts}
        if stage is not None:
            made["stage"] = {"name": stage.name, "cmd": stage.cmd, "deps": stage.deps, "params": stage.params}
            metrics = {path: now.metrics[path] for path in stage.metrics if now.metrics.get(path) is not None}
            made |= {"metrics": metrics} if metrics else {}
        if not commit.id:
            return {"dvc": made}
        git = {"commit": commit.id, "author": commit.author, "email": commit.email, "date": commit.date}
        return {"dvc": {"commit": commit.id, **made}, "git": git}

    def _known(self, name: str) -> dict[str, DatasetVersion]:
        """The versions of a dataset that imports made before, by commit."""
        if name not in self._versions:
            self._versions[name] = {
                dvc["commit"]: version
                for version in self._all_versions(name)
                if isinstance(dvc := version.metadata.get("dvc"), dict) and dvc.get("commit")
            }
        return self._versions[name]

    def _all_versions(self, name: str) -> Iterator[DatasetVersion]:
        before = 0
        while True:
            try:
                page = self._client.data.versions(name, limit=_PAGE, before=before)
            except NotFound:
                return
            yield from page
            if len(page) < _PAGE:
                return
            before = page[-1].version

    def _alias(self, ref: str, commit_id: str) -> None:
        """Point an alias of a branch or tag at the version that each output has there."""
        alias = re.sub(r"[^\w.\-+:=/]", "_", ref)
        alias = f"tag-{alias}" if alias.removeprefix("v").isdigit() or alias == "latest" else alias
        tip = self._repository.snapshot(GitCommit(commit_id, [], "", "", "", ""))
        for output in tip.outputs.values():
            version = self._newest.get((output.path, _content_of(output)))
            if version is None:
                continue
            try:
                if self._client.data.aliases(version.name).get(alias) != version.version:
                    self._client.data.set_alias(version.name, alias=alias, version=version.version)
                    self.report.aliases += 1
            except MainspringError as error:
                self._say(f"{ref}: {error.message}")

    def _say(self, problem: str) -> None:
        if problem not in self.report.problems:
            self.report.problems.append(problem)


def _content_of(output: Output) -> str:
    if output.content is not None:
        return output.content.md5
    return ",".join(f"{each.path}={each.content.md5}" for each in output.listed or [])


def _above(path: str) -> Iterator[str]:
    """The folders that a path lies in, the nearest first."""
    while "/" in path:
        path = path.rpartition("/")[0]
        yield path


def _in_order(now: Snapshot) -> list[Output]:
    """The outputs, each after those that its stage read."""
    done: dict[str, Output] = {}

    def visit(output: Output, waiting: frozenset[str]) -> None:
        if output.path in done or output.path in waiting:
            return
        for dep in output.stage.deps if output.stage else ():
            for path in (dep, *_above(dep)):
                if path in now.outputs:
                    visit(now.outputs[path], waiting | {output.path})
        done[output.path] = output

    for path in sorted(now.outputs):
        visit(now.outputs[path], frozenset())
    return list(done.values())
