"""The samples that Evidently judged for `evidently_facts.json`, in plain Python so that both sides draw the same.

The facts were recorded by running this file in an environment of its own (Evidently 0.7.23, pandas 2):

    python tests/quality/drift/evidently_cases.py > tests/quality/drift/evidently_facts.json
"""

from __future__ import annotations

import json
import random
import sys

NUMERIC = (
    "ks", "mannw", "es", "t_test", "anderson", "cramer_von_mises", "ed", "empirical_mmd", "wasserstein",
    "jensenshannon", "kl_div", "psi", "hellinger",
)  # fmt: skip
CATEGORICAL = ("z", "chisquare", "g_test", "fisher_exact", "jensenshannon", "kl_div", "psi", "hellinger", "TVD")
TEXT = ("perc_text_content_drift", "abs_text_content_drift")
WORDS = [
    "flight", "late", "gate", "storm", "crew", "delay", "cargo", "wing", "radio", "pilot", "tower", "cloud", "runway",
    "fuel", "engine", "seat",
]  # fmt: skip


def numeric():
    """Pairs of samples of numbers by name."""
    draw = random.Random(17)
    normal = [draw.gauss(0, 1) for _ in range(300)]
    return {
        "same": (normal, [draw.gauss(0, 1) for _ in range(250)]),
        "shifted": (normal, [draw.gauss(0.5, 1) for _ in range(300)]),
        "heavy": (
            [draw.lognormvariate(0, 1.5) for _ in range(400)],
            [draw.lognormvariate(0.3, 1.5) for _ in range(200)],
        ),
        "few": ([float(draw.randrange(12)) for _ in range(300)], [float(draw.randrange(11)) for _ in range(300)]),
        "large": ([draw.gauss(5, 2) for _ in range(1500)], [draw.gauss(5.4, 2) for _ in range(900)]),
    }


def categorical():
    """Pairs of samples of categories by name."""
    draw = random.Random(18)
    return {
        "pair": (draw.choices("ab", [6, 4], k=300), draw.choices("ab", [5, 5], k=300)),
        "five": (draw.choices("abcde", [5, 4, 3, 2, 1], k=400), draw.choices("abcde", [4, 4, 3, 2, 2], k=400)),
        "new": (draw.choices("abc", k=500), draw.choices("abcd", [9, 9, 9, 1], k=500)),
        "large": (draw.choices("abc", [5, 3, 2], k=2000), draw.choices("abc", [4, 3, 3], k=1000)),
    }


def texts():
    """Pairs of samples of texts by name."""
    draw = random.Random(19)

    def sentences(words, count):
        return [" ".join(draw.choices(words, k=9)) + f" {draw.randrange(50)}" for _ in range(count)]

    return {
        "same": (sentences(WORDS, 300), sentences(WORDS, 300)),
        "other words": (sentences(WORDS[:12], 300), sentences(WORDS[5:], 300)),
    }


def table(size, shift, seed):
    """Columns of a table, as the choice of tests is asked about them."""
    draw = random.Random(seed)
    return {
        "normal": [draw.gauss(shift, 1) for _ in range(size)],
        "price": [draw.lognormvariate(shift / 2, 0.7) for _ in range(size)],
        "stars": [float(draw.choices(range(1, 6), [1, 2, 3, 4, 4 + 9 * shift])[0]) for _ in range(size)],
        "flag": [float(draw.random() < 0.3 + shift / 3) for _ in range(size)],
        "holes": [None if draw.random() < 0.1 else draw.gauss(0, 2 + shift) for _ in range(size)],
        "carrier": [draw.choices("ABCDEFG", [7, 6, 5, 4, 3, 2, 1 + 9 * shift])[0] for _ in range(size)],
        "kind": [draw.choices("xy", [3, 1 + 2 * shift])[0] for _ in range(size)],
    }


TABLES = {
    "small and same": (table(600, 0, 1), table(400, 0, 2)),
    "small and moved": (table(900, 0, 3), table(500, 0.4, 4)),
    "large and same": (table(2500, 0, 5), table(1500, 0, 6)),
    "large and moved": (table(3000, 0, 7), table(1500, 0.5, 8)),
}


def embeddings():
    """Two samples of vectors."""
    draw = random.Random(21)
    one = [[draw.gauss(k % 3, 1) for k in range(8)] for _ in range(240)]
    return one, [[draw.gauss(k % 3 + (0.6 if k < 3 else 0), 1) for k in range(8)] for _ in range(160)]


def main():
    """Ask Evidently, and print what it says."""
    import warnings

    warnings.filterwarnings("ignore")
    import numpy as np
    import pandas as pd
    from evidently import DataDefinition, Dataset, Report
    from evidently.legacy.calculations.stattests.registry import get_registered_stattest
    from evidently.legacy.core import ColumnType
    from evidently.legacy.metrics.data_drift import embedding_drift_methods as emb
    from evidently.presets import DataDriftPreset

    facts = {"tests": [], "tables": {}, "embeddings": {}}
    for kind, names, cases in (
        (ColumnType.Numerical, NUMERIC, numeric()),
        (ColumnType.Categorical, CATEGORICAL, categorical()),
        (ColumnType.Text, TEXT, texts()),
    ):
        for case, (one, two) in cases.items():
            for name in names:
                np.random.seed(0)  # noqa: NPY002 -- the generator that Evidently draws from
                test = get_registered_stattest(name, kind)
                try:
                    found = test(pd.Series(one), pd.Series(two), kind, None)
                    record = {"score": float(found.drift_score), "drifted": bool(found.drifted)}
                except ValueError as error:
                    record = {"error": str(error)}
                facts["tests"].append({"type": kind.value, "case": case, "test": name, **record})
    for case, (one, two) in TABLES.items():
        definition = DataDefinition(
            numerical_columns=["normal", "price", "stars", "flag", "holes"], categorical_columns=["carrier", "kind"]
        )
        frames = [Dataset.from_pandas(pd.DataFrame(each), data_definition=definition) for each in (two, one)]
        found = Report([DataDriftPreset()], include_tests=True).run(*frames).dict()
        share, *metrics = found["metrics"]
        passed = {each["metric_config"]["params"].get("column"): each["status"] for each in found["tests"]}
        facts["tables"][case] = {"share": share["value"], "columns": {}}
        for metric in metrics:
            config = metric["config"]
            facts["tables"][case]["columns"][config["column"]] = {
                "score": float(metric["value"]), "method": config["method"], "threshold": config["threshold"],
                "drifted": passed[config["column"]] == "FAIL",
            }  # fmt: skip
    for name, method in {
        "euclidean": emb.distance("euclidean"), "cosine": emb.distance("cosine"),
        "cityblock": emb.distance("cityblock"), "chebyshev": emb.distance("chebyshev"),
        "model": emb.model(), "ratio": emb.ratio(), "mmd": emb.mmd(),
    }.items():  # fmt: skip
        one, two = embeddings()
        score, drifted, _ = method(pd.DataFrame(two), pd.DataFrame(one))
        facts["embeddings"][name] = {"score": float(score), "drifted": bool(drifted)}
    json.dump(facts, sys.stdout, indent=1)
    sys.stdout.write("\n")


if __name__ == "__main__":
    main()
