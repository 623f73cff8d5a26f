"""Every format that comes with the product passes the conformance suite; what is particular to one of them follows."""

from __future__ import annotations

import sys
import types
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from mainspring.client.client import Client
from mainspring.engines.models import VALUE
from mainspring.engines.signature import Field, Signature
from mainspring.kernel.errors import Damaged, InvalidInput, UnsupportedFormat
from mainspring.kernel.hooks import MODEL_FORMATS
from mainspring.models.formats import SaveOptions, format_named, format_names, load_object, save_object
from mainspring.models.onnx_graph import Graph
from mainspring.models.onnx_models import emit_model
from mainspring.models.package import open_package, write_package
from mainspring.models.policy import LoadPolicy
from mainspring.testing.format_suite import FormatSuite

PICKLES = LoadPolicy(pickle=True)
RANDOM = np.random.default_rng(3)
X = RANDOM.normal(size=(300, 2))
Y = (X[:, 0] + X[:, 1] ** 2 > 0.7).astype(int)
BOTH = Signature(inputs=(Field("x0", "FP64"), Field("x1", "FP64")))


def linear() -> Any:
    from sklearn.linear_model import LogisticRegression

    return LogisticRegression().fit(X, Y)


class Doubling:
    """A model that is Python: twice the first column."""

    def predict(self, frame: pl.DataFrame) -> Any:
        return frame["x0"] * 2.0


class TestOnnx(FormatSuite):
    name = "onnx"

    @pytest.fixture
    def model(self) -> bytes:
        graph = Graph(BOTH)
        return graph.build(emit_model(graph, linear(), graph.table))

    def original(self, model: Any, signature: Signature) -> Any:
        from mainspring.engines.models_onnx import OnnxPredictor

        return OnnxPredictor(model, signature)


class TestLightGBM(FormatSuite):
    name = "lightgbm"

    @pytest.fixture
    def model(self) -> Any:
        import lightgbm

        data = lightgbm.Dataset(X, Y, params={"verbose": -1})
        return lightgbm.train({"objective": "binary", "verbose": -1, "num_threads": 1}, data, 5)


class TestXGBoost(FormatSuite):
    name = "xgboost"

    @pytest.fixture
    def model(self) -> Any:
        import xgboost

        return xgboost.XGBClassifier(n_estimators=5, n_jobs=1).fit(X, Y)


class TestCatBoost(FormatSuite):
    name = "catboost"

    @pytest.fixture
    def model(self) -> Any:
        import catboost

        return catboost.CatBoostClassifier(iterations=5, verbose=0, allow_writing_files=False).fit(X, Y)


class TestSkops(FormatSuite):
    name = "skops"

    @pytest.fixture
    def model(self) -> Any:
        return linear()


class TestPickle(FormatSuite):
    name = "pickle"
    unasked = False
    needs_policy = True
    policy = PICKLES

    @pytest.fixture
    def model(self) -> Any:
        return linear()


class TestCloudpickle(TestPickle):
    name = "cloudpickle"


class TestJoblib(TestPickle):
    name = "joblib"


class TestPython(FormatSuite):
    name = "python"
    unasked = False
    needs_policy = True
    policy = PICKLES

    @pytest.fixture
    def model(self) -> Any:
        made = type("Doubling", (), {"predict": lambda self, frame: frame["x0"] * 2.0})
        made.__module__ = "__main__"  # so that it travels with its code
        return made()


class TestMLflow(FormatSuite):
    name = "mlflow"

    @pytest.fixture
    def model(self, tmp_path: Path) -> Path:
        from mainspring.models.format_mlflow import write_mlflow_folder

        inner = tmp_path / "inner"
        manifest = write_package(linear(), inner, signature=BOTH, example={"x0": X[:, 0], "x1": X[:, 1]})
        write_mlflow_folder(inner, manifest, tmp_path / "theirs")
        return tmp_path / "theirs"

    def original(self, model: Any, signature: Signature) -> Any:
        from mainspring.models.native import native_predictor

        return native_predictor(linear(), signature)


