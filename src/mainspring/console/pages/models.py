"""The registry: models, and the versions of one side by side."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from mainspring.console.charts import Series
from mainspring.console.finding import view_of
from mainspring.console.page import Ask, Crumb, Entry, Page
from mainspring.console.pages.model_version import version_page
from mainspring.kernel.errors import InvalidInput
from mainspring.lineage.types import AliasChange
from mainspring.models.types import Model, ModelVersion, Rule

if TYPE_CHECKING:
    from mainspring.client.client import Client

__all__ = ["ENTRIES"]

_METRICS = 6
"""Metric columns of a table of versions; a version's own page has all."""
_VERSIONS, _MODELS, _MOVES = 200, 200, 60


class ModelRow(msgspec.Struct, frozen=True):
    """A model with its newest version, as the index shows it."""

    model: Model
    newest: ModelVersion | None
    aliases: dict[str, int]
    href: str
    newest_href: str


class ModelIndex(Page, frozen=True, kw_only=True):
    """The context of `models.html`."""

    template = "models.html"

    rows: list[ModelRow]
    query: str
    problem: str
    view: str
    views: list[Crumb]
    older: str
    bare: bool
    """Whether there never was a model."""


class VersionRow(msgspec.Struct, frozen=True):
    """A version in the table of its model."""

    version: ModelVersion
    href: str
    deltas: dict[str, float]
    """Metric -> difference to the champion, where there is one."""


class MetricChart(msgspec.Struct, frozen=True):
    """One metric over the versions."""

    metric: str
    series: list[Series]


class VersionDifference(msgspec.Struct, frozen=True):
    """One thing that differs between the versions that are compared."""

    name: str
    space: str
    values: list[Any]


class ModelPage(Page, frozen=True, kw_only=True):
    """The context of `model.html`."""

    template = "model.html"

    name: str
    model: Model
    rows: list[VersionRow]
    metrics: list[str]
    charts: list[MetricChart]
    aliases: dict[str, int]
    history: list[AliasChange]
    rules: list[Rule]
    champion: int
    """The version that deltas are against; 0 without one."""
    compared: list[int]
    differences: list[VersionDifference]
    older: str


def models(client: Client, ask: Ask) -> ModelIndex:
    """Models with their newest versions; `q` is a filter of the registry, or a part of a name."""
    words, view = ask.get("q").strip(), view_of(ask)
    plain = words.replace("'", "''")
    query = words if any(mark in words for mark in "=<>'") or " LIKE " in words.upper() else f"name ILIKE '%{plain}%'"
    problem, following = "", ""
    rows: list[ModelRow] = []
    try:
        found = client.models.search(query if words else "", limit=_MODELS, page=ask.get("page"), view=view)
    except InvalidInput as error:
        problem = error.message
    else:
        following = found.next_page
        aliases = _aliases(client) if found.models else {}
        rows = [_model_row(each, found.latest.get(each.name), aliases.get(each.name, {}), ask) for each in found.models]
    return ModelIndex(
        title="Models",
        section="models",
        live=not words,
        rows=rows,
        query=words,
        problem=problem,
        view=view,
        views=[
            Crumb(each, ask.here(view="" if each == "active" else each, page=""))
            for each in ("active", "deleted", "all")
        ],
        older=ask.here(page=following) if following else "",
        bare=not rows and not words and view == "active",
    )


def _aliases(client: Client) -> dict[str, dict[str, int]]:
    """Model -> alias -> version, of all models in one question."""
    found: dict[str, dict[str, int]] = {}
    for version in client.models.search_versions("alias LIKE '%'", limit=1000).versions:
        found.setdefault(version.name, {}).update(dict.fromkeys(version.aliases, version.version))
    return {name: dict(sorted(each.items())) for name, each in found.items()}


def _model_row(model: Model, newest: ModelVersion | None, aliases: dict[str, int], ask: Ask) -> ModelRow:
    return ModelRow(
        model=model,
        newest=newest,
        aliases=aliases,
        href=ask.link(f"/models/{model.name}"),
        newest_href=ask.link(f"/models/{model.name}@{newest.version}") if newest else "",
    )


