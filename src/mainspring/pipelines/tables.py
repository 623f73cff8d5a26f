"""What the pipelines keep, by subject."""

from __future__ import annotations

from mainspring.pipelines.tables_backfills import BACKFILL_TABLES
from mainspring.pipelines.tables_cards import CARD_TABLES
from mainspring.pipelines.tables_deployments import DEPLOYMENT_TABLES
from mainspring.pipelines.tables_limits import LIMIT_TABLES
from mainspring.pipelines.tables_runs import RUN_TABLES
from mainspring.pipelines.tables_schedules import SCHEDULE_TABLES
from mainspring.pipelines.tables_triggers import TRIGGER_TABLES
from mainspring.pipelines.tables_waits import WAIT_TABLES

__all__ = ["MIGRATIONS"]

MIGRATIONS: tuple[str, ...] = (
    RUN_TABLES
    + SCHEDULE_TABLES
    + TRIGGER_TABLES
    + DEPLOYMENT_TABLES
    + BACKFILL_TABLES
    + WAIT_TABLES
    + LIMIT_TABLES
    + CARD_TABLES,
)
