"""The best of the trials, and the Pareto front: those than which no other is better and nowhere worse."""

from __future__ import annotations

from collections.abc import Sequence

from mainspring.tuning.types import Direction, Trial, number

__all__ = ["best_of", "front_of"]


def best_of(trials: Sequence[Trial], directions: Sequence[Direction]) -> Trial | None:
    """The finished trial with the best first value that breaks no constraint, the earliest of equals."""
    sign = -1.0 if directions[0] == "maximize" else 1.0
    sound = [
        each
        for each in trials
        if each.state == "finished" and each.value is not None and not any(v > 0 for v in each.constraints.values())
    ]
    return min(sound, key=lambda each: (sign * (each.value or 0.0), each.number), default=None)


def front_of(trials: Sequence[Trial], directions: Sequence[Direction]) -> list[Trial]:
    """The finished trials on the front that break no constraint, by number; of equals all.

    Example:
        >>> values = [(1, 2), (2, 1), (2, 2)]
        >>> made = [Trial("", "", place, "finished", {}, values=list(each)) for place, each in enumerate(values)]
        >>> [each.number for each in front_of(made, ["minimize", "minimize"])]
        [0, 1]
    """
    signs = [-1.0 if each == "maximize" else 1.0 for each in directions]
    points = [
        (tuple(sign * number(value) for sign, value in zip(signs, each.values, strict=True)), each)
        for each in trials
        if each.state == "finished"
        and len(each.values) == len(signs)
        and not any(value > 0 for value in each.constraints.values())
    ]
    points.sort(key=lambda point: (point[0], point[1].number))
    front: list[tuple[tuple[float, ...], Trial]] = []
    # In this order nothing that comes later dominates what came before. Of two objectives the latest of the front has
    # the least second value: it alone is looked at, because a whole study may lie on the front.
    for place, each in points:
        rivals = front[-1:] if len(signs) <= 2 else front
        if not any(_dominates(other, place) for other, _ in rivals):
            front.append((place, each))
    return sorted((each for _, each in front), key=lambda each: each.number)


def _dominates(one: tuple[float, ...], other: tuple[float, ...]) -> bool:
    return one != other and all(mine <= theirs for mine, theirs in zip(one, other, strict=True))
