"""Losses of single predictions, against scikit-learn's means."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest
from sklearn.metrics import brier_score_loss, log_loss, mean_absolute_error, mean_squared_error, zero_one_loss

from mainspring.kernel.errors import InvalidInput
from mainspring.serving.losses import METRICS, output_columns, with_loss

RANDOM = np.random.default_rng(0)
SCORES = RANDOM.dirichlet([1, 1, 1], 200)
CLASSES = ["red", "green", "blue"]
TRUTH = RANDOM.integers(0, 3, 200)


def test_probabilities_of_named_classes():
    frame = pl.DataFrame({"output.probability": SCORES, "label": [CLASSES[each] for each in TRUTH]})
    found = with_loss(frame, "log_loss", classes=CLASSES)["loss"].mean()
    assert found == pytest.approx(log_loss(TRUTH, SCORES, labels=[0, 1, 2]))
    squares = ((SCORES - np.eye(3)[TRUTH]) ** 2).sum(axis=1)
    assert with_loss(frame, "brier", classes=CLASSES)["loss"].to_numpy() == pytest.approx(squares / 2)
    with pytest.raises(InvalidInput, match="none of the model's classes"):
        with_loss(frame, "log_loss", classes=["red", "green", "black"])


@pytest.mark.parametrize("classes", [[], [0, 1], [False, True], [0.0, 1.0]])
def test_two_classes_however_they_are_written(classes):
    score = SCORES[:, 0]
    label = (TRUTH == 0).astype(float)
    frame = pl.DataFrame({"output.probability": np.stack([1 - score, score], axis=1), "label": label})
    assert with_loss(frame, "brier", classes=classes)["loss"].mean() == pytest.approx(brier_score_loss(label, score))


def test_classes_need_not_begin_at_zero():
    frame = pl.DataFrame({"output.probability": [[0.25, 0.75]], "label": [5.0]})
    assert with_loss(frame, "log_loss", classes=[5, 7])["loss"][0] == pytest.approx(-np.log(0.25))


@pytest.mark.parametrize("kind", [pl.Int64, pl.Float64, pl.String, pl.Boolean])
def test_errors_of_labels_of_any_kind(kind):
    said, truth = TRUTH > 0, TRUTH > 1
    label = pl.Series(truth.astype(int)).cast(pl.String) if kind == pl.String else pl.Series(truth.astype(float))
    output = pl.Series(said.astype(int)).cast(kind) if kind != pl.Boolean else pl.Series(said)
    frame = pl.DataFrame({"output.label": output, "label": label})
    assert with_loss(frame, "error")["loss"].mean() == pytest.approx(zero_one_loss(truth, said))


def test_errors_of_numbers():
    said, truth = RANDOM.normal(size=50), RANDOM.normal(size=50)
    frame = pl.DataFrame({"output.value": said, "label": truth})
    assert with_loss(frame, "absolute_error")["loss"].mean() == pytest.approx(mean_absolute_error(truth, said))
    assert with_loss(frame, "squared_error")["loss"].mean() == pytest.approx(mean_squared_error(truth, said))


def test_rows_without_a_label_cost_nothing_and_wrong_metrics_are_named():
    frame = pl.DataFrame({"output.value": [1.0, 2.0], "label": [None, 1.0]})
    assert with_loss(frame, "absolute_error")["loss"].to_list() == [1.0]
    with pytest.raises(InvalidInput, match="needs the output 'probability'"):
        with_loss(frame, "brier")
    with pytest.raises(InvalidInput, match="no metric 'auc'"):
        output_columns("auc")
    assert all(with_loss(frame.clear(), metric).is_empty() for metric in METRICS)
