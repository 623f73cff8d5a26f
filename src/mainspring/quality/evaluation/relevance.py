"""Evaluating rankings: of the items that were offered for each query (or user), were the relevant ones on top?"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal

from mainspring.kernel.errors import InvalidInput
from mainspring.quality.evaluation import intervals
from mainspring.quality.evaluation.arrays import codes_of, numbers_of, numpy, same_length, weights_of
from mainspring.quality.evaluation.slices import measures_of, slice_metrics, sliced_columns
from mainspring.quality.evaluation.types import Evaluation, Slice

if TYPE_CHECKING:
    from mainspring.quality.evaluation.arrays import Floats
    from mainspring.quality.evaluation.slices import RowsMeasure

__all__ = ["evaluate_ranking", "query_metrics"]


def evaluate_ranking(
    labels: Any,
    scores: Any,
    queries: Any,
    *,
    cuts: Sequence[int] = (1, 5, 10),
    gain: Literal["linear", "exponential"] = "linear",
    without: Literal["skip", "zero"] = "skip",
    weights: Any = None,
    slices: Sequence[str] | Mapping[str, Any] | None = None,
    frame: Any = None,
    slice_metric: str = "",
    confidence: float = 0.95,
    model: str = "",
    dataset: str = "",
) -> Evaluation:
    """Evaluate the order that scores give to the items of each query.

    Gives for each cut `ndcg@k`, `map@k`, `mrr@k`, `hit_rate@k`, `precision@k`, `recall@k`, and
    `ndcg`, `map`, `mrr` of the whole lists. Every metric is a mean over queries, which the intervals count.

    Args:
        labels: How relevant each item is; above 0 is relevant.
        scores: What the model orders by, higher first. NDCG is the mean over all orders of equal scores, as
            scikit-learn has it; the other metrics keep equal scores in the order given.
        queries: The query (or user, or list) of each item.
        cuts: How many items are looked at.
        gain: Of an item in NDCG: its label, or 2 to the label less 1.
        without: Queries that have nothing relevant are left out, or count 0.
        weights: How much each query counts, by item; the first item's is taken.
        slices: As in `evaluate_binary`, by the value of each query's first item.
        frame: The items, as a polars DataFrame.
        slice_metric: Any of the metrics; `ndcg` at the greatest cut by default.
        confidence: Of every interval.
        model: What to call the model in the report.
        dataset: What to call the rows in the report.

    Example:
        >>> scores, queries = [0.9, 0.5, 0.1, 0.9, 0.5, 0.1], ["a"] * 3 + ["b"] * 3
        >>> found = evaluate_ranking([1, 0, 0, 0, 1, 0], scores, queries, cuts=(1,))
        >>> found["mrr"].value, found["hit_rate@1"].value
        (0.75, 0.5)
    """
    np = numpy()
    truth, said = numbers_of(labels, what="labels"), numbers_of(scores, what="scores")
    rows = same_length(labels=truth, scores=said)
    if (truth < 0).any():
        raise InvalidInput("labels of a ranking are not negative")
    if not cuts or min(cuts) < 1:
        raise InvalidInput(f"cuts are at least 1, not {list(cuts)}")
    codes = codes_of(queries, what="queries", rows=rows)[0]
    table = query_metrics(truth, said, codes, cuts=cuts, gain=gain)
    relevant = np.bincount(codes, truth > 0) > 0
    kept = relevant if without == "skip" else relevant | True
    if not kept.any():
        raise InvalidInput("no query has a relevant item", hint="without='zero' counts them as 0")
    first = np.unique(codes, return_index=True)[1]
    row_weights = weights_of(weights, rows=rows)
    heavy = None if row_weights is None else row_weights[first][kept]
    metrics = {
        name: intervals.mean_estimate(each[kept], confidence, least=0.0, weights=heavy) for name, each in table.items()
    }

    def make(metric: str) -> RowsMeasure:
        if metric not in table:
            raise InvalidInput(f"slices cannot be measured by {metric!r}", known=list(table))
        values = table[metric][kept]
        return lambda some: intervals.mean_estimate(
            values[some], confidence, weights=None if heavy is None else heavy[some]
        )

    by = measures_of(slice_metric or f"ndcg@{max(cuts)}", make)
    found: tuple[Slice, ...] = ()
    if slices is not None or frame is not None:
        parts = sliced_columns(slices, frame, rows=rows)
        found = slice_metrics(by, _of_queries(parts, first[kept]), None, rows=int(kept.sum()))
    return Evaluation(
        task="ranking", count=rows, metrics=metrics, confidence=confidence, slices=found,
        slice_metric=next(iter(by)) if found else "", weighted=heavy is not None, model=model, dataset=dataset,
        meta={"queries": int(kept.size), "queries_left_out": int(kept.size - kept.sum())},
    )  # fmt: skip


def _of_queries(parts: Mapping[str, Mapping[str, Any]], first: Any) -> dict[str, Any]:
    """The slice of each query, from masks of items, as columns of names."""
    np = numpy()
    found = {}
    for column, masks in parts.items():
        names = np.full(first.size, "", dtype=object)
        for value, mask in masks.items():
            names[mask[first]] = value
        found[column] = names.tolist()
    return found


def query_metrics(
    truth: Floats,
    scores: Floats,
    codes: Any,
    *,
    cuts: Sequence[int],
    gain: Literal["linear", "exponential"] = "linear",
) -> dict[str, Floats]:
    """Every metric of every query, in the order of the codes; queries without a relevant item have 0."""
    np = numpy()
    size = int(codes.max()) + 1
    worth = truth if gain == "linear" else np.exp2(truth) - 1
    order = np.lexsort((-scores, codes))
    best = np.lexsort((-worth, codes))
    starts = np.flatnonzero(np.append([True], np.diff(codes[order]) != 0))
    place = np.arange(codes.size) - np.repeat(starts, np.diff(np.append(starts, codes.size)))
    at, hit = codes[order], (truth[order] > 0).astype(float)
    relevant = np.bincount(at, hit, size)
    found_by = np.cumsum(hit)
    found_by = found_by - np.repeat(found_by[starts] - hit[starts], np.diff(np.append(starts, codes.size)))
    precision = found_by / (place + 1)
    tied = np.append([0], np.cumsum((np.diff(scores[order]) != 0) | (np.diff(at) != 0)))
    reciprocal = np.zeros(size)
    firsts = np.flatnonzero((hit > 0) & (found_by == 1))
    reciprocal[at[firsts]] = 1 / (place[firsts] + 1)
    whole = int(place.max()) + 1
    table: dict[str, Floats] = {}
    for cut in (*cuts, whole):
        name = "" if cut == whole and cut not in cuts else f"@{cut}"
        inside = place < cut
        discount = np.where(inside, 1 / np.log2(place + 2.0), 0.0)
        ideal = np.bincount(at, worth[best] * discount, size)
        gained = np.bincount(at, (_tie_mean(worth[order], tied) * discount), size)
        hits = np.bincount(at, hit * inside, size)
        table[f"ndcg{name}"] = _share(gained, ideal)
        table[f"map{name}"] = _share(np.bincount(at, precision * hit * inside, size), np.minimum(relevant, cut))
        table[f"mrr{name}"] = np.where(reciprocal >= 1 / cut - 1e-12, reciprocal, 0.0)
        if name:
            table[f"hit_rate{name}"] = (hits > 0).astype(float)
            table[f"precision{name}"] = hits / cut
            table[f"recall{name}"] = _share(hits, relevant)
    if "ndcg" not in table:  # one of the cuts is the longest list
        table |= {metric: table[f"{metric}@{whole}"] for metric in ("ndcg", "map", "mrr")}
    return table


def _tie_mean(worth: Floats, tied: Any) -> Floats:
    """The mean worth of the items that share a score with each."""
    np = numpy()
    mean: Floats = (np.bincount(tied, worth) / np.bincount(tied))[tied]
    return mean


def _share(above: Floats, below: Floats) -> Floats:
    np = numpy()
    share: Floats = np.where(below > 0, above / np.where(below > 0, below, 1), 0.0)
    return share
