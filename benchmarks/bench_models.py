"""Compiled models beside the libraries that trained them: one row, and many; and what a child process costs."""

from __future__ import annotations

import tempfile
import warnings
from collections.abc import Callable, Iterator
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
from row import Row, median_seconds

from mainspring.engines.models_onnx import OnnxPredictor
from mainspring.engines.signature import Field, Signature
from mainspring.models.compile import compile_model
from mainspring.models.native import native_predictor
from mainspring.models.package import open_package, write_package
from mainspring.models.policy import LoadPolicy

COLUMNS = 20
TRAINED = 5_000
MANY = 10_000
SIGNATURE = Signature(inputs=tuple(Field(f"x{place}", "FP64") for place in range(COLUMNS)))


def rows() -> Iterator[Row]:
    """Each model: a single row, where a request waits, and ten thousand rows, where a batch job does."""
    random = np.random.default_rng(0)
    matrix = random.normal(size=(TRAINED, COLUMNS))
    target = (matrix[:, 0] + matrix[:, 1] * matrix[:, 2] + random.normal(size=TRAINED) * 0.3 > 0).astype(int)
    one, many = _columns(random.normal(size=(1, COLUMNS))), _columns(random.normal(size=(MANY, COLUMNS)))
    warnings.simplefilter("ignore")
    for name, distribution, limit, make in _models():
        model = make().fit(matrix, target)
        graph, report = compile_model(model, SIGNATURE, _columns(matrix[:1000]))
        if not report.exact:
            yield Row(f"{name}: compiled", None, limit="ratio >= 1", note=report.reason)
            continue
        compiled, native = OnnxPredictor(graph, SIGNATURE), native_predictor(model, SIGNATURE)
        peer = f"{distribution} {version(distribution)}"
        alone = _each(lambda compiled=compiled: compiled.predict(one), 200)
        theirs = _each(lambda native=native: native.predict(one), 30)
        yield Row(f"{name}, one row", alone * 1e6, theirs * 1e6, peer, theirs / alone, limit, "us")
        batch = median_seconds(lambda compiled=compiled: compiled.predict(many))
        theirs = median_seconds(lambda native=native: native.predict(many))
        note = "one thread each" if distribution != "scikit-learn" else "ours on one thread"
        yield Row(f"{name}, {MANY:,} rows", batch * 1e3, theirs * 1e3, peer, theirs / batch, unit="ms", note=note)
    yield _in_a_child(matrix, target, one)


def _models() -> Iterator[tuple[str, str, str, Callable[[], Any]]]:
    from sklearn.ensemble import HistGradientBoostingClassifier, RandomForestClassifier
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    learn = "scikit-learn"
    yield "logistic regression", learn, "ratio >= 3", lambda: make_pipeline(StandardScaler(), LogisticRegression())
    yield "forest of 100", learn, "ratio >= 20", lambda: RandomForestClassifier(100, max_depth=10, random_state=0)
    yield "HistGradientBoosting of 100", learn, "ratio >= 5", lambda: HistGradientBoostingClassifier(max_iter=100)
    try:
        from lightgbm import LGBMClassifier

        yield (
            "LightGBM of 100",
            "lightgbm",
            "ratio >= 2",
            lambda: LGBMClassifier(verbose=-1, n_jobs=1),
        )
    except ImportError:
        pass
    for distribution in ("xgboost", "xgboost-cpu"):
        try:
            version(distribution)
            from xgboost import XGBClassifier
        except ImportError:
            continue
        yield "XGBoost of 100", distribution, "ratio >= 2", lambda: XGBClassifier(n_estimators=100, n_jobs=1)


def _in_a_child(matrix: Any, target: Any, one: dict[str, Any]) -> Row:
    from sklearn.linear_model import LogisticRegression

    model, allowed = LogisticRegression().fit(matrix, target), LoadPolicy(pickle=True)
    native = native_predictor(model, SIGNATURE)
    with tempfile.TemporaryDirectory(prefix="mainspring-bench-") as folder:
        where = Path(folder) / "model"
        write_package(
            model,
            where,
            signature=SIGNATURE,
            example=_columns(matrix[:100]),
            format="pickle",
            policy=allowed,
            compiled=False,
        )
        inside = open_package(where, policy=allowed)
        try:
            apart = _each(lambda: inside.predict(one), 100)
        finally:
            inside.close()
    here = _each(lambda: native.predict(one), 100)
    return Row(
        "a pickle in its child process, one row",
        apart * 1e6,
        here * 1e6,
        "the same in this process",
        here / apart,
        "ratio >= 0.05",
        "us",
        "what the wall costs",
    )


def _columns(matrix: Any) -> dict[str, Any]:
    return {f"x{place}": np.ascontiguousarray(matrix[:, place]) for place in range(COLUMNS)}


def _each(work: Callable[[], object], times: int) -> float:
    """Seconds a call, the median of five rounds."""

    def round_of_calls() -> None:
        for _ in range(times):
            work()

    return median_seconds(round_of_calls) / times
