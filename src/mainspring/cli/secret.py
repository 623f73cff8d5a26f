"""`mainspring secret`."""

from __future__ import annotations

import sys

import click

from mainspring.cli.output import ago, echo_json, json_option, show_table, store_options, use_client

__all__ = ["secret"]


@click.group()
def secret() -> None:
    """Secrets that steps declare and read. No command shows a value."""


@secret.command("set")
@click.argument("name")
@store_options
def set_secret(name: str, store: str, url: str) -> None:
    """Keep a secret, sealed. Its value is asked for, or read from the standard input: never from the command line.

    \b
    mainspring secret set WAREHOUSE
    pass show warehouse | mainspring secret set WAREHOUSE
    """
    if sys.stdin.isatty():
        value = click.prompt(name, hide_input=True, confirmation_prompt=True)
    else:
        value = sys.stdin.read().removesuffix("\n")
    with use_client(store, url, create=True) as client:
        client.trust.set_secret(name, value)


@secret.command("list")
@json_option
@store_options
def list_secrets(store: str, url: str, *, as_json: bool) -> None:
    """The names of the secrets that the store keeps.

    \b
    mainspring secret list
    """
    with use_client(store, url) as client:
        found = client.trust.secrets()
    if as_json:
        echo_json(found)
        return
    rows = [(each.name, ago(each.changed_at), each.changed_by) for each in found]
    show_table(("secret", "set", "by"), rows, empty="no secrets: mainspring secret set NAME")


@secret.command()
@click.argument("name")
@store_options
def delete(name: str, store: str, url: str) -> None:
    """Forget a secret.

    \b
    mainspring secret delete WAREHOUSE
    """
    with use_client(store, url) as client:
        client.trust.delete_secret(name)
