"""Any model of ours as a model folder of MLflow's, which `mlflow.pyfunc.load_model` opens.

Files that MLflow has a flavor for get that flavor and MLflow's own loader. The rest (weights with a factory, Python
models, joblib) is wrapped: its loader is `mainspring.models.mlflow_loader`, so Mainspring must be installed where it
is loaded. Our manifest travels along, so that a folder that comes back is the version that it was, compiled graph and
all.
"""

from __future__ import annotations

import platform
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import msgspec

from mainspring.kernel.clock import now
from mainspring.kernel.errors import AlreadyExists
from mainspring.models.format_skops import untrusted_types
from mainspring.models.mlflow_model import MLMODEL
from mainspring.models.mlflow_signature import to_mlflow

if TYPE_CHECKING:
    from mainspring.models.types import Manifest

__all__ = ["write_mlflow_folder"]

_EXAMPLE, _GRAPH, _OURS = "example.json", "model.onnx", "mainspring"
_ENVIRONMENTS = {"conda": "conda.yaml", "virtualenv": "python_env.yaml"}


def write_mlflow_folder(
    package: Path, manifest: Manifest, target: Path, *, metadata: Mapping[str, Any] | None = None
) -> None:
    """Write the model in a folder of ours as a folder of MLflow's.

    Args:
        package: A folder as `package.write_package` wrote it, or the download of a version.
        manifest: What is in it.
        target: Where to; must not exist, or be empty.
        metadata: What the `MLmodel` says about the model beside.

    Raises:
        AlreadyExists: There is something in the target already.
    """
    if target.exists() and any(target.iterdir()):
        raise AlreadyExists(f"{target} is not empty", hint="export into a new folder")
    target.mkdir(parents=True, exist_ok=True)
    if manifest.format == "mlflow":
        shutil.copytree(package, target, dirs_exist_ok=True)
        return
    flavors = _FLAVORS.get(manifest.format, _wrapped)(package, manifest, target)
    told: dict[str, Any] = {
        "flavors": flavors,
        "model_uuid": uuid4().hex,
        "utc_time_created": now().strftime("%Y-%m-%d %H:%M:%S.%f"),
        "metadata": {"mainspring": {"format": manifest.format, **dict(metadata or {})}},
    }
    signature = to_mlflow(manifest.signature)
    if signature:
        told["signature"] = signature
    if _write_example(package, target):
        told["saved_input_example_info"] = {
            "artifact_path": "input_example.json",
            "pandas_orient": "split",
            "serving_input_path": "serving_input_example.json",
            "type": "dataframe",
        }
    told["model_size_bytes"] = sum(each.stat().st_size for each in target.rglob("*") if each.is_file())
    _write_environment(target, manifest)
    _dump(told, target / MLMODEL)


def _sklearn(package: Path, manifest: Manifest, target: Path) -> dict[str, Any]:
    source = package / manifest.files[0].path
    name = source.name if manifest.format == "skops" else "model.pkl"
    shutil.copyfile(source, target / name)
    trusted = untrusted_types(source) if manifest.format == "skops" else None
    kind = {"pickle": "pickle", "cloudpickle": "cloudpickle", "skops": "skops"}[manifest.format]
    return {
        "python_function": _python_function("mlflow.sklearn", model_path=name, predict_fn="predict"),
        "sklearn": {
            "code": None,
            "pickled_model": name,
            "serialization_format": kind,
            "sklearn_version": manifest.libraries.get("scikit-learn", ""),
            "skops_trusted_types": trusted,
        },
    }


def _pickled(package: Path, manifest: Manifest, target: Path) -> dict[str, Any]:
    """A pickled estimator is what MLflow calls a model of scikit-learn; another pickled object is wrapped."""
    if "scikit-learn" in manifest.libraries:
        return _sklearn(package, manifest, target)
    return _wrapped(package, manifest, target)


def _xgboost(package: Path, manifest: Manifest, target: Path) -> dict[str, Any]:
    shutil.copyfile(package / manifest.files[0].path, target / "model.ubj")
    plain = list(manifest.classes) == list(range(len(manifest.classes))) and len(manifest.classes) > 1
    version = manifest.libraries.get("xgboost") or manifest.libraries.get("xgboost-cpu", "")
    return {
        "python_function": _python_function("mlflow.xgboost", data="model.ubj"),
        "xgboost": {
            "code": None,
            "data": "model.ubj",
            "model_class": "xgboost.sklearn.XGBClassifier" if plain else "xgboost.core.Booster",
            "model_format": "ubj",
            "xgb_version": version,
        },
    }


def _lightgbm(package: Path, manifest: Manifest, target: Path) -> dict[str, Any]:
    shutil.copyfile(package / manifest.files[0].path, target / "model.lgb")
    return {
        "lightgbm": {
            "code": None,
            "data": "model.lgb",
            "lgb_version": manifest.libraries.get("lightgbm", ""),
            "model_class": "lightgbm.basic.Booster",
        },
        "python_function": _python_function("mlflow.lightgbm", data="model.lgb"),
    }


