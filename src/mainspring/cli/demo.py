"""`mainspring demo`."""

from __future__ import annotations

import click

__all__ = ["demo"]


@click.command()
@click.option(
    "--store", default="", metavar="DIR", help="Folder of the store, which must be new.  [default: a temporary one]"
)
@click.option("--seed", default=1, show_default=True, type=int, help="Of everything that is drawn by chance.")
@click.option("--keep", is_flag=True, help="Keep the store, and go on serving until Ctrl-C.")
@click.option("--port", default=0, type=click.IntRange(0, 65534), help="Port of the console.  [default: any free one]")
def demo(store: str, seed: int, port: int, *, keep: bool) -> int:
    """The whole lifecycle, once, on every flight that left New York in 2013.

    \b
    mainspring demo                    in two minutes, on a temporary store
    mainspring demo --keep --port 7300 and then look around in the console
    """
    from mainspring.demo.run import run_demo

    return run_demo(store=store, seed=seed, keep=keep, port=port)
