"""`mainspring completion`."""

from __future__ import annotations

import click
from click.shell_completion import get_completion_class

__all__ = ["completion"]


@click.command()
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
def completion(shell: str) -> None:
    """Print the script that completes commands in a shell.

    \b
    mainspring completion bash > ~/.local/share/bash-completion/completions/mainspring
    """
    from mainspring.cli.app import cli

    found = get_completion_class(shell)
    if found is not None:
        click.echo(found(cli, {}, "mainspring", "_MAINSPRING_COMPLETE").source())