def _catboost(package: Path, manifest: Manifest, target: Path) -> dict[str, Any]:
    shutil.copyfile(package / manifest.files[0].path, target / "model.cb")
    return {
        "catboost": {
            "catboost_version": manifest.libraries.get("catboost", ""),
            "code": None,
            "data": "model.cb",
            "model_type": "CatBoostClassifier" if manifest.classes else "CatBoostRegressor",
            "save_format": "cbm",
        },
        "python_function": _python_function("mlflow.catboost", data="model.cb"),
    }


def _onnx(package: Path, manifest: Manifest, target: Path) -> dict[str, Any]:
    shutil.copyfile(package / manifest.files[0].path, target / "model.onnx")
    return {
        "onnx": {
            "code": None,
            "data": "model.onnx",
            "onnx_session_options": None,
            "onnx_version": manifest.libraries.get("onnx", ""),
            "providers": ["CPUExecutionProvider"],
        },
        "python_function": _python_function("mlflow.onnx", data="model.onnx"),
    }


def _torch(package: Path, manifest: Manifest, target: Path) -> dict[str, Any]:
    exported = manifest.format == "torch-export"
    (target / "data").mkdir()
    shutil.copyfile(package / manifest.files[0].path, target / "data" / ("model.pt2" if exported else "model.pth"))
    if not exported:
        (target / "data" / "pickle_module_info.txt").write_text("mlflow.pytorch.pickle_module", encoding="utf-8")
    return {
        "python_function": _python_function(
            "mlflow.pytorch",
            data="data",
            model_config={"device": None},
            pickle_module_name="mlflow.pytorch.pickle_module",
        ),
        "pytorch": {
            "code": None,
            "model_data": "data",
            "pytorch_version": manifest.libraries.get("torch", ""),
        },
    }


def _keras(package: Path, manifest: Manifest, target: Path) -> dict[str, Any]:
    (target / "data").mkdir()
    shutil.copyfile(package / manifest.files[0].path, target / "data" / "model.keras")
    (target / "data" / "keras_module.txt").write_text("keras", encoding="utf-8")
    backend = next((each for each in ("torch", "tensorflow", "jax") if each in manifest.libraries), "tensorflow")
    return {
        "keras": {
            "data": "data",
            "keras_backend": backend,
            "keras_version": manifest.libraries.get("keras", ""),
            "save_exported_model": False,
        },
        "python_function": _python_function("mlflow.keras"),
    }


def _wrapped(package: Path, _manifest: Manifest, target: Path) -> dict[str, Any]:
    shutil.copytree(package, target / _OURS)
    return {"python_function": _python_function("mainspring.models.mlflow_loader", data=_OURS)}


_FLAVORS = {
    "catboost": _catboost,
    "cloudpickle": _pickled,
    "keras": _keras,
    "lightgbm": _lightgbm,
    "onnx": _onnx,
    "pickle": _pickled,
    "skops": _sklearn,
    "torch-export": _torch,
    "torchscript": _torch,
    "xgboost": _xgboost,
}


def _python_function(loader: str, **rest: Any) -> dict[str, Any]:
    return {"env": dict(_ENVIRONMENTS), "loader_module": loader, "python_version": platform.python_version(), **rest}


def _write_example(package: Path, target: Path) -> bool:
    """The rows that the model was shown, as pandas splits a frame; only where every column is plain."""
    path = package / _EXAMPLE
    if not path.is_file():
        return False
    columns: dict[str, list[Any]] = msgspec.json.decode(path.read_bytes())
    if any(isinstance(value, list) for values in columns.values() for value in values):
        return False
    split = {"columns": list(columns), "data": [list(row) for row in zip(*columns.values(), strict=True)]}
    (target / "input_example.json").write_bytes(msgspec.json.encode(split))
    (target / "serving_input_example.json").write_bytes(
        msgspec.json.format(msgspec.json.encode({"dataframe_split": split}), indent=2)
    )
    return True


def _write_environment(target: Path, manifest: Manifest) -> None:
    """What MLflow builds an environment from: the libraries that reading the model needs, and MLflow."""
    python = platform.python_version()
    pins = [f"{name}=={version.partition('+')[0]}" for name, version in sorted(manifest.libraries.items()) if version]
    wanted = ["mlflow", *(["mainspring"] if (target / _OURS).exists() else []), *pins]
    (target / "requirements.txt").write_text("\n".join(wanted), encoding="utf-8")
    build = ["pip", "setuptools", "wheel"]
    environment = {"python": python, "build_dependencies": build, "dependencies": ["-r requirements.txt"]}
    _dump(environment, target / _ENVIRONMENTS["virtualenv"])
    conda = {
        "channels": ["conda-forge"],
        "dependencies": [f"python={python}", "pip", {"pip": wanted}],
        "name": "mlflow-env",
    }
    _dump(conda, target / _ENVIRONMENTS["conda"])


def _dump(value: Mapping[str, Any], path: Path) -> None:
    import yaml

    with path.open("w", encoding="utf-8") as out:
        yaml.safe_dump(dict(value), out, default_flow_style=False, allow_unicode=True)
