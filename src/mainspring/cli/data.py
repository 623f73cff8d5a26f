"""`mainspring data`: the commands by their names; each is loaded when it is used or described."""

from __future__ import annotations

import click

from mainspring.cli.lazy import LazyGroup

__all__ = ["COMMANDS", "data"]

COMMANDS: dict[str, str] = {
    "add": "mainspring.cli.data_folders:add",
    "alias": "mainspring.cli.data_versions:alias",
    "check": "mainspring.cli.data_versions:check",
    "checkout": "mainspring.cli.data_folders:checkout",
    "commit": "mainspring.cli.data_folders:commit",
    "copies": "mainspring.cli.data_folders:copies",
    "delete": "mainspring.cli.data_remotes:delete",
    "diff": "mainspring.cli.data_versions:diff",
    "download": "mainspring.cli.data_remotes:download",
    "fetch": "mainspring.cli.data_remotes:fetch",
    "find": "mainspring.cli.data_labels:find",
    "forget": "mainspring.cli.data_remotes:forget",
    "gc": "mainspring.cli.gc:gc",
    "get": "mainspring.cli.data_versions:get",
    "history": "mainspring.cli.data_git:history",
    "hook": "mainspring.cli.data_git:hook",
    "hooks": "mainspring.cli.data_git:hooks",
    "list": "mainspring.cli.data_versions:list_datasets",
    "log": "mainspring.cli.data_versions:log",
    "merge-driver": "mainspring.cli.data_git:merge_driver",
    "note": "mainspring.cli.data_labels:note",
    "pull": "mainspring.cli.data_remotes:pull",
    "push": "mainspring.cli.data_remotes:push",
    "remote": "mainspring.cli.data_remotes:remote",
    "restore": "mainspring.cli.data_remotes:restore",
    "retain": "mainspring.cli.data_remotes:retain",
    "show": "mainspring.cli.data_versions:show",
    "status": "mainspring.cli.data_folders:status",
    "tag": "mainspring.cli.data_labels:tag",
    "track": "mainspring.cli.data_git:track",
    "tracked": "mainspring.cli.data_git:tracked",
    "untag": "mainspring.cli.data_labels:untag",
    "untrack": "mainspring.cli.data_git:untrack",
    "verify": "mainspring.cli.data_remotes:verify",
}
"""Every command and where it is. Working copies are in `data_folders`, remotes in `data_remotes`, Git in `data_git`."""


@click.group(cls=LazyGroup, addresses=COMMANDS)
def data() -> None:
    """Dataset versions: commit, compare, check and get back."""
