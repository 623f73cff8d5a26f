"""What the charts of a study show, from its trials: thinned where there are thousands, the best always in."""

from __future__ import annotations

import functools
import math
from collections.abc import Sequence
from typing import Any

import msgspec

from mainspring.console.charts.dimension import Dimension
from mainspring.console.charts.lanes import Span
from mainspring.console.charts.lines import Series
from mainspring.console.charts.parallel import Strand
from mainspring.console.charts.scatter import Point
from mainspring.console.page import Ask
from mainspring.tuning.types import Choice, Study, Trial, number, plain

__all__ = ["Charts", "Slice", "charts_of", "label_of", "ranked"]

_MOST_POINTS = 2000
_MOST_SLICED = 250
_MOST_SMALL = 200
_MOST_LINKED = 300
_BEST_LINKED = 20
_MOST_SPANS = 150
_MOST_CURVES = 40
_MOST_AXES = 9
_MOST_SLICES = 12
_WIDE = 1e3
_WIDE_VALUES = 50.0


class Slice(msgspec.Struct, frozen=True):
    """One parameter against the value."""

    name: str
    x: Dimension
    points: list[Point]


class Charts(msgspec.Struct, frozen=True):
    """Everything that is drawn of a study."""

    x: Dimension
    y: Dimension
    history: list[Point]
    best: list[tuple[int, float]]
    slices: list[Slice]
    surface: list[Point]
    surface_x: Dimension | None
    surface_y: Dimension | None
    axes: list[Dimension]
    strands: list[Strand]
    front: list[Point]
    front_line: list[tuple[float, float]]
    front_x: Dimension | None
    front_y: Dimension | None
    spans: list[Span]
    curves: list[Series]


def charts_of(
    study: Study,
    trials: Sequence[Trial],
    front: Sequence[Trial],
    ask: Ask,
    *,
    objective: int,
    parameters: Sequence[str],
    pair: tuple[str, str] | None,
    value_name: str,
) -> Charts:
    """The charts of a study.

    Args:
        study: The study.
        trials: Its trials, by number.
        front: Those on the Pareto front.
        ask: For links.
        objective: Which of the objectives is looked at.
        parameters: The parameters, the most important first.
        pair: The two of the surface.
        value_name: What the objective is called.
    """
    finished = [each for each in trials if _value(each, objective) is not None]
    shades = ranked(finished, objective, maximize=study.directions[objective] == "maximize")
    kept, several, few = (_thinned(finished, shades, most) for most in (_MOST_POINTS, _MOST_SLICED, _MOST_SMALL))
    best = _best_so_far(finished, objective, maximize=study.directions[objective] == "maximize")
    tops = {place for place, _ in best[-1:]}
    y = _value_axis([_value(each, objective) for each in finished], value_name)
    drawn_from: dict[str, Any] = dict(study.space)
    for each in trials:
        drawn_from.update(each.distributions)
    dimensions = {name: _axis(drawn_from.get(name), name, [_param(each, name) for each in kept]) for name in parameters}

    look = functools.partial(_points, objective=objective, shades=shades, tops=tops, ask=ask)
    leading = sorted(kept, key=lambda each: -shades[each.number])[:_BEST_LINKED]
    best_few = {each.number for each in leading} | tops
    sliced = parameters[:_MOST_SLICES]
    shown = list(parameters[: _MOST_AXES - 1])
    two = len(study.directions) == 2
    fronted = {each.number for each in front}
    return Charts(
        x=Dimension.of("trial", [each.number for each in finished]),
        y=y,
        history=[
            msgspec.structs.replace(each, shade=None, status="")
            for each in look(kept, "", linked=best_few if len(kept) > _MOST_LINKED else None)
        ],
        best=best,
        slices=[
            Slice(
                name,
                dimensions[name],
                look(several, name, linked=tops if len(several) * len(sliced) > _MOST_LINKED * 2 else None),
            )
            for name in sliced
        ],
        surface=look(few, *pair, params=0, linked=best_few if len(finished) > _MOST_LINKED else None) if pair else [],
        surface_x=dimensions[pair[0]] if pair else None,
        surface_y=dimensions[pair[1]] if pair else None,
        axes=[*(dimensions[name] for name in shown), y],
        strands=_strands(few, shown, objective, shades, ask),
        front=_front_points(finished, fronted, ask) if two else [],
        front_line=_front_line(front) if two else [],
        front_x=_value_axis([_value(each, 0) for each in finished], _objective_name(study, 0)) if two else None,
        front_y=_value_axis([_value(each, 1) for each in finished], _objective_name(study, 1)) if two else None,
        spans=_spans(trials, ask),
        curves=_curves(trials, shades),
    )


