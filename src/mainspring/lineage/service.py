"""The operations of the lineage."""

from __future__ import annotations

import msgspec

from mainspring.kernel.context import caller
from mainspring.kernel.operations import operation
from mainspring.lineage import graph, listing, queries
from mainspring.lineage.types import AliasChange, Artifact, File, Graph, Run
from mainspring.store.service import RoomService

__all__ = ["ArtifactDetail", "Counts", "Lineage"]


class Counts(msgspec.Struct, frozen=True):
    """How much there is."""

    artifacts: dict[str, int]
    """By kind."""
    runs: dict[str, int]
    """By status."""


class ArtifactDetail(msgspec.Struct, frozen=True):
    """An artifact with its files and the aliases that point at it."""

    artifact: Artifact
    files: list[File]
    aliases: list[str]


class Lineage(RoomService, room="lineage"):
    """Artifacts, runs, and how they hang together."""

    @operation(permission="lineage:read")
    def artifact(self, ref: str, *, kind: str = "") -> ArtifactDetail:
        """The artifact that a reference means: `kind/name@version`, `kind/name@alias`, `kind/name` or an id."""
        with self.store.read() as tx:
            found = graph.resolve(tx, ref, kind=kind)
            known = graph.aliases(tx, found.kind, found.name)
            pointing = [alias for alias, version in known.items() if version == found.version]
            return ArtifactDetail(found, graph.files_of(tx, found.id), pointing)

    @operation(permission="lineage:read")
    def artifacts(self, *, kind: str = "", name: str = "", limit: int = 100, before: str = "") -> list[Artifact]:
        """Artifacts, newest first; `before` is the id of the last one of the page before."""
        with self.store.read() as tx:
            return listing.artifacts(tx, kind=kind, name=name, before=before, limit=limit)

    @operation(permission="lineage:read")
    def names(self, kind: str) -> list[Artifact]:
        """The newest version of every name of a kind, by name."""
        with self.store.read() as tx:
            return listing.newest(tx, kind)

    @operation(permission="lineage:read")
    def run(self, run_id: str) -> Run:
        """One run."""
        with self.store.read() as tx:
            return graph.get_run(tx, run_id)

    @operation(permission="lineage:read")
    def runs(
        self,
        *,
        kind: str = "",
        name: str = "",
        status: str = "",
        parent_id: str = "",
        limit: int = 100,
        before: str = "",
    ) -> list[Run]:
        """Runs, newest first; `before` is the id of the last one of the page before."""
        with self.store.read() as tx:
            return listing.runs(
                tx, kind=kind, name=name, status=status, parent_id=parent_id, before=before, limit=limit
            )

    @operation(permission="lineage:read")
    def why(self, ref: str, *, limit: int = 10_000) -> Graph:
        """Everything that a run or an artifact came from: data, code, environment, approvals."""
        with self.store.read() as tx:
            return queries.why(tx, graph.node_id(tx, ref), limit=limit)

    @operation(permission="lineage:read")
    def impact(self, ref: str, *, limit: int = 10_000) -> Graph:
        """Everything that came from a run or an artifact: models, deployments, predictions."""
        with self.store.read() as tx:
            return queries.impact(tx, graph.node_id(tx, ref), limit=limit)

    @operation(permission="lineage:read")
    def counts(self) -> Counts:
        """How many artifacts of each kind and runs of each status there are."""
        workspace = (caller().workspace,)
        with self.store.read() as tx:
            artifacts = tx.rows("SELECT kind, count(*) FROM artifact WHERE workspace = ? GROUP BY kind", workspace)
            runs = tx.rows("SELECT status, count(*) FROM run WHERE workspace = ? GROUP BY status", workspace)
        return Counts(dict(artifacts), dict(runs))

    @operation(permission="lineage:read")
    def aliases(self, kind: str, name: str) -> dict[str, int]:
        """Every alias of a name and the version that it points at."""
        with self.store.read() as tx:
            return graph.aliases(tx, kind, name)

    @operation(permission="lineage:read")
    def alias_history(self, kind: str, name: str) -> list[AliasChange]:
        """Every move of the aliases of a name, newest first."""
        with self.store.read() as tx:
            return listing.alias_history(tx, kind, name)
