"""What a page is: a typed record made from one question, drawn by one template, and answered as JSON too."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import TYPE_CHECKING, Any, ClassVar
from urllib.parse import quote, urlencode

import msgspec

if TYPE_CHECKING:
    from mainspring.client.client import Client

__all__ = ["Ask", "Crumb", "Entry", "Page", "View"]


class Ask(msgspec.Struct, frozen=True, kw_only=True):
    """One question of a browser: which page, with which parameters, from where."""

    base: str
    """Path under which the console is mounted, without a slash at its end; empty at the root."""
    path: str
    """Path of the page below `base`."""
    origin: str
    """Scheme and host as the browser sees them, for snippets that can be pasted."""
    params: dict[str, Any]
    """Parts of the path."""
    query: dict[str, list[str]]
    now: datetime

    def get(self, name: str, default: str = "") -> str:
        """The last value of a query parameter."""
        return self.query.get(name, [default])[-1]

    def link(self, path: str, **query: object) -> str:
        """The address of another page of the console.

        Example:
            >>> from mainspring.kernel.clock import now
            >>> ask = Ask(base="/console", path="/", origin="", params={}, query={}, now=now())
            >>> ask.link("/models/fraud model@3", tab="card")
            '/console/models/fraud%20model@3?tab=card'
        """
        shown = {name: value for name, value in query.items() if value not in ("", None)}
        if path.endswith(".json"):
            shown.setdefault("format", "html")  # a thing may be called x.json; its page is still a page
        return self.base + quote(path, safe="/@:+=,") + (f"?{urlencode(shown, doseq=True)}" if shown else "")

    def here(self, **changes: object) -> str:
        """This page with some query parameters changed; an empty value takes one away."""
        merged: dict[str, object] = {**self.query, **changes}
        shown = {name: value for name, value in merged.items() if value not in ("", None, [])}
        return self.base + quote(self.path, safe="/@:+=,") + (f"?{urlencode(shown, doseq=True)}" if shown else "")


class Crumb(msgspec.Struct, frozen=True):
    """One step of the way to a page."""

    label: str
    href: str = ""


class Page(msgspec.Struct, frozen=True, kw_only=True):
    """The base of every context record: what the shell needs. Subclasses add what their template draws."""

    template: ClassVar[str] = ""
    """File of the template under `templates/`."""

    title: str
    section: str = ""
    """Which entry of the navigation is lit."""
    crumbs: list[Crumb] = []
    live: bool = False
    """Whether the page changes while it is looked at, and is asked for again every few seconds."""
    follows: bool = False
    """Whether the scripts of the page follow what goes on by themselves, and it is not asked for again as a whole."""


View = Callable[["Client", Ask], Page]
"""Makes the record of a page by calling services; blocking, run in a thread."""


class Entry(msgspec.Struct, frozen=True):
    """One page in the table of routes: its path in Starlette's form and the view behind it."""

    path: str
    view: View
