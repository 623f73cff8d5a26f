"""Durable pipelines: steps, flows, schedules and the workers that run them."""

from mainspring.pipelines.context import StepContext, current_client, current_step
from mainspring.pipelines.decorators import Flow, Step, flow, step
from mainspring.pipelines.handles import Handle
from mainspring.pipelines.parameters import fire_date, fire_time
from mainspring.pipelines.spreading import each, whole
from mainspring.pipelines.waits import ask, sleep, wait_for

__all__ = [
    "Flow",
    "Handle",
    "Step",
    "StepContext",
    "ask",
    "current_client",
    "current_step",
    "each",
    "fire_date",
    "fire_time",
    "flow",
    "sleep",
    "step",
    "wait_for",
    "whole",
]
