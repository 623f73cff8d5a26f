"""Data: datasets, the versions of one, and one version with its files, schema and difference to the one before."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, TypeVar

import msgspec

from mainspring.console.links import node_path
from mainspring.console.page import Ask, Crumb, Entry, Page
from mainspring.console.pages.data_rows import Preview, preview
from mainspring.console.pages.distributions import ColumnCard, column_cards
from mainspring.console.pages.lineage import Drawing, draw_graph
from mainspring.console.pages.reports import ValidationView, newest_report, validation_view
from mainspring.data.differences import diff_schema
from mainspring.data.service_labels import Labels
from mainspring.data.types import DatasetVersion, FilesDiff, LogEntry, SchemaDiff
from mainspring.kernel.errors import StorageError
from mainspring.lineage.types import Edge, File
from mainspring.quality.contracts import Contract
from mainspring.quality.outcomes import Standing
from mainspring.quality.tables import Outcome

if TYPE_CHECKING:
    from mainspring.client.client import Client

__all__ = ["ENTRIES"]

T = TypeVar("T")

_PAGE = 100
_FILES = 200
_OUTCOMES = 5000
_CELLS = 60
_LINES = 60


class DatasetRow(msgspec.Struct, frozen=True):
    """A dataset with its newest version, and how it stands."""

    newest: DatasetVersion
    href: str
    newest_href: str
    standing: Standing | None
    standing_href: str
    contract: Contract | None


class DataIndex(Page, frozen=True, kw_only=True):
    """The context of `data.html`."""

    template = "data.html"

    rows: list[DatasetRow]


class EntryRow(msgspec.Struct, frozen=True):
    """One version in the history."""

    entry: LogEntry
    href: str
    uses: list[Crumb]
    diff_href: str
    """Where it is compared with the version before."""
    labels: Labels


class ExpectationRow(msgspec.Struct, frozen=True):
    """One expectation over the validations of a dataset, oldest first."""

    subject: str
    kind: str
    severity: str
    verdict: str
    cells: list[tuple[str, str]]
    values: list[float | None]
    observed: float | None
    unexpected: int | None


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
    aliases: list[tuple[str, int, str]]
    """Name, version, and its page."""
    expectations: list[ExpectationRow]
    hidden_expectations: int
    contract: Contract | None
    contract_href: str


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
    preview: Preview
    diff_href: str
    labels: Labels
    problems: list[str]
    """What of it is damaged."""


def datasets(client: Client, ask: Ask) -> DataIndex:
    """Every dataset with its newest version."""
    standings = {each.dataset: each for each in client.quality.standings()}
    contracts = {each.dataset: each for each in client.quality.contracts()}
    return DataIndex(
        title="Data",
        section="data",
        live=True,
        rows=[_row(ask, each, standings.get(each.name), contracts.get(each.name)) for each in client.data.datasets()],
    )


def _row(ask: Ask, newest: DatasetVersion, standing: Standing | None, contract: Contract | None) -> DatasetRow:
    return DatasetRow(
        newest,
        ask.link(f"/data/{newest.name}"),
        ask.link(f"/data/{newest.name}@{newest.version}"),
        standing,
        ask.link(f"/reports/{standing.report_id}") if standing else "",
        contract,
    )


def dataset(client: Client, ask: Ask) -> Page:
    """One dataset with its versions, or, where the address has an `@`, one version."""
    ref = str(ask.params["ref"])
    return _version(client, ask, ref) if "@" in ref else _dataset(client, ask, ref)


def _dataset(client: Client, ask: Ask, name: str) -> DatasetPage:
    before = int(ask.get("before", "0")) if ask.get("before", "0").isdigit() else 0
    entries = client.data.log(name, limit=_PAGE, before=before)
    tabular = all(entry.version.rows is not None for entry in entries)
    said = client.data.labels([entry.version.id for entry in entries]) if entries else []
    contract = client.quality.find_contract(name)
    outcomes = client.quality.history(name, limit=_OUTCOMES) if not before else []
    expectations = _over_time(outcomes)
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
                _diff_link(ask, name, entry.version.version),
                labels,
            )
            for entry, labels in zip(entries, said, strict=True)
        ],
        sizes=list(sizes),
        counted_in="rows" if tabular else "bytes",
        older=ask.here(before=entries[-1].version.version) if len(entries) == _PAGE else "",
        newer=ask.here(before="") if before else "",
        aliases=[
            (alias, entry.version.version, ask.link(f"/data/{name}@{entry.version.version}"))
            for entry in entries
            for alias in entry.aliases
        ],
        expectations=expectations[:_LINES],
        hidden_expectations=max(len(expectations) - _LINES, 0),
        contract=contract,
        contract_href=ask.link(f"/quality/suites/{contract.suite.partition('/')[2]}") if contract else "",
    )


def _diff_link(ask: Ask, name: str, version: int) -> str:
    if version < 2:
        return ""
    return ask.link("/data-diff", before=f"{name}@{version - 1}", after=f"{name}@{version}")


def _over_time(outcomes: list[Outcome]) -> list[ExpectationRow]:
    """Each expectation over the validations, those that did not pass last first."""
    grouped: dict[tuple[str, str, str, str], list[Outcome]] = {}
    for each in reversed(outcomes):
        grouped.setdefault((each.subject, each.kind, each.where_text, each.about), []).append(each)
    rows = []
    for (subject, kind, where, about), seen in grouped.items():
        last = seen[-1]
        said = f"{kind.replace('_', ' ')}{f' ({about})' if about else ''}{f', where {where}' if where else ''}"
        rows.append(
            ExpectationRow(
                subject=subject,
                kind=said,
                severity=last.severity,
                verdict=last.verdict,
                cells=[(f"@{each.version}, {each.at:%Y-%m-%d %H:%M}", each.verdict) for each in seen[-_CELLS:]],
                values=[each.observed for each in seen[-_CELLS:]],
                observed=last.observed,
                unexpected=last.unexpected,
            )
        )
    return sorted(rows, key=lambda row: (row.verdict == "passed", row.subject, row.kind))


def _version(client: Client, ask: Ask, ref: str) -> DatasetVersionPage:
    version = client.data.describe(ref)
    problems: list[str] = []
    files = _readable(lambda: client.data.files(version.id), problems) or []
    aliases = [alias for alias, number in client.data.aliases(version.name).items() if number == version.version]
    before = (
        next(iter(client.data.versions(version.name, limit=1, before=version.version)), None)
        if version.version > 1
        else None
    )
    schema_diff = diff_schema(before.schema, version.schema) if before and (before.schema or version.schema) else None
    why, impact = client.lineage.why(version.id, limit=1000), client.lineage.impact(version.id, limit=1000)
    profile = _readable(lambda: client.quality.profile_of(version.id), problems)
    newest = newest_report(impact.of_kind("report"), "validation")
    report = _readable(lambda: client.quality.validation(newest.id), problems) if newest else None
    validation = validation_view(report, href=ask.link(node_path(newest))) if newest and report else None
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
        files_diff=_readable(lambda: client.data.compare_files(before.id, after=version.id), problems)
        if before
        else None,
        schema_diff=schema_diff,
        drawing=draw_graph(nodes, [Edge(*edge) for edge in edges], ask, root=version.id, limit=30),
        lineage_href=ask.link(f"/lineage/{version.ref}"),
        columns=column_cards(profile) if profile else [],
        validation=validation,
        preview=preview(client, version, files) if files or not version.files else Preview(why="They cannot be read."),
        problems=list(dict.fromkeys(problems)),
        diff_href=_diff_link(ask, version.name, version.version),
        labels=client.data.labels([version.id])[0],
    )


def _readable(ask: Callable[[], T], problems: list[str]) -> T | None:
    """What a question gives; where its bytes are damaged, nothing, and what is wrong is said on the page."""
    try:
        return ask()
    except StorageError as error:
        problems.append(f"{error.message}; {error.hint}" if error.hint else error.message)
        return None


def _schema(version: DatasetVersion, diff: SchemaDiff | None) -> list[SchemaRow]:
    added, changed = (diff.added, diff.changed) if diff else ({}, {})
    rows = [
        SchemaRow(name, kind, "added" if name in added else f"was {changed[name][0]}" if name in changed else "")
        for name, kind in version.schema.items()
    ]
    return rows + [SchemaRow(name, kind, "removed") for name, kind in (diff.removed if diff else {}).items()]


ENTRIES = (Entry("/data", datasets), Entry("/data/{ref:path}", dataset))
