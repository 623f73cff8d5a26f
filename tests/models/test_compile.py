"""Compiled models answer as their originals do: on random rows, at thresholds, with gaps and unknown categories."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import lightgbm
import numpy as np
import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sklearn import ensemble, linear_model, tree
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.compose import ColumnTransformer
from sklearn.impute import SimpleImputer
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import (
    FunctionTransformer,
    MaxAbsScaler,
    MinMaxScaler,
    OneHotEncoder,
    OrdinalEncoder,
    RobustScaler,
    StandardScaler,
)

from mainspring.engines.models import LABEL
from mainspring.engines.models_onnx import OnnxPredictor
from mainspring.engines.signature import Field, Signature
from mainspring.kernel.errors import InvalidInput
from mainspring.models.compile import compile_model
from mainspring.models.native import native_predictor
from mainspring.models.onnx_graph import Graph
from mainspring.models.onnx_models import emit_model
from mainspring.models.parity import measure, probe_rows

NUMBERS, TEXTS = ["wind", "delay", "hour"], ["carrier", "origin"]


def scaled() -> ColumnTransformer:
    """Numbers imputed and scaled, texts one column per category."""
    numbers = make_pipeline(SimpleImputer(), StandardScaler())
    return ColumnTransformer([("n", numbers, NUMBERS), ("t", OneHotEncoder(handle_unknown="ignore"), TEXTS)])


def coded() -> ColumnTransformer:
    """Numbers as they are, gaps included; texts as codes, unknown and missing ones -1."""
    codes = OrdinalEncoder(handle_unknown="use_encoded_value", unknown_value=-1, encoded_missing_value=-1)
    return ColumnTransformer([("n", "passthrough", NUMBERS), ("t", codes, TEXTS)])


def lgbm(kind: Any, **options: Any) -> Any:
    return kind(n_estimators=12, num_leaves=15, verbose=-1, n_jobs=1, min_child_samples=5, **options)


MODELS: dict[str, tuple[str, Callable[[], Any]]] = {
    "logistic": ("binary", lambda: make_pipeline(scaled(), linear_model.LogisticRegression())),
    "logistic, three": ("three", lambda: make_pipeline(scaled(), linear_model.LogisticRegression(max_iter=300))),
    "linear": ("number", lambda: make_pipeline(scaled(), linear_model.LinearRegression())),
    "ridge": ("number", lambda: make_pipeline(scaled(), linear_model.Ridge())),
    "lasso": ("number", lambda: make_pipeline(scaled(), linear_model.Lasso(0.01))),
    "tree": ("three", lambda: make_pipeline(scaled(), tree.DecisionTreeClassifier(max_depth=7))),
    "tree regressor": ("number", lambda: make_pipeline(coded(), tree.DecisionTreeRegressor())),
    "forest": ("binary", lambda: make_pipeline(coded(), ensemble.RandomForestClassifier(12, max_depth=6))),
    "forest, full depth": ("three", lambda: make_pipeline(scaled(), ensemble.RandomForestClassifier(8))),
    "forest regressor": ("number", lambda: make_pipeline(coded(), ensemble.RandomForestRegressor(8))),
    "extra trees": ("binary", lambda: make_pipeline(coded(), ensemble.ExtraTreesClassifier(12, max_depth=6))),
    "extra trees regressor": ("number", lambda: make_pipeline(scaled(), ensemble.ExtraTreesRegressor(8))),
    "boosting": ("binary", lambda: make_pipeline(scaled(), ensemble.GradientBoostingClassifier(n_estimators=12))),
    "boosting, exponential": (
        "binary",
        lambda: make_pipeline(scaled(), ensemble.GradientBoostingClassifier(loss="exponential", n_estimators=12)),
    ),
    "boosting, three": ("three", lambda: make_pipeline(scaled(), ensemble.GradientBoostingClassifier(n_estimators=5))),
    "boosting regressor": (
        "number",
        lambda: make_pipeline(scaled(), ensemble.GradientBoostingRegressor(n_estimators=12)),
    ),
    "histogram": ("binary", lambda: make_pipeline(coded(), ensemble.HistGradientBoostingClassifier(max_iter=12))),
    "histogram, categories": (
        "three",
        lambda: make_pipeline(
            coded(),
            ensemble.HistGradientBoostingClassifier(max_iter=6, categorical_features=[2, 3, 4], min_samples_leaf=5),
        ),
    ),
    "histogram, no pipeline": (
        "binary",
        lambda: ensemble.HistGradientBoostingClassifier(
            max_iter=12, categorical_features=["hour", "carrier", "origin"]
        ),
    ),
    "histogram regressor": (
        "number",
        lambda: make_pipeline(coded(), ensemble.HistGradientBoostingRegressor(max_iter=12, categorical_features=[3])),
    ),
    "histogram, poisson": (
        "count",
        lambda: make_pipeline(coded(), ensemble.HistGradientBoostingRegressor(max_iter=12, loss="poisson")),
    ),
    "lightgbm": ("binary", lambda: make_pipeline(coded(), lgbm(lightgbm.LGBMClassifier))),
    "lightgbm, three": ("three", lambda: make_pipeline(coded(), lgbm(lightgbm.LGBMClassifier))),
    "lightgbm, zero is missing": (
        "binary",
        lambda: make_pipeline(coded(), lgbm(lightgbm.LGBMClassifier, zero_as_missing=True)),
    ),
    "lightgbm, NaN is zero": (
        "binary",
        lambda: make_pipeline(coded(), lgbm(lightgbm.LGBMClassifier, use_missing=False)),
    ),
    "lightgbm, forest": (
        "binary",
        lambda: make_pipeline(
            coded(), lgbm(lightgbm.LGBMClassifier, boosting_type="rf", subsample=0.7, subsample_freq=1)
        ),
    ),
    "lightgbm, categories": (
        "binary",
        lambda: make_pipeline(coded(), lgbm(lightgbm.LGBMClassifier, min_data_per_group=3, cat_smooth=1)),
    ),
    "lightgbm regressor": ("number", lambda: make_pipeline(coded(), lgbm(lightgbm.LGBMRegressor))),
    "lightgbm, poisson": ("count", lambda: make_pipeline(coded(), lgbm(lightgbm.LGBMRegressor, objective="poisson"))),
}
LIGHTGBM_NAMES = "ignore:X does not have valid feature names"


def thresholds_of(model: Any, data: Any) -> dict[str, set[float]]:
    graph = Graph(data.SIGNATURE)
    emit_model(graph, model, graph.table)
    return graph.thresholds


def agree(native: Any, compiled: Any, rows: dict[str, Any]) -> None:
    expected, found = native.predict(rows), compiled.predict(rows)
    assert list(found) == list(expected)
    for name, answer in expected.items():
        if name == LABEL:
            assert found[name].tolist() == answer.tolist()
        else:
            np.testing.assert_allclose(found[name], answer, rtol=1e-12, atol=1e-12)


@pytest.mark.filterwarnings(LIGHTGBM_NAMES)
@pytest.mark.parametrize("name", MODELS)
@settings(max_examples=2, deadline=None, database=None, suppress_health_check=list(HealthCheck))
@given(seed=st.integers(0, 2**20))
def test_every_supported_model_agrees_everywhere(name: str, seed: int, data: Any) -> None:
    target, make = MODELS[name]
    frame = data.make_frame(600, seed)
    options = {"lgbmclassifier__categorical_feature": [2, 3]} if name == "lightgbm, categories" else {}
    model = make().fit(frame, data.targets(frame, seed)[target], **options)
    example = data.SIGNATURE.convert(frame)
    graph, report = compile_model(model, data.SIGNATURE, example)
    assert report.exact, report.reason
    assert report.rows > 2500
    assert report.label_mismatches == 0

    native, compiled = native_predictor(model, data.SIGNATURE), OnnxPredictor(graph, data.SIGNATURE)
    agree(native, compiled, data.SIGNATURE.convert(data.make_frame(20_000, seed + 1, unseen=True)))
    for rows in probe_rows(data.SIGNATURE, example, thresholds_of(model, data)):
        agree(native, compiled, rows)
    agree(native, compiled, {key: column[:1] for key, column in example.items()})


def test_thresholds_are_asked_at_their_very_values(flights: pl.DataFrame, data: Any) -> None:
    model = make_pipeline(coded(), tree.DecisionTreeClassifier(max_depth=4)).fit(
        flights, data.targets(flights, 1)["binary"]
    )
    thresholds = thresholds_of(model, data)
    wind = model[-1].tree_.threshold[model[-1].tree_.feature == 0]
    assert set(wind.tolist()) == thresholds["wind"]
    asked = np.concatenate(
        [rows["wind"] for rows in probe_rows(data.SIGNATURE, data.SIGNATURE.convert(flights), thresholds)]
    )
    for value in wind:
        assert {value, np.nextafter(value, np.inf), np.nextafter(value, -np.inf)} <= set(asked.tolist())


def test_other_transformers(flights: pl.DataFrame, data: Any) -> None:
    prepare = ColumnTransformer(
        [
            ("minmax", MinMaxScaler(), ["wind"]),
            ("robust", make_pipeline(SimpleImputer(strategy="median", add_indicator=True), RobustScaler()), ["delay"]),
            ("maxabs", MaxAbsScaler(), ["hour"]),
            (
                "rare",
                OneHotEncoder(handle_unknown="infrequent_if_exist", min_frequency=250, drop="first"),
                ["carrier", "hour"],
            ),
            (
                "filled",
                make_pipeline(
                    SimpleImputer(missing_values=None, strategy="most_frequent"), OneHotEncoder(handle_unknown="ignore")
                ),
                ["carrier"],
            ),
        ],
        remainder="drop",
    )
    model = make_pipeline(prepare, FunctionTransformer(), linear_model.LogisticRegression(max_iter=500))
    with warnings.catch_warnings(action="ignore"):  # of unknown categories, which are the point
        model.fit(flights, data.targets(flights, 2)["binary"])
        graph, report = compile_model(model, data.SIGNATURE, data.SIGNATURE.convert(flights))
        assert report.exact, report.reason
        rows = data.SIGNATURE.convert(data.make_frame(2000, 5, unseen=True))
        agree(native_predictor(model, data.SIGNATURE), OnnxPredictor(graph, data.SIGNATURE), rows)


def test_an_unknown_category_is_refused_where_the_encoder_refuses_it(flights: pl.DataFrame, data: Any) -> None:
    strict = ColumnTransformer([("t", OneHotEncoder(handle_unknown="error"), ["origin"])])
    model = make_pipeline(strict, linear_model.LogisticRegression()).fit(flights, data.targets(flights, 1)["binary"])
    graph, report = compile_model(model, data.SIGNATURE, data.SIGNATURE.convert(flights))
    assert report.exact
    compiled = OnnxPredictor(graph, data.SIGNATURE)
    agree(native_predictor(model, data.SIGNATURE), compiled, data.SIGNATURE.convert(flights))
    with pytest.raises(InvalidInput, match="refuses"):
        compiled.predict(data.SIGNATURE.convert(flights.with_columns(origin=pl.lit("nowhere"))))


def test_a_model_fitted_on_a_matrix(flights: pl.DataFrame, data: Any) -> None:
    signature = Signature(inputs=data.SIGNATURE.inputs[:3])
    matrix = flights.select(NUMBERS).to_numpy()
    model = ensemble.HistGradientBoostingRegressor(max_iter=5).fit(matrix, data.targets(flights, 1)["number"])
    assert compile_model(model, signature, signature.convert(flights)).report.exact


def test_a_booster_with_and_without_classes(flights: pl.DataFrame, data: Any) -> None:
    signature = Signature(inputs=data.SIGNATURE.inputs[:3])
    matrix = flights.select(NUMBERS).to_numpy()
    train = lightgbm.Dataset(matrix, data.targets(flights, 1)["binary"], params={"verbose": -1})
    booster = lightgbm.train({"objective": "binary", "verbose": -1, "num_threads": 1}, train, 10)
    columns = signature.convert(flights)
    graph, report = compile_model(booster, signature, columns, classes=["no", "yes"])
    assert report.exact, report.reason
    compiled = OnnxPredictor(graph, signature).predict(columns)
    assert set(compiled["label"].tolist()) == {"no", "yes"}
    np.testing.assert_allclose(compiled["probability"][:, 1], booster.predict(matrix), rtol=1e-12)


@pytest.mark.parametrize(
    ("model", "reason"),
    [
        (make_pipeline(scaled(), ensemble.AdaBoostClassifier(n_estimators=2)), "AdaBoostClassifier"),
        (
            make_pipeline(scaled(), FunctionTransformer(np.cbrt), linear_model.LogisticRegression()),
            "FunctionTransformer with a function",
        ),
        (make_pipeline(coded(), lgbm(lightgbm.LGBMClassifier, linear_tree=True)), "linear trees"),
    ],
    ids=["estimator", "transformer", "linear trees"],
)
@pytest.mark.filterwarnings("ignore")
def test_what_has_no_exact_graph_says_why(flights: pl.DataFrame, model: Any, reason: str, data: Any) -> None:
    model.fit(flights, data.targets(flights, 1)["binary"])
    graph, report = compile_model(model, data.SIGNATURE, data.SIGNATURE.convert(flights))
    assert graph == b""
    assert not report.exact
    assert reason in report.reason


@pytest.mark.parametrize("kind", [bool, np.int8, np.uint16, np.int64, np.float32, np.float64, str, object])
def test_labels_keep_their_type(flights: pl.DataFrame, data: Any, kind: Any) -> None:
    target = data.targets(flights, 1)["binary"].astype(kind)
    if kind is object:
        target = np.array(["no", "yes"], dtype=object)[target.astype(int)]
    model = make_pipeline(scaled(), linear_model.LogisticRegression()).fit(flights, target)
    columns = data.SIGNATURE.convert(flights)
    graph, report = compile_model(model, data.SIGNATURE, columns)
    assert report.exact, report.reason
    found = OnnxPredictor(graph, data.SIGNATURE).predict(columns)[LABEL]
    expected = native_predictor(model, data.SIGNATURE).predict(columns)[LABEL]
    assert found.dtype == (expected.dtype if expected.dtype.kind != "U" else object)
    assert found.tolist() == expected.tolist()


def test_no_rows_are_no_answers(flights: pl.DataFrame, data: Any, pipeline: Any) -> None:
    columns = data.SIGNATURE.convert(flights)
    graph, _ = compile_model(pipeline, data.SIGNATURE, columns)
    found = OnnxPredictor(graph, data.SIGNATURE).predict({name: column[:0] for name, column in columns.items()})
    assert {name: array.shape for name, array in found.items()} == {"label": (0,), "probability": (0, 2)}


def test_a_model_that_is_not_as_its_library_builds_it_is_not_compiled(flights: pl.DataFrame, data: Any) -> None:
    model = make_pipeline(coded(), tree.DecisionTreeClassifier(max_depth=2)).fit(
        flights, data.targets(flights, 1)["binary"]
    )
    del model[0].transformers_
    report = compile_model(model, data.SIGNATURE, data.SIGNATURE.convert(flights)).report
    assert not report.exact
    assert "not built as expected" in report.reason


class Squared(TransformerMixin, BaseEstimator):
    """A transformer of somebody's own, under a name that scikit-learn uses as well."""

    def fit(self, X, y=None):  # noqa: N803
        return self

    def transform(self, X):  # noqa: N803
        return X**2


