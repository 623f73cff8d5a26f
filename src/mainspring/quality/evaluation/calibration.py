"""Are probabilities what they say? Reliability, calibration errors, the parts of the Brier score, slope and intercept.

Binned calibration errors are biased upwards: even a perfect model shows one on few rows. `ece_debiased` takes off what
chance alone adds in each bin (the mean of a folded normal variable; the idea is Kumar, Liang and Ma's, NeurIPS 2019);
of a perfect model about three fifths of the apparent error are still left.
The slope and intercept are Cox's (1958): below 1 the slope says that predictions are too extreme.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal

from mainspring.kernel.errors import InvalidInput
from mainspring.quality.evaluation import intervals
from mainspring.quality.evaluation.arrays import labels_of, numpy, probabilities_of, same_length, weights_of
from mainspring.quality.evaluation.bootstrap import Resampling, Units, bca_ends, bootstrap_all
from mainspring.quality.evaluation.types import CalibrationBin, Estimate

if TYPE_CHECKING:
    from mainspring.quality.evaluation.arrays import Floats

__all__ = [
    "calibration_bins",
    "calibration_by_slice",
    "calibration_metrics",
    "equal_edges",
    "recalibration",
    "width_edges",
]

_TINY = 1e-12


def width_edges(bins: int) -> Floats:
    """Inner edges of bins of equal width; a score on an edge belongs to the lower bin."""
    edges: Floats = numpy().linspace(0, 1, bins + 1)[1:-1]
    return edges


def equal_edges(scores: Floats, bins: int) -> Floats:
    """Inner edges of bins of about equal count; equal scores are never divided."""
    np = numpy()
    edges = np.unique(np.quantile(scores, np.linspace(0, 1, bins + 1)[1:-1], method="lower"))
    found: Floats = edges[edges < scores.max()]
    return found


def calibration_bins(
    labels: Any,
    scores: Any,
    *,
    weights: Any = None,
    bins: int = 10,
    confidence: float = 0.95,
    strategy: Literal["quantile", "uniform"] = "quantile",
) -> tuple[CalibrationBin, ...]:
    """The reliability curve: rows in bins by score, the mean score of each beside the share of positives.

    Args:
        labels: 0 and 1, one per row.
        scores: Probabilities of the positive class.
        weights: How much each row counts.
        bins: How many, at most.
        confidence: Of Wilson's intervals of the shares.
        strategy: Bins of equal count or of equal width.
    """
    np = numpy()
    truth, said = labels_of(labels), probabilities_of(scores)
    same_length(labels=truth, scores=said)
    _check_bins(bins)
    weight = weights_of(weights, rows=truth.size)
    weight = np.ones(truth.size) if weight is None else weight
    place = np.searchsorted(equal_edges(said, bins) if strategy == "quantile" else width_edges(bins), said, side="left")
    size = int(place.max()) + 1
    count = np.bincount(place, minlength=size)
    total, square = np.bincount(place, weight, size), np.bincount(place, weight**2, size)
    hits, sums = np.bincount(place, weight * truth, size), np.bincount(place, weight * said, size)
    low, high = np.full(size, np.inf), np.full(size, -np.inf)
    np.minimum.at(low, place, said)
    np.maximum.at(high, place, said)
    found = []
    for each in np.flatnonzero(total):
        effective = float(total[each] ** 2 / square[each])
        share = float(hits[each] / total[each])
        ends = intervals.wilson(share * effective, effective, confidence)
        found.append(
            CalibrationBin(
                float(low[each]), float(high[each]), int(count[each]), float(sums[each] / total[each]), share, *ends
            )
        )
    return tuple(found)


def calibration_metrics(
    labels: Any,
    scores: Any,
    *,
    weights: Any = None,
    groups: Any = None,
    bins: int = 10,
    confidence: float = 0.95,
    replicates: int = 1000,
    seed: int = 0,
) -> dict[str, Estimate]:
    """Everything that measures calibration.

    `ece` (bins of equal width), `ace` (of equal count), `ece_debiased`, `mce` (the greatest gap of a bin), `brier` and
    its parts `reliability`, `resolution`, `uncertainty` and `within_bins` (brier = reliability - resolution +
    uncertainty + within_bins), `slope`, `intercept`, and `calibration_in_the_large` (the intercept at slope 1).

    Example:
        >>> found = calibration_metrics([0, 1] * 50, [0.1, 0.9] * 50, replicates=100)
        >>> round(found["ece"].value, 3), round(found["uncertainty"].value, 3)
        (0.1, 0.25)
    """
    truth, said = labels_of(labels), probabilities_of(scores)
    same_length(labels=truth, scores=said)
    _check_bins(bins)
    weight = weights_of(weights, rows=truth.size)
    how = Resampling(confidence=confidence, replicates=replicates, seed=seed)
    return {**_binned(truth, said, weight, groups, bins, how), **recalibration(truth, said, weight, confidence)}


def calibration_by_slice(
    labels: Any,
    scores: Any,
    slices: Sequence[str] | Mapping[str, Any] | None,
    frame: Any = None,
    *,
    weights: Any = None,
    least: int = 200,
    bins: int = 10,
    confidence: float = 0.95,
    replicates: int = 200,
    seed: int = 0,
) -> dict[tuple[str, str], dict[str, Estimate]]:
    """The calibration metrics of each slice with enough rows, by column and value; slices as in `evaluate_binary`.

    A model that is calibrated on all rows can be far off on each part of them, up on the one and down on the other.

    Example:
        >>> half = ["a", "b"] * 500
        >>> labels = [1, 0] * 500
        >>> found = calibration_by_slice(labels, [0.5] * 1000, {"half": half})
        >>> {value: round(each["ece"].value, 3) for (_, value), each in found.items()}
        {'a': 0.5, 'b': 0.5}
    """
    from mainspring.quality.evaluation.slices import sliced_columns

    truth, said = labels_of(labels), probabilities_of(scores)
    rows = same_length(labels=truth, scores=said)
    weight = weights_of(weights, rows=rows)
    return {
        (column, value): calibration_metrics(
            truth[mask],
            said[mask],
            weights=None if weight is None else weight[mask],
            bins=bins,
            confidence=confidence,
            replicates=replicates,
            seed=seed,
        )
        for column, parts in sliced_columns(slices, frame, rows=rows).items()
        for value, mask in sorted(parts.items())
        if mask.sum() >= least
    }


def _check_bins(bins: int) -> None:
    if not 2 <= bins <= 1000:
        raise InvalidInput(f"bins are between 2 and 1,000, not {bins}")


def _binned(
    truth: Floats, said: Floats, weight: Floats | None, groups: Any, bins: int, how: Resampling
) -> dict[str, Estimate]:
    from mainspring.quality.evaluation.binary_measures import press, rows_of

    np = numpy()
    order = np.argsort(said, kind="stable")
    rows = rows_of(truth, said, weight, order=order)
    wide, even = width_edges(bins), equal_edges(said, bins)
    clusters = None if groups is None else np.asarray(groups)[order]
    cells = press(rows, borders=np.nextafter(np.concatenate([wide, even]), 2.0), clusters=clusters)
    limits = dict.fromkeys(("ece", "ace", "mce", "brier", "reliability", "resolution", "uncertainty"), (0.0, 1.0))
    exact, drawn = _measures(rows, wide, even), _measures(cells, wide, even)
    one = rows.units.weight
    values = {name: float(measure(one)) for name, measure in exact.items()}
    found = bootstrap_all(drawn, cells.units, values, how, limits=limits)
    return {**found, "ece_debiased": _debiased(rows, cells, wide, how)}


def _measures(rows: Any, wide: Floats, even: Floats) -> dict[str, Any]:
    np = numpy()
    onto, evenly = _onto(rows, wide), _onto(rows, even)
    squares = rows.squares

    def gap(table: Any) -> Any:
        return lambda w: np.abs(w @ table["hits"] - w @ table["said"]).sum(-1) / w.sum(-1)

    def most(w: Any) -> Any:
        total = w @ evenly["one"]
        return (np.abs(w @ evenly["hits"] - w @ evenly["said"]) / np.where(total > 0, total, 1)).max(-1)

    def parts(w: Any) -> tuple[Any, Any, Any]:
        total = w @ evenly["one"]
        below = np.where(total > 0, total, 1)
        share, mean = w @ evenly["hits"] / below, w @ evenly["said"] / below
        base = (w @ rows.labels / w.sum(-1))[..., None]
        sums = w.sum(-1)
        reliability = (total * (mean - share) ** 2).sum(-1) / sums
        return reliability, (total * (share - base) ** 2).sum(-1) / sums, (base * (1 - base))[..., 0]

    def within(w: Any) -> Any:
        reliability, resolution, uncertainty = parts(w)
        return w @ squares / w.sum(-1) - reliability + resolution - uncertainty

    return {
        "ece": gap(onto),
        "ace": gap(evenly),
        "mce": most,
        "brier": lambda w: w @ squares / w.sum(-1),
        "reliability": lambda w: parts(w)[0],
        "resolution": lambda w: parts(w)[1],
        "uncertainty": lambda w: parts(w)[2],
        "within_bins": within,
    }


def _onto(rows: Any, edges: Floats) -> dict[str, Any]:
    """Matrices that sum what each unit adds to its bin; sparse, for there may be a million rows."""
    from scipy.sparse import csr_array

    np = numpy()
    place = np.searchsorted(edges, rows.scores, side="left")
    at, shape = (np.arange(place.size), place), (place.size, edges.size + 1)
    return {
        name: csr_array((values, at), shape=shape)
        for name, values in (("one", np.ones(place.size)), ("hits", rows.labels), ("said", rows.scores))
    }


def _debiased(rows: Any, cells: Any, edges: Floats, how: Resampling) -> Estimate:
    """A replicate has the noise of the rows and as much of its own, so twice the noise is taken off it."""
    np = numpy()

    def measure(part: Any, units: Units, noise: float) -> Any:
        onto = _onto(part, edges)
        base = units.weight @ onto["one"]
        squares = (units.weight**2 / np.maximum(units.count, 1)) @ onto["one"]
        shrink = noise * squares / np.where(base > 0, base, 1) ** 2

        def statistic(w: Any) -> Any:
            total = w @ onto["one"]
            below = np.where(total > 0, total, 1)
            share, said = w @ onto["hits"] / below, w @ onto["said"] / below
            gap = np.abs(share - said)
            return (total * (gap - _folded(gap, np.sqrt(share * (1 - share) * shrink)))).sum(-1) / w.sum(-1)

        return statistic

    value = max(0.0, float(measure(rows, rows.units, 1.0)(rows.units.weight)))
    doubled = measure(cells, cells.units, 2.0)
    drawn = np.concatenate([np.atleast_1d(doubled(w)) for w in cells.units.replicates(how)])
    low, high = bca_ends(drawn, value, how.confidence, acceleration=None)
    error = float(drawn.std(ddof=1)) if drawn.size > 1 else None
    return Estimate(value, max(0.0, min(low, value)), max(high, value), error, f"debiased, {how.replicates} replicates")


def _folded(gap: Any, spread: Any) -> Any:
    """How much further from 0 the mean of |gap + noise| lies than |gap|, at the noise of `spread`."""
    from scipy.special import ndtr

    np = numpy()
    safe = np.where(spread > 0, spread, 1.0)
    mean = safe * math.sqrt(2 / math.pi) * np.exp(-0.5 * (gap / safe) ** 2) + gap * (1 - 2 * ndtr(-gap / safe))
    return np.where(spread > 0, mean - np.abs(gap), 0.0)


def recalibration(truth: Floats, said: Floats, weight: Floats | None, confidence: float) -> dict[str, Estimate]:
    """Slope and intercept of a logistic regression of the labels on the logits of the scores, by Newton's method."""
    np = numpy()
    safe = np.clip(said, _TINY, 1 - _TINY)
    logit = np.log(safe) - np.log1p(-safe)
    weight = np.ones(truth.size) if weight is None else weight
    both = _logistic(np.stack([np.ones(truth.size), logit], axis=1), truth, weight, np.zeros(truth.size))
    large = _logistic(np.ones((truth.size, 1)), truth, weight, logit)
    found = {"intercept": Estimate(None), "slope": Estimate(None), "calibration_in_the_large": Estimate(None)}
    if both is not None:
        found |= {
            name: intervals.around(float(both[0][at]), float(both[1][at]), confidence, "logistic recalibration")
            for at, name in enumerate(("intercept", "slope"))
        }
    if large is not None:
        found["calibration_in_the_large"] = intervals.around(
            float(large[0][0]), float(large[1][0]), confidence, "logistic recalibration"
        )
    return found