def _points(
    trials: Sequence[Trial],
    x: str,
    y: str = "",
    *,
    objective: int,
    shades: dict[int, float],
    tops: set[int],
    ask: Ask,
    params: int = 6,
    linked: set[int] | None = None,
) -> list[Point]:
    """Trials over the parameter x, or their numbers, and the parameter y, or the value.

    Where they are thousands, only those of `linked` say what they are: most of the page would be names and addresses.
    """
    return [
        Point(
            x=_param(each, x) if x else each.number,
            y=_param(each, y) if y else _value(each, objective),
            label=label_of(each, params=0 if x else params) if linked is None or each.number in linked else "",
            href=ask.link(f"/runs/{each.id}") if linked is None or each.number in linked else "",
            shade=shades[each.number],
            ring=each.number in tops,
        )
        for each in trials
        if (not x or x in each.params) and (not y or y in each.params)
    ]


def _strands(
    trials: Sequence[Trial], parameters: Sequence[str], objective: int, shades: dict[int, float], ask: Ask
) -> list[Strand]:
    good = 0.9 if len(trials) > _BEST_LINKED else 0.0
    return [
        Strand(
            values=[*(_param(each, name) for name in parameters), _value(each, objective)],
            shade=shades[each.number],
            label=label_of(each, params=0) if len(trials) <= _BEST_LINKED or shades[each.number] >= good else "",
            href=ask.link(f"/runs/{each.id}") if shades[each.number] >= good else "",
        )
        for each in trials
    ]


def ranked(finished: Sequence[Trial], objective: int, *, maximize: bool) -> dict[int, float]:
    """How good each trial is among all, by number: 0 for the worst, 1 for the best.

    Ranks and not values, so that one outlier does not make all others look alike.
    """
    sign = -1.0 if maximize else 1.0
    ordered = sorted(finished, key=lambda each: -sign * (_value(each, objective) or 0.0))
    last = max(len(ordered) - 1, 1)
    return {each.number: (place / last if len(ordered) > 1 else 1.0) for place, each in enumerate(ordered)}


def label_of(trial: Trial, *, params: int = 6) -> str:
    """A trial in one line, with so many of its parameters.

    Example:
        >>> label_of(Trial("", "", 3, "finished", {"x": 0.25, "kind": "a"}, values=[1.5]))
        'trial 3: 1.5 (x=0.25, kind=a)'
    """
    shown = ", ".join(
        f"{name}={value:.4g}" if isinstance(value, float) else f"{name}={plain(value)}"
        for name, value in list(trial.params.items())[:params]
    )
    values = ", ".join(f"{number(each):.6g}" for each in trial.values)
    return f"trial {trial.number}: {values or trial.state}{f' ({shown})' if shown else ''}"


def _value(trial: Trial, objective: int) -> float | None:
    if trial.state != "finished" or objective >= len(trial.values):
        return None
    found = number(trial.values[objective])
    return found if math.isfinite(found) else None


def _param(trial: Trial, name: str) -> Any:
    found = plain(trial.params.get(name))
    return found if isinstance(found, int | float) and not isinstance(found, bool) else str(found)


def _axis(declared: Any, name: str, values: Sequence[Any]) -> Dimension:
    if isinstance(declared, Choice):
        values = [str(plain(each)) for each in declared.values]
        return Dimension(name=name, names=list(dict.fromkeys(values))[:24])
    present = [each for each in values if each != "None"]
    log = declared.log if declared else _is_wide(present)
    return Dimension.of(name, present, log=log)


