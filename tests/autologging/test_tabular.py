"""The frameworks of tables: each passes the suite, and logs what is its own."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np

import mainspring as ms
from mainspring.client.client import Client
from mainspring.testing.autolog_suite import AutologTrainingSuite

DATA = """
import numpy as np
random = np.random.default_rng(0)
X = random.normal(size=(120, 4))
y = (X[:, 0] + 0.3 * random.normal(size=120) > 0).astype(int)
"""


def rows() -> tuple[Any, Any]:
    random = np.random.default_rng(0)
    inputs = random.normal(size=(120, 4))
    return inputs, (inputs[:, 0] + 0.3 * random.normal(size=120) > 0).astype(int)


class TestSklearn(AutologTrainingSuite):
    framework = "sklearn"
    entry = "sklearn.linear_model:LogisticRegression.fit"
    params: ClassVar = {"C": 0.5, "max_iter": 50}
    metrics = ("training/accuracy", "training/log_loss", "training/roc_auc")
    files = ("model/manifest.json", "model/model", "training/confusion")
    script = f"{DATA}\nfrom sklearn.linear_model import LogisticRegression as Model\nSWITCH\nModel().fit(X, y)\n"

    def train(self) -> Any:
        from sklearn.linear_model import LogisticRegression

        estimator = LogisticRegression(C=0.5, max_iter=50)
        assert estimator.fit(*rows()) is estimator
        return estimator.coef_.tolist()

    def fail(self) -> Any:
        from sklearn.linear_model import LogisticRegression

        LogisticRegression(C=-1).fit(*rows())


class TestXGBoost(AutologTrainingSuite):
    framework = "xgboost"
    entry = "xgboost:train"
    params: ClassVar = {"max_depth": 2, "eta": 0.3, "num_boost_round": 5}
    metrics = ("train/logloss", "boosted_rounds")
    series = "train/logloss"
    files = ("model/", "feature_importance")
    script = (
        f"{DATA}\nimport xgboost\nfrom xgboost import train\nSWITCH\ndata = xgboost.DMatrix(X, label=y)\n"
        "train({'objective': 'binary:logistic'}, data, 3, evals=[(data, 'train')], verbose_eval=False)\n"
    )

    def train(self) -> Any:
        import xgboost

        inputs, target = rows()
        data = xgboost.DMatrix(inputs, label=target)
        params = {"max_depth": 2, "eta": 0.3, "objective": "binary:logistic", "nthread": 1}
        booster = xgboost.train(params, data, num_boost_round=5, evals=[(data, "train")], verbose_eval=False)
        return booster.get_dump()

    def fail(self) -> Any:
        import xgboost

        xgboost.train({"max_depth": 2}, "no matrix")


class TestLightGBM(AutologTrainingSuite):
    framework = "lightgbm"
    entry = "lightgbm:train"
    params: ClassVar = {"num_leaves": 7, "num_boost_round": 5}
    metrics = ("training/binary_logloss", "trees")
    series = "training/binary_logloss"
    files = ("model/", "feature_importance")
    script = (
        f"{DATA}\nimport lightgbm\nfrom lightgbm import train\nSWITCH\ndata = lightgbm.Dataset(X, label=y)\n"
        "train({'objective': 'binary', 'verbose': -1}, data, num_boost_round=3, valid_sets=[data])\n"
    )

    def train(self) -> Any:
        import lightgbm

        inputs, target = rows()
        data = lightgbm.Dataset(inputs, label=target)
        params = {"objective": "binary", "num_leaves": 7, "verbose": -1, "num_threads": 1, "deterministic": True}
        return lightgbm.train(params, data, num_boost_round=5, valid_sets=[data]).model_to_string()

    def fail(self) -> Any:
        import lightgbm

        inputs, target = rows()
        lightgbm.train({"objective": "no-such-thing", "verbose": -1}, lightgbm.Dataset(inputs, label=target))


class TestCatBoost(AutologTrainingSuite):
    framework = "catboost"
    entry = "catboost:CatBoostClassifier.fit"
    params: ClassVar = {"depth": 2, "iterations": 5}
    metrics = ("learn/Logloss", "trees")
    series = "learn/Logloss"
    files = ("model/", "feature_importance")
    script = (
        f"{DATA}\nfrom catboost import CatBoostClassifier\nSWITCH\n"
        "CatBoostClassifier(iterations=3, verbose=False, allow_writing_files=False).fit(X, y)\n"
    )

    def train(self) -> Any:
        from catboost import CatBoostClassifier

        settings = {"verbose": False, "allow_writing_files": False, "thread_count": 1, "random_seed": 0}
        return CatBoostClassifier(iterations=5, depth=2, **settings).fit(*rows()).predict(rows()[0]).tolist()

    def fail(self) -> Any:
        from catboost import CatBoostClassifier

        CatBoostClassifier(iterations=5, depth=100, allow_writing_files=False, verbose=False).fit(*rows())


class TestStatsmodels(AutologTrainingSuite):
    framework = "statsmodels"
    entry = "statsmodels.api:OLS.fit"
    params: ClassVar = {"method": "qr"}
    metrics = ("aic", "rsquared", "nobs")
    files = ("summary.txt", "coefficients")
    script = f"{DATA}\nimport statsmodels.api as sm\nSWITCH\nsm.OLS(y, sm.add_constant(X)).fit()\n"

    def train(self) -> Any:
        import statsmodels.api as sm

        inputs, target = rows()
        return sm.OLS(target, sm.add_constant(inputs)).fit(method="qr").params.tolist()

    def test_a_formula_and_its_names(self, here: Client) -> None:
        import pandas as pd
        import statsmodels.formula.api as smf

        ms.autolog("statsmodels")
        inputs, target = rows()
        smf.logit("y ~ x", pd.DataFrame({"x": inputs[:, 1], "y": target})).fit(disp=0)
        found = self.trained(here)
        assert (found.params["formula"], found.params["disp"], found.title) == ("y ~ x", 0, "Logit")
        table = here.tracking.read_table(found.id, "coefficients")
        assert table["name"].to_list() == ["Intercept", "x"]
        assert table.columns == ["name", "coefficient", "error", "t", "p", "low", "high"]

    def fail(self) -> Any:
        import statsmodels.api as sm

        inputs, target = rows()
        sm.OLS(target, inputs).fit(method="no-such-thing")
