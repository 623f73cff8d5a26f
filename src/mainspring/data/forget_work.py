"""Forgetting, where the bytes are read: find rows in every version, write files again, tell what they reached.

The condition never leaves this machine: the store is told which version gets which content, and a seal.
"""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Iterator, Sequence
from pathlib import Path

import msgspec

from mainspring.data.erasures import Rewritten
from mainspring.data.external.types import EXTERNAL_PATH
from mainspring.data.forgetting import Condition, Found, search_file, write_without
from mainspring.data.forgetting_types import ForgetReport, Forgotten, Hit, Reached, RemoteErasure
from mainspring.data.remote_work import RemoteWork
from mainspring.data.remotes.erasing import erase_at_remote
from mainspring.data.service_forget import ForgetOperations
from mainspring.data.transfer import send_nodes
from mainspring.data.trees import build, walk
from mainspring.data.types import DatasetVersion
from mainspring.kernel.errors import InvalidInput, MainspringError
from mainspring.kernel.hashing import digest_bytes
from mainspring.kernel.hooks import ERASERS, load
from mainspring.lineage.service import Lineage
from mainspring.lineage.types import File

__all__ = ["ForgetWork"]

_PAGE = 1000
_PIECE = 1 << 20


class _Search(msgspec.Struct):
    """What was found, file by file."""

    condition: Condition
    known: dict[tuple[str, str], Found] = {}
    """By digest and, where the condition or the folders of a path matter, path."""
    unsearched: dict[str, None] = {}


