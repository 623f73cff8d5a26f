"""Which parameters matter: Optuna's measure, computed when somebody asks and kept as long as nothing is new."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Sequence
from typing import Any

from mainspring.tuning.types import Importances, Study, Trial, number

__all__ = ["importances_of"]

_FEWEST = 4
_KEPT = 64
_lock = threading.Lock()
_known: OrderedDict[tuple[str, int, int], Importances] = OrderedDict()


def importances_of(study: Study, revision: int, trials: Sequence[Trial], objective: int) -> Importances:
    """See `Tuning.importances`; the trials are finished ones, with the distributions of all their parameters."""
    key = (study.id, revision, objective)
    with _lock:
        if key in _known:
            _known.move_to_end(key)
            return _known[key]
    names = sorted({name for each in trials for name in each.params})
    varying = [name for name in names if len({repr(each.params.get(name)) for each in trials}) > 1]
    values = {number(each.values[objective]) for each in trials}
    if len(trials) < _FEWEST or not varying or len(values) < 2:
        return Importances(len(trials), {})
    found = Importances(len(trials), _computed(study, trials, objective))
    with _lock:
        _known[key] = found
        while len(_known) > _KEPT:
            _known.popitem(last=False)
    return found


def _computed(study: Study, trials: Sequence[Trial], objective: int) -> dict[str, float]:
    from mainspring.tuning.samplers import import_optuna

    optuna = import_optuna()
    from mainspring.tuning.storage_values import distribution_of, frozen

    made: dict[str, Any] = {}
    memory = optuna.create_study(direction=study.directions[objective])
    for place, each in enumerate(trials):
        distributions = {
            name: made.setdefault(f"{name} {kind!r}", distribution_of(kind))
            for name, kind in each.distributions.items()
        }
        whole = frozen(each, place, distributions)
        if not all(name in whole.distributions for name in whole.params):
            continue
        memory.add_trial(
            optuna.trial.create_trial(
                value=number(each.values[objective]), params=whole.params, distributions=whole.distributions
            )
        )
    try:
        found: dict[str, float] = optuna.importance.get_param_importances(memory)
    except (ValueError, RuntimeError, ZeroDivisionError):  # what it says of trials that do not differ enough
        return {}
    return {name: float(value) for name, value in found.items() if value == value}  # noqa: PLR0124 -- NaN
