"""Views of runs that somebody gave a name: what the console's address of a table of runs says, kept for all."""

from __future__ import annotations

from datetime import datetime
from urllib.parse import parse_qsl

import msgspec

from mainspring.kernel.clock import now
from mainspring.kernel.context import caller
from mainspring.kernel.errors import InvalidInput, NotFound, TooLarge, nearest
from mainspring.kernel.operations import operation
from mainspring.store.records import Table
from mainspring.store.service import RoomService

__all__ = ["VIEWS", "SavedView", "ViewOperations"]

_NAME, _QUERY, _MOST = 100, 8000, 1000


class SavedView(msgspec.Struct, frozen=True):
    """A named view of runs."""

    workspace: str
    name: str
    query: str
    """Filter, columns, order, groups, pins, charts: query parameters as they stand in an address."""
    created_at: datetime
    created_by: str


VIEWS = Table("saved_view", SavedView)


class ViewOperations(RoomService):
    """The operations on saved views."""

    @operation(permission="tracking:read")
    def views(self) -> list[SavedView]:
        """The saved views of this workspace, by name."""
        with self.store.read() as tx:
            return tx.fetch(VIEWS, "WHERE workspace = ? ORDER BY name", (caller().workspace,))

    @operation(permission="tracking:write", writes=True, resource="name")
    def save_view(self, name: str, *, query: str) -> SavedView:
        """Keep a view of runs under a name; one that has the name is replaced.

        Args:
            name: 1 to 100 characters.
            query: The query parameters of the page of runs, such as `q=metrics.loss+%3C+0.3&sort=metrics.loss`.
        """
        name = name.strip()
        if not 1 <= len(name) <= _NAME or not name.isprintable():
            raise InvalidInput(f"{name!r:.120} is no name of a view", hint=f"1 to {_NAME} characters")
        if len(query) > _QUERY:
            raise TooLarge(f"the view has {len(query)} characters; {_QUERY} are the most", hint="pin fewer runs")
        try:
            parse_qsl(query, keep_blank_values=True, strict_parsing=bool(query))
        except ValueError:
            raise InvalidInput("a view is written as the query of an address", hint="q=...&sort=...") from None
        with self.store.write() as tx:
            who = caller()
            saved = SavedView(who.workspace, name, query, now(), who.principal)
            tx.execute("DELETE FROM saved_view WHERE workspace = ? AND name = ?", (who.workspace, name))
            if tx.value("SELECT count(*) FROM saved_view WHERE workspace = ?", (who.workspace,)) >= _MOST:
                raise TooLarge(f"there are {_MOST} views already", hint="delete one")
            tx.insert(VIEWS, saved)
            tx.note(f"view/{name}", query=query)
            return saved

    @operation(permission="tracking:write", writes=True, resource="name")
    def delete_view(self, name: str) -> None:
        """Take a saved view away."""
        with self.store.write() as tx:
            where = "FROM saved_view WHERE workspace = ? AND name = ?"
            found = tx.rows(f"SELECT query {where}", (caller().workspace, name))
            if not found:
                known = [
                    each
                    for (each,) in tx.rows("SELECT name FROM saved_view WHERE workspace = ?", (caller().workspace,))
                ]
                raise NotFound(f"there is no view {name!r}", known=nearest(name, known))
            tx.execute(f"DELETE {where}", (caller().workspace, name))
            tx.note(f"view/{name}", query=found[0][0])
