"""The pages of the console: one file per part of it, each with its context records, its views and its entries."""

from __future__ import annotations

from mainspring.console.pages import audit, home, lineage, search

__all__ = ["ENTRIES"]

ENTRIES = (*home.ENTRIES, *lineage.ENTRIES, *audit.ENTRIES, *search.ENTRIES)
