"""The predictions that NannyML judged for `nannyml_facts.json`, in plain Python so that both sides draw the same.

The facts were recorded by running this file in an environment of its own (NannyML 0.13.1, pandas 2):

    python tests/quality/performance/nannyml_cases.py > tests/quality/performance/nannyml_facts.json
"""

from __future__ import annotations

import json
import math
import random
import sys

BINARY = ("roc_auc", "average_precision", "f1", "precision", "recall", "specificity", "accuracy")
MULTICLASS = ("roc_auc", "f1", "precision", "recall", "specificity", "accuracy", "average_precision")
REGRESSION = ("mae", "mape", "mse", "rmse", "msle", "rmsle")
CHUNK = 500
LIGHTGBM = {"n_estimators": 25, "num_leaves": 15, "min_child_samples": 30, "n_jobs": 1, "verbose": -1}


def binary(rows=3000, shift=0.0, seed=31):
    """A model whose scores are not calibrated: rows of truth, score and prediction."""
    draw = random.Random(seed)
    found = {"y": [], "score": [], "prediction": []}
    for _ in range(rows):
        x = draw.gauss(shift, 1)
        found["y"].append(int(draw.random() < 1 / (1 + math.exp(-1.8 * x))))
        found["score"].append(1 / (1 + math.exp(-0.7 * x - 0.3)))
        found["prediction"].append(int(found["score"][-1] >= 0.5))
    return found


def multiclass(rows=2000, shift=0.0, seed=41):
    """Three classes with a score each."""
    draw = random.Random(seed)
    found = {"y": [], "a": [], "b": [], "c": [], "prediction": []}
    for _ in range(rows):
        raw = [draw.gauss(shift if k == 0 else 0, 1) for k in range(3)]
        found["y"].append(draw.choices("abc", [math.exp(1.6 * value) for value in raw])[0])
        weights = [math.exp(0.8 * value) for value in raw]
        scores = [weight / sum(weights) for weight in weights]
        for name, score in zip("abc", scores, strict=True):
            found[name].append(score)
        found["prediction"].append("abc"[scores.index(max(scores))])
    return found


def regression(rows=2000, spread=1.0, seed=51):
    """Two features, of which one says how large the error is."""
    draw = random.Random(seed)
    found = {"x": [], "noise": [], "y": [], "prediction": []}
    for _ in range(rows):
        x, noise = draw.uniform(0, 10), draw.uniform(0.1, 1.0) * spread
        found["x"].append(x)
        found["noise"].append(noise)
        found["prediction"].append(20 + 2 * x)
        found["y"].append(max(0.5, 20 + 2 * x + draw.gauss(0, 3 * noise)))
    return found


def records(result, names):
    """What a result says of every chunk, by metric."""
    plain = {}
    frame = result.data
    for name in names:
        plain[name] = [
            {
                "period": row[("chunk", "period")],
                **{
                    key: None
                    if row[(name, key)] is None or row[(name, key)] != row[(name, key)]
                    else float(row[(name, key)])
                    for key in ("value", "sampling_error", "realized", "upper_threshold", "lower_threshold")
                },
                "alert": bool(row[(name, "alert")]),
            }
            for _, row in frame.iterrows()
        ]
    return plain


def main():
    """Ask NannyML, and print what it says."""
    import os
    import warnings

    os.environ["NML_DISABLE_USAGE_LOGGING"] = "1"
    warnings.filterwarnings("ignore")
    import numpy as np
    import pandas as pd
    from nannyml import CBPE, DLE

    facts = {}
    np.random.seed(0)  # noqa: NPY002 -- the generator that NannyML draws from
    kinds = ["true_positive", "true_negative", "false_positive", "false_negative"]
    one = CBPE(
        metrics=[*BINARY, "confusion_matrix"], y_true="y", y_pred="prediction", y_pred_proba="score",
        problem_type="classification_binary", chunk_size=CHUNK, normalize_confusion_matrix="all",
    )  # fmt: skip
    one.fit(pd.DataFrame(binary()))
    facts["binary"] = records(one.estimate(pd.DataFrame(binary(1500, 0.8, 32))), [*BINARY, *kinds])
    facts["binary needs calibration"] = bool(one.needs_calibration)
    two = CBPE(
        metrics=list(MULTICLASS), y_true="y", y_pred="prediction", y_pred_proba={k: k for k in "abc"},
        problem_type="classification_multiclass", chunk_size=CHUNK,
    )  # fmt: skip
    two.fit(pd.DataFrame(multiclass()))
    facts["multiclass"] = records(two.estimate(pd.DataFrame(multiclass(1000, 1.0, 42))), MULTICLASS)
    three = DLE(
        feature_column_names=["x", "noise"], y_true="y", y_pred="prediction", metrics=list(REGRESSION),
        chunk_size=CHUNK, hyperparameters=LIGHTGBM,
    )  # fmt: skip
    three.fit(pd.DataFrame(regression()))
    facts["regression"] = records(three.estimate(pd.DataFrame(regression(1000, 1.8, 52))), REGRESSION)
    json.dump(facts, sys.stdout, indent=1)
    sys.stdout.write("\n")


if __name__ == "__main__":
    main()
