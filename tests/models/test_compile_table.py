"""One table: estimators and transformers over data that breaks conversions; every label equal on 20,000 rows."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import catboost
import lightgbm
import numpy as np
import pandas as pd
import polars as pl
import pytest
import xgboost
from sklearn import (
    cluster,
    decomposition,
    discriminant_analysis,
    dummy,
    ensemble,
    feature_selection,
    linear_model,
    naive_bayes,
    neural_network,
    preprocessing,
    svm,
    tree,
)
from sklearn.compose import ColumnTransformer
from sklearn.impute import MissingIndicator, SimpleImputer
from sklearn.pipeline import FeatureUnion, make_pipeline, make_union

from mainspring.engines.models import LABEL, PROBABILITY
from mainspring.engines.models_onnx import OnnxPredictor
from mainspring.engines.signature import Field, Signature
from mainspring.kernel.errors import InvalidInput, UnsupportedFormat
from mainspring.models.compile import compile_model
from mainspring.models.native import native_predictor
from mainspring.models.onnx_features import FEATURES
from mainspring.models.onnx_models import ESTIMATORS
from mainspring.models.onnx_transforms import TRANSFORMERS
from mainspring.models.package import open_package, write_package
from mainspring.models.parity import SINGLE, TOLERANCE

pytestmark = [pytest.mark.filterwarnings("ignore")]  # of libraries, about data that is meant to be odd

ROWS, ASKED = 800, 20_000


def everyday(rows: int, seed: int) -> pl.DataFrame:
    """Numbers, gaps, integers, booleans and texts."""
    random = np.random.default_rng(seed)
    return pl.DataFrame(
        {
            "wind": random.normal(size=rows).round(2),
            "delay": np.where(random.random(rows) < 0.1, np.nan, random.normal(size=rows) * 100),
            "hour": random.integers(0, 24, rows),
            "night": random.random(rows) < 0.3,
            "carrier": random.choice(["AA", "DL", "UA", "a b", "ü"], rows),
        }
    )


def extreme(rows: int, seed: int) -> pl.DataFrame:
    """Numbers at which single precision lies: huge, denormal, integers past 2**24, and values half of which tie."""
    random = np.random.default_rng(seed)
    tiny = random.choice([0.0, -0.0, 5e-324, 1e-310, -1e-310, 1e-40, -1e-40, 1e-35, 1e-30], rows)
    return pl.DataFrame(
        {
            "huge": random.normal(size=rows) * 10.0 ** random.integers(0, 30, rows),
            "tiny": tiny,
            "large": random.integers(2**24 - 50, 2**24 + 50, rows),
            "tied": (random.integers(0, 40, rows) / 8).astype(np.float64),
            "close": 1.0 + random.integers(0, 64, rows) * 2.0**-26,
        }
    )


EVERYDAY = Signature(
    inputs=(
        Field("wind", "FP64"),
        Field("delay", "FP64", nullable=True),
        Field("hour", "INT64"),
        Field("night", "BOOL"),
        Field("carrier", "BYTES"),
    )
)
EXTREME = Signature(
    inputs=(
        Field("huge", "FP64"),
        Field("tiny", "FP64"),
        Field("large", "INT64"),
        Field("tied", "FP64"),
        Field("close", "FP64"),
    )
)


def targets(frame: pl.DataFrame, seed: int) -> dict[str, Any]:
    """A binary, a three-class, a numeric and a counted target."""
    random = np.random.default_rng(seed)
    noise = random.normal(size=frame.height)
    if "wind" in frame.columns:
        signal = frame["wind"].to_numpy() + (frame["hour"].to_numpy() % 3) * 0.5 + frame["night"].to_numpy()
        signal += noise * 0.3
    else:
        signal = (
            np.sign(frame["huge"].to_numpy())
            + (frame["tiny"].to_numpy() > 1e-38)
            + (frame["large"].to_numpy() > 2**24)
            + frame["tied"].to_numpy() * 0.3
            + (frame["close"].to_numpy() > 1 + 2.0**-21)
            + noise * 0.2
        )
    edges = np.quantile(signal, [0.4, 0.7])
    return {
        "binary": (signal > edges[0]).astype(int),
        "three": np.array(["early", "late", "on time"])[np.digitize(signal, edges)],
        "number": signal,
        "count": np.floor(np.abs(signal) * 2) + 1,
    }


PLAIN = ["wind", "delay", "hour", "night"]


def filled() -> ColumnTransformer:
    """No gaps, scaled, one column per category."""
    numbers = make_pipeline(SimpleImputer(), preprocessing.StandardScaler())
    return ColumnTransformer(
        [("n", numbers, PLAIN), ("t", preprocessing.OneHotEncoder(handle_unknown="ignore"), ["carrier"])]
    )


def positive() -> ColumnTransformer:
    """Between 0 and 1, for what takes no negative numbers."""
    return ColumnTransformer([("n", make_pipeline(SimpleImputer(), preprocessing.MinMaxScaler(clip=True)), PLAIN)])


def coded() -> ColumnTransformer:
    """Gaps kept, categories as codes."""
    codes = preprocessing.OrdinalEncoder(handle_unknown="use_encoded_value", unknown_value=-1)
    return ColumnTransformer([("n", "passthrough", PLAIN), ("t", codes, ["carrier"])])


def over(prepare: Callable[[], Any], model: Any) -> Callable[[], Any]:
    return lambda: make_pipeline(prepare(), model)


SMALL = {"n_estimators": 15, "max_depth": 5}
CAT = {"iterations": 20, "depth": 4, "verbose": 0, "allow_writing_files": False, "thread_count": 1}
ON_EVERYDAY: dict[str, tuple[str, Callable[[], Any]]] = {
    **{
        f"{type(model).__name__}, {target}": (target, over(filled, model))
        for target in ("binary", "three")
        for model in (
            linear_model.LogisticRegression(max_iter=300),
            linear_model.LogisticRegressionCV(Cs=2, cv=2, max_iter=300),
            linear_model.SGDClassifier(random_state=0),
            linear_model.SGDClassifier(loss="log_loss", random_state=0, penalty="l1"),
            linear_model.SGDClassifier(loss="modified_huber", random_state=0, penalty=None),
            linear_model.Perceptron(random_state=0),
            linear_model.SGDClassifier(penalty=None, learning_rate="pa1", eta0=1.0, random_state=0, alpha=0.1),
            linear_model.RidgeClassifier(),
            linear_model.RidgeClassifierCV(),
            svm.LinearSVC(random_state=0),
            naive_bayes.BernoulliNB(),
            discriminant_analysis.LinearDiscriminantAnalysis(),
            neural_network.MLPClassifier((8,), max_iter=30, random_state=0),
            dummy.DummyClassifier(),
            ensemble.VotingClassifier(
                [("a", linear_model.LogisticRegression(max_iter=300)), ("b", tree.DecisionTreeClassifier(max_depth=4))],
                voting="soft",
                weights=[1, 2],
            ),
        )
    },
    "log_loss, three": ("three", over(filled, linear_model.SGDClassifier(loss="log_loss", random_state=0))),
    "modified_huber, three": ("three", over(filled, linear_model.SGDClassifier(loss="modified_huber", random_state=0))),
    "log_loss": ("binary", over(filled, linear_model.SGDClassifier(loss="log_loss", random_state=0))),
    "modified_huber": ("binary", over(filled, linear_model.SGDClassifier(loss="modified_huber", random_state=0))),
    **{
        f"MLP, {kind}": ("binary", over(filled, neural_network.MLPClassifier((6,), activation=kind, max_iter=20)))
        for kind in ("identity", "logistic", "tanh")
    },
    "GaussianNB": ("three", over(positive, naive_bayes.GaussianNB())),
    "MultinomialNB": ("three", over(positive, naive_bayes.MultinomialNB())),
    "DummyRegressor": ("number", over(filled, dummy.DummyRegressor())),
    **{
        type(model).__name__: ("number", over(filled, model))
        for model in (
            linear_model.LinearRegression(),
            linear_model.Ridge(),
            linear_model.RidgeCV(),
            linear_model.Lasso(0.01),
            linear_model.LassoCV(cv=2),
            linear_model.ElasticNet(0.01),
            linear_model.ElasticNetCV(cv=2),
            linear_model.Lars(),
            linear_model.LassoLars(0.01),
            linear_model.LassoLarsIC(),
            linear_model.BayesianRidge(),
            linear_model.ARDRegression(),
            linear_model.HuberRegressor(),
            linear_model.SGDRegressor(random_state=0),
            linear_model.QuantileRegressor(alpha=0.01),
            linear_model.OrthogonalMatchingPursuit(),
            linear_model.TheilSenRegressor(random_state=0, max_subpopulation=50),
            linear_model.RANSACRegressor(random_state=0),
            svm.LinearSVR(random_state=0),
            neural_network.MLPRegressor(hidden_layer_sizes=(8,), max_iter=30, random_state=0),
            ensemble.VotingRegressor([("a", linear_model.Ridge()), ("b", tree.DecisionTreeRegressor(max_depth=4))]),
        )
    },
    **{
        type(model).__name__: ("count", over(filled, model))
        for model in (
            linear_model.PoissonRegressor(),
            linear_model.GammaRegressor(),
            linear_model.TweedieRegressor(power=1.5),
        )
    },
    "TweedieRegressor, normal": ("number", over(filled, linear_model.TweedieRegressor(power=0))),
    "KMeans": ("number", over(filled, cluster.KMeans(5, n_init=1, random_state=0))),
    "MiniBatchKMeans": ("number", over(filled, cluster.MiniBatchKMeans(5, n_init=1, random_state=0))),
    "XGBClassifier": ("binary", over(coded, xgboost.XGBClassifier(n_jobs=1, **SMALL))),
    "XGBClassifier, dart": (
        "binary",
        over(coded, xgboost.XGBClassifier(booster="dart", rate_drop=0.2, n_jobs=1, **SMALL)),
    ),
    "XGBRegressor, poisson": ("count", over(coded, xgboost.XGBRegressor(objective="count:poisson", n_jobs=1, **SMALL))),
    "CatBoostClassifier": ("binary", over(coded, catboost.CatBoostClassifier(**CAT))),
    "CatBoostClassifier, three": ("three", over(coded, catboost.CatBoostClassifier(**CAT))),
    "CatBoostRegressor": ("number", over(coded, catboost.CatBoostRegressor(grow_policy="Lossguide", **CAT))),
}

NUMBERS = make_pipeline  # readable below
LOGISTIC = linear_model.LogisticRegression(max_iter=500)
TRANSFORMERS_ASKED: dict[str, Callable[[], Any]] = {
    "polynomial": lambda: make_pipeline(filled(), preprocessing.PolynomialFeatures(2)),
    "polynomial, 3, interactions": lambda: make_pipeline(
        filled(), preprocessing.PolynomialFeatures(3, interaction_only=True, include_bias=False)
    ),
    "binarizer": lambda: make_pipeline(filled(), preprocessing.Binarizer(threshold=0.25)),
    **{
        f"normalizer {norm}": (lambda norm=norm: make_pipeline(filled(), preprocessing.Normalizer(norm)))
        for norm in ("l1", "l2", "max")
    },
    **{
        f"bins {encode}": (
            lambda encode=encode: make_pipeline(filled(), preprocessing.KBinsDiscretizer(4, encode=encode))
        )
        for encode in ("ordinal", "onehot", "onehot-dense")
    },
    "power": lambda: make_pipeline(filled(), preprocessing.PowerTransformer()),
    "pca": lambda: make_pipeline(filled(), decomposition.PCA(4)),
    "svd": lambda: make_pipeline(filled(), decomposition.TruncatedSVD(4)),
    "best": lambda: make_pipeline(filled(), feature_selection.SelectKBest(k=5)),
    "percentile": lambda: make_pipeline(filled(), feature_selection.SelectPercentile(percentile=60)),
    "variance": lambda: make_pipeline(filled(), feature_selection.VarianceThreshold(0.05)),
    "from model": lambda: make_pipeline(filled(), feature_selection.SelectFromModel(linear_model.Lasso(0.05))),
    "rfe": lambda: make_pipeline(filled(), feature_selection.RFE(linear_model.Ridge(), n_features_to_select=4)),
    "clipped": positive,
    "indicator": lambda: ColumnTransformer(
        [("m", MissingIndicator(), ["wind", "delay"]), ("n", SimpleImputer(), ["wind", "delay"])]
    ),
    "function": lambda: make_pipeline(positive(), preprocessing.FunctionTransformer(np.log1p)),
    "target": lambda: ColumnTransformer(
        [("t", preprocessing.TargetEncoder(random_state=0, cv=2), ["carrier", "hour"])]
    ),
    "union, weighted": lambda: make_pipeline(
        filled(),
        FeatureUnion(
            [("a", preprocessing.MaxAbsScaler()), ("b", preprocessing.RobustScaler())], transformer_weights={"b": 0.5}
        ),
    ),
    "union": lambda: make_pipeline(filled(), make_union(preprocessing.MinMaxScaler(), "passthrough")),
}

LGB = {"n_estimators": 20, "num_leaves": 31, "verbose": -1, "n_jobs": 1, "min_child_samples": 3}
ON_EXTREME: dict[str, tuple[str, Callable[[], Any]]] = {
    "tree": ("three", lambda: tree.DecisionTreeClassifier(random_state=0)),
    "extra tree": ("binary", lambda: tree.ExtraTreeClassifier(random_state=0)),
    "forest": ("binary", lambda: ensemble.RandomForestClassifier(25, random_state=0)),
    "forest, three": ("three", lambda: ensemble.RandomForestClassifier(10, random_state=0)),
    "forest regressor": ("number", lambda: ensemble.RandomForestRegressor(10, random_state=0)),
    "extra trees": ("binary", lambda: ensemble.ExtraTreesClassifier(15, random_state=0)),
    "gradient boosting": ("three", lambda: ensemble.GradientBoostingClassifier(n_estimators=10)),
    "histogram": ("binary", lambda: ensemble.HistGradientBoostingClassifier(max_iter=20, min_samples_leaf=3)),
    "histogram, three": ("three", lambda: ensemble.HistGradientBoostingClassifier(max_iter=8, min_samples_leaf=3)),
    "lightgbm": ("binary", lambda: lightgbm.LGBMClassifier(**LGB)),
    "lightgbm, three": ("three", lambda: lightgbm.LGBMClassifier(**LGB)),
    "xgboost": ("binary", lambda: xgboost.XGBClassifier(n_estimators=40, max_depth=6, n_jobs=1)),
    "xgboost, exact": ("binary", lambda: xgboost.XGBClassifier(n_estimators=20, tree_method="exact", n_jobs=1)),
    "xgboost, three": ("three number", lambda: xgboost.XGBClassifier(n_estimators=15, max_depth=6, n_jobs=1)),
    "xgboost forest": ("binary", lambda: xgboost.XGBRFClassifier(n_estimators=15, n_jobs=1)),
    "xgboost regressor": ("number", lambda: xgboost.XGBRegressor(n_estimators=30, n_jobs=1)),
    "xgboost gamma": ("count", lambda: xgboost.XGBRegressor(n_estimators=15, objective="reg:gamma", n_jobs=1)),
    "xgboost hinge": ("binary", lambda: xgboost.XGBClassifier(n_estimators=15, objective="binary:hinge", n_jobs=1)),
    "catboost": ("binary", lambda: catboost.CatBoostClassifier(**CAT)),
    "catboost, three": ("three", lambda: catboost.CatBoostClassifier(**CAT)),
    "catboost, deep": ("number", lambda: catboost.CatBoostRegressor(grow_policy="Depthwise", **CAT)),
}


def check(model: Any, signature: Signature, frame: pl.DataFrame, asked: pl.DataFrame) -> None:
    example = signature.convert(frame)
    graph, report = compile_model(model, signature, example)
    assert report.exact, report.reason
    assert report.label_mismatches == 0
    rows = signature.convert(asked)
    expected = native_predictor(model, signature).predict(rows)
    found = OnnxPredictor(graph, signature).predict(rows)
    assert list(found) == list(expected)
    compiled = OnnxPredictor(graph, signature)
    for at in range(25):  # a row alone is answered as among many
        alone = compiled.predict({key: column[at : at + 1] for key, column in rows.items()})
        for name, values in alone.items():
            if name == LABEL:
                assert values[0] == found[name][at]
            else:
                np.testing.assert_allclose(values[0], found[name][at], rtol=1e-12, atol=1e-12)
    for name, answer in expected.items():
        if name == LABEL or answer.dtype.kind in "iu":
            assert found[name].tolist() == answer.tolist()
            continue
        assert found[name].dtype == answer.dtype
        tolerance = SINGLE if answer.dtype == np.float32 else TOLERANCE
        scale = max(1.0, float(np.abs(answer).max()))
        np.testing.assert_allclose(found[name], answer, rtol=0, atol=tolerance * scale)


@pytest.mark.parametrize("name", ON_EVERYDAY)
def test_estimators_on_everyday_data(name: str) -> None:
    target, make = ON_EVERYDAY[name]
    frame = everyday(ROWS, 1)
    check(make().fit(frame, targets(frame, 2)[target]), EVERYDAY, frame, everyday(ASKED, 3))


@pytest.mark.parametrize("name", TRANSFORMERS_ASKED)
@pytest.mark.parametrize("final", [LOGISTIC, tree.DecisionTreeClassifier(max_depth=6)], ids=["linear", "tree"])
def test_transformers_before_a_linear_model_and_before_a_tree(name: str, final: Any) -> None:
    frame = everyday(ROWS, 4)
    model = make_pipeline(TRANSFORMERS_ASKED[name](), final).fit(frame, targets(frame, 5)["binary"])
    example = EVERYDAY.convert(frame)
    graph, report = compile_model(model, EVERYDAY, example)
    assert graph, report.reason
    if name in INEXACT and not report.exact:
        # a product of matrices is rounded otherwise, and a row may fall to a threshold's other side: then it is said
        assert report.label_mismatches
        return
    check(model, EVERYDAY, frame, everyday(ASKED, 6))


INEXACT = {"pca", "svd", "power", "normalizer l2"}


@pytest.mark.parametrize("name", ON_EXTREME)
def test_trees_on_data_at_which_single_precision_lies(name: str) -> None:
    target, make = ON_EXTREME[name]
    frame = extreme(ROWS, 7)
    wanted = targets(frame, 8)
    wanted["three number"] = np.unique(wanted["three"], return_inverse=True)[1]
    check(make().fit(frame.to_numpy(), wanted[target]), EXTREME, frame, extreme(ASKED, 9))


@pytest.mark.parametrize("onehot", [1, 99], ids=["sets", "one against the rest"])
def test_xgboost_with_categories(onehot: int) -> None:
    frame = everyday(ROWS, 10).select("wind", "delay", "hour")
    data = xgboost.DMatrix(
        frame.to_numpy(),
        targets(everyday(ROWS, 10), 11)["binary"],
        feature_types=["q", "q", "c"],
        enable_categorical=True,
    )
    booster = xgboost.train(
        {"objective": "binary:logistic", "nthread": 1, "max_cat_to_onehot": onehot, "max_depth": 6}, data, 20
    )
    signature = Signature(
        inputs=(Field("wind", "FP64"), Field("delay", "FP64", nullable=True), Field("hour", "FP64", nullable=True))
    )
    columns = signature.convert(frame)
    graph, report = compile_model(booster, signature, columns, classes=["on time", "late"])
    assert report.exact, report.reason
    asked = signature.convert(everyday(ASKED, 12).select("wind", "delay", pl.col("hour").cast(pl.Float64)))
    asked["hour"] = asked["hour"].copy()
    asked["hour"][::7] = np.nan
    asked["hour"][1::7] = 99.0  # never seen
    native = native_predictor(booster, signature, classes=["on time", "late"]).predict(asked)
    found = OnnxPredictor(graph, signature).predict(asked)
    assert found[LABEL].tolist() == native[LABEL].tolist()
    np.testing.assert_allclose(found[PROBABILITY], native[PROBABILITY], rtol=0, atol=SINGLE)


LETTERS = ["x", "y", "zz", "a b"]


def test_categories_that_xgboost_keeps_in_part_are_refused() -> None:
    frame = pd.DataFrame({"letter": pd.Categorical(["ä", "ö", "ä", "ö"] * 20)})
    model = xgboost.XGBClassifier(n_estimators=2, enable_categorical=True, n_jobs=1).fit(frame, [0, 1, 0, 1] * 20)
    with pytest.raises(UnsupportedFormat, match="outside of ASCII"):
        native_predictor(model, Signature(inputs=(Field("letter", "BYTES"),)))


@pytest.mark.parametrize("kind", ["lightgbm", "xgboost"])
def test_categories_of_a_frame_are_numbered_as_the_library_numbers_them(kind: str, tmp_path: Path) -> None:
    def frame(rows: int, seed: int, *, known: bool) -> Any:
        random = np.random.default_rng(seed)
        letters = random.choice([*LETTERS] if known else [*LETTERS, "new"], rows).astype(object)
        letters[random.random(rows) < 0.05] = None
        return pd.DataFrame(
            {
                "size": random.normal(size=rows),
                "letter": letters,
                "floor": random.choice([3, 5, 9, 40] if known else [3, 4, 5, 9, 40], rows),
            }
        )

    def typed(rows: Any) -> Any:
        return rows.astype({"letter": pd.CategoricalDtype(LETTERS), "floor": pd.CategoricalDtype([3, 5, 9, 40])})

    train = frame(1500, 1, known=True)
    target = ((train["size"] > 0) ^ (train["letter"] == "x") ^ (train["floor"] == 9)).astype(int).to_numpy()
    if kind == "lightgbm":
        model = lightgbm.LGBMClassifier(**LGB, min_data_per_group=5, cat_smooth=1).fit(typed(train), target)
    else:
        model = xgboost.XGBClassifier(n_estimators=20, enable_categorical=True, n_jobs=1).fit(typed(train), target)
    signature = Signature(
        inputs=(Field("size", "FP64"), Field("letter", "BYTES", nullable=True), Field("floor", "INT64"))
    )
    columns = signature.convert(train)
    manifest = write_package(model, tmp_path, signature=signature, example=columns)
    assert manifest.format == kind
    assert manifest.parity is not None
    assert manifest.parity.exact, manifest.parity.reason
    asked = frame(ASKED, 2, known=False)
    expected, scores = model.predict(typed(asked)), model.predict_proba(typed(asked))
    for native in (False, True):
        found = open_package(tmp_path, native=native).predict(signature.convert(asked))
        assert found[LABEL].tolist() == expected.tolist()
        np.testing.assert_allclose(found[PROBABILITY], scores, rtol=0, atol=SINGLE)
    number = Signature(inputs=(Field("size", "BYTES"), *signature.inputs[1:]))
    with pytest.raises(InvalidInput, match="'size' is text"):
        native_predictor(model, number)


@pytest.mark.parametrize(
    ("model", "reason"),
    [
        (lambda x, y: xgboost.XGBClassifier(n_estimators=2, booster="gblinear", n_jobs=1).fit(x, y), "gblinear"),
        (lambda x, y: xgboost.XGBClassifier(n_estimators=2, missing=0.0, n_jobs=1).fit(x, y), "missing=0.0"),
        (
            lambda x, y: xgboost.XGBRegressor(n_estimators=2, n_jobs=1).fit(x, np.column_stack([y, y])),
            "more than one output",
        ),
        (
            lambda x, y: catboost.CatBoostClassifier(cat_features=[2], **CAT).fit(x.astype(int).astype(object), y),
            "features that are not numbers",
        ),
    ],
    ids=["linear booster", "missing", "outputs", "categories"],
)
def test_what_is_not_compiled_says_why_and_answers_natively(model: Any, reason: str) -> None:
    frame = extreme(ROWS, 13).select(pl.col("huge").clip(-9, 9), "tied", "close")
    fitted = model(frame.to_numpy(), targets(extreme(ROWS, 13), 14)["binary"])
    signature = Signature(inputs=(Field("huge", "FP64"), Field("tied", "FP64"), Field("close", "FP64")))
    graph, report = compile_model(fitted, signature, signature.convert(frame))
    assert graph == b""
    assert reason in report.reason


def test_the_table_asks_every_estimator_and_transformer_that_is_compiled() -> None:
    with warnings.catch_warnings(action="ignore"):
        made = [make() for _, make in (*ON_EVERYDAY.values(), *ON_EXTREME.values())]
        parts = [make() for make in TRANSFORMERS_ASKED.values()]
    asked = {type(each[-1] if hasattr(each, "steps") else each).__name__ for each in made}
    elsewhere = {  # in test_compile.py, or another name for the same rule
        "DecisionTreeRegressor", "ExtraTreeRegressor", "ExtraTreesRegressor", "GradientBoostingRegressor",
        "HistGradientBoostingRegressor", "LGBMRanker", "LGBMRegressor", "LarsCV", "LassoLarsCV",
        "OrthogonalMatchingPursuitCV", "PassiveAggressiveClassifier", "PassiveAggressiveRegressor",
    }  # fmt: skip
    assert set(ESTIMATORS) - asked == elsewhere
    text = " ".join(map(repr, parts)) + "SimpleImputer"
    others = {"GenericUnivariateSelect", "RFECV", "SelectFdr", "SelectFpr", "SelectFwe", "SequentialFeatureSelector"}
    assert {name for name in {*FEATURES, *TRANSFORMERS} if name not in text} <= others | {"OrdinalEncoder", "Pipeline"}
