"""Experiments: what they are for, how many runs they have, what was logged last."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from mainspring.console.finding import view_of
from mainspring.console.page import Ask, Crumb, Entry, Page
from mainspring.kernel.errors import InvalidInput
from mainspring.tracking.types import Experiment

if TYPE_CHECKING:
    from mainspring.client.client import Client

__all__ = ["ENTRIES"]

_PAGE = 200


class ExperimentRow(msgspec.Struct, frozen=True):
    """An experiment with where its runs are."""

    experiment: Experiment
    href: str
    running_href: str


class ExperimentsPage(Page, frozen=True, kw_only=True):
    """The context of `experiments.html`."""

    template = "experiments.html"

    rows: list[ExperimentRow]
    query: str
    problem: str
    view: str
    views: list[Crumb]
    older: str


def experiments(client: Client, ask: Ask) -> ExperimentsPage:
    """Experiments, the one with the latest run first; `q` keeps those whose name holds it, `view` the deleted ones."""
    words, view = ask.get("q").strip(), view_of(ask)
    text = words.replace("'", "''").replace("%", "")
    query = f"name ILIKE '%{text}%'" if words else ""
    problem, following = "", ""
    rows: list[ExperimentRow] = []
    try:
        found = client.tracking.experiments(query, view=view, limit=_PAGE, page=ask.get("page"))
    except InvalidInput as error:
        problem = error.message
    else:
        following = found.next_page
        rows = [
            ExperimentRow(
                each,
                ask.link("/runs", experiment=each.name),
                ask.link("/runs", experiment=each.name, status="running"),
            )
            for each in found.experiments
        ]
    return ExperimentsPage(
        title="Experiments",
        section="runs",
        crumbs=[Crumb("Runs", ask.link("/runs"))],
        live=view == "active",
        rows=rows,
        query=words,
        problem=problem,
        view=view,
        views=[
            Crumb(each, ask.here(view="" if each == "active" else each, page=""))
            for each in ("active", "deleted", "all")
        ],
        older=ask.here(page=following) if following else "",
    )


ENTRIES = (Entry("/experiments", experiments),)
