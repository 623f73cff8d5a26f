"""Model folders of MLflow: what the real MLflow writes is read, and what we write the real MLflow loads."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pandas as pd
import pytest
import yaml
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from mainspring.client.client import Client
from mainspring.engines.signature import Field, Signature
from mainspring.kernel.errors import AlreadyExists, InvalidInput, UnsupportedFormat
from mainspring.lineage.types import File
from mainspring.models.format_mlflow import manifest_of
from mainspring.models.mlflow_model import MLMODEL, data_flavor
from mainspring.models.mlflow_signature import from_mlflow, json_columns, to_mlflow
from mainspring.models.package import files_of

with warnings.catch_warnings(action="ignore"):
    pytest.importorskip("mlflow")
    import mlflow
    import mlflow.catboost
    import mlflow.lightgbm
    import mlflow.onnx
    import mlflow.pyfunc
    import mlflow.sklearn
    import mlflow.xgboost
    from mlflow.models import infer_signature
    from mlflow.types import ColSpec, DataType, Schema, TensorSpec
    from mlflow.types.schema import Array, Object, Property

pytestmark = pytest.mark.filterwarnings("ignore")  # MLflow's own, about its dependencies

RANDOM = np.random.default_rng(1)
X = pd.DataFrame({"a": RANDOM.normal(size=200), "b": RANDOM.normal(size=200)})
Y = (X["a"] + X["b"] ** 2 > 0.5).astype(int).to_numpy()
QUICK: dict[str, Any] = {"signature": infer_signature(X, Y), "pip_requirements": ["mlflow"]}


def classifier(kind: str) -> Any:
    if kind == "xgboost":
        import xgboost

        return xgboost.XGBClassifier(n_estimators=5, n_jobs=1).fit(X, Y)
    if kind == "lightgbm":
        import lightgbm

        data = lightgbm.Dataset(X, Y, params={"verbose": -1})
        return lightgbm.train({"objective": "binary", "verbose": -1, "num_threads": 1}, data, 5)
    if kind == "catboost":
        import catboost

        return catboost.CatBoostClassifier(iterations=5, verbose=0, allow_writing_files=False).fit(X, Y)
    return make_pipeline(StandardScaler(), LogisticRegression()).fit(X, Y)


def theirs(kind: str, folder: Path) -> Any:
    """A model, saved by MLflow itself."""
    model = classifier(kind)
    save = {
        "xgboost": mlflow.xgboost,
        "lightgbm": mlflow.lightgbm,
        "catboost": mlflow.catboost,
        "sklearn": mlflow.sklearn,
    }
    save[kind].save_model(model, folder, **QUICK)
    return model


def loaded(folder: Path) -> Any:
    with warnings.catch_warnings(action="ignore"):
        return mlflow.pyfunc.load_model(str(folder))


@pytest.mark.parametrize("kind", ["sklearn", "xgboost", "lightgbm", "catboost"])
def test_what_mlflow_writes_we_load_without_it(kind: str, client: Client, tmp_path: Path) -> None:
    model = theirs(kind, tmp_path / "m")
    made = client.models.log_model("theirs", tmp_path / "m")
    assert made.format == "mlflow"
    assert made.signature.names == ("a", "b")
    assert made.libraries["mlflow"] == mlflow.__version__
    assert data_flavor(tmp_path / "m") == kind
    found = client.models.load(made.ref)
    assert found.runtime == kind
    answer = found.predict(found.signature.convert(X))
    expected = loaded(tmp_path / "m").predict(X)
    np.testing.assert_allclose(answer["value" if kind == "lightgbm" else "label"], np.ravel(expected))
    if kind in ("sklearn", "catboost"):
        np.testing.assert_allclose(answer["probability"], model.predict_proba(X))


@pytest.mark.parametrize("kind", ["sklearn", "xgboost", "lightgbm", "catboost"])
def test_what_we_write_mlflow_loads(kind: str, client: Client, tmp_path: Path) -> None:
    model = classifier(kind)
    made = client.models.log_model("ours", model, example=X)
    client.models.export(made.ref, tmp_path / "m")
    wrapped = loaded(tmp_path / "m")
    assert wrapped.metadata.signature.inputs.input_names() == ["a", "b"]
    assert [str(each) for each in wrapped.metadata.signature.inputs.input_types()] == ["DataType.double"] * 2
    expected = model.predict(X)
    np.testing.assert_allclose(np.ravel(wrapped.predict(X)), np.ravel(expected))
    example = mlflow.models.Model.load(str(tmp_path / "m")).load_input_example(str(tmp_path / "m"))
    pd.testing.assert_frame_equal(example.reset_index(drop=True), X[:5].reset_index(drop=True))
    assert {each.name for each in (tmp_path / "m").iterdir()} >= {
        "MLmodel", "conda.yaml", "input_example.json", "python_env.yaml", "requirements.txt",
        "serving_input_example.json",
    }  # fmt: skip
    serving = msgspec.json.decode((tmp_path / "m" / "serving_input_example.json").read_bytes())
    assert serving["dataframe_split"]["columns"] == ["a", "b"]

    back = client.models.log_model("back", tmp_path / "m")
    found = client.models.load(back.ref)
    np.testing.assert_allclose(
        found.predict(found.signature.convert(X))["value" if kind == "lightgbm" else "label"], np.ravel(expected)
    )
    with pytest.raises(AlreadyExists, match="not empty"):
        client.models.export(made.ref, tmp_path / "m")


def test_a_graph_both_ways(client: Client, tmp_path: Path) -> None:
    from onnx import TensorProto, helper

    weights = helper.make_tensor("w", TensorProto.FLOAT, [2, 1], [1.0, 2.0])
    graph = helper.make_graph(
        [helper.make_node("MatMul", ["x", "w"], ["y"])],
        "g",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [None, 2])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [None, 1])],
        [weights],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 21)], ir_version=10)
    rows = X.to_numpy().astype(np.float32)
    told = infer_signature(rows, rows[:, :1])
    mlflow.onnx.save_model(model, tmp_path / "theirs", pip_requirements=["mlflow"], signature=told)
    made = client.models.log_model("theirs", tmp_path / "theirs")
    found = client.models.load(made.ref)
    assert found.runtime == "onnx"
    np.testing.assert_allclose(found.predict({"input": rows})["y"], rows @ [[1.0], [2.0]], rtol=1e-5)
    ours = client.models.log_model("ours", model, signature=Signature(inputs=(Field("x", "FP32", shape=(-1, 2)),)))
    client.models.export(ours.ref, tmp_path / "ours")
    np.testing.assert_allclose(loaded(tmp_path / "ours").predict({"x": rows})["y"], rows @ [[1.0], [2.0]], rtol=1e-5)


def test_results_of_statsmodels(client: Client, tmp_path: Path) -> None:
    import mlflow.statsmodels
    import statsmodels.api

    fitted = statsmodels.api.OLS(Y, X).fit()
    mlflow.statsmodels.save_model(fitted, tmp_path / "theirs", **QUICK)
    client.models.set_policy(pickle=True)
    made = client.models.log_model("theirs", tmp_path / "theirs")
    ours = client.models.log_model("ours", fitted, example=X, format="pickle")
    for ref in (made.ref, ours.ref):
        found = client.models.load(ref)
        np.testing.assert_allclose(found.predict(found.signature.convert(X))["value"], fitted.predict(X))
        found.close()
    client.models.export(ours.ref, tmp_path / "ours")
    np.testing.assert_allclose(loaded(tmp_path / "ours").predict(X), fitted.predict(X))


def test_what_mlflow_has_no_flavor_for_is_wrapped(client: Client, tmp_path: Path) -> None:
    class Halved:
        def predict(self, frame: Any) -> Any:
            return frame["a"] / 2.0

    Halved.__module__ = "__main__"
    client.models.set_policy(pickle=True)
    made = client.models.log_model("halved", Halved(), example=X[["a"]], format="python")
    client.models.export(made.ref, tmp_path / "m")
    np.testing.assert_allclose(loaded(tmp_path / "m").predict(X[["a"]]), X["a"] / 2)


@pytest.mark.parametrize("kind", ["pickle", "cloudpickle"])
def test_pickles_of_both_sides(kind: str, client: Client, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_ALLOW_PICKLE_DESERIALIZATION", "true")
    model = classifier("sklearn")
    mlflow.sklearn.save_model(model, tmp_path / "theirs", serialization_format=kind, **QUICK)
    with pytest.raises(UnsupportedFormat, match="policy"):
        client.models.log_model("theirs", tmp_path / "theirs")
    client.models.set_policy(pickle=True)
    made = client.models.log_model("theirs", tmp_path / "theirs")
    found = client.models.load(made.ref)
    assert "own session" in found.protections
    assert found.predict(found.signature.convert(X))["label"].tolist() == model.predict(X).tolist()
    found.close()
    client.models.set_policy(pickle=False)
    with pytest.raises(UnsupportedFormat, match="policy"):
        client.models.load(made.ref)

    client.models.set_policy(pickle=True)
    ours = client.models.log_model("ours", model, example=X, format=kind)
    client.models.export(ours.ref, tmp_path / "ours")
    assert loaded(tmp_path / "ours").predict(X).tolist() == model.predict(X).tolist()


def test_a_class_of_the_users_runs_through_mlflow_in_the_child(client: Client, tmp_path: Path) -> None:
    class Sums(mlflow.pyfunc.PythonModel):
        def predict(self, context: Any, model_input: Any, params: Any = None) -> Any:
            return model_input.sum(axis=1)

    Sums.__module__ = "__main__"
    mlflow.pyfunc.save_model(tmp_path / "m", python_model=Sums(), **QUICK)
    client.models.set_policy(pickle=True)
    made = client.models.log_model("sums", tmp_path / "m")
    found = client.models.load(made.ref)
    assert "own session" in found.protections
    assert found.runtime == "mlflow"
    np.testing.assert_allclose(found.predict(found.signature.convert(X))["value"], X.sum(axis=1))
    found.close()


def test_files_uploaded_without_a_manifest_are_described_by_their_mlmodel(client: Client, tmp_path: Path) -> None:
    theirs("sklearn", tmp_path / "m")
    files = client.models._upload(tmp_path / "m")
    made = client.models.register("uploaded", files=files)
    assert (made.format, made.signature.names) == ("mlflow", ("a", "b"))
    assert made.libraries["scikit-learn"]
    found = client.models.load(made.ref)
    assert found.runtime == "sklearn"


@pytest.mark.engines
def test_torch_and_keras_both_ways(client: Client, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KERAS_BACKEND", "torch")
    import keras
    import mlflow.keras
    import mlflow.pytorch
    import torch

    rows = X.to_numpy().astype(np.float32)
    net = torch.nn.Sequential(torch.nn.Linear(2, 4), torch.nn.Tanh(), torch.nn.Linear(4, 1)).eval()
    expected = net(torch.from_numpy(rows)).detach().numpy()
    made = client.models.log_model("net", net, example=pd.DataFrame(rows, columns=["a", "b"]))
    client.models.export(made.ref, tmp_path / "net")
    np.testing.assert_allclose(
        loaded(tmp_path / "net").predict(pd.DataFrame(rows, columns=["a", "b"])), expected, atol=1e-6
    )
    mlflow.pytorch.save_model(
        net,
        tmp_path / "theirs",
        input_example=rows[:4],
        pip_requirements=["mlflow"],
        signature=infer_signature(rows, expected),
    )
    back = client.models.log_model("theirs", tmp_path / "theirs")
    assert back.signature.inputs == (Field("input", "FP32", shape=(-1, 2)),)
    found = client.models.load(back.ref)
    np.testing.assert_allclose(found.predict({"input": rows})["value"], expected, atol=1e-6)
    found.close()

    deep = keras.Sequential([keras.layers.Input((2,)), keras.layers.Dense(1)])
    made = client.models.log_model("deep", deep, example=pd.DataFrame(rows, columns=["a", "b"]))
    client.models.export(made.ref, tmp_path / "deep")
    answer = loaded(tmp_path / "deep").predict(pd.DataFrame(rows, columns=["a", "b"]))
    np.testing.assert_allclose(answer, deep.predict(rows, verbose=0), atol=1e-6)
    mlflow.keras.save_model(
        deep, str(tmp_path / "k"), pip_requirements=["mlflow"], signature=infer_signature(rows, expected)
    )
    back = client.models.log_model("k", tmp_path / "k")
    found = client.models.load(back.ref)
    np.testing.assert_allclose(found.predict({"input": rows})["value"], deep.predict(rows, verbose=0), atol=1e-6)
    found.close()


SCHEMAS = {
    "columns": Schema([ColSpec(kind, name=kind.name, required=kind.name != "long") for kind in DataType]),
    "nameless": Schema([ColSpec(DataType.double), ColSpec(DataType.string)]),
    "tensor": Schema([TensorSpec(np.dtype("float32"), (-1, 3, 4))]),
    "tensors": Schema([TensorSpec(np.dtype("int64"), (-1,), "ids"), TensorSpec(np.dtype("bool"), (-1, 2), "mask")]),
    "open tensor": Schema([TensorSpec(np.dtype("float64"), (-1, -1))]),
    "nested": Schema(
        [
            ColSpec(Array(DataType.double), name="list"),
            ColSpec(Object([Property("k", DataType.long)]), name="thing", required=False),
        ]
    ),
}
OURS = {
    "columns": {
        "boolean": ("BOOL", False), "integer": ("INT32", False), "long": ("INT64", True), "float": ("FP32", True),
        "double": ("FP64", True), "string": ("BYTES", False), "binary": ("BYTES", False), "datetime": ("BYTES", False),
    },
    "nameless": {"input": ("FP64", True), "input_1": ("BYTES", False)},
    "tensor": {"input": ("FP32", False)},
    "tensors": {"ids": ("INT64", False), "mask": ("BOOL", False)},
    "open tensor": {"input": ("BYTES", False)},
    "nested": {"list": ("BYTES", False), "thing": ("BYTES", True)},
}  # fmt: skip


@pytest.mark.parametrize("name", SCHEMAS)
def test_signatures_of_mlflow_are_read(name: str) -> None:
    told = {"inputs": msgspec.json.encode(SCHEMAS[name].to_dict()).decode(), "outputs": None, "params": None}
    found = from_mlflow(told)
    assert {each.name: (each.dtype, each.nullable) for each in found.inputs} == OURS[name]
    if name == "tensor":
        assert found.inputs[0].shape == (-1, 3, 4)
    assert json_columns(told) == {"nested": {"list", "thing"}, "open tensor": {"input"}}.get(name, set())


def test_our_signatures_are_signatures_of_mlflow() -> None:
    every = (
        "BOOL",
        "BYTES",
        "FP16",
        "FP32",
        "FP64",
        "INT8",
        "INT16",
        "INT32",
        "INT64",
        "UINT8",
        "UINT16",
        "UINT32",
        "UINT64",
    )
    fields = [Field(each.lower(), each, nullable=place % 2 == 0) for place, each in enumerate(every)]
    told = to_mlflow(
        Signature(inputs=(*fields, Field("pixels", "FP32", shape=(-1, 2, 3))), outputs=(Field("value", "FP64"),))
    )
    assert told is not None
    schema = Schema.from_json(told["inputs"])
    assert schema.input_names() == [*(each.lower() for each in every), "pixels"]
    assert [each.required for each in schema.inputs][:4] == [False, True, False, True]
    assert Schema.from_json(told["outputs"]).inputs[0].type == DataType.double
    again = from_mlflow(told)
    assert [each.dtype for each in again.inputs][:5] == ["BOOL", "BYTES", "FP32", "FP32", "FP64"]
    assert to_mlflow(Signature(inputs=())) is None


COMPLEX = b"""
flavors: {}
signature:
  inputs: '[{"type": "tensor", "tensor-spec": {"dtype": "complex64", "shape": [-1]}}]'
