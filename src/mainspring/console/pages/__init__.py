"""The pages of the console: one file per part of it, each with its context records, its views and its entries."""

from __future__ import annotations

from mainspring.console.pages import (
    alerts,
    audit,
    compare,
    data,
    data_diff,
    endpoints,
    experiments,
    flows,
    home,
    lineage,
    models,
    predictions,
    previews,
    quality,
    reports,
    run,
    runs,
    search,
)

__all__ = ["ENTRIES"]

ENTRIES = (
    *home.ENTRIES,
    *runs.ENTRIES,
    *previews.ENTRIES,
    *run.ENTRIES,
    *compare.ENTRIES,
    *experiments.ENTRIES,
    *flows.ENTRIES,
    *data.ENTRIES,
    *data_diff.ENTRIES,
    *quality.ENTRIES,
    *models.ENTRIES,
    *endpoints.ENTRIES,
    *alerts.ENTRIES,
    *predictions.ENTRIES,
    *lineage.ENTRIES,
    *reports.ENTRIES,
    *audit.ENTRIES,
    *search.ENTRIES,
)