def _logistic(design: Floats, truth: Floats, weight: Floats, offset: Floats) -> tuple[Floats, Floats] | None:
    """Coefficients and robust standard errors; nothing where the labels are divided perfectly or do not vary."""
    np = numpy()
    if truth.min() == truth.max():
        return None
    beta = np.zeros(design.shape[1])
    beta[-1] = 1.0 if design.shape[1] > 1 else 0.0
    for _ in range(50):
        chance = 1 / (1 + np.exp(-np.clip(design @ beta + offset, -700, 700)))
        slope = design.T @ (weight * (truth - chance))
        bend = (design * (weight * chance * (1 - chance))[:, None]).T @ design
        if not np.isfinite(bend).all() or np.linalg.cond(bend) > 1e12:
            return None
        step = np.linalg.solve(bend, slope)
        beta = beta + np.clip(step, -5, 5)
        if np.abs(beta).max() > 1e4:
            return None
        if np.abs(step).max() < 1e-10:
            break
    chance = 1 / (1 + np.exp(-np.clip(design @ beta + offset, -700, 700)))
    bend = np.linalg.inv((design * (weight * chance * (1 - chance))[:, None]).T @ design)
    pull = design * (weight * (truth - chance))[:, None]
    return beta, np.sqrt(np.diag(bend @ (pull.T @ pull) @ bend))
