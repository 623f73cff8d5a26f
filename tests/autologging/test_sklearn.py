"""scikit-learn: searches with their candidates, pipelines, cross-validation, and what is not logged."""

from __future__ import annotations

import io
import pickle
import subprocess
import sys
import threading
import types
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

import mainspring as ms
from mainspring.autologging import autolog, last_run
from mainspring.client.client import Client
from mainspring.client.default import default_client
from mainspring.kernel.hooks import AUTOLOGGERS


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Client]:
    """The client of a store of this test, scikit-learn switched on."""
    monkeypatch.setenv("MAINSPRING_STORE", str(tmp_path / "store"))
    monkeypatch.setenv("MAINSPRING_SPOOL", str(tmp_path / "spool"))
    monkeypatch.chdir(tmp_path)
    autolog("sklearn")
    yield default_client()
    autolog(on=False)


def rows() -> tuple[Any, Any]:
    random = np.random.default_rng(0)
    inputs = random.normal(size=(90, 3))
    return inputs, (inputs[:, 0] > 0).astype(int)


def test_a_search_is_a_run_and_its_candidates_are_its_children(here: Client) -> None:
    from sklearn.linear_model import LogisticRegression
    from sklearn.model_selection import GridSearchCV
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    autolog("sklearn", candidates=2)
    pipeline = make_pipeline(StandardScaler(), LogisticRegression())
    GridSearchCV(pipeline, {"logisticregression__C": [0.01, 1, 100]}, cv=3).fit(*rows())
    found = here.tracking.get(last_run())
    assert found.params["cv"] == 3
    assert "best.logisticregression__C" in found.params
    assert found.metrics["best_score"].value > 0.8
    assert "training/accuracy" in found.metrics
    children = [here.tracking.get(run.id) for run in here.lineage.runs(limit=10) if run.parent_id == found.id]
    assert len(children) == 2  # the best, as many as were asked for
    assert {child.status for child in children} == {"finished"}
    assert all(child.metrics["mean_test_score"].value for child in children)
    best = max(children, key=lambda child: child.metrics["mean_test_score"].value)
    assert best.params["logisticregression__C"] == found.params["best.logisticregression__C"]
    assert best.metrics["mean_test_score"].value == found.metrics["best_score"].value
    table = pl.read_parquet(io.BytesIO(b"".join(here.tracking.read_file(found.id, path="candidates.parquet"))))
    assert table.height == 3


def test_the_model_of_a_run_is_registered_without_an_upload(here: Client) -> None:
    import pandas as pd
    from sklearn.ensemble import RandomForestClassifier

    inputs, target = rows()
    frame = pd.DataFrame(inputs, columns=["a", "b", "c"])
    estimator = RandomForestClassifier(n_estimators=3, random_state=0).fit(frame, target)
    run = last_run()
    files = [each.file for each in here.tracking.files(run) if each.path.startswith("model/")]
    named = [ms_file(each) for each in files]
    version = here.models.register("delay", files=named, run_id=run)
    answers = here.models.load(version.ref).predict(pl.DataFrame(inputs, schema=["a", "b", "c"]))
    assert list(np.asarray(answers["label"])) == estimator.predict(frame).tolist()


def ms_file(file: Any) -> Any:
    from mainspring.lineage.types import File

    return File(file.path.removeprefix("model/"), file.size, file.digest)


def test_registered_at_once_when_a_name_is_given(here: Client) -> None:
    from sklearn.linear_model import LogisticRegression

    autolog("sklearn", register="delay")
    LogisticRegression().fit(*rows())
    assert here.models.get("delay@1").run_id == last_run()


def test_transformers_alone_and_what_they_fit_are_not_logged(here: Client) -> None:
    from sklearn.feature_selection import SelectFromModel
    from sklearn.linear_model import LogisticRegression
    from sklearn.preprocessing import StandardScaler

    StandardScaler().fit(rows()[0])
    SelectFromModel(LogisticRegression()).fit(*rows())
    assert here.lineage.runs(limit=10) == []


@pytest.mark.parametrize("backend", ["threading", "sequential"])
def test_what_an_ensemble_fits_inside_belongs_to_it(here: Client, backend: str) -> None:
    import joblib
    from sklearn.ensemble import VotingClassifier
    from sklearn.linear_model import LogisticRegression
    from sklearn.tree import DecisionTreeClassifier

    with joblib.parallel_backend(backend, n_jobs=2 if backend == "threading" else 1):
        VotingClassifier([("a", LogisticRegression()), ("b", DecisionTreeClassifier())]).fit(*rows())
    (run,) = here.lineage.runs(limit=10)
    assert here.tracking.get(run.id).tags["autolog.estimator"] == "VotingClassifier"