"""


@pytest.mark.parametrize(
    ("text", "wrong"),
    [
        (b"", "names no flavors"),
        (b"- 1", "names no flavors"),
        (b"flavors: 3", "names no flavors"),
        (b"flavors: {}\nsignature: 3", "not a mapping"),
        (b"flavors: {}\nsignature: {inputs: '['}", "signature of the MLmodel"),
        (b"\xff\xfe\x00", "cannot be read"),
        (b"flavors: !!python/object/apply:os.system ['true']", "cannot be read"),
        (b"[" * 50_000, "cannot be read"),
        (COMPLEX, "complex64"),
    ],
)
def test_an_mlmodel_that_is_none_is_refused(text: bytes, wrong: str) -> None:
    file = File(path=MLMODEL, size=len(text), digest="0" * 64)
    with pytest.raises(InvalidInput, match=wrong):
        manifest_of([file], lambda _: text)


def test_an_mlmodel_cannot_lead_out_of_its_folder(client: Client, tmp_path: Path) -> None:
    theirs("xgboost", tmp_path / "m")
    (tmp_path / "outside.ubj").write_bytes((tmp_path / "m" / "model.ubj").read_bytes())
    told = yaml.safe_load((tmp_path / "m" / MLMODEL).read_text())
    told["flavors"]["xgboost"]["data"] = "../outside.ubj"
    (tmp_path / "m" / MLMODEL).write_text(yaml.safe_dump(told))
    made = client.models.register("out", files=client.models._upload(tmp_path / "m"))
    with pytest.raises(UnsupportedFormat, match="not in the folder"):
        client.models.load(made.ref)


def test_the_manifest_names_every_file(tmp_path: Path) -> None:
    theirs("sklearn", tmp_path / "m")
    files = files_of(tmp_path / "m")
    manifest = manifest_of(files, lambda path: (tmp_path / "m" / path).read_bytes())
    assert list(manifest.files) == files
    assert manifest.details["flavors"] == ["python_function", "sklearn"]
    assert manifest.details["model_uuid"]


@pytest.mark.engines
def test_a_language_model_is_left_to_mlflow(client: Client, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    import mlflow.transformers
    from transformers import BertConfig, BertForSequenceClassification, BertTokenizerFast, pipeline

    (tmp_path / "vocab.txt").write_text("[PAD]\n[UNK]\n[CLS]\n[SEP]\n[MASK]\ngood\nbad\nday")
    size = {"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 16}
    net = BertForSequenceClassification(BertConfig(vocab_size=8, **size))
    made = pipeline("text-classification", model=net, tokenizer=BertTokenizerFast(str(tmp_path / "vocab.txt")))
    told = infer_signature(["good day"], pd.DataFrame({"label": ["a"], "score": [0.5]}))
    mlflow.transformers.save_model(made, tmp_path / "m", pip_requirements=["mlflow"], signature=told)
    client.models.set_policy(pickle=True)
    version = client.models.log_model("words", tmp_path / "m")
    assert version.libraries["transformers"]
    found = client.models.load(version.ref)
    answer = found.predict(found.signature.convert({"input": ["good day", "bad day"]}))
    found.close()
    expected = loaded(tmp_path / "m").predict(["good day", "bad day"])
    assert answer["label"].tolist() == expected["label"].tolist()
    np.testing.assert_allclose(answer["score"], expected["score"], atol=1e-6)