def _is_wide(values: Sequence[Any], times: float = _WIDE) -> bool:
    numbers = [each for each in values if isinstance(each, int | float)]
    return len(numbers) == len(values) > 0 and min(numbers) > 0 and max(numbers) / min(numbers) > times


def _value_axis(values: Sequence[float | None], name: str) -> Dimension:
    """The axis of a value; a few that are far off stand at its edge."""
    shown = sorted(each for each in values if each is not None)
    if _is_wide(shown, _WIDE_VALUES):
        return Dimension.of(name, shown, log=True)
    if len(shown) >= 20:
        low, high = shown[len(shown) // 20], shown[-1 - len(shown) // 20]
        room = (high - low) or 1.0
        shown = [each for each in shown if low - room <= each <= high + room]
    return Dimension.of(name, shown)


def _thinned(finished: Sequence[Trial], shades: dict[int, float], most: int) -> list[Trial]:
    if len(finished) <= most:
        return list(finished)
    every = -(-len(finished) // most)
    good = 1 - 20 / len(finished)
    return [each for place, each in enumerate(finished) if place % every == 0 or shades[each.number] >= good]


def _best_so_far(finished: Sequence[Trial], objective: int, *, maximize: bool) -> list[tuple[int, float]]:
    found: list[tuple[int, float]] = []
    for each in finished:
        value = _value(each, objective)
        if value is None or any(broken > 0 for broken in each.constraints.values()):
            continue
        if not found or (value > found[-1][1] if maximize else value < found[-1][1]):
            found.append((each.number, value))
    return found


def _front_points(finished: Sequence[Trial], fronted: set[int], ask: Ask) -> list[Point]:
    """Trials over both values; of thousands as many as can be told apart, those on the front more of them."""
    ringed = [each for each in finished if each.number in fronted]
    others = [each for each in finished if each.number not in fronted]
    linked = len(finished) <= _MOST_LINKED
    return [
        Point(
            x=_value(each, 0),
            y=_value(each, 1),
            label=label_of(each, params=6 if linked else 0) if linked or on_front else "",
            href=ask.link(f"/runs/{each.id}") if linked or on_front else "",
            ring=on_front,
            status="" if on_front else "pruned",
        )
        for on_front, some, most in ((False, others, _MOST_POINTS), (True, ringed, _MOST_LINKED // 2))
        for each in some[:: max(1, -(-len(some) // most))]
    ]


def _front_line(front: Sequence[Trial]) -> list[tuple[float, float]]:
    line = sorted((number(each.values[0]), number(each.values[1])) for each in front)
    return line[:: max(1, -(-len(line) // _MOST_LINKED))]


def _objective_name(study: Study, objective: int) -> str:
    names = study.metric_names
    if objective < len(names):
        return names[objective]
    return f"value {objective}" if len(study.directions) > 1 else "value"


def _spans(trials: Sequence[Trial], ask: Ask) -> list[Span]:
    return [
        Span(
            start=each.started_at.timestamp(),
            end=each.finished_at.timestamp() if each.finished_at else None,
            status=each.state,
            label=label_of(each, params=0),
            href=ask.link(f"/runs/{each.id}"),
        )
        for each in trials[-_MOST_SPANS:]
        if each.started_at
    ]


def _curves(trials: Sequence[Trial], shades: dict[int, float]) -> list[Series]:
    reporting = [each for each in trials if len(each.reports) > 1]
    good = sorted(reporting, key=lambda each: -shades.get(each.number, -1.0))[: _MOST_CURVES // 2]
    late = [each for each in reporting if each not in good][-_MOST_CURVES // 2 :]
    found = []
    for each in sorted([*good, *late], key=lambda trial: trial.number):
        steps = sorted(each.reports)
        values: list[float | None] = [number(each.reports[step]) for step in steps]
        slot = 8 if each.state == "pruned" else 0
        found.append(Series(name=f"trial {each.number}", x=[float(step) for step in steps], y=values, slot=slot))
    return found
