"""Search over the names of everything: for the search field and for the command palette."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from mainspring.console.links import artifact_path, run_path
from mainspring.console.page import Ask, Entry, Page
from mainspring.console.words import is_id
from mainspring.kernel.errors import InvalidInput, NotFound

if TYPE_CHECKING:
    from mainspring.client.client import Client

__all__ = ["ENTRIES"]

_KINDS = ("dataset", "model", "feature-view", "report")
_SHOWN = 50
_RUNS = 500
"""How many of the newest runs are searched by name; older ones are found by their id."""


class Result(msgspec.Struct, frozen=True):
    """One thing whose name holds the words."""

    label: str
    kind: str
    href: str


class SearchPage(Page, frozen=True, kw_only=True):
    """The context of `search.html`."""

    template = "search.html"

    words: str
    results: list[Result]
    more: bool


def search(client: Client, ask: Ask) -> SearchPage:
    """Everything whose name holds all the words of `q`, and the thing itself where `q` is an id or a reference."""
    words = ask.get("q").strip()
    found = _exact(client, ask, words) if words else []
    if words:
        found += _named(client, ask, words.lower().split())
    unique = list({result.href: result for result in found}.values())
    return SearchPage(title="Search", crumbs=[], words=words, results=unique[:_SHOWN], more=len(unique) > _SHOWN)


def _exact(client: Client, ask: Ask, words: str) -> list[Result]:
    if is_id(words):
        try:
            run = client.lineage.run(words)
        except NotFound:
            pass
        else:
            return [Result(run.name, run.kind, ask.link(run_path(run.id, run.kind)))]
    elif "/" not in words:
        return []
    try:
        artifact = client.lineage.artifact(words).artifact
    except (InvalidInput, NotFound):
        return []
    path = artifact_path(artifact.kind, artifact.name, artifact.version)
    return [Result(f"{artifact.name}@{artifact.version}", artifact.kind, ask.link(path))]


def _named(client: Client, ask: Ask, words: list[str]) -> list[Result]:
    found = [
        Result(newest.name, kind, ask.link(artifact_path(kind, newest.name, newest.version)))
        for kind in _KINDS
        for newest in client.lineage.names(kind)
        if _holds(newest.name, words)
    ]
    runs = client.lineage.runs(limit=_RUNS)
    return found + [
        Result(run.name, f"{run.kind}, {run.status}", ask.link(run_path(run.id, run.kind)))
        for run in runs
        if _holds(run.name, words) or run.id.endswith(words[-1])
    ]


def _holds(name: str, words: list[str]) -> bool:
    return all(word in name.lower() for word in words)


ENTRIES = (Entry("/search", search),)
