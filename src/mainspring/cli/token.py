"""`mainspring token`."""

from __future__ import annotations

import click

from mainspring.cli.output import echo_json, json_option, show_table, store_options, use_client

__all__ = ["token"]


@click.group()
def token() -> None:
    """Tokens that people and services show to a server."""


@token.command()
@click.argument("principal")
@click.option("--role", default="contributor", show_default=True, help="viewer, contributor, approver or admin.")
@click.option("--workspace", default="default", show_default=True, help="The workspace it opens, or *.")
@click.option("--days", default=90, show_default=True, type=int, help="How long it is valid; 0 for ever.")
@store_options
def create(principal: str, role: str, workspace: str, days: int, store: str, url: str) -> None:
    """Make a token and print its secret, once.

    \b
    mainspring token create ann --role approver
    """
    with use_client(store, url, create=True) as client:
        made = client.trust.create_token(principal, role=role, workspace=workspace, days=days)
    click.echo(f"token {made.token.id} for {principal}; it is shown once:", err=True)
    click.echo(made.secret)


@token.command("list")
@json_option
@store_options
def list_tokens(store: str, url: str, *, as_json: bool) -> None:
    """Every token, without its secret.

    \b
    mainspring token list
    """
    with use_client(store, url) as client:
        tokens = client.trust.tokens()
    if as_json:
        echo_json([_public(each) for each in tokens])
        return
    rows = [
        (each.id, each.principal, each.roles, each.workspace, each.expires_at, "revoked" if each.revoked_at else "")
        for each in tokens
    ]
    show_table(
        ("id", "principal", "roles", "workspace", "expires", ""), rows, empty="no tokens: mainspring token create NAME"
    )


@token.command()
@click.argument("token_id")
@store_options
def revoke(token_id: str, store: str, url: str) -> None:
    """End a token at once.

    \b
    mainspring token revoke 01970b2e-...
    """
    with use_client(store, url) as client:
        client.trust.revoke_token(token_id)


def _public(each: object) -> dict[str, object]:
    return {
        name: getattr(each, name)
        for name in ("id", "principal", "workspace", "roles", "created_at", "expires_at", "revoked_at")
    }