def model(client: Client, ask: Ask) -> Page:
    """One model with its versions, or, where the address has an `@`, one version."""
    ref = str(ask.params["ref"])
    return version_page(client, ask, ref) if "@" in ref else _model(client, ask, ref)


def _model(client: Client, ask: Ask, name: str) -> ModelPage:
    known = client.models.model(name)
    before = ask.get("before", "0")
    if not before.isdigit():
        raise InvalidInput(f"before={before!r} is not the number of a version")
    versions = client.models.versions(name, limit=_VERSIONS, before=int(before))
    aliases = dict(sorted(client.lineage.aliases("model", name).items()))
    champion = next((each for each in versions if each.version == aliases.get("champion", 0)), None)
    names = list(dict.fromkeys(metric for each in versions for metric in each.metrics))
    compared = [each for each in versions if str(each.version) in ask.query.get("version", [])][:6]
    return ModelPage(
        title=name,
        section="models",
        crumbs=[Crumb("Models", ask.link("/models"))],
        live=not compared,
        name=name,
        model=known,
        rows=[
            VersionRow(each, ask.link(f"/models/{name}@{each.version}"), _deltas(each, champion)) for each in versions
        ],
        metrics=names[:_METRICS],
        charts=[MetricChart(metric, [_over_versions(metric, versions)]) for metric in names[:_METRICS]]
        if len(versions) > 1
        else [],
        aliases=aliases,
        history=client.models.alias_history(name)[:_MOVES],
        rules=client.models.rules(name),
        champion=champion.version if champion else 0,
        compared=[each.version for each in compared],
        differences=_differences(compared) if len(compared) > 1 else [],
        older=ask.here(before=versions[-1].version) if len(versions) == _VERSIONS else "",
    )


def _differences(versions: list[ModelVersion]) -> list[VersionDifference]:
    """What is not the same in all of them: parameters, metrics, columns, libraries, data."""
    spaces: list[tuple[str, list[dict[str, Any]]]] = [
        ("Parameter", [dict(each.parameters) for each in versions]),
        ("Metric", [{name: metric.value for name, metric in each.metrics.items()} for each in versions]),
        *(
            (
                f"Metric on {data}",
                [{name: metric.value for name, metric in each.measured.get(data, {}).items()} for each in versions],
            )
            for data in sorted({data for each in versions for data in each.measured})
        ),
        ("Input", [{field.name: field.dtype for field in each.signature.inputs} for each in versions]),
        ("Output", [{field.name: field.dtype for field in each.signature.outputs} for each in versions]),
        ("Library", [dict(each.libraries) for each in versions]),
        (
            "Fact",
            [
                {
                    "format": each.format,
                    "size": each.size,
                    "data": ", ".join(each.data),
                    "code": each.code,
                    "environment": each.environment,
                    "run": each.run_id,
                }
                for each in versions
            ],
        ),
    ]
    found = []
    for space, values in spaces:
        for name in dict.fromkeys(name for each in values for name in each):
            row = [each.get(name) for each in values]
            if any(value != row[0] for value in row):
                found.append(VersionDifference(name, space, row))
    return found


def _deltas(version: ModelVersion, champion: ModelVersion | None) -> dict[str, float]:
    if champion is None or champion.version == version.version:
        return {}
    shared = version.metrics.keys() & champion.metrics.keys()
    return {metric: version.metrics[metric].value - champion.metrics[metric].value for metric in sorted(shared)}


def _over_versions(metric: str, versions: list[ModelVersion]) -> Series:
    rows = [(each.version, each.metrics[metric]) for each in reversed(versions) if metric in each.metrics]
    return Series(
        name=metric,
        x=[float(version) for version, _ in rows],
        y=[figure.value for _, figure in rows],
        low=[figure.low for _, figure in rows],
        high=[figure.high for _, figure in rows],
    )


ENTRIES = (Entry("/models", models), Entry("/models/{ref:path}", model))
