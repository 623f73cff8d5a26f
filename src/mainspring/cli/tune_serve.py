"""`mainspring tune serve`."""

from __future__ import annotations

import click

from mainspring.cli.output import store_options, use_client

__all__ = ["serve"]


@click.command()
@click.option(
    "--port", default=13000, show_default=True, type=click.IntRange(0, 65535), help="Port; 0 for any free one."
)
@store_options
def serve(port: int, store: str, url: str) -> None:
    """Let unmodified Optuna workers of this machine share the studies of a store, over Optuna's gRPC protocol.

    \b
    mainspring tune serve                                   this store
    mainspring tune serve --url https://ml.example.org      a server, with the token of the settings

    The workers say optuna.storages.GrpcStorageProxy(host="localhost", port=13000). Ctrl-C ends it.
    """
    from mainspring.protocols.optuna_grpc import serve_optuna

    with use_client(store, url, create=True) as client:
        serve_optuna(
            client, port=port, ready=lambda opened: click.echo(f"localhost:{opened} serves {client.address}", err=True)
        )
