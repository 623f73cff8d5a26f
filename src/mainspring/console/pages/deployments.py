"""Deployments: the versions of flows with their code, and what differs between two."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from mainspring.console.page import Ask, Crumb, Entry
from mainspring.console.pages.flow_parts import FlowsPart, parts
from mainspring.kernel.errors import InvalidInput
from mainspring.pipelines.types_deployments import Deployment, DeploymentDiff

if TYPE_CHECKING:
    from mainspring.client.client import Client

__all__ = ["ENTRIES"]

_PAGE = 100
_DIFF = 60_000


class VersionRow(msgspec.Struct, frozen=True):
    """A version."""

    deployment: Deployment
    size: int
    flow_href: str
    only_href: str
    diff_href: str
    """To the version before it; empty for the first."""


class DeploymentsPage(FlowsPart, frozen=True, kw_only=True):
    """The context of `deployments.html`."""

    template = "deployments.html"

    flow: str
    rows: list[VersionRow]
    everything: str
    diff: DeploymentDiff | None
    diff_title: str
    diff_text: str
    close: str


def deployments(client: Client, ask: Ask) -> DeploymentsPage:
    """The versions of every flow, or of one; `before` and `after` show what differs between two."""
    flow = ask.get("flow")
    found = client.pipelines.deployments(flow=flow, limit=_PAGE)
    before, after = ask.get("before"), ask.get("after")
    diff = None
    if flow and before and after:
        if not (before.isdigit() and after.isdigit() and len(before) < 10 and len(after) < 10):
            raise InvalidInput("`before` and `after` are numbers of versions")
        diff = client.pipelines.diff_deployments(flow, int(before), int(after))
    return DeploymentsPage(
        title="Deployments",
        section="flows",
        crumbs=[Crumb("Flows", ask.link("/flows"))],
        parts=parts(ask, "Deployments"),
        flow=flow,
        rows=[_row(each, ask) for each in found],
        everything=ask.here(flow="", before="", after=""),
        diff=diff,
        diff_title=f"{flow}: version {before} and version {after}" if diff else "",
        diff_text=diff.text[:_DIFF] if diff else "",
        close=ask.here(before="", after=""),
    )


def _row(found: Deployment, ask: Ask) -> VersionRow:
    path, version = "/flows/deployments", found.version
    return VersionRow(
        found,
        sum(each.size for each in found.files),
        ask.link(f"/flows/of/{found.flow}"),
        ask.link(path, flow=found.flow),
        ask.link(path, flow=found.flow, before=version - 1, after=version) if version > 1 else "",
    )


ENTRIES = (Entry("/flows/deployments", deployments),)
