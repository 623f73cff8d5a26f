"""Population-based training: many learn side by side; the poor take over what the good have learned, and vary it.

Jaderberg et al., "Population Based Training of Neural Networks", 2017. Written by hand because Optuna has none, and
Ray's needs a cluster that stays up. A trial here is one member for one generation: it gets the checkpoint that its
forerunner left, learns on, and leaves one. Checkpoints are artifacts of the trials that made them; the record of the
trials says who went on from whom, so a search that was killed goes on with the generation that it was in.

    def learn(params, member):
        weights = member.checkpoint or start()
        weights, score = some_epochs(weights, rate=params["rate"])
        member.save(weights)
        return score

    ms.tune(learn, {"rate": Float(1e-4, 1, log=True)}, method="population", direction="maximize",
            method_options={"population": 8, "generations": 10})
"""

from __future__ import annotations

import math
import random
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from mainspring.kernel.errors import InvalidInput
from mainspring.kernel.hashing import digest_value
from mainspring.tuning.asking import OpenStudy
from mainspring.tuning.driving import Driver, Plan
from mainspring.tuning.spaces import flat
from mainspring.tuning.trying import CHECKPOINT, FORERUNNER
from mainspring.tuning.types import Choice, Dimension, Int, Trial, plain

__all__ = ["Population", "evolve", "varied"]


class Population(msgspec.Struct, frozen=True):
    """How a population is trained."""

    population: int = 8
    """How many members."""
    generations: int = 10
    """How often each learns on."""
    poor: float = 0.25
    """The share of the members that give up what they learned, and go on from one of as many of the best."""
    resample: float = 0.25
    """How likely a parameter is drawn anew instead of being varied."""
    factors: tuple[float, float] = (0.8, 1.25)
    """What a number is multiplied with to vary it, one of the two."""

    def check(self) -> None:
        """Refuse what cannot be."""
        if self.population < 2 or self.generations < 1:
            raise InvalidInput("a population has at least 2 members and 1 generation")
        if not 0 < self.poor <= 0.5 or not 0 <= self.resample <= 1:
            raise InvalidInput("poor is above 0 and at most 0.5, resample between 0 and 1")
        if not 0 < self.factors[0] < 1 < self.factors[1]:
            raise InvalidInput("factors are one below 1 and one above it")


def evolve(study: OpenStudy, plan: Plan, options: Mapping[str, Any]) -> str:
    """Train a population over an open study; why it stopped."""
    try:
        settings = msgspec.convert(dict(options), Population)
        known = set(Population.__struct_fields__)
        if unknown := sorted(set(options) - known):
            raise InvalidInput(f"population has no option {', '.join(unknown)}", known=sorted(known))
    except msgspec.ValidationError as error:
        raise InvalidInput(f"method_options: {error}") from None
    settings.check()
    space = flat(study.space) if study.space else None
    if not space:
        raise InvalidInput("a population has a declared space, without branches")
    if len(study.record.directions) > 1 or plan.form == "trial":
        raise InvalidInput("a population has one objective, which is given its parameters")
    return _Breeder(study, plan, settings, space).run()


class _Breeder:
    """One training of a population."""

    def __init__(self, study: OpenStudy, plan: Plan, settings: Population, space: dict[str, Dimension]) -> None:
        self._study = study
        self._settings = settings
        self._space = space
        self._total = settings.population * settings.generations
        limit = plan.budget.trials
        trials = min(limit, self._total) if limit else self._total
        self._plan = msgspec.structs.replace(plan, budget=msgspec.structs.replace(plan.budget, trials=trials))

    def run(self) -> str:
        """Train; why it stopped. Members of a generation learn side by side; the next begins when all have ended."""
        driver = Driver(self._study, self._plan)
        return driver.run(before=self._breed)

    def _breed(self) -> bool:
        """Enqueue the next generation when the last one is through; whether there are members to try."""
        size = self._settings.population
        trials = self._study.trials()
        if any(not each.ended for each in trials):
            if len(trials) % size and len(trials) < self._total:
                self._enqueue(trials, len(trials))
            return True
        if len(trials) >= self._total:
            return False
        self._enqueue(trials, len(trials))
        return True

    def _enqueue(self, trials: Sequence[Trial], first: int) -> None:
        """The members of the generation that the trial with this number belongs to, from that one on."""
        size = self._settings.population
        generation = first // size
        for place in range(first % size, size):
            chance = random.Random(  # noqa: S311 -- nobody is harmed by guessing it
                digest_value("population", [self._study.record.seed, generation, place])
            )
            before = trials[(generation - 1) * size : generation * size] if generation else []
            if not before:
                params = {name: _drawn(each, chance) for name, each in self._space.items()}
                self._study.enqueue(params, attrs={"generation": 0, "member": place})
                continue
            parent = self._parent(before, place, chance)
            own = before[place]
            params = {name: plain(value) for name, value in (parent or own).params.items()}
            if parent is not None and parent.number != own.number:
                params = varied(params, self._space, chance, self._settings)
            source = parent or own
            attrs = {"generation": generation, "member": place, FORERUNNER: source.id}
            if CHECKPOINT in source.user_attrs:
                attrs[CHECKPOINT] = source.user_attrs[CHECKPOINT]
            self._study.enqueue(params, attrs=attrs)

    def _parent(self, before: Sequence[Trial], place: int, chance: random.Random) -> Trial | None:
        """From whom a member goes on: from itself; one of the poor, or that has failed, from one of the best."""
        sign = -1.0 if self._study.record.directions[0] == "maximize" else 1.0
        alive = [each for each in before if each.state == "finished"]
        ranked = sorted(alive, key=lambda each: (sign * (each.value or 0.0), each.number))
        share = max(1, round(self._settings.population * self._settings.poor))
        if not ranked:
            return None
        poor = {each.number for each in ranked[len(ranked) - min(share, len(ranked) // 2) :]}
        if before[place].state == "finished" and before[place].number not in poor:
            return before[place]
        return chance.choice(ranked[: min(share, len(ranked))])


def varied(
    params: Mapping[str, Any], space: Mapping[str, Dimension], chance: random.Random, settings: Population
) -> dict[str, Any]:
    """Parameters a little different, inside the space.

    Example:
        >>> varied({"depth": 4}, {"depth": Int(1, 9)}, random.Random(1), Population(resample=0.0))
        {'depth': 3}
    """
    found = {}
    for name, dimension in space.items():
        value = params[name]
        if isinstance(dimension, Choice):
            values = [plain(each) for each in dimension.values]
            place = next((index for index, each in enumerate(values) if each == value), 0)
            near = [values[index] for index in (place - 1, place + 1) if 0 <= index < len(values)] or values
            found[name] = chance.choice(values if chance.random() < settings.resample else near)
        elif chance.random() < settings.resample:
            found[name] = _drawn(dimension, chance)
        else:
            found[name] = _inside(value * chance.choice(settings.factors), dimension)
    return found


def _drawn(dimension: Dimension, chance: random.Random) -> Any:
    if isinstance(dimension, Choice):
        return plain(chance.choice(dimension.values))
    if dimension.log:
        return _inside(math.exp(chance.uniform(math.log(dimension.low), math.log(dimension.high))), dimension)
    return _inside(chance.uniform(dimension.low, dimension.high), dimension)


def _inside(value: float, dimension: Any) -> Any:
    value = min(max(value, dimension.low), dimension.high)
    if dimension.step is not None and not dimension.log:
        steps = round((value - dimension.low) / dimension.step)
        value = dimension.low + steps * dimension.step
        if value > dimension.high:
            value -= dimension.step
    return round(value) if isinstance(dimension, Int) else float(value)
