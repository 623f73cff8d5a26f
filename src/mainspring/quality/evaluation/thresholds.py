"""From which score on to say yes: what each threshold costs, and the best one under costs or a constraint."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

import msgspec

from mainspring.kernel.errors import InvalidInput
from mainspring.quality.evaluation.arrays import labels_of, numpy, probabilities_of, same_length, weights_of
from mainspring.quality.evaluation.binary_measures import rows_of
from mainspring.quality.evaluation.bootstrap import Resampling

if TYPE_CHECKING:
    from mainspring.quality.evaluation.arrays import Floats

__all__ = ["Costs", "ThresholdChoice", "choose_threshold"]

_DRAWS = 200
_ROWS = 20_000  # a threshold found on more rows is as sure as it needs to be


class Costs(msgspec.Struct, frozen=True, kw_only=True):
    """What each outcome costs; gains are negative."""

    false_positive: float = 1.0
    false_negative: float = 1.0
    true_positive: float = 0.0
    true_negative: float = 0.0


class ThresholdChoice(msgspec.Struct, frozen=True, kw_only=True):
    """A threshold and what it brings on the rows it was chosen on; `low`..`high` is how far it moves on other rows."""

    threshold: float
    low: float
    high: float
    rule: str
    precision: float | None
    recall: float | None
    selection_rate: float
    cost: float | None = None
    """Mean per row, when costs were given."""
    statement: str = ""


def choose_threshold(
    labels: Any,
    scores: Any,
    *,
    costs: Costs | None = None,
    maximize: Literal["", "f1", "balanced_accuracy", "mcc", "accuracy"] = "",
    precision_at_least: float | None = None,
    recall_at_least: float | None = None,
    selection_rate_at_most: float | None = None,
    weights: Any = None,
    confidence: float = 0.95,
    seed: int = 0,
) -> ThresholdChoice:
    """The threshold with the least cost, or the best metric, or the most recall at a precision, and so on.

    Choose it on rows that are not those of the evaluation: on the same ones it flatters. Exactly one rule is given:

    Args:
        labels: 0 and 1, one per row.
        scores: Probabilities of the positive class.
        costs: The least mean cost.
        maximize: The greatest value of this metric.
        precision_at_least: The most recall at this precision.
        recall_at_least: The most precision at this recall.
        selection_rate_at_most: The most recall when at most this share may be called positive.
        weights: How much each row counts.
        confidence: Of the interval of the threshold.
        seed: Of the bootstrap.

    Raises:
        InvalidInput: No rule or several, or none that any threshold keeps.

    Example:
        >>> found = choose_threshold([0, 0, 1, 1], [0.1, 0.4, 0.35, 0.8], recall_at_least=1.0)
        >>> found.threshold, round(found.precision, 3)
        (0.35, 0.667)
    """
    np = numpy()
    truth, said = labels_of(labels), probabilities_of(scores)
    same_length(labels=truth, scores=said)
    weight = weights_of(weights, rows=truth.size)
    rules = {
        "least cost": costs,
        f"greatest {maximize}": maximize or None,
        f"precision at least {precision_at_least}": precision_at_least,
        f"recall at least {recall_at_least}": recall_at_least,
        f"selection rate at most {selection_rate_at_most}": selection_rate_at_most,
    }
    given = [name for name, rule in rules.items() if rule is not None]
    if len(given) != 1:
        raise InvalidInput(
            f"{len(given)} rules were given; one is needed",
            hint="costs=, maximize=, precision_at_least=, recall_at_least= or selection_rate_at_most=",
        )
    if maximize not in {"", "f1", "balanced_accuracy", "mcc", "accuracy"}:
        raise InvalidInput(f"{maximize!r} cannot be maximized", known=["f1", "balanced_accuracy", "mcc", "accuracy"])
    if truth.min() == truth.max():
        raise InvalidInput("all labels are equal, so no threshold is better than another")
    limits = (precision_at_least, recall_at_least, selection_rate_at_most)

    def best(some: Any) -> tuple[float, Any] | None:
        return _best(truth[some], said[some], None if weight is None else weight[some], costs, maximize, limits)

    chosen = best(slice(None))
    if chosen is None:
        raise InvalidInput(f"no threshold keeps {given[0]} on these rows")
    how = Resampling(confidence=confidence, replicates=_DRAWS, seed=seed)
    random, size = np.random.default_rng(how.seed), min(truth.size, _ROWS)
    drawn = [best(random.integers(0, truth.size, size)) for _ in range(how.replicates)]
    moved = [each[0] for each in drawn if each is not None] or [chosen[0]]
    low, high = np.quantile(moved, [0.5 - confidence / 2, 0.5 + confidence / 2])
    return _choice(given[0], chosen, (float(low), float(high)), costs)


def _choice(
    rule: str,
    chosen: tuple[float, tuple[float, float, float, float]],
    ends: tuple[float, float],
    costs: Costs | None,
) -> ThresholdChoice:
    """The threshold with what it brings, and the sentence that says so."""
    threshold, (tp, fp, fn, tn) = chosen
    total = tp + fp + fn + tn
    cost = None
    if costs is not None:
        spent = costs.true_positive * tp + costs.false_positive * fp
        cost = (spent + costs.false_negative * fn + costs.true_negative * tn) / total
    precision, recall = (tp / (tp + fp) if tp + fp else None), tp / (tp + fn)
    said_so = f"precision {precision:.3g}" if precision is not None else "nothing called positive"
    statement = (
        f"{rule}: from {threshold:.4g} on (between {ends[0]:.4g} and {ends[1]:.4g} on other rows), {said_so}, "
        f"recall {recall:.3g}, {(tp + fp) / total:.1%} of the rows called positive"
        + (f", {cost:.4g} per row" if cost is not None else "")
    )
    return ThresholdChoice(
        threshold=threshold,
        low=min(ends[0], threshold),
        high=max(ends[1], threshold),
        rule=rule,
        precision=precision,
        recall=recall,
        selection_rate=(tp + fp) / total,
        cost=cost,
        statement=statement,
    )


def _best(
    truth: Floats,
    said: Floats,
    weight: Floats | None,
    costs: Costs | None,
    maximize: str,
    limits: tuple[float | None, float | None, float | None],
) -> tuple[float, tuple[float, float, float, float]] | None:
    """The threshold and the cells of its confusion matrix; nothing where no threshold keeps the rule."""
    np = numpy()
    rows = rows_of(truth, said, weight)
    starts = np.append([0], rows.ends[:-1] + 1)
    mass = rows.units.weight
    tp = np.append(np.cumsum(np.add.reduceat(mass * rows.labels, starts)[::-1])[::-1], [0.0])
    fp = np.append(np.cumsum(np.add.reduceat(mass * (1 - rows.labels), starts)[::-1])[::-1], [0.0])
    fn, tn = tp[0] - tp, fp[0] - fp
    at = np.append(rows.scores[starts], [np.nextafter(rows.scores[-1], 2.0)])
    seen = tp + fp
    precision = np.where(seen > 0, tp / np.where(seen > 0, seen, 1), 0.0)
    recall = tp / tp[0] if tp[0] > 0 else tp
    if costs is not None:
        value = -(costs.true_positive * tp + costs.false_positive * fp + costs.false_negative * fn
                  + costs.true_negative * tn)  # fmt: skip
    elif maximize == "f1":
        value = 2 * tp / (2 * tp + fp + fn)
    elif maximize == "accuracy":
        value = tp + tn
    elif maximize == "balanced_accuracy":
        value = recall + tn / max(fp[0], 1e-300)
    elif maximize == "mcc":
        below = np.sqrt(seen * (tp + fn) * (tn + fp) * (tn + fn))
        value = np.where(below > 0, (tp * tn - fp * fn) / np.where(below > 0, below, 1), 0.0)
    elif limits[0] is not None:
        value = np.where((precision >= limits[0]) & (seen > 0), recall + 1e-9 * precision, -np.inf)
    elif limits[1] is not None:
        value = np.where(recall >= limits[1], precision + 1e-9 * recall, -np.inf)
    else:
        value = np.where(seen / (tp[0] + fp[0]) <= (limits[2] or 0.0), recall, -np.inf)
    place = int(np.argmax(value))
    if not np.isfinite(value[place]):
        return None
    return float(at[place]), (float(tp[place]), float(fp[place]), float(fn[place]), float(tn[place]))
