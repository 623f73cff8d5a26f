"""Drift of embeddings: Evidently's four methods by name, and a default that knows chance."""

from __future__ import annotations

from typing import Any, Literal

import msgspec

from mainspring.kernel.errors import InvalidInput
from mainspring.quality.drift.methods import METHODS
from mainspring.quality.drift.methods_numbers import wasserstein
from mainspring.quality.drift.methods_texts import need_sklearn

__all__ = ["EmbeddingDrift", "EmbeddingMethod", "compare_embeddings", "embedding_score"]

EmbeddingMethod = Literal["euclidean", "cosine", "cityblock", "chebyshev", "model", "ratio", "mmd"]
"""The four distances of the centroids, a classifier's area, the share of drifted components, kernels."""

_THRESHOLDS = {"model": 0.55, "mmd": 0.015}
_DISTANCE = 0.2
_ROWS = 20_000


class EmbeddingDrift(msgspec.Struct, frozen=True, kw_only=True):
    """How two samples of vectors differ."""

    method: str
    score: float
    threshold: float
    drifted: bool
    p_value: float | None = None


def compare_embeddings(reference: Any, current: Any, *, least: float = 0.55, level: float = 0.05) -> EmbeddingDrift:
    """Whether a linear model tells the samples apart, by more than `least` and by more than chance explains.

    Args:
        reference: A matrix, one vector a row.
        current: Another of as many columns.
        least: The area under the curve that matters.
        level: Of the test.

    Example:
        >>> import numpy as np
        >>> draw = np.random.default_rng(0)
        >>> compare_embeddings(draw.normal(0, 1, (300, 4)), draw.normal(1, 1, (300, 4))).drifted
        True
    """
    need_sklearn()
    import numpy as np
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    from mainspring.quality.drift.multivariate import held_out_test

    one, two = (each[:: -(-len(each) // _ROWS)] for each in _matrices(reference, current))
    marks = np.array([0] * len(one) + [1] * len(two))
    found = held_out_test(
        np.concatenate([one, two]), marks, lambda: make_pipeline(StandardScaler(), LogisticRegression(max_iter=300))
    )
    drifted = found.auc >= least and found.p_value <= level
    return EmbeddingDrift(method="held-out", score=found.auc, threshold=least, drifted=drifted, p_value=found.p_value)


def embedding_score(
    name: EmbeddingMethod,
    reference: Any,
    current: Any,
    *,
    threshold: float | None = None,
    components: int | None = None,
) -> EmbeddingDrift:
    """One of Evidently's methods; with `components`, after reducing the vectors to so many principal components."""
    one, two = _matrices(reference, current)
    if components:
        need_sklearn()
        from sklearn.decomposition import PCA

        reduce = PCA(n_components=components, random_state=0)
        one, two = reduce.fit_transform(one), reduce.transform(two)
    scores = {"model": _model, "ratio": _ratio, "mmd": _mmd}
    score = float(scores[name](one, two)) if name in scores else _distance(name, one, two)
    limit = _THRESHOLDS.get(name, _DISTANCE) if threshold is None else threshold
    return EmbeddingDrift(method=name, score=score, threshold=limit, drifted=score > limit)


def _matrices(reference: Any, current: Any) -> tuple[Any, Any]:
    import numpy as np

    one, two = (np.asarray(each, dtype=float) for each in (reference, current))
    if one.ndim != 2 or two.ndim != 2 or one.shape[1] != two.shape[1]:
        raise InvalidInput(f"embeddings are matrices of one width, and these are {one.shape} and {two.shape}")
    return one, two


def _distance(name: str, one: Any, two: Any) -> float:
    from scipy.spatial import distance

    measures = ("euclidean", "cosine", "cityblock", "chebyshev")
    if name not in measures:
        raise InvalidInput(f"{name!r} does not compare embeddings", known=[*measures, "model", "ratio", "mmd"])
    return float(getattr(distance, name)(one.mean(axis=0), two.mean(axis=0)))


def _model(one: Any, two: Any) -> float:
    need_sklearn()
    import numpy as np
    from sklearn.linear_model import SGDClassifier
    from sklearn.metrics import roc_auc_score
    from sklearn.model_selection import train_test_split

    marks = np.array([1] * len(one) + [0] * len(two))
    learn, test, learn_marks, test_marks = train_test_split(
        np.concatenate([one, two]), marks, test_size=0.5, random_state=42, shuffle=True
    )
    model = SGDClassifier(loss="log_loss", random_state=42).fit(learn, learn_marks)
    return float(roc_auc_score(test_marks, model.predict_proba(test)[:, 1]))


def _ratio(one: Any, two: Any) -> float:
    chosen = METHODS["wasserstein"]
    pairs = list(zip(one.T, two.T, strict=True))
    scores = [wasserstein(left, right) / max(float(left.std()), 0.001) for left, right in pairs]
    return sum(chosen.drifted(score) for score in scores) / len(scores)


def _mmd(one: Any, two: Any) -> float:
    """Unbiased, with a Gaussian kernel as wide as the median distance between the samples."""
    import numpy as np
    from scipy.spatial.distance import cdist

    n, m = len(one), len(two)
    draw = [each[:1000] for each in (one, two)]
    width = float(np.median(cdist(*draw))) ** 2 or 1.0
    within = [np.exp(-cdist(each, each, "sqeuclidean") / width) for each in (one, two)]
    across = np.exp(-cdist(one, two, "sqeuclidean") / width)
    sums = [(each.sum() - np.trace(each)) / (len(each) * (len(each) - 1)) for each in within]
    return max(float(sums[0] + sums[1] - 2 * across.sum() / (n * m)), 0.0)
