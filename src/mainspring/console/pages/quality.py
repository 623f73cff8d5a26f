"""Quality: how all datasets stand, what is agreed of them, suites, and checkpoints with their runs."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from mainspring.console.links import artifact_path
from mainspring.console.page import Ask, Crumb, Entry, Page
from mainspring.lineage.types import Artifact
from mainspring.quality.checkpoints import Checkpoint, CheckpointRun
from mainspring.quality.contracts import Contract
from mainspring.quality.expectations.kinds import described
from mainspring.quality.outcomes import Standing
from mainspring.quality.types import Expectation

if TYPE_CHECKING:
    from mainspring.client.client import Client

__all__ = ["ENTRIES"]

_REPORTS = 10
_RUNS = 200
_LINES = 500


class StandingRow(msgspec.Struct, frozen=True):
    """A dataset, how it stands, and what is agreed of it."""

    dataset: str
    href: str
    standing: Standing | None
    version_href: str
    report_href: str
    contract: Contract | None
    suite_href: str


class CheckpointRow(msgspec.Struct, frozen=True):
    """A checkpoint with its runs, the newest first."""

    checkpoint: Checkpoint
    href: str
    actions: list[str]
    last: CheckpointRun | None
    strip: list[tuple[str, str]]


class Linked(msgspec.Struct, frozen=True):
    """An artifact and its page."""

    artifact: Artifact
    href: str


class QualityIndex(Page, frozen=True, kw_only=True):
    """The context of `quality.html`."""

    template = "quality.html"

    rows: list[StandingRow]
    failing: int
    checkpoints: list[CheckpointRow]
    suites: list[Linked]
    validations: list[Linked]
    drifts: list[Linked]


class Line(msgspec.Struct, frozen=True):
    """One expectation, in words."""

    expectation: Expectation
    sentence: str
    about: str


class SuitePage(Page, frozen=True, kw_only=True):
    """The context of `suite.html`."""

    template = "suite.html"

    artifact: Artifact
    lines: list[Line]
    hidden: int
    lineage_href: str
    contracts: list[Crumb]
    """Datasets that are bound to this version."""
    inferred: bool


class RunRow(msgspec.Struct, frozen=True):
    """One run of a checkpoint."""

    run: CheckpointRun
    href: str
    reports: list[Crumb]


class CheckpointPage(Page, frozen=True, kw_only=True):
    """The context of `checkpoint.html`."""

    template = "checkpoint.html"

    checkpoint: Checkpoint
    targets: list[tuple[str, str, str]]
    """Dataset, its page, and what is asked of it."""
    actions: list[tuple[str, str, str]]
    """What is done, when, and with what."""
    rows: list[RunRow]
    strip: list[tuple[str, str]]


def quality(client: Client, ask: Ask) -> QualityIndex:
    """How every dataset stands."""
    standings = {each.dataset: each for each in client.quality.standings()}
    contracts = {each.dataset: each for each in client.quality.contracts()}
    names = sorted({*standings, *contracts}, key=lambda name: (_rank(standings.get(name)), name))
    runs: dict[str, list[CheckpointRun]] = {}
    checkpoints = client.quality.checkpoints()
    for run in client.quality.checkpoint_runs(limit=_RUNS) if checkpoints else []:
        runs.setdefault(run.checkpoint, []).append(run)
    suites, validations, drifts = (
        [Linked(each, ask.link(artifact_path(each.kind, each.name, each.version))) for each in found]
        for found in (
            client.quality.suites(),
            client.quality.reports(kind="validation", limit=_REPORTS),
            client.quality.reports(kind="drift", limit=_REPORTS),
        )
    )
    return QualityIndex(
        title="Quality",
        section="quality",
        live=True,
        rows=[_standing(ask, name, standings.get(name), contracts.get(name)) for name in names],
        failing=sum(each.verdict == "failed" for each in standings.values()),
        checkpoints=[_checkpoint(ask, each, runs.get(each.name, [])) for each in checkpoints],
        suites=suites,
        validations=validations,
        drifts=drifts,
    )


def _rank(standing: Standing | None) -> int:
    return {"failed": 0, "warning": 1, "passed": 3}[standing.verdict] if standing else 2


def _standing(ask: Ask, name: str, standing: Standing | None, contract: Contract | None) -> StandingRow:
    suite = contract.suite.partition("/")[2] if contract else ""
    return StandingRow(
        dataset=name,
        href=ask.link(f"/data/{name}"),
        standing=standing,
        version_href=ask.link(f"/data/{name}@{standing.version}") if standing else "",
        report_href=ask.link(f"/reports/{standing.report_id}") if standing else "",
        contract=contract,
        suite_href=ask.link(f"/quality/suites/{suite}") if suite else "",
    )


def _checkpoint(ask: Ask, checkpoint: Checkpoint, runs: list[CheckpointRun]) -> CheckpointRow:
    return CheckpointRow(
        checkpoint=checkpoint,
        href=ask.link(f"/quality/checkpoints/{checkpoint.name}"),
        actions=[str(each.__struct_config__.tag) for each in checkpoint.actions],
        last=runs[0] if runs else None,
        strip=_strip(runs),
    )


def _strip(runs: list[CheckpointRun]) -> list[tuple[str, str]]:
    return [(f"{run.at:%Y-%m-%d %H:%M}", run.verdict) for run in reversed(runs)]


def suite(client: Client, ask: Ask) -> SuitePage:
    """One version of a suite, line by line."""
    artifact = client.lineage.artifact(str(ask.params["ref"]), kind="suite").artifact
    found = client.quality.suite(artifact.id)
    bound = [each for each in client.quality.contracts() if each.suite_id == artifact.id]
    title = f"{artifact.name}@{artifact.version}"
    return SuitePage(
        title=title,
        section="quality",
        crumbs=[Crumb("Quality", ask.link("/quality"))],
        artifact=artifact,
        lines=[Line(each, described(each), each.subject) for each in found.expectations[:_LINES]],
        hidden=max(len(found.expectations) - _LINES, 0),
        lineage_href=ask.link(f"/lineage/suite/{title}"),
        contracts=[Crumb(each.dataset, ask.link(f"/data/{each.dataset}")) for each in bound],
        inferred=bool(found.meta.get("inferred")),
    )


def checkpoint(client: Client, ask: Ask) -> CheckpointPage:
    """One checkpoint: what it asks, what it does, and how its runs went."""
    found = client.quality.checkpoint(str(ask.params["name"]))
    runs = client.quality.checkpoint_runs(found.name, limit=_RUNS)
    return CheckpointPage(
        title=found.name,
        section="quality",
        crumbs=[Crumb("Quality", ask.link("/quality"))],
        live=True,
        checkpoint=found,
        targets=[
            (
                each.dataset,
                ask.link(f"/data/{each.dataset.removeprefix('dataset/')}"),
                f"{each.suite}{f', by {each.by}' if each.by else ''}",
            )
            for each in found.targets
        ],
        actions=[(str(each.__struct_config__.tag), each.when, _with(each)) for each in found.actions],
        rows=[_run(ask, run) for run in runs[:50]],
        strip=_strip(runs),
    )


def _with(action: msgspec.Struct) -> str:
    said = {name: getattr(action, name) for name in action.__struct_fields__ if name != "when"}
    return ", ".join(f"{name} {value}" for name, value in said.items() if value)


def _run(ask: Ask, run: CheckpointRun) -> RunRow:
    reports = [
        Crumb(each.dataset.removeprefix("dataset/"), ask.link(f"/reports/{each.report.removeprefix('report/')}"))
        for each in run.targets
    ]
    return RunRow(run, ask.link(f"/runs/{run.run_id}"), reports)


ENTRIES = (
    Entry("/quality", quality),
    Entry("/quality/suites/{ref:path}", suite),
    Entry("/quality/checkpoints/{name:path}", checkpoint),
)
