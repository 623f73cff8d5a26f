"""`mainspring up`."""

from __future__ import annotations

from pathlib import Path

import click

from mainspring.kernel.settings import find_store, read_settings

__all__ = ["up"]


@click.command()
@click.option(
    "--store",
    default="",
    metavar="DIR",
    help="Folder of the store.  [env: MAINSPRING_STORE; default: .mainspring, found upward]",
)
@click.option(
    "--host", default=None, help="Address to listen on; any other than loopback needs a token.  [default: 127.0.0.1]"
)
@click.option(
    "--port", default=None, type=int, help="Port of the API and the console; 0 for any free one.  [default: 7300]"
)
@click.option("--serve-port", default=None, type=int, help="Port of the endpoints.  [default: the next one]")
@click.option("--workers", default=None, type=click.IntRange(0, 256), help="Worker processes.  [default: 1]")
@click.option("--pool", "pools", multiple=True, help="A pool whose flows they execute, besides those without a pool.")
def up(
    store: str, host: str | None, port: int | None, serve_port: int | None, workers: int | None, pools: tuple[str, ...]
) -> int:
    """Start the API, the console, the scheduler, the workers and the endpoints.

    \b
    mainspring up                          on http://127.0.0.1:7300
    mainspring up --store /data/ms --port 8080 --workers 4

    Ctrl-C ends all of them, after what they are doing.
    """
    from mainspring.server.up import up as run

    folder = Path(store).expanduser().resolve() if store else find_store()
    flags = {"host": host, "port": port, "serve_port": serve_port, "workers": workers, "pools": list(pools) or None}
    return run(folder, read_settings(folder, flags=flags))
