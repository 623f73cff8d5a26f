"""One run of any kind: its figures, parameters, charts, media, files, logs, code, and what it hangs together with."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from mainspring.console.charts.palette import slot_of
from mainspring.console.links import node_path, run_path
from mainspring.console.page import Ask, Crumb, Entry, Page
from mainspring.console.pages.curves import Curve, CurveOptions, curves, options
from mainspring.console.words import short_id
from mainspring.kernel.errors import NotFound
from mainspring.lineage.types import Graph, Run
from mainspring.tracking.types import Metric, TrackedRun

if TYPE_CHECKING:
    from mainspring.client.client import Client

__all__ = ["ENTRIES", "RunPage"]

_DRAWN = 12
"""Charts that the server draws where there are no scripts."""
_PATCH = 200_000
"""Characters of changes to the code that the page shows."""
_LOGS = "logs/"
_SYSTEM = "system/"


class Neighbour(msgspec.Struct, frozen=True):
    """Something that a run used or made."""

    label: str
    kind: str
    role: str
    href: str


class FileItem(msgspec.Struct, frozen=True):
    """A file of the run."""

    path: str
    size: int
    digest: str
    media_type: str
    key: str
    step: int | None
    about: dict[str, Any]


class Tab(msgspec.Struct, frozen=True):
    """One part of the page."""

    id: str
    label: str
    href: str
    count: int = 0


class RunPage(Page, frozen=True, kw_only=True):
    """The context of `run.html`."""

    template = "run.html"

    run: Run
    label: str
    slot: int
    tracked: bool
    """Whether the run belongs to an experiment; others are steps, deployments, evaluations."""
    tab: str
    tabs: list[Tab]
    experiment: str
    experiment_href: str
    user: str
    group: str
    note: str
    deleted: bool
    source: dict[str, Any]
    params: dict[str, Any]
    tags: dict[str, str]
    metrics: dict[str, Metric]
    keys: list[str]
    """Metrics that have a chart in this part of the page."""
    curves: list[Curve]
    """The same, drawn by the server, where the address asks for it."""
    still_href: str
    options: CurveOptions | None
    files: list[FileItem]
    logs: list[FileItem]
    media: list[FileItem]
    inputs: list[Neighbour]
    outputs: list[Neighbour]
    children: list[Neighbour]
    parent: Neighbour | None
    forked: Neighbour | None
    lineage_href: str
    patch: str
    """What differed from the commit when it began, or the program itself outside of a repository."""
    packages: dict[str, str]
    """What was installed, with versions."""
    code_href: str
    raw: str
    """Address of the files of the run, to be followed by a path."""


def run_page(client: Client, ask: Ask) -> RunPage:
    """One run of any kind; what was logged into it, where it was tracked."""
    run_id = str(ask.params["run_id"])
    tracked = _tracked(client, run_id)
    run = tracked.run if tracked else client.lineage.run(run_id)
    metrics = tracked.metrics if tracked else {}
    files = _files(client, run.id) if tracked else []
    logs = [each for each in files if each.path.startswith(_LOGS) and each.path.endswith(".log")]
    media = [each for each in files if each.key and each not in logs]
    tabs, tab = _tabs(ask, tracked, files, logs, media)
    system = tab == "system"
    keys = (
        [key for key in metrics if key.startswith(_SYSTEM) == system] if tab in ("charts", "system", "overview") else []
    )
    still = bool(ask.get("still")) and tab != "overview"
    drawn = [key for key in keys if metrics[key].count > 1][:_DRAWN]
    overview = tab == "overview"
    why = client.lineage.why(run.id, limit=1000) if overview else None
    impact = client.lineage.impact(run.id, limit=1000) if overview else None
    experiment = tracked.experiment if tracked else ""
    label = (tracked.title if tracked else "") or (short_id(run.id) if experiment else run.name)
    chosen = options(ask) if still else None
    return RunPage(
        title=label,
        section="runs",
        crumbs=_crumbs(ask, experiment),
        live=run.status == "running" and overview,
        follows=run.status == "running" and not overview,
        run=run,
        label=label,
        slot=slot_of(run.id),
        tracked=tracked is not None,
        tab=tab,
        tabs=tabs,
        experiment=experiment,
        experiment_href=ask.link("/runs", experiment=experiment) if experiment else "",
        user=(tracked.user if tracked else "") or run.created_by,
        group=tracked.group if tracked else "",
        note=tracked.note if tracked else "",
        deleted=tracked is not None and tracked.deleted_at is not None,
        source=tracked.source if tracked else {},
        params=tracked.params if tracked else dict(run.metadata),
        tags=tracked.tags if tracked else {},
        metrics=metrics if overview else {},
        keys=keys,
        curves=curves(client, {run.id: label}, drawn, chosen) if chosen else [],
        still_href=ask.here(still="1"),
        options=chosen,
        files=files if tab == "files" else [],
        logs=logs if tab == "logs" else [],
        media=media if tab == "media" else [],
        inputs=_neighbours(why, ask) if why else [],
        outputs=_neighbours(impact, ask) if impact else [],
        children=_children(client, run, ask) if overview else [],
        parent=_one(client, run.parent_id, ask) if overview and run.parent_id else None,
        forked=_forked(client, tracked, ask) if overview and tracked else None,
        lineage_href=ask.link(f"/lineage/run/{run.id}"),
        **(_code(client, run, ask) if tab == "code" else {"patch": "", "packages": {}, "code_href": ""}),
        raw=ask.link(f"/runs/{run.id}/raw/"),
    )


def _crumbs(ask: Ask, experiment: str) -> list[Crumb]:
    crumbs = [Crumb("Runs", ask.link("/runs"))]
    return [*crumbs, Crumb(experiment, ask.link("/runs", experiment=experiment))] if experiment else crumbs


def _forked(client: Client, run: TrackedRun, ask: Ask) -> Neighbour | None:
    return _one(client, run.forked_from, ask, f"at step {run.fork_step}") if run.forked_from else None


def _code(client: Client, run: Run, ask: Ask) -> dict[str, Any]:
    """The code and the environment that the run recorded: artifacts that it used."""
    found: dict[str, Any] = {"patch": "", "packages": {}, "code_href": ""}
    for node in client.lineage.why(run.id, limit=200).nodes:
        if node.distance != 1 or node.type != "artifact":
            continue
        if node.kind == "environment":
            packages = node.metadata.get("packages")
            found["packages"] = packages if isinstance(packages, dict) else {}
        elif node.kind == "code":
            found["code_href"] = ask.link(node_path(node))
            for file in client.lineage.artifact(node.id).files[:1]:
                found["patch"] = b"".join(client.storage.get_blob(file.digest)).decode("utf-8", "replace")[:_PATCH]
    return found


def _tabs(
    ask: Ask, tracked: TrackedRun | None, files: list[FileItem], logs: list[FileItem], media: list[FileItem]
) -> tuple[list[Tab], str]:
    if tracked is None:
        return [], "overview"
    system = sum(key.startswith(_SYSTEM) for key in tracked.metrics)
    counts = {
        "overview": ("Overview", -1),
        "charts": ("Charts", len(tracked.metrics) - system),
        "media": ("Media", len({each.key for each in media})),
        "files": ("Files", len(files)),
        "logs": ("Logs", len(logs)),
        "system": ("System", system),
        "code": ("Code", 1 if tracked.source else 0),
    }
    found = [
        Tab(name, label, ask.here(tab="" if name == "overview" else name, still=""), max(count, 0))
        for name, (label, count) in counts.items()
        if count
    ]
    wanted = ask.get("tab", "overview")
    return found, wanted if any(each.id == wanted for each in found) else "overview"


def _files(client: Client, run_id: str) -> list[FileItem]:
    return [
        FileItem(each.path, each.file.size, each.file.digest, each.media_type, each.key, each.step, each.about)
        for each in client.tracking.files(run_id)
    ]


def _tracked(client: Client, run_id: str) -> TrackedRun | None:
    try:
        return client.tracking.get(run_id)
    except NotFound:
        return None  # a run of another kind: a step, a deployment, an evaluation


def _one(client: Client, run_id: str, ask: Ask, role: str = "") -> Neighbour | None:
    try:
        found = client.lineage.run(run_id)
    except NotFound:
        return None
    title = str(found.metadata.get("title", ""))
    return Neighbour(
        title or f"{found.name} {short_id(found.id)}",
        found.kind,
        role or found.status,
        ask.link(run_path(found.id, found.kind)),
    )


def _children(client: Client, run: Run, ask: Ask) -> list[Neighbour]:
    return [
        Neighbour(
            str(each.metadata.get("title", "")) or f"{each.name} {short_id(each.id)}",
            each.kind,
            each.status,
            ask.link(run_path(each.id, each.kind)),
        )
        for each in client.lineage.runs(parent_id=run.id, limit=100)
    ]


def _neighbours(graph: Graph, ask: Ask) -> list[Neighbour]:
    """What is one edge away, with the role on that edge."""
    roles = {
        edge.target if edge.source == graph.root else edge.source: edge.role
        for edge in graph.edges
        if graph.root in (edge.source, edge.target)
    }
    return [
        Neighbour(
            f"{node.name}@{node.version}" if node.type == "artifact" else node.name,
            node.kind,
            "" if roles.get(node.id) == node.kind else roles.get(node.id, ""),
            ask.link(node_path(node)),
        )
        for node in graph.nodes
        if node.distance == 1
    ]


ENTRIES = (Entry("/runs/{run_id}", run_page),)
