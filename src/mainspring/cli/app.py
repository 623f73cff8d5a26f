"""The command line: noun-verb, the same words as in Python and HTTP; groups load when they are used."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Sequence
from typing import Any

import click

from mainspring.cli.lazy import LazyGroup
from mainspring.cli.output import show_error
from mainspring.kernel.errors import InternalError, MainspringError

__all__ = ["GROUPS", "cli", "guarded", "main"]

GROUPS: dict[str, str] = {
    "alert": "mainspring.cli.alert:alert",
    "anomaly": "mainspring.cli.check_data:anomaly",
    "audit": "mainspring.cli.audit:audit",
    "check": "mainspring.cli.check:check",
    "checkpoint": "mainspring.cli.check_checkpoint:checkpoint",
    "completion": "mainspring.cli.completion:completion",
    "config": "mainspring.cli.config:config",
    "contract": "mainspring.cli.check_contract:contract",
    "data": "mainspring.cli.data:data",
    "demo": "mainspring.cli.demo:demo",
    "doctor": "mainspring.cli.doctor:doctor",
    "drift": "mainspring.cli.check_data:drift",
    "endpoint": "mainspring.cli.endpoint:endpoint",
    "evaluate": "mainspring.cli.evaluate:evaluate",
    "experiment": "mainspring.cli.experiment:experiment",
    "flow": "mainspring.cli.flow:flow",
    "gc": "mainspring.cli.gc:gc",
    "impact": "mainspring.cli.lineage:impact",
    "import": "mainspring.cli.imports:imports",
    "limit": "mainspring.cli.limit:limit",
    "loop": "mainspring.cli.loop:loop",
    "model": "mainspring.cli.model:model",
    "profile": "mainspring.cli.check_data:profile",
    "quarantine": "mainspring.cli.check_data:quarantine",
    "run": "mainspring.cli.run:run",
    "secret": "mainspring.cli.secret:secret",
    "suite": "mainspring.cli.suite:suite",
    "token": "mainspring.cli.token:token",
    "tune": "mainspring.cli.tune:tune",
    "up": "mainspring.cli.up:up",
    "verify": "mainspring.cli.verify:verify",
    "why": "mainspring.cli.lineage:why",
}
"""Every command and where it is; a module is imported when its command is used or described."""


@click.group(
    cls=LazyGroup,
    addresses=GROUPS,
    invoke_without_command=True,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
@click.version_option(package_name="mainspring", message="mainspring %(version)s")
@click.pass_context
def cli(ctx: click.Context) -> None:
    """The whole machine-learning lifecycle, on one store and one lineage graph.

    \b
    mainspring                 the state of this store and what to do next
    mainspring up              start everything, with the console
    mainspring why REF         everything that something came from
    """
    if ctx.invoked_subcommand is None:
        from mainspring.cli.state import show_state

        show_state()


def main(arguments: Sequence[str] | None = None) -> None:
    """The entry point: runs a command; an error becomes one message and a stable exit code, never a traceback.

    Exit codes: 0 done, 1 a check said no or something failed, 2 wrong usage or input, 3 not found, 4 conflict,
    5 the server or the store cannot be reached, 130 interrupted.
    """
    sys.exit(guarded(lambda: cli.main(args=arguments, standalone_mode=False)))


def guarded(command: Callable[[], Any]) -> int:
    """Run a command; the exit code, after an error was shown."""
    try:
        result = command()
    except click.exceptions.Exit as leaving:
        return leaving.exit_code
    except click.ClickException as error:
        error.show()
        return error.exit_code
    except (KeyboardInterrupt, click.Abort):
        click.echo("interrupted", err=True)
        return 130
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # whoever read us has enough
        return 0
    except Exception as error:  # the boundary of the process: a user sees a message, not a traceback
        if os.environ.get("MAINSPRING_DEBUG"):
            raise
        return show_error(_expected(error))
    return result if isinstance(result, int) else 0


def _expected(error: Exception) -> MainspringError:
    if isinstance(error, MainspringError):
        return error
    return InternalError(
        f"{type(error).__name__}: {error}",
        hint="set MAINSPRING_DEBUG=1 for the traceback, and report it with `mainspring doctor`",
    )
