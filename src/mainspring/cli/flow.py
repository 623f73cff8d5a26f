"""`mainspring flow`: the commands by their names; each is loaded when it is used or described."""

from __future__ import annotations

import click

from mainspring.cli.lazy import LazyGroup

__all__ = ["COMMANDS", "flow"]

COMMANDS: dict[str, str] = {
    "cancel": "mainspring.cli.flow_control:cancel",
    "export": "mainspring.cli.flow_export:export_flow",
    "list": "mainspring.cli.flow_show:list_flows",
    "logs": "mainspring.cli.flow_show:logs",
    "retry": "mainspring.cli.flow_control:retry",
    "schedule": "mainspring.cli.flow_schedule:schedule",
    "show": "mainspring.cli.flow_show:show",
    "start": "mainspring.cli.flow_start:start",
}
"""Every command and where it is."""


@click.group(cls=LazyGroup, addresses=COMMANDS)
def flow() -> None:
    """Durable flows: start, watch, steer, schedule."""
