"""What differs between two versions of data: files, columns, rows, and distributions."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from mainspring.console.page import Ask, Crumb, Entry, Page
from mainspring.console.pages.distributions import DriftRow, drift_rows
from mainspring.data.types import DatasetVersion, Diff
from mainspring.kernel.errors import MainspringError

if TYPE_CHECKING:
    from mainspring.client.client import Client
    from mainspring.quality.drift.compare import DriftReport

__all__ = ["ENTRIES"]

_ROWS = 2_000_000  # of both versions; more are compared from a shell, where it may take its time
_CHARTS = 24


class DiffPage(Page, frozen=True, kw_only=True):
    """The context of `data_diff.html`."""

    template = "data_diff.html"

    before: str
    after: str
    before_href: str = ""
    after_href: str = ""
    diff: Diff | None = None
    key: list[str] = msgspec.field(default_factory=list)
    rows_why: str = ""
    """Why rows were not compared, where they were not."""
    changed_columns: list[str] = msgspec.field(default_factory=list)
    drift: DriftReport | None = None
    drift_rows: list[DriftRow] = msgspec.field(default_factory=list)
    known: list[str] = msgspec.field(default_factory=list)
    """Datasets to choose from, where nothing was asked."""


def diff(client: Client, ask: Ask) -> DiffPage:
    """Two versions beside each other: `?before=flights@1&after=flights@2`, and `&key=id` to match rows."""
    before, after = ask.get("before"), ask.get("after")
    crumbs = [Crumb("Data", ask.link("/data"))]
    if not before or not after:
        known = [f"{each.name}@{each.version}" for each in client.data.datasets()]
        return DiffPage(
            title="Compare versions", section="data", crumbs=crumbs, before=before, after=after, known=known
        )
    key = [each for each in ask.get("key").split(",") if each]
    old, new = client.data.describe(before), client.data.describe(after)
    rows = (old.rows or 0) + (new.rows or 0)
    elsewhere = any(client.data.external(each) is not None for each in (old, new))
    fits = bool(old.schema and new.schema) and rows <= _ROWS and not elsewhere
    found = client.data.diff(old.id, new.id, depth="rows" if fits else "schema", key=key)
    why = "" if fits else _why(old, new, elsewhere=elsewhere)
    drift = _drift(client, old.id, new.id)
    names: dict[str, Any] = {"before": f"{old.name}@{old.version}", "after": f"{new.name}@{new.version}"}
    return DiffPage(
        title=f"{names['before']} and {names['after']}",
        section="data",
        crumbs=[*crumbs, Crumb(new.name, ask.link(f"/data/{new.name}"))],
        **names,
        before_href=ask.link(f"/data/{names['before']}"),
        after_href=ask.link(f"/data/{names['after']}"),
        diff=found,
        key=key,
        rows_why=why,
        changed_columns=list(found.rows.changed_columns) if found.rows else [],
        drift=drift,
        drift_rows=drift_rows(drift.columns)[:_CHARTS] if drift else [],
    )


def _why(old: DatasetVersion, new: DatasetVersion, *, elsewhere: bool) -> str:
    if not (old.schema and new.schema):
        return "the files make no table"
    if elsewhere:  # whoever links a query says which database to ask; this server does not ask it for them
        return "what lies elsewhere is read only where you are: mainspring data diff"
    return f"{(old.rows or 0) + (new.rows or 0):,} rows are many"


def _drift(client: Client, old: str, new: str) -> DriftReport | None:
    """What the stored profiles of both say of each other; nothing where one was not taken."""
    from mainspring.quality.drift.compare import drift

    profiles = [client.quality.profile_of(each) for each in (old, new)]
    if profiles[0] is None or profiles[1] is None or not profiles[0].rows:
        return None
    try:
        return drift(profiles[0], profiles[1])
    except MainspringError:
        return None  # a column is a number in one and text in the other: the columns above say so


ENTRIES = (Entry("/data-diff", diff),)
