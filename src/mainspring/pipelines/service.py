"""The pipelines' service: everything that can be asked of flows, by subject."""

from __future__ import annotations

from mainspring.pipelines.service_backfills import BackfillOperations
from mainspring.pipelines.service_cards import CardOperations
from mainspring.pipelines.service_control import ControlOperations
from mainspring.pipelines.service_deployments import DeploymentOperations
from mainspring.pipelines.service_limits import LimitOperations
from mainspring.pipelines.service_overview import OverviewOperations
from mainspring.pipelines.service_runs import RunOperations
from mainspring.pipelines.service_schedules import ScheduleOperations
from mainspring.pipelines.service_triggers import TriggerOperations
from mainspring.pipelines.service_waits import WaitOperations

__all__ = ["Pipelines"]


class Pipelines(
    RunOperations,
    ControlOperations,
    ScheduleOperations,
    TriggerOperations,
    BackfillOperations,
    DeploymentOperations,
    WaitOperations,
    LimitOperations,
    CardOperations,
    OverviewOperations,
    room="pipelines",
):
    """Flows, steps, and when flows start."""
