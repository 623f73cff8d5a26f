"""Where things live in the console: one rule for nodes of the lineage and for the resources of audit events."""

from __future__ import annotations

from mainspring.lineage.types import Node, Run

__all__ = ["artifact_path", "node_path", "resource_path", "run_path"]

_PAGES = {"dataset": "/data", "model": "/models", "report": "/reports", "suite": "/quality/suites"}
"""Kinds of artifact that have a page of their own; all others are shown by their lineage."""


def artifact_path(kind: str, name: str, version: int | str) -> str:
    """The page of one version of something.

    Example:
        >>> artifact_path("model", "fraud", 3), artifact_path("profile", "april", 1)
        ('/models/fraud@3', '/lineage/profile/april@1')
    """
    page = _PAGES.get(kind)
    return f"{page}/{name}@{version}" if page else f"/lineage/{kind}/{name}@{version}"


def run_path(run_id: str, kind: str) -> str:
    """The page of a run; flows and their steps have their own.

    Example:
        >>> run_path("0198", "flow"), run_path("0198", "step"), run_path("0198", "train")
        ('/flows/0198', '/flows/steps/0198', '/runs/0198')
    """
    return {"flow": "/flows/", "step": "/flows/steps/", "study": "/studies/"}.get(kind, "/runs/") + run_id


def node_path(node: Node) -> str:
    """The page of a node of the lineage."""
    if node.type == "run":
        return run_path(node.id, node.kind)
    return artifact_path(node.kind, node.name, node.version)


def run_of(run: Run) -> str:
    """The page of a run."""
    return run_path(run.id, run.kind)


def resource_path(resource: str) -> str:
    """The page behind a resource of an audit event, or an empty text where there is none.

    Example:
        >>> resource_path("model/fraud@3"), resource_path("run/0198"), resource_path("token/1")
        ('/models/fraud@3', '/runs/0198', '')
    """
    kind, _, rest = resource.partition("/")
    if kind in ("run", "endpoint") and rest:
        return f"/{kind}s/{rest}"
    name, at, version = rest.rpartition("@")
    return artifact_path(kind, name, version) if at and name and version else ""
