"""Data: datasets, the versions of one, and one version with its files, schema and difference to the one before."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from mainspring.console.links import node_path
from mainspring.console.page import Ask, Crumb, Entry, Page
from mainspring.console.pages.distributions import ColumnCard, column_cards
from mainspring.console.pages.lineage import Drawing, draw_graph
from mainspring.console.pages.reports import ValidationView, newest_report, validation_view
from mainspring.data.differences import diff_schema
from mainspring.data.types import DatasetVersion, FilesDiff, LogEntry, SchemaDiff
from mainspring.lineage.types import Edge, File

if TYPE_CHECKING:
    from mainspring.client.client import Client

__all__ = ["ENTRIES"]

_PAGE = 100
_FILES = 200


class DatasetRow(msgspec.Struct, frozen=True):
    """A dataset with its newest version."""

    newest: DatasetVersion
    href: str
    newest_href: str


class DataIndex(Page, frozen=True, kw_only=True):
    """The context of `data.html`."""

    template = "data.html"

    rows: list[DatasetRow]


class EntryRow(msgspec.Struct, frozen=True):
    """One version in the history."""

    entry: LogEntry
    href: str
    uses: list[Crumb]


class DatasetPage(Page, frozen=True, kw_only=True):
    """The context of `dataset.html`."""

    template = "dataset.html"

    name: str
    rows: list[EntryRow]
    sizes: list[float | None]
    """Rows of each version, oldest first; bytes where the files make no table."""
    counted_in: str
    older: str
    newer: str


class SchemaRow(msgspec.Struct, frozen=True):
    """A column of a version, and what became of it since the version before."""

    name: str
    type: str
    change: str
    """`added`, `removed`, `was <type>`, or empty."""


class DatasetVersionPage(Page, frozen=True, kw_only=True):
    """The context of `dataset_version.html`."""

    template = "dataset_version.html"

    version: DatasetVersion
    aliases: list[str]
    files: list[File]
    unlisted: int
    schema: list[SchemaRow]
    before: DatasetVersion | None
    before_href: str
    files_diff: FilesDiff | None
    schema_diff: SchemaDiff | None
    drawing: Drawing
    lineage_href: str
    columns: list[ColumnCard]
    """What its profile says; empty where none was taken."""
    validation: ValidationView | None
    """What the newest validation of this version found."""


def datasets(client: Client, ask: Ask) -> DataIndex:
    """Every dataset with its newest version."""
    return DataIndex(
        title="Data",
        section="data",
        live=True,
        rows=[
            DatasetRow(each, ask.link(f"/data/{each.name}"), ask.link(f"/data/{each.name}@{each.version}"))
            for each in client.data.datasets()
        ],
    )


def dataset(client: Client, ask: Ask) -> Page:
    """One dataset with its versions, or, where the address has an `@`, one version."""
    ref = str(ask.params["ref"])
    return _version(client, ask, ref) if "@" in ref else _dataset(client, ask, ref)


def _dataset(client: Client, ask: Ask, name: str) -> DatasetPage:
    before = int(ask.get("before", "0")) if ask.get("before", "0").isdigit() else 0
    entries = client.data.log(name, limit=_PAGE, before=before)
    tabular = all(entry.version.rows is not None for entry in entries)
    sizes = [float((entry.version.rows or 0) if tabular else entry.version.size) for entry in reversed(entries)]
    return DatasetPage(
        title=name,
        section="data",
        crumbs=[Crumb("Data", ask.link("/data"))],
        live=not before,
        name=name,
        rows=[
            EntryRow(
                entry,
                ask.link(f"/data/{name}@{entry.version.version}"),
                [Crumb(ref, ask.link(f"/lineage/{ref}")) for ref in entry.uses],
            )
            for entry in entries
        ],
        sizes=list(sizes),
        counted_in="rows" if tabular else "bytes",
        older=ask.here(before=entries[-1].version.version) if len(entries) == _PAGE else "",
        newer=ask.here(before="") if before else "",
    )


def _version(client: Client, ask: Ask, ref: str) -> DatasetVersionPage:
    version = client.data.describe(ref)
    files = client.data.files(version.id)
    aliases = [alias for alias, number in client.data.aliases(version.name).items() if number == version.version]
    before = (
        next(iter(client.data.versions(version.name, limit=1, before=version.version)), None)
        if version.version > 1
        else None
    )
    schema_diff = diff_schema(before.schema, version.schema) if before and (before.schema or version.schema) else None
    why, impact = client.lineage.why(version.id, limit=1000), client.lineage.impact(version.id, limit=1000)
    profile = client.quality.profile_of(version.id)
    newest = newest_report(impact.of_kind("report"), "validation")
    validation = (
        validation_view(client.quality.validation(newest.id), href=ask.link(node_path(newest))) if newest else None
    )
    nodes = list({node.id: node for node in (*why.nodes, *impact.nodes)}.values())
    edges = dict.fromkeys((edge.source, edge.target, edge.role) for edge in (*why.edges, *impact.edges))
    return DatasetVersionPage(
        title=f"{version.name}@{version.version}",
        section="data",
        crumbs=[Crumb("Data", ask.link("/data")), Crumb(version.name, ask.link(f"/data/{version.name}"))],
        version=version,
        aliases=aliases,
        files=files[:_FILES],
        unlisted=max(len(files) - _FILES, 0),
        schema=_schema(version, schema_diff),
        before=before,
        before_href=ask.link(f"/data/{before.name}@{before.version}") if before else "",
        files_diff=client.data.compare_files(before.id, after=version.id) if before else None,
        schema_diff=schema_diff,
        drawing=draw_graph(nodes, [Edge(*edge) for edge in edges], ask, root=version.id, limit=30),
        lineage_href=ask.link(f"/lineage/{version.ref}"),
        columns=column_cards(profile) if profile else [],
        validation=validation,
    )


def _schema(version: DatasetVersion, diff: SchemaDiff | None) -> list[SchemaRow]:
    added, changed = (diff.added, diff.changed) if diff else ({}, {})
    rows = [
        SchemaRow(name, kind, "added" if name in added else f"was {changed[name][0]}" if name in changed else "")
        for name, kind in version.schema.items()
    ]
    return rows + [SchemaRow(name, kind, "removed") for name, kind in (diff.removed if diff else {}).items()]


ENTRIES = (Entry("/data", datasets), Entry("/data/{ref:path}", dataset))
