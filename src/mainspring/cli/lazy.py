"""Groups of commands that are addresses until somebody asks for one, so that a command loads what it uses only."""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from typing import Any

import click

from mainspring.kernel.errors import nearest

__all__ = ["LazyGroup"]


class LazyGroup(click.Group):
    """A group whose commands are named as `module:attribute`.

    Args:
        addresses: The address of every command, by its name.
    """

    def __init__(self, *args: Any, addresses: Mapping[str, str], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.addresses = addresses

    def list_commands(self, ctx: click.Context) -> list[str]:
        """The names, sorted."""
        del ctx
        return sorted(self.addresses)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """The command of that name, loaded now."""
        del ctx
        address = self.addresses.get(cmd_name)
        if address is None:
            return None
        module, _, attribute = address.partition(":")
        command: click.Command = getattr(importlib.import_module(module), attribute)
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """As click does it; a name that is unknown is answered with the nearest."""
        try:
            return super().resolve_command(ctx, args)
        except click.UsageError as error:
            near = ", ".join(nearest(args[0], self.addresses, limit=3))
            raise click.UsageError(f"{error.message}  Nearest: {near}.", ctx) from None
