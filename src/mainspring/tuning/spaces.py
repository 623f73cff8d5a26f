"""Search spaces as they are declared: flat ones that a sampler sees whole, and branches that depend on a choice."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from mainspring.kernel.errors import InvalidInput
from mainspring.tuning.service_checks import check_space
from mainspring.tuning.types import Choice, Dimension, Float, Int

__all__ = ["Branches", "Space", "draw", "flat", "grid_of"]

_LARGEST_GRID = 1_000_000


class Branches(msgspec.Struct, frozen=True):
    """A choice of which each value has parameters of its own: `Branches({"forest": {"depth": Int(1, 9)}, "line": {}})`.

    The parameter itself is the name of the branch; those of the branch that was chosen stand beside it. Two branches
    may have parameters of the same name, over other ranges: a sampler knows them as `name.branch.parameter`.
    """

    of: Mapping[str, Mapping[str, Any]]


Space = Mapping[str, Dimension | Branches]
"""What is searched, by the names of the parameters."""


def flat(space: Space) -> dict[str, Dimension] | None:
    """The space where nothing in it depends on a choice; None otherwise.

    Raises:
        InvalidInput: Something in it cannot be sampled.
    """
    _check(space)
    if any(isinstance(each, Branches) for each in space.values()):
        return None
    return dict(space)  # type: ignore[arg-type]  # none of them is a Branches


def draw(space: Space, trial: Any, *, prefix: str = "") -> dict[str, Any]:
    """Ask a trial of Optuna's for the parameters of a space with branches.

    Example:
        >>> import optuna
        >>> fixed = optuna.trial.FixedTrial({"kind": "forest", "kind.forest.depth": 3})
        >>> draw({"kind": Branches({"forest": {"depth": Int(1, 9)}, "line": {}})}, fixed)
        {'kind': 'forest', 'depth': 3}
    """
    found: dict[str, Any] = {}
    for name, each in space.items():
        if isinstance(each, Branches):
            chosen = trial.suggest_categorical(prefix + name, list(each.of))
            found |= {name: chosen, **draw(each.of[chosen], trial, prefix=f"{prefix}{name}.{chosen}.")}
        elif isinstance(each, Choice):
            found[name] = trial.suggest_categorical(prefix + name, list(each.values))
        elif isinstance(each, Int):
            found[name] = trial.suggest_int(prefix + name, each.low, each.high, step=each.step, log=each.log)
        else:
            found[name] = trial.suggest_float(prefix + name, each.low, each.high, step=each.step, log=each.log)
    return found


def grid_of(space: Mapping[str, Dimension]) -> dict[str, list[Any]]:
    """Every value of every parameter, for a grid.

    Example:
        >>> grid_of({"depth": Int(2, 8, step=3), "rate": Float(0.0, 1.0, step=0.5)})
        {'depth': [2, 5, 8], 'rate': [0.0, 0.5, 1.0]}
    """
    found: dict[str, list[Any]] = {}
    size = 1
    for name, each in space.items():
        found[name] = _values(name, each)
        size *= len(found[name])
        if size > _LARGEST_GRID:
            raise InvalidInput(f"the grid has more than {_LARGEST_GRID:,} points", hint='sampler="random"')
    return found


def _values(name: str, each: Dimension) -> list[Any]:
    if isinstance(each, Choice):
        return list(each.values)
    if each.low == each.high:
        return [each.low]
    if isinstance(each, Int) and not each.log:
        if (each.high - each.low) // each.step >= _LARGEST_GRID:
            raise InvalidInput(f"parameter {name} has too many values for a grid", hint="a larger step")
        return list(range(each.low, each.high + 1, each.step))
    if isinstance(each, Float) and each.step is not None:
        count = int((each.high - each.low) / each.step + 1e-9)
        if count >= _LARGEST_GRID:
            raise InvalidInput(f"parameter {name} has too many values for a grid", hint="a larger step")
        return [each.low + each.step * index for index in range(count + 1)]
    raise InvalidInput(f"parameter {name} has no single values for a grid", hint="give it a step, or make it a Choice")


def _check(space: Space) -> None:
    if not isinstance(space, Mapping):
        raise InvalidInput(f"a space is a mapping of names to dimensions, not {type(space).__name__}")
    for name, each in space.items():
        if isinstance(each, Branches):
            if not each.of:
                raise InvalidInput(f"parameter {name}: there is no branch to choose")
            for inner in each.of.values():
                _check(inner)
        elif not isinstance(each, Float | Int | Choice):
            raise InvalidInput(
                f"parameter {name}: {each!r} is no dimension", hint="Float(low, high), Int(low, high), Choice(values)"
            )
        else:
            check_space({name: each})
