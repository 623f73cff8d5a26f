"""A million rows of binary predictions with a thousand bootstrap replicates, beside scikit-learn in a plain loop.

The loop draws rows, copies them and calls scikit-learn for every metric, which is what a notebook does; it is timed
for a few replicates and multiplied. What scikit-learn takes for the values alone is shown too, for that is the floor.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from importlib.metadata import version
from typing import Any

import numpy as np
import polars as pl
from row import Row

from mainspring.quality.evaluation import compare_binary, evaluate_binary, evaluate_fairness, find_slices
from mainspring.quality.evaluation.losses import log_losses

ROWS, REPLICATES, TIMED = 1_000_000, 1000, 3


def rows() -> Iterator[Row]:
    """CPU seconds, since other work may share the machine."""
    from sklearn import metrics

    random = np.random.default_rng(0)
    labels = (random.random(ROWS) < 0.2).astype(np.float64)
    scores = 1 / (1 + np.exp(-(random.normal(size=ROWS) + labels - 1)))
    other = 1 / (1 + np.exp(-(random.normal(size=ROWS) + labels - 1)))
    frame = pl.DataFrame(
        {
            "a": random.choice(["p", "q", "r", "s"], ROWS),
            "b": random.integers(0, 20, ROWS),
            "c": random.normal(size=ROWS),
            "d": random.gamma(2, 3, ROWS),
        }
    )
    peer = f"scikit-learn {version('scikit-learn')}"

    def theirs(y: Any, p: Any) -> None:
        called = p >= 0.5
        metrics.roc_auc_score(y, p)
        metrics.average_precision_score(y, p)
        metrics.log_loss(y, p)
        metrics.brier_score_loss(y, p)
        metrics.accuracy_score(y, called)
        metrics.balanced_accuracy_score(y, called)
        metrics.precision_score(y, called)
        metrics.recall_score(y, called)
        metrics.f1_score(y, called)
        metrics.matthews_corrcoef(y, called)

    def loop() -> None:
        for _ in range(TIMED):
            drawn = random.integers(0, ROWS, ROWS)
            theirs(labels[drawn], scores[drawn])

    ours = _cpu(lambda: evaluate_binary(labels, scores, interval="bca", replicates=REPLICATES))
    values = _cpu(lambda: theirs(labels, scores))
    bootstrap = _cpu(loop) / TIMED * REPLICATES
    note = f"14 metrics; the loop has 10, timed for {TIMED} replicates and multiplied"
    title = f"binary, {ROWS:,} rows, {REPLICATES:,} BCa replicates"
    yield Row(title, ours, bootstrap, f"{peer}, loop", bootstrap / ours, "ratio >= 100", "CPU s", note)
    yield Row(
        title, ours, values, f"{peer}, values alone", values / ours, unit="CPU s", note="no intervals at the peer"
    )
    formulas = _cpu(lambda: evaluate_binary(labels, scores))
    yield Row(f"binary, {ROWS:,} rows, formulas where known", formulas, limit="ours < 10", unit="CPU s")
    paired = _cpu(
        lambda: compare_binary(
            labels, champion=other, candidate=scores, metrics=("auc", "average_precision", "log_loss", "f1", "accuracy")
        )
    )
    yield Row(f"two models, {ROWS:,} rows, 5 metrics", paired, limit="ours < 15", unit="CPU s")
    losses = log_losses(labels, scores)
    searched = _cpu(lambda: find_slices(losses, frame, metric="log_loss"))
    yield Row(f"slices searched, {ROWS:,} rows, 4 columns, pairs", searched, limit="ours < 15", unit="CPU s")
    yield from _fairness(labels, scores, frame["a"].to_numpy())


def _fairness(labels: Any, scores: Any, groups: Any) -> Iterator[Row]:
    from fairlearn import metrics

    called = scores >= 0.5
    functions = {
        "selection_rate": metrics.selection_rate,
        "true_positive_rate": metrics.true_positive_rate,
        "false_positive_rate": metrics.false_positive_rate,
    }

    def theirs() -> None:
        frame = metrics.MetricFrame(metrics=functions, y_true=labels, y_pred=called, sensitive_features=groups)
        frame.difference()
        frame.ratio()

    ours = _cpu(lambda: evaluate_fairness(labels, scores, groups, metrics=list(functions)))
    peer = _cpu(theirs)
    note = "ours with 1,000 replicates of everything, the peer without intervals"
    name = f"fairlearn {version('fairlearn')}"
    yield Row(f"fairness, {ROWS:,} rows, 4 groups", ours, peer, name, peer / ours, unit="CPU s", note=note)


def _cpu(work: Callable[[], object]) -> float:
    """The least CPU seconds of two calls; the first also loads what is loaded lazily."""
    taken = []
    for _ in range(2):
        start = time.process_time()
        work()
        taken.append(time.process_time() - start)
    return min(taken)