Squared.__name__ = "StandardScaler"


def test_somebody_elses_class_is_not_taken_for_ours(flights: pl.DataFrame, data: Any) -> None:
    model = Pipeline([("own", Squared()), ("model", linear_model.LinearRegression())])
    matrix = flights.select("wind", "hour").to_numpy()
    model.fit(matrix, data.targets(flights, 1)["number"])
    signature = Signature(inputs=(Field("wind", "FP64"), Field("hour", "INT64")))
    assert "StandardScaler" in compile_model(model, signature, signature.convert(flights)).report.reason


def test_a_graph_that_disagrees_is_found_out(flights: pl.DataFrame, data: Any) -> None:
    random = data.targets(flights, 1)["binary"]
    one = make_pipeline(coded(), tree.DecisionTreeClassifier(max_depth=3)).fit(flights, random)
    other = make_pipeline(coded(), tree.DecisionTreeClassifier(max_depth=5)).fit(flights, random)
    columns = data.SIGNATURE.convert(flights)
    graph, _ = compile_model(other, data.SIGNATURE, columns)
    report = measure(native_predictor(one, data.SIGNATURE), OnnxPredictor(graph, data.SIGNATURE), columns)
    assert not report.exact
    assert report.label_mismatches > 0
    assert report.max_abs_difference > 0.01
    assert "labels differ" in report.reason


def test_single_precision_columns_are_measured_not_assumed(flights: pl.DataFrame, data: Any) -> None:
    frame = flights.select(pl.col("wind").cast(pl.Float32) * 1e4 + 1e6, pl.col("hour").cast(pl.Float32))
    model = make_pipeline(StandardScaler(), tree.DecisionTreeClassifier(max_depth=8))
    model.fit(frame, data.targets(flights, 1)["binary"])
    signature = Signature(inputs=(Field("wind", "FP32"), Field("hour", "FP32")))
    graph, report = compile_model(model, signature, signature.convert(frame))
    native = native_predictor(model, signature)
    rows = signature.convert(frame)
    found, expected = OnnxPredictor(graph, signature).predict(rows)[LABEL], native.predict(rows)[LABEL]
    assert report.exact == (report.label_mismatches == 0 and report.max_abs_difference <= 1e-9)
    assert not report.exact or found.tolist() == expected.tolist()
