"""The pages of the console: one file per part of it, each with its context records, its views and its entries."""

from __future__ import annotations

from mainspring.console.pages import audit, data, home, lineage, models, runs, search

__all__ = ["ENTRIES"]

ENTRIES = (
    *home.ENTRIES,
    *runs.ENTRIES,
    *data.ENTRIES,
    *models.ENTRIES,
    *lineage.ENTRIES,
    *audit.ENTRIES,
    *search.ENTRIES,
)
