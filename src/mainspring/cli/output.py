"""How commands speak: data on standard output, talk on standard error; `--json` on everything that reads."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Iterable, Sequence
from datetime import datetime
from typing import Any, TypeVar

import click
import msgspec

from mainspring.client.client import Client, connect
from mainspring.kernel import errors
from mainspring.kernel.clock import now
from mainspring.kernel.errors import MainspringError

__all__ = [
    "ago",
    "bytes_text",
    "digests_short",
    "echo_json",
    "exit_code_of",
    "json_option",
    "seconds_text",
    "show_error",
    "show_fields",
    "show_table",
    "store_options",
    "use_client",
]

F = TypeVar("F", bound=Callable[..., Any])

_ID = re.compile("[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_DIGEST = re.compile("(?<![0-9a-f])([0-9a-f]{12})[0-9a-f]{52}(?![0-9a-f])")
_EXIT_CODES: dict[type[MainspringError], int] = {
    errors.InvalidInput: 2,
    errors.NotFound: 3,
    errors.Conflict: 4,
    errors.Unavailable: 5,
    errors.StoreBusy: 5,
    errors.MainspringError: 1,
}


def exit_code_of(error: MainspringError) -> int:
    """The exit code of an error; the table is in `mainspring.cli.app.main`."""
    return next((_EXIT_CODES[kind] for kind in type(error).__mro__ if kind in _EXIT_CODES), 1)


def show_error(error: MainspringError) -> int:
    """Say what was wrong, what there is, and what to try; the exit code."""
    click.echo(click.style(f"error[{error.code}]", fg="red", bold=True) + f": {error.message}", err=True)
    if error.known:
        click.echo(f"  known: {', '.join(error.known)}", err=True)
    if error.hint:
        click.echo(f"  try: {error.hint}", err=True)
    return exit_code_of(error)


def store_options(command: F) -> F:
    """`--store` and `--url`, for every command that works on a store."""
    command = click.option(
        "--url", default="", help="Address of a Mainspring server, instead of a folder.  [env: MAINSPRING_URL]"
    )(command)
    return click.option(
        "--store",
        default="",
        metavar="DIR",
        help="Folder of the store.  [env: MAINSPRING_STORE; default: .mainspring, found upward]",
    )(command)


def json_option(command: F) -> F:
    """`--json`, for every command that reads."""
    return click.option("--json", "as_json", is_flag=True, help="Print JSON for programs.")(command)


def use_client(store: str, url: str, *, create: bool = False) -> Client:
    """The client that the options ask for; only a command that puts something in makes a store."""
    return connect(url or store, create=create)


def echo_json(value: Any) -> None:
    """A value as indented JSON."""
    click.echo(msgspec.json.format(msgspec.json.encode(value), indent=2).decode())


def show_table(columns: Sequence[str], rows: Iterable[Sequence[Any]], *, empty: str) -> None:
    """A table on a terminal, tab-separated lines in a pipe; `empty` says what to do when there is nothing."""
    lines = [[_text(cell) for cell in row] for row in rows]
    if not lines:
        click.echo(empty, err=True)
        return
    if not sys.stdout.isatty():
        for line in lines:
            click.echo("\t".join(line))
        return
    from rich.console import Console
    from rich.table import Table

    table = Table(box=None, header_style="dim", pad_edge=False)
    for place, column in enumerate(columns):
        ids = any(_ID.fullmatch(line[place]) for line in lines)  # an id in two pieces cannot be copied
        table.add_column(column, overflow="fold", no_wrap=ids)
    for line in lines:
        table.add_row(*line)
    Console(highlight=False).print(table)


def show_fields(fields: Iterable[tuple[str, Any]]) -> None:
    """Names and values, one a line, aligned."""
    pairs = [(name, _text(value)) for name, value in fields]
    width = max((len(name) for name, _ in pairs), default=0)
    for name, value in pairs:
        click.echo(f"{name:<{width}}  {value}")


def ago(moment: datetime | None) -> str:
    """How long ago, in one unit."""
    if moment is None:
        return "never"
    seconds = (now() - moment).total_seconds()
    for limit, size, unit in ((90, 1, "s"), (5400, 60, "min"), (129_600, 3600, "h"), (float("inf"), 86_400, "d")):
        if seconds < limit:
            return f"{max(0, round(seconds / size))} {unit} ago"
    return "long ago"


def bytes_text(size: int) -> str:
    """A number of bytes in a readable unit.

    Example:
        >>> bytes_text(999), bytes_text(1_500_000)
        ('999 B', '1.5 MB')
    """
    if size < 1000:
        return f"{size} B"
    amount = float(size)
    for unit in ("kB", "MB", "GB", "TB", "PB"):
        amount /= 1000
        if amount < 999.5 or unit == "PB":
            break
    return f"{amount:.3g} {unit}"


def digests_short(text: str) -> str:
    """A text with the first twelve digits of each digest in it.

    Example:
        >>> digests_short("was " + "0123456789abcdef" * 4)
        'was 0123456789ab'
    """
    return _DIGEST.sub(r"\1", text)


def seconds_text(seconds: float) -> str:
    """A duration in a readable unit.

    Example:
        >>> seconds_text(0.0123), seconds_text(75)
        ('12 ms', '1 min 15 s')
    """
    if seconds < 1:
        return f"{max(0, round(seconds * 1000))} ms"
    if seconds < 60:
        return f"{seconds:.3g} s"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest} s" if minutes < 60 else f"{minutes // 60} h {minutes % 60} min"


def _text(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, datetime):
        return f"{value:%Y-%m-%d %H:%M:%S}Z"
    if isinstance(value, float):
        return f"{value:.6g}"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list | tuple):
        return ", ".join(_text(each) for each in value)
    return str(value)
