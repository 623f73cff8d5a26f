"""Model folders and formats: they read back as they were, and refuse what is damaged, untrusted or a program."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import catboost
import lightgbm
import msgspec
import numpy as np
import polars as pl
import pytest
import xgboost
from onnx import TensorProto, helper
from sklearn import ensemble
from sklearn.feature_selection import SelectKBest
from sklearn.linear_model import LogisticRegression
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer

from mainspring.engines.signature import Field, Signature
from mainspring.kernel.errors import Damaged, NotFound, UnsupportedFormat
from mainspring.models.formats import format_named, load_object, save_object
from mainspring.models.package import EXAMPLE, GRAPH, MANIFEST, open_package, read_manifest, write_package
from mainspring.models.policy import LoadPolicy

NUMBERS = Signature(inputs=(Field("wind", "FP64"), Field("hour", "INT64")))
RAN: list[str] = []


class Program:
    """What a hostile pickle is: a call that happens as it is read."""

    def __reduce__(self) -> Any:
        return RAN.append, ("ran",)


@pytest.fixture
def folder(tmp_path: Path, pipeline: Any, flights: pl.DataFrame, data: Any) -> Path:
    """A saved pipeline."""
    write_package(pipeline, tmp_path / "model", signature=data.SIGNATURE, example=data.SIGNATURE.convert(flights))
    return tmp_path / "model"


def test_a_folder_reads_back_and_its_models_agree(folder: Path, pipeline: Any, flights: pl.DataFrame) -> None:
    manifest = read_manifest(folder)
    assert manifest.format == "skops"
    assert manifest.classes == [0, 1]
    assert manifest.parity is not None
    assert manifest.parity.exact
    assert set(manifest.libraries) == {"scikit-learn", "skops", "numpy"}
    assert {path.name for path in folder.iterdir()} == {MANIFEST, EXAMPLE, GRAPH, "model.skops"}
    compiled, native = open_package(folder), open_package(folder, native=True)
    assert (compiled.runtime, native.runtime) == ("onnx", "sklearn")
    columns = compiled.signature.convert(flights)
    assert native.predict(columns)["label"].tolist() == compiled.predict(columns)["label"].tolist()
    assert native.predict(columns)["label"].tolist() == pipeline.predict(flights).tolist()
    example = msgspec.json.decode((folder / EXAMPLE).read_bytes())
    assert len(example["wind"]) == 5
    compiled.predict(compiled.signature.convert(example))


def test_a_model_that_cannot_be_compiled_is_served_natively(tmp_path: Path, flights: pl.DataFrame, data: Any) -> None:
    frame = flights.select("wind", "hour")
    model = ensemble.AdaBoostClassifier(n_estimators=3).fit(frame, data.targets(flights, 1)["binary"])
    manifest = write_package(model, tmp_path, signature=NUMBERS, example=NUMBERS.convert(frame))
    assert manifest.parity is not None
    assert "AdaBoostClassifier" in manifest.parity.reason
    found = open_package(tmp_path)
    assert found.runtime == "sklearn"
    assert found.predict(NUMBERS.convert(frame))["label"].tolist() == model.predict(frame).tolist()


@pytest.mark.parametrize(
    "model",
    [
        ensemble.RandomForestClassifier(3),
        ensemble.HistGradientBoostingClassifier(max_iter=3, categorical_features=["hour"]),
        ensemble.GradientBoostingClassifier(n_estimators=3),
        make_pipeline(FunctionTransformer(), lightgbm.LGBMClassifier(n_estimators=3, verbose=-1, n_jobs=1)),
        make_pipeline(FunctionTransformer(), xgboost.XGBClassifier(n_estimators=3, n_jobs=1)),
        make_pipeline(
            FunctionTransformer(), catboost.CatBoostClassifier(iterations=3, verbose=0, allow_writing_files=False)
        ),
        make_pipeline(SelectKBest(k=1), MLPClassifier((3,), max_iter=5)),
        ensemble.VotingClassifier([("a", LogisticRegression())], voting="soft"),
    ],
    ids=lambda model: type(model).__name__,
)
@pytest.mark.filterwarnings("ignore:X does not have valid feature names", "ignore:Stochastic Optimizer")
def test_every_estimator_that_models_are_made_of_is_trusted(
    tmp_path: Path, flights: pl.DataFrame, model: Any, data: Any
) -> None:
    frame = flights.select("wind", "hour")
    fitted = model.fit(frame.to_numpy() if "lgbm" in str(model).lower() else frame, data.targets(flights, 1)["binary"])
    write_package(fitted, tmp_path, signature=NUMBERS, example=NUMBERS.convert(frame))
    columns = NUMBERS.convert(frame)
    native = open_package(tmp_path, native=True)
    assert native.predict(columns)["label"].tolist() == open_package(tmp_path).predict(columns)["label"].tolist()


def test_a_lightgbm_estimator_is_text_with_its_classes(tmp_path: Path, flights: pl.DataFrame, data: Any) -> None:
    matrix = flights.select("wind", "hour").to_numpy()
    model = lightgbm.LGBMClassifier(n_estimators=5, verbose=-1, n_jobs=1).fit(matrix, data.targets(flights, 1)["three"])
    columns = NUMBERS.convert(flights)
    manifest = write_package(model, tmp_path, signature=NUMBERS, example=columns)
    assert (manifest.format, manifest.classes) == ("lightgbm", ["early", "late", "on time"])
    native, compiled = open_package(tmp_path, native=True), open_package(tmp_path)
    assert (native.runtime, compiled.runtime) == ("lightgbm", "onnx")
    np.testing.assert_array_equal(native.predict(columns)["label"], compiled.predict(columns)["label"])
    np.testing.assert_allclose(native.predict(columns)["probability"], model.predict_proba(matrix), rtol=1e-12)


@pytest.mark.parametrize("name", [GRAPH, "model.skops", EXAMPLE])
def test_a_damaged_file_is_refused(folder: Path, name: str) -> None:
    content = bytearray((folder / name).read_bytes())
    content[len(content) // 2] ^= 1
    (folder / name).write_bytes(content)
    with pytest.raises(Damaged, match=name):
        open_package(folder)


def test_a_missing_file_a_broken_manifest_and_no_model_at_all(folder: Path, tmp_path: Path) -> None:
    (folder / GRAPH).unlink()
    with pytest.raises(Damaged, match="missing"):
        open_package(folder)
    (folder / MANIFEST).write_text("{")
    with pytest.raises(Damaged, match="cannot be read"):
        open_package(folder)
    with pytest.raises(NotFound, match="not the folder of a model"):
        open_package(tmp_path)


def test_a_manifest_cannot_lead_out_of_its_folder(folder: Path) -> None:
    manifest = msgspec.json.decode((folder / MANIFEST).read_bytes())
    manifest["files"][0]["path"] = "../model.skops"
    (folder / MANIFEST).write_bytes(msgspec.json.encode(manifest))
    with pytest.raises(Damaged, match="not a file of its folder"):
        open_package(folder)


def test_a_type_that_nobody_vetted_is_refused_and_can_be_trusted(tmp_path: Path) -> None:
    model = make_pipeline(FunctionTransformer(pl.from_numpy), LogisticRegression())
    with pytest.raises(UnsupportedFormat, match="not trusted here") as caught:
        save_object(model, tmp_path)
    (unknown,) = caught.value.details["types"]
    assert unknown == "polars.convert.general.from_numpy"
    name, _ = save_object(model, tmp_path, policy=LoadPolicy(trusted=(unknown,)))
    with pytest.raises(UnsupportedFormat, match="from_numpy"):
        load_object(name, tmp_path)
    assert load_object(name, tmp_path, policy=LoadPolicy(trusted=(unknown,))).steps[0][1].func is pl.from_numpy


def test_a_pickle_is_refused_unless_the_policy_allows_it(tmp_path: Path) -> None:
    (tmp_path / "model.pkl").write_bytes(pickle.dumps(Program()))
    with pytest.raises(UnsupportedFormat, match="runs any code") as caught:
        load_object("pickle", tmp_path)
    assert "set_policy(pickle=True)" in caught.value.hint
    assert RAN == []
    with pytest.raises(UnsupportedFormat, match="runs any code"):
        save_object(LogisticRegression(), tmp_path, name="pickle")
    allowed = LoadPolicy(pickle=True)
    save_object(LogisticRegression(C=3.0), tmp_path, name="pickle", policy=allowed)
    assert load_object("pickle", tmp_path, policy=allowed).C == 3.0


def test_what_no_format_saves_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(UnsupportedFormat, match=r"no safe format saves a builtins\.dict"):
        save_object({}, tmp_path)
    with pytest.raises(NotFound, match="no model format") as caught:
        format_named("skop")
    assert "skops" in caught.value.known


def test_formats_read_garbage_as_damaged(tmp_path: Path) -> None:
    for name, file in (("skops", "model.skops"), ("lightgbm", "model.lightgbm.txt"), ("pickle", "model.pkl")):
        (tmp_path / file).write_bytes(b"garbage")
        with pytest.raises(Damaged, match=file):
            load_object(name, tmp_path, policy=LoadPolicy(pickle=True))
    (tmp_path / "model.onnx").write_bytes(b"garbage")
    with pytest.raises(UnsupportedFormat):
        load_object("onnx", tmp_path)


def foreign(**tensor: Any) -> bytes:
    """A small graph of somebody else's."""
    weights = helper.make_tensor("w", TensorProto.FLOAT, [2, 1], [1.0, 2.0])
    for key, value in tensor.items():
        if key == "external":
            weights.ClearField("float_data")
            weights.data_location = TensorProto.EXTERNAL
            entry = weights.external_data.add()
            entry.key, entry.value = "location", value
    made = helper.make_graph(
        [helper.make_node("MatMul", ["x", "w"], ["y"])],
        "g",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [None, 2])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [None, 1])],
        [weights],
    )
    return helper.make_model(made, opset_imports=[helper.make_opsetid("", 21)], ir_version=10).SerializeToString()


def test_a_graph_made_elsewhere_is_a_model(tmp_path: Path) -> None:
    columns = NUMBERS.convert({"wind": [1.0], "hour": [10]})
    assert write_package(foreign(), tmp_path, signature=NUMBERS, example=columns).format == "onnx"
    assert open_package(tmp_path).predict(columns)["y"].tolist() == [[21.0]]


def test_a_graph_that_reaches_outside_of_itself_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UnsupportedFormat):
        save_object(foreign(external="passwd"), tmp_path)
    model = helper.make_model(
        helper.make_graph(
            [helper.make_node("Own", ["x"], ["y"], domain="com.example")],
            "g",
            [helper.make_tensor_value_info("x", TensorProto.FLOAT, [None])],
            [helper.make_tensor_value_info("y", TensorProto.FLOAT, [None])],
        ),
        opset_imports=[helper.make_opsetid("", 21), helper.make_opsetid("com.example", 1)],
        ir_version=10,
    )
    with pytest.raises(UnsupportedFormat, match=r"com\.example"):
        save_object(model, tmp_path)
