"""The model folder of MLflow: read without MLflow where a flavor is data, in a child process otherwise.

Boosters, ONNX graphs and skops files are read by their own libraries. Everything else in such folders is a program (a
pickle, a class of the user's, a Keras or PyTorch file): Keras archives and exported PyTorch programs run in the child
process under any policy, pickles where the policy lets pickles be loaded. What we have no reader for is left to
MLflow itself, in the child, where it is installed.
"""

from __future__ import annotations

import importlib
import os
import shutil
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mainspring.engines.models_pyfunc import PyfuncPredictor
from mainspring.kernel.errors import Damaged, MissingDependency, UnsupportedFormat
from mainspring.models.format_catboost import load_catboost
from mainspring.models.format_keras import load_keras
from mainspring.models.format_lightgbm import load_lightgbm
from mainspring.models.format_onnx import check_graph
from mainspring.models.format_pickle import check_policy, load_pickle
from mainspring.models.format_skops import check_types, load_skops
from mainspring.models.format_torch import load_exported
from mainspring.models.format_xgboost import load_xgboost
from mainspring.models.formats import Saved, SaveOptions
from mainspring.models.mlflow_export import write_mlflow_folder
from mainspring.models.mlflow_model import MLMODEL, data_flavor, flavor_file, manifest_of, read_mlmodel
from mainspring.models.mlflow_signature import from_mlflow, json_columns, nameless
from mainspring.models.policy import LoadPolicy

__all__ = ["MLFLOW", "manifest_of", "write_mlflow_folder"]


class _MLflow:
    isolated = True  # `package._isolated` looks closer: a flavor that is data is opened here

    def accepts(self, model: Any) -> bool:
        """The path of a folder with an `MLmodel`."""
        return isinstance(model, str | Path) and (Path(model) / MLMODEL).is_file()

    def save(self, model: Any, folder: Path, options: SaveOptions) -> Saved:
        """Copy the folder."""
        if not self.accepts(model):
            raise UnsupportedFormat(f"the format mlflow is a folder with an {MLMODEL}, given by its path")
        for source in sorted(Path(model).iterdir()):
            if source.is_dir():
                shutil.copytree(source, folder / source.name)
            else:
                shutil.copyfile(source, folder / source.name)
        files = [each.relative_to(folder).as_posix() for each in sorted(folder.rglob("*")) if each.is_file()]
        return Saved((MLMODEL, *(each for each in files if each != MLMODEL)), ())

    def check(self, folder: Path, policy: LoadPolicy) -> None:
        """Data is checked as the format of its own would be; a program asks the policy."""
        flavors, data = _flavors(folder), data_flavor(folder)
        if data == "onnx":
            check_graph(flavor_file(folder, flavors["onnx"], "data").read_bytes())
        elif data in ("sklearn", "lightgbm"):
            path = flavor_file(folder, flavors[data], "pickled_model", "data")
            if path.suffix == ".skops":
                check_types(path, policy)
        elif not data and not _archive(folder, flavors):
            check_policy(policy, "this MLflow model")

    def load(self, folder: Path, policy: LoadPolicy) -> Any:
        """The model of the first flavor that can be read here; MLflow's own wrapper where there is no other way."""
        self.check(folder, policy)
        flavors, data = _flavors(folder), data_flavor(folder)
        if data:
            return _load_data(data, folder, flavors[data], policy)
        for name in flavors:
            code = flavors[name].get("code") if isinstance(flavors[name], Mapping) else None
            if code and (folder / str(code)).resolve().is_relative_to(folder.resolve()):
                sys.path.insert(0, str((folder / str(code)).resolve()))
        archive = _archive(folder, flavors)
        if archive:
            return load_keras(archive) if archive.suffix == ".keras" else load_exported(archive)
        if "sklearn" in flavors:
            return load_pickle("pickle", flavor_file(folder, flavors["sklearn"], "pickled_model"))
        return _through_mlflow(folder)


def _flavors(folder: Path) -> dict[str, Any]:
    found: dict[str, Any] = read_mlmodel((folder / MLMODEL).read_bytes())["flavors"]
    return found


def _archive(folder: Path, flavors: Mapping[str, Any]) -> Path | None:
    """A Keras archive or an exported PyTorch program: run in the child, and not a pickle."""
    for flavor, key, names in (
        ("keras", "data", ("model.keras",)),
        ("tensorflow", "data", ("model.keras",)),
        ("pytorch", "model_data", ("model.pt2",)),
    ):
        if isinstance(flavors.get(flavor), Mapping):
            inside = str(flavors[flavor].get(key) or "data")
            for name in names:
                path = folder / inside / name
                if path.is_file() and path.resolve().is_relative_to(folder.resolve()):
                    return path
    return None


def _load_data(name: str, folder: Path, flavor: Mapping[str, Any], policy: LoadPolicy) -> Any:
    path = flavor_file(folder, flavor, "pickled_model", "data")
    if path.suffix == ".skops":
        return load_skops(path, policy)
    if name == "onnx":
        return path.read_bytes()
    if name == "catboost":
        return load_catboost(path)
    if name == "lightgbm":
        return load_lightgbm(path)
    return load_xgboost(path, classifier=str(flavor.get("model_class", "")).endswith("Classifier"))


def _through_mlflow(folder: Path) -> PyfuncPredictor:
    os.environ["MLFLOW_ALLOW_PICKLE_DESERIALIZATION"] = "true"  # the policy said so, and this is the child
    try:
        pyfunc = importlib.import_module("mlflow.pyfunc")  # where the user has it; we do not bring it
    except ImportError:
        raise MissingDependency("mlflow") from None
    told = read_mlmodel((folder / MLMODEL).read_bytes()).get("signature")
    try:
        wrapped = pyfunc.load_model(str(folder))
    except Exception as error:  # the model's own code
        raise Damaged(f"MLflow cannot load this folder here: {type(error).__name__}: {error}") from error
    return PyfuncPredictor(wrapped, from_mlflow(told), json_columns=json_columns(told), nameless=nameless(told))


MLFLOW = _MLflow()
