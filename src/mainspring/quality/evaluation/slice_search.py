"""Slices that nobody thought of: conditions on one column or several under which a model does worse.

The rows are divided into two halves. On the first, every value of a column and every range between its quantiles is
tried, and every combination; the most telling are chosen, each on what the ones before it do not explain. On the second
half, which the choice has not seen, each is tested, and the p-values are adjusted for how many were chosen. (Slice
Finder: Chung et al., IEEE TKDE 2019; the division makes its p-values honest.)
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from mainspring.kernel.errors import InvalidInput, NotFound, nearest
from mainspring.quality.evaluation import intervals
from mainspring.quality.evaluation.arrays import numbers_of, numpy
from mainspring.quality.evaluation.literals import Literals, literals_of
from mainspring.quality.evaluation.significance import corrected
from mainspring.quality.evaluation.types import Slice

if TYPE_CHECKING:
    from mainspring.quality.evaluation.arrays import Floats

__all__ = ["alpha_investing", "find_slices"]

_ROWS = 100_000  # of the half that is searched; more find nothing that more rows of the other half do not judge better
_CANDIDATES = 20_000
_BEAM = 40  # slices of two conditions that are tried with a third


@dataclass(frozen=True)
class _Candidate:
    places: tuple[int, ...]
    effect: float
    z: float


def find_slices(
    losses: Any,
    frame: Any,
    *,
    metric: str = "loss",
    columns: Sequence[str] | None = None,
    depth: int = 2,
    least: int = 100,
    effect: float = 0.15,
    level: float = 0.05,
    most: int = 10,
    control: Literal["benjamini-hochberg", "holm", "alpha-investing"] = "benjamini-hochberg",
    confidence: float = 0.95,
    seed: int = 0,
) -> tuple[Slice, ...]:
    """Find where a model does worse, and prove it on rows that did not take part in the finding.

    Args:
        losses: One number per row, less is better: `row_loss("log_loss", labels, scores)`, an absolute error, a wrong
            answer as 1.
        frame: The rows, as a polars DataFrame; columns that the model does not know are welcome.
        metric: What the losses are called in the sentences.
        columns: Which columns to look at; all that divide the rows by default.
        depth: How many conditions a slice may have, 1 to 3.
        least: Rows a slice must have.
        effect: How much worse it must be, in standard deviations of the loss; 0.2 is called small.
        level: The share of false finds among the finds that is allowed.
        most: How many slices at most.
        control: How the p-values are judged.
        confidence: Of the intervals.
        seed: Of the division into halves.

    Returns:
        Slices, the most telling first. Their estimates are those of the second half, so they are not flattered.

    Example:
        >>> import polars as pl
        >>> frame = pl.DataFrame({"carrier": ["AA", "UA", "MQ", "DL"] * 500, "even": [0, 1] * 1000})
        >>> losses = [1.0 + (i % 4 == 2) * (0.5 + i % 3) + i % 7 / 10 for i in range(2000)]
        >>> [each.conditions for each in find_slices(losses, frame, metric="mae")]
        [(('carrier', 'MQ'),)]
    """
    np = numpy()
    loss = numbers_of(losses, what="losses")
    if not 1 <= depth <= 3:
        raise InvalidInput(f"slices have one to three conditions, not {depth}")
    if frame.height != loss.size:
        raise InvalidInput(f"the frame has {frame.height} rows and there are {loss.size} losses")
    if control not in {"benjamini-hochberg", "holm", "alpha-investing"}:
        raise InvalidInput(f"{control!r} is not a control", known=["benjamini-hochberg", "holm", "alpha-investing"])
    for name in columns or ():
        if name not in frame.columns:
            raise NotFound(f"the frame has no column {name!r}", known=nearest(name, frame.columns))
    if loss.size < 4 * least or loss.min() == loss.max():
        return ()
    mixed = np.random.default_rng(seed).permutation(loss.size)
    first = np.sort(mixed[: loss.size // 2][:_ROWS])
    second = np.sort(mixed[loss.size // 2 :])
    literals = literals_of(frame, first, columns=columns, least=max(2, round(least * first.size / loss.size)))
    if not literals.names:
        return ()
    chosen = _chosen(literals, loss[first], depth, max(2, least * first.size / loss.size), effect, most)
    held = [literals.rows(frame, each.places, second) for each in chosen]
    found = [
        _tested(literals, each, mask, loss, second, (metric, confidence))
        for each, mask in zip(chosen, held, strict=True)
        if mask.sum() >= 2 and (~mask).sum() >= 2
    ]
    p_values = [each.p_value if each.p_value is not None else 1.0 for each in found]
    if control == "alpha-investing":
        kept = alpha_investing(p_values, level)
        judged = [(each, each.p_value) for each, keep in zip(found, kept, strict=True) if keep]
    else:
        q_values = corrected(p_values, control)
        judged = [(each, q) for each, q in zip(found, q_values, strict=True) if q <= level]
    return tuple(_said(each, q, metric, loss.size, second.size) for each, q in judged)


def alpha_investing(p_values: Sequence[float], level: float) -> list[bool]:
    """Which hypotheses, in the order of how promising they are, to reject (Foster and Stine 2008).

    Each test spends half of what is left; a rejection earns `level` back. The false finds among the finds stay below
    `level` on average, and the first in line are judged least strictly.
    """
    wealth, found = level, []
    for p_value in p_values:
        spent = wealth / 2
        bar = spent / (1 + spent)
        found.append(p_value <= bar)
        wealth += level if p_value <= bar else -spent
    return found


def _chosen(literals: Literals, loss: Floats, depth: int, least: float, effect: float, most: int) -> list[_Candidate]:
    """The most telling slices of the first half, each by the rows that those before it leave over."""
    np = numpy()
    candidates = _candidates(literals, loss, depth, least, effect)
    left = np.ones(loss.size, dtype=bool)
    masks = literals.masks > 0.5
    kept: list[_Candidate] = []
    for each in sorted(candidates, key=lambda one: -one.z):
        if len(kept) >= most:
            break
        mask = np.logical_and.reduce(masks[:, list(each.places)], axis=1)
        fresh = mask & left
        if fresh.sum() < max(least, mask.sum() / 2):  # mostly told already, as a wider range of the same is
            continue
        size, z = _contrast(loss, fresh, left & ~mask)
        if size >= effect and z > 2:
            kept.append(each)
            left &= ~mask
            if left.sum() < least:
                break
    return kept


def _contrast(loss: Floats, inside: Any, outside: Any) -> tuple[float, float]:
    """Effect size and standard score of one part of the rows against another."""
    if inside.sum() < 2 or outside.sum() < 2:
        return 0.0, 0.0
    size = float(loss[inside].mean() - loss[outside].mean()) / float(loss.std())
    return size, size / math.sqrt(1 / inside.sum() + 1 / outside.sum())


def _candidates(literals: Literals, loss: Floats, depth: int, least: float, effect: float) -> list[_Candidate]:
    np = numpy()
    masks = literals.masks
    scaled = ((loss - loss.mean()) / loss.std()).astype(np.float32)
    by_loss = masks * scaled[:, None]
    owner = np.asarray(literals.owners)
    total = (float(loss.size), float(scaled.sum()))
    sums = [each.sum(axis=0, dtype=np.float64) for each in (masks, by_loss)]
    found = _worse([(at,) for at in range(owner.size)], sums, total, least, effect)
    if depth > 1:
        upper = np.triu(owner[:, None] != owner[None, :])
        rows, columns = np.nonzero(upper)
        both = [(masks.T @ each).astype(np.float64)[rows, columns] for each in (masks, by_loss)]
        pairs = _worse(list(zip(rows.tolist(), columns.tolist(), strict=True)), both, total, least, effect)
        found += pairs
        if depth > 2:
            for pair in sorted(pairs, key=lambda each: -each.z)[:_BEAM]:
                inside = masks[:, pair.places[0]] * masks[:, pair.places[1]]
                further = [at for at in range(owner.size) if owner[at] not in {owner[place] for place in pair.places}]
                three = [(inside @ each[:, further]).astype(np.float64) for each in (masks, by_loss)]
                found += _worse([(*pair.places, at) for at in further], three, total, least, effect)
    return sorted(found, key=lambda each: -each.z)[:_CANDIDATES]


def _worse(
    places: Sequence[tuple[int, ...]], sums: Sequence[Any], total: tuple[float, float], least: float, bar: float
) -> list[_Candidate]:
    """Those that are worse than all other rows by at least the effect; from counts and sums of scaled losses.

    Both are measured by the spread of all losses: by their own, a few rows that are all a little bad would come first.
    """
    np = numpy()
    count, first = sums
    rest = total[0] - count
    with np.errstate(divide="ignore", invalid="ignore"):
        effect = first / count - (total[1] - first) / rest
        z = effect / np.sqrt(1 / count + 1 / rest)
    kept = np.flatnonzero((count >= least) & (rest >= least) & (effect >= bar) & (z > 2))
    return [_Candidate(places[at], float(effect[at]), float(z[at])) for at in kept]


def _tested(
    literals: Literals, chosen: _Candidate, mask: Any, loss: Floats, second: Any, called: tuple[str, float]
) -> Slice:
    inside, outside = loss[second][mask], loss[second][~mask]
    estimate = intervals.mean_estimate(inside, called[1])
    rest = intervals.mean_estimate(outside, called[1])
    gap = float(inside.mean() - outside.mean())
    error = math.hypot(estimate.standard_error or 0.0, rest.standard_error or 0.0)
    p_value = intervals.tail(gap / error) / 2 if error and gap > 0 else 1.0  # only worse is asked for
    conditions = tuple(literals.names[place] for place in chosen.places)
    return Slice(
        column=" and ".join(column for column, _ in conditions),
        value=" and ".join(value for _, value in conditions),
        count=int(mask.sum()), estimate=estimate, rest=rest.value, gap=gap, p_value=p_value, conditions=conditions,
    )  # fmt: skip


def _said(found: Slice, q_value: float | None, metric: str, rows: int, held: int) -> Slice:
    import msgspec

    share = found.count / held
    where = " and ".join(f"{column} is {value}" for column, value in found.conditions)
    more = f", {found.gap / found.rest:.0%} worse" if found.gap and found.rest and found.rest > 0 else ""
    statement = (
        f"where {where} ({share:.1%} of the rows) {metric} is {found.estimate.value:.4g} against {found.rest:.4g} "
        f"elsewhere{more} (q {q_value:.2g}, on rows that the search did not see)"
    )
    return msgspec.structs.replace(found, q_value=q_value, count=round(share * rows), statement=statement)
