"""`mainspring flow`: the commands by their names; each is loaded when it is used or described."""

from __future__ import annotations

import click

from mainspring.cli.lazy import LazyGroup

__all__ = ["COMMANDS", "flow"]

COMMANDS: dict[str, str] = {
    "answer": "mainspring.cli.flow_waits:answer",
    "backfill": "mainspring.cli.flow_backfill:backfill",
    "cancel": "mainspring.cli.flow_control:cancel",
    "clear": "mainspring.cli.flow_control:clear",
    "deploy": "mainspring.cli.flow_deploy:deploy",
    "deployment": "mainspring.cli.flow_deploy:deployment",
    "export": "mainspring.cli.flow_export:export_flow",
    "list": "mainspring.cli.flow_show:list_flows",
    "logs": "mainspring.cli.flow_show:logs",
    "mark": "mainspring.cli.flow_control:mark",
    "pause": "mainspring.cli.flow_control:pause",
    "resume": "mainspring.cli.flow_control:resume",
    "retry": "mainspring.cli.flow_control:retry",
    "run": "mainspring.cli.flow_start:run",
    "schedule": "mainspring.cli.flow_schedule:schedule",
    "scheduler": "mainspring.cli.flow_schedule:scheduler",
    "show": "mainspring.cli.flow_show:show",
    "start": "mainspring.cli.flow_start:start",
    "trigger": "mainspring.cli.flow_trigger:trigger",
    "waits": "mainspring.cli.flow_waits:waits",
    "why": "mainspring.cli.flow_show:why",
}
"""Every command and where it is."""


@click.group(cls=LazyGroup, addresses=COMMANDS)
def flow() -> None:
    """Durable flows: start, watch, steer, schedule."""