def test_two_threads_that_train_have_a_run_each(here: Client) -> None:
    from sklearn.linear_model import LogisticRegression, RidgeClassifier

    together = threading.Barrier(2)

    class Waits(LogisticRegression):
        def fit(self, X: Any, y: Any = None) -> Any:  # noqa: N803 -- scikit-learn's name
            together.wait(timeout=20)
            return super().fit(X, y)

    class WaitsToo(RidgeClassifier):
        def fit(self, X: Any, y: Any = None) -> Any:  # noqa: N803
            together.wait(timeout=20)
            return super().fit(X, y)

    threads = [threading.Thread(target=kind().fit, args=rows()) for kind in (Waits, WaitsToo)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    found = [here.tracking.get(run.id) for run in here.lineage.runs(limit=10)]
    assert {run.title for run in found} == {"Waits", "WaitsToo"}
    assert {run.tags["autolog.estimator"] for run in found} == {"Waits", "WaitsToo"}


def test_a_logger_of_somebody_else(here: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    mine = types.ModuleType("ms_mine")
    exec("def train(params, rows):\n    return {'score': sum(rows)}\n", mine.__dict__)

    class MineLogger:
        modules = ("ms_mine",)

        def install(self, module: Any, patches: Any) -> None:
            patches.function(module, "train", self.train)

        def train(self, session: Any, call: Any) -> Any:
            session.params(call.argument("params"))
            model = yield
            session.log(model)
            session.model(model, native=lambda folder: (folder / "mine.bin").write_bytes(b"mine"))

    monkeypatch.setitem(sys.modules, "ms_mine", mine)
    monkeypatch.setitem(AUTOLOGGERS, "mine", f"{__name__}:MineLogger")
    monkeypatch.setattr("mainspring.autologging.switch.registered", lambda *_: MineLogger)
    autolog("mine")
    assert mine.train({"depth": 3}, rows=[1, 2]) == {"score": 3}
    found = here.tracking.get(last_run())
    assert (found.title, found.params, found.metrics["score"].value) == ("mine.train", {"depth": 3}, 3.0)
    assert [each.path for each in here.tracking.files(found.id)] == ["model/mine.bin"]


def test_cross_validation_has_a_step_for_each_fold(here: Client) -> None:
    from sklearn.linear_model import LogisticRegression
    from sklearn.model_selection import cross_val_score, cross_validate

    scores = cross_val_score(LogisticRegression(), *rows(), cv=3)
    found = here.tracking.get(last_run())
    assert here.tracking.history(found.id, "cv/test_score")["value"].to_list() == scores.tolist()
    assert found.metrics["cv/test_score_mean"].value == pytest.approx(scores.mean())
    result = cross_validate(LogisticRegression(), *rows(), cv=3, return_train_score=True)
    assert "train_score" in result
    assert "cv/train_score_mean" in here.tracking.get(last_run()).metrics


def test_an_estimator_made_later_is_logged_and_pickles(here: Client) -> None:
    from sklearn.base import BaseEstimator, ClassifierMixin

    class Constant(ClassifierMixin, BaseEstimator):
        def fit(self, X: Any, y: Any = None) -> Constant:  # noqa: N803 -- scikit-learn's name
            self.classes_ = np.unique(y)
            return self

        def predict(self, X: Any) -> Any:  # noqa: N803
            return np.full(len(X), self.classes_[0])

    Constant().fit(*rows())
    assert here.tracking.get(last_run()).tags["autolog.estimator"] == "Constant"
    from sklearn.linear_model import LogisticRegression

    again = pickle.loads(pickle.dumps(LogisticRegression().fit(*rows())))
    assert again.predict(rows()[0]).shape == (90,)


def test_clusters_and_regressors(here: Client) -> None:
    from sklearn.cluster import KMeans
    from sklearn.linear_model import Ridge

    inputs, _ = rows()
    KMeans(n_clusters=2, n_init=1, random_state=0).fit_predict(inputs)
    assert here.tracking.get(last_run()).metrics["inertia"].value > 0
    Ridge().fit(inputs, inputs[:, 0] * 2)
    assert here.tracking.get(last_run()).metrics["training/r2"].value > 0.9
    assert len(here.lineage.runs(limit=10)) == 2


def test_boosted_estimators_log_once_under_their_own_logger(here: Client) -> None:
    from lightgbm import LGBMClassifier
    from sklearn.model_selection import RandomizedSearchCV
    from xgboost import XGBClassifier

    autolog()
    inputs, target = rows()
    XGBClassifier(n_estimators=4, max_depth=2).fit(inputs, target, eval_set=[(inputs, target)], verbose=False)
    found = here.tracking.get(last_run())
    assert found.tags["autolog.framework"] == "xgboost"
    assert found.metrics["validation_0/logloss"].count == 4
    LGBMClassifier(n_estimators=4, verbose=-1).fit(inputs, target, eval_set=[(inputs, target)])
    found = here.tracking.get(last_run())
    assert (found.tags["autolog.framework"], found.metrics["training/binary_logloss"].count) == ("lightgbm", 4)
    assert len(here.lineage.runs(limit=10)) == 2
    RandomizedSearchCV(XGBClassifier(max_depth=2), {"n_estimators": [2, 3]}, n_iter=2, cv=2).fit(inputs, target)
    own = [run for run in here.lineage.runs(limit=20) if not run.parent_id]
    assert len(own) == 3


def test_a_switch_that_is_wrong_says_what_there_is(here: Client) -> None:
    from mainspring.kernel.errors import InvalidInput, NotFound

    with pytest.raises(NotFound, match="sklearn"):
        autolog("sklern")
    with pytest.raises(InvalidInput, match="experiment"):
        autolog("sklearn", experimant="x")
    with pytest.raises(InvalidInput, match="candidates"):
        autolog("sklearn", candidates="many")


def test_switching_on_imports_no_framework(tmp_path: Path) -> None:
    script = (
        "import sys, mainspring as ms; before = len(sys.meta_path); ms.autolog();"
        "print(sorted({'sklearn','xgboost','torch','keras','lightgbm','catboost','statsmodels','transformers','numpy'}"
        " & set(sys.modules))); ms.autolog(on=False); print(len(sys.meta_path) - before)"
    )
    done = subprocess.run([sys.executable, "-c", script], cwd=tmp_path, capture_output=True, text=True)
    assert done.stdout.split("\n")[:2] == ["[]", "0"], done.stdout + done.stderr


def test_verbs_of_the_package() -> None:
    assert ms.autolog is autolog