class TestSafetensors(FormatSuite):
    """Weights without a model: what cannot be asked is not asked."""

    name = "safetensors"

    @pytest.fixture
    def model(self) -> Any:
        return {"dense": {"kernel": np.ones((2, 3)), "bias": np.zeros(3, dtype=np.float32)}, "scale": np.array(2.0)}

    def test_it_answers_as_before(self, folder: Path, model: Any, signature: Any, rows: Any) -> None:
        found = load_object("safetensors", folder)
        assert sorted(found) == ["dense.bias", "dense.kernel", "scale"]
        np.testing.assert_array_equal(found["dense.kernel"], model["dense"]["kernel"])
        assert found["dense.bias"].dtype == np.float32
        with pytest.raises(UnsupportedFormat, match="weights without a model"):
            open_package(folder)


def small_net() -> Any:
    """What makes the network whose weights are saved."""
    import torch

    torch.manual_seed(0)
    return torch.nn.Sequential(
        torch.nn.Linear(2, 8), torch.nn.ReLU(), torch.nn.Dropout(0.5), torch.nn.Linear(8, 1)
    ).eval()


@pytest.mark.engines
class TestSafetensorsWithAFactory(FormatSuite):
    name = "safetensors"
    unasked = False
    needs_policy = True
    policy = LoadPolicy(trusted=("nets_of_a_test:small_net",))
    options = SaveOptions(factory="nets_of_a_test:small_net")

    @pytest.fixture(autouse=True)
    def module(self, monkeypatch: pytest.MonkeyPatch) -> None:
        made = types.ModuleType("nets_of_a_test")
        made.small_net = small_net  # type: ignore[attr-defined]
        monkeypatch.setitem(sys.modules, "nets_of_a_test", made)

    @pytest.fixture
    def model(self) -> Any:
        made = small_net()
        for each in made.parameters():
            each.data += 0.25
        return made

    def test_weights_that_do_not_fit_are_said_so(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        import torch

        monkeypatch.setattr(sys.modules["nets_of_a_test"], "small_net", lambda: torch.nn.Linear(2, 2))
        with pytest.raises(Damaged, match="do not fit"):
            load_object("safetensors", folder, policy=self.policy)


@pytest.mark.engines
class TestTorchExport(FormatSuite):
    name = "torch-export"

    @pytest.fixture
    def model(self) -> Any:
        return small_net()

    def test_any_number_of_rows_may_be_asked(self, folder: Path) -> None:
        found = open_package(folder)
        try:
            for rows in (1, 2, 7):
                assert found.predict({"x0": np.zeros(rows), "x1": np.ones(rows)})[VALUE].shape == (rows, 1)
            assert "files" in found.protections or sys.platform != "linux"
        finally:
            found.close()


@pytest.mark.engines
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
class TestTorchScript(FormatSuite):
    name = "torchscript"

    @pytest.fixture
    def model(self) -> Any:
        import torch

        return torch.jit.trace(small_net(), torch.zeros(3, 2))


@pytest.mark.engines
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
class TestKeras(FormatSuite):
    name = "keras"

    @pytest.fixture
    def model(self, monkeypatch: pytest.MonkeyPatch) -> Any:
        monkeypatch.setenv("KERAS_BACKEND", "torch")
        import keras

        made = keras.Sequential(
            [keras.layers.Input((2,)), keras.layers.Dense(4, activation="relu"), keras.layers.Dense(1)]
        )
        made.build((None, 2))
        return made

    def test_a_lambda_out_of_a_file_does_not_run(self, tmp_path: Path, model: Any) -> None:
        import keras

        hidden = keras.Sequential([keras.layers.Input((2,)), keras.layers.Lambda(lambda x: x * 2)])
        save_object(hidden, tmp_path, name="keras")
        with pytest.raises(Damaged, match="safe mode"):
            load_object("keras", tmp_path)


def test_every_format_has_its_suite() -> None:
    suites = [each for each in globals().values() if isinstance(each, type) and issubclass(each, FormatSuite)]
    assert {each.name for each in suites} - {""} == set(MODEL_FORMATS) == set(format_names())


def test_a_format_of_somebody_elses_is_found_by_its_entry_point(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    from importlib.metadata import EntryPoint

    from mainspring.models import formats

    point = EntryPoint("words", f"{__name__}:WORDS", "mainspring.model_formats")
    monkeypatch.setattr(formats, "entry_points", lambda group: [point] if group == "mainspring.model_formats" else [])
    monkeypatch.setattr(formats, "load", lambda address: WORDS if address.endswith(":WORDS") else None)
    assert format_names()[-1] == "words"
    assert format_named("words") is WORDS
    assert formats.isolated("words")  # nobody said that it is data


WORDS = types.SimpleNamespace(accepts=lambda model: False)


def test_a_booster_keeps_what_counts_as_missing(tmp_path: Path) -> None:
    import xgboost

    holes = np.where(RANDOM.random(X.shape) < 0.3, -1.0, X)
    model = xgboost.XGBClassifier(n_estimators=5, n_jobs=1, missing=-1.0).fit(holes, Y)
    columns = {"x0": holes[:, 0], "x1": holes[:, 1]}
    manifest = write_package(model, tmp_path, signature=BOTH, example=columns)
    assert manifest.parity is not None
    assert "missing=-1.0" in manifest.parity.reason
    found = open_package(tmp_path).predict(columns)
    assert found["label"].tolist() == model.predict(holes).tolist()
    np.testing.assert_array_equal(found["probability"], model.predict_proba(holes))


def test_python_models_bring_their_code(client: Client, tmp_path: Path) -> None:
    package = tmp_path / "helpers_of_a_test"
    package.mkdir()
    (package / "__init__.py").write_text("FACTOR = 3.0\n")
    (package / "model.py").write_text(
        "from helpers_of_a_test import FACTOR\n"
        "class Scaled:\n    def predict(self, frame):\n        return {'twice': frame['x0'] * FACTOR}\n"
    )
    sys.path.insert(0, str(tmp_path))
    try:
        from helpers_of_a_test.model import Scaled  # type: ignore[import-not-found]

        client.models.set_policy(pickle=True)
        made = client.models.log_model(
            "scaled", Scaled(), example={"x0": [1.0, 2.0]}, format="python", code_paths=[package]
        )
    finally:
        sys.path.remove(str(tmp_path))
        for name in ("helpers_of_a_test", "helpers_of_a_test.model"):
            del sys.modules[name]
    assert {file.path for file in client.models.files(made.ref)} >= {"code/helpers_of_a_test/model.py"}
    found = client.models.load(made.ref)
    try:
        assert found.predict({"x0": np.array([2.0])})["twice"].tolist() == [6.0]
    finally:
        found.close()


def test_an_example_is_taken_as_people_have_it(client: Client) -> None:
    import pandas as pd

    model = linear()
    for example in (
        pd.DataFrame(X, columns=["x0", "x1"]),
        pl.DataFrame(X, schema=["x0", "x1"]),
        X,
        {"x0": X[:, 0].tolist(), "x1": X[:, 1].tolist()},
        [{"x0": 1.0, "x1": 2.0}, {"x0": 0.5, "x1": 0.0}],
    ):
        made = client.models.log_model("one", model, example=example)
        assert made.signature.names == ("x0", "x1")
        assert made.parity is not None
        assert made.parity.exact
        found = client.models.load(made.ref)
        assert found.predict(found.signature.convert(example))["label"].tolist() == (
            model.predict(
                pd.DataFrame(example).to_numpy() if not hasattr(example, "to_numpy") else example.to_numpy()
            ).tolist()
        )
    with pytest.raises(InvalidInput, match="no rows"):
        client.models.log_model("one", model, example=X[:0])


def test_weights_are_registered_without_an_example(client: Client) -> None:
    made = client.models.log_model("weights", {"w": np.arange(6.0).reshape(2, 3)})
    assert (made.format, made.signature.inputs, made.parity) == ("safetensors", (), None)
    assert client.models.load_object(made.ref)["w"].tolist() == [[0.0, 1.0, 2.0], [3.0, 4.0, 5.0]]
