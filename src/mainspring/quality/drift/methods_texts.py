"""Drift of texts as a question: can a classifier tell which sample a text is from?

`perc_text_content_drift` and `abs_text_content_drift` are those of Evidently, from the same parts of scikit-learn with
the same seeds. `compare_texts` asks the question so that the answer can be trusted: see there.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from typing import Any

import msgspec

from mainspring.kernel.errors import MissingDependency

__all__ = ["TextDrift", "compare_texts", "need_sklearn", "text_score"]

_ROWS = 20_000  # of each sample; more are thinned out evenly
_DRAWS = 1000


class TextDrift(msgspec.Struct, frozen=True, kw_only=True):
    """How well texts are told apart: the area under the curve over held-out rows, and whether chance explains it."""

    auc: float
    p_value: float
    rows: tuple[int, int]
    words: tuple[tuple[str, ...], tuple[str, ...]] = ((), ())
    """The words that speak for the reference, and those that speak for the current sample."""


def text_score(name: str, reference: Sequence[str], current: Sequence[str], threshold: float) -> tuple[float, float]:
    """The area under the curve of a classifier of the two samples, and the threshold above which it means drift."""
    need_sklearn()
    import numpy as np
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.linear_model import SGDClassifier
    from sklearn.metrics import roc_auc_score
    from sklearn.model_selection import train_test_split
    from sklearn.pipeline import make_pipeline

    marks = np.array([0] * len(reference) + [1] * len(current))
    learn, test, learn_marks, test_marks = train_test_split(
        [*reference, *current], marks, test_size=0.5, random_state=42, shuffle=True
    )
    model = make_pipeline(
        TfidfVectorizer(sublinear_tf=True, max_df=0.5, stop_words="english"),
        SGDClassifier(alpha=0.0001, max_iter=50, penalty="l1", loss="modified_huber", random_state=42),
    )
    model.fit(learn, learn_marks)
    score = float(roc_auc_score(test_marks, model.predict_proba(test)[:, 1]))
    if name == "abs_text_content_drift":
        return score, threshold
    return score, _chance(test_marks, threshold)


def _chance(marks: Any, quantile: float) -> float:
    """A quantile of the area that random scores reach; by rank sums, a thousand at once."""
    import numpy as np

    draw = np.random.default_rng(42)
    positive = int(marks.sum())
    ranks = draw.random((_DRAWS, len(marks))).argsort(axis=1)[:, :positive].sum(axis=1)
    areas = (ranks - positive * (positive - 1) / 2) / (positive * (len(marks) - positive))
    return float(np.quantile(areas, quantile))


def compare_texts(reference: Sequence[str], current: Sequence[str], *, seed: int = 0) -> TextDrift:
    """Tell two samples of texts apart by words and by runs of three to five characters, hashed.

    The p-value is that of `multivariate.held_out_test`, so it holds at every size.
    """
    need_sklearn()
    import numpy as np
    from sklearn.feature_extraction.text import HashingVectorizer
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_union

    from mainspring.quality.drift.multivariate import held_out_test

    one, two = (list(each[:: -(-len(each) // _ROWS)]) if each else [] for each in (reference, current))
    texts = [*one, *two]
    marks = np.array([0] * len(one) + [1] * len(two))
    features = make_union(
        HashingVectorizer(n_features=2**16, alternate_sign=False),
        HashingVectorizer(n_features=2**16, alternate_sign=False, analyzer="char_wb", ngram_range=(3, 5)),
    ).transform(texts)
    found = held_out_test(features.tocsr(), marks, lambda: LogisticRegression(max_iter=200), seed=seed)
    return TextDrift(auc=found.auc, p_value=found.p_value, rows=(len(one), len(two)), words=_telling_words(one, two))


def _telling_words(
    reference: Sequence[str], current: Sequence[str], *, count: int = 10
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Words whose shares of texts differ most, in standard errors."""
    words = re.compile(r"\w+")
    seen = [
        Counter(word for text in each for word in set(words.findall(text.lower()))) for each in (reference, current)
    ]
    n, m = max(len(reference), 1), max(len(current), 1)
    scores = {}
    for word in {*seen[0], *seen[1]}:
        p, q = seen[0][word] / n, seen[1][word] / m
        both = (seen[0][word] + seen[1][word]) / (n + m)
        scores[word] = (q - p) / ((both * (1 - both) * (1 / n + 1 / m)) ** 0.5 or 1.0)
    ordered = sorted(scores, key=lambda word: (scores[word], word))
    old = tuple(word for word in ordered[:count] if scores[word] < -2)
    new = tuple(word for word in reversed(ordered[-count:]) if scores[word] > 2)
    return old, new


def need_sklearn() -> None:
    """Raise `MissingDependency` where scikit-learn is not installed."""
    try:
        import sklearn  # noqa: F401 -- asked for, so that its absence is said once and rightly
    except ImportError:
        raise MissingDependency("scikit-learn", extra="serve") from None
