"""Durable pipelines: steps, flows, schedules and the workers that run them."""

from mainspring.pipelines.context import StepContext, current_client, current_step
from mainspring.pipelines.decorators import Flow, Step, flow, step

__all__ = ["Flow", "Step", "StepContext", "current_client", "current_step", "flow", "step"]
