"""Studies: what was searched, how far it is, what came out, and why."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from mainspring.console.page import Ask, Crumb, Entry, Page
from mainspring.console.pages.study_charts import Charts, charts_of
from mainspring.kernel.errors import MainspringError
from mainspring.tuning.fronts import best_of, front_of
from mainspring.tuning.types import Study, Trial, number

if TYPE_CHECKING:
    from mainspring.client.client import Client

__all__ = ["ENTRIES"]

_PAGE = 50
_LISTED = 50
_MOST_TRIALS = 20_000
_STATES = ("finished", "running", "waiting", "pruned", "failed")


class StudyRow(msgspec.Struct, frozen=True):
    """A study as a line of the list."""

    study: Study
    href: str
    counts: dict[str, int]
    total: int
    best: Trial | None


class StudiesPage(Page, frozen=True, kw_only=True):
    """The context of `studies.html`."""

    template = "studies.html"

    rows: list[StudyRow]
    query: str
    older: str


class TrialRow(msgspec.Struct, frozen=True):
    """A trial as a line of the table."""

    trial: Trial
    href: str
    values: list[float]
    seconds: float | None
    best: bool


class StudyPage(Page, frozen=True, kw_only=True):
    """The context of `study.html`."""

    template = "study.html"

    study: Study
    counts: dict[str, int]
    total: int
    seen: int
    """How many trials the charts are of: the latest ones, where there are more than 20,000."""
    best: Trial | None
    best_href: str
    front: list[TrialRow]
    objective: int
    objectives: list[tuple[str, str]]
    """Each name with the page that looks at it."""
    value_name: str
    goal: str
    importances: dict[str, float]
    importances_of: int
    importances_problem: str
    parameters: list[str]
    pair: tuple[str, str] | None
    drawn: Charts
    rows: list[TrialRow]
    state: str
    states: list[tuple[str, str, int, bool]]
    older: str
    run_href: str
    parent_href: str


def studies(client: Client, ask: Ask) -> StudiesPage:
    """Studies, newest first."""
    query = ask.get("q").strip()
    before = int(ask.get("before")) if ask.get("before").isdigit() else 0
    found = client.tuning.studies(name=query, limit=_PAGE, before=before)
    counts = client.tuning.states([each.id for each in found])
    rows = [
        StudyRow(
            study=each,
            href=ask.link(f"/studies/{each.id}"),
            counts=counts[each.id],
            total=sum(counts[each.id].values()),
            best=client.tuning.best(each.id) if counts[each.id].get("finished") else None,
        )
        for each in found
    ]
    return StudiesPage(
        title="Studies",
        section="studies",
        live=True,
        rows=rows,
        query=query,
        older=ask.here(before=found[-1].number) if len(found) == _PAGE else "",
    )


def study(client: Client, ask: Ask) -> StudyPage:
    """One study: how it went, which parameters matter, what it tried."""
    found = client.tuning.get(ask.params["study_id"])
    counts = client.tuning.states([found.id])[found.id]
    total = sum(counts.values())
    trials = _latest(client, found.id, total)
    names = [_name(found, place) for place in range(len(found.directions))]
    objective = int(ask.get("objective")) if ask.get("objective").isdigit() else 0
    objective = min(objective, len(names) - 1)
    importances, of, problem = _importances(client, found, objective)
    used = list(dict.fromkeys(name for each in trials for name in each.params))
    parameters = [*importances, *(name for name in used if name not in importances)]
    pair = _pair(ask, parameters)
    front = front_of(trials, found.directions) if len(found.directions) > 1 else []
    best = best_of(trials, found.directions)
    state = ask.get("state") if ask.get("state") in _STATES else ""
    listed, older = _listed(ask, trials, state)
    return StudyPage(
        title=found.unique_name or f"study {found.number}",
        section="studies",
        crumbs=[Crumb("Studies", ask.link("/studies"))],
        live=found.state == "running" and bool(counts.get("running") or not total),
        study=found,
        counts={name: counts[name] for name in _STATES if counts.get(name)},
        total=total,
        seen=len(trials),
        best=best,
        best_href=ask.link(f"/runs/{best.id}") if best else "",
        front=[_row(each, ask) for each in front[:_LISTED]],
        objective=objective,
        objectives=[(name, ask.here(objective=place or "")) for place, name in enumerate(names)],
        value_name=names[objective],
        goal=" and ".join(f"{way} {name}" for way, name in zip(found.directions, names, strict=True)),
        importances=importances,
        importances_of=of,
        importances_problem=problem,
        parameters=parameters,
        pair=pair,
        drawn=charts_of(
            found,
            trials,
            front,
            ask,
            objective=objective,
            parameters=parameters,
            pair=pair,
            value_name=names[objective],
        ),
        rows=[_row(each, ask, best) for each in listed],
        state=state,
        states=[
            (name or "all", ask.here(state=name, before=""), counts.get(name, 0) if name else total, name == state)
            for name in ("", *_STATES)
            if not name or counts.get(name)
        ],
        older=older,
        run_href=ask.link(f"/lineage/run/{found.id}"),
        parent_href=ask.link(f"/runs/{found.parent_id}") if found.parent_id else "",
    )


def _latest(client: Client, study_id: str, total: int) -> list[Trial]:
    return client.tuning.trials(study_id, after=total - _MOST_TRIALS - 1, limit=_MOST_TRIALS)


def _name(found: Study, place: int) -> str:
    names = found.metric_names
    return names[place] if place < len(names) else f"value {place}" if len(found.directions) > 1 else "value"


def _importances(client: Client, found: Study, objective: int) -> tuple[dict[str, float], int, str]:
    try:
        measured = client.tuning.importances(found.id, objective=objective)
    except MainspringError as error:
        return {}, 0, f"{error.message}. {error.hint}".strip()
    problem = "" if measured.parameters else "Too few finished trials differ to say which parameters matter."
    return measured.parameters, measured.trials, problem


def _pair(ask: Ask, parameters: list[str]) -> tuple[str, str] | None:
    if len(parameters) < 2:
        return None
    x = ask.get("x") if ask.get("x") in parameters else parameters[0]
    y = ask.get("y") if ask.get("y") in parameters else next(name for name in parameters if name != x)
    return (x, y) if x != y else (x, next(name for name in parameters if name != x))


def _listed(ask: Ask, trials: list[Trial], state: str) -> tuple[list[Trial], str]:
    before = int(ask.get("before")) if ask.get("before").isdigit() else 1 << 62
    chosen = [each for each in reversed(trials) if each.number < before and state in ("", each.state)]
    shown = chosen[:_LISTED]
    return shown, ask.here(before=shown[-1].number) if len(chosen) > _LISTED else ""


def _row(trial: Trial, ask: Ask, best: Trial | None = None) -> TrialRow:
    seconds = None
    if trial.started_at:
        seconds = ((trial.finished_at or ask.now) - trial.started_at).total_seconds()
    return TrialRow(
        trial=trial,
        href=ask.link(f"/runs/{trial.id}") if trial.started_at else "",
        values=[number(each) for each in trial.values],
        seconds=seconds,
        best=best is not None and best.number == trial.number,
    )


ENTRIES = (Entry("/studies", studies), Entry("/studies/{study_id}", study))