class ForgetWork(RemoteWork, ForgetOperations):
    """Finding and forgetting rows."""

    def forget(
        self,
        where: str,
        *,
        datasets: Sequence[str] = (),
        reason: str = "",
        dry_run: bool = True,
        remotes: bool = True,
    ) -> ForgetReport:
        """Find the rows that a condition means in every version of every dataset, and make them go.

        Without `dry_run=False` nothing is changed. With it, each version that holds such rows gets a content without
        them: its number, aliases and lineage stay, its digest is another, and the ledger keeps both. What it held is
        removed at once from the store, from the cache of this machine and from the remotes that have names. What is
        online of feature views and in training sets goes as well; models and whatever else came of the rows are
        named, with the path along the lineage, and not changed.

        Args:
            where: SQL over columns, `customer_id = 42`; over `path` alone it means whole files.
            datasets: Only these; all when empty.
            reason: Why; it goes into the ledger. The condition does not.
            dry_run: Only say what would be done.
            remotes: Whether remotes are written again, too.

        Raises:
            InvalidInput: It is no condition, or a file cannot be written again without the rows; nothing was changed.

        Example:
            >>> import tempfile
            >>> from mainspring.client import connect
            >>> with connect(tempfile.mkdtemp()) as client:
            ...     version = client.data.commit("orders", {"customer_id": [41, 42], "sum": [1.0, 2.0]})
            ...     report = client.data.forget("customer_id = 42", reason="asked on 3 May", dry_run=False)
            ...     report.hits[0].rows, client.data.load("orders@1")["customer_id"].to_list()
            (1, [41])
        """
        condition = Condition(where)
        if not dry_run and not reason.strip():
            raise InvalidInput("forgetting needs a reason: it goes into the ledger", hint='reason="..."')
        search = _Search(condition, {}, {})
        found: list[tuple[Hit, list[File]]] = []
        for version in self._kept(datasets):
            hit = self._search_version(version, search)
            if hit is not None:
                found.append(hit)
        report = ForgetReport(
            where=where,
            reason=reason,
            applied=False,
            hits=[hit for hit, _ in found],
            reached=self._reached([hit for hit, _ in found]),
            elsewhere=[],
            remotes=[],
            scanned=len(search.known),
            unsearched=list(search.unsearched),
        )
        told = Forgotten(where, reason, [hit.id for hit in report.hits], apply=not dry_run)
        if dry_run:
            return msgspec.structs.replace(report, elsewhere=self._ask_erasers(told))
        return self._apply(report, found, search, told, remotes=remotes)

    def _apply(
        self,
        report: ForgetReport,
        found: list[tuple[Hit, list[File]]],
        search: _Search,
        told: Forgotten,
        *,
        remotes: bool,
    ) -> ForgetReport:
        salt = os.urandom(16).hex()
        seal = digest_bytes(f"{salt}\n{report.where}".encode())
        changes, hits = self._write_again(found, search)
        gone = sorted({digest for (digest, _), what in search.known.items() if what.rows or what.whole})
        done: list[RemoteErasure] = []
        if remotes:
            # Before the store forgets what they held: a remote is searched by what the versions were.
            done = [
                erase_at_remote(self, remote, changes, reason=report.reason, seal=seal) for remote in self.remotes()
            ]
        erasure = self.rewrite(changes, reason=report.reason, seal=seal, files=gone) if changes else None
        self.cache().remove([*gone, *(each.before for each in changes)])
        elsewhere = self._ask_erasers(told)
        return msgspec.structs.replace(
            report,
            applied=True,
            hits=hits,
            elsewhere=elsewhere,
            remotes=done,
            id=erasure.id if erasure else "",
            salt=salt,
            removed=erasure.removed if erasure else 0,
            left=[*(erasure.left if erasure else []), *told.left],
        )

    def _kept(self, datasets: Sequence[str]) -> Iterator[DatasetVersion]:
        for name in datasets or [""]:
            if name:
                self.versions(name, limit=1)  # names the nearest, where there is none
            before = ""
            while page := self.kept_versions(name, before=before, limit=_PAGE):
                yield from page
                before = page[-1].id

    def _search_version(self, version: DatasetVersion, search: _Search) -> tuple[Hit, list[File]] | None:
        try:
            files = list(walk(self.nodes, version.digest))
        except MainspringError:
            return None  # its bytes were given up
        if [file.path for file in files] == [EXTERNAL_PATH]:
            search.unsearched[f"{version.ref} is kept elsewhere ({version.origin}): look for the rows there"] = None
            return None
        here = set(self.storage.missing([file.digest for file in files]))
        rows, hit = 0, []
        for file in files:
            if file.digest in here:
                search.unsearched[f"{version.ref}: {file.path} is only at a remote: pull it first"] = None
                continue
            what = self._search_file(file, search)
            if what.failed:
                search.unsearched[f"{version.ref}: {file.path}: {what.failed}"] = None
            rows += what.rows
            if what.rows or what.whole:
                hit.append(file.path)
        return (Hit(version.ref, version.id, rows, hit, version.digest), files) if hit else None

    def _search_file(self, file: File, search: _Search) -> Found:
        key = _key(file, search.condition)
        if key not in search.known:
            if search.condition.columns:
                (copy,) = self.local_copies([file])
            else:
                copy = Path(file.path)  # the path alone decides; rows are not counted
            search.known[key] = search_file(file, copy, search.condition)
        return search.known[key]

    def _write_again(self, found: list[tuple[Hit, list[File]]], search: _Search) -> tuple[list[Rewritten], list[Hit]]:
        """Store the files and folders without the rows; what every version becomes."""
        written: dict[tuple[str, str], File] = {}
        changes: list[Rewritten] = []
        hits: list[Hit] = []
        with self.cache().scratch() as scratch:
            for hit, files in found:
                kept: list[File] = []
                for file in files:
                    key = _key(file, search.condition)
                    what = search.known.get(key, Found())
                    if what.whole:
                        continue
                    if what.rows and key not in written:
                        target = scratch / f"{len(written)}{Path(file.path).suffix}"
                        write_without(file, self.local_copies([file])[0], search.condition, target)
                        with target.open("rb") as source:
                            info = self.storage.put_blob(iter(lambda: source.read(_PIECE), b""))
                        target.unlink()
                        written[key] = File("", info.size, info.digest)
                    now = written.get(key, file)
                    kept.append(File(file.path, now.size, now.digest))
                tree = build(kept) if kept else None
                if tree is not None:
                    send_nodes(self, self.storage, tree)
                after = tree.root if tree else ""
                changes.append(Rewritten(hit.id, hit.before, after, hit.rows, len(hit.files)))
                hits.append(msgspec.structs.replace(hit, after=after))
        return changes, hits

    def _reached(self, hits: Sequence[Hit]) -> list[Reached]:
        """What came of the versions, each with a shortest path to it."""
        lineage = Lineage(self._backend)
        own = {hit.id for hit in hits}
        found: dict[str, Reached] = {}
        for hit in hits:
            graph = lineage.impact(hit.id)
            names = {node.id: _name(node.type, node.kind, node.name, node.version) for node in graph.nodes}
            onward: dict[str, list[str]] = {}
            for edge in graph.edges:
                onward.setdefault(edge.source, []).append(edge.target)
            paths, waiting = {graph.root: [hit.ref]}, deque([graph.root])
            while waiting:
                here = waiting.popleft()
                for there in onward.get(here, []):
                    if there not in paths:
                        paths[there] = [*paths[here], names.get(there, there)]
                        waiting.append(there)
            for node in graph.nodes:
                if node.id not in own and node.id in paths and node.type == "artifact":
                    ref = names[node.id]
                    found.setdefault(node.id, Reached(ref, node.kind, paths[node.id]))
        return sorted(found.values(), key=lambda each: (each.kind, each.ref))

    def _ask_erasers(self, told: Forgotten) -> list[str]:
        return [line for address in ERASERS.values() for line in load(address)(self, told)]


def _key(file: File, condition: Condition) -> tuple[str, str]:
    """Equal files are one, unless their path says something that the condition may ask."""
    if condition.by_path or "=" in file.path:
        return file.digest, file.path
    return file.digest, Path(file.path).suffix.lower()


def _name(type_: str, kind: str, name: str, version: int) -> str:
    return f"{kind}/{name}@{version}" if type_ == "artifact" else f"{kind} run {name}"
